-- Errors in unusual places: in a success, in a list, under another name.

local responses = require "thucchien.emulator.responses"
local completion = require "thucchien.emulator.completion"
local events = require "thucchien.emulator.events"

local misplaced = {}

local CHAT = { chat = true }

local function says(name, about, status, json)
    return { name = name, about = about, respond = function() return responses.new(status, json) end }
end

-- A success that holds an error; the error's code is a status.
local function in_success(status, message)
    return {
        name = "200-" .. status, counted = true, about = ("200, and an error whose code is %d"):format(status),
        respond = function()
            return responses.new(200, ('{"error":{"message":%s,"code":%d,"metadata":{"provider_name":"Somebody"}},'
                .. '"user_id":"user_0123"}'):format(responses.quote(message), status))
        end,
    }
end

---Models that answer with these.
---@type thucchien.emulator.failure[]
misplaced.models = {
    in_success(402, "This request requires more credits."),
    in_success(403, "The provider does not allow this in your region."),
    in_success(429, "Rate limit exceeded: 20 requests a minute."),
    in_success(502, "Provider returned error"),
    in_success(503, "No provider is available."),
    {
        name = "choice-error", about = "200, and an error in the choice (502)", via = CHAT,
        respond = function(call)
            local choice = '{"finish_reason":"error","native_finish_reason":"error","index":0,"error":{"message":'
                .. '"the upstream broke","code":502},"message":{"content":"","role":"assistant"}}'
            return call.respond(completion.body(call, choice, 0), 0)
        end,
    },
    {
        name = "event-error", about = "200, a stream that ends with an error", via = CHAT,
        respond = function(call)
            local begun = completion.chunk(call, '{"content":"Here is","role":"assistant"}')
            return events.response(call, { begun, '{"error":{"message":"the stream broke off","type":"None","param":'
                .. '"None","code":"500"}}' }, 0, { unfinished = true })
        end,
    },
    {
        name = "listed", about = "400, Google's error inside a list",
        respond = function()
            local said = responses.google_error(400, "Request contains an invalid argument.", "INVALID_ARGUMENT")
            return responses.new(400, "[" .. said:gsub("\n$", "") .. "\n]\n")
        end,
    },
    says("errors", "400, `errors` is a list", 400, '{"errors":[{"code":7003,"message":"The prompt is too long."}]}'),
    says("code-message", "200, `code` and `message`, `data` is null", 200,
        '{"code":5004,"message":"The picture could not be made.","data":null}'),
    says("no-success", "200, `success` is false", 200,
        '{"success":false,"message":"The model is not available for your account.","result":null}'),
}

return misplaced
