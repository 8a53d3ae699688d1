--- What the command says of a request when it has ended.

local arguments = require "thucchien.cli.arguments"
local language = require "thucchien.cli.language"
local names = require "thucchien.cli.names"
local output = require "thucchien.cli.output"
local targets = require "thucchien.cli.targets"

local report = {}

local say = language.say

report.INTERRUPTED = 130 -- what a shell makes of SIGINT

--- A failure of the command's own, in the shape of the module's errors.
function report.failure(kind, message)
    return setmetatable({ kind = kind, message = message }, {
        __tostring = function(self)
            return self.message
        end,
    })
end

local function readable_size(bytes)
    if bytes < 1000 then
        return ("%d bytes"):format(bytes)
    elseif bytes < 1e6 then
        return ("%.1f kB"):format(bytes / 1e3)
    end
    return ("%.1f MB"):format(bytes / 1e6)
end

local function describe(image, path)
    local dimensions = image.width and ("%dx%d"):format(image.width, image.height) or "unknown size"
    return ("%s  %s  %s"):format(path, dimensions, readable_size(image.size))
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

--- The exit status for an error. A value that the module refuses is wrong usage, like one that the
--- command line refuses.
local function exit_status(err)
    if err.interrupted then
        return report.INTERRUPTED
    end
    local refused = err.kind == "invalid_request" and not err.status
        and (arguments.option_of(err.param) or err.message:find("^unknown field"))
    return refused and 2 or 1
end

--- The line for a request that failed, with what is saved of it. `paths` are its whole pictures.
local function complaint(err, paths, asked)
    local parts = { arguments.reword(language.say_error(err)) }
    if err.url then -- the message shows only its beginning
        parts[#parts + 1] = say("the picture's address is %s", output.harmless(err.url))
    end
    if #paths > 0 then
        parts[#parts + 1] = say("%d of %d pictures saved: %s", #paths, asked, table.concat(paths, ", "))
    end
    for _, image in ipairs(err.data or {}) do
        if image.complete == false and image.path then
            parts[#parts + 1] = say("what arrived of an incomplete picture is in %s", image.path)
        end
    end
    if err.interrupted and err.maybe_billed then
        parts[#parts + 1] = say("the request may be billed")
    end
    return table.concat(parts, "; ")
end

--- Reports that a command failed and has nothing to show, and returns the exit status.
function report.fail(err, as_json)
    output.warn(complaint(err, {}))
    if as_json then
        output.put(output.encode_json({ error = error_record(err) }))
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

--- One line on what is odd about a file; nil if nothing is.
local function oddity(image, path)
    if not image.mime then
        return say("%s: not a picture the module knows", path)
    end
    local named = FORMATS[select(3, names.split(path)):sub(2):lower()]
    if named and named ~= image.ext then
        return say(
            "%s: the picture is a %s file, whatever its name says; without an extension in -o it gets the true one",
            path, image.ext:upper())
    end
end

--- The warnings of the response, and what is odd about files.
local function warnings_of(response, images, paths)
    local warnings = {}
    for index, warning in ipairs(response.warnings or {}) do
        warnings[index] = warning
    end
    for _, image in ipairs(images) do
        warnings[#warnings + 1] = paths[image] and oddity(image, paths[image]) or nil
    end
    return warnings
end

local function result_record(response, images, keeper, problem)
    local records = {}
    for index, image in ipairs(images) do
        records[index] = image_record(image, keeper.paths[image])
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
        warnings = records_of(warnings_of(response, images, keeper.paths)),
        errors = records_of(response.errors, error_record),
        error = problem and error_record(problem) or nil,
    }
end

--- Writes to standard error what went wrong, and the warnings after the first `warned`; `quiet`
--- leaves warnings out.
local function show_problems(response, images, keeper, err, warned, quiet)
    local paths = {}
    for _, image in ipairs(images) do
        local path = keeper.paths[image]
        paths[#paths + 1] = path or nil
    end
    for _, problem in ipairs(keeper.problems) do
        output.warn(problem)
    end
    if err then
        output.warn(complaint(err, paths, math.max(keeper.asked, #images)))
    end
    for _, failed in ipairs(response.errors or {}) do
        output.warn(complaint(failed, {}))
    end
    for index, warning in ipairs(warnings_of(response, images, keeper.paths)) do
        if index > warned and not quiet then
            output.warn(arguments.reword(warning))
        end
    end
end

--- Warns of what is known before anything is paid. Returns how many warnings those are: the warnings
--- of the response begin with the same ones.
function report.warn_before(request, quiet)
    local warnings = request:warnings()
    for _, warning in ipairs(quiet and {} or warnings) do
        output.warn(arguments.reword(warning))
    end
    return #warnings
end

--- What the model said beside its pictures, on standard error: scripts read standard output.
local function show_text(response)
    if response.text then
        io.stderr:write(output.harmless(response.text), "\n")
    end
end

--- What goes to standard output: one JSON object, or a line for each picture that is saved.
local function result_text(response, images, keeper, err, as_json)
    if as_json then
        local problem = err or (keeper.problems[1] and report.failure("io", keeper.problems[1]))
        return output.encode_json(result_record(response, images, keeper, problem))
    end
    local lines = {}
    for _, image in ipairs(images) do
        local path = keeper.paths[image]
        lines[#lines + 1] = path and describe(image, path) or nil
    end
    return table.concat(lines, "\n")
end

--- Says which pictures came and where they are, and returns the exit status. If a response broke off,
--- the whole pictures that came before are saved like others: they are paid for.
function report.show(response, err, keeper, options, warned)
    local images = keeper.take_all(response or err)
    response = response or {}
    for _, failed in ipairs(response.errors or {}) do
        keeper.take_all(failed)
    end
    if not options.json and not options.quiet then
        show_text(response)
    end
    show_problems(response, images, keeper, err, warned, options.quiet)
    local text = (options.json or not options.quiet) and result_text(response, images, keeper, err, options.json) or ""
    -- If the picture went to standard output, nothing else may go there.
    local path = keeper.target.path
    local stream = (path == "/dev/stdout" or path == "/dev/fd/1") and io.stderr or io.stdout
    local written = text == "" or output.put(text, stream)
    if err then
        return exit_status(err)
    end
    return written and #keeper.problems == 0 and not response.errors and 0 or 1
end

--- Says what would be asked for and which files would be written, and returns the exit status.
function report.show_plan(params, target, as_json)
    local files = targets.plan(target, params.n or 1)
    if not as_json then
        local lines = {}
        for index, path in ipairs(files) do
            lines[index] = say("%s  not drawn: --dry-run", path)
        end
        return output.put(table.concat(lines, "\n")) and 0 or 1
    end
    params.on_image = nil
    return output.put(output.encode_json({ params = params, files = files })) and 0 or 1
end

return report
