-- The three ways to a picture, for specs that hold on all of them: how a gateway answers on each, and with which
-- pictures.
--
--     for _, via in ipairs(routes.names) do
--         client:generate { via = via, prompt = "x", extra_body = { mirror = { body = routes.answer(via, { routes.base64(3) }) } } }

local routes = {}

routes.names = { "images", "chat", "gemini" }

-- Where a request for the model "any/model" goes.
routes.paths = {
    images = "/images/generations",
    chat = "/chat/completions",
    gemini = "/gemini/v1beta/models/any%2Fmodel:generateContent",
}

local HEAD = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAAElEQVQ1rwYeAAAAAElFTkSuQmCC"

-- A picture's bytes without groups.
routes.SIZE = 57

---A picture as base64: a PNG of 2 by 3 pixels, whole but for its pixels, and three zero bytes a group behind its
---end, where no reader looks.
---@param groups integer
---@return string
function routes.base64(groups)
    return HEAD .. ("AAAA"):rep(groups)
end

---The same picture's bytes.
---@param groups integer
---@return string
function routes.bytes(groups)
    return "\137PNG\r\n\26\n\0\0\0\13IHDR\0\0\0\2\0\0\0\3\8\2\0\0\0\54\136\73\214\0\0\0\0IDAT\53\175\6\30\0\0\0\0IEND\174\66\96\130" .. ("\0\0\0"):rep(groups)
end

-- What is around one picture.
local PICTURES = {
    images = '{"b64_json":"%s","revised_prompt":null,"url":null}',
    chat = '{"image_url":{"url":"data:image/png;base64,%s","detail":"auto"},"index":0,"type":"image_url"}',
    gemini = '{"inlineData":{"mimeType":"image/png","data":"%s"}}',
}

-- What comes before and after them all.
local ANSWERS = {
    images = { '{"created":1759806089,"data":[', '],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}' },
    chat = {
        '{"id":"x","created":1759806089,"model":"any/model","object":"chat.completion","choices":[{"finish_reason":"stop",'
            .. '"index":0,"message":{"role":"assistant","images":[',
        ']}}],"usage":{"completion_tokens":2,"prompt_tokens":1,"total_tokens":3}}',
    },
    gemini = {
        '{"candidates":[{"content":{"role":"model","parts":[',
        ']},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,'
            .. '"totalTokenCount":3},"modelVersion":"any/model","responseId":"x"}',
    },
}

---The body of an answer with these pictures.
---@param via "images"|"chat"|"gemini"
---@param pictures string[]  # base64
---@return string
function routes.answer(via, pictures)
    local list = {}
    for i, picture in ipairs(pictures) do
        list[i] = PICTURES[via]:gsub("%%s", function() return picture end)
    end
    return ANSWERS[via][1] .. table.concat(list, ",") .. ANSWERS[via][2]
end

---An answer that breaks off in the middle of the last picture.
---@param via "images"|"chat"|"gemini"
---@param pictures string[]
---@return string
function routes.cut_answer(via, pictures)
    local body = routes.answer(via, pictures)
    return body:sub(1, #body - #ANSWERS[via][2] - #PICTURES[via]:match "%%s(.*)" - 8)
end

return routes
