-- What becomes of answers that are no pictures: kinds, messages, retries, and no secrets in any of them.

local thucchien = require "thucchien"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local KEY = requests.KEY
local HASH = ("0123456789abcdef"):rep(4)
local PICTURE = requests.PICTURE

local mirror, client

local ids = 0
local function new_id()
    ids = ids + 1
    return "failure-" .. ids
end

-- Asks for `answer` (or each of a list in turn) and returns what came and how many requests the server saw.
local function ask(answer, params)
    params = params or { retry = "none" }
    params.prompt = "x"
    local id = new_id()
    params.extra_body = { mirror = { id = id, answers = answer[1] and answer or { answer } } }
    local response, err = client:generate(params)
    return response, err, mirrors.count(mirror, id)
end

local function litellm(message, type, param, code)
    local function json(text)
        return text and '"' .. text:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"' or "null"
    end
    return ('{"error":{"message":%s,"type":%s,"param":%s,"code":%s}}'):format(
        json(message), json(type), json(param), json(code))
end

fixtures.client(function(...) mirror, client = ... end)

describe("an answer", function()
    -- name, status, body, kind, message, the status that the body names
    local cases = {
        { "no key", 401, litellm("Authentication Error, No api key passed in.", "auth_error", "None", "401"),
            "authentication", "^Authentication Error, No api key passed in$" },
        { "an unknown key", 401, litellm("Authentication Error, Invalid proxy server token passed. Received API Key = "
            .. "sk-...WXYZ, Key Hash (Token) =" .. HASH .. ". Unable to find token", "token_not_found_in_db", "key", "401"),
            "authentication", "Key Hash %(Token%) =%[hash%]" },
        { "an expired key", 400, litellm("Authentication Error - Expired Key. Key Expiry time 2025-01-01", "expired_key",
            KEY, "400"), "authentication", "Expired Key" },
        { "an empty budget", 400, litellm("Budget has been exceeded! Current cost: 50.01, Max budget: 50.0",
            "budget_exceeded", nil, "400"), "budget_exceeded", "Current cost: 50.01" },
        { "a user's empty budget", 429, litellm("429: Max budget limit reached.", "None", "None", "429"),
            "budget_exceeded", "^Max budget limit reached$" },
        { "a model that is not allowed", 401, litellm("team not allowed to access model. This team can only access "
            .. "models=['a']. Tried to access imagen-4", "team_model_access_denied", "model", "401"),
            "permission_denied", "Tried to access imagen%-4" },
        { "a route that is not allowed", 403, litellm("no", nil, nil, "403"), "permission_denied", "no" },
        { "an unknown model", 400, litellm("400: {'error': '/image/generations: Invalid model name passed in model=X. "
            .. "Call `/v1/models` to view available models for your key.'}", "None", "None", "400"),
            "invalid_request", "^/image/generations: Invalid model name passed in model=X" },
        { "a rate limit", 429, litellm("429: Rate limit exceeded for api_key: " .. HASH .. ". Limit type: requests.",
            "None", "None", "429"), "rate_limit", "^Rate limit exceeded for api_key: %[hash%]" },
        { "upstream's quota", 429, litellm("litellm.RateLimitError: vertex_aiException - {}", "throttling_error", nil, "429"),
            "rate_limit", "RateLimitError" },
        { "a refused prompt", 400, litellm("litellm.BadRequestError: Vertex_aiException BadRequestError - {\"message\": "
            .. "\"violate Google's Responsible AI practices\"}", nil, nil, "400"), "content_policy", "Responsible AI" },
        { "a policy violation", 400, litellm("litellm.ContentPolicyViolationError: ...", nil, nil, "400"),
            "content_policy", "ContentPolicyViolation" },
        { "all images filtered", 500, litellm("litellm.InternalServerError: image generation response does not contain "
            .. "'predictions', got {}", nil, nil, "500"), "content_policy", "predictions" },
        { "all images filtered, with a traceback", 500, litellm("litellm.APIConnectionError: 'bytesBase64Encoded'\n"
            .. "Traceback (most recent call last):\n  File \"x.py\", line 1", nil, nil, "500"),
            "content_policy", "^litellm.APIConnectionError: 'bytesBase64Encoded'$" },
        { "an unsupported parameter", 400, litellm("litellm.UnsupportedParamsError: Setting `style` is not supported",
            "None", nil, "400"), "invalid_request", "Setting `style`" },
        { "the gateway's own bad credentials", 401, litellm("litellm.AuthenticationError: Vertex_aiException - bad", nil,
            nil, "401"), "server_error", "AuthenticationError" },
        { "its database gone", 400, litellm("No connected db.", "no_db_connection", nil, "400"), "server_error", "No connected db" },
        { "too large a request", 413, "<html><head><title>413 Request Entity Too Large</title></head></html>",
            "invalid_request", "^413 Request Entity Too Large$" },
        { "a validation error", 422, '{"detail":[{"type":"missing","loc":["body","x"],"msg":"Field required"},'
            .. '{"msg":"Input should be a string"}]}', "invalid_request", "^Field required; Input should be a string$" },
        { "a detail", 400, '{"detail":"something is off"}', "invalid_request", "^something is off$" },
        { "a detail in an object", 400, '{"detail":{"error":"something is off"}}', "invalid_request", "^something is off$" },
        { "an error in a word", 500, '{"error":"overloaded"}', "server_error", "^overloaded$" },
        { "a wrong method", 405, '{"detail":"Method Not Allowed"}', "not_found", "^Method Not Allowed$" },
        { "an unknown route", 404, '{"detail":"Not Found"}', "not_found", "^Not Found$" },
        { "an unknown model upstream", 404, litellm("litellm.NotFoundError: Vertex_aiException", nil, nil, "404"),
            "invalid_request", "NotFoundError" },
        { "upstream's timeout", 408, litellm("litellm.Timeout: Connection timed out.", nil, nil, "408"), "timeout", "timed out" },
        { "a crash", 500, "Internal Server Error", "server_error", "^Internal Server Error$" },
        { "a proxy's page", 502, "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body></html>",
            "server_error", "^502 Bad Gateway$" },
        { "a page without a title", 503, "<html><body>no</body></html>", "server_error", "^no message$" },
        { "nothing", 504, "", "server_error", "^no message$" },
        { "a blank code", 503, '{"error":{"code":" "}}', "server_error", "^no message$" },
        { "a blank type", 503, '{"error":{"type":"\\n"}}', "server_error", "^no message$" },
        { "a blank code and a type", 503, '{"error":{"code":" ","type":"busy"}}', "server_error", "^busy$" },
        { "an error with a success's status", 200, litellm("Budget has been exceeded!", "budget_exceeded", nil, "400"),
            "budget_exceeded", "Budget", 400 },
        { "no images", 200, '{"created":1,"data":[]}', "no_image", "no image" },
        { "no data", 200, '{"created":1}', "no_image", "no image" },
        { "data that is null", 200, '{"created":1,"data":null}', "no_image", "no image" },
        { "an image that is null", 200, '{"data":[{"b64_json":null,"url":null}]}', "no_image", "no image" },
        { "a page", 200, "<html>hello</html>", "bad_response", "not JSON" },
        { "words", 200, "hello", "bad_response", "not JSON" },
        { "emptiness", 200, "", "bad_response", "empty" },
        { "a string", 200, '"hello"', "bad_response", "not a JSON object" },
        { "half a document", 200, '{"data":[{"b64_json":"QUJD"', "bad_response", "ends too early" },
        { "more than a document", 200, PICTURE .. "x", "bad_response", "behind its end" },
        { "no base64", 200, '{"data":[{"b64_json":"QU*D"}]}', "bad_response", "image 1 has a character that is not base64" },
        { "base64 cut short", 200, '{"data":[{"b64_json":"QUJDR"}]}', "bad_response", "ends too early" },
        { "a number for an image", 200, '{"data":[{"b64_json":1}]}', "no_image", "has no image" },
        { "a well", 200, ("["):rep(1001), "bad_response", "nests deeper than 1000" },
        { "a million brackets", 200, ("["):rep(1000000), "bad_response", "nests deeper than 1000" },
        { "65 images", 200, '{"data":[' .. ('{"b64_json":"QUJD"},'):rep(64) .. '{"b64_json":"QUJD"}]}',
            "response_too_large", "more than 64 images" },
        { "a large envelope", 200, '{"data":[' .. ("null,"):rep(9000) .. "null]}", "response_too_large", "8192 values beside" },
    }
    for _, case in ipairs(cases) do
        it("is told: " .. case[1], function()
            local response, err, seen = ask { status = case[2], body = case[3], headers = { "x-litellm-call-id: call-7" } }
            assert.is_nil(response)
            assert.equal(case[4], err.kind)
            assert.matches(case[5], err.message)
            assert.equal(case[6] or case[2], err.status)
            assert.equal("call-7", err.request_id)
            assert.equal(1, err.attempts)
            assert.equal(1, seen)
            assert.is_true(#(err.body or "") <= 4096)
            local line = tostring(err)
            assert.is_nil(line:find("[\r\n]"))
            for _, field in ipairs { "message", "param", "body", "type" } do
                local text = tostring(err[field])
                assert.is_nil(text:find(KEY, 1, true))
                assert.is_nil(text:find(HASH, 1, true))
            end
        end)
    end

    it("gives numbers for LiteLLM's strings, and nil for its None", function()
        local _, err = ask { status = 400, body = litellm("no", "None", "None", "400") }
        assert.equal(400, err.code)
        assert.is_nil(err.type)
        assert.is_nil(err.param)
        _, err = ask { status = 400, body = litellm("no", "a_type", "size", "bad_size") }
        assert.same({ "bad_size", "a_type", "size" }, { err.code, err.type, err.param })
    end)

    it("shows no key, whoever sent it back", function()
        local _, err = ask {
            status = 401,
            body = litellm("LiteLLM Virtual Key expected. Received=" .. KEY .. ", or sk-Another_Secret-Key_98765432, "
                .. "but task-force-number-one is none", "auth_error", "None", "401"),
        }
        assert.is_nil(err.message:find(KEY, 1, true))
        assert.is_nil(err.body:find(KEY, 1, true))
        assert.is_nil(err.body:find("Another_Secret", 1, true))
        assert.matches("Received=sk%-%.%.%.cdef, or sk%-%.%.%.5432, but task%-force%-number%-one", err.message)
    end)

    it("is cut where it is long", function()
        local _, err = ask { status = 500, body = litellm(("đ"):rep(100000), nil, nil, "500") }
        assert.is_true(#err.message < 512)
        assert.matches("đ%.%.%.$", err.message)
        assert.equal(0, #err.message:gsub("\196\145", ""):gsub("%.%.%.$", ""))
        assert.is_true(#err.body <= 4096)
    end)

    it("that points elsewhere is not followed", function()
        local _, err, seen = ask { status = 302, headers = { "location: https://evil.example/x" } }
        assert.equal("not_found", err.kind)
        assert.matches("evil.example", err.message)
        assert.equal(1, seen)
    end)

    it("is an error value that prints and joins", function()
        local _, err = ask { status = 429, body = litellm("slow down", nil, nil, "429"), headers = { "retry-after: 90" } }
        assert.equal("rate_limit: slow down (HTTP status 429, retry after 90 s) - wait, then try again", tostring(err))
        assert.equal("failed: rate_limit: slow down (HTTP status 429, retry after 90 s) - wait, then try again!", "failed: " .. err .. "!")
    end)
end)

-- Behind the gateway's Gemini route, a Google error is the text of the gateway's.
describe("Google's error inside the gateway's", function()
    local function google(message, code, status)
        return ('{\n  "error": {\n    "code": %d,\n    "message": %s,\n    "status": "%s",\n    "details": [{"@type": "x", '
            .. '"message": "not this"}]\n  }\n}\n'):format(code, message, status)
    end

    -- name, status, what the gateway's message is, kind, message
    local cases = {
        { "a wrong argument", 400, google('"Invalid value at \'a.b\'"', 400, "INVALID_ARGUMENT"), "invalid_request", "Invalid value at 'a.b'" },
        { "escapes and lines", 400, google([["a \u00e9 \"b\"\nc"]], 400, "INVALID_ARGUMENT"), "invalid_request", 'a é "b" c' },
        { "a quota", 429, google('"Resource has been exhausted (e.g. check quota)."', 429, "RESOURCE_EXHAUSTED"), "rate_limit",
            "Resource has been exhausted (e.g. check quota)" },
        { "the gateway's own key", 400, google('"API key not valid. Please pass a valid API key."', 400, "INVALID_ARGUMENT"),
            "server_error", "API key not valid. Please pass a valid API key" },
        { "a model that is not there", 404, google('"models/x is not found for API version v1beta"', 404, "NOT_FOUND"),
            "invalid_request", "models/x is not found for API version v1beta" },
        { "an overload", 503, google('"The model is overloaded."', 503, "UNAVAILABLE"), "server_error", "The model is overloaded" },
        { "the key of whoever asks", 400, google('"bad key ' .. KEY .. '"', 400, "X"), "invalid_request", "bad key sk-...cdef" },
        { "half of it", 400, google('"half"', 400, "X"):sub(1, -20), "invalid_request", "half" },
        { "a message that is short", 400, '{"": 1, "error": {"message": "5"}}', "invalid_request", "5" },
        { "one of two digits", 400, '{": ": 1, "error": {"message": "42"}}', "invalid_request", "42" },
        { "one of three digits", 400, '{"error": {"message": "429"}, "a": ": : : b"}', "invalid_request", "429" },
        { "no message in it", 400, '{"error":{"code":400}}', "invalid_request", '{"error":{"code":400}}' },
        { "a message that is null", 400, '{"error":{"message":null}}', "invalid_request", '{"error":{"message":null}}' },
        { "braces, but no document", 400, "{model} is missing", "invalid_request", "{model} is missing" },
    }
    for _, case in ipairs(cases) do
        it("is read: " .. case[1], function()
            local _, err = ask { status = case[2], body = litellm(case[3], "None", "None", tostring(case[2])) }
            assert.same({ case[4], case[5], case[2], case[2] }, { err.kind, err.message, err.status, err.code })
            assert.is_nil(err.type)
            assert.is_nil(err.param)
        end)
    end

    it("is read where it comes as it is, too", function()
        local _, err = ask { status = 400, body = google('"Invalid value"', 400, "INVALID_ARGUMENT") }
        assert.same({ "invalid_request", "Invalid value", 400 }, { err.kind, err.message, err.code })
    end)

    it("is cut where it is long", function()
        local _, err = ask { status = 400, body = litellm(google('"' .. ("a "):rep(10000) .. '"', 400, "X")) }
        assert.matches("^a a a .*%.%.%.$", err.message)
        assert.is_true(#err.message < 512)
    end)
end)

-- The status is the status line's, whatever header lines look like.
describe("the status", function()
    local SUCCESS = '{"data":[{"b64_json":"QUJD"}]}'

    local function head(status, lines, body)
        return { pieces = { ("HTTP/1.1 %s\r\n%sconnection: close\r\ncontent-length: %d\r\n\r\n%s"):format(status, lines, #body, body) } }
    end

    -- name, answer, kind and status, or nil for a success
    local cases = {
        { "a header line that looks like a success", head("500 No", "HTTP/1.1 200 OK: x\r\n", SUCCESS), "server_error", 500 },
        { "one of HTTP/2", head("500 No", "HTTP/2 200: x\r\n", SUCCESS), "server_error", 500 },
        { "one that is an interim answer", head("429 No", "HTTP/1.1 100 x: y\r\n", ""), "rate_limit", 429 },
        { "one that looks like a failure", head("200 OK", "HTTP/1.1 500 No: x\r\n", SUCCESS) },
        { "one below an interim answer", { pieces = { "HTTP/1.1 103 Early\r\nHTTP/1.1 200 OK: x\r\n\r\n"
            .. "HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" } }, "server_error", 503 },
        { "one behind the body", { pieces = { "HTTP/1.1 500 No\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
            .. "HTTP/1.1 200 OK: x\r\n\r\n" } }, "server_error", 500 },
        { "a header that is there before and behind", head("429 No", "retry-after: 90\r\nHTTP/1.1 429 x: y\r\n", ""),
            "rate_limit", 429 },
    }
    for _, case in ipairs(cases) do
        it("is not that of " .. case[1], function()
            local response, err = ask(case[2])
            assert.same({ case[3], case[4] }, { err and err.kind, err and err.status })
            assert.equal(case[3] == nil, response ~= nil)
        end)
    end

    it("keeps the headers above such a line", function()
        local _, err = ask(head("429 No", "retry-after: 90\r\nx-request-id: r\r\nHTTP/1.1 429 x: y\r\n", ""))
        assert.same({ 90, "r" }, { err.retry_after, err.request_id })
    end)

    it("has three digits, or is none", function()
        for _, status in ipairs { "20000000000000000000 OK", "99999999999999999999 No", "-1 No", "1e9 No", " No", "0x1f4 No" } do
            local _, err = ask(head(status, "", "{}"))
            assert.is_true(err.status == nil or (err.status >= 100 and err.status <= 999), status)
        end
    end)
end)

describe("the line of an error", function()
    it("says that it may be billed, and what to do", function()
        local _, err = ask { body = "x" }
        assert.equal("bad_response: the response is not JSON (byte 0) (HTTP status 200, may be billed)"
            .. " - try again; check what stands before the gateway, a proxy or a login page", tostring(err))
        _, err = ask { status = 401, body = litellm("who are you", "auth_error") }
        assert.matches(" %- check the API key$", tostring(err))
        _, err = ask { status = 400, body = litellm("no") }
        assert.equal("invalid_request: no (HTTP status 400) - change the params", tostring(err))
    end)
end)

describe("a caught broken answer", function()
    it("is one that is shorter than it says", function()
        local _, err = ask { body = PICTURE, length = 1000, close = true }
        assert.equal("bad_response", err.kind)
        assert.matches("broke off", err.message)
        assert.is_true(err.maybe_billed)
    end)

    it("is one larger than max_response_bytes", function()
        local own = requests.client(mirror, { max_response_bytes = 1000 })
        for _, answer in ipairs {
            { body = '{"data":[{"b64_json":"' .. ("QUJD"):rep(1000) .. '"}]}' },
            { chunks = { '{"data":[{"b64_json":"', ("QUJD"):rep(1000) } },
            { gzip = true, body = (" "):rep(1000000) },
        } do
            local _, err = own:generate { prompt = "x", extra_body = { mirror = answer } }
            assert.equal("response_too_large", err.kind)
            assert.matches("larger than max_response_bytes %(1000%)", err.message)
        end
        assert(own:generate { prompt = "x", extra_body = { mirror = { body = PICTURE } } })
    end)

    it("is one with endless headers", function()
        local headers = {}
        for i = 1, 400 do
            headers[i] = "x-" .. i .. ": " .. ("y"):rep(1000)
        end
        local _, err = ask { headers = headers, body = PICTURE }
        assert.equal("response_too_large", err.kind)
    end)

    it("is one that is no HTTP", function()
        local _, err = ask { pieces = { "hello\r\n\r\n" } }
        assert.equal("bad_response", err.kind)
    end)

    it("does no harm to the next request", function()
        ask { body = "x" }
        assert(ask { body = PICTURE })
    end)
end)

describe("a refusal", function()
    it("with a picture in it is a refusal all the same", function()
        local told = 0
        local response, err = client:generate {
            prompt = "x", retry = "none",
            on_image = function()
                told = told + 1
            end,
            extra_body = { mirror = { status = 400, chunks = { PICTURE, " " } } },
        }
        assert.is_nil(response)
        assert.equal("invalid_request", err.kind)
        assert.equal(0, told)
        assert.is_nil(err.data)
    end)

    it("that does not end is one when the time is up", function()
        local _, err = client:generate {
            prompt = "x", retry = "none", timeout = 1,
            extra_body = { mirror = { pieces = { "HTTP/1.1 429 No\r\ncontent-length: 100\r\n\r\n{", "" }, pause = 60 } },
        }
        assert.equal("rate_limit", err.kind)
        assert.is_false(err.maybe_billed)
    end)

    it("keeps what its URL has to itself", function()
        local _, err = ask { status = 302, headers = { "location: https://me:hunter2@sso.example/login?token=abc" } }
        assert.matches("sso.example", err.message)
        assert.is_nil(tostring(err):find("hunter2", 1, true))
        assert.is_nil(tostring(err):find("token", 1, true))
        _, err = ask { status = 500, body = "cannot reach http://joe:hunter2@inside.example/x" }
        assert.matches("http://%.%.%.@inside.example", err.message)
        assert.is_nil(err.body:find("hunter2", 1, true))
    end)

    it("shows no key that was cut at the end", function()
        local own = assert(thucchien.new { base_url = mirror.url, api_key = "a-key-of-another-form-0123456789" })
        local _, err = own:generate {
            prompt = "x", retry = "none",
            extra_body = { mirror = { status = 500, body = ("y"):rep(4096 - 20) .. "a-key-of-another-form-0123456789" } },
        }
        assert.is_nil(err.body:find("a-key-of-another", 1, true))
    end)

    it("before the answer is none of the answer's", function()
        local _, err = ask { pieces = { "HTTP/1.1 103 Early Hints\r\n\r\n" } }
        assert.equal("connection", err.kind)
        assert.is_nil(err.status)
    end)
end)

describe("retries", function()
    local RATE = { status = 429, body = litellm("slow down", nil, nil, "429"), headers = { "retry-after-ms: 10" } }
    local DOWN = { status = 503, body = "", headers = { "retry-after-ms: 1" } }
    local CRASH = { status = 500, body = "oops", headers = { "retry-after-ms: 1" } }
    local RESET = { pieces = {} }
    local GOOD = { body = PICTURE }

    -- name, answers, mode, requests seen, kind of the error or nil
    local cases = {
        { "a rate limit is waited for", { RATE, GOOD }, "safe", 2 },
        { "an overload is waited for", { DOWN, DOWN, GOOD }, "safe", 3 },
        { "not for ever", { RATE }, "safe", 3, "rate_limit" },
        { "not at all if that is wanted", { RATE, GOOD }, "none", 1, "rate_limit" },
        { "a crash is not: it may have been billed", { CRASH, GOOD }, "safe", 1, "server_error" },
        { "but it is where the caller says so", { CRASH, GOOD }, "all", 2 },
        { "a lost answer is not", { RESET, GOOD }, "safe", 1, "connection" },
        { "but it is where the caller says so, too", { RESET, GOOD }, "all", 2 },
        { "an empty budget never is", { { status = 429, body = litellm("Max budget limit reached.") }, GOOD }, "all", 1,
            "budget_exceeded" },
        { "a refused prompt never is", { { status = 500, body = litellm("does not contain 'predictions'") }, GOOD }, "all", 1,
            "content_policy" },
        { "a bad answer never is", { { body = "x" }, GOOD }, "all", 1, "bad_response" },
        { "a picture that had begun to come never is", { { body = PICTURE:sub(1, -5), length = 99, close = true }, GOOD },
            "all", 1, "bad_response" },
        { "a request that is wrong never is", { { status = 400, body = litellm("no") }, GOOD }, "all", 1, "invalid_request" },
        { "a limit with another status never is", { { status = 400, body = litellm("slow", "throttling_error") }, GOOD },
            "all", 1, "rate_limit" },
        { "a long wait is an error", { { status = 429, body = "", headers = { "retry-after: 61" } }, GOOD }, "safe", 1,
            "rate_limit" },
    }
    for _, case in ipairs(cases) do
        it(case[1], function()
            local response, err, seen = ask(case[2], { retry = case[3] })
            assert.equal(case[4], seen)
            assert.equal(case[5], err and err.kind)
            assert.equal(case[4], (response or err).attempts)
        end)
    end

    it("know nothing of the attempt before", function()
        local _, err = ask({ { status = 503, body = "first", headers = { "x-request-id: first", "retry-after-ms: 1" } },
            { pieces = {} } }, {})
        assert.equal("connection", err.kind)
        assert.is_nil(err.request_id)
        assert.is_nil(err.body)
    end)

    it("back off where a server says at once", function()
        local start = require("system").monotime()
        ask({ { status = 503, body = "", headers = { "retry-after: 0" } }, GOOD }, {})
        assert.is_true(require("system").monotime() - start > 0.3)
    end)

    it("obey max_retries", function()
        local _, err, seen = ask({ DOWN }, { max_retries = 0 })
        assert.same({ 1, 1 }, { seen, err.attempts })
        _, _, seen = ask({ DOWN }, { max_retries = 4 })
        assert.equal(5, seen)
    end)

    it("read the wait from a message", function()
        local _, err = ask { status = 429, body = litellm("No deployments available, Try again in 75 seconds.") }
        assert.equal(75, err.retry_after)
        local moment = os.date("!%Y-%m-%d %H:%M:%S", os.time() + 600)
        _, err = ask { status = 429, body = litellm("Rate limit exceeded. Limit resets at: " .. moment .. " UTC") }
        assert.is_true(err.retry_after > 590 and err.retry_after <= 600)
    end)

    it("read the wait from a date", function()
        local moment = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 600)
        local _, err = ask { status = 429, body = "", headers = { "Retry-After: " .. moment } }
        assert.is_true(err.retry_after > 590 and err.retry_after <= 600)
    end)
end)

describe("what may have been billed", function()
    local cases = {
        { { status = 500, body = "" }, true }, { { status = 502, body = "" }, true }, { { status = 503, body = "" }, false },
        { { status = 429, body = "" }, false }, { { status = 400, body = "" }, false }, { { status = 401, body = "" }, false },
        { { status = 408, body = "" }, true }, { { pieces = {} }, true }, { { body = "x" }, true },
        { { body = '{"data":[]}' }, true },
    }
    for i, case in ipairs(cases) do
        it("is said: " .. i, function()
            local _, err = ask(case[1])
            assert.equal(case[2], err.maybe_billed)
        end)
    end

    it("is remembered when a later attempt is refused", function()
        local _, err = ask({ { status = 500, body = "", headers = { "retry-after-ms: 1" } }, { status = 400, body = "" } },
            { retry = "all" })
        assert.equal("invalid_request", err.kind)
        assert.equal(2, err.attempts)
        assert.is_true(err.maybe_billed)
    end)

    it("is never sent again on a new connection when a kept one dies", function()
        local own = requests.client(mirror, { retry = "safe" })
        local id = new_id()
        local params = { prompt = "x", extra_body = { mirror = { id = id, answers = { { body = PICTURE }, { pieces = {} } } } } }
        assert(own:generate(params))
        local response, err = own:generate(params) -- on the same connection, which closes without an answer
        assert.is_nil(response)
        assert.equal("connection", err.kind)
        assert.is_true(err.maybe_billed)
        assert.equal(2, mirrors.count(mirror, id))
        assert(own:generate { prompt = "x", extra_body = { mirror = { body = PICTURE } } })
    end)
end)
