-- What real gateways send that nobody's documentation has: pictures that are cut, drafts, refusals in words of their
-- own, pictures in each other's shapes. Each as a user meets it, on every route, by every way to take pictures, and
-- in pieces of any size.

local cjson = require "cjson"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local pictures = require "spec.support.pictures"

local PNG, GIF, JPG, WEBP = pictures.bytes "png", pictures.bytes "gif", pictures.bytes "jpg", pictures.bytes "webp"
local encode = pictures.encode

local mirror, client, directory
local saved -- the directory of the latest `save`, which has nothing else in it

fixtures.client(function(...) mirror, client = ... end)
fixtures.directory(function(path) directory = path end)

-- ---- asking --------------------------------------------------------------------------------------

-- An answer is a table for the mirror, or its body.
local function generate(via, answer, params)
    params = params or {}
    params.prompt, params.model, params.via = "x", "any/model", via
    params.extra_body = { mirror = type(answer) == "string" and { body = answer } or answer }
    return client:generate(params)
end

-- The same answer in pieces that reach the module one by one: those of a chunked body do.
local function in_pieces(answer, cut)
    local pieces = {}
    if cut then
        pieces = { answer.body:sub(1, cut), answer.body:sub(cut + 1) }
    else
        for i = 1, #answer.body do
            pieces[i] = answer.body:sub(i, i)
        end
    end
    return { chunks = pieces, headers = answer.headers }
end

local WAYS = { "plain", "on_image", "sink", "save" }

-- Asks by one of the ways. Gives the response or the error, what pictures came of it, in order, and what was told:
-- numbers of whole pictures.
local function take(way, via, answer, params)
    params = params or {}
    local sunk, told, came = {}, {}, {}
    if way == "on_image" then
        function params.on_image(image, number)
            told[#told + 1] = number
            came[#came + 1] = image.bytes
        end
    elseif way == "sink" then
        function params.sink(number, chunk)
            if chunk then
                sunk[number] = (sunk[number] or "") .. chunk
            else
                told[#told + 1] = number
                came[#came + 1] = sunk[number]
            end
            return true
        end
    elseif way == "save" then
        saved = command.new_directory(directory)
        params.save = saved .. "/picture"
    end
    local response, err = generate(via, answer, params)
    for i, image in ipairs(response and response.data or {}) do
        if way == "plain" then
            told[i], came[i] = i, image.bytes
        elseif way == "save" then
            told[i] = tonumber(image.path:match "picture%-(%d+)" or 1)
            came[i] = command.read(image.path)
        else
            assert.equal(way == "on_image", image.bytes ~= nil)
        end
    end
    return response, err, came, told, sunk
end

-- ---- shapes --------------------------------------------------------------------------------------

local function json(value)
    return { body = cjson.encode(value):gsub("\\/", "/") .. "" }
end

local function events(list, separator)
    local lines = {}
    for i, event in ipairs(list) do
        lines[i] = "data: " .. (type(event) == "string" and event or json(event).body)
    end
    return { body = table.concat(lines, separator or "\n\n") .. "\n\n", headers = { "content-type: text/event-stream" } }
end

local function chat(message, more)
    local choice = { index = 0, finish_reason = "stop", message = message }
    for name, value in pairs(more or {}) do
        choice[name] = value
    end
    return json { id = "x", object = "chat.completion", model = "m", choices = { choice } }
end

local function chunk(delta, reason)
    return { id = "x", object = "chat.completion.chunk", model = "m", choices = { { index = 0, delta = delta, finish_reason = reason } } }
end

local function gemini(parts, reason)
    return { candidates = { { content = { role = "model", parts = parts }, finishReason = reason or "STOP" } } }
end

local function url(picture, mime)
    return "data:" .. (mime or "image/png") .. ";base64," .. picture
end

local function lines_of(picture, width, ending)
    return (picture:gsub(("."):rep(width), "%0" .. ending))
end

-- Every shape that one picture may come in: an answer for its base64. `prose`: what is said beside it.
local SHAPES = {
    { "b64_json", "images", function(p) return json { created = 1, data = { { b64_json = p } } } end },
    { "a data URL in url", "images", function(p) return json { data = { { url = url(p) } } } end },
    { "a data URL in b64_json", "images", function(p) return json { data = { { b64_json = url(p) } } } end },
    { "images of b64_json", "images", function(p) return json { images = { { b64_json = p } } } end },
    { "images of base64", "images", function(p) return json { images = { p } } end },
    { "images of data URLs", "images", function(p) return json { images = { { url = url(p) } } } end },
    { "JSON that is called a picture", "images", function(p)
        return { body = json { data = { { b64_json = p } } }.body, headers = { "content-type: image/png" } }
    end },
    { "base64 in url", "images", function(p) return json { data = { { url = p } } } end },
    { "base64 behind a byte order mark", "images", function(p) return { body = '{"data":[{"b64_json":"\\ufeff' .. p .. '"}]}' } end },
    { "base64 as Python writes bytes", "images", function(p) return json { data = { { b64_json = "b'" .. p .. "'" } } } end },
    { "a list of base64", "images", function(p) return json { data = { p } } end },
    { "data that is no list", "images", function(p) return json { data = { b64_json = p } } end },
    { "an image at the top", "images", function(p) return json { created = 1, image = p } end },
    { "Vertex' own answer", "images", function(p) return json { predictions = { { mimeType = "image/png", bytesBase64Encoded = p } } } end },
    { "artifacts", "images", function(p) return json { artifacts = { { base64 = p, finishReason = "SUCCESS" } } } end },
    { "the last event of a stream", "images", function(p)
        return events { { type = "image_generation.completed", b64_json = p, usage = { total_tokens = 1 } } }
    end },
    { "a chat's answer", "images", function(p) return chat { images = { { image_url = { url = url(p) } } } } end },
    { "Gemini's answer", "images", function(p) return json(gemini { { inlineData = { data = p } } }) end },
    { "the responses route's answer", "images", function(p)
        return json { id = "r", output = { { type = "image_generation_call", result = p } } }
    end },
    { "image_url in data", "images", function(p) return json { data = { { image_url = { url = url(p) } } } } end },
    { "image_url in images", "images", function(p) return json { images = { { type = "image_url", image_url = url(p) } } } end },
    { "a type without data:", "images", function(p) return json { data = { { url = "image/png;base64," .. p } } } end },
    { "a type without data: in b64_json", "images", function(p) return json { data = { { b64_json = "image/png;base64," .. p } } } end },
    { "data.images", "images", function(p) return json { data = { images = { { b64_json = p } } } } end },
    { "data.images of data URLs", "images", function(p) return json { data = { images = { url(p) } } } end },
    { "output.images", "images", function(p) return json { output = { images = { { url = url(p) } } } } end },
    { "documents on lines", "images", function(p)
        return { body = '{"status":"drawing"}\n{"data":[{"b64_json":"' .. p .. '"}]}\n', headers = { "content-type: application/x-ndjson" } }
    end },
    { "the responses route's stream", "images", function(p)
        return events { { type = "response.created", response = { id = "r", output = {} } },
            { type = "response.image_generation_call.in_progress", item_id = "i" },
            { type = "response.completed", response = { id = "r", output = { { type = "image_generation_call", result = p } }, usage = { total_tokens = 1 } } } }
    end },
    { "images of image_url", "chat", function(p) return chat { role = "assistant", images = { { image_url = { url = url(p) } } } } end },
    { "images of strings", "chat", function(p) return chat { images = { { type = "image_url", image_url = url(p) } } } end },
    { "images of b64_json", "chat", function(p) return chat { images = { { b64_json = p } } } end },
    { "one image", "chat", function(p) return chat { image = { url = url(p) } } end },
    { "base64 in image_url", "chat", function(p) return chat { images = { { image_url = { url = p } } } } end },
    { "base64 as content", "chat", function(p) return chat { content = p } end },
    { "a source in content", "chat", function(p)
        return chat { content = { { type = "text", text = "Here." }, { type = "image", source = { type = "base64", data = p } } } }
    end, "Here." },
    { "inlineData in content", "chat", function(p) return chat { content = { { inlineData = { mimeType = "image/png", data = p } } } } end },
    { "parts of a message", "chat", function(p)
        return chat { role = "assistant", parts = { { text = "Here." }, { inlineData = { mimeType = "image/png", data = p } } } }
    end, "Here." },
    { "a type without data: in image_url", "chat", function(p) return chat { images = { { image_url = { url = "image/png;base64," .. p } } } } end },
    { "a data URL in the words of several chunks", "chat", function(p)
        local first, second = math.min(80, #p - 8), #p - 4
        return events { chunk { content = "Here: ![i](" .. url(p:sub(1, first)) }, chunk { content = p:sub(first + 1, second) },
            chunk { content = p:sub(second + 1) .. ")" }, chunk({ content = "" }, "stop"), "[DONE]" }
    end, "Here:" },
    { "chunks on lines", "chat", function(p)
        return { body = json(chunk { content = "A " }).body .. "\n" .. json(chunk { content = "boat." }).body .. "\r\n"
            .. json(chunk { images = { { image_url = { url = url(p) } } } }).body .. "\n" .. json(chunk({}, "stop")).body }
    end, "A boat." },
    { "a data URL as content", "chat", function(p) return chat { content = url(p) } end },
    { "Markdown", "chat", function(p) return chat { content = "Here:\n\n![a [small] boat](" .. url(p) .. ")" } end, "Here:" },
    { "Markdown, in lines of 76", "chat", function(p) return chat { content = "![i](" .. url(lines_of(p, 76, "\n")) .. ")" } end },
    { "Markdown, in lines of 76 and CRLF", "chat", function(p) return chat { content = "![i](" .. url(lines_of(p, 76, "\r\n")) .. ")" } end },
    { "Markdown, in lines of 64", "chat", function(p) return chat { content = "![i](" .. url(lines_of(p, 64, "\n")) .. ")" } end },
    { "Markdown, a space behind the comma", "chat", function(p) return chat { content = "![i](" .. url(" " .. p) .. ")" } end },
    { "Markdown, percent-encoded", "chat", function(p)
        return chat { content = "![i](" .. url(p:gsub("[+/=]", function(c) return ("%%%02X"):format(c:byte()) end)) .. ")" }
    end },
    { "the URL alphabet", "chat", function(p) return chat { images = { { image_url = { url = url(p:gsub("[+/]", { ["+"] = "-", ["/"] = "_" })) } } } } end },
    { "padding left out", "chat", function(p) return chat { images = { { image_url = { url = url(p:gsub("=", "")) } } } } end },
    { "parts of content", "chat", function(p)
        return chat { content = { { type = "text", text = "Here." }, { type = "image_url", image_url = { url = url(p) } } } }
    end, "Here." },
    { "parts of content with strings", "chat", function(p) return chat { content = { { type = "image_url", image_url = url(p) } } } end },
    { "a stream nobody asked for", "chat", function(p)
        return events { chunk { role = "assistant", content = "A " }, chunk { content = "boat." },
            chunk { images = { { image_url = { url = url(p) } } } }, chunk({}, "stop"), "[DONE]" }
    end, "A boat." },
    { "comments before the JSON", "chat", function(p)
        return { body = ": PROCESSING\n\n: PROCESSING\n\n" .. chat({ images = { { image_url = { url = url(p) } } } }).body }
    end },
    { "the images route's answer", "chat", function(p) return json { data = { { b64_json = p } } } end },
    { "inlineData", "gemini", function(p) return json(gemini { { text = "Here." }, { inlineData = { mimeType = "image/png", data = p } } }) end, "Here." },
    { "inline_data", "gemini", function(p) return json(gemini { { inline_data = { mime_type = "image/png", data = p } } }) end },
    { "an answer inside a response", "gemini", function(p)
        return json { response = gemini { { text = "Here." }, { inlineData = { mimeType = "image/png", data = p } } }, traceId = "t" }
    end, "Here." },
    { "a list of chunks", "gemini", function(p)
        return json { gemini { { text = "A " } }, gemini { { text = "boat." } }, gemini { { inlineData = { data = p } } } }
    end, "A boat." },
    { "a stream", "gemini", function(p) return events { gemini { { text = "Here." } }, gemini { { inlineData = { data = p } } } } end, "Here." },
    { "a chat's answer", "gemini", function(p) return chat { images = { { image_url = { url = url(p) } } } } end },
}

-- What one line says of an outcome: the same for the same answer however it comes.
local function outcome(response, err)
    local words = {}
    for i, image in ipairs((response or err).data or {}) do
        words[i] = ("%d bytes %s %s"):format(#image.bytes, tostring(image.mime), tostring(image.complete))
    end
    return table.concat({ err and err.kind or "well", table.concat(words, ", "), tostring(response and response.text),
        tostring(response and response.drafts and #response.drafts), err and err.message or "" }, "; ")
end

-- Asserts that an answer comes to the same in pieces, cut everywhere.
local function assert_same_in_pieces(via, answer)
    local whole = outcome(generate(via, answer))
    assert.equal(whole, outcome(generate(via, in_pieces(answer))))
    for cut = 1, #answer.body - 1 do
        local cut_there = outcome(generate(via, in_pieces(answer, cut)))
        if cut_there ~= whole then
            assert.equal(whole, cut_there, "cut behind " .. answer.body:sub(1, cut))
        end
    end
    return whole
end

-- ---- whole, or an error --------------------------------------------------------------------------

describe("a whole picture", function()
    for _, shape in ipairs(SHAPES) do
        it(("comes as it was, via %s: %s"):format(shape[2], shape[1]), function()
            for _, type in ipairs(pictures.types) do
                local bytes = pictures.bytes(type)
                for _, way in ipairs(WAYS) do
                    local response, err, came, told = take(way, shape[2], shape[3](encode(bytes)))
                    assert(response, tostring(err) .. " " .. way)
                    assert.is_true(came[1] == bytes, way)
                    assert.same({ { 1 }, 1 }, { told, #came })
                    local image = response.data[1]
                    assert.same({ pictures.mimes[type], #bytes, 2, 3 }, { image.mime, image.size, image.width, image.height })
                    assert.equal(shape[4], response.text)
                    assert.is_nil(response.drafts)
                    assert.is_nil(response.errors)
                    assert.is_nil(image.complete)
                end
                for _, via in ipairs { "images", "chat", "gemini" } do
                    local _, err, came = take("plain", via, shape[3](encode(bytes)))
                    assert(came[1] == bytes, tostring(err))
                end
            end
        end)

        it(("comes in any pieces, via %s: %s"):format(shape[2], shape[1]), function()
            assert.matches("^well; 60 bytes image/gif nil; ", assert_same_in_pieces(shape[2], shape[3](encode(GIF))))
        end)
    end

    it("may be the answer itself", function()
        local path = directory .. "/the.answer"
        for _, type in ipairs(pictures.types) do
            local bytes = pictures.bytes(type)
            command.write(path, bytes)
            for _, via in ipairs { "images", "chat", "gemini" } do
                for i, way in ipairs(WAYS) do
                    local answer = { file = path, headers = { "content-type: " .. pictures.mimes[type] }, every = i % 2 == 0 and 1 or nil }
                    local response, err, came = take(way, via, answer)
                    assert(response, tostring(err))
                    assert.is_true(came[1] == bytes)
                end
            end
        end
    end)

    it("may have bytes behind its end, which are kept", function()
        for _, type in ipairs(pictures.types) do
            local bytes = pictures.bytes(type) .. "and a signature of somebody's"
            for _, way in ipairs(WAYS) do
                local _, _, came = take(way, "images", json { data = { { b64_json = encode(bytes) } } })
                assert.is_true(came[1] == bytes)
            end
        end
    end)

    it("may be of a type that we do not know, which has no end", function()
        for _, bytes in ipairs { "BM\70\0\0\0\0\0\0\0\54\0\0\0", "\0\0\0\28ftypavif" .. ("\0"):rep(300000), "<svg/>" } do
            for _, way in ipairs(WAYS) do
                local response, err, came = take(way, "images", json { data = { { b64_json = encode(bytes) } } })
                assert(response, tostring(err))
                assert.is_true(came[1] == bytes)
                assert.is_nil(response.data[1].mime)
            end
        end
    end)

    it("may be of a type that only its server knows", function()
        local path = directory .. "/picture.avif"
        command.write(path, "\0\0\0\28ftypavif" .. ("\1"):rep(1000000))
        for _, way in ipairs(WAYS) do
            local address = mirrors.address(mirror, { file = path, headers = { "content-type: image/avif" } })
            local response, err, came = take(way, "images", json { data = { { url = address } } })
            assert(response, tostring(err))
            assert.equal(1000012, #came[1])
        end
    end)
end)

describe("one item", function()
    local PICTURE = encode(PNG)
    local KEYED = { '"b64_json":"' .. PICTURE .. '"', '"url":"' .. url(PICTURE) .. '"', '"image_url":{"url":"' .. url(PICTURE) .. '"}',
        '"inlineData":{"data":"' .. PICTURE .. '"}' }

    -- An item in every shape that knows its fields.
    local function in_shapes(item)
        local shapes = {
            { "chat", { body = '{"choices":[{"message":{"images":[' .. item .. "]}}]}" } },
            { "chat", { body = '{"choices":[{"message":{"content":[' .. item .. "]}}]}" } },
        }
        for _, around in ipairs { '{"data":[%s]}', '{"data":%s}', '{"images":[%s]}', '[{"data":[%s]},{"data":[]}]' } do
            local deep = item:find('"image_url"', 1, true) and around == '{"data":%s}'
            if not deep and not item:find('"inlineData"', 1, true) then
                shapes[#shapes + 1] = { "images", { body = (around:gsub("%%s", function() return item end)) } }
            end
        end
        return shapes
    end

    it("is one picture, in however many fields it is told", function()
        for _, first in ipairs(KEYED) do
            for _, second in ipairs(KEYED) do
                for _, shape in ipairs(in_shapes("{" .. first .. ',"index":0,' .. second .. "}")) do
                    for _, way in ipairs(WAYS) do
                        local response, err, came, told = take(way, shape[1], shape[2])
                        assert(response, tostring(err))
                        assert.same({ { PNG }, { 1 }, 1, {} }, { came, told, #response.data, response.warnings }, shape[2].body)
                    end
                end
            end
        end
        local answer = json { data = { { b64_json = encode(GIF), url = url(encode(GIF)) }, { url = url(encode(WEBP)), b64_json = encode(WEBP) } } }
        assert.equal("well; 60 bytes image/gif nil, 54 bytes image/webp nil; nil; nil; ", assert_same_in_pieces("images", answer))
    end)

    it("is the bytes that came, not those at an address", function()
        local id = "beside-bytes"
        local address = mirrors.address(mirror, { id = id, body = GIF })
        local there = '"url":"' .. address .. '"'
        for _, keyed in ipairs(KEYED) do
            for _, other in ipairs { there, '"image_url":{' .. there .. "}", '"image_url":"' .. address .. '"', '"b64_json":"' .. address .. '"' } do
                local same_key = keyed:match '^"[^"]+"' == other:match '^"[^"]+"'
                for _, item in ipairs(same_key and {} or { "{" .. keyed .. "," .. other .. "}", "{" .. other .. "," .. keyed .. "}" }) do
                    for _, shape in ipairs(in_shapes(item)) do
                        local response, err = generate(shape[1], shape[2])
                        assert(response, tostring(err))
                        assert.same({ 1, PNG }, { #response.data, response.data[1].bytes }, shape[2].body)
                    end
                end
            end
        end
        assert.equal(0, mirrors.count(mirror, id))
    end)

    it("is the whole one where another of its fields is damaged, cut or empty", function()
        for _, bad in ipairs { "*", encode(PNG:sub(1, 60)), "", "None" } do
            for _, way in ipairs(WAYS) do
                local response, err, came = take(way, "images", json { data = { { b64_json = bad, url = url(encode(GIF)) } } })
                if response then
                    assert.same({ { GIF }, 1 }, { came, #response.data })
                else -- Lua has no order of fields: the good one may come last
                    assert.is_nil(err)
                end
            end
        end
    end)

    it("of two is two pictures", function()
        for _, answer in ipairs { json { images = { PICTURE, encode(GIF) } }, chat { images = { { b64_json = PICTURE }, { b64_json = encode(GIF) } } },
            json { data = { { b64_json = PICTURE }, { url = url(encode(GIF)) } } } } do
            local _, _, came = take("plain", "images", answer)
            assert.same({ PNG, GIF }, came)
        end
    end)
end)

describe("no picture", function()
    it("is a word for nothing in a picture's place", function()
        for _, word in ipairs { "None", "null", "true", "false", "N/A", "undefined", "NaN", " nil" } do
            for _, item in ipairs { { b64_json = word }, { url = word } } do
                for _, way in ipairs(WAYS) do
                    local response, err, _, told = take(way, "images", json { data = { item } })
                    assert.is_nil(response)
                    assert.same({ "no_image", {} }, { err.kind, told })
                end
            end
            local _, err = generate("gemini", json(gemini { { inlineData = { data = word } } }))
            assert.equal("no_image", err.kind)
        end
    end)

    it("is text that was made base64: a page, a document, base64 once more", function()
        local texts = { "<html><title>Sign in</title></html>", "<!DOCTYPE html>\n<html>", cjson.encode { error = { message = "no" } }, url "QUJD",
            "The image could not be generated.", "unavailable", "Không vẽ được ảnh này", ("words "):rep(100000) }
        for _, type in ipairs(pictures.types) do
            texts[#texts + 1] = encode(pictures.bytes(type))
            texts[#texts + 1] = pictures.bytes(type):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
            texts[#texts + 1] = texts[#texts]:upper()
        end
        for _, text in ipairs(texts) do
            for _, way in ipairs(WAYS) do
                local response, err, _, told = take(way, "images", json { data = { { b64_json = encode(text) } } })
                assert.is_nil(response)
                assert.same({ "bad_response", true, {}, false }, { err.kind, err.maybe_billed, told, err.data[1].complete })
                assert.matches("^image 1 is no picture: its %d+ bytes are text", err.message)
            end
        end
    end)

    it("is a data URL of text", function()
        for _, text in ipairs { "A", "ABC", "some words" } do
            for _, address in ipairs { url(encode(text), "text/plain"), url(encode(text), "TEXT/html;charset=utf-8") } do
                for _, answer in ipairs { json { data = { { b64_json = address } } }, json { data = { { url = address } } },
                    chat { images = { { image_url = { url = address } } } }, chat { content = { { type = "image_url", image_url = address } } } } do
                    for _, way in ipairs(WAYS) do
                        local response, err, _, told = take(way, "chat", answer)
                        assert.is_nil(response)
                        assert.same({ "bad_response", true, {} }, { err.kind, err.maybe_billed, told })
                        assert.matches("^image 1 is no picture: its " .. #text .. " bytes are text", err.message)
                    end
                end
                local _, err = generate("chat", chat { content = "As you asked: [a file](" .. address .. ")" }) -- which is no picture's
                assert.equal("no_image", err.kind)
                assert.truthy(err.message:find("As you asked", 1, true))
            end
        end
        local response = assert(generate("chat", chat { content = "![i](" .. url(encode(PNG), "text/plain") .. ")" })) -- but this one is
        assert.is_true(response.data[1].bytes == PNG)
    end)

    it("is what a server calls one, but is a page, words or base64", function()
        for _, text in ipairs { "<html><title>Sign in</title></html>", "not found", encode(PNG) } do
            local answer = { body = text, headers = { "content-type: image/png" } }
            local _, err = generate("images", answer)
            assert.same({ "bad_response", true }, { err.kind, err.maybe_billed })
            local _, other = generate("images", json { data = { { url = mirrors.address(mirror, answer) } } })
            assert.same({ "bad_response", true }, { other.kind, other.maybe_billed })
        end
    end)
end)

describe("a picture that is cut", function()
    for _, shape in ipairs(SHAPES) do
        it(("is an error with what came of it, via %s: %s"):format(shape[2], shape[1]), function()
            for _, type in ipairs(pictures.types) do
                local bytes = pictures.bytes(type):sub(1, -8)
                for _, way in ipairs(WAYS) do
                    local response, err, came, told, sunk = take(way, shape[2], shape[3](encode(bytes)), { retry = "all" })
                    assert.is_nil(response)
                    assert.same({ "bad_response", true, 1, 200 }, { err.kind, err.maybe_billed, err.attempts, err.status })
                    assert.matches("^image 1 is cut short", err.message)
                    assert.same({ {}, {}, 1 }, { told, came, #err.data })
                    local image = err.data[1]
                    assert.same({ false, #bytes, pictures.mimes[type] }, { image.complete, image.size, image.mime })
                    local there = image.bytes
                    if way == "sink" then
                        there = sunk[1]
                        assert.is_nil(image.bytes)
                    elseif way == "save" then
                        there = command.read(image.path)
                        assert.matches("%.part$", image.path)
                        assert.is_nil(command.read(saved .. "/picture." .. type))
                    end
                    assert.is_true(there == bytes)
                end
            end
        end)

    end

    it("is the same error in any pieces", function()
        for _, shape in ipairs(SHAPES) do
            local answer = shape[3](encode(GIF:sub(1, 40)))
            local whole = outcome(generate(shape[2], answer))
            assert.matches("^bad_response; 40 bytes image/gif false; ", whole)
            assert.equal(whole, outcome(generate(shape[2], in_pieces(answer))))
        end
        for _, via in ipairs { "images", "chat", "gemini" } do
            for _, shape in ipairs(SHAPES) do
                if shape[2] == via then
                    assert_same_in_pieces(via, shape[3](encode(GIF:sub(1, 40))))
                    break
                end
            end
        end
    end)

    it("is one wherever it is cut", function()
        for _, type in ipairs(pictures.types) do
            local bytes = pictures.bytes(type)
            for size = 1, #bytes - 1, #bytes > 100 and 7 or 1 do
                local cut = bytes:sub(1, size)
                local response, err = generate("images", json { data = { { b64_json = encode(cut) } } })
                if response then -- so little that its type cannot be known
                    assert.is_true(size < 12 and not response.data[1].mime, type .. size)
                else
                    assert.equal("bad_response", err.kind)
                    assert.is_true(err.data[1].bytes == cut)
                end
            end
        end
    end)

    it("may be cut by the model's own limit, which is told", function()
        for _, reason in ipairs { "length", "MAX_TOKENS", "max_tokens", "model_length" } do
            local _, err = generate("chat", chat({ content = url(encode(PNG:sub(1, 60))) }, { finish_reason = reason }))
            assert.equal("bad_response", err.kind)
            assert.matches("token limit$", err.message)
            assert.matches("max_tokens", err.advice)
            assert.equal(60, #err.data[1].bytes)
        end
    end)

    it("may be fetched from an address, and may be had there", function()
        local path = directory .. "/half"
        command.write(path, PNG:sub(1, 60))
        for _, way in ipairs(WAYS) do
            local address = mirrors.address(mirror, { file = path })
            local _, err, _, told = take(way, "images", json { data = { { url = address } } }, { retry = "none" })
            assert.same({ "bad_response", address, true }, { err.kind, err.url, err.maybe_billed })
            assert.matches("^cannot fetch .*cut short", err.message)
            assert.same({ {}, false, 60 }, { told, err.data[1].complete, err.data[1].size })
        end
    end)
end)

describe("a data URL in the words of several chunks", function()
    -- Whatever the pieces, the picture comes whole or there is an error.
    it("is never a success with less than its picture", function()
        local words = "![i](" .. url(encode(PNG)) .. ")"
        for first = 1, #words - 1 do
            for second = first + 1, #words, 17 do
                local answer = events { chunk { content = words:sub(1, first) }, chunk { content = words:sub(first + 1, second) },
                    chunk { content = words:sub(second + 1) }, chunk({}, "stop"), "[DONE]" }
                local response, err = generate("chat", answer)
                if response then
                    assert.same({ 1, PNG }, { #response.data, response.data[1].bytes })
                else
                    assert.is_true(err.kind == "bad_response" or err.kind == "no_image", err.kind)
                    assert.is_true(err.maybe_billed)
                    assert.truthy(err.body:find(words:sub(1, first), 1, true))
                end
                assert.is_true(response ~= nil or first < 30, "from the first characters of its base64 on it is read: " .. first)
            end
        end
    end)
end)

describe("a picture of the root beside a list", function()
    it("is a draft", function()
        for _, answer in ipairs { '{"b64_json":"' .. encode(GIF) .. '","data":[{"b64_json":"' .. encode(PNG) .. '"}]}',
            '{"data":[{"b64_json":"' .. encode(PNG) .. '"}],"b64_json":"' .. encode(GIF) .. '"}' } do
            for _, way in ipairs(WAYS) do
                local response, err, came, told = take(way, "images", { body = answer })
                assert(response, tostring(err))
                assert.same({ { PNG }, { 1 }, 1 }, { came, told, #response.data })
            end
        end
        local _, _, came = take("plain", "images", { body = '{"b64_json":"' .. encode(GIF) .. '","data":[]}' })
        assert.same({ GIF }, came)
    end)
end)

describe("a picture at an address that is cut", function()
    it("is fetched again, as that costs nothing", function()
        command.write(directory .. "/half", PNG:sub(1, 60))
        command.write(directory .. "/whole", PNG)
        for i, way in ipairs(WAYS) do
            local id = "half" .. i
            local address = mirrors.address(mirror, { id = id, answers = { { file = directory .. "/half" }, { file = directory .. "/whole" } } })
            local response, err, came, told = take(way, "images", json { data = { { url = address } } })
            if way == "sink" or way == "save" then -- which have some of it already
                assert.same({ "bad_response", {}, 1 }, { err.kind, told, mirrors.count(mirror, id) })
            else
                assert.same({ PNG, 2 }, { came[1], mirrors.count(mirror, id) })
                assert.is_nil(response.errors)
            end
        end
    end)

    it("is an error with its own number", function()
        command.write(directory .. "/half", PNG:sub(1, 60))
        local address = mirrors.address(mirror, { file = directory .. "/half" })
        local response = assert(generate("images", json { data = { { b64_json = encode(GIF) }, { url = address } } }, { retry = "none" }))
        assert.matches("image 2 is cut short", response.errors[1].message)
        assert.same({ 1, 60, address }, { #response.errors[1].data, #response.errors[1].data[1].bytes, response.errors[1].url })
    end)
end)

describe("a picture that is damaged", function()
    local function damaged(where)
        local picture = encode(PNG)
        return picture:sub(1, where) .. "*" .. picture:sub(where + 2)
    end

    it("is an error with what came before the damage", function()
        for _, way in ipairs(WAYS) do
            for _, via in ipairs { "images", "chat", "gemini" } do
                local answers = { images = json { data = { { b64_json = damaged(80) } } }, gemini = json(gemini { { inlineData = { data = damaged(80) } } }),
                    chat = chat { images = { { image_url = { url = url(damaged(80)) } } } } }
                local _, err, _, told = take(way, via, answers[via])
                assert.same({ "bad_response", true, {} }, { err.kind, err.maybe_billed, told })
                assert.matches("^image 1 has a character that is not base64", err.message)
                assert.same({ false, 60 }, { err.data[1].complete, err.data[1].size })
                assert.is_true(way == "sink" or way == "save" or err.data[1].bytes == PNG:sub(1, 60))
            end
        end
    end)

    it("is no picture in err.data where nothing came of it", function()
        for _, way in ipairs(WAYS) do
            local _, err, _, told = take(way, "images", json { data = { { b64_json = "!!!!" } } })
            assert.same({ "bad_response", {}, nil }, { err.kind, told, err.data })
        end
    end)

    it("is not retried, whatever the caller allows", function()
        local _, err = generate("images", { id = "damaged", body = json({ data = { { b64_json = damaged(80) } } }).body }, { retry = "all" })
        assert.equal(1, err.attempts)
        assert.equal(1, mirrors.count(mirror, "damaged"))
    end)
end)

describe("pictures that are whole beside one that is not", function()
    local function three(second)
        return json { data = { { b64_json = encode(PNG) }, { b64_json = second }, { b64_json = encode(GIF) } } }
    end

    it("are there, and the error of the other with them", function()
        for _, second in ipairs { encode(JPG:sub(1, 300)), encode(JPG):sub(1, 40) .. "!" .. encode(JPG):sub(42) } do
            for _, way in ipairs(WAYS) do
                local response, err, came, told, sunk = take(way, "images", three(second), { n = 3 })
                assert(response, tostring(err))
                assert.same({ PNG, GIF }, came)
                assert.same({ way == "plain" and { 1, 2 } or { 1, 3 }, 2, 1 }, { told, #response.data, #response.errors })
                assert.same({ "3 images were asked for, 2 came" }, response.warnings)
                local error = response.errors[1]
                assert.same({ "bad_response", 1, false, true }, { error.kind, #error.data, error.data[1].complete, error.maybe_billed })
                assert.matches("^image 2 ", error.message)
                assert.equal(way ~= "plain" and way ~= "on_image", error.data[1].bytes == nil)
                assert.is_true(way ~= "sink" or sunk[2] == JPG:sub(1, error.data[1].size))
            end
        end
    end)

    it("are there of several requests, too", function()
        local function one(bytes)
            return chat { images = { { image_url = { url = url(encode(bytes)) } } } }
        end
        local response = assert(generate("chat", { id = "several", answers = { one(PNG), one(JPG:sub(1, 300)), one(GIF) } }, { n = 3 }))
        assert.same({ 2, 1, 300 }, { #response.data, #response.errors, response.errors[1].data[1].size })
        local _, err = generate("chat", { id = "none-of-several", answers = { one(PNG:sub(1, 70)), one(JPG:sub(1, 300)), one(GIF:sub(1, 50)) } }, { n = 3 })
        assert.same({ "bad_response", 3 }, { err.kind, #err.data })
        for _, image in ipairs(err.data) do
            assert.is_false(image.complete)
        end
    end)

end)

-- ---- what breaks off -----------------------------------------------------------------------------

describe("an answer that breaks off", function()
    local function broken()
        local body = json({ data = { { b64_json = encode(PNG) }, { b64_json = encode(JPG) } } }).body
        return { pieces = { "HTTP/1.1 200 OK\r\ncontent-length: " .. #body .. "\r\n\r\n" .. body:sub(1, 400) } }
    end

    it("leaves the bytes that came of the picture under way", function()
        for _, way in ipairs(WAYS) do
            local _, err, _, _, sunk = take(way, "images", broken(), { retry = "all", n = 2 })
            assert.same({ "bad_response", 1, 2 }, { err.kind, err.attempts, #err.data })
            assert.same({ "image/png", "image/jpeg" }, { err.data[1].mime, err.data[2].mime })
            assert.is_nil(err.data[1].complete)
            assert.is_false(err.data[2].complete)
            local size = err.data[2].size
            assert.is_true(size > 150 and size < #JPG)
            if way == "plain" or way == "on_image" then
                assert.is_true(err.data[2].bytes == JPG:sub(1, size))
            elseif way == "sink" then
                assert.is_true(sunk[2] == JPG:sub(1, size))
            end
        end
    end)

    it("leaves them in every shape", function()
        for _, shape in ipairs(SHAPES) do
            local body = shape[3](encode(PNG)).body
            local start = body:find("iVBOR", 1, true)
            local head = "HTTP/1.1 200 OK\r\ncontent-length: " .. #body .. "\r\n\r\n"
            for _, way in ipairs { "plain", "save" } do
                local _, err, _, told = take(way, shape[2], { pieces = { head .. body:sub(1, start + 71) } })
                assert.same({ "bad_response", 1, {} }, { err.kind, err.data and #err.data, told }, shape[1])
                local image = err.data[1]
                assert.is_true(image.size >= 48 and image.size <= 54)
                assert.is_true((image.bytes or command.read(image.path)) == PNG:sub(1, image.size), shape[1])
            end
        end
    end)

    it("leaves them when it is larger than it may be", function()
        local own = assert(thucchien.new { base_url = mirror.url, api_key = "sk-x", max_response_bytes = 5000 })
        local body = json({ data = { { b64_json = encode(PNG .. ("x"):rep(10000)) } } }).body
        local _, err = own:generate { prompt = "x", extra_body = { mirror = in_pieces({ body = body }, 4000) } }
        assert.same({ "response_too_large", 1, false }, { err.kind, #err.data, err.data[1].complete })
        assert.is_true(err.data[1].bytes == (PNG .. ("x"):rep(10000)):sub(1, err.data[1].size))
        own:close()
    end)

    it("leaves them when the time is up", function()
        local answer = broken()
        answer.pause = 60
        local _, err = generate("images", answer, { timeout = 1 })
        assert.same({ "timeout", 2 }, { err.kind, #err.data })
        assert.is_true(err.data[2].bytes == JPG:sub(1, err.data[2].size))
    end)

    it("leaves them of what is fetched, too", function()
        local path = directory .. "/half"
        command.write(path, PNG:sub(1, 60))
        local address = mirrors.address(mirror, { file = path, length = 80, close = true })
        local _, err = generate("images", json { data = { { url = address } } }, { retry = "none" })
        assert.same({ "bad_response", 1, false }, { err.kind, #err.data, err.data[1].complete })
        assert.is_true(err.data[1].bytes == PNG:sub(1, 60))
    end)

    it("leaves what may yet have turned out to be a draft", function()
        local body = json(gemini { { inlineData = { data = encode(PNG) }, thoughtSignature = ("A"):rep(100) } }).body
        for _, way in ipairs(WAYS) do
            local picture = body:find(encode(PNG), 1, true)
            local answer = { pieces = { "HTTP/1.1 200 OK\r\ncontent-length: " .. #body .. "\r\n\r\n" .. body:sub(1, picture + #encode(PNG)) } }
            local _, err, _, told, sunk = take(way, "gemini", answer)
            assert.same({ "bad_response", {}, 1, false, #PNG }, { err.kind, told, #err.data, err.data[1].complete, err.data[1].size })
            assert.is_nil(next(sunk))
            assert.is_true(err.data[1].bytes == PNG) -- which nobody else has
        end
    end)

    it("leaves nothing where the caller has cancelled", function()
        local request
        local answer = broken()
        answer.pause = 5
        request = assert(client:submit {
            prompt = "x", model = "any/model", extra_body = { mirror = answer },
            on_image = function()
                request:cancel()
            end,
        })
        local _, err = request:wait()
        assert.same({ "cancelled", 1 }, { err.kind, #err.data })
        assert.is_nil(err.data[1].complete)
    end)
end)

-- ---- drafts --------------------------------------------------------------------------------------

describe("drafts", function()
    local THINKING = {
        { "parts that are thoughts", "gemini", function(draft, final)
            return json(gemini { { thought = true, text = "First." }, { thought = true, inlineData = { mimeType = "image/png", data = draft } },
                { inlineData = { mimeType = "image/png", data = final }, thoughtSignature = "QUJD" }, { text = "Here." } })
        end, "Here." },
        { "a thought that says so behind its data", "gemini", function(draft, final)
            return { body = '{"candidates":[{"content":{"parts":[{"inlineData":{"data":"' .. draft .. '"},"thought":true},{"inlineData":{"data":"'
                .. final .. '"},"thought":false}]},"finishReason":"STOP"}]}' }
        end },
        { "thoughts of a stream", "gemini", function(draft, final)
            return events { gemini { { thought = true, inlineData = { data = draft } } }, gemini { { inlineData = { data = final } } } }
        end },
        { "partial images of a stream", "images", function(draft, final)
            return events { { type = "image_generation.partial_image", partial_image_index = 0, b64_json = draft },
                { type = "image_generation.completed", b64_json = final } }
        end },
        { "partial images of the responses route's stream", "images", function(draft, final)
            return events { { type = "response.image_generation_call.partial_image", partial_image_index = 0, partial_image_b64 = draft },
                { type = "response.completed", response = { output = { { type = "image_generation_call", result = final } } } } }
        end },
        { "thoughts among the parts of a message", "chat", function(draft, final)
            return chat { parts = { { thought = true, inlineData = { data = draft } }, { inlineData = { data = final } } } }
        end },
        { "thoughts inside a response", "gemini", function(draft, final)
            return json { response = gemini { { thought = true, inlineData = { data = draft } }, { inlineData = { data = final } } } }
        end },
        { "a thought behind the picture", "gemini", function(draft, final)
            return json(gemini { { inlineData = { data = final } }, { thought = true, inlineData = { data = draft } } })
        end },
    }

    for _, case in ipairs(THINKING) do
        it("are no pictures: " .. case[1], function()
            for _, way in ipairs(WAYS) do
                local response, err, came, told, sunk = take(way, case[2], case[3](encode(GIF), encode(PNG)))
                assert(response, tostring(err))
                assert.same({ { PNG }, { 1 }, 1, case[4] }, { came, told, #response.data, response.text })
                assert.is_nil(response.data[1].complete)
                if way == "plain" or way == "on_image" then
                    assert.same({ 1, GIF, "image/gif" }, { #response.drafts, response.drafts[1].bytes, response.drafts[1].mime })
                    assert.is_function(response.drafts[1].save)
                else
                    assert.is_nil(response.drafts)
                    assert.is_nil(sunk[2])
                    assert.is_true(way == "sink" or #command.names(saved) == 1)
                end
            end
        end)

        it("are the same in any pieces: " .. case[1], function()
            assert.matches("^well; 54 bytes image/webp nil; .*; 1; $", assert_same_in_pieces(case[2], case[3](encode(GIF), encode(WEBP))))
        end)
    end

    it("are no pictures where nothing else came", function()
        local _, err = generate("gemini", json(gemini { { thought = true, inlineData = { data = encode(GIF) } } }))
        assert.same({ "no_image", nil }, { err.kind, err.data })
        assert.matches("drafts", err.message)
    end)

    it("do not hide the error that came in place of the picture", function()
        for _, way in ipairs(WAYS) do
            local _, err, came = take(way, "images", events { { type = "image_generation.partial_image", b64_json = encode(GIF) },
                { error = { message = "Your request was rejected by the safety system.", code = "moderation_blocked" } } })
            assert.same({ "content_policy", {} }, { err.kind, came })
        end
    end)

    it("that are cut are no loss", function()
        for _, way in ipairs(WAYS) do
            local response, err, came = take(way, "gemini",
                json(gemini { { thought = true, inlineData = { data = encode(GIF:sub(1, 50)) } }, { inlineData = { data = encode(PNG) } } }))
            assert(response, tostring(err))
            assert.same({ PNG }, came)
            assert.is_nil(response.errors)
            assert.is_nil(response.drafts)
        end
    end)

    it("may be large where a sink takes the picture", function()
        local large = GIF .. ("\0"):rep(2000000)
        local answer = json(gemini { { inlineData = { data = encode(large) }, thought = true }, { inlineData = { data = encode(PNG .. large) } } })
        for _, way in ipairs { "sink", "save", "on_image" } do
            local _, err, came = take(way, "gemini", answer)
            assert.is_nil(err)
            assert.is_true(came[1] == PNG .. large)
        end
    end)

    it("leave the numbers to the pictures, in answers that are several", function()
        local function one(draft, final)
            return json(gemini { { thought = true, inlineData = { data = encode(draft) } }, { inlineData = { data = encode(final) } } })
        end
        local response, err, came, told = take("save", "gemini", { id = "drafts", answers = { one(GIF, PNG), one(GIF, JPG), one(GIF, WEBP) } }, { n = 3 })
        assert(response, tostring(err))
        table.sort(told)
        assert.same({ { 1, 2, 3 }, 3 }, { told, #came })
        response = assert(generate("gemini", { id = "drafts2", answers = { one(GIF, PNG), one(GIF, JPG), one(GIF, WEBP) } }, { n = 3 }))
        assert.same({ 3, 3, {} }, { #response.data, #response.drafts, response.warnings })
    end)
end)

-- ---- refusals ------------------------------------------------------------------------------------

describe("a refusal", function()
    local function told(reason)
        return { "reason " .. reason, "chat", chat({ role = "assistant" }, { finish_reason = reason }), reason }
    end

    local cases = {
        { "in words of its own", "chat", chat { role = "assistant", refusal = "I will not draw that." }, "I will not draw that" },
        { "in a part of content", "chat", chat { content = { { type = "refusal", refusal = "I will not." } } }, "I will not" },
        { "in chunks", "chat", events { chunk { refusal = "I will" }, chunk { refusal = " not." }, chunk({}, "stop"), "[DONE]" }, "I will not" },
        { "of a stream", "chat", events { chunk { content = "No." }, chunk({}, "content_filter"), "[DONE]" }, "content_filter" },
        { "of a picture that is not safe", "images", json { data = { { is_image_safe = false, url = cjson.null } } }, "is_image_safe" },
        { "of a moderated picture", "images", json { data = { { url = "", b64_json = "", respect_moderation = false } } }, "moderation" },
        { "of each moderated picture", "images",
            json { data = { { b64_json = cjson.null, respect_moderation = false }, { url = cjson.null, respect_moderation = false } } }, "moderation" },
        { "of a blocked prompt", "gemini", json { promptFeedback = { blockReason = "PROHIBITED_CONTENT" } }, "PROHIBITED_CONTENT" },
        { "with Google's words", "gemini", json { promptFeedback = { blockReason = "OTHER", blockReasonMessage = "Not this one." } }, "OTHER.*Not this one" },
        { "in the other spelling", "gemini", json { prompt_feedback = { block_reason = "SAFETY" } }, "SAFETY" },
        { "in a message beside the reason", "gemini", json { candidates = { { finishReason = "IMAGE_SAFETY", finishMessage = "Unsafe, sorry." } } },
            "IMAGE_SAFETY.*Unsafe, sorry" },
        { "of chunks", "gemini", json { gemini { { text = "Hm." } }, { candidates = { { finishReason = "RECITATION" } } } }, "RECITATION" },
        { "with a blocked category", "gemini", json { candidates = { { finishReason = "STOP",
            safetyRatings = { { category = "HARM_CATEGORY_VIOLENCE", blocked = true } } } } }, "HARM_CATEGORY_VIOLENCE" },
        { "of Vertex's filter", "images", json { predictions = { { raiFilteredReason = "Filtered. Support codes: 58061214" } } }, "58061214" },
        { "of Vertex's filter, in the data", "images", json { data = { { b64_json = cjson.null, rai_filtered_reason = "violence" } } }, "violence" },
        { "with a reason for filtering", "images", json { data = { { filtered_reason = "celebrity" } } }, "celebrity" },
        { "by category", "images", json { data = { { url = cjson.null, content_filter_results = {
            hate = { filtered = false, severity = "safe" }, violence = { filtered = true, severity = "high" } } } } }, "violence" },
        { "of the prompt, by category", "chat", json { choices = {}, prompt_filter_results = { { prompt_index = 0,
            content_filter_results = { sexual = { filtered = true } } } } }, "sexual" },
        { "with flags for each picture", "images", json { images = {}, has_nsfw_concepts = { true } }, "has_nsfw_concepts" },
        { "with a flag", "images", json { data = { { url = "", nsfw = true } } }, "nsfw" },
        { "in finish_details", "chat", chat({}, { finish_reason = cjson.null, finish_details = { type = "stop", reason = "content_filter" } }), "content_filter" },
        { "in incomplete_details", "images", json { status = "incomplete", incomplete_details = { reason = "content_filter" }, output = {} }, "content_filter" },
        { "under the model's own name", "chat", chat({}, { native_finish_reason = "IMAGE_PROHIBITED_CONTENT" }), "IMAGE_PROHIBITED_CONTENT" },
        { "as a status", "images", json { id = "x", status = "Content Moderated", result = cjson.null }, "Content Moderated" },
        { "as a path of Python's", "chat", chat({}, { finish_reason = "FinishReason.SAFETY" }), "SAFETY" },
        told "content_filter", told "Content_Filter", told "SAFETY", told "safety", told "IMAGE_SAFETY", told "PROHIBITED_CONTENT", told "RECITATION",
        told "BLOCKLIST", told "SPII", told "image_recitation", told "refusal", told "guardrail_intervened", told "moderation_blocked",
    }

    for _, case in ipairs(cases) do
        it("is content_policy: " .. case[1], function()
            for _, via in ipairs { "images", "chat", "gemini" } do
                for _, way in ipairs(via == case[2] and WAYS or { "plain" }) do
                    local response, err, came = take(way, via, case[3])
                    assert.is_nil(response)
                    assert.same({ "content_policy", 200, 1, {} }, { err.kind, err.status, err.attempts, came })
                    assert.matches(case[4], err.message)
                    assert.equal("change the prompt", err.advice)
                end
            end
            local _, err = generate(case[2], in_pieces(case[3]))
            assert.matches(case[4], err.message)
        end)
    end

    it("is none where there are notes alone, or where a picture came", function()
        local _, err = generate("images", json { data = {}, content_filter_results = { hate = { filtered = false } }, has_nsfw_concepts = { false } })
        assert.equal("no_image", err.kind)
        _, err = generate("gemini", json { promptFeedback = { blockReason = "BLOCK_REASON_UNSPECIFIED" }, candidates = {} })
        assert.equal("no_image", err.kind)
        for _, more in ipairs { { has_nsfw_concepts = { true } }, { blocked = true }, { refusal = "no" } } do
            more.data = { { b64_json = encode(PNG), respect_moderation = false } }
            assert(generate("images", json(more)))
        end
        assert(generate("chat", chat({ images = { { image_url = { url = url(encode(PNG)) } } } }, { finish_reason = "content_filter" })))
    end)

    it("is none where the model had no room for a picture, which is told", function()
        for _, reason in ipairs { "length", "MAX_TOKENS" } do
            local _, err = generate("chat", chat({ content = "First I shall" }, { finish_reason = reason }))
            assert.equal("no_image", err.kind)
            assert.matches("token limit.*" .. reason .. ".*First I shall", err.message)
            assert.matches("max_tokens", err.advice)
        end
    end)

    it("is none where the model stopped for another reason, which is told", function()
        for _, reason in ipairs { "NO_IMAGE", "OTHER", "MALFORMED_FUNCTION_CALL", "tool_calls" } do
            local _, err = generate("chat", chat({}, { finish_reason = reason }))
            assert.same({ "no_image", "the response has no image: the model stopped (" .. reason .. ")" }, { err.kind, err.message })
        end
        for _, reason in ipairs { "stop", "STOP", "completed" } do
            local _, err = generate("chat", chat({}, { finish_reason = reason }))
            assert.matches("the model made none", err.message)
        end
    end)

    it("is none where the model broke off, which is told", function()
        local _, err = generate("chat", chat({ content = "" }, { finish_reason = "error" }))
        assert.same({ "server_error", true, 1 }, { err.kind, err.maybe_billed, err.attempts })
    end)

    it("is found however deep the document is", function()
        local deep = ('{"a":'):rep(900) .. '{"finish_reason":"SAFETY"}' .. ("}"):rep(900)
        local _, err = generate("images", deep)
        assert.equal("no_image", err.kind) -- nobody looks that deep
    end)
end)

-- ---- pictures that words point to ----------------------------------------------------------------

describe("an address", function()
    it("is fetched from wherever an image is", function()
        local number = 0
        for _, shape in ipairs {
            function(address) return { data = { { url = address } } } end, function(address) return { data = { address } } end,
            function(address) return { data = { url = address } } end, function(address) return { data = address } end,
            function(address) return { data = { { b64_json = address } } } end, function(address) return { data = { { b64_json = "", url = address } } } end,
            function(address) return { images = { { url = address, content_type = "image/png", width = 1 } } } end,
            function(address) return { images = { address } } end, function(address) return { image = { url = address } } end,
            function(address) return { image = address } end, function(address) return { output = { address } } end,
            function(address) return { choices = { { message = { images = { { image_url = address } } } } } } end,
            function(address) return { choices = { { message = { images = { { url = address } } } } } } end,
            function(address) return { choices = { { message = { content = { { type = "image_url", image_url = { url = address } } } } } } } end,
            function(address) return { { choices = { { delta = { images = { { image_url = { url = address } } } } } } }, { choices = {} } } end,
        } do
            number = number + 1
            command.write(directory .. "/picture", PNG)
            local address = mirrors.address(mirror, { id = "anywhere" .. number, file = directory .. "/picture" })
            for _, via in ipairs { "images", "chat", "gemini" } do
                local response, err = generate(via, json(shape(address)))
                assert(response, number .. tostring(err))
                assert.same({ 1, PNG, address, 2 }, { #response.data, response.data[1].bytes, response.data[1].url, response.data[1].width })
            end
            assert.equal(3, mirrors.count(mirror, "anywhere" .. number))
        end
    end)
end)

describe("an address in what a chat says", function()
    local function picture(bytes, id)
        command.write(directory .. "/" .. id, bytes)
        return mirrors.address(mirror, { id = id, file = directory .. "/" .. id })
    end

    local number = 0
    local function new_picture(bytes)
        number = number + 1
        return picture(bytes or PNG, "linked" .. number), "linked" .. number
    end

    local SAID = {
        { "alone", "%s" },
        { "in white space", " \n%s\n" },
        { "in angle brackets", "<%s>" },
        { "of a Markdown image", "![](%s)" },
        { "with words", "![a boat, at [dusk]](%s)" },
        { "with a title", '![a boat](%s "a \\"boat\\"")' },
        { "in Markdown's angle brackets", "![a boat](<%s>)" },
        { "that is a link, too", "[![a boat](%s)](https://example.com/page)", "[](https://example.com/page)" },
        { "in prose", "Here it is:\n\n![a boat](%s)\n\nDarker?", "Here it is:\n\n\n\nDarker?" },
    }
    for _, case in ipairs(SAID) do
        it("is fetched: " .. case[1], function()
            for _, way in ipairs(WAYS) do
                local address, id = new_picture()
                local content = case[2]:gsub("%%s", (address:gsub("%%", "%%%%")))
                local response, err, came = take(way, "chat", chat { content = content })
                assert(response, tostring(err))
                assert.is_true(came[1] == PNG)
                assert.same({ address, case[3], 1 }, { response.data[1].url, response.text, mirrors.count(mirror, id) })
                assert.is_nil(mirrors.seen(mirror, id)[1].headers.authorization)
            end
        end)
    end

    it("is fetched from parts, chunks, choices and other routes", function()
        local address = new_picture()
        for via, answer in pairs {
            chat = chat { content = { { type = "text", text = "![i](" .. address .. ")" } } },
            images = chat { content = address },
            gemini = json(gemini { { text = "![i](" .. address .. ")" } }),
        } do
            local response, err = generate(via, answer)
            assert(response, tostring(err))
            assert.is_true(response.data[1].bytes == PNG)
        end
        local middle = math.floor(#address / 2)
        local response = assert(generate("chat", events { chunk { content = "![i](" .. address:sub(1, middle) }, chunk { content = address:sub(middle + 1) .. ")" } }))
        assert.is_true(response.data[1].bytes == PNG)
        response = assert(generate("chat", json { choices = { { message = { content = address } }, { message = { content = new_picture(GIF) } } } }))
        assert.same({ PNG, GIF }, { response.data[1].bytes, response.data[2].bytes })
    end)

    it("is fetched where a part of Gemini's names a file", function()
        for _, field in ipairs { { "fileData", "fileUri" }, { "file_data", "file_uri" } } do
            for via, around in pairs { gemini = function(parts) return json(gemini(parts)) end, chat = function(parts) return chat { parts = parts } end } do
                local address, id = new_picture()
                local part = { [field[1]] = { mimeType = "image/png", [field[2]] = address } }
                for _, way in ipairs(WAYS) do
                    local response, err, came = take(way, via, around { { text = "Here." }, part })
                    assert(response, tostring(err))
                    assert.same({ { PNG }, "Here.", address }, { came, response.text, response.data[1].url })
                end
                part.thought = true
                local before = mirrors.count(mirror, id)
                local _, err = generate(via, around { part })
                assert.same({ "no_image", before }, { err.kind, mirrors.count(mirror, id) })
            end
        end
        local _, err = generate("gemini", json(gemini { { fileData = { fileUri = "gs://bucket/a.png" } } }))
        assert.same({ "gs://bucket/a.png", true }, { err.url, err.maybe_billed })
    end)

    it("is fetched of each image, in order", function()
        local response = assert(generate("chat", chat { content = "![1](" .. new_picture(PNG) .. ")\n![2](" .. new_picture(GIF) .. ")" }))
        assert.same({ PNG, GIF }, { response.data[1].bytes, response.data[2].bytes })
    end)

    it("is not fetched beside a picture", function()
        local address, id = new_picture()
        for _, message in ipairs {
            { content = "See ![i](" .. address .. ")", images = { { image_url = { url = url(encode(GIF)) } } } },
            { content = "![i](" .. url(encode(GIF)) .. ") and ![i](" .. address .. ")" },
            { content = address, images = { { image_url = { url = new_picture(GIF) } } } },
        } do
            local response = assert(generate("chat", chat(message)))
            assert.same({ 1, GIF, 0 }, { #response.data, response.data[1].bytes, mirrors.count(mirror, id) })
            assert.truthy(response.text:find(address, 1, true))
        end
    end)

    it("is not fetched where it is no picture's", function()
        local address, id = new_picture()
        for _, content in ipairs {
            "Look: " .. address, "[a boat](" .. address .. ")", address .. " and so on", "`" .. address .. "`", "! [i](" .. address .. ")",
            "![i] (" .. address .. ")", "!\\[i](" .. address .. ")", "![i](" .. address, "![i](" .. address .. " and more)", "!![i(" .. address .. ")",
            "![i][1]\n\n[1]: " .. address, address .. "\n" .. address,
        } do
            local _, err = generate("chat", chat { content = content })
            assert.equal("no_image", err.kind, content)
            assert.equal(0, mirrors.count(mirror, id), content)
        end
        for _, content in ipairs { "![i](sandbox:/mnt/data/a.png)", "![i](/a.png)", "![i](file:///etc/passwd)", "![i](attachment:1)", "file:///etc/passwd" } do
            local _, err = generate("chat", chat { content = content })
            assert.equal("no_image", err.kind, content)
        end
    end)

    it("is fetched under the rules of every address", function()
        for _, address in ipairs { "http://pictures.example/a.png", "https://10.0.0.1/a.png", "https://an:secret@example.com/a.png" } do
            local _, err = generate("chat", chat { content = "![i](" .. address .. ")" }, { max_retries = 0, timeout = 2 })
            assert.same({ address, true }, { err.url, err.maybe_billed })
            assert.is_nil(tostring(err):find "secret")
        end
        local _, err = generate("chat", chat { content = mirrors.address(mirror, { body = "<html>" }) }, { retry = "none" })
        assert.equal("bad_response", err.kind)
    end)

    it("is read without what Markdown and HTML put into it", function()
        local address, id = new_picture()
        local response = assert(generate("chat", chat { content = "![i](" .. address:gsub("_", "\\_"):gsub("%?", "?a=1&amp;") .. ")" }))
        assert.equal((address:gsub("%?", "?a=1&")), response.data[1].url)
        assert.equal(1, mirrors.count(mirror, id))
    end)

    it("costs no time in texts that are made to cost it", function()
        for _, text in ipairs { ("!["):rep(100000), ("![a]("):rep(100000), ("![](<"):rep(100000), "![" .. ("["):rep(300000), ("!"):rep(500000) } do
            local start = os.clock()
            local _, err = generate("chat", chat { content = text })
            assert.is_string(err.kind)
            assert.is_true(os.clock() - start < 2)
        end
    end)
end)

-- ---- names of ours -------------------------------------------------------------------------------

describe("names of ours", function()
    local VALUES = { "words", 1, -1, 1.5, true, false, { a = 1 }, { 1, 2 }, {}, { { { 1 } } }, cjson.null }

    local function assert_ours(response)
        local types = {
            data = "table", drafts = "table", errors = "table", warnings = "table", text = "string", finish_reason = "string", prompt = "string",
            created = "number", model = "string", cost = "number", request_id = "string", attempts = "number", timing = "table", usage = "table",
        }
        for name, expected in pairs(types) do
            local value = response[name]
            assert.is_true(value == nil or type(value) == expected, name .. " is a " .. type(value))
        end
        assert.same({ "x", 1, {} }, { response.prompt, response.attempts, response.warnings })
        assert.is_true(response.drafts == nil and response.errors == nil and response.request_id == nil)
        assert.is_number(response.timing.total)
        local image = response.data[1]
        assert.same({ PNG, #PNG, "image/png", "png", 2, 3 }, { image.bytes, image.size, image.mime, image.ext, image.width, image.height })
        assert.is_function(image.save)
        assert.is_true(image.path == nil and image.complete == nil and image.b64_json == nil)
        assert.is_true(image.url == nil or type(image.url) == "string")
        assert.is_true(image.revised_prompt == nil or type(image.revised_prompt) == "string")
    end

    local OURS = { "text", "errors", "warnings", "drafts", "prompt", "cost", "attempts", "timing", "model", "request_id", "finish_reason", "created", "usage" }
    local IMAGES = { "bytes", "size", "mime", "ext", "width", "height", "path", "save", "complete", "revised_prompt", "url", "b64_json" }

    it("hold our types, whatever the server says", function()
        for _, value in ipairs(VALUES) do
            local answer, item = { data = { { b64_json = encode(PNG) } } }, { b64_json = encode(PNG) }
            for _, name in ipairs(OURS) do
                answer[name] = value
            end
            assert_ours(assert(generate("images", json(answer))))
            for _, name in ipairs(IMAGES) do
                if name ~= "b64_json" then
                    item[name] = value
                end
            end
            if value ~= "words" then -- else `url` is an address, which is kept
                assert_ours(assert(generate("images", json { data = { item } })))
            end
            answer.data, answer.choices = nil, { { message = { images = { { image_url = { url = url(encode(PNG)) } } }, content = value, refusal = value },
                finish_reason = value, index = value } }
            assert_ours(assert(generate("chat", json(answer))))
            answer.choices = nil
            answer.candidates = { { content = { parts = { { inlineData = { data = encode(PNG) }, text = value } }, role = value }, finishReason = value } }
            answer.modelVersion, answer.usageMetadata, answer.promptFeedback = value, value, value
            assert_ours(assert(generate("gemini", json(answer))))
        end
    end)

    it("keep what the server says under them, where it is of our type", function()
        local response = assert(generate("images", json { data = { { b64_json = encode(PNG), revised_prompt = "better" } }, created = 7, model = "m",
            usage = { total_tokens = 3 }, finish_reason = "stop", text = "Here." }))
        assert.same({ 7, "m", { total_tokens = 3 }, "stop", "Here.", "better" }, { response.created, response.model, response.usage, response.finish_reason,
            response.text, response.data[1].revised_prompt })
    end)

    it("make errors with a kind of anything in a picture's place", function()
        for _, value in ipairs(VALUES) do
            for _, name in ipairs { "url", "b64_json" } do
                local response, err = generate("images", json { data = { { [name] = value } } }, { retry = "none" })
                assert.is_nil(response)
                assert.is_string(err.kind, name)
                assert.is_string(tostring(err))
            end
            for _, answer in ipairs {
                { data = value }, { data = { value } }, { images = value }, { output = value }, { output = { value } }, { choices = value }, { choices = { value } },
                { choices = { { message = value } } }, { choices = { { delta = value } } }, { choices = { { message = { content = value } } } },
                { choices = { { message = { content = { value } } } } }, { choices = { { message = { images = value, image = value } } } },
                { choices = { { message = { images = { value } } } } }, { choices = { { message = { images = { { image_url = value } } } } } },
                { candidates = value }, { candidates = { value } }, { candidates = { { content = value } } }, { candidates = { { content = { parts = value } } } },
                { candidates = { { content = { parts = { value, { inlineData = value }, { inlineData = { data = value } } } } } } }, { b64_json = value },
                { value }, { { data = value }, { choices = value } },
            } do
                local _, err = generate("images", json(answer), { retry = "none" })
                assert.is_string(err.kind)
            end
        end
    end)

    it("do not keep the command from saying what it saved", function()
        local answer = json { data = { { b64_json = encode(PNG), revised_prompt = { 1 } } }, text = { a = 1 }, errors = { 1 }, warnings = { 1 }, cost = "x", model = { 1 },
            created = { 1 }, usage = 1, timing = 1, request_id = { 1 }, finish_reason = 1 }
        command.write(directory .. "/answer", answer.body)
        local proxy = mirrors.answering(mirror, { file = directory .. "/answer" })
        for _, how in ipairs { "", " --json" } do
            local line = ("cd %s && THUCCHIEN_API_KEY=sk-x THUCCHIEN_BASE_URL=%s %s %s/bin/thucchien generate x -o boat%s >out 2>err"):format(
                command.quote(directory), proxy, command.lua, command.quote(command.root), how .. (how ~= "" and " --force" or ""))
            assert.equal(0, command.execute(line), command.read(directory .. "/err"))
            assert.matches("boat%.png", command.read(directory .. "/out"))
            assert.equal("", command.read(directory .. "/err"))
            assert.is_true(command.read(directory .. "/boat.png") == PNG)
        end
    end)
end)

-- ---- cost, and pictures again --------------------------------------------------------------------

describe("cost", function()
    local function cost(usage, headers)
        return assert(generate("images", { headers = headers, body = json({ data = { { b64_json = encode(PNG) } }, usage = usage }).body })).cost
    end

    it("is what usage says where no header does", function()
        assert.equal(0.25, cost { cost = 0.25 })
        assert.equal(0, cost { cost = 0 })
        assert.equal(0.5, cost { cost = { total_cost = 0.5, request_cost = 0.1 } })
        assert.equal(0.125, cost { estimated_cost = 0.125 })
        assert.equal(0.25, cost { cost = 0.25, estimated_cost = 0.5 })
        assert.equal(0.5, cost({ cost = 0.25 }, { "x-litellm-response-cost: 0.5" }))
    end)

    it("is nothing that is no amount", function()
        for _, value in ipairs { "0.25", -1, true, {}, cjson.null } do
            assert.is_nil(cost { cost = value })
        end
        assert.is_nil(assert(generate("images", '{"data":[{"b64_json":"' .. encode(PNG) .. '"}],"usage":{"cost":1e999}}')).cost)
        assert.is_nil(cost(nil))
        assert.is_nil(cost { total_tokens = 5 })
    end)

    it("is the sum of several requests'", function()
        local function one(bytes, amount)
            local answer = chat { images = { { image_url = { url = url(encode(bytes)) } } } }
            answer.body = answer.body:gsub("^{", '{"usage":{"cost":' .. amount .. "},")
            return answer
        end
        local response = assert(generate("chat", { id = "costs", answers = { one(PNG, 0.25), one(GIF, 0.5), one(WEBP, 0.125) } }, { n = 3 }))
        assert.equal(0.875, response.cost)
        assert.equal(0.875, response.usage.cost)
        local mixed = one(GIF, 0.5)
        mixed.headers = { "x-litellm-response-cost: 1" }
        assert.equal(1.25, assert(generate("chat", { id = "mixed-costs", answers = { one(PNG, 0.25), mixed } }, { n = 2 })).cost)
    end)
end)

describe("pictures that are the same", function()
    local function answer(list)
        local data = {}
        for i, bytes in ipairs(list) do
            data[i] = { b64_json = encode(bytes) }
        end
        return json { data = data }
    end

    it("are a warning where several were asked for", function()
        for _, way in ipairs(WAYS) do
            local response = take(way, "images", answer { PNG, GIF, PNG, PNG }, { n = 4 })
            assert.same({ "image 3 is the same as image 1: a cache may have answered", "image 4 is the same as image 1: a cache may have answered" }, response.warnings)
            assert.same({}, take(way, "images", answer { PNG, GIF }, { n = 2 }).warnings)
            assert.same({}, take(way, "images", answer { PNG, PNG }).warnings)
        end
    end)

    it("are known by their bytes, not by their size alone", function()
        local other = PNG .. ("a"):rep(100000) .. "b" .. ("a"):rep(100000)
        local one = PNG .. ("b"):rep(200001)
        for _, way in ipairs(WAYS) do
            assert.same({}, take(way, "images", answer { other, one }, { n = 2 }).warnings)
            assert.equal(1, #take(way, "images", answer { other, other }, { n = 2 }).warnings)
        end
    end)

    it("are known of several requests, too", function()
        local one = chat { images = { { image_url = { url = url(encode(PNG)) } } } }
        for _, way in ipairs(WAYS) do
            local response = take(way, "chat", one, { n = 3 })
            assert.equal(2, #response.warnings)
            assert.matches("image 2 is the same as image 1", response.warnings[1])
        end
    end)
end)
