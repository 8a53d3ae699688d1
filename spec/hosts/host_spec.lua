--- examples/host: a C program with the module compiled in, by the compiler line that the README gives, with and
-- without valgrind. It has Lua 5.4 inside, whatever Lua runs this.

local command = require "spec.support.command"
local emulators = require "spec.support.emulator"
local lfs = require "lfs"
local mirrors = require "spec.support.mirror"

local root, quote, read, write = command.root, command.quote, command.read, command.write

local COMPILE = "cc -I/usr/include/lua5.4 host.c csrc/*/*.c -llua5.4 -lcurl -o host"
local VALGRIND = "valgrind --quiet --leak-check=full --error-exitcode=99 "

describe("the C host", function()
    if not lfs.attributes("/usr/include/lua5.4/lua.h", "mode") then
        pending "needs the headers of Lua 5.4 (Debian: liblua5.4-dev)"
        return
    end

    local emulator, mirror, directory

    -- Runs a shell line where the program is. Returns its status, and what it printed.
    local function shell(line, url)
        os.execute(("cd %s && (unset LD_PRELOAD LUA_PATH LUA_CPATH; export THUCCHIEN_BASE_URL=%s "
            .. "THUCCHIEN_API_KEY=sk-host; %s) >output 2>&1; echo $? >status"):format(
            quote(directory), quote(url or emulator.url), line))
        return tonumber(read(directory .. "/status")), read(directory .. "/output")
    end

    local has_valgrind

    setup(function()
        emulator, mirror = emulators.start {}, mirrors.start()
        directory = command.new_directory()
        assert(lfs.link(root .. "/csrc", directory .. "/csrc", true))
        write(directory .. "/host.c", read(root .. "/examples/host/host.c"))
        local status, output = shell(COMPILE)
        assert.equal(0, status, output)
        assert.equal("", output)
        has_valgrind = shell "command -v valgrind" == 0
    end)

    teardown(function()
        emulator:stop()
        mirror:stop()
        command.remove_directory(directory)
    end)

    it("makes a picture while its frames go on", function()
        local status, output = shell "./host 'a bridge in fog' bridge"
        assert.equal(0, status, output)
        local size = tonumber(output:match "bridge%.png%s(%d+) bytes\n")
        assert.equal(size, #read(directory .. "/bridge.png"))
        assert.is_true(tonumber(output:match "(%d+) frames\n$") > 3, output)
    end)

    it("is clean with the address sanitizer", function()
        local flags = " -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -o asan"
        local status, output = shell((COMPILE:gsub(" %-o host", flags)))
        assert.equal(0, status, output)
        status, output = shell "./asan 'a bridge in fog' clean"
        assert.equal(0, status, output)
        assert.is_truthy(lfs.attributes(directory .. "/clean.png"))
    end)

    it("says what went wrong, with its status", function()
        local status, output = shell("./host x", "http://127.0.0.1:1")
        assert.equal(1, status)
        assert.matches("connection: ", output)
        assert.equal(2, (shell "./host"))
    end)

    it("runs a script", function()
        write(directory .. "/one.lua", "print(require('thucchien')._VERSION, arg[0], arg[1])")
        local status, output = shell "./host one.lua two"
        assert.equal(0, status, output)
        assert.matches("^thucchien [%d.]+%sone%.lua%stwo\n", output)
    end)

    it("is clean under valgrind", function()
        if not has_valgrind then
            pending "needs valgrind"
            return
        end
        local status, output = shell(VALGRIND .. "./host 'a bridge at night' night")
        assert.equal(0, status, output)
        assert.not_matches("==%d+==", output)
        assert.equal("\137PNG", read(directory .. "/night.png"):sub(1, 4))
        status, output = shell(VALGRIND .. "./host x", "http://127.0.0.1:1")
        assert.equal(1, status, output)
        assert.not_matches("==%d+==", output)
    end)

    -- Requests in all states, callbacks that raise, and a client that is not closed.
    it("is clean under valgrind when it ends with work in flight", function()
        if not has_valgrind then
            pending "needs valgrind"
            return
        end
        write(directory .. "/flight.lua", [[
            local client = assert(require("thucchien").new { max_concurrency = 4 })
            local function submit(answer, more)
                more = more or {}
                more.prompt, more.extra_body = "x", { mirror = answer }
                return assert(client:submit(more, function(_, err) print("end", err and err.kind) end))
            end
            local piece = '{"data":[{"b64_json":"QUJD"},{"b64_json":"QUJD'
            submit { pieces = { "HTTP/1.1 200 OK\r\n\r\n", piece, piece }, pause = 5 }
            submit { hold = 30, body = "" }
            submit { status = 503, body = "", headers = { "retry-after: 30" } }
            submit { hold = 30, body = "" }:cancel()
            submit({ body = piece .. '"}]}' }, { save = "half", on_image = function() error("raised", 0) end })
            submit { body = piece .. '"}]}', hold = 0.2 }
            for _ = 1, 3 do submit { hold = 30, body = "" } end
            local frames, raised = 0, false
            function frame()
                frames = frames + 1
                local ok, err = pcall(client.poll, client)
                if not ok then
                    raised = true
                    print(err)
                end
                return frames <= 90 or not raised
            end
        ]])
        local status, output = shell(VALGRIND .. "./host flight.lua", mirror.url)
        assert.equal(0, status, output)
        assert.not_matches("==%d+==", output)
        assert.matches("raised\n", output)
        assert.matches("%d+ frames\n$", output)
    end)
end)
