-- The characters that reference pictures bring: small creatures in the foreground, each with the ears, the
-- marks and the colours that its picture gives it, and beside it, on an easel, the picture itself.
--
-- Shapes are ellipses lit from the sun's side. Lengths are fractions of the creature's height.

local canvas = require "thucchien.emulator.paint.canvas"
local colours = require "thucchien.emulator.paint.colours"
local random = require "thucchien.emulator.paint.random"

local floor, ceil, sqrt, min, max = math.floor, math.ceil, math.sqrt, math.min, math.max
local mix = colours.mix

local characters = {}

local HEIGHT = 0.20 -- of a creature that is alone, as a fraction of the view's unit
local INK = { 34, 26, 32 }
local WHITE = { 255, 255, 255 }
local CHEEK = { 255, 120, 120 }
local WOOD = { 150, 104, 66 }

-- How much of the scene's dark lies over what is in the foreground.
local DARK = { dawn = 0.12, day = 0, dusk = 0.22, night = 0.42, storm = 0.18 }

-- Where and how one creature is painted: its foot, its height in pixels, and the light.
local function new_stage(view, x, foot, height)
    return {
        canvas = view.canvas, x = x, foot = foot, height = height,
        facing = view.sun.x < x and -1 or 1,
        dark = DARK[view.scene.time], shade = mix(view.scene.palette.near, view.scene.palette.upper, 0.35),
        glint = view.scene.palette.light,
    }
end

-- An ellipse that looks round: bright towards the light, dark below. `tilt` leans its top sideways.
local function ball(stage, x, y, half_width, half_height, colour, tilt)
    local h = stage.height
    local middle_x, middle_y = stage.x + x * h, stage.foot - y * h
    local rx, ry = half_width * h, half_height * h
    colour = mix(colour, stage.shade, stage.dark)
    local soft = max(min(rx, ry), 1)
    tilt = tilt or 0
    for row = floor(middle_y - ry - 1), ceil(middle_y + ry + 1) do
        local dy = (row + 0.5 - middle_y) / ry
        local lean = -dy * tilt * ry
        for column = floor(middle_x - rx - math.abs(lean) - 1), ceil(middle_x + rx + math.abs(lean) + 1) do
            local dx = (column + 0.5 - middle_x - lean) / rx
            local square = dx * dx + dy * dy
            local covered = (1 - sqrt(square)) * soft + 0.5
            if covered > 0 then
                local out = sqrt(max(0, 1 - square))
                local light = 0.70 + 0.26 * out + (0.20 * stage.facing * dx - 0.22 * dy)
                local rim = max(0, 1 - out) * max(0, stage.facing * dx - dy * 0.5) * 0.25
                canvas.blend(stage.canvas, column, row, {
                    colour[1] * light + stage.glint[1] * rim,
                    colour[2] * light + stage.glint[2] * rim,
                    colour[3] * light + stage.glint[3] * rim,
                }, min(covered, 1))
            end
        end
    end
end

-- A flat ellipse, for eyes, cheeks and shadows.
local function spot(stage, x, y, half_width, half_height, colour, opacity)
    local h = stage.height
    local middle = stage.x + x * h
    local top, bottom = stage.foot - (y + half_height) * h, stage.foot - (y - half_height) * h
    canvas.shape(stage.canvas, top, bottom, colour, opacity or 1, function(row)
        local t = (row - (top + bottom) / 2) / (half_height * h)
        local reach = half_width * h * sqrt(max(0, 1 - t * t))
        return middle - reach, middle + reach
    end)
end

local function pair(stage, paint, x, ...)
    paint(stage, -x, ...)
    paint(stage, x, ...)
end

-- Ears by kind; they are painted before the head, which covers their roots.
local EARS = {
    function(stage, look) -- a bear's
        pair(stage, ball, 0.17, 0.90, 0.085, 0.085, look.body)
        pair(stage, ball, 0.17, 0.90, 0.048, 0.048, look.pale)
    end,
    function(stage, look) -- a rabbit's
        for side = -1, 1, 2 do
            ball(stage, side * 0.10, 1.02, 0.060, 0.20, look.body, side * 0.25)
            ball(stage, side * 0.10, 1.02, 0.030, 0.15, look.pale, side * 0.25)
        end
    end,
    function(stage, look) -- a fox's: ellipses that lean outwards
        for side = -1, 1, 2 do
            ball(stage, side * 0.18, 0.91, 0.075, 0.13, look.body, side * 0.75)
            ball(stage, side * 0.18, 0.90, 0.038, 0.085, look.accent, side * 0.75)
        end
    end,
    function(stage, look) -- feelers
        for side = -1, 1, 2 do
            ball(stage, side * 0.10, 0.98, 0.014, 0.12, look.deep, side * 0.55)
            ball(stage, side * 0.17, 1.10, 0.045, 0.045, look.accent)
        end
    end,
}

-- Marks on the head, by kind.
local MARKS = {
    function() end,
    function(stage, look) ball(stage, 0.105, 0.715, 0.085, 0.095, look.deep) end, -- round one eye
    function(stage, look) -- spots on the forehead
        for i = -1, 1 do ball(stage, i * 0.075, 0.86 - math.abs(i) * 0.025, 0.026, 0.022, look.deep) end
    end,
    function(stage, look) ball(stage, 0, 0.80, 0.045, 0.125, look.pale) end, -- a blaze
}

-- What it wears round its neck, by kind.
local CLOTHES = {
    function(stage, look) -- a scarf with a loose end
        ball(stage, 0.10, 0.40, 0.045, 0.11, look.accent, -0.3)
        ball(stage, 0, 0.485, 0.195, 0.055, look.accent)
    end,
    function(stage, look) -- a bow
        pair(stage, ball, 0.075, 0.465, 0.075, 0.05, look.accent)
        ball(stage, 0, 0.465, 0.028, 0.034, look.deep)
    end,
    function(stage, look) -- a sash of three stripes
        for i = 0, 2 do ball(stage, 0, 0.40 - i * 0.09, 0.205 + i * 0.02, 0.022, look.accent) end
    end,
}

local function paint_face(stage, look)
    MARKS[look.mark](stage, look)
    ball(stage, 0, 0.625, 0.105, 0.072, look.pale)
    for side = -1, 1, 2 do
        spot(stage, side * 0.105, 0.715, 0.036, 0.046, INK)
        spot(stage, side * 0.105 + 0.012 * stage.facing, 0.735, 0.013, 0.015, WHITE)
        spot(stage, side * 0.175, 0.645, 0.036, 0.022, CHEEK, 0.45)
    end
    spot(stage, 0, 0.655, 0.026, 0.018, INK)
    for i = -3, 3 do spot(stage, i * 0.014, 0.596 + i * i * 0.0026, 0.010, 0.009, INK, 0.8) end
end

local function paint_creature(stage, look)
    spot(stage, 0, 0.0, 0.34, 0.035, { 0, 0, 0 }, 0.35)
    ball(stage, -look.tail * 0.25, 0.20, 0.11, 0.075, look.body, look.tail * -0.6)
    EARS[look.ears](stage, look)
    pair(stage, ball, 0.12, 0.045, 0.095, 0.055, look.deep)
    ball(stage, 0, 0.26, 0.225, 0.25, look.body)
    ball(stage, 0, 0.23, 0.145, 0.175, look.pale)
    pair(stage, ball, 0.225, 0.30, 0.06, 0.12, look.body)
    if look.clothes == 3 then CLOTHES[3](stage, look) end
    ball(stage, 0, 0.70, 0.265, 0.225, look.body)
    if look.clothes ~= 3 then CLOTHES[look.clothes](stage, look) end
    paint_face(stage, look)
end

-- What a member looks like; the same wherever it is.
local function new_look(member)
    local draw = random.new(member.id)
    return {
        body = member.body, accent = member.accent,
        pale = mix(member.body, WHITE, 0.62), deep = mix(member.body, INK, 0.55),
        ears = floor(draw() * #EARS) + 1, mark = floor(draw() * #MARKS) + 1,
        clothes = floor(draw() * #CLOTHES) + 1, tail = draw() < 0.5 and 1 or -1,
    }
end

-- A board between two heights and edges that may lean.
local function board(stage, x_top, x_bottom, top, bottom, half, colour)
    local h = stage.height
    local from, to = stage.foot - top * h, stage.foot - bottom * h
    canvas.shape(stage.canvas, from, to, mix(colour, stage.shade, stage.dark), 1, function(y)
        local t = (y - from) / (to - from)
        local middle = stage.x + (x_top + (x_bottom - x_top) * t) * h
        return middle - half * h, middle + half * h
    end)
end

-- The picture itself, between two thumbnail pixels where it is shown larger than it is kept.
local function paint_portrait(stage, image, left, top, width, height)
    local pixels = image.pixels
    local function at(column, row, channel)
        column, row = max(0, min(image.width - 1, column)), max(0, min(image.height - 1, row))
        return pixels[3 * (row * image.width + column) + channel]
    end
    for row = 0, ceil(height) - 1 do
        local v = (row + 0.5) / height * image.height - 0.5
        local y, t = floor(v), v - floor(v)
        for column = 0, ceil(width) - 1 do
            local u = (column + 0.5) / width * image.width - 0.5
            local x, s, colour = floor(u), u - floor(u), {}
            for channel = 1, 3 do
                local above = at(x, y, channel) * (1 - s) + at(x + 1, y, channel) * s
                local below = at(x, y + 1, channel) * (1 - s) + at(x + 1, y + 1, channel) * s
                colour[channel] = above + (below - above) * t
            end
            canvas.blend(stage.canvas, floor(left) + column, floor(top) + row,
                mix(colour, stage.shade, stage.dark * 0.6), 1)
        end
    end
end

local EASEL_AREA = 0.36 -- of the painting, in squares of the creature's height

-- An easel at `x` creature heights from the creature.
local function paint_easel(stage, image, x)
    local h = stage.height
    local ratio = max(0.5, min(2, image.width / image.height))
    local width = sqrt(EASEL_AREA * ratio)
    local height = width / ratio
    local bottom, rim = 0.34, 0.028
    local top = bottom + height
    spot(stage, x, 0, 0.30, 0.03, { 0, 0, 0 }, 0.3)
    board(stage, x, x - 0.24, top + 0.10, 0, 0.017, WOOD)
    board(stage, x, x + 0.24, top + 0.10, 0, 0.017, WOOD)
    board(stage, x, x, top + 0.12, 0.10, 0.015, mix(WOOD, INK, 0.35))
    board(stage, x, x, bottom - rim, bottom - rim - 0.035, width / 2 + 0.04, WOOD)
    board(stage, x, x, top + rim, bottom - rim, width / 2 + rim, mix(WHITE, WOOD, 0.12))
    paint_portrait(stage, image, stage.x + (x - width / 2) * h, stage.foot - top * h, width * h, height * h)
end

-- A knoll to stand on, where the foreground may be water.
local function paint_knoll(stage, view, from, to)
    local h = stage.height
    local top, bottom = stage.foot - 0.03 * h, view.height
    local middle, half = stage.x + (from + to) / 2 * h, ((to - from) / 2 + 0.42) * h
    local palette = view.scene.palette
    local colour = mix(mix(palette.near, INK, 0.2), palette.lower, view.scene.snow and 0.5 or 0.06)
    canvas.shape(stage.canvas, top, bottom, colour, 1, function(y)
        local reach = half * (0.72 + 0.55 * sqrt((y - top) / max(bottom - top, 1)))
        return middle - reach, middle + reach
    end)
end

---Puts characters into the foreground, side by side.
---@param view thucchien.emulator.view
---@param members thucchien.emulator.member[]
function characters.paint(view, members)
    local count = #members
    if count == 0 then return end
    local height = HEIGHT * view.unit * (count == 1 and 1 or count == 2 and 0.85 or 0.68)
    height = min(height, view.width / count / 1.7)
    local slot = view.width / count
    local shift = count == 1 and (view.sun.x < view.width / 2 and 0.16 or -0.16) * view.width or 0
    for i, member in ipairs(members) do
        local foot = view.height - (0.032 + 0.02 * ((i + 1) % 2)) * view.unit
        local side = i % 2 == 0 and -1 or 1
        local easel = member.portrait and side * 0.72 or 0
        local x = (i - 0.5) * slot + shift - easel * height / 2
        local stage = new_stage(view, x, foot, height)
        if view.scene.place == "sea" or view.scene.place == "lake" then
            paint_knoll(stage, view, min(0, easel), max(0, easel))
        end
        if member.portrait then paint_easel(stage, member.portrait, easel) end
        paint_creature(stage, new_look(member))
        view.pause()
    end
end

return characters
