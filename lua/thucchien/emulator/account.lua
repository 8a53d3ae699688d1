-- What each key has spent and how many requests it has made, the limits for both, and GET /key/info, which
-- tells them. Every key has the same limits; without the options for them there are none.

local responses = require "thucchien.emulator.responses"
local authentication = require "thucchien.emulator.authentication"
local recent = require "thucchien.emulator.recent"

local account = {}

local WINDOW = 60              -- seconds that requests are counted over
local REQUESTS_PER_MINUTE = 200 -- the service's own limit, which is told if there is no option
local PARALLEL_REQUESTS = 200
local KEYS = 10000 -- keys that are remembered
local MONTH = 30 * 86400

local methods = {}
local metatable = { __name = "thucchien.emulator.account", __index = methods }

---@param options { budget?: number, rpm?: integer }
---@return table account
function account.new(options)
    return setmetatable({
        budget = options.budget, rpm = options.rpm, born = os.time(), keys = {},
    }, metatable)
end

-- What is known of a key: what it has spent, and how many requests it has made in the present minute, which
-- begins with the first of them.
local function entry_of(self, key)
    local hash = authentication.hash(key)
    local now, entry = require("cqueues").monotime(), self.keys[hash]
    if not entry then entry = recent.set(self.keys, KEYS, hash, { spent = 0, ends = now }) end
    if now >= entry.ends then entry.ends, entry.resets, entry.count = now + WINDOW, os.time() + WINDOW, 0 end
    return entry
end

---What a key has spent, in US dollars.
---@param key string
---@return number
function methods:spent(key)
    return entry_of(self, key).spent
end

---Adds to what a key has spent, and returns what it was before.
---@param key string
---@param cost number
---@return number
function methods:charge(key, cost)
    local entry = entry_of(self, key)
    local before = entry.spent
    entry.spent = before + cost
    return before
end

---How many requests a key may make a minute, and how many of them are left.
---@param key string
---@return integer limit
---@return integer remaining
function methods:requests(key)
    local limit = self.rpm or REQUESTS_PER_MINUTE
    return limit, math.max(limit - entry_of(self, key).count, 0)
end

---The response to too many requests.
---@param via thucchien.emulator.via
---@param hash string     # the key's
---@param limit integer
---@param resets integer  # Unix time
---@param kind? string    # "requests" if not given
---@return thucchien.emulator.response
function account.rate_limit(via, hash, limit, resets, kind)
    kind = kind or "requests"
    local reset_at = os.date("!%Y-%m-%d %H:%M:%S UTC", resets)
    local response = responses.exception(via, 429, ("Rate limit exceeded for api_key: %s. Limit type: %s. "
        .. "Current limit: %d, Remaining: 0. Limit resets at: %s"):format(hash, kind, limit, reset_at))
    if via == "chat" then
        local function add(name, value) response.headers[#response.headers + 1] = { name, value } end
        -- The gateway's reset time may be wrong, but its retry-after is never longer than the window.
        add("retry-after", ("%d"):format(math.max(math.min(resets - os.time(), WINDOW), 0)))
        add("rate_limit_type", kind)
        add("reset_at", reset_at)
    end
    return response
end

---Counts a request that is about to be answered, or gives the response that refuses it.
---@param key string
---@param via thucchien.emulator.via
---@return thucchien.emulator.response?
function methods:refusal(key, via)
    local entry = entry_of(self, key)
    local spent = entry.spent
    if self.budget and spent >= self.budget then
        return responses.error(400, ("Budget has been exceeded! Current cost: %s, Max budget: %s"):format(
            responses.python_float(spent), responses.python_float(self.budget)), "budget_exceeded")
    end
    if self.rpm and entry.count >= self.rpm then
        return account.rate_limit(via, authentication.hash(key), self.rpm, entry.resets)
    end
    entry.count = entry.count + 1
end

local function iso_date(time)
    return '"' .. os.date("!%Y-%m-%dT%H:%M:%S.000000+00:00", time) .. '"'
end

-- The key's row in the gateway's database, in the order of its schema; the literal ones never change here.
local INFO = '{"key":%s,"info":{"key_name":%s,"key_alias":"emulated","soft_budget_cooldown":false,'
    .. '"spend":%s,"expires":null,"models":[],"aliases":{},"config":{},"user_id":"default_user_id",'
    .. '"team_id":null,"permissions":{},"max_parallel_requests":%d,'
    .. '"metadata":{"model_rpm_limit":{"imagen-4":%d},"model_tpm_limit":{}},"blocked":null,"tpm_limit":null,'
    .. '"rpm_limit":%d,"max_budget":%s,"budget_duration":%s,"budget_reset_at":%s,'
    .. '"allowed_cache_controls":[],"allowed_routes":[],"model_spend":{},"model_max_budget":{},'
    .. '"budget_id":null,"organization_id":null,"object_permission_id":null,"created_at":%s,'
    .. '"created_by":"default_user_id","updated_at":%s,"updated_by":"default_user_id","rotation_count":0,'
    .. '"auto_rotate":false,"rotation_interval":null,"last_rotation_at":null,"key_rotation_at":null,'
    .. '"litellm_budget_table":null,"litellm_organization_table":null,"object_permission":null}}'

local IMAGEN_PER_MINUTE = 20

-- `name` is the key as the caller gave it in `?key=`, or else its hash.
local function info(self, key, name)
    local budget = self.budget
    return responses.new(200, INFO:format(responses.quote(name), responses.quote("sk-..." .. key:sub(-4)),
        responses.python_float(self:spent(key)), PARALLEL_REQUESTS, self.rpm or IMAGEN_PER_MINUTE,
        self.rpm or REQUESTS_PER_MINUTE, budget and responses.python_float(budget) or "null",
        budget and '"30d"' or "null", budget and iso_date(self.born + MONTH) or "null",
        iso_date(self.born), iso_date(os.time())))
end

---GET /key/info: the caller's own key, by `?key=` or without.
---@param request thucchien.emulator.request
---@return thucchien.emulator.response
function account.info(request)
    local self, key = request.state.account, request.key
    local hash, asked = authentication.hash(key), request.query.key
    if not asked or asked == hash or asked == key then return info(self, key, asked or hash) end
    if self.keys[asked] or self.keys[authentication.hash(asked)] then
        return responses.error(403, "You are not allowed to access this key's info. Your role=None",
            "internal_server_error", "None")
    end
    return responses.error(404, "Key not found in database", "not_found_error", "key")
end

return account
