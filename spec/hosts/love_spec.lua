--- examples/love in a real LÖVE under Xvfb: with the module in the game's thread, and in threads of its own.

local command = require "spec.support.command"
local emulators = require "spec.support.emulator"
local lfs = require "lfs"
local pictures = require "spec.support.pictures"

local thucchien_module = "build/luajit/thucchien.so"

local root, quote, read = command.root, command.quote, command.read

describe("LÖVE", function()
    if command.execute "{ command -v love && command -v xvfb-run; } >/dev/null 2>&1" ~= 0 then
        pending "needs LÖVE and Xvfb (Debian: love xvfb xauth)"
        return
    elseif not lfs.attributes(root .. "/" .. thucchien_module, "mode") then
        pending "needs the module for LuaJIT (make LUA=luajit)"
        return
    end

    local emulator, directory

    setup(function()
        emulator = emulators.start {}
        directory = command.new_directory()
    end)

    teardown(function()
        emulator:stop()
        command.remove_directory(directory)
    end)

    -- Runs a program of LÖVE's. Returns its status, and what it printed.
    local function love(arguments, more)
        local environment = ("HOME=%s XDG_RUNTIME_DIR=%s LIBGL_ALWAYS_SOFTWARE=1 THUCCHIEN_BASE_URL=%s "
            .. "THUCCHIEN_API_KEY=sk-love %s"):format(quote(directory), quote(directory),
            quote(emulator.url), more or "")
        os.execute(("cd %s && env -u LD_PRELOAD -u LUA_PATH -u LUA_CPATH %s timeout 120 "
            .. "xvfb-run -a -s '-screen 0 1280x800x24' love %s >output 2>&1 </dev/null; echo $? >status")
            :format(quote(directory), environment, arguments))
        return tonumber(read(directory .. "/status")), read(directory .. "/output")
    end

    for _, variant in ipairs { "", " --thread" } do
        it("shows six pictures" .. variant, function()
            local shot = directory .. "/shot.png"
            os.remove(shot)
            local status, output = love(quote(root .. "/examples/love") .. variant,
                "THUCCHIEN_SCREENSHOT=" .. quote(shot))
            assert.equal(0, status, output)
            local count, frames = output:match "(%d+) pictures, (%d+) frames, longest poll [%d.]+ ms\n"
            assert.equal("6", count, output)
            assert.is_true(tonumber(frames) > 10, output)
            local png = read(shot)
            assert.equal("\137PNG", png:sub(1, 4))
            assert.same({ 1200, 720 }, { pictures.png_dimensions(png) })
            assert.is_true(#png > 300000, "the window is empty")
            -- For people to look at.
            lfs.mkdir(root .. "/build/hosts")
            os.execute(("cp %s %s"):format(quote(shot), quote(root .. "/build/hosts/love"
                .. variant:gsub("%W", "") .. ".png")))
        end)

        it("shows what went wrong" .. variant, function()
            local status, output = love(quote(root .. "/examples/love") .. variant,
                "THUCCHIEN_BASE_URL=http://127.0.0.1:1 THUCCHIEN_SCREENSHOT=" .. quote(directory .. "/failed.png"))
            assert.equal(0, status, output)
            assert.matches("0 pictures, ", output)
        end)
    end

    -- A game without a window, for which main.lua's text is given. Returns its directory.
    local function make_game(name, main)
        local game = directory .. "/" .. name
        assert(lfs.mkdir(game))
        for file_name, text in pairs {
            ["main.lua"] = main,
            ["conf.lua"] = [[
                function love.conf(t)
                    t.window = false
                    t.modules.graphics, t.modules.audio, t.modules.joystick = false, false, false
                end
            ]],
        } do
            local file = assert(io.open(game .. "/" .. file_name, "wb"))
            file:write(text)
            file:close()
        end
        return game
    end

    it("ends at once with requests in flight", function()
        local game = make_game("quits", ([[
            package.cpath = %q .. "/build/luajit/?.so;" .. package.cpath
            local thucchien = require "thucchien"
            local client = assert(thucchien.new())
            local frames = 0
            function love.load()
                for _ = 1, 4 do client:submit { prompt = "x", model = "emulate/slow/600" } end
            end
            function love.update()
                frames = frames + 1
                print(client:poll(0))
                if frames == 30 then love.event.quit(7) end
            end
        ]]):format(root))
        local status, output = love(quote(game))
        assert.equal(7, status, output)
        assert.matches("4\n$", output)
    end)

    it("is clean with the address sanitizer", function()
        if not lfs.attributes(root .. "/build/asan-luajit/thucchien.so", "mode") then
            pending "needs the module with the sanitizer (make hosts)"
            return
        end
        local game = make_game("clean", ([[
            package.cpath = %q .. "/build/asan-luajit/?.so;" .. package.cpath
            local client = assert(require("thucchien").new())
            local ended, bytes = 0, 0
            for i = 1, 4 do
                client:submit({ prompt = "a kite " .. i, on_image = function(image)
                    bytes = bytes + love.filesystem.newFileData(image.bytes, "x.png"):getSize()
                end }, function(_, err)
                    ended = ended + 1
                    if err then print(err) end
                end)
            end
            function love.update()
                client:poll()
                if ended == 4 then
                    print(bytes > 1000000 and "all are there")
                    love.event.quit(0)
                end
            end
        ]]):format(root))
        local pipe = io.popen "${CC:-cc} -print-file-name=libasan.so"
        local runtime = pipe:read "*l"
        pipe:close()
        os.execute(("cd %s && env -u LUA_PATH -u LUA_CPATH HOME=%s XDG_RUNTIME_DIR=%s THUCCHIEN_BASE_URL=%s THUCCHIEN_API_KEY=sk-love "
            .. "ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD=%s timeout 60 love %s >output 2>&1 </dev/null; echo $? >status"):format(
            quote(directory), quote(directory), quote(directory), quote(emulator.url), quote(runtime), quote(game)))
        local output = read(directory .. "/output")
        assert.equal(0, tonumber(read(directory .. "/status")), output)
        assert.matches("all are there", output)
    end)
end)
