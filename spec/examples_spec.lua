--- The programs in examples/: each runs as a process of its own, against the emulator, in a directory that is
-- thrown away.

local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"

local root, lua = command.root, command.lua

-- What each prints, in any order, and saves. The emulator draws PNG files.
local EXAMPLES = {
    ["blocking.lua"] = { prints = { "lighthouse%.png%s1408x768\n" }, saves = { "lighthouse.png" } },
    ["many_at_once.lua"] = {
        prints = { "a%-lighthouse%.png%s[%d.]+ s\n", "rice%-terraces%.png%s[%d.]+ s\n" },
        saves = { "a-lighthouse.png", "rice-terraces.png", "a-river-delta.png", "a-bridge-in-fog.png" },
    },
    ["coroutines.lua"] = {
        prints = { "a%-lighthouse%-1%.png\n.*a%-lighthouse%-2%.png\n" },
        saves = { "a-lighthouse-1.png", "a-lighthouse-2.png", "a-fishing-boat-1.png", "a-fishing-boat-2.png" },
    },
    ["strip.lua"] = {
        prints = { "panel%-1%.png\n.*panel%-4%.png\n$" },
        saves = { "panel-1.png", "panel-2.png", "panel-3.png", "panel-4.png" },
    },
    ["libuv.lua"] = {
        needs = "luv",
        prints = { "a%-lighthouse%.png\n", "the clock went on\n$" },
        saves = { "a-lighthouse.png", "rice-terraces.png" },
    },
    ["cqueues.lua"] = {
        needs = "cqueues",
        prints = { "a%-lighthouse%.png\n", "the clock went on\n$" },
        saves = { "a-lighthouse.png", "rice-terraces.png" },
    },
}

describe("examples", function()
    local emulator, directory

    fixtures.emulator(function(started) emulator = started end)
    fixtures.directory(function(path) directory = path end)

    -- Returns whether the program succeeded, and what it printed.
    local function run(name, url, arguments)
        local environment = table.concat({
            "THUCCHIEN_BASE_URL=" .. command.quote(url or emulator.url), "THUCCHIEN_API_KEY=sk-examples",
            "LUA_PATH=" .. command.quote(root .. "/lua/?.lua;" .. package.path), "LUA_CPATH=" .. command.quote(package.cpath),
        }, " ")
        local result = os.execute(("cd %s && %s %s %s %s >output 2>&1 </dev/null"):format(
            command.quote(directory), environment, lua, command.quote(root .. "/examples/" .. name), arguments or ""))
        return result == true or result == 0, command.read(directory .. "/output")
    end

    for name, expected in pairs(EXAMPLES) do
        it("has " .. name .. ", which does what it says", function()
            if expected.needs and not command.has_module(expected.needs) then
                pending("needs " .. expected.needs)
                return
            end
            local ok, output = run(name)
            assert.is_true(ok, output)
            for _, pattern in ipairs(expected.prints) do
                assert.matches(pattern, output)
            end
            for _, path in ipairs(expected.saves) do
                assert.equal("\137PNG", (command.read(directory .. "/" .. path) or path .. " is not there"):sub(1, 4))
            end
        end)
    end

    it("has a strip that shows its panels in a row, and begins with a picture where one is given", function()
        assert.is_true(run "strip.lua")
        local page, first = command.read(directory .. "/strip.html"), command.read(directory .. "/panel-1.png")
        for panel = 1, 4 do
            assert.matches('<img src="panel%-' .. panel .. '%.png" alt="[^"]+"', page)
        end
        local ok, output = run("strip.lua", nil, ". panel-2.png")
        assert.is_true(ok, output)
        assert.is_true(first ~= command.read(directory .. "/panel-1.png"), "the picture changed nothing")
    end)

    it("has a strip that says which picture is not there, and draws nothing", function()
        local ok, output = run("strip.lua", nil, ". none.png")
        assert.is_false(ok)
        assert.matches("cannot read 'none%.png'", output)
        assert.is_nil(command.read(directory .. "/panel-1.png"))
    end)

    it("says what went wrong in one line, and with its status", function()
        for _, name in ipairs { "blocking.lua", "many_at_once.lua" } do
            local ok, output = run(name, "http://127.0.0.1:1")
            assert.is_false(ok, name)
            assert.matches("connection: ", output)
        end
    end)

    it("tells how to run each", function()
        for name in require("lfs").dir(root .. "/examples") do
            if name:match "%.lua$" then
                assert.is_truthy(EXAMPLES[name], name .. " is not tested")
                local head = command.read(root .. "/examples/" .. name):match "^(.-)\n\n"
                assert.matches("thucchien emulator %-%-port 8090", head)
                assert.matches("lua[jit5.4]+ examples/" .. name:gsub("%p", "%%%0"), head)
            end
        end
    end)
end)
