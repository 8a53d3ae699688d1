-- What Google's generateContent answers with: indented JSON, which the gateway passes on as it is.

local responses = require "thucchien.emulator.responses"

local candidates = {}

local TOKENS = 1290 -- what a picture counts as

local quote = responses.quote

-- A picture's two fields, in the order of `names`.
local BLOB = '{\n            "%s": {\n              %s,\n              %s\n            }\n          }'

---A part that holds a picture, or its address. `spelling` is for odd ones: fields in snake case, the type last.
---@param picture { b64_json?: string, mime?: string, url?: string }
---@param spelling? "snake"|"mime_last"
---@return string
function candidates.picture(picture, spelling)
    local mime = ('"%s": %s'):format(spelling == "snake" and "mime_type" or "mimeType",
        quote(picture.mime or "image/png"))
    if picture.url then return BLOB:format("fileData", mime, '"fileUri": ' .. quote(picture.url)) end
    if not picture.b64_json then return "{}" end
    local data = '"data": "' .. picture.b64_json .. '"'
    if spelling == "mime_last" then mime, data = data, mime end
    return BLOB:format(spelling == "snake" and "inline_data" or "inlineData", mime, data)
end

---A part that holds text.
---@param text string
---@return string
function candidates.text(text)
    return '{\n            "text": ' .. quote(text) .. '\n          }'
end

---An element of `candidates`; without parts it has no content.
---@param parts string[]         # JSON
---@param finish_reason? string|false  # "STOP" if not given; false: it goes on
---@return string
function candidates.candidate(parts, finish_reason)
    local content = ""
    if #parts > 0 then
        content = '"content": {\n        "parts": [\n          ' .. table.concat(parts, ",\n          ")
            .. '\n        ],\n        "role": "model"\n      },\n      '
    end
    local finish = finish_reason ~= false and '"finishReason": ' .. quote(finish_reason or "STOP") .. ',\n      ' or ""
    return '    {\n      ' .. content .. finish .. '"index": 0\n    }'
end

local USAGE = [[
  "usageMetadata": {
    "promptTokenCount": %d,
    "candidatesTokenCount": %d,
    "totalTokenCount": %d,
    "promptTokensDetails": [
      {
        "modality": "TEXT",
        "tokenCount": %d
      }
    ]
  },
  "modelVersion": %s,
  "responseId": "emulated-%d"
}
]]

---The whole response.
---@param call thucchien.emulator.call
---@param members string  # JSON: what comes before the usage
---@param count integer   # pictures in it
---@return string
function candidates.body(call, members, count)
    local prompt = math.ceil(#call.prompt / 4)
    return "{\n" .. members .. ",\n" .. USAGE:format(
        prompt, TOKENS * count, prompt + TOKENS * count, prompt, quote(call.model), call.now)
end

---The response with one candidate.
---@param call thucchien.emulator.call
---@param parts string[]
---@param count integer
---@param finish_reason? string|false
---@return string
function candidates.one(call, parts, count, finish_reason)
    return candidates.body(call,
        '  "candidates": [\n' .. candidates.candidate(parts, finish_reason) .. "\n  ]", count)
end

---The response that holds some pictures, and what the model says beside them.
---@param call thucchien.emulator.call
---@param pictures table[]
---@return string
function candidates.success(call, pictures)
    local parts = {}
    if call.text then parts[1] = candidates.text(call.text) end
    for _, picture in ipairs(pictures) do parts[#parts + 1] = candidates.picture(picture) end
    return candidates.one(call, parts, #pictures)
end

return candidates
