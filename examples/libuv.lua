-- In a libuv loop (luv; in Neovim vim.uv is found by itself): the loop watches the sockets.
--
--     apt install lua-luv
--     luajit bin/thucchien emulator --port 8090                   # in another terminal
--     export THUCCHIEN_BASE_URL=http://127.0.0.1:8090 THUCCHIEN_API_KEY=sk-emulator
--     LUA_PATH="lua/?.lua;;" LUA_CPATH="build/luajit/?.so;;" luajit examples/libuv.lua

local thucchien = require "thucchien"
local uv = require "luv"

local client = assert(thucchien.new())
require("thucchien.uv").attach(client, uv)

-- Something else that the loop does, and goes on doing.
local ticks = 0
local clock = uv.new_timer()
clock:start(0, 20, function()
    ticks = ticks + 1
end)

local left = 2
for _, prompt in ipairs { "a lighthouse", "rice terraces" } do
    assert(client:submit({ prompt = prompt, save = prompt:gsub("%W+", "-") }, function(response, err)
        print(response and response.data[1].path or err)
        left = left - 1
        if left == 0 then
            clock:close()
        end
    end))
end

uv.run() -- until nothing is left to do
print(ticks > 0 and "the clock went on" or "the clock stood still")
