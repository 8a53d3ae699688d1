--- The command `thucchien`.
--
-- `main` returns the exit status and never leaves the process itself: 0 is success, 1 a failure
-- (one line on standard error), 2 wrong usage, 130 an interrupt. A picture is paid for once the
-- request is out. Hence the order of things here: whatever could stop the file from being written is
-- looked for before anything is sent, a picture is saved as soon as it is whole, whatever happens,
-- and only then is anything printed.
--
-- The C module, the emulator and cjson are loaded when a command needs them, so that
-- `thucchien emulator` and `--help` work without a compiled module.

local slug = require "thucchien.slug"

local cli = {}

local jit = rawget(_G, "jit") -- a strict _G raises for what it has not

-- Formats that a picture may turn out to have; the first is the likeliest.
local EXTENSIONS = { "png", "jpg", "webp", "gif" }

-- errno values, the same on every system that has them.
local ENOENT, EACCES, EISDIR = 2, 13, 21

local TICK = 0.25 -- seconds

local INTERRUPTED = 130 -- what a shell makes of SIGINT

-- ---- messages ----------------------------------------------------------------------------------

--- Folds any value into one line.
local function one_line(value)
    return (tostring(value):gsub(":%s*[\r\n]+%s*", ": "):gsub("%s*[\r\n]+%s*", "; "))
end

local function warn(message)
    io.stderr:write("thucchien: ", one_line(message), "\n")
end

--- The gateway's or a model's text, without what a terminal might obey.
local function harmless(text)
    return (text:gsub("\194[\128-\159]", ""):gsub("[%z\1-\8\11-\31\127]", ""))
end

--- Writes to standard output, or to `stream`. Returns whether it is there: a full disk shows only
--- when the buffer is emptied.
local function put(text, stream)
    stream = stream or io.stdout
    local ok, message = stream:write(text, "\n")
    if ok then
        ok, message = stream:flush()
    end
    if not ok then
        warn("standard output: " .. message)
    end
    return ok
end

--- A failure of the command's own, in the shape of the module's errors.
local function failure(kind, message)
    return setmetatable({ kind = kind, message = message }, {
        __tostring = function(self)
            return self.message
        end,
    })
end

--- `lua` turns Ctrl-C into an error.
local function is_interrupt(raised)
    return tostring(raised):find("interrupted!", 1, true) ~= nil
end

local function encode_json(value)
    local cjson = require("cjson").new()
    if cjson.encode_escape_forward_slash then
        cjson.encode_escape_forward_slash(false)
        return cjson.encode(value)
    end
    -- An older cjson writes every slash as "\/": legal, and a nuisance in paths.
    return (cjson.encode(value):gsub("\\/", "/"))
end

--- What test(1) says, which plain Lua cannot find out. Without a POSIX shell everything is false.
local function test(flag, operand)
    if package.config:sub(1, 1) ~= "/" then
        return false
    end
    local quoted = "'" .. operand:gsub("'", "'\\''") .. "'"
    local result = os.execute(("test %s %s"):format(flag, quoted))
    return result == true or result == 0 -- a boolean since 5.2, the status in 5.1
end

-- ---- names of files ----------------------------------------------------------------------------

local SEPARATORS = package.config:sub(1, 1) == "\\" and "/\\" or "/"

--- "a/b.png" -> "a/", "b", ".png". A leading dot begins no extension.
local function split_path(path)
    local directory, name = path:match("^(.*[" .. SEPARATORS .. "])(.*)$")
    name = name or path
    local stem, extension = name:match("^(.+)(%.%w+)$")
    return directory or "", stem or name, extension or ""
end

local function has_extension(path)
    return select(3, split_path(path)) ~= ""
end

--- Path of picture `index` when `asked` were asked for: "a.png" -> "a-2.png".
local function numbered(path, index, asked)
    if asked == 1 and index == 1 then
        return path
    end
    local directory, stem, extension = split_path(path)
    return ("%s%s-%d%s"):format(directory, stem, index, extension)
end

--- The name of a picture's file: with the true extension where it has none. What is not the whole
--- picture does not look like one.
local function full_name(image, path)
    if not has_extension(path) and image.ext then
        path = path .. "." .. image.ext
    end
    return image.complete == false and path .. ".part" or path
end

--- Why nothing may be written at `path`; nil when it may.
local function obstacle(path, force)
    if os.rename(path, path) and test("-p", path) then -- to open a pipe may wait
        return path .. ": is a pipe"
    end
    local file, message, code = io.open(path, "rb")
    if not file and code == ENOENT then
        -- What is not there can have no name; a link to nothing has one. To rename it so changes nothing.
        return os.rename(path, path) and path .. ": is a link to nothing" or nil
    elseif not file then
        -- With --force a file that cannot be read can still be replaced.
        return not (force and code == EACCES) and message or nil
    end
    local _, _, read_code = file:read(1)
    file:close()
    if read_code == EISDIR then
        return path .. ": is a directory"
    end
    return not force and path .. ": already exists (--force overwrites it)" or nil
end

--- Why no file can be made in `directory`; nil when it can. Asked of the system by making one:
--- permissions alone do not tell of a read-only or full disk.
local function directory_obstacle(directory)
    local unique = tostring({}):match("(%x+)$") or "0"
    local probe = ("%s.thucchien-%d-%s"):format(directory, os.time(), unique)
    local file, message = io.open(probe, "wb")
    if not file then
        return (directory == "" and "." or directory) .. message:sub(#probe + 1)
    end
    local written = file:write("thucchien") and file:close()
    os.remove(probe)
    return not written and directory .. ": cannot be written" or nil
end

--- The first of `path`-`from`, … that nobody uses; nil when there are too many.
local function free_name(path, from)
    local directory, stem, extension = split_path(path)
    for number = from, from + 9999 do
        local name = ("%s%s-%d%s"):format(directory, stem, number, extension)
        if not obstacle(name) then
            return name
        end
    end
end

-- ---- where pictures go -------------------------------------------------------------------------

-- A target has a `path`, and may be `derived` from the prompt (then the name of a file that exists is
-- not taken) or a `device` (then the bytes are written to it as they are).

--- These may be anything; even where they are files, their name is not the file's.
local function is_stream(path)
    return path == "/dev/stdout" or path == "/dev/stderr" or path:find("^/dev/fd/%d+$") ~= nil
end

local function is_device(path)
    return is_stream(path) or (test("-e", path) and not test("-f", path))
end

local function find_target(output, prompt)
    if not output then
        return { path = slug(prompt), derived = true }
    elseif test("-d", output) then
        local slash = output:find("[" .. SEPARATORS .. "]$") and "" or "/"
        return { path = output .. slash .. slug(prompt), derived = true }
    elseif is_device(output) then
        return { path = output, device = true }
    end
    return { path = (output:gsub("%.+$", "")) }
end

--- The names that picture `index` may get, as far as it can be known.
local function candidates(path, index, asked)
    local name = numbered(path, index, asked)
    if has_extension(path) then
        return { name }
    end
    local names = {}
    for position, extension in ipairs(EXTENSIONS) do
        names[position] = name .. "." .. extension
    end
    return names
end

--- What would keep the pictures of a request from being saved, as far as it can be known.
local function target_obstacle(target, asked, force)
    if target.device then
        return not test("-w", target.path) and target.path .. ": cannot be written" or nil
    end
    local directory, stem = split_path(target.path)
    if stem == "" then
        return directory .. ": there is no such directory"
    end
    local problem = directory_obstacle(directory)
    for index = 1, (problem or target.derived) and 0 or asked do
        for _, name in ipairs(candidates(target.path, index, asked)) do
            problem = problem or obstacle(name, force)
        end
    end
    return problem
end

--- The name that picture `index` of `asked` gets.
local function choose_name(target, image, index, asked, force)
    if target.device then
        return target.path
    end
    local name = full_name(image, numbered(target.path, index, asked))
    if target.derived and not force and obstacle(name) then
        return free_name(full_name(image, target.path), index + 1) or name
    end
    return name
end

-- ---- saving ------------------------------------------------------------------------------------

--- Saves under a name of its own: beside `path`, else here, else among temporary files.
local function rescue(image, path)
    local directory, stem, extension = split_path(path)
    local temporary = os.getenv("TMPDIR") or os.getenv("TEMP") or "/tmp"
    for _, start in ipairs({ directory .. stem, "picture", temporary .. "/picture" }) do
        local name = free_name(start .. "-rescued" .. extension, 1)
        local saved = name and image:save(name, { if_exists = "number" })
        if saved then
            return saved
        end
    end
end

local function write_device(image, path)
    -- Like a shell, a command waits for a pipe's reader; image:save does not.
    local pipe = not is_stream(path) and test("-p", path) and io.open(path, "wb")
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

--- Saves pictures as they come. `keep` takes each once; `places` tells where a picture is, false if
--- nowhere, and `problems` what went wrong. `keep_part` takes what came of those that are not whole;
--- they are in `parts`.
local function new_keeper(target, options)
    local keeper = { places = {}, problems = {}, parts = {} }
    local asked, force = options.n or 1, options.force
    local begun = {} -- names; an interrupt while a picture is written lets it be written again

    --- The name is taken in one step: several commands may want it at the same time.
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

    --- Somebody may take the name that was chosen; where it is ours to choose, there are others.
    local function save(image, index)
        local name
        local other = begun[image] or choose_name(target, image, index, asked, force)
        repeat
            name = other
            local place, err = write(image, name)
            if place or err.code ~= "exists" or not target.derived then
                return place, err, name
            end
            other = choose_name(target, image, index, asked, force)
        until other == name
        return nil, failure("io", "too many files of that name"), name
    end

    function keeper.keep(image, index)
        if keeper.places[image] ~= nil then
            return
        end
        local place, err, name = save(image, index)
        if not place then
            local problem = err.code == "exists" and name .. ": already exists (--force overwrites it)" or err.message
            place = rescue(image, target.device and full_name(image, "picture") or name)
            keeper.problems[#keeper.problems + 1] = problem
                .. (place and "; saved as " .. place or "; the picture is lost")
        end
        keeper.places[image] = place or false
    end

    --- What came is paid for, and much of it may be seen. A name with another ending keeps it from
    --- being taken for the picture.
    function keeper.keep_part(image)
        if not image.path and image.bytes then
            local name = full_name(image, target.device and "picture" or target.path)
            image.path = image:save(name, { if_exists = "number" }) or rescue(image, name)
        end
        keeper.parts[#keeper.parts + 1] = image.path and image or nil
    end

    --- For `on_image`. What is raised, by Ctrl-C say, would cost us the pictures after this one: it
    --- waits in `raised`.
    function keeper.take(image, index)
        local ok, raised = pcall(keeper.keep, image, index)
        if not ok then
            keeper.raised = raised
            keeper.keep(image, index)
        end
    end
    return keeper
end

-- ---- waiting -----------------------------------------------------------------------------------

--- A line on standard error for a person who waits there: the function shows a text in it, or
--- erases it for "".
local function new_ticker()
    if not test("-t", "2") then
        return function() end
    end
    local shown
    return function(text)
        if text ~= shown then
            io.stderr:write("\r\27[K" .. text)
        end
        shown = text
    end
end

local function progress_text(request)
    local received, _, seconds = request:progress()
    seconds = math.floor(seconds)
    if received == 0 then
        return ("waiting for the gateway, %d s "):format(seconds)
    end
    return ("receiving, %d s, %.1f MB "):format(seconds, received / 1e6)
end

--- Gives a request up, for something was raised. The error that says so has what was whole by then.
local function give_up(request, raised)
    request:cancel()
    local response, err = request:wait() -- hands out what has come
    local interrupted = is_interrupt(raised)
    local result = interrupted and failure("cancelled", "interrupted") or failure("error", tostring(raised))
    result.interrupted = interrupted
    result.data = (response or err).data
    result.maybe_billed = not response and err.maybe_billed or response ~= nil
    return result
end

--- Waits until the request has ended, with a sign of life four times a second.
local function wait_for(request, keeper)
    local tick = new_ticker()
    local ok, response, err = pcall(function()
        local response, err
        repeat
            tick(progress_text(request))
            response, err = request:wait(TICK)
            if keeper.raised then
                error(keeper.raised, 0)
            end
        until request:status() == "done"
        return response, err
    end)
    tick("")
    if ok then
        return response, err
    end
    return nil, give_up(request, response)
end

-- ---- reports -----------------------------------------------------------------------------------

local function readable_size(bytes)
    if bytes < 1000 then
        return ("%d bytes"):format(bytes)
    elseif bytes < 1e6 then
        return ("%.1f kB"):format(bytes / 1e3)
    end
    return ("%.1f MB"):format(bytes / 1e6)
end

local function describe(image, place)
    local dimensions = image.width and ("%dx%d"):format(image.width, image.height) or "unknown size"
    return ("%s  %s  %s"):format(place, dimensions, readable_size(image.size))
end

local ERROR_FIELDS = {
    "kind", "message", "status", "code", "type", "param", "request_id", "retry_after", "attempts",
    "maybe_billed", "url",
}

--- The part of an error that a program can use, as plain data.
local function error_record(err)
    if type(err) ~= "table" then
        return { kind = "error", message = tostring(err) }
    end
    local record = {}
    for _, field in ipairs(ERROR_FIELDS) do
        record[field] = err[field]
    end
    return record
end

local function exit_status(err)
    return err.interrupted and INTERRUPTED or 1
end

--- The line for a request that failed, with what can be had of it nevertheless.
local function complaint(err, places, asked)
    local parts = { tostring(err) }
    if err.url then -- the message has it cut
        parts[#parts + 1] = "the picture's address is " .. harmless(err.url)
    end
    if #places > 0 then
        parts[#parts + 1] = ("%d of %d pictures saved: %s"):format(#places, asked, table.concat(places, ", "))
    end
    for _, image in ipairs(err.data or {}) do
        if image.complete == false and image.path then
            parts[#parts + 1] = "what came of a picture that is not whole is in " .. image.path
        end
    end
    if err.interrupted and err.maybe_billed then
        parts[#parts + 1] = "the request may be billed"
    end
    return table.concat(parts, "; ")
end

--- Reports that a command failed and has nothing to show, and returns the exit status.
local function fail(err, as_json)
    warn(complaint(err, {}))
    if as_json then
        put(encode_json({ error = error_record(err) }))
    end
    return exit_status(err)
end

local function image_record(image, path)
    return {
        path = path or nil,
        width = image.width,
        height = image.height,
        size = image.size,
        mime = image.mime,
        revised_prompt = image.revised_prompt,
    }
end

--- Plain data of a list, or nil where there is nothing in it: cjson takes an empty one for an object.
local function records_of(list, record)
    if not list or #list == 0 then
        return nil
    end
    local records = {}
    for index, value in ipairs(list) do
        records[index] = record and record(value) or value
    end
    return records
end

--- Extensions of picture files, with the one that the module uses for the format.
local FORMATS = {
    png = "png", apng = "png", jpg = "jpg", jpeg = "jpg", jpe = "jpg", jfif = "jpg", webp = "webp", gif = "gif",
    avif = "avif", bmp = "bmp", heic = "heic", svg = "svg", tif = "tiff", tiff = "tiff",
}

--- What is odd about a file, a line; nil where nothing is.
local function oddity(image, place)
    if not image.mime then
        return place .. ": not a picture the module knows"
    end
    local named = FORMATS[select(3, split_path(place)):sub(2):lower()]
    if named and named ~= image.ext then
        return ("%s: the picture is a %s file, whatever its name says; without an extension in -o it gets the true one")
            :format(place, image.ext:upper())
    end
end

--- The warnings of the response, and what is odd about files.
local function warnings_of(response, images, places)
    local warnings = {}
    for index, warning in ipairs(response.warnings or {}) do
        warnings[index] = warning
    end
    for _, image in ipairs(images) do
        warnings[#warnings + 1] = places[image] and oddity(image, places[image]) or nil
    end
    return warnings
end

local function report_record(response, images, keeper, problem)
    local records = {}
    for index, image in ipairs(images) do
        records[index] = image_record(image, keeper.places[image])
    end
    return {
        created = response.created,
        model = response.model,
        cost = response.cost,
        request_id = response.request_id,
        attempts = response.attempts,
        timing = response.timing,
        text = response.text,
        finish_reason = response.finish_reason,
        images = records,
        parts = records_of(keeper.parts, function(image)
            return image_record(image, image.path)
        end),
        warnings = records_of(warnings_of(response, images, keeper.places)),
        errors = records_of(response.errors, error_record),
        error = problem and error_record(problem) or nil,
    }
end

--- What standard error is told of the pictures and of the requests.
local function warn_of(response, images, keeper, err, asked, warned)
    local places = {}
    for _, image in ipairs(images) do
        local place = keeper.places[image]
        places[#places + 1] = place or nil
    end
    for _, problem in ipairs(keeper.problems) do
        warn(problem)
    end
    if err then
        warn(complaint(err, places, math.max(asked, #images)))
    end
    for _, failed in ipairs(response.errors or {}) do
        warn(complaint(failed, {}))
    end
    for index, warning in ipairs(warnings_of(response, images, keeper.places)) do
        if index > warned then
            warn(warning)
        end
    end
end

--- Tells what is known before anything is paid, and returns how many warnings those are: the response
--- begins with the same.
local function warn_before(request)
    local warnings = request:warnings()
    for _, warning in ipairs(warnings) do
        warn(warning)
    end
    return #warnings
end

--- What the model said beside its pictures. It is no part of what a script reads.
local function tell_text(response, options)
    if response.text and not options.json then
        io.stderr:write(harmless(response.text), "\n")
    end
end

local function report_text(response, images, keeper, err, as_json)
    if as_json then
        local problem = err or (keeper.problems[1] and failure("io", keeper.problems[1]))
        return encode_json(report_record(response, images, keeper, problem))
    end
    local lines = {}
    for _, image in ipairs(images) do
        local place = keeper.places[image]
        lines[#lines + 1] = place and describe(image, place) or nil
    end
    return table.concat(lines, "\n")
end

--- Saves what a response or an error has, and returns the list of the whole pictures.
local function keep_all(holder, keeper)
    local images = {}
    for _, image in ipairs(holder.data or {}) do
        if image.complete == false then
            keeper.keep_part(image)
        else
            images[#images + 1] = image
            keeper.keep(image, #images) -- those that an interrupt kept from it
        end
    end
    return images
end

--- Says what came and where it is, and returns the exit status. A failure in the middle of an answer
--- leaves the pictures that were whole: they are paid for, and saved like others.
local function report(response, err, keeper, target, options, warned)
    local images = keep_all(response or err, keeper)
    response = response or {}
    for _, failed in ipairs(response.errors or {}) do
        keep_all(failed, keeper)
    end
    tell_text(response, options)
    warn_of(response, images, keeper, err, options.n or 1, warned)
    -- A picture in standard output stays exact to the byte.
    local stream = (target.path == "/dev/stdout" or target.path == "/dev/fd/1") and io.stderr or io.stdout
    local text = report_text(response, images, keeper, err, options.json)
    local told = text == "" or put(text, stream)
    if err then
        return exit_status(err)
    end
    return told and #keeper.problems == 0 and not response.errors and 0 or 1
end

-- ---- the account -------------------------------------------------------------------------------

local function dollars(amount)
    return ("$%.4f"):format(amount)
end

--- "2026-11-24T04:53:34.000000+00:00" without what nobody wants to read.
local function readable_date(text)
    local day, minute, zone = text:match("^(%d+%-%d+%-%d+)T(%d+:%d+)[%d:.]*(.*)$")
    if not day then
        return text
    end
    return ("%s %s %s"):format(day, minute, (zone == "+00:00" or zone == "Z") and "UTC" or zone)
end

--- The numbers of a table by name, sorted: { { "imagen-4", 20 }, ... }.
local function sorted_pairs(numbers)
    local list = {}
    for name, number in pairs(numbers or {}) do
        list[#list + 1] = { name, number }
    end
    table.sort(list, function(a, b)
        return a[1] < b[1]
    end)
    return list
end

local function describe_budget(info)
    if not info.max_budget then
        return "none of its own"
    end
    local text = ("%s, %s left"):format(dollars(info.max_budget),
        dollars(math.max(info.max_budget - (info.spend or 0), 0)))
    return info.budget_reset_at and text .. ", anew at " .. readable_date(info.budget_reset_at) or text
end

local function describe_limits(info)
    local limits = {}
    local function add(number, what)
        if number then
            limits[#limits + 1] = ("%s %s"):format(tostring(number), what)
        end
    end
    add(info.rpm_limit, "requests a minute")
    add(info.max_parallel_requests, "requests at once")
    add(info.tpm_limit, "tokens a minute")
    for _, limit in ipairs(sorted_pairs(info.metadata and info.metadata.model_rpm_limit)) do
        add(limit[2], "requests a minute to " .. limit[1])
    end
    return limits
end

--- What /key/info tells, as lines for a reader. Nearly every field of it may be absent.
local function describe_key(info)
    local lines = {}
    local function add(label, text)
        if text then
            lines[#lines + 1] = ("%-7s  %s"):format(label, harmless(text))
        end
    end
    add("key", info.key_name)
    add("alias", info.key_alias)
    add("spend", info.spend and dollars(info.spend))
    add("budget", describe_budget(info))
    add("expires", info.expires and readable_date(info.expires) or "never")
    add("blocked", info.blocked and "yes")
    for index, limit in ipairs(describe_limits(info)) do
        add(index == 1 and "limits" or "", limit)
    end
    add("models", info.models and info.models[1] and table.concat(info.models, ", ") or "all")
    return table.concat(lines, "\n")
end

local function describe_models(list)
    local names = {}
    for index, model in ipairs(list) do
        names[index] = harmless(tostring(model.id))
    end
    return table.concat(names, "\n")
end

-- ---- commands ----------------------------------------------------------------------------------

--- The C module, or nil and a line that says what to do.
local function load_module()
    local ok, module = pcall(require, "thucchien")
    if ok then
        return module
    end
    local this_lua = jit and "LuaJIT" or _VERSION
    if tostring(module):find("module 'thucchien' not found", 1, true) then
        local name = jit and "luajit" or "lua" .. _VERSION:match("%d+%.%d+")
        return nil, ("the C module 'thucchien' is not there for %s: `make LUA=%s` builds it, "
            .. "LUA_CPATH says where it is"):format(this_lua, name)
    end
    return nil, ("the C module 'thucchien' does not load in %s: %s"):format(this_lua, module)
end

--- A client as the options say, or nil and an error.
local function connect(options)
    local thucchien, missing = load_module()
    if not thucchien then
        return nil, failure("error", missing)
    end
    return thucchien.new({ base_url = options.base_url, timeout = options.timeout })
end

--- A prompt that somebody types. Ctrl-C ends cat, and with it a read that some Luas would take up again.
local function ask_for_prompt()
    warn("type the prompt, end with Ctrl-D")
    local typed = io.popen("cat")
    local text = typed:read("*a")
    typed:close()
    return text
end

local function read_prompt(argument)
    if argument ~= "-" then
        return argument
    end
    local text = test("-t", "0") and ask_for_prompt() or io.read("*a") or ""
    return (text:gsub("\r?\n$", ""))
end

--- The pictures of --image as params take them. The module reads the files before it sends anything.
local function find_references(paths)
    local references = {}
    for index, path in ipairs(paths) do
        references[index] = { path = path }
    end
    return references[1] and references
end

local commands = {}

function commands.generate(options)
    local prompt = read_prompt(options.prompt)
    local target = find_target(options.output, prompt)
    local problem = target_obstacle(target, options.n or 1, options.force)
    if problem then
        return fail(failure("io", problem), options.json)
    end

    local client, refusal = connect(options)
    if not client then
        return fail(refusal, options.json)
    end
    local keeper = new_keeper(target, options)
    local request
    request, refusal = client:submit({
        prompt = prompt,
        n = options.n,
        size = options.size,
        aspect_ratio = options.aspect_ratio,
        model = options.model,
        via = options.via,
        images = find_references(options.references),
        on_image = keeper.take,
    })
    if not request then
        return fail(refusal, options.json)
    end
    local warned = warn_before(request)
    local response, err = wait_for(request, keeper)
    client:close()
    if not response and not err.data then
        return fail(err, options.json)
    end
    return report(response, err, keeper, target, options, warned)
end

--- Asks the gateway by `method`, and prints what `describe_answer` or cjson makes of the answer.
local function ask(options, method, describe_answer)
    local client, refusal = connect(options)
    if not client then
        return fail(refusal, options.json)
    end
    local answer, err = client[method](client)
    client:close()
    if not answer then
        return fail(err, options.json)
    end
    return put(options.json and encode_json(answer) or describe_answer(answer)) and 0 or 1
end

function commands.key(options)
    return ask(options, "key_info", describe_key)
end

function commands.models(options)
    return ask(options, "models", describe_models)
end

function commands.emulator(options)
    local emulator = require("thucchien.emulator")
    local missing = emulator.missing()
    if missing then
        warn(missing)
        return 1
    end
    return emulator.run({
        host = options.host,
        port = options.port,
        images = options.images,
        delay = options.delay,
        budget = options.budget,
        rpm = options.rpm,
        stop_on_eof = options.stop_on_eof,
    })
end

-- ---- the command line --------------------------------------------------------------------------

-- argparse prints and calls os.exit for --help and for mistakes. Here both raise one of these
-- instead, and `main` does the rest.
local function leave(status, stdout, stderr)
    error({ leave = status, stdout = stdout, stderr = stderr }, 0)
end

local function number_between(least, most, expected)
    return function(text)
        local number = tonumber(text)
        if number and number >= least and number <= most then
            return number
        end
        return nil, ("%s, got '%s'"):format(expected, text)
    end
end

local function whole_number(least, most, expected)
    local within = number_between(least, most, expected)
    return function(text)
        -- tonumber alone would take "2.0", "0x2" and " 2 " as well.
        if text:match("^%d+$") then
            return within(text)
        end
        return nil, ("%s, got '%s'"):format(expected, text)
    end
end

local function some_text(name)
    return function(text)
        if text ~= "" then
            return text
        end
        return nil, name .. " takes a text that is not empty"
    end
end

local function output_path(text)
    if text == "" or text == "-" then
        return nil, ("-o takes a file or a directory, got '%s' (standard output is /dev/stdout)"):format(text)
    end
    return text
end

local function show_version()
    local module = load_module()
    local name = module and module._VERSION or "thucchien (no C module)"
    leave(module and 0 or 1, ("%s (%s)"):format(name, jit and jit.version or _VERSION))
end

--- Gives `command` a --help that raises; `prepare` may complete the text first.
local function add_help(command, prepare)
    command:add_help(false)
    command:flag("-h --help", "Show this help and exit."):action(function()
        if prepare then
            prepare()
        end
        leave(0, command:get_help())
    end)
end

local function add_gateway_options(command)
    command:option("--base-url", "Address of the gateway (default $THUCCHIEN_BASE_URL, "
        .. "or https://api.thucchien.ai).")
        :argname("U"):convert(some_text("--base-url"))
    command:option("--timeout", "Seconds that one attempt may take (default 300).")
        :argname("S"):convert(number_between(1e-3, 1e6, "--timeout takes seconds"))
end

local function add_generate(parser)
    local command = parser:command("generate", "Make pictures from a prompt and save them.")
    add_help(command)
    command:argument("prompt", "What to draw; `-` reads it from standard input."):argname("PROMPT")
    command:option("-o", "File to write, or a directory. Without an extension it gets the true one; "
        .. "several pictures are numbered. Default: a name made from the prompt, one that is free.")
        :argname("FILE"):target("output"):convert(output_path)
    command:option("-n", "How many pictures (default 1).")
        :argname("N"):convert(whole_number(1, 1000, "-n takes a whole number from 1"))
    command:option("--size", "Width and height, such as 1536x1024.")
        :argname("S"):convert(some_text("--size"))
    command:option("--aspect-ratio", "Shape, such as 16:9; wins over --size.")
        :argname("R"):convert(some_text("--aspect-ratio"))
    command:option("--model", "Model (default $THUCCHIEN_MODEL, or imagen-4).")
        :argname("M"):convert(some_text("--model"))
    command:option("--via", "Route to ask the model by (default: the one for the model).")
        :choices({ "images", "chat", "gemini" })
    command:option("--image", "A picture to draw from; may be given again. For models that are "
        .. "asked via chat or gemini.")
        :argname("FILE"):target("references"):count("*"):convert(some_text("--image"))
    add_gateway_options(command)
    command:flag("--json", "Print one JSON object instead of text.")
    command:flag("--force", "Overwrite files that exist.")
end

local function add_key(parser)
    local command = parser:command("key", "Show what the key has spent, its budget and its limits.")
    add_help(command)
    add_gateway_options(command)
    command:flag("--json", "Print what the gateway tells as one JSON object.")
end

local function add_models(parser)
    local command = parser:command("models", "List the models that the key may use, one a line.")
    add_help(command)
    add_gateway_options(command)
    command:flag("--json", "Print the gateway's list as JSON.")
end

local function add_emulator(parser)
    local command = parser:command("emulator",
        "Stand in for the gateway: no key, no network, no cost.")
    add_help(command, function()
        local emulator = require("thucchien.emulator")
        command:description(emulator.description):epilog(emulator.epilog)
    end)
    command:option("--port", "Port to listen on (default: a free one).")
        :argname("N"):convert(whole_number(0, 65535, "--port takes a number from 0 to 65535"))
    command:option("--host", "Address to listen on (default 127.0.0.1)."):argname("H")
    command:option("--images", "Serve the pictures of this directory in turn, draw none.")
        :argname("DIR")
    command:option("--delay", "Seconds before each answer.")
        :argname("S"):convert(number_between(0, 1e6, "--delay takes seconds"))
    command:option("--budget", "US dollars that each key may spend (default: no end).")
        :argname("USD"):convert(number_between(0, 1e9, "--budget takes US dollars"))
    command:option("--rpm", "Requests that each key may make a minute (default: no end).")
        :argname("N"):convert(whole_number(0, 1e6, "--rpm takes a whole number"))
    command:flag("--stop-on-eof", "Stop when standard input ends.")
end

local function build_parser(argparse)
    local parser = argparse("thucchien", "Pictures from the AI Thực Chiến gateway.",
        "The key is read from the environment variable THUCCHIEN_API_KEY and from nowhere else.")
    parser:command_target("command"):help_max_width(80)
    add_help(parser)
    parser:flag("--version", "Show the version and exit."):action(show_version)
    add_generate(parser)
    add_key(parser)
    add_models(parser)
    add_emulator(parser)
    function parser.error(at, message)
        leave(2, nil, ("%s\nthucchien: %s\n"):format(at:get_usage(), message))
    end
    return parser
end

local function run(arguments)
    local found, argparse = pcall(require, "argparse")
    if not found then
        warn("the command needs argparse: Debian's lua-argparse, or `luarocks install argparse`")
        return 1
    end
    local options = build_parser(argparse):parse(arguments)
    return commands[options.command](options)
end

--- Runs the command.
---@param arguments string[] the arguments, as in the global `arg`
---@return integer status 0 success, 1 failure, 2 wrong usage, 130 interrupted
function cli.main(arguments)
    local ok, result = pcall(run, arguments)
    if ok then
        return result
    elseif type(result) == "table" and result.leave then
        local told = not result.stdout or put(result.stdout)
        io.stderr:write(result.stderr or "")
        return told and result.leave or 1
    elseif is_interrupt(result) then
        warn("interrupted")
        return INTERRUPTED
    end
    warn(result)
    return 1
end

return cli
