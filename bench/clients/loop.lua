-- loop.lua BASE CONCURRENT ROUNDS: what the module takes of a libuv loop, Neovim's say. A round is CONCURRENT
-- requests of four pictures at once. Prints for each turn that it gets microseconds of CPU and of the wall's clock.

local thucchien = require "thucchien"
local uv = require "luv"

local base, concurrent, rounds = arg[1], tonumber(arg[2]), tonumber(arg[3])

local client = assert(thucchien.new { base_url = base, api_key = "sk-bench", max_concurrency = 1000 })

-- The adapter sees this in the client's place.
local watched = {}

function watched.set_driver(_, driver)
    client:set_driver(driver)
end

function watched.action(_, ...)
    local cpu, wall = os.clock(), uv.hrtime()
    client:action(...)
    print(("%.1f %.1f"):format((os.clock() - cpu) * 1e6, (uv.hrtime() - wall) / 1e3))
end

require("thucchien.uv").attach(watched, uv)
for _ = 1, rounds do
    for _ = 1, concurrent do
        assert(client:submit({ prompt = "x", n = 4, model = "bench", on_image = function() end }, function(_, err)
            if err then
                error(tostring(err), 0)
            end
        end))
    end
    uv.run()
end
client:close()
