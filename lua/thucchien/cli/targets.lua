--- Where the pictures of a request go.
--
-- A target has a `path`. It may be `derived` from the prompt; then a picture never takes the name of a
-- file that exists. Or it may be a `device`; then the bytes are written to it as they are.

local language = require "thucchien.cli.language"
local names = require "thucchien.cli.names"
local slug = require "thucchien.slug"

local targets = {}

local say = language.say

-- Formats that a picture may turn out to have; the first is the likeliest.
local EXTENSIONS = { "png", "jpg", "webp", "gif" }

--- Whether a path is one of the process's own streams. Such a stream may be redirected to a file, so
--- `test -f` cannot tell.
function targets.is_stream(path)
    return path == "/dev/stdout" or path == "/dev/stderr" or path:find("^/dev/fd/%d+$") ~= nil
end

local function is_device(path)
    return targets.is_stream(path) or (names.test("-e", path) and not names.test("-f", path))
end

function targets.find(output, prompt)
    if not output then
        return { path = slug(prompt), derived = true }
    elseif names.test("-d", output) then
        local slash = output:find("[" .. names.SEPARATORS .. "]$") and "" or "/"
        return { path = output .. slash .. slug(prompt), derived = true }
    elseif is_device(output) then
        return { path = output, device = true }
    end
    return { path = (output:gsub("%.+$", "")) }
end

--- The names that picture `index` may get: its format is not known yet.
local function candidates(path, index)
    local name = names.numbered(path, index)
    if names.has_extension(path) then
        return { name }
    end
    local possible = {}
    for position, extension in ipairs(EXTENSIONS) do
        possible[position] = name .. "." .. extension
    end
    return possible
end

--- What would keep the pictures of a request from being saved, as far as can be known before they come.
function targets.obstacle(target, asked, force)
    if target.device then
        return not names.test("-w", target.path) and say("%s: cannot be written", target.path) or nil
    end
    local directory, stem = names.split(target.path)
    if stem == "" then
        return say("%s: there is no such directory", directory)
    end
    local problem = names.directory_obstacle(directory)
    for index = 1, (problem or target.derived) and 0 or asked do
        for _, name in ipairs(candidates(target.path, index)) do
            problem = problem or names.obstacle(name, force)
        end
    end
    return problem
end

--- The name that picture `index` gets.
function targets.choose_name(target, image, index, force)
    if target.device then
        return target.path
    end
    local name = names.full(image, names.numbered(target.path, index))
    if target.derived and not force and names.obstacle(name) then
        return names.free(names.full(image, target.path), index + 1) or name
    end
    return name
end

--- The names that `asked` pictures would get if they came now and were PNG files.
function targets.plan(target, asked)
    local image, paths, taken = { ext = EXTENSIONS[1] }, {}, {}
    for index = 1, asked do
        local path, number = targets.choose_name(target, image, index), index
        while taken[path] and target.derived do
            number = number + 1
            path = targets.choose_name(target, image, number)
        end
        paths[index], taken[path] = path, true
    end
    return paths
end

return targets
