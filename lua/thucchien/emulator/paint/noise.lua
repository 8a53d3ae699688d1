-- Value noise: random heights on a lattice with smooth ways between them, and sums of it in octaves
-- (fractal noise), from which ridges, clouds and ripples are made.

local floor = math.floor

local noise = {}

---@class thucchien.emulator.paint.noise
---@field order integer[]  # a permutation of 0..255, indexed from 0
---@field value number[]   # heights in [-1, 1], indexed from 0

---@param draw fun(low?: number, high?: number): number
---@return thucchien.emulator.paint.noise
function noise.new(draw)
    local order, value = {}, {}
    for i = 0, 255 do order[i], value[i] = i, draw(-1, 1) end
    for i = 255, 1, -1 do
        local j = floor(draw() * (i + 1))
        order[i], order[j] = order[j], order[i]
    end
    return { order = order, value = value }
end

---Noise along a line, in [-1, 1].
---@param self thucchien.emulator.paint.noise
---@param x number
---@return number
function noise.line(self, x)
    local value = self.value
    local cell = floor(x)
    local t = x - cell
    t = t * t * (3 - 2 * t)
    local left, right = value[cell % 256], value[(cell + 1) % 256]
    return left + (right - left) * t
end

---Noise on a plane, in [-1, 1].
---@param self thucchien.emulator.paint.noise
---@param x number
---@param y number
---@return number
function noise.plane(self, x, y)
    local order, value = self.order, self.value
    local column, row = floor(x), floor(y)
    local s, t = x - column, y - row
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    local left, right = order[column % 256] + row, order[(column + 1) % 256] + row
    local above = value[left % 256]
    above = above + (value[right % 256] - above) * s
    local below = value[(left + 1) % 256]
    below = below + (value[(right + 1) % 256] - below) * s
    return above + (below - above) * t
end

---Octaves of line noise, each of twice the frequency and `gain` times the height; in about [-1, 1].
---@param self thucchien.emulator.paint.noise
---@param x number
---@param octaves integer
---@param gain number
---@return number
function noise.fractal_line(self, x, octaves, gain)
    local sum, height, total = 0, 1, 0
    for _ = 1, octaves do
        sum, total = sum + height * noise.line(self, x), total + height
        x, height = x * 2.03 + 17.3, height * gain
    end
    return sum / total
end

---Octaves of line noise folded at zero, which gives the sharp crests of mountains; in [0, 1].
---@param self thucchien.emulator.paint.noise
---@param x number
---@param octaves integer
---@param gain number
---@return number
function noise.ridged_line(self, x, octaves, gain)
    local sum, height, total = 0, 1, 0
    for _ = 1, octaves do
        local crest = noise.line(self, x)
        if crest < 0 then crest = -crest end
        sum, total = sum + height * (1 - crest), total + height
        x, height = x * 2.03 + 17.3, height * gain
    end
    return sum / total
end

---Octaves of plane noise; in about [-1, 1].
---@param self thucchien.emulator.paint.noise
---@param x number
---@param y number
---@param octaves integer
---@param gain number
---@return number
function noise.fractal_plane(self, x, y, octaves, gain)
    local sum, height, total = 0, 1, 0
    for _ = 1, octaves do
        sum, total = sum + height * noise.plane(self, x, y), total + height
        x, y, height = x * 2.03 + 17.3, y * 2.03 - 9.1, height * gain
    end
    return sum / total
end

return noise
