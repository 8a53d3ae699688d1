-- A server that answers what the request itself asks for, byte for byte: the specs need answers that no honest
-- server gives, cut where they say. It speaks just enough HTTP/1.1 to read a request, over TLS if it is given a
-- certificate.
--
-- The request's JSON body may have a field `mirror`, or its path a query `?mirror=` or a part `/answer=`, which is that
-- as JSON:
--
--     id       counts requests: with `answers`, the k-th request of an id gets the k-th answer (or the last).
--              What each looked like is printed, for `seen` of spec/support/mirror.lua
--     keep     a path: the body of an id's k-th request is written there, with .k behind the name
--     answers  a list of answers; without it the table itself is one
--
-- and an answer:
--
--     pieces   what goes out, verbatim, as separate writes, `pause` seconds apart; then the end of the connection
--     status   200 if not given, with `headers` (a list of lines) and …
--     body     … sent whole with its length, or
--     file     … a path: what is there is the body
--     chunks   a list of strings, sent as chunks of a chunked body
--     every    the body is sent as chunks of so many bytes
--     times    the body is that many times `body`, behind `before`
--     gzip     true: the body is compressed
--     lacking  bytes at its end that a compressed body does not have
--     length   a Content-Length that is not the body's
--     close    true: the connection ends after the answer
--     reset    true: what ends the connection is a reset
--     endless  a text that is sent again and again behind `pieces`, until nobody takes it any more
--     drop     true: the next request on the connection is not read; its first byte ends the connection
--     idle     seconds after which the connection ends, if no further request has come
--     hold     seconds before the answer
--     gate     a path: the answer, or the last of its pieces, waits until that file is there
--     echo     true: the request is told what it looked like, as one without `mirror` is
--
-- A request with a header `x-meanwhile` is answered while its body is read: with a picture of so many bytes, the
-- end of which waits for the end of the body.
-- A request with a header `x-early` is answered before its body is read: with that status and the body that
-- `x-early-body` has, and the connection ends with a reset.
-- A request without `mirror` is told what it looked like: see `echo` below.
-- Run by spec/support/mirror.lua: luajit mirror_server.lua [CERTIFICATE KEY]

local cjson = require "cjson"
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local certificate, key = ...
local queue = cqueues.new()
local served = {} -- requests per id
local busy = {}   -- those of them that are not answered yet
local connections = 0

-- A PNG of 57 bytes, 2 by 3 pixels: whole but for those.
local TINY = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAAElEQVQ1rwYeAAAAAElFTkSuQmCC"

local function gzip(text)
    return (require("zlib").deflate(9, 31)(text, "finish"))
end

-- Has the connection end with a reset: SO_LINGER with no time at all.
local function set_reset(connection)
    local ffi = require "ffi"
    pcall(ffi.cdef, "int setsockopt(int, int, int, const void *, unsigned)")
    local SOL_SOCKET, SO_LINGER = 1, 13
    ffi.C.setsockopt(connection:pollfd(), SOL_SOCKET, SO_LINGER, ffi.new("int[2]", 1, 0), 8)
end

local function send_endless(connection, text)
    text = text:rep(math.ceil(16384 / #text))
    while connection:write(text) and connection:flush() do
        cqueues.sleep(0)
    end
end

-- The key would be taken out of an answer, so it goes back in pieces: see mirror.lua's `credentials`.
local function echo(request)
    for _, name in ipairs { "authorization", "x-goog-api-key" } do
        local value = request.headers[name]
        request.headers[name] = value and value:gsub("..", "%0|")
    end
    return {
        body = ('{"created":1,"data":[{"b64_json":"%s","revised_prompt":null,"url":null}],"echo":%s}')
            :format(TINY, cjson.encode(request)),
    }
end

-- What the request asks for, in its path or in its body, or nil.
local function find_wish(request)
    local query = request.line:match "[?&]mirror=([^& ]+)" or request.line:match "/answer=([^/ ]+)"
    local json = query and query:gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
    end)
    local ok, body = pcall(cjson.decode, json or request.body)
    local wanted = ok and type(body) == "table" and (json and body or body.mirror)
    return type(wanted) == "table" and wanted or nil
end

local function keep(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
end

-- A text in pieces of so many bytes.
local function cut(text, size)
    local pieces = {}
    for at = 1, #text, size do
        pieces[#pieces + 1] = text:sub(at, at + size - 1)
    end
    return pieces
end

-- Prints that a request came, and what it looked like.
local function record(request, wanted, id)
    served[id] = (served[id] or 0) + 1
    busy[id] = (busy[id] or 0) + 1
    request.id = id
    if wanted.keep then
        keep(wanted.keep .. "." .. served[id], request.body)
    end
    local seen = { line = request.line, headers = request.headers, raw = request.raw, busy = busy[id],
        connection = request.connection, number = request.number }
    io.write("seen ", id, " ", cjson.encode(seen), "\nrequest ", id, " ", served[id], "\n")
    io.flush()
end

local function pick(request)
    local wanted = find_wish(request)
    if not wanted then
        return echo(request)
    end
    local id = wanted.id or "none"
    record(request, wanted, id)
    local chosen = wanted.answers and wanted.answers[math.min(served[id], #wanted.answers)] or wanted
    return chosen.echo and echo(request) or chosen
end

local function send_chunked(connection, head, chunks)
    connection:write(head, "transfer-encoding: chunked\r\n\r\n")
    for _, chunk in ipairs(chunks) do
        connection:write(("%x\r\n"):format(#chunk), chunk, "\r\n")
    end
    connection:write "0\r\n\r\n"
end

local function wait_for(path)
    local file = path and io.open(path)
    while path and not file do
        cqueues.sleep(0.01)
        file = io.open(path)
    end
    if file then
        file:close()
    end
end

-- Returns whether the connection stays.
local function answer(connection, wanted)
    if not wanted.pieces then
        wait_for(wanted.gate)
    else
        for i, piece in ipairs(wanted.pieces) do
            wait_for(i == #wanted.pieces and wanted.gate)
            connection:write(piece)
            connection:flush()
            cqueues.sleep(wanted.pause or 0)
        end
        if wanted.endless then
            send_endless(connection, wanted.endless)
        end
        return false
    end
    local head = { ("HTTP/1.1 %d Whatever\r\ncontent-type: application/json\r\n"):format(wanted.status or 200) }
    for _, line in ipairs(wanted.headers or {}) do
        head[#head + 1] = line .. "\r\n"
    end
    local body = wanted.file and read(wanted.file) or (wanted.before or "") .. (wanted.body or ""):rep(wanted.times or 1)
    if wanted.gzip then
        body = gzip(wanted.chunks and table.concat(wanted.chunks) or body)
        body = body:sub(1, -1 - (wanted.lacking or 0))
        head[#head + 1] = "content-encoding: gzip\r\n"
    end
    head = table.concat(head)
    local chunks = wanted.chunks or wanted.every and cut(body, wanted.every)
    if chunks and not wanted.gzip then
        send_chunked(connection, head, chunks)
    else
        connection:write(head, ("content-length: %d\r\n\r\n"):format(wanted.length or #body), body)
    end
    connection:flush()
    return not wanted.close
end

-- Answers, and does with the connection what is wanted behind the answer. Returns whether it stays.
local function answer_and_end(connection, wanted)
    local stays = answer(connection, wanted)
    if wanted.reset then
        set_reset(connection)
    end
    if wanted.drop then
        connection:read(1)
        return false
    end
    connection:settimeout(wanted.idle)
    return stays
end

local function answer_early(connection, status, body, length)
    connection:write(("HTTP/1.1 %s Early\r\ncontent-length: %d\r\n\r\n%s"):format(status, #body, body))
    connection:flush()
    -- Closing with unread bytes sends a reset, which must not overtake the answer. Sockets' buffers hold less than
    -- 12 MiB: once that much was read, the client has written after our answer came, and has looked for one first.
    connection:read(math.min(length, 12 * 1024 * 1024))
end

-- The picture is of zeros, all but its last three bytes sent before the body is read.
local function answer_meanwhile(connection, picture, body)
    local first = '{"data":[{"b64_json":"' .. ("AAAA"):rep(picture / 3 - 1)
    local last = 'AAAA"}]}'
    connection:write("HTTP/1.1 200 OK\r\ncontent-length: ", #first + #last, "\r\n\r\n", first)
    connection:flush()
    assert(#connection:read(body) == body)
    connection:write(last)
    connection:flush()
end

local function read_request(connection)
    local line = connection:read "*l"
    if not line then
        return nil
    end
    local request = { line = line:gsub("\r$", ""), headers = {}, raw = {} }
    for text in connection:lines "*l" do
        local header = text:gsub("\r$", "")
        if header == "" then
            break
        end
        request.raw[#request.raw + 1] = header
        local name, value = header:match "^([^:]+):%s*(.*)$"
        if name then
            request.headers[name:lower()] = value
        end
    end
    if request.headers["x-early"] then
        answer_early(connection, request.headers["x-early"], request.headers["x-early-body"] or "{}",
            tonumber(request.headers["content-length"]))
        return nil
    end
    if request.headers["x-meanwhile"] then
        answer_meanwhile(connection, tonumber(request.headers["x-meanwhile"]), tonumber(request.headers["content-length"]))
        return read_request(connection)
    end
    request.body = connection:read(tonumber(request.headers["content-length"]) or 0) or ""
    return request
end

local function serve(connection)
    connections = connections + 1
    local number = connections
    connection:setmode("bf", "bf") -- each answer is one write: none waits for the acknowledgement of another
    connection:onerror(function(_, _, why) -- a client that goes away is no news
        return why
    end)
    if certificate then
        local context = require("openssl.ssl.context").new("TLS", true)
        local x509, pkey = require "openssl.x509", require "openssl.pkey"
        local function contents(path)
            local file = assert(io.open(path, "rb"))
            local text = file:read "*a"
            file:close()
            return text
        end
        context:setCertificate(x509.new(contents(certificate)))
        context:setPrivateKey(pkey.new(contents(key)))
        if not connection:starttls(context) then
            connection:close()
            return
        end
    end
    local requests, reset, id = 0, nil, nil
    for request in read_request, connection do
        requests = requests + 1
        request.connection, request.number = number, requests
        local wanted = pick(request)
        id = wanted.id
        if wanted.hold then
            cqueues.sleep(wanted.hold)
        end
        if request.id then -- before the answer leaves: the client's next request may follow at once
            busy[request.id] = busy[request.id] - 1
        end
        if not answer_and_end(connection, wanted) then
            reset = wanted.reset
            break
        end
    end
    if not reset then
        connection:shutdown()
    end
    connection:close()
    if id then
        io.write("ended ", id, "\n")
        io.flush()
    end
end

local listener = assert(socket.listen { host = "127.0.0.1", port = 0, reuseaddr = true, nodelay = true })
assert(listener:listen(5))
local _, _, port = listener:localname()
io.write(("listening on %s://127.0.0.1:%d\n"):format(certificate and "https" or "http", port))
io.flush()

queue:wrap(function()
    for connection in listener:clients() do
        queue:wrap(function()
            pcall(serve, connection)
        end)
    end
end)

-- Ends with whoever started it: their end of standard input closes.
queue:wrap(function()
    local input = socket.dup(io.stdin)
    input:setmode("b", "b")
    input:read(1)
    os.exit(0)
end)

assert(queue:loop())
