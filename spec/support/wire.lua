-- A connection of bytes, for requests that no honest client sends.
--
--     local wire = require("spec.support.wire").open(emulator.url)
--     wire:send "GET / HTTP/1.1\r\n\r\n"
--     local answer = wire:receive()  -- all until the other side ends the connection
--     wire:close()
--
-- It is built on cqueues, which not every Lua that runs the specs has: see `works`.

local wire = {}

local methods = {}
local metatable = { __index = methods }

---Whether there is what this is built on.
---@return boolean
function wire.works()
    return (pcall(require, "cqueues.socket"))
end

---@param url string  # http://HOST:PORT
---@return table connection
function wire.open(url)
    local host, port = url:match "^http://(.+):(%d+)"
    local socket = assert(require("cqueues.socket").connect { host = host, port = tonumber(port), nodelay = true })
    socket:onerror(function(_, _, why)
        return why
    end)
    socket:setmode("bn", "bn")
    assert(socket:connect(5))
    return setmetatable({ socket = socket }, metatable)
end

---Sends what the other side takes; false if it takes no more.
---@param bytes string
---@return boolean
function methods:send(bytes)
    return self.socket:xwrite(bytes, "bn", 5) ~= nil
end

---What comes until the connection ends, or until it matches `pattern`; and whether it has ended.
---@param pattern? string
---@param seconds? number  # 10 if not given
---@return string bytes
---@return boolean ended
function methods:receive(pattern, seconds)
    local monotime = require("cqueues").monotime
    local deadline = monotime() + (seconds or 10)
    local bytes = ""
    while monotime() < deadline do
        local piece, why = self.socket:xread(-65536, "b", deadline - monotime())
        if not piece then
            local late = why == require("cqueues.errno").ETIMEDOUT
            return bytes, not late
        end
        bytes = bytes .. piece
        if pattern and bytes:find(pattern) then
            break
        end
    end
    return bytes, false
end

---Says that nothing more will be sent.
function methods:finish()
    self.socket:shutdown "w"
end

function methods:close()
    self.socket:close()
end

---Sends a request and returns the status of its answer, and the answer; nil where there is none.
---@param url string
---@param request string
---@return integer? status
---@return string answer
---@return boolean ended  # has the connection ended?
function wire.ask(url, request)
    local connection = wire.open(url)
    connection:send(request)
    local answer, ended = connection:receive()
    connection:close()
    return tonumber(answer:match "^HTTP/1%.1 (%d+)"), answer, ended
end

return wire
