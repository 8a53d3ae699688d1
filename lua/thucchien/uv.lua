-- Drives a client by libuv: in Neovim (vim.uv, vim.loop), in luvit, or with luv in any Lua.
--
--     local client = assert(thucchien.new())
--     require("thucchien.uv").attach(client)
--     client:submit("a lighthouse at dusk", function(response, err) … end)
--
-- The module tells which sockets it waits for and when it wants to be called; libuv watches them. In Neovim
-- everything runs outside the fast context, so functions of the user's may call the whole of its API.

local adapter = {}

local function find_uv()
    if vim and (vim.uv or vim.loop) then
        return vim.uv or vim.loop
    end
    local ok, luv = pcall(require, "luv")
    if not ok then
        error("thucchien.uv: no libuv here: Neovim has one, elsewhere install luv", 3)
    end
    return luv
end

local function at_once(callback)
    return callback
end

local function close(handle)
    if handle and not handle:is_closing() then
        handle:close()
    end
end

---Lets libuv drive the client from now on; the functions of its requests are called from libuv's loop. Closing
---the client lets go of all handles. Returns a function that detaches earlier than that.
---@param client thucchien.client
---@param uv? table  # vim.uv, vim.loop or luv; found by itself if not given
---@return fun() detach
function adapter.attach(client, uv)
    uv = uv or find_uv()
    local schedule = vim and vim.schedule_wrap or at_once
    local polls = {} -- socket -> { handle =, events = }
    local timer

    -- libuv reports a ready socket again and again until somebody reads from it, and in Neovim that happens
    -- later, outside the fast context. So a handle rests from its report until the client was told of it.
    local start
    function start(poll, socket)
        local act = schedule(function(failed, ready)
            if polls[socket] ~= poll then
                return -- forgotten in the meantime
            end
            poll.resting = false
            start(poll, socket)
            client:action(socket, failed and poll.events or ready)
        end)
        poll.handle:start(poll.events, function(failed, ready)
            poll.handle:stop()
            poll.resting = true
            act(failed, ready)
        end)
    end

    local driver = {}

    function driver.watch(socket, events)
        local poll = polls[socket]
        if not events then
            polls[socket] = nil
            close(poll and poll.handle)
            return
        end
        if not poll then
            poll = { handle = assert(uv.new_socket_poll(socket)) }
            polls[socket] = poll
        end
        poll.events = events
        if not poll.resting then
            start(poll, socket)
        end
    end

    local on_timer = schedule(function()
        if timer and not timer:is_closing() then
            client:action()
        end
    end)

    function driver.timer(milliseconds)
        if not milliseconds then
            close(timer)
            timer = nil
            return
        end
        timer = timer or uv.new_timer()
        -- Not 0: libuv goes on with timers of 0 that start one another, and serves nothing else meanwhile.
        timer:start(math.max(milliseconds, 1), 0, on_timer)
    end

    client:set_driver(driver)
    return function()
        client:set_driver(nil)
    end
end

return adapter
