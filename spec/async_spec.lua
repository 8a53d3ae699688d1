-- Without blocking: submit, poll, wait, await, cancel, drivers.

local system = require "system"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local support = require "spec.support.requests"

local params, slow, PICTURE = support.params, support.slow, support.PICTURE
local poll_until = support.poll_until

local mirror, client

local function new(options)
    return support.client(mirror, options)
end

-- Polls as a game does until nothing is in flight, and returns how often.
local function run(own, seconds)
    local deadline = system.monotime() + (seconds or 60)
    local polls = 0
    while own:poll() > 0 do
        polls = polls + 1
        assert(system.monotime() < deadline, "still in flight")
        system.sleep(0.001)
    end
    return polls
end

local LARGE = 300000 -- bytes: more than a turn has

-- Submits requests for a large picture each, all of which arrive at about the same time. Returns what has come.
local function submit_large(own, count)
    local come = { pictures = 0, done = 0 }
    for _ = 1, count do
        own:submit(params({ hold = 0.2, body = PICTURE:gsub("QUJD", ("QUJD"):rep(LARGE / 3)) }, {
            on_image = function(image)
                assert.equal(LARGE, #image.bytes)
                come.pictures = come.pictures + 1
            end,
        }), function(response, err)
            assert(response, err)
            come.done = come.done + 1
        end)
    end
    return come
end

fixtures.mirror(function(started) mirror = started end)

before_each(function()
    client = new()
end)

after_each(function()
    client:close()
end)

describe("submit", function()
    it("returns at once and calls back from poll, once", function()
        local calls = 0
        local request = assert(client:submit(slow(0.2), function(response, err)
            calls = calls + 1
            assert(response, err)
            assert.equal("ABC", response.data[1].bytes)
        end))
        assert.equal(0, calls)
        assert.equal("queued", request:status())
        assert.is_true(run(client) > 20)
        assert.equal(1, calls)
        assert.equal("done", request:status())
        client:poll()
        assert.equal(1, calls)
    end)

    it("works without a callback", function()
        local request = assert(client:submit(params()))
        run(client)
        local response = assert(request:wait())
        assert.equal("ABC", response.data[1].bytes)
        assert.equal(response, request:wait())
    end)

    it("refuses what generate refuses", function()
        local request, err = client:submit { prompt = "" }
        assert.is_nil(request)
        assert.equal("invalid_request", err.kind)
        assert.has_error(function()
            client:submit(5)
        end)
        assert.has_error(function()
            client:submit("x", 5)
        end)
    end)

    it("does not wait for names to resolve", function()
        local own = new { base_url = "https://no-such-host.invalid", max_retries = 0 }
        local kind
        assert(own:submit("x", function(_, err)
            kind = err.kind
        end))
        run(own)
        assert.equal("connection", kind)
    end)

    it("gives failures to the callback", function()
        local kinds = {}
        for _, answer in ipairs { { status = 400, body = "" }, { body = "x" }, { pieces = {} } } do
            assert(client:submit(params(answer), function(response, err)
                assert.is_nil(response)
                kinds[err.kind] = true
            end))
        end
        run(client)
        assert.same({ invalid_request = true, bad_response = true, connection = true }, kinds)
    end)

    it("completes a request that nobody holds", function()
        local called = false
        client:submit(slow(0.1), function()
            called = true
        end)
        for _ = 1, 5 do
            collectgarbage()
        end
        run(client)
        assert.is_true(called)
    end)

    it("hands out pictures and progress from poll", function()
        local events = {}
        assert(client:submit(params({ pieces = { "HTTP/1.1 200 OK\r\n\r\n", '{"data":[{"b64_json":"QUJD"},',
            '{"b64_json":"QUJE"}]}' }, pause = 0.1 }, {
            on_image = function(image, index)
                events[#events + 1] = index .. image.bytes
            end,
        }), function()
            events[#events + 1] = "done"
        end))
        run(client)
        assert.same({ "1ABC", "2ABD", "done" }, events)
    end)
end)

describe("poll", function()
    it("says how many are in flight", function()
        assert.equal(0, client:poll())
        client:submit(slow(0.1))
        client:submit(slow(0.1))
        assert.equal(2, client:poll())
        run(client)
        assert.equal(0, client:poll())
    end)

    it("waits as long as it is told, or until there is news", function()
        local request = client:submit(slow(60))
        local start = system.monotime()
        assert.equal(1, client:poll(0.1))
        assert.is_true(system.monotime() - start >= 0.1)
        request:cancel()
        assert.equal(0, client:poll(3600))
        client:submit(slow(0.1))
        assert.equal(0, client:poll(3600))
        assert.equal(0, client:poll(3600)) -- nothing is in flight
    end)

    it("raises the first error of a callback after all others were called", function()
        local called = 0
        for i = 1, 4 do
            client:submit(params(), function()
                called = called + 1
                if i % 2 == 0 then
                    error("from callback " .. i, 0)
                end
            end)
        end
        local errors = {}
        for _ = 1, 1000 do
            local ok, active = pcall(client.poll, client, 0.05)
            if not ok then
                errors[#errors + 1] = active
            elseif active == 0 then
                break
            end
        end
        assert.equal(4, called)
        assert.is_true(#errors >= 1)
        assert.matches("^from callback [24]$", errors[1])
        assert(client:generate(params()))
    end)

    it("raises what on_image raised, and the callback is told", function()
        local kind, kept
        client:submit(params({ body = '{"data":[{"b64_json":"QUJD"},{"b64_json":"QUJE"}]}' }, {
            on_image = function()
                error("not that one", 0)
            end,
        }), function(_, err)
            kind, kept = err.kind, err.data
        end)
        local ok, err
        repeat
            ok, err = pcall(client.poll, client, 0.05)
        until not ok
        assert.equal("not that one", err)
        assert.equal("cancelled", kind)
        assert.same({ "ABC", "ABD" }, { kept[1].bytes, kept[2].bytes }) -- they are paid for
    end)

    it("hands out one large picture at a time if it may not wait, and counts the others", function()
        local COUNT = 12
        local come, most = submit_large(client, COUNT), 0
        local left
        local deadline = system.monotime() + 60
        repeat
            local before = come.pictures
            left = client:poll()
            most = math.max(most, come.pictures - before)
            assert.equal(COUNT - come.done, left)
            system.sleep(come.pictures == before and 0.02 or 0) -- time for several to arrive
        until left == 0 or system.monotime() > deadline
        assert.equal(COUNT, come.done)
        assert.equal(1, most)
    end)

    -- A frame or two go by until there is room for its string.
    it("has a very large picture when it is closed right before that is handed out", function()
        local SIZE = 6000000
        local large = PICTURE:gsub("QUJD", ("QUJD"):rep(SIZE / 3))
        for _, finish in ipairs { "close", "poll" } do
            local own, images = new(), nil
            local request = own:submit(params { body = large }, function(response, err)
                assert.is_nil(images)
                images = response and response.data or err.data
            end)
            local deadline = system.monotime() + 60
            repeat
                own:poll()
                local received, total = request:progress()
            until images or (total and received == total) or system.monotime() > deadline
            own[finish](own)
            run(own)
            assert.equal(SIZE, #images[1].bytes)
        end
    end)

    it("hands out small ones at once, and what one poll had to leave in any other way of driving", function()
        local large = PICTURE:gsub("QUJD", ("QUJD"):rep(100000))
        local function submit(answer, count)
            local done = { count = 0 }
            for _ = 1, count do
                client:submit(params(answer), function()
                    done.count = done.count + 1
                end)
            end
            return done
        end
        for _, drive in ipairs {
            function()
                return client:poll(1)
            end,
            function()
                assert(client:generate(params()))
                return client:poll()
            end,
            function()
                return client:action()
            end,
        } do
            local small, big = submit({ body = PICTURE }, 4), submit({ body = large }, 4)
            while big.count == 0 do
                client:poll()
            end
            local deadline = system.monotime() + 60
            while drive() > 0 and system.monotime() < deadline do
                client:poll()
            end
            assert.same({ 4, 4 }, { small.count, big.count })
        end
    end)

    it("refuses odd times", function()
        for _, seconds in ipairs { -1, 0 / 0, "x" } do
            assert.has_error(function()
                client:poll(seconds)
            end)
        end
    end)

    it("lets a callback do anything", function()
        local log = {}
        client:submit(params(), function()
            log[#log + 1] = "first"
            client:submit(params(), function()
                log[#log + 1] = "second"
                log[#log + 1] = assert(client:generate(params())).data[1].bytes
                local third = client:submit(slow(5), function(_, err)
                    log[#log + 1] = err.kind
                end)
                assert.is_true(third:cancel())
                assert.is_false(third:cancel())
            end)
        end)
        run(client)
        client:poll()
        assert.same({ "first", "second", "ABC", "cancelled" }, log)
    end)

    -- The request whose function runs cannot go on meanwhile: it must not keep its place from the others.
    it("lets on_image generate when one request may run at a time", function()
        local own, inner = new { max_concurrency = 1, timeout = 5 }, nil
        local response = assert(own:generate(params({
            pieces = { "HTTP/1.1 200 OK\r\n\r\n", '{"data":[{"b64_json":"QUJD"},', '{"b64_json":"QUJE"}]}' }, pause = 0.2,
        }, {
            on_image = function(_, index)
                if index == 1 then
                    inner = assert(own:generate(params())).data[1].bytes
                end
            end,
        })))
        assert.same({ 2, "ABC" }, { #response.data, inner })
        own:close()
    end)

    it("lets a callback close the client", function()
        local log = {}
        client:submit(params(), function()
            log[#log + 1] = "first"
            client:close()
        end)
        client:submit(slow(5), function(_, err)
            log[#log + 1] = err.kind
        end)
        run(client)
        client:poll()
        assert.same({ "first", "cancelled" }, log)
        assert.is_nil((client:submit "x"))
    end)

    it("serves another poll inside a callback", function()
        local log = {}
        client:submit(params(), function()
            client:submit(params(), function()
                log[#log + 1] = "inner"
            end)
            repeat
                local active = client:poll(0.1)
            until active == 0
            log[#log + 1] = "outer"
        end)
        run(client)
        assert.same({ "inner", "outer" }, log)
    end)
end)

describe("cancel", function()
    it("ends a request in any state, and its callback is told at the next poll", function()
        local own = new { max_concurrency = 1 }
        local kinds = {}
        local function note(name)
            return function(_, err)
                kinds[name] = err.kind
            end
        end
        local running = own:submit(params { id = "cancelled", hold = 60 }, note "running")
        local queued = own:submit(params(), note "queued")
        poll_until(own, function() return mirrors.count(mirror, "cancelled") == 1 end)
        assert.equal("sending", running:status())
        assert.equal("queued", queued:status())
        assert.is_true(queued:cancel())
        assert.is_true(running:cancel())
        assert.same({}, kinds)
        assert.equal(0, own:poll())
        assert.same({ running = "cancelled", queued = "cancelled" }, kinds)
        local _, err = running:wait()
        assert.equal("cancelled", err.kind)
        assert.is_true(err.maybe_billed)
        _, err = queued:wait()
        assert.is_false(err.maybe_billed)
        local retrying = own:submit(params { status = 503, body = "", headers = { "retry-after: 30" } })
        poll_until(own, function() return retrying:status() == "retrying" end)
        assert.is_true(retrying:cancel())
    end)
end)

describe("close", function()
    it("tells all callbacks at the next poll", function()
        local kinds = {}
        for i = 1, 3 do
            client:submit(slow(5), function(_, err)
                kinds[i] = err.kind
            end)
        end
        client:poll(0.05)
        client:close()
        assert.same({}, kinds)
        assert.equal(0, client:poll())
        assert.same({ "cancelled", "cancelled", "cancelled" }, kinds)
    end)

    it("is what the collector does, silently", function()
        local own = new()
        own:submit(slow(5), error)
        own:poll(0.05)
        local held = setmetatable({ own }, { __mode = "v" })
        own = nil -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        assert.is_nil(held[1])
    end)
end)

describe("wait", function()
    it("drives the client until the request ends", function()
        local order, gate = {}, mirrors.gate()
        local request = client:submit(params { gate = gate.path, body = PICTURE }, function()
            order[#order + 1] = "slow"
        end)
        client:submit(params(), function()
            order[#order + 1] = "fast"
            gate:open()
        end)
        assert(request:wait())
        gate:remove()
        assert.same({ "fast", "slow" }, order)
    end)

    it("gives up after a time, and the request goes on", function()
        local gate = mirrors.gate()
        local request = client:submit(params { gate = gate.path, body = PICTURE })
        local response, err = request:wait(0.05)
        assert.is_nil(response)
        assert.equal("timeout", err.kind)
        assert.matches("goes on", err.message)
        assert.equal("sending", request:status())
        gate:open()
        assert(request:wait())
        gate:remove()
    end)

    it("of no time moves it on all the same", function()
        local request = assert(client:submit(slow(0.1)))
        local deadline = system.monotime() + 30
        local response, err
        repeat
            response, err = request:wait(0)
            system.sleep(0.005)
        until response or err.kind ~= "timeout" or system.monotime() > deadline
        assert.equal("ABC", response and response.data[1].bytes)
    end)

    it("raises what a function of this request raised", function()
        local request = client:submit(params(nil, {
            on_image = function()
                error("mine", 0)
            end,
        }))
        local ok, err = pcall(request.wait, request)
        assert.is_false(ok)
        assert.equal("mine", err)
        assert.equal(0, client:poll())
    end)
end)

describe("progress and status", function()
    it("tell how far it is", function()
        local gate = mirrors.gate()
        local request = client:submit(params {
            pieces = { "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n", PICTURE:sub(1, 10), PICTURE:sub(11) }, gate = gate.path,
        })
        assert.same({ 0 }, { (request:progress()) })
        local received, total, seconds
        repeat
            client:poll(0.1)
            received, total, seconds = request:progress()
        until received > 0
        assert.equal("receiving", request:status())
        assert.same({ 10, 30 }, { received, total })
        assert.is_true(seconds > 0)
        gate:open()
        assert(request:wait())
        gate:remove()
        received, total = request:progress()
        assert.same({ 30, 30 }, { received, total })
        local _, _, final = request:progress()
        system.sleep(0.02)
        local _, _, later = request:progress()
        assert.equal(final, later)
    end)
end)

describe("await", function()
    it("yields until poll has the answer", function()
        local log = {}
        local thread = coroutine.create(function()
            local response = assert(client:submit(slow(0.1)):await())
            log[#log + 1] = response.data[1].bytes
        end)
        assert(coroutine.resume(thread))
        assert.equal("suspended", coroutine.status(thread))
        run(client)
        assert.same({ "ABC" }, log)
        assert.equal("dead", coroutine.status(thread))
    end)

    it("works in several coroutines at once, and several times in one", function()
        local log = {}
        for i = 1, 10 do
            coroutine.wrap(function()
                for _ = 1, 3 do
                    assert(client:submit(params()):await())
                end
                log[#log + 1] = i
            end)()
        end
        run(client)
        assert.equal(10, #log)
    end)

    it("lets two coroutines wait for one request", function()
        local request = client:submit(slow(0.1))
        local seen = {}
        for i = 1, 2 do
            coroutine.wrap(function()
                seen[i] = request:await()
            end)()
        end
        run(client)
        assert.is_truthy(seen[1])
        assert.equal(seen[1], seen[2])
    end)

    it("is wait in the main thread", function()
        assert.equal("ABC", assert(client:submit(params()):await()).data[1].bytes)
    end)

    it("returns at once when the request has ended", function()
        local request = client:submit(params())
        run(client)
        local done = false
        coroutine.wrap(function()
            assert(request:await())
            done = true
        end)()
        assert.is_true(done)
    end)

    it("bears being resumed by somebody else", function()
        local response
        local thread = coroutine.create(function()
            response = client:submit(slow(0.1)):await()
        end)
        for _ = 1, 5 do
            assert(coroutine.resume(thread))
            assert.equal("suspended", coroutine.status(thread))
        end
        run(client)
        assert.is_truthy(response)
    end)

    it("has no hold on a coroutine that could not wait, and went on", function()
        local request = assert(client:submit(slow(0.1)))
        local resumed
        local thread = coroutine.create(function()
            local list = { 2, 1 }
            local ok = pcall(table.sort, list, function(a, b)
                request:await() -- no Lua yields here
                return a < b
            end)
            assert(not ok)
            resumed = { coroutine.yield "mine" }
        end)
        assert.same({ true, "mine" }, { coroutine.resume(thread) })
        run(client)
        assert.is_nil(resumed)
        assert(coroutine.resume(thread, "by me"))
        assert.same({ "by me" }, resumed)
    end)

    it("hands errors of the coroutine to poll", function()
        coroutine.wrap(function()
            client:submit(params()):await()
            error("from the coroutine", 0)
        end)()
        local ok, err
        repeat
            ok, err = pcall(client.poll, client, 0.05)
        until not ok
        assert.equal("from the coroutine", err)
    end)

    it("gives failures like wait", function()
        local kind
        coroutine.wrap(function()
            local _, err = client:submit(params { status = 400, body = "" }):await()
            kind = err.kind
        end)()
        run(client)
        assert.equal("invalid_request", kind)
    end)
end)

describe("the queue", function()
    it("is first come, first served, max_concurrency at a time", function()
        local own = new { max_concurrency = 2 }
        local order, most = {}, 0
        local requests = {}
        for i = 1, 8 do
            requests[i] = own:submit(slow(0.03), function()
                order[#order + 1] = i
            end)
        end
        while own:poll(0.01) > 0 do
            local running = 0
            for _, request in ipairs(requests) do
                local status = request:status()
                running = running + ((status == "sending" or status == "receiving") and 1 or 0)
            end
            most = math.max(most, running)
        end
        assert.equal(2, most)
        for i = 1, 8 do
            assert.is_true(math.abs(order[i] - i) <= 1)
        end
    end)

    it("takes two hundred at once", function()
        local own = new { max_concurrency = 200 }
        local done, gate = 0, mirrors.gate()
        for _ = 1, 200 do
            own:submit(params { id = "two-hundred", gate = gate.path, body = PICTURE }, function(response, err)
                assert(response, err)
                done = done + 1
            end)
        end
        while mirrors.count(mirror, "two-hundred") < 200 do
            own:poll(0.1)
        end
        assert.equal(0, done) -- none is answered before all are there
        gate:open()
        run(own)
        gate:remove()
        assert.equal(200, done)
    end)

    it("paces starts by requests_per_minute", function()
        local own = new { requests_per_minute = 3 }
        local requests = {}
        for i = 1, 5 do
            requests[i] = own:submit(params())
        end
        poll_until(own, function()
            return requests[1]:status() == "done" and requests[2]:status() == "done" and requests[3]:status() == "done"
        end)
        own:poll()
        assert.same({ "done", "done", "done", "queued", "queued" }, {
            requests[1]:status(), requests[2]:status(), requests[3]:status(), requests[4]:status(), requests[5]:status(),
        })
        own:close()
    end)
end)

describe("many requests that wait", function()
    -- Resident memory, in KiB.
    local function resident()
        local status = assert(io.open "/proc/self/status")
        local size = tonumber(status:read("*a"):match "VmRSS:%s*(%d+)")
        status:close()
        return size
    end

    it("are small, the bodies and tables of theirs included", function()
        if command.is_sanitized() then
            return pending "needs no sanitizer"
        end
        local COUNT = 20000
        local own = new { max_concurrency = 1, requests_per_minute = 1 }
        local requests = {}
        requests[0] = assert(own:submit "x")
        collectgarbage()
        collectgarbage()
        local before = resident()
        for i = 1, COUNT do
            requests[i] = assert(own:submit "x")
        end
        collectgarbage()
        collectgarbage()
        assert.is_true((resident() - before) * 1024 / COUNT < 2500)
        own:close()
        assert.equal("done", requests[COUNT]:status())
        repeat until own:poll() == 0
        local _, err = requests[1]:wait()
        assert.equal("cancelled", err.kind)
        assert.is_false(err.maybe_billed)
    end)
end)

describe("a driver", function()
    -- A driver that only notes what it is told.
    local function recorder()
        local record = { watched = {}, calls = {} }
        record.driver = {
            watch = function(socket, events)
                record.calls[#record.calls + 1] = { socket, events }
                record.watched[socket] = events
            end,
            timer = function(milliseconds)
                record.timer = milliseconds
                record.timers = (record.timers or 0) + 1
            end,
        }
        return record
    end

    local function attach_recorder(own)
        local record = recorder()
        own:set_driver(record.driver)
        return record
    end

    -- Tells of every socket that is watched: newer libcurls watch one of their own beside the connection's. Returns
    -- how many requests are under way, or nil where nothing is watched.
    local function act_on_all(own, record)
        local sockets, active = {}, nil
        for socket in pairs(record.watched) do
            sockets[#sockets + 1] = socket
        end
        for _, socket in ipairs(sockets) do
            local events = record.watched[socket] -- one that was served before may have ended it
            if events then
                active = own:action(socket, events:find "r" and "r" or events)
            end
        end
        return active
    end

    it("is told to call back after submit, which does not", function()
        local record = attach_recorder(client)
        local called = false
        client:submit(params(), function()
            called = true
        end)
        assert.equal(0, record.timer)
        assert.is_false(called)
        assert.same({}, record.watched)
    end)

    it("serves a request with action alone", function()
        local record = attach_recorder(client)
        local response
        client:submit(slow(0.05), function(answer)
            response = answer
        end)
        local deadline = system.monotime() + 30
        local active = 1
        while active > 0 do
            assert(system.monotime() < deadline)
            active = client:action()
            active = act_on_all(client, record) or active
            system.sleep(0.001)
        end
        assert.equal("ABC", response.data[1].bytes)
        assert.same({}, record.watched)
        assert.is_nil(record.timer)
    end)

    it("takes one large picture at a time", function()
        local COUNT = 8
        local record = attach_recorder(client)
        local come, most = submit_large(client, COUNT), 0
        local function act(...)
            local before = come.pictures
            client:action(...)
            most = math.max(most, come.pictures - before)
        end
        local deadline = system.monotime() + 60
        while come.done < COUNT and system.monotime() < deadline do
            if record.timer then
                act()
            end
            local sockets = {}
            for socket, events in pairs(record.watched) do
                sockets[socket] = events
            end
            for socket, events in pairs(sockets) do
                act(socket, events:find "r" and "r" or events)
            end
            system.sleep(0.005)
        end
        assert.same({ COUNT, COUNT, 1 }, { come.pictures, come.done, most })
        act()
        assert.is_nil(record.timer)
    end)

    it("does not keep generate from working", function()
        local record = attach_recorder(client)
        assert(client:generate(params()))
        assert.same({}, record.watched)
    end)

    -- Moves the client on until it has sockets that are watched.
    local function begin(own, record)
        local deadline = system.monotime() + 30
        repeat
            own:action()
            system.sleep(0.002)
        until next(record.watched) or system.monotime() > deadline
        assert.is_truthy(next(record.watched))
    end

    it("gets every socket back, and is told of the end of a closed client", function()
        local record = attach_recorder(client)
        local kind
        client:submit(slow(60), function(_, err)
            kind = err.kind
        end)
        begin(client, record)
        client:close()
        assert.same({}, record.watched)
        assert.equal(0, record.timer)
        client:action()
        assert.equal("cancelled", kind)
        assert.is_nil(record.timer)
    end)

    it("knows the sockets of others after a wait that was interrupted", function()
        local record = attach_recorder(client)
        local gate = mirrors.gate()
        client:submit(params { id = "watched", gate = gate.path, body = PICTURE })
        debug.sethook(function()
            if mirrors.count(mirror, "watched") == 1 then
                debug.sethook()
                error("interrupted", 0)
            end
        end, "c")
        local ok, err = pcall(client.generate, client, slow(5))
        debug.sethook()
        assert.same({ false, "interrupted" }, { ok, err })
        assert.is_truthy(record.timer)
        client:action() -- for that timer
        assert.is_truthy(next(record.watched))
        client:set_driver(nil)
        gate:open()
        run(client)
        gate:remove()
    end)

    it("can be taken away", function()
        local record = attach_recorder(client)
        client:submit(slow(0.1))
        begin(client, record)
        client:set_driver(nil)
        assert.same({}, record.watched)
        run(client)
    end)

    -- A request that waits for its answer, with sockets that are watched. Returns what it ends with.
    local function begin_slow(own, record)
        local result = { gate = mirrors.gate() }
        own:submit(params { gate = result.gate.path, body = PICTURE }, function(response, err)
            result.response, result.err = response, err
            result.gate:remove()
        end)
        begin(own, record)
        return result
    end

    -- Drives a client by what its driver was told, and by nothing else.
    local function serve(own, record, result)
        local deadline = system.monotime() + 30
        while not (result.response or result.err) and system.monotime() < deadline do
            if record.timer then
                own:action()
            end
            act_on_all(own, record)
            system.sleep(0.002)
        end
    end

    -- Attaches a driver that raises in the named function once `fault.broken` is set, and counts its calls.
    local function attach_faulty(own, name)
        local fault, functions = { calls = 0 }, {}
        for _, each in ipairs { "watch", "timer" } do
            functions[each] = function()
                fault.calls = fault.calls + 1
                if fault.broken and (name == each or name == "both") then
                    error("the driver's " .. each, 0)
                end
            end
        end
        own:set_driver(setmetatable({}, { __index = function(_, key)
            if fault.broken and name == "index" then
                error("the driver's index", 0)
            end
            return functions[key]
        end }))
        return fault
    end

    it("that raises while it is taken away is gone all the same, and the next one knows all", function()
        for _, faulty in ipairs { "watch", "timer", "both", "index" } do
            local own, after = new(), recorder()
            local result = begin_slow(own, attach_recorder(own))
            local fault = attach_faulty(own, faulty)
            fault.broken = true
            local ok, err = pcall(own.set_driver, own, after.driver)
            assert.is_false(ok)
            assert.matches("^the driver's ", err)
            assert.is_truthy(next(after.watched))
            result.gate:open()
            serve(own, after, result)
            assert.equal("ABC", result.response and result.response.data[1].bytes)
            own:close()
        end
    end)

    it("that raises while it is taken away leaves the rest to poll, and hears no more", function()
        for _, faulty in ipairs { "watch", "timer", "both", "index" } do
            local own = new()
            local result = begin_slow(own, attach_recorder(own))
            local fault = attach_faulty(own, faulty)
            fault.broken = true
            local ok, err = pcall(own.set_driver, own, nil)
            assert.is_false(ok)
            assert.matches("^the driver's ", err)
            fault.broken, fault.calls = false, 0
            result.gate:open()
            run(own)
            assert.equal("ABC", result.response.data[1].bytes)
            assert.equal(0, fault.calls)
            own:close()
        end
    end)

    it("is told again what it raised at", function()
        local own, record, raised, result = new(), recorder(), {}, {}
        own:set_driver {
            timer = record.driver.timer,
            watch = function(socket, events)
                local what = socket .. (events or "")
                if events and not raised[what] then
                    raised[what] = true
                    error("not now", 0)
                end
                record.driver.watch(socket, events)
            end,
        }
        own:submit(slow(0.05), function(response, err)
            result.response, result.err = response, err
        end)
        local deadline = system.monotime() + 30
        while not result.response and system.monotime() < deadline do
            if record.timer then
                pcall(own.action, own)
            end
            pcall(act_on_all, own, record)
            system.sleep(0.001)
        end
        assert.equal("ABC", result.response and result.response.data[1].bytes)
        assert.is_truthy(next(raised))
        own:close()
    end)

    it("that raises at submit lets nothing be sent", function()
        local own, broken, told = new(), true, 0
        own:set_driver { watch = function() end, timer = function()
            told = told + 1
            assert(not broken, "broken")
        end }
        local kind
        assert.is_false(pcall(own.submit, own, params { id = "driver-raises", body = PICTURE }, function(_, err)
            kind = err.kind
        end))
        broken = false
        own:set_driver(nil)
        run(own)
        assert.equal("cancelled", kind)
        assert.equal(0, mirrors.count(mirror, "driver-raises"))
        assert.is_true(told >= 1)
        own:close()
    end)

    it("may be replaced by its own functions", function()
        for _, place in ipairs { "watch", "timer" } do
            local own, first, second = new(), {}, nil
            local function replace()
                if not second then
                    second = {}
                    second = attach_recorder(own)
                end
            end
            own:set_driver {
                watch = function(socket, events)
                    first[socket] = events
                    if place == "watch" then
                        replace()
                    end
                end,
                timer = function()
                    if place == "timer" then
                        replace()
                    end
                end,
            }
            local result = {}
            own:submit(slow(0.05), function(response, err)
                result.response, result.err = response, err
            end)
            local deadline = system.monotime() + 30
            while not second and system.monotime() < deadline do
                own:action()
                system.sleep(0.002)
            end
            assert.same({}, first) -- it was told to let go
            serve(own, second, result)
            assert.equal("ABC", result.response and result.response.data[1].bytes)
            own:close()
        end
    end)

    it("may set another while it is taken away, and that one stands", function()
        local own = new()
        local record = attach_recorder(own)
        local result = begin_slow(own, record)
        local leaving, last, unused = false, nil, { watched = {} }
        own:set_driver { timer = function() end, watch = function()
            if leaving then
                leaving = false
                last = attach_recorder(own)
            end
        end }
        leaving = true
        own:set_driver { timer = function() end, watch = function(socket, events)
            unused.watched[socket] = events
        end }
        assert.same({}, unused.watched)
        assert.is_truthy(next(last.watched))
        result.gate:open()
        serve(own, last, result)
        assert.equal("ABC", result.response and result.response.data[1].bytes)
        own:close()
    end)

    -- A scheduler as they come: it alone may resume what runs in it, and tells its yields from others.
    local function scheduler(own)
        local ready, names, log = {}, {}, {}
        local MINE = {}
        local record = attach_recorder(own)
        local driver = {
            watch = function(socket, events)
                record.watched[socket] = events
            end,
            timer = function() end,
        }
        function driver.waiter()
            local thread = coroutine.running()
            if not names[thread] then
                return nil
            end
            return function()
                coroutine.yield(MINE)
            end, function()
                ready[#ready + 1] = thread
            end
        end
        own:set_driver(driver)
        local self = { log = log }
        function self.spawn(name, body)
            local thread = coroutine.create(body)
            names[thread], ready[#ready + 1] = name, thread
        end
        function self.step()
            while ready[1] do
                local thread = table.remove(ready, 1)
                log[#log + 1] = names[thread]
                local ok, token = coroutine.resume(thread)
                assert(ok, token)
                assert(coroutine.status(thread) == "dead" or token == MINE, "a yield of somebody else's")
            end
        end
        return self
    end

    it("suspends and wakes the coroutines of a scheduler in await", function()
        local tasks = scheduler(client)
        local shared = client:submit(slow(0.1))
        local answers, plain = {}, nil
        for i = 1, 2 do
            tasks.spawn("task " .. i, function()
                answers[i] = shared:await()
                answers[i + 2] = client:submit(params()):await()
            end)
        end
        tasks.spawn("with a coroutine inside", function()
            coroutine.wrap(function()
                plain = client:submit(params()):await()
            end)()
        end)
        local deadline = system.monotime() + 60
        repeat
            tasks.step()
            local active = client:poll(0.01)
        until active == 0 and #tasks.log >= 7 or system.monotime() > deadline
        tasks.step()
        assert.equal(4, #answers)
        assert.equal(answers[1], answers[2])
        assert.equal("ABC", answers[4].data[1].bytes)
        assert.equal("ABC", plain.data[1].bytes)
        assert.equal(7, #tasks.log) -- once to begin, once for each await
    end)

    it("may have a timer alone, which ticks while something is under way", function()
        local due, ticks, longest = nil, 0, 0
        client:set_driver { timer = function(milliseconds)
            due = milliseconds and system.monotime() + milliseconds * 1e-3
            longest = math.max(longest, milliseconds or 0)
        end }
        local response
        client:submit(slow(0.2), function(answer) response = answer end)
        local deadline = system.monotime() + 30
        while due and system.monotime() < deadline do
            if due <= system.monotime() then
                ticks = ticks + 1
                client:action()
            end
        end
        assert.equal("ABC", response.data[1].bytes)
        assert.is_nil(due) -- nothing is under way, nothing ticks
        assert.is_true(ticks > 2 and longest <= 10, ticks .. " ticks, " .. longest)
    end)

    it("without sockets is not put off by who sends often", function()
        local told = {}
        client:set_driver { timer = function(milliseconds) told[#told + 1] = milliseconds or "none" end }
        local request = client:submit(slow(30))
        while #told < 2 or told[#told] == 0 do -- until it is under way
            client:action()
        end
        local count = #told
        for _ = 1, 20 do
            client:poll()
        end
        assert.equal(count, #told)
        request:cancel()
        run(client)
        assert.equal("none", told[#told])
    end)

    it("may have a waiter alone, beside polls", function()
        local woken, response
        client:set_driver { waiter = function()
            return coroutine.yield, function() woken = true end
        end }
        local thread = coroutine.create(function()
            response = client:submit(params()):await()
        end)
        assert(coroutine.resume(thread))
        run(client)
        assert.is_true(woken)
        assert(coroutine.resume(thread))
        assert.equal("ABC", response.data[1].bytes)
    end)

    it("that is none is refused", function()
        local function f() end
        for _, row in ipairs {
            { {}, "functions expected" }, { { watch = f }, "'timer'" }, { { watch = f, waiter = f }, "'timer'" },
            { { timer = 1 }, "'timer'" }, { { timer = f, watch = true }, "'watch'" },
            { { timer = f, waiter = "x" }, "'waiter'" }, { f, "table" },
        } do
            local ok, err = pcall(client.set_driver, client, row[1])
            assert.is_false(ok)
            assert.matches(row[2], err)
        end
        assert(client:generate(params()))
    end)

    it("may wake a coroutine too early", function()
        local woken, response
        client:set_driver { watch = function() end, timer = function() end, waiter = function()
            return coroutine.yield, function()
                woken = true
            end
        end }
        local thread = coroutine.create(function()
            response = client:submit(slow(0.1)):await()
        end)
        for _ = 1, 3 do
            assert(coroutine.resume(thread))
        end
        run(client)
        assert.is_true(woken)
        assert.is_nil(response) -- nobody but the scheduler resumes it
        assert(coroutine.resume(thread))
        assert.equal("ABC", response.data[1].bytes)
    end)

    it("answers for its waiter", function()
        local answer
        client:set_driver { watch = function() end, timer = function() end, waiter = function()
            return answer()
        end }
        local request = client:submit(params())
        local function await()
            return coroutine.wrap(function()
                return select(2, pcall(request.await, request))
            end)()
        end
        answer = function()
            return print
        end
        assert.matches("two functions expected", await())
        answer = function()
            error("no scheduler here", 0)
        end
        assert.equal("no scheduler here", await())
        assert(request:wait())
    end)
end)
