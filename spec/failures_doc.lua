-- Prints doc/failures.md: what becomes of everything that can go wrong, made to happen on real servers here.
--
--     lua failures_doc.lua > doc/failures.md
--
-- The environment must name no proxy. Required as a module, it gives the sections instead, and runs nothing yet.

local lfs = require "lfs"
local system = require "system"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local emulators = require "spec.support.emulator"
local mirrors = require "spec.support.mirror"
local nginx = require "spec.support.nginx"
local process = require "spec.support.process"
local proxies = require "spec.support.proxy"

local doc = {}

local KEY = "sk-failures-0123456789abcdef"
local PICTURE = '{"data":[{"b64_json":"QUJD"}]}'
local HALF = "\137PNG\r\n\26\n\0\0\0\rIHDR\0\0\0\2\0\0\0\3\8\2\0\0\0"
local SECONDS = 60 -- for all of it to end

-- Takes connections and never says a word.
local SILENT = [[
    local socket = require "cqueues.socket"
    local listener = socket.listen { host = "127.0.0.1", port = 0 }
    listener:listen(5)
    print("listening on https://127.0.0.1:" .. select(3, listener:localname()))
    io.stdout:flush()
    io.read "*a"
]]

local HEADERS = {}
for i = 1, 400 do
    HEADERS[i] = "x-" .. i .. ": " .. ("y"):rep(1000)
end

-- ---- the cases --------------------------------------------------------------------------------------------------

-- A case: what happened, and how to make it happen. `at` is a server (or `options` say all), `params` are more than
-- a prompt, `answer` is what the mirror is asked for; `then_do` is a method of the request or the client, called once the server has the request, or at once;
-- `run` is all there is to do instead, and gives the error.

local function refused(what, params)
    return { what = what, at = "mirror", params = params }
end

local function emulated(model, what, options)
    return { what = what, at = "emulator", params = { model = "emulate/" .. model, size = "64x64" }, options = options }
end

local function emulated_via(via, model, what)
    return { what = what, at = "emulator", params = { model = "emulate/" .. model, via = via } }
end

local function answered(what, answer, more)
    local case = { what = what, at = "mirror", answer = answer }
    for name, value in pairs(more or {}) do
        case[name] = value
    end
    return case
end

-- In a process of its own, for its environment.
local function without_key()
    local lua = jit and "luajit" or "lua" .. _VERSION:match "%d+%.%d+"
    local pipe = assert(io.popen(("env -u THUCCHIEN_API_KEY -u THUCCHIEN_BASE_URL %s -e '%s' 2>&1"):format(lua, [[
        local _, err = require("thucchien").generate "x"
        print(err.kind)
        print(err)
    ]])))
    local printed = pipe:read "*a"
    pipe:close()
    local kind, line = printed:match "^([^\n]*)\n([^\n]*)"
    return setmetatable({ kind = kind }, { __tostring = function()
        return line or printed
    end })
end

local function with_new(options)
    return function()
        return select(2, thucchien.new(options))
    end
end

local sections = {
    {
        "Before anything is sent",
        { what = "There is no key", run = without_key },
        { what = "The key is empty", run = with_new { api_key = "" } },
        { what = "The key has a line break", run = with_new { api_key = "sk-x\ny" } },
        { what = "`base_url` is no URL", run = with_new { api_key = KEY, base_url = "my gateway" } },
        { what = "`base_url` is plain http to another machine", run = with_new { api_key = KEY, base_url = "http://example.com" } },
        { what = "`base_url` is no web address", run = with_new { api_key = KEY, base_url = "file:///etc/passwd" } },
        { what = "An option does not exist", run = with_new { api_key = KEY, time_out = 5 } },
        { what = "An option is out of its range", run = with_new { api_key = KEY, timeout = -1 } },
        refused("The prompt is blank", { prompt = " " }),
        refused("The prompt is not UTF-8", { prompt = "\255" }),
        refused("A field does not exist", { aspectratio = "16:9" }),
        refused("`n` is too many for the model", { n = 5 }),
        refused("The model has no such size", { size = "2048x2048" }),
        refused("A reference picture is cut short", { model = "gemini-2.5-flash-image", images = { HALF } }),
        refused("A header has a line break", { extra_headers = { ["X-A"] = "b\r\nX-C: d" } }),
        refused("`save` and `sink` are both given", { save = "x", sink = print }),
        { what = "The client is closed", at = "mirror", closed = true },
    },
    {
        "No connection",
        { what = "Nobody listens there", options = { base_url = "http://127.0.0.1:1" } },
        { what = "The name does not exist", options = { base_url = "https://no-such-host.invalid" } },
        { what = "The other side takes the connection and says nothing, until `connect_timeout`",
            at = "silent", options = { connect_timeout = 0.2 } },
        { what = "Nobody listens where the proxy should be",
            options = { base_url = "https://example.invalid", proxy = "http://127.0.0.1:1" } },
        { what = "The proxy wants a password", at = "good", proxied = true },
        { what = "The proxy's password is in `proxy`, and it cannot reach the gateway", proxied = "joe:hunter2@",
            options = { base_url = "https://127.0.0.1:1" } },
    },
    {
        "TLS",
        { what = "The certificate has expired", at = "expired" },
        { what = "The certificate is for another name", at = "wrongname" },
        { what = "The certificate is signed by itself", at = "selfsigned" },
        { what = "The certificate is signed by an authority that is not trusted", at = "unknown" },
        { what = "The certificate is not valid yet", at = "early" },
        { what = "The server speaks TLS 1.0 only", at = "old" },
        { what = "The server speaks no TLS", at = "plain" },
        { what = "`ca_file` does not exist", at = "good", options = { ca_file = "/nowhere.pem" } },
    },
    {
        "The gateway refuses",
        emulated("400", "The service behind it does not take an argument"),
        emulated("401", "The key is unknown"),
        emulated("expired-key", "The key has expired"),
        emulated("blocked-key", "The key is blocked"),
        emulated("403", "The key may not do this"),
        emulated("detail-object", "403, with the reason in an object"),
        emulated("model-access", "The team may not use the model"),
        emulated("budget", "The key's budget is spent"),
        emulated("budget-429", "The user's budget is spent (429)"),
        emulated("budget-422", "The key's budget is spent (422)"),
        emulated("402", "The account behind the gateway has no credits (402)"),
        emulated("no-quota", "The account behind the gateway is empty (429)"),
        emulated("no-such-thing", "The model does not exist"),
        emulated("404", "The model is not there any more"),
        { what = "The path is wrong", at = "emulator", path = "/v2/openai" },
        answered("The route takes no POST", { status = 405, body = '{"detail":"Method Not Allowed"}' }),
        answered("Google's refusal, inside the gateway's (Gemini)", { status = 400, body = '{"error":{"message":"{\\n  \\"error\\": '
            .. '{\\"code\\": 400, \\"message\\": \\"Invalid value at \'contents\'\\", \\"status\\": \\"INVALID_ARGUMENT\\"}}",'
            .. '"type":"None","param":"None","code":"400"}}' }, { params = { via = "gemini" } }),
        emulated("listed", "Google's refusal, in a list"),
        emulated("errors", "400, with a list of errors"),
        emulated("413", "The request is too large for a web server on the way"),
        emulated("422", "A field is missing"),
        emulated("detail-list", "422, with a list of two reasons"),
        emulated("refused", "The prompt is against the rules"),
        emulated("policy-code", "The same, in a code"),
        emulated("filter-result", "The same, in Azure's inner error"),
        emulated("sentence", "The picture is against the rules, in a sentence"),
        emulated("filtered", "Every picture was filtered out"),
        emulated("traceback", "The same, with a Python traceback"),
        emulated("429", "Too many requests; no word on how long to wait"),
        emulated("rate-limit/90", "Too many requests; the limit resets in 90 seconds"),
        emulated("cooldown/90", "Try again in 90 seconds"),
        emulated("try-again/1m30s", "Please try again in 1m30s"),
        emulated("retry-delay/90", "Google's quota of a minute, and how long to wait"),
        emulated("parallel", "Too many requests at a time"),
        emulated("quota", "The gateway's own quota is used up"),
        answered("429 with `retry-after: 61`", { status = 429, body = "", headers = { "retry-after: 61" } }),
        emulated("redirect", "It points to another host"),
    },
    {
        "The gateway fails",
        emulated("408", "The service behind it took too long"),
        emulated("500", "The service behind it failed"),
        emulated("plain-500", "500 and three words of plain text"),
        emulated("502", "A proxy before it cannot reach it (HTML)"),
        emulated("503", "The service behind it is overloaded"),
        emulated("504", "A proxy before it got no answer in time (HTML)"),
        emulated("overloaded", "Google's model is overloaded (500)"),
        emulated("billed-answer", "A picture that it could not read (429)"),
        emulated("billed-picture", "The picture, with the status and the words of a rate limit (429)"),
        emulated("billed-500", "A failure with \"429\" in its request ID (429)"),
        answered("500 and nothing else", { status = 500, body = "" }),
        answered("Its own key for the service behind it is wrong (401)", { status = 401,
            body = '{"error":{"message":"litellm.AuthenticationError: Vertex_aiException - bad","type":null,"code":"401"}}' }),
        emulated_via("gemini", "upstream-401", "The same, in Google's words (Gemini)"),
        answered("Its database is gone (400)", { status = 400,
            body = '{"error":{"message":"No connected db.","type":"no_db_connection","code":"400"}}' }),
        answered("500 first, then a refusal, with `retry = \"all\"`", { answers = {
            { status = 500, body = "oops", headers = { "retry-after-ms: 1" } },
            { status = 400, body = '{"error":{"message":"no","code":"400"}}' } } }, { params = { retry = "all" } }),
    },
    {
        "The answer is lost or late",
        emulated("reset", "The connection closes without an answer"),
        answered("The connection is reset without an answer", { pieces = {}, reset = true }),
        answered("A kept connection dies under a request", { body = PICTURE, drop = true }, { twice = true }),
        answered("The connection closes in the middle of the picture", { body = PICTURE:sub(1, 25), length = 99, close = true }),
        answered("The connection closes in the middle of a chunk", {
            pieces = { "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{" } }),
        answered("Only 103 Early Hints", { pieces = { "HTTP/1.1 103 Early Hints\r\n\r\n" } }),
        emulated("slow/60", "No answer until `timeout`", { timeout = 1.5 }),
        answered("An answer that drips, until `timeout`", { pieces = { "HTTP/1.1 200 OK\r\n\r\n{", (" "):rep(9), " ", " ", " " },
            pause = 1 }, { options = { timeout = 1.5 } }),
        answered("A refusal that does not end, until `timeout`", {
            pieces = { "HTTP/1.1 400 No\r\ncontent-length: 99\r\n\r\n{", "" }, pause = 60 }, { options = { timeout = 1.5 } }),
    },
    {
        "The answer is no picture",
        emulated("empty", "200 with no picture"),
        emulated("null-image", "200 with a picture that is null"),
        answered("200 with an address in place of a picture", {
            body = '{"data":[{"b64_json":null,"url":"http://example.com/a.png"}]}' }),
        answered("200 with an error in it", { body = '{"error":{"message":"Budget has been exceeded!","type":"budget_exceeded"}}' }),
        emulated("200-402", "200 with an error whose code is 402"),
        emulated("200-429", "200 with an error whose code is 429"),
        emulated("200-502", "200 with an error whose code is 502"),
        emulated_via("chat", "choice-error", "200 with an error in a choice (chat)"),
        emulated("code-message", "200 with a code, a message and no data"),
        emulated("no-success", "200 with `success` that is false"),
        emulated("unmoderated", "200 with a picture that moderation holds back"),
        emulated("html", "200 and an HTML page"),
        emulated("garbage", "200 and bytes that are no JSON"),
        answered("200 and nothing", { body = "" }),
        answered("200 and a JSON string", { body = '"hello"' }),
        answered("JSON that stops in the middle", { body = PICTURE:sub(1, 25) }),
        answered("A good answer and more text behind it", { body = PICTURE .. "x" }),
        emulated("not-base64", "A picture that is not base64"),
        emulated("cut", "A picture's file stops before its end"),
        emulated_via("chat", "length", "The model had no room for the picture's end (chat)"),
        emulated_via("gemini", "draft-only", "A draft, and no picture (Gemini)"),
        answered("A picture's base64 is cut short", { body = '{"data":[{"b64_json":"QUJDR"}]}' }),
        answered("A picture's base64 is that of words", { body = '{"data":[{"b64_json":"bm90IGF2YWlsYWJsZQ=="}]}' }),
        answered("A number in place of a picture", { body = '{"data":[{"b64_json":1}]}' }),
        answered("Gzip that is broken", { body = "garbage", headers = { "content-encoding: gzip" } }),
        answered("No HTTP", { pieces = { "hello\r\n\r\n" } }),
    },
    {
        "The answer is too much",
        answered("More than `max_response_bytes`, and it says so", { body = ("x"):rep(2000) },
            { options = { max_response_bytes = 1000 } }),
        answered("More than `max_response_bytes`, in chunks", { chunks = { '{"data":[{"b64_json":"', ("QUJD"):rep(1000) } },
            { options = { max_response_bytes = 1000 } }),
        answered("A gzip bomb", { gzip = true, body = (" "):rep(1000000) }, { options = { max_response_bytes = 1000 } }),
        answered("400 KiB of headers", { headers = HEADERS, body = PICTURE }),
        answered("65 pictures", { body = '{"data":[' .. ('{"b64_json":"QUJD"},'):rep(64) .. '{"b64_json":"QUJD"}]}' }),
        answered("9,000 values beside the pictures", { body = '{"data":[' .. ("null,"):rep(9000) .. "null]}" }),
        answered("A million brackets", { body = ("["):rep(1000000) }),
    },
    {
        "Your program",
        answered("It cancels a request in the queue", { body = PICTURE }, { then_do = "cancel" }),
        answered("It cancels a request under way", { body = PICTURE, hold = 60 }, { once_seen = true, then_do = "cancel" }),
        answered("It closes the client", { body = PICTURE, hold = 60 }, { once_seen = true, then_do = "close" }),
        answered("Its `on_image` raises", { body = PICTURE }, { params = { on_image = error } }),
        answered("Its `sink` refuses", { body = PICTURE }, { params = { sink = function()
            return nil, "the disk is full"
        end } }),
        answered("`request:wait(0.05)` is not long enough", { body = PICTURE, hold = 60 }, { wait = 0.05 }),
        answered("The directory of `save` does not exist", { body = PICTURE }, { params = { save = "/nowhere/picture" } }),
        answered("A file takes the name of `save` meanwhile, with `if_exists = \"error\"`", { body = PICTURE }, { taken_meanwhile = true }),
        answered("The path of `save` is a directory", { body = PICTURE }, { save_to_directory = true }),
        answered("The path of `image:save` is a directory", { body = PICTURE }, { save_image_to_directory = true }),
    },
}

-- ---- making them happen -----------------------------------------------------------------------------------------

local function start_servers()
    local old = "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;"
    local servers = {
        mirror = mirrors.start(), emulator = emulators.start(), proxy = proxies.start { user = "joe", password = "hunter2" },
        silent = process.start("the silent server", { "luajit", "-e", SILENT }),
        nginx = nginx.start {
            good = { certificate = "good" }, expired = { certificate = "expired" }, early = { certificate = "early" },
            wrongname = { certificate = "wrongname" }, selfsigned = { certificate = "selfsigned" },
            unknown = { certificate = "unknown" }, old = { certificate = "good", lines = old }, plain = {},
        },
        directory = command.new_directory(),
    }
    assert(lfs.mkdir(servers.directory .. "/album.png"))
    return servers
end

local function stop_servers(servers)
    for _, name in ipairs { "mirror", "emulator", "proxy", "silent", "nginx" } do
        servers[name]:stop()
    end
    command.remove_directory(servers.directory)
end

local function url_of(case, servers)
    if servers.nginx.urls[case.at] then
        return (servers.nginx.urls[case.at]:gsub("^http:", "https:"))
    end
    return servers[case.at].url .. (case.path or "")
end

local function new_client(case, servers)
    local options = { api_key = KEY, base_url = case.at and url_of(case, servers), ca_file = servers.nginx.directory .. "/ca.pem" }
    if case.proxied then
        options.proxy = "http://" .. (case.proxied == true and "" or case.proxied) .. servers.proxy.host
    end
    for name, value in pairs(case.options or {}) do
        options[name] = value
    end
    return assert(thucchien.new(options))
end

local function params_of(case, number, servers)
    local params = { prompt = "a lighthouse" }
    for name, value in pairs(case.params or {}) do
        params[name] = value
    end
    if case.answer then
        case.id = "case-" .. number
        params.extra_body = { mirror = { id = case.id, answers = case.answer.answers or { case.answer } } }
    end
    if case.save_to_directory then
        params.save = servers.directory .. "/album.png"
    end
    return params
end

-- Submits a case's request; its end goes into `case.err`.
local function begin(case, number, servers)
    if case.run then
        case.err = case.run()
        return
    end
    local client = new_client(case, servers)
    if case.closed then
        client:close()
    end
    local params = params_of(case, number, servers)
    if case.taken_meanwhile then
        params.save, params.if_exists = servers.directory .. "/new.png", "error"
    end
    if case.twice then
        assert(client:generate(params))
    end
    local request, refusal = client:submit(params, function(response, err)
        if case.save_image_to_directory then
            err = select(2, response.data[1]:save(servers.directory .. "/album.png"))
        end
        if not case.err then
            case.err = err or "no error"
        end
    end)
    if case.taken_meanwhile then
        assert(io.open(servers.directory .. "/new.png", "w")):close()
    end
    case.err = case.err or refusal
    case.client, case.request = client, request
    if request and case.wait then
        case.err = select(2, request:wait(case.wait))
    end
end

-- Moves a case on, and says whether it has ended.
local function go_on(case, servers)
    if not case.request or case.err then
        return true
    end
    if case.then_do and not case.then_done and (not case.once_seen or mirrors.count(servers.mirror, case.id) > 0) then
        local object = case.then_do == "cancel" and case.request or case.client
        object[case.then_do](object)
        case.then_done = true
    end
    pcall(case.client.poll, case.client)
    return case.err ~= nil
end

local function each(call)
    local number = 0
    for _, section in ipairs(sections) do
        for i = 2, #section do
            number = number + 1
            call(section[i], number)
        end
    end
end

-- Paths, ports and moments are others every time.
local function normalise(line, servers)
    line = line:gsub(servers.directory:gsub("%p", "%%%0"), "/pictures"):gsub(servers.nginx.directory:gsub("%p", "%%%0"), "/certificates")
    line = line:gsub("127%.0%.0%.1:%d+", "127.0.0.1:8090"):gsub("127%.0%.0%.1 port %d%d+", "127.0.0.1 port 8090")
    line = line:gsub("after %d+ ms", "after 0 ms"):gsub("in %d+ milliseconds", "in 200 milliseconds"):gsub("%d+ milliseconds", "200 milliseconds")
    line = line:gsub("%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d", "2025-10-07 03:34:49"):gsub("%d%d%d%d%-%d%d%-%d%dT[%d:%.]+", "2025-10-07T03:34:49")
    return (line:gsub("retry after 8[5-9] s", "retry after 90 s"):gsub("retry after 9[01] s", "retry after 90 s"))
end

---Makes every case happen and gives the sections: a title, and rows of { what, kind, attempts, billed, line }.
---@return table
function doc.collect()
    local servers = start_servers()
    local ok, problem = pcall(each, function(case, number)
        begin(case, number, servers)
    end)
    local deadline, ready = system.monotime() + SECONDS, not ok
    while not ready and system.monotime() < deadline do
        ready = true
        each(function(case)
            ready = go_on(case, servers) and ready
        end)
        system.sleep(0.002)
    end
    local result = {}
    for s, section in ipairs(ok and sections or {}) do
        result[s] = { title = section[1] }
        for i = 2, #section do
            local case = section[i]
            local err = case.err or "nothing came of it"
            local known = type(err) == "table" and err or {}
            local attempts = known.attempts or 0
            local seen = case.id and not case.twice and mirrors.count(servers.mirror, case.id)
            if seen and attempts > 0 and seen ~= attempts then
                err = ("%d attempts, but the server saw %d: %s"):format(attempts, seen, tostring(err))
            end
            result[s][i - 1] = { case.what, tostring(known.kind), tostring(attempts),
                known.maybe_billed and "yes" or "no", normalise(tostring(err), servers) }
        end
    end
    each(function(case)
        if case.client then
            case.client:close()
        end
        case.client, case.request, case.err = nil, nil, nil
    end)
    stop_servers(servers)
    assert(ok, problem)
    return result
end

local INTRODUCTION = [[
# What can go wrong, and what it looks like

Every row happened while this page was written: `make failures` starts the emulator and other servers on this machine,
has them do what the first column says, and notes what `client:generate` gave with the default `retry = "safe"`. The
line is `tostring(err)`; ports, paths and moments in it are examples. *Attempts* is how often the request was sent, and
*billed?* is `err.maybe_billed`: whether the picture may have to be paid for.

Words of libcurl's and its TLS library's differ from version to version. These are from
%s.
]]

---@param line string
---@return string
local function quoted(line)
    local fence = line:find("`", 1, true) and "``" or "`"
    return fence .. line:gsub("|", "\\|") .. fence
end

---The page.
---@param result table  # what `collect` gave
---@return string
function doc.page(result)
    local out = { (INTRODUCTION:format(thucchien.libcurl)) }
    for _, section in ipairs(result) do
        out[#out + 1] = ("\n## %s\n\n| what happened | `err.kind` | attempts | billed? | the line |\n| --- | --- | --- | --- | --- |\n")
            :format(section.title)
        for _, row in ipairs(section) do
            out[#out + 1] = ("| %s | `%s` | %s | %s | %s |\n"):format(row[1], row[2], row[3], row[4], quoted(row[5]))
        end
    end
    return table.concat(out)
end

---What keeps it from running here, or nil.
---@return string?
function doc.missing()
    return nginx.missing() or proxies.missing()
end

if ... ~= "spec.failures_doc" then
    io.write(doc.page(doc.collect()))
end

return doc
