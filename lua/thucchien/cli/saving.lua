--- How pictures are saved: as they come, for they are paid for.

local language = require "thucchien.cli.language"
local names = require "thucchien.cli.names"
local targets = require "thucchien.cli.targets"

local saving = {}

local say = language.say

--- Saves a picture that could not be saved at `path`: beside it, else here, else among temporary files.
local function rescue(image, path)
    local directory, stem, extension = names.split(path)
    local temporary = os.getenv("TMPDIR") or os.getenv("TEMP") or "/tmp"
    for _, start in ipairs({ directory .. stem, "picture", temporary .. "/picture" }) do
        local name = names.free(start .. "-rescued" .. extension, 1)
        local saved = name and image:save(name, { if_exists = "number" })
        if saved then
            return saved
        end
    end
end

local function write_device(image, path)
    -- A command waits until somebody opens the pipe for reading, as a shell does; image:save does not.
    local pipe = not targets.is_stream(path) and names.test("-p", path) and io.open(path, "wb")
    local saved, err = image:save(path)
    if pipe then
        pipe:close()
    end
    return saved, err
end

--- Is the file at `path` this very picture?
local function holds(path, image)
    local file = io.open(path, "rb")
    local bytes = file and file:read("*a")
    if file then
        file:close()
    end
    return bytes == image.bytes
end

--- Saves the pictures of a request as they come, each once. `paths` tells where a picture is, false
--- if it could not be saved; `problems` are messages of what went wrong; `parts` are the pictures that
--- broke off and are saved as far as they came.
function saving.new_keeper(target, options)
    local asked, force = options.n or 1, options.force
    local keeper = { target = target, asked = asked, paths = {}, problems = {}, parts = {} }
    local begun = {} -- names; an interrupt while a picture is written lets it be written again

    --- Writes the file. The module checks and takes the name in one step, as other commands may want it too.
    local function write(image, name)
        if target.device then
            return write_device(image, name)
        end
        local again = begun[image] == name
        begun[image] = name
        local saved, err = image:save(name, { if_exists = force and "replace" or "error" })
        if not saved and err.code == "exists" and again and holds(name, image) then
            return name
        end
        return saved, err
    end

    --- Saves a picture. If another program has just taken the name, and the name is one that we chose, it
    --- chooses another.
    local function save(image, index)
        local name
        local other = begun[image] or targets.choose_name(target, image, index, force)
        repeat
            name = other
            local path, err = write(image, name)
            if path or err.code ~= "exists" or not target.derived then
                return path, err, name
            end
            other = targets.choose_name(target, image, index, force)
        until other == name
        return nil, { message = say("too many files of that name") }, name
    end

    local function keep(image, index)
        if keeper.paths[image] ~= nil then
            return
        end
        local path, err, name = save(image, index)
        if not path then
            local problem = err.code == "exists" and say("%s: already exists (--force overwrites it)", name)
                or err.message
            path = rescue(image, target.device and names.full(image, "picture") or name)
            keeper.problems[#keeper.problems + 1] = path and say("%s; saved as %s", problem, path)
                or say("%s; the picture is lost", problem)
        end
        keeper.paths[image] = path or false
    end

    --- Saves a picture that broke off: it is paid for, and much of it may be visible. Its name ends with
    --- ".part", so that nobody takes it for the whole picture.
    local function keep_part(image)
        if not image.path and image.bytes then
            local name = names.full(image, target.device and "picture" or target.path)
            image.path = image:save(name, { if_exists = "number" }) or rescue(image, name)
        end
        keeper.parts[#keeper.parts + 1] = image.path and image or nil
    end

    --- For `on_image`. An error that is raised in here, Ctrl-C's for instance, would lose the pictures that
    --- follow. So it is put into `raised`, and the picture is saved all the same.
    function keeper.take(image, index)
        local ok, raised = pcall(keep, image, index)
        if not ok then
            keeper.raised = raised
            keep(image, index)
        end
    end

    --- Saves what a response or an error has and `take` was not called for. Returns the whole pictures.
    function keeper.take_all(holder)
        local images = {}
        for _, image in ipairs(holder.data or {}) do
            if image.complete == false then
                keep_part(image)
            else
                images[#images + 1] = image
                keep(image, #images)
            end
        end
        return images
    end
    return keeper
end

return saving
