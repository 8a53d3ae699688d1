-- Every method, called from every place where Lua may run inside another one: see spec/reentry_spec.lua.
--
--     lua spec/reentry/attack.lua URL RUNNER STEP MODE [ACTION]
--
-- One request in MODE is made again and again, and each time ACTION happens at another moment of its life: where the
-- collector finalizes something (RUNNER finalizer), where a debug hook is called (call, line, count), or where the
-- module calls a function of ours (function). STEP 1 takes every moment; without ACTION all are done. It prints the
-- number of runs when nothing was lost, told twice, or waited for without end, and else what went wrong.
--
-- A program of its own, with little in it: there is a whole collection wherever Lua looks whether one is due.

local url, runner, step, mode, only = arg[1], arg[2], tonumber(arg[3]), arg[4], arg[5]

-- lua-cjson loses its buffer where a finalizer raises an error; then ours has to serve.
if runner == "finalizer" then
    package.preload["cjson.safe"] = error
end
local on_collection = require "spec.support.on_collection"
local thucchien = require "thucchien"

local action -- what is done

local KEY = "sk-specs-0123456789abcdef"
local PICTURE = '{"data":[{"b64_json":"QUJD"}]}'
local LARGE = ("QUJD"):rep(60000) -- 180,000 bytes: three chunks for a sink

local function json(text)
    return '"' .. text:gsub('["\\]', "\\%0") .. '"'
end

-- What the server is to answer, in the params or in an address: lua-cjson has to be asked for nothing here.
local function escape(text)
    return (text:gsub("[^%w]", function(character)
        return ("%%%02X"):format(character:byte())
    end))
end

local function images(...)
    local list = {}
    for i, base64 in ipairs { ... } do
        list[i] = '{"b64_json":"' .. base64 .. '"}'
    end
    return '{"data":[' .. table.concat(list, ",") .. "]}"
end

local modes = {
    bytes = { answer = { body = images("QUJD", "QUJE") }, want = 2 },
    sink = { answer = { body = images(LARGE, "QUJE") }, want = 2, sink = true },
    save = { answer = { body = images(LARGE) }, want = 1, save = true },
    parts = {
        answer = { body = '{"choices":[{"message":{"images":[{"image_url":{"url":"data:image/png;base64,QUJD"}}]}}]}' },
        want = 2, params = { via = "chat", model = "gemini-2.5-flash-image", n = 2 },
    },
    address = {
        answer = { body = '{"data":[{"url":' .. json(url .. "/picture.png?mirror=" .. escape('{"body":"GIF89aAAAA   ;"}')) .. "}]}" },
        want = 1,
    },
    refused = { answer = { status = 400, body = '{"error":{"message":"no"}}' }, want = "invalid_request" },
    cut = { answer = { body = images("QUJD"):sub(1, -3) }, want = "bad_response" },
    driven = { answer = { body = images("QUJD") }, want = 1, driven = true },
    call = { call = { path = "/any", body = { mirror = { body = '{"a":1}' } } }, want = "call" },
}
local chosen = assert(modes[mode], mode)
local save_path = chosen.save and os.tmpname() or nil

-- ---- one life -----------------------------------------------------------------------------------

local life -- what is under way

local function problem(format, ...)
    error(("%s, %s at %s %d: "):format(mode, action, runner, life.moment) .. format:format(...), 0)
end

local function start_another(done)
    local other = {}
    life.others[other] = true
    local request, err = life.client:submit({ prompt = "x", extra_body = { mirror = { body = PICTURE } } }, function(...)
        life.others[other] = nil
        if done then
            done(...)
        end
    end)
    if not request then
        life.others[other] = nil
        if err.message ~= "the client is closed; make another with thucchien.new" then
            problem("another request: %s", tostring(err))
        end
    end
    return request
end

-- A result is one that the request may have, or the mark of what was done to it.
local function check_result(response, err, what)
    if response then
        local got = chosen.want == "call" and response.a == 1 and "call" or response.data and #response.data
        local fewer = life.ended and mode == "parts" and got == 1 and #response.errors >= 1
        if got ~= chosen.want and not fewer then
            problem("%s: a result with %s", what, tostring(got))
        end
        return
    end
    if type(err) ~= "table" or type(err.kind) ~= "string" then
        problem("%s: no result, and %s", what, tostring(err))
    end
    local ended = life.ended and (err.kind == "cancelled" or err.kind == "bad_response")
    if err.kind ~= chosen.want and not ended then
        problem("%s: %s (%s)", what, tostring(err), err.kind)
    end
end

-- What is done. Each may be the one that ends it; all are told what they may get.
local actions = {}

function actions.wait(request)
    local ok, response, err = pcall(request.wait, request, 10)
    if ok then
        check_result(response, err, "wait")
    elseif not tostring(response):find("cannot be waited for by its own functions", 1, true) then
        problem("wait: %s", tostring(response))
    end
end

function actions.await(request)
    local waiter = {} -- not a number: a hook may come between reading and writing that
    life.awaits[waiter] = true
    coroutine.wrap(function()
        local response, err = request:await()
        life.awaits[waiter] = nil
        check_result(response, err, "await")
    end)()
end

function actions.look(request)
    assert(type(request:status()) == "string")
    assert(type((request:progress())) == "number")
    assert(type(request:warnings()) == "table")
    assert(tostring(request):find "^thucchien.request")
    assert(tostring(life.client):find "^thucchien.client")
end

function actions.poll()
    life.client:poll()
    life.client:poll(0.001)
    life.client:action()
end

function actions.submit()
    start_another()
end

function actions.generate()
    local response, err = life.client:generate { prompt = "x", extra_body = { mirror = { body = PICTURE } } }
    if not response and not (life.ended and (err.kind == "cancelled" or err.kind == "invalid_request")) then
        problem("generate: %s", tostring(err))
    end
end

function actions.drive()
    life.client:set_driver { watch = function() end, timer = function() end }
    life.client:set_driver(nil)
end

function actions.cancel(request)
    if request:cancel() then
        life.ended = true
    end
end

function actions.close()
    life.ended = true
    life.client:close()
end

function actions.gc()
    life.ended, life.silent = true, true
    getmetatable(life.client).__gc(life.client)
end

-- Everything, after it was ended: what the request was has to be there still.
local function all(request)
    for _, name in ipairs { "look", "await", "wait", "poll", "drive", "submit", "generate", "look" } do
        actions[name](request)
    end
end

local ends = { cancel = true, close = true, gc = true }

-- What a hook or a finalizer raises, as Ctrl-C does. It may end the coroutine that it falls on, and our own function.
local done

local function interrupt()
    life.ended = true
    local thread, is_main = coroutine.running()
    life.killed = thread and not is_main
    for level = 3, 12 do
        local info = debug.getinfo(level, "f")
        life.told = life.told or info and info.func == done
        life.killed = life.killed or info and info.func == actions.await
    end
    error("interrupted", 0)
end

-- Done where the moment has come. Errors of finalizers are nobody's, and hooks are Lua's own: they are kept.
local function act()
    local request = life.request
    if action == "interrupt" then
        interrupt()
    end
    if not request and action ~= "close" and action ~= "gc" and action ~= "submit" and action ~= "generate"
        and action ~= "poll" and action ~= "drive" then
        return
    end
    local ok, err = pcall(function()
        actions[action](request)
        if ends[action] and request then
            all(request)
        end
    end)
    if not ok then
        life.problem = life.problem or err
    end
end

local runners = {}

-- ---- who acts -----------------------------------------------------------------------------------

-- A whole collection wherever Lua looks whether one is due.
local function collect_always()
    if _VERSION == "Lua 5.4" then
        collectgarbage("incremental", 1, 1000, 20)
    else
        collectgarbage("setpause", 0)
        collectgarbage("setstepmul", 1000000)
    end
    collectgarbage()
end

local function is_moment()
    if not life or not life.inside or life.acted then
        return false
    end
    life.count = life.count + 1
    if life.count < life.moment then
        return false
    end
    life.acted = true
    return true
end

function runners.finalizer()
    local function finalize()
        if is_moment() then
            act()
        elseif life and life.armed and not life.acted then
            on_collection(finalize)
        end
    end
    return function()
        collect_always()
        on_collection(finalize)
    end, function()
        collectgarbage("setpause", 200)
        collectgarbage("setstepmul", 200)
    end
end

local function hook_runner(mask, count)
    return function()
        return function()
            debug.sethook(function()
                if is_moment() then
                    debug.sethook()
                    act()
                end
            end, mask, count)
        end, function()
            debug.sethook()
        end
    end
end

runners.call = hook_runner("c")
runners.line = hook_runner("l")
runners.count = hook_runner("", 1)

runners["function"] = function()
    return function() end, function() end
end

local arm, disarm = runners[runner]()

-- ---- a life -------------------------------------------------------------------------------------

-- A function of the user's: one more moment where that is what acts.
local function called()
    if runner == "function" and is_moment() then
        act()
    end
end

-- Asked through a metatable, so that there is a function of ours while they are read.
local function watched(params)
    return setmetatable({}, { __index = function(_, name)
        called()
        return params[name]
    end })
end

local function make_params()
    local params = {
        prompt = "x", extra_body = { mirror = chosen.answer },
        on_image = function()
            life.images = life.images + 1
            called()
        end,
        on_progress = called,
    }
    if chosen.sink then
        function params.sink(_, chunk)
            life.bytes = life.bytes + (chunk and #chunk or 0)
            called()
        end
    end
    params.save = save_path
    for name, value in pairs(chosen.params or {}) do
        params[name] = value
    end
    return watched(params)
end

function done(response, err)
    life.done = life.done + 1
    check_result(response, err, "done")
    called()
end

local function submit()
    if chosen.call then
        return life.client:call(chosen.call, done)
    end
    return life.client:submit(make_params(), done)
end

-- A loop that is none: the client is polled. A hook between await and its suspension would wake the coroutine before
-- it sleeps, which is for a scheduler to know.
local function make_driver()
    local driver = { watch = called, timer = called }
    if runner == "function" or runner == "finalizer" then
        function driver.waiter()
            local thread = coroutine.running()
            called()
            return coroutine.yield, function()
                assert(coroutine.resume(thread))
                called()
            end
        end
    end
    return driver
end

local MOST = 200 -- polls of at most a twentieth of a second

-- Calls, and takes note of an interrupt that reaches us.
local function try(body, ...)
    local ok, value = pcall(function(...)
        life.inside = life.armed
        local result = body(...)
        life.inside = false
        return result
    end, ...)
    life.inside = false
    if ok then
        return value
    end
    if action ~= "interrupt" or not tostring(value):find("interrupted", 1, true) then
        error(value, 0)
    end
    life.seen = (life.seen or 0) + 1
end

local function drain()
    local polls = 0
    repeat
        local left = try(life.client.poll, life.client, 0.05)
        polls = polls + 1
    until left == 0 or polls == MOST
    return polls
end

local function count(set)
    local size = 0
    for _ in pairs(set) do
        size = size + 1
    end
    return size
end

-- Was everybody told, once?
local function check_told()
    if not life.request or life.silent then
        return
    end
    local told = life.done == 1 or life.told and life.done < 2
    local awaits, others = count(life.awaits), count(life.others)
    if not told or awaits > (life.killed and 1 or 0) or others > 0 then
        problem("done %d times, %d in await, %d others untold", life.done, awaits, others)
    end
    if action == "interrupt" and life.acted and life.seen ~= 1 and not (runner == "finalizer" and _VERSION == "Lua 5.4") then
        problem("the interrupt is seen %d times", life.seen or 0)
    end
end

local function live(moment)
    life = { moment = moment, count = 0, awaits = {}, others = {}, done = 0, images = 0, bytes = 0 }
    life.client = assert(thucchien.new { base_url = url, api_key = function()
        called()
        return KEY
    end })
    if chosen.driven then
        life.client:set_driver(make_driver())
    end
    life.armed = true
    arm()
    life.request = try(submit)
    if life.request then
        try(actions.await, life.request)
    end
    local polls = drain()
    life.armed = false
    disarm()
    polls = math.max(polls, drain()) -- what was done after the last poll
    if life.problem then
        error(life.problem, 0)
    end
    if polls == MOST then
        problem("it does not end")
    end
    check_told()
    if not life.ended and life.request and chosen.sink and life.bytes ~= 180003 then
        problem("%d bytes for the sink", life.bytes)
    end
    if life.request then
        check_result((function()
            local response, err = life.request:wait(0)
            return response, err
        end)())
    end
    local request, acted = setmetatable({ life.request }, { __mode = "v" }), life.acted
    life.client:close()
    life = nil
    collectgarbage()
    collectgarbage()
    if request[1] then
        life = { moment = moment }
        problem("the request is never collected")
    end
    return acted
end

local names = { "wait", "await", "look", "poll", "submit", "generate", "drive", "cancel", "close", "gc", "interrupt" }
local runs = 0
for i, name in ipairs(names) do
    action = name
    local moment = 1 + i % step -- not the same ones for all
    while (not only or only == name) and live(moment) do
        runs = runs + 1
        moment = moment + step
    end
end
if save_path then
    os.remove(save_path)
end
print(runs)
