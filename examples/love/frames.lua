-- How long the last frames took, and how much of that was the module's.
-- luacheck: globals love

local frames = { count = 0, longest_poll = 0 }

local KEPT, SCALE = 150, 1.2 -- bars; pixels a millisecond
local times, polls = {}, {}

---Notes a frame: seconds since the one before, seconds in the module.
function frames.note(dt, poll)
    frames.count = frames.count + 1
    local slot = frames.count % KEPT
    times[slot], polls[slot] = dt * 1000, poll * 1000
    frames.longest_poll = math.max(frames.longest_poll, poll * 1000)
end

function frames.draw(font)
    local right, top, height = love.graphics.getWidth() - 40, 20, 44
    for age = 0, KEPT - 1 do
        local slot = (frames.count - age) % KEPT
        local time = math.min(times[slot] or 0, height / SCALE)
        local x = right - age * 2
        love.graphics.setColor(0.62, 0.86, 1, 0.5)
        love.graphics.rectangle("fill", x - 2, top + height - time * SCALE, 1.5, time * SCALE)
        love.graphics.setColor(1, 0.6, 0.25)
        love.graphics.rectangle("fill", x - 2, top + height - (polls[slot] or 0) * SCALE, 1.5,
            (polls[slot] or 0) * SCALE)
    end
    love.graphics.setColor(1, 1, 1, 0.25)
    local line = top + height - 1000 / 60 * SCALE
    love.graphics.line(right - KEPT * 2, line, right, line)
    love.graphics.setColor(1, 1, 1, 0.75)
    love.graphics.printf(("%d frames a second\nlongest poll %.2f ms"):format(love.timer.getFPS(),
        frames.longest_poll), font, right - KEPT * 2 - 220, top + 6, 206, "right")
end

return frames
