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
local quote = require("spec.support.command").quote

local HERE = lfs.currentdir()
local PLUGIN = os.getenv "NVIM_PLUGIN" or HERE
local KEY = "sk-specs-0123456789abcdef"

local function run(command)
    local pipe = assert(io.popen(command .. " 2>&1; echo \"|$?\""))
    local output, status = pipe:read("*a"):match "^(.*)|(%d+)\n$"
    pipe:close()
    return tonumber(status), output
end

-- Nothing of the user's, but the plugin.
local INIT = "-u NONE --cmd " .. quote("luafile " .. HERE .. "/spec/hosts/nvim/init.lua")
local WITH_PLUGIN = INIT .. " -c 'runtime plugin/thucchien.lua'"

local emulator, pictures, work

-- What begins a command: Neovim's environment, with all its directories below the temporary one.
local function environment(url)
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
    set("THUCCHIEN_BASE_URL", url or emulator.url)
    set("THUCCHIEN_API_KEY", KEY)
    set("no_proxy", "127.0.0.1")
    set("ASAN_OPTIONS", "detect_leaks=0")
    if os.getenv "NVIM_PRELOAD" then
        set("LD_PRELOAD", os.getenv "NVIM_PRELOAD")
    end
    return table.concat(words, " ")
end

-- Starts a Neovim; returns its status, what it printed, and when it had ended.
local function start(nvim, arguments)
    local command = ("%s timeout 60 %s --headless -i NONE %s </dev/null"):format(environment(), quote(nvim), arguments)
    local status, output = run(command)
    return status, output, system.monotime()
end

-- A Neovim on a terminal, tmux's, with a file in it.
local terminal = {}
terminal.__index = terminal

function terminal.open(nvim, url)
    local self = setmetatable({ tmux = "tmux -f /dev/null -S " .. quote(work .. "/tmux") .. " " }, terminal)
    local path = work .. "/text/note.md"
    local file = assert(io.open(path, "w"))
    file:write "Before the picture.\n"
    file:close()
    local command = ("%s TERM=screen timeout --foreground 60 %s -i NONE -n %s -c %s %s 2>%s/errors"):format(environment(url), quote(nvim),
        WITH_PLUGIN, quote 'lua require("thucchien.nvim").setup { client = { retry = "none" } }', path, work)
    local status, output = run(("env -u TMUX %s new-session -d -x 100 -y 20 %s"):format(self.tmux, quote(command)))
    assert(status == 0, output)
    return self
end

function terminal:type(keys)
    assert(run(self.tmux .. "send-keys " .. keys) == 0)
end

-- Waits until the screen has all the plain texts; returns it.
function terminal:wait(...)
    local deadline = system.monotime() + 60
    local screen
    repeat
        system.sleep(0.05)
        screen = select(2, run(self.tmux .. "capture-pane -p"))
        local missing = 0
        for _, text in ipairs { ... } do
            missing = missing + (screen:find(text, 1, true) and 0 or 1)
        end
        if missing == 0 then
            return screen
        end
    until system.monotime() > deadline
    error("the screen does not have it:\n" .. screen)
end

function terminal:close()
    run(self.tmux .. "kill-server")
end

local function run_case(nvim, name)
    return start(nvim, INIT .. " -c " .. quote(("lua run_case(%q)"):format(name)))
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

        describe("on a terminal", function()
            if run "tmux -V" ~= 0 then
                pending "needs tmux"
                return
            end

            local screen

            after_each(function()
                screen:close()
            end)

            it("shows where it draws, and then the link", function()
                screen = terminal.open(editor[2])
                screen:wait "Before"
                screen:type "'$:Thucchien a lighthouse at dusk' Enter"
                local shown = screen:wait("Before the picture.![a lighthouse at dusk](a-lighthouse-at-dusk.png)",
                    "text/a-lighthouse-at-dusk.png (")
                assert.is_nil(shown:find("drawing", 1, true))
            end)

            -- luv's own messages would stand across the text until the next redraw.
            it("has nothing printed over it when nobody is there", function()
                screen = terminal.open(editor[2], "http://127.0.0.1:1")
                screen:wait "Before"
                screen:type "'$:Thucchien a lighthouse at dusk' Enter"
                screen:wait("Before the picture.", "connection: ")
                assert.is_nil(io.open(work .. "/errors"):read("*a"):find("EBADF", 1, true))
            end)
        end)

        it("draws in a command of its command line, before there is a cursor", function()
            local status, output = start(editor[2], ("%s %s/text/a.md -c 'Thucchien a kite' -c %s"):format(WITH_PLUGIN,
                work, quote "lua vim.wait(10000, function() return require('thucchien.nvim').pending() == 0 end) vim.cmd 'wqa'"))
            assert(status == 0, output)
            assert.is_nil(output:find("Error", 1, true))
            assert.equal("![a kite](a-kite.png)\n", io.open(work .. "/text/a.md"):read "*a")
        end)

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
