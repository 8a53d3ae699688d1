-- Reads a request's body as the gateway does: as JSON, without a schema. What it cannot read is refused in
-- Python's words.

local responses = require "thucchien.emulator.responses"

local body = {}

-- Where a byte is, as Python's JSON errors say it. They count characters: lines and columns from 1, "char" from 0.
local function position(text, at)
    local before = text:sub(1, at - 1):gsub("[\128-\191]", "")
    local _, lines = before:gsub("\n", "")
    local column = #before:match("[^\n]*$") + 1
    return ("line %d column %d (char %d)"):format(lines + 1, column, #before)
end

local function valid_utf8(text)
    local at = 1
    while true do
        local _, last = text:find("^[%z\1-\127]*", at) -- faster than to look for the first other byte
        if last == #text then return true end
        at = last + 1
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

---The refusal of an error that the gateway finds while it checks the key.
---@param message string
---@return thucchien.emulator.response
function body.unauthorized(message)
    return responses.error(401, "Authentication Error, " .. message, "auth_error", "None")
end

---The response that the gateway makes of a Python error of its own.
---@param message string
---@return thucchien.emulator.response
function body.crash(message)
    return responses.error(500, message, "None", "None")
end

---The body as a table without nulls (those inside are left), or the response that refuses it.
---@param text string
---@return table? fields
---@return thucchien.emulator.response? refusal
function body.read(text)
    if text == "" then
        return nil, body.crash("Input is a zero-length, empty document: line 1 column 1 (char 0)")
    end
    if not valid_utf8(text) then
        return nil, body.crash("str is not valid UTF-8: surrogates not allowed: line 1 column 1 (char 0)")
    end
    local cjson = require("cjson.safe").new()
    cjson.decode_invalid_numbers(false)
    local fields, problem = cjson.decode(text)
    if fields == nil then
        local at = tonumber(tostring(problem):match("at character (%d+)")) or 1
        if tostring(problem):find("unicode escape") then
            return nil, body.crash("lone leading surrogate in hex escape: " .. position(text, at))
        end
        return nil, responses.error(400, "Invalid JSON payload: unexpected character: "
            .. position(text, at), "invalid_request_error", "request_body")
    end
    if not text:find("^%s*{") then
        return nil, body.unauthorized("'list' object has no attribute 'get'")
    end
    for name, value in pairs(fields) do
        if value == cjson.null then fields[name] = nil end
    end
    return fields
end

return body
