-- POST /gemini/v1beta/models/{model}:generateContent. The gateway passes it on to Google. It passes Google's
-- response back as it is, but an error of Google's as text inside an error of its own.

local responses = require "thucchien.emulator.responses"
local body = require "thucchien.emulator.body"
local calls = require "thucchien.emulator.call"
local candidates = require "thucchien.emulator.candidates"
local conversation = require "thucchien.emulator.conversation"
local failures = require "thucchien.emulator.failures"
local frames = require "thucchien.emulator.frames"
local headers = require "thucchien.emulator.headers"
local models = require "thucchien.emulator.models"

local gemini = {}

local REMARK = "Here is the picture that you asked for."
local WORDS_ONLY = "I see a landscape, wide and still. Ask for a picture and I draw it."

local FIELDS = { -- of a request, in both spellings that Google reads
    contents = true, generationConfig = true, generation_config = true, safetySettings = true,
    safety_settings = true, systemInstruction = true, system_instruction = true, tools = true,
    toolConfig = true, tool_config = true, cachedContent = true, cached_content = true,
}

local function refuse(message)
    return responses.invalid_argument("gemini", message)
end

-- The response for a path that leads to no model.
local function not_found(message)
    return responses.error(404, responses.google_error(404, message, "NOT_FOUND"), "None", "None")
end

local function read_part(message, part)
    local blob = part.inlineData or part.inline_data
    if type(part.text) == "string" then
        message.texts[#message.texts + 1] = part.text
    elseif type(blob) == "table" and type(blob.data) == "string" then
        message.pictures[#message.pictures + 1] = { data = blob.data, mime = blob.mimeType or blob.mime_type }
    else
        return false
    end
    return true
end

-- One of `contents`, or nil and what is wrong with it.
local function read_content(given, index)
    if type(given) ~= "table" or type(given.parts) ~= "table" or #given.parts == 0 then
        return nil, ("* GenerateContentRequest.contents[%d].parts: contents.parts must not be empty.\n")
            :format(index)
    end
    local message = { role = type(given.role) == "string" and given.role or "user", texts = {}, pictures = {} }
    if message.role ~= "user" and message.role ~= "model" then
        return nil, "Please use a valid role: user, model."
    end
    for i, part in ipairs(given.parts) do
        if type(part) ~= "table" or not read_part(message, part) then
            return nil, ("* GenerateContentRequest.contents[%d].parts[%d].data: required oneof field 'data' "
                .. "must have one initialized field\n"):format(index, i - 1)
        end
    end
    return message
end

-- The messages of a request, or nil and what is wrong with them.
local function read_contents(fields)
    for name in pairs(fields) do
        if not FIELDS[name] then
            return nil, ('Invalid JSON payload received. Unknown name "%s": Cannot find field.'):format(name)
        end
    end
    if type(fields.contents) ~= "table" or #fields.contents == 0 then
        return nil, "* GenerateContentRequest.contents: contents is not specified\n"
    end
    local messages = {}
    for i, content in ipairs(fields.contents) do
        local message, problem = read_content(content, i - 1)
        if not message then return nil, problem end
        messages[i] = message
    end
    return messages
end

-- Completes the call with what to draw; or nil and what is wrong.
local function check(call, fields, pause)
    local messages, problem = read_contents(fields)
    if not messages then return nil, problem end
    local asked
    asked, problem = conversation.read(messages, pause)
    if not asked then return nil, problem end
    call.prompt, call.vision = asked.prompt, asked.vision
    local config = fields.generationConfig or fields.generation_config
    if type(config) ~= "table" then config = {} end
    call.width, call.height = frames.size(config.imageConfig or config.image_config)
    if not call.width then return nil, call.height end
    call.draws, call.speaks = frames.modalities(config.responseModalities or config.response_modalities)
    return call
end

local function respond(call, fields, request)
    local asked, problem = check(call, fields, request.state.pause)
    if not asked then return refuse(problem) end
    local note = request.note
    note.n, note.size = asked.n, asked.width .. "x" .. asked.height
    calls.new(asked, request, candidates.success)
    call.text = not call.draws and WORDS_ONLY or call.speaks and REMARK or nil
    if call.failure then return failures.respond(call) end
    return call.success(call.draws and call.pictures() or {})
end

-- The call that a path asks for, or nil and the response that there is none.
local function find_model(path)
    local name = path:match("^v1beta/models/(.+):generateContent$")
    if not name then return nil, not_found("Requested entity was not found.") end
    local failure, argument = failures.find(name, "gemini")
    local kind = failure and models.emulated("gemini") or models.find(name)
    if not kind or not kind.via.gemini then
        return nil, not_found(("models/%s is not found for API version v1beta, or is not supported for "
            .. "generateContent. Call ListModels to see the list of available models and their supported "
            .. "methods."):format(name))
    end
    return { via = "gemini", model = name, kind = kind, failure = failure, argument = argument, n = 1 }
end

---Answers one request.
---@param request thucchien.emulator.request
---@param path string  # what follows /gemini/
---@return thucchien.emulator.response
function gemini.generate(request, path)
    local call, refusal = find_model(path)
    if not call then return headers.add_to_error(refusal, request, { via = "gemini" }) end
    request.note.model = call.model
    local fields
    fields, refusal = body.read(request.body)
    if not fields then return refusal end
    request.body = ""
    local response = respond(call, fields, request)
    if call.failure and call.failure.early then return response end
    return headers.add_to_error(response, request, call)
end

return gemini
