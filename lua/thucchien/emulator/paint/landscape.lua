-- Paints a landscape for a prompt: sky, light, clouds, ridges that fade with distance, water that
-- mirrors them, and what the prompt's words put there. Far things first, near things over them.
--
-- Lengths are fractions of `unit`, the side of a square as large as the picture, so that a portrait
-- and a panorama of one prompt show things at one scale.

local canvas = require "thucchien.emulator.paint.canvas"
local characters = require "thucchien.emulator.paint.characters"
local colours = require "thucchien.emulator.paint.colours"
local noise = require "thucchien.emulator.paint.noise"
local props = require "thucchien.emulator.paint.props"
local random = require "thucchien.emulator.paint.random"
local ridges = require "thucchien.emulator.paint.ridges"
local scene = require "thucchien.emulator.paint.scene"
local sky = require "thucchien.emulator.paint.sky"
local references = require "thucchien.emulator.references"

local floor, sqrt = math.floor, math.sqrt
local min, max = math.min, math.max
local mix, smooth = colours.mix, colours.smooth

local landscape = {}

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
            top = ridges.crest(view, horizon - (height * (sea and 0 or 0.62) + sunken) * unit,
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
        ridges.paint(view, ridge)
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
        local top = ridges.crest(view, base, (0.022 + 0.085 * near) * unit, 1.5 + 0.6 * (1 - near),
            2, 0.32, layer % 2 == 0)
        local tone = mix(mix(sand, palette.haze, 0.72 * (1 - near)), shade, 0.10 + 0.42 * near)
        ridges.paint(view, {
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
            local bright, shade = ridges.snow_colours(view)
            tone = mix(mix(bright, shade, 0.15 + 0.75 * near), tone, 0.08)
        end
        local top = ridges.crest(view, base, (0.030 + 0.035 * near) * unit, 1.6 + 0.5 * near,
            5, 0.42, false)
        if asked.forest then
            props.forest(view, top, near, mix(tone, palette.near, asked.snow and 0.75 or 0.35))
        end
        ridges.paint(view, {
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
    local top = ridges.crest(view, view.height, 0.020 * unit, 2.6, 6, 0.5, false)
    local left = view.sun.x > view.width / 2
    for x = 0, view.width - 1 do
        local away = (left and x or view.width - 1 - x) / view.width
        local rise = 0.135 * (1 - smooth(0, 0.55, away)) + 0.035 * smooth(0.75, 1, away)
        top[x] = top[x] + (0.035 - rise) * unit
    end
    local tone = mix(palette.near, { 0, 0, 0 }, 0.15)
    if asked.snow then
        local _, shade = ridges.snow_colours(view)
        tone = mix(tone, shade, 0.55)
    end
    if asked.forest then props.forest(view, top, 1, mix(palette.near, { 0, 0, 0 }, 0.25)) end
    props.grass(view, top, mix(palette.near, { 0, 0, 0 }, 0.15))
    ridges.paint(view, {
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
    sky.paint(view)
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
