--- Names of files: how they are made, and what would keep a file from being written under one.

local language = require "thucchien.cli.language"

local names = {}

local say = language.say

-- errno values, the same on every system that has them.
local ENOENT, EACCES, EISDIR = 2, 13, 21

--- What test(1) says, which plain Lua cannot find out. Without a POSIX shell everything is false.
function names.test(flag, operand)
    if package.config:sub(1, 1) ~= "/" then
        return false
    end
    local quoted = "'" .. operand:gsub("'", "'\\''") .. "'"
    local result = os.execute(("test %s %s"):format(flag, quoted))
    return result == true or result == 0 -- a boolean since 5.2, the status in 5.1
end

--- The characters that end a directory's name, for a set of a pattern.
names.SEPARATORS = package.config:sub(1, 1) == "\\" and "/\\" or "/"

--- "a/b.png" -> "a/", "b", ".png". A leading dot begins no extension.
function names.split(path)
    local directory, name = path:match("^(.*[" .. names.SEPARATORS .. "])(.*)$")
    name = name or path
    local stem, extension = name:match("^(.+)(%.%w+)$")
    return directory or "", stem or name, extension or ""
end

function names.has_extension(path)
    return select(3, names.split(path)) ~= ""
end

--- Path of picture `index`: "a.png", "a-2.png", ..., as `save` of the module numbers them.
function names.numbered(path, index)
    if index == 1 then
        return path
    end
    local directory, stem, extension = names.split(path)
    return ("%s%s-%d%s"):format(directory, stem, index, extension)
end

--- The name of a picture's file. A path without an extension gets the true one; a picture that is not
--- whole gets ".part" after it.
function names.full(image, path)
    if not names.has_extension(path) and image.ext then
        path = path .. "." .. image.ext
    end
    return image.complete == false and path .. ".part" or path
end

--- Why nothing may be written at `path`; nil when it may.
function names.obstacle(path, force)
    if os.rename(path, path) and names.test("-p", path) then -- to open a pipe may wait
        return say("%s: is a pipe", path)
    end
    local file, message, code = io.open(path, "rb")
    if not file and code == ENOENT then
        -- io.open does not tell a link to nothing from no file at all. Renaming to the same name does: it
        -- works for the link, and changes nothing.
        return os.rename(path, path) and say("%s: is a link to nothing", path) or nil
    elseif not file then
        -- With --force a file that cannot be read can still be replaced.
        return not (force and code == EACCES) and message or nil
    end
    local _, _, read_code = file:read(1)
    file:close()
    if read_code == EISDIR then
        return say("%s: is a directory", path)
    end
    return not force and say("%s: already exists (--force overwrites it)", path) or nil
end

--- Why no file can be made in `directory`; nil when it can. Makes a file to find out, because
--- permissions do not tell of a read-only or full disk.
function names.directory_obstacle(directory)
    local unique = tostring({}):match("(%x+)$") or "0"
    local probe = ("%s.thucchien-%d-%s"):format(directory, os.time(), unique)
    local file, message = io.open(probe, "wb")
    if not file then
        return (directory == "" and "." or directory) .. message:sub(#probe + 1)
    end
    local written = file:write("thucchien") and file:close()
    os.remove(probe)
    return not written and say("%s: cannot be written", directory) or nil
end

--- The first of the names `path`-`from`, `path`-`from + 1` … that no file has; nil when there are too many.
function names.free(path, from)
    local directory, stem, extension = names.split(path)
    for number = from, from + 9999 do
        local name = ("%s%s-%d%s"):format(directory, stem, number, extension)
        if not names.obstacle(name) then
            return name
        end
    end
end

return names
