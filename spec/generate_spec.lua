-- thucchien.generate and client:generate, from the params to the bytes, against real servers.

local cjson = require "cjson"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local emulators = require "spec.support.emulator"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local pictures = require "spec.support.pictures"
local requests = require "spec.support.requests"
local routes = require "spec.support.routes"

local KEY = requests.KEY

-- A whole PNG but for its pixels, and so many bytes behind it, of all 256 values.
local function picture(size)
    local bytes = {}
    for i = 1, size do
        bytes[i] = string.char((i * 7 + math.floor(i / 256)) % 256)
    end
    local head = "\137PNG\r\n\26\n\0\0\0\13IHDR\0\0\1\44\0\0\0\200"
    return head .. routes.bytes(0):sub(#head + 1) .. table.concat(bytes)
end

local function body_of(...)
    local items = {}
    for i, bytes in ipairs { ... } do
        items[i] = ('{"b64_json":"%s","revised_prompt":null,"url":null}'):format(pictures.encode(bytes))
    end
    return ('{"created":1759806089,"background":null,"data":[%s],"usage":{"total_tokens":0}}'):format(
        table.concat(items, ","))
end

local mirror, client

local function ask(answer, params)
    params = params or {}
    params.prompt = params.prompt or "x"
    params.extra_body = params.extra_body or { mirror = answer }
    return client:generate(params)
end

-- What the server saw of a request with these params.
local function echo(params, through)
    local response, err = (through or client):generate(params)
    assert(response, err)
    local seen = response.echo
    seen.json = cjson.decode(seen.body)
    return seen
end

fixtures.client(function(...) mirror, client = ... end)

describe("a request", function()
    it("is the gateway's: path, headers, body", function()
        local seen = echo { prompt = "a lighthouse", n = 2, aspect_ratio = "16:9" }
        assert.equal("POST /images/generations HTTP/1.1", seen.line)
        assert.equal("Bearer " .. KEY, (mirrors.credentials(seen, "authorization")))
        assert.equal("application/json", seen.headers["content-type"])
        assert.equal("thucchien/0.2.0", seen.headers["user-agent"])
        assert.is_nil(seen.headers.expect)
        assert.same({ prompt = "a lighthouse", n = 2, aspect_ratio = "16:9", aspectRatio = "16:9", model = "imagen-4" }, seen.json)
    end)

    it("always sends n", function()
        assert.matches('"n":1[,}]', echo({ prompt = "x" }).body)
    end)

    it("sends n as an integer whatever it was", function()
        for _, n in ipairs { 3, 3.0, "3", "3.0" } do
            assert.matches('"n":3[,}]', echo({ prompt = "x", n = n }).body)
        end
    end)

    it("may be a string", function()
        assert.equal("a lighthouse", echo("a lighthouse").json.prompt)
    end)

    it("sends prompts as they came", function()
        for _, prompt in ipairs {
            "hải đăng lúc hoàng hôn", "🌅🏝️", 'say "hello" \\ / \8\12', "two\nlines\r\n\ttab", "nul\0nul", " spaces ",
            "a\127", "\226\128\168b", -- alone they are blanks
        } do
            assert.equal(prompt, echo({ prompt = prompt }).json.prompt)
        end
    end)

    it("sends only the aspect ratio when both it and a size are given", function()
        local sent = echo({ prompt = "x", size = "1536x1024", aspect_ratio = "3:4" }).json
        assert.is_nil(sent.size)
        assert.equal("3:4", sent.aspect_ratio)
    end)

    it("spells the aspect ratio as older and as newer gateways pass it on, where the model is Imagen", function()
        for _, model in ipairs { "imagen-4", "imagen-4.0-fast-generate-001", "vertex_ai/imagen-3.0-generate-002" } do
            local sent = echo({ prompt = "x", model = model, aspect_ratio = "16:9" }).json
            assert.same({ "16:9", "16:9" }, { sent.aspect_ratio, sent.aspectRatio })
        end
        for _, params in ipairs { { model = "gpt-image-2.5" }, { model = "another-model" },
            { extra_body = { aspect_ratio = "9:16" } }, { extra_body = { size = "2K" } } } do
            params.prompt, params.aspect_ratio = "x", "16:9"
            local sent = echo(params).json
            assert.is_nil(sent.aspectRatio)
            assert.equal((params.extra_body or {}).aspect_ratio or "16:9", sent.aspect_ratio)
        end
        local sent = echo({ prompt = "x", aspect_ratio = "16:9", extra_body = { aspectRatio = "9:16" } }).json
        assert.same({ "16:9", "9:16" }, { sent.aspect_ratio, sent.aspectRatio })
        assert.is_nil(echo({ prompt = "x", size = "1024x1024" }).json.aspectRatio)
    end)

    it("merges extra_body verbatim and last", function()
        local sent = echo({ prompt = "x", extra_body = { n = 7, imageConfig = { aspectRatio = "2:3" }, tags = { "a" } } })
            .json
        assert.equal(7, sent.n)
        assert.same({ aspectRatio = "2:3" }, sent.imageConfig)
        assert.same({ "a" }, sent.tags)
    end)

    it("carries extra_headers, which win over the client's", function()
        local own = assert(thucchien.new {
            base_url = mirror.url, api_key = KEY, headers = { ["X-One"] = "client", ["X-Two"] = "client" },
        })
        local headers = echo({ prompt = "x", extra_headers = { ["x-one"] = "request", ["X-Empty"] = "" } }, own).headers
        assert.equal("request", headers["x-one"])
        assert.equal("client", headers["x-two"])
        assert.equal("", headers["x-empty"])
    end)

    it("overrides an empty header by an empty one", function()
        local own = assert(thucchien.new {
            base_url = mirror.url, api_key = KEY, headers = { ["X-Mode"] = "client", ["X-Long-Name"] = "", Same = "" },
        })
        local seen = echo({ prompt = "x", extra_headers = { ["X-Mode"] = "", same = "" } }, own)
        local count = 0
        for _, line in ipairs(seen.raw) do
            count = count + (line:lower():find "^x%-mode:" and 1 or 0)
        end
        assert.equal(1, count)
        assert.equal("", seen.headers["x-mode"])
    end)

    it("goes to any spelling of the base URL", function()
        for _, case in ipairs {
            { "", "/images/generations" }, { "/", "/images/generations" }, { "/v1", "/v1/images/generations" },
            { "/v1/", "/v1/images/generations" }, { "/proxy/api//", "/proxy/api/images/generations" },
        } do
            local own = assert(thucchien.new { base_url = mirror.url .. case[1], api_key = KEY })
            assert.equal("POST " .. case[2] .. " HTTP/1.1", echo("x", own).line)
        end
    end)

    it("takes the client's model, and the request's before that", function()
        local own = requests.client(mirror, { model = "another-model" })
        assert.equal("another-model", echo("x", own).json.model)
        assert.equal("gpt-image-2.5", echo({ prompt = "x", model = "gpt-image-2.5" }, own).json.model)
    end)

    it("shares a connection with the client's others", function()
        local own = requests.client(mirror)
        local first, second = echo("x", own), echo("y", own)
        assert.equal(first.connection, second.connection)
        assert.equal(first.number + 1, second.number)
    end)

    it("asks a function for the key each time", function()
        local calls = 0
        local own = assert(thucchien.new {
            base_url = mirror.url,
            api_key = function()
                calls = calls + 1
                return "sk-from-a-function-" .. calls
            end,
        })
        assert.equal("Bearer sk-from-a-function-1", (mirrors.credentials(echo("x", own), "authorization")))
        assert.equal("Bearer sk-from-a-function-2", (mirrors.credentials(echo("x", own), "authorization")))
    end)

    it("keeps its own cjson settings, and leaves others theirs", function()
        local shared = require "cjson"
        shared.encode_sparse_array(true, 1, 1)
        local before = shared.decode_max_depth()
        shared.decode_max_depth(1)
        shared.encode_max_depth(1)
        local response, err = ask { body = body_of(picture(10)) }
        shared.decode_max_depth(before)
        shared.encode_max_depth(1000)
        shared.encode_sparse_array(false, 2, 10)
        assert(response, err)
        assert.same(0, response.usage.total_tokens)
    end)
end)

describe("a response", function()
    it("has the exact bytes and what they tell", function()
        local bytes = picture(100000)
        local response = assert(ask({ body = body_of(bytes) }))
        assert.equal(1, #response.data)
        local image = response.data[1]
        assert.is_true(image.bytes == bytes)
        assert.same({ #bytes, "image/png", "png", 300, 200 },
            { image.size, image.mime, image.ext, image.width, image.height })
        assert.equal(1759806089, response.created)
        assert.equal("1759806089", ("%d"):format(response.created))
        assert.equal("imagen-4", response.model)
        assert.equal(1, response.attempts)
    end)

    it("keeps fields that nobody named, and drops nulls", function()
        local response = assert(ask { body = [[{"extra":{"a":[1,2.5,"x",null,true]},"size":null,"data":[
            {"revised_prompt":"better","b64_json":"QUJD","score":0.5,"url":null}]}]] })
        assert.same({ 1, 2.5, "x", nil, true }, response.extra.a)
        assert.is_nil(response.size)
        local image = response.data[1]
        assert.equal("ABC", image.bytes)
        assert.equal("better", image.revised_prompt)
        assert.equal(0.5, image.score)
        assert.is_nil(image.url)
        assert.is_nil(image.b64_json)
    end)

    it("believes the bytes and not the server about type and size", function()
        local image = assert(ask { body = [[{"data":[{"b64_json":"QUJD","mime":"image/png","ext":"png","width":5,
            "size":9,"save":"x","bytes":"y"}]}]] }).data[1]
        assert.same({ "ABC", 3 }, { image.bytes, image.size })
        assert.same({}, { image.mime, image.ext, image.width })
        assert.is_function(image.save)
    end)

    it("reads id and cost from the headers", function()
        local response = assert(ask {
            headers = { "X-LiteLLM-Call-Id: abc-1", "x-litellm-response-cost: 1e-05", "x-request-id: other" },
            body = body_of(picture(1)),
        })
        assert.equal("abc-1", response.request_id)
        assert.is_true(math.abs(response.cost - 1e-05) < 1e-12)
    end)

    it("has no cost where no header tells one", function()
        assert.is_nil(assert(ask { body = body_of(picture(1)) }).cost)
    end)

    it("has moments in their order", function()
        local timing = assert(ask { body = body_of(picture(1)), hold = 0.05 }).timing
        assert.is_true(timing.queued >= 0 and timing.queued <= timing.connected)
        assert.is_true(timing.connected <= timing.first_byte and timing.first_byte <= timing.total)
        assert.is_true(timing.first_byte >= 0.04)
    end)

    it("leaves out items without a picture", function()
        local response = assert(ask { body = [[{"data":[{"b64_json":null,"url":null},null,{"b64_json":""},
            {"b64_json":"QUJD"}]}]] })
        assert.equal(1, #response.data)
        assert.equal("ABC", response.data[1].bytes)
    end)

    it("is the same for gzip and for chunks", function()
        local bytes = picture(5000)
        for _, answer in ipairs {
            { gzip = true, body = body_of(bytes) }, { chunks = { body_of(bytes) } },
        } do
            local response = assert(ask(answer))
            assert.is_true(response.data[1].bytes == bytes)
        end
    end)
end)

describe("an answer cut anywhere", function()
    local bytes = picture(9)
    local text = pictures.encode(bytes)
    local bodies = {
        compact = body_of(bytes),
        ["pretty, keys in another order, unknown ones"] = ([[
            {
                "zeta" : [ 1 , { "b64_json" : "not a picture" } , "\"b64_json\":\"AAAA\"" ] ,
                "data" : [ { "url" : null , "revised_prompt" : "a \"b64_json\":\"BBBB\" \u00e9\ud83c\udf05" ,
                             "b64_json" : "%s" } ] ,
                "x" : { "b64_json" : "CCCC" }, "created" : 1759806089
            } ]]):format(text),
        ["escaped base64"] = ('{"created":1759806089,"data":[{"b64_json":"%s","revised_prompt":null}]}'):format(
            text:gsub("/", "\\/"):gsub("%+", "\\u002B"):gsub("A", "\\u0041")),
        ["escaped keys"] = ('{"created":1759806089,"d\\u0061ta":[{"b\\u00364_json":"%s"}]}'):format(text),
    }

    -- A chunk of a chunked body reaches the module by itself, so the cut is where it is said to be.
    for name, body in pairs(bodies) do
        it("gives the same picture: " .. name, function()
            for cut = 0, #body - 1 do
                local chunks = { body:sub(1, cut), body:sub(cut + 1) }
                if cut == 0 then
                    chunks = {}
                    for i = 1, #body do -- every byte by itself
                        chunks[i] = body:sub(i, i)
                    end
                end
                local response, err = ask { chunks = chunks }
                assert(response, err)
                assert.equal(1, #response.data)
                assert.is_true(response.data[1].bytes == bytes)
                assert.equal(1759806089, response.created)
            end
        end)

        it("is never taken for a whole one: " .. name, function()
            local whole = body:gsub("%s+$", "")
            for cut = 0, #whole - 1 do
                local response, err = ask { body = whole:sub(1, cut) }
                assert.is_nil(response)
                assert.equal("bad_response", err.kind)
                assert.is_true(err.maybe_billed)
            end
        end)
    end
end)

describe("the emulator's pictures", function()
    local files, directory = {}, nil
    local emulator

    setup(function()
        directory = command.new_directory()
        for i, size in ipairs { 70, 300000, 1900001 } do
            files[i] = picture(size)
            command.write(directory .. "/" .. i .. ".png", files[i])
        end
        emulator = emulators.start { images = directory }
    end)

    teardown(function()
        emulator:stop()
        command.remove_directory(directory)
    end)

    it("come back byte for byte for n from 1 to 4", function()
        local own = assert(thucchien.new { base_url = emulator.url, api_key = KEY })
        for n = 1, 4 do
            local response = assert(own:generate { prompt = "x", n = n })
            assert.equal(n, #response.data)
            for i, image in ipairs(response.data) do
                assert.is_true(image.bytes == files[(i - 1) % 3 + 1])
            end
            assert.is_true(math.abs(response.cost - 0.04 * n) < 1e-9)
        end
    end)

    it("come back a byte at a time too", function()
        local chunks, body = {}, body_of(picture(3000))
        for i = 1, #body do
            chunks[i] = body:sub(i, i)
        end
        assert.is_true(assert(ask { chunks = chunks }).data[1].bytes == picture(3000))
    end)
end)

describe("a client", function()
    it("is closed once and for all", function()
        local own = requests.client(mirror)
        own:close()
        own:close()
        local response, err = own:generate "x"
        assert.is_nil(response)
        assert.equal("invalid_request", err.kind)
        assert.matches("closed", err.message)
    end)

    it("tells nobody its key", function()
        local own = requests.client(mirror)
        assert.is_nil(tostring(own):find(KEY, 1, true))
        assert.is_nil(own.api_key)
    end)

    it("keeps its class to itself", function()
        assert.has_error(function()
            client.generate(io.stdout, "x")
        end)
        assert.has_error(function()
            client.close({})
        end)
        local collect = debug.getmetatable(client).__gc
        local own = requests.client(mirror)
        collect(own)
        collect(own)
        assert.has_error(function()
            collect(io.stdout)
        end)
    end)

    it("is collected with its connections", function()
        for _ = 1, 20 do
            local own = requests.client(mirror)
            assert(own:generate "x")
        end
        collectgarbage()
        collectgarbage()
        local open = 0
        for _ in require("lfs").dir "/proc/self/fd" do
            open = open + 1
        end
        assert.is_true(open < 40)
    end)
end)
