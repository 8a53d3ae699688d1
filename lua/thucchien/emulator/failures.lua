-- What can be made to go wrong, by the name of the model: `emulate/429`, `emulate/slow/2.5` … Each failure has
-- one entry; `about` is its line in the help. `respond` makes the response from the call, because many responses
-- hold the call's key, time or pictures.

local account = require "thucchien.emulator.account"
local responses = require "thucchien.emulator.responses"
local damage = require "thucchien.emulator.damage"
local limits = require "thucchien.emulator.limits"
local misplaced = require "thucchien.emulator.misplaced"
local oddities = require "thucchien.emulator.oddities"
local recent = require "thucchien.emulator.recent"
local refusals = require "thucchien.emulator.refusals"
local shapes = require "thucchien.emulator.shapes"
local urls = require "thucchien.emulator.urls"

local failures = {}

---@class thucchien.emulator.failure
---@field name string
---@field about string
---@field counted? boolean  # `emulate/NAME/2` fails twice and then draws
---@field early? boolean    # refused with the key, before the route is reached
---@field via? table<thucchien.emulator.via, boolean>  # the routes that know it; all if nil
---@field respond fun(call: thucchien.emulator.call): thucchien.emulator.response

local COUNTED = 1000 -- models and prompts whose failures are counted

local LONGEST = 86400 * 365 -- the largest argument, in seconds or whatever it counts

local KEY_HASH = "8f3b6c2de0a94c7f5b1d8e6a3c9f0b7d2e4a6c8f1b3d5e7a9c0f2b4d6e8a1c3f"

local function utc(time)
    return os.date("!%Y-%m-%d %H:%M:%S", time)
end

local function number_of(call, default)
    local number = tonumber(call.argument)
    return number and number >= 0 and math.min(number, LONGEST) or default
end

local function success(call)
    return call.success(call.pictures())
end

local function gzip(text)
    local deflate = require("zlib").deflate(6, 31) -- 15 bits of window, 16 for a gzip header
    return (deflate(text, "finish"))
end

-- The same response in all the legal ways that the gateway does not use: indented, other order,
-- unknown fields, escapes in a key and in the base64, and text that looks like a picture's key.
local PRETTY_IMAGE = [[
        {
            "url" : null,
            "mime_type" : "%s",
            "revised_prompt" : "say \"b64_json\": \"AAAA\" \u0111\u00eam \ud83c\udf19",
            "b64\u005fjson" : "%s",
            "seed" : 1e3
        }]]

local PRETTY = [[
{
    "note" : "{\"data\":[{\"b64_json\":\"AAAA\"}]}",
    "usage" : { "total_tokens" : 0 },
    "extra" : { "b64_json" : "not a picture", "data" : [ [ ], { } ] },
    "data" : [
%s
    ],
    "size" : null,
    "created" : %d
}
]]

local function pretty(call)
    local items = {}
    for i, picture in ipairs(call.pictures()) do
        local escaped = picture.b64_json:gsub("/", "\\/"):gsub("%+", "\\u002B")
        local mime = picture.mime:gsub("/", "\\/")
        items[i] = PRETTY_IMAGE:format(mime, escaped)
    end
    return PRETTY:format(table.concat(items, ",\n"), call.now)
end

local ESCAPED = { ["/"] = "\\/", ["+"] = "\\u002B" }

-- The same JSON with white space between its tokens, and with each "/" and "+" in its strings escaped.
local function spread(json)
    local parts, at = {}, 1
    while true do
        local open = json:find('"', at, true)
        parts[#parts + 1] = json:sub(at, (open or 0) - 1):gsub("[{}%[%]:,]", " %0\r\n\t")
        if not open then return table.concat(parts) end
        local close = open
        repeat
            close = json:find('"', close + 1, true)
            local backslashes = #json:sub(open + 1, close - 1):match("\\*$")
        until backslashes % 2 == 0
        parts[#parts + 1] = json:sub(open, close):gsub("[/+]", ESCAPED)
        at = close + 1
    end
end

-- Each of these makes the `respond` of an error.

local function says(status, message, kind, param)
    return function() return responses.error(status, message, kind, param) end
end

local function exception(status, message)
    return function(call) return responses.exception(call.via, status, message) end
end

local function upstream(status, message, kind)
    return function(call) return responses.upstream_error(status, message, kind, call.kind.name) end
end

-- The Gemini route puts all that Google says into the message, and adds nothing. Other routes give `mapped`.
local function passed_on(mapped, status, message, name)
    local said = responses.google_error(status, message, name)
    return function(call)
        return call.via == "gemini" and responses.error(status, said, "None", "None") or mapped(call)
    end
end

local function google(status, prefix, message, name, kind)
    local said = responses.google_error(status, message, name)
    return passed_on(upstream(status, prefix .. " - " .. said, kind), status, message, name)
end

local function page(status, title, server)
    return function() return responses.html(status, title, server or "nginx/1.26.2") end
end

local function detail(status, json)
    return function() return responses.detail(status, json) end
end

local BAD_REQUEST = "litellm.BadRequestError: Vertex_aiException BadRequestError"
local RATE_LIMIT = "litellm.RateLimitError: litellm.RateLimitError: vertex_aiException"

local TRACEBACK = [[
litellm.APIConnectionError: 'bytesBase64Encoded'
Traceback (most recent call last):
  File "/app/litellm/images/main.py", line 118, in aimage_generation
    response = await init_response
  File "/app/litellm/llms/vertex_ai/image_generation/image_generation_handler.py", line 36, in process
    image = prediction["bytesBase64Encoded"]
KeyError: 'bytesBase64Encoded'
]]

---@type thucchien.emulator.failure[]
local LIST = {
    -- statuses
    {
        name = "400", counted = true, about = "the request has an invalid argument",
        respond = google(400, BAD_REQUEST, "Request contains an invalid argument.", "INVALID_ARGUMENT"),
    },
    {
        name = "401", early = true, counted = true, about = "the key is unknown",
        respond = function(call)
            return responses.error(401, ("Authentication Error, Invalid proxy server token passed. "
                .. "Received API Key = sk-...%s, Key Hash (Token) =%s. Unable to find token in cache "
                .. "or `LiteLLM_VerificationTokenTable`"):format(call.key:sub(-4), KEY_HASH),
                "token_not_found_in_db", "key")
        end,
    },
    {
        name = "403", counted = true, about = "the key may not do this",
        respond = exception(403, "{'error': 'Not allowed to call this route with this key'}"),
    },
    {
        name = "404", counted = true, about = "the model is not there any more",
        respond = google(404, "litellm.NotFoundError: Vertex_aiException",
            "Publisher Model `imagen-4` was not found.", "NOT_FOUND"),
    },
    {
        name = "408", counted = true, about = "the service behind the gateway took too long",
        respond = upstream(408, "litellm.Timeout: Connection timed out. Timeout passed=600.0, "
            .. "time taken=600.013 seconds"),
    },
    {
        name = "413", counted = true, about = "the body is too large (a web server's HTML page)",
        respond = page(413, "Request Entity Too Large"),
    },
    {
        name = "422", counted = true, about = "a field is missing, as FastAPI says it",
        respond = detail(422, '[{"type":"missing","loc":["body","prompt"],"msg":"Field required",'
            .. '"input":{"n":1}}]'),
    },
    {
        name = "429", counted = true, about = "too many requests; no word on how long to wait",
        respond = passed_on(
            upstream(429, RATE_LIMIT .. " - Too Many Requests", "throttling_error"),
            429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"),
    },
    {
        name = "500", counted = true, about = "a fault of the service behind the gateway",
        respond = google(500, "litellm.InternalServerError: Vertex_aiException InternalServerError",
            "Internal error encountered.", "INTERNAL"),
    },
    {
        name = "502", counted = true, about = "the gateway cannot be reached (HTML page)",
        respond = page(502, "Bad Gateway"),
    },
    {
        name = "503", counted = true, about = "the service behind the gateway is overloaded",
        respond = google(503, "litellm.ServiceUnavailableError: Vertex_aiException",
            "The service is currently unavailable.", "UNAVAILABLE"),
    },
    {
        name = "504", counted = true, about = "the gateway took too long (HTML page)",
        respond = page(504, "Gateway Time-out"),
    },
    {
        name = "plain-500", counted = true, about = "500 and three words of plain text",
        respond = function()
            return responses.new(500, "Internal Server Error", "text/plain; charset=utf-8")
        end,
    },
    {
        name = "detail-list", about = "422 whose detail is a list of two",
        respond = detail(422, '[{"type":"missing","loc":["body","model"],"msg":"Field required",'
            .. '"input":{}},{"type":"int_parsing","loc":["body","n"],'
            .. '"msg":"Input should be a valid integer","input":"x"}]'),
    },
    {
        name = "detail-object", about = "403 whose detail is an object",
        respond = detail(403, '{"error":"This key may not call this route"}'),
    },
    {
        name = "traceback", about = "500 with a Python traceback for a message",
        respond = upstream(500, TRACEBACK),
    },
    -- keys, limits, money
    {
        name = "budget", early = true, about = "400: the key's budget is spent",
        respond = says(400, "Budget has been exceeded! Current cost: 50.01, Max budget: 50.0",
            "budget_exceeded"),
    },
    {
        name = "budget-429", about = "429: the user's budget is spent; do not wait",
        respond = exception(429, "Max budget limit reached."),
    },
    {
        name = "rate-limit", about = "429: 20 a minute; resets in 60 seconds, or /S",
        respond = function(call)
            local resets = call.now + number_of(call, 60)
            return account.rate_limit(call.via, KEY_HASH, 20, resets)
        end,
    },
    {
        name = "cooldown", about = "429: try again in 5 seconds, or /S",
        respond = function(call)
            return responses.error(429, ("No deployments available for selected model, Try again in "
                .. "%g seconds. Passed model=imagen-4. pre-call-checks=False, cooldown_list=['%s']")
                :format(number_of(call, 5), KEY_HASH:sub(1, 32)), "None", "None")
        end,
    },
    {
        name = "quota", about = "429: the gateway's own quota is used up",
        respond = google(429, RATE_LIMIT, "Quota exceeded for aiplatform.googleapis.com/online_"
            .. "prediction_requests_per_base_model with base model: imagen-4.0-generate. "
            .. "Please submit a quota increase request.", "RESOURCE_EXHAUSTED", "throttling_error"),
    },
    {
        name = "expired-key", early = true, about = "400: the key has expired; repeats the whole key",
        respond = function(call)
            return responses.error(400, ("Authentication Error - Expired Key. Key Expiry time "
                .. "%s+00:00 and current time %s+00:00"):format(utc(call.now - 86400), utc(call.now)),
                "expired_key", call.key)
        end,
    },
    {
        name = "blocked-key", early = true, about = "401: the key is blocked",
        respond = says(401, "Authentication Error, Key is blocked. Update via `/key/unblock` if "
            .. "you're admin.", "auth_error", "None"),
    },
    {
        name = "model-access", early = true, about = "401: the team may not use the model",
        respond = function(call)
            return responses.error(401, "team not allowed to access model. This team can only access "
                .. "models=['imagen-4']. Tried to access " .. call.model,
                "team_model_access_denied", "model")
        end,
    },
    -- refused pictures
    {
        name = "filtered", about = "500: every picture was filtered out",
        respond = upstream(500, "litellm.InternalServerError: image generation response does not "
            .. "contain 'predictions', got {}"),
    },
    {
        name = "refused", about = "400: the prompt is against the rules",
        respond = google(400, BAD_REQUEST, "Image generation failed with the following error: The "
            .. "prompt could not be submitted. This prompt contains sensitive words that violate "
            .. "Google's Responsible AI practices. Try rephrasing the prompt.", "INVALID_ARGUMENT"),
    },
    {
        name = "empty", about = "200 with no picture",
        respond = function(call) return call.success({}) end,
    },
    {
        name = "null-image", about = "200 with a picture that is null",
        respond = function(call) return call.success({ {} }) end,
    },
    -- successes of another kind
    {
        name = "slow", about = "answers after 30 seconds, or /S",
        respond = function(call)
            local response = success(call)
            response.wait = number_of(call, 30)
            return response
        end,
    },
    {
        name = "drip", about = "100 pieces in a second, or pieces of /N bytes",
        respond = function(call)
            local response = call.success(call.stamps())
            local bytes = number_of(call, 0)
            response.piece = bytes >= 1 and math.floor(bytes) or math.ceil(#response.body / 100)
            response.pause = bytes >= 1 and 0 or 0.01
            return response
        end,
    },
    {
        name = "chunked", about = "chunked transfer coding, no content-length",
        respond = function(call)
            local response = success(call)
            response.chunked, response.piece, response.pause = true, 30011, 0
            return response
        end,
    },
    {
        name = "gzip", about = "a body in gzip, whether asked for or not",
        respond = function(call)
            local response = success(call)
            response.body = gzip(response.body)
            table.insert(response.headers, { "content-encoding", "gzip" })
            return response
        end,
    },
    {
        name = "pretty", about = "indented, reordered, escaped, with decoys",
        respond = function(call)
            local response = success(call)
            response.body = call.via == "images" and pretty(call) or spread(response.body)
            return response
        end,
    },
    -- broken responses
    {
        name = "html", about = "200 and an HTML page",
        respond = function() return responses.html(200, "OK", "a captive portal") end,
    },
    {
        name = "garbage", about = "200 and bytes that are no JSON",
        respond = function() return responses.new(200, "\0\1\2\255 this is not JSON {]") end,
    },
    {
        name = "not-base64", about = "200 and a b64_json that is not base64",
        respond = function(call)
            return call.success({ { b64_json = "iVBORw0KGgo*these are no base64 characters*" } })
        end,
    },
    {
        name = "trailing", about = "a good response and more text after it",
        respond = function(call)
            local response = call.success(call.stamps())
            response.body = response.body .. '{"error":"and there is more"}'
            return response
        end,
    },
    {
        name = "truncated", about = "the connection closes in the middle of the body",
        respond = function(call)
            local response = call.success(call.stamps())
            response.sent = math.floor(#response.body / 2)
            return response
        end,
    },
    {
        name = "truncated-json", about = "a whole response whose JSON stops in the middle",
        respond = function(call)
            local response = call.success(call.stamps())
            response.body = response.body:sub(1, math.floor(#response.body / 2))
            return response
        end,
    },
    {
        name = "reset", counted = true, about = "the connection closes without a response",
        respond = function()
            return { status = 0, headers = {}, body = "", hang_up = true }
        end,
    },
    {
        name = "redirect", about = "307 to another host",
        respond = function()
            local response = responses.new(307, "")
            local target = "https://thucchien.invalid/images/generations"
            table.insert(response.headers, { "location", target })
            return response
        end,
    },
}

-- All of them, as the help has them.
local GROUPS = {
    { models = LIST },
    { title = "Pictures to fetch (images and chat):", models = urls.models },
    { title = "On the chat and Gemini routes:", models = oddities.models },
    { title = "Pictures that are not whole, drafts, and base64 as others write it:", models = damage.models },
    { title = "Pictures in other shapes:", models = shapes.models },
    { title = "Refusals:", models = refusals.models },
    { title = "Limits and money:", models = limits.models },
    { title = "Errors in other places:", models = misplaced.models },
}

local by_name = {}
for _, group in ipairs(GROUPS) do
    for _, failure in ipairs(group.models) do by_name[failure.name] = failure end
end

---The failure that a model's name asks for on a route, and the part after its name.
---@param model string
---@param via thucchien.emulator.via
---@return thucchien.emulator.failure?
---@return string? argument
function failures.find(model, via)
    local name, argument = model:match("^emulate/([^/]+)/?(.*)$")
    local failure = by_name[name or ""]
    if failure and failure.via and not failure.via[via] then return nil end
    return failure, argument
end

---@param call thucchien.emulator.call
---@return thucchien.emulator.response
function failures.respond(call)
    local failure, times = call.failure, tonumber(call.argument)
    if failure.counted and times then
        -- By prompt too: tests that run side by side do not count each other's requests.
        local counts = call.state.failed
        local key = require("openssl.digest").new("sha1"):final(call.via .. call.model .. "\n" .. call.prompt)
        local failed = counts[key] or 0
        if failed >= times then
            counts[key] = 0
            return success(call)
        end
        recent.set(counts, COUNTED, key, failed + 1)
    end
    return failure.respond(call)
end

local function lines_of(list)
    local lines = {}
    for i, failure in ipairs(list) do lines[i] = ("  emulate/%-15s %s"):format(failure.name, failure.about) end
    return table.concat(lines, "\n")
end

---A line for each failure, for the help.
---@return string
function failures.help()
    local parts = {}
    for _, group in ipairs(GROUPS) do
        if group.title then parts[#parts + 1] = group.title end
        parts[#parts + 1] = lines_of(group.models)
    end
    return table.concat(parts, "\n\n")
end

---All of them, for whoever wants to try each.
---@return thucchien.emulator.failure[]
function failures.list()
    local list = {}
    for _, group in ipairs(GROUPS) do
        for _, failure in ipairs(group.models) do list[#list + 1] = failure end
    end
    return list
end

return failures
