-- In a cqueues controller, beside lua-http: each coroutine reads as if it waited.
--
--     apt install lua-cqueues
--     luajit bin/thucchien emulator --port 8090                   # in another terminal
--     export THUCCHIEN_BASE_URL=http://127.0.0.1:8090 THUCCHIEN_API_KEY=sk-emulator
--     LUA_PATH="lua/?.lua;;" LUA_CPATH="build/luajit/?.so;;" luajit examples/cqueues.lua

local cqueues = require "cqueues"
local thucchien = require "thucchien"

local queue = cqueues.new()
local client = assert(thucchien.new())
require("thucchien.cqueues").attach(client, queue)

-- Something else that the controller does.
local left, ticks = 2, 0
queue:wrap(function()
    while left > 0 do
        ticks = ticks + 1
        cqueues.sleep(0.02)
    end
end)

for _, prompt in ipairs { "a lighthouse", "rice terraces" } do
    queue:wrap(function()
        local request = assert(client:submit { prompt = prompt, save = prompt:gsub("%W+", "-") })
        local response, err = request:await()
        print(response and response.data[1].path or err)
        left = left - 1
    end)
end

assert(queue:loop())
print(ticks > 0 and "the clock went on" or "the clock stood still")
