-- A stand-in for the gateway: for those who write plugins and games without a key, without a network,
-- and without paying. It sends what the gateway sends, draws a landscape for each prompt, and fails on
-- demand.
--
-- It is a process of its own, so it may run under another Lua than the program that uses it. It is
-- built on cqueues, which is not loaded before `run`: so any Lua can call `missing`.

local emulator = {}

local LONGEST_WAIT = 86400 -- seconds before a response

---@class thucchien.emulator.options
---@field host? string         # address to listen on, 127.0.0.1 if not given
---@field port? integer        # 0, or not given: a free one
---@field images? string       # a directory whose pictures are served instead of drawn ones
---@field delay? number        # seconds before each response
---@field key? string          # the only key that is accepted; any `sk-…` if not given
---@field budget? number       # US dollars that each key may spend; unlimited if not given
---@field rpm? integer         # requests that each key may make a minute; unlimited if not given
---@field stop_on_eof? boolean # stop when standard input ends

---@class thucchien.emulator.request
---@field method string
---@field path string
---@field query table<string, string>
---@field headers thucchien.emulator.fields
---@field body string
---@field key? string          # the caller's, where the route asks for one
---@field host string          # the address that the caller used: "127.0.0.1:8001"
---@field state table          # shared by all requests: pictures, urls, account, failed, asked, pause
---@field note table           # for the line in the log: model, n, size
---@field elapsed fun(): number # seconds since the request came

emulator.description = "Stands in for the AI Thực Chiến gateway on this machine: no key, no network, "
    .. "no cost. It draws a landscape for each prompt."

emulator.epilog = [[
Use any key that begins with sk-, and the address that it prints as the base
URL. Ctrl-C stops it.

Models: imagen-4, imagen-4.0-generate-001, and these, which make things happen:

]] .. require("thucchien.emulator.failures").help() .. [[


A status, plain-500 and reset take a number: emulate/503/2 fails twice, then
draws.]]

---What keeps the emulator from running on this Lua, in one line; nil if nothing does.
---@return string?
function emulator.missing()
    for _, needed in ipairs({
        { "cqueues", "cqueues" }, { "openssl.digest", "luaossl" }, { "zlib", "lua-zlib" },
        { "cjson.safe", "lua-cjson" },
    }) do
        if not pcall(require, needed[1]) then
            local name = rawget(_G, "jit") and "LuaJIT" or _VERSION
            return ("the emulator needs %s, which %s does not find: install it (Debian: apt install "
                .. "lua-cqueues lua-luaossl lua-zlib lua-cjson; LuaRocks: cqueues, luaossl, lua-zlib, lua-cjson)")
                :format(needed[2], name)
        end
    end
end

local function print_line(text)
    io.stdout:write(text, "\n")
    io.stdout:flush()
end

-- Makes a client's text fit for the log: one short line without the key.
local function loggable(value, key, limit)
    limit = limit or 80
    local text = tostring(value):sub(1, 4096)
    if key then
        local from, to = text:find(key, 1, true)
        while from do
            text = text:sub(1, from - 1) .. "…" .. text:sub(to + 1)
            from, to = text:find(key, from, true)
        end
    end
    text = text:gsub("sk%-[^%s]*", "sk-…"):gsub("%c", "?")
    if #text > limit then text = text:sub(1, limit):gsub("[\192-\255]?[\128-\191]*$", "") .. "…" end
    return text
end

local function log(request, status, bytes)
    local note, key = request.note, request.key
    local milliseconds = math.floor(request.elapsed() * 1000 + 0.5)
    print_line(("%s %s %s model=%s n=%s size=%s %s %d bytes %d ms"):format(
        os.date("%H:%M:%S"), request.method, loggable(request.path, key),
        loggable(note.model or "-", key), loggable(note.n or "-", key), note.size or "-",
        status, bytes, milliseconds))
end

-- Routes by path and method. `via` is set where callers ask for pictures: there their limits count. `check` finds
-- the caller's key, where one is asked for.
local routes = {}

local function route(method, path, handler, check, via)
    routes[path] = routes[path] or {}
    routes[path][method] = { handler = handler, check = check, via = via }
end

-- GET /health/readiness, which needs no key: LiteLLM's version.
local function readiness()
    local responses, headers = require "thucchien.emulator.responses", require "thucchien.emulator.headers"
    return responses.new(200, ('{"status":"connected","db":"connected","cache":null,"litellm_version":"%s",'
        .. '"success_callbacks":[]}'):format(headers.LITELLM))
end

local function add_routes()
    local authentication = require "thucchien.emulator.authentication"
    local account = require "thucchien.emulator.account"
    local models = require "thucchien.emulator.models"
    local check = authentication.check
    for _, prefix in ipairs({ "", "/v1" }) do
        local images, chat = require "thucchien.emulator.images", require "thucchien.emulator.chat"
        route("POST", prefix .. "/images/generations", images.generate, check, "images")
        route("POST", prefix .. "/chat/completions", chat.complete, check, "chat")
        route("GET", prefix .. "/models", models.list, check)
    end
    route("POST", "/gemini/*", require("thucchien.emulator.gemini").generate, authentication.check_google, "gemini")
    route("GET", "/key/info", account.info, check)
    route("GET", "/health/readiness", readiness)
    route("GET", "/emulate/pictures/*", require("thucchien.emulator.urls").serve)
end

-- The methods of a path, and what stands for the `*` that some end with.
local function find_methods(path)
    if routes[path] then return routes[path] end
    for pattern, methods in pairs(routes) do
        local folder = pattern:match("^(.*/)%*$")
        if folder and path:sub(1, #folder) == folder and #path > #folder then
            return methods, path:sub(#folder + 1)
        end
    end
end

-- The route of a request, or the response that there is none.
local function find_route(request)
    local responses = require "thucchien.emulator.responses"
    local methods, rest = find_methods(request.path)
    if not methods then return nil, responses.detail(404, '"Not Found"') end
    local found = methods[request.method]
    if found then return found, nil, rest end
    local allowed = {}
    for method in pairs(methods) do allowed[#allowed + 1] = method end
    table.sort(allowed)
    local refusal = responses.detail(405, '"Method Not Allowed"')
    table.insert(refusal.headers, { "allow", table.concat(allowed, ", ") })
    return nil, refusal
end

local function handle(request, options)
    local found, refusal, rest = find_route(request)
    if not found then return refusal end
    if found.check then
        request.key, refusal = found.check(request, options.key)
        if not request.key then return refusal end
    end
    refusal = found.via and request.state.account:refusal(request.key, found.via)
    return refusal or found.handler(request, rest)
end

-- The response of a web server to what is not a valid HTTP request.
local function refuse(status)
    local responses = require "thucchien.emulator.responses"
    if status == 413 then return responses.html(413, "Request Entity Too Large", "nginx/1.26.2") end
    local said = status == 400 and "Invalid HTTP request received."
        or ("This request cannot be served (HTTP status %d)."):format(status)
    return responses.new(status, said, "text/plain; charset=utf-8")
end

-- The body in pieces, with a pause after each; other connections have their turn in between.
local function write_pieces(connection, response, chunked)
    local body, piece = response.body, response.piece or #response.body
    for from = 1, #body, piece do
        local bytes = body:sub(from, from + piece - 1)
        if chunked then bytes = ("%x\r\n%s\r\n"):format(#bytes, bytes) end
        if not connection:write(bytes) or not connection:sleep(response.pause or 0) then return nil end
    end
    return not chunked or connection:write("0\r\n\r\n")
end

-- Sends a response; nil if the client has gone.
local function write_response(connection, request, response)
    if response.hang_up then
        connection.stays = false
        return true
    end
    local headers, chunked = {}, response.chunked and request.minor == 1
    for i, header in ipairs(response.headers) do headers[i] = header end
    if response.close or response.sent or (response.chunked and not chunked) then connection.stays = false end
    headers[#headers + 1] = chunked and { "transfer-encoding", "chunked" }
        or not response.chunked and { "content-length", ("%d"):format(#response.body) } or nil
    if not connection:write(connection:head_of(response.status, headers)) then return nil end
    if request.method == "HEAD" then return true end
    if response.piece or chunked then return write_pieces(connection, response, chunked) end
    return connection:write(response.sent and response.body:sub(1, response.sent) or response.body)
end

local function unescape(text)
    return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function read_query(target)
    local query = {}
    for name, value in (target:match("%?([^#]*)") or ""):gmatch("([^&=]+)=?([^&]*)") do
        query[unescape(name)] = unescape((value:gsub("+", " ")))
    end
    return query
end

-- Completes a request that http.lua has read.
local function complete(request, connection, state)
    local began = require("cqueues").monotime()
    local _, address, port = connection.socket:localname()
    local target = request.target:gsub("^%a+://[^/?#]*", "") -- a whole URL, as sent to a proxy
    request.path, request.query = unescape(target:match("^[^?#]*")), read_query(target)
    request.host = request.headers:get("host") or ("%s:%s"):format(address, port)
    request.state, request.note = state, {}
    function request.elapsed() return require("cqueues").monotime() - began end
    return request
end

-- The response to a request. Errors of our own become a 500, as they would with the gateway.
local function response_to(request, options)
    local responses, http = require "thucchien.emulator.responses", require "thucchien.emulator.http"
    if request.problem then return refuse(request.problem) end
    local ok, response = http.pcall(handle, request, options)
    if ok then return response end
    io.stderr:write("emulator: ", loggable(response, request.key, 400), "\n")
    return responses.new(500, "Internal Server Error", "text/plain; charset=utf-8")
end

-- One request and its response. Returns whether the connection may go on.
local function serve(connection, request, state, options)
    complete(request, connection, state)
    if request.problem == "left" then
        log(request, "client left", 0)
        return false
    end
    local response = response_to(request, options)
    connection:forget_body()
    local wait = math.min((response.wait or 0) + (options.delay or 0), LONGEST_WAIT)
    if connection:sleep(wait) and write_response(connection, request, response) then
        log(request, response.hang_up and "closed" or response.status, response.sent or #response.body)
        return true
    end
    log(request, "client left", 0)
    return false
end

-- Stops when standard input ends: whoever started us has gone.
local function watch_input(queue, stop)
    local cqueues = require "cqueues"
    local input = { pollfd = 0, events = "r" }
    -- A file or /dev/null cannot be waited for; such an input counts as ended.
    local trial = cqueues.new()
    trial:wrap(function() cqueues.poll(input, 0) end)
    if not trial:loop() then return stop() end
    io.stdin:setvbuf("no")
    queue:wrap(function()
        repeat cqueues.poll(input) until not io.stdin:read(1)
        stop()
    end)
end

local function watch_signals(queue, stop)
    local signal = require "cqueues.signal"
    signal.ignore(signal.SIGPIPE)
    signal.block(signal.SIGINT, signal.SIGTERM)
    local listener = signal.listen(signal.SIGINT, signal.SIGTERM)
    queue:wrap(function()
        listener:wait()
        stop()
    end)
end

local function fail(text)
    io.stderr:write("thucchien emulator: ", text, "\n")
    return 1
end

---Serves until a signal, or the end of standard input if that was asked for.
---@param options thucchien.emulator.options
---@return integer exit_code  # 0 when it was stopped, 1 when it could not start
function emulator.run(options)
    local absent = emulator.missing()
    if absent then return fail(absent) end
    local cqueues = require "cqueues"
    local function pause() cqueues.sleep(0) end
    local pictures = require "thucchien.emulator.pictures"
    local source, problem = pictures.new(options.images, pause)
    if not source then return fail(problem) end
    local running, queue = true, cqueues.new()
    local function stop() running = false end
    add_routes()
    watch_signals(queue, stop)
    local host, port = options.host or "127.0.0.1", options.port or 0
    local state = {
        pictures = source, urls = {}, failed = {}, asked = {}, pause = pause,
        account = require("thucchien.emulator.account").new(options),
    }
    local server
    server, problem = require("thucchien.emulator.http").listen(queue, host, port, function(connection, request)
        return serve(connection, request, state, options)
    end)
    if not server then return fail(("cannot listen on %s:%d: %s"):format(host, port, problem)) end
    local _, address
    _, address, port = server:localname()
    if address:find(":", 1, true) then address = "[" .. address .. "]" end
    print_line(("listening on http://%s:%d"):format(address, port))
    if options.stop_on_eof then watch_input(queue, stop) end
    while running do
        local ok, err = queue:step()
        if not ok then io.stderr:write("emulator: ", tostring(err), "\n") end
    end
    server:close()
    return 0
end

return emulator
