--- The emulator as its users meet it: a process of its own, asked with curl. Its parts that are pure functions
-- are checked here too, on the Lua that runs the specs.

local cjson = require "cjson"
local lfs = require "lfs"
local system = require "system"
local command = require "spec.support.command"
local emulators = require "spec.support.emulator"
local pictures = require "spec.support.pictures"
local wire = require "spec.support.wire"

local quote, read, write = command.quote, command.read, command.write

local KEY = "sk-nobody-may-read-this-0123456789"
local ROUTE = "/v1/images/generations"

--- Base64 to bytes, no faster than a spec needs.
local function decode(text)
    local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    local value, bytes = {}, {}
    for i = 1, 64 do
        value[alphabet:byte(i)] = i - 1
    end
    for i = 1, #text, 4 do
        local a, b, c, d = text:byte(i, i + 3)
        local number = value[a] * 262144 + value[b] * 4096 + (value[c] or 0) * 64 + (value[d] or 0)
        bytes[#bytes + 1] = string.char(math.floor(number / 65536), math.floor(number / 256) % 256,
            number % 256):sub(1, value[d] and 3 or value[c] and 2 or 1)
    end
    return table.concat(bytes)
end

local function big_endian(bytes, at)
    local a, b, c, d = bytes:byte(at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

--- Fails unless every chunk of a PNG file has its checksum and the pixels are all there.
local function check_png(bytes)
    local zlib = require "zlib"
    local at, pixels, width, height = 9, nil, nil, nil
    while at < #bytes do
        local length = big_endian(bytes, at)
        local named = bytes:sub(at + 4, at + 7 + length)
        assert.are.equal(zlib.crc32()(named) % 2 ^ 32, big_endian(bytes, at + 8 + length))
        if named:sub(1, 4) == "IHDR" then
            width, height = big_endian(named, 5), big_endian(named, 9)
        elseif named:sub(1, 4) == "IDAT" then
            pixels = zlib.inflate()(named:sub(5))
        end
        at = at + 12 + length
    end
    assert.are.equal((3 * width + 1) * height, #pixels)
end

describe("the emulator", function()
    local emulator, directory

    --- Sends a request with curl. `body` is a table for JSON, or text. `with`: key (false for none), headers,
    -- path, method, curl (further arguments), url. Returns status, body, headers (lower case), curl's exit code.
    local function request(body, with)
        with = with or {}
        local out, head, sent = directory .. "/out", directory .. "/head", directory .. "/sent"
        os.remove(out)
        os.remove(head)
        local words = { "curl -sS -m 30 -o", quote(out), "-D", quote(head), with.curl or "" }
        if with.key ~= false then
            words[#words + 1] = "-H " .. quote("Authorization: Bearer " .. (with.key or KEY))
        end
        for _, header in ipairs(with.headers or {}) do
            words[#words + 1] = "-H " .. quote(header)
        end
        if body then
            write(sent, type(body) == "table" and cjson.encode(body) or body)
            words[#words + 1] = "--data-binary @" .. quote(sent)
        end
        words[#words + 1] = quote((with.url or emulator.url) .. (with.path or ROUTE))
        local code = command.execute(table.concat(words, " ") .. " 2> " .. quote(directory .. "/err"))
        local headers, status = {}, nil
        for line in (read(head) or ""):gmatch "[^\r\n]+" do
            status = line:match "^HTTP/1%.1 (%d+)" or status
            local name, value = line:match "^([^:]+): (.*)$"
            if name then
                headers[name:lower()] = value
            end
        end
        return tonumber(status), read(out) or "", headers, code
    end

    local function generate(fields, with)
        local body = { model = "imagen-4", prompt = "a lake", n = 1, size = "64x64" }
        for name, value in pairs(fields or {}) do
            body[name] = value
        end
        return request(body, with)
    end

    local function error_of(text)
        return cjson.decode(text).error
    end

    local function picture_of(text, index)
        return decode(cjson.decode(text).data[index or 1].b64_json)
    end

    setup(function()
        directory = command.new_directory()
        emulator = emulators.start {}
    end)

    teardown(function()
        emulator:stop()
        command.remove_directory(directory)
    end)

    describe("routes", function()
        it("answers with and without /v1", function()
            assert.are.equal(200, (generate({}, { path = "/images/generations" })))
            assert.are.equal(200, (generate({}, { path = "/v1/images/generations" })))
        end)

        it("refuses another method and another path", function()
            local status, body, headers = request(nil, {})
            assert.are.equal(405, status)
            assert.are.equal('{"detail":"Method Not Allowed"}', body)
            assert.are.equal("POST", headers.allow)
            status, body = request({}, { path = "/v2/images" })
            assert.are.equal(404, status)
            assert.are.equal('{"detail":"Not Found"}', body)
            assert.are.equal(405, (request(nil, { curl = "-I" })))
        end)

        it("keeps a connection open for the next request", function()
            local _, _, _, code = generate({}, { curl = "-w '%{num_connects} ' " .. quote(emulator.url .. "/x")
                .. " > " .. quote(directory .. "/connects") })
            assert.are.equal(0, code)
            local connects = read(directory .. "/connects"):gsub("{.*}", "")
            assert.are.equal("1 0 ", connects)
        end)
    end)

    describe("authentication", function()
        local function refusal(with)
            local status, body = generate({}, with)
            assert.are.equal(401, status)
            return error_of(body)
        end

        it("says what is wrong with a key", function()
            assert.are.same({ message = "Authentication Error, No api key passed in.", type = "auth_error",
                param = "None", code = "401" }, refusal { key = false })
            assert.matches("Malformed API Key passed in%. Ensure Key has `Bearer ` prefix%.",
                refusal({ key = false, headers = { "Authorization: " .. KEY } }).message)
            assert.matches("Received=my%-key, expected to start with 'sk%-'%.", refusal({ key = "my-key" }).message)
        end)

        it("takes the other headers of the gateway", function()
            for _, name in ipairs { "x-litellm-api-key", "API-Key", "x-api-key", "x-goog-api-key" } do
                assert.are.equal(200, (generate({}, { key = false, headers = { name .. ": " .. KEY } })))
            end
        end)
    end)

    describe("the body", function()
        local function refusal(body)
            local status, text = request(body)
            return status, error_of(text)
        end

        it("must be JSON", function()
            local status, err = refusal '{"model": "imagen-4",\n "n": 2,\n}'
            assert.are.equal(400, status)
            assert.are.same({ message = "Invalid JSON payload: unexpected character: line 3 column 1 (char 31)",
                type = "invalid_request_error", param = "request_body", code = "400" }, err)
            assert.are.equal(500, (refusal ""))
            assert.are.equal(500, (refusal '{"prompt":"\255"}'))
            assert.are.equal(500, (refusal '{"model":"imagen-4","prompt":"\\ud83d"}'))
            assert.are.equal(401, (refusal "[]"))
        end)

        it("needs a prompt and a model that is known", function()
            assert.are.equal(500, (refusal { model = "imagen-4" }))
            local status, err = refusal { model = "dall-e-9", prompt = "x" }
            assert.are.equal(400, status)
            assert.are.equal("400: {'error': '/image/generations: Invalid model name passed in model=dall-e-9. "
                .. "Call `/v1/models` to view available models for your key.'}", err.message)
            assert.are.equal("None", err.type)
            assert.are.equal(400, (refusal { prompt = "x" }))
            assert.are.equal(401, (refusal { prompt = "x", model = 4 }))
        end)

        it("may not hold parameters that the model does not support", function()
            for _, name in ipairs { "quality", "style", "response_format", "user" } do
                local status, err = refusal { model = "imagen-4", prompt = "x", n = 1, [name] = "y" }
                assert.are.equal(400, status)
                assert.matches("litellm%.UnsupportedParamsError: Setting `" .. name .. "` is not", err.message)
                assert.are.equal(cjson.null, err.param)
                assert.are.equal(200, (generate { [name] = "y", drop_params = true }))
                assert.are.equal(200, (generate { [name] = cjson.null }))
            end
            assert.are.equal(401, (refusal { model = "imagen-4", prompt = "x", api_base = "http://x" }))
        end)

        it("counts pictures as Python's int() does", function()
            for n, count in pairs { [2] = 2, ["3"] = 3, [" 1 "] = 1, [2.9] = 2 } do
                local status, body = generate { n = n }
                assert.are.equal(200, status)
                assert.are.equal(count, #cjson.decode(body).data)
            end
            local _, body = request { model = "imagen-4", prompt = "x", size = "64x64" }
            assert.are.equal(4, #cjson.decode(body).data)
            assert.are.equal(500, (generate { n = "2.0" }))
            assert.are.equal(500, (generate { n = { 1 } }))
            assert.are.equal(400, (generate { n = 5 }))
            assert.are.equal(400, (generate { n = 0 }))
        end)

        it("is read when it comes in chunks, and after 100 Continue", function()
            assert.are.equal(200, (generate({}, { headers = { "Transfer-Encoding: chunked" } })))
            assert.are.equal(200, (generate({}, { headers = { "Expect: 100-continue" } })))
            assert.are.equal(200, (generate({ prompt = ("x"):rep(2e6) })))
        end)

        it("may not be too large", function()
            local status = request("x", { headers = { "Content-Length: 67108865" }, curl = "-m 5" })
            assert.are.equal(413, status)
        end)
    end)

    describe("a success", function()
        it("is the gateway's whole response in one line, keys in its order", function()
            local _, body, headers = generate { n = 2 }
            local shape = body:gsub('"b64_json":"[%w+/=]+"', '"b64_json":B'):gsub('"created":%d+', '"created":T')
            assert.are.equal('{"created":T,"background":null,"data":[{"b64_json":B,"revised_prompt":null,"url":null},'
                .. '{"b64_json":B,"revised_prompt":null,"url":null}],"output_format":null,"quality":null,"size":null,'
                .. '"usage":{"input_tokens":0,"input_tokens_details":{"image_tokens":0,"text_tokens":0},'
                .. '"output_tokens":0,"total_tokens":0}}', shape)
            assert.is_true(math.abs(cjson.decode(body).created - os.time()) < 60)
            assert.are.equal("application/json", headers["content-type"])
            assert.are.equal(tostring(#body), headers["content-length"])
            assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", headers["x-litellm-call-id"])
            assert.are.equal("0.08", headers["x-litellm-response-cost"])
            assert.are.equal("1.79.1", headers["x-litellm-version"])
            assert.truthy(headers["x-litellm-model-id"])
        end)

        it("tells what the key had spent before", function()
            local with = { key = "sk-spender" }
            local _, _, headers = generate({ n = 3 }, with)
            assert.are.equal("0.0", headers["x-litellm-key-spend"])
            _, _, headers = generate({ n = 1 }, with)
            assert.are.equal("0.12", headers["x-litellm-key-spend"])
        end)

        it("has pictures of the size that was asked for", function()
            local cases = {
                { { size = "1024x1024" }, "1024x1024" },
                { { size = "1536x1024" }, "1024x1024" }, { { size = "1024x1536" }, "1024x1024" },
                { { size = "1792x1024" }, "1792x1024" },
                { { size = "1536x1024", aspectRatio = "4:3" }, "1280x896" },
                { { aspect_ratio = "9:16", aspectRatio = "9:16" }, "768x1408" },
                { { size = "40x90" }, "40x90" },
                { { size = "large" }, "1024x1024" },
                { { size = "9000x9000" }, "1024x1024" },
                { { aspect_ratio = "1:1" }, "1024x1024" },
                { { aspect_ratio = "3:4" }, "896x1280" },
                { { aspect_ratio = "4:3" }, "1280x896" },
                { { aspect_ratio = "16:9", size = "1024x1024" }, "1408x768" },
                { { aspectRatio = "9:16" }, "768x1408" },
            }
            for _, case in ipairs(cases) do
                local _, body = generate(case[1])
                local start = cjson.decode(body).data[1].b64_json:sub(1, 64)
                assert.are.equal(case[2], ("%dx%d"):format(pictures.png_dimensions(decode(start))))
            end
            assert.are.equal(400, (generate { aspect_ratio = "2:1" }))
        end)
    end)

    describe("a drawing", function()
        it("is a valid PNG file", function()
            for _, prompt in ipairs { "a lighthouse at dusk", "snow", "đêm trên biển", "a desert village", "mưa" } do
                local _, body = generate { prompt = prompt, size = "97x64" }
                check_png(picture_of(body))
            end
        end)

        it("is the same for the same prompt, another for another prompt or index", function()
            local _, first = generate { n = 2 }
            local _, again = generate { n = 2 }
            assert.are.equal(picture_of(first, 1), picture_of(again, 1))
            assert.are.equal(picture_of(first, 2), picture_of(again, 2))
            assert.are_not.equal(picture_of(first, 1), picture_of(first, 2))
            local _, other = generate { prompt = "a lake." }
            assert.are_not.equal(picture_of(first, 1), picture_of(other, 1))
        end)

        it("is the same on this Lua as in the emulator", function()
            local landscape = require "thucchien.emulator.paint.landscape"
            for _, prompt in ipairs { "a lighthouse at dusk", "rừng thông phủ tuyết, cực quang", "sa mạc" } do
                local _, body = generate { prompt = prompt, size = "160x96" }
                assert.is_true(landscape.png(prompt, 1, 160, 96) == picture_of(body))
            end
        end)
    end)

    describe("--images", function()
        local files

        setup(function()
            files = directory .. "/files"
            assert(lfs.mkdir(files))
            write(files .. "/b.JPG", "\255\216\255 not quite a picture")
            write(files .. "/a.png", "\137PNG\r\n\26\n" .. ("\0\255"):rep(5000))
            write(files .. "/c it's.webp", "RIFF....WEBP")
            write(files .. "/notes.txt", "no picture")
        end)

        it("serves the files by name and begins anew with each request", function()
            local server = emulators.start { images = files }
            finally(function()
                server:stop()
            end)
            for n = 1, 4 do
                local _, body = generate({ n = n }, { url = server.url })
                local names = { "a.png", "b.JPG", "c it's.webp", "a.png" }
                assert.are.equal(n, #cjson.decode(body).data)
                for i = 1, n do
                    assert.is_true(read(files .. "/" .. names[i]) == picture_of(body, i))
                end
            end
        end)

        it("refuses a directory without pictures, or that is not there", function()
            lfs.mkdir(directory .. "/empty")
            for name, message in pairs { ["/empty"] = "no %.png", ["/none"] = "not a directory" } do
                local ok, problem = pcall(emulators.start, { images = directory .. name })
                assert.is_false(ok)
                assert.matches(message, problem)
            end
        end)
    end)

    describe("failures on demand", function()
        local function fail(name, with)
            return generate({ model = "emulate/" .. name, n = 2 }, with)
        end

        it("answers with a status and the gateway's error", function()
            local cases = { -- model, status, type, part of the message
                { "400", 400, cjson.null, "BadRequestError" },
                { "401", 401, "token_not_found_in_db", "Invalid proxy server token" },
                { "403", 403, "None", "403: " },
                { "404", 404, cjson.null, "NotFoundError" },
                { "408", 408, cjson.null, "litellm.Timeout" },
                { "429", 429, "throttling_error", "RateLimitError" },
                { "500", 500, cjson.null, "InternalServerError" },
                { "503", 503, cjson.null, "ServiceUnavailableError" },
                { "budget", 400, "budget_exceeded", "Budget has been exceeded!" },
                { "budget-429", 429, "None", "Max budget limit reached" },
                { "rate-limit", 429, "None", "Limit resets at: 20" },
                { "cooldown", 429, "None", "Try again in 5 seconds" },
                { "cooldown/1.5", 429, "None", "Try again in 1.5 seconds" },
                { "quota", 429, "throttling_error", "RESOURCE_EXHAUSTED" },
                { "expired-key", 400, "expired_key", "Expired Key" },
                { "blocked-key", 401, "auth_error", "Key is blocked" },
                { "model-access", 401, "team_model_access_denied", "Tried to access emulate/model-access" },
                { "filtered", 500, cjson.null, "does not contain 'predictions'" },
                { "refused", 400, cjson.null, "Responsible AI" },
                { "traceback", 500, cjson.null, "Traceback (most recent call last)" },
                { "nonsense", 400, "None", "Invalid model name" },
            }
            for _, case in ipairs(cases) do
                local status, body, headers = fail(case[1])
                local err = error_of(body)
                assert.are.equal(case[2], status)
                assert.are.equal(tostring(case[2]), err.code)
                assert.are.equal(case[3], err.type)
                assert.truthy(err.message:find(case[4], 1, true), err.message)
                assert.is_nil(headers["x-litellm-call-id"])
            end
        end)

        it("repeats the key where the gateway does", function()
            local _, body = fail "expired-key"
            assert.are.equal(KEY, error_of(body).param)
        end)

        it("tells a time to wait until", function()
            local soon = os.date("!%H:%M:%S", os.time() + 19)
            local _, body = fail "rate-limit/20"
            local late = os.date("!%H:%M:%S", os.time() + 21)
            local resets = error_of(body).message:match "Limit resets at: %d+%-%d+%-%d+ (%d+:%d+:%d+) UTC"
            assert.is_true(soon > late or (soon <= resets and resets <= late))
        end)

        it("answers what is not an error object", function()
            for name, status in pairs { ["413"] = 413, ["502"] = 502, ["504"] = 504, html = 200 } do
                local got, body, headers = fail(name)
                assert.are.equal(status, got)
                assert.matches("^<html>", body)
                assert.are.equal("text/html", headers["content-type"])
            end
            for name, status in pairs { ["422"] = 422, ["detail-list"] = 422, ["detail-object"] = 403 } do
                local got, body = fail(name)
                assert.are.equal(status, got)
                assert.are.equal("table", type(cjson.decode(body).detail))
            end
            local status, body = fail "plain-500"
            assert.are.equal(500, status)
            assert.are.equal("Internal Server Error", body)
            local headers
            status, body, headers = fail "redirect"
            assert.are.equal(307, status)
            assert.are.equal("", body)
            assert.matches("^https://", headers.location)
        end)

        it("answers without a picture", function()
            local status, body, headers = fail "empty"
            assert.are.equal(200, status)
            assert.are.equal(0, #cjson.decode(body).data)
            assert.is_nil(headers["x-litellm-response-cost"])
            status, body = fail "null-image"
            assert.are.equal(200, status)
            assert.are.same({ b64_json = cjson.null, url = cjson.null, revised_prompt = cjson.null },
                cjson.decode(body).data[1])
        end)

        it("gives addresses that can be fetched", function()
            local _, body = fail "url"
            local _, plain = generate { n = 2 }
            for i = 1, 2 do
                local item = cjson.decode(body).data[i]
                assert.are.equal(cjson.null, item.b64_json)
                local status, bytes, headers = request(nil, { url = item.url, path = "", key = false })
                assert.are.equal(200, status)
                assert.are.equal("image/png", headers["content-type"])
                assert.is_true(bytes == picture_of(plain, i))
            end
            assert.are.equal(404, (request(nil, { path = "/emulate/pictures/none.png", key = false })))
        end)

        it("sends a good answer in every legal way", function()
            local _, plain = generate { n = 2 }
            for name, curl in pairs { chunked = "", gzip = "--compressed", pretty = "", ["slow/0.1"] = "" } do
                local status, body, headers = fail(name, { curl = curl })
                assert.are.equal(200, status)
                assert.are.equal(picture_of(plain, 1), picture_of(body, 1))
                assert.are.equal(picture_of(plain, 2), picture_of(body, 2))
                if name == "chunked" then
                    assert.are.equal("chunked", headers["transfer-encoding"])
                    assert.is_nil(headers["content-length"])
                elseif name == "gzip" then
                    assert.are.equal("gzip", headers["content-encoding"])
                elseif name == "pretty" then
                    assert.truthy(body:find("\\/", 1, true) and body:find("\\u002B", 1, true))
                end
            end
            for _, name in ipairs { "drip", "drip/1", "drip/4096" } do
                local status, body = fail(name)
                assert.are.equal(200, status)
                check_png(picture_of(body, 2))
            end
        end)

        it("breaks answers", function()
            local status, body, _, code = fail "truncated"
            assert.are.equal(200, status)
            assert.are.equal(18, code) -- curl: a partial file
            assert.is_false((pcall(cjson.decode, body)))
            _, _, _, code = fail "reset"
            assert.are.equal(52, code) -- curl: an empty reply
            for _, name in ipairs { "truncated-json", "garbage", "trailing" } do
                local headers
                status, body, headers, code = fail(name)
                assert.are.equal(200, status)
                assert.are.equal(0, code)
                assert.are.equal("application/json", headers["content-type"])
                assert.is_false((pcall(cjson.decode, body)))
            end
            status, body = fail "not-base64"
            assert.are.equal(200, status)
            assert.matches("[^%w+/=]", cjson.decode(body).data[1].b64_json)
        end)

        it("fails a number of times, then draws", function()
            for _, name in ipairs { "503/2", "429/2" } do
                assert.are.equal(tonumber(name:sub(1, 3)), (fail(name)))
                assert.are.equal(tonumber(name:sub(1, 3)), (fail(name)))
                assert.are.equal(200, (fail(name)))
                assert.are.equal(tonumber(name:sub(1, 3)), (fail(name)))
            end
        end)

        it("is in the help, line by line", function()
            local epilog = require("thucchien.emulator").epilog
            for _, name in ipairs { "429", "slow", "truncated", "pretty", "budget-429" } do
                assert.truthy(epilog:find("\n  emulate/" .. name .. " ", 1, true))
            end
            for line in epilog:gmatch "[^\n]+" do
                assert.is_true(#line <= 80, line)
            end
        end)
    end)

    describe("as a process", function()
        it("prints a line for each request and never the key", function()
            generate({ prompt = "logged", size = "48x32", n = 2 })
            assert.truthy(emulator:await("%d%d:%d%d:%d%d POST /v1/images/generations model=imagen%-4 n=2 "
                .. "size=48x32 200 %d+ bytes %d+ ms\n"))
            generate({ model = KEY .. "\n" })
            generate({ n = KEY })
            request({}, { key = "no-good-key", path = "/x-no-good-key?key=" .. KEY })
            generate({ model = "no-good-key" }, { key = "no-good-key" })
            generate({ model = "end of the log" })
            assert.truthy(emulator:await "end of the log")
            assert.is_nil(emulator:log():find("nobody-may-read", 1, true))
        end)

        it("waits as long as it is told", function()
            local server = emulators.start { delay = 0.3 }
            finally(function()
                server:stop()
            end)
            local began = system.monotime()
            assert.are.equal(400, (request({}, { url = server.url })))
            assert.is_true(system.monotime() - began >= 0.3)
        end)

        it("serves others while one waits", function()
            if not wire.works() then
                return pending "needs cqueues (Debian: lua-cqueues)"
            end
            local body = '{"model":"emulate/slow/60","prompt":"x","n":1}'
            local waiting = wire.open(emulator.url)
            waiting:send(("POST %s HTTP/1.1\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"):format(
                ROUTE, KEY, #body, body))
            assert.are.equal(200, (generate()))
            waiting:close()
            assert.truthy(emulator:await "model=emulate/slow/60 n=1 size=1024x1024 client left")
        end)

        it("survives clients that leave", function()
            if not wire.works() then
                return pending "needs cqueues (Debian: lua-cqueues)"
            end
            local count = select(2, emulator:log():gsub("\n", ""))
            local function leave(model, length, pattern)
                local body = cjson.encode { model = model, prompt = "x", n = 4 }
                local connection = wire.open(emulator.url)
                connection:send(("POST %s HTTP/1.1\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"):format(
                    ROUTE, KEY, length or #body, body))
                if pattern then
                    connection:receive(pattern)
                end
                connection:close()
            end
            leave "emulate/slow/60"
            leave("emulate/drip", nil, '{"created"')
            leave("emulate/stamp", 1000)
            assert.truthy(emulator:await("client left.*client left.*client left"))
            assert.are.equal(200, (generate()))
            assert.is_true(select(2, emulator:log():gsub("\n", "")) <= count + 4)
        end)

        it("does not mind what is not HTTP", function()
            local host, port = emulator.url:match "//([^:]+):(%d+)"
            os.execute(("curl -sS -m 1 telnet://%s:%s < /bin/true > /dev/null 2>&1"):format(host, port))
            os.execute(("curl -sk -m 1 https://%s:%s > /dev/null 2>&1"):format(host, port))
            assert.are.equal(200, (generate()))
        end)

        it("says that a port is taken", function()
            local ok, problem = pcall(emulators.start, { args = { "--port", emulator.url:match "%d+$" } })
            assert.is_false(ok)
            assert.matches("cannot listen on 127%.0%.0%.1:%d+: Address already in use\n", problem)
        end)

        it("ends with status 0 on a signal", function()
            for _, signal in ipairs { "INT", "TERM" } do
                local path = directory .. "/" .. signal
                local script = ("luajit bin/thucchien emulator --port 0 > %s & pid=$!; "
                    .. "until test -s %s; do sleep 0.02; done; kill -%s $pid; wait $pid")
                    :format(quote(path), quote(path), signal)
                assert.are.equal(0, command.execute(script))
            end
        end)

        it("ends when its standard input does", function()
            local path = directory .. "/eof"
            local line = "sleep 0.3 | luajit bin/thucchien emulator --port 0 --stop-on-eof > " .. quote(path)
            assert.are.equal(0, command.execute(line))
            assert.matches("^listening on http://127%.0%.0%.1:%d+\n$", read(path))
        end)
    end)
end)

describe("base64", function()
    it("encodes", function()
        local base64 = require "thucchien.emulator.base64"
        local cases = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
            foobar = "Zm9vYmFy", ["\0\0\0"] = "AAAA", ["\255\255\255"] = "////", ["\251\240"] = "+/A=" }
        for bytes, text in pairs(cases) do
            assert.are.equal(text, base64.encode(bytes))
        end
        local bytes = {}
        for i = 1, 20000 do
            bytes[i] = string.char(i * i % 251)
        end
        bytes = table.concat(bytes)
        assert.is_true(bytes == decode(base64.encode(bytes)))
    end)
end)
