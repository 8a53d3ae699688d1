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

---How many requests of `id` the mirror saw.
---@param mirror table
---@param id string
---@return integer
function support.count(mirror, id)
    local count = 0
    for line in mirror:log():gmatch "[^\n]+" do
        local this_id = line:match "^request (%S+) %d+$"
        count = count + (this_id == id and 1 or 0)
    end
    return count
end

---What the requests of `id` looked like, in the order in which they came: line, headers, raw (the headers' lines),
---connection, number (of the request on it) and busy (how many of the id were not answered then, this one included).
---@param mirror table
---@param id string
---@return table[]
function support.seen(mirror, id)
    local seen = {}
    for line in mirror:log():gmatch "[^\n]+" do
        local this_id, json = line:match "^seen (%S+) (.+)$"
        if this_id == id then
            seen[#seen + 1] = cjson.decode(json)
        end
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
