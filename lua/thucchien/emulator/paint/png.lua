-- Writes a PNG file (8 bits a channel, RGB) through lua-zlib's deflate. Each row is filtered with "Up",
-- the difference to the row above: neighbouring rows of a painted sky differ by next to nothing.

local floor, char, concat = math.floor, string.char, table.concat
local unpack = table.unpack or unpack -- luacheck: ignore 113 143
local has_ffi, ffi = pcall(require, "ffi")

local png = {}

local ROWS_AT_ONCE = 64
local LEVEL = 6

local function big_endian(number)
    return char(floor(number / 16777216) % 256, floor(number / 65536) % 256,
        floor(number / 256) % 256, number % 256)
end

local function chunk(name, content)
    local checksum = require("zlib").crc32()(name .. content)
    return big_endian(#content) .. name .. content .. big_endian(checksum)
end

-- A row of bytes, and a function that filters one against the row above and gives a string.
local new_row, filter_up

if has_ffi then
    function new_row(count) return ffi.new("uint8_t[?]", count) end

    local out, room = nil, 0
    function filter_up(current, above, count)
        if room < count + 1 then out, room = ffi.new("uint8_t[?]", count + 1), count + 1 end
        out[0] = 2
        for i = 0, count - 1 do out[i + 1] = current[i] - above[i] end
        return ffi.string(out, count + 1)
    end
else
    function new_row(count)
        local row = {}
        for i = 0, count - 1 do row[i] = 0 end
        return row
    end

    function filter_up(current, above, count)
        local parts, bytes = { "\2" }, {}
        for first = 0, count - 1, 96 do
            local last = math.min(first + 95, count - 1)
            for i = first, last do bytes[i - first + 1] = (current[i] - above[i]) % 256 end
            parts[#parts + 1] = char(unpack(bytes, 1, last - first + 1))
        end
        return concat(parts)
    end
end

---A PNG file. `paint_row(y, bytes)` puts a row's 3 * width bytes into `bytes[0]`, `bytes[1]`, …
---@param width integer
---@param height integer
---@param paint_row fun(y: integer, bytes: table|ffi.cdata*)
---@param note? string  # kept in the file under the keyword "Cast"
---@return string
function png.encode(width, height, paint_row, note)
    local deflate = require("zlib").deflate(LEVEL)
    local count = 3 * width
    local current, above = new_row(count), new_row(count)
    local compressed, rows = {}, {}
    for y = 0, height - 1 do
        paint_row(y, current)
        rows[#rows + 1] = filter_up(current, above, count)
        current, above = above, current
        if #rows == ROWS_AT_ONCE or y == height - 1 then
            compressed[#compressed + 1] = deflate(concat(rows), y == height - 1 and "finish" or "none")
            rows = {}
        end
    end
    local header = big_endian(width) .. big_endian(height) .. "\8\2\0\0\0"
    local text = note and chunk("tEXt", "Cast\0" .. note) or ""
    return "\137PNG\r\n\26\n" .. chunk("IHDR", header) .. text .. chunk("IDAT", concat(compressed)) .. chunk("IEND", "")
end

return png
