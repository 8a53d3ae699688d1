-- What models of the chat and Gemini routes answer instead of one picture: refusals that look like
-- successes, text alone, and the shapes of older gateways.

local responses = require "thucchien.emulator.responses"
local candidates = require "thucchien.emulator.candidates"
local completion = require "thucchien.emulator.completion"

local oddities = {}

local CHAT, GEMINI, BOTH = { chat = true }, { gemini = true }, { chat = true, gemini = true }

local SORRY = "I'm sorry, I can't draw that. Shall I describe it instead?"

-- A candidate that ended without a picture. Google and the chat route have different words for the reason.
local function ended(name, about, google_reason, chat_reason)
    return {
        name = name, about = about, via = BOTH,
        respond = function(call)
            if call.via == "gemini" then return call.respond(candidates.one(call, {}, 0, google_reason), 0) end
            local choice = completion.choice('{"role":"assistant"}', chat_reason)
            return call.respond(completion.body(call, choice, 0), 0)
        end,
    }
end

-- One chat message of some shape around the first picture's data URL.
local function message(name, about, shape)
    return {
        name = name, about = about, via = CHAT,
        respond = function(call)
            local json = shape(completion.url(call.stamps()[1]))
            return call.respond(completion.body(call, completion.choice(json), 1), 1)
        end,
    }
end

-- One Gemini candidate that holds the first picture, spelt in another way.
local function spelt(name, about, spelling)
    return {
        name = name, about = about, via = GEMINI,
        respond = function(call)
            return call.respond(candidates.one(call, { candidates.picture(call.stamps()[1], spelling) }, 1), 1)
        end,
    }
end

-- Two pictures and text before, between and after them.
local function several(call)
    call.n = 2
    local pictures = call.stamps()
    if call.via == "chat" then
        call.text = "Here are two.\nThe second is darker."
        return call.success(pictures)
    end
    return call.respond(candidates.one(call, {
        candidates.text("Here is one."), candidates.picture(pictures[1]),
        candidates.text("Another, darker:"), candidates.picture(pictures[2]), candidates.text("Done."),
    }, 2), 2)
end

---@type thucchien.emulator.failure[]
oddities.models = {
    {
        name = "stamp", about = "a small picture, at once (images as well)",
        respond = function(call) return call.success(call.stamps()) end,
    },
    {
        name = "text", about = "200 with text and no picture", via = BOTH,
        respond = function(call)
            call.text = SORRY
            return call.success({})
        end,
    },
    { name = "several", about = "two pictures with text around them", via = BOTH, respond = several },
    {
        name = "blocked", about = "200, the prompt was blocked", via = BOTH,
        respond = function(call)
            if call.via == "chat" then
                local choice = completion.choice('{"role":"assistant"}', "content_filter")
                return call.respond(completion.body(call, choice, 0), 0)
            end
            return call.respond(candidates.body(call,
                '  "promptFeedback": {\n    "blockReason": "PROHIBITED_CONTENT"\n  }', 0), 0)
        end,
    },
    ended("safety", "200, stopped for safety", "SAFETY", "content_filter"),
    ended("image-safety", "200, the picture was withheld", "IMAGE_SAFETY", "content_filter"),
    ended("no-image", "200, ended with nothing", "NO_IMAGE", "stop"),
    {
        name = "no-choices", about = "200 and no candidate at all", via = BOTH,
        respond = function(call)
            if call.via == "chat" then return call.respond(completion.body(call, "", 0), 0) end
            return call.respond(candidates.body(call, '  "candidates": []', 0), 0)
        end,
    },
    {
        name = "no-images", about = "text, and `images` is missing", via = CHAT,
        respond = function(call)
            local json = '{"content":' .. responses.quote(SORRY) .. ',"role":"assistant"}'
            return call.respond(completion.body(call, completion.choice(json), 0), 0)
        end,
    },
    message("message-image", "one object `message.image` (LiteLLM 1.76.1)", function(url)
        return '{"role":"assistant","image":{"url":"' .. url .. '","detail":"auto"}}'
    end),
    message("content-data", "a data URL is the whole content (1.76.0)", function(url)
        return '{"content":"' .. url .. '","role":"assistant"}'
    end),
    message("markdown", "a data URL inside Markdown, text around it", function(url)
        return '{"content":"Here it is:\\n\\n![a \\"landscape\\"](' .. url
            .. ')\\n\\nShall I change it?","role":"assistant"}'
    end),
    message("content-parts", "content is a list of parts", function(url)
        return '{"content":[{"type":"text","text":"Here it is:"},{"type":"image_url","image_url":{"url":"'
            .. url .. '"}}],"role":"assistant"}'
    end),
    spelt("mime-last", "mimeType after data", "mime_last"),
    spelt("inline-data", "inline_data and mime_type", "snake"),
}

return oddities
