-- What is sent again, and what may have been billed: nothing is paid for twice unless the caller says so.

local cjson = require "cjson"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local pictures = require "spec.support.pictures"
local requests = require "spec.support.requests"
local routes = require "spec.support.routes"

local GOOD = { body = '{"data":[{"b64_json":"QUJD"}]}' }
local BASE64 = ("iVBORw0KGgoAAAANSUhEUgAA429bYYYYYYYYYYYYY"):rep(5000)

local mirror, client
local ids = 0

fixtures.client(function(...) mirror, client = ... end)

-- Has `answer` given to the first request of a call, and a picture to the others. Returns what came and how many
-- requests there were.
local function ask(answer, params)
    ids = ids + 1
    params = params or {}
    params.prompt, params.extra_body = "x", { mirror = { id = "money-" .. ids, answers = { answer, GOOD } } }
    local response, err = client:generate(params)
    return response, err, mirrors.count(mirror, "money-" .. ids)
end

local function litellm(message, code)
    return cjson.encode { error = { message = message, type = "throttling_error", param = cjson.null, code = tostring(code) } }
end

local function google(code, status, message)
    return cjson.encode { error = { code = code, message = message, status = status } }
end

local WRAPPED = "litellm.RateLimitError: litellm.RateLimitError: vertex_aiException - "
local OPENAI = "litellm.RateLimitError: RateLimitError: OpenAIException - "
local TAIL = ". Received Model Group=imagen-4\nAvailable Model Group Fallbacks=None"
local NEW_TAIL = ". LiteLLM: model group 'imagen-4' failed with the error above. No fallback was attempted."
local TRACEBACK = "\nTraceback (most recent call last):\n  File \"x.py\", line 1\nhttpx.HTTPStatusError: Server error '503'"

-- Refused before anything was drawn: name, status, body.
local safe = {
    { "the limiter's own words", 429, litellm("429: Rate limit exceeded for api_key: x. Limit type: requests. Current limit: 20, "
        .. "Remaining: 0.", 429) },
    { "a cooldown", 429, litellm("No deployments available for selected model, Try again in 0.01 seconds. Passed model=x.", 429) },
    { "a limiter of old", 429, litellm("LiteLLM Rate Limit Handler for rate limit type = key. Crossed TPM / RPM / Max Parallel Request "
        .. "Limit. current rpm: 1", 429) },
    { "a deployment's limit", 429, litellm("litellm.RateLimitError: Deployment over user-defined ratelimit.", 429) },
    { "nothing", 429, "" },
    { "words", 429, "slow down" },
    { "a page", 429, "<html><head><title>429 Too Many Requests</title></head></html>" },
    { "an error of no wrapping", 429, litellm("no", 429) },
    { "Google's document", 429, google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).") },
    { "Google's document in the gateway's error", 429, litellm(google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted."), 429) },
    { "a wrapped quota", 429, litellm(WRAPPED .. google(429, "RESOURCE_EXHAUSTED", "Quota exceeded for aiplatform.googleapis.com/x") .. TAIL,
        429) },
    { "a wrapped quota in bytes of Python", 429, litellm(WRAPPED .. "b'{\\n  \"error\": {\\n    \"code\": 429,\\n    \"message\": "
        .. "\"Resource exhausted, please try again later.\"}}'" .. TAIL, 429) },
    { "a wrapped quota, new", 429, litellm(WRAPPED .. google(429, "RESOURCE_EXHAUSTED", "Quota exceeded for x") .. NEW_TAIL, 429) },
    { "a wrapped rate limit", 429, litellm(OPENAI .. "Rate limit reached for gpt-image-1. Please try again in 5ms." .. TAIL, 429) },
    { "a wrapped repr", 429, litellm(OPENAI .. "Error code: 429 - {'error': {'message': 'Too many requests', 'code': 'rate_limit'}}", 429) },
    { "three words of upstream's", 429, litellm(WRAPPED .. "Too Many Requests" .. TAIL, 429) },
    { "too many tokens", 429, litellm("litellm.RateLimitError: BedrockException - {\"message\":\"Too many tokens, please wait "
        .. "before trying again.\"}", 429) },
    { "tokens per minute", 429, litellm(OPENAI .. "Request too large for x on tokens per min (TPM): Limit 3, Requested 4.", 429) },
    { "a provider's provider", 429, litellm("litellm.RateLimitError: RateLimitError: OpenrouterException - " .. cjson.encode { error = {
        message = "Provider returned error", code = 429, metadata = { raw = "x is temporarily rate-limited upstream." } } }, 429) },
    { "an inner 429 and nothing else", 429, litellm(OPENAI .. "Error code: 429 - {'error': {'message': 'no'}}", 429) },
    { "too little capacity", 429, litellm(WRAPPED .. "429 Unable to submit request because the service is temporarily out of capacity.", 429) },
    { "503", 503, "" },
    { "503, wrapped", 503, litellm("litellm.ServiceUnavailableError: Vertex_aiException - no", 503) },
    { "an overload", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.") },
    { "an overload through Vertex", 500, litellm("litellm.InternalServerError: VertexAIException InternalServerError - "
        .. google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.") .. TAIL, 500) },
    { "an overload with a traceback", 500, litellm("litellm.APIConnectionError: " .. google(503, "UNAVAILABLE", "The model is overloaded.")
        .. TRACEBACK, 500) },
    { "an overload as a rate limit", 429, litellm(WRAPPED .. google(503, "UNAVAILABLE", "The model is overloaded. (a429f0)"), 429) },
    { "an overload as a bad gateway", 502, google(503, "UNAVAILABLE", "The model is overloaded.") },
    { "an overload in the gateway's error", 500, litellm(google(503, "UNAVAILABLE", "The model is overloaded."), 500) },
    { "a 429 in a success", 200, '{"error":{"code":429,"message":"slow down"}}' },
    { "a 429 in digits in a success", 200, '{"error":{"code":"429","message":"slow down"}}' },
    { "a 503 in a success", 200, '{"error":{"code":503,"message":"down"}}' },
    { "an overload in a success", 200, google(500, "INTERNAL", "The model is overloaded.") },
    { "a 429 in a list", 200, '[{"error":{"code":429,"message":"slow down"}}]' },
    { "a 429 as an event", 200, 'data: {"error":{"code":429,"message":"slow down"}}\n\n' },
    { "a quota in a success", 200, litellm(WRAPPED .. google(429, "RESOURCE_EXHAUSTED", "Quota exceeded for x"), 429) },
}

-- Perhaps drawn, whatever the status says.
local risky = {
    { "a picture that LiteLLM could not read", 429, litellm(OPENAI .. "Invalid response object Traceback (most recent call last):\n  File "
        .. "\"x.py\", line 1\nKeyError: 'index'\n\nreceived_args={'response_object': {'images': ['" .. BASE64 .. "']}}" .. TAIL, 429) },
    { "one of a hundred kilobytes under another name", 429, cjson.encode { detail = OPENAI .. "Invalid response object " .. BASE64 } },
    { "one of a hundred kilobytes under no name", 429, cjson.encode { message = OPENAI .. "Invalid response object " .. BASE64 } },
    { "one of a hundred kilobytes as it is", 429, OPENAI .. "Invalid response object " .. BASE64 },
    { "one of two megabytes", 429, litellm(OPENAI .. "Invalid response object Traceback (most recent call last): "
        .. BASE64:rep(10) .. TAIL, 429) },
    { "the same without a traceback", 429, litellm("litellm.RateLimitError: OpenAIException - Invalid response object " .. BASE64, 429) },
    { "the same, whose prompt speaks of a quota", 429, litellm("litellm.RateLimitError: OpenAIException - Invalid response object "
        .. "received_args={'prompt': 'The model is overloaded. Rate limit exceeded for nsfw, insufficient_quota'}", 429) },
    { "a request id with 429", 429, litellm(OPENAI .. "The server had an error while processing your request. (request id: a429f0)" .. TAIL, 429) },
    { "a 500 with a rate limit in its words", 429, litellm(OPENAI .. "The server had an error. See our rate limit docs. (429)", 429) },
    { "an inner 500", 429, litellm(WRAPPED .. google(500, "INTERNAL", "Internal error encountered. (429)"), 429) },
    { "an inner 500 over lines", 429, litellm(WRAPPED .. '{\n  "error": {\n    "code": 500,\n    "message": "Quota? 429"\n  }\n}\n', 429) },
    { "an inner 502 in digits", 429, litellm(OPENAI .. "{'error': {'message': 'quota service gone', 'code': '502'}} 429", 429) },
    { "an inner 504 of Python", 429, litellm(OPENAI .. "Error code: 504 - too many requests 429", 429) },
    { "a status of httpx", 429, litellm(OPENAI .. "Server error '500 Internal Server Error' for url 'https://x/429'", 429) },
    { "a bad gateway", 429, litellm(OPENAI .. "<html><head><title>502 Bad Gateway</title></head></html> quota 429", 429) },
    { "Vertex' 500 with a quota", 429, litellm(WRAPPED .. google(500, "INTERNAL", "Quota exceeded for aiplatform.googleapis.com/x") .. TAIL, 429) },
    { "the same with the number in front", 429, litellm(WRAPPED .. "500 Quota exceeded for aiplatform.googleapis.com/x", 429) },
    { "an error of another class", 429, litellm("litellm.RateLimitError: InternalServerError: OpenAIException - quota 429", 429) },
    { "words that tell nothing", 429, litellm(OPENAI .. "something failed (429)" .. TAIL, 429) },
    { "a picture that could not be kept", 429, litellm(OPENAI .. "Image was generated but could not be stored: storage quota exceeded (429)", 429) },
    { "many of something else", 429, litellm(OPENAI .. "Too many images returned: expected 1, got 429", 429) },
    { "a word of the limiter's about something else", 429, litellm(OPENAI .. "wires crossed while decoding 429 bytes", 429) },
    { "a module of Python", 429, litellm(OPENAI .. "concurrent.futures._base.CancelledError 429", 429) },
    { "a picture that did not parse", 429, litellm(OPENAI .. "1 validation error for ImageResponse: rate_limit_429", 429) },
    { "JSON that did not parse", 429, litellm(OPENAI .. "Unable to get json response - Expecting value: line 1 column 429, Original Response: "
        .. "{'quota': 1, 'images': ['iVBORw0K", 429) },
    { "an answer that broke off", 429, litellm(OPENAI .. "peer closed connection without sending complete message body (incomplete chunked "
        .. "read), x-ratelimit: quota 429", 429) },
    { "a picture that LiteLLM could not read, as a 503", 503, litellm("litellm.ServiceUnavailableError: OpenAIException - Invalid response "
        .. "object " .. BASE64, 503) },
    { "words that tell nothing, new", 429, litellm("something failed (429)" .. NEW_TAIL, 429) },
    { "no words", 429, litellm("litellm.RateLimitError: ", 429) },
    { "a traceback of the gateway's", 429, litellm("429 Traceback (most recent call last):\n  File \"x.py\"", 429) },
    { "an inner 500 in Google's document", 429, google(500, "INTERNAL", "Internal error encountered.") },
    { "500", 500, "" },
    { "500 and a limit's words", 500, litellm("litellm.InternalServerError: Vertex_aiException - Rate limit", 500) },
    { "a 502 in a success", 200, '{"error":{"code":502,"message":"gone"}}' },
    { "a 429 of 500 in a success", 200, litellm(WRAPPED .. google(500, "INTERNAL", "Quota exceeded for x"), 429) },
    { "an error without a code in a success", 200, '{"error":{"message":"gone"}}' },
}

-- What is the same however often it is asked.
local hopeless = {
    { "an empty account", 429, '{"error":{"message":"x","code":"insufficient_quota"}}', "budget_exceeded" },
    { "a hard limit", 400, '{"error":{"message":"x","code":"billing_hard_limit_reached"}}', "budget_exceeded" },
    { "402 of a service behind it", 500, litellm("litellm.APIError: APIError: OpenrouterException - {'error': {'message': 'no', "
        .. "'code': 402}}", 500), "budget_exceeded" },
    { "a route that the key may not use", 500, "Virtual key is not allowed to call this route.", "permission_denied" },
    { "402 and nothing", 402, "", "budget_exceeded" },
    { "402 and a refusal", 402, '{"error":{"message":"Rejected by the safety system"}}', "budget_exceeded" },
    { "402 in a success", 200, '{"error":{"message":"x","code":402}}', "budget_exceeded" },
    { "a budget of the new gateway's", 422, '{"error":{"message":"x","type":"budget_exceeded","code":"422"}}', "budget_exceeded" },
    { "a refused prompt as a 429", 429, litellm(OPENAI .. "content_policy_violation (429)", 429), "content_policy" },
}

-- Pictures that came all the same, whatever the status says of them.
local made
do
    local picture = pictures.encode(pictures.bytes "png")
    local url = "data:image/png;base64," .. picture
    made = {
        { "in data", { data = { { b64_json = picture } } } },
        { "in data, an error beside it", { error = { message = "Rate limit exceeded", code = "429" }, data = { { b64_json = picture } } } },
        { "at an address", { error = { message = "Rate limit exceeded" }, data = { { url = "https://example.com/boat.png" } } } },
        { "in a chat's answer", { choices = { { message = { images = { { image_url = { url = url } } } } } } } },
        { "in Markdown", { choices = { { message = { content = "Here: ![i](" .. url .. ")" } } } } },
        { "in Gemini's answer", { candidates = { { content = { parts = { { inlineData = { data = picture } } } } } } } },
        { "in Gemini's answer in the words of an error", { error = { message = cjson.encode { candidates = { { content = { parts = {
            { inlineData = { data = picture } } } } } } }, status = "RESOURCE_EXHAUSTED", code = 429 } } },
        { "in a list of documents", { { text = "x" }, { data = { { b64_json = picture } } } } },
        { "in a field of its own", { error = "The model is overloaded", result = { png = picture } } },
        { "behind many words", { message = ("slow down "):rep(1000), data = { { b64_json = picture } } } },
        { "behind much that says nothing", { object = ("x"):rep(10000), result = picture } },
        { "of a few megabytes", { error = "slow down", data = { { b64_json = (picture:gsub("=", "")):rep(50000) } } } },
        { "as an event", "data: " .. cjson.encode { b64_json = picture } .. "\n\n" },
        { "as base64", picture },
    }
    for _, type in ipairs(pictures.types) do
        made[#made + 1] = { "as itself: " .. type, pictures.bytes(type), pictures.mimes[type] }
        made[#made + 1] = { "as base64 somewhere: " .. type, { note = pictures.encode(pictures.bytes(type)) } }
    end
end

local function as_answer(case)
    return { status = case[2], body = case[3], headers = { "retry-after-ms: 5" } }
end

describe("what is certainly not billed", function()
    for _, case in ipairs(safe) do
        it("is sent again: " .. case[1], function()
            local response, _, seen = ask(as_answer(case))
            assert.same({ 2, 2 }, { seen, response and response.attempts })
        end)

        it("is said: " .. case[1], function()
            local _, err, seen = ask(as_answer(case), { retry = "none" })
            assert.same({ 1, false }, { seen, err.maybe_billed })
        end)
    end
end)

describe("what may have been billed", function()
    for _, case in ipairs(risky) do
        it("is not sent again: " .. case[1], function()
            local response, err, seen = ask(as_answer(case))
            assert.is_nil(response)
            assert.same({ 1, 1, true }, { seen, err.attempts, err.maybe_billed })
            assert.is_true(err.kind == "rate_limit" or err.kind == "server_error", err.kind)
            assert.is_true(#err.message < 512)
        end)

        it("is sent again where the caller wants that: " .. case[1], function()
            local response, _, seen = ask(as_answer(case), { retry = "all" })
            assert.same({ 2, 2 }, { seen, response and response.attempts })
        end)
    end

    it("is warned of", function()
        local _, err = ask(as_answer(risky[1]))
        assert.equal("it may have been drawn, so trying again may cost twice", err.advice)
    end)
end)

describe("a picture with an error's status", function()
    -- Where responses have pictures.
    local read = {
        ["in data"] = true, ["in data, an error beside it"] = true, ["in a chat's answer"] = true, ["in Markdown"] = true,
        ["in Gemini's answer"] = true, ["in a list of documents"] = true, ["behind many words"] = true,
        ["of a few megabytes"] = true, ["as an event"] = true,
    }
    local directory = command.new_directory()
    teardown(function()
        command.remove_directory(directory)
    end)

    for _, case in ipairs(made) do
        it("was made, and is not asked for again: " .. case[1], function()
            local path = directory .. "/body"
            command.write(path, type(case[2]) == "table" and cjson.encode(case[2]) or case[2])
            for _, status in ipairs { 429, 503, 500, 409, 408 } do
                local _, err, seen = ask { status = status, file = path, headers = { "content-type: " .. (case[3] or "application/json"), "retry-after: 0" } }
                assert.same({ 1, 1, true, status }, { seen, err.attempts, err.maybe_billed, err.status })
                assert.is_nil(tostring(err):find "[%z\1-\31\127]")
            end
            local response, err, seen = ask({ status = 429, file = path, headers = { "retry-after-ms: 5" } }, { retry = "all" })
            if read[case[1]] then -- it came: there is nothing to ask for again
                assert.same({ 1, 1 }, { seen, #err.data })
                assert.is_true(err.data[1].bytes:sub(1, #pictures.bytes "png") == pictures.bytes "png")
            else
                assert.same({ 2, 2 }, { seen, response and response.attempts })
            end
        end)
    end

    it("was made where the request is said to be wrong, too", function()
        for _, status in ipairs { 400, 401, 402, 403, 404, 413, 422, 451 } do
            local _, err, seen = ask { status = status, body = cjson.encode { error = { message = "no" }, data = { { b64_json = BASE64 } } } }
            assert.same({ 1, true }, { seen, err.maybe_billed })
        end
    end)

    it("is the caller's own where a wrong request is told back", function()
        local detail = { { type = "too_long", msg = "Too long", input = { image = "data:image/png;base64," .. BASE64 } } }
        local _, err, seen = ask { status = 422, body = cjson.encode { detail = detail } }
        assert.same({ 1, "invalid_request", false, "Too long" }, { seen, err.kind, err.maybe_billed, err.message })
    end)

    it("is none where base64 is a word or two", function()
        for _, words in ipairs { "iVBORw0KGgo", "UklGR", "see /9j/4AAQSkZJRgABAQAAAQAB", "https://example.com/9j/" .. ("a"):rep(50), ("a"):rep(100) } do
            local response, _, seen = ask { status = 429, body = litellm("slow down: " .. words, 429), headers = { "retry-after-ms: 5" } }
            assert.same({ 2, 2 }, { seen, response and response.attempts })
        end
    end)
end)

describe("what is hopeless", function()
    for _, case in ipairs(hopeless) do
        it("is asked once: " .. case[1], function()
            local _, err, seen = ask(as_answer(case), { retry = "all" })
            assert.same({ 1, case[4], false }, { seen, err.kind, err.maybe_billed })
        end)
    end
end)

describe("the cost", function()
    it("is a number, or nothing", function()
        for text, cost in pairs {
            ["0.04"] = 0.04, ["1e-05"] = 1e-05, ["0"] = 0, ["1e400"] = false, ["-0.04"] = false, nan = false, inf = false, ["-inf"] = false,
            [("9"):rep(400)] = false, [""] = false, ["0.04 USD"] = 0.04,
        } do
            local response = assert(client:generate { prompt = "x", extra_body = { mirror = { body = GOOD.body,
                headers = { "x-litellm-response-cost: " .. text } } } })
            assert.equal(cost or nil, response.cost, text)
        end
    end)
end)

describe("the wait", function()
    -- name, what the answer says, and how long: nil is as long as anyone's guess
    local cases = {
        { "words", "Please try again in 50ms", nil, 0.05 },
        { "words of minutes", "Please try again in 1m30s", nil, 90 },
        { "words that nobody means", "Please try again in 99999999999 hours", nil, nil },
        { "a header before words", "Please try again in 70s", "retry-after: 90", 90 },
        { "milliseconds before seconds", "x", { "retry-after: 90", "retry-after-ms: 70500" }, 70.5 },
        { "milliseconds that are none, behind seconds", "x", { "retry-after: 90", "retry-after-ms: soon" }, 90 },
        { "milliseconds below nothing, behind seconds", "x", { "retry-after: 90", "retry-after-ms: -1" }, 90 },
        { "a fraction", "x", "retry-after: 1.5", 1.5 },
        { "units in a header", "x", "retry-after: 1m30s", 90 },
        { "a header below nothing", "x", "retry-after: -5", nil },
        { "a header that is no number", "x", "retry-after: nan", nil },
        { "a header without end", "x", "retry-after: inf", nil },
        { "a header too large", "x", "retry-after: 1e400", nil },
        { "a header of a hundred digits", "x", "retry-after: " .. ("9"):rep(100), nil },
        { "a date that has passed", "x", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT", 0 },
        { "a moment that has passed", "x", "retry-after: 2020-01-01T00:00:00Z", 0 },
        { "a moment in years", "x", "retry-after: 2999-01-01T00:00:00Z", nil },
        { "a number of Python's", "x", "retry-after: 1e1", nil },
        { "a number of C's", "x", "retry-after: 0x10", nil },
        { "a number with a comma", "x", "retry-after: 1,5", nil },
        { "a limit's reset", "x", "x-ratelimit-reset-requests: 1m0.5s", 60.5 },
        { "the larger of two resets", "x", { "x-ratelimit-reset-requests: 1s", "x-ratelimit-reset-tokens: 90s" }, 90 },
        { "the reset of what is spent", "x", { "x-ratelimit-reset-requests: 1s", "x-ratelimit-reset-tokens: 90s",
            "x-ratelimit-remaining-requests: 0", "x-ratelimit-remaining-tokens: 7" }, 1 },
        { "words before a limit's reset", "Try again in 70s", "x-ratelimit-reset-requests: 90s", 70 },
        { "a reset that has passed", "x", "x-ratelimit-reset: 1741305600000", 0 },
        { "a reset of upstream's", "x", "llm_provider-x-ratelimit-reset-requests: 90s", 90 },
    }
    for _, case in ipairs(cases) do
        it("is that of " .. case[1], function()
            local headers = type(case[3]) == "table" and case[3] or { case[3] }
            local _, err = ask({ status = 429, body = litellm(case[2], 429), headers = headers }, { retry = "none" })
            assert.equal(case[4], err.retry_after)
        end)
    end

    it("is that of a moment in seconds or milliseconds", function()
        for _, unit in ipairs { 1, 1000 } do
            local _, err = ask({ status = 429, body = "", headers = { ("x-ratelimit-reset: %.0f"):format((os.time() + 600) * unit) } },
                { retry = "none" })
            assert.is_true(err.retry_after > 590 and err.retry_after <= 600, tostring(err.retry_after))
        end
    end)

    it("is kept", function()
        local response, _, seen = ask { status = 429, body = litellm("Please try again in 50ms", 429) }
        assert.same({ 2, 2 }, { seen, response and response.attempts })
    end)

    it("of more than a minute is an error", function()
        local _, err, seen = ask { status = 429, body = litellm("Please try again in 2 minutes", 429) }
        assert.same({ 1, 120 }, { seen, err.retry_after })
    end)

    it("is not told of what does not pass, whoever tells it", function()
        for _, case in ipairs(hopeless) do
            local answer = as_answer(case)
            answer.headers = { "retry-after: 20", "x-ratelimit-reset-requests: 30s" }
            local _, err = ask(answer)
            if case[4] ~= "permission_denied" then
                assert.is_nil(err.retry_after)
                assert.is_nil(tostring(err):find "retry after")
            end
        end
        local _, err = ask({ status = 413, body = "too large for now", headers = { "retry-after: 20" } })
        assert.equal(20, err.retry_after)
    end)

    it("is not told where words alone speak of it", function()
        for status, message in pairs { [400] = "wait 5 seconds", [402] = "wait 5 seconds", [408] = "Connection timed out, wait 5 seconds" } do
            local _, err = ask({ status = status, body = message }, { retry = "none" })
            assert.is_nil(err.retry_after)
        end
    end)
end)

describe("a limit's own time", function()
    local function reset(seconds)
        local moment = os.date("!%Y-%m-%d %H:%M:%S", os.time() + seconds)
        local _, err = ask({ status = 429, body = litellm("429: Rate limit exceeded for api_key: x. Limit type: requests. Limit resets at: "
            .. moment .. " UTC", 429) }, { retry = "none" })
        return err.retry_after
    end

    it("is believed", function()
        local wait = reset(50)
        assert.is_true(wait > 40 and wait <= 50, tostring(wait))
    end)

    it("is no time of another zone", function()
        for _, hours in ipairs { 7, 9, 5.5, 5.75, -5, -8, 14 } do
            local wait = reset(hours * 3600 + 50)
            assert.is_true(wait > 40 and wait <= 50, tostring(wait))
        end
    end)

    it("is nothing where it cannot be right", function()
        for _, seconds in ipairs { 7 * 3600 + 300, -300, 7 * 3600 - 300, 365 * 86400 + 450, -86400 * 300 + 450 } do
            assert.is_nil(reset(seconds))
        end
    end)
end)

describe("a limit of requests at a time", function()
    local LIMIT = { status = 429, headers = { "retry-after: 60" }, body = litellm("429: Rate limit exceeded for api_key: x. Limit type: "
        .. "max_parallel_requests. Current limit: 10, Remaining: 0. Limit resets at: 2030-01-01 00:00:00 UTC", 429) }

    it("is over in a moment, whatever the minute's limit says", function()
        local response, _, seen = ask(LIMIT)
        assert.same({ 2, 2 }, { seen, response and response.attempts })
        local _, err = ask(LIMIT, { retry = "none" })
        assert.same({ 1, false }, { err.retry_after, err.maybe_billed })
    end)
end)

-- Each as the stand-in for the gateway sends it, on every route that it has there.
describe("the emulator's", function()
    local own

    fixtures.emulator_client(function(_, started) own = started end, { max_retries = 1 })

    -- model, kind, status, may be billed, requests under "safe"; the wait, a part of the advice; the routes if not all
    local ALL, LITELLM = { "images", "chat", "gemini" }, { "images", "chat" }
    local models = {
        { "no-quota", "budget_exceeded", 429, false, 1, nil, "waiting does not help" },
        { "billing-limit", "budget_exceeded", 400, false, 1 },
        { "402", "budget_exceeded", 402, false, 1 },
        { "budget-422", "budget_exceeded", 422, false, 1 },
        { "budget-team", "budget_exceeded", 400, false, 1 },
        { "budget-user", "budget_exceeded", 400, false, 1 },
        { "retry-delay/90", "rate_limit", 429, false, 1, 90.08 },
        { "try-again/1m30s", "rate_limit", 429, false, 1, 90 },
        { "try-again/50ms", "rate_limit", 429, false, 2, 0.05 },
        { "parallel", "rate_limit", 429, false, 2, 1 },
        { "crossed", "rate_limit", 429, false, 2 },
        { "overloaded", "server_error", 500, false, 2, nil, nil, LITELLM },
        { "overloaded", "server_error", 503, false, 2, nil, nil, { "gemini" } },
        { "upstream-401", "server_error", 401, false, 1, nil, "gateway's own key", { "gemini" } },
        { "billed-answer", "rate_limit", 429, true, 1, nil, "cost twice", LITELLM },
        { "billed-500", "rate_limit", 429, true, 1, nil, "cost twice", LITELLM },
        { "billed-picture", "rate_limit", 429, true, 1, nil, "cost twice" },
        { "billed-quota", "rate_limit", 429, true, 1, nil, "cost twice", LITELLM },
        { "200-402", "budget_exceeded", 402, false, 1 },
        { "200-403", "permission_denied", 403, false, 1 },
        { "200-429", "rate_limit", 429, false, 2 },
        { "200-502", "server_error", 502, true, 1 },
        { "200-503", "server_error", 503, false, 2 },
        { "choice-error", "server_error", 502, true, 1, nil, nil, { "chat" } },
        { "event-error", "server_error", 500, true, 1, nil, nil, { "chat" } },
        { "listed", "invalid_request", 400, false, 1 },
        { "errors", "invalid_request", 400, false, 1 },
        { "code-message", "server_error", 200, true, 1 },
        { "no-success", "server_error", 200, true, 1 },
        { "policy-code", "content_policy", 400, false, 1 },
        { "moderated", "content_policy", 400, false, 1 },
        { "filter-code", "content_policy", 400, false, 1 },
        { "filter-result", "content_policy", 400, false, 1 },
        { "sentence", "content_policy", 400, false, 1 },
        { "sentence-403", "content_policy", 403, false, 1 },
        { "unmoderated", "content_policy", 200, true, 1, nil, nil, { "images" } },
    }
    for _, case in ipairs(models) do
        for _, via in ipairs(case[8] or ALL) do
            it(("%s via %s"):format(case[1], via), function()
                local response, err = own:generate { prompt = "x", model = "emulate/" .. case[1], via = via }
                assert.is_nil(response)
                assert.same({ case[2], case[3], case[4], case[5] }, { err.kind, err.status, err.maybe_billed, err.attempts }, tostring(err))
                assert.is_true(case[6] == err.retry_after or math.abs(case[6] - err.retry_after) < 1e-6)
                assert.is_truthy((err.advice or ""):find(case[7] or "", 1, true))
            end)
        end
    end

    it("reset time of another zone is what is left of the minute", function()
        local _, err = own:generate { prompt = "x", model = "emulate/resets-7h", retry = "none" }
        assert.is_true(err.retry_after > 50 and err.retry_after <= 60, tostring(err.retry_after))
    end)
end)

-- It was made, and may have been billed: it is in err.data, and whoever takes pictures as they come gets it.
describe("a picture with the status of an error", function()
    local directory
    fixtures.directory(function(path) directory = path end)

    local function refused(via, groups)
        local body = routes.answer(via, { routes.base64(groups) })
        return body:gsub("^{", '{"error":{"message":"Rate limit exceeded","code":"429"},', 1)
    end

    for _, status in ipairs { 429, 500, 503 } do
        for _, via in ipairs(routes.names) do
            it(("is in err.data: %d via %s"):format(status, via), function()
                for _, groups in ipairs { 0, 500000 } do
                    local seen = {}
                    local response, err, count = ask({ status = status, body = refused(via, groups) },
                        { via = via, model = "any/model", on_image = function(image) seen[#seen + 1] = image.bytes end })
                    assert.is_nil(response)
                    assert.same({ status, true, 1, 1 }, { err.status, err.maybe_billed, err.attempts, count })
                    assert.equal(1, #err.data)
                    assert.is_true(err.data[1].bytes == routes.bytes(groups) and seen[1] == err.data[1].bytes)
                    assert.is_nil(err.data[1].complete)
                end
            end)
        end
    end

    it("is saved, and goes to a sink", function()
        local path, chunks = directory .. "/made", {}
        local _, err = ask({ status = 429, body = refused("images", 3000) }, { save = path })
        assert.equal(path .. ".png", err.data[1].path)
        assert.is_true(command.read(path .. ".png") == routes.bytes(3000))
        _, err = ask({ status = 429, body = refused("images", 3000) }, { sink = function(_, chunk)
            chunks[#chunks + 1] = chunk or "the end"
        end })
        assert.equal("rate_limit", err.kind)
        assert.is_true(table.concat(chunks) == routes.bytes(3000) .. "the end")
    end)

    it("is kept as far as it came, and is no picture where words only speak of one", function()
        local _, err = ask { status = 500, body = '{"error":{"message":"no"},"data":[{"b64_json":"' .. BASE64:sub(1, 4000) .. '"}]}' }
        assert.equal(1, #err.data)
        assert.is_false(err.data[1].complete)
        _, err = ask { status = 500, body = cjson.encode { error = { message = "cannot read " .. BASE64:sub(1, 400) } } }
        assert.is_nil(err.data)
    end)

    it("is among the pictures where others are whole", function()
        local response = ask({ status = 429, body = refused("chat", 1) }, { via = "chat", model = "any/model", n = 2 })
        assert.equal(2, #response.data)
        assert.equal("rate_limit", response.errors[1].kind)
    end)
end)

-- Between two attempts nothing is under way; the one before may have been billed.
describe("a request that is ended between two attempts", function()
    for _, case in ipairs {
        { "no answer", { pieces = {} }, true }, { "500", { status = 500, body = "" }, true }, { "a limit", { status = 429, body = "" }, false },
    } do
        it("says what became of the one before: " .. case[1], function()
            for _, finish in ipairs { "cancel", "close" } do
                local own = requests.client(mirror, { retry = "all" })
                local request = assert(own:submit { prompt = "x", extra_body = { mirror = case[2] } })
                while request:status() ~= "retrying" do
                    own:poll(0.01)
                end
                local ender = finish == "cancel" and request or own
                ender[finish](ender)
                local _, err = request:wait()
                assert.same({ "cancelled", case[3] }, { err.kind, err.maybe_billed }, finish)
                own:close()
            end
        end)
    end
end)
