-- thucchien_sink.lua BASE COUNT [OUT]: this module, pictures handed on while they arrive.

local thucchien = require "thucchien"

local base, count, out = arg[1], tonumber(arg[2]), arg[3]

local files = {}

local function discard()
    return true
end

local function write(index, chunk)
    if not chunk then
        return files[index]:close()
    end
    files[index] = files[index] or assert(io.open(out .. "/" .. index, "wb"))
    return files[index]:write(chunk)
end

local client = assert(thucchien.new {
    base_url = base,
    api_key = "sk-bench",
    ca_file = os.getenv "BENCH_CA",
    http2 = os.getenv "BENCH_HTTP2" == "1",
})
for i = 1, count do
    local response, err = client:generate {
        prompt = "x",
        n = 4,
        model = "bench",
        sink = out and i == count and write or discard,
    }
    if not response then
        error(tostring(err))
    end
end
client:close()
