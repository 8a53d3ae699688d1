-- What stands in a landscape: trees, grass, houses, a lighthouse, a boat, birds. Each is a few
-- soft-edged shapes, dark against the sky, with a light in the window after sunset.

local canvas = require "thucchien.emulator.paint.canvas"
local colours = require "thucchien.emulator.paint.colours"
local noise = require "thucchien.emulator.paint.noise"

local floor, min, max = math.floor, math.min, math.max
local mix = colours.mix

local props = {}

local LAMP = { 255, 206, 120 }

local function dark_outside(view)
    return view.scene.time ~= "day" and view.scene.time ~= "dawn"
end

-- A conifer: branches in tiers, each wider than the one above and drooping to a point.
local function conifer(view, x, foot, height, colour)
    local half = height * view.draw(0.17, 0.23)
    local tiers, lean = floor(view.draw(6, 10)), view.draw(-0.03, 0.03) * height
    local top = foot - height
    canvas.shape(view.canvas, top, foot, colour, 1, function(y)
        local t = (y - top) / height
        local tier = t * tiers
        local within = tier - floor(tier)
        local reach = half * (0.06 + t * 0.94) * (0.55 + 0.45 * within)
        local middle = x + lean * (1 - t)
        return middle - reach, middle + reach * 0.96
    end)
end

---Conifers along a crest, in groups with clearings.
---@param view thucchien.emulator.view
---@param top number[]   # y of the ground for each column
---@param near number    # 0 far .. 1 near
---@param colour number[]
function props.forest(view, top, near, colour)
    local draw, unit = view.draw, view.unit
    local typical = (0.030 + 0.105 * near * near) * unit
    local x, phase = -typical * 0.2, draw(0, 500)
    while x < view.width + typical * 0.2 do
        local density = noise.fractal_line(view.noise, x / unit * 2.2 + phase, 3, 0.5)
        if density > -0.12 then
            local column = max(0, min(view.width - 1, floor(x)))
            local height = typical * draw(0.55, 1.25) * (0.75 + density * 0.6)
            conifer(view, x, top[column] + typical * 0.06, height, colour)
            x = x + typical * draw(0.10, 0.34)
        else
            x = x + typical * 0.25
        end
    end
end

---Blades of grass along a crest, bent by one wind.
---@param view thucchien.emulator.view
---@param top number[]
---@param colour number[]
function props.grass(view, top, colour)
    local draw, unit = view.draw, view.unit
    local wind = view.sun.x > view.width / 2 and 1 or -1
    for _ = 1, floor(view.width / unit * 520) do
        local x = draw() * view.width
        local tuft = noise.fractal_line(view.noise, x / unit * 9 + 77, 2, 0.5)
        local foot = top[floor(x)] + 0.004 * unit
        local height = (0.010 + 0.026 * draw() * max(0, 0.5 + tuft)) * unit
        local bend, width = wind * height * draw(0.1, 0.55), draw(0.0008, 0.0016) * unit
        canvas.shape(view.canvas, foot - height, foot, colour, 0.9, function(y)
            local t = (foot - y) / height
            local middle, half = x + bend * t * t, width * (1 - t) + 0.2
            return middle - half, middle + half
        end)
    end
end

local function house(view, x, foot, size, colour)
    local draw = view.draw
    local half, wall, roof = size * draw(0.5, 0.8), size * draw(0.5, 0.7), size * draw(0.4, 0.6)
    canvas.shape(view.canvas, foot - wall, foot + size * 0.2, colour, 1, function()
        return x - half, x + half
    end)
    local peak = foot - wall - roof
    local overhang = half * 1.16
    canvas.shape(view.canvas, peak, foot - wall, mix(colour, { 0, 0, 0 }, 0.35), 1, function(y)
        local reach = overhang * (y - peak) / roof
        return x - reach, x + reach
    end)
    if dark_outside(view) then
        for side = -1, 1, 2 do
            if draw() < 0.8 then
                local middle, w = x + side * half * 0.45, size * 0.12
                canvas.shape(view.canvas, foot - wall * 0.75, foot - wall * 0.35, LAMP, 1, function()
                    return middle - w, middle + w
                end)
                canvas.glow(view.canvas, middle, foot - wall * 0.55, size * 1.1, LAMP, 0.16)
            end
        end
    end
end

---Houses on the ground whose crest is `top`.
---@param view thucchien.emulator.view
---@param top number[]
function props.village(view, top)
    local draw, unit = view.draw, view.unit
    local colour = mix(view.scene.palette.near, view.scene.palette.haze, 0.16)
    local middle = view.width * draw(0.3, 0.7)
    for _ = 1, 9 do
        local x = middle + (draw() + draw() - 1) * 0.30 * unit
        local column = max(0, min(view.width - 1, floor(x)))
        house(view, x, top[column] + 0.004 * unit, draw(0.020, 0.034) * unit, colour)
    end
end

-- A tongue of land at the horizon: highest at `x`, gone `reach` away on each side.
local function headland(view, x, reach, height, colour)
    local top, phase = {}, view.draw(0, 500)
    for column = floor(x - reach), floor(x + reach) do
        local t = (column - x) / reach
        local rough = noise.fractal_line(view.noise, column / view.unit * 14 + phase, 4, 0.5)
        local level = (1 - t * t) * (1 - t * t) * (1 + 0.42 * rough)
        top[column] = view.horizon - height * level
        for y = floor(top[column]), floor(view.horizon) do
            local covered = min(y + 1 - top[column], 1)
            canvas.blend(view.canvas, column, y, colour, covered)
        end
    end
    return top
end

---Houses along the water's edge, before the water is painted, so that it mirrors them.
---@param view thucchien.emulator.view
function props.shore_village(view)
    local draw, unit, palette = view.draw, view.unit, view.scene.palette
    local x = view.width - view.sun.x + draw(-0.05, 0.05) * unit
    local colour = mix(palette.near, palette.haze, 0.12)
    local top = headland(view, x, 0.40 * unit, 0.030 * unit, colour)
    for _ = 1, 12 do
        local at = x + (draw() + draw() - 1) * 0.27 * unit
        house(view, at, (top[floor(at)] or view.horizon) + 0.002 * unit, draw(0.017, 0.030) * unit,
            mix(colour, palette.haze, draw(0, 0.22)))
    end
end

local function beam(view, x, y, direction)
    local light = mix(LAMP, { 255, 255, 255 }, 0.4)
    local length = 0.62 * view.unit
    for column = 0, floor(length) do
        local t = column / length
        local half = (0.004 + 0.050 * t) * view.unit
        local middle = y - direction.rise * column
        for row = floor(middle - half), floor(middle + half) do
            local off = (row + 0.5 - middle) / half
            local left = 1 - off * off
            if left > 0 then
                canvas.light(view.canvas, floor(x + direction.side * column), row, light,
                    0.30 * left * left * (1 - t) * (1 - t))
            end
        end
    end
end

---A lighthouse on a rock, lit after sunset.
---@param view thucchien.emulator.view
function props.lighthouse(view)
    local unit, palette = view.unit, view.scene.palette
    local x = view.width - view.sun.x
    local rock = mix(palette.near, palette.haze, 0.10)
    headland(view, x + 0.03 * unit, 0.23 * unit, 0.050 * unit, rock)
    local foot, height = view.horizon - 0.045 * unit, 0.235 * unit
    local top = foot - height
    local lit = dark_outside(view)
    local wall = lit and mix(palette.near, palette.light, 0.42)
        or mix({ 244, 240, 232 }, palette.haze, 0.2)
    local stripe = lit and mix(palette.near, { 120, 24, 40 }, 0.55) or { 186, 58, 52 }
    local shadow_side = view.sun.x > x and -1 or 1
    local function half_width(y) return (0.0135 + 0.0105 * (y - top) / height) * unit end

    canvas.shape(view.canvas, top, foot + 0.01 * unit, wall, 1, function(y)
        return x - half_width(y), x + half_width(y)
    end)
    for band = 0, 2 do
        local from = top + height * (0.12 + 0.32 * band)
        canvas.shape(view.canvas, from, from + height * 0.15, stripe, 0.95, function(y)
            return x - half_width(y), x + half_width(y)
        end)
    end
    for step = 1, 5 do -- a round tower: darker in steps towards the side away from the light
        canvas.shape(view.canvas, top, foot + 0.01 * unit, palette.near, 0.13, function(y)
            local edge, inner = half_width(y), half_width(y) * (1 - step * 0.28)
            if shadow_side > 0 then return x + inner, x + edge end
            return x - edge, x - inner
        end)
    end
    local iron = mix(palette.near, { 0, 0, 0 }, 0.3)
    canvas.shape(view.canvas, top - 0.006 * unit, top + 0.004 * unit, iron, 1, function()
        return x - 0.021 * unit, x + 0.021 * unit
    end)
    local lamp_top = top - 0.034 * unit
    local glass = lit and LAMP or { 214, 228, 232 }
    canvas.shape(view.canvas, lamp_top, top - 0.006 * unit, glass, 1, function()
        return x - 0.0105 * unit, x + 0.0105 * unit
    end)
    for bar = -1, 1 do
        canvas.shape(view.canvas, lamp_top, top - 0.006 * unit, iron, 0.8, function()
            return x + (bar * 0.0095 - 0.0008) * unit, x + (bar * 0.0095 + 0.0008) * unit
        end)
    end
    canvas.shape(view.canvas, lamp_top - 0.018 * unit, lamp_top, iron, 1, function(y)
        local t = (y - lamp_top + 0.018 * unit) / (0.018 * unit)
        local reach = 0.015 * unit * t * (2 - t)
        return x - reach, x + reach
    end)
    if lit then
        local y = (lamp_top + top) / 2
        canvas.glow(view.canvas, x, y, 0.085 * unit, LAMP, 0.75)
        beam(view, x, y, { side = shadow_side, rise = 0.05 })
        beam(view, x, y, { side = -shadow_side, rise = -0.03 })
    end
    house(view, x + 0.065 * unit, foot + 0.004 * unit, 0.026 * unit, rock)
end

-- A sail with a curved edge: `belly` is how far it bulges.
local function sail(view, x, foot, height, width, belly, colour)
    local top = foot - height
    canvas.shape(view.canvas, top, foot, colour, 1, function(y)
        local t = (y - top) / height
        local edge = x + width * t + belly * t * (1 - t)
        return min(x, edge), max(x, edge)
    end)
end

---A sailing boat and its reflection.
---@param view thucchien.emulator.view
function props.boat(view)
    local draw, unit, palette = view.draw, view.unit, view.scene.palette
    local size = draw(0.075, 0.105) * unit
    local x = view.sun.x + draw(-0.16, 0.16) * unit
    x = max(0.15 * view.width, min(0.85 * view.width, x))
    local y = view.horizon + draw(0.055, 0.085) * unit
    local hull = mix(palette.near, { 0, 0, 0 }, 0.2)
    local day = not dark_outside(view)
    local cloth = day and { 250, 244, 232 } or mix(palette.near, palette.lower, 0.22)
    for ring = 1, 26 do -- the reflection: broken strokes that thin out downwards
        local t = ring / 26
        local half = size * (0.30 - 0.22 * t) * draw(0.6, 1.1)
        local middle = x + draw(-0.06, 0.06) * size
        canvas.span(view.canvas, middle - half, middle + half, floor(y + size * (0.02 + t * 0.85)),
            day and mix(hull, cloth, 0.3) or hull, 0.5 * (1 - t))
    end
    canvas.shape(view.canvas, y - size * 0.13, y + size * 0.03, hull, 1, function(row)
        local t = (row - y + size * 0.13) / (size * 0.16)
        return x - size * (0.46 - 0.16 * t * t), x + size * (0.42 - 0.20 * t * t)
    end)
    canvas.shape(view.canvas, y - size * 1.22, y - size * 0.12, hull, 1, function()
        return x - size * 0.012, x + size * 0.012
    end)
    sail(view, x + size * 0.03, y - size * 0.18, size * 0.98, size * 0.34, size * 0.18, cloth)
    sail(view, x - size * 0.03, y - size * 0.18, size * 0.80, -size * 0.36, -size * 0.10,
        mix(cloth, palette.near, day and 0.10 or 0.25))
    if not day then canvas.glow(view.canvas, x, y - size * 0.1, size * 0.35, LAMP, 0.35) end
end

---A few birds far off, wings up.
---@param view thucchien.emulator.view
function props.birds(view)
    local draw, unit = view.draw, view.unit
    local colour = mix(view.scene.palette.near, view.scene.palette.upper, 0.25)
    local middle_x = view.width * draw(0.3, 0.7)
    local middle_y = view.horizon * draw(0.34, 0.56)
    for _ = 1, floor(draw(4, 9)) do
        local x, y = middle_x + draw(-0.14, 0.14) * unit, middle_y + draw(-0.06, 0.06) * unit
        local size = draw(0.008, 0.016) * unit
        for step = -24, 24 do
            local t = step / 24
            local away = t < 0 and -t or t
            local lift = size * (0.55 * away * (1.5 - away) - 0.1)
            canvas.glow(view.canvas, x + t * size, y - lift, 0.7 + 0.0011 * unit * (1 - away), {
                colour[1] - 255, colour[2] - 255, colour[3] - 255 }, 0.16)
        end
    end
end

return props
