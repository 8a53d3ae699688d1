-- thucchien_chat.lua BASE COUNT [OUT]: this module, a picture from the chat route.

local thucchien = require "thucchien"

local base, count, out = arg[1], tonumber(arg[2]), arg[3]

local client = assert(thucchien.new { base_url = base, api_key = "sk-bench" })
for i = 1, count do
    local response, err = client:generate { prompt = "x", model = "bench", via = "chat" }
    if not response then
        error(tostring(err))
    end
    if out and i == count then
        local file = assert(io.open(out .. "/1", "wb"))
        assert(file:write(response.data[1].bytes))
        file:close()
    end
end
client:close()
