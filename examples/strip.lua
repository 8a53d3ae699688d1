-- A strip of four panels with one character: each panel is drawn with those before it in mind.
--
--     luajit bin/thucchien emulator --port 8090                   # in another terminal
--     export THUCCHIEN_BASE_URL=http://127.0.0.1:8090 THUCCHIEN_API_KEY=sk-emulator
--     LUA_CPATH="build/lua5.4/?.so;;" lua5.4 examples/strip.lua [DIRECTORY [PICTURE]]
--
-- PICTURE is the character, if there is one already. The panels go to DIRECTORY (or here), with a page that
-- shows them in a row.

local thucchien = require "thucchien"

local directory, picture = arg[1] or ".", arg[2]

local PANELS = {
    "a small fox in a scarf by a lighthouse, at dusk",
    "the same fox in the rain, at noon",
    "the same fox at night, under the stars",
    "the same fox in the snow, in the morning",
}

local client = assert(thucchien.new { model = "gemini-2.5-flash-image" })
local history, names = {}, {}
for number, prompt in ipairs(PANELS) do
    local response, err = client:generate {
        prompt = prompt,
        aspect_ratio = "1:1",
        images = picture and { { path = picture } },
        history = history,
    }
    if not response then
        error(tostring(err))
    end
    local path = assert(response.data[1]:save(directory .. "/panel-" .. number))
    names[number] = path:match "[^/]+$"
    history[number] = response
    print(path)
end
client:close()

local page = assert(io.open(directory .. "/strip.html", "w"))
assert(page:write('<!DOCTYPE html>\n<title>A strip</title>\n<body style="display: flex; gap: 1%; margin: 1%">\n'))
for number, name in ipairs(names) do
    assert(page:write(('<img src="%s" alt="%s" style="width: 24%%">\n'):format(name, PANELS[number])))
end
assert(page:close())
