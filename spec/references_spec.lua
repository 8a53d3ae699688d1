-- Pictures and conversations that go along: references, history; what is sent of them, and what is refused.

local cjson = require "cjson"
local lfs = require "lfs"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local emulators = require "spec.support.emulator"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local pictures = require "spec.support.pictures"
local requests = require "spec.support.requests"
local routes = require "spec.support.routes"

local KEY = requests.KEY
local MIB = 1024 * 1024
local VIAS = { "chat", "gemini" } -- the routes that take pictures

local mirror, client, directory

local PNG = routes.bytes(1)
local JPEG, WEBP, GIF = pictures.bytes "jpg", pictures.bytes "webp", pictures.bytes "gif"

-- A PNG's head, and bytes that are nowhere the same.
local function large_picture(size, seed)
    local lines = { routes.bytes(0) }
    for i = 1, size / 16 do
        lines[i + 1] = ("%08x\0\255%06d"):format(i, seed)
    end
    return table.concat(lines)
end

local function ask(via, params, answer)
    params.via, params.model, params.prompt = via, params.model or "any/model", params.prompt or "x"
    params.extra_body = params.extra_body or {}
    params.extra_body.mirror = answer
    return params
end

-- The turns of the conversation that the mirror was sent: each a role and parts, { text = } or { mime =, data = }.
local count = 0
local function turns_sent(via, params)
    count = count + 1
    ask(via, params, { id = "turns" .. count, keep = directory .. "/body", body = routes.answer(via, { routes.base64(1) }) })
    local response, err = client:generate(params)
    assert(response, tostring(err))
    local body, turns = cjson.decode(command.read(directory .. "/body.1")), {}
    for i, turn in ipairs(body.messages or body.contents) do
        local content = turn.content or turn.parts
        turns[i] = { role = turn.role }
        for j, part in ipairs(type(content) == "table" and content or { { text = content } }) do
            local mime, data = (part.image_url and part.image_url.url or ""):match "^data:([^;]+);base64,(.*)$"
            if part.image_url then
                assert.equal("image_url", part.type)
            elseif part.inline_data then
                mime, data = part.inline_data.mime_type, part.inline_data.data
            end
            turns[i][j] = mime and { mime = mime, data = data } or { text = part.text }
        end
    end
    return turns
end

fixtures.client(function(...) mirror, client = ... end)
fixtures.directory(function(path) directory = path end)

local function on_both(name, check)
    for _, via in ipairs(VIAS) do
        it(name .. ", via " .. via, function()
            check(via)
        end)
    end
end

describe("references", function()
    on_both("go before the prompt, of the type that their bytes have", function(via)
        command.write(directory .. "/a.txt", JPEG)
        local answer = assert(client:generate(ask(via, {}, { body = routes.answer(via, { routes.base64(9) }) })))
        local turns = turns_sent(via, { images = { PNG, { path = directory .. "/a.txt" }, WEBP, GIF, answer.data[1] } })
        assert.same({ {
            role = "user",
            { mime = "image/png", data = pictures.encode(PNG) }, { mime = "image/jpeg", data = pictures.encode(JPEG) },
            { mime = "image/webp", data = pictures.encode(WEBP) }, { mime = "image/gif", data = pictures.encode(GIF) },
            { mime = "image/png", data = routes.base64(9) }, { text = "x" },
        } }, turns)
    end)

    on_both("of any length are padded as base64 is", function(via)
        for extra = 0, 4 do
            local bytes = PNG .. ("\251"):rep(extra)
            assert.same({ mime = "image/png", data = pictures.encode(bytes) }, turns_sent(via, { images = { bytes } })[1][1])
        end
    end)

    on_both("of the same picture twice are two", function(via)
        local turns = turns_sent(via, { images = { PNG, PNG } })
        assert.equal(3, #turns[1])
        assert.same(turns[1][1], turns[1][2])
    end)

    on_both("leave the caller's tables as they were", function(via)
        local image, list = { bytes = PNG, mime = "x/y" }, {}
        list[1] = image
        turns_sent(via, { images = list })
        assert.same({ { bytes = PNG, mime = "x/y" } }, list)
        assert.equal(image, list[1])
    end)

    on_both("of megabytes arrive byte for byte, the second time too", function(via)
        local images, encoded = {}, {}
        for i = 1, 5 do
            local bytes = large_picture(2 * MIB + i, i)
            encoded[i] = pictures.encode(bytes)
            if i % 2 == 0 then
                images[i] = { path = ("%s/%d"):format(directory, i) }
                command.write(images[i].path, bytes)
            else
                images[i] = bytes
            end
        end
        local response = assert(client:generate(ask(via, { images = images }, {
            id = "megabytes-" .. via, keep = directory .. "/body",
            answers = { { status = 503, headers = { "retry-after-ms: 1" } }, { body = routes.answer(via, { routes.base64(1) }) } },
        })))
        assert.equal(2, response.attempts)
        local body = command.read(directory .. "/body.2")
        assert.is_true(body == command.read(directory .. "/body.1"))
        local at = 1
        for i = 1, 5 do
            local from, to = body:find(encoded[i], at, true)
            assert.is_truthy(from, i)
            at = to + 1
        end
        cjson.decode(body) -- and all of it is JSON
    end)

    it("of more than 40 MB arrive", function()
        local bytes = large_picture(16 * MIB, 7)
        local response, err = client:generate(ask("gemini", { images = { bytes, bytes }, timeout = 120 }, {
            id = "forty", keep = directory .. "/body", body = routes.answer("gemini", { routes.base64(1) }),
        }))
        assert(response, tostring(err))
        local body = command.read(directory .. "/body.1")
        assert.is_true(#body > 40e6)
        assert.equal(tostring(#body), mirrors.seen(mirror, "forty")[1].headers["content-length"])
        local encoded = pictures.encode(bytes)
        local _, to = body:find(encoded, 1, true)
        assert.is_truthy(to)
        assert.is_truthy(body:find(encoded, to + 1, true))
    end)

    on_both("go again, whole, on a new connection when the kept one had ended", function(via)
        local own = requests.client(mirror)
        local good = routes.answer(via, { routes.base64(1) })
        assert(own:generate(ask(via, {}, { body = good, close = true }))) -- the next one finds it closed
        local bytes = large_picture(MIB, 3)
        local response, err = own:generate(ask(via, { images = { bytes } }, { id = "kept-" .. via, keep = directory .. "/body", body = good }))
        assert(response, tostring(err))
        assert.is_truthy(command.read(directory .. "/body.1"):find(pictures.encode(bytes), 1, true))
        own:close()
    end)

    on_both("stay while the request does, whoever else lets go of them", function(via)
        local request
        do
            local images = { large_picture(MIB, 1), large_picture(MIB, 2) }
            request = assert(client:submit(ask(via, { images = images }, {
                id = "gc-" .. via, keep = directory .. "/body",
                answers = { { status = 503, headers = { "retry-after-ms: 20" } }, { body = routes.answer(via, { routes.base64(1) }) } },
            })))
        end
        repeat
            collectgarbage()
        until client:poll(0.01) == 0
        assert(request:wait())
        assert.is_truthy(command.read(directory .. "/body.2"):find(pictures.encode(large_picture(MIB, 2)), 1, true))
    end)

    on_both("that a file had are those of the moment of the call", function(via)
        local path = directory .. "/a.png"
        command.write(path, PNG)
        local request = assert(client:submit(ask(via, { images = { { path = path } } }, {
            id = "moment-" .. via, keep = directory .. "/body", body = routes.answer(via, { routes.base64(1) }),
        })))
        command.write(path, GIF)
        os.remove(path)
        assert(request:wait())
        assert.is_truthy(command.read(directory .. "/body.1"):find(pictures.encode(PNG), 1, true))
    end)

    it("reach the emulator, and shape what it draws", function()
        local emulator = emulators.start()
        local own = assert(thucchien.new { base_url = emulator.url, api_key = KEY })
        for _, via in ipairs(VIAS) do
            local first = assert(own:generate { via = via, model = "gemini-2.5-flash-image", prompt = "một con đò" })
            local second = assert(own:generate { via = via, model = "gemini-2.5-flash-image", prompt = "at night", images = { first.data[1] } })
            local third = assert(own:generate { via = via, model = "gemini-2.5-flash-image", prompt = "at night", history = { first, second } })
            assert.is_true(#second.data[1].bytes > 1000 and #third.data[1].bytes > 1000)
        end
        own:close()
        emulator:stop()
    end)
end)

describe("references that are none", function()
    local fifo
    local cases = {
        { "a missing file", { path = "$/none.png" }, "cannot read '$/none.png': No such file" },
        { "a directory", { path = "$" }, "Is a directory" },
        { "an empty file", { path = "$/empty" }, "the file is empty" },
        { "a text file", { path = "$/text" }, "the file '$/text' is no picture (PNG, JPEG, WebP or GIF expected)" },
        { "a pipe", { path = "$/fifo" }, "cannot read '$/fifo': Invalid argument" },
        { "a device", { path = "/dev/zero" }, "Invalid argument" },
        { "a name with a zero byte", { path = "$/a.png\0b" }, "zero byte" },
        { "an empty name", { path = "" }, "No such file" },
        { "a path as a string", "$/a.png", "(for a file: { path = '$/a.png' })" },
        { "other bytes", ("x"):rep(5000), "got other bytes" },
        { "no bytes", "", "got ''" },
        { "the first bytes of a picture", "\137PNG\r\n\26", "got other bytes" },
        { "half a picture", PNG:sub(1, 40), "the picture is cut short or damaged: it does not end as image/png does" },
        { "half a picture in a file", { path = "$/half" }, "the picture '$/half' is cut short" },
        { "half a picture that came in an error", { bytes = GIF:sub(1, 40), complete = false }, "it does not end as image/gif does" },
        { "a picture that is damaged", PNG:sub(1, 33) .. "\255\255" .. PNG:sub(36), "damaged" },
        { "a number", 5, "expected, got 5" },
        { "true", true, "got a boolean" },
        { "an empty table", {}, "a table without bytes or path" },
        { "bytes of another type", { bytes = 5 }, "expected" },
        { "a path of another type", { path = {} }, "expected" },
        { "a streamed picture", { size = 5, mime = "image/png" }, "a table without bytes or path" },
        { "a false", false, "got a boolean" },
    }
    before_each(function()
        command.write(directory .. "/empty", "")
        command.write(directory .. "/text", "a text")
        command.write(directory .. "/half", PNG:sub(1, 40))
        command.write(directory .. "/a.png", PNG)
        fifo = command.execute("mkfifo " .. command.quote(directory .. "/fifo")) == 0
    end)

    for number, case in ipairs(cases) do
        on_both("are refused: " .. case[1], function(via)
            if case[1] == "a pipe" and not fifo then
                return pending "no mkfifo"
            end
            local function here(value)
                if type(value) == "table" then
                    return { path = value.path and here(value.path), bytes = value.bytes, size = value.size }
                end
                return type(value) == "string" and value:gsub("%$", directory) or value
            end
            local id = ("no-reference-%d-%s"):format(number, via)
            local response, err = client:generate(ask(via, { images = { PNG, (here(case[2])) } }, { id = id }))
            assert.is_nil(response)
            assert.same({ "invalid_request", "images[2]" }, { err.kind, err.param })
            assert.matches("field 'images[2]': ", err.message, 1, true)
            assert.matches(here(case[3]), err.message, 1, true)
            assert.is_true(#err.message < 500)
            assert.equal(0, mirrors.count(mirror, id))
        end)
    end

    it("are refused wherever they are cut, and are not with more behind their end", function()
        local path = directory .. "/cut"
        for _, type in ipairs(pictures.types) do
            local bytes = pictures.bytes(type)
            for size = 0, #bytes - 1 do
                local cut = bytes:sub(1, size)
                command.write(path, cut)
                for field, params in pairs {
                    ["images[2]"] = { images = { PNG, cut } }, ["images[1]"] = { images = { { path = path } } },
                    ["history[2].data[3]"] = { history = { { prompt = "x", data = { PNG } }, { prompt = "x", data = { PNG, PNG, { bytes = cut } } } } },
                } do
                    params.via, params.model, params.prompt = "chat", "any/model", "x"
                    local request, err = client:submit(params)
                    assert.is_nil(request)
                    assert.same({ "invalid_request", field }, { err.kind, err.param })
                end
            end
            for _, behind in ipairs { "", "\0", "and more" } do
                assert(client:submit { via = "chat", model = "any/model", prompt = "x", images = { bytes .. behind } }):cancel()
            end
        end
    end)

    it("are refused where nobody may read them", function()
        command.execute("chmod 000 " .. command.quote(directory .. "/a.png"))
        if io.open(directory .. "/a.png") then
            return pending "a user who may read all"
        end
        local _, err = client:generate(ask("chat", { images = { { path = directory .. "/a.png" } } }, {}))
        assert.matches("Permission denied", err.message)
    end)

    it("do not keep a file open", function()
        if not lfs.attributes "/proc/self/fd" then
            return pending "no /proc"
        end
        local function open_files()
            return #command.names "/proc/self/fd"
        end
        client:generate(ask("chat", { images = { { path = directory .. "/text" } } }, {}))
        local before = open_files()
        for _ = 1, 50 do
            client:generate(ask("chat", { images = { { path = directory .. "/a.png" }, { path = directory .. "/text" } } }, {}))
        end
        assert.is_true(open_files() <= before) -- a connection may have ended
    end)
end)

describe("history", function()
    local function response_of(prompt, groups, text)
        return { prompt = prompt, text = text, data = { { bytes = routes.bytes(groups), mime = "x" } } }
    end

    on_both("is told in order, each picture with what is asked next", function(via)
        local turns = turns_sent(via, {
            prompt = "third", images = { GIF }, history = { response_of("first", 1, "Here it is."), response_of("second", 2) },
        })
        local model = via == "chat" and "assistant" or "model"
        assert.same({
            { role = "user", { text = "first" } },
            { role = model, { text = "Here it is." } },
            { role = "user", { mime = "image/png", data = routes.base64(1) }, { text = "second" } },
            { role = model, { text = "Here is the picture." } },
            { role = "user", { mime = "image/png", data = routes.base64(2) }, { mime = "image/gif", data = pictures.encode(GIF) }, { text = "third" } },
        }, turns)
    end)

    on_both("is of responses as they are", function(via)
        local first = assert(client:generate(ask(via, { prompt = "a boat" }, { body = routes.answer(via, { routes.base64(4), routes.base64(5) }) })))
        local turns = turns_sent(via, { prompt = "darker", history = { first } })
        assert.same({ { text = "a boat" } }, { turns[1][1] })
        assert.same({ { mime = "image/png", data = routes.base64(4) }, { mime = "image/png", data = routes.base64(5) }, { text = "darker" }, role = "user" }, turns[3])
    end)

    on_both("may be of responses without pictures", function(via)
        local turns = turns_sent(via, { prompt = "b", history = { { prompt = "a", data = {}, text = "Which boat?" } } })
        assert.same({ role = "user", { text = "b" } }, turns[3])
    end)

    on_both("may be of pictures in files", function(via)
        command.write(directory .. "/a.png", PNG)
        local turns = turns_sent(via, { prompt = "b", history = { { prompt = "a", data = { { path = directory .. "/a.png" } } } } })
        assert.same({ mime = "image/png", data = pictures.encode(PNG) }, turns[3][1])
    end)

    local cases = {
        { "a string", "x", "history", "history[1]" },
        { "a table of another kind", {}, "history", "a table without prompt and data" },
        { "no data", { prompt = "x" }, "history", "history[1]" },
        { "no prompt", { data = {} }, "history", "history[1]" },
        { "a prompt of another type", { prompt = 5, data = {} }, "history", "history[1]" },
        { "an error", { kind = "no_image", message = "x" }, "history", "history[1]" },
        { "a text that is not UTF-8", { prompt = "x", text = "\255", data = {} }, "history", "UTF-8" },
        { "a prompt that is not UTF-8", { prompt = "\255", data = {} }, "history", "UTF-8" },
        { "a picture without its bytes", { prompt = "x", data = { { size = 5 } } }, "history[1].data[1]", "a table without bytes or path" },
        { "other bytes", { prompt = "x", data = { { bytes = ("x"):rep(1000) } } }, "history[1].data[1]", "picture" },
        { "half a picture", { prompt = "x", data = { { bytes = PNG }, { bytes = GIF:sub(1, 50) } } }, "history[1].data[2]", "cut short" },
    }
    for number, case in ipairs(cases) do
        on_both("is refused: " .. case[1], function(via)
            local id = ("no-history-%d-%s"):format(number, via)
            local response, err = client:generate(ask(via, { history = { case[2] } }, { id = id }))
            assert.is_nil(response)
            assert.same({ "invalid_request", case[3] }, { err.kind, err.param })
            assert.matches(case[4], err.message, 1, true)
            assert.equal(0, mirrors.count(mirror, id))
        end)
    end
end)

describe("a list that is none is refused, as what stands beside it would not be sent:", function()
    local saved = { bytes = PNG, size = #PNG }
    local drawn = { prompt = "x", data = { saved } }
    local cases = {
        { "a path", { images = { path = "a.png" } }, "images" },
        { "an image", { images = saved }, "images" },
        { "a name beside pictures", { images = { PNG, cover = PNG } }, "images" },
        { "a hole", { images = { [1] = PNG, [3] = PNG } }, "images" },
        { "a list that begins with 0", { images = { [0] = PNG, PNG } }, "images" },
        { "a response", { history = drawn }, "history" },
        { "a name beside responses", { history = { drawn, last = drawn } }, "history" },
        { "an image of a response", { history = { { prompt = "x", data = saved } } }, "history[1].data" },
    }
    for number, case in ipairs(cases) do
        on_both(case[1], function(via)
            local id = ("no-list-%d-%s"):format(number, via)
            local response, err = client:generate(ask(via, case[2], { id = id }))
            assert.is_nil(response)
            assert.same({ "invalid_request", case[3] }, { err.kind, err.param })
            assert.matches("field '" .. case[3] .. "': a list expected", err.message, 1, true)
            assert.equal(0, mirrors.count(mirror, id))
        end)
    end

    on_both("nil among pictures or responses", function(via)
        for i, params in ipairs { { images = { PNG, nil, PNG, x = PNG } }, { history = { drawn, nil, drawn, x = drawn } } } do
            local id = ("no-list-nil-%d-%s"):format(i, via)
            local response, err = client:generate(ask(via, params, { id = id }))
            assert.is_nil(response)
            assert.equal("invalid_request", err.kind)
            assert.equal(0, mirrors.count(mirror, id))
        end
    end)

    on_both("but an empty one is none", function(via)
        assert.same({ { role = "user", { text = "a" } } }, turns_sent(via, { prompt = "a", images = {}, history = {} }))
    end)
end)
