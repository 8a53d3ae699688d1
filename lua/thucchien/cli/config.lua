--- Settings from files, for options of the command that nobody wants to type each time.
--
-- A setting is looked for in this order: the option, the environment, --env-file, ./.thucchien, the
-- user's own file. Inside a file, the chosen profile comes before the lines above all profiles.

local config = {}

--- What a file may set, in the order in which `thucchien config` shows it. `env` is the variable that
--- wins over files. `number` says what kind of number the value has to be. `own` means that only the
--- user's own file may set it: ./.thucchien may come from others, with a checkout or an archive, and
--- they could send the key to a server of theirs.
local SETTINGS = {
    { name = "base_url", env = "THUCCHIEN_BASE_URL", own = true },
    { name = "proxy", own = true },
    { name = "key_file", own = true },
    { name = "timeout", number = "seconds" },
    { name = "retry" },
    { name = "max_retries", number = "a whole number" },
    { name = "folder" },
    { name = "model", env = "THUCCHIEN_MODEL" },
    { name = "via" }, { name = "size" }, { name = "aspect_ratio" }, { name = "quality" }, { name = "style" },
    { name = "background" }, { name = "output_format" }, { name = "negative_prompt" },
    { name = "seed", number = "a whole number" },
}

local DEFAULTS = { base_url = "https://api.thucchien.ai", model = "imagen-4" }

local SETTING = {}
for _, setting in ipairs(SETTINGS) do
    SETTING[setting.name] = setting
end

--- A variable of the environment, or nil where it is empty or unset.
local function environment(name)
    local value = name and os.getenv(name)
    return value ~= "" and value or nil
end

local function home_path(path)
    return (path:gsub("^~/", function()
        return (os.getenv("HOME") or "") .. "/"
    end))
end

local function own_path()
    local base = environment("XDG_CONFIG_HOME")
    return (base or home_path("~/.config")) .. "/thucchien/config"
end

--- The text of a file; nil where there is none, or nil and why it cannot be read.
local function read(path)
    local file, message, code = io.open(path, "rb")
    if not file then
        return nil, code ~= 2 and message or nil -- 2 is ENOENT
    end
    local text, problem = file:read("*a")
    file:close()
    return text, not text and path .. ": " .. tostring(problem) or nil
end

-- ---- one file ----------------------------------------------------------------------------------

--- The value of a setting, or nil and what is wrong with it. `is_own`: it is in the user's own file.
local function check(name, text, is_own)
    local setting = SETTING[name]
    if not setting then
        return nil, ("unknown setting '%s'"):format(name)
    elseif setting.own and not is_own then
        return nil, ("'%s' is read from %s alone: this file may be somebody else's"):format(name, own_path())
    elseif setting.number then
        local number = tonumber(text)
        return number, not number and ("%s: %s expected, got '%s'"):format(name, setting.number, text) or nil
    end
    return text, text == "" and name .. ": a value expected" or nil
end

--- Reads `name = value` lines, '#' comments and [profile] headings. Returns the settings of the profile
--- (of none if it is ""), completed by those above all headings, by name, each { value, origin }; or nil
--- and a message for a line that is wrong. Adds the headings to the set `profiles`.
local function parse(path, text, profile, is_own, profiles)
    local found, section, number = { [""] = {}, [profile] = {} }, "", 0
    for line in (text .. "\n"):gmatch("(.-)\r?\n") do
        number = number + 1
        local heading = line:match("^%s*%[%s*([%w_.-]+)%s*%]%s*$")
        local name, value = line:match("^%s*([%w_]+)%s*=%s*(.-)%s*$")
        local problem
        if heading then
            section = heading
            profiles[heading] = true
        elseif name then
            value, problem = check(name, value, is_own)
            if found[section] and not problem then
                found[section][name] = { value, ("%s:%d"):format(path, number) }
            end
        elseif not line:find("^%s*#") and line:find("%S") then
            problem = "a line is `name = value`, `[profile]` or a `# comment`"
        end
        if problem then
            return nil, ("%s:%d: %s"):format(path, number, problem)
        end
    end
    for name, setting in pairs(profile ~= "" and found[profile] or {}) do
        found[""][name] = setting
    end
    return found[""]
end

--- The variables of THUCCHIEN_ that a file of NAME=VALUE lines has, each { value, origin }.
local function parse_env(path, text)
    local found, number = {}, 0
    for line in (text .. "\n"):gmatch("(.-)\r?\n") do
        number = number + 1
        local name, value = line:gsub("^%s*export%s+", ""):match("^%s*(THUCCHIEN_[%u_]+)=(.-)%s*$")
        if name then
            value = value:match("^'(.*)'$") or value:match('^"(.*)"$') or value
            found[name] = value ~= "" and { value, ("%s:%d"):format(path, number) } or nil
        end
    end
    return found
end

-- ---- the key -----------------------------------------------------------------------------------

--- May others read the file? Asks `ls`; where there is none, says false.
local function is_open_to_others(path)
    if package.config:sub(1, 1) ~= "/" then
        return false
    end
    local listed = io.popen("ls -ldL '" .. path:gsub("'", "'\\''") .. "' 2>/dev/null")
    local mode = listed:read("*l") or ""
    listed:close()
    return mode:find("^....r") ~= nil or mode:find("^.......r") ~= nil
end

--- The key of a key file, or nil and a message. The message never has the key in it.
local function read_key(path)
    path = home_path(path)
    local text, problem = read(path)
    if not text then
        return nil, problem or path .. ": there is no such file (key_file)"
    elseif is_open_to_others(path) then
        return nil, ("%s: others can read the key; `chmod 600 %s` keeps it yours"):format(path, path)
    end
    local key = text:match("^%s*(%S+)%s*$")
    return key, not key and path .. ": the key expected, and nothing else" or nil
end

-- ---- all of them -------------------------------------------------------------------------------

--- What the files say: settings by name, each { value, origin }; or nil and a message.
local function read_files(profile)
    local found, profiles, own = {}, {}, own_path()
    for _, path in ipairs({ own, ".thucchien" }) do
        local text, problem = read(path)
        local settings = {}
        if text then
            settings, problem = parse(path, text, profile, path == own, profiles)
        end
        if problem then
            return nil, problem
        end
        for name, setting in pairs(settings) do
            found[name] = setting
        end
    end
    if profile ~= "" and not profiles[profile] then
        return nil, ("no profile [%s] in %s or .thucchien"):format(profile, own)
    end
    return found
end

--- Completes the options from the environment and the files. Returns where each comes from, by name, or
--- nil and a message. The key goes to `options.api_key`, unless the environment has it, where the module
--- finds it by itself.
function config.complete(options)
    local files, problem = read_files(options.profile or environment("THUCCHIEN_PROFILE") or "")
    local variables = {}
    if files and options.env_file then
        local text
        text, problem = read(options.env_file)
        problem = problem or (not text and options.env_file .. ": there is no such file") or nil
        variables = text and parse_env(options.env_file, text) or {}
    end
    if problem then
        return nil, problem
    end
    local origins = {}
    for _, setting in ipairs(SETTINGS) do
        local name = setting.name
        if options[name] ~= nil then
            origins[name] = "option"
        elseif environment(setting.env) then
            origins[name] = "$" .. setting.env
        else
            local found = variables[setting.env or ""] or files[name]
            options[name], origins[name] = found and found[1], found and found[2]
        end
    end
    if environment("THUCCHIEN_API_KEY") then
        origins.api_key = "$THUCCHIEN_API_KEY"
    elseif variables.THUCCHIEN_API_KEY then
        options.api_key, origins.api_key = variables.THUCCHIEN_API_KEY[1], variables.THUCCHIEN_API_KEY[2]
    elseif options.key_file then
        options.api_key, problem = read_key(options.key_file)
        origins.api_key = home_path(options.key_file)
    end
    if problem then
        return nil, problem
    end
    return origins
end

--- The settings that hold, and where they come from: a list of { name, value, origin }. Of the key only
--- the end is shown.
function config.describe(options, origins)
    local rows = {}
    local key = environment("THUCCHIEN_API_KEY") or options.api_key
    rows[1] = { "key", key and (#key > 12 and "..." .. key:sub(-4) or "...") or "none", origins.api_key or "-" }
    for _, setting in ipairs(SETTINGS) do
        local name = setting.name
        local value = options[name]
        if value == nil and origins[name] then
            value = environment(setting.env)
        end
        if value == nil then
            value = DEFAULTS[name]
        end
        if value ~= nil then
            rows[#rows + 1] = { name, tostring(value), origins[name] or "default" }
        end
    end
    return rows
end

return config
