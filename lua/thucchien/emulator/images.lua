-- POST /images/generations: reads the body as the gateway does, without a schema. Answers with pictures, with the
-- gateway's own refusals, or with the failure that the model's name asks for.

local responses = require "thucchien.emulator.responses"
local body = require "thucchien.emulator.body"
local calls = require "thucchien.emulator.call"
local failures = require "thucchien.emulator.failures"
local models = require "thucchien.emulator.models"

local images = {}

local MOST = 4 -- pictures a request; Imagen makes so many too if no number is given
local WIDEST, NARROWEST = 2048, 16

local RATIOS = {
    ["1:1"] = { 1024, 1024 }, ["3:4"] = { 896, 1280 }, ["4:3"] = { 1280, 896 },
    ["16:9"] = { 1408, 768 }, ["9:16"] = { 768, 1408 },
}

-- Sizes that the service names, and LiteLLM makes a square of.
local SQUARED = { ["1536x1024"] = true, ["1024x1536"] = true }

local UNSUPPORTED = { "quality", "response_format", "style", "user" }

-- What Python's int() makes of a JSON value: a number, or nil and its complaint.
local function python_int(value)
    if type(value) == "number" then
        return value < 0 and math.ceil(value) or math.floor(value)
    elseif type(value) == "boolean" then
        return value and 1 or 0
    elseif type(value) == "string" then
        local digits = value:match("^%s*([+-]?%d+)%s*$")
        if digits then return tonumber((digits:gsub("^%+", ""))) end
        return nil, ("invalid literal for int() with base 10: '%s'"):format(value)
    end
    return nil, "int() argument must be a string, a bytes-like object or a real number, not 'list'"
end

local function bad_request(message)
    return responses.invalid_argument("images", message)
end

-- Width and height in pixels. An unknown ratio is an error. A size that the service names gives a square, as LiteLLM
-- makes it one, and so does what is not a size. Any other size in pixels is drawn, for tests that need one.
local function dimensions(fields)
    local ratio = fields.aspect_ratio or fields.aspectRatio
    if ratio then
        local size = RATIOS[ratio]
        if not size then
            return nil, bad_request(("Aspect ratio %s is not supported. Supported values: 1:1, 9:16, "
                .. "16:9, 4:3, 3:4."):format(tostring(ratio)))
        end
        return size
    end
    local width, height = tostring(fields.size or ""):match("^(%d+)x(%d+)$")
    width, height = tonumber(width), tonumber(height)
    if width and not SQUARED[fields.size] and math.min(width, height) >= NARROWEST
        and math.max(width, height) <= WIDEST then
        return { width, height }
    end
    return RATIOS["1:1"]
end

-- The model and the failure that its name asks for, or nil and the response that refuses it.
local function find_model(fields)
    local name = fields.model
    if name ~= nil and type(name) ~= "string" then
        return nil, body.unauthorized("'int' object has no attribute 'split'")
    end
    local failure, argument = failures.find(name or "", "images")
    local kind = failure and models.emulated("images") or models.find(name or "")
    if not kind or not kind.via.images then
        return nil, responses.exception("images", 400, models.unknown("/image/generations", name))
    end
    return { via = "images", model = name, kind = kind, failure = failure, argument = argument }
end

local function unsupported(fields)
    if fields.drop_params == true then return nil end
    for _, name in ipairs(UNSUPPORTED) do
        if fields[name] ~= nil then
            return responses.error(400, ("litellm.UnsupportedParamsError: Setting `%s` is not "
                .. "supported by vertex_ai, imagen-4.0-generate-001. To drop it from the call, set "
                .. "`litellm.drop_params = True`. Received Model Group=imagen-4\nAvailable Model "
                .. "Group Fallbacks=None"):format(name), "None")
        end
    end
end

-- How many pictures, or nil and the response that refuses the number. A model may make fewer than asked for.
local function count(fields, kind)
    local n = MOST
    if fields.n ~= nil then
        local complaint
        n, complaint = python_int(fields.n)
        if not n then return nil, body.crash(complaint) end
    end
    if n < 1 or n > MOST then return nil, bad_request("sampleCount must be between 1 and 4.") end
    return math.min(n, kind.most)
end

-- The call that the fields make: what to draw, and how many. Or nil and the response that refuses them.
local function check(fields)
    if fields.api_base or fields.base_url then
        return nil, body.unauthorized(("Rejected Request: %s is not allowed in request body. Enable with "
            .. "`general_settings::allow_client_side_credentials` on proxy config.yaml."):format(
            fields.api_base and "api_base" or "base_url"))
    end
    local call, refusal = find_model(fields)
    if not call then return nil, refusal end
    if fields.prompt == nil then
        return nil, body.crash("Router.aimage_generation() missing 1 required positional argument: 'prompt'")
    end
    refusal = unsupported(fields)
    if refusal then return nil, refusal end
    call.n, refusal = count(fields, call.kind)
    if not call.n then return nil, refusal end
    local size
    size, refusal = dimensions(fields)
    if not size then return nil, refusal end
    call.width, call.height = size[1], size[2]
    call.prompt = type(fields.prompt) == "string" and fields.prompt or tostring(fields.prompt)
    call.mock_response = type(fields.mock_response) == "string" and fields.mock_response or nil
    return call
end

local function shape(call, pictures)
    return responses.images(call.now, pictures)
end

---Answers one request.
---@param request thucchien.emulator.request
---@return thucchien.emulator.response
function images.generate(request)
    local fields, refusal = body.read(request.body)
    if not fields then return refusal end
    local note = request.note
    note.model = type(fields.model) == "string" and fields.model or nil
    note.n = fields.n
    local asked
    asked, refusal = check(fields)
    if not asked then return refusal end
    note.n, note.size = asked.n, asked.width .. "x" .. asked.height
    local call = calls.new(asked, request, shape)
    if call.mock_response then return call.success({ { url = call.mock_response } }) end
    if call.failure then return failures.respond(call) end
    return call.success(call.pictures())
end

return images
