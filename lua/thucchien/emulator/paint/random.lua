-- Numbers that look random and never change: a prompt seeds them, so the same prompt draws the same
-- picture on every Lua and every machine. math.random differs between Luas, so it is not used; every
-- product here stays below 2^53 and is therefore exact whether numbers are doubles or integers.

local floor = math.floor

local random = {}

-- L'Ecuyer's combined generator of 1988: two multiplicative generators, subtracted.
local M1, A1 = 2147483563, 40014
local M2, A2 = 2147483399, 40692

---A stream of numbers in [0, 1) that depends on the text alone.
---@param text string
---@return fun(low?: number, high?: number): number  # with bounds, a number in [low, high)
function random.new(text)
    local s1, s2 = 1, 1
    for i = 1, #text do
        local byte = text:byte(i)
        s1 = (s1 * 257 + byte + 1) % M1
        s2 = (s2 * 263 + byte + 1) % M2
    end
    s1, s2 = s1 % (M1 - 1) + 1, s2 % (M2 - 1) + 1
    local function draw(low, high)
        s1 = s1 * A1 % M1
        s2 = s2 * A2 % M2
        local value = (s1 - s2) % (M1 - 1) / (M1 - 1)
        if low then return low + (high - low) * value end
        return value
    end
    -- Texts that differ in their last byte only start close together: move them apart.
    for _ = 1, 8 do draw() end
    return draw
end

---One element of a list.
---@generic T
---@param draw fun(): number
---@param list T[]
---@return T
function random.pick(draw, list)
    return list[floor(draw() * #list) + 1]
end

return random
