-- What make installs: .ci/deps.sh with an apt and a dpkg of the specs', which note what they are asked.

local command = require "spec.support.command"

local directory

-- Both refuse what conflicts with a package that is there, as apt does: $CONFLICTS are the names, $VICTIM is what
-- would go. $INSTALLED is what dpkg knows of.
local PROGRAMS = {
    ["apt-get"] = [[
        echo "$*" >>"$NOTES"
        case $1 in update) exit ${UPDATE:-0} ;; esac
        for word in "$@"; do
            case " $CONFLICTS " in *" $word "*)
                case $* in
                *--no-remove*) echo "E: Packages need to be removed but remove is disabled." >&2; exit 100 ;;
                *) echo "Remv $VICTIM [1.0]" ;;
                esac ;;
            esac
        done
    ]],
    ["dpkg-query"] = [[for name in $INSTALLED; do echo "$name installed"; done]],
    dpkg = "exit 0",
    id = [[echo "${USER_ID:-0}"]],
    sudo = "exit 1",
    luajit = "exit 0",
    compiler = "cat >/dev/null", -- finds every header
}

local BASE = "gcc libc6-dev libcurl4-openssl-dev lua-cjson lua-argparse ca-certificates"

setup(function()
    directory = command.new_directory()
    for name, code in pairs(PROGRAMS) do
        command.write(directory .. "/" .. name, "#!/bin/sh\n" .. code .. "\n")
        command.execute("chmod +x " .. directory .. "/" .. name)
    end
end)

teardown(function()
    command.remove_directory(directory)
end)

-- Runs it for `groups` with these variables. Returns the status, what it printed, and what apt was asked.
local function run(groups, variables)
    local words = { "PATH=" .. command.quote(directory) .. ":$PATH", "NOTES=" .. command.quote(directory .. "/notes"), "CC=false" }
    for name, value in pairs(variables) do
        words[#words + 1] = name .. "=" .. command.quote(value)
    end
    command.write(directory .. "/notes", "")
    local status = command.execute(("env %s .ci/deps.sh %s >%s/printed 2>&1"):format(table.concat(words, " "), groups, directory))
    return status, command.read(directory .. "/printed"), command.read(directory .. "/notes")
end

-- The packages that were installed for good.
local function installed(notes)
    for line in notes:gmatch "[^\n]+" do
        local names = line:match "^install (.*)$"
        if names and not names:find "%-s " then
            assert.matches("%-%-no%-remove", names)
            return names:match "Use%-Pty=0 (.*)$"
        end
    end
    return nil
end

describe("what make installs", function()
    it("is nothing where all is there", function()
        for _, luajit in ipairs { "luajit libluajit-5.1-dev", "luajit2 libluajit2-5.1-dev", "luajit libluajit2-5.1-dev" } do
            local status, printed, notes = run("build run", {
                LUA = "luajit", INSTALLED = BASE .. " " .. luajit,
            })
            assert.same({ 0, "", "" }, { status, printed, notes })
        end
        assert.same({ 0, "", "" }, { run("build", { LUA = "luajit", INSTALLED = BASE:gsub("gcc", "clang") .. " libluajit2-5.1-dev" }) })
    end)

    it("is the usual LuaJIT where there is none", function()
        local status, printed, notes = run("build run", { LUA = "luajit", INSTALLED = BASE })
        assert.equal(0, status)
        assert.equal("libluajit-5.1-dev luajit", installed(notes))
        assert.equal("installing: libluajit-5.1-dev luajit\n", printed)
    end)

    it("is OpenResty's LuaJIT where its library is in use", function()
        local status, _, notes = run("build run", {
            LUA = "luajit", INSTALLED = BASE, CONFLICTS = "luajit libluajit-5.1-dev", VICTIM = "libnginx-mod-http-lua",
        })
        assert.equal(0, status)
        assert.equal("libluajit2-5.1-dev luajit2", installed(notes))
    end)

    it("takes nothing away: it says what would go, and stops", function()
        local status, printed, notes = run("build", {
            LUA = "luajit", INSTALLED = BASE, VICTIM = "libnginx-mod-http-lua",
            CONFLICTS = "luajit libluajit-5.1-dev luajit2 libluajit2-5.1-dev",
        })
        assert.equal(1, status)
        assert.matches("Missing, by the names of Debian's packages: libluajit%-5%.1%-dev\n", printed)
        assert.matches("would take away: libnginx%-mod%-http%-lua", printed)
        assert.matches("DEPS=no", printed)
        for line in notes:gmatch "[^\n]+" do
            assert.is_truthy(line:find "^update" or line:find "%-%-no%-remove" or line:find "^install %-s ", line)
        end
    end)

    it("is nothing where apt cannot and the contents are there all the same", function()
        local status = run("build", {
            LUA = "luajit", INSTALLED = "gcc", CONFLICTS = "libluajit-5.1-dev libluajit2-5.1-dev", VICTIM = "x", CC = "compiler",
        })
        assert.equal(0, status)
    end)

    it("comes from the lists that are there where no newer ones can be had", function()
        local status, printed, notes = run("build", { LUA = "lua5.4", INSTALLED = BASE, UPDATE = "100" })
        assert.equal(0, status)
        assert.matches("apt%-get update failed", printed)
        assert.equal("liblua5.4-dev", installed(notes))
    end)

    it("is named for who may not install, unless it is there", function()
        local status, printed, notes = run("build", { LUA = "luajit", INSTALLED = BASE, USER_ID = "1000" })
        assert.equal(1, status)
        assert.equal("Missing, by the names of Debian's packages: libluajit-5.1-dev\n"
            .. "Install them with: sudo apt-get install libluajit-5.1-dev\n", printed)
        assert.equal("", notes)
        assert.same({ 0, "", "" }, { run("build", { LUA = "luajit", INSTALLED = "", USER_ID = "1000", CC = "compiler" }) })
    end)
end)
