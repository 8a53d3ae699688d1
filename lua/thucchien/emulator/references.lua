-- Reference pictures: what a drawing takes from the pictures that a request shows it.

local references = {}

---@class thucchien.emulator.reference
---@field id string  # the same for the same picture

local function digest(text)
    local bytes = require("openssl.digest").new("sha256"):final(text)
    return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

---Reads one picture; nil and what Google says of it if that cannot be.
---@param picture { data?: string, mime?: string, url?: string }
---@param pause fun()
---@return thucchien.emulator.reference?
---@return string? problem
function references.read(picture, pause) -- luacheck: ignore 212
    if picture.url then return { id = digest(picture.url) } end
    if #picture.data % 4 ~= 0 or picture.data:find("[^%w+/=]") then
        return nil, "Base64 decoding failed"
    end
    return { id = digest(picture.data) }
end

return references
