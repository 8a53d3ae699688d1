-- Whatever is called from within whatever: what may run while the module is at work, and what happens then.
--
-- Lua may run functions of the user's where the module calls them (on_image, on_progress, sink, done, a coroutine in
-- await or a scheduler's wake, a driver's watch, timer and waiter, the function for the key, metamethods of params and
-- of a driver), where memory is asked for (a finalizer, while a picture's string is made, an answer is decoded, a
-- response is built, params are read), and where any function is called (a debug hook). Each of them may call anything
-- and may raise. "Busy" is a request from where its news are taken until they were given and read; "settled" it is
-- once its result is made.
--
--     called            the request is busy         it is settled        another one, or none, is busy or told
--     ---------------   -------------------------   ------------------   -------------------------------------------
--     wait              raises: its own functions   its result           waits; meanwhile only what it waits for is
--                       cannot wait for it                               handed out, the rest when it has returned
--     await             suspends the coroutine,     its result           suspends the coroutine
--                       which goes on when it is
--                       settled
--     cancel            true: no more functions     false                cancels
--                       are called for it, done
--                       is told; what came is in
--                       err.data; no address in
--                       its answer is fetched
--     status, progress, answer                      answer               answer
--     warnings
--     generate, call    wait for another one, as wait does; that leaves the queue before all others, and no others
--                       begin meanwhile
--     submit            puts another one into the queue; inside hold, params' metamethods or the key's function too
--     poll, action      hand out all news but those of a busy request, which follow
--     set_driver        holds from here on; the last one that is set stays
--     close             ends all; done is told at the next poll
--     __gc by hand      ends all; nobody is told; the client is closed; a second time does nothing
--     image:save        saves
--     an error          of the user's function: ends its request; is raised by who waits for it, or by poll
--                       of a hook (Ctrl-C) or, before Lua 5.4, a finalizer: as that, and is raised by whoever runs;
--                       one that comes before done has begun does not lose it: it is called the next time
--     20 of them, one   poll, wait, generate and action raise: nothing is sent or lost
--     inside another
--
-- A finalizer that waits is like any other function: it gets its result, or the error of the first column at once.
-- spec/reentry/attack.lua does each of these at every moment of a request's life, in each way to ask for it.
-- STEP=1 make test SPEC=spec/reentry_spec.lua takes every moment.

local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local on_collection = require "spec.support.on_collection"
local support = require "spec.support.requests"
local system = require "system"

local params, slow, PICTURE = support.params, support.slow, support.PICTURE

local mirror

teardown(function() debug.sethook() end)
fixtures.mirror(function(started) mirror = started end)

local function new(options)
    return support.client(mirror, options)
end

-- Polls until nothing is in flight; errors are counted.
local function run(client)
    local deadline, errors = system.monotime() + 60, {}
    repeat
        local ok, left = pcall(client.poll, client, 0.1)
        if not ok then
            errors[#errors + 1] = tostring(left)
        end
    until left == 0 or system.monotime() > deadline
    return errors
end

-- ---- everything, everywhere ---------------------------------------------------------------------

describe("whatever is called", function()
    local STEPS = { finalizer = 11, ["function"] = 7, call = 37, line = 101, count = 199 }
    local modes = { "bytes", "sink", "save", "parts", "address", "refused", "cut", "call", "driven" }

    local function attack(runner, mode)
        local step = os.getenv "STEP" or STEPS[runner]
        local words = { command.lua, "spec/reentry/attack.lua", mirror.url, runner, step, mode }
        if runner == "finalizer" and rawget(_G, "jit") then
            table.insert(words, 2, "-joff") -- its compiled code, without us too, dies of a finalizer that raises
        end
        for i, word in ipairs(words) do
            words[i] = command.quote(tostring(word))
        end
        local pipe = io.popen(table.concat(words, " ") .. " 2>&1; echo status $?")
        local printed = pipe:read "*a"
        pipe:close()
        return printed
    end

    for _, case in ipairs {
        { "finalizer", "where memory is asked for" }, { "function", "in a function of the caller's" },
        { "call", "where a function is called" }, { "line", "at a line" }, { "count", "at a step of Lua" },
    } do
        it(case[2] .. ", it loses nothing and breaks nothing", function()
            for _, mode in ipairs(modes) do
                assert.matches("^%d+\nstatus 0\n$", attack(case[1], mode))
            end
        end)
    end
end)

-- ---- functions that wait ------------------------------------------------------------------------

describe("a function that waits", function()
    local MANY = 1000

    -- Each of many requests has its function generate. Returns how many were told, and how many had their picture.
    local function nest(submit)
        local own, counts = new(), { told = 0, inner = 0 }
        for _ = 1, MANY do
            submit(own, function(response)
                assert.equal("ABC", response.data[1].bytes)
                counts.told = counts.told + 1
            end, function()
                local response = assert(own:generate(params()))
                counts.inner = counts.inner + #response.data
            end)
        end
        assert.same({}, run(own))
        own:close()
        return counts
    end

    it("may be the done of each of a thousand", function()
        assert.same({ told = MANY, inner = MANY }, nest(function(own, told, inner)
            own:submit(params(), function(response)
                told(response)
                inner()
            end)
        end))
    end)

    it("may be the on_image of each of a thousand", function()
        assert.same({ told = MANY, inner = MANY }, nest(function(own, told, inner)
            own:submit(params(nil, { on_image = inner }), told)
        end))
    end)

    it("may be a coroutine in await, a thousand of them", function()
        assert.same({ told = MANY, inner = MANY }, nest(function(own, told, inner)
            coroutine.wrap(function()
                told(own:submit(params()):await())
                inner()
            end)()
        end))
    end)

    it("has only what it waits for handed out", function()
        local own, log = new(), {}
        local slower = own:submit(slow(0.2), function()
            log[#log + 1] = "what it waits for"
        end)
        own:submit(params(), function()
            log[#log + 1] = "it begins"
            assert(slower:wait())
            log[#log + 1] = "it ends"
        end)
        own:submit(slow(0.05), function()
            log[#log + 1] = "another one"
        end)
        assert.same({}, run(own))
        assert.same({ "it begins", "what it waits for", "it ends", "another one" }, log)
        own:close()
    end)

    -- The others of the queue do not begin, or all their answers would be held until it returns.
    it("leaves the queue before all others", function()
        local own, order = new { max_concurrency = 1 }, {}
        for i = 1, 5 do
            own:submit(params { id = "queue" .. i, body = PICTURE }, function()
                order[#order + 1] = i
                if i == 1 then
                    assert(own:generate(params { id = "inner", body = PICTURE }))
                    order[#order + 1] = "inner"
                    order[#order + 1] = mirrors.count(mirror, "queue4")
                end
            end)
        end
        assert.same({}, run(own))
        assert.same({ 1, "inner", 0, 2, 3, 4, 5 }, order)
        own:close()
    end)

    -- One that has a picture to give keeps its connection, and its place among those that run.
    it("gets the place of one that stands still meanwhile", function()
        local own, inner = new { max_concurrency = 1 }, nil
        local two = '{"data":[{"b64_json":"QUJD"},{"b64_json":"QUJE"}]}'
        own:submit(params(), function()
            own:poll(0.3) -- the next one begins, and brings its first picture
            inner = assert(own:generate(params()))
        end)
        local response
        own:submit(params({ pieces = { "HTTP/1.1 200 OK\r\n\r\n", two:sub(1, 30), two:sub(31) }, pause = 0.2 }, {
            on_image = function(_, index)
                if index == 1 then
                    inner = assert(own:generate(params()))
                end
            end,
        }), function(answer)
            response = answer
        end)
        assert.same({}, run(own))
        assert.equal(2, #response.data)
        assert.equal("ABC", inner.data[1].bytes)
        own:close()
    end)

    -- A loop that is run from there would keep a core busy.
    it("has no driver called back at once, over and over, for what stands still meanwhile", function()
        local own, timer, inside, images = new(), nil, nil, 0
        own:set_driver {
            watch = function() end,
            timer = function(milliseconds)
                timer = milliseconds
            end,
        }
        local two = '{"data":[{"b64_json":"QUJD"},{"b64_json":"QUJE"}]}'
        own:submit(params({ pieces = { "HTTP/1.1 200 OK\r\n\r\n", two:sub(1, 30), two:sub(31) }, pause = 0.1 }, {
            on_image = function()
                images = images + 1
                own:action()
                inside = inside or timer or "none"
            end,
        }))
        assert.same({}, run(own))
        assert.equal(2, images)
        assert.are_not.equal(0, inside)
        own:close()
    end)

    -- Requests whose done waits; all have their end to tell at once where they are `closed`.
    local function check_depth(closed, wait)
        local own, requests, told, errors = new(), {}, 0, {}
        for i = 1, 300 do
            requests[i] = own:submit(params(), function()
                told = told + 1
                local ok, err = pcall(wait, own, requests[i + 1])
                if not ok then
                    errors[tostring(err):match "call those in turn, 20 deep" or tostring(err)] = true
                end
            end)
        end
        if closed then
            own:close()
        end
        assert.same({}, run(own))
        assert.equal(300, told)
        assert.same({ ["call those in turn, 20 deep"] = true }, errors)
        own:close()
    end

    it("raises twenty deep, and nothing is lost", function()
        check_depth(true, function(own)
            own:poll()
        end)
        check_depth(true, function(own)
            repeat until own:poll() == 0
        end)
        check_depth(true, function(own)
            own:action()
        end)
        check_depth(false, function(_, request)
            return request and request:wait()
        end)
    end)

    it("does so before anything is sent", function()
        local own, deepest = new(), 0
        local id = "deep"
        local function deeper()
            deepest = deepest + 1
            local ok = pcall(own.generate, own, params({ id = id, body = PICTURE }, { on_image = deeper }))
            assert(not ok or deepest < 100)
        end
        deeper()
        assert.equal(20, mirrors.count(mirror, id))
        own:close()
    end)
end)

-- ---- errors ------------------------------------------------------------------------------------

describe("an error of a function", function()
    it("is told in the request's own, and memory that was short as that", function()
        for raised, told in pairs {
            ["not mine"] = "a function of the caller's raised an error: not mine",
            ["not enough memory"] = "not enough memory",
            [false] = "a function of the caller's raised an error",
        } do
            local own, message, kept = new(), nil, nil
            own:submit(params(nil, { on_image = function()
                error(raised or {}, 0)
            end }), function(_, err)
                message, kept = err.message, #err.data
            end)
            run(own)
            assert.same({ told, 1 }, { message, kept })
            own:close()
        end
    end)

    it("is raised by who waits for it, though another one has given up", function()
        local own, errors, gate = new(), {}, mirrors.gate()
        local request = own:submit(params({ gate = gate.path, body = PICTURE }, { on_image = function()
            error("mine", 0)
        end }))
        own:submit(params(), function()
            errors[1] = select(2, pcall(request.wait, request, 0.01))
            gate:open()
        end)
        errors[2] = select(2, pcall(request.wait, request))
        gate:remove()
        assert.is_nil(errors[1]) -- the time was up
        assert.equal("mine", errors[2])
        assert.equal(0, own:poll())
        own:close()
    end)
end)

-- ---- interrupts ---------------------------------------------------------------------------------

describe("an interrupt", function()
    -- It reaches whoever waits, though it falls on what is done for another request.
    it("ends the wait that it falls on", function()
        local own, moment, seen = new(), 0, 0
        repeat
            moment = moment + 1
            own:submit(params())
            own:poll(0.05)
            local events, finished = 0, false
            local ok, err = pcall(function()
                debug.sethook(function()
                    events = events + 1
                    if events == moment then
                        debug.sethook()
                        error("interrupted", 0)
                    end
                end, "c")
                own:submit(params()):cancel()
                own:generate(params())
                finished = true
                debug.sethook()
            end)
            debug.sethook()
            if events >= moment and not finished then
                assert.same({ false, "interrupted" }, { ok, err })
                seen = seen + 1
            end
            assert(events < moment or not finished or not ok, "lost at call " .. moment)
        until events < moment
        assert.is_true(seen > 20)
        own:close()
    end)

    it("does not keep done from being called, though it falls on that", function()
        for _, raises in ipairs { 1, 3 } do
            local own, calls, errors, left = new(), 0, 0, raises
            local function done(response)
                calls = calls + 1
                assert.equal("ABC", response.data[1].bytes)
            end
            own:submit(params(), done)
            debug.sethook(function()
                local info = debug.getinfo(2, "f")
                if left > 0 and info and info.func == done then
                    left = left - 1
                    error("interrupted", 0)
                end
            end, "c")
            repeat
                local ok, active = pcall(own.poll, own, 0.1)
                if not ok then
                    errors = errors + 1
                    assert.equal("interrupted", active)
                    assert.equal(0, calls)
                end
            until active == 0
            debug.sethook()
            assert.same({ 1, raises }, { calls, errors })
            own:close()
        end
    end)

    -- Lua calls no hook inside another one, nor inside a finalizer: nobody says there that a call has begun.
    it("that cannot come lets done, and who wakes a coroutine, be called once", function()
        local own, log, polls = new(), {}, 0
        local function ask()
            own:submit(params(), function()
                log[#log + 1] = "done"
            end)
        end
        local function poll()
            for _ = 1, 5 do
                polls = own:poll(0.1)
            end
        end
        own:set_driver {
            watch = function() end,
            timer = function() end,
            waiter = function()
                return coroutine.yield, function()
                    log[#log + 1] = "awake"
                end
            end,
        }
        ask()
        coroutine.wrap(function()
            own:submit(params()):await()
        end)()
        local inside = false
        debug.sethook(function()
            if not inside then
                inside = true
                poll()
            end
        end, "c")
        tostring(own)
        debug.sethook()
        table.sort(log)
        assert.same({ "awake", "done" }, log)
        ask()
        on_collection(poll)
        debug.sethook(function() end, "c")
        collectgarbage()
        collectgarbage()
        debug.sethook()
        table.sort(log)
        assert.same({ "awake", "done", "done" }, log)
        assert.equal(0, polls)
        own:close()
    end)

    it("that comes again and again does not keep poll from returning", function()
        local own, events, result = new(), 0, nil
        coroutine.wrap(function()
            result = own:submit(params()):await()
        end)()
        local thread = coroutine.create(function()
            return own:poll(1)
        end)
        debug.sethook(thread, function()
            events = coroutine.running() == thread and events + 1 or events
            if events > 2 and coroutine.running() == thread then -- not the calls of that and of poll
                error("interrupted", 0)
            end
        end, "c")
        assert.same({ false, "interrupted" }, { coroutine.resume(thread) })
        debug.sethook(thread)
        debug.sethook()
        assert.same({}, run(own))
        assert.equal("ABC", result.data[1].bytes)
        own:close()
    end)
end)

-- ---- the end of a client ------------------------------------------------------------------------

describe("__gc, called by hand,", function()
    local function finalize(own)
        getmetatable(own).__gc(own)
    end

    it("closes the client, twice too", function()
        local own, called = new(), false
        local request = own:submit(slow(5), function()
            called = true
        end)
        own:poll(0.05)
        finalize(own)
        finalize(own)
        assert.equal("done", request:status())
        assert.equal("cancelled", select(2, request:wait()).kind)
        assert.equal(0, own:poll())
        assert.is_false(request:cancel())
        assert.matches("is closed", select(2, own:generate "x").message)
        assert.matches("%(closed%)$", tostring(own))
        own:close()
        finalize(own)
        assert.is_false(called)
    end)

    it("lets go of the requests, though the client is held", function()
        for _, when in ipairs { "queued", "sending", "inside" } do
            local own, made = new(), nil
            local held = setmetatable({}, { __mode = "v" })
            for i = 1, 3 do
                held[i] = own:submit(params({ hold = when == "sending" and 5 or 0, body = PICTURE }, {
                    on_image = when == "inside" and function()
                        made = held[1]:status()
                        finalize(own)
                    end or nil,
                }))
            end
            if when ~= "queued" then
                own:poll(when == "sending" and 0.05 or 5)
            end
            finalize(own)
            collectgarbage()
            collectgarbage()
            assert.same({ when, 0 }, { when, #held })
            assert.is_true(made ~= nil or when ~= "inside")
        end
    end)

    it("of what a request holds inside, ends that request", function()
        local own, called = new { max_concurrency = 1 }, false
        local request = own:submit(params(), function()
            called = true
        end)
        own:poll()
        local box = (debug.getuservalue or debug.getfenv)(request).box
        getmetatable(box).__gc(box)
        assert.equal("ABC", assert(own:generate(params())).data[1].bytes) -- there is room again
        assert.equal(0, own:poll())
        assert.is_false(called)
        own:close()
    end)

    it("of that by its done, leaves those that cannot be told", function()
        local own, request = new(), nil
        local function interrupt()
            debug.sethook()
            error("interrupted", 0)
        end
        request = own:submit(params(), function()
            local box = (debug.getuservalue or debug.getfenv)(request).box
            getmetatable(box).__gc(box)
            debug.sethook(interrupt, "c") -- before the coroutine is resumed
        end)
        local thread = coroutine.create(request.await)
        assert(coroutine.resume(thread, request))
        assert.same({ "interrupted" }, run(own))
        assert.equal("suspended", coroutine.status(thread))
        own:close()
    end)
end)

describe("a finalizer that waits", function()
    it("gets the result", function()
        local own, response = new(), nil
        local request = own:submit(slow(0.05))
        on_collection(function()
            response = request:wait(10)
        end)
        collectgarbage()
        collectgarbage()
        assert.equal("ABC", response.data[1].bytes)
        own:close()
    end)
end)

-- ---- a request that ends while another of its own is on the way ----------------------------------

describe("cancel, in on_image", function()
    local CHAT = '{"choices":[{"message":{"images":[{"image_url":{"url":"data:image/png;base64,QUJD"}}]}}]}'

    -- The second picture comes with the end of the first one's request, which is told behind it.
    it("is told as such while one part has ended and another is in the queue", function()
        local own = new { max_concurrency = 2 }
        local images, result, cancelled, gate = 0, nil, nil, mirrors.gate()
        local request
        request = own:submit(params({ id = "parts", answers = {
            { body = CHAT }, { body = CHAT, id = "second-part", gate = gate.path, close = true },
        } }, {
            via = "chat", model = "gemini-2.5-flash-image", n = 3,
            on_image = function()
                images = images + 1
                if images == 2 then
                    cancelled = { request:cancel(), request:cancel() }
                end
            end,
        }), function(...)
            result = { ... }
        end)
        local deadline = system.monotime() + 60
        repeat
            own:poll()
        until images == 1 or system.monotime() > deadline
        gate:open()
        assert(mirror:await "ended second%-part\n") -- the second has come, too
        gate:remove()
        assert.same({}, run(own))
        assert.same({ true, false }, cancelled)
        assert.is_nil(result[1])
        assert.same({ "cancelled", "the request was cancelled", true, 2 },
            { result[2].kind, result[2].message, result[2].maybe_billed, #result[2].data })
        own:close()
    end)

    -- The client lets go of a request once, though it hears of its end a second time. (The sanitizer sees it.)
    it("is told once when the other one had news before its end, and both had to wait", function()
        for _, finish in ipairs { "cancel", "close", "finalize" } do
            local own, gate, told, request = new(), mirrors.gate(), 0, nil
            request = own:submit(params({ id = "news-" .. finish, answers = {
                { body = CHAT }, { pieces = { "HTTP/1.1 200 OK\r\n\r\n" .. CHAT:sub(1, 20), CHAT:sub(21) }, gate = gate.path },
            } }, {
                via = "chat", model = "gemini-2.5-flash-image", n = 2,
                on_progress = function() end,
                on_image = function()
                    while request:progress() < #CHAT + 20 do
                        own:poll(0.1)
                    end
                    if finish == "cancel" then
                        request:cancel()
                    elseif finish == "close" then
                        own:close()
                    else
                        getmetatable(own).__gc(own)
                    end
                    own:poll(0.1)
                end,
            }), function(response, err)
                told = told + 1
                err = err or response.errors[1]
                assert.same({ "cancelled", true }, { err.kind, err.maybe_billed })
            end)
            assert.same({}, run(own))
            assert.same({ finish, finish == "finalize" and 0 or 1 }, { finish, told })
            gate:open()
            own:close()
            own, request = nil, nil -- luacheck: ignore 311
            collectgarbage()
            collectgarbage()
            gate:remove()
        end
    end)

    it("is so too when everything has come", function()
        local own, kind, request = new(), nil, nil
        request = own:submit(params(nil, {
            on_image = function()
                assert.is_true(request:cancel())
            end,
        }), function(_, err)
            kind = err.kind
        end)
        own:poll(0.2)
        assert.same({}, run(own))
        assert.equal("cancelled", kind)
        own:close()
    end)
end)
