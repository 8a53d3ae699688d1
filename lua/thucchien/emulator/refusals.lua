-- Refusals to draw, in the many ways that services say them: in a code, in a sentence, in a field of a success.

local responses = require "thucchien.emulator.responses"
local candidates = require "thucchien.emulator.candidates"
local completion = require "thucchien.emulator.completion"

local refusals = {}

local CHAT, IMAGES, TALKING = { chat = true }, { images = true }, { chat = true, gemini = true }

local SORRY = "I'm sorry, I can't help with that picture."

local function says(name, about, status, json)
    return { name = name, about = about, respond = function() return responses.new(status, json) end }
end

local function reason_of(call)
    local reason = (call.argument or ""):gsub("[^%w_]", "")
    return reason ~= "" and reason or "SAFETY"
end

local FILTERED = [[{"error":{"code":"%s","message":"The response was filtered due to the prompt triggering Azure ]]
    .. [[OpenAI's content management policy.","param":"prompt","type":null,"innererror":{"code":]]
    .. [["ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":false,"severity":"safe"},]]
    .. [["violence":{"filtered":true,"severity":"medium"}}}}}]]

---Models that refuse.
---@type thucchien.emulator.failure[]
refusals.models = {
    says("policy-code", "400, code content_policy_violation", 400, '{"error":{"code":"content_policy_violation",'
        .. '"message":"This request has been blocked by our content filters.","param":null,'
        .. '"type":"invalid_request_error"}}'),
    says("moderated", "400, code moderation_blocked", 400, '{"error":{"message":"Your request was rejected by the '
        .. 'safety system. If you believe this is an error, contact us at help.openai.com and include the request ID '
        .. 'req_0123456789abcdef.","type":"image_generation_user_error","param":null,"code":"moderation_blocked"}}'),
    says("filter-code", "400, code contentFilter", 400, '{"error":{"code":"contentFilter","message":"The picture '
        .. 'was held back.","param":null,"type":null}}'),
    says("filter-result", "400, content_filter_result inside innererror", 400, FILTERED:format("BadRequest")),
    says("sentence", "400, a sentence alone, `error` is a string", 400, '{"code":"invalid argument","error":'
        .. '"Generated image rejected by content moderation."}'),
    says("sentence-403", "403, a sentence alone", 403, '{"error":{"message":"Your request was flagged by our content '
        .. 'policy.","type":"forbidden","param":null,"code":403}}'),
    {
        name = "unmoderated", about = "200, empty strings and respect_moderation false", via = IMAGES,
        respond = function(call)
            return call.respond('{"data":[{"url":"","b64_json":"","respect_moderation":false}]}', 0)
        end,
    },
    {
        name = "refusal", about = "200, message.refusal is a sentence", via = CHAT,
        respond = function(call)
            local message = '{"content":null,"refusal":' .. responses.quote(SORRY) .. ',"role":"assistant"}'
            return call.respond(completion.body(call, completion.choice(message), 0), 0)
        end,
    },
    {
        name = "finish", about = "200, stopped for SAFETY, or /REASON", via = TALKING,
        respond = function(call)
            local reason = reason_of(call)
            if call.via == "gemini" then return call.respond(candidates.one(call, {}, 0, reason), 0) end
            local choice = completion.choice('{"content":null,"role":"assistant"}', reason)
            return call.respond(completion.body(call, choice, 0), 0)
        end,
    },
    {
        name = "feedback", about = "200, promptFeedback alone: SAFETY, or /REASON", via = TALKING,
        respond = function(call)
            return call.respond(candidates.body(call,
                '  "promptFeedback": {\n    "blockReason": "' .. reason_of(call) .. '"\n  }', 0), 0)
        end,
    },
}

return refusals
