-- The key shows nowhere: not in an error, not in a response, however a server spells it, wherever it puts it.

local thucchien = require "thucchien"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local pictures = require "spec.support.pictures"

local KEY = "sk-Qq7/Zx+4Kd-0192837465"
local PNG = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg=="

local mirror, client

fixtures.client(function(...) mirror, client = ... end, { api_key = KEY, retry = "none", timeout = 10 })

local function each(text, format)
    return (text:gsub(".", function(character) return format:format(character:byte()) end))
end

-- How servers write it: inside a JSON string.
local spellings = {
    plain = KEY,
    capitals = KEY:upper(),
    ["escaped slash"] = (KEY:gsub("/", "\\/")),
    ["JSON escapes"] = each(KEY, "\\u%04x"),
    ["JSON escapes of JSON escapes"] = each(KEY, "\\\\u%04X"),
    ["percent escapes"] = each(KEY, "%%%02x"),
    ["some percent escapes"] = (KEY:gsub("[/+]", { ["/"] = "%2F", ["+"] = "%2B" })),
    ["percent escapes of percent escapes"] = each(KEY, "%%25%02x"),
    ["HTML's numbers"] = each(KEY, "&#%d;"),
    ["HTML's numbers in HTML"] = each(KEY, "&amp;#x%X;"),
    ["other languages' escapes"] = each(KEY, "\\\\x%02x"),
    hex = each(KEY, "%02x"),
    ["hex, spaced"] = each(KEY, "%02X "),
    ["behind a letter"] = "x" .. KEY .. "x",
    ["a header's base64"] = pictures.encode("Bearer " .. KEY),
    ["basic authentication"] = pictures.encode("joe:" .. KEY),
    ["base64 for URLs"] = (pictures.encode("me:" .. KEY):gsub("[+/]", { ["+"] = "-", ["/"] = "_" })),
    ["the end is missing"] = KEY:sub(1, 12),
}

-- KEY stands for the key.
local picture = '{"b64_json":"' .. PNG .. '","revised_prompt":"KEY","url":"KEY","x":{"y":["KEY",{"z":"KEY"}]}}'
local answers = {
    { 401, '{"error":{"message":"Received=KEY","type":"KEY","param":"KEY","code":"KEY"}}' },
    { 400, '{"error":"KEY"}' },
    { 400, '{"detail":[{"msg":"KEY","loc":["KEY"]}]}' },
    { 429, '{"error":{"message":"Rate limit exceeded for api_key: KEY. Limit resets at: KEY"}}' },
    { 500, "Internal Server Error KEY" },
    { 502, "<html><title>Bad KEY</title><h1>KEY</h1></html>" },
    { 400, '[{"error":{"message":"{\\"error\\":{\\"message\\":\\"KEY\\"}}"}}]' },
    { 200, '{"error":{"code":429,"message":"KEY"}}' },
    { 200, '{"choices":[{"finish_reason":"KEY","error":{"message":"KEY","code":502}}]}' },
    { 200, '{"choices":[{"finish_reason":"KEY","message":{"content":"I cannot: KEY"}}],"model":"KEY","id":"KEY"}' },
    { 200, '{"choices":[{"message":{"refusal":"KEY"}}]}' },
    { 200, '{"promptFeedback":{"blockReason":"KEY"}}' },
    { 200, '{"candidates":[{"finishReason":"SAFETY","content":{"parts":[{"text":"KEY"}]}}]}' },
    { 200, '{"data":[{"url":"http://127.0.0.1:9/KEY?k=KEY"}]}' },
    { 200, '{"data":[{"url":"https://KEY.example/"}]}' },
    { 200, '{"data":[{"url":"KEY"}]}' },
    { 200, '{"choices":[{"message":{"content":"![x](https://KEY.example/KEY)"}}]}' },
    { 200, '{"data":[{"b64_json":"' .. PNG:sub(1, 60) .. '","revised_prompt":"KEY"}],"x":"KEY"}' },
    { 200, '{"data":[],"KEY":"KEY","text":"KEY"}' },
    { 200, "KEY" },
    { 200, '"KEY"' },
    { 200, '{"data":[' .. picture .. '],"x":"KEY","usage":{"x":"KEY"},"model":"KEY","created":"KEY","warnings":["KEY"],"text":"KEY"}' },
    { 200, '{"data":[' .. picture .. ',{"url":"http://127.0.0.1:9/KEY"}],"errors":["KEY"],"finish_reason":"KEY"}' },
    { 200, '{"choices":[{"finish_reason":"KEY","message":{"content":"Here KEY ![i](data:image/png;base64,' .. PNG .. ') KEY"}}]}' },
    { 200, '{"candidates":[{"content":{"parts":[{"text":"KEY"},{"inlineData":{"mimeType":"KEY","data":"' .. PNG .. '"}}]},"finishReason":"KEY"}],"modelVersion":"KEY","responseId":"KEY"}' },
    { 302, "", { "location: http://KEY.example/KEY" } },
    { 200, "{}", { "x-litellm-call-id: KEY", "x-request-id: KEY" } },
    { 403, "KEY", { "content-type: text/KEY" } },
}

local function unescape(text)
    text = text:gsub("%%25", "%%"):gsub("&amp;", "&"):gsub("&#x(%x+);", function(hex)
        return string.char(tonumber(hex, 16) % 256)
    end):gsub("&#(%d+);", function(number) return string.char(number % 256) end)
    text = text:gsub("\\+x(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    return (text:gsub("\\+u(%x%x%x%x)", function(hex)
        local code = tonumber(hex, 16)
        return code < 128 and string.char(code) or "?"
    end):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end):gsub("\\+/", "/"))
end

-- What of the key a string shows, or nil.
local function shown(text)
    local low = unescape(text):lower()
    for size = 9, #KEY do -- nobody else's text begins so
        local part = KEY:sub(1, size):lower()
        if low:find(part, 1, true) then
            return part
        end
    end
    for size = 9, #KEY do
        local part = each(KEY:sub(1, size), "%02x")
        if low:gsub(" ", ""):find(part, 1, true) then
            return part
        end
    end
    local standard = unescape(text):gsub("[-_]", { ["-"] = "+", ["_"] = "/" })
    for before = 0, 2 do -- the key's own characters in base64, wherever it stands
        local encoded = pictures.encode(("x"):rep(before) .. KEY)
        local own = encoded:sub(math.ceil(before * 8 / 6) + 1, math.floor((before + #KEY) * 8 / 6))
        if standard:find(own, 1, true) then
            return own
        end
    end
end

local function walk(value, path, found)
    if type(value) == "string" then
        local part = not path:find "%.bytes$" and shown(value)
        if part then
            found[#found + 1] = path .. ": " .. part
        end
    elseif type(value) == "table" then
        for key, inner in pairs(value) do
            if type(key) == "string" and shown(key) then
                found[#found + 1] = path .. " has it as a name"
            end
            walk(inner, path .. "." .. tostring(key), found)
        end
    end
    return found
end

-- The same, and a key's letters are in what is compared: the check itself can fail.
it("would be noticed", function()
    for name, spelling in pairs(spellings) do
        local text = spelling:gsub("\\\\", "\\")
        assert.is_string(shown(text), name)
    end
end)

describe("a key that a server sends back", function()
    for name, spelling in pairs(spellings) do
        it("shows nowhere: " .. name, function()
            for index, answer in ipairs(answers) do
                local function plant(text) return (text:gsub("KEY", function() return spelling end)) end
                local headers = {}
                for i, header in ipairs(answer[3] or {}) do
                    headers[i] = plant(header)
                end
                for _, via in ipairs { "images", "chat", "gemini" } do
                    local response, err = client:generate { prompt = "x", via = via, n = 1,
                        extra_body = { mirror = { status = answer[1], body = plant(answer[2]), headers = headers } } }
                    local found = walk(response or err, response and "response" or "err", {})
                    walk(tostring(err), "tostring", found)
                    assert.same({}, found, "answer " .. index .. " via " .. via)
                    assert.is_nil(tostring(err):find "[%z\1-\31\127]")
                end
            end
        end)
    end

    for name, spelling in pairs(spellings) do
        it("shows in no result of another route: " .. name, function()
            local result = assert(client:call { path = "/any", body = { mirror = {
                body = ('{"KEY":"KEY","x":{"KEY":{"KEY":1}},"y":["KEY"]}'):gsub("KEY", function() return spelling end) } } })
            assert.same({}, walk(result, "result", {}))
            assert.equal(1, #result.y)
        end)
    end

    it("shows nowhere, though it has what escapes begin with", function()
        for _, key in ipairs { [[pass\word%2Fof-joe]], [[%41%42-0123456789]], [[\\k"ey\with/odd%]] } do
            local own = assert(thucchien.new { base_url = mirror.url, api_key = key, retry = "none" })
            local json = key:gsub('["\\/]', "\\%0")
            for _, written in ipairs { json, each(key, "\\u%04x"), each(key, "%%%02X") } do
                local _, err = own:generate { prompt = "x", extra_body = { mirror = {
                    status = 400, body = '{"error":{"message":"no ' .. written .. '.","code":"' .. written .. '"}}' } } }
                for _, text in ipairs { tostring(err), err.message, err.body, err.code } do
                    assert.is_nil(unescape(text):find(key, 1, true))
                    assert.is_nil(text:find(key, 1, true))
                    assert.is_nil(text:find(json, 1, true))
                end
            end
            own:close()
        end
    end)

    it("stays in an address that is asked", function()
        local response = assert(client:generate { prompt = "x", extra_body = { mirror = { body = ('{"data":[{"url":%q}]}'):format(
            mirrors.address(mirror, { body = "GIF87a" .. ("\1"):rep(7) .. ";" }) .. "&key=" .. KEY) } } })
        assert.equal("gif", response.data[1].ext)
        assert.is_nil(walk(response, "response", {})[1])
    end)
end)

describe("characters that a terminal obeys", function()
    it("are visible in every message", function()
        local hostile = "\\u001b[31m\\u0007\\u009b2J\\u202e\\u2028\\u0000\\r\\n"
        for _, answer in ipairs(answers) do
            local body = answer[2]:gsub("KEY", function() return hostile end)
            local _, err = client:generate { prompt = "x", extra_body = { mirror = { status = answer[1], body = body } } }
            if err then
                for _, text in ipairs { tostring(err), err.message, err.type or "", tostring(err.code or ""), err.param or "" } do
                    assert.is_nil(text:find "[%z\1-\31\127]")
                    assert.is_nil(text:find("\194\155", 1, true))
                    assert.is_nil(text:find("\226\128\174", 1, true))
                end
            end
        end
    end)
end)
