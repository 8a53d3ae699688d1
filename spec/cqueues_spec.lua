--- thucchien.cqueues inside a real controller, beside lua-http where that is to be had.

local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local params, slow, PICTURE = requests.params, requests.slow, requests.PICTURE

local has_cqueues, cqueues = pcall(require, "cqueues")
local has_http, http_request = pcall(require, "http.request")

describe("thucchien.cqueues", function()
    if not has_cqueues then
        pending "needs cqueues (Debian: lua-cqueues)"
        return
    end

    local adapter = require "thucchien.cqueues"
    local mirror, client, queue, detach

    -- Runs the controller until nothing is left to do, but no longer than a minute.
    local function run()
        local ok, err = queue:loop(60)
        assert(ok, err)
        assert.is_true(queue:empty(), "something keeps the controller alive")
    end

    -- Runs the controller until the mirror has the request of an id.
    local function run_until_seen(id)
        while mirrors.count(mirror, id) == 0 do
            assert(queue:loop(0.02))
        end
    end

    fixtures.mirror(function(started) mirror = started end)

    before_each(function()
        client = requests.client(mirror)
        queue = cqueues.new()
        detach = adapter.attach(client, queue)
    end)

    after_each(function()
        client:close()
        run()
    end)

    it("serves several requests at once, and the controller goes on with the rest", function()
        local done, gate = 0, mirrors.gate()
        queue:wrap(function()
            while mirrors.count(mirror, "at-once") < 5 do -- of which none is answered
                cqueues.sleep(0.01)
            end
            gate:open()
        end)
        for _ = 1, 5 do
            queue:wrap(function()
                local response = assert(client:submit(params { id = "at-once", gate = gate.path, body = PICTURE }):await())
                done = done + (response.data[1].bytes == "ABC" and 1 or 0)
            end)
        end
        run()
        gate:remove()
        assert.equal(5, done)
    end)

    it("takes the running controller if it is given none", function()
        local bytes
        queue:wrap(function()
            local own = requests.client(mirror)
            adapter.attach(own)
            bytes = assert(own:submit(params()):await()).data[1].bytes
            own:close()
        end)
        run()
        assert.equal("ABC", bytes)
    end)

    it("leaves a coroutine that awaited in the controller's hands", function()
        local log = {}
        queue:wrap(function()
            for i = 1, 3 do
                log[#log + 1] = assert(client:submit(slow(0.02)):await()).data[1].bytes
                cqueues.sleep(0.01)
                log[#log + 1] = i
            end
        end)
        run()
        assert.same({ "ABC", 1, "ABC", 2, "ABC", 3 }, log)
    end)

    it("hands the error of a request to who awaits", function()
        local kinds = {}
        queue:wrap(function()
            local _, err = client:submit(params({ status = 503, body = "" }, { retry = "none" })):await()
            kinds[1] = err.kind
            local request = client:submit(slow(600))
            queue:wrap(function()
                cqueues.sleep(0.05)
                request:cancel()
            end)
            _, err = request:await()
            kinds[2] = err.kind
        end)
        run()
        assert.same({ "server_error", "cancelled" }, kinds)
    end)

    it("calls back without a coroutine of the user's", function()
        local log = {}
        client:submit(params({ pieces = {
            "HTTP/1.1 200 OK\r\n\r\n", '{"data":[{"b64_json":"QUJD"},', '{"b64_json":"QUJE"}]}',
        }, pause = 0.1 }, {
            on_image = function(image, index)
                log[#log + 1] = index .. image.bytes
            end,
        }), function()
            log[#log + 1] = "done"
        end)
        run()
        assert.same({ "1ABC", "2ABD", "done" }, log)
    end)

    it("hands errors of callbacks to who runs the loop, one by one, and goes on", function()
        local done = false
        for _, text in ipairs { "one", "two" } do
            client:submit(params(), function()
                error(text, 0)
            end)
        end
        client:submit(slow(600), function()
            error("three", 0)
        end):cancel() -- which the timer tells, not a socket
        client:submit(slow(0.3), function()
            done = true
        end)
        local errors = {}
        repeat
            local ok, err = queue:loop(60)
            errors[#errors + 1] = err
        until ok
        table.sort(errors)
        assert.same({ "one", "three", "two" }, errors)
        assert.is_true(done)
        assert.is_true(queue:empty())
    end)

    it("wakes who awaits, whoever drives the client to the end", function()
        local request, log = client:submit(slow(0.05)), {}
        for i = 1, 2 do
            queue:wrap(function()
                log[i] = assert(request:await()).data[1].bytes
                cqueues.sleep(0.01)
                log[i + 2] = "slept"
            end)
        end
        queue:wrap(function()
            assert(client:generate(slow(0.2))) -- which ends the other one too
        end)
        run()
        assert.same({ "ABC", "ABC", "slept", "slept" }, log)
    end)

    it("leaves other coroutines to poll, or to the client's timer and sockets", function()
        local log = {}
        local function await(name)
            coroutine.wrap(function()
                log[name] = assert(client:submit(slow(0.05)):await()).data[1].bytes
            end)()
        end
        await "outside"
        queue:wrap(function()
            await "inside"
            cqueues.sleep(0.01)
            log.slept = true
        end)
        run()
        assert.same({ outside = "ABC", inside = "ABC", slept = true }, log)
    end)

    it("works in a controller inside another", function()
        local outer, bytes = cqueues.new(), nil
        queue:wrap(function()
            bytes = assert(client:submit(slow(0.05)):await()).data[1].bytes
        end)
        outer:wrap(function()
            assert(queue:loop())
        end)
        assert(outer:loop(60))
        assert.equal("ABC", bytes)
    end)

    it("lets a callback close the client", function()
        local log = {}
        client:submit(params(), function()
            log[#log + 1] = "first"
            client:close()
        end)
        client:submit(slow(600), function(_, err)
            log[#log + 1] = err.kind
        end)
        run()
        assert.same({ "first", "cancelled" }, log)
    end)

    it("lets go of everything when the client is closed in flight", function()
        local kind
        client:submit(params { id = "in-flight", hold = 600 }, function(_, err)
            kind = err.kind
        end)
        run_until_seen "in-flight"
        client:close()
        run()
        assert.equal("cancelled", kind)
    end)

    it("lets a callback submit, and generate, which waits", function()
        local log = {}
        client:submit(params(), function()
            client:submit(params(), function()
                log[#log + 1] = client:generate(params()).data[1].bytes
            end)
            log[#log + 1] = "submitted"
        end)
        run()
        assert.same({ "submitted", "ABC" }, log)
    end)

    it("does not keep generate from working while others are in flight", function()
        local bytes, gate = nil, mirrors.gate()
        client:submit(params { id = "beside", gate = gate.path, body = PICTURE }, function(response)
            bytes = response.data[1].bytes
        end)
        run_until_seen "beside"
        assert.equal("ABC", assert(client:generate(slow(0.02))).data[1].bytes)
        assert.is_nil(bytes)
        gate:open()
        run()
        gate:remove()
        assert.equal("ABC", bytes)
    end)

    it("detaches, and poll goes on", function()
        local bytes, gate = nil, mirrors.gate()
        client:submit(params { id = "detached", gate = gate.path, body = PICTURE }, function(response)
            bytes = response.data[1].bytes
        end)
        run_until_seen "detached"
        detach()
        run()
        assert.is_nil(bytes)
        gate:open()
        while client:poll(1) > 0 do end
        gate:remove()
        assert.equal("ABC", bytes)
    end)

    it("does not mistake a new socket for an old one of the same number", function()
        local done = 0
        local answer = { body = PICTURE, close = true, headers = { "connection: close" } }
        for _ = 1, 4 do
            queue:wrap(function()
                for _ = 1, 25 do
                    local response, err = client:submit(params(answer)):await()
                    assert(response, tostring(err))
                    done = done + 1
                end
            end)
        end
        run()
        assert.equal(100, done)
    end)

    it("completes the request of a client that nobody holds, which is collected then", function()
        local kept, bytes = setmetatable({}, { __mode = "k" }), nil
        do
            local own = requests.client(mirror)
            adapter.attach(own, queue)
            own:submit(slow(0.2), function(response)
                bytes = response.data[1].bytes
            end)
            kept[own] = true
        end
        queue:wrap(function()
            while not bytes do
                collectgarbage()
                cqueues.sleep(0.01)
            end
        end)
        run()
        assert.equal("ABC", bytes)
        collectgarbage()
        collectgarbage()
        assert.is_nil(next(kept))
    end)

    it("runs beside lua-http", function()
        if not has_http then
            pending "needs lua-http, for this Lua"
            return
        end
        local order, bytes, gate = {}, nil, mirrors.gate()
        queue:wrap(function()
            bytes = assert(client:submit(params { gate = gate.path, body = PICTURE }):await()).data[1].bytes
            order[#order + 1] = "thucchien"
            -- A coroutine that has awaited can go on with lua-http.
            local headers = assert(http_request.new_from_uri(mirror.url .. "/after"):go(60))
            order[#order + 1] = headers:get ":status"
        end)
        queue:wrap(function()
            for i = 1, 3 do
                local _, stream = assert(http_request.new_from_uri(mirror.url .. "/page"):go(60))
                assert.matches("echo", assert(stream:get_body_as_string(60)))
                stream:shutdown()
                order[#order + 1] = i
            end
            gate:open()
        end)
        run()
        gate:remove()
        assert.same({ 1, 2, 3, "thucchien", "200" }, order)
        assert.equal("ABC", bytes)
    end)
end)
