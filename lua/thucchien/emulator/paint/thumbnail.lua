-- Reads a PNG file of 8 or 16 bits a channel down to a thumbnail: rows are averaged while they are
-- inflated, so that a large picture is never whole in memory.

local floor, abs = math.floor, math.abs
local has_ffi, ffi = pcall(require, "ffi")

local thumbnail = {}

local SIDE = 160    -- pixels of a thumbnail's longer side
local PIECE = 65536 -- bytes inflated at once
-- Of a picture that is read; plain Lua takes seconds for a million.
local MOST_PIXELS = has_ffi and 64000000 or 2000000

---@class thucchien.emulator.paint.thumbnail
---@field width integer
---@field height integer
---@field pixels number[]  # 3 numbers a pixel, 0..255, row by row, from 1

local CHANNELS = { [0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4 } -- by PNG's colour type

local function new_bytes(count)
    if has_ffi then return ffi.new("uint8_t[?]", count) end
    local bytes = {}
    for i = 0, count - 1 do bytes[i] = 0 end
    return bytes
end

local function big_endian(bytes, at)
    local a, b, c, d = bytes:byte(at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

-- The chunks that matter: the header's fields, the palette, the note, and where the pixels are.
local function read_chunks(bytes)
    local found, at = { pixels = {} }, 9
    while at + 11 <= #bytes do
        local length, name = big_endian(bytes, at), bytes:sub(at + 4, at + 7)
        local from, to = at + 8, at + 7 + length
        if to > #bytes then to = #bytes end
        if name == "IHDR" and length == 13 then
            found.width, found.height = big_endian(bytes, from), big_endian(bytes, from + 4)
            found.depth, found.kind, found.interlaced = bytes:byte(from + 8), bytes:byte(from + 9), bytes:byte(to)
        elseif name == "PLTE" then
            found.palette = bytes:sub(from, to)
        elseif name == "tEXt" and length < 4096 then
            found.note = bytes:sub(from, to):match("^Cast%z(.*)$") or found.note
        elseif name == "IDAT" then
            found.pixels[#found.pixels + 1] = { from, to }
        end
        at = to + 5
    end
    return found
end

local function readable(header)
    local channels = CHANNELS[header.kind]
    return channels and (header.depth == 8 or header.depth == 16) and header.interlaced == 0
        and header.width > 0 and header.height > 0 and header.width * header.height <= MOST_PIXELS
        and (header.kind ~= 3 or header.palette)
end

local function paeth(left, above, corner)
    local p = left + above - corner
    local a, b, c = abs(p - left), abs(p - above), abs(p - corner)
    if a <= b and a <= c then return left elseif b <= c then return above end
    return corner
end

-- Undoes a row's filter: `row` holds `count` bytes from `text` at `at`, `above` the row before it.
local function unfilter(text, at, filter, row, above, count, step)
    for i = 0, count - 1 do
        local left = i >= step and row[i - step] or 0
        local value = text:byte(at + i)
        if filter == 1 then value = value + left
        elseif filter == 2 then value = value + above[i]
        elseif filter == 3 then value = value + floor((left + above[i]) / 2)
        elseif filter == 4 then value = value + paeth(left, above[i], i >= step and above[i - step] or 0) end
        row[i] = value % 256
    end
end

-- Adds a row of pixels to the sums of the thumbnail's cells. `offset` finds green and blue; 0 for grey.
local function add_row(self, row)
    local cell_row = floor(self.y * self.rows / self.height) * self.columns
    local sums, counts, step, offset = self.sums, self.counts, self.step, self.offset
    local palette, scale = self.palette, self.columns / self.width
    for x = 0, self.width - 1 do
        local i, cell = x * step, cell_row + floor(x * scale)
        local r, g, b = row[i], row[i + offset], row[i + 2 * offset]
        if palette then
            local entry = 3 * r + 1
            r, g, b = palette:byte(entry) or 0, palette:byte(entry + 1) or 0, palette:byte(entry + 2) or 0
        end
        sums[3 * cell] = sums[3 * cell] + r
        sums[3 * cell + 1] = sums[3 * cell + 1] + g
        sums[3 * cell + 2] = sums[3 * cell + 2] + b
        counts[cell] = counts[cell] + 1
    end
end

local function new_reader(header)
    local scale = math.min(1, SIDE / math.max(header.width, header.height))
    local columns = math.max(1, floor(header.width * scale + 0.5))
    local rows = math.max(1, floor(header.height * scale + 0.5))
    local size = header.depth / 8
    local step = CHANNELS[header.kind] * size
    local self = {
        width = header.width, height = header.height, columns = columns, rows = rows, y = 0, step = step,
        offset = (header.kind == 2 or header.kind == 6) and size or 0,
        palette = header.kind == 3 and header.palette or nil, stride = header.width * step,
        pending = "", sums = {}, counts = {},
    }
    self.row, self.above = new_bytes(self.stride), new_bytes(self.stride)
    for i = 0, columns * rows - 1 do
        self.sums[3 * i], self.sums[3 * i + 1], self.sums[3 * i + 2], self.counts[i] = 0, 0, 0, 0
    end
    return self
end

-- Takes inflated bytes; true once the last row is there.
local function feed(self, inflated)
    local text, at = self.pending .. inflated, 1
    while #text - at >= self.stride and self.y < self.height do
        unfilter(text, at + 1, text:byte(at), self.row, self.above, self.stride, self.step)
        add_row(self, self.row)
        self.row, self.above = self.above, self.row
        at, self.y = at + self.stride + 1, self.y + 1
    end
    self.pending = text:sub(at)
    return self.y == self.height
end

-- Cells that no row reached, because the file ends early, are black.
local function finish(self)
    local pixels = {}
    for i = 0, self.columns * self.rows - 1 do
        local count = math.max(self.counts[i], 1)
        for channel = 0, 2 do pixels[3 * i + channel + 1] = self.sums[3 * i + channel] / count end
    end
    return { width = self.columns, height = self.rows, pixels = pixels }
end

---Whether a PNG file is one that is read, by its first bytes.
---@param start string  # 33 bytes or more
---@return boolean
function thumbnail.readable(start)
    local header = read_chunks(start)
    return header.width ~= nil and (header.kind == 3 or readable(header) or false)
end

---The thumbnail of a PNG file, if it can be read, and the note that the emulator put there.
---@param bytes string
---@param pause fun()  # called now and then
---@return thucchien.emulator.paint.thumbnail?
---@return string? note
function thumbnail.read(bytes, pause)
    local header = read_chunks(bytes)
    if not header.width or not readable(header) then return nil, header.note end
    local self, inflate = new_reader(header), require("zlib").inflate()
    for _, range in ipairs(header.pixels) do
        for from = range[1], range[2], PIECE do
            local ok, inflated = pcall(inflate, bytes:sub(from, math.min(from + PIECE - 1, range[2])))
            if not ok then return nil, header.note end
            if feed(self, inflated) then return finish(self), header.note end
            pause()
        end
    end
    if self.y == 0 then return nil, header.note end
    return finish(self), header.note
end

return thumbnail
