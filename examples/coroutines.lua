-- Several conversations at once, each written as if it waited: await yields, poll goes on with it.
--
--     luajit bin/thucchien emulator --port 8090                   # in another terminal
--     export THUCCHIEN_BASE_URL=http://127.0.0.1:8090 THUCCHIEN_API_KEY=sk-emulator
--     LUA_CPATH="build/lua5.4/?.so;;" lua5.4 examples/coroutines.lua

local thucchien = require "thucchien"

local client = assert(thucchien.new())

-- A picture, and then another one that depends on the first.
local function story(subject)
    local file = subject:gsub("%W+", "-")
    for chapter, mood in ipairs { "at dawn", "in a storm" } do
        local request = assert(client:submit(subject .. " " .. mood))
        local response, err = request:await()
        if not response then
            error(tostring(err), 0)
        end
        print(assert(response.data[1]:save(file .. "-" .. chapter)))
    end
end

for _, subject in ipairs { "a lighthouse", "a fishing boat" } do
    coroutine.wrap(story)(subject)
end
while client:poll(1) > 0 do end -- an error of a story is raised here
