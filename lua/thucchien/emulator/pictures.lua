-- Where the pictures come from: they are drawn for the prompt, or the files of a directory are taken in
-- turn. The last few are kept in memory.

local base64 = require "thucchien.emulator.base64"
local landscape = require "thucchien.emulator.paint.landscape"
local recent = require "thucchien.emulator.recent"

local pictures = {}

---@class thucchien.emulator.picture
---@field bytes string
---@field mime string
---@field b64_json string

local KEPT = 24 -- pictures in memory

local MIME = {
    png = "image/png", jpg = "image/jpeg", jpeg = "image/jpeg", webp = "image/webp", gif = "image/gif",
}

local function shell_quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The picture files of a directory, by name. Lua itself cannot list one; the shell can.
local function list(directory)
    local target = directory:sub(1, 1) == "/" and directory or "./" .. directory
    local command = "cd " .. shell_quote(target) .. " 2>/dev/null && echo / && LC_ALL=C ls -1"
    local pipe = io.popen(command)
    if not pipe then return nil, "cannot list " .. directory end
    local names, is_directory = {}, pipe:read("*l") == "/"
    for name in pipe:lines() do
        local extension = name:match("%.(%w+)$")
        if extension and MIME[extension:lower()] then names[#names + 1] = name end
    end
    pipe:close()
    if not is_directory then return nil, directory .. " is not a directory that can be read" end
    if #names == 0 then return nil, "no .png, .jpg, .jpeg, .webp or .gif file in " .. directory end
    table.sort(names)
    return names
end

-- A short text that stands for a prompt, which may be long.
local function digest(text)
    return require("openssl.digest").new("sha1"):final(text)
end

local function read_file(path)
    local file, problem = io.open(path, "rb")
    if not file then return nil, problem end
    local bytes = file:read("*a")
    file:close()
    return bytes
end

local methods = {}
local metatable = { __name = "thucchien.emulator.pictures", __index = methods }

local function new_picture(bytes, mime)
    return { bytes = bytes, mime = mime, b64_json = base64.encode(bytes) }
end

---A source of pictures, or nil and what is wrong with the directory.
---@param directory? string  # serve its files instead of drawing
---@param pause? fun()       # called now and then while drawing
---@return table? source
---@return string? problem
function pictures.new(directory, pause)
    local names, problem
    if directory then
        names, problem = list(directory)
        if not names then return nil, problem end
    end
    return setmetatable({
        directory = directory, names = names, pause = pause, kept = {},
    }, metatable)
end

---The picture for a prompt. The file of a directory keeps its own size.
---@param prompt string
---@param index integer  # which of a request's pictures, from 1
---@param width integer
---@param height integer
---@param vision? thucchien.emulator.vision  # what shapes it besides the prompt
---@return thucchien.emulator.picture
function methods:get(prompt, index, width, height, vision)
    local name = self.names and self.names[(index - 1) % #self.names + 1]
    local key = name or ("%d %d %d %s %s"):format(index, width, height, vision and vision.id or "-", digest(prompt))
    local known = self.kept[key]
    if known then return known end
    if name then
        local bytes = assert(read_file(self.directory .. "/" .. name))
        return recent.set(self.kept, KEPT, key, new_picture(bytes, MIME[name:match("%w+$"):lower()]))
    end
    local bytes = landscape.png(prompt, index, width, height, self.pause, vision)
    -- While this one was drawn another request may have asked for the same.
    return self.kept[key] or recent.set(self.kept, KEPT, key, new_picture(bytes, "image/png"))
end

return pictures
