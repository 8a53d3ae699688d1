-- Turns PNG files into pixels, beside the game: that takes longer than a frame.
-- luacheck: globals love

require "love.image"

local files, pixels = love.thread.getChannel "files", love.thread.getChannel "pixels"

for job in files.demand, files do -- `false` ends it
    local ok, data = pcall(love.image.newImageData, job.file)
    pixels:push { id = job.id, index = job.index, pixels = ok and data or nil }
end
