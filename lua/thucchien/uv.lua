-- Drives a client by libuv: in Neovim (vim.uv, vim.loop), in luvit, or with luv in any Lua.
--
--     local client = assert(thucchien.new())
--     require("thucchien.uv").attach(client)
--     client:submit("a lighthouse at dusk", function(response, err) … end)
--
-- The module says which sockets it waits for and when it wants to be called; libuv watches them. In Neovim
-- everything runs outside the fast context, so functions of the user's may call the whole of its API.

local adapter = {}

local vim = rawget(_G, "vim") -- with a strict _G, `vim` alone could raise an error
local TICK = 5 -- milliseconds between two looks at the sockets that are to become writable

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

local function keys(set)
    local list = {}
    for key in pairs(set) do
        list[#list + 1] = key
    end
    return list
end

local function close(handle)
    if handle and not handle:is_closing() then
        handle:close()
    end
end

---Lets libuv drive the client from now on; the functions of its requests are called from libuv's loop. Closing
---the client closes all handles; let the loop run once after that, or some versions of luv crash at the program's end.
---Returns a function that detaches the client before it is closed.
---@param client thucchien.client
---@param uv? table  # vim.uv, vim.loop or luv; found by itself if not given
---@return fun() detach
function adapter.attach(client, uv)
    uv = uv or find_uv()
    local schedule = vim and vim.schedule_wrap or at_once
    local readers = {} -- socket -> uv_poll_t
    local writers = {} -- socket -> true
    local ticker, timer

    -- If a socket has an error, a refused connection for instance, libuv reports it as a closed file, and luv prints
    -- that, in Neovim over the text. So libuv watches sockets only for reading. Sockets that are to become writable,
    -- as one that connects, are looked at by a timer.
    local ticking = false -- a tick is scheduled: a busy editor gets no second one
    local tick = schedule(function()
        ticking = false
        for _, socket in ipairs(keys(writers)) do
            if writers[socket] then
                client:action(socket, "w")
            end
        end
    end)

    local function watch_writing(socket, wanted)
        writers[socket] = wanted or nil
        if not next(writers) then
            close(ticker)
            ticker = nil
        elseif not ticker then
            ticker = uv.new_timer()
            ticker:start(TICK, TICK, function()
                if not ticking then
                    ticking = true
                    tick()
                end
            end)
        end
    end

    -- libuv reports a ready socket again and again until somebody reads from it, and in Neovim that happens
    -- later, outside the fast context. So a handle is stopped when it reports, until the client has been called.
    local start
    function start(reader, socket)
        local act = schedule(function()
            if readers[socket] ~= reader then
                return -- forgotten in the meantime
            end
            start(reader, socket)
            client:action(socket, "r") -- if it has failed, libcurl finds out
        end)
        reader:start("r", function()
            reader:stop()
            act()
        end)
    end

    local function watch_reading(socket, wanted)
        local reader = readers[socket]
        if not wanted then
            readers[socket] = nil
            close(reader)
        elseif not reader then
            reader = assert(uv.new_socket_poll(socket))
            readers[socket] = reader
            start(reader, socket)
        end
    end

    local driver = {}

    function driver.watch(socket, events)
        watch_writing(socket, events and events:find "w" ~= nil)
        watch_reading(socket, events and events:find "r" ~= nil)
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
        -- Not 0: while timers of 0 start one another, libuv serves nothing else.
        timer:start(math.max(milliseconds, 1), 0, on_timer)
    end

    client:set_driver(driver)
    return function()
        client:set_driver(nil)
    end
end

return adapter
