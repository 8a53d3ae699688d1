-- Pictures in the shapes of other routes: services behind a gateway send them, and gateways pass them on.

local responses = require "thucchien.emulator.responses"
local candidates = require "thucchien.emulator.candidates"
local completion = require "thucchien.emulator.completion"
local events = require "thucchien.emulator.events"

local shapes = {}

local IMAGES, CHAT, GEMINI = { images = true }, { chat = true }, { gemini = true }
local NOT_IMAGES, NOT_CHAT, NOT_GEMINI = { chat = true, gemini = true }, { images = true, gemini = true },
    { images = true, chat = true }

local MOST_MEBIBYTES = 32
local PIECE = 300 -- characters of a data URL in a chunk

-- A response in a shape that `write` makes of the call and its pictures.
local function shaped(name, about, write, via)
    return {
        name = name, about = about, via = via,
        respond = function(call)
            local pictures = call.stamps()
            return call.respond(write(call, pictures), #pictures)
        end,
    }
end

-- A chat message that `write` makes with the first picture somewhere in it.
local function message(name, about, write)
    return shaped(name, about, function(call, pictures)
        return completion.body(call, completion.choice(write(call, pictures[1])), 1)
    end, CHAT)
end

local function as_responses(call, pictures)
    local items = {}
    for i, picture in ipairs(pictures) do
        items[i] = ('{"id":"ig_%d","type":"image_generation_call","status":"completed","result":"%s"}'):format(
            i, picture.b64_json)
    end
    return ('{"id":"resp_0123","object":"response","created_at":%d,"status":"completed","model":%s,"output":['):format(
        call.now, responses.quote(call.model)) .. table.concat(items, ",") .. ']}'
end

-- The events of OpenAI's /v1/responses: a smaller draft, and all at the end.
local function responses_events(call)
    local pictures, kind = call.stamps(), "response.image_generation_call.partial_image"
    return events.response(call, {
        ('{"type":"response.created","response":{"id":"resp_0123","status":"in_progress","error":null,"output":[]}}'),
        ('{"type":"%s","item_id":"ig_1","partial_image_index":0,"partial_image_b64":"%s"}'):format(
            kind, call.draw(1, 48, 48, " (a draft)").b64_json),
        '{"type":"response.completed","response":' .. as_responses(call, pictures) .. "}",
    }, #pictures, { names = true, unfinished = true })
end

-- A picture's base64 with a data URL's beginning before it.
local function as_url(picture)
    return { mime = picture.mime, b64_json = ("data:%s;base64,%s"):format(picture.mime, picture.b64_json) }
end

-- The documents of a route's response when it comes as a stream.
local function pieces(call, pictures)
    if call.via == "images" then return { responses.images(call.now, pictures) } end
    if call.via == "chat" then
        call.text = "Here is the picture."
        return completion.chunks(call, pictures)
    end
    local parts = {}
    for i, picture in ipairs(pictures) do parts[i] = candidates.picture(picture) end
    return {
        candidates.one(call, { candidates.text("Here is ") }, 0, false),
        candidates.one(call, { candidates.text("the picture.") }, 0, false),
        candidates.one(call, parts, #pictures),
    }
end

local function stream(name, about, options)
    return {
        name = name, about = about,
        respond = function(call)
            local pictures = call.stamps()
            return events.response(call, pieces(call, pictures), #pictures, options)
        end,
    }
end

-- A response in its usual shape, whose text `change` changes.
local function changed(name, about, change, via)
    return {
        name = name, about = about, via = via,
        respond = function(call)
            local response = call.success(call.stamps())
            response.body = change(response.body, call)
            return response
        end,
    }
end

local function mebibytes(call)
    return ("QUJD"):rep(262144 * math.max(1, math.min(tonumber(call.argument) or 5, MOST_MEBIBYTES)))
end

local function raw(call)
    local picture = call.stamps()[1]
    return events.typed(call.respond(picture.bytes, 1), picture.mime)
end

-- The cost of a call in its body and nowhere else.
local function with_cost(call)
    local response = call.success(call.stamps())
    local kept = {}
    for _, header in ipairs(response.headers) do
        if not header[1]:find("response-cost", 1, true) then kept[#kept + 1] = header end
    end
    response.headers = kept
    local cost = responses.python_float(call.kind.price)
    response.body = response.body:gsub('("total_tokens":%d+)', '%1,"cost":' .. cost, 1)
    return response
end

-- A stream whose words are a data URL, a few hundred characters a chunk.
local function words_in_pieces(call)
    local text = "Here it is:\n\n![a landscape](" .. completion.url(call.stamps()[1]) .. ")"
    local chunks = {}
    for from = 1, #text, PIECE do
        local piece = responses.quote(text:sub(from, from + PIECE - 1))
        chunks[#chunks + 1] = completion.chunk(call, '{"content":' .. piece .. "}")
    end
    chunks[#chunks + 1] = completion.chunk(call, "{}", "stop")
    return events.response(call, chunks, 1)
end

---Models that answer with these.
---@type thucchien.emulator.failure[]
shapes.models = {
    shaped("as-images", "in the shape of the images route", function(call, pictures)
        return responses.images(call.now, pictures)
    end, NOT_IMAGES),
    shaped("as-chat", "in the shape of the chat route", completion.success, NOT_CHAT),
    shaped("as-gemini", "in the shape of the Gemini route", candidates.success, NOT_GEMINI),
    shaped("as-responses", "in the shape of OpenAI's /v1/responses", as_responses),
    {
        name = "responses-sse", about = "the same as events: a draft, response.completed",
        respond = responses_events,
    },
    shaped("inside", "inside a response: {\"response\": …}", function(call, pictures)
        return '{"response":' .. candidates.success(call, pictures) .. ',"traceId":"0123"}'
    end, GEMINI),
    shaped("data-images", "a level deeper: {\"data\": {\"images\": …}}", function(call, pictures)
        local list = responses.images(call.now, pictures):match '"data":(%b[])'
        return ('{"created":%d,"data":{"images":%s}}'):format(call.now, list)
    end, IMAGES),
    {
        name = "ndjson", about = "the chunks of a stream, one a line", via = NOT_IMAGES,
        respond = function(call)
            local pictures = call.stamps()
            return events.lines(call, pieces(call, pictures), #pictures)
        end,
    },
    { name = "raw", about = "the picture itself is the body", respond = raw },
    shaped("b64-data-url", "a data URL in b64_json", function(call, pictures)
        local list = {}
        for i, picture in ipairs(pictures) do list[i] = as_url(picture) end
        return responses.images(call.now, list)
    end, IMAGES),
    stream("sse", "a stream of events, though nobody asked"),
    stream("sse-comments", "the same, with comments between", { comments = true }),
    shaped("chunks", "the chunks of a stream as one JSON list", function(call, pictures)
        return "[" .. table.concat(pieces(call, pictures), ",") .. "]\n"
    end, NOT_IMAGES),
    changed("keep-alive", "comments before the JSON", function(body)
        return (": PROCESSING\n\n"):rep(3) .. body
    end),
    changed("blank-lines", "white space before the JSON", function(body) return "\n \r\n\n\t" .. body end),
    message("string-url", "content parts whose image_url is a string", function(_, picture)
        return '{"content":[{"type":"text","text":"Here it is:"},{"type":"image_url","image_url":"'
            .. completion.url(picture) .. '"}],"role":"assistant"}'
    end),
    message("message-b64", "message.images[].b64_json", function(_, picture)
        return '{"content":"Here it is.","role":"assistant","images":[{"b64_json":"' .. picture.b64_json .. '"}]}'
    end),
    {
        name = "markdown-sse", about = "a data URL in the words of several chunks", via = CHAT,
        respond = words_in_pieces,
    },
    message("markdown-url", "a Markdown image with an address to fetch", function(call, picture)
        local text = "Here it is:\n\n![a landscape](" .. call.publish(picture) .. ")\n\nShall I change it?"
        return '{"content":' .. responses.quote(text) .. ',"role":"assistant"}'
    end),
    message("bare-url", "an address to fetch, and nothing else", function(call, picture)
        return '{"content":' .. responses.quote(call.publish(picture)) .. ',"role":"assistant"}'
    end),
    {
        name = "same", about = "the same picture n times, as from a cache",
        respond = function(call)
            call.offset = 0
            local list, picture = {}, call.draw(1, 64, 64)
            for i = 1, call.n do list[i] = picture end
            return call.success(list)
        end,
    },
    { name = "usage-cost", about = "the cost is in the body: usage.cost", via = NOT_GEMINI, respond = with_cost },
    changed("signature", "a thoughtSignature of 5 MiB, or /N", function(body, call)
        return (body:gsub('("inlineData": {)', function(found)
            return '"thoughtSignature": "' .. mebibytes(call) .. '",\n            ' .. found
        end, 1))
    end, GEMINI),
    changed("reasoning", "reasoning_details of 5 MiB, or /N", function(body, call)
        return (body:gsub('"role":"assistant"', function(found)
            return found .. ',"reasoning_details":[{"type":"reasoning.encrypted","data":"' .. mebibytes(call) .. '"}]'
        end, 1))
    end, CHAT),
}

return shapes
