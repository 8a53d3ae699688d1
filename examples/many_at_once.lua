-- Many pictures at once in one thread, each saved while it arrives. A callback tells of each end.
--
--     luajit bin/thucchien emulator --port 8090                   # in another terminal
--     export THUCCHIEN_BASE_URL=http://127.0.0.1:8090 THUCCHIEN_API_KEY=sk-emulator
--     LUA_CPATH="build/lua5.4/?.so;;" lua5.4 examples/many_at_once.lua [PROMPT...]

local thucchien = require "thucchien"

local prompts = #arg > 0 and arg or { "a lighthouse", "rice terraces", "a river delta", "a bridge in fog" }

-- Four at a time, and no more than sixty starts a minute: the rest wait for their turn.
local client = assert(thucchien.new { max_concurrency = 4, requests_per_minute = 60 })

local failures = 0
for _, prompt in ipairs(prompts) do
    local params = { prompt = prompt, save = prompt:gsub("[^%w]+", "-") }
    assert(client:submit(params, function(response, err)
        if response then
            print(response.data[1].path, ("%.1f s"):format(response.timing.total))
        else
            failures = failures + 1
            io.stderr:write(prompt, ": ", tostring(err), "\n")
        end
    end))
end

repeat -- other work fits in here: poll returns as soon as there is news, or after a tenth of a second
    local active = client:poll(0.1)
until active == 0
os.exit(failures == 0 and 0 or 1)
