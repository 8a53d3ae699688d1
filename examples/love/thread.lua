-- One request in a thread of its own, with a call that waits. Channels take its pictures along.
-- luacheck: globals love

local id, params = ...
local client = require "gateway"()
local files, news = love.thread.getChannel "files", love.thread.getChannel "news"
local cancel = love.thread.getChannel("cancel " .. id)

function params.on_image(image, index)
    local name = "picture." .. (image.ext or "png")
    files:push { id = id, index = index, file = love.filesystem.newFileData(image.bytes, name) }
end

function params.on_progress(received, total)
    news:push { id = id, received = received, total = total }
end

local request, err = client:submit(params)
local response
while request and not response do
    response, err = request:wait(0.1) -- or client:generate(params), where nobody wants to cancel
    if request:status() == "done" then
        break
    elseif cancel:pop() then
        request:cancel()
    end
end
news:push {
    id = id,
    count = #((response or err).data or {}),
    failure = not response and tostring(err) or nil,
}
client:close()
