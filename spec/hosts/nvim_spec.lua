-- The plugin inside real Neovims: the one in PATH, and $NVIM_CURRENT, a path. The cases are in nvim/cases.lua;
-- each has a Neovim of its own, with all its directories below a temporary one.
--
-- $NVIM_PLUGIN is another checkout to load than this one, $NVIM_PRELOAD a library to load into Neovim first: both
-- for sanitizers.

if _VERSION ~= "Lua 5.4" then
    return -- which Lua starts Neovim makes no difference to it
end

local lfs = require "lfs"
local system = require "system"
local emulators = require "spec.support.emulator"

local HERE = lfs.currentdir()
local PLUGIN = os.getenv "NVIM_PLUGIN" or HERE
local KEY = "sk-specs-0123456789abcdef"

local function quote(text)
    return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function run(command)
    local pipe = assert(io.popen(command .. " 2>&1; echo \"|$?\""))
    local output, status = pipe:read("*a"):match "^(.*)|(%d+)\n$"
    pipe:close()
    return tonumber(status), output
end

local emulator, pictures, work

-- Starts a Neovim; returns its status, what it printed, and when it had ended.
local function start(nvim, arguments)
    local words = { "env", "-u", "LUA_PATH", "-u", "LUA_CPATH", "-u", "LD_PRELOAD" }
    local function set(name, value)
        words[#words + 1] = quote(name .. "=" .. value)
    end
    for _, name in ipairs { "CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR" } do
        set("XDG_" .. name, work .. "/xdg")
    end
    set("HOME", work)
    set("WORK", work .. "/text")
    set("PLUGIN", PLUGIN)
    set("PICTURE", pictures .. "/lighthouse.png")
    set("THUCCHIEN_BASE_URL", emulator.url)
    set("THUCCHIEN_API_KEY", KEY)
    set("no_proxy", "127.0.0.1")
    set("ASAN_OPTIONS", "detect_leaks=0")
    if os.getenv "NVIM_PRELOAD" then
        set("LD_PRELOAD", os.getenv "NVIM_PRELOAD")
    end
    local command = ("%s timeout 60 %s --headless -i NONE %s </dev/null"):format(table.concat(words, " "),
        quote(nvim), arguments)
    local status, output = run(command)
    return status, output, system.monotime()
end

local function run_case(nvim, name)
    return start(nvim, ("-u NONE --cmd %s -c %s"):format(
        quote("luafile " .. HERE .. "/spec/hosts/nvim/init.lua"), quote(("lua run_case(%q)"):format(name))))
end

-- The Neovims that are there: { name, path }.
local function find_editors()
    local found = {}
    for _, candidate in ipairs { "nvim", os.getenv "NVIM_CURRENT" } do
        local status, output = run(quote(candidate) .. " --version")
        if status == 0 then
            found[#found + 1] = { output:match "^[^\n]+", candidate }
        end
    end
    return found
end

local editors = find_editors()
if #editors == 0 then
    pending "the plugin for Neovim: no Neovim is installed"
    return
end
if not io.open(PLUGIN .. "/lua/thucchien.so") then
    pending "the plugin for Neovim: its module is not built (make nvim)"
    return
end

setup(function()
    local _, output = run "mktemp -d"
    pictures = output:match "%S+"
    assert(run(("cp doc/lighthouse.png %s"):format(quote(pictures))) == 0)
    emulator = emulators.start { images = pictures }
end)

teardown(function()
    emulator:stop()
    run("rm -r " .. quote(pictures))
end)

before_each(function()
    local _, output = run "mktemp -d"
    work = output:match "%S+"
    run(("mkdir -m 700 %s/xdg %s/text"):format(work, work))
end)

after_each(function()
    run("rm -r " .. quote(work))
end)

for _, editor in ipairs(editors) do
    describe("the plugin in " .. editor[1], function()
        for _, case in ipairs(dofile "spec/hosts/nvim/cases.lua") do
            it(case[1], function()
                local status, output, ended = run_case(editor[2], case[1])
                assert(status == 0, output)
                assert.is_nil(output:find(KEY, 1, true))
                local quitting = output:match "\nquitting at ([%d.]+)\n"
                if quitting then
                    assert.is_true(ended - quitting < 1)
                end
            end)
        end

        it("is loaded from a directory of packages, as plugin managers do it", function()
            run(("mkdir -p %s/xdg/nvim/site/pack/x/start && ln -s %s %s/xdg/nvim/site/pack/x/start/thucchien"):format(
                work, quote(PLUGIN), work))
            local status, output = start(editor[2], "-c " .. quote(
                'lua io.stderr:write(vim.fn.exists ":Thucchien", " ", require("thucchien.nvim").load()._VERSION)')
                .. " -c qa")
            assert.equal(0, status)
            assert.matches("2 thucchien %d", output)
        end)
    end)
end
