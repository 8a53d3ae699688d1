--- The emulator's other routes as clients meet them: chat, Gemini, addresses, and what a key may know of itself.

local cjson = require "cjson"
local base64 = require "thucchien.emulator.base64"
local curl = require "spec.support.curl"
local emulators = require "spec.support.emulator"
local fixtures = require "spec.support.fixtures"
local pictures = require "spec.support.pictures"

local KEY = "sk-nobody-may-read-this-0123456789"
local BEARER = "Authorization: Bearer " .. KEY
local GOOGLE = "x-goog-api-key: " .. KEY

local function dimensions(bytes)
    return ("%dx%d"):format(pictures.png_dimensions(bytes))
end

--- A data URL's picture.
local function picture_in(url)
    return base64.decode((url:match "^data:image/png;base64,([%w+/]+=*)$"))
end

--- The names of the characters in a picture that the emulator drew.
local function cast_of(bytes)
    local note = bytes:match "tEXtCast%z([%x\n]+)"
    return note
end

--- A PNG file of one colour, of a colour type and depth.
local function plain_png(width, height, kind, depth, pixel, palette)
    local zlib = require "zlib"
    local function number(n)
        return string.char(math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
    end
    local function chunk(name, content)
        return number(#content) .. name .. content .. number(zlib.crc32()(name .. content))
    end
    local rows = ("\0" .. pixel:rep(width)):rep(height)
    return "\137PNG\r\n\26\n" .. chunk("IHDR", number(width) .. number(height) .. string.char(depth, kind) .. "\0\0\0")
        .. (palette and chunk("PLTE", palette) or "") .. chunk("IDAT", (zlib.deflate()(rows, "finish"))) .. chunk("IEND", "")
end

local JPEG = "\255\216\255\224\0\16JFIF" .. ("a reference "):rep(40)

describe("the emulator's", function()
    local emulator

    fixtures.emulator(function(started) emulator = started end)

    local function post(path, body, headers, url)
        local text = type(body) == "table" and cjson.encode(body) or body
        return curl.request((url or emulator.url) .. path, { headers = headers or { BEARER }, body = text })
    end

    local function get(path, headers, url)
        return curl.request((url or emulator.url) .. path, { headers = headers or { BEARER } })
    end

    --- A chat with a model; fields override.
    local function chat(model, fields)
        local body = { model = model, messages = { { role = "user", content = "a lake" } }, modalities = { "image" } }
        for name, value in pairs(fields or {}) do
            body[name] = value
        end
        return post("/v1/chat/completions", body)
    end

    local function message_of(answer)
        return cjson.decode(answer.body).choices[1].message
    end

    local function chat_picture(answer)
        return picture_in(message_of(answer).images[1].image_url.url)
    end

    local function gemini(model, fields, headers)
        local body = { contents = { { parts = { { text = "a lake" } } } } }
        for name, value in pairs(fields or {}) do
            body[name] = value
        end
        return post("/gemini/v1beta/models/" .. model .. ":generateContent", body, headers or { GOOGLE })
    end

    local function error_of(answer)
        return cjson.decode(answer.body).error
    end

    describe("chat route", function()
        it("answers in the gateway's shape, nulls absent", function()
            local answer = chat "gemini-2.5-flash-image"
            local shape = answer.body:gsub("base64,[%w+/=]+", "base64,B"):gsub('"created":%d+', '"created":T')
                :gsub('"id":"[^"]+"', '"id":I')
            assert.are.equal('{"id":I,"created":T,"model":"gemini-2.5-flash-image","object":"chat.completion","choices":'
                .. '[{"finish_reason":"stop","index":0,"message":{"role":"assistant","images":[{"image_url":{"url":'
                .. '"data:image/png;base64,B","detail":"auto"},"index":0,"type":"image_url"}]}}],"usage":'
                .. '{"completion_tokens":1290,"prompt_tokens":2,"total_tokens":1292},"vertex_ai_grounding_metadata":[],'
                .. '"vertex_ai_url_context_metadata":[],"vertex_ai_safety_results":[],"vertex_ai_citation_metadata":[]}', shape)
            assert.are.equal("0.039", answer.headers["x-litellm-response-cost"])
            assert.are.equal("200", answer.headers["x-ratelimit-api_key-limit-requests"])
            assert.matches("^%d+$", answer.headers["x-ratelimit-api_key-remaining-requests"])
            assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", answer.headers["x-litellm-call-id"])
        end)

        it("takes the caller's call id, as the images route does not", function()
            local headers = { BEARER, "x-litellm-call-id: mine" }
            local body = { model = "emulate/stamp", messages = { { role = "user", content = "x" } } }
            assert.are.equal("mine", post("/chat/completions", body, headers).headers["x-litellm-call-id"])
        end)

        it("draws in every ratio, and refuses others", function()
            local sizes = { ["21:9"] = "96x42", ["16:9"] = "96x55", ["4:3"] = "96x70", ["3:2"] = "96x64", ["5:4"] = "96x75",
                ["1:1"] = "96x96", ["4:5"] = "75x96", ["2:3"] = "64x96", ["3:4"] = "70x96", ["9:16"] = "55x96" }
            for ratio, size in pairs(sizes) do
                local answer = chat("emulate/stamp", { imageConfig = { aspectRatio = ratio } })
                assert.are.equal(size, dimensions(chat_picture(answer)))
            end
            local answer = chat("nano-banana-2", { imageConfig = { aspectRatio = "16:9" } })
            assert.are.equal("1344x768", dimensions(chat_picture(answer)))
            assert.are.equal(400, chat("emulate/stamp", { imageConfig = { aspectRatio = "7:3" } }).status)
        end)

        it("speaks unless only pictures are asked for, and draws unless only text is", function()
            assert.is_nil(message_of(chat "emulate/stamp").content)
            for _, modalities in ipairs { cjson.null, { "text", "image" }, { "TEXT", "IMAGE" } } do
                local message = message_of(chat("emulate/stamp", { modalities = modalities }))
                assert.are.equal("string", type(message.content))
                assert.are.equal(1, #message.images)
            end
            local message = message_of(chat("gemini-2.5-flash-image", { modalities = { "text" } }))
            assert.are.equal("string", type(message.content))
            assert.are.same({}, message.images)
        end)

        it("draws another picture when it is asked again, in the same order for every key", function()
            local seen, order = {}, {}
            for _, key in ipairs { "sk-one", "sk-two" } do
                for i = 1, 3 do
                    local body = { model = "emulate/stamp", messages = { { role = "user", content = "a pond" } } }
                    local bytes = chat_picture(post("/v1/chat/completions", body, { "Authorization: Bearer " .. key }))
                    seen[bytes], order[i] = true, order[i] or bytes
                    assert.is_true(bytes == order[i])
                end
            end
            local count = 0
            for _ in pairs(seen) do
                count = count + 1
            end
            assert.are.equal(3, count)
        end)

        it("streams where it is asked to", function()
            local answer = chat("emulate/stamp", { stream = true, modalities = cjson.null })
            assert.matches("^text/event%-stream", answer.headers["content-type"])
            local text, url, reason, last = "", nil, nil, nil
            for line in answer.body:gmatch "data: ([^\n]+)\n\n" do
                last = line
                local choice = line ~= "[DONE]" and cjson.decode(line).choices[1] or nil
                if choice then
                    text, reason = text .. (choice.delta.content or ""), choice.finish_reason or reason
                    url = choice.delta.images and choice.delta.images[1].image_url.url or url
                end
            end
            assert.are.same({ "Here is the picture that you asked for.", "stop", "[DONE]" }, { text, reason, last })
            dimensions(picture_in(url))
        end)

        it("refuses what the gateway refuses", function()
            local cases = { -- fields, status, part of the message
                { { messages = cjson.null }, 500, "missing 1 required positional argument: 'messages'" },
                { { messages = "x" }, 500, "has no attribute" },
                { { messages = { { content = "x" } } }, 500, "Invalid message at index 0" },
                { { messages = { { role = "user", content = { { type = "image_url" } } } } }, 500, "Invalid message" },
                { { n = 2 }, 400, "Multiple candidates" },
                { { model = "nonsense" }, 400, "{'error': '/chat/completions: Invalid model name passed in model=nonsense." },
                { { model = "imagen-4" }, 400, "is not supported in the generateContent API" },
            }
            for _, case in ipairs(cases) do
                local answer = chat("emulate/stamp", case[1])
                assert.are.equal(case[2], answer.status)
                assert.are.equal(tostring(case[2]), error_of(answer).code)
                assert.truthy(error_of(answer).message:find(case[3], 1, true), error_of(answer).message)
                assert.truthy(answer.headers["x-litellm-call-id"])
            end
            assert.are.equal(400, post("/chat/completions", '{"model":"nano-banana-2","messages":[]}').status)
            assert.are.equal(400, post("/chat/completions", "{").status)
            assert.are.equal(401, post("/chat/completions", "[]").status)
            assert.are.equal(400, post("/chat/completions", "").status)
            assert.are.equal(401, post("/chat/completions", "{}", {}).status)
            assert.are.equal(405, get("/chat/completions").status)
        end)

        it("has headers on its errors that the images route has not", function()
            local answer = chat "emulate/rate-limit/20"
            assert.are.equal(429, answer.status)
            assert.matches("^Rate limit exceeded for api_key", error_of(answer).message)
            assert.is_true(math.abs(tonumber(answer.headers["retry-after"]) - 20) <= 2)
            assert.are.equal("requests", answer.headers.rate_limit_type)
            assert.matches("UTC$", answer.headers.reset_at)
            assert.matches("Received Model Group=gemini", error_of(chat "emulate/500").message)
            assert.is_nil(chat("emulate/401").headers["x-litellm-call-id"])
        end)

        it("answers in the shapes of other versions", function()
            assert.matches("^data:image/png;base64,", message_of(chat "emulate/message-image").image.url)
            assert.matches("^data:image/png;base64,", message_of(chat "emulate/content-data").content)
            local markdown = message_of(chat "emulate/markdown").content
            dimensions(picture_in(markdown:match "%((data:[^)]+)%)\n\nShall"))
            local parts = message_of(chat "emulate/content-parts").content
            dimensions(picture_in(parts[2].image_url.url))
            local several = message_of(chat "emulate/several")
            assert.are.equal(2, #several.images)
            assert.are.equal(0, several.images[2].index)
            assert.matches("two", several.content)
            assert.matches("^http://", message_of(chat "emulate/url").images[1].image_url.url)
        end)

        it("answers 200 with no picture in each way", function()
            local ways = { text = "stop", ["no-images"] = "stop", blocked = "content_filter", safety = "content_filter",
                ["image-safety"] = "content_filter", ["no-image"] = "stop" }
            for name, reason in pairs(ways) do
                local answer = chat("emulate/" .. name)
                local choice = cjson.decode(answer.body).choices[1]
                assert.are.equal(200, answer.status)
                assert.are.equal(reason, choice.finish_reason)
                assert.is_nil(answer.headers["x-litellm-response-cost"])
                assert.is_nil((choice.message.images or {})[1])
                assert.are.equal(name == "text", choice.message.images ~= nil)
            end
            assert.are.same({}, cjson.decode(chat("emulate/no-choices").body).choices)
        end)

        it("has every failure of the images route", function()
            for name, status in pairs { ["503"] = 503, budget = 400, html = 200, ["504"] = 504, quota = 429 } do
                assert.are.equal(status, chat("emulate/" .. name).status)
            end
            local answer = chat "emulate/pretty"
            assert.truthy(answer.body:find("image\\/png", 1, true))
            dimensions(chat_picture(answer))
        end)
    end)

    describe("Gemini route", function()
        it("takes a key only where Google looks", function()
            for _, headers in ipairs { { BEARER }, {}, { "x-api-key: " .. KEY } } do
                local answer = gemini("emulate/stamp", {}, headers)
                assert.are.equal(401, answer.status)
                assert.truthy(error_of(answer).message:find("Received=None, expected to start with 'sk-'", 1, true))
            end
            assert.are.equal(200, gemini("emulate/stamp").status)
            local path = "/gemini/v1beta/models/emulate%2Fstamp:generateContent?key=" .. KEY
            assert.are.equal(200, post(path, { contents = { { parts = { { text = "x" } } } } }, {}).status)
        end)

        it("answers as Google does", function()
            local answer = gemini("gemini-2.5-flash-image", {
                generationConfig = { responseModalities = { "IMAGE" }, imageConfig = { aspectRatio = "21:9" } },
            })
            local body = cjson.decode(answer.body)
            local parts = body.candidates[1].content.parts
            assert.are.equal(1, #parts)
            assert.are.equal("image/png", parts[1].inlineData.mimeType)
            assert.are.equal("1536x672", dimensions(base64.decode(parts[1].inlineData.data)))
            assert.are.equal("STOP", body.candidates[1].finishReason)
            assert.are.equal(1290, body.usageMetadata.candidatesTokenCount)
            assert.are.equal("gemini-2.5-flash-image", body.modelVersion)
            assert.truthy(answer.headers["x-litellm-call-id"])
            assert.is_nil(answer.headers["x-litellm-response-cost"])
        end)

        it("answers in every odd way", function()
            local function candidate(name)
                return cjson.decode(gemini("emulate/" .. name).body).candidates[1]
            end
            for name, reason in pairs { safety = "SAFETY", ["image-safety"] = "IMAGE_SAFETY", ["no-image"] = "NO_IMAGE" } do
                assert.are.equal(reason, candidate(name).finishReason)
                assert.is_nil(candidate(name).content)
            end
            local blocked = cjson.decode(gemini("emulate/blocked").body)
            assert.are.equal("PROHIBITED_CONTENT", blocked.promptFeedback.blockReason)
            assert.is_nil(blocked.candidates)
            assert.are.same({}, cjson.decode(gemini("emulate/no-choices").body).candidates)
            assert.matches('"data": "[^"]+",%s+"mimeType"', gemini("emulate/mime-last").body)
            local blob = candidate("inline-data").content.parts[1].inline_data
            assert.are.equal("image/png", blob.mime_type)
            dimensions(base64.decode(blob.data))
            assert.are.equal(5, #candidate("several").content.parts)
            assert.is_nil(candidate("text").content.parts[2])
        end)

        it("quotes Google's errors inside its own", function()
            for name, status in pairs { ["400"] = "INVALID_ARGUMENT", ["429"] = "RESOURCE_EXHAUSTED", ["500"] = "INTERNAL" } do
                local answer = gemini("emulate/" .. name)
                local err = error_of(answer)
                assert.are.equal(tonumber(name), answer.status)
                assert.are.same({ "None", "None", name }, { err.type, err.param, err.code })
                assert.are.equal(status, cjson.decode(err.message).error.status)
                assert.truthy(answer.headers["x-litellm-call-id"])
            end
        end)

        it("refuses what Google refuses", function()
            local function refusal(fields)
                local answer = gemini("emulate/stamp", fields)
                assert.are.equal(400, answer.status)
                return cjson.decode(error_of(answer).message).error.message
            end
            assert.matches("contents is not specified", refusal { contents = cjson.null })
            assert.matches('Unknown name "prompt"', refusal { prompt = "x" })
            assert.matches("parts must not be empty", refusal { contents = { { role = "user" } } })
            assert.matches("one initialized field", refusal { contents = { { parts = { { data = "x" } } } } })
            assert.matches("valid role", refusal { contents = { { role = "poet", parts = { { text = "x" } } } } })
            assert.matches("aspect_ratio", refusal { generationConfig = { imageConfig = { aspectRatio = "7:3" } } })
            for _, model in ipairs { "imagen-4", "nonsense", "emulate/markdown", "../../key" } do
                assert.are.equal(404, gemini(model).status)
            end
            assert.are.equal(404, post("/gemini/v1beta/models/emulate/stamp:predict", {}, { GOOGLE }).status)
        end)
    end)

    describe("references", function()
        local PICTURE = plain_png(64, 48, 2, 8, "\200\60\20")

        local function shown(bytes, prompt, mime)
            return chat_picture(chat("emulate/stamp", { messages = { { role = "user", content = {
                { type = "text", text = prompt or "a lake" },
                { type = "image_url", image_url = { url = ("data:%s;base64,%s"):format(mime or "image/png", base64.encode(bytes)) } },
            } } } }))
        end

        it("bring the same character into every picture, on both routes", function()
            local first = cast_of(shown(PICTURE))
            assert.truthy(first)
            for _, prompt in ipairs { "snow at night", "a desert", "the sea" } do
                assert.are.equal(first, cast_of(shown(PICTURE, prompt)))
            end
            assert.are_not.equal(shown(PICTURE), chat_picture(chat "emulate/stamp"))
            assert.is_nil(cast_of(chat_picture(chat "emulate/stamp")))
            for i, blob in ipairs { { inline_data = { mime_type = "image/png", data = base64.encode(PICTURE) } },
                { inlineData = { mimeType = "image/png", data = base64.encode(PICTURE) } } } do
                local answer = gemini("emulate/stamp", { contents = { { parts = { { text = "lake " .. i }, blob } } } })
                local parts = cjson.decode(answer.body).candidates[1].content.parts
                assert.is_true(shown(PICTURE, "lake " .. i) == base64.decode(parts[2].inlineData.data))
            end
        end)

        it("that were drawn with characters bring those, not more", function()
            local drawn = shown(PICTURE)
            assert.are.equal(cast_of(drawn), cast_of(shown(drawn, "the next morning")))
            assert.are_not.equal(cast_of(drawn), cast_of(shown(JPEG, "a lake", "image/jpeg")))
        end)

        it("are read in every type of PNG, and guessed at otherwise", function()
            local thumbnail = require "thucchien.emulator.paint.thumbnail"
            local function nothing() end
            local cases = { -- colour type, depth, pixel, palette, expected
                { 0, 8, "\77", nil, { 77, 77, 77 } },
                { 2, 8, "\1\2\3", nil, { 1, 2, 3 } },
                { 2, 16, "\1\255\2\255\3\255", nil, { 1, 2, 3 } },
                { 3, 8, "\1", "\0\0\0\9\8\7", { 9, 8, 7 } },
                { 4, 8, "\50\128", nil, { 50, 50, 50 } },
                { 6, 8, "\7\8\9\0", nil, { 7, 8, 9 } },
            }
            for _, case in ipairs(cases) do
                local image = thumbnail.read(plain_png(333, 7, case[1], case[2], case[3], case[4]), nothing)
                assert.are.same({ 160, 3 }, { image.width, image.height })
                assert.are.same(case[5], { image.pixels[1], image.pixels[2], image.pixels[3] })
            end
            local good = plain_png(9, 9, 2, 8, "\1\2\3")
            assert.is_nil((thumbnail.read(good:sub(1, 40), nothing)))
            assert.is_nil((thumbnail.read(good:sub(1, 45) .. ("\255"):rep(40), nothing)))
            assert.is_nil((thumbnail.read("\137PNG\r\n\26\n", nothing)))
            assert.truthy(cast_of(shown(good:sub(1, 40))))
            for _, bytes in ipairs { JPEG, "GIF89a" .. ("x"):rep(99), "RIFF\1\0\0\0WEBP" .. ("x"):rep(99) } do
                assert.truthy(cast_of(shown(bytes)))
            end
        end)

        it("undo every row filter", function()
            local landscape, png = require "thucchien.emulator.paint.landscape", require "thucchien.emulator.paint.png"
            local thumbnail = require "thucchien.emulator.paint.thumbnail"
            local bytes = png.encode(5, 4, function(y, row)
                for i = 0, 14 do
                    row[i] = (y * 40 + i * 9) % 256
                end
            end)
            local image = thumbnail.read(bytes, function() end)
            for i = 0, 59 do
                assert.are.equal((math.floor(i / 15) * 40 + i % 15 * 9) % 256, image.pixels[i + 1])
            end
            assert.truthy(thumbnail.read(landscape.png("x", 1, 40, 30), function() end))
        end)

        it("are refused when they are no pictures", function()
            for _, data in ipairs { "iVBORw0KGgo*", "iVBORw0KGg", "AAAA=AAA", base64.encode "just some text" } do
                local answer = chat("emulate/stamp", { messages = { { role = "user", content = {
                    { type = "image_url", image_url = { url = "data:image/png;base64," .. data } },
                } } } })
                assert.are.equal(400, answer.status)
            end
        end)

        it("may be five pictures of eight megabytes", function()
            local part = { type = "image_url", image_url = { url = "data:image/jpeg;base64," .. base64.encode(JPEG:rep(math.floor(8e6 / #JPEG))) } }
            local answer = chat("emulate/stamp", { messages = { { role = "user", content = {
                { type = "text", text = "a lake" }, part, part, part, part, part,
            } } } })
            assert.are.equal(200, answer.status)
            assert.truthy(cast_of(chat_picture(answer)))
        end)

        it("stay in the conversation, and so does the place", function()
            local url = "data:image/png;base64," .. base64.encode(PICTURE)
            local messages = {
                { role = "user", content = "a lighthouse at noon" },
                { role = "assistant", content = cjson.null, images = { { type = "image_url", image_url = { url = url } } } },
                { role = "user", content = "now at night" },
            }
            local drawn = chat_picture(chat("emulate/stamp", { messages = messages }))
            assert.are.equal(cast_of(shown(PICTURE)), cast_of(drawn))
            local scene = require "thucchien.emulator.paint.scene"
            local read = scene.read("now at night", function() return 0.5 end, { "a lighthouse at noon" })
            assert.are.same({ "night", "sea", true }, { read.time, read.place, read.lighthouse })
            read = scene.read("in a desert", function() return 0.5 end, { "night", "a boat on a lake" })
            assert.are.same({ "night", "desert", true }, { read.time, read.place, read.boat })
        end)
    end)

    describe("addresses", function()
        local function urls_of(model, n)
            local answer = post("/images/generations", { model = "emulate/" .. model, prompt = "a lake", n = n or 1, size = "64x64" })
            assert.are.equal(200, answer.status)
            local urls = {}
            for i, item in ipairs(cjson.decode(answer.body).data) do
                urls[i] = item.url
            end
            return urls, answer
        end

        local function fetch(url, options)
            return curl.request(url, options)
        end

        it("cannot be guessed and refuse a key", function()
            local urls = urls_of("url", 2)
            assert.matches("/emulate/pictures/" .. ("%x"):rep(32) .. "%.png$", urls[1])
            assert.are_not.equal(urls[1], urls[2])
            assert.are.equal("64x64", dimensions(fetch(urls[1]).body))
            for _, header in ipairs { BEARER, GOOGLE, "x-api-key: " .. KEY } do
                assert.are.equal(400, fetch(urls[1], { headers = { header } }).status)
            end
            assert.are.equal(404, fetch((urls[1]:gsub("%x%x%x%x%.png$", "wxyz.png"))).status)
        end)

        it("redirect as often as asked", function()
            for hops = 1, 5 do
                local url = urls_of("url-redirect/" .. hops)[1]
                local answer = fetch(url, { arguments = "-L --max-redirs " .. hops })
                assert.are.equal(200, answer.status)
                dimensions(answer.body)
                assert.are.equal(47, fetch(url, { arguments = "-L --max-redirs " .. hops - 1 }).code) -- curl: too many
            end
        end)

        it("lead where no client should go", function()
            assert.are.equal("http://169.254.169.254/latest/meta-data/", fetch(urls_of("url-metadata")[1]).headers.location)
            local answer = fetch(urls_of("url-file")[1])
            assert.are.equal(302, answer.status)
            assert.are.equal("file:///etc/passwd", answer.headers.location)
        end)

        it("fail in other ways", function()
            assert.are.equal(404, fetch(urls_of("url-404")[1]).status)
            local answer = fetch(urls_of("url-html")[1])
            assert.are.same({ 200, "text/html" }, { answer.status, answer.headers["content-type"] })
            assert.are.equal(18, fetch(urls_of("url-broken")[1]).code) -- curl: a partial file
            assert.are.equal(28, fetch(urls_of("url-slow/20")[1], { arguments = "-m 0.3" }).code) -- curl: a timeout
            assert.are.equal(200, fetch(urls_of("url-slow/0.2")[1]).status)
        end)

        it("stand beside base64, or hold it", function()
            local _, answer = urls_of("url-mixed", 4)
            for i, item in ipairs(cjson.decode(answer.body).data) do
                assert.are.equal(i % 2 == 1 and "string" or type(cjson.null), type(item.b64_json))
                assert.are.equal(i % 2 == 0 and "string" or type(cjson.null), type(item.url))
            end
            assert.are.equal("64x64", dimensions(picture_in(urls_of("url-data")[1])))
            answer = post("/images/generations", { model = "imagen-4", prompt = "x", n = 1, mock_response = "http://x/y" })
            assert.are.same({ { url = "http://x/y", b64_json = cjson.null, revised_prompt = cjson.null } }, cjson.decode(answer.body).data)
        end)
    end)

    describe("account", function()
        it("lists the models", function()
            for _, path in ipairs { "/models", "/v1/models" } do
                local list = cjson.decode(get(path).body)
                assert.are.equal("list", list.object)
                assert.are.same({ "imagen-4", "model" }, { list.data[1].id, list.data[1].object })
            end
            assert.are.equal(401, get("/models", {}).status)
        end)

        it("tells anybody that it is ready", function()
            assert.are.equal("connected", cjson.decode(get("/health/readiness", {}).body).status)
        end)

        it("tells a key what it has spent", function()
            local headers = { "Authorization: Bearer sk-account" }
            local body = cjson.decode(get("/key/info", headers).body)
            assert.matches("^" .. ("%x"):rep(64) .. "$", body.key)
            assert.are.equal(0, body.info.spend)
            for _, name in ipairs { "expires", "max_budget", "blocked", "team_id", "budget_reset_at" } do
                assert.are.equal(cjson.null, body.info[name])
            end
            assert.are.equal(20, body.info.metadata.model_rpm_limit["imagen-4"])
            assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d+%+00:00$", body.info.created_at)
            post("/images/generations", { model = "imagen-4", prompt = "x", n = 2, size = "64x64" }, headers)
            post("/chat/completions", { model = "emulate/stamp", messages = { { role = "user", content = "x" } } }, headers)
            gemini("emulate/stamp", {}, { "x-goog-api-key: sk-account" })
            body = cjson.decode(get("/key/info", headers).body)
            assert.is_true(math.abs(body.info.spend - 0.158) < 1e-9)
            assert.are.equal("sk-account", cjson.decode(get("/key/info?key=sk-account", headers).body).key)
            assert.are.equal(404, get("/key/info?key=sk-other", headers).status)
            assert.are.equal(403, get("/key/info?key=sk-account").status)
        end)

        it("ends when the budget does", function()
            local server = emulators.start { args = { "--budget", "0.1" } }
            finally(function()
                server:stop()
            end)
            local body = { model = "imagen-4", prompt = "x", n = 2, size = "64x64" }
            local answer = post("/images/generations", body, nil, server.url)
            assert.are.equal("0.1", answer.headers["x-litellm-key-max-budget"])
            assert.are.equal("0.0", answer.headers["x-litellm-key-spend"])
            assert.are.equal(200, post("/images/generations", body, nil, server.url).status)
            for _, path in ipairs { "/images/generations", "/chat/completions" } do
                answer = post(path, body, nil, server.url)
                assert.are.equal(400, answer.status)
                assert.are.same({ message = "Budget has been exceeded! Current cost: 0.16, Max budget: 0.1",
                    type = "budget_exceeded", param = cjson.null, code = "400" }, error_of(answer))
            end
            local info = cjson.decode(get("/key/info", nil, server.url).body).info
            assert.are.same({ 0.16, 0.1 }, { info.spend, info.max_budget })
            assert.are.equal(200, post("/images/generations", body, { "Authorization: Bearer sk-richer" }, server.url).status)
        end)

        it("counts requests a minute", function()
            local server = emulators.start { args = { "--rpm", "2" } }
            finally(function()
                server:stop()
            end)
            local body = { model = "imagen-4", prompt = "x", n = 1, size = "64x64" }
            assert.are.equal(200, post("/images/generations", body, nil, server.url).status)
            assert.are.equal(400, post("/images/generations", "{", nil, server.url).status)
            local answer = post("/images/generations", body, nil, server.url)
            assert.are.equal(429, answer.status)
            local hash = cjson.decode(get("/key/info", nil, server.url).body).key
            assert.matches("^429: Rate limit exceeded for api_key: " .. hash .. "%. Limit type: requests%. Current limit: 2, "
                .. "Remaining: 0%. Limit resets at: %d+%-%d+%-%d+ %d+:%d+:%d+ UTC$", error_of(answer).message)
            assert.is_nil(answer.headers["retry-after"])
            answer = post("/chat/completions", body, nil, server.url)
            assert.matches("^Rate limit exceeded", error_of(answer).message)
            assert.matches("^%d+$", answer.headers["retry-after"])
            assert.are.equal(429, post("/gemini/v1beta/models/x:generateContent", body, { GOOGLE }, server.url).status)
        end)
    end)

    it("log holds neither keys nor base64", function()
        chat("emulate/stamp", { messages = { { role = "user", content = { { type = "image_url",
            image_url = { url = "data:image/jpeg;base64," .. base64.encode(JPEG) } } } } } })
        post("/gemini/v1beta/models/" .. KEY .. ":generateContent?key=" .. KEY, {}, {})
        chat("end of the log")
        assert.truthy(emulator:await "end of the log")
        assert.is_nil(emulator:log():find("nobody-may-read", 1, true))
        assert.is_nil(emulator:log():find("/9j/4", 1, true))
    end)
end)

describe("base64", function()
    it("decodes what it encodes, or the start of it", function()
        local bytes = {}
        for i = 1, 20001 do
            bytes[i] = string.char(i * i % 251)
        end
        for length = 0, 9 do
            local text = table.concat(bytes, "", 1, length)
            assert.are.equal(text, base64.decode(base64.encode(text)))
        end
        local text = table.concat(bytes)
        assert.is_true(text == base64.decode(base64.encode(text)))
        assert.are.equal(text:sub(1, 48), base64.decode(base64.encode(text), 64))
    end)
end)
