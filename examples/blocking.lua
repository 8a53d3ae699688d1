-- One picture, the plain way: ask, wait, save.
--
--     luajit bin/thucchien emulator --port 8090                   # in another terminal
--     export THUCCHIEN_BASE_URL=http://127.0.0.1:8090 THUCCHIEN_API_KEY=sk-emulator
--     LUA_CPATH="build/lua5.4/?.so;;" lua5.4 examples/blocking.lua [PROMPT [FILE]]

local thucchien = require "thucchien"

local prompt, file = arg[1] or "a lighthouse at dusk", arg[2] or "lighthouse"

local response, err = thucchien.generate { prompt = prompt, aspect_ratio = "16:9" }
if not response then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
end
local image = response.data[1]
print(assert(image:save(file)), image.width .. "x" .. image.height)
