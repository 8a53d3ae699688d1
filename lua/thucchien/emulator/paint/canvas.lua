-- A picture being painted: one array of red, green and blue in 0..255 with fractions, so that thin glows
-- and soft edges survive until the last rounding. Doubles everywhere: a picture must not depend on the Lua.

local png = require "thucchien.emulator.paint.png"

local floor, min, max = math.floor, math.min, math.max
local has_ffi, ffi = pcall(require, "ffi")

local canvas = {}

---@class thucchien.emulator.paint.canvas
---@field width integer
---@field height integer
---@field pixels table|ffi.cdata*  # 3 numbers a pixel, row by row, from 0

---@param width integer
---@param height integer
---@return thucchien.emulator.paint.canvas
function canvas.new(width, height)
    local count = 3 * width * height
    local pixels
    if has_ffi then
        pixels = ffi.new("double[?]", count)
    else
        pixels = {}
        for i = 0, count - 1 do pixels[i] = 0 end
    end
    return { width = width, height = height, pixels = pixels }
end

---Lays a colour over one pixel; nothing outside the canvas.
---@param self thucchien.emulator.paint.canvas
---@param x integer
---@param y integer
---@param colour number[]
---@param opacity number
function canvas.blend(self, x, y, colour, opacity)
    if x < 0 or y < 0 or x >= self.width or y >= self.height then return end
    local pixels, i = self.pixels, 3 * (y * self.width + x)
    pixels[i] = pixels[i] + (colour[1] - pixels[i]) * opacity
    pixels[i + 1] = pixels[i + 1] + (colour[2] - pixels[i + 1]) * opacity
    pixels[i + 2] = pixels[i + 2] + (colour[3] - pixels[i + 2]) * opacity
end

---Adds light to one pixel; nothing outside the canvas.
---@param self thucchien.emulator.paint.canvas
---@param x integer
---@param y integer
---@param colour number[]
---@param amount number
function canvas.light(self, x, y, colour, amount)
    if x < 0 or y < 0 or x >= self.width or y >= self.height then return end
    local pixels, i = self.pixels, 3 * (y * self.width + x)
    pixels[i] = pixels[i] + colour[1] * amount
    pixels[i + 1] = pixels[i + 1] + colour[2] * amount
    pixels[i + 2] = pixels[i + 2] + colour[3] * amount
end

---A horizontal stroke from `left` to `right` (fractions of pixels count) in row `y`.
---@param self thucchien.emulator.paint.canvas
---@param left number
---@param right number
---@param y integer
---@param colour number[]
---@param opacity number
function canvas.span(self, left, right, y, colour, opacity)
    if y < 0 or y >= self.height or right <= left then return end
    for x = max(floor(left), 0), min(floor(right), self.width - 1) do
        local covered = min(right, x + 1) - max(left, x)
        if covered > 0 then canvas.blend(self, x, y, colour, covered * opacity) end
    end
end

---A shape given by its left and right edge at every height: `edges(y)` with y at a row's middle.
---@param self thucchien.emulator.paint.canvas
---@param top number
---@param bottom number
---@param colour number[]
---@param opacity number
---@param edges fun(y: number): number, number
function canvas.shape(self, top, bottom, colour, opacity, edges)
    for y = floor(top), floor(bottom) do
        local covered = min(bottom, y + 1) - max(top, y)
        if covered > 0 then
            local left, right = edges(min(max(y + 0.5, top), bottom))
            canvas.span(self, left, right, y, colour, opacity * covered)
        end
    end
end

---A soft round light that fades to nothing at `radius`.
---@param self thucchien.emulator.paint.canvas
---@param x number
---@param y number
---@param radius number
---@param colour number[]
---@param amount number
function canvas.glow(self, x, y, radius, colour, amount)
    for row = floor(y - radius), floor(y + radius) do
        for column = floor(x - radius), floor(x + radius) do
            local dx, dy = (column + 0.5 - x) / radius, (row + 0.5 - y) / radius
            local left = 1 - dx * dx - dy * dy
            if left > 0 then canvas.light(self, column, row, colour, amount * left * left * left) end
        end
    end
end

-- An ordered 4 x 4 threshold: it hides the steps between shades, and repeats, so that it costs the
-- compressor little where noise would cost it everything.
local THRESHOLD = {
    [0] = 0.5 / 16, 8.5 / 16, 2.5 / 16, 10.5 / 16,
    12.5 / 16, 4.5 / 16, 14.5 / 16, 6.5 / 16,
    3.5 / 16, 11.5 / 16, 1.5 / 16, 9.5 / 16,
    15.5 / 16, 7.5 / 16, 13.5 / 16, 5.5 / 16,
}

---@param self thucchien.emulator.paint.canvas
---@param note? string  # kept in the file
---@return string
function canvas.png(self, note)
    local width, pixels = self.width, self.pixels
    return png.encode(width, self.height, function(y, bytes)
        local from = 3 * y * width
        for x = 0, width - 1 do
            local threshold = THRESHOLD[y % 4 * 4 + x % 4]
            for i = 3 * x, 3 * x + 2 do
                local value = floor(pixels[from + i] + threshold)
                if value < 0 then value = 0 elseif value > 255 then value = 255 end
                bytes[i] = value
            end
        end
    end, note)
end

return canvas
