-- Pictures by client:poll(0), once a frame. Nothing here waits.
-- luacheck: globals love

local client = require "gateway"()
local files = love.thread.getChannel "files"
local underway = {} -- id -> request

local polled = {}

---Asks for pictures. They go to the decoder as they come; `take.progress` and `take.ended`, with
---how many there were, are called from update.
function polled.ask(id, params, take)
    params.on_image = function(image, index)
        local name = "picture." .. (image.ext or "png")
        files:push { id = id, index = index, file = love.filesystem.newFileData(image.bytes, name) }
    end
    params.on_progress = take.progress
    local request, err = client:submit(params, function(response, failure)
        underway[id] = nil
        take.ended(#((response or failure).data or {}), failure and tostring(failure))
    end)
    if not request then -- the params were wrong, and nothing was sent
        return take.ended(0, tostring(err))
    end
    underway[id] = request
end

function polled.update()
    client:poll(0)
end

function polled.cancel()
    for _, request in pairs(underway) do
        request:cancel() -- `take.ended` is told by the next poll
    end
end

function polled.close()
    client:close()
end

return polled
