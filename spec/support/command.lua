-- For specs that run the command, or any program, as a user does: by a shell, in a directory that is thrown away.

local lfs = require "lfs"

local command = {}

-- The checkout: busted is started there.
command.root = lfs.currentdir()
command.lua = os.getenv "LUA" or (jit and "luajit") or "lua" .. _VERSION:match "%d+%.%d+"

---@param text string
---@return string # one word for a shell
function command.quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

---@param path string
---@return string? # nil if the file is not there
function command.read(path)
    local file = io.open(path, "rb")
    local text = file and file:read "*a"
    if file then
        file:close()
    end
    return text
end

---@param path string
---@param text string
function command.write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

---@param inside? string # a directory; that for temporary files if not given
---@return string path # of a new directory
function command.new_directory(inside)
    local path = os.tmpname()
    os.remove(path)
    path = inside and inside .. path:match "/[^/]*$" or path
    assert(lfs.mkdir(path))
    return path
end

---@param path string
function command.remove_directory(path)
    os.execute("rm -rf " .. command.quote(path))
end

---@param path string # of a directory
---@return boolean # has it certificates under their hashes, as OpenSSL looks for them?
function command.has_hashes(path)
    for name in lfs.dir(path) do
        if name:match "^%x%x%x%x%x%x%x%x%.0$" then
            return true
        end
    end
    return false
end

---@param path string # of a directory
---@return string[] # the names of all that is in it, sorted
function command.names(path)
    local names = {}
    for name in lfs.dir(path) do
        if name ~= "." and name ~= ".." then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    return names
end

---Whether the Lua of the specs has a module. It is not loaded here: a second luv in one process, which busted's
---fresh environment for each file makes of it, is one too many.
---@param name string
---@return boolean
function command.has_module(name)
    return command.execute(("%s -e %s >/dev/null 2>&1"):format(command.lua, command.quote("require '" .. name .. "'"))) == 0
end

---@return boolean # does AddressSanitizer watch, which keeps freed memory for long and is preloaded itself?
function command.is_sanitized()
    local maps = io.open "/proc/self/maps"
    local text = maps and maps:read "*a" or ""
    if maps then
        maps:close()
    end
    return text:find("libasan", 1, true) ~= nil
end

---Runs Lua code in a process of its own and returns what it printed.
---@param code string
---@param environment table<string, string>
---@return string
function command.run_lua(code, environment)
    local path, words = os.tmpname(), {}
    for name, value in pairs(environment) do
        words[#words + 1] = name .. "=" .. command.quote(value)
    end
    command.write(path, code)
    local pipe = assert(io.popen(("env %s %s %s 2>&1"):format(table.concat(words, " "), command.lua, path)))
    local printed = pipe:read "*a"
    pipe:close()
    os.remove(path)
    return printed
end

---@param line string
---@return integer # the exit status of a shell's line
function command.execute(line)
    local result, _, code = os.execute(line)
    return type(result) == "number" and math.floor(result / 256) or code -- the status in 5.1 and LuaJIT
end

return command
