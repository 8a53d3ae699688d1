-- Pictures while they arrive: on_image, on_progress, sink, save.

local lfs = require "lfs"
local system = require "system"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"
local routes = require "spec.support.routes"

local mirror, client, directory

local function item(groups)
    return '{"b64_json":"' .. routes.base64(groups) .. '"}'
end

local function generate(params, answer)
    params.prompt = "x"
    params.extra_body = { mirror = answer }
    return client:generate(params)
end

fixtures.client(function(...) mirror, client = ... end)
fixtures.directory(function(path) directory = path end)

describe("on_image", function()
    it("has each picture as soon as it is whole", function()
        local images, gate = {}, directory .. "/first-has-come"
        local response = assert(generate({
            on_image = function(image, index)
                images[index] = image
                command.write(gate, "")
            end,
        }, {
            pieces = {
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", '{"data":[' .. item(10) .. ",",
                item(20) .. "]}",
            },
            gate = gate, -- the second is sent when the first has been handed out
        }))
        assert.equal(2, #images)
        assert.is_true(images[1].bytes == routes.bytes(10) and images[2].bytes == routes.bytes(20))
        assert.equal(images[1], response.data[1])
        assert.same({ 2, 3 }, { images[2].width, images[2].height })
    end)

    it("has them in order when they come all at once", function()
        local seen = {}
        local items = {}
        for i = 1, 64 do
            items[i] = item(i)
        end
        local response = assert(generate({
            on_image = function(image, index)
                seen[#seen + 1] = index
                assert.is_true(image.bytes == routes.bytes(index))
            end,
        }, { body = '{"data":[' .. table.concat(items, ",") .. "]}" }))
        assert.equal(64, #seen)
        for i, index in ipairs(seen) do
            assert.equal(i, index)
        end
        assert.equal(64, #response.data)
    end)

    it("ends the request when it raises, and is not called again", function()
        local calls = 0
        local ok, err = pcall(generate, {
            on_image = function()
                calls = calls + 1
                error("not that one", 0)
            end,
        }, { body = '{"data":[' .. item(1) .. "," .. item(2) .. "]}" })
        assert.is_false(ok)
        assert.equal("not that one", err)
        assert.equal(1, calls)
        assert(generate({}, { body = '{"data":[' .. item(1) .. "]}" }))
    end)

    it("ends the request when it raises nil, too", function()
        local ok, err = pcall(generate, {
            on_image = function()
                error()
            end,
        }, { body = '{"data":[' .. item(1) .. "]}" })
        assert.is_false(ok)
        assert.matches("nil", err)
    end)

    it("may use the client itself", function()
        local inner
        local response = assert(generate({
            on_image = function()
                inner = inner or assert(generate({}, { body = '{"data":[' .. item(7) .. "]}" }))
            end,
        }, { body = '{"data":[' .. item(1) .. "," .. item(2) .. "]}" }))
        assert.equal(2, #response.data)
        assert.is_true(inner.data[1].bytes == routes.bytes(7))
    end)

    it("is not overtaken by the end of its request", function()
        local order = {}
        local response
        assert(client:submit({
            prompt = "x",
            on_image = function(_, index)
                order[#order + 1] = index
                for _ = 1, 20 do -- the rest of the answer comes, and the request ends, meanwhile
                    client:poll(0.01)
                end
                order[#order + 1] = -index
            end,
            extra_body = { mirror = { body = '{"data":[' .. item(1) .. "," .. item(2) .. "]}" } },
        }, function(answer)
            order[#order + 1] = "done"
            response = answer
        end))
        while client:poll(0.1) > 0 do
            assert(#order < 10)
        end
        client:poll()
        assert.same({ 1, -1, 2, -2, "done" }, order)
        assert.equal(2, #response.data)
    end)

    it("may hang anything on the picture, itself too", function()
        local response = assert(generate({
            on_image = function(image)
                image.self = image
                image.number = 2.5
                image.sprite = { x = 1.0, image = image }
            end,
        }, { body = '{"data":[' .. item(1) .. "]}" }))
        assert.equal(response.data[1], response.data[1].self)
        assert.equal(response.data[1], response.data[1].sprite.image)
    end)

    -- The next picture waits in the meantime: its server has been quick enough.
    it("may take longer than the timeout", function()
        command.write(directory .. "/answer", '{"data":[' .. item(1) .. "," .. item(1000000) .. "]}")
        local response = assert(client:generate {
            prompt = "x", timeout = 1,
            on_image = function(_, index)
                if index == 1 then
                    system.sleep(1.2)
                end
            end,
            extra_body = { mirror = { file = directory .. "/answer" } },
        })
        assert.is_true(response.data[2].bytes == routes.bytes(1000000))
    end)

    it("cannot wait for its own request", function()
        local request
        request = assert(client:submit {
            prompt = "x",
            on_image = function()
                request:wait()
            end,
            extra_body = { mirror = { body = '{"data":[' .. item(1) .. "]}" } },
        })
        assert.error_matches(function()
            request:wait()
        end, "cannot be waited for by its own functions")
    end)

    it("may close the client", function()
        local own = requests.client(mirror)
        local response, err = own:generate {
            prompt = "x",
            on_image = function()
                own:close()
            end,
            extra_body = { mirror = { pieces = { "HTTP/1.1 200 OK\r\n\r\n", '{"data":[' .. item(1) .. ",", item(2) }, pause = 0.2 } },
        }
        assert.is_nil(response)
        assert.equal("cancelled", err.kind)
        assert.is_true(err.data[1].bytes == routes.bytes(1)) -- it is paid for
    end)
end)

describe("a failure behind a whole picture", function()
    it("has the picture", function()
        local response, err = generate({}, { body = '{"data":[' .. item(5) .. ',{"b64_json":"AAA' })
        assert.is_nil(response)
        assert.equal("bad_response", err.kind)
        assert.equal(1, #err.data)
        assert.is_true(err.data[1].bytes == routes.bytes(5))
    end)

    it("has none where there was none", function()
        local _, err = generate({}, { body = '{"data":[{"b64_json":"AAA' })
        assert.is_nil(err.data)
    end)
end)

describe("on_progress", function()
    it("counts bytes, and knows the total where the server does", function()
        local calls = {}
        local body = '{"data":[' .. item(200000) .. "]}"
        assert(generate({
            on_progress = function(received, total)
                calls[#calls + 1] = { received, total }
            end,
        }, { body = body }))
        local last = calls[#calls]
        assert.same({ #body, #body }, last)
        for i = 2, #calls do
            assert.is_true(calls[i][1] > calls[i - 1][1])
        end
        calls = {}
        assert(generate({
            on_progress = function(received, total)
                calls[#calls + 1] = { received, total }
            end,
        }, { chunks = { body } }))
        assert.equal(#body, calls[#calls][1])
        assert.is_nil(calls[#calls][2])
    end)

    it("is called twenty times a second at most", function()
        local moments, pieces = {}, { "HTTP/1.1 200 OK\r\n\r\n", '{"data":[' .. item(1) .. "]" }
        for _ = 1, 60 do
            pieces[#pieces + 1] = " "
        end
        pieces[#pieces + 1] = "}"
        local start = system.monotime()
        assert(generate({
            on_progress = function()
                moments[#moments + 1] = system.monotime() - start
            end,
        }, { pieces = pieces, pause = 0.01 }))
        -- One more for the beginning, one with the picture, one at the end.
        assert.is_true(#moments <= moments[#moments] / 0.05 + 3)
        assert.is_true(#moments >= 1)
    end)

    -- Pieces for a sink or a file, and pictures, are handed out far more often.
    it("is called no oftener while much arrives", function()
        local large = { before = '{"data":[{"b64_json":"' .. routes.base64(0), body = "AAAA", times = 4000000 }
        local small = { body = '{"data":[' .. item(1) .. (", " .. item(1)):rep(59) .. "]}" }
        for _, case in ipairs {
            { large, { sink = function() end } }, { large, { save = directory .. "/dusk" } }, { small, {} },
        } do
            local answer, params = case[1], case[2]
            local calls, start = 0, system.monotime()
            function params.on_progress()
                calls = calls + 1
            end
            params.retry = "none"
            generate(params, answer)
            -- One more at the beginning, and one at the end.
            assert.is_true(calls <= (system.monotime() - start) / 0.05 + 2, calls .. " calls")
            assert.is_true(calls >= 1)
        end
    end)

    it("knows no total of a compressed answer", function()
        local calls = {}
        assert(generate({
            on_progress = function(received, total)
                calls[#calls + 1] = { received, total }
            end,
        }, { body = '{"data":[' .. item(10000) .. "]}", gzip = true }))
        assert.is_true(calls[#calls][1] > 40000)
        assert.is_nil(calls[#calls][2])
    end)

    it("ends the request when it raises", function()
        assert.error_matches(function()
            generate({
                on_progress = function()
                    error "enough"
                end,
            }, { body = '{"data":[' .. item(1) .. "]}" })
        end, "enough")
    end)
end)

describe("a sink", function()
    it("does not keep the tables of its pictures", function()
        local images = setmetatable({}, { __mode = "k" })
        local function draw()
            local response = assert(generate({ sink = function() end }, { body = '{"data":[' .. item(10) .. "]}" }))
            images[response.data[1]] = true
        end
        draw()
        for _ = 1, 3 do -- a request that has ended goes in one collection, its uservalue in the next
            collectgarbage()
        end
        assert.is_nil(next(images))
    end)

    it("has all bytes in order, and the end of each picture", function()
        local parts, ends, current = {}, {}, 1
        local response = assert(generate({
            sink = function(index, chunk)
                assert.equal(current, index)
                if chunk then
                    parts[index] = (parts[index] or "") .. chunk
                else
                    ends[index] = true
                    current = current + 1
                end
            end,
        }, { body = '{"data":[' .. item(400000) .. "," .. item(3) .. "," .. item(100000) .. "]}" }))
        assert.is_true(parts[1] == routes.bytes(400000))
        assert.is_true(parts[2] == routes.bytes(3))
        assert.is_true(parts[3] == routes.bytes(100000))
        assert.same({ true, true, true }, ends)
        local image = response.data[1]
        assert.is_nil(image.bytes)
        assert.same({ 57 + 1200000, "image/png", 2, 3 }, { image.size, image.mime, image.width, image.height })
        assert.error_matches(function()
            image:save "x"
        end, "an image with its bytes expected")
    end)

    it("gets no chunk larger than half a megabyte", function()
        local largest = 0
        assert(generate({
            sink = function(_, chunk)
                largest = math.max(largest, chunk and #chunk or 0)
            end,
        }, { body = '{"data":[' .. item(2000000) .. "]}" }))
        assert.is_true(largest <= 512 * 1024)
    end)

    it("gets its chunks in order though it uses the client itself", function()
        local parts, inside = {}, 0
        assert(generate({
            sink = function(_, chunk)
                inside = inside + 1
                assert.equal(1, inside)
                if chunk and #parts < 3 then
                    assert(generate({}, { body = '{"data":[' .. item(7) .. "]}" }))
                end
                parts[#parts + 1] = chunk
                inside = inside - 1
            end,
        }, { body = '{"data":[{"b64_json":"' .. ("QUJDREVG"):rep(200000) .. '"}]}' }))
        assert.is_true(table.concat(parts) == ("ABCDEF"):rep(200000))
    end)

    it("that refuses the end keeps on_image from being called", function()
        local called = false
        local _, err = generate({
            sink = function(_, chunk)
                if not chunk then
                    return nil, "no"
                end
            end,
            on_image = function()
                called = true
            end,
        }, { body = '{"data":[' .. item(1) .. "]}" })
        assert.equal("io", err.kind)
        assert.is_false(called)
    end)

    it("stops the request with nil and a message", function()
        local calls = 0
        local response, err = generate({
            sink = function()
                calls = calls + 1
                return nil, "the shelf is full"
            end,
        }, { body = '{"data":[' .. item(1000000) .. "," .. item(1) .. "]}" })
        assert.is_nil(response)
        assert.equal("io", err.kind)
        assert.equal("the shelf is full", err.message)
        assert.is_true(err.maybe_billed)
        assert.equal(1, calls)
    end)

    it("needs no words to stop the request", function()
        for _, words in ipairs { "", " \n", false } do
            local _, err = generate({
                sink = function()
                    return nil, words
                end,
            }, { body = '{"data":[' .. item(1) .. "]}" })
            assert.equal("the sink refused", err.message)
        end
    end)

    it("may be what io's functions return", function()
        local path = directory .. "/a.png"
        local file = assert(io.open(path, "wb"))
        assert(generate({
            sink = function(_, chunk)
                return file:write(chunk or "")
            end,
        }, { body = '{"data":[' .. item(1000) .. "]}" }))
        file:close()
        assert.is_true(command.read(path) == routes.bytes(1000))
    end)

    it("ends the request when it raises", function()
        assert.error_matches(function()
            generate({
                sink = function()
                    error "no"
                end,
            }, { body = '{"data":[' .. item(1000) .. "]}" })
        end, "no")
    end)

    it("excludes save", function()
        local _, err = generate({ sink = print, save = directory .. "/x" }, {})
        assert.equal("invalid_request", err.kind)
    end)
end)

describe("a request that one of its own functions ends", function()
    -- A program may have closed the file that its sink writes to.
    it("calls none of them any more, but tells its end", function()
        local body = '{"data":[' .. item(1) .. "," .. item(200000) .. "," .. item(1) .. "]}"
        for _, name in ipairs { "sink", "on_image" } do
            for _, finish in ipairs { "cancel", "close" } do
                local own = requests.client(mirror)
                local calls, kind, request = 0, nil, nil
                local params = { prompt = "x", extra_body = { mirror = { body = body } } }
                params[name] = function()
                    calls = calls + 1
                    local target = finish == "cancel" and request or own
                    target[finish](target)
                end
                request = assert(own:submit(params, function(_, err)
                    kind = err.kind
                end))
                local deadline = system.monotime() + 60
                repeat until own:poll(0.1) == 0 or system.monotime() > deadline
                assert.same({ 1, "cancelled" }, { calls, kind })
                own:close()
            end
        end
    end)
end)

describe("requests that failed", function()
    local function resident()
        local status = io.open "/proc/self/status"
        local kibibytes = status and tonumber(status:read("*a"):match "VmRSS:%s*(%d+)")
        return not command.is_sanitized() and kibibytes
    end

    it("hold what had come of a picture in their error alone", function()
        if not resident() then
            pending "needs Linux, and no sanitizer"
            return
        end
        local broken = { before = '{"data":[{"b64_json":"' .. routes.base64(0), body = "AAAA", times = 2000000 }
        local held, start = {}, nil
        for i = 1, 20 do
            held[i] = assert(client:submit { prompt = "x", retry = "none", extra_body = { mirror = broken } })
            local _, err = held[i]:wait()
            assert.equal("bad_response", err.kind)
            assert.equal(6000057, #err.data[1].bytes)
            err.data = nil
            collectgarbage()
            start = start or resident()
        end
        assert.is_true(resident() - start < 40000, (resident() - start) .. " KiB for 20 failures of 6 MB")
    end)
end)

describe("save", function()
    it("streams pictures to files of their own type", function()
        local response = assert(generate({ save = directory .. "/dusk" },
            { body = '{"data":[' .. item(400000) .. "," .. item(3) .. "]}" }))
        assert.same({ "dusk-2.png", "dusk.png" }, command.names(directory))
        assert.is_true(command.read(directory .. "/dusk.png") == routes.bytes(400000))
        assert.is_true(command.read(directory .. "/dusk-2.png") == routes.bytes(3))
        assert.equal(directory .. "/dusk.png", response.data[1].path)
        assert.equal(directory .. "/dusk-2.png", response.data[2].path)
        assert.is_nil(response.data[1].bytes)
        assert.same({ 2, 3 }, { response.data[1].width, response.data[1].height })
    end)

    it("goes where the file's whole name points to", function()
        local answer = { body = '{"data":[' .. item(400000) .. "]}" }
        assert(lfs.mkdir(directory .. "/season") and lfs.mkdir(directory .. "/elsewhere"))
        local far = directory .. "/elsewhere/far.png"
        assert(io.open(far, "w")):close()
        assert(lfs.link("elsewhere/far.png", directory .. "/season.png", true))
        local response = assert(generate({ save = directory .. "/season" }, answer))
        assert.equal(directory .. "/season.png", response.data[1].path)
        assert.equal("link", lfs.symlinkattributes(directory .. "/season.png", "mode"))
        assert.is_true(command.read(far) == routes.bytes(400000))
        assert.same({ "far.png" }, command.names(directory .. "/elsewhere"))
    end)

    it("writes to a device as it is", function()
        local response = assert(generate({ save = "/dev/null" }, { body = '{"data":[' .. item(9) .. "]}" }))
        assert.equal("/dev/null", response.data[1].path)
        assert.is_nil(lfs.attributes "/dev/null.png")
    end)

    it("keeps an extension, and numbers before it", function()
        assert(generate({ save = directory .. "/a.b.img" }, { body = '{"data":[' .. item(1) .. "," .. item(2) .. "]}" }))
        assert.same({ "a.b-2.img", "a.b.img" }, command.names(directory))
    end)

    it("tells on_image where it is", function()
        local paths = {}
        assert(generate({
            save = directory .. "/dusk",
            on_image = function(image, index)
                paths[index] = image.path
            end,
        }, { body = '{"data":[' .. item(1) .. "]}" }))
        assert.same({ directory .. "/dusk.png" }, paths)
    end)

    it("gives no half picture the name of a whole one", function()
        local _, err = generate({ save = directory .. "/dusk" },
            { body = '{"data":[' .. item(400000) .. ',{"b64_json":"' .. routes.base64(300000) })
        assert.equal("bad_response", err.kind)
        assert.same({ "dusk-2.png.part", "dusk.png" }, command.names(directory))
        assert.equal(directory .. "/dusk.png", err.data[1].path)
        assert.equal(directory .. "/dusk-2.png.part", err.data[2].path)
        assert.is_false(err.data[2].complete)
        assert.equal(err.data[2].size, #command.read(err.data[2].path))
    end)

    it("leaves nothing when a function of the caller's raises", function()
        local begun, gate = nil, mirrors.gate()
        assert.is_false((pcall(generate, {
            save = directory .. "/dusk",
            on_progress = function(received)
                if received > 1000 then -- the first time, usually, when some of the picture is written
                    begun = #command.names(directory)
                    gate:open()
                    error "enough"
                end
            end,
        }, { pieces = { 'HTTP/1.1 200 OK\r\n\r\n{"data":[' .. item(300000), "]}" }, gate = gate.path })))
        gate:remove()
        assert.equal(1, begun)
        assert.same({}, command.names(directory))
    end)

    it("finds another name where a directory is in the way of a picture that is paid for", function()
        assert(lfs.mkdir(directory .. "/dusk-2.png"))
        local response = assert(generate({ save = directory .. "/dusk" },
            { body = '{"data":[' .. item(1) .. "," .. item(2) .. "]}" }))
        assert.is_true(command.read(response.data[2].path) == routes.bytes(2))
    end)

    it("believes no path that the server sends", function()
        local response = assert(generate({}, { body = '{"data":[{"b64_json":"QUJD","path":"/etc/passwd"}]}' }))
        assert.is_nil(response.data[1].path)
    end)

    it("says what is wrong with the place, before anything is sent", function()
        local _, err = generate({ save = directory .. "/none/dusk" },
            { id = "no-place", body = '{"data":[' .. item(1) .. "]}" })
        assert.equal("io", err.kind)
        assert.equal(0, mirrors.count(mirror, "no-place"))
        assert.matches("none/dusk", err.message)
        for _, path in ipairs { "", directory .. "/", "a\0b" } do
            local _, refusal = generate({ save = path }, {})
            assert.equal("invalid_request", refusal.kind)
            assert.equal("save", refusal.param)
        end
    end)

    it("says so when the disk is full", function()
        if lfs.attributes("/dev/full", "mode") ~= "char device" then
            return pending "no /dev/full"
        end
        assert(os.execute(("ln -s /dev/full %s/full"):format(directory)))
        -- The link's target is not replaced by a file: /dev takes no new ones from an ordinary user, and for
        -- the superuser this would put one there, so the device is only written to, in a sink.
        local full = assert(io.open(directory .. "/full", "wb"))
        full:setvbuf "no"
        local _, err = generate({
            sink = function(_, chunk)
                return full:write(chunk or "")
            end,
        }, { body = '{"data":[' .. item(1000) .. "]}" })
        full:close()
        assert.equal("io", err.kind)
        assert.matches("No space left", err.message)
    end)
end)
