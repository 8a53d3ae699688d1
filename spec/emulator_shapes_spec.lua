--- What the emulator sends for the models that answer as real gateways have: the bytes on the wire, read with curl.
--- A case a model; the last spec finds those without one.

local cjson = require "cjson"
local base64 = require "thucchien.emulator.base64"
local curl = require "spec.support.curl"
local fixtures = require "spec.support.fixtures"

local KEY = "sk-shapes-0123456789"
local EVERY, TALKING, NOT_CHAT, NOT_GEMINI = { "images", "chat", "gemini" }, { "chat", "gemini" }, { "images", "gemini" },
    { "images", "chat" }

-- JSON strings in the order in which they come, without building a tree: what is said twice stays twice.
local function field(body, name)
    return body:match('"' .. name .. '"%s*:%s*"(.-[^\\])"')
end

-- The first picture's base64 as the route has it, unescaped.
local function encoded(answer, via)
    local body = cjson.decode(answer.body)
    if via == "images" then
        local item = body.data[1]
        return item.b64_json ~= cjson.null and item.b64_json or item.url:match "^data:image/%w+;base64,(.*)$"
    elseif via == "chat" then
        return body.choices[1].message.images[1].image_url.url:match "^data:image/%w+;base64,(.*)$"
    end
    local parts = body.candidates[1].content.parts
    return parts[#parts].inlineData.data
end

local function is_png(bytes)
    return bytes:sub(1, 8) == "\137PNG\r\n\26\n" and bytes:sub(-8, -5) == "IEND"
end

local function check_png(text)
    assert.is_true(is_png(base64.decode(text)), "no whole PNG")
end

-- The documents of a stream, and its last line.
local function events_of(answer)
    assert.matches("^text/event%-stream", answer.headers["content-type"])
    local list, last = {}, nil
    for line in answer.body:gmatch "data: ([^\n]+)\n\n" do
        last = line
        if line ~= "[DONE]" then
            list[#list + 1] = cjson.decode(line)
        end
    end
    return list, last
end

-- Says what an error holds that is sent with a status.
local function refused(status, path, value)
    return function(answer)
        assert.equal(status, answer.status)
        local body = cjson.decode(answer.body)
        for name in path:gmatch "[^.]+" do
            body = body[tonumber(name) or name]
        end
        assert.equal(value, body)
    end
end

local function message_of(answer)
    return cjson.decode(answer.body).error.message
end

local function says(status, ...)
    local words = { ... }
    return function(answer)
        assert.equal(status, answer.status)
        for _, word in ipairs(words) do
            assert.truthy(message_of(answer):find(word, 1, true), word .. " is not in " .. message_of(answer):sub(1, 300))
        end
    end
end

local function thoughts(answer)
    local list = {}
    for i, part in ipairs(cjson.decode(answer.body).candidates[1].content.parts) do
        list[i] = (part.text and "text" or "picture") .. (part.thought and " thought" or "")
    end
    return list
end

local cases = {
    -- pictures that are not whole, drafts, base64 as others write it
    cut = { EVERY, function(answer, via)
        local text = encoded(answer, via)
        assert.equal(600, #text)
        assert.is_true(#encoded(answer.again "cut/64", via) == 64)
        assert.truthy(base64.decode(text):find "^\137PNG")
    end },
    length = { TALKING, function(answer, via)
        local body = cjson.decode(answer.body)
        if via == "chat" then
            assert.equal("length", body.choices[1].finish_reason)
            assert.equal(600, #body.choices[1].message.content:match "data:image/png;base64,([%w+/]+)$")
        else
            assert.equal("MAX_TOKENS", body.candidates[1].finishReason)
            assert.equal(600, #encoded(answer, via))
        end
    end },
    damaged = { EVERY, function(answer, via)
        assert.equal(401, encoded(answer, via):find "*")
    end },
    lines = { EVERY, function(answer, via)
        local text = encoded(answer, via)
        local lines = select(2, text:gsub(("[%w+/=]"):rep(76) .. "\r\n", ""))
        assert.equal(math.floor((#text:gsub("[\r\n]", "") - 1) / 76), lines)
        check_png((text:gsub("\r\n", "")))
        assert.truthy(encoded(answer.again "lines/10", via):find "^[%w+/]+\r\n" and encoded(answer.again "lines/10", via):find "\r\n" == 11)
    end },
    ["lines-lf"] = { EVERY, function(answer, via)
        local text = encoded(answer, via)
        assert.equal(65, text:find "\n")
        assert.is_nil(text:find "\r")
        check_png((text:gsub("\n", "")))
    end },
    base64url = { EVERY, function(answer, via)
        local text = encoded(answer, via)
        assert.is_nil(text:find "[+/=]")
        assert.truthy(text:find "[-_]")
        local plain = text:gsub("-", "+"):gsub("_", "/")
        check_png(plain .. ("="):rep(-#plain % 4))
    end },
    ["no-padding"] = { EVERY, function(answer, via)
        local text = encoded(answer, via)
        assert.is_true(#text % 4 ~= 0)
        check_png(text .. ("="):rep(-#text % 4))
    end },
    percent = { NOT_GEMINI, function(answer, via)
        local text = encoded(answer, via)
        assert.truthy(text:find "%%2[BF]")
        assert.is_nil(text:find "[+/=]")
        check_png((text:gsub("%%(%x%x)", function(digits)
            return string.char(tonumber(digits, 16))
        end)))
    end },
    ["url-space"] = { NOT_GEMINI, function(answer, via)
        local text = encoded(answer, via)
        assert.equal(" \n\t", text:sub(1, 3))
        check_png(text:sub(4))
    end },
    ["more-behind"] = { EVERY, function(answer, via)
        assert.matches("IEND....%z+behind the end$", base64.decode(encoded(answer, via)))
    end },
    ["unknown-type"] = { EVERY, function(answer, via)
        assert.matches("^%z%z%z\28ftypavif", base64.decode(encoded(answer, via)))
        assert.is_true(via == "images" or answer.body:find("image/avif", 1, true) ~= nil)
    end },
    draft = { { "gemini" }, function(answer)
        assert.same({ "text thought", "picture thought", "picture" }, thoughts(answer))
        assert.matches('"thought": true,%s*"inlineData"', answer.body)
    end },
    ["draft-late"] = { { "gemini" }, function(answer)
        assert.same({ "text thought", "picture thought", "picture" }, thoughts(answer))
        assert.is_nil(answer.body:find '"thought": true,%s*"inlineData"')
    end },
    ["draft-after"] = { { "gemini" }, function(answer)
        assert.same({ "text thought", "picture", "picture thought" }, thoughts(answer))
    end },
    ["draft-only"] = { { "gemini" }, function(answer)
        assert.same({ "text thought", "picture thought" }, thoughts(answer))
    end },
    ["partial-images"] = { { "images" }, function(answer)
        local events, last = events_of(answer)
        assert.equal("[DONE]", last)
        assert.equal(3, select(2, answer.body:gsub("event: image_generation%.", "")))
        assert.same({ "image_generation.partial_image", "image_generation.partial_image", "image_generation.completed" },
            { events[1].type, events[2].type, events[3].type })
        check_png(events[3].b64_json)
        assert.are_not.equal(events[2].b64_json, events[3].b64_json)
    end },

    -- other shapes
    ["as-images"] = { TALKING, function(answer)
        check_png(encoded(answer, "images"))
    end },
    ["as-chat"] = { NOT_CHAT, function(answer)
        check_png(encoded(answer, "chat"))
    end },
    ["as-gemini"] = { NOT_GEMINI, function(answer)
        check_png(encoded(answer, "gemini"))
    end },
    ["as-responses"] = { EVERY, function(answer)
        check_png(cjson.decode(answer.body).output[1].result)
    end },
    ["responses-sse"] = { EVERY, function(answer)
        local events = events_of(answer)
        assert.equal("response.image_generation_call.partial_image", events[2].type)
        check_png(events[2].partial_image_b64)
        check_png(events[3].response.output[1].result)
    end },
    inside = { { "gemini" }, function(answer)
        assert.is_table(cjson.decode(answer.body).response.candidates)
        check_png(answer.body:match '"data": "([^"]+)"')
    end },
    ["data-images"] = { { "images" }, function(answer)
        check_png(cjson.decode(answer.body).data.images[2].b64_json)
    end },
    ["markdown-sse"] = { { "chat" }, function(answer)
        local words = ""
        for _, event in ipairs((events_of(answer))) do
            words = words .. (event.choices[1].delta.content or "")
        end
        check_png(words:match "%(data:image/png;base64,([^)]+)%)$")
    end },
    ndjson = { TALKING, function(answer)
        local count = 0
        for line in answer.body:gmatch "([^\n]*)\n" do
            cjson.decode(line)
            count = count + 1
        end
        assert.is_true(count >= 3)
    end },
    raw = { EVERY, function(answer)
        assert.equal("image/png", answer.headers["content-type"])
        assert.is_true(is_png(answer.body))
    end },
    ["b64-data-url"] = { { "images" }, function(answer)
        check_png(field(answer.body, "b64_json"):match "^data:image/png;base64,(.*)$")
    end },
    sse = { EVERY, function(answer, via)
        local events, last = events_of(answer)
        assert.equal("[DONE]", last)
        assert.is_nil(answer.body:find "\n:")
        if via == "images" then
            check_png(events[1].data[1].b64_json)
        elseif via == "chat" then
            assert.equal("chat.completion.chunk", events[1].object)
            check_png(answer.body:match '"delta":{"images":%[{"image_url":{"url":"data:image/png;base64,([^"]+)"')
            assert.equal("stop", events[#events - 1].choices[1].finish_reason)
        else
            assert.is_nil(events[1].candidates[1].finishReason)
            check_png(encoded({ body = cjson.encode(events[#events]) }, via))
        end
    end },
    ["sse-comments"] = { EVERY, function(answer)
        assert.matches("^: PROCESSING\n\ndata: {", answer.body)
        assert.matches("^text/event%-stream", answer.headers["content-type"])
    end },
    chunks = { TALKING, function(answer)
        assert.is_true(#cjson.decode(answer.body) >= 3)
    end },
    ["keep-alive"] = { EVERY, function(answer)
        assert.equal("application/json", answer.headers["content-type"])
        assert.matches("^: PROCESSING\n\n: PROCESSING\n\n: PROCESSING\n\n{", answer.body)
    end },
    ["blank-lines"] = { EVERY, function(answer, via)
        assert.matches("^\n \r\n\n\t{", answer.body)
        check_png(encoded(answer, via))
    end },
    ["string-url"] = { { "chat" }, function(answer)
        local part = cjson.decode(answer.body).choices[1].message.content[2]
        check_png(part.image_url:match "^data:image/png;base64,(.*)$")
    end },
    ["message-b64"] = { { "chat" }, function(answer)
        check_png(cjson.decode(answer.body).choices[1].message.images[1].b64_json)
    end },
    ["markdown-url"] = { { "chat" }, function(answer)
        local content = cjson.decode(answer.body).choices[1].message.content
        assert.is_true(is_png(curl.request(content:match "!%[a landscape%]%((http://%S+)%)\n\nShall").body))
    end },
    ["bare-url"] = { { "chat" }, function(answer)
        assert.is_true(is_png(curl.request(cjson.decode(answer.body).choices[1].message.content).body))
    end },
    same = { EVERY, function(answer, via)
        if via == "images" then
            local data = cjson.decode(answer.body).data
            assert.equal(2, #data)
            assert.equal(data[1].b64_json, data[2].b64_json)
        end
        assert.equal(encoded(answer, via), encoded(answer.again "same", via))
    end },
    ["usage-cost"] = { NOT_GEMINI, function(answer)
        assert.is_true(cjson.decode(answer.body).usage.cost > 0)
        assert.is_nil(answer.headers["x-litellm-response-cost"])
    end },
    signature = { { "gemini" }, function(answer)
        local part = cjson.decode(answer.body).candidates[1].content.parts[2]
        assert.is_true(#part.thoughtSignature == 5 * 1048576)
        check_png(part.inlineData.data)
    end },
    reasoning = { { "chat" }, function(answer)
        local message = cjson.decode(answer.again("reasoning/1").body).choices[1].message
        assert.is_true(#message.reasoning_details[1].data == 1048576)
        check_png(encoded(answer, "chat"))
    end },

    -- refusals
    ["policy-code"] = { EVERY, refused(400, "error.code", "content_policy_violation") },
    moderated = { EVERY, refused(400, "error.code", "moderation_blocked") },
    ["filter-code"] = { EVERY, refused(400, "error.code", "contentFilter") },
    ["filter-result"] = { EVERY, refused(400, "error.innererror.content_filter_result.violence.filtered", true) },
    sentence = { EVERY, refused(400, "error", "Generated image rejected by content moderation.") },
    ["sentence-403"] = { EVERY, refused(403, "error.message", "Your request was flagged by our content policy.") },
    unmoderated = { { "images" }, refused(200, "data.1.respect_moderation", false) },
    refusal = { { "chat" }, refused(200, "choices.1.message.refusal", "I'm sorry, I can't help with that picture.") },
    finish = { TALKING, function(answer, via)
        local path = via == "chat" and "choices.1.finish_reason" or "candidates.1.finishReason"
        refused(200, path, "SAFETY")(answer)
        refused(200, path, "IMAGE_RECITATION")(answer.again "finish/IMAGE_RECITATION")
    end },
    feedback = { TALKING, function(answer)
        refused(200, "promptFeedback.blockReason", "SAFETY")(answer)
        refused(200, "promptFeedback.blockReason", "BLOCKLIST")(answer.again "feedback/BLOCKLIST")
    end },

    -- limits and money
    ["no-quota"] = { EVERY, refused(429, "error.code", "insufficient_quota") },
    ["billing-limit"] = { EVERY, refused(400, "error.code", "billing_hard_limit_reached") },
    ["402"] = { EVERY, refused(402, "error.code", 402) },
    ["budget-422"] = { EVERY, refused(422, "error.type", "budget_exceeded") },
    ["budget-team"] = { EVERY, says(400, "Team=artists") },
    ["budget-user"] = { EVERY, says(400, "ExceededBudget: User=") },
    ["retry-delay"] = { EVERY, function(answer)
        says(429, '"retryDelay": "37s"', "Please retry in 37.08", "RESOURCE_EXHAUSTED")(answer)
        says(429, '"retryDelay": "3s"')(answer.again "retry-delay/3")
        assert.is_nil(answer.headers["retry-after"])
    end },
    ["try-again"] = { EVERY, function(answer)
        says(429, "Please try again in 12s.")(answer)
        says(429, "Please try again in 1m30s.")(answer.again "try-again/1m30s")
        assert.is_nil(answer.headers["retry-after"])
    end },
    ["resets-7h"] = { EVERY, function(answer, via)
        assert.equal(via == "chat" and "60" or nil, answer.headers["retry-after"])
        says(429, "Limit type: requests")(answer)
        local now = os.time() + 7 * 3600
        local early, late = os.date("!%Y-%m-%d %H:%M:%S", now - 120), os.date("!%Y-%m-%d %H:%M:%S", now + 120)
        local resets = answer.body:match "Limit resets at: (%d+%-%d+%-%d+ %d+:%d+:%d+)"
        assert.is_true(early < resets and resets < late)
    end },
    parallel = { EVERY, says(429, "Limit type: max_parallel_requests. Current limit: 10, Remaining: 0.") },
    crossed = { EVERY, says(429, "Crossed TPM / RPM / Max Parallel Request Limit") },
    overloaded = { EVERY, function(answer, via)
        says(via == "gemini" and 503 or 500, "The model is overloaded. Please try again later.", '"code": 503')(answer)
    end },
    ["upstream-401"] = { { "gemini" }, refused(401, "error.status", "UNAUTHENTICATED") },
    ["billed-answer"] = { NOT_GEMINI, function(answer)
        says(429, "OpenAIException - Invalid response object Traceback", "429", "Received Model Group=")(answer)
        assert.is_true(#answer.body > 400000)
    end },
    ["billed-500"] = { NOT_GEMINI, says(429, "The server had an error while processing", "a429f0") },
    ["billed-picture"] = { EVERY, function(answer)
        says(429, "Rate limit exceeded")(answer)
        assert.truthy(answer.body:find("iVBORw0KGgo", 1, true))
    end },
    ["billed-quota"] = { EVERY, function(answer, via)
        says(via == "gemini" and 500 or 429, '"code": 500', "Quota exceeded for")(answer)
    end },

    -- errors in other places
    ["200-402"] = { EVERY, refused(200, "error.code", 402) },
    ["200-403"] = { EVERY, refused(200, "error.code", 403) },
    ["200-429"] = { EVERY, function(answer)
        refused(200, "error.code", 429)(answer)
        refused(200, "error.code", 429)(answer.again "200-429/1")
        assert.is_nil(cjson.decode(answer.again("200-429/1").body).error)
    end },
    ["200-502"] = { EVERY, refused(200, "error.code", 502) },
    ["200-503"] = { EVERY, refused(200, "error.code", 503) },
    ["choice-error"] = { { "chat" }, refused(200, "choices.1.error.code", 502) },
    ["event-error"] = { { "chat" }, function(answer)
        local events, last = events_of(answer)
        assert.equal("Here is", events[1].choices[1].delta.content)
        assert.equal("the stream broke off", events[2].error.message)
        assert.are_not.equal("[DONE]", last)
    end },
    listed = { EVERY, refused(400, "1.error.status", "INVALID_ARGUMENT") },
    errors = { EVERY, refused(400, "errors.1.message", "The prompt is too long.") },
    ["code-message"] = { EVERY, refused(200, "data", cjson.null) },
    ["no-success"] = { EVERY, refused(200, "success", false) },
}

describe("the emulator answers like", function()
    local emulator

    fixtures.emulator(function(started) emulator = started end)

    local PATHS = { images = "/v1/images/generations", chat = "/v1/chat/completions" }

    local function ask(name, via)
        local model = "emulate/" .. name
        local path = PATHS[via] or "/gemini/v1beta/models/" .. model:gsub("/", "%%2F") .. ":generateContent"
        local key = via == "gemini" and "x-goog-api-key: " or "Authorization: Bearer "
        local bodies = {
            images = { model = model, prompt = "a lake", n = 2 },
            chat = { model = model, messages = { { role = "user", content = "a lake" } }, modalities = { "image" } },
            gemini = { contents = { { parts = { { text = "a lake" } } } } },
        }
        local answer = curl.request(emulator.url .. path, { headers = { key .. KEY }, body = cjson.encode(bodies[via]) })
        assert.equal(0, answer.code)
        answer.again = function(other)
            return ask(other, via)
        end
        return answer
    end

    local names = {}
    for name in pairs(cases) do
        names[#names + 1] = name
    end
    table.sort(names)

    for _, name in ipairs(names) do
        it("emulate/" .. name, function()
            local case = cases[name]
            local there = {}
            for _, via in ipairs(case[1]) do
                there[via] = true
                case[2](ask(name, via), via)
            end
            for _, via in ipairs(EVERY) do
                if not there[via] then
                    local status = ask(name, via).status
                    assert.is_true(status == 400 or status == 404, via .. " knows it too")
                end
            end
        end)
    end

    it("every model of these kinds", function()
        local known = {}
        for _, kind in ipairs { "damage", "shapes", "refusals", "limits", "misplaced" } do
            for _, model in ipairs(require("thucchien.emulator." .. kind).models) do
                known[model.name] = true
                assert.truthy(cases[model.name], model.name .. " has no case here")
            end
        end
        for name in pairs(cases) do
            assert.is_true(known[name], name .. " is not there")
        end
    end)

    it("one thing each: no name is there twice, and all are in the help", function()
        local seen, epilog = {}, require("thucchien.emulator").epilog
        for _, model in ipairs(require("thucchien.emulator.failures").list()) do
            assert.is_nil(seen[model.name], model.name)
            seen[model.name] = true
            assert.truthy(epilog:find(("\n  emulate/%-15s %s\n"):format(model.name, model.about), 1, true), model.name)
        end
    end)
end)
