-- POST /images/generations: reads the body as the gateway does (by hand, no schema), and answers with
-- pictures, with the gateway's own refusals, or with what the model's name asks to go wrong.

local answers = require "thucchien.emulator.answers"
local failures = require "thucchien.emulator.failures"

local images = {}

local PRICE = 0.04 -- US dollars a picture
local MODELS = { ["imagen-4"] = true, ["imagen-4.0-generate-001"] = true }
local MOST = 4 -- pictures a request
local WIDEST, NARROWEST = 2048, 16

local RATIOS = {
    ["1:1"] = { 1024, 1024 }, ["3:4"] = { 896, 1280 }, ["4:3"] = { 1280, 896 },
    ["16:9"] = { 1408, 768 }, ["9:16"] = { 768, 1408 },
}

local UNSUPPORTED = { "quality", "response_format", "style", "user" }

-- Where a byte is, as Python's JSON errors count: characters, lines and columns from 1, chars from 0.
local function position(text, at)
    local before = text:sub(1, at - 1):gsub("[\128-\191]", "")
    local _, lines = before:gsub("\n", "")
    local column = #before:match("[^\n]*$") + 1
    return ("line %d column %d (char %d)"):format(lines + 1, column, #before)
end

local function valid_utf8(text)
    local at = 1
    while true do
        at = text:find("[\128-\255]", at)
        if not at then return true end
        local a, b, c, d = text:byte(at, at + 3)
        local function follows(byte, low, high)
            return byte and byte >= (low or 128) and byte <= (high or 191)
        end
        if a >= 194 and a <= 223 and follows(b) then
            at = at + 2
        elseif a >= 224 and a <= 239 and follows(b, a == 224 and 160, a == 237 and 159)
            and follows(c) then
            at = at + 3
        elseif a >= 240 and a <= 244 and follows(b, a == 240 and 144, a == 244 and 143)
            and follows(c) and follows(d) then
            at = at + 4
        else
            return false
        end
    end
end

local function unauthorized(message)
    return answers.error(401, "Authentication Error, " .. message, "auth_error", "None")
end

-- What is left of a Python error in the gateway.
local function crash(message)
    return answers.error(500, message, "None", "None")
end

-- The body as a table without nulls, or the answer that refuses it.
local function read_body(text)
    if text == "" then
        return nil, crash("Input is a zero-length, empty document: line 1 column 1 (char 0)")
    end
    if not valid_utf8(text) then
        return nil, crash("str is not valid UTF-8: surrogates not allowed: line 1 column 1 (char 0)")
    end
    local cjson = require("cjson.safe").new()
    cjson.decode_invalid_numbers(false)
    local body, problem = cjson.decode(text)
    if body == nil then
        local at = tonumber(tostring(problem):match("at character (%d+)")) or 1
        if tostring(problem):find("unicode escape") then
            return nil, crash("lone leading surrogate in hex escape: " .. position(text, at))
        end
        return nil, answers.error(400, "Invalid JSON payload: unexpected character: "
            .. position(text, at), "invalid_request_error", "request_body")
    end
    if not text:find("^%s*{") then
        return nil, unauthorized("'list' object has no attribute 'get'")
    end
    for name, value in pairs(body) do
        if value == cjson.null then body[name] = nil end
    end
    return body
end

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
    return answers.upstream_error(400, "litellm.BadRequestError: Vertex_aiException BadRequestError"
        .. " - " .. answers.google_error(400, message, "INVALID_ARGUMENT"))
end

-- Width and height in pixels. An unknown size gives a square without a word, an unknown ratio an error.
local function dimensions(body)
    local ratio = body.aspect_ratio or body.aspectRatio
    if ratio then
        local size = RATIOS[ratio]
        if not size then
            return nil, bad_request(("Aspect ratio %s is not supported. Supported values: 1:1, 9:16, "
                .. "16:9, 4:3, 3:4."):format(tostring(ratio)))
        end
        return size
    end
    local width, height = tostring(body.size or ""):match("^(%d+)x(%d+)$")
    width, height = tonumber(width), tonumber(height)
    if width and math.min(width, height) >= NARROWEST and math.max(width, height) <= WIDEST then
        return { width, height }
    end
    return RATIOS["1:1"]
end

-- The answer that refuses the parameters, or nil and the call: what to draw, and how many.
local function check(body)
    if body.api_base or body.base_url then
        return unauthorized(("Rejected Request: %s is not allowed in request body. Enable with "
            .. "`general_settings::allow_client_side_credentials` on proxy config.yaml."):format(
            body.api_base and "api_base" or "base_url"))
    end
    local model = body.model
    if model ~= nil and type(model) ~= "string" then
        return unauthorized("'int' object has no attribute 'split'")
    end
    local failure, argument = failures.find(model or "")
    if not failure and not MODELS[model or ""] then
        return answers.error(400, ("400: {'error': '/image/generations: Invalid model name passed in "
            .. "model=%s. Call `/v1/models` to view available models for your key.'}"):format(
            model or "None"), "None", "None")
    end
    if body.prompt == nil then
        return crash("Router.aimage_generation() missing 1 required positional argument: 'prompt'")
    end
    if body.drop_params ~= true then
        for _, name in ipairs(UNSUPPORTED) do
            if body[name] ~= nil then
                return answers.error(400, ("litellm.UnsupportedParamsError: Setting `%s` is not "
                    .. "supported by vertex_ai, imagen-4.0-generate-001. To drop it from the call, set "
                    .. "`litellm.drop_params = True`. Received Model Group=imagen-4\nAvailable Model "
                    .. "Group Fallbacks=None"):format(name), "None")
            end
        end
    end
    local n = MOST -- without n the service behind the gateway makes four
    if body.n ~= nil then
        local complaint
        n, complaint = python_int(body.n)
        if not n then return crash(complaint) end
    end
    if n < 1 or n > MOST then return bad_request("sampleCount must be between 1 and 4.") end
    local size, refusal = dimensions(body)
    if not size then return refusal end
    return nil, {
        model = model, failure = failure, argument = argument,
        n = n, width = size[1], height = size[2],
        prompt = type(body.prompt) == "string" and body.prompt or tostring(body.prompt),
        mock_response = type(body.mock_response) == "string" and body.mock_response or nil,
    }
end

local function uuid()
    local bytes = { require("openssl.rand").bytes(16):byte(1, 16) }
    bytes[7], bytes[9] = bytes[7] % 16 + 64, bytes[9] % 64 + 128
    return (("%02x"):rep(16):format((table.unpack or unpack)(bytes)) -- luacheck: ignore 113 143
        :gsub("^(........)(....)(....)(....)", "%1-%2-%3-%4-"))
end

-- The headers of a success. The key's spend is what it was before this call.
local function describe(answer, request, drawn)
    local spend = request.state.spend
    local before = spend[request.key] or 0
    spend[request.key] = before + PRICE * drawn
    local headers = answer.headers
    local function add(name, value) headers[#headers + 1] = { name, value } end
    add("x-litellm-call-id", uuid())
    add("x-litellm-model-id", "c6f4bb5d7d2d4c1f9a10a3be6de6d4a2a4f0a5f3a3a9f5d0c2ab3f0f4e7d9b18")
    add("x-litellm-version", "1.79.1")
    add("x-litellm-model-region", "us-central1")
    if drawn > 0 then add("x-litellm-response-cost", answers.python_float(PRICE * drawn)) end
    add("x-litellm-key-rpm-limit", "200")
    add("x-litellm-key-max-budget", "50.0")
    add("x-litellm-key-spend", answers.python_float(before))
    local microseconds = math.floor(request.elapsed() * 1e6)
    add("x-litellm-response-duration-ms", answers.python_float(microseconds / 1000))
    return answer
end

-- What a failure may use: the request's own pictures, or stamp-sized ones where size is no matter.
local function new_call(call, request)
    local source = request.state.pictures
    call.key, call.host, call.state, call.now = request.key, request.host, request.state, os.time()
    function call.pictures()
        local list = {}
        for i = 1, call.n do list[i] = source:get(call.prompt, i, call.width, call.height) end
        return list
    end
    function call.stamps()
        local list = {}
        for i = 1, call.n do list[i] = source:get(call.prompt, i, 64, 64) end
        return list
    end
    function call.publish(picture) return source:publish(picture) end
    function call.success(list)
        return describe(answers.images(call.now, list), request, #list)
    end
    return call
end

---Answers one request.
---@param request thucchien.emulator.request
---@return thucchien.emulator.answer
function images.generate(request)
    local body, refusal = read_body(request.body)
    if not body then return refusal end
    local note = request.note
    note.model = type(body.model) == "string" and body.model or nil
    note.n = body.n
    local call
    refusal, call = check(body)
    if refusal then return refusal end
    note.n, note.size = call.n, call.width .. "x" .. call.height
    call = new_call(call, request)
    if call.mock_response then return call.success({ { url = call.mock_response } }) end
    if call.failure then return failures.answer(call) end
    return call.success(call.pictures())
end

return images
