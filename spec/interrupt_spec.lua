-- Errors that no function of the caller's raises by itself: those of debug hooks, which is what Ctrl-C is, of
-- finalizers, and of a stack that is full. They reach whoever called, and are taken for nothing else.

local fixtures = require "spec.support.fixtures"
local on_collection = require "spec.support.on_collection"
local support = require "spec.support.requests"
local thucchien = require "thucchien"

local params, KEY = support.params, support.KEY

local mirror

teardown(function() debug.sethook() end)
fixtures.mirror(function(started) mirror = started end)

-- Has a hook raise an error at its `moment`-th event.
local function interrupt(mask, count, moment)
    local events = 0
    debug.sethook(function()
        events = events + 1
        if events == moment then
            debug.sethook()
            error("interrupted", 0)
        end
    end, mask, count)
end

-- Calls what is given, with an interrupt at the `moment`-th call of a function in there. Returns whether there was so
-- late a one, and what pcall does.
local function call_interrupted(moment, body, ...)
    local ended, first, second
    local ok, err = pcall(function(...)
        interrupt("c", nil, moment)
        first, second = body(...)
        ended = true
        debug.sethook()
    end, ...)
    debug.sethook()
    local came = not ok
    if ended then
        return came, true, first, second
    end
    return came, false, err
end

describe("an interrupt", function()
    it("reaches the caller from inside the function for the key", function()
        for _, mask in ipairs { "c", "l", "" } do
            local own = assert(thucchien.new { base_url = mirror.url, api_key = function()
                interrupt(mask, mask == "" and 1 or nil, 1)
                local key = KEY
                return tostring(key)
            end })
            for _, name in ipairs { "generate", "submit" } do
                local ok, err = pcall(own[name], own, "x")
                assert.same({ false, "interrupted" }, { ok, err })
            end
            own:close()
        end
    end)

    it("is no error of the function for the key, wherever that runs", function()
        local own = assert(thucchien.new { base_url = mirror.url, api_key = function()
            error("no keyring here", 0)
        end })
        local kinds = {}
        local function ask()
            local _, err = own:generate "x"
            kinds[#kinds + 1] = err and tostring(err)
        end
        ask()
        debug.sethook(function() -- where no hooks are called
            debug.sethook()
            ask()
        end, "", 1)
        local _ = 1 + #kinds
        debug.sethook()
        on_collection(ask)
        collectgarbage()
        collectgarbage()
        local expected = "authentication: the function for the API key failed: no keyring here"
        assert.same({ expected, expected, expected }, kinds)
        own:close()
    end)

    -- Wherever a function is called: lua-cjson's safe functions, for one, catch whatever is raised inside them.
    it("is taken for no failure of the request", function()
        local moment = 0
        local came, ok, response, err
        repeat
            moment = moment + 1
            local own = support.client(mirror)
            came, ok, response, err = call_interrupted(moment, own.generate, own, params())
            assert(not ok or response, "at call " .. moment .. ": " .. tostring(err))
            own:close()
        until not came
        assert.is_true(moment > 10)
    end)
end)

describe("a hook that makes coroutines", function()
    it("leaves them its own hook, wherever it is called", function()
        local own, threads = support.client(mirror), {}
        local told = false
        local function call()
            return tostring "x"
        end
        assert(own:submit(params(), function()
            told = true
        end))
        repeat
            debug.sethook(function()
                threads[#threads + 1] = coroutine.create(call)
            end, "c")
            local left = own:poll(0.01)
            debug.sethook()
        until left == 0
        assert.is_true(told)
        for _, thread in ipairs(threads) do
            assert.is_true(coroutine.resume(thread))
        end
        own:close()
    end)
end)

describe("a full stack", function()
    it("is said to be one", function()
        local own, reached, others = support.client(mirror), 0, {}
        local function deeper()
            reached = reached + 1
            local ok, request, err = pcall(own.submit, own, params())
            if not ok then
                others[tostring(request):match "stack overflow" or tostring(request)] = true
            elseif not request then
                others[tostring(err)] = true
            else
                request:cancel()
            end
            if reached < 300 then
                pcall(deeper) -- one step nearer to the end of C's stack
            end
        end
        deeper()
        others["stack overflow"] = nil -- not in LuaJIT
        assert.same({}, others)
        own:close()
    end)
end)
