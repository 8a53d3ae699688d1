-- HTTP/1.1 for the emulator, over sockets of cqueues. People leave a server running for weeks, and clients send
-- anything, or stop sending. So every count, size and time has a limit, beyond which the request is refused or the
-- connection is ended.

local http = {}

local CONNECTIONS = 512             -- at once; for one more, the one that has waited longest for a request is ended
local IDLE_SECONDS = 120            -- that a connection is kept for its next request
local READ_SECONDS = 30             -- for the head of a request, and for its body: see SLOWEST
local WRITE_SECONDS = 60            -- for a response: see SLOWEST
local SLOWEST = 10000               -- bytes a second: bodies and responses get more time, size / SLOWEST seconds
local LINGER_SECONDS = 1            -- for a client to read the response to a request that was not read to its end
local HEAD_BYTES = 64 * 1024        -- request line, headers and trailers
local HEADERS = 100
local BODY_BYTES = 64 * 1024 * 1024
local ALL_BODY_BYTES = 256 * 1024 * 1024 -- of all requests that are being read or answered
local LINE_BYTES = 4096             -- of a chunk's size
local PIECE = 64 * 1024             -- bytes read at once
local JOINED = 1024                 -- pieces of a body that are collected before they are joined

local REASONS = {
    [200] = "OK", [204] = "No Content", [302] = "Found", [307] = "Temporary Redirect", [400] = "Bad Request",
    [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden", [404] = "Not Found",
    [405] = "Method Not Allowed", [408] = "Request Timeout", [409] = "Conflict",
    [413] = "Request Entity Too Large", [422] = "Unprocessable Entity", [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large", [500] = "Internal Server Error", [501] = "Not Implemented",
    [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
}

---@class thucchien.emulator.head
---@field method string
---@field target string
---@field minor integer   # of the version: 1 for HTTP/1.1
---@field headers thucchien.emulator.fields

---@class thucchien.emulator.fields
---@field get fun(self, name: string): string?  # the first of that name, which is in lower case
---@field has fun(self, name: string): boolean

local field_methods = {}
local fields_metatable = { __index = field_methods }

function field_methods:get(name)
    local values = self.values[name]
    return values and values[1]
end

function field_methods:has(name)
    return self.values[name] ~= nil
end

-- ---- what a request looks like ---------------------------------------------------------------------------------

-- Adds the lines of a head to the fields; nil and a status if a line is not a header.
local function read_fields(fields, text)
    for line in text:gmatch("([^\n]*)\n") do
        local name, value = line:match("^([%w!#$%%&'*+%-.^_`|~]+):[ \t]*(.-)[ \t\r]*$")
        if not name or value:find("[%z\1-\8\10-\31\127]") then return nil, 400 end
        name = name:lower()
        local values = fields.values[name] or {}
        fields.values[name], values[#values + 1] = values, value
        fields.count = fields.count + 1
        if fields.count > HEADERS then return nil, 431 end
    end
    return fields
end

---A head, up to and without the empty line that ends it; or nil and the status that refuses it.
---@param text string
---@return thucchien.emulator.head?
---@return integer? status
function http.parse(text)
    local line, rest = text:match("^([^\n]*)\n(.*)$")
    local method, target, major, minor = line:match("^(%a+) (%S+) HTTP/(%d)%.(%d)\r?$")
    if not method or #method > 32 or target:find("%c") then return nil, 400 end
    if major ~= "1" then return nil, 505 end
    local fields, status = read_fields(setmetatable({ values = {}, count = 0 }, fields_metatable), rest)
    if not fields then return nil, status end
    return { method = method, target = target, minor = tonumber(minor), headers = fields }
end

-- How a request's body is delimited: its length, or "chunked"; or nil and the status that refuses it.
local function framing(head)
    local coding, lengths = head.headers.values["transfer-encoding"], head.headers.values["content-length"]
    if coding then
        -- A length beside a coding, or two codings, are used to smuggle requests past a proxy.
        if lengths or #coding > 1 or head.minor == 0 then return nil, 400 end
        if coding[1]:lower() ~= "chunked" then return nil, 501 end
        return "chunked"
    end
    for _, length in ipairs(lengths or {}) do
        if not length:find("^%d+$") or length ~= lengths[1] then return nil, 400 end
    end
    local length = lengths and (lengths[1]:gsub("^0+(%d)", "%1")) or "0"
    if #length > 15 or tonumber(length) > BODY_BYTES then return nil, 413 end
    return tonumber(length)
end

-- Does the client want the connection kept?
local function wants_to_stay(head)
    local options = "," .. (head.headers:get("connection") or ""):lower():gsub("%s", "") .. ","
    if head.minor == 0 then return options:find(",keep-alive,", 1, true) ~= nil end
    return not options:find(",close,", 1, true)
end

-- ---- a connection ----------------------------------------------------------------------------------------------

local methods = {}
local metatable = { __index = methods }

local function monotime()
    return require("cqueues").monotime()
end

-- Waits until the socket may have more, but not beyond `deadline`; false when it is time to give up.
local function wait_for(self, events, deadline)
    local left = deadline - monotime()
    if left <= 0 or self.ended then return false end
    require("cqueues").poll({ pollfd = self.socket:pollfd(), events = events }, self.wake, left)
    return not self.ended
end

-- The bytes that have come; nil and "left" when no more will, nil and "late" when none came in time.
local function receive(self, deadline)
    while true do
        local bytes, why = self.socket:recv(-PIECE)
        if bytes then
            self.at_once = self.at_once + 1
            if self.at_once % 16 == 0 then require("cqueues").sleep(0) end -- others have their turn
            return bytes
        end
        if why ~= require("cqueues.errno").EAGAIN then return nil, "left" end
        if not wait_for(self, "r", deadline) then return nil, "late" end
    end
end

-- Adds what comes to the bytes that were not read yet.
local function fill(self, deadline)
    local bytes, problem = receive(self, deadline)
    if not bytes then return nil, problem end
    self.buffer, self.at = self.buffer:sub(self.at) .. bytes, 1
    return true
end

-- The text of a request's head, or of its trailers, without the empty line after it.
local function read_block(self, deadline)
    local from = self.at
    while true do
        local _, stop = self.buffer:find("\n\r?\n", from)
        if stop then
            local block = self.buffer:sub(self.at, stop):gsub("\r?\n$", "")
            self.at = stop + 1
            if #block > HEAD_BYTES then return nil, 431 end
            return block
        end
        local kept = #self.buffer - self.at + 1
        if kept > HEAD_BYTES then return nil, 431 end
        local ok, problem = fill(self, deadline)
        if not ok then return nil, problem end
        from = math.max(1, kept - 1)
    end
end

-- A request's head; nil and what is wrong: "left", "late", or a status.
local function read_head(self)
    local deadline, empty = monotime() + IDLE_SECONDS, 0
    while true do -- empty lines before a request count for nothing
        local _, stop = self.buffer:find("^[\r\n]*", self.at)
        empty = empty + stop + 1 - self.at
        self.at = stop + 1
        if self.at <= #self.buffer then break end
        if empty > HEAD_BYTES then return nil, 400 end
        local ok = fill(self, deadline)
        if not ok then return nil, "left" end
    end
    local block, problem = read_block(self, monotime() + READ_SECONDS)
    if not block then return nil, problem == "late" and 408 or problem end
    return http.parse(block)
end

-- Collects pieces of a body.
local function new_heap()
    return { size = 0 }
end

local function pile(heap, piece)
    heap[#heap + 1], heap.size = piece, heap.size + #piece
    if #heap == JOINED then
        local joined = table.concat(heap)
        for i = JOINED, 2, -1 do heap[i] = nil end
        heap[1] = joined
    end
end

-- Takes `length` bytes of a request's body, and adds them to `body`, which has a `deadline` too.
local function take(self, body, length)
    while length > 0 do
        local piece = self.buffer:sub(self.at, self.at + length - 1)
        self.at, length = self.at + #piece, length - #piece
        self.held = self.held + #piece
        self.server.held = self.server.held + #piece
        if self.server.held > ALL_BODY_BYTES then return nil, 503 end
        pile(body, piece)
        if length == 0 then break end
        self.buffer, self.at = "", 1
        local ok, problem = fill(self, body.deadline + body.size / SLOWEST)
        if not ok then return nil, problem end
    end
    return true
end

-- A line of a chunked body, without its end.
local function take_line(self, body)
    while true do
        local stop = self.buffer:find("\n", self.at, true)
        if stop then
            local line = self.buffer:sub(self.at, stop - 1):gsub("\r$", "")
            self.at = stop + 1
            return line
        end
        if #self.buffer - self.at > LINE_BYTES then return nil, 400 end
        local ok, problem = fill(self, body.deadline + body.size / SLOWEST)
        if not ok then return nil, problem end
    end
end

local function read_chunks(self, body)
    while true do
        local line, problem = take_line(self, body)
        if not line then return nil, problem end
        local digits = line:match("^0*(%x+)[ \t]*$") or line:match("^0*(%x+)[ \t]*;")
        if not digits or #line > LINE_BYTES then return nil, 400 end
        local size = #digits <= 8 and tonumber(digits, 16) or math.huge
        if body.size + size > BODY_BYTES then return nil, 413 end
        if size == 0 then return true end
        local ok
        ok, problem = take(self, body, size)
        if not ok then return nil, problem end
        line, problem = take_line(self, body)
        if line ~= "" then return nil, line and 400 or problem end
    end
end

-- Trailers, which nobody wants, up to an empty line.
local function skip_trailers(self, body)
    local seen = 0
    while true do
        local line, problem = take_line(self, body)
        if not line then return nil, problem end
        if line == "" then return true end
        seen = seen + #line + 2
        if seen > HEAD_BYTES then return nil, 431 end
    end
end

-- The body that a head announces; nil and what is wrong.
local function read_body(self, head)
    local length, status = framing(head)
    if not length then return nil, status end
    if length ~= 0 and (head.headers:get("expect") or ""):lower() == "100-continue" and self.at > #self.buffer then
        self:write("HTTP/1.1 100 Continue\r\n\r\n")
    end
    local body = new_heap()
    body.deadline = monotime() + READ_SECONDS
    local ok, problem
    if length == "chunked" then
        ok, problem = read_chunks(self, body)
        if ok then ok, problem = skip_trailers(self, body) end
    else
        ok, problem = take(self, body, length)
    end
    if not ok then return nil, problem == "late" and 408 or problem end
    return table.concat(body)
end

---The next request of the connection. Nil when none comes. One with a `problem` is to be answered with that
---status, or, where it is "left", not at all; the connection ends then.
---@return table? request  # method, target, headers, body, problem
function methods:read()
    self.waits = monotime()
    local head, problem = read_head(self)
    self.waits = nil
    if not head then
        if problem == "left" or problem == "late" then return nil end
        self.stays = false
        return { method = "-", target = "-", headers = setmetatable({ values = {} }, fields_metatable),
            problem = problem }
    end
    self.head, self.stays = head, wants_to_stay(head)
    head.body, head.problem = read_body(self, head)
    if head.problem then self.stays = false end
    return head
end

---Counts the body of the latest request no more: it is not needed any longer.
function methods:forget_body()
    self.server.held = self.server.held - self.held
    self.held = 0
end

---Writes all of `text`, and waits for the client to take it; nil if it does not, or has gone.
---@param text string
---@return boolean?
function methods:write(text)
    local errno = require "cqueues.errno"
    local at, deadline = 1, monotime() + WRITE_SECONDS + #text / SLOWEST
    while at <= #text do
        local sent, why = self.socket:send(text, at, #text, "bn")
        at = at + sent
        if at <= #text and (why ~= errno.EAGAIN or not wait_for(self, "w", deadline)) then return nil end
    end
    return true
end

---Waits; returns nil at once if the client leaves meanwhile.
---@param seconds number
---@return boolean?
function methods:sleep(seconds)
    local deadline = monotime() + seconds
    while monotime() < deadline do
        if #self.buffer - self.at >= HEAD_BYTES then -- the client goes on sending: do not read more now
            require("cqueues").poll(self.wake, deadline - monotime())
        else
            local ok, problem = fill(self, deadline)
            if not ok and problem == "left" then return nil end
        end
        if self.ended then return nil end
    end
    return true
end

---The head of a response, as text.
---@param status integer
---@param headers { [1]: string, [2]: string }[]
---@return string
function methods:head_of(status, headers)
    local lines = { ("HTTP/1.1 %d %s"):format(status, REASONS[status] or "Unknown"),
        "date: " .. os.date("!%a, %d %b %Y %H:%M:%S GMT"), "server: uvicorn" }
    for _, header in ipairs(headers) do lines[#lines + 1] = header[1] .. ": " .. header[2] end
    if not self.stays then lines[#lines + 1] = "connection: close" end
    return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- If a socket is closed before all bytes are read, the client may lose the response. So they are read, for a moment.
local function linger(self)
    self.socket:shutdown("w")
    local deadline = monotime() + LINGER_SECONDS
    while receive(self, deadline) do end
end

local function end_connection(self)
    if self.unread then linger(self) end
    self:forget_body()
    require("cqueues").cancel(self.socket:pollfd())
    self.socket:close()
end

-- ---- the server ------------------------------------------------------------------------------------------------

-- Serves the requests of a connection, one after the other.
local function serve(self, handle)
    repeat
        local request = self:read()
        if not request then return end
        self.unread = request.problem ~= nil and request.problem ~= "left"
        if not handle(self, request) then self.stays = false end
        self:forget_body()
    until not self.stays or self.ended
end

-- The connection that has waited longest for a request.
local function idlest(connections)
    local found
    for connection in pairs(connections) do
        if connection.waits and not connection.ended and (not found or connection.waits < found.waits) then
            found = connection
        end
    end
    return found
end

local server_methods = {}
local server_metatable = { __index = server_methods }

-- Ends the idlest connection, so that there can be another one; false if all are busy.
local function make_room(server)
    local oldest = idlest(server.connections)
    if not oldest then return false end
    oldest.ended = true
    oldest.wake:signal()
    return true
end

local function add_connection(server, queue, socket, handle)
    socket:setmode("bn", "bn")
    local connection = setmetatable({
        socket = socket, server = server, buffer = "", at = 1, held = 0, at_once = 0, stays = true,
        wake = require("cqueues.condition").new(),
    }, metatable)
    server.connections[connection], server.count = true, server.count + 1
    queue:wrap(function()
        local ok, problem = http.pcall(serve, connection, handle)
        if not ok then io.stderr:write("emulator: ", tostring(problem), "\n") end
        end_connection(connection)
        server.connections[connection], server.count = nil, server.count - 1
        server.freed:signal()
    end)
end

local function accept(server, queue, handle)
    local cqueues, errno = require "cqueues", require "cqueues.errno"
    while true do
        if server.count >= CONNECTIONS then
            make_room(server)
            cqueues.poll(server.freed, 0.1)
        else
            local socket, why = server.socket:accept({ nodelay = true }, 0)
            if socket then
                add_connection(server, queue, socket, handle)
            elseif why == errno.ETIMEDOUT or why == errno.EAGAIN then
                cqueues.poll(server.socket)
            elseif why == errno.EMFILE or why == errno.ENFILE then -- no descriptors are left
                make_room(server)
                cqueues.poll(server.freed, 0.1)
            else -- a client that left at once, say
                cqueues.sleep(0)
            end
        end
    end
end

---Listens, or returns nil and why it cannot. `handle(connection, request)` is called for each request, in a
---coroutine of the queue, and returns whether the connection may go on.
---@param queue table  # cqueues'
---@param host string
---@param port integer
---@param handle fun(connection: table, request: table): boolean?
---@return table? server  # localname(), close()
---@return string? problem
function http.listen(queue, host, port, handle)
    local errno = require "cqueues.errno"
    local socket, why = require("cqueues.socket").listen({ host = host, port = port })
    local ok
    if socket then
        socket:onerror(function(_, _, number) return number end)
        ok, why = socket:listen()
    end
    if not ok then return nil, type(why) == "number" and errno.strerror(why) or tostring(why) end
    local server = setmetatable({
        socket = socket, connections = {}, count = 0, held = 0, freed = require("cqueues.condition").new(),
    }, server_metatable)
    queue:wrap(function() accept(server, queue, handle) end)
    return server
end

function server_methods:localname()
    return self.socket:localname()
end

function server_methods:close()
    self.socket:close()
end

-- ---- pcall -----------------------------------------------------------------------------------------------------

local can_yield = coroutine.wrap(function() return pcall(coroutine.yield, true) end)()

local function go_on(thread, ok, ...)
    if not ok then return false, ... end
    if coroutine.status(thread) == "dead" then return true, ... end
    return go_on(thread, coroutine.resume(thread, coroutine.yield(...)))
end

---pcall for functions that yield, which Lua 5.1's own does not let them.
---@param call function
---@param ... any
---@return boolean
---@return any ...
function http.pcall(call, ...)
    if can_yield then return pcall(call, ...) end
    local thread = coroutine.create(call)
    return go_on(thread, coroutine.resume(thread, ...))
end

return http
