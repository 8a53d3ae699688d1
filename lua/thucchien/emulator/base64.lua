-- Base64 that is fast enough for pictures of megabytes. It encodes two characters at a time, from a table of all
-- 4096 pairs. If the Lua has an FFI, it encodes and decodes into a C buffer.

local floor, concat, char = math.floor, table.concat, string.char
local has_ffi, ffi = pcall(require, "ffi")

local base64 = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local pairs_of_characters = {} -- 12 bits -> two characters
for i = 0, 63 do
    for j = 0, 63 do
        pairs_of_characters[64 * i + j] = ALPHABET:sub(i + 1, i + 1) .. ALPHABET:sub(j + 1, j + 1)
    end
end

local values = {} -- byte -> 6 bits; what is no character of base64, padding too, counts as 0
for byte = 0, 255 do values[byte] = 0 end
for i = 1, 64 do values[ALPHABET:byte(i)] = i - 1 end

local encode_whole -- encodes a multiple of three bytes
local decode_whole -- decodes a multiple of four characters

if has_ffi then
    local table_of_pairs = ffi.new("uint8_t[8192]")
    for i = 0, 4095 do
        table_of_pairs[2 * i], table_of_pairs[2 * i + 1] = pairs_of_characters[i]:byte(1, 2)
    end

    function encode_whole(bytes, count)
        local source = ffi.cast("const uint8_t *", bytes)
        local length = count / 3 * 4
        local out = ffi.new("uint8_t[?]", length)
        local to = 0
        for from = 0, count - 1, 3 do
            local first = source[from] * 16 + floor(source[from + 1] / 16)
            local second = source[from + 1] % 16 * 256 + source[from + 2]
            out[to], out[to + 1] = table_of_pairs[2 * first], table_of_pairs[2 * first + 1]
            out[to + 2], out[to + 3] = table_of_pairs[2 * second], table_of_pairs[2 * second + 1]
            to = to + 4
        end
        return ffi.string(out, length)
    end

    local value_of = ffi.new("uint8_t[256]")
    for byte = 0, 255 do value_of[byte] = values[byte] end

    function decode_whole(text, count)
        local source = ffi.cast("const uint8_t *", text)
        local length = count / 4 * 3
        local out = ffi.new("uint8_t[?]", length)
        local to = 0
        for from = 0, count - 1, 4 do
            local high = value_of[source[from]] * 64 + value_of[source[from + 1]]
            local low = value_of[source[from + 2]] * 64 + value_of[source[from + 3]]
            out[to] = floor(high / 16)
            out[to + 1] = high % 16 * 16 + floor(low / 256)
            out[to + 2] = low % 256
            to = to + 3
        end
        return ffi.string(out, length)
    end
else
    function encode_whole(bytes, count)
        local parts, block = {}, {}
        for from = 1, count, 6144 do
            local filled = 0
            for i = from, math.min(from + 6143, count), 3 do
                local a, b, c = bytes:byte(i, i + 2)
                block[filled + 1] = pairs_of_characters[a * 16 + floor(b / 16)]
                block[filled + 2] = pairs_of_characters[b % 16 * 256 + c]
                filled = filled + 2
            end
            parts[#parts + 1] = concat(block, "", 1, filled)
        end
        return concat(parts)
    end

    function decode_whole(text, count)
        local parts, block = {}, {}
        for from = 1, count, 8192 do
            local filled = 0
            for i = from, math.min(from + 8191, count), 4 do
                local a, b, c, d = text:byte(i, i + 3)
                local high, low = values[a] * 64 + values[b], values[c] * 64 + values[d]
                filled = filled + 1
                block[filled] = char(floor(high / 16), high % 16 * 16 + floor(low / 256), low % 256)
            end
            parts[#parts + 1] = concat(block, "", 1, filled)
        end
        return concat(parts)
    end
end

---@param bytes string
---@return string
function base64.encode(bytes)
    local rest = #bytes % 3
    local text = encode_whole(bytes, #bytes - rest)
    if rest == 1 then
        return text .. pairs_of_characters[bytes:byte(-1) * 16] .. "=="
    elseif rest == 2 then
        local a, b = bytes:byte(-2, -1)
        return text .. pairs_of_characters[a * 16 + floor(b / 16)]
            .. pairs_of_characters[b % 16 * 256]:sub(1, 1) .. "="
    end
    return text
end

---Decodes well-formed base64 with its padding. With `limit` it decodes only the first `limit` characters.
---@param text string
---@param limit? integer  # a multiple of four
---@return string
function base64.decode(text, limit)
    local count = math.min(#text, limit or #text)
    local padding = count == #text and #text:match("=*$", math.max(1, #text - 3)) or 0
    return (decode_whole(text, count):sub(1, -1 - padding))
end

return base64
