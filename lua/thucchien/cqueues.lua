-- Drives a client by a cqueues controller, beside lua-http and whatever else runs in it.
--
--     local queue = cqueues.new()
--     queue:wrap(function()
--         local client = assert(thucchien.new())
--         require("thucchien.cqueues").attach(client, queue)
--         local request = assert(client:submit "a lighthouse at dusk")
--         local response, err = request:await()
--     end)
--     assert(queue:loop())
--
-- Each socket that the module waits for has a coroutine of its own in the controller, and so has the timer.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local socket_library = require "cqueues.socket"

local adapter = {}

-- What cqueues waits for: any object with these three methods.
local pollable = {}
pollable.__index = pollable

function pollable:pollfd()
    return self.copy:pollfd()
end

function pollable:events()
    return self.wanted
end

function pollable.timeout()
    return nil
end

---Lets a controller drive the client from now on; the functions of its requests are called from the
---controller's loop. Returns a function that detaches; closing the client detaches it too.
---@param client thucchien.client
---@param queue? table  # a controller; the running one if not given
---@return fun() detach
function adapter.attach(client, queue)
    queue = queue or assert(cqueues.running())
    local watched = {} -- socket -> pollable
    local due, timer_runs -- when the timer fires; whether its coroutine runs
    local changed_due = condition.new()

    -- An error of a function of the user's goes to whoever runs the controller. It must not end the coroutine that
    -- serves a socket, or the timer: other requests need them.
    local function act(...)
        local ok, err = pcall(client.action, client, ...)
        if not ok then
            queue:wrap(error, err, 0)
        end
    end

    local function watch(object)
        while watched[object.socket] == object do
            -- The condition wakes it when the client wants something else of this socket.
            local ready = cqueues.poll(object, object.changed)
            if ready == object and watched[object.socket] == object then
                act(object.socket, object.wanted)
            end
        end
    end

    local driver = {}

    function driver.watch(socket, events)
        local object = watched[socket]
        if not events then
            watched[socket] = nil
            if object then
                object.copy:close()
                object.changed:signal()
            end
            return
        end
        if object then
            object.wanted = events
            object.changed:signal()
            return
        end
        -- A controller must be told before a socket is closed, but libcurl closes its sockets without telling us.
        -- So the controller gets a duplicate of the socket, which is closed above.
        object = setmetatable({
            socket = socket, copy = assert(socket_library.dup(socket)), wanted = events, changed = condition.new(),
        }, pollable)
        watched[socket] = object
        queue:wrap(watch, object)
    end

    local function run_timer()
        while due do
            local left = due - cqueues.monotime()
            if left > 0 then
                cqueues.poll(changed_due, left)
            else
                due = nil
                act()
                cqueues.poll(0) -- `due` may be now again: other coroutines run first
            end
        end
        timer_runs = false
    end

    function driver.timer(milliseconds)
        due = milliseconds and cqueues.monotime() + milliseconds / 1000
        changed_due:signal()
        if due and not timer_runs then
            timer_runs = true
            queue:wrap(run_timer)
        end
    end

    -- Only a controller may resume its own coroutines. A coroutine that is not a controller's own may simply yield.
    function driver.waiter()
        local _, is_own = cqueues.running()
        if not is_own then
            return nil
        end
        local ended = condition.new()
        return function()
            ended:wait()
        end, function()
            ended:signal()
        end
    end

    client:set_driver(driver)
    return function()
        client:set_driver(nil)
    end
end

return adapter
