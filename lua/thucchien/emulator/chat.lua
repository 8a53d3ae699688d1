-- POST /chat/completions, for models that talk. Reads messages as LiteLLM does for Gemini. Answers with a picture,
-- and with text beside it unless the modalities leave text out.

local responses = require "thucchien.emulator.responses"
local body = require "thucchien.emulator.body"
local calls = require "thucchien.emulator.call"
local completion = require "thucchien.emulator.completion"
local conversation = require "thucchien.emulator.conversation"
local events = require "thucchien.emulator.events"
local failures = require "thucchien.emulator.failures"
local frames = require "thucchien.emulator.frames"
local headers = require "thucchien.emulator.headers"
local models = require "thucchien.emulator.models"

local chat = {}

local REMARK = "Here is the picture that you asked for."
local WORDS_ONLY = "I see a landscape, wide and still. Ask for a picture and I draw it."

-- Where a picture is: a data URL is taken apart.
local function picture_at(url)
    local mime, from = url:sub(1, 128):match("^data:([^;,]*);base64,()")
    if mime then return { mime = mime, data = url:sub(from) } end
    return { url = url }
end

-- Adds a part of a message's content; false if it is none.
local function add_part(message, part)
    if type(part) ~= "table" then return false end
    if type(part.text) == "string" then
        message.texts[#message.texts + 1] = part.text
        return true
    end
    local at = part.image_url
    if type(at) == "table" then at = at.url end
    if type(at) ~= "string" then return false end
    message.pictures[#message.pictures + 1] = picture_at(at)
    return true
end

-- Takes a message apart: its role, texts and pictures; nil if it is not a message.
local function read_message(given)
    if type(given) ~= "table" or type(given.role) ~= "string" then return nil end
    local message = { role = given.role, texts = {}, pictures = {} }
    local content = given.content
    if type(content) == "string" then
        message.texts[1] = content
    elseif type(content) == "table" then
        for _, part in ipairs(content) do
            if not add_part(message, part) then return nil end
        end
    end
    if type(given.images) == "table" then -- a response of the gateway's own, sent back
        for _, part in ipairs(given.images) do add_part(message, part) end
    end
    return message
end

local function read_messages(given)
    local messages = {}
    for i, one in ipairs(given) do
        messages[i] = read_message(one)
        if not messages[i] then
            return nil, body.crash(("litellm.APIConnectionError: Invalid message at index %d: expected a role, "
                .. "and content of text and image_url parts"):format(i - 1))
        end
    end
    return messages
end

-- The model and what it is asked to make go wrong, or nil and the response that refuses it.
local function find_model(name)
    if name ~= nil and type(name) ~= "string" then
        return nil, body.unauthorized("'int' object has no attribute 'split'")
    end
    local failure, argument = failures.find(name or "", "chat")
    local kind = failure and models.emulated("chat") or models.find(name or "")
    if not kind then
        return nil, responses.exception("chat", 400, models.unknown("/chat/completions", name))
    end
    return { via = "chat", model = name, kind = kind, failure = failure, argument = argument, n = 1 }
end

-- Completes the call with what to draw; or nil and the response that refuses it.
local function check(call, fields, pause)
    local function refuse(message) return nil, responses.invalid_argument("chat", message, call.model) end
    if fields.messages == nil then
        return nil, body.crash("Router.acompletion() missing 1 required positional argument: 'messages'")
    elseif type(fields.messages) ~= "table" then
        return nil, body.crash("'str' object has no attribute 'copy'")
    elseif not call.kind.via.chat then
        return refuse(("%s is not supported in the generateContent API."):format(call.model))
    elseif #fields.messages == 0 then
        return refuse("* GenerateContentRequest.contents: contents is not specified\n")
    elseif fields.n ~= nil and fields.n ~= 1 then
        return refuse("Multiple candidates is not enabled for this model")
    end
    local messages, refusal = read_messages(fields.messages)
    if not messages then return nil, refusal end
    local asked, problem = conversation.read(messages, pause)
    if not asked then return refuse(problem) end
    call.prompt, call.vision = asked.prompt, asked.vision
    call.width, call.height = frames.size(fields.imageConfig)
    if not call.width then return refuse(call.height) end
    call.draws, call.speaks = frames.modalities(fields.modalities)
    return call
end

local function respond(asked, fields, request)
    local note = request.note
    note.n, note.size = asked.n, asked.width .. "x" .. asked.height
    local call = calls.new(asked, request, completion.success)
    if type(fields.mock_response) == "string" then
        local message = '{"content":' .. responses.quote(fields.mock_response) .. ',"role":"assistant"}'
        return call.respond(completion.body(call, completion.choice(message), 0), 0)
    end
    call.text = not call.draws and WORDS_ONLY or call.speaks and REMARK or nil
    if fields.stream == true then
        function call.success(pictures) return events.response(call, completion.chunks(call, pictures), #pictures) end
    end
    if call.failure then return failures.respond(call) end
    return call.success(call.draws and call.pictures() or {})
end

---Answers one request.
---@param request thucchien.emulator.request
---@return thucchien.emulator.response
function chat.complete(request)
    local fields, refusal = {}, nil
    if request.body ~= "" then fields, refusal = body.read(request.body) end
    if not fields then return refusal end
    request.body = "" -- it may be large, and the pictures in it are strings of their own
    request.note.model = type(fields.model) == "string" and fields.model or nil
    local call
    call, refusal = find_model(fields.model)
    if not call then return headers.add_to_error(refusal, request, { via = "chat" }) end
    local asked
    asked, refusal = check(call, fields, request.state.pause)
    local response = asked and respond(asked, fields, request) or refusal
    if call.failure and call.failure.early then return response end
    return headers.add_to_error(response, request, call)
end

return chat
