-- Finds the key among a request's headers, and refuses a wrong one in the gateway's words.

local responses = require "thucchien.emulator.responses"

local authentication = {}

---The headers that may carry a key. The first that is there counts. Only `Authorization` needs the word Bearer.
authentication.headers = {
    "x-litellm-api-key", "authorization", "api-key", "x-api-key", "x-goog-api-key",
    "ocp-apim-subscription-key",
}

local function received(headers)
    for _, name in ipairs(authentication.headers) do
        local value = headers:get(name)
        if value and value ~= "" then
            local key = value:match("^[Bb]earer +(.*)$") or value:match("^Basic +(.*)$")
            if name == "authorization" then return key or "", key == nil end
            return key or value, false
        end
    end
    return nil, false
end

---A key as the gateway stores it and speaks of it: its SHA-256 in hexadecimal.
---@param key string
---@return string
function authentication.hash(key)
    local digest = require("openssl.digest").new("sha256"):final(key)
    return (digest:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- The key if it is good, or the response that refuses it.
local function judge(key, malformed, accepted)
    local kind, param = "auth_error", "None"
    local message
    if malformed then
        message = "Malformed API Key passed in. Ensure Key has `Bearer ` prefix."
    elseif key == nil or key == "" then
        message = "No api key passed in."
    elseif key:sub(1, 3) ~= "sk-" then
        -- The gateway repeats the whole key here, so this does: a client must not pass it on.
        message = ("LiteLLM Virtual Key expected. Received=%s, expected to start with 'sk-'."):format(key)
    elseif accepted and key ~= accepted then
        message = ("Invalid proxy server token passed. Received API Key = sk-...%s, Key Hash (Token) "
            .. "=%s. Unable to find token in cache or `LiteLLM_VerificationTokenTable`"):format(
            key:sub(-4), authentication.hash(key))
        kind, param = "token_not_found_in_db", "key"
    else
        return key
    end
    return nil, responses.error(401, "Authentication Error, " .. message, kind, param)
end

---The caller's key, or the response that refuses it.
---@param request thucchien.emulator.request
---@param accepted? string  # the only good key; any that looks like one if nil
---@return string? key
---@return thucchien.emulator.response? refusal
function authentication.check(request, accepted)
    local key, malformed = received(request.headers)
    return judge(key, malformed, accepted)
end

---The same on the Gemini route, which looks for the key only where Google does. For a missing key it says that
---the key is "None".
---@param request thucchien.emulator.request
---@param accepted? string
---@return string? key
---@return thucchien.emulator.response? refusal
function authentication.check_google(request, accepted)
    return judge(request.query.key or request.headers:get("x-goog-api-key") or "None", false, accepted)
end

return authentication
