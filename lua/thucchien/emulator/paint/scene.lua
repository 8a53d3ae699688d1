-- What a prompt asks to see: its words choose the time of day, the place and what stands in it; what
-- no word decides, the prompt's own numbers do.

local random = require "thucchien.emulator.paint.random"

local scene = {}

local function colour(hex)
    local number = tonumber(hex, 16)
    return { math.floor(number / 65536), math.floor(number / 256) % 256, number % 256 }
end

-- Sky from the zenith down to the horizon, the light (sun or moon), the haze that distance fades into,
-- and the shade of what is near.
local function palette(zenith, upper, lower, horizon, light, haze, near)
    return {
        zenith = colour(zenith), upper = colour(upper),
        lower = colour(lower), horizon = colour(horizon),
        light = colour(light), haze = colour(haze), near = colour(near),
    }
end

local PALETTES = {
    dawn = {
        palette("34508a", "7f8fc4", "f0b4b0", "ffe2ae", "fff3d0", "dcaeb4", "1d2740"),
        palette("2f6b8a", "86b5bd", "f3d3b0", "fff0cf", "fffbe6", "c7c0b4", "17333d"),
        palette("4b4a86", "a783b8", "f5a9a0", "ffd9a8", "fff0d8", "d79fae", "261d3f"),
    },
    day = {
        palette("1f6fb5", "58a4de", "a9d6f0", "e6f4f4", "fffbe8", "b4d2e2", "123d36"),
        palette("2b86c5", "70b9e0", "bfe3ea", "f6f3e0", "fffae0", "bfd8d6", "1b4428"),
        palette("3a6fb0", "79a8d8", "c2d8ec", "f4efe6", "fff6e0", "b9c8dc", "20344f"),
    },
    dusk = {
        palette("1d1c4d", "6c2f78", "e3565c", "ffb45e", "ffe7b0", "c65a66", "150f29"),
        palette("1f3463", "77497f", "f07f59", "ffd47c", "fff0c0", "cf7d6c", "151a33"),
        palette("0d3a55", "3c7a86", "f0a763", "ffdf98", "fff4cc", "b99270", "0c2029"),
        palette("2a1745", "8a2f5f", "f0694a", "ffc45c", "ffefb4", "b8485a", "1a0c24"),
    },
    night = {
        palette("040920", "0b1b42", "1c3c6c", "416e98", "f2f0dc", "2d5580", "03060f"),
        palette("0a0722", "1d174b", "3d3276", "75629f", "f4ecde", "4a4184", "070514"),
        palette("03111e", "07303c", "12545a", "4a9488", "eef5e6", "1f5f66", "020a10"),
    },
    storm = {
        palette("2f3a46", "566472", "8b989f", "c3c9c6", "eef0ea", "8b989f", "131b20"),
        palette("37404f", "66707f", "9ea3a8", "d8d0c2", "f6efe0", "9a9ca2", "181c22"),
    },
}

-- Lower-case words, English and Vietnamese; a word is found anywhere in the prompt.
local WORDS = {
    night = { "night", "midnight", "moon", "star", "galaxy", "aurora", "northern light",
        "đêm", "khuya", "trăng", "sao trời", "ngàn sao", "cực quang" },
    dusk = { "dusk", "sunset", "evening", "twilight", "golden hour",
        "hoàng hôn", "chiều", "chạng vạng" },
    dawn = { "dawn", "sunrise", "morning", "bình minh", "buổi sáng", "sớm mai", "rạng đông" },
    day = { "noon", "daylight", "sunny", "blue sky", "summer",
        "ban ngày", "trưa", "nắng", "mùa hè" },
    storm = { "storm", "rain", "overcast", "cloudy", "grey", "gray", "bão", "mưa", "âm u" },
    sea = { "sea", "ocean", "coast", "beach", "harbour", "harbor", "island", "wave",
        "biển", "đại dương", "hải cảng", "đảo", "sóng", "vịnh" },
    lake = { "lake", "river", "water", "pond", "hồ ", "sông", "suối", "mặt nước" },
    mountains = { "mountain", "peak", "hill", "valley", "alps", "núi", "đồi", "thung lũng", "đèo" },
    desert = { "desert", "dune", "sahara", "sand", "sa mạc", "cồn cát", "đồi cát" },
    snow = { "snow", "winter", "ice", "arctic", "glacier", "tuyết", "mùa đông", "băng" },
    forest = { "forest", "tree", "wood", "pine", "jungle", "rừng", "cây", "thông" },
    mist = { "mist", "fog", "haze", "sương", "khói" },
    lighthouse = { "lighthouse", "beacon", "hải đăng" },
    village = { "village", "house", "cabin", "home", "town", "city", "farm",
        "làng", "nhà", "thành phố", "phố", "bản " },
    boat = { "boat", "sail", "ship", "yacht", "fisherman", "thuyền", "tàu", "buồm" },
    aurora = { "aurora", "northern light", "cực quang" },
    birds = { "bird", "gull", "chim", "cò ", "hải âu" },
}

local UPPER = "ÀÁÂÃÈÉÊÌÍÒÓÔÕÙÚÝĂĐĨŨƠƯẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸ"
local LOWER = "àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"
local ONE_CHARACTER = "[\194-\244][\128-\191]*"

local lower_of = {}
do
    local next_lower = LOWER:gmatch(ONE_CHARACTER)
    for upper in UPPER:gmatch(ONE_CHARACTER) do lower_of[upper] = next_lower() end
end

local function lower(text)
    return (text:gsub("%u", string.lower):gsub(ONE_CHARACTER, lower_of))
end

---@class thucchien.emulator.paint.scene
---@field time "dawn"|"day"|"dusk"|"night"|"storm"
---@field place "sea"|"lake"|"desert"|"mountains"
---@field palette table<string, number[]>
---@field snow boolean
---@field forest boolean
---@field mist boolean
---@field lighthouse boolean
---@field village boolean
---@field boat boolean
---@field aurora boolean
---@field birds boolean

local MOST_LOOKED_AT = 4096 -- bytes of a text: enough for any scene, and looking for words takes time

-- Of these only one can be; a later text's word takes the place of an earlier one's.
local TIMES = { "dusk", "dawn", "night", "storm", "day" }
local PLACES = { "sea", "desert", "lake", "mountains" }

local function forget(asked, names)
    for _, name in ipairs(names) do asked[name] = nil end
end

local function any(asked, names)
    for _, name in ipairs(names) do
        if asked[name] then return true end
    end
    return false
end

-- Adds what a text asks for to what earlier ones did.
local function add_words(asked, text)
    text = " " .. lower(text:sub(1, MOST_LOOKED_AT)) .. " "
    local new = {}
    for name, words in pairs(WORDS) do
        for _, word in ipairs(words) do
            -- A whole word or the start of one: "ice" is not in "juice", "star" is not in "mustard".
            if text:find("[%s%p]" .. word) then new[name] = true end
        end
    end
    if any(new, TIMES) then forget(asked, TIMES) end
    if any(new, PLACES) then forget(asked, PLACES) end
    for name in pairs(new) do asked[name] = true end
end

---@param prompt string
---@param draw fun(): number   # decides what the words leave open
---@param earlier? string[]    # what was asked for before, oldest first; it stays unless the prompt says otherwise
---@return thucchien.emulator.paint.scene
function scene.read(prompt, draw, earlier)
    local asked = {}
    for _, text in ipairs(earlier or {}) do add_words(asked, text) end
    add_words(asked, prompt)
    local time_by_chance = random.pick(draw, { "dawn", "day", "dusk", "dusk", "night" })
    local place_by_chance = random.pick(draw, { "lake", "lake", "mountains", "sea" })
    local which_palette = draw()
    local chances = {
        boat = draw() < 0.3, birds = draw() < 0.5, forest = draw() < 0.7, mist = draw() < 0.3,
    }

    local time = asked.dusk and "dusk" or asked.dawn and "dawn" or asked.night and "night"
        or asked.storm and "storm" or asked.day and "day" or time_by_chance
    local place = asked.sea and "sea" or asked.desert and "desert" or asked.lake and "lake"
        or asked.lighthouse and "sea" or asked.boat and "lake" or asked.mountains and "mountains"
        or asked.forest and "mountains" or asked.snow and "lake" or place_by_chance
    local palettes = PALETTES[time]
    local water = place == "sea" or place == "lake"
    local forest = asked.forest or asked.snow
        or (place ~= "desert" and place ~= "sea" and chances.forest)
    return {
        time = time,
        place = place,
        palette = palettes[math.floor(which_palette * #palettes) + 1],
        snow = asked.snow or false,
        forest = forest or false,
        mist = asked.mist or chances.mist,
        lighthouse = asked.lighthouse or false,
        village = asked.village or false,
        boat = asked.boat or (water and not asked.lighthouse and chances.boat),
        aurora = asked.aurora or false,
        birds = asked.birds or (time ~= "night" and chances.birds),
    }
end

return scene
