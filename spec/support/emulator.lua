-- Starts the emulator as the process that a user starts, and gives its address. It runs under LuaJIT whatever
-- Lua the specs run under, because it draws fastest there.
--
--     local emulator = require("spec.support.emulator").start { images = "some/directory" }
--     … emulator.url …
--     emulator:stop()

local lfs = require "lfs"
local process = require "spec.support.process"

local support = {}

local LUA = os.getenv "EMULATOR_LUA" or "luajit"

-- The checkout: busted is started there.
local root = lfs.currentdir()

---@class spec.emulator.options
---@field images? string  # a directory of pictures to serve
---@field delay? number   # seconds before each answer
---@field args? string[]  # further arguments

---@param options? spec.emulator.options
---@return table process  # url, log(), await(pattern), stop()
function support.start(options)
    options = options or {}
    local words = { LUA, root .. "/bin/thucchien", "emulator", "--port", "0", "--stop-on-eof" }
    local function add(name, value)
        if value then
            words[#words + 1], words[#words + 2] = name, tostring(value)
        end
    end
    add("--images", options.images)
    add("--delay", options.delay)
    for _, word in ipairs(options.args or {}) do
        words[#words + 1] = word
    end
    return process.start("the emulator", words)
end

return support
