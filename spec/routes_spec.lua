-- The ways to a picture: what is sent on each, what is understood of the answers, and that all else is the same.

local cjson = require "cjson"
local system = require "system"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"
local routes = require "spec.support.routes"

local KEY = requests.KEY
local MODEL = "any/model"

local mirror, client, directory

-- Asks the mirror on a route; what else the params are is in `params`.
local function ask(via, answer, params)
    params = params or {}
    params.via, params.model = via, params.model or MODEL
    params.prompt = params.prompt or not params.messages and "một con đò" or nil
    params.extra_body = params.extra_body or {}
    params.extra_body.mirror = answer
    return params
end

local function generate(via, answer, params)
    return client:generate(ask(via, answer, params))
end

-- What the mirror was sent: the body as a table, and the request.
local sent_count = 0
local function sent(params)
    sent_count = sent_count + 1
    local id = "sent" .. sent_count
    params.model = params.model or MODEL
    params.extra_body = params.extra_body or {}
    params.extra_body.mirror = { id = id, keep = directory .. "/body", body = routes.answer(params.via, { routes.base64(1) }) }
    local response, err = client:generate(params)
    assert(response, tostring(err))
    local body = cjson.decode(command.read(directory .. "/body.1"))
    body.mirror = nil
    return body, mirrors.seen(mirror, id)[1]
end

fixtures.client(function(...) mirror, client = ... end)
fixtures.directory(function(path) directory = path end)

describe("a request", function()
    it("is as the contract says, via images", function()
        local body, echo = sent { via = "images", prompt = "x", aspect_ratio = "16:9", n = 2 }
        assert.equal("POST /images/generations HTTP/1.1", echo.line)
        assert.same({ model = MODEL, prompt = "x", aspect_ratio = "16:9", n = 2 }, body)
        assert.equal("Bearer " .. KEY, (mirrors.credentials(echo, "authorization")))
        assert.is_nil(echo.headers["x-goog-api-key"])
    end)

    it("is as the contract says, via chat", function()
        local body, echo = sent { via = "chat", prompt = "x", aspect_ratio = "16:9" }
        assert.equal("POST /chat/completions HTTP/1.1", echo.line)
        assert.same({
            model = MODEL, modalities = { "image" }, messages = { { role = "user", content = "x" } },
            imageConfig = { aspectRatio = "16:9" },
        }, body)
        assert.equal("Bearer " .. KEY, (mirrors.credentials(echo, "authorization")))
        assert.is_nil(echo.headers["x-goog-api-key"])
    end)

    it("is as the contract says, via gemini", function()
        local body, echo = sent { via = "gemini", prompt = "x", aspect_ratio = "21:9" }
        assert.equal("POST /gemini/v1beta/models/any%2Fmodel:generateContent HTTP/1.1", echo.line)
        assert.same({
            contents = { { role = "user", parts = { { text = "x" } } } },
            generationConfig = { imageConfig = { aspectRatio = "21:9" } },
        }, body)
        assert.equal(KEY, (mirrors.credentials(echo, "x-goog-api-key")))
        assert.is_nil(echo.headers.authorization)
    end)

    it("has no field that nobody asked for", function()
        assert.same({ model = MODEL, modalities = { "image" }, messages = { { role = "user", content = "x" } } },
            (sent { via = "chat", prompt = "x" }))
        assert.same({ contents = { { role = "user", parts = { { text = "x" } } } } }, (sent { via = "gemini", prompt = "x" }))
        assert.same({ model = MODEL, prompt = "x", n = 1 }, (sent { via = "images", prompt = "x" }))
    end)

    it("has a prompt as it is", function()
        local prompt = '  "quoted" \\ back\n\r\ttabs \1 \226\128\168 \240\159\140\133 {"a":[]} %s %d {model}  '
        assert.equal(prompt, (sent { via = "images", prompt = prompt }).prompt)
        assert.equal(prompt, (sent { via = "chat", prompt = prompt }).messages[1].content)
        assert.equal(prompt, (sent { via = "gemini", prompt = prompt }).contents[1].parts[1].text)
    end)

    it("has the model in Gemini's path, escaped", function()
        for model, path in pairs {
            ["gemini-2.5-flash-image"] = "gemini-2.5-flash-image", ["a/b c"] = "a%2Fb%20c", ["đò"] = "%C4%91%C3%B2",
            ["../../key/info?#%"] = "..%2F..%2Fkey%2Finfo%3F%23%25", ["a\r\nb: c"] = "a%0D%0Ab%3A%20c", ["~_.-"] = "~_.-",
        } do
            local _, echo = sent { via = "gemini", prompt = "x", model = model }
            assert.equal("POST /gemini/v1beta/models/" .. path .. ":generateContent HTTP/1.1", echo.line)
        end
    end)

    it("goes to the same place whether the base URL ends in /v1 or not", function()
        for _, ending in ipairs { "", "/", "/v1", "/v1/" } do
            local own = assert(thucchien.new { base_url = mirror.url .. ending, api_key = KEY })
            local prefix = ending:find "v1" and "/v1" or ""
            for via, path in pairs { images = prefix .. routes.paths.images, chat = prefix .. routes.paths.chat, gemini = routes.paths.gemini } do
                local id = "base" .. ending:gsub("/", "-") .. via
                assert(own:generate(ask(via, { id = id, body = routes.answer(via, { routes.base64(1) }) })))
                assert.equal("POST " .. path .. " HTTP/1.1", mirrors.seen(mirror, id)[1].line)
            end
            own:close()
        end
    end)

    it("has extra_body, which wins over what the module writes", function()
        local body = sent { via = "chat", prompt = "x", aspect_ratio = "1:1", extra_body = {
            modalities = { "image", "text" }, imageConfig = { aspectRatio = "16:9", imageSize = "2K" }, temperature = 0.5,
        } }
        assert.same({
            model = MODEL, modalities = { "image", "text" }, messages = { { role = "user", content = "x" } },
            imageConfig = { aspectRatio = "16:9", imageSize = "2K" }, temperature = 0.5,
        }, body)
        body = sent { via = "gemini", prompt = "x", extra_body = { generationConfig = { seed = 7 }, safetySettings = { { a = "b" } } } }
        assert.same({
            contents = { { role = "user", parts = { { text = "x" } } } }, generationConfig = { seed = 7 },
            safetySettings = { { a = "b" } },
        }, body)
        body = sent { via = "chat", prompt = "x", extra_body = { messages = { { role = "user", content = "mine" } } } }
        assert.same({ { role = "user", content = "mine" } }, body.messages)
        body = sent { via = "gemini", prompt = "x", extra_body = { contents = { { parts = { { text = "mine" } } } } } }
        assert.same({ { parts = { { text = "mine" } } } }, body.contents)
        body = sent { via = "chat", prompt = "x", extra_body = { model = "another" } }
        assert.equal("another", body.model)
    end)

    it("has the caller's own messages as they are", function()
        local messages = {
            { role = "system", content = "Draw in ink." },
            { role = "user", content = { { type = "text", text = "x" }, { type = "image_url", image_url = { url = "https://a.example/b.png" } } } },
            { role = "assistant", content = "Here it is." }, { role = "user", content = "darker" },
        }
        local body = sent { via = "chat", messages = messages, aspect_ratio = "4:3" }
        assert.same({ model = MODEL, modalities = { "image" }, messages = messages, imageConfig = { aspectRatio = "4:3" } }, body)
    end)

    it("has what LiteLLM knows, where the route takes it", function()
        for _, via in ipairs { "images", "chat" } do
            local body = sent { via = via, prompt = "x", user = "an", seed = "7", num_retries = 0, tags = { "a" }, metadata = { b = 1 } }
            assert.same({ "an", 7, 0, { "a" }, { b = 1 } }, { body.user, body.seed, body.num_retries, body.tags, body.metadata })
        end
    end)

    it("has headers of the caller's, on every route", function()
        for _, via in ipairs(routes.names) do
            local id = "headers-" .. via
            assert(generate(via, { id = id, body = routes.answer(via, { routes.base64(1) }) }, { extra_headers = { ["X-Of-Mine"] = "yes" } }))
            assert.equal("yes", mirrors.seen(mirror, id)[1].headers["x-of-mine"])
        end
    end)
end)

describe("params of a route", function()
    local PNG = routes.bytes(1)
    local cases = {
        { "a size via chat", "size", { via = "chat", size = "1024x1024" }, "'any/model'.*'chat'" },
        { "a size via gemini", "size", { via = "gemini", size = "1024x1024" }, "'any/model'.*'gemini'" },
        { "quality via chat", "quality", { via = "chat", quality = "hd" }, "'chat'" },
        { "a seed via gemini", "seed", { via = "gemini", seed = 1 }, "'gemini'.*extra_body" },
        { "references via images", "images", { via = "images", images = { PNG } }, "'any/model'.*'images'.*'chat'" },
        { "a history via images", "history", { via = "images", history = {} }, "'images'" },
        { "references for imagen", "images", { model = "imagen-4", images = { PNG } }, "'imagen%-4'.*'images'.*gemini%-2%.5%-flash%-image" },
        { "messages via images", "messages", { prompt = false, via = "images", messages = {} }, "'images'" },
        { "messages via gemini", "messages", { prompt = false, via = "gemini", messages = {} }, "'gemini'" },
        { "messages and a prompt", "prompt", { via = "chat", messages = {} }, "cannot go with 'messages'" },
        { "messages and references", "images", { prompt = false, via = "chat", messages = {}, images = { PNG } }, "cannot go with 'messages'" },
        { "messages and a history", "history", { prompt = false, via = "chat", messages = {}, history = {} }, "cannot go with 'messages'" },
        { "another way", "via", { via = "Chat" }, "'images', 'chat' or 'gemini' expected, got 'Chat'" },
        { "an empty way", "via", { via = "" }, "'images', 'chat' or 'gemini'" },
        { "a way of another type", "via", { via = 1 }, "a string expected, got 1" },
        { "messages of another type", "messages", { prompt = false, via = "chat", messages = "x" }, "a table expected" },
        { "messages that are not UTF-8", "messages", { prompt = false, via = "chat", messages = { { content = "\255" } } }, "valid UTF%-8" },
        { "references of another type", "images", { via = "chat", images = PNG }, "a table expected" },
        { "a history of another type", "history", { via = "gemini", history = "x" }, "a table expected" },
        { "a ratio of no gemini model", "aspect_ratio", { model = "gemini-2.5-flash-image", aspect_ratio = "2:1" }, "'21:9', '16:9'.*got '2:1'" },
        { "too many pictures", "n", { via = "chat", n = 65 }, "from 1 to 64 expected, got 65" },
    }
    for _, case in ipairs(cases) do
        local name, param, params, message = case[1], case[2], case[3], case[4]
        it(name .. " is an error", function()
            local id = "refused-" .. name:gsub(" ", "-")
            params.prompt = params.prompt == nil and "x" or params.prompt or nil
            params.model = params.model or MODEL
            params.extra_body = { mirror = { id = id } }
            local response, err = client:generate(params)
            assert.is_nil(response)
            assert.same({ "invalid_request", param }, { err.kind, err.param })
            assert.matches("field '" .. param, err.message, 1, true)
            assert.matches(message, err.message)
            assert.is_nil(err.maybe_billed)
            assert.equal(0, mirrors.count(mirror, id))
        end)
    end

    it("may be tables that are empty", function()
        local body = sent { via = "chat", prompt = "x", images = {}, history = {} }
        assert.same({ { role = "user", content = "x" } }, body.messages)
    end)
end)

describe("a response", function()
    for _, via in ipairs(routes.names) do
        it("has the same shape, via " .. via, function()
            local response = assert(generate(via, {
                headers = { "x-litellm-call-id: call-1", "x-litellm-response-cost: 0.039" },
                body = routes.answer(via, { routes.base64(5), routes.base64(0) }),
            }))
            assert.equal(2, #response.data)
            for i, groups in ipairs { 5, 0 } do
                local image = response.data[i]
                assert.is_true(image.bytes == routes.bytes(groups))
                assert.same({ "image/png", "png", 2, 3, #image.bytes }, { image.mime, image.ext, image.width, image.height, image.size })
                assert.is_nil(image.url)
                assert.is_nil(image.b64_json)
            end
            assert.same({ "call-1", 0.039, 1, MODEL, "một con đò" },
                { response.request_id, response.cost, response.attempts, response.model, response.prompt })
            assert.same({}, response.warnings)
            assert.is_nil(response.errors)
            assert.is_nil(response.choices)
            assert.is_nil(response.candidates)
            assert.is_nil(response.text)
            assert.is_table(response.usage)
            assert.equal(3, response.usage.total_tokens or response.usage.totalTokenCount)
            assert.is_true(response.timing.total >= response.timing.first_byte)
        end)
    end

    it("says how the model ended", function()
        assert.equal("stop", assert(generate("chat", { body = routes.answer("chat", { routes.base64(1) }) })).finish_reason)
        assert.equal("STOP", assert(generate("gemini", { body = routes.answer("gemini", { routes.base64(1) }) })).finish_reason)
        assert.is_nil(assert(generate("images", { body = routes.answer("images", { routes.base64(1) }) })).finish_reason)
    end)

    it("keeps fields that nobody knows, and has integers", function()
        local body = routes.answer("gemini", { routes.base64(1) }):gsub('"responseId"', '"more":{"a":null,"b":[1,2.5]},"responseId"')
        local response = assert(generate("gemini", { body = body }))
        assert.same({ b = { 1, 2.5 } }, response.more)
        assert.equal("x", response.responseId)
        assert.equal("3", tostring(response.usage.totalTokenCount))
    end)
end)

-- Chat's and Gemini's shapes: each with one picture at `$`, and with what is said beside it.
local function chat(message, reason)
    return '{"id":"x","model":"m","choices":[{"index":0,"finish_reason":"' .. (reason or "stop") .. '","message":' .. message .. "}]}"
end

local function gemini(parts, rest)
    return '{"candidates":[{"content":{"role":"model","parts":[' .. parts .. "]}" .. (rest or ',"finishReason":"STOP"') .. "}]}"
end

local URL = "data:image/png;base64,$"

describe("shapes with a picture:", function()
    local cases = {
        { "null keys", "chat", chat('{"content":null,"role":"assistant","tool_calls":null,"images":[{"image_url":{"url":"' .. URL .. '"}}]}') },
        { "text beside images", "chat", chat('{"images":[{"image_url":{"url":"' .. URL .. '"}}],"content":"Here.\\n"}'), "Here." },
        { "image_url as a string", "chat", chat('{"images":[{"type":"image_url","image_url":"' .. URL .. '"}]}') },
        { "message.image", "chat", chat('{"role":"assistant","image":{"url":"' .. URL .. '","detail":"auto"},"content":null}') },
        { "a data URL as the content", "chat", chat('{"role":"assistant","content":"' .. URL .. '"}') },
        { "Markdown", "chat", chat('{"content":"Here it is:\\n\\n![a \\"boat\\"](' .. URL .. ')\\n\\nDarker?"}'), "Here it is:\n\n\n\nDarker?" },
        { "parts of content", "chat", chat('{"content":[{"type":"text","text":"One."},{"type":"image_url","image_url":{"url":"' .. URL .. '"}},{"type":"text","text":"Two."}]}'), "One.\n\nTwo." },
        { "a data URL that is escaped", "chat", chat('{"images":[{"image_url":{"url":"data:image\\/png;base64,$"}}]}') },
        { "a data URL in capitals", "chat", chat('{"images":[{"image_url":{"url":"DATA:Image/PNG;BASE64,$"}}]}') },
        { "a data URL with a parameter", "chat", chat('{"images":[{"image_url":{"url":"data:image/png;name=a.png;base64,$"}}]}') },
        { "a type that is wrong", "chat", chat('{"images":[{"image_url":{"url":"data:image/jpeg;base64,$"}}]}') },
        { "a data URL via images", "images", '{"data":[{"url":"' .. URL .. '","b64_json":null}]}' },
        { "text parts", "gemini", gemini('{"text":"One."},{"inlineData":{"mimeType":"image/png","data":"$"}},{"text":" Two.\\n"}'), "One.\n\nTwo." },
        { "mimeType behind the data", "gemini", gemini '{"inlineData":{"data":"$","mimeType":"image/png"}}' },
        { "inline_data", "gemini", gemini '{"inline_data":{"mime_type":"image/png","data":"$"}}' },
        { "a thought", "gemini", gemini('{"thought":true,"text":"hm"},{"inlineData":{"mimeType":"image/png","data":"$"},"thoughtSignature":"QUJD"},{"text":"Here."}'), "Here." },
        { "no finishReason", "gemini", gemini('{"inlineData":{"mimeType":"image/png","data":"$"}}', "") },
        { "indented, in another order", "gemini", '{ "usageMetadata" : { } ,\n  "candidates" : [ {\n "finishReason" : "STOP" , "content" : { "parts" : [ {\n "inlineData" : {\t"data" : "$" }\n} ] } } ] }\n' },
    }
    for _, case in ipairs(cases) do
        local name, via, shape, text = case[1], case[2], case[3], case[4]
        it(via .. ", " .. name, function()
            local picture = routes.base64(100)
            local body = shape:gsub("%$", picture)
            local response = assert(generate(via, { body = body }))
            assert.equal(1, #response.data)
            assert.is_true(response.data[1].bytes == routes.bytes(100))
            assert.equal("image/png", response.data[1].mime)
            assert.equal(text, response.text)
            assert.is_nil(response.choices)
            assert.is_nil(response.candidates)
            assert.is_nil(response.data[1].url)
            -- the same when it comes byte by byte
            local pieces = { "HTTP/1.1 200 OK\r\n\r\n" }
            body = shape:gsub("%$", (routes.base64(3)))
            for i = 1, #body do
                pieces[i + 1] = body:sub(i, i)
            end
            response = assert(generate(via, { pieces = pieces }))
            assert.is_true(response.data[1].bytes == routes.bytes(3))
            assert.equal(text, response.text)
        end)
    end

    it("pictures of several candidates, in order", function()
        local body = '{"candidates":[{"content":{"parts":[{"inlineData":{"data":"' .. routes.base64(1)
            .. '"}}]}},{"finishReason":"SAFETY"},{"content":{"parts":[{"inlineData":{"data":"' .. routes.base64(2) .. '"}}]}}]}'
        local response = assert(generate("gemini", { body = body }))
        assert.same({ routes.SIZE + 3, routes.SIZE + 6 }, { response.data[1].size, response.data[2].size })
    end)

    it("pictures of several choices, in order", function()
        local function choice(groups)
            return '{"message":{"images":[{"image_url":{"url":"data:image/png;base64,' .. routes.base64(groups) .. '"}}]}}'
        end
        local response = assert(generate("chat", { body = '{"choices":[' .. choice(1) .. "," .. choice(2) .. "]}" }))
        assert.same({ routes.SIZE + 3, routes.SIZE + 6 }, { response.data[1].size, response.data[2].size })
    end)
end)

describe("shapes without a picture:", function()
    local cases = {
        -- what LiteLLM makes of Gemini's refusals
        { "content_filter", "chat", chat('{"role":"assistant"}', "content_filter"), "content_policy", "content_filter" },
        { "content_filter and words", "chat", chat('{"content":"I cannot."}', "content_filter"), "content_policy", "I cannot." },
        { "stop with nothing", "chat", chat '{"role":"assistant"}', "no_image" },
        { "images []", "chat", chat '{"content":"Shall I describe it?","images":[]}', "no_image", "Shall I describe it" },
        { "words alone", "chat", chat '{"content":"Sorry."}', "no_image", "words alone.*Sorry" },
        { "parts of words", "chat", chat '{"content":[{"type":"text","text":"Sorry."}]}', "no_image", "Sorry" },
        { "a refusal in words", "chat", chat '{"content":null,"refusal":"I will not."}', "content_policy", "I will not" },
        { "choices []", "chat", '{"id":"x","choices":[]}', "no_image" },
        { "choices null", "chat", '{"id":"x","choices":null}', "no_image" },
        { "choices of another type", "chat", '{"choices":"x"}', "no_image" },
        { "a choice that is null", "chat", '{"choices":[null]}', "no_image" },
        { "a message that is null", "chat", '{"choices":[{"message":null}]}', "no_image" },
        { "images null", "chat", chat '{"images":null}', "no_image" },
        { "an image that is null", "chat", chat '{"images":[null,{"image_url":null},{"image_url":{"url":null}}]}', "no_image" },
        { "an empty object", "chat", "{}", "no_image" },
        { "an empty object", "gemini", "{}", "no_image" },
        { "an empty object", "images", "{}", "no_image" },
        { "candidates []", "gemini", '{"candidates":[]}', "no_image" },
        { "candidates null", "gemini", '{"candidates":null}', "no_image" },
        { "a candidate that is null", "gemini", '{"candidates":[null]}', "no_image" },
        { "no content", "gemini", '{"candidates":[{"finishReason":"NO_IMAGE"}]}', "no_image" },
        { "STOP with nothing", "gemini", '{"candidates":[{"finishReason":"STOP","content":{"role":"model"}}]}', "no_image" },
        { "words alone", "gemini", gemini '{"text":"Sorry."}', "no_image", "Sorry" },
        { "a thought alone", "gemini", gemini '{"text":"hm","thought":true}', "no_image" },
        { "a part that is null", "gemini", gemini 'null,{"inlineData":null},{"inlineData":{"data":null}},{"inlineData":{"data":""}}', "no_image" },
        { "parts of another type", "gemini", '{"candidates":[{"content":{"parts":"x"}}]}', "no_image" },
        { "blockReason", "gemini", '{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}', "content_policy", "PROHIBITED_CONTENT" },
        { "blockReason and no candidate", "gemini", '{"candidates":[],"promptFeedback":{"blockReason":"SAFETY"}}', "content_policy", "SAFETY" },
        { "null feedback", "gemini", '{"promptFeedback":null,"candidates":null}', "no_image" },
        { "a feedback without reason", "gemini", '{"promptFeedback":{"safetyRatings":[]},"candidates":[{"finishReason":"STOP"}]}', "no_image" },
        { "data []", "images", '{"created":1,"data":[]}', "no_image" },
        { "data null", "images", '{"created":1,"data":null}', "no_image" },
        { "both null", "images", '{"data":[{"b64_json":null,"url":null}]}', "no_image" },
        { "both empty", "images", '{"data":[{"b64_json":"","url":""}]}', "no_image" },
        { "of another type", "images", '{"data":"x"}', "no_image" },
    }
    for _, reason in ipairs { "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT" } do
        cases[#cases + 1] = { reason, "gemini", '{"candidates":[{"finishReason":"' .. reason .. '"}]}', "content_policy", reason }
    end
    for _, case in ipairs(cases) do
        local name, via, body, kind, message = case[1], case[2], case[3], case[4], case[5]
        it(via .. ", " .. name, function()
            local response, err = generate(via, { body = body })
            assert.is_nil(response)
            assert.equal(kind, err.kind)
            assert.equal(200, err.status)
            assert.is_true(err.maybe_billed)
            assert.is_string(err.advice)
            if message then
                assert.matches(message, err.message)
            end
        end)
    end

    it("are bad responses where they are no JSON objects", function()
        for _, via in ipairs(routes.names) do
            for _, body in ipairs { "", '"x"', "null", "<html><title>Sign in</title>", "{", '{"a":1}}', "data: {\n\n" } do
                local _, err = generate(via, { body = body })
                assert.equal("bad_response", err.kind, via .. " " .. body)
            end
        end
    end)

    it("are bad responses where a picture is no base64", function()
        local wrongs = { images = '{"data":[{"b64_json":"$"}]}', chat = chat('{"images":[{"image_url":{"url":"' .. URL .. '"}}]}'),
            gemini = gemini '{"inlineData":{"data":"$"}}' }
        for via, shape in pairs(wrongs) do
            for _, wrong in ipairs { "iVBOR", "!!!!", "iVBO=AAA", "iV\\u0000B" } do
                local _, err = generate(via, { body = (shape:gsub("%$", wrong)) })
                assert.equal("bad_response", err.kind, via .. " " .. wrong)
                assert.is_true(err.maybe_billed)
            end
        end
    end)
end)

-- One spec for every route.
local function on_every_route(name, check)
    for _, via in ipairs(routes.names) do
        it(name .. ", via " .. via, function()
            check(via)
        end)
    end
end

describe("the same on every route:", function()
    on_every_route("on_image has each picture before the rest has come", function(via)
        local given, gate = {}, mirrors.gate()
        local body = routes.answer(via, { routes.base64(10), routes.base64(20) })
        local cut = body:find(routes.base64(10), 1, true) + #routes.base64(10) + 5
        local response = assert(generate(via, {
            pieces = { "HTTP/1.1 200 OK\r\n\r\n", body:sub(1, cut), body:sub(cut + 1) }, gate = gate.path,
        }, {
            on_image = function(image, index)
                given[index] = image
                gate:open() -- only then the rest is sent
            end,
        }))
        gate:remove()
        assert.equal(2, #given)
        assert.equal(given[1], response.data[1])
        assert.equal(given[2], response.data[2])
        assert.is_true(given[1].bytes == routes.bytes(10) and given[2].bytes == routes.bytes(20))
    end)

    on_every_route("on_progress counts to the end", function(via)
        local body, last = routes.answer(via, { routes.base64(200000) }), {}
        assert(generate(via, { body = body }, {
            on_progress = function(received, total)
                assert.is_true(received > (last[1] or 0))
                last = { received, total }
            end,
        }))
        assert.same({ #body, #body }, last)
    end)

    on_every_route("a sink has every byte, and the end of each picture", function(via)
        local parts, ends = { "", "" }, {}
        local response = assert(generate(via, { body = routes.answer(via, { routes.base64(400000), routes.base64(3) }) }, {
            sink = function(index, chunk)
                parts[index] = parts[index] .. (chunk or "")
                ends[#ends + 1] = not chunk and index or nil
                return true
            end,
        }))
        assert.is_true(parts[1] == routes.bytes(400000) and parts[2] == routes.bytes(3))
        assert.same({ 1, 2 }, ends)
        assert.is_nil(response.data[1].bytes)
        assert.same({ routes.SIZE + 1200000, 2, 3 }, { response.data[1].size, response.data[1].width, response.data[1].height })
    end)

    on_every_route("a sink stops it with nil and a message", function(via)
        local _, err = generate(via, { body = routes.answer(via, { routes.base64(400000) }) }, {
            sink = function()
                return nil, "the shelf is full"
            end,
        })
        assert.same({ "io", "the shelf is full", true }, { err.kind, err.message, err.maybe_billed })
    end)

    on_every_route("save writes each picture to a file of its type", function(via)
        local response = assert(generate(via, { body = routes.answer(via, { routes.base64(400000), routes.base64(3) }) },
            { save = directory .. "/dusk" }))
        assert.same({ "dusk-2.png", "dusk.png" }, command.names(directory))
        assert.is_true(command.read(response.data[1].path) == routes.bytes(400000))
        assert.is_true(command.read(response.data[2].path) == routes.bytes(3))
    end)

    on_every_route("what breaks off leaves whole pictures, and of a half one a file that says so", function(via)
        local _, err = generate(via, { body = routes.cut_answer(via, { routes.base64(30), routes.base64(300000) }) },
            { save = directory .. "/dusk" })
        assert.equal("bad_response", err.kind)
        local half = err.data[2]
        local names = via == "gemini" and { "dusk.png" } or { "dusk-2.png.part", "dusk.png" } -- what may be a draft is in no file
        assert.same(names, command.names(directory))
        assert.same({ directory .. "/dusk.png", false, half.size }, { err.data[1].path, half.complete, #(half.bytes or command.read(half.path)) })
        assert.is_true(err.maybe_billed)
    end)

    on_every_route("an answer is no larger than max_response_bytes", function(via)
        local body = routes.answer(via, { routes.base64(1000) })
        local own = requests.client(mirror, { max_response_bytes = #body })
        assert(own:generate(ask(via, { chunks = { body } })))
        local _, err = own:generate(ask(via, { chunks = { body .. " " } }))
        assert.equal("response_too_large", err.kind)
        _, err = own:generate(ask(via, { body = body .. " " }))
        assert.equal("response_too_large", err.kind)
        own:close()
    end)

    on_every_route("its words are capped", function(via)
        local _, err = generate(via, { before = '{"data":[', body = ("1,"):rep(512), times = 4200 })
        assert.equal("response_too_large", err.kind)
    end)

    on_every_route("a compressed answer is read as well", function(via)
        local response = assert(generate(via, { gzip = true, body = routes.answer(via, { routes.base64(50000) }) }))
        assert.is_true(response.data[1].bytes == routes.bytes(50000))
    end)

    on_every_route("errors have their kinds", function(via)
        local cases = {
            { 400, '{"error":{"message":"no","type":null,"param":"None","code":"400"}}', "invalid_request" },
            { 400, '{"error":{"message":"Budget has been exceeded! x","type":"budget_exceeded","param":null,"code":"400"}}', "budget_exceeded" },
            { 400, '{"error":{"message":"Expired Key","type":"expired_key","param":"x","code":"400"}}', "authentication" },
            { 400, '{"error":{"message":"litellm.ContentPolicyViolationError: x","type":null,"param":null,"code":"400"}}', "content_policy" },
            { 401, '{"error":{"message":"No api key","type":"auth_error","param":"None","code":"401"}}', "authentication" },
            { 401, '{"error":{"message":"x","type":"key_model_access_denied","param":"model","code":"401"}}', "permission_denied" },
            { 404, '{"detail":"Not Found"}', "not_found" },
            { 413, "<html><head><title>413 Too Large</title></head>", "invalid_request" },
            { 422, '{"detail":[{"type":"missing","msg":"Field required"}]}', "invalid_request" },
            { 500, "Internal Server Error", "server_error" },
            { 502, "<html><title>502 Bad Gateway</title>", "server_error" },
            { 200, '{"error":{"message":"Budget has been exceeded! x","type":"budget_exceeded","param":null,"code":"400"}}', "budget_exceeded", 400 },
        }
        for _, case in ipairs(cases) do
            local _, err = generate(via, { status = case[1], body = case[2] }, { retry = "none" })
            assert.same({ case[4] or case[1], case[3] }, { err.status, err.kind })
        end
    end)

    on_every_route("Google's error inside an error is told", function(via)
        local inner = cjson.encode { error = { code = 400, message = "Invalid aspect ratio", status = "INVALID_ARGUMENT" } }
        local _, err = generate(via, { status = 400, body = cjson.encode { error = { message = inner, type = "None", param = "None", code = "400" } } })
        assert.equal("invalid_request", err.kind)
        assert.matches("Invalid aspect ratio", err.message)
    end)

    on_every_route("no key is in any error", function(via)
        local _, err = generate(via, { status = 401, body = '{"error":{"message":"Received=' .. KEY .. ', no","type":"auth_error","param":"' .. KEY .. '","code":"401"}}' })
        for name, value in pairs(err) do
            assert.is_nil(tostring(value):find(KEY, 1, true), name)
        end
    end)

    on_every_route("a busy gateway is asked again, with the same body", function(via)
        local id = "again-" .. via
        local response = assert(generate(via, {
            id = id, keep = directory .. "/body",
            answers = { { status = 503, headers = { "retry-after-ms: 1" } }, { body = routes.answer(via, { routes.base64(1) }) } },
        }))
        assert.equal(2, response.attempts)
        local first = command.read(directory .. "/body.1")
        assert.is_true(#first > 0 and first == command.read(directory .. "/body.2"))
    end)

    on_every_route("a failure that may be billed is not asked again", function(via)
        local id = "once-" .. via
        local _, err = generate(via, { id = id, status = 500, body = "{}" })
        assert.same({ "server_error", 1, true }, { err.kind, err.attempts, err.maybe_billed })
        assert.equal(1, mirrors.count(mirror, id))
        id = "reset-" .. via
        _, err = generate(via, { id = id, pieces = {}, reset = true })
        assert.same({ "connection", 1, true }, { err.kind, err.attempts, err.maybe_billed })
        assert.equal(1, mirrors.count(mirror, id))
    end)

    on_every_route("a time limit ends it", function(via)
        local _, err = generate(via, { hold = 60 }, { timeout = 0.5 })
        assert.same({ "timeout", true }, { err.kind, err.maybe_billed })
        local body = routes.answer(via, { routes.base64(300) })
        _, err = generate(via, { pieces = { "HTTP/1.1 200 OK\r\n\r\n" .. body:sub(1, 500), body:sub(501) }, pause = 60 }, { timeout = 0.5 })
        assert.equal("timeout", err.kind)
    end)

    on_every_route("it can be cancelled while its answer comes", function(via)
        local body, calls, result = routes.answer(via, { routes.base64(3), routes.base64(300) }), 0, nil
        local request
        request = assert(client:submit(ask(via, { pieces = { "HTTP/1.1 200 OK\r\n\r\n" .. body:sub(1, -400), body:sub(-399) }, pause = 2 }, {
            on_image = function()
                assert.is_true(request:cancel())
            end,
        }), function(response, err)
            calls, result = calls + 1, { response, err }
        end))
        local _, err = request:wait()
        assert.equal("cancelled", err.kind)
        assert.is_true(err.maybe_billed)
        assert.equal(1, #err.data) -- it is paid for
        while calls == 0 do
            client:poll(0.1)
        end
        client:poll()
        assert.equal(1, calls)
        assert.equal(err, result[2])
        assert.is_false(request:cancel())
    end)

    on_every_route("nothing waits but wait", function(via)
        local done, gate = nil, mirrors.gate()
        local request = assert(client:submit(ask(via, { gate = gate.path, body = routes.answer(via, { routes.base64(7) }) }), function(response, err)
            done = response or err
        end))
        assert.equal("queued", request:status())
        local turns = 0
        while not done do
            turns = turns + 1
            client:poll(0)
            if turns == 20 then -- a poll that waited for the answer would never come to this
                gate:open()
            end
            system.sleep(0.005)
        end
        gate:remove()
        assert.is_true(done.data[1].bytes == routes.bytes(7))
        assert.equal("done", request:status())
    end)

    on_every_route("a coroutine gets it by await", function(via)
        local response
        local thread = coroutine.create(function()
            response = client:submit(ask(via, { hold = 0.05, body = routes.answer(via, { routes.base64(7) }) })):await()
        end)
        assert(coroutine.resume(thread))
        while coroutine.status(thread) ~= "dead" do
            client:poll(0.1)
        end
        assert.is_true(response.data[1].bytes == routes.bytes(7))
    end)

    on_every_route("more pictures than an answer may have are too many", function(via)
        local pictures = {}
        for i = 1, 64 do
            pictures[i] = routes.base64(i)
        end
        local response = assert(generate(via, { body = routes.answer(via, pictures) }))
        assert.equal(64, #response.data)
        assert.equal(routes.SIZE + 3 * 64, response.data[64].size)
        pictures[65] = routes.base64(1)
        local _, err = generate(via, { body = routes.answer(via, pictures) })
        assert.equal("response_too_large", err.kind)
    end)
end)

describe("the emulator's odd answers", function()
    local own

    fixtures.emulator_client(function(_, started) own = started end)

    local function draw(model, via, params)
        params = params or {}
        params.model, params.via, params.prompt = "emulate/" .. model, via, "a lighthouse"
        return own:generate(params)
    end

    local pictures = {
        chat = { "stamp", "message-image", "content-data", "markdown", "content-parts" },
        gemini = { "stamp", "mime-last", "inline-data" },
    }
    for via, models in pairs(pictures) do
        for _, model in ipairs(models) do
            it("of " .. model .. " have one picture via " .. via, function()
                local response = assert(draw(model, via))
                assert.equal(1, #response.data)
                assert.is_string(response.data[1].mime)
                assert.equal(via == "chat", response.cost ~= nil)
                assert.is_nil(response.text and response.text:find "base64")
            end)
        end
    end

    for _, via in ipairs { "chat", "gemini" } do
        it("have kinds via " .. via, function()
            for model, kind in pairs {
                text = "no_image", blocked = "content_policy", safety = "content_policy", ["image-safety"] = "content_policy",
                ["no-image"] = "no_image", ["no-choices"] = "no_image", ["429"] = "rate_limit", budget = "budget_exceeded", ["401"] = "authentication",
                ["truncated"] = "bad_response", ["html"] = "bad_response", ["not-base64"] = "bad_response", ["502"] = "server_error",
            } do
                local response, err = draw(model, via, { max_retries = 0 })
                assert.is_nil(response)
                assert.equal(kind, err.kind, model)
            end
        end)

        it("have two pictures and text via " .. via, function()
            local response = assert(draw("several", via))
            assert.equal(2, #response.data)
            assert.matches("darker", response.text)
            assert.is_nil(response.text:find "base64")
        end)

        it("come in pieces via " .. via, function()
            for _, model in ipairs { "drip", "chunked", "gzip", "pretty" } do
                assert.equal(1, #assert(draw(model, via)).data, model)
            end
        end)
    end

    it("have the ratio that was asked for, by a way of each route's own", function()
        for _, via in ipairs { "chat", "gemini" } do
            local response = assert(own:generate { model = "gemini-2.5-flash-image", via = via, prompt = "x", aspect_ratio = "21:9" })
            assert.same({ 1536, 672 }, { response.data[1].width, response.data[1].height })
            assert.same({}, response.warnings)
        end
    end)
end)
