-- Tiny pictures that are real, one of each type that the module knows: files as ordinary encoders write them, 2 by 3
-- pixels. And base64.

local base64 = require "thucchien.emulator.base64"

local pictures = {}

local FILES = {
    png = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAF0lEQVR4nGNkYDihEfWIJWDLERi15REAUAAI6EY6OLQAAAAASUVORK5CYII=",
    jpg = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCN"
        .. "l4x9lnN+gXz/2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAAR"
        .. "CAADAAIDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAP/xAAbEAACAgMBAAAAAAAAAAAAAAAAAQIDBAUhsf/EABUBAQEAAAAAAAAA"
        .. "AAAAAAAAAAMF/8QAGREAAgMBAAAAAAAAAAAAAAAAAAEDETKR/9oADAMBAAIRAxEAPwC9euxZVxk6utJ8k0vQASnPLen0Wkf/2Q==",
    gif = "R0lGODdhAgADAIIAAMjCMlC0jKBoUChaqngObgAAyAAAAAAAACwAAAAAAgADAAAICQALDAhAQACAgAA7",
    webp = "UklGRi4AAABXRUJQVlA4TCEAAAAvAYAAAC8gEEji3N9kiUE5svj8J7YhEEhDCrHMckT/QwMA",
}

pictures.types = { "png", "jpg", "gif", "webp" }

pictures.mimes = { png = "image/png", jpg = "image/jpeg", gif = "image/gif", webp = "image/webp" }

---A picture's bytes.
---@param type "png"|"jpg"|"gif"|"webp"
---@return string
function pictures.bytes(type)
    return (base64.decode(FILES[type]))
end

pictures.encode = base64.encode

---What the header of a PNG file says.
---@param bytes string
---@return integer width
---@return integer height
function pictures.png_dimensions(bytes)
    assert(bytes:sub(1, 8) == "\137PNG\r\n\26\n", "this is no PNG file")
    local numbers = {}
    for at = 17, 21, 4 do
        local a, b, c, d = bytes:byte(at, at + 3)
        numbers[#numbers + 1] = ((a * 256 + b) * 256 + c) * 256 + d
    end
    return numbers[1], numbers[2]
end

return pictures
