-- Refusals as services and gateways really send them: what each becomes, over real HTTP.

local cjson = require "cjson"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"

local PICTURE = '{"b64_json":"QUJD"}'

local GIF = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\1;\0;" -- of ASCII alone

local mirror, client

fixtures.client(function(...) mirror, client = ... end)

local function ask(answer, params)
    params = params or {}
    params.prompt, params.retry = "x", "none"
    params.extra_body = { mirror = answer }
    return client:generate(params)
end

local function json(value)
    return (cjson.encode(value):gsub("\\/", "/"))
end

-- The usual shape, {"error": {…}}.
local function wrapped(message, code, type, more)
    local err = { message = message, code = code or cjson.null, type = type or cjson.null, param = cjson.null }
    for name, value in pairs(more or {}) do
        err[name] = value
    end
    return json { error = err }
end

-- Google's, where Python reads ours: details are a list.
local function google(code, status, message, details)
    return wrapped(message, code, nil, { status = status, details = details })
end

local MODELS = "thucchien models"
local OWN_KEY = "gateway's own key"

-- Each: name, status, body, kind, and what else is to be seen: wait, billed, said (a pattern), code, advice (a
-- pattern), becomes (the status that the body names), headers.
local services = {
    { "OpenAI: images a minute", 429, wrapped("Rate limit reached for gpt-image-1 in organization org-x on images per min: "
        .. "Limit 5, Used 5, Requested 1. Please try again in 12s. Visit https://platform.openai.com to learn more.",
        "rate_limit_exceeded", "images"), "rate_limit", wait = 12, code = "rate_limit_exceeded" },
    { "OpenAI: requests a day", 429, wrapped("Rate limit reached on requests per day. Please try again in 1h5m0s.", nil,
        "requests"), "rate_limit", wait = 3900 },
    { "OpenAI: an empty account", 429, wrapped("You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota", "insufficient_quota"), "budget_exceeded", advice = "waiting does not help" },
    { "OpenAI: an empty account, its code lost", 429, wrapped("litellm.RateLimitError: RateLimitError: OpenAIException - You "
        .. "exceeded your current quota, please check your plan and billing details.", "429", "throttling_error"), "budget_exceeded" },
    { "OpenAI: the hard limit", 400, wrapped("Billing hard limit has been reached", "billing_hard_limit_reached",
        "invalid_request_error"), "budget_exceeded" },
    { "OpenAI: an account that is not active", 429, wrapped("Your account is not active, please check your billing details "
        .. "on our website.", "billing_not_active", "billing_not_active"), "budget_exceeded" },
    { "OpenAI: moderation", 400, wrapped("Your request was rejected as a result of our safety system.", "moderation_blocked",
        "image_generation_user_error"), "content_policy" },
    { "OpenAI: content policy", 400, wrapped("This request has been blocked by our content filters.",
        "content_policy_violation"), "content_policy", code = "content_policy_violation" },
    { "OpenAI: no word but the code", 400, wrapped("", "moderation_blocked"), "content_policy", said = "^moderation_blocked$" },
    { "OpenAI: a wrong value for moderation", 400, wrapped("Invalid value: 'off'. Supported values are: 'low' and 'auto'.",
        "invalid_value", "invalid_request_error", { param = "moderation" }), "invalid_request" },
    { "OpenAI: an unknown model", 404, wrapped("The model `x` does not exist or you do not have access to it.",
        "model_not_found", "invalid_request_error"), "invalid_request", advice = MODELS },
    { "OpenAI: an unknown path", 404, wrapped("Invalid URL (POST /v1/image)", nil, "invalid_request_error"), "not_found" },
    { "OpenAI: not verified", 403, wrapped("Your organization must be verified to use the model `gpt-image-1`.",
        nil, "invalid_request_error"), "permission_denied" },
    { "OpenAI: its own trouble", 500, wrapped("The server had an error while processing your request. Sorry about that!",
        nil, "server_error"), "server_error", billed = true },
    { "OpenAI: overloaded", 503, wrapped("The engine is currently overloaded, please try again later", nil, "server_error"),
        "server_error" },
    { "OpenAI: a limit told by headers only", 429, wrapped("Too many", nil), "rate_limit", wait = 360,
        headers = { "x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 6m0s", "x-ratelimit-remaining-tokens: 9",
            "x-ratelimit-reset-tokens: 1h" } },

    { "Azure: content policy, twice", 400, wrapped("Your request was rejected.", "content_policy_violation",
        "image_generation_user_error", { inner_error = { code = "ResponsibleAIPolicyViolation",
            content_filter_results = { violence = { filtered = true, severity = "high" } } } }), "content_policy" },
    { "Azure: contentFilter", 400, wrapped("Your task failed.", "contentFilter"), "content_policy" },
    { "Azure: the inner error's result only", 400, wrapped("The response was filtered", "400", nil, { innererror = {
        content_filter_result = { sexual = { filtered = true, severity = "high" } } } }), "content_policy" },
    { "Azure: the inner error's code only", 400, wrapped("No.", "400", nil, { innererror = {
        code = "ResponsibleAIPolicyViolation" } }), "content_policy" },
    { "Azure: a result that filtered nothing", 400, wrapped("Wrong size", "BadRequest", nil, { innererror = {
        content_filter_result = { hate = { filtered = false, severity = "safe" } } } }), "invalid_request" },
    { "Azure: its sentence only", 400, wrapped("The response was filtered due to the prompt triggering Azure OpenAI's content "
        .. "management policy."), "content_policy" },
    { "Azure: a rate limit", 429, wrapped("Requests to the ImageGenerations_Create Operation have exceeded call rate limit of "
        .. "your current OpenAI S0 pricing tier. Please retry after 26 seconds.", "429"), "rate_limit", wait = 26 },
    { "Azure: the same in milliseconds", 429, wrapped("Slow down.", "429"), "rate_limit", wait = 1.5,
        headers = { "retry-after: 2", "x-ms-retry-after-ms: 1500" } },
    { "Azure: a deployment that is not there", 404, wrapped("The API deployment for this resource does not exist. If you created "
        .. "it within the last 5 minutes, please wait a moment and try again.", "DeploymentNotFound"), "invalid_request",
        advice = MODELS },
    { "Azure: its gateway's limit", 429, json { statusCode = 429, message = "Rate limit is exceeded. Try again in 30 seconds." },
        "rate_limit", wait = 30, code = 429 },
    { "Azure: its gateway's key", 401, json { statusCode = 401, message = "Access denied due to invalid subscription key." },
        "authentication" },

    { "Google: in a list", 400, "[" .. google(400, "INVALID_ARGUMENT", "Invalid value at 'contents'") .. "]", "invalid_request",
        said = "^Invalid value at 'contents'$", code = 400 },
    { "Google: in a list, over lines", 400, "[{\n  \"error\": {\n    \"code\": 400,\n    \"message\": \"No.\"\n  }\n}\n]\n",
        "invalid_request", said = "^No$" },
    { "Google: a minute's limit", 429, google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan "
        .. "and billing details.", { { ["@type"] = "type.googleapis.com/google.rpc.RetryInfo", retryDelay = "37s" } }),
        "rate_limit", wait = 37 },
    { "Google: a minute's limit, in words", 429, google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check "
        .. "your plan and billing details. \n* Quota exceeded for metric: x, limit: 2\nPlease retry in 37.08s."), "rate_limit",
        wait = 37.08 },
    { "Google: both", 429, google(429, "RESOURCE_EXHAUSTED", "Quota. Please retry in 37.08s.", { { retryDelay = "37s" } }),
        "rate_limit", wait = 37.08 },
    { "Google: a metric's quota, no wait", 429, google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.\n* Quota "
        .. "exceeded for metric: generate_content_free_tier_requests, limit: 0"), "rate_limit" },
    { "Google: prepaid and spent", 429, google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go to AI "
        .. "Studio to manage your project and billing."), "budget_exceeded" },
    { "Google: a key that is wrong", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
        { { reason = "API_KEY_INVALID", domain = "googleapis.com" } }), "server_error", advice = OWN_KEY },
    { "Google: a key that has expired", 400, google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
        "server_error", advice = OWN_KEY },
    { "Google: not authenticated", 401, google(401, "UNAUTHENTICATED", "Request is missing required authentication credential."),
        "server_error", advice = OWN_KEY },
    { "Google: the same in the gateway's error", 401, wrapped(google(401, "UNAUTHENTICATED", "Request had invalid authentication "
        .. "credentials."), "401", "None"), "server_error", advice = OWN_KEY },
    { "Google: a project without the API", 403, google(403, "PERMISSION_DENIED", "Generative Language API has not been used in "
        .. "project 1 before or it is disabled.", { { reason = "SERVICE_DISABLED" } }), "server_error", advice = OWN_KEY },
    { "Google: too late", 504, google(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        "server_error", billed = true },
    { "Google: of old", 403, json { error = { code = 403, message = "User Rate Limit Exceeded",
        errors = { { domain = "usageLimits", reason = "userRateLimitExceeded", message = "User Rate Limit Exceeded" } } } }, "rate_limit" },
    { "Google: of old, without a message of its own", 400, json { error = { errors = { { reason = "invalid", message = "Bad width" } } } },
        "invalid_request", said = "^Bad width$" },

    { "AWS: throttling", 400, json { __type = "ThrottlingException", message = "Rate exceeded" }, "rate_limit",
        code = "ThrottlingException" },
    { "AWS: too many", 429, json { message = "Too many requests, please wait before trying again." }, "rate_limit" },
    { "AWS: content filters", 400, json { message = "This request has been blocked by our content filters. Our filters "
        .. "automatically flagged this prompt because it may conflict our AUP or AWS Responsible AI Policy." }, "content_policy" },
    { "AWS: no such model", 400, json { message = "The provided model identifier is invalid." }, "invalid_request", advice = MODELS },
    { "AWS: no right", 403, json { Message = "User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:InvokeModel" },
        "permission_denied", said = "^User: arn" },
    { "AWS: XML", 503, '<?xml version="1.0"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
        "server_error", said = "^Please reduce your request rate$" },

    { "Cloudflare: its API", 403, '{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}',
        "permission_denied", said = "^Authentication error$", code = 10000 },
    { "Cloudflare: Workers AI", 400, '{"errors":[{"message":"AiError: Input prompt contains NSFW content.","code":3030}],'
        .. '"success":false,"result":{},"messages":[]}', "content_policy" },
    { "Cloudflare: 1015", 429, json { type = "https://developers.cloudflare.com/x", title = "Error 1015: You are being rate limited",
        status = 429, detail = "You are being rate limited by the website owner's configuration.", error_code = 1015,
        retryable = true, retry_after = 30 }, "rate_limit", wait = 30, said = "^You are being rate limited by" },
    { "Cloudflare: 524", 524, "<!DOCTYPE html><html><head><title>api.example | 524: A timeout occurred</title></head></html>",
        "server_error", billed = true, said = "^api.example | 524: A timeout occurred$" },

    { "nginx: limit_req", 503, "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n</body></html>",
        "server_error", said = "^503 Service Temporarily Unavailable$" },
    { "nginx: 429", 429, "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n</html>", "rate_limit" },
    { "Kong: rate limit", 429, json { message = "API rate limit exceeded" }, "rate_limit", wait = 43,
        headers = { "RateLimit-Remaining: 0", "RateLimit-Reset: 43" } },
    { "Kong: no key", 401, json { message = "No API key found in request" }, "authentication" },
    { "Kong: a wrong key", 401, json { message = "Invalid authentication credentials" }, "authentication" },
    { "Kong: upstream gone", 502, json { message = "An invalid response was received from the upstream server" }, "server_error",
        billed = true },
    { "Apigee: quota", 429, json { fault = { faultstring = "Rate limit quota violation. Quota limit exceeded.",
        detail = { errorcode = "policies.ratelimit.QuotaViolation" } } }, "rate_limit", said = "^Rate limit quota violation" },
    { "words: wait", 429, "Too many requests, retry in 5 seconds", "rate_limit", wait = 5 },
    { "words: moderation", 400, "Rejected by content moderation", "content_policy" },

    { "FastAPI: an error in the detail", 500, json { detail = { error = { message = "broken", code = "x" } } }, "server_error",
        said = "^broken$", code = "x", billed = true },
    { "Django: throttled", 429, json { detail = "Request was throttled. Expected available in 5 seconds." }, "rate_limit", wait = 5 },
    { "Spring", 429, json { timestamp = "2026-11-26T00:00:00Z", status = 429, error = "Too Many Requests",
        message = "wait 9 seconds", path = "/" }, "rate_limit", wait = 9, said = "^Too Many Requests: wait 9 seconds$" },
    { "Fastify", 403, json { statusCode = 403, error = "Forbidden", message = "no" }, "permission_denied", said = "^Forbidden: no$" },
    { "OAuth", 401, json { error = "invalid_token", error_description = "The token expired" }, "authentication" },

    { "Replicate: no credit", 402, json { title = "Insufficient credit", detail = "You have insufficient credit to run this model.",
        status = 402 }, "budget_exceeded", said = "^You have insufficient credit" },
    { "Replicate: throttled", 429, json { detail = "Request was throttled. Your rate limit is reduced to 6 requests per minute with a "
        .. "burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~7s.", status = 429 },
        "rate_limit", wait = 7 },
    { "in Vietnamese", 400, '{"error": {"message": "Y\\u00eau c\\u1ea7u vi ph\\u1ea1m ch\\u00ednh s\\u00e1ch an to\\u00e0n"}}', "content_policy" },
    { "in Chinese", 400, '{"error": {"message": "\\u5185\\u5bb9\\u5ba1\\u6838\\u4e0d\\u901a\\u8fc7"}}', "content_policy" },
    { "in Chinese, sensitive", 400, '{"error": {"message": "\\u60a8\\u7684\\u8f93\\u5165\\u5305\\u542b\\u654f\\u611f\\u5185\\u5bb9"}}', "content_policy" },
    { "sensitive, in a code", 400, json { error = { message = "no", code = "sensitive_content_detected" } }, "content_policy" },
    { "guardrails", 400, json { error = { message = "This prompt may violate our guardrails concerning similarity to third-party content" } },
        "content_policy" },
    { "Replicate: flagged", 200, json { status = "failed", output = cjson.null, error = "The input or output was flagged as "
        .. "sensitive. Please try again with different inputs. (E005)" }, "content_policy" },
    { "fal: content checker", 422, json { detail = { { loc = { "body", "prompt" }, msg = "The content could not be processed.",
        type = "content_policy_violation" } } }, "content_policy" },
    { "fal: balance", 403, json { detail = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai." },
        "budget_exceeded" },
    { "Stability: flagged", 403, json { id = "x", name = "content_moderation", errors = { "Your request was denied and you were "
        .. "not charged." } }, "content_policy", said = "^Your request was denied" },
    { "Stability: no credits", 402, json { name = "payment_required", errors = { "You lack sufficient credits." } }, "budget_exceeded" },
    { "Stability: timed out", 429, json { id = "x", name = "rate_limit_exceeded", errors = { "You have exceeded the rate limit of 150 "
        .. "requests within a 10 second period, and have been timed out for 60 seconds." } }, "rate_limit", wait = 60 },
    { "OpenRouter: more credits", 402, wrapped("This request requires more credits, or fewer max_tokens.", 402), "budget_exceeded" },
    { "OpenRouter: the provider's words", 429, wrapped("Provider returned error", 429, nil, { metadata = { provider_name = "Google",
        raw = '{"error":{"code":429,"message":"gemini is limited. Please retry in 4s."}}' } }), "rate_limit", wait = 4,
        said = "^gemini is limited" },
    { "OpenRouter: moderation", 403, wrapped("Your chosen model requires moderation and your input was flagged", 403, nil,
        { metadata = { reasons = { "violence" } } }), "content_policy" },
    { "OpenRouter: no such model", 400, wrapped("x/y is not a valid model ID", 400), "invalid_request", advice = MODELS },
    { "OpenRouter: no endpoints", 404, wrapped("No endpoints found for x/y.", 404), "invalid_request", advice = MODELS },
    { "OpenRouter: a day's limit", 429, wrapped("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests a day",
        429), "rate_limit" },
    { "xAI: moderation", 400, json { code = "invalid argument", error = "Generated image rejected by content moderation." },
        "content_policy", code = "invalid argument", said = "^Generated image rejected" },
    { "xAI: credits", 429, json { code = "Some resource has been exhausted", error = "Your team has either used all available credits "
        .. "or reached its monthly spending limit." }, "budget_exceeded" },
    { "xAI: no such model", 404, json { code = "Some requested entity was not found", error = "The model x does not exist or your team "
        .. "does not have access to it." }, "invalid_request", advice = MODELS },
    { "Together: a model's limit", 429, wrapped("You have reached the rate limit specific to this model. The maximum rate limit for "
        .. "this model is 6.0 queries per minute.", nil, "model_rate_limit"), "rate_limit" },
    { "Together: NSFW", 422, wrapped("NSFW content detected", nil, "invalid_request_error", { param = "prompt" }), "content_policy" },
    { "Anthropic: overloaded", 529, json { type = "error", error = { type = "overloaded_error", message = "Overloaded" } }, "server_error",
        billed = true },
    { "Anthropic: credit", 400, wrapped("Your credit balance is too low to access the API.", nil, "invalid_request_error"), "budget_exceeded" },
    { "Anthropic: a moment", 429, wrapped("This would exceed your rate limit", nil, "rate_limit_error"), "rate_limit", wait = 0,
        headers = { "anthropic-ratelimit-requests-remaining: 0", "anthropic-ratelimit-requests-reset: 2001-01-01T00:00:00Z" } },
    { "Black Forest Labs: moderated", 200, json { id = "x", status = "Request Moderated", result = cjson.null }, "content_policy",
        said = "^Request Moderated$" },
    { "Alibaba: inspection", 400, json { code = "DataInspectionFailed", message = "Input data may be off.", request_id = "x" }, "content_policy" },
    { "Alibaba: arrears", 400, json { code = "Arrearage", message = "Access denied." }, "budget_exceeded" },
    { "Alibaba: throttling", 429, json { code = "Throttling.RateQuota", message = "Requests rate limit exceeded." }, "rate_limit" },
    { "BytePlus: sensitive", 400, wrapped("The request failed.", "InputTextSensitiveContentDetected", "BadRequest"), "content_policy" },
    { "Volcengine: a nested error", 403, json { ResponseMetadata = { RequestId = "x", Error = { Code = "AccessDenied", Message = "no way" } } },
        "permission_denied", said = "^no way$", code = "AccessDenied" },
    { "MiniMax: balance", 200, json { data = {}, base_resp = { status_code = 1008, status_msg = "insufficient balance" } },
        "budget_exceeded", code = 1008 },
    { "New API: quota", 403, wrapped("quota", "insufficient_user_quota", "new_api_error"), "budget_exceeded" },
    { "vLLM: no such model", 404, json { object = "error", message = "The model `x` does not exist.", type = "NotFoundError", code = 404 },
        "invalid_request", advice = MODELS },
    { "Discord's way to say it", 429, json { message = "You are being rate limited.", retry_after = 0.3, global = false }, "rate_limit",
        wait = 0.3 },
    { "JSON:API", 422, '{"errors":[{"status":"422","title":"Invalid","detail":"size is off"}]}', "invalid_request",
        said = "Invalid; size is off", code = 422 },
    { "Tencent", 400, json { Response = { Error = { Code = "FailedOperation", Message = "illegal" }, RequestId = "x" } }, "invalid_request",
        said = "^illegal$", code = "FailedOperation" },

    { "LiteLLM: budget, new", 422, wrapped("Budget has been exceeded! Current cost: 2, Max budget: 1", "422", "budget_exceeded"),
        "budget_exceeded" },
    { "LiteLLM: a provider's budget", 429, wrapped("No deployments available - crossed budget: openai", "429", "None"), "budget_exceeded" },
    { "LiteLLM: model access, new", 403, wrapped("key not allowed to access model. This key can only access models=['a']. Tried to access b",
        "403", "key_model_access_denied"), "permission_denied", advice = MODELS },
    { "LiteLLM: an expired key, new", 401, wrapped("Authentication Error - Expired Key. Key Expiry time 2025-01-01", "401", "expired_key"),
        "authentication" },
    { "LiteLLM: a route that the key may not use, new", 403, wrapped("Virtual key is not allowed to call this route. Only allowed to call "
        .. "routes: ['/x']", "403", "None"), "permission_denied", advice = "route" },
    { "LiteLLM: the same, 1.79", 500, "Internal Server Error", "server_error", billed = true, advice = "route",
        headers = { "content-type: text/plain; charset=utf-8" } },
    { "LiteLLM: a key that is in no database", 404, wrapped("Key not found in database", "404", "not_found_error", { param = "key" }),
        "not_found", advice = "check the API key" },
    { "LiteLLM: an unknown model", 400, wrapped("400: {'error': '/image/generations: Invalid model name passed in model=X.'}", "400",
        "None"), "invalid_request", advice = MODELS, said = "^/image/generations: Invalid model name passed in model=X$" },
    { "LiteLLM: its tail, new", 404, wrapped("litellm.NotFoundError: no. LiteLLM: model group 'x' failed with the error above. No fallback "
        .. "was attempted", "404"), "invalid_request", said = "^litellm.NotFoundError: no$" },
    { "LiteLLM: upstream's key", 401, wrapped("litellm.AuthenticationError: AuthenticationError: OpenAIException - Incorrect API key",
        "401"), "server_error", advice = OWN_KEY },
    { "LiteLLM: upstream's 403", 403, wrapped("litellm.PermissionDeniedError: Vertex_aiException - no", "403"), "server_error",
        advice = OWN_KEY },
    { "LiteLLM: a header of upstream's", 429, wrapped("litellm.RateLimitError: OpenAIException - Rate limit reached", "429"), "rate_limit",
        wait = 7, headers = { "llm_provider-retry-after: 7" } },
}

-- Errors whose HTTP status is 200.
local successes = {
    { "a rate limit", 200, wrapped("slow down", 429), "rate_limit", becomes = 429 },
    { "a rate limit as a string", 200, wrapped("slow down", "429"), "rate_limit", becomes = 429 },
    { "no money", 200, wrapped("pay", 402), "budget_exceeded", becomes = 402 },
    { "no right", 200, wrapped("no", 403), "permission_denied", becomes = 403 },
    { "a bad gateway", 200, wrapped("gone", 502), "server_error", becomes = 502, billed = true },
    { "an overload", 200, wrapped("gone", 503), "server_error", becomes = 503 },
    { "a code of another kind", 200, wrapped("gone", "upstream_error"), "server_error", billed = true },
    { "a code that is no status", 200, wrapped("gone", 1234), "server_error", billed = true, code = 1234 },
    { "a success for a code, but a message", 200, wrapped("gone", 200), "server_error", billed = true },
    { "a symbol for a rate limit", 200, wrapped("slow down", "rate_limit_exceeded"), "rate_limit" },
    { "a wrong argument", 200, wrapped("no", nil, "invalid_request_error"), "invalid_request" },
    { "in a list", 200, "[" .. wrapped("slow down", 429) .. "]", "rate_limit", becomes = 429 },
    { "as an event", 200, "data: " .. wrapped("slow down", 429) .. "\n\n", "rate_limit", becomes = 429 },
    { "a choice's", 200, json { choices = { { finish_reason = "error", error = { message = "the upstream broke", code = 502 } } } },
        "server_error", becomes = 502, billed = true, said = "^the upstream broke$", via = "chat" },
    { "a choice's, in events", 200, 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{},'
        .. '"finish_reason":"error","error":{"message":"the upstream broke","code":502}}]}\n\ndata: [DONE]\n\n', "server_error",
        becomes = 502, billed = true, said = "^the upstream broke$", via = "chat" },
    { "a choice that only ends so", 200, json { choices = { { finish_reason = "error", message = { content = "" } } } }, "server_error",
        billed = true, via = "chat" },
    { "the responses route's, in events", 200, 'data: {"type":"response.created","response":{"status":"in_progress","error":null}}\n\n'
        .. 'data: {"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}}\n\n',
        "rate_limit", said = "^slow down$" },
    { "an answer's inside", 200, '{"response":{"error":{"code":502,"message":"gone"}}}', "server_error", becomes = 502, billed = true },
    { "on a line of its own", 200, '{"status":"drawing"}\n{"error":{"code":502,"message":"gone"}}\n', "server_error", becomes = 502, billed = true },
    { "a string", 200, json { error = "it broke" }, "server_error", billed = true, said = "^it broke$" },
    { "a flag and a message", 200, json { error = true, message = "it broke" }, "server_error", billed = true, said = "^it broke$" },
    { "a number and a message", 200, json { error = 1, msg = "it broke" }, "server_error", billed = true, said = "^it broke$" },
    { "no success", 200, json { success = false, message = "it broke" }, "server_error", billed = true, said = "^it broke$" },
    { "no success, and no words", 200, '{"success":false}', "server_error", billed = true },
    { "not ok", 200, json { ok = false, error = "it broke" }, "server_error", billed = true, said = "^it broke$" },
    { "data that is null", 200, '{"code":500,"message":"it broke","data":null}', "server_error", becomes = 500, billed = true },
    { "data that is null, and a code of theirs", 200, '{"code":40001,"msg":"it broke","data":null}', "server_error", billed = true,
        code = 40001 },
    { "data that is null, and money", 200, '{"code":40002,"message":"insufficient balance","data":null}', "budget_exceeded" },
    { "a status", 200, json { status = "error", message = "it broke" }, "server_error", billed = true },
    { "a status as a number", 200, json { status = 429, title = "slow" }, "rate_limit", becomes = 429, said = "^slow$" },
    { "GraphQL", 200, '{"data":null,"errors":[{"message":"it broke","path":["a"]}]}', "server_error", billed = true, said = "^it broke$" },
    { "a list of strings", 200, '{"errors":["it broke"]}', "server_error", billed = true, said = "^it broke$" },
    { "a sentence alone", 200, '{"message":"it broke"}', "server_error", billed = true, said = "^it broke$" },
    { "a detail alone", 200, '{"detail":"it broke"}', "server_error", billed = true, said = "^it broke$" },
    { "moderation", 200, '{"data":[{"url":"","b64_json":"","respect_moderation":false}]}', "content_policy", billed = true,
        said = "moderation" },
    { "a refused prompt", 200, wrapped("Rejected by the safety system", nil, "x"), "content_policy" },
    { "no image", 200, '{"created":1,"data":[],"message":"ok"}', "no_image", billed = true },
    { "no image, and an empty error", 200, '{"created":1,"data":[],"error":{"code":0,"message":""}}', "no_image", billed = true },
    { "no image, and no error", 200, '{"created":1,"data":[],"error":null,"errors":[],"code":0,"success":true}', "no_image", billed = true },
    { "no image, and a success in words", 200, '{"data":{},"base_resp":{"status_code":0,"status_msg":"success"}}', "no_image",
        billed = true },
}

-- The body in chunks of `size` bytes.
local function chunks(body, size)
    local list = {}
    for i = 1, #body, size do
        list[#list + 1] = body:sub(i, i + size - 1)
    end
    return list
end

local function check(case, params, size)
    params = params or {}
    params.via = case.via
    local response, err = ask({ status = case[2], body = case[3], headers = case.headers, chunks = size and chunks(case[3], size) }, params)
    assert.is_nil(response)
    assert.same({ case[4], case.becomes or case[2], case.billed or false }, { err.kind, err.status, err.maybe_billed }, tostring(err))
    if case.wait then
        assert.is_true(err.retry_after and math.abs(err.retry_after - case.wait) < 1e-6, tostring(err.retry_after))
    else
        assert.is_nil(err.retry_after)
    end
    if case.said then
        assert.matches(case.said, err.message)
    end
    if case.code then
        assert.equal(case.code, err.code)
    end
    if case.advice then
        assert.is_truthy(tostring(err.advice):find(case.advice, 1, true), tostring(err.advice))
    end
    assert.equal(1, err.attempts)
end

describe("a refusal of", function()
    for _, case in ipairs(services) do
        it(case[1], function()
            check(case)
        end)
    end
end)

describe("an error in a success:", function()
    for _, case in ipairs(successes) do
        it(case[1], function()
            check(case)
        end)
    end
end)

describe("an error that comes in pieces is the same:", function()
    for _, cases in ipairs { services, successes } do
        for _, case in ipairs(cases) do
            it(case[1], function()
                check(case, nil, 3)
            end)
        end
    end
end)

describe("an error in a success is one with", function()
    local save = os.tmpname()

    it("a sink", function()
        for _, case in ipairs(successes) do
            check(case, { sink = function()
                error "nothing came"
            end })
        end
    end)

    it("save, which leaves no file", function()
        os.remove(save)
        for _, case in ipairs(successes) do
            check(case, { save = save })
        end
        assert.is_nil(io.open(save))
    end)

    it("on_image", function()
        for _, case in ipairs(successes) do
            check(case, { on_image = function()
                error "nothing came"
            end })
        end
    end)
end)

-- A service may say more beside its pictures.
describe("a success stays one with", function()
    local cases = {
        '{"code":0,"message":"success","data":[%s]}',
        '{"code":"Success","msg":"all is well","data":[%s]}',
        '{"code":10000,"message":"ok","data":[%s]}',
        '{"success":true,"message":"ok","data":[%s],"error":null}',
        '{"data":[%s],"error":""}',
        '{"data":[%s],"errors":[],"detail":"none"}',
        '{"status":"completed","data":[%s]}',
        '{"title":"a","description":"b","reason":"c","data":[%s]}',
        '{"message":"ok","data":[%s],"error":{"code":0,"message":""}}',
        '{"data":[%s],"error":{"message":"the second one failed"}}', -- what came is paid for
    }
    for _, body in ipairs(cases) do
        it("a picture: " .. body, function()
            local response = assert(ask { body = body:format(PICTURE) })
            assert.equal(1, #response.data)
        end)

        it("an address: " .. body, function()
            local address = mirrors.address(mirror, { body = GIF })
            local response = assert(ask { body = body:format('{"url":' .. cjson.encode(address) .. "}") })
            assert.same({ 1, GIF }, { #response.data, response.data[1].bytes })
        end)
    end
end)

describe("any JSON route", function()
    local function call(body, status)
        local answer = cjson.encode { body = body, status = status }:gsub("[^%w]", function(character)
            return ("%%%02X"):format(character:byte())
        end)
        return client:call { path = "/x?mirror=" .. answer, retry = "none" }
    end

    it("may say what it likes", function()
        for _, body in ipairs {
            '{"success":false,"message":"x"}', '{"code":1,"message":"x","data":null}', '[{"error":"x"},{"error":"y"}]',
            '{"errors":[{"message":"x"}]}', '{"errors":3}', '{"status":"failed","title":"x"}', '{"message":"x"}', '{"detail":"x"}',
            '{"choices":[{"finish_reason":"error"}]}', '{"response":{"error":{"message":"x"}}}', '{"error":null}', '{"error":""}', '{"error":{}}',
        } do
            assert(call(body))
        end
    end)

    it("fails where it speaks of an error", function()
        local _, err = call('{"error":{"message":"slow down","code":429}}')
        assert.same({ "rate_limit", 429, false }, { err.kind, err.status, err.maybe_billed })
        _, err = call('{"error":"broken"}')
        assert.same({ "server_error", 200, "broken" }, { err.kind, err.status, err.message })
        _, err = call('{"code":1,"message":"x","data":null}', 400)
        assert.same({ "invalid_request", 400, "x" }, { err.kind, err.status, err.message })
    end)
end)
