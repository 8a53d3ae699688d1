-- What a conversation asks for. The last thing that the user said is the prompt. What was said before it, and the
-- pictures that were shown, shape the drawing too: see thucchien.emulator.vision.

local references = require "thucchien.emulator.references"

local conversation = {}

---@class thucchien.emulator.message
---@field role string
---@field texts string[]
---@field pictures { data?: string, mime?: string, url?: string }[]

---@class thucchien.emulator.vision
---@field id string                                # a hash of everything in it
---@field seed? string                             # what the user said first, if that is not the prompt
---@field earlier string[]                         # what was said before the prompt, oldest first
---@field references thucchien.emulator.reference[]

local MOST_REFERENCES = 16

local function digest(parts)
    local hash = require("openssl.digest").new("sha1")
    for _, part in ipairs(parts) do hash:update(#part .. ":" .. part) end
    return (hash:final():gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- What shapes a picture besides its prompt; nil if there is nothing.
local function vision(earlier, shown, seed)
    if #earlier == 0 and #shown == 0 then return nil end
    local parts = {}
    for i, text in ipairs(earlier) do parts[i] = text end
    for _, reference in ipairs(shown) do parts[#parts + 1] = reference.id end
    return { id = digest(parts), seed = seed, earlier = earlier, references = shown }
end

---Reads messages. The model's own texts do not count; its pictures count like the user's.
---@param messages thucchien.emulator.message[]
---@param pause fun()
---@return { prompt: string, vision?: thucchien.emulator.vision }?
---@return string? problem  # with a picture, as Google says it
function conversation.read(messages, pause)
    local texts, shown, first = {}, {}, nil
    for _, message in ipairs(messages) do
        if message.role ~= "assistant" and message.role ~= "model" and #message.texts > 0 then
            texts[#texts + 1] = table.concat(message.texts, "\n")
            if message.role == "user" then first = first or texts[#texts] end
        end
        for _, picture in ipairs(message.pictures) do
            local reference, problem = references.read(picture, pause)
            if not reference then return nil, problem end
            if #shown < MOST_REFERENCES then shown[#shown + 1] = reference end
        end
    end
    local prompt = table.remove(texts) or ""
    return { prompt = prompt, vision = vision(texts, shown, first) }
end

return conversation
