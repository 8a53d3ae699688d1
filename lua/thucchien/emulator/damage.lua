-- Pictures that are not whole, drafts of pictures, and base64 in other spellings: a client that does not check would
-- take the first two for pictures, and the last for damage.

local responses = require "thucchien.emulator.responses"
local base64 = require "thucchien.emulator.base64"
local candidates = require "thucchien.emulator.candidates"
local completion = require "thucchien.emulator.completion"
local events = require "thucchien.emulator.events"

local damage = {}

local GEMINI, IMAGES = { gemini = true }, { images = true }
local BY_URL, TALKING = { images = true, chat = true }, { chat = true, gemini = true }

local MOST = 1e6   -- the largest argument
local CUT = 600    -- characters of a picture's base64 that are sent
local DRAFT = 48   -- pixels a side

local function number_of(call, default)
    local number = tonumber(call.argument)
    return number and number >= 1 and math.floor(math.min(number, MOST)) or default
end

-- Escapes text for the inside of a JSON string.
local function escape(text)
    return responses.quote(text):sub(2, -2)
end

-- The picture, with another text as its base64.
local function with(picture, text)
    return { mime = picture.mime, b64_json = escape(text) }
end

-- A model whose pictures have base64 that `change` has rewritten.
local function written(name, about, change, via)
    return {
        name = name, about = about, via = via,
        respond = function(call)
            local list = {}
            for i, picture in ipairs(call.stamps()) do list[i] = with(picture, change(picture.b64_json, call)) end
            return call.success(list)
        end,
    }
end

-- The same inside a data URL, which the images route has in a field of its own.
local function written_url(name, about, change)
    local item = written(name, about, change, BY_URL)
    local respond = item.respond
    function item.respond(call)
        if call.via == "chat" then return respond(call) end
        local list = {}
        for i, picture in ipairs(call.stamps()) do
            list[i] = { url = ("data:%s;base64,%s"):format(picture.mime, change(picture.b64_json)) }
        end
        return call.success(list)
    end
    return item
end

-- A model of whose pictures `change` rewrites the first; the others are as they should be.
local function first(name, about, change, via)
    return {
        name = name, about = about, via = via,
        respond = function(call)
            local list = call.stamps()
            list[1] = with(list[1], change(list[1].b64_json, call))
            return call.success(list)
        end,
    }
end

local function in_lines(width, ending)
    return function(text, call)
        local lines, length = {}, number_of(call, width)
        for from = 1, #text, length do lines[#lines + 1] = text:sub(from, from + length - 1) end
        return table.concat(lines, ending)
    end
end

-- A model with bytes of another kind in place of the pictures.
local function made_of(name, about, change)
    return {
        name = name, about = about,
        respond = function(call)
            local list = {}
            for i, picture in ipairs(call.stamps()) do
                local bytes, mime = change(picture)
                list[i] = { mime = mime or picture.mime, b64_json = base64.encode(bytes) }
            end
            return call.success(list)
        end,
    }
end

-- Pictures without the padding of their base64. One size in three needs none; then another width is drawn.
local function unpadded(call)
    local list = {}
    for i, picture in ipairs(call.stamps()) do
        local narrower = 0
        while not picture.b64_json:find("=$") and narrower < 24 do
            narrower = narrower + 1
            picture = call.draw(i, 64 - narrower, 64)
        end
        list[i] = with(picture, (picture.b64_json:gsub("=+$", "")))
    end
    return call.success(list)
end

-- The response of a model that reached its token limit inside its picture.
local function out_of_tokens(call)
    local picture = call.stamps()[1]
    local text = picture.b64_json:sub(1, number_of(call, CUT))
    if call.via == "gemini" then
        return call.respond(candidates.one(call, { candidates.picture(with(picture, text)) }, 1, "MAX_TOKENS"), 1)
    end
    local content = ("Here it is:\n\n![a landscape](data:%s;base64,%s"):format(picture.mime, text)
    local message = '{"content":' .. responses.quote(content) .. ',"role":"assistant"}'
    return call.respond(completion.body(call, completion.choice(message, "length"), 1), 1)
end

local function draft_of(call)
    return call.draw(1, DRAFT, DRAFT, " (a draft)")
end

-- Marks a part of Gemini's as a thought of the model's: at its beginning here, at its end below. JSON allows both.
local function thought(part)
    return (part:gsub("^{", '{\n            "thought": true,'))
end

local function thought_after(part)
    return (part:gsub("%s*}$", ',\n            "thought": true\n          }'))
end

-- A model that answers with parts of Gemini's: `list` puts a thought, a draft and the picture in order.
local function drafted(name, about, list)
    return {
        name = name, about = about, via = GEMINI,
        respond = function(call)
            local musing = thought(candidates.text("First I sketch the horizon."))
            local draft, picture = candidates.picture(draft_of(call)), candidates.picture(call.stamps()[1])
            return call.respond(candidates.one(call, list(musing, draft, picture), 1), 1)
        end,
    }
end

-- The events of a stream of the images route: two drafts and the picture.
local function partial_images(call)
    local list, kind = {}, "image_generation."
    local function add(event, picture, more)
        list[#list + 1] = ('{"type":"%s%s","created_at":%d,"b64_json":"%s","output_format":"png"%s}'):format(
            kind, event, call.now, picture.b64_json, more)
    end
    for i = 0, 1 do add("partial_image", draft_of(call), ',"partial_image_index":' .. i) end
    add("completed", call.stamps()[1], ',"usage":{"input_tokens":8,"output_tokens":1056,"total_tokens":1064}')
    return events.response(call, list, 1, { names = true })
end

local PERCENT = { ["+"] = "%2B", ["/"] = "%2F", ["="] = "%3D" }

---Models that answer with these.
---@type thucchien.emulator.failure[]
damage.models = {
    first("cut", "the first picture stops after 600 characters, or /N", function(text, call)
        return text:sub(1, number_of(call, CUT))
    end),
    {
        name = "length", about = "no room for the picture's end: 600 characters, /N", via = TALKING,
        respond = out_of_tokens,
    },
    first("damaged", "a wrong character in the first picture's base64", function(text)
        return text:sub(1, 400) .. "*" .. text:sub(402)
    end),
    written("lines", "base64 in lines of 76, or /N, with CR LF", in_lines(76, "\r\n")),
    written("lines-lf", "base64 in lines of 64, or /N, with LF", in_lines(64, "\n")),
    written("base64url", "base64 in the alphabet for URLs, no padding", function(text)
        return (text:gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
    end),
    { name = "no-padding", about = "base64 without the = at its end", respond = unpadded },
    written_url("percent", "a data URL that is percent-encoded", function(text)
        return (text:gsub("[+/=]", PERCENT))
    end),
    written_url("url-space", "a data URL with white space behind its comma", function(text)
        return " \n\t" .. text
    end),
    made_of("more-behind", "bytes behind the picture's own end", function(picture)
        return picture.bytes .. ("\0"):rep(17) .. "behind the end"
    end),
    made_of("unknown-type", "AVIF, or something that says so", function(picture)
        return "\0\0\0\28ftypavif\0\0\0\0avifmif1miaf" .. picture.bytes, "image/avif"
    end),
    drafted("draft", "a draft (`thought`), then the picture", function(musing, draft, picture)
        return { musing, thought(draft), picture }
    end),
    drafted("draft-late", "the same, and `thought` comes behind its data", function(musing, draft, picture)
        return { musing, thought_after(draft), picture }
    end),
    drafted("draft-after", "the picture, then a draft of it", function(musing, draft, picture)
        return { musing, picture, thought(draft) }
    end),
    drafted("draft-only", "a draft, and no picture", function(musing, draft)
        return { musing, thought(draft) }
    end),
    {
        name = "partial-images", about = "a stream of two drafts and the picture", via = IMAGES,
        respond = partial_images,
    },
}

return damage
