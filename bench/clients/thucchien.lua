-- thucchien.lua BASE COUNT [OUT]: this module, pictures as Lua strings.

local thucchien = require "thucchien"

local base, count, out = arg[1], tonumber(arg[2]), arg[3]

local client = assert(thucchien.new {
    base_url = base,
    api_key = "sk-bench",
    ca_file = os.getenv "BENCH_CA",
    http2 = os.getenv "BENCH_HTTP2" == "1",
})
for i = 1, count do
    local response, err = client:generate { prompt = "x", n = 4, model = "bench" }
    if not response then
        error(tostring(err))
    end
    if out and i == count then
        for index, image in ipairs(response.data) do
            local file = assert(io.open(out .. "/" .. index, "wb"))
            assert(file:write(image.bytes))
            file:close()
        end
    end
end
client:close()
