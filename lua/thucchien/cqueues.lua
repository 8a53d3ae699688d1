-- Drives a client by a cqueues controller, beside lua-http and whatever else runs in it.
--
--     local queue = cqueues.new()
--     queue:wrap(function()
--         local client = assert(thucchien.new())
--         require("thucchien.cqueues").attach(client, queue)
--         local response, err = client:submit("a lighthouse at dusk"):await()
--     end)
--     assert(queue:loop())
--
-- Each socket that the module waits for has a coroutine of its own in the controller, and so has the timer.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"

local adapter = {}

-- What cqueues waits for: any object with these three methods.
local pollable = {}
pollable.__index = pollable

function pollable:pollfd()
    return self.socket
end

function pollable:events()
    return self.wanted
end

function pollable.timeout()
    return nil
end

---Lets a controller drive the client from now on; the functions of its requests are called from the
---controller's loop. Returns a function that detaches; closing the client lets go of everything too.
---@param client thucchien.client
---@param queue? table  # a controller; the running one if not given
---@return fun() detach
function adapter.attach(client, queue)
    queue = queue or assert(cqueues.running())
    local watched = {} -- socket -> pollable
    local moment, timer_runs
    local moved = condition.new()

    local function watch(object)
        while watched[object.socket] == object do
            -- The condition wakes it when the client wants something else of this socket.
            local ready = cqueues.poll(object, object.changed)
            if ready == object and watched[object.socket] == object then
                client:action(object.socket, object.wanted)
            end
        end
    end

    local driver = {}

    function driver.watch(socket, events)
        local object = watched[socket]
        if not events then
            watched[socket] = nil
            if object then
                -- The socket may be closed already, and its number come back as another one.
                cqueues.cancel(socket)
                object.changed:signal()
            end
            return
        end
        if object then
            object.wanted = events
            object.changed:signal()
            return
        end
        object = setmetatable({ socket = socket, wanted = events, changed = condition.new() }, pollable)
        watched[socket] = object
        queue:wrap(watch, object)
    end

    local function run_timer()
        while moment do
            local left = moment - cqueues.monotime()
            if left > 0 then
                cqueues.poll(moved, left)
            else
                moment = nil
                client:action()
            end
        end
        timer_runs = false
    end

    function driver.timer(milliseconds)
        moment = milliseconds and cqueues.monotime() + milliseconds / 1000
        moved:signal()
        if moment and not timer_runs then
            timer_runs = true
            queue:wrap(run_timer)
        end
    end

    client:set_driver(driver)
    return function()
        client:set_driver(nil)
    end
end

return adapter
