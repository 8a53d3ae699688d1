-- Chat completions: compact JSON, in which fields that would be null are left out.

local responses = require "thucchien.emulator.responses"

local completion = {}

local TOKENS = 1290 -- what a picture counts as

local quote = responses.quote

---A picture as a data URL, or the address that stands for it.
---@param picture { b64_json?: string, mime?: string, url?: string }
---@return string?
function completion.url(picture)
    if picture.url or not picture.b64_json then return picture.url end
    return "data:" .. (picture.mime or "image/png") .. ";base64," .. picture.b64_json
end

-- A URL as JSON. A data URL needs no escapes; looking for them in megabytes takes time.
local function quote_url(url)
    return url:find("^data:") and '"' .. url .. '"' or quote(url)
end

---An element of `images`. Every one of them has the index 0.
---@param picture table
---@return string
function completion.image(picture)
    local url = completion.url(picture)
    local member = url and '"url":' .. quote_url(url) .. "," or ""
    return '{"image_url":{' .. member .. '"detail":"auto"},"index":0,"type":"image_url"}'
end

---A message of the model's. Without pictures `images` is empty, not absent.
---@param text? string
---@param pictures table[]
---@return string
function completion.message(text, pictures)
    local images = {}
    for i, picture in ipairs(pictures) do images[i] = completion.image(picture) end
    return '{' .. (text and '"content":' .. quote(text) .. ',' or "") .. '"role":"assistant","images":['
        .. table.concat(images, ",") .. ']}'
end

---An element of `choices`.
---@param message string        # JSON
---@param finish_reason? string # "stop" if not given
---@return string
function completion.choice(message, finish_reason)
    return '{"finish_reason":' .. quote(finish_reason or "stop") .. ',"index":0,"message":' .. message .. '}'
end

local function usage(call, count)
    local prompt = math.ceil(#call.prompt / 4)
    return ('{"completion_tokens":%d,"prompt_tokens":%d,"total_tokens":%d}'):format(
        TOKENS * count, prompt, TOKENS * count + prompt)
end

---A chunk of a stream.
---@param call thucchien.emulator.call
---@param delta string           # JSON
---@param finish_reason? string  # of the last one
---@return string
function completion.chunk(call, delta, finish_reason)
    local finish = finish_reason and '"finish_reason":' .. quote(finish_reason) .. ',' or ""
    return ('{"id":"emulated-%d","created":%d,"model":%s,"object":"chat.completion.chunk","choices":[{%s"index":0,'
        .. '"delta":'):format(call.now, call.now, quote(call.model), finish) .. delta .. '}]}'
end

---The chunks that hold some pictures, and what the model says beside them.
---@param call thucchien.emulator.call
---@param pictures table[]
---@return string[]
function completion.chunks(call, pictures)
    local chunks, images = {}, {}
    local function add(delta, reason) chunks[#chunks + 1] = completion.chunk(call, delta, reason) end
    local head, tail = (call.text or ""):match("^(%S* ?)(.*)$")
    add('{"content":' .. quote(head) .. ',"role":"assistant"}')
    if tail ~= "" then add('{"content":' .. quote(tail) .. '}') end
    for i, picture in ipairs(pictures) do images[i] = completion.image(picture) end
    if #images > 0 then add('{"images":[' .. table.concat(images, ",") .. ']}') end
    add("{}", "stop")
    local last = chunks[#chunks]:gsub('"choices".*$', '"choices":[],"usage":')
    chunks[#chunks + 1] = last .. usage(call, #pictures) .. "}"
    return chunks
end

---The whole completion.
---@param call thucchien.emulator.call
---@param choices string  # JSON, without the brackets
---@param count integer   # pictures in it
---@return string
function completion.body(call, choices, count)
    return ('{"id":"%s","created":%d,"model":%s,"object":"chat.completion","choices":['):format(
        "emulated-" .. call.now, call.now, quote(call.model)) .. choices .. '],"usage":' .. usage(call, count)
        .. ',"vertex_ai_grounding_metadata":[],"vertex_ai_url_context_metadata":[],'
        .. '"vertex_ai_safety_results":[],"vertex_ai_citation_metadata":[]}'
end

---The completion that holds some pictures, and what the model says beside them.
---@param call thucchien.emulator.call
---@param pictures table[]
---@return string
function completion.success(call, pictures)
    return completion.body(call, completion.choice(completion.message(call.text, pictures)), #pictures)
end

return completion
