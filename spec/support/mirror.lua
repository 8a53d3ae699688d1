-- Starts the mirror, a server that answers what the request itself asks for: see mirror_server.lua.
--
--     local mirror = require("spec.support.mirror").start()
--     client:generate { prompt = "x", extra_body = { mirror = { status = 500, body = "…" } } }

local cjson = require "cjson"
local process = require "spec.support.process"

local support = {}

---@param certificate? string  # paths: speaks TLS with them
---@param key? string
---@return table process  # url, log(), await(pattern), stop()
function support.start(certificate, key)
    return process.start("the mirror", { "luajit", "spec/support/mirror_server.lua", certificate, key })
end

local gate_methods = {}
local gate_metatable = { __index = gate_methods }

---Lets the answers that wait for the gate go.
function gate_methods:open()
    assert(io.open(self.path, "w")):close()
end

---To be called when no answer waits for it any more.
function gate_methods:remove()
    os.remove(self.path)
end

---A gate, closed: an answer whose `gate` is its path waits until it is open.
---@return table gate  # path, open(), remove()
function support.gate()
    local path = os.tmpname()
    os.remove(path)
    return setmetatable({ path = path }, gate_metatable)
end

-- Reads what the mirror has printed since the last time, and sorts its lines by the ids of their requests: a log of
-- megabytes that is read anew for each question takes longer than all that is asked about.
local function read_on(mirror)
    local read = mirror.read_so_far or { bytes = 0, counts = {}, seen = {} }
    mirror.read_so_far = read
    local file = assert(io.open(mirror.log_path, "rb"))
    file:seek("set", read.bytes)
    local whole_lines = file:read("*a"):match "^.*\n" or ""
    file:close()
    read.bytes = read.bytes + #whole_lines
    for line in whole_lines:gmatch "[^\n]+" do
        local id = line:match "^request (%S+) %d+$"
        if id then
            read.counts[id] = (read.counts[id] or 0) + 1
        end
        local seen_id, json = line:match "^seen (%S+) (.+)$"
        if seen_id then
            read.seen[seen_id] = read.seen[seen_id] or {}
            table.insert(read.seen[seen_id], json)
        end
    end
    return read
end

---How many requests of `id` the mirror saw.
---@param mirror table
---@param id string
---@return integer
function support.count(mirror, id)
    return read_on(mirror).counts[id] or 0
end

---What the requests of `id` looked like, in the order in which they came: line, headers, raw (the headers' lines),
---connection, number (of the request on it) and busy (how many of the id were not answered then, this one included).
---@param mirror table
---@param id string
---@return table[]
function support.seen(mirror, id)
    local seen = {}
    for index, json in ipairs(read_on(mirror).seen[id] or {}) do
        seen[index] = cjson.decode(json)
    end
    return seen
end

---What a request that the mirror echoes had in a header with the key.
---@param echo table
---@param name string
---@return string?
function support.credentials(echo, name)
    local value = echo.headers[name]
    return value and value:gsub("|", "")
end

---The address of what the mirror answers to a GET: any answer, or several with an id.
---@param mirror table  # or anything with a url
---@param answer table
---@return string
function support.address(mirror, answer)
    return mirror.url .. "/picture.png?mirror=" .. cjson.encode(answer):gsub("[^%w%-._~]", function(character)
        return ("%%%02X"):format(character:byte())
    end)
end

---A base URL under which every request gets one answer, whatever its body says.
---@param mirror table
---@param answer table
---@return string
function support.answering(mirror, answer)
    return mirror.url .. "/answer=" .. cjson.encode(answer):gsub("[^%w%-._~]", function(character)
        return ("%%%02X"):format(character:byte())
    end)
end

return support
