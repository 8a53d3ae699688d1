-- luasocket.lua BASE COUNT [OUT]: luasocket, lua-cjson and mime; a connection per request, as
-- luasocket has it.

local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local mime = require "mime"

local base, count, out = arg[1], tonumber(arg[2]), arg[3]

local function generate()
    local body = cjson.encode { prompt = "x", n = 4, model = "bench" }
    local parts = {}
    local ok, status = http.request {
        url = base .. "/images/generations",
        method = "POST",
        headers = {
            ["Authorization"] = "Bearer sk-bench",
            ["Content-Type"] = "application/json",
            ["Content-Length"] = #body,
        },
        source = ltn12.source.string(body),
        sink = ltn12.sink.table(parts),
    }
    assert(ok and status == 200, status)
    local images = {}
    for index, item in ipairs(cjson.decode(table.concat(parts)).data) do
        images[index] = mime.unb64(item.b64_json)
    end
    return images
end

for i = 1, count do
    local images = generate()
    if out and i == count then
        for index, image in ipairs(images) do
            local file = assert(io.open(out .. "/" .. index, "wb"))
            assert(file:write(image))
            file:close()
        end
    end
end
