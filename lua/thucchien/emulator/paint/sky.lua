-- The sky: light that spreads from the sun or the moon, stars, aurora, clouds.

local canvas = require "thucchien.emulator.paint.canvas"
local colours = require "thucchien.emulator.paint.colours"
local noise = require "thucchien.emulator.paint.noise"

local floor, ceil, sqrt = math.floor, math.ceil, math.sqrt
local min, max = math.min, math.max
local clamp, mix, smooth = colours.clamp, colours.mix, colours.smooth

local sky = {}

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

local function paint_light(view)
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

---The sky of the scene's time: light, stars, moon, aurora, clouds.
---@param view thucchien.emulator.view
function sky.paint(view)
    local asked = view.scene
    paint_light(view)
    if asked.time == "night" then
        paint_stars(view, 1, 0.5)
        paint_moon(view)
    elseif asked.time == "dusk" then
        paint_stars(view, 0.35, 0.2)
    end
    if asked.aurora then paint_aurora(view) end
    paint_clouds(view)
end

return sky
