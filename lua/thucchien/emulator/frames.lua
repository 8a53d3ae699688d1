-- The aspect ratios of the models that talk, and the pixels that they make for each.

local frames = {}

local SIZES = {
    ["21:9"] = { 1536, 672 }, ["16:9"] = { 1344, 768 }, ["4:3"] = { 1184, 864 }, ["3:2"] = { 1248, 832 },
    ["5:4"] = { 1152, 896 }, ["1:1"] = { 1024, 1024 }, ["4:5"] = { 896, 1152 }, ["2:3"] = { 832, 1248 },
    ["3:4"] = { 864, 1184 }, ["9:16"] = { 768, 1344 },
}

---Width and height for an `imageConfig`, or nil and what is wrong with it.
---@param config any  # JSON as decoded
---@return integer? width
---@return integer|string height
function frames.size(config)
    local ratio = type(config) == "table" and (config.aspectRatio or config.aspect_ratio)
    local size = SIZES[type(ratio) == "string" and ratio or "1:1"]
    if size then return size[1], size[2] end
    return nil, "Invalid value at 'generation_config.image_config.aspect_ratio': aspect_ratio must be one of "
        .. "'1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9'."
end

---What a list of modalities asks for; pictures and text if there is no list.
---@param modalities any  # JSON as decoded
---@return boolean pictures
---@return boolean text
function frames.modalities(modalities)
    if type(modalities) ~= "table" or #modalities == 0 then return true, true end
    local asked = {}
    for _, name in ipairs(modalities) do asked[tostring(name):lower()] = true end
    return asked.image or false, asked.text or false
end

return frames
