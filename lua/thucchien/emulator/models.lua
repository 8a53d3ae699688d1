-- The models that draw, as data: the routes that each is asked by, what a picture costs, and how many pictures a
-- request gets at most.

local responses = require "thucchien.emulator.responses"

local models = {}

---@alias thucchien.emulator.via "images"|"chat"|"gemini"

---@class thucchien.emulator.model
---@field name string
---@field via table<thucchien.emulator.via, boolean>
---@field price number  # US dollars a picture
---@field most integer

local IMAGES = { images = true }
local CONVERSATION = { chat = true, gemini = true }
local EVERYWHERE = { images = true, chat = true, gemini = true }

---@type thucchien.emulator.model[]
local LIST = {
    { name = "imagen-4", via = IMAGES, price = 0.04, most = 4 },
    { name = "imagen-4.0-generate-001", via = IMAGES, price = 0.04, most = 4 },
    { name = "gemini-2.5-flash-image-preview", via = CONVERSATION, price = 0.039, most = 1 },
    { name = "gemini-2.5-flash-image", via = CONVERSATION, price = 0.039, most = 1 },
    { name = "nano-banana-2", via = EVERYWHERE, price = 0.067, most = 1 },
    { name = "nano-banana-pro", via = EVERYWHERE, price = 0.134, most = 1 },
}

local by_name = {}
for _, model in ipairs(LIST) do by_name[model.name] = model end

-- The model whose price and limits the emulate/… models have, by route.
local EMULATED = {
    images = by_name["imagen-4"],
    chat = by_name["gemini-2.5-flash-image"],
    gemini = by_name["gemini-2.5-flash-image"],
}

---A model by its name, if there is one; it may be for another route.
---@param name string
---@return thucchien.emulator.model?
function models.find(name)
    return by_name[name]
end

---The model that stands for `emulate/…` on a route.
---@param via thucchien.emulator.via
---@return thucchien.emulator.model
function models.emulated(via)
    return EMULATED[via]
end

---The refusal of a name that no model has.
---@param path string   # as the gateway calls the route
---@param name? string
---@return string
function models.unknown(path, name)
    return ("{'error': '%s: Invalid model name passed in model=%s. Call `/v1/models` to view available "
        .. "models for your key.'}"):format(path, name or "None")
end

---GET /v1/models: the list as OpenAI shapes it.
---@return thucchien.emulator.response
function models.list()
    local items = {}
    for i, model in ipairs(LIST) do
        items[i] = ('{"id":"%s","object":"model","created":1677610602,"owned_by":"openai"}'):format(model.name)
    end
    return responses.new(200, '{"data":[' .. table.concat(items, ",") .. '],"object":"list"}')
end

return models
