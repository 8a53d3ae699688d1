--- What the command says of a request when it has ended.

local names = require "thucchien.cli.names"
local output = require "thucchien.cli.output"

local report = {}

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
    return err.interrupted and report.INTERRUPTED or 1
end

--- The line for a request that failed, with what can be had of it nevertheless.
local function complaint(err, places, asked)
    local parts = { tostring(err) }
    if err.url then -- the message has it cut
        parts[#parts + 1] = "the picture's address is " .. output.harmless(err.url)
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

--- What is odd about a file, a line; nil where nothing is.
local function oddity(image, place)
    if not image.mime then
        return place .. ": not a picture the module knows"
    end
    local named = FORMATS[select(3, names.split(place)):sub(2):lower()]
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
        output.warn(problem)
    end
    if err then
        output.warn(complaint(err, places, math.max(asked, #images)))
    end
    for _, failed in ipairs(response.errors or {}) do
        output.warn(complaint(failed, {}))
    end
    for index, warning in ipairs(warnings_of(response, images, keeper.places)) do
        if index > warned then
            output.warn(warning)
        end
    end
end

--- Tells what is known before anything is paid, and returns how many warnings those are: the response
--- begins with the same.
function report.warn_before(request)
    local warnings = request:warnings()
    for _, warning in ipairs(warnings) do
        output.warn(warning)
    end
    return #warnings
end

--- What the model said beside its pictures. It is no part of what a script reads.
local function tell_text(response, options)
    if response.text and not options.json then
        io.stderr:write(output.harmless(response.text), "\n")
    end
end

local function report_text(response, images, keeper, err, as_json)
    if as_json then
        local problem = err or (keeper.problems[1] and report.failure("io", keeper.problems[1]))
        return output.encode_json(report_record(response, images, keeper, problem))
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
function report.show(response, err, keeper, target, options, warned)
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
    local told = text == "" or output.put(text, stream)
    if err then
        return exit_status(err)
    end
    return told and #keeper.problems == 0 and not response.errors and 0 or 1
end

return report
