-- Makes a client, in the game's own thread or in another: a client belongs to one Lua state.
-- luacheck: globals love

-- In a checkout the module is where `make LUA=luajit` puts it; elsewhere LuaJIT finds it by itself.
local root = love.filesystem.getSource():match "^(.*)[/\\]examples[/\\]love[/\\]?$"
if root then
    package.cpath = root .. "/build/luajit/?.so;" .. package.cpath
end

local thucchien = require "thucchien"

-- Without a key there is only the emulator to ask: luajit bin/thucchien emulator --port 8090
local EMULATOR = { base_url = "http://127.0.0.1:8090", api_key = "sk-emulator" }

return function()
    return assert(thucchien.new(not os.getenv "THUCCHIEN_API_KEY" and EMULATOR or nil))
end
