-- What specs send to the mirror, and the clients that send it.
--
--     local requests = require "spec.support.requests"
--     local client = requests.client(mirror, { max_concurrency = 2 })
--     client:submit(requests.params({ status = 503, body = "" }, { retry = "none" }))
--     client:submit(requests.slow(0.2))
--     requests.poll_until(client, function() return … end)

local system = require "system"
local thucchien = require "thucchien"

local requests = {}

-- An answer of one picture, whose bytes are "ABC".
requests.PICTURE = '{"data":[{"b64_json":"QUJD"}]}'
requests.KEY = "sk-specs-0123456789abcdef"

---@param mirror table   # the process: its URL is the base_url, unless `options` have another
---@param options? table  # they may have an api_key of their own, too
---@return thucchien.client
function requests.client(mirror, options)
    options = options or {}
    options.api_key, options.base_url = options.api_key or requests.KEY, options.base_url or mirror.url
    return assert(thucchien.new(options))
end

---@param answer? table  # what the mirror is to answer; at once and with PICTURE if not given
---@param more? table    # other fields
---@return table params
function requests.params(answer, more)
    more = more or {}
    more.prompt = "x"
    more.extra_body = { mirror = answer or { body = requests.PICTURE } }
    return more
end

---@param seconds number  # until the mirror answers with PICTURE
---@return table params
function requests.slow(seconds)
    return requests.params { hold = seconds, body = requests.PICTURE }
end

---Polls until something is true.
---@param client thucchien.client
---@param is_true fun(): any
function requests.poll_until(client, is_true)
    local deadline = system.monotime() + 60
    while not is_true() do
        assert(system.monotime() < deadline, "it has not become true")
        client:poll(0.02)
    end
end

return requests
