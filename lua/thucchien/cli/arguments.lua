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

local function output_path(text)
    if text == "" or text == "-" then
        return nil, ("-o takes a file or a directory, got '%s' (standard output is /dev/stdout)"):format(text)
    end
    return text
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

local function build_parser(argparse, describe_version)
    local parser = argparse("thucchien", "Pictures from the AI Thực Chiến gateway.",
        "The key is read from the environment variable THUCCHIEN_API_KEY and from nowhere else.")
    parser:command_target("command"):help_max_width(80)
    add_help(parser)
    parser:flag("--version", "Show the version and exit."):action(function()
        leave(describe_version())
    end)
    add_generate(parser)
    add_key(parser)
    add_models(parser)
    add_emulator(parser)
    function parser.error(at, message)
        leave(2, nil, ("%s\nthucchien: %s\n"):format(at:get_usage(), message))
    end
    return parser
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
