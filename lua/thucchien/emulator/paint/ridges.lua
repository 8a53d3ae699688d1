-- Ridges: mountains, dunes, hills and banks. Each is a crest from one side of the picture to the other and a
-- slope below it, with light, snow and mist on it.

local colours = require "thucchien.emulator.paint.colours"
local noise = require "thucchien.emulator.paint.noise"

local floor, ceil = math.floor, math.ceil
local min, max = math.min, math.max
local clamp, mix = colours.clamp, colours.mix

local ridges = {}

---@class thucchien.emulator.ridge
---@field top number[]      # y of the crest for each column, pixels
---@field colour number[]
---@field mist number[]     # the colour that its foot fades into
---@field depth number      # pixels from the crest to full mist
---@field thickness number  # how dense that mist is, 0..1
---@field relief number     # light and shadow on the slopes, 0..1
---@field snow number       # how far down snow lies, pixels; 0 for none
---@field far number        # how much of the ridge's colour the air mixes into its snow, 0..1
---@field snow_light? number[]
---@field snow_shade? number[]
---@field bottom number     # y where it ends, pixels

-- Snow has no colour of its own: it takes the light's where that falls and the sky's in the shade.
local SNOW = { 250, 251, 255 }
local SNOW_TINT = { dawn = 0.28, day = 0.04, dusk = 0.42, night = 0.52, storm = 0.30 }

function ridges.snow_colours(view)
    local palette, tint = view.scene.palette, SNOW_TINT[view.scene.time]
    local from = view.scene.time == "night" and palette.lower or palette.horizon
    local shade = mix(mix(SNOW, palette.upper, 0.35 + 0.5 * tint), palette.near, 0.5 * tint)
    return mix(SNOW, from, tint), shade
end

-- The slopes are lit by a trick: a column's steepness is carried down along a slanted line, which
-- draws ribs that run downhill from the crest as eroded rock does.
local function steepness(view, ridge)
    local slope, reach = {}, max(2, floor(view.unit * 0.006))
    local last = view.width - 1
    for x = 0, last do
        local rise = ridge.top[min(x + reach, last)] - ridge.top[max(x - reach, 0)]
        slope[x] = clamp(0.5 + rise / (2 * reach) * 0.55) * 2 - 1
    end
    return slope
end

local function paint_ridge_row(pixels, y, width, ridge, slope, facing)
    local top, relief, snow = ridge.top, ridge.relief, ridge.snow
    local bright, shade = ridge.snow_light, ridge.snow_shade
    local cr, cg, cb = ridge.colour[1], ridge.colour[2], ridge.colour[3]
    local mr, mg, mb = ridge.mist[1], ridge.mist[2], ridge.mist[3]
    local i = 3 * y * width
    for x = 0, width - 1 do
        local below = y + 1 - top[x]
        if below > 0 then
            local covered = below < 1 and below or 1
            local r, g, b = cr, cg, cb
            if relief > 0 then
                local from = floor(x + below * 0.55 * facing) % (2 * width)
                if from >= width then from = 2 * width - 1 - from end
                local light = slope[from] * facing * relief
                light = light / (1 + below * 0.006)
                if snow > 0 then
                    local lies = 1 - (below + slope[(from * 3) % width] * snow * 0.5) / snow
                    if lies > 0 then
                        lies = lies * 3
                        if lies > 1 then lies = 1 end
                        local lit = 0.5 + light * 1.6
                        if lit < 0 then lit = 0 elseif lit > 1 then lit = 1 end
                        local fade = lies * 0.85
                        r = r + (shade[1] + (bright[1] - shade[1]) * lit - r) * fade
                        g = g + (shade[2] + (bright[2] - shade[2]) * lit - g) * fade
                        b = b + (shade[3] + (bright[3] - shade[3]) * lit - b) * fade
                    end
                end
                local gain = 1 + light
                r, g, b = r * gain, g * gain, b * gain
            end
            local mist = below / ridge.depth
            if mist > 1 then mist = 1 end
            mist = mist * mist * ridge.thickness
            r, g, b = r + (mr - r) * mist, g + (mg - g) * mist, b + (mb - b) * mist
            pixels[i] = pixels[i] + (r - pixels[i]) * covered
            pixels[i + 1] = pixels[i + 1] + (g - pixels[i + 1]) * covered
            pixels[i + 2] = pixels[i + 2] + (b - pixels[i + 2]) * covered
        end
        i = i + 3
    end
end

function ridges.paint(view, ridge)
    local highest = view.height
    for x = 0, view.width - 1 do highest = min(highest, ridge.top[x]) end
    local slope = ridge.relief > 0 and steepness(view, ridge) or nil
    local bright, shade = ridges.snow_colours(view)
    ridge.snow_light = mix(bright, ridge.colour, ridge.far)
    ridge.snow_shade = mix(shade, ridge.colour, ridge.far)
    local facing = view.sun.x < view.width / 2 and 1 or -1
    for y = max(floor(highest), 0), min(ceil(ridge.bottom), view.height) - 1 do
        paint_ridge_row(view.canvas.pixels, y, view.width, ridge, slope, facing)
    end
    view.pause()
end

function ridges.crest(view, base, height, frequency, octaves, gain, sharp)
    local top, phase = {}, view.draw(0, 1000)
    for x = 0, view.width - 1 do
        local along = x / view.unit * frequency + phase
        local level
        if sharp then
            level = noise.ridged_line(view.noise, along, octaves, gain) * 1.5 - 0.75
            level = level + 0.35 * noise.line(view.noise, along * 0.4 + 31)
        else
            level = noise.fractal_line(view.noise, along, octaves, gain)
        end
        top[x] = base - level * height
    end
    return top
end

return ridges
