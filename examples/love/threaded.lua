-- The same as polled.lua with threads that wait, one a request.
-- luacheck: globals love

local news = love.thread.getChannel "news"
local takes = {} -- id -> take
local threads = {} -- id -> thread; LÖVE collects one that nobody holds, even while it runs

local threaded = {}

function threaded.ask(id, params, take)
    takes[id] = take
    threads[id] = love.thread.newThread "thread.lua"
    threads[id]:start(id, params)
end

function threaded.update()
    for _ = 1, news:getCount() do
        local event = news:pop()
        local take = takes[event.id]
        if event.received then
            take.progress(event.received, event.total)
        else
            threads[event.id]:wait()
            takes[event.id], threads[event.id] = nil, nil
            take.ended(event.count, event.failure)
        end
    end
end

function threaded.cancel()
    for id in pairs(takes) do
        love.thread.getChannel("cancel " .. id):push(true)
    end
end

function threaded.close()
    threaded.cancel()
    for _, thread in pairs(threads) do
        thread:wait()
    end
end

return threaded
