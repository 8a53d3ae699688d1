--- The command `thucchien`.
--
-- `main` returns the exit status and never leaves the process itself: 0 is success, 1 a failure
-- (one line on standard error), 2 wrong usage. A picture is paid for once the request is out.
-- Hence the order of things here: whatever could stop the file from being written is looked for
-- before anything is sent, and a picture that has come is saved somewhere, whatever happens.
--
-- The C module, the emulator and cjson are loaded when a command needs them, so that
-- `thucchien emulator` and `--help` work without a compiled module.

local cli = {}

-- Formats that a picture may turn out to have; the first is the likeliest.
local EXTENSIONS = { "png", "jpg", "webp", "gif" }

-- errno values, the same on every system that has them.
local ENOENT, EACCES, EISDIR = 2, 13, 21

local SLUG_LENGTH = 40

-- ---- messages ----------------------------------------------------------------------------------

--- Folds any value into one line.
local function one_line(value)
    return (tostring(value):gsub(":%s*[\r\n]+%s*", ": "):gsub("%s*[\r\n]+%s*", "; "))
end

local function warn(message)
    io.stderr:write("thucchien: ", one_line(message), "\n")
end

--- A failure of the command's own, in the shape of the module's errors.
local function failure(kind, message)
    return setmetatable({ kind = kind, message = message }, {
        __tostring = function(self)
            return self.message
        end,
    })
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

-- ---- names of files ----------------------------------------------------------------------------

-- One line per ASCII letter, composed letters only: in decomposed text the mark is dropped.
local FOLDED = {
    a = "àáảãạăằắẳẵặâầấẩẫậäåāÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬÄÅĀ",
    c = "çćčÇĆČ",
    d = "đðĐÐ",
    e = "èéẻẽẹêềếểễệëēÈÉẺẼẸÊỀẾỂỄỆËĒ",
    i = "ìíỉĩịîïīÌÍỈĨỊÎÏĪ",
    n = "ñńÑŃ",
    o = "òóỏõọôồốổỗộơờớởỡợöøōÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢÖØŌ",
    s = "śšŚŠ",
    u = "ùúủũụưừứửữựûüūÙÚỦŨỤƯỪỨỬỮỰÛÜŪ",
    y = "ỳýỷỹỵÿỲÝỶỸỴ",
    z = "źżžŹŻŽ",
}

local MULTIBYTE = "[\194-\244][\128-\191]*"

local function ascii_letters()
    local letters = {}
    for ascii, group in pairs(FOLDED) do
        for letter in group:gmatch(MULTIBYTE) do
            letters[letter] = ascii
        end
    end
    return letters
end

--- A name for a prompt: small ASCII letters, digits and hyphens.
local function slug(prompt)
    local letters = ascii_letters()
    local text = prompt:gsub("\204[\128-\191]", ""):gsub("\205[\128-\175]", "") -- U+0300 to U+036F
    text = text:gsub(MULTIBYTE, function(letter)
        return letters[letter] or "-"
    end)
    text = text:lower():gsub("[^a-z0-9]+", "-"):gsub("^%-", "")
    if #text > SLUG_LENGTH then
        -- Cut between words, unless the first word is longer than the whole name may be.
        text = text:sub(1, SLUG_LENGTH + 1)
        text = text:match("^(.*)%-") or text:sub(1, SLUG_LENGTH)
    end
    text = text:gsub("%-$", "")
    return text ~= "" and text or "picture"
end

local SEPARATORS = package.config:sub(1, 1) == "\\" and "/\\" or "/"

--- "a/b.png" -> "a/", "b", ".png". A leading dot begins no extension.
local function split_path(path)
    local directory, name = path:match("^(.*[" .. SEPARATORS .. "])(.*)$")
    name = name or path
    local stem, extension = name:match("^(.+)(%.%w+)$")
    return directory or "", stem or name, extension or ""
end

--- Path of picture `index` of `count`: "a.png" -> "a-2.png" when there are several.
local function numbered(path, index, count)
    if count == 1 then
        return path
    end
    local directory, stem, extension = split_path(path)
    return ("%s%s-%d%s"):format(directory, stem, index, extension)
end

local function has_extension(path)
    return select(3, split_path(path)) ~= ""
end

--- Why nothing may be written at `path`; nil when it may.
local function obstacle(path, force)
    local file, message, code = io.open(path, "rb")
    if not file then
        -- With --force a file that cannot be read can still be replaced.
        local harmless = code == ENOENT or (force and code == EACCES)
        return not harmless and message or nil
    end
    local _, _, read_code = file:read(1)
    file:close()
    if read_code == EISDIR then
        return path .. ": is a directory"
    end
    return not force and path .. ": already exists (--force overwrites it)" or nil
end

--- Why no file can be made in `directory`; nil when it can. Asked of the system by making one:
-- permissions alone do not tell of a read-only or full disk.
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

--- What would keep the pictures of a request from being saved, as far as it can be known.
local function output_obstacle(path, count, force)
    local directory, stem = split_path(path)
    if stem == "" or stem == "." or stem == ".." then
        return path .. ": is a directory, name a file"
    end
    local problem = directory_obstacle(directory)
    for index = 1, problem and 0 or count do
        local name = numbered(path, index, count)
        local candidates = { name }
        if not has_extension(path) then
            for position, extension in ipairs(EXTENSIONS) do
                candidates[position] = name .. "." .. extension
            end
        end
        for _, candidate in ipairs(candidates) do
            problem = problem or obstacle(candidate, force)
        end
    end
    return problem
end

-- ---- saving ------------------------------------------------------------------------------------

local function full_name(image, path)
    if has_extension(path) or not image.ext then
        return path
    end
    return path .. "." .. image.ext
end

--- The first of `start`-rescued-1, -2, … that nobody uses.
local function unused_name(start, extension)
    for number = 1, 1000 do
        local name = ("%s-rescued-%d%s"):format(start, number, extension)
        if not obstacle(name) then
            return name
        end
    end
end

--- Saves under a name of its own: beside `path`, else here, else among temporary files.
local function rescue(image, path)
    local directory, stem, extension = split_path(path)
    local temporary = os.getenv("TMPDIR") or os.getenv("TEMP") or "/tmp"
    for _, start in ipairs({ directory .. stem, "picture", temporary .. "/picture" }) do
        local name = unused_name(start, extension)
        local saved = name and image:save(name)
        if saved then
            return saved
        end
    end
end

--- Saves `image`; returns where it is, and what went wrong when that is not where it should be.
local function save(image, path, force)
    local name = full_name(image, path)
    local problem = obstacle(name, force)
    if not problem then
        local saved, err = image:save(name)
        if saved then
            return saved
        end
        problem = err.message
    end
    local saved = rescue(image, name)
    return saved, problem .. (saved and "; saved as " .. saved or "; the picture is lost")
end

-- ---- waiting -----------------------------------------------------------------------------------

--- Whether a person looks at standard error. Plain Lua cannot ask, a POSIX shell can.
local function on_terminal()
    if package.config:sub(1, 1) ~= "/" then
        return false
    end
    local result = os.execute("test -t 2")
    return result == true or result == 0 -- a boolean since 5.2, the status in 5.1
end

--- `client:generate`, with a sign of life for a person who waits. While it waits, the module calls a
--- function of its own ten times a second, for hooks like this one.
local function generate_with_ticker(client, params)
    if not on_terminal() then
        return client:generate(params)
    end
    local start, shown = os.time(), nil
    local function tick()
        local seconds = os.time() - start
        if seconds ~= shown then
            shown = seconds
            io.stderr:write(("\rwaiting for the gateway … %d s "):format(seconds))
        end
    end
    tick()
    debug.sethook(tick, "c")
    -- Protected, because Ctrl-C is an error and must not leave the line behind.
    local ok, response, err = pcall(client.generate, client, params)
    debug.sethook()
    io.stderr:write("\r\27[K")
    if not ok then
        error(response, 0)
    end
    return response, err
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

local function print_image(image, path)
    local dimensions = image.width and ("%dx%d"):format(image.width, image.height) or "unknown size"
    print(("%s  %s  %s"):format(path, dimensions, readable_size(image.size)))
end

local ERROR_FIELDS = {
    "kind", "message", "status", "code", "type", "param", "request_id", "retry_after", "attempts",
    "maybe_billed",
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

--- Reports a failure of `generate` and returns the exit status.
local function fail(err, as_json)
    warn(err)
    if as_json then
        print(encode_json({ error = error_record(err) }))
    end
    return 1
end

local function report_record(response, saved, problem)
    local images = {}
    for index, image in ipairs(response.data) do
        images[index] = {
            path = saved[index] or nil,
            width = image.width,
            height = image.height,
            size = image.size,
            mime = image.mime,
            revised_prompt = image.revised_prompt,
        }
    end
    return {
        created = response.created,
        model = response.model,
        cost = response.cost,
        request_id = response.request_id,
        attempts = response.attempts,
        timing = response.timing,
        images = images,
        error = problem and error_record(problem) or nil,
    }
end

--- Saves what came, says where it is, and returns the exit status. A failure in the middle of an answer
--- leaves the pictures that were whole: they are paid for, and saved like others.
local function deliver(response, err, options, path)
    response = response or { data = err.data }
    local asked = options.n or 1
    local count = math.max(asked, #response.data)
    local saved, problem = {}, err
    for index, image in ipairs(response.data) do
        local place, message = save(image, numbered(path, index, count), options.force)
        saved[index] = place or false
        if message then
            warn(message)
            problem = problem or failure("io", message)
        end
        if place and not options.json then
            print_image(image, place)
        end
    end
    if #response.data < asked then
        warn(("%d of %d pictures came"):format(#response.data, asked))
    end
    if options.json then
        print(encode_json(report_record(response, saved, problem)))
    end
    if err then
        warn(err)
    end
    return problem and 1 or 0
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

local function read_prompt(argument)
    if argument ~= "-" then
        return argument
    end
    local text = io.read("*a") or ""
    return (text:gsub("\r?\n$", ""))
end

local commands = {}

function commands.generate(options)
    local prompt = read_prompt(options.prompt)
    local path = options.output or slug(prompt)
    local problem = output_obstacle(path, options.n or 1, options.force)
    if problem then
        return fail(failure("io", problem), options.json)
    end

    local thucchien, missing = load_module()
    if not thucchien then
        return fail(failure("error", missing), options.json)
    end
    local client, refusal = thucchien.new({
        base_url = options.base_url,
        timeout = options.timeout,
    })
    if not client then
        return fail(refusal, options.json)
    end
    local response, err = generate_with_ticker(client, {
        prompt = prompt,
        n = options.n,
        size = options.size,
        aspect_ratio = options.aspect_ratio,
        model = options.model,
    })
    client:close()
    if not response and not err.data then
        return fail(err, options.json)
    end
    return deliver(response, err, options, path)
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

local function version()
    local module, missing = load_module()
    local name = module and module._VERSION or "thucchien (" .. one_line(missing) .. ")"
    return ("%s (%s)"):format(name, jit and jit.version or _VERSION)
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

local function add_generate(parser)
    local command = parser:command("generate", "Make pictures from a prompt and save them.")
    add_help(command)
    command:argument("prompt", "What to draw; `-` reads it from standard input."):argname("PROMPT")
    command:option("-o", "File to write. Without an extension it gets the true one; "
        .. "several pictures are numbered. Default: a name made from the prompt.")
        :argname("FILE"):target("output")
    command:option("-n", "How many pictures (default 1).")
        :argname("N"):convert(whole_number(1, 1000, "-n takes a whole number from 1"))
    command:option("--size", "Width and height, such as 1536x1024."):argname("S")
    command:option("--aspect-ratio", "Shape, such as 16:9; wins over --size."):argname("R")
    command:option("--model", "Model (default imagen-4)."):argname("M")
    command:option("--base-url", "Address of the gateway (default $THUCCHIEN_BASE_URL, "
        .. "or https://api.thucchien.ai)."):argname("U")
    command:option("--timeout", "Seconds that one attempt may take (default 300).")
        :argname("S"):convert(number_between(1e-3, 1e6, "--timeout takes seconds"))
    command:flag("--json", "Print one JSON object instead of text.")
    command:flag("--force", "Overwrite files that exist.")
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
    command:flag("--stop-on-eof", "Stop when standard input ends.")
end

local function build_parser(argparse)
    local parser = argparse("thucchien", "Pictures from the AI Thực Chiến gateway.",
        "The key is read from the environment variable THUCCHIEN_API_KEY and from nowhere else.")
    parser:command_target("command"):help_max_width(80)
    add_help(parser)
    parser:flag("--version", "Show the version and exit."):action(function()
        leave(0, version())
    end)
    add_generate(parser)
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
---@return integer status 0 success, 1 failure, 2 wrong usage
function cli.main(arguments)
    local ok, result = pcall(run, arguments)
    if ok then
        return result
    elseif type(result) == "table" and result.leave then
        io.stdout:write(result.stdout and result.stdout .. "\n" or "")
        io.stderr:write(result.stderr or "")
        return result.leave
    end
    -- `lua` turns Ctrl-C into this error.
    local interrupted = tostring(result):find("interrupted!", 1, true)
    warn(interrupted and "interrupted" or result)
    return 1
end

return cli
