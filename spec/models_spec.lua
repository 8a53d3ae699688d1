-- What models take, and more pictures than one makes at once.

local cjson = require "cjson"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"
local routes = require "spec.support.routes"

local mirror, client

fixtures.client(function(...) mirror, client = ... end, { retry = "none" })

-- A chat answer with a picture of so many groups.
local function chat(groups, more)
    local answer = { body = routes.answer("chat", { routes.base64(groups) }) }
    for name, value in pairs(more or {}) do
        answer[name] = value
    end
    return answer
end

local function ask(id, answers, params)
    params = params or {}
    params.prompt, params.model, params.via, params.n = "x", "any", "chat", params.n or #answers
    params.extra_body = { mirror = { id = id, answers = answers } }
    return params
end

local REFUSED = { status = 400, body = '{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"400"}}' }

describe("a model's name", function()
    it("tells the way to it", function()
        for model, line in pairs {
            ["imagen-4"] = "/images/generations", ["imagen-4.0-generate-001"] = "/images/generations",
            ["gpt-image-2.5-mini"] = "/images/generations", ["anything"] = "/images/generations",
        } do
            assert.equal("POST " .. line .. " HTTP/1.1", assert(client:generate { prompt = "x", model = model }).echo.line)
        end
        for _, model in ipairs { "gemini-2.5-flash-image-preview", "vertex_ai/gemini-3-pro-image", "nano-banana-2" } do
            local id = "way-" .. model
            assert(client:generate { prompt = "x", model = model, extra_body = { mirror = { id = id, answers = { chat(1) } } } })
            assert.equal("POST /chat/completions HTTP/1.1", mirrors.seen(mirror, id)[1].line)
        end
    end)

    it("tells what it takes, before anything is sent", function()
        for _, case in ipairs {
            { { model = "imagen-4", n = 5 }, "n", "from 1 to 4" }, { { model = "imagen-4", aspect_ratio = "21:9" }, "aspect_ratio", "'9:16' expected" },
            { { model = "imagen-4", size = "1x1" }, "size", "expected" }, { { model = "imagen-4", images = {} }, "images", "via 'images'" },
            { { model = "vertex_ai/imagen-4.0", n = 5 }, "n", "from 1 to 4" }, { { model = "imagen-4", history = {} }, "history", "a model for chat" },
            { { model = "nano-banana-pro", aspect_ratio = "7:1" }, "aspect_ratio", "'21:9'" },
            { { model = "nano-banana-pro", size = "1024x1024" }, "size", "via 'chat'" }, { { via = "chat", quality = "hd" }, "quality", "extra_body" },
            { { via = "gemini", messages = {} }, "messages", "gemini" }, { { via = "post" }, "via", "'images', 'chat' or 'gemini' expected" },
            { { model = "any", n = 65 }, "n", "from 1 to 64" },
        } do
            local params = case[1]
            params.prompt = not params.messages and "x" or nil
            local response, err = client:generate(params)
            assert.is_nil(response)
            assert.same({ "invalid_request", case[2] }, { err.kind, err.param })
            assert.matches(case[3], err.message)
        end
    end)
end)

describe("more pictures than a model makes at once", function()
    it("come by as many requests, in order, as one response", function()
        local numbers = {}
        local response = assert(client:generate(ask("order", {
            chat(1, { hold = 0.3, headers = { "x-litellm-response-cost: 0.04" } }), chat(2, { hold = 0.15, headers = { "x-litellm-response-cost: 0.04" } }),
            chat(3, { headers = { "x-litellm-response-cost: 0.04" } }),
        }, { on_image = function(_, index) numbers[#numbers + 1] = index end })))
        assert.equal(3, #response.data)
        assert.equal(3, response.attempts)
        assert.is_true(math.abs(response.cost - 0.12) < 1e-9)
        assert.is_nil(response.errors)
        assert.same({}, response.warnings)
        table.sort(numbers)
        assert.same({ 1, 2, 3 }, numbers)
        local sizes = {}
        for i, image in ipairs(response.data) do
            sizes[i] = #image.bytes
        end
        table.sort(sizes)
        assert.same({ routes.SIZE + 3, routes.SIZE + 6, routes.SIZE + 9 }, sizes)
    end)

    it("come in the order of the requests, whichever is the last to come", function()
        local own = requests.client(mirror, { max_concurrency = 1 })
        local response = assert(own:generate(ask("one", { chat(1), chat(2), chat(3) })))
        assert.same({ routes.SIZE + 3, routes.SIZE + 6, routes.SIZE + 9 }, { #response.data[1].bytes, #response.data[2].bytes, #response.data[3].bytes })
        own:close()
    end)

    it("come no more at once than max_concurrency says", function()
        local own = requests.client(mirror, { max_concurrency = 2 })
        local answers = {}
        for i = 1, 6 do
            answers[i] = chat(i, { hold = 0.03 })
        end
        assert.equal(6, #assert(own:generate(ask("two", answers))).data)
        for _, seen in ipairs(mirrors.seen(mirror, "two")) do
            assert.is_true(seen.busy <= 2)
        end
        own:close()
    end)

    it("are those that came when some requests fail", function()
        local response = assert(client:generate(ask("some", { chat(1), REFUSED, chat(3) })))
        assert.equal(2, #response.data)
        assert.equal(1, #response.errors)
        assert.equal("invalid_request", response.errors[1].kind)
        assert.same({ "3 images were asked for, 2 came" }, response.warnings)
    end)

    it("are nil and an error when all fail", function()
        local calls = 0
        local request = assert(client:submit(ask("all", { REFUSED, REFUSED }), function() calls = calls + 1 end))
        local response, err = request:wait()
        assert.is_nil(response)
        assert.equal("invalid_request", err.kind)
        client:poll()
        assert.equal(1, calls)
    end)

    it("are cancelled as one", function()
        local calls = 0
        local request = assert(client:submit(ask("cancel", { chat(1), chat(2, { hold = 5 }) }), function() calls = calls + 1 end))
        for _ = 1, 200 do
            client:poll(0.02)
            if request:progress() > 0 then
                break
            end
        end
        assert.is_true(request:cancel())
        assert.is_false(request:cancel())
        assert.equal("done", request:status())
        local _, err = request:wait()
        assert.equal("cancelled", err.kind)
        assert.equal(1, #err.data)
        client:poll()
        assert.equal(1, calls)
    end)

    it("may be billed if one of the requests may", function()
        local own = requests.client(mirror, { max_concurrency = 1, retry = "none" })
        local LOST = { pieces = {} }
        for id, case in pairs {
            refused = { { REFUSED, REFUSED }, "invalid_request", false }, lost = { { REFUSED, LOST }, "invalid_request", true },
            lost_first = { { LOST, REFUSED }, "connection", true },
            nothing = { { REFUSED, { body = '{"choices":[]}' } }, "invalid_request", true },
        } do
            local _, err = own:generate(ask("billed-" .. id, case[1]))
            assert.same({ case[2], case[3] }, { err.kind, err.maybe_billed })
        end
        own:close()
    end)

    it("may be billed when the first has come and the rest is cancelled in the queue", function()
        local own = requests.client(mirror, { max_concurrency = 1 })
        local request
        request = assert(own:submit(ask("billed-cancel", { chat(1), chat(2) }, { on_image = function() request:cancel() end })))
        local _, err = request:wait()
        own:close()
        assert.same({ "cancelled", true, 1 }, { err.kind, err.maybe_billed, #err.data })
        assert.equal(1, mirrors.count(mirror, "billed-cancel"))
    end)

    it("keep their numbers, whichever is the first to come", function()
        local own = requests.client(mirror, { max_concurrency = 2 })
        local numbers, came, gate = {}, {}, mirrors.gate()
        -- Two at a time: the third comes before the one that is held, which is the first or the second.
        local response = assert(own:generate(ask("numbers", { chat(1, { gate = gate.path }), chat(2), chat(3) }, {
            on_image = function(image, number)
                numbers[#numbers + 1], came[number] = number, image.bytes
                if #numbers == 2 then
                    gate:open()
                end
            end })))
        gate:remove()
        own:close()
        assert.equal(3, numbers[2])
        for i, image in ipairs(response.data) do
            assert.equal(came[i], image.bytes)
        end
        assert.equal(routes.bytes(3), came[3])
    end)

    it("are saved and streamed by their numbers, without those that failed", function()
        local own = requests.client(mirror, { max_concurrency = 1, retry = "none" })
        local directory = command.new_directory()
        local response = assert(own:generate(ask("save", { chat(1), REFUSED, chat(3) }, { save = directory .. "/a" })))
        local paths, chunks = {}, {}
        for i, image in ipairs(response.data) do
            local file = assert(io.open(image.path, "rb"))
            paths[i] = { image.path:sub(#directory + 2), #file:read "*a" }
            file:close()
        end
        assert(own:generate(ask("sink", { REFUSED, chat(2), chat(3) }, { sink = function(number, chunk)
            chunks[#chunks + 1] = number .. (chunk and ":" .. #chunk or "")
            return true
        end })))
        own:close()
        command.remove_directory(directory)
        assert.same({ { "a.png", routes.SIZE + 3 }, { "a-3.png", routes.SIZE + 9 } }, paths)
        assert.same({ "2:" .. routes.SIZE + 6, "2", "3:" .. routes.SIZE + 9, "3" }, chunks)
    end)

    it("end with what a function of the caller's raises", function()
        assert.error_matches(function()
            client:generate(ask("raise", { chat(1), chat(2, { hold = 5 }) }, { on_image = function() error "enough" end }))
        end, "enough")
        assert(client:generate(ask("after", { chat(1) })))
    end)

    it("join their words and sum up their use", function()
        local body = '{"choices":[{"message":{"content":"%s","image":{"url":"data:image/png;base64,' .. routes.base64(1)
            .. '"}},"finish_reason":"stop"}],"usage":{"total_tokens":10,"details":{"a":1}}}'
        local own = requests.client(mirror, { max_concurrency = 1 })
        local response = assert(own:generate(ask("words", { { body = body:format "One." }, { body = body:format "Two." } })))
        assert.equal("One.\n\nTwo.", response.text)
        assert.equal("stop", response.finish_reason)
        assert.equal(20, response.usage.total_tokens)
        own:close()
    end)

    it("sum up their use all the way down, whichever of them tells of it", function()
        local function used(usage)
            return { body = (routes.answer("chat", { routes.base64(1) }):gsub('"usage":%b{}', '"usage":' .. usage)) }
        end
        local own = requests.client(mirror, { max_concurrency = 1 })
        local response = assert(own:generate(ask("used", { used "null", used '{"all":1,"of":{"text":1,"half":0.5},"tier":"a"}',
            used '{"all":2,"of":{"text":5,"half":0.5,"image":7},"tier":"b","of_that":[3],"no":null}', used "5" })))
        own:close()
        assert.same({ all = 3, of = { text = 6, half = 1, image = 7 }, tier = "a", of_that = { 3 } }, response.usage)
        assert.equal("1", tostring(response.usage.of.half))
    end)
end)

describe("warnings", function()
    -- A picture of that many pixels.
    local function shaped(width, height)
        local function big(number)
            return string.char(0, 0, math.floor(number / 256), number % 256)
        end
        local head = "\137PNG\r\n\26\n\0\0\0\13IHDR" .. big(width) .. big(height)
        local bytes = head .. routes.bytes(0):sub(#head + 1)
        local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        return (bytes:gsub("...", function(group)
            local a, b, c = group:byte(1, 3)
            local bits = a * 65536 + b * 256 + c
            return (("."):rep(4):gsub("()%.", function(i)
                local digit = math.floor(bits / 64 ^ (4 - i)) % 64
                return digits:sub(digit + 1, digit + 1)
            end))
        end))
    end

    local function warnings(params, width, height)
        params.prompt = "x"
        params.extra_body = { mirror = { body = cjson.encode { data = { { b64_json = shaped(width, height) } } } } }
        return assert(client:generate(params)).warnings
    end

    it("tell of another shape than was asked for, by the pixels", function()
        assert.same({}, warnings({ aspect_ratio = "1:1" }, 1024, 1024))
        assert.same({ "image 1 is 1024x1024 pixels, 1536x1024 was asked for" }, warnings({ size = "1536x1024", model = "any" }, 1024, 1024))
        assert.same({ "image 1 is 1024x1024 pixels, 16:9 was asked for" }, warnings({ aspect_ratio = "16:9" }, 1024, 1024))
        assert.same({ "image 1 is 1030x1000 pixels, 1:1 was asked for" }, warnings({ aspect_ratio = "1:1", model = "any" }, 1030, 1000))
        assert.same({}, warnings({ aspect_ratio = "1:1", model = "any" }, 1019, 1000))
    end)

    it("tell nothing of what the model makes of a ratio", function()
        assert.same({}, warnings({ aspect_ratio = "16:9" }, 1408, 768))
        assert.same({}, warnings({ aspect_ratio = "3:4" }, 896, 1280))
        assert.same({}, warnings({ aspect_ratio = "16:9" }, 2816, 1536)) -- the same, larger
        assert.equal(1, #warnings({ aspect_ratio = "16:9", model = "any" }, 1408, 768))
    end)

    it("tell before anything is sent of a size that comes out square", function()
        local function before(params)
            params.prompt, params.extra_body = "x", params.extra_body or {}
            params.extra_body.mirror = { body = cjson.encode { data = { { b64_json = shaped(1024, 1024) } } } }
            local request = assert(client:submit(params))
            local known = request:warnings()
            assert.equal("queued", request:status())
            assert.are_not.equal(known, request:warnings())
            local response = assert(request:wait())
            for i, warning in ipairs(known) do
                assert.equal(warning, response.warnings[i])
            end
            assert.same(known, request:warnings())
            return known, #response.warnings
        end
        local known, all = before { size = "1536x1024" }
        assert.same({ "size 1536x1024 comes out square from 'imagen-4': aspect_ratio '4:3' does not" }, known)
        assert.equal(2, all)
        assert.matches("'3:4' does not", before { size = "1024x1536", model = "vertex_ai/imagen-4.0-generate-001" }[1])
        for _, params in ipairs { {}, { size = "1024x1024" }, { size = "1536x1024", aspect_ratio = "1:1" }, { size = "1536x1024", model = "gpt-image-2.5" },
            { size = "1536x1024", model = "any" }, { size = "1536x1024", extra_body = { aspectRatio = "4:3" } },
            { size = "1536x1024", extra_body = { size = "1024x1024" } } } do
            assert.same({}, (before(params)))
        end
    end)

    it("are an empty list of a call", function()
        local request = assert(client:call({ path = "/key/info" }, function() end))
        assert.same({}, request:warnings())
        request:cancel()
        client:poll()
    end)

    it("tell nothing where no shape was asked for", function()
        assert.same({}, warnings({}, 1000, 10))
        assert.same({}, warnings({ size = "auto", model = "any" }, 1000, 10))
    end)
end)
