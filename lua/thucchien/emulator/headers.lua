-- The headers that the gateway adds to its responses. The chat route has more than the others.

local responses = require "thucchien.emulator.responses"

local headers = { LITELLM = "1.79.1" }

local MODEL_ID = "c6f4bb5d7d2d4c1f9a10a3be6de6d4a2a4f0a5f3a3a9f5d0c2ab3f0f4e7d9b18"

---@return string
function headers.uuid()
    local bytes = { require("openssl.rand").bytes(16):byte(1, 16) }
    bytes[7], bytes[9] = bytes[7] % 16 + 64, bytes[9] % 64 + 128
    return (("%02x"):rep(16):format((table.unpack or unpack)(bytes)) -- luacheck: ignore 113 143
        :gsub("^(........)(....)(....)(....)", "%1-%2-%3-%4-"))
end

-- A chat's caller may choose the call's id.
local function call_id(request, via)
    local chosen = via == "chat" and request.headers:get("x-litellm-call-id")
    return chosen or headers.uuid()
end

local function add_chat(add, response, request, call)
    if call.model then add("x-litellm-model-group", (call.model:gsub("[^\32-\126]", "?"))) end
    add("x-litellm-attempted-retries", "0")
    add("x-litellm-attempted-fallbacks", "0")
    local limit, remaining = request.state.account:requests(request.key)
    add("x-ratelimit-api_key-limit-requests", ("%d"):format(limit))
    add("x-ratelimit-api_key-remaining-requests", ("%d"):format(remaining))
    if response.status == 200 then
        add("llm_provider-content-type", "application/json; charset=UTF-8")
        add("llm_provider-server", "scaffolding on HTTPServer2")
    end
end

-- The gateway's headers on the model that it has called. On the Gemini route it only passes the request on, and knows
-- nothing but the address.
local function add_model(add, call, cost)
    if call.via == "gemini" then
        return add("x-litellm-model-api-base", "https://generativelanguage.googleapis.com/v1beta")
    end
    add("x-litellm-model-id", MODEL_ID)
    add("x-litellm-model-region", "us-central1")
    if cost <= 0 then return end
    add("x-litellm-response-cost", responses.python_float(cost))
    if call.via == "chat" then add("x-litellm-response-cost-original", responses.python_float(cost)) end
end

---Adds them to a response.
---@param response thucchien.emulator.response
---@param request thucchien.emulator.request
---@param call { via: thucchien.emulator.via, model?: string }
---@param cost number   # of this call in US dollars; it is added to what the key has spent
---@return thucchien.emulator.response
function headers.add(response, request, call, cost)
    local account, list = request.state.account, response.headers
    local function add(name, value) list[#list + 1] = { name, value } end
    local before = account:charge(request.key, cost)
    add("x-litellm-call-id", call_id(request, call.via))
    add("x-litellm-version", headers.LITELLM)
    add_model(add, call, cost)
    add("x-litellm-key-rpm-limit", ("%d"):format((account:requests(request.key))))
    if account.budget then add("x-litellm-key-max-budget", responses.python_float(account.budget)) end
    add("x-litellm-key-spend", responses.python_float(before)) -- as it was when the call came
    local microseconds = math.floor(request.elapsed() * 1e6)
    add("x-litellm-response-duration-ms", responses.python_float(microseconds / 1000))
    if call.via == "chat" then add_chat(add, response, request, call) end
    return response
end

---The same for an error of the gateway's. On the images route errors have none of these headers.
---@param response thucchien.emulator.response
---@param request thucchien.emulator.request
---@param call { via: thucchien.emulator.via, model?: string }
---@return thucchien.emulator.response
function headers.add_to_error(response, request, call)
    if call.via == "images" or response.status < 400 or not response.body:find('^{"error"') then return response end
    return headers.add(response, request, call, 0)
end

return headers
