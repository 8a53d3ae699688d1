-- Reference pictures: what a drawing takes from the pictures in a request. Each picture gives it colours and a
-- character, the same one each time. A picture that the emulator drew with characters gives it those.

local base64 = require "thucchien.emulator.base64"
local random = require "thucchien.emulator.paint.random"
local recent = require "thucchien.emulator.recent"
local thumbnail = require "thucchien.emulator.paint.thumbnail"

local references = {}

---@class thucchien.emulator.member
---@field id string        # decides what the character looks like
---@field body number[]    # its colour
---@field accent number[]
---@field portrait? thucchien.emulator.paint.thumbnail

---@class thucchien.emulator.reference
---@field id string                            # the same for the same picture
---@field colours number[][]                   # from dark to bright
---@field members thucchien.emulator.member[]

local SHADES = 7
local HUES = 12
local KEPT = 32    -- references in memory, as thumbnails
local SNIFFED = 64 -- characters of base64 that are enough for a picture's signature

local SIGNATURES = { "^\137PNG\r\n\26\n", "^\255\216\255", "^GIF8[79]a", "^RIFF....WEBP" }

local function digest(text)
    local bytes = require("openssl.digest").new("sha256"):final(text)
    return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function luminance(colour)
    return 0.299 * colour[1] + 0.587 * colour[2] + 0.114 * colour[3]
end

-- Red, green and blue of a hue in 0..1, by saturation and value in 0..1.
local function from_hue(hue, saturation, value)
    local colour = {}
    for i, shift in ipairs({ 0, 2 / 3, 1 / 3 }) do
        local distance = math.abs((hue + shift) % 1 * 6 - 3) - 1
        colour[i] = 255 * value * (1 - saturation * (1 - math.max(0, math.min(1, distance))))
    end
    return colour
end

local function hue_of(r, g, b)
    local most, least = math.max(r, g, b), math.min(r, g, b)
    local range = most - least
    if range == 0 then return 0, 0, most / 255 end
    local hue = most == r and (g - b) / range or most == g and 2 + (b - r) / range or 4 + (r - g) / range
    return hue / 6 % 1, range / most, most / 255
end

-- A thumbnail's colours: averages over bands of equal size from the darkest pixels to the brightest.
local function shades(image)
    local sorted = {}
    for i = 1, #image.pixels, 3 * math.max(1, math.floor(#image.pixels / 3 / 4000)) do
        sorted[#sorted + 1] = { image.pixels[i], image.pixels[i + 1], image.pixels[i + 2] }
    end
    for _, colour in ipairs(sorted) do colour.rank = luminance(colour) end
    table.sort(sorted, function(a, b) return a.rank < b.rank end)
    local list = {}
    for band = 1, SHADES do
        local from = math.floor((band - 1) * #sorted / SHADES) + 1
        local to = math.max(from, math.floor(band * #sorted / SHADES))
        local sum = { 0, 0, 0 }
        for i = from, to do
            local colour = sorted[math.min(i, #sorted)]
            for channel = 1, 3 do sum[channel] = sum[channel] + colour[channel] / (to - from + 1) end
        end
        list[band] = sum
    end
    return list
end

-- How much of each hue there is in a thumbnail; grey has none.
local function histogram(image)
    local weights = {}
    for i = 1, HUES do weights[i] = 0 end
    for i = 1, #image.pixels, 3 do
        local hue, saturation, value = hue_of(image.pixels[i], image.pixels[i + 1], image.pixels[i + 2])
        local bin = math.floor(hue * HUES) % HUES + 1
        weights[bin] = weights[bin] + saturation * saturation * value
    end
    return weights
end

-- The strongest hue, and the strongest far from it: 0..1 each.
local function main_hues(weights)
    local first, second = 1, nil
    for i = 2, HUES do
        if weights[i] > weights[first] then first = i end
    end
    for i = 1, HUES do
        local apart = math.abs(i - first)
        apart = math.min(apart, HUES - apart)
        if apart >= 3 and (not second or weights[i] > weights[second]) then second = i end
    end
    return (first - 0.5) / HUES, (second - 0.5) / HUES
end

-- Colours for a picture that cannot be read here: its id decides them.
local function imagined(id)
    local draw = random.new(id)
    local hue, list = draw(), {}
    for i = 1, SHADES do
        list[i] = from_hue((hue + 0.02 * i) % 1, 0.65 - 0.06 * i, i / SHADES)
    end
    return list, hue, (hue + draw(0.3, 0.7)) % 1
end

local function hex(colour)
    return ("%02x%02x%02x"):format(math.floor(colour[1]), math.floor(colour[2]), math.floor(colour[3]))
end

local function from_hex(text)
    local r, g, b = text:match("(%x%x)(%x%x)(%x%x)")
    return { tonumber(r, 16), tonumber(g, 16), tonumber(b, 16) }
end

---The characters of a drawing, as text for its file.
---@param members thucchien.emulator.member[]
---@return string
function references.note(members)
    local lines = {}
    for i, member in ipairs(members) do lines[i] = member.id .. hex(member.body) .. hex(member.accent) end
    return table.concat(lines, "\n")
end

local function members_of(note)
    local members = {}
    for id, body, accent in note:gmatch(("(%s)(%s)(%s)"):format(("%x"):rep(16), ("%x"):rep(6), ("%x"):rep(6))) do
        members[#members + 1] = { id = id, body = from_hex(body), accent = from_hex(accent) }
    end
    return members
end

local function describe(id, image, note)
    local colours, hue, other
    if image then
        colours = shades(image)
        hue, other = main_hues(histogram(image))
    else
        colours, hue, other = imagined(id)
    end
    local members = note and members_of(note) or {}
    if #members == 0 then
        members[1] = {
            id = id:sub(1, 16), portrait = image,
            body = from_hue(hue, 0.58, 0.90), accent = from_hue(other, 0.70, 0.86),
        }
    end
    return { id = id, colours = colours, members = members }
end

local function is_picture(bytes)
    for _, signature in ipairs(SIGNATURES) do
        if bytes:find(signature) then return true end
    end
    return false
end

-- What was read lately, by id: a conversation shows the same pictures again and again.
local known = {}

local function remember(reference)
    return recent.set(known, KEPT, reference.id, reference)
end

---Reads one picture; nil and what Google says of it if that cannot be. One at an address is not fetched.
---@param picture { data?: string, mime?: string, url?: string }
---@param pause fun()  # called now and then
---@return thucchien.emulator.reference?
---@return string? problem
function references.read(picture, pause)
    local data, id = picture.data, digest(picture.data or picture.url)
    if known[id] then return known[id] end
    if not data then return remember(describe(id)) end
    if #data % 4 ~= 0 or not data:find("^[%w+/]*=?=?$") then
        return nil, "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed"
    end
    local start = base64.decode(data, SNIFFED)
    if not is_picture(start) then return nil, "Unable to process input image. Please retry or report." end
    pause()
    if start:sub(1, 4) ~= "\137PNG" or not thumbnail.readable(start) then return remember(describe(id)) end
    return remember(describe(id, thumbnail.read(base64.decode(data), pause)))
end

---The characters that some references bring, each once.
---@param list thucchien.emulator.reference[]
---@param most integer
---@return thucchien.emulator.member[]
function references.members(list, most)
    local members, places = {}, {}
    for _, reference in ipairs(list) do
        for _, member in ipairs(reference.members) do
            local there = places[member.id]
            if not there and #members < most then
                members[#members + 1], places[member.id] = member, #members + 1
            elseif there and not members[there].portrait then
                members[there] = member -- the same one, with the picture that it comes from
            end
        end
    end
    return members
end

---A palette whose colours lean towards those of a reference; how bright each is stays as it was.
---@param palette table<string, number[]>
---@param colours number[][]  # from dark to bright
---@return table<string, number[]>
function references.tint(palette, colours)
    local tinted = {}
    for name, colour in pairs(palette) do
        local bright = luminance(colour)
        local source = colours[math.min(#colours, math.floor(bright / 256 * #colours) + 1)]
        local lift, result = bright - luminance(source), {}
        for channel = 1, 3 do
            local wanted = source[channel] + lift
            result[channel] = math.max(0, math.min(255, colour[channel] + (wanted - colour[channel]) * 0.5))
        end
        tinted[name] = result
    end
    return tinted
end

return references
