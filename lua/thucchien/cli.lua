--- The command `thucchien`.
--
-- `main` returns the exit status and never leaves the process itself: 0 is success, 1 a failure
-- (one line on standard error), 2 wrong usage, 130 an interrupt. A picture is paid for once the
-- request is sent. So the command first looks for whatever could keep a file from being written;
-- then it sends the request, saves each picture as soon as it is whole, and prints last.
--
-- The C module, the emulator and cjson are loaded when a command needs them, so that
-- `thucchien emulator` and `--help` work without a compiled module.

local account = require "thucchien.cli.account"
local arguments = require "thucchien.cli.arguments"
local config = require "thucchien.cli.config"
local language = require "thucchien.cli.language"
local names = require "thucchien.cli.names"
local output = require "thucchien.cli.output"
local report = require "thucchien.cli.report"
local saving = require "thucchien.cli.saving"
local targets = require "thucchien.cli.targets"

local cli = {}

local say = language.say

local jit = rawget(_G, "jit") -- with a strict _G, `jit` alone could raise an error

local TICK = 0.25 -- seconds

--- `lua` turns Ctrl-C into an error.
local function is_interrupt(raised)
    return tostring(raised):find("interrupted!", 1, true) ~= nil
end

-- ---- waiting -----------------------------------------------------------------------------------

--- A line on standard error if that is a terminal. The function that is returned shows a text in it; ""
--- erases it.
local function new_ticker()
    if not names.test("-t", "2") then
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
        return say("waiting for the gateway, %d s ", seconds)
    end
    return say("receiving, %d s, %.1f MB ", seconds, received / 1e6)
end

--- Cancels a request because an error was raised. Returns an error that has the pictures that were whole.
local function give_up(request, raised)
    request:cancel()
    local response, err = request:wait() -- delivers the pictures that have come
    local interrupted = is_interrupt(raised)
    local result = interrupted and report.failure("cancelled", say("interrupted"))
        or report.failure("error", tostring(raised))
    result.interrupted = interrupted
    result.data = (response or err).data
    result.maybe_billed = not response and err.maybe_billed or response ~= nil
    return result
end

--- Waits until the request has ended, and shows its progress four times a second.
local function wait_for(request, keeper, quiet)
    local tick = quiet and function() end or new_ticker()
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
        return nil, report.failure("error", missing)
    end
    return thucchien.new({
        api_key = options.api_key, base_url = options.base_url, timeout = options.timeout, proxy = options.proxy,
    })
end

--- A prompt that somebody types. `cat` reads it, because Ctrl-C ends cat; io.read goes on reading in some Luas.
local function ask_for_prompt()
    output.warn(say("type the prompt, end with Ctrl-D"))
    local typed = io.popen("cat")
    local text = typed:read("*a")
    typed:close()
    return text
end

--- The prompt: the words, joined, or standard input for "-".
local function read_prompt(words)
    if #words > 1 or words[1] ~= "-" then
        return table.concat(words, " ")
    end
    local text = names.test("-t", "0") and ask_for_prompt() or io.read("*a") or ""
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
    local target = targets.find(options.output or options.folder, prompt)
    local problem = targets.obstacle(target, options.n or 1, options.force)
    if problem then
        return report.fail(report.failure("io", problem), options.json)
    end

    local client, refusal = connect(options)
    if not client then
        return report.fail(refusal, options.json)
    end
    local keeper = saving.new_keeper(target, options)
    local params = arguments.params(options)
    params.prompt, params.images, params.on_image = prompt, find_references(options.references), keeper.take
    local request
    request, refusal = client:submit(params) -- nothing is sent before somebody waits
    if not request then
        return report.fail(refusal, options.json)
    end
    local warned = report.warn_before(request, options.quiet)
    if options.dry_run then
        client:close()
        return report.show_plan(params, target, options.json)
    end
    local response, err = wait_for(request, keeper, options.quiet)
    client:close()
    if not response and not err.data then
        return report.fail(err, options.json)
    end
    return report.show(response, err, keeper, options, warned)
end

--- Asks the gateway by `method`, and prints the response as JSON or as `describe` says it.
local function ask(options, method, describe)
    local client, refusal = connect(options)
    if not client then
        return report.fail(refusal, options.json)
    end
    local response, err = client[method](client)
    client:close()
    if not response then
        return report.fail(err, options.json)
    end
    return output.put(options.json and output.encode_json(response) or describe(response)) and 0 or 1
end

function commands.key(options)
    return ask(options, "key_info", account.describe_key)
end

function commands.models(options)
    return ask(options, "models", account.describe_models)
end

function commands.config(options, origins)
    local rows, object, lines = config.describe(options, origins), {}, {}
    for index, row in ipairs(rows) do
        object[row[1]] = { value = row[2], origin = row[3] }
        lines[index] = output.harmless(("%-16s %-32s %s"):format(row[1], row[2], row[3]))
    end
    return output.put(options.json and output.encode_json(object) or table.concat(lines, "\n")) and 0 or 1
end

function commands.emulator(options)
    local emulator = require("thucchien.emulator")
    local missing = emulator.missing()
    if missing then
        output.warn(missing)
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

--- What --version ends with: the exit status and the text.
local function describe_version()
    local module = load_module()
    local name = module and module._VERSION or "thucchien (no C module)"
    return module and 0 or 1, ("%s (%s)"):format(name, jit and jit.version or _VERSION)
end

local function run(given)
    local found, argparse = pcall(require, "argparse")
    if not found then
        output.warn("the command needs argparse: Debian's lua-argparse, or `luarocks install argparse`")
        return 1
    end
    local options, outcome = arguments.parse(argparse, given, describe_version)
    language.set(options and options.lang or language.of_locale())
    if options and options.command == "emulator" then
        return commands.emulator(options)
    elseif options then
        local origins, problem = config.complete(options)
        if origins then
            return commands[options.command](options, origins)
        end
        output.warn(problem)
        return 2
    end
    local written = not outcome.stdout or output.put(outcome.stdout)
    io.stderr:write(outcome.stderr or "")
    return written and outcome.status or 1
end

--- Runs the command.
---@param given string[] the arguments, as in the global `arg`
---@return integer status 0 success, 1 failure, 2 wrong usage, 130 interrupted
function cli.main(given)
    local ok, result = pcall(run, given)
    if ok then
        return result
    elseif is_interrupt(result) then
        output.warn(say("interrupted"))
        return report.INTERRUPTED
    end
    output.warn(result)
    return 1
end

return cli
