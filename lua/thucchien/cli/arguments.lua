--- The command line: what may stand in it, and the help.

local arguments = {}

-- For --help and for mistakes argparse prints something and calls os.exit. Here both raise an
-- outcome instead, which `arguments.parse` returns.
local OUTCOME = {}

local function leave(status, stdout, stderr)
    error(setmetatable({ status = status, stdout = stdout, stderr = stderr }, OUTCOME), 0)
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

--- The value of a JSON text, or nil.
local function decode_json(text)
    return (require("cjson.safe").decode(text))
end

local function json_object(text)
    local value = decode_json(text)
    if type(value) == "table" then
        return value
    end
    return nil, ("--extra-body takes a JSON object, got '%s'"):format(text)
end

--- "name=value" as { name, value }.
local function named_value(text)
    local name, value = text:match("^([%a_][%w_]*)=(.*)$")
    if not name then
        return nil, ("--param takes NAME=VALUE, got '%s'"):format(text)
    end
    if name == "save" or name == "sink" or name == "prompt" then
        return nil, ("--param has no '%s': -o says where pictures go, PROMPT what to draw"):format(name)
    end
    local decoded = decode_json(value)
    if type(decoded) == "userdata" then -- null
        return nil, ("--param takes NAME=VALUE, got '%s'"):format(text)
    end
    return { name, decoded == nil and value or decoded }
end

local function output_path(text)
    if text == "" or text == "-" then
        return nil, ("-o takes a file or a directory, got '%s' (standard output is /dev/stdout)"):format(text)
    end
    return text
end

--- Gives `command` a --help that raises an outcome; `prepare` may complete the text first.
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
    command:option("--proxy", "Proxy to go through (default: curl's environment variables).")
        :argname("U"):convert(some_text("--proxy"))
    command:option("--lang", "Language of the messages (default: the locale's).")
        :choices({ "en", "vi" })
    command:option("--profile", "Profile of the settings' file (default $THUCCHIEN_PROFILE).")
        :argname("P"):convert(some_text("--profile"))
    command:option("--env-file", "Read the THUCCHIEN_ variables that are not set from this file.")
        :argname("FILE"):target("env_file"):convert(some_text("--env-file"))
end

--- Options whose text becomes a field of the params: field, option, its value's name, help.
local FIELDS = {
    { "model", "--model", "M", "Model (default $THUCCHIEN_MODEL, or imagen-4)." },
    { "size", "--size", "S", "Width and height, such as 1536x1024." },
    { "aspect_ratio", "--aspect-ratio", "R", "Shape, such as 16:9; wins over --size." },
    { "quality", "--quality", "Q", "Quality, for models that take one." },
    { "style", "--style", "S", "Style, for models that take one." },
    { "background", "--background", "B", "Background, for models that take one." },
    { "output_format", "--output-format", "F", "Format of the picture, for models that take one." },
    { "negative_prompt", "--negative-prompt", "TEXT", "What not to draw, for models that take it." },
}

--- Fields of the params and of a client's options, and what sets them on the command line.
local OPTION_OF = {
    n = "-n", seed = "--seed", via = "--via", retry = "--retry", max_retries = "--max-retries",
    extra_body = "--extra-body", images = "--image", base_url = "--base-url", timeout = "--timeout", proxy = "--proxy",
}

local function add_field_options(command)
    for _, field in ipairs(FIELDS) do
        local name, option, value, help = field[1], field[2], field[3], field[4]
        OPTION_OF[name] = option
        command:option(option, help):argname(value):target(name):convert(some_text(option))
    end
    command:option("--seed", "A number; the same one may give the same picture, for models that take it.")
        :argname("N"):convert(whole_number(0, 2 ^ 32 - 1, "--seed takes a whole number"))
    command:option("--param", "Any other field, such as guidance_scale=7.5; may be given several times. "
        .. "The value is JSON, or else a text.")
        :argname("NAME=VALUE"):target("fields"):count("*"):convert(named_value)
    command:option("--extra-body", "A JSON object that is merged into the request as it is.")
        :argname("JSON"):target("extra_body"):convert(json_object)
end

local function add_generate(parser)
    local command = parser:command("generate", "Make pictures from a prompt and save them.")
    add_help(command)
    command:argument("prompt", "What to draw; words need no quotes. `-` reads it from standard input.")
        :argname("PROMPT"):args("+")
    command:option("-o", "File or directory to write to. A name without an extension gets the true one; "
        .. "several pictures are numbered. Default: a free name made from the prompt.")
        :argname("FILE"):target("output"):convert(output_path)
    command:flag("--force", "Overwrite files that exist.")
    command:option("-n", "How many pictures (default 1).")
        :argname("N"):convert(whole_number(1, 1000, "-n takes a whole number from 1"))
    command:option("--via", "Route to the model (default: the one for the model).")
        :choices({ "images", "chat", "gemini" })
    command:option("--image", "A picture to draw from; may be given several times. For models "
        .. "on the routes chat and gemini.")
        :argname("FILE"):target("references"):count("*"):convert(some_text("--image"))
    add_field_options(command)
    add_gateway_options(command)
    command:option("--retry", "What to send again: only what certainly cost nothing (safe, the default), "
        .. "all that may pass with time (you may pay twice), or none.")
        :choices({ "safe", "all", "none" })
    command:option("--max-retries", "How often, at most (default 2).")
        :argname("N"):target("max_retries"):convert(whole_number(0, 100, "--max-retries takes a whole number to 100"))
    command:flag("--dry-run", "Check everything, say which files would be written, and send nothing.")
        :target("dry_run")
    command:flag("--json", "Print one JSON object instead of text.")
    command:flag("-q --quiet", "Print nothing but errors.")
    command:epilog(table.concat({
        "Examples:",
        "   thucchien generate a lighthouse at dusk",
        "   thucchien generate 'ngọn hải đăng lúc hoàng hôn' -n 2 -o sea",
        "   thucchien generate the same at night --model nano-banana --image sea.png",
        "",
        "Exit status: 0 success, 1 a failure, 2 wrong usage, 130 after Ctrl-C.",
    }, "\n"))
    return command
end

--- A command that only shows something, as text or with --json.
local function add_query(parser, name, about, about_json)
    local command = parser:command(name, about)
    add_help(command)
    add_gateway_options(command)
    command:flag("--json", about_json)
    return command
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
    command:option("--images", "Serve the pictures of this directory in turn instead of drawing.")
        :argname("DIR")
    command:option("--delay", "Seconds to wait before each response.")
        :argname("S"):convert(number_between(0, 1e6, "--delay takes seconds"))
    command:option("--budget", "US dollars that each key may spend (default: unlimited).")
        :argname("USD"):convert(number_between(0, 1e9, "--budget takes US dollars"))
    command:option("--rpm", "Requests that each key may make a minute (default: unlimited).")
        :argname("N"):convert(whole_number(0, 1e6, "--rpm takes a whole number"))
    command:flag("--stop-on-eof", "Stop when standard input ends.")
    return command
end

--- `thucchien help [COMMAND]`.
local function add_help_command(parser, commands)
    local command = parser:command("help", "Show the help of a command.")
    add_help(command)
    command:argument("of", "The command."):argname("COMMAND"):args("?")
    command:action(function(options)
        local wanted = options.of and commands[options.of]
        if options.of and not wanted then
            parser:error(("unknown command '%s'"):format(options.of))
        end
        leave(0, (wanted or parser):get_help())
    end)
end

--- `thucchien completion SHELL`.
local function add_completion(parser)
    local command = parser:command("completion", "Print what makes a shell complete this command.")
    add_help(command)
    command:argument("shell", "The shell."):choices({ "bash", "zsh", "fish" })
    command:action(function(options)
        leave(0, parser["get_" .. options.shell .. "_complete"](parser))
    end)
end

local function build_parser(argparse, describe_version)
    local parser = argparse("thucchien", "Pictures from the AI Thực Chiến gateway.", table.concat({
        "`thucchien help COMMAND` says more about a command.",
        "",
        "Exit status: 0 success, 1 a failure, 2 wrong usage, 130 after Ctrl-C.",
        "",
        "The key is read from the environment variable THUCCHIEN_API_KEY, or from the file",
        "that `key_file` in ~/.config/thucchien/config names.",
    }, "\n"))
    parser:command_target("command"):help_max_width(80)
    add_help(parser)
    parser:flag("--version", "Show the version and exit."):action(function()
        leave(describe_version())
    end)
    local commands = {
        generate = add_generate(parser),
        key = add_query(parser, "key", "Show what the key has spent, its budget and its limits.",
            "Print the gateway's response as one JSON object."),
        models = add_query(parser, "models", "List the models that the key may use, one a line.",
            "Print the gateway's list as JSON."),
        config = add_query(parser, "config", "Show the settings that hold, and where each comes from.",
            "Print one JSON object."),
        emulator = add_emulator(parser),
    }
    add_help_command(parser, commands)
    add_completion(parser)
    function parser.error(at, message)
        leave(2, nil, ("%s\nthucchien: %s\n"):format(at:get_usage(), message))
    end
    return parser
end

--- The params that the options of `generate` stand for.
function arguments.params(options)
    local params = {
        n = options.n, seed = options.seed, via = options.via, extra_body = options.extra_body,
        retry = options.retry, max_retries = options.max_retries,
    }
    for _, field in ipairs(FIELDS) do
        params[field[1]] = options[field[1]]
    end
    for _, field in ipairs(options.fields) do
        params[field[1]] = field[2]
    end
    return params
end

--- The option that sets a field of the params, or of a client's options: "--size", "--param seeds"; nil
--- if there is none.
function arguments.option_of(field)
    if field and field ~= "prompt" and field:find("^[%w_]+$") then
        return OPTION_OF[field] or "--param " .. field
    end
end

-- How the module's messages say in Lua what an option says here.
local PHRASES = {
    { ", or give api_key to thucchien.new", "" },
    { ", or allow_http = true", "" },
    { "via = '(%l+)'", "--via %1" },
    { "aspect_ratio '([%d:]+)'", "--aspect-ratio %1" },
    { "put them into proxy", "put them into --proxy" },
    { "in ca_file", "in $SSL_CERT_FILE" },
    { "%(ca_file%)", "($SSL_CERT_FILE)" },
    { ", or raise connect_timeout", "" },
}

--- A message of the module, in the words of the command line: "-n: a number from 1 to 4 expected".
function arguments.reword(message)
    message = message:gsub("^invalid_request: %l+ '([%w_]+)'", arguments.option_of)
    message = message:gsub("^invalid_request: unknown field", "--param: unknown field")
    for _, phrase in ipairs(PHRASES) do
        message = message:gsub(phrase[1], phrase[2])
    end
    return message
end

--- Reads the command line `given`. Returns the options, or nil and the outcome: the exit `status`, and
--- what is to be written to `stdout` or `stderr`. `describe_version` gives the status and the text of
--- --version.
function arguments.parse(argparse, given, describe_version)
    local parser = build_parser(argparse, describe_version)
    local ok, result = pcall(parser.parse, parser, given)
    if ok then
        return result
    elseif getmetatable(result) == OUTCOME then
        return nil, result
    end
    error(result, 0)
end

return arguments
