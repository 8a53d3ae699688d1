-- thucchien_upload.lua BASE COUNT DIRECTORY [OUT]: this module, five reference pictures (DIRECTORY/1 to 5) with each
-- request; with OUT how many bytes the server says it has read goes to the file OUT/length. With a COUNT of 1 the
-- pictures are named by their paths; else they are read once.

local thucchien = require "thucchien"

local base, count, directory, out = arg[1], tonumber(arg[2]), arg[3], arg[4]

local images = {}
for i = 1, 5 do
    images[i] = { path = directory .. "/" .. i }
    if count > 1 then
        local file = assert(io.open(images[i].path, "rb"))
        images[i] = file:read "*a"
        file:close()
    end
end

local client = assert(thucchien.new { base_url = base, api_key = "sk-bench" })
for i = 1, count do
    local response, err = client:generate { prompt = "x", model = "bench", via = "chat", images = images }
    if not response then
        error(tostring(err))
    end
    if out and i == count then
        local file = assert(io.open(out .. "/length", "wb"))
        assert(file:write(response.length))
        file:close()
    end
end
client:close()
