-- Colours are lists of red, green and blue, each 0..255.

local colours = {}

---The value, or the nearer of 0 and 1 if it is beyond them.
function colours.clamp(value)
    if value < 0 then return 0 elseif value > 1 then return 1 end
    return value
end

---0 up to `from`, 1 from `to` on, and an even curve between them.
function colours.smooth(from, to, value)
    local t = colours.clamp((value - from) / (to - from))
    return t * t * (3 - 2 * t)
end

---The colour that is `t` of the way from one to another.
function colours.mix(a, b, t)
    return { a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t, a[3] + (b[3] - a[3]) * t }
end

return colours
