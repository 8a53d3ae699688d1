-- Paints a landscape for a prompt: sky, light, clouds, ridges that fade with distance, water that
-- mirrors them, and what the prompt's words put there. Far things first, near things over them.
--
-- Lengths are fractions of `unit`, the side of a square as large as the picture, so that a portrait
-- and a panorama of one prompt show things at one scale.

local canvas = require "thucchien.emulator.paint.canvas"
local noise = require "thucchien.emulator.paint.noise"
local random = require "thucchien.emulator.paint.random"
local scene = require "thucchien.emulator.paint.scene"
local props = require "thucchien.emulator.paint.props"
local characters = require "thucchien.emulator.paint.characters"
local references = require "thucchien.emulator.references"

local floor, ceil, sqrt = math.floor, math.ceil, math.sqrt
local min, max = math.min, math.max

local landscape = {}

local function clamp(value)
    if value < 0 then return 0 elseif value > 1 then return 1 end
    return value
end

local function smooth(from, to, value)
    local t = clamp((value - from) / (to - from))
    return t * t * (3 - 2 * t)
end

local function mix(a, b, t)
    return { a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t, a[3] + (b[3] - a[3]) * t }
end

---@class thucchien.emulator.view
---@field canvas thucchien.emulator.paint.canvas
---@field width integer
---@field height integer
---@field unit number      # pixels
---@field horizon number   # y of the horizon, pixels
---@field sun table        # x, y, radius in pixels
---@field scene thucchien.emulator.paint.scene
---@field draw fun(low?: number, high?: number): number
---@field noise thucchien.emulator.paint.noise
---@field pause fun()      # called now and then while painting: a server may serve others
---@field members thucchien.emulator.member[]  # characters that references bring

local NOTHING = { earlier = {}, references = {} }
local MOST_MEMBERS = 5

-- What the words leave open is decided by the first text, so that a conversation stays in one place.
local function new_view(prompt, index, width, height, pause, vision)
    local draw = random.new(index .. ":" .. (vision.seed or prompt))
    local asked = scene.read(prompt, draw, vision.earlier)
    local leading = vision.references[1] -- the colours of several would be grey together
    if leading then asked.palette = references.tint(asked.palette, leading.colours) end
    local unit = sqrt(width * height)
    local horizon = height * (asked.place == "mountains" and draw(0.60, 0.66) or draw(0.56, 0.64))
    local low = asked.time == "dusk" or asked.time == "dawn"
    local side = draw() < 0.5 and draw(0.2, 0.4) or draw(0.6, 0.8)
    local sun = {
        x = side * width,
        y = low and horizon - draw(0.045, 0.16) * unit
            or max(horizon - draw(0.30, 0.42) * unit, 0.12 * height),
        radius = (asked.time == "night" and 0.034 or low and 0.042 or 0.030) * unit,
    }
    return {
        canvas = canvas.new(width, height), width = width, height = height, unit = unit,
        horizon = horizon, sun = sun, scene = asked, draw = draw, noise = noise.new(draw),
        pause = pause, members = references.members(vision.references, MOST_MEMBERS),
    }
end

-- The colour of the bare sky at a height: 0 is the zenith, 1 the horizon.
local function sky_colour(palette, t)
    if t < 0.42 then
        return mix(palette.zenith, palette.upper, smooth(0, 0.42, t) * 0.6 + t / 0.42 * 0.4)
    end
    if t < 0.78 then return mix(palette.upper, palette.lower, (t - 0.42) / 0.36) end
    return mix(palette.lower, palette.horizon, (min(t, 1) - 0.78) / 0.22)
end

-- One row of sky: the bare colour, the wide band of light along the horizon, and the light's halo.
local function paint_sky_row(pixels, y, width, base, light, sun, unit, near_glow, wide_glow, disc)
    local r0, g0, b0 = base[1], base[2], base[3]
    local lr, lg, lb = light[1], light[2], light[3]
    local dy = (y + 0.5 - sun.y) / unit
    local i = 3 * y * width
    local edge = sun.radius / unit
    for x = 0, width - 1 do
        local dx = (x + 0.5 - sun.x) / unit
        local square = dx * dx + dy * dy
        local close = 1 / (1 + square * 90)
        local wide = 1 / (1 + (dx * dx * 0.55 + dy * dy * 2.2) * 7)
        local amount = near_glow * close * close + wide_glow * wide * wide
        local r = r0 + (lr - r0) * amount
        local g = g0 + (lg - g0) * amount
        local b = b0 + (lb - b0) * amount
        if disc > 0 and square < edge * edge * 1.3 then
            local distance = sqrt(square)
            local inside = (edge - distance) * unit + 0.5
            if inside > 0 then
                if inside > 1 then inside = 1 end
                inside = inside * disc
                r, g, b = r + (lr - r) * inside, g + (lg - g) * inside, b + (lb - b) * inside
            end
        end
        pixels[i], pixels[i + 1], pixels[i + 2] = r, g, b
        i = i + 3
    end
end

local GLOW = { -- how strongly the light colours the sky: near it, far around, and the disc itself
    dawn = { 0.72, 0.42, 1 }, day = { 0.55, 0.18, 0.9 }, dusk = { 0.80, 0.46, 1 },
    night = { 0.34, 0.10, 1 }, storm = { 0.30, 0.16, 0 },
}

local function paint_sky(view)
    local palette, glow = view.scene.palette, GLOW[view.scene.time]
    for y = 0, view.height - 1 do
        local base = sky_colour(palette, y / view.horizon)
        paint_sky_row(view.canvas.pixels, y, view.width, base, palette.light, view.sun, view.unit,
            glow[1], glow[2], glow[3])
    end
    view.pause()
end

-- Grey seas on the moon's disc, so that it is no coin.
local function paint_moon(view)
    local sun, shade = view.sun, mix(view.scene.palette.light, view.scene.palette.upper, 0.45)
    for y = floor(sun.y - sun.radius), ceil(sun.y + sun.radius) do
        for x = floor(sun.x - sun.radius), ceil(sun.x + sun.radius) do
            local dx, dy = (x + 0.5 - sun.x) / sun.radius, (y + 0.5 - sun.y) / sun.radius
            local square = dx * dx + dy * dy
            if square < 1 then
                local seas = noise.fractal_plane(view.noise, dx * 1.5 + 40, dy * 1.5 + 40, 4, 0.5)
                local rim = 1 - smooth(0.86, 1, square)
                local dark = smooth(-0.1, 0.45, seas) * 0.5 + square * 0.12
                canvas.blend(view.canvas, x, y, shade, dark * rim)
            end
        end
    end
end

local function paint_stars(view, strength, fades_from)
    local draw, unit = view.draw, view.unit
    local white = { 255, 255, 255 }
    local count = floor(620 * view.width * view.horizon / (unit * unit))
    for _ = 1, count do
        local x, y, brightness = draw() * view.width, draw() * view.horizon, draw()
        brightness = brightness * brightness * brightness
        local tint = mix(white, draw() < 0.5 and { 190, 210, 255 } or { 255, 226, 190 }, draw())
        local fade = 1 - smooth(fades_from, fades_from + 0.45, y / view.horizon)
        local dx, dy = (x - view.sun.x) / unit, (y - view.sun.y) / unit
        local outshone = smooth(0.001, 0.03, dx * dx + dy * dy)
        local amount = (0.25 + 0.9 * brightness) * fade * strength * outshone
        canvas.glow(view.canvas, x, y, (0.0010 + 0.0017 * brightness) * unit + 0.5, tint, amount)
    end
end

-- Curtains of green light: a few bright bottom edges, each fading upwards.
local function paint_aurora(view)
    local green, violet = { 70, 255, 170 }, { 150, 90, 255 }
    for band = 1, 3 do
        local base, phase = view.horizon * (0.22 + 0.13 * band), view.draw(0, 100)
        for x = 0, view.width - 1 do
            local along = x / view.unit
            local fold = noise.fractal_line(view.noise, along * 1.6 + phase, 3, 0.5)
            local rays = 0.6 + 0.4 * noise.fractal_line(view.noise, along * 26 + phase, 2, 0.6)
            local drift = smooth(-0.5, 0.5, noise.line(view.noise, along * 1.1 + phase * 2))
            local bottom = base + fold * 0.13 * view.unit
            local length, hem = (0.16 + 0.12 * rays) * view.unit, 0.012 * view.unit
            for y = max(floor(bottom - length), 0), min(floor(bottom + hem), view.height - 1) do
                local up = (bottom - y) / length
                local amount = up < 0 and 1 - (y - bottom) / hem or (1 - up) * (1 - up)
                canvas.light(view.canvas, x, y, mix(green, violet, clamp(up * 1.2)),
                    0.42 * amount * rays * drift)
            end
        end
    end
end

-- Clouds lie on a plane overhead, so they crowd together towards the horizon. They are computed on a
-- coarse grid, density and light apart, and laid over the sky between its points.
local function cloud_grid(view, cover)
    local step = max(2, floor(view.unit / 300))
    local columns, rows = ceil(view.width / step) + 2, ceil(view.horizon / step) + 2
    local density, lit = {}, {}
    local shift = view.draw(0, 200)
    for row = 0, rows - 1 do
        local height = max(view.horizon - row * step, 0) / view.unit
        local scale = 1 / (height + 0.16)
        for column = 0, columns - 1 do
            local x = (column * step - view.width / 2) / view.unit
            local u, v = x * scale * 1.15 + shift, scale * 2.3
            local value = noise.fractal_plane(view.noise, u, v, 5, 0.52)
            local there = value + 0.22 * noise.plane(view.noise, u * 0.3 + 50, v * 0.3)
            local aside = max(-0.1, min(0.1, (view.sun.x - column * step) / view.unit * 0.4))
            local sunny = noise.fractal_plane(view.noise, u + aside, v - 0.08, 3, 0.5)
            local i = row * columns + column
            density[i] = smooth(0.30 - cover, 0.72 - cover, there) * smooth(0.0, 0.07, height)
            lit[i] = clamp(0.5 + (value - sunny) * 1.6)
        end
    end
    return { density = density, lit = lit, columns = columns, step = step }
end

-- The value of a grid between four of its points.
local function between(values, at, columns, s, t)
    local above = values[at] + (values[at + 1] - values[at]) * s
    local below = values[at + columns] + (values[at + columns + 1] - values[at + columns]) * s
    return above + (below - above) * t
end

local function lay_cloud_row(pixels, y, width, grid, bright, dark, opacity)
    local density, lit, columns, step = grid.density, grid.lit, grid.columns, grid.step
    local row = floor(y / step)
    local t = y / step - row
    local i = 3 * y * width
    for x = 0, width - 1 do
        local column = floor(x / step)
        local s, at = x / step - column, row * columns + column
        local cover = between(density, at, columns, s, t) * opacity
        if cover > 0.003 then
            local light = between(lit, at, columns, s, t)
            local r, g, b = pixels[i], pixels[i + 1], pixels[i + 2]
            pixels[i] = r + (dark[1] + (bright[1] - dark[1]) * light - r) * cover
            pixels[i + 1] = g + (dark[2] + (bright[2] - dark[2]) * light - g) * cover
            pixels[i + 2] = b + (dark[3] + (bright[3] - dark[3]) * light - b) * cover
        end
        i = i + 3
    end
end

local CLOUDS = { -- sky covered, opacity
    dawn = { 0.16, 0.62 }, day = { 0.20, 0.88 }, dusk = { 0.18, 0.66 }, night = { 0.04, 0.34 },
    storm = { 0.42, 0.85 },
}

local function paint_clouds(view)
    local palette, time = view.scene.palette, view.scene.time
    local kind = CLOUDS[time]
    local bright, dark
    if time == "day" then
        bright, dark = { 255, 255, 255 }, mix(palette.upper, palette.horizon, 0.65)
    elseif time == "night" then
        bright, dark = mix(palette.horizon, palette.light, 0.25), palette.upper
    elseif time == "storm" then
        bright = mix(palette.lower, palette.light, 0.5)
        dark = mix(palette.zenith, palette.near, 0.15)
    else
        bright = mix(palette.horizon, palette.light, 0.45)
        dark = mix(palette.upper, palette.lower, 0.35)
    end
    local grid = cloud_grid(view, kind[1] + view.draw(-0.08, 0.08))
    view.pause()
    for y = 0, min(ceil(view.horizon), view.height) - 1 do
        lay_cloud_row(view.canvas.pixels, y, view.width, grid, bright, dark, kind[2])
    end
    view.pause()
end

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

local function snow_colours(view)
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

local function paint_ridge(view, ridge)
    local highest = view.height
    for x = 0, view.width - 1 do highest = min(highest, ridge.top[x]) end
    local slope = ridge.relief > 0 and steepness(view, ridge) or nil
    local bright, shade = snow_colours(view)
    ridge.snow_light = mix(bright, ridge.colour, ridge.far)
    ridge.snow_shade = mix(shade, ridge.colour, ridge.far)
    local facing = view.sun.x < view.width / 2 and 1 or -1
    for y = max(floor(highest), 0), min(ceil(ridge.bottom), view.height) - 1 do
        paint_ridge_row(view.canvas.pixels, y, view.width, ridge, slope, facing)
    end
    view.pause()
end

local function crest(view, base, height, frequency, octaves, gain, sharp)
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

-- Mountains behind the horizon, from the farthest, almost sky, to the nearest.
local function paint_mountains(view)
    local asked, palette, unit, horizon = view.scene, view.scene.palette, view.unit, view.horizon
    local sea, desert = asked.place == "sea", asked.place == "desert"
    local water = sea or asked.place == "lake"
    local white_peaks = not sea and not desert
    local count = sea and 3 or desert and 2 or 5
    local tall = (sea and 0.09 or desert and 0.10 or 0.20) * view.draw(0.85, 1.2)
    for layer = 1, count do
        local near = (layer - 1) / (count - 1)
        local dark = (desert and 0.2 or 0.62) * near * (0.35 + 0.65 * near)
        local tone = mix(palette.haze, palette.near, 0.10 + dark)
        tone = mix(tone, palette.upper, 0.30 * (1 - near))
        local height = tall * (1.0 - 0.62 * near)
        -- Islands: the crest sinks below the horizon here and there.
        local sunken = sea and 0.01 * layer - 0.038 or 0.012
        local ridge = {
            top = crest(view, horizon - (height * (sea and 0 or 0.62) + sunken) * unit,
                height * unit, 2.0 + 1.9 * near, 7, 0.48, true),
            colour = tone,
            mist = mix(palette.haze, palette.horizon, 0.55 - 0.25 * near),
            depth = (height * 1.5 + 0.03) * unit,
            thickness = asked.mist and 0.95 or 0.72 - 0.25 * near,
            relief = 0.34 - 0.10 * near,
            far = 0.12 + 0.30 * (1 - near),
            snow = (asked.snow and 0.115 or white_peaks and layer <= 2 and 0.045 or 0) * unit,
            bottom = water and horizon + 1 or horizon + 0.12 * unit,
        }
        paint_ridge(view, ridge)
    end
end

-- Water mirrors what is above the horizon, shaken by ripples that grow towards the viewer.
local function paint_water_row(pixels, y, from, width, shift, tint, depth)
    local i = 3 * y * width
    local tr, tg, tb = tint[1], tint[2], tint[3]
    for x = 0, width - 1 do
        local at = floor(x + shift)
        if at < 0 then at = -at - 1 elseif at >= width then at = 2 * width - 1 - at end
        if at < 0 then at = 0 elseif at >= width then at = width - 1 end
        local j = 3 * (from * width + at)
        pixels[i] = pixels[j] + (tr - pixels[j]) * depth
        pixels[i + 1] = pixels[j + 1] + (tg - pixels[j + 1]) * depth
        pixels[i + 2] = pixels[j + 2] + (tb - pixels[j + 2]) * depth
        i = i + 3
    end
end

local function paint_water(view)
    local palette, unit, pixels = view.scene.palette, view.unit, view.canvas.pixels
    local first = floor(view.horizon)
    local rough = view.scene.place == "sea" and 1 or 0.45
    local tint = mix(palette.zenith, palette.near, 0.25)
    for y = first, view.height - 1 do
        local away = (y - first) / unit
        local wave = noise.fractal_line(view.noise, 400 / (away + 0.05) * 0.55 + 7, 3, 0.6)
        local lift = wave * away * 0.055 * rough * unit
        local mirrored = first - 1 - floor((y - first) * 1.06 + lift)
        if mirrored < 0 then mirrored = -mirrored end
        mirrored = max(0, min(mirrored, first - 1))
        local shift = wave * (0.0015 + away * 0.03 * rough) * unit
        local depth = 0.10 + 0.42 * smooth(0, 0.55, away)
        paint_water_row(pixels, y, mirrored, view.width, shift, tint, depth)
    end
    view.pause()
end

-- Glints: short bright dashes where waves turn the light to the viewer, thickest under the light.
local function paint_glints(view)
    local draw, unit, palette = view.draw, view.unit, view.scene.palette
    local night = view.scene.time == "night"
    local bright = mix(palette.light, { 255, 255, 255 }, 0.2)
    local first, depth = view.horizon, view.height - view.horizon
    local strong = view.scene.time == "storm" and 0.25 or night and 0.75 or 1
    for _ = 1, floor(1500 * strong) do
        local t = draw()
        t = t * t
        local y = first + 2 + t * depth
        local spread = (0.018 + 0.16 * t) * unit
        local x = view.sun.x + (draw() + draw() + draw() - 1.5) * 1.5 * spread
        local length = (0.002 + 0.020 * t) * unit * draw(0.4, 1.3)
        local amount = strong * draw(0.15, 0.75) * (1 - 0.45 * t)
        canvas.span(view.canvas, x - length, x + length, floor(y), bright, amount)
    end
    local ripple = mix(palette.horizon, palette.light, 0.2)
    for _ = 1, 900 do
        local t = draw()
        local y, x = first + 3 + t * t * depth, draw() * view.width
        local length = (0.003 + 0.03 * t * t) * unit * draw(0.4, 1.4)
        local amount = 0.05 + 0.10 * draw()
        canvas.span(view.canvas, x - length, x + length, floor(y), ripple, amount)
    end
end

-- Dunes: long smooth crests, bright on the side of the light and dark on the other.
local function paint_dunes(view)
    local palette, unit = view.scene.palette, view.unit
    local night = view.scene.time == "night"
    local sand = mix(palette.lower, { 226, 150, 84 }, 0.62)
    if night then sand = mix(palette.lower, { 200, 170, 120 }, 0.18) end
    local shade = mix(palette.near, sand, night and 0.18 or 0.30)
    local depth = view.height - view.horizon
    for layer = 1, 6 do
        local near = (layer - 1) / 5
        local base = view.horizon + depth * (near * near * 0.86 + 0.02 * near)
        local top = crest(view, base, (0.022 + 0.085 * near) * unit, 1.5 + 0.6 * (1 - near),
            2, 0.32, layer % 2 == 0)
        local tone = mix(mix(sand, palette.haze, 0.72 * (1 - near)), shade, 0.10 + 0.42 * near)
        paint_ridge(view, {
            top = top, colour = tone, mist = mix(sand, palette.horizon, 0.5 * (1 - near)),
            depth = (0.06 + 0.20 * near) * unit, thickness = 0.8 - 0.35 * near,
            relief = 0.42, snow = 0, far = 0, bottom = view.height,
        })
    end
end

-- Rolling ground from the horizon to the viewer, with trees on it where there is forest.
local function paint_ground(view)
    local asked, palette, unit = view.scene, view.scene.palette, view.unit
    local depth, layers = view.height - view.horizon, 4
    local green = asked.time == "day" and { 58, 110, 62 } or palette.near
    for layer = 1, layers do
        local near = (layer - 1) / (layers - 1)
        local base = view.horizon + depth * (0.10 + 0.80 * near)
        local tone = mix(palette.haze, green, 0.45 + 0.45 * near)
        tone = mix(tone, palette.near, 0.25 + 0.65 * near)
        if asked.snow then
            local bright, shade = snow_colours(view)
            tone = mix(mix(bright, shade, 0.15 + 0.75 * near), tone, 0.08)
        end
        local top = crest(view, base, (0.030 + 0.035 * near) * unit, 1.6 + 0.5 * near,
            5, 0.42, false)
        if asked.forest then
            props.forest(view, top, near, mix(tone, palette.near, asked.snow and 0.75 or 0.35))
        end
        paint_ridge(view, {
            top = top, colour = tone, mist = mix(palette.haze, palette.horizon, 0.35),
            depth = (0.085 + 0.2 * near) * unit,
            thickness = (asked.mist and 0.95 or 0.55) * (1 - 0.7 * near),
            relief = asked.snow and 0.14 or 0.16, snow = 0, far = 0,
            bottom = view.height,
        })
        if asked.village and layer == 1 then props.village(view, top, near) end
    end
end

-- The bank that the viewer stands on: it rises to a corner and frames the water.
local function paint_bank(view)
    local asked, palette, unit = view.scene, view.scene.palette, view.unit
    local top = crest(view, view.height, 0.020 * unit, 2.6, 6, 0.5, false)
    local left = view.sun.x > view.width / 2
    for x = 0, view.width - 1 do
        local away = (left and x or view.width - 1 - x) / view.width
        local rise = 0.135 * (1 - smooth(0, 0.55, away)) + 0.035 * smooth(0.75, 1, away)
        top[x] = top[x] + (0.035 - rise) * unit
    end
    local tone = mix(palette.near, { 0, 0, 0 }, 0.15)
    if asked.snow then
        local _, shade = snow_colours(view)
        tone = mix(tone, shade, 0.55)
    end
    if asked.forest then props.forest(view, top, 1, mix(palette.near, { 0, 0, 0 }, 0.25)) end
    props.grass(view, top, mix(palette.near, { 0, 0, 0 }, 0.15))
    paint_ridge(view, {
        top = top, colour = tone, mist = tone, depth = unit, thickness = 0,
        relief = 0.12, snow = 0, far = 0, bottom = view.height,
    })
end

-- Darker towards the corners, as through a lens.
local function paint_vignette(view)
    local pixels, width, height = view.canvas.pixels, view.width, view.height
    for y = 0, height - 1 do
        local dy = (y + 0.5) / height * 2 - 1
        local i = 3 * y * width
        for x = 0, width - 1 do
            local dx = (x + 0.5) / width * 2 - 1
            local square = dx * dx + dy * dy
            local keep = 1 - 0.055 * square * square
            pixels[i] = pixels[i] * keep
            pixels[i + 1] = pixels[i + 1] * keep
            pixels[i + 2] = pixels[i + 2] * keep
            i = i + 3
        end
    end
end

local function nothing() end

---The PNG file of a landscape for a prompt; the same arguments give the same bytes.
---@param prompt string
---@param index integer    # which of the prompt's pictures, from 1
---@param width integer
---@param height integer
---@param pause? fun()     # called now and then, for a server that has others to serve
---@param vision? thucchien.emulator.vision  # what else shapes it
---@return string
function landscape.png(prompt, index, width, height, pause, vision)
    local view = new_view(prompt, index, width, height, pause or nothing, vision or NOTHING)
    local asked = view.scene
    paint_sky(view)
    if asked.time == "night" then
        paint_stars(view, 1, 0.5)
        paint_moon(view)
    elseif asked.time == "dusk" then
        paint_stars(view, 0.35, 0.2)
    end
    if asked.aurora then paint_aurora(view) end
    paint_clouds(view)
    if asked.birds then props.birds(view) end
    if asked.place == "desert" then
        paint_mountains(view)
        paint_dunes(view)
    elseif asked.place == "mountains" then
        paint_mountains(view)
        paint_ground(view)
    else
        paint_mountains(view)
        if asked.lighthouse then props.lighthouse(view) end
        if asked.village then props.shore_village(view) end
        paint_water(view)
        paint_glints(view)
        if asked.boat then props.boat(view) end
        paint_bank(view)
    end
    characters.paint(view, view.members)
    paint_vignette(view)
    view.pause()
    return canvas.png(view.canvas, #view.members > 0 and references.note(view.members) or nil)
end

return landscape
