-- Too many requests, and no money: what services and gateways say, and how long they make a client wait. Some
-- responses look like limits, but the request was billed.

local account = require "thucchien.emulator.account"
local responses = require "thucchien.emulator.responses"
local base64 = require "thucchien.emulator.base64"

local limits = {}

local LITELLM, GEMINI = { images = true, chat = true }, { gemini = true }

local KEY_HASH = "8f3b6c2de0a94c7f5b1d8e6a3c9f0b7d2e4a6c8f1b3d5e7a9c0f2b4d6e8a1c3f"
local VIETNAM = 7 * 3600 -- the service's local clock, which its gateway calls UTC

local function says(name, about, status, message, code, kind)
    return {
        name = name, about = about, counted = true,
        respond = function()
            return responses.new(status, ('{"error":{"message":%s,"type":%s,"param":null,"code":%s}}'):format(
                responses.quote(message), responses.quote(kind), code))
        end,
    }
end

-- LiteLLM's own words.
local function gateway(name, about, status, message, kind)
    return {
        name = name, about = about, counted = true,
        respond = function() return responses.error(status, message, kind or "None", kind and nil or "None") end,
    }
end

-- An error of the service behind LiteLLM, in LiteLLM's words. On the Gemini route it does not read such errors.
local function wrapped(name, about, status, message, kind)
    return {
        name = name, about = about, counted = true, via = LITELLM,
        respond = function(call)
            return responses.upstream_error(status, type(message) == "function" and message(call) or message, kind,
                call.kind.name)
        end,
    }
end

-- Google's words: on the Gemini route as they are, on the others inside LiteLLM's.
local function google(name, about, status, via_litellm, message, code, state)
    local said = responses.google_error(code, message, state)
    return {
        name = name, about = about, counted = true,
        respond = function(call)
            if call.via == "gemini" then return responses.error(code, said, "None", "None") end
            return responses.upstream_error(status, via_litellm .. " - " .. said, nil, call.kind.name)
        end,
    }
end

local QUOTA = '{\n  "error": {\n    "code": 429,\n    "message": %s,\n    "status": "RESOURCE_EXHAUSTED",\n'
    .. '    "details": [\n      {\n        "@type": "type.googleapis.com/google.rpc.QuotaFailure",\n'
    .. '        "violations": [ { "quotaId": "GenerateRequestsPerMinutePerProjectPerModel" } ]\n      },\n'
    .. '      {\n        "@type": "type.googleapis.com/google.rpc.RetryInfo",\n        "retryDelay": "%ds"\n'
    .. '      }\n    ]\n  }\n}\n'

-- Google's limit of a minute, which speaks of quota and plan, and says how long to wait in two places.
local function retry_delay(call)
    local seconds = math.min(tonumber(call.argument) or 37, 86400)
    local said = QUOTA:format(responses.quote(("You exceeded your current quota, please check your plan and billing "
        .. "details. Quota exceeded for metric: generate_content_requests, limit: 10\nPlease retry in %.8fs."):format(
        seconds + 0.08)), math.floor(seconds))
    if call.via == "gemini" then return responses.error(429, said, "None", "None") end
    return responses.upstream_error(429, "litellm.RateLimitError: litellm.RateLimitError: vertex_aiException - "
        .. said, "throttling_error", call.kind.name)
end

-- A response that LiteLLM could not read: the picture was made, and its base64, which holds "429" somewhere, is in
-- the message.
local function unreadable(call)
    local bytes = ("\227\221\189\66\153\17\8\254\31"):rep(40000) -- 4290 in base64, among others
    return ("litellm.RateLimitError: RateLimitError: OpenAIException - Invalid response object Traceback (most "
        .. "recent call last):\n  File \"/app/litellm/litellm_core_utils/llm_response_utils/convert_dict_to_response.py"
        .. "\", line 466, in convert_to_model_response_object\n    message = Message(**choice[\"message\"])\n"
        .. "pydantic_core.ValidationError: 1 validation error for Message\nimages.0.index\n  Field required\n\n"
        .. "received_args={'response_object': {'choices': [{'message': {'images': [{'image_url': {'url': "
        .. "'data:image/png;base64,%s%s'}}]}}]}}"):format(call.stamps()[1].b64_json, base64.encode(bytes) .. "4290")
end

-- The picture, with the status of a refusal and an error beside it.
local function made_all_the_same(call)
    local response = call.success(call.stamps())
    response.status = 429
    response.body = response.body:gsub("{", '{"error":{"message":"Rate limit exceeded","code":"429"},', 1)
    return response
end

local function parallel(call)
    return account.rate_limit(call.via, KEY_HASH, 10, call.now + 60, "max_parallel_requests")
end

---Models that answer with these.
---@type thucchien.emulator.failure[]
limits.models = {
    -- no money
    says("no-quota", "429, code insufficient_quota", 429, "You exceeded your current quota, please check your plan and "
        .. "billing details.", '"insufficient_quota"', "insufficient_quota"),
    says("billing-limit", "400, code billing_hard_limit_reached", 400, "Billing hard limit has been reached",
        '"billing_hard_limit_reached"', "invalid_request_error"),
    says("402", "402: no credits", 402, "Insufficient credits. Add more and try again.", "402"),
    gateway("budget-422", "422: the key's budget is spent, newer gateways", 422,
        "Budget has been exceeded! Current cost: 50.01, Max budget: 50.0", "budget_exceeded"),
    gateway("budget-team", "400: the team's budget is spent", 400,
        "Budget has been exceeded! Team=artists Current cost: 500.2, Max budget: 500.0", "budget_exceeded"),
    gateway("budget-user", "400: the user's budget is spent", 400,
        "ExceededBudget: User=default_user_id over budget. Spend=20.04, Budget=20.0", "budget_exceeded"),
    -- limits that cost nothing
    { name = "retry-delay", about = "429: Google's quota of a minute, 37 seconds, /S", respond = retry_delay },
    {
        name = "try-again", about = '429: "Please try again in 12s", or /1m30s …',
        respond = function(call)
            local wait = (call.argument or "") ~= "" and call.argument or "12s"
            return responses.new(429, ('{"error":{"message":%s,"type":"requests","param":null,"code":'
                .. '"rate_limit_exceeded"}}'):format(responses.quote("Rate limit reached for images per minute in "
                .. "organization org-0123. Limit: 5 / 1min. Please try again in " .. wait .. ".")))
        end,
    },
    {
        name = "resets-7h", about = "429: a reset time that is seven hours off",
        respond = function(call) return account.rate_limit(call.via, KEY_HASH, 20, call.now + 60 + VIETNAM) end,
    },
    { name = "parallel", counted = true, about = "429: too many requests at once", respond = parallel },
    gateway("crossed", "429: a limiter's older words", 429, "LiteLLM Rate Limit Handler for rate limit type = key. "
        .. "Crossed TPM / RPM / Max Parallel Request Limit. current rpm: 20, rpm limit: 20, current tpm: 0, tpm limit: "
        .. "9223372036854775807"),
    google("overloaded", "500: Google says that the model is overloaded", 500,
        "litellm.InternalServerError: Vertex_aiException InternalServerError",
        "The model is overloaded. Please try again later.", 503, "UNAVAILABLE"),
    {
        name = "upstream-401", about = "401: Google refuses the gateway's own key", via = GEMINI,
        respond = function()
            return responses.new(401, responses.google_error(401, "Request had invalid authentication credentials.",
                "UNAUTHENTICATED"))
        end,
    },
    -- 429s that may have been billed
    wrapped("billed-answer", "429: a response that the gateway could not read", 429, unreadable),
    wrapped("billed-500", '429: an error whose request ID holds "429"', 429, "litellm.RateLimitError: RateLimitError: "
        .. "OpenAIException - The server had an error while processing your request. Sorry about that! You can retry "
        .. "your request, or contact us if the error persists (request ID a429f0)."),
    { name = "billed-picture", about = "429: and the picture all the same", respond = made_all_the_same },
    google("billed-quota", "429: Google's 500 that speaks of a quota", 429,
        "litellm.RateLimitError: litellm.RateLimitError: vertex_aiException",
        "Internal error encountered. Quota exceeded for a dependency.", 500, "INTERNAL"),
}

return limits
