-- Who is asking: finds the key among a request's headers, and says what the gateway says to a wrong one.

local answers = require "thucchien.emulator.answers"

local authentication = {}

-- The first of these that is there counts. Only `Authorization` needs the word Bearer.
local HEADERS = {
    "x-litellm-api-key", "authorization", "api-key", "x-api-key", "x-goog-api-key",
    "ocp-apim-subscription-key",
}

local function received(headers)
    for _, name in ipairs(HEADERS) do
        local value = headers:get(name)
        if value and value ~= "" then
            local key = value:match("^[Bb]earer +(.*)$") or value:match("^Basic +(.*)$")
            if name == "authorization" then return key or "", key == nil end
            return key or value, false
        end
    end
    return nil, false
end

---@param text string
---@return string
local function sha256(text)
    local digest = require("openssl.digest").new("sha256"):final(text)
    return (digest:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

---The caller's key, or the answer that refuses it.
---@param headers table           # lua-http's headers
---@param accepted? string        # the only good key; any that looks like one if nil
---@return string? key
---@return thucchien.emulator.answer? refusal
function authentication.check(headers, accepted)
    local key, malformed = received(headers)
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
            key:sub(-4), sha256(key))
        kind, param = "token_not_found_in_db", "key"
    else
        return key
    end
    return nil, answers.error(401, "Authentication Error, " .. message, kind, param)
end

return authentication
