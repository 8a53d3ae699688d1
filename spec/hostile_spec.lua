-- Servers and callers that mean harm, or only have bad luck: what they do ends in an error that has a name, within
-- its limits, and the next request on the same client works.

local lfs = require "lfs"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local support = require "spec.support.requests"

local KEY, PICTURE = support.KEY, support.PICTURE
local OK = "HTTP/1.1 200 OK\r\n"
local JSON = OK .. "content-type: application/json\r\n"

local mirror, client

local ids = 0
local function new_id()
    ids = ids + 1
    return "hostile" .. ids
end

local function new(options)
    options.api_key = options.api_key or KEY
    options.base_url = options.base_url or mirror.url
    return assert(thucchien.new(options))
end

local function ask(answer, params, by)
    params = params or { retry = "none", timeout = 20 }
    params.prompt = params.prompt or "x"
    params.extra_body = { mirror = answer }
    return (by or client):generate(params)
end

local function works(by)
    local response, err = ask({ body = PICTURE }, nil, by)
    assert(response, tostring(err))
    assert.equal("ABC", response.data[1].bytes)
end

fixtures.client(function(...) mirror, client = ... end)

describe("an answer that is cut at every byte", function()
    local framings = {
        length = JSON .. "content-length: " .. #PICTURE .. "\r\n\r\n" .. PICTURE,
        chunks = JSON .. "transfer-encoding: chunked\r\n\r\n" .. ("%x"):format(#PICTURE) .. "\r\n" .. PICTURE .. "\r\n0\r\n\r\n",
        close = "HTTP/1.0 200 OK\r\n\r\n" .. PICTURE,
    }
    for framing, text in pairs(framings) do
        for _, reset in ipairs { false, true } do
            it("has a name: " .. framing .. (reset and ", reset" or ", closed"), function()
                local first_line = text:find "\r\n"
                for offset = 0, #text - 1 do
                    local response, err = ask { pieces = { text:sub(1, offset) }, reset = reset }
                    if response then -- nothing was missing but line ends
                        assert.equal("ABC", response.data[1].bytes)
                        assert.is_true(offset >= #text - 7, "a picture from " .. offset)
                    else
                        local where = ("byte %d: %s"):format(offset, tostring(err))
                        assert.is_true(err.kind == "bad_response" or err.kind == "connection", where)
                        assert.is_true(offset < first_line + 1 or err.kind == "bad_response", where)
                        assert.is_true(err.maybe_billed, where)
                        assert.equal(1, err.attempts)
                    end
                    if offset % 16 == 0 then
                        works()
                    end
                end
                works()
            end)
        end
    end
end)

describe("an answer", function()
    local function pieces(...)
        return { pieces = { ... } }
    end

    local function many(text, count)
        return text:rep(count)
    end

    local early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    local whole = JSON .. "content-length: " .. #PICTURE .. "\r\n\r\n" .. PICTURE
    local image = '{"b64_json":"QUJD"},'

    -- what it is, the answer, the kind of the error or nil for a picture, the message's pattern, the
    -- timeout
    local cases = {
        { "shorter than it says", pieces(JSON .. "content-length: 1000\r\n\r\n" .. PICTURE), "bad_response", "broke off" },
        { "longer than it says", pieces(JSON .. "content-length: 10\r\n\r\n" .. PICTURE), "bad_response", "ends too early" },
        { "longer than it says, whole all the same", pieces(JSON .. ("content-length: %d\r\n\r\n"):format(#PICTURE) .. PICTURE .. "HTTP/1.1 200 OK\r\n\r\n"), nil },
        { "without a length that is a number", pieces(JSON .. "content-length: many\r\n\r\n" .. PICTURE), "bad_response" },
        { "of a length below nothing", pieces(JSON .. "content-length: -1\r\n\r\n" .. PICTURE), "bad_response" },
        { "of a length beyond all numbers", pieces(JSON .. "content-length: 99999999999999999999999\r\n\r\n" .. PICTURE), "response_too_large" },
        { "of a length beyond the limit", pieces(JSON .. "content-length: 9223372036854775807\r\n\r\n" .. PICTURE), "response_too_large" },
        { "of two lengths", pieces(JSON .. ("content-length: %d\r\ncontent-length: 5\r\n\r\n"):format(#PICTURE) .. PICTURE), "bad_response" },
        { "of the same length twice", pieces(JSON .. ("content-length: %d\r\n"):format(#PICTURE):rep(2) .. "\r\n" .. PICTURE), nil },
        { "of both framings", pieces(JSON .. "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n1e\r\n" .. PICTURE .. "\r\n0\r\n\r\n"), nil },
        { "with chunks that break off", pieces(JSON .. "transfer-encoding: chunked\r\n\r\n1e\r\n" .. PICTURE .. "\r\n"), "bad_response", "broke off" },
        { "with a chunk that breaks off", pieces(JSON .. "transfer-encoding: chunked\r\n\r\nff\r\n" .. PICTURE), "bad_response", "broke off" },
        { "with a chunk of no size", pieces(JSON .. "transfer-encoding: chunked\r\n\r\nzz\r\n" .. PICTURE), "bad_response", "broke off" },
        { "with a chunk below nothing", pieces(JSON .. "transfer-encoding: chunked\r\n\r\n-1\r\n" .. PICTURE), "bad_response", "broke off" },
        { "with a chunk of a huge size", pieces(JSON .. "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n" .. PICTURE), "bad_response", "broke off" },
        { "with a chunk of the largest size", pieces(JSON .. "transfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\n" .. PICTURE), "bad_response", "broke off" },
        { "with chunks that have extensions and trailers", pieces(JSON .. "transfer-encoding: chunked\r\n\r\n1e;a=b\r\n" .. PICTURE .. "\r\n0\r\nx-a: b\r\n\r\n"), nil },
        { "in an unknown encoding", pieces(JSON .. "content-encoding: zork\r\n\r\n" .. PICTURE), "bad_response" },
        { "that is no gzip", pieces(JSON .. "content-encoding: gzip\r\n\r\n" .. PICTURE), "bad_response" },
        { "that is half a gzip", pieces(JSON .. "content-encoding: gzip\r\ncontent-length: 99\r\n\r\n\31"), "bad_response" },
        { "behind 100 Continue", pieces("HTTP/1.1 100 Continue\r\n\r\n" .. whole), nil },
        { "behind 103 Early Hints", pieces(early, whole), nil },
        { "behind a hundred of them", pieces(many(early, 100), whole), nil },
        { "that is nothing but 103", { pieces = { "" }, endless = early }, "response_too_large", "headers" },
        { "that changes the protocol", pieces("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n" .. PICTURE), "bad_response", "protocol", nil, "an answer with status 101 counts as one without an image" },
        { "without content", pieces("HTTP/1.1 204 No Content\r\n\r\n"), "bad_response", "empty" },
        { "that is a part", pieces("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-29/1000\r\n\r\n" .. PICTURE), nil },
        { "that says nothing is new", pieces "HTTP/1.1 304 Not Modified\r\n\r\n", "not_found" },
        { "without a head", pieces "hello\r\n", "bad_response" },
        { "of another protocol", pieces("SSH-2.0-OpenSSH_9.2\r\n"), "bad_response" },
        { "like a radio station's", pieces("ICY 200 OK\r\n\r\n" .. PICTURE), "bad_response" },
        { "of a version to come", pieces("HTTP/9.9 200 OK\r\n\r\n" .. PICTURE), "bad_response" },
        { "with a status of many digits", pieces("HTTP/1.1 20000 OK\r\n\r\n" .. PICTURE), "bad_response" },
        { "with a status of none", pieces("HTTP/1.1 OK\r\n\r\n" .. PICTURE), "bad_response" },
        { "with status 0", pieces("HTTP/1.1 000 OK\r\n\r\n" .. PICTURE), "bad_response" },
        { "with status 999", pieces("HTTP/1.1 999 OK\r\n\r\n" .. PICTURE), "server_error" },
        { "with a NUL in the first line", pieces("HTTP/1.1 200 O\0K\r\n\r\n" .. PICTURE), "bad_response" },
        { "with a NUL in a header", pieces(JSON .. "x-a: b\0c\r\n\r\n" .. PICTURE), "bad_response" },
        { "with a NUL in the body", pieces(JSON .. "\r\n\0" .. PICTURE), "bad_response", "not JSON" },
        { "with a NUL behind the body", pieces(JSON .. "\r\n" .. PICTURE .. "\0"), "bad_response", "behind its end" },
        { "with a NUL in a string", pieces(JSON .. '\r\n{"a":"b\0c","data":[]}'), "bad_response" },
        { "with a NUL in a picture", pieces(JSON .. '\r\n{"data":[{"b64_json":"QU\0D"}]}'), "bad_response", "not JSON" },
        { "with a header without a name", pieces(JSON .. ": x\r\n\r\n" .. PICTURE), nil },
        { "with a header without a colon", pieces(JSON .. "hello\r\n\r\n" .. PICTURE), "bad_response" },
        { "with a header that is folded", pieces(JSON .. "x-a: b\r\n c\r\n\r\n" .. PICTURE), nil },
        { "with a header of 300 KiB", pieces(JSON .. "x-a: " .. many("y", 300 * 1024), "\r\n\r\n" .. PICTURE), "response_too_large", "header" },
        { "with a header that has no end", { pieces = { JSON .. "x-a: " }, endless = "y" }, "response_too_large", "header" },
        { "with headers that have no end", { pieces = { JSON }, endless = "x-a: b\r\n" }, "response_too_large", "headers" },
        { "with a first line that has no end", { pieces = { "HTTP/1.1 200 " }, endless = "y" }, "response_too_large", "header" },
        { "with trailers that have no end", { pieces = { JSON .. "transfer-encoding: chunked\r\n\r\n1e\r\n" .. PICTURE .. "\r\n0\r\n" }, endless = "x-a: b\r\n" }, "response_too_large" },
        { "with a chunk extension that has no end", { pieces = { JSON .. "transfer-encoding: chunked\r\n\r\n1e;" }, endless = "y" }, "timeout", "seconds", 0.5 },
        { "with a body of blanks that has no end", { pieces = { JSON .. "\r\n" }, endless = " " }, "response_too_large", "max_response_bytes" },
        { "with a picture that has no end", { pieces = { JSON .. '\r\n{"data":[{"b64_json":"' }, endless = "QUJD" }, "response_too_large", "max_response_bytes" },
        { "with a string that has no end", { pieces = { JSON .. '\r\n{"a":"' }, endless = "y" }, "response_too_large", "max_response_bytes" },
        { "with keys that have no end", { pieces = { JSON .. '\r\n{' }, endless = '"a":1,' }, "response_too_large", "8192 values" },
        { "with a number that has no end", { pieces = { JSON .. '\r\n{"a":1' }, endless = "1" }, "response_too_large", "1 MiB" },
        { "with brackets that have no end", { pieces = { JSON .. "\r\n" }, endless = "[" }, "bad_response", "deeper" },
        { "with a refusal that has no end", { pieces = { "HTTP/1.1 400 No\r\n\r\n" }, endless = "no " }, "invalid_request" },
        { "with a million brackets in a picture's place", { body = '{"data":' .. many("[", 1000000) }, "bad_response", "deeper" },
        { "with a million brackets, compressed", { body = "[", times = 1000000, gzip = true }, "bad_response", "deeper" },
        { "with ten thousand pictures", { body = '{"data":[' .. many(image, 9999) .. image:sub(1, -2) .. "]}" }, "response_too_large", "more than 64 images" },
        { "with ten thousand places for one", { body = '{"data":[' .. many('{"b64_json":null},', 9999) .. "{}]}" }, "response_too_large", "8192 values" },
        { "with two thousand places for one", { body = '{"data":[' .. many('{"b64_json":null},', 1999) .. "{}]}" }, "no_image" },
        { "with a bomb of blanks", { body = " ", times = 32 * 1024 * 1024, gzip = true }, "response_too_large", "compressed more than 16 to 1" },
        { "with a bomb for a picture", { before = '{"data":[{"b64_json":"', body = "QUJD", times = 8 * 1024 * 1024, gzip = true }, "response_too_large", "compressed more than 16 to 1" },
        { "with a bomb for a string", { before = '{"a":"', body = "y", times = 32 * 1024 * 1024, gzip = true }, "response_too_large", "compressed more than 16 to 1" },
    }
    for _, case in ipairs(cases) do
        it(case[1] .. (case[3] and " is an error" or " is one all the same"), function()
            local own = new { max_response_bytes = 8 * 1024 * 1024, retry = "none", timeout = 20 }
            local id = new_id()
            case[2].id = id
            local response, err = ask(case[2], { timeout = case[5] }, own)
            assert.equal(case[3], err and err.kind, tostring(err))
            if case[3] then
                assert.is_nil(response)
                assert.matches(case[4] or "", err.message)
                assert.equal(1, err.attempts)
                assert.equal(case[3] ~= "invalid_request" and case[3] ~= "not_found", err.maybe_billed)
                assert.is_nil(tostring(err):find "[%z\1-\31]")
            else
                assert.equal("ABC", response.data[1].bytes)
            end
            if case[2].pieces then -- whose connection ends behind the answer: not just when the next request leaves
                mirror:await("ended " .. id .. "\n")
            end
            works(own)
            own:close()
        end)
    end

    it("that only drips ends with the time", function()
        local head = JSON .. "content-length: 100000\r\n\r\n"
        for _, begin in ipairs { "HTTP/1.1 200 O", JSON .. "x-a: ", head, head .. '{"a":"' } do
            local drops = { begin }
            for i = 2, 1000 do
                drops[i] = "1"
            end
            local _, err = ask({ pieces = drops, pause = 0.05 }, { timeout = 0.5 })
            assert.equal("timeout", err.kind)
            assert.is_true(err.maybe_billed)
        end
        works()
    end)

    -- libcurl tells nobody that a compressed body ends early. The document in it may be whole all the same; whether it
    -- is, and whether its pictures are, is looked at.
    it("whose compressed body is cut is one if the document is whole", function()
        local body = '{"data":[{"b64_json":"QUJD"}]}'
        for lacking = 1, 8 do -- the sum and the size at gzip's end
            local response = assert(ask { gzip = true, lacking = lacking, body = body, headers = { "connection: close" } })
            assert.equal("ABC", response.data[1].bytes)
        end
        local noise = {}
        for i = 1, 3000 do
            noise[i] = ("%04x"):format(i * 7919 % 65536)
        end
        local _, err = ask { gzip = true, lacking = 2000, body = '{"x":"' .. table.concat(noise) .. '","data":[{"b64_json":"QUJD"}]}', headers = { "connection: close" } }
        assert.equal("bad_response", err.kind)
        assert.is_true(err.maybe_billed)
    end)

    -- What libcurl unpacks while a transfer is paused it keeps; the request ends before that is much.
    it("that is a bomb is told to its request, not raised from poll", function()
        local own = new { retry = "none" }
        for _, answer in ipairs {
            { before = '{"data":[{"b64_json":"', body = "QUJD", times = 32 * 1024 * 1024, gzip = true },
            { before = '{"data":[{"b64_json":"iVBORw0KGgo="},"', body = "y", times = 64 * 1024 * 1024, gzip = true },
            { before = '{"a":[', body = "[],", times = 32 * 1024 * 1024, gzip = true },
        } do
            local told
            assert(own:submit({ prompt = "x", extra_body = { mirror = answer } }, function(_, err) told = err end))
            while not told do
                own:poll(0)
            end
            assert.equal("response_too_large", told.kind)
            assert.is_true(told.maybe_billed)
        end
        works()
    end)

    it("that points elsewhere is not followed", function()
        local elsewhere = mirrors.start()
        for _, status in ipairs { 301, 302, 303, 307, 308 } do
            for _, target in ipairs {
                elsewhere.url .. "/images/generations", "file:///etc/passwd", "gopher://evil.example/x", "//evil.example/",
                "/else", "https://joe:hunter2@evil.example/?token=secret", "", "\1\2", ("x"):rep(5000),
            } do
                local _, err = ask { status = status, headers = { "location: " .. target }, body = "" }
                assert.equal("not_found", err.kind)
                assert.equal(status, err.status)
                assert.is_false(err.maybe_billed)
                assert.is_nil(err.message:find "hunter2" or err.message:find "secret" or err.message:find "passwd")
                assert.is_nil(err.message:find "[%z\1-\31]")
            end
        end
        assert.is_nil(elsewhere:log():find "request")
        elsewhere:stop()
        works()
    end)

    it("that comes before all was sent is one", function()
        -- Each on a connection of its own: the server ends it without a word.
        local function ask_once(params)
            return new({ retry = "none" }):generate(params)
        end
        for _, size in ipairs { 10, 20 * 1024 * 1024 } do
            local _, err = ask_once {
                prompt = ("x"):rep(size), extra_headers = { ["X-Early"] = "413" },
            }
            assert.equal("invalid_request", err.kind)
            assert.equal(413, err.status)
            assert.is_false(err.maybe_billed)
        end
        local response, err = ask_once {
            prompt = ("x"):rep(20 * 1024 * 1024),
            extra_headers = { ["X-Early"] = "200", ["X-Early-Body"] = PICTURE },
        }
        assert(response, tostring(err))
        assert.equal("ABC", response.data[1].bytes)
        -- Half a success is none; whatever it is called, it has a name and ends.
        response, err = ask_once {
            prompt = ("x"):rep(20 * 1024 * 1024),
            extra_headers = { ["X-Early"] = "200", ["X-Early-Body"] = PICTURE:sub(1, -2) },
        }
        assert.is_nil(response)
        assert.is_true(err.kind == "connection" or err.kind == "bad_response", tostring(err))
        assert.is_true(err.maybe_billed)
        response, err = ask_once {
            prompt = ("x"):rep(20 * 1024 * 1024), extra_headers = { ["X-Early"] = "200" },
        }
        assert.is_nil(response)
        assert.is_true(err.kind == "no_image" or err.kind == "connection" or err.kind == "bad_response", tostring(err))
        assert.is_true(err.maybe_billed)
        works()
    end)
end)

describe("a connection", function()
    it("that the server ends after each answer is made anew", function()
        local own = new {}
        for _ = 1, 5 do
            local id = new_id()
            assert(ask({ body = PICTURE, headers = { "connection: close" }, close = true }, nil, own))
            assert(ask({ id = id, body = PICTURE, close = true }, nil, own)) -- without a word
            assert(mirror:await("ended " .. id .. "\n"))
        end
        own:close()
    end)

    it("that ended while nobody looked is made anew", function()
        local own = new { retry = "none" }
        for _ = 1, 3 do
            local id = new_id()
            assert(ask({ id = id, body = PICTURE, idle = 0.05 }, nil, own))
            assert(mirror:await("ended " .. id .. "\n"))
            works(own)
        end
        own:close()
    end)

    it("that ends just when the next request is sent is not taken for safe", function()
        for mode, attempts in pairs { safe = 1, none = 1, all = 1 } do
            local own = new { retry = mode, max_retries = attempts }
            local id = new_id()
            assert(ask({ id = id, body = PICTURE, drop = true }, {}, own))
            local response, err = ask({ id = id, body = PICTURE }, {}, own)
            if mode == "all" then
                assert.equal(2, assert(response).attempts)
            else
                assert.equal("connection", err.kind)
                assert.equal(1, err.attempts)
                assert.is_true(err.maybe_billed)
            end
            works(own)
            own:close()
        end
    end)
end)

describe("how often a server is asked", function()
    local directory, secure
    local found = {}

    local function litellm(message)
        return '{"error":{"message":"' .. message .. '","type":null,"param":null,"code":null}}'
    end

    -- what happens; requests in the modes safe, all and none, with one retry at most; kind; whether it may be
    -- billed; the answer, or the options of a client that gets none.
    local cases = {
        { "no such name", 2, 2, 1, "connection", false, nil, { base_url = "https://no-such-host.invalid" } },
        { "nobody there", 2, 2, 1, "connection", false, nil, { base_url = "http://127.0.0.1:1" } },
        { "a bad certificate", 1, 1, 1, "tls", false, nil, { base_url = "secure" } },
        { "closed before the answer", 1, 2, 1, "connection", true, { pieces = {} } },
        { "reset before the answer", 1, 2, 1, "connection", true, { pieces = {}, reset = true } },
        { "too late", 1, 2, 1, "timeout", true, { hold = 60, body = PICTURE }, nil, { timeout = 1 } },
        { "400", 1, 1, 1, "invalid_request", false, { status = 400 } },
        { "401", 1, 1, 1, "authentication", false, { status = 401 } },
        { "402", 1, 1, 1, "budget_exceeded", false, { status = 402 } },
        { "403", 1, 1, 1, "permission_denied", false, { status = 403 } },
        { "404", 1, 1, 1, "not_found", false, { status = 404 } },
        { "408", 1, 2, 1, "timeout", true, { status = 408 } },
        { "409", 1, 2, 1, "server_error", true, { status = 409 } },
        { "413", 1, 1, 1, "invalid_request", false, { status = 413 } },
        { "422", 1, 1, 1, "invalid_request", false, { status = 422 } },
        { "429", 2, 2, 1, "rate_limit", false, { status = 429 } },
        { "429, for a moment", 2, 2, 1, "rate_limit", false, { status = 429, headers = { "retry-after-ms: 10" } } },
        { "429, for a second", 2, 2, 1, "rate_limit", false, { status = 429, headers = { "retry-after: 1" } } },
        { "429, for long", 1, 1, 1, "rate_limit", false, { status = 429, headers = { "retry-after: 61" } } },
        { "429, and no money", 1, 1, 1, "budget_exceeded", false, { status = 429, body = litellm "Max budget limit reached." } },
        { "500", 1, 2, 1, "server_error", true, { status = 500 } },
        { "500, a refusal", 1, 1, 1, "content_policy", nil, { status = 500, body = litellm "does not contain 'predictions'" } },
        { "501", 1, 1, 1, "server_error", true, { status = 501 } },
        { "502", 1, 2, 1, "server_error", true, { status = 502 } },
        { "503", 2, 2, 1, "server_error", false, { status = 503 } },
        { "503, for long", 1, 1, 1, "server_error", false, { status = 503, headers = { "retry-after: 61" } } },
        { "504", 1, 2, 1, "server_error", true, { status = 504 } },
        { "520", 1, 1, 1, "server_error", true, { status = 520 } },
        { "302", 1, 1, 1, "not_found", false, { status = 302, headers = { "location: https://evil.example/" } } },
        { "a picture that breaks off", 1, 1, 1, "bad_response", true, { body = PICTURE:sub(1, -4), length = 99, close = true } },
        { "a body that breaks off before one", 1, 2, 1, "bad_response", true, { body = '{"data":[', length = 99, close = true } },
        { "no JSON", 1, 1, 1, "bad_response", true, { body = "hello" } },
        { "no picture", 1, 1, 1, "no_image", true, { body = '{"data":[]}' } },
        { "no HTTP", 1, 1, 1, "bad_response", true, { pieces = { "hello\r\n\r\n" } } },
    }
    local modes = { "safe", "all", "none" }

    setup(function() -- all at once: most of the time is waiting
        directory = command.new_directory()
        os.execute(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout %s/key "
            .. "-out %s/pem -subj /CN=nobody >%s/log 2>&1"):format(directory, directory, directory))
        secure = mirrors.start(directory .. "/pem", directory .. "/key")
        local all = new { max_concurrency = 200, max_retries = 1 }
        local clients, requests = { all }, {}
        for i, case in ipairs(cases) do
            for _, mode in ipairs(modes) do
                local by, options = all, case[8]
                if options then
                    local url = options.base_url
                    by = new { base_url = url == "secure" and secure.url or url, max_retries = 1 }
                    clients[#clients + 1] = by
                end
                local id, answer = ("count-%d-%s"):format(i, mode), case[7] or {}
                answer.id = id
                requests[id] = assert(by:submit {
                    prompt = "x", retry = mode, timeout = case[9] and case[9].timeout, extra_body = { mirror = answer },
                })
            end
        end
        local active
        repeat
            active = 0
            for _, by in ipairs(clients) do
                active = active + by:poll(0.005)
            end
        until active == 0
        for id, request in pairs(requests) do
            local response, err = request:wait()
            found[id] = { response = response, err = err, seen = mirrors.count(mirror, id) + mirrors.count(secure, id) }
        end
        all:close()
    end)

    teardown(function()
        secure:stop()
        command.remove_directory(directory)
    end)

    for i, case in ipairs(cases) do
        for k, mode in ipairs(modes) do
            it(("%s, %s: %d"):format(case[1], mode, case[1 + k]), function()
                local this = found[("count-%d-%s"):format(i, mode)]
                assert.is_nil(this.response)
                assert.equal(case[5], this.err.kind, tostring(this.err))
                assert.equal(case[1 + k], this.err.attempts)
                assert.equal(case[7] and case[1 + k] or 0, this.seen)
                if case[6] ~= nil then
                    assert.equal(case[6], this.err.maybe_billed)
                end
            end)
        end
    end
end)

describe("a caller", function()
    local function peak()
        local text = command.read "/proc/self/status"
        return tonumber(text:match "VmHWM:%s*(%d+)") or 0
    end

    it("may send a hundred megabytes", function()
        if not lfs.attributes "/proc/self/status" then
            return pending "there is no /proc here"
        end
        local prompt = ("0123456789"):rep(10 * 1024 * 1024)
        local before = peak()
        local response, err = client:generate { prompt = prompt, retry = "none", extra_headers = { ["X-Early"] = "413" } }
        assert.is_nil(response)
        assert.equal("invalid_request", err.kind)
        assert.is_true(peak() - before < 1000 * 1024, ("%d KiB more"):format(peak() - before))
        assert.is_true(#tostring(err) < 1000)
        works()
    end)

    it("finds a closed client closed", function()
        local own = new {}
        local request = assert(own:submit { prompt = "x", extra_body = { mirror = { hold = 5 } } })
        own:close()
        own:close()
        for _, method in ipairs { "generate", "submit" } do
            local made, err = own[method](own, "x")
            assert.is_nil(made)
            assert.equal("invalid_request", err.kind)
            assert.matches("closed", err.message)
        end
        local _, err = request:wait()
        assert.equal("cancelled", err.kind)
        assert.equal("done", request:status())
        assert.is_false(request:cancel())
        assert.equal(0, own:poll())
        assert.equal(0, own:poll(1))
        assert.equal(0, own:action())
        assert.equal(0, own:action(0, "r"))
        own:set_driver(nil)
        own:set_driver { watch = function() end, timer = function() end }
        assert.matches("closed", tostring(own))
    end)

    it("cannot call methods with what is no client", function()
        local request = assert(client:submit { prompt = "x", extra_body = { mirror = { body = PICTURE } } })
        local others = { io.stdout, request, {}, "x", 5, true, print, coroutine.create(works) }
        for _, method in ipairs { "generate", "submit", "poll", "close", "set_driver", "action" } do
            for _, other in ipairs(others) do
                assert.error_matches(function()
                    client[method](other, "x")
                end, "thucchien.client")
            end
            assert.has_error(function()
                client[method]()
            end)
        end
        local second = { io.stdout, client, {}, "x", 5, true, print, coroutine.create(works) }
        for _, method in ipairs { "wait", "await", "cancel", "status", "progress" } do
            for _, other in ipairs(second) do
                assert.error_matches(function()
                    request[method](other)
                end, "thucchien.request")
            end
            assert.has_error(function()
                request[method]()
            end)
        end
        assert(request:wait())
    end)

    it("cannot use another's metamethods", function()
        local request = assert(client:submit { prompt = "x", extra_body = { mirror = { body = PICTURE } } })
        local of_client, of_request = getmetatable(client), getmetatable(request)
        for _, name in ipairs { "__gc", "__tostring", "__close" } do
            for _, other in ipairs { io.stdout, {}, 5, request } do
                if type(of_client) == "table" and of_client[name] then
                    assert.has_error(function()
                        of_client[name](other)
                    end)
                end
            end
            for _, other in ipairs { io.stdout, {}, 5, client } do
                if type(of_request) == "table" and of_request[name] then
                    assert.has_error(function()
                        of_request[name](other)
                    end)
                end
            end
        end
        assert(request:wait())
        works()
    end)

    it("may collect twice what is in use", function()
        local own = new {}
        local request = assert(own:submit { prompt = "x", extra_body = { mirror = { hold = 5 } } })
        local gc, request_gc = getmetatable(own).__gc, getmetatable(request).__gc
        gc(own)
        gc(own)
        local made, err = own:generate "x"
        assert.is_nil(made)
        assert.matches("closed", err.message)
        assert.equal(0, own:poll(0.1))
        own:close()
        assert.is_truthy(tostring(own))
        pcall(request.wait, request, 0.1)
        pcall(request.cancel, request)
        pcall(request.status, request)
        pcall(request.progress, request)
        if request_gc then
            request_gc(request)
            request_gc(request)
            for _, method in ipairs { "wait", "await", "cancel", "status", "progress" } do
                pcall(request[method], request, 0.1)
            end
            pcall(tostring, request)
        end
        collectgarbage()
        works()
    end)

    it("may collect a request while it runs", function()
        local own = new {}
        local called
        local request = assert(own:submit({ prompt = "x", extra_body = { mirror = { hold = 0.05, body = PICTURE } } }, function()
            called = true
        end))
        local request_gc = getmetatable(request).__gc
        if request_gc then
            request_gc(request)
            pcall(own.poll, own, 0.5)
            pcall(request.wait, request, 1)
        end
        own:close()
        pcall(own.poll, own)
        assert.is_true(called == nil or called == true)
        works()
    end)

    it("may collect the client in a callback of its own", function()
        local own = new {}
        pcall(own.generate, own, {
            prompt = "x",
            on_image = function()
                getmetatable(own).__gc(own)
            end,
            extra_body = { mirror = { chunks = { '{"data":[{"b64_json":"QUJD"},', '{"b64_json":"QUJD"}]}' } } },
        })
        local made, err = own:generate "x"
        assert.is_nil(made)
        assert.matches("closed", err.message)
        works()
    end)

    it("may work from a coroutine, and wait in another", function()
        local request
        local first = coroutine.wrap(function()
            works()
            request = assert(client:submit { prompt = "x", extra_body = { mirror = { body = PICTURE } } })
            return "done"
        end)
        assert.equal("done", first())
        local second = coroutine.wrap(function()
            return assert(request:wait()).data[1].bytes
        end)
        assert.equal("ABC", second())
    end)

    it("cannot yield where nobody would come back", function()
        for _, name in ipairs { "on_image", "on_progress", "sink" } do
            local thread = coroutine.create(function()
                local params = { prompt = "x", retry = "none", extra_body = { mirror = { body = PICTURE } } }
                params[name] = function()
                    coroutine.yield "out"
                    return true
                end
                return client:generate(params)
            end)
            local ok, what = coroutine.resume(thread)
            assert.is_false(ok and what == "out")
            assert.equal("dead", coroutine.status(thread))
            works()
        end
    end)

    it("may leave a coroutine in the middle", function()
        for _ = 1, 5 do
            local thread = coroutine.create(function()
                return assert(client:submit { prompt = "x", extra_body = { mirror = { body = PICTURE } } }):await()
            end)
            assert(coroutine.resume(thread))
            thread = nil -- luacheck: ignore
            collectgarbage()
        end
        for _ = 1, 20 do
            client:poll(0.01)
        end
        works()
    end)

    local inf, nan = math.huge, 0 / 0
    local options = {
        { "timeout", { inf, -inf, nan, 1e308, -0.0, 1e-9, "inf", "nan", "0x10000000000000000" } },
        { "connect_timeout", { inf, -inf, nan, 1e308, -0.0, 1e-9 } },
        { "max_retries", { inf, -inf, nan, 1e308, 2 ^ 31, 2 ^ 32, 2 ^ 53, -2 ^ 53, 0.5 } },
        { "max_concurrency", { inf, -inf, nan, 1e308, 2 ^ 32, -1, 0.5 } },
        { "requests_per_minute", { inf, -inf, nan, 1e308, 2 ^ 32, 0, -1, 0.5 } },
        { "max_response_bytes", { inf, -inf, nan, 1e308, -1, 2 ^ 64, 0.5 } },
    }
    for _, option in ipairs(options) do
        it("is told of an absurd " .. option[1], function()
            for _, value in ipairs(option[2]) do
                local made, err = thucchien.new { api_key = KEY, base_url = mirror.url, [option[1]] = value }
                assert.is_nil(made, tostring(value))
                assert.equal("invalid_request", err.kind)
                assert.equal(option[1], err.param)
                assert.matches("got", err.message)
            end
        end)
    end

    it("may give the largest values that are any", function()
        local own = new {
            timeout = 86400, connect_timeout = 86400, max_retries = 100, max_concurrency = 1000, max_response_bytes = 2 ^ 40,
        }
        works(own)
        own:close()
    end)

    it("is told of an absurd time to wait", function()
        local request = assert(client:submit { prompt = "x", extra_body = { mirror = { hold = 0.1, body = PICTURE } } })
        for _, value in ipairs { nan, -1, -inf } do
            assert.has_error(function()
                client:poll(value)
            end)
        end
        client:poll(inf) -- until there is news
        assert(request:wait(inf))
        assert.equal(0, client:poll(inf))
        assert.equal(0, client:poll(1e308))
    end)

    it("may act on sockets that are none", function()
        for _, socket in ipairs { -1, 0, 12345, 2147483647 } do
            for _, events in ipairs { "r", "w", "rw" } do
                client:action(socket, events)
            end
        end
        assert.has_error(function()
            client:action(0, "x")
        end)
        works()
    end)

    it("may have metamethods that raise, for requests too", function()
        local function bad()
            error "from a metamethod"
        end
        local params = {
            { prompt = "x", extra_body = setmetatable({}, { __index = bad, __pairs = bad, __len = bad }) },
            { prompt = "x", extra_body = { a = setmetatable({}, { __index = bad, __pairs = bad, __len = bad, __tostring = bad }) } },
            { prompt = "x", extra_headers = setmetatable({ ["X-A"] = "b" }, { __index = bad, __pairs = bad }) },
            { prompt = setmetatable({}, { __tostring = bad, __concat = bad }) },
            { prompt = "x", n = setmetatable({}, { __lt = bad, __eq = bad, __unm = bad, __tostring = bad }) },
            { prompt = "x", on_image = setmetatable({}, { __call = bad }) },
            { prompt = "x", sink = setmetatable({}, { __call = bad }) },
        }
        for _, each in ipairs(params) do
            for _, method in ipairs { "generate", "submit" } do
                pcall(client[method], client, each)
            end
        end
        for _ = 1, 50 do
            if pcall(client.poll, client, 0.01) and client:poll() == 0 then
                break
            end
        end
        works()
    end)

    it("may not change what a request is", function()
        local request = assert(client:submit { prompt = "x", extra_body = { mirror = { body = PICTURE } } })
        assert.has_error(function()
            request.status = 5
        end)
        assert.has_error(function()
            client.poll = 5
        end)
        assert.is_nil(request.nothing)
        assert.is_nil(client.api_key)
        assert(request:wait())
    end)
end)
