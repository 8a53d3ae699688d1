-- The plugin for Neovim: what :Thucchien does, and its setup.
--
--     require("thucchien.nvim").setup { params = { aspect_ratio = "16:9" }, folder = "images" }
--
-- A job is one :Thucchien in flight. Its position in the text is an extmark, so that the text may be
-- edited meanwhile; its pictures are saved as they come, for they are paid for. Everything here
-- runs in Neovim's main loop, outside the fast context: thucchien.uv sees to that.

-- luacheck: globals vim

local editing = require "thucchien.nvim.editing"
local slug = require "thucchien.slug"

local api, fn = vim.api, vim.fn
local uv = vim.uv or vim.loop
local levels = vim.log.levels

local plugin = {}

local PROGRESS_MILLISECONDS = 2000 -- between two notifications of one job's progress
local SHOWN_BYTES = 50000 -- progress is shown once so many have come: an error's response has fewer
local SHOWN_LENGTH = 30 -- characters of a prompt in a message: a longer message wraps, and Neovim asks for a key

---@class thucchien.nvim.options
---@field client? thucchien.options for `thucchien.new`: api_key, base_url, model, timeout …
---@field params? table for every request: aspect_ratio, n, model …
---@field folder? string|fun(file: string): string a relative one begins at the file's directory; default "."
---@field insert? thucchien.nvim.insert returns what is put into the text; default: a Markdown link
---@field notify? fun(message: string, level: integer) default `vim.notify`

--- What is put into the text for a picture. `path` is as the text's file sees it, `image.path` in
--- full. nil puts nothing.
---@alias thucchien.nvim.insert
---| fun(path: string, image: thucchien.image, prompt: string): string|string[]|nil

---@class thucchien.nvim.job
---@field prompt string
---@field request thucchien.request
---@field client thucchien.client
---@field buffer integer
---@field mark integer the extmark where the links go
---@field own_lines boolean the links get lines of their own, below the mark's
---@field folder thucchien.nvim.folder
---@field kept { path: string, link: string, image: thucchien.image }[] what is saved
---@field seen table<thucchien.image, true> the pictures that have come
---@field notified number when its progress was last shown, uv.now()
---@field clock userdata a timer, until something comes
---@field warned integer how many of the request's warnings were shown
---@field cancelled? boolean

---@class thucchien.nvim.folder
---@field path string
---@field prefix string what a link to a file in it begins with

---@type thucchien.nvim.options
local settings = {}

---@type thucchien.client?
local client

---@type table<thucchien.nvim.job, true>
local jobs = {}

-- ---- messages -----------------------------------------------------------------------------------

local function notify(message, level)
    message = "thucchien: " .. message
    if settings.notify then
        settings.notify(message, level or levels.INFO)
    else
        vim.notify(message, level or levels.INFO, { title = "thucchien" })
    end
end

local function one_line(text)
    return vim.trim((text:gsub("%s+", " ")))
end

local function shown(prompt)
    local text = one_line(prompt)
    local short = fn.strcharpart(text, 0, SHOWN_LENGTH)
    return short == text and text or vim.trim(short) .. "…"
end

local function shown_path(path)
    return fn.fnamemodify(path, ":~:.")
end

-- Shows how far a job is, unless that was shown just now.
local function notify_progress(job, format, ...)
    local now = uv.now()
    if now - job.notified >= PROGRESS_MILLISECONDS - 50 then
        job.notified = now
        notify(format:format(...))
    end
end

-- Shows how long a job has waited, as long as nothing comes: a model draws for half a minute.
local function start_clock(job)
    job.clock = uv.new_timer()
    job.clock:start(PROGRESS_MILLISECONDS, PROGRESS_MILLISECONDS, vim.schedule_wrap(function()
        local received, _, seconds = job.request:progress()
        if jobs[job] and received == 0 then
            notify_progress(job, "%d s: %s", math.floor(seconds + 0.5), shown(job.prompt))
        end
    end))
end

local function stop_clock(job)
    if job.clock and not job.clock:is_closing() then
        job.clock:close()
    end
end

-- ---- the module ---------------------------------------------------------------------------------

---The checkout, or wherever this file is.
---@return string
function plugin.root()
    return fn.fnamemodify(debug.getinfo(1, "S").source:sub(2), ":p:h:h:h")
end

---The C module.
---@return thucchien? module
---@return string? message why there is none
function plugin.load()
    local found, module = pcall(require, "thucchien")
    if found then
        return module
    end
    package.loaded.thucchien = nil -- LuaJIT leaves a mark there, and would speak of a loop the next time
    if module:find("module 'thucchien' not found", 1, true) then
        return nil, "the C module is not built: run `make nvim` in " .. plugin.root()
    end
    return nil, one_line(module)
end

---The client of :Thucchien, driven by Neovim's loop, for requests of your own.
---@return thucchien.client? client
---@return thucchien.error|string|nil err
function plugin.client()
    if client then
        return client
    end
    local thucchien, message = plugin.load()
    if not thucchien then
        return nil, message
    end
    local made, err = thucchien.new(settings.client)
    if not made then
        return nil, err
    end
    require("thucchien.uv").attach(made)
    -- A request under way must not hold up the exit.
    api.nvim_create_autocmd("VimLeavePre", {
        group = api.nvim_create_augroup("thucchien", { clear = true }),
        callback = plugin.close,
    })
    client = made
    return client
end

---Cancels what is in flight, without a message, and closes all connections.
function plugin.close()
    for job in pairs(jobs) do
        job.cancelled = true
        stop_clock(job)
        job.client:close()
    end
    if client then
        client:close()
        client = nil
    end
end

-- ---- files --------------------------------------------------------------------------------------

-- The directory of a buffer's file; Neovim's own for a buffer that has none.
local function directory_of(buffer)
    local file = api.nvim_buf_get_name(buffer)
    if file == "" or vim.bo[buffer].buftype ~= "" or file:find "^%w+://" then
        return fn.getcwd()
    end
    return fn.fnamemodify(file, ":p:h")
end

local function is_absolute(path)
    return path:find "^[/\\~]" or path:find "^%a:[/\\]"
end

-- Where the pictures of a buffer go. Makes the directory and checks that it can be written to, before anything is
-- paid for.
---@return thucchien.nvim.folder? folder
---@return string? message
local function find_folder(buffer)
    local option = settings.folder or "."
    if type(option) == "function" then
        local ok, result = pcall(option, api.nvim_buf_get_name(buffer))
        if not ok or type(result) ~= "string" then
            return nil, "the function for the folder gave no string: " .. tostring(result)
        end
        option = result
    end
    local path, prefix
    if is_absolute(option) then
        path = fn.fnamemodify(option, ":p"):gsub("(.)[/\\]+$", "%1")
        prefix = path .. "/"
    else
        path = fn.simplify(directory_of(buffer) .. "/" .. option)
        prefix = option:gsub("^%.$", ""):gsub("^%./", ""):gsub("([^/])$", "%1/")
    end
    pcall(fn.mkdir, path, "p")
    if fn.isdirectory(path) == 0 or not uv.fs_access(path, "W") then
        return nil, "cannot write into " .. path
    end
    return { path = path, prefix = prefix }
end

-- Saves a picture under a name that no file has, even if another program looks for one at the same time. One that is
-- not whole gets the ending ".part".
local function save(image, directory, name)
    if image.complete == false then
        name = name .. (image.ext and "." .. image.ext or "") .. ".part"
    end
    local path, err = image:save(directory .. "/" .. name, { if_exists = "number" })
    return path and fn.fnamemodify(path, ":t"), err and err.message
end

-- Saves a picture of a job; among Neovim's data if it cannot be saved in the folder any more.
local function keep(job, image)
    if job.seen[image] then
        return
    end
    job.seen[image] = true
    local name, folder = slug(job.prompt), job.folder
    local file, message = save(image, folder.path, name)
    if not file then
        local rescue = fn.stdpath "data" .. "/thucchien"
        pcall(fn.mkdir, rescue, "p")
        folder = { path = rescue, prefix = rescue .. "/" }
        file = save(image, folder.path, name)
        notify(message .. (file and "; saved in " .. rescue or ""), levels.ERROR)
    end
    if file and image.complete == false then
        notify("what arrived of an incomplete picture is in " .. shown_path(folder.path .. "/" .. file), levels.WARN)
    elseif file then
        image.path = folder.path .. "/" .. file
        table.insert(job.kept, { path = image.path, link = folder.prefix .. file, image = image })
    end
end

-- ---- the text -----------------------------------------------------------------------------------

-- A path as a link's target: characters that would end the target, or confuse a reader of it, are encoded.
local function target(path)
    return (path:gsub("[%c %%()<>\"\\#?]", function(character)
        return ("%%%02X"):format(character:byte())
    end))
end

local function markdown(path, _, prompt)
    return ("![%s](%s)"):format(one_line(prompt):gsub("[%[%]\\]", "\\%0"), target(path))
end

-- What stands in the text for one picture, in lines.
local function lines_for(job, picture)
    local ok, text = true, nil
    if settings.insert then
        ok, text = pcall(settings.insert, picture.link, picture.image, job.prompt)
        if not ok then
            notify("the function insert failed: " .. tostring(text), levels.ERROR)
        end
    end
    if not settings.insert or not ok then
        text = markdown(picture.link, picture.image, job.prompt)
    end
    if type(text) == "table" then
        text = table.concat(text, "\n")
    end
    return type(text) == "string" and vim.split(text, "\n", { plain = true }) or {}
end

-- ---- a job --------------------------------------------------------------------------------------

-- Puts the links into the text, and says where the pictures are.
local function link(job)
    local first = job.kept[1]
    local text = shown_path(first.path)
    if #job.kept > 1 then
        text = text .. (" and %d more"):format(#job.kept - 1)
    elseif first.image.width then
        text = text .. (" (%dx%d)"):format(first.image.width, first.image.height)
    end
    local lines = {}
    for _, picture in ipairs(job.kept) do
        vim.list_extend(lines, lines_for(job, picture))
    end
    if #lines > 0 and not editing.insert(job, lines) then
        text = text .. ", but its place in the text is gone"
    end
    return text
end

-- Shows the warnings that were not shown yet.
local function show_warnings(job, warnings)
    for index = job.warned + 1, #warnings do
        notify(warnings[index], levels.WARN)
    end
    job.warned = math.max(job.warned, #warnings)
end

local function finish(job, response, err)
    jobs[job] = nil
    stop_clock(job)
    for _, holder in ipairs { response or err, unpack(response and response.errors or {}) } do
        for _, image in ipairs(holder.data or {}) do
            keep(job, image)
        end
    end
    if #job.kept > 0 then
        notify(link(job))
    end
    editing.unmark(job)
    for _, failure in ipairs(response and response.errors or {}) do
        notify(tostring(failure), levels.ERROR)
    end
    show_warnings(job, response and response.warnings or {})
    if err and not job.cancelled then
        notify(tostring(err), levels.ERROR)
    end
end

local function params_for(job)
    local params = vim.tbl_extend("force", {}, settings.params or {})
    local count = tonumber(params.n) or 1
    params.prompt = job.prompt
    function params.on_image(image, index)
        keep(job, image)
        if index < count then
            notify_progress(job, "%d of %d: %s", index, count, shown(job.prompt))
        end
    end
    function params.on_progress(received, total)
        if received < SHOWN_BYTES then
            return
        end
        notify_progress(job, "%.1f of %s MB: %s", received / 1e6,
            total and ("%.1f"):format(total / 1e6) or "?", shown(job.prompt))
    end
    return params
end

-- Makes a job with all that it needs before anything is sent and paid for: a client, a folder, a position in the text.
---@param prompt string
---@param position { row: integer, column: integer, own_lines?: boolean }
---@return thucchien.nvim.job? job
---@return thucchien.error|string|nil err
local function prepare(prompt, position)
    local buffer = api.nvim_get_current_buf()
    if not vim.bo[buffer].modifiable then
        return nil, "this buffer cannot be changed (see :help 'modifiable'), so it has no place for a link"
    end
    local own, folder, err
    own, err = plugin.client()
    if own then
        folder, err = find_folder(buffer)
    end
    if not folder then
        return nil, err
    end
    -- At the start of a line the position moves with the line when text comes in before it.
    local stays = position.column > 0 and not position.own_lines
    return { prompt = prompt, buffer = buffer, folder = folder, kept = {}, seen = {}, notified = uv.now(), warned = 0,
        client = own, own_lines = position.own_lines,
        mark = editing.mark(buffer, position.row, position.column, stays) }
end

-- Draws, and puts the links at a position in the current buffer.
---@param prompt string
---@param position { row: integer, column: integer, own_lines?: boolean }
---@return boolean started
local function draw(prompt, position)
    local job, err = prepare(prompt, position)
    if job then
        job.request, err = job.client:submit(params_for(job), function(response, failure)
            finish(job, response, failure)
        end)
        if not job.request then
            editing.unmark(job)
        end
    end
    if err then
        local help = type(err) == "table" and err.kind == "authentication"
        notify(tostring(err) .. (help and " (see :help thucchien-key)" or ""), levels.ERROR)
        return false
    end
    jobs[job] = true
    start_clock(job)
    notify("drawing " .. shown(prompt))
    show_warnings(job, job.request:warnings())
    return true
end

---Draws what the prompt says; the link comes to where the cursor is now.
---@param prompt string
---@return boolean started if not, a message says why
function plugin.generate(prompt)
    local row, column = editing.cursor()
    return draw(prompt, { row = row, column = column })
end

---Cancels all that :Thucchien has in flight, and returns how many that were.
---@return integer
function plugin.cancel()
    local count = 0
    for job in pairs(jobs) do
        if job.request:cancel() then
            job.cancelled = true
            count = count + 1
        end
    end
    return count
end

---How many :Thucchien are in flight, for a status line.
---@return integer
function plugin.pending()
    return vim.tbl_count(jobs)
end

-- ---- the command --------------------------------------------------------------------------------

local function draw_range(command)
    local prompt = editing.selected(command)
    if command.args ~= "" then
        prompt = command.args .. "\n" .. prompt
    end
    local row = command.line2 - 1
    local line = api.nvim_buf_get_lines(0, row, row + 1, false)[1]
    return draw(vim.trim(prompt), { row = row, column = #line, own_lines = true })
end

local function report_cancelled(count)
    if count == 0 then
        notify "nothing is in flight"
    else
        notify(("cancelled %d; what was sent may be billed all the same"):format(count))
    end
end

---What :Thucchien does.
---@param command table as Neovim gives it to a command's function
function plugin.command(command)
    if command.bang then
        report_cancelled(plugin.cancel())
    elseif command.range > 0 then
        draw_range(command)
    elseif vim.trim(command.args) == "" then
        notify("say what to draw: :Thucchien a lighthouse at dusk", levels.WARN)
    else
        plugin.generate(command.args)
    end
end

-- ---- setup --------------------------------------------------------------------------------------

local OPTIONS = {
    client = "table",
    folder = "string or function",
    insert = "function",
    notify = "function",
    params = "table",
}

-- The plugin has its own use for these.
local RESERVED = { "prompt", "on_image", "on_progress", "sink", "save" }

local function check(options)
    for name, value in pairs(options) do
        local expected = OPTIONS[name]
        if not expected then
            local known = vim.tbl_keys(OPTIONS)
            table.sort(known)
            return ("unknown option '%s' (there are %s)"):format(name, table.concat(known, ", "))
        elseif not expected:find(type(value), 1, true) then
            return ("option '%s': %s expected, got %s"):format(name, expected, type(value))
        end
    end
    for _, name in ipairs(RESERVED) do
        if options.params and options.params[name] ~= nil then
            return ("option 'params': '%s' is not for setup"):format(name)
        end
    end
end

---Sets the options; needed only where the defaults do not suit. May be called again: what is in
---flight goes on as it began.
---@param options? thucchien.nvim.options
function plugin.setup(options)
    options = options or {}
    local wrong = check(options)
    if wrong then
        error("thucchien.nvim.setup: " .. wrong, 2)
    end
    settings = options
    client = nil -- plugin.client makes another one; jobs hold the old one until they end
end

---The options as `setup` was given them.
---@return thucchien.nvim.options
function plugin.settings()
    return settings
end

return plugin
