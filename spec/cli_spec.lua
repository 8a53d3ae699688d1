--- The command as a user has it: a process of its own, against the emulator, in a directory that is
-- thrown away.

local cjson = require "cjson"
local lfs = require "lfs"

local root = lfs.currentdir()
local lua = os.getenv "LUA" or (jit and "luajit") or "lua" .. _VERSION:match "%d+%.%d+"
local command = lua .. " '" .. root .. "/bin/thucchien'"

local KEY = "sk-a-key-nobody-may-read-0123456789"

-- Nobody listens on port 1: with this address a command that sends anything says "connection".
local NOWHERE = "http://127.0.0.1:1"

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read(path)
    local file = io.open(path, "rb")
    local text = file and file:read "*a"
    if file then
        file:close()
    end
    return text
end

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

--- Width and height that a PNG's header tells.
local function png_dimensions(bytes)
    assert.are.equal("\137PNG\r\n\26\n", bytes:sub(1, 8))
    local numbers = {}
    for position = 17, 21, 4 do
        local a, b, c, d = bytes:byte(position, position + 3)
        numbers[#numbers + 1] = ((a * 256 + b) * 256 + c) * 256 + d
    end
    return numbers[1], numbers[2]
end

--- What os.execute tells of a status: a number in 5.1 and LuaJIT, the third result since.
local function exit_status(result, _, code)
    return type(result) == "number" and math.floor(result / 256) or code
end

describe("thucchien", function()
    local emulator, slow, directory

    --- Runs the command with `arguments`, a shell text. `with`: stdin, env (false unsets), around
    -- (a shell text in which %s is the command). Returns status, standard output, standard error.
    local function run(arguments, with)
        with = with or {}
        local environment = { THUCCHIEN_BASE_URL = emulator.url, THUCCHIEN_API_KEY = KEY }
        for name, value in pairs(with.env or {}) do
            environment[name] = value
        end
        local exports = {}
        for name, value in pairs(environment) do
            exports[#exports + 1] = value and ("export %s=%s;"):format(name, quote(value))
                or ("unset %s;"):format(name)
        end
        write(directory .. "/.stdin", with.stdin or "")
        local line = (with.around or "%s"):gsub("%%s", function()
            return command .. " " .. arguments
        end)
        local everything = ("cd %s && { %s %s ; } <.stdin >.stdout 2>.stderr")
            :format(quote(directory), table.concat(exports, " "), line)
        local status = exit_status(os.execute(everything))
        return status, read(directory .. "/.stdout"), read(directory .. "/.stderr")
    end

    --- The files that are there, sorted; ours in the list begin with a dot.
    local function files()
        local names = {}
        for name in lfs.dir(directory) do
            if name:sub(1, 1) ~= "." then
                names[#names + 1] = name
            end
        end
        table.sort(names)
        return names
    end

    local function picture(name)
        return read(directory .. "/" .. name)
    end

    local function assert_one_line(text, pattern)
        assert.is_truthy(text:find "^thucchien: [^\n]+\n$", text)
        assert.is_truthy(text:find(pattern), text)
    end

    setup(function()
        local support = require "spec.support.emulator"
        emulator = support.start {}
        slow = support.start { delay = 1 }
    end)

    teardown(function()
        emulator:stop()
        slow:stop()
    end)

    before_each(function()
        directory = os.tmpname()
        os.remove(directory)
        assert(lfs.mkdir(directory))
    end)

    after_each(function()
        os.execute("rm -rf " .. quote(directory))
    end)

    describe("generate", function()
        it("saves a picture and prints path, dimensions and size", function()
            local status, out, err = run "generate 'a lighthouse at dusk' -o lighthouse"
            assert.are.equal("", err)
            assert.are.equal(0, status)
            assert.are.same({ "lighthouse.png" }, files())
            local bytes = picture "lighthouse.png"
            local width, height = png_dimensions(bytes)
            local shown, unit = out:match "^lighthouse%.png  1024x1024  (%d+%.%d) ([kM])B\n$"
            assert.are.same({ 1024, 1024 }, { width, height })
            local size = shown * (unit == "M" and 1e6 or 1e3)
            assert.is_true(math.abs(size - #bytes) <= size * 0.05)
        end)

        it("names the file after a prompt in Vietnamese, and sends the prompt as it is", function()
            local prompt = "hải đăng lúc hoàng hôn"
            assert.are.equal(0, (run("generate " .. quote(prompt))))
            assert.are.same({ "hai-dang-luc-hoang-hon.png" }, files())
            -- The emulator draws by the prompt's bytes.
            local response = assert(require("thucchien").new {
                base_url = emulator.url, api_key = KEY,
            }):generate(prompt)
            assert.is_true(response.data[1].bytes == picture "hai-dang-luc-hoang-hon.png")
        end)

        it("keeps an extension as it is", function()
            assert.are.equal(0, (run "generate x -o picture.dat"))
            assert.are.same({ "picture.dat" }, files())
        end)

        it("passes size, shape and model on", function()
            run "generate x --size 1536x1024 -o wide"
            assert.are.same({ 1536, 1024 }, { png_dimensions(picture "wide.png") })
            run "generate x --aspect-ratio 9:16 -o tall"
            local width, height = png_dimensions(picture "tall.png")
            assert.is_true(math.abs(width / height - 9 / 16) < 0.03)
            local status, _, err = run "generate x --model emulate/403 -o none"
            assert.are.equal(1, status)
            assert_one_line(err, "permission_denied: ")
        end)

        it("takes the address from --base-url", function()
            local status = run("generate x -o here --base-url " .. quote(emulator.url),
                { env = { THUCCHIEN_BASE_URL = NOWHERE } })
            assert.are.equal(0, status)
        end)

        it("gives up after --timeout", function()
            local status, _, err = run("generate x --timeout 0.2 --base-url " .. quote(slow.url))
            assert.are.equal(1, status)
            assert_one_line(err, "%S")
            assert.are.same({}, files())
        end)

        it("numbers several pictures before the extension", function()
            lfs.mkdir(directory .. "/a.b")
            local status, out = run "generate x -n 3 -o a.b/../fog.png"
            assert.are.equal(0, status)
            assert.are.same({ "a.b", "fog-1.png", "fog-2.png", "fog-3.png" }, files())
            local _, lines = out:gsub("\n", "")
            assert.are.equal(3, lines)
            assert.is_false(picture "fog-1.png" == picture "fog-2.png")
            run "generate x -n 2 -o plain"
            assert.is_truthy(picture "plain-1.png" and picture "plain-2.png")
        end)

        it("reads the prompt from standard input, less one newline", function()
            assert.are.equal(0, (run("generate -", { stdin = "two\nlines\n" })))
            assert.are.same({ "two-lines.png" }, files())
            -- The same prompt gives the same picture, so the newline was not sent.
            run("generate 'two\nlines' -o argument")
            assert.is_true(picture "argument.png" == picture "two-lines.png")
        end)

        it("reports an empty prompt", function()
            local status, _, err = run("generate -", { stdin = "" })
            assert.are.equal(1, status)
            assert_one_line(err, "prompt")
            assert.are.same({}, files())
        end)

        it("takes a prompt that begins with a hyphen after --", function()
            assert.are.equal(0, (run "generate -o dash -- '--neon'"))
            assert.are.same({ "dash.png" }, files())
        end)

        describe("names a file after the prompt:", function()
            local cases = {
                { "hải đăng lúc hoàng hôn", "hai-dang-luc-hoang-hon" },
                { "ĐÀ NẴNG, Ỷ Ữ Ợ!", "da-nang-y-u-o" },
                { "ha\204\137i \196\145a\204\134ng", "hai-dang" }, -- decomposed
                { "🐉", "picture" },
                { "../../etc/passwd", "etc-passwd" },
                { "a picture of a bridge over a river in the rain",
                    "a-picture-of-a-bridge-over-a-river-in" },
                { ("a"):rep(60), ("a"):rep(40) },
                { "a lighthouse's \"beam\" & $HOME", "a-lighthouse-s-beam-home" },
            }
            for _, case in ipairs(cases) do
                it(case[1], function()
                    -- A file of that name is refused before anything is sent or drawn.
                    write(directory .. "/" .. case[2] .. ".png", "mine")
                    local status, _, err = run("generate -- " .. quote(case[1]))
                    assert.are.equal(1, status)
                    assert.are.equal("thucchien: " .. case[2]
                        .. ".png: already exists (--force overwrites it)\n", err)
                    assert.is_true(#case[2] <= 40)
                end)
            end
        end)

        describe("before it sends", function()
            local nowhere = { env = { THUCCHIEN_BASE_URL = NOWHERE } }

            local function assert_refused(arguments, pattern)
                local status, out, err = run(arguments, nowhere)
                assert.are.equal(1, status)
                assert.are.equal("", out)
                assert_one_line(err, pattern)
            end

            it("finds the file that exists, whatever its format", function()
                for _, extension in ipairs { "png", "jpg", "webp", "gif" } do
                    write(directory .. "/old." .. extension, "mine")
                    assert_refused("generate x -o old", "old%." .. extension .. ": already exists")
                    os.remove(directory .. "/old." .. extension)
                end
                write(directory .. "/old.png", "mine")
                assert_refused("generate x -o old.png", "old%.png: already exists %(%-%-force")
                assert.are.equal("mine", picture "old.png")
            end)

            it("finds any of the numbered files", function()
                write(directory .. "/old-3.png", "mine")
                assert_refused("generate x -n 3 -o old", "old%-3%.png: already exists")
                assert_refused("generate x -n 3 -o old.png", "old%-3%.png: already exists")
                assert.are.equal(0, (run "generate x -n 2 -o old"))
            end)

            it("finds that nothing can be written", function()
                assert_refused("generate x -o nowhere/picture", "nowhere/: No such file")
                write(directory .. "/file", "")
                assert_refused("generate x -o file/picture", "file/: Not a directory")
                local long = ("n"):rep(300) .. ".png"
                assert_refused("generate x --force -o " .. long, "name too long")
            end)

            it("finds a directory where a file should be", function()
                lfs.mkdir(directory .. "/taken.png")
                assert_refused("generate x --force -o taken.png", "taken%.png: is a directory")
                assert_refused("generate x -o ./", "is a directory")
                assert_refused("generate x -o ..", "is a directory")
            end)

            it("leaves nothing behind", function()
                assert.are.equal(1, (run "generate x -o probe -n 9"))
                for name in lfs.dir(directory) do
                    assert.is_falsy(name:find "thucchien")
                end
            end)
        end)

        it("overwrites with --force", function()
            write(directory .. "/old.png", "mine")
            assert.are.equal(0, (run "generate x -o old --force"))
            assert.are.equal("\137PNG", picture("old.png"):sub(1, 4))
            assert.are.same({ "old.png" }, files())
        end)

        it("loses no picture when a file appears in between", function()
            local status, out, err = run("generate x -o race --base-url " .. quote(slow.url),
                { around = "(sleep 0.5; printf mine >race.png) & %s" })
            assert.are.equal(1, status)
            assert_one_line(err, "race%.png: already exists.*; saved as race%-rescued%-1%.png")
            assert.is_truthy(out:find "^race%-rescued%-1%.png  ")
            assert.are.equal("mine", picture "race.png")
            assert.are.equal("\137PNG", picture("race-rescued-1.png"):sub(1, 4))
        end)

        it("loses no picture when the directory goes away", function()
            lfs.mkdir(directory .. "/there")
            local arguments = "generate x -o there/x --json --base-url " .. quote(slow.url)
            local status, out, err = run(arguments,
                { around = "(sleep 0.5; mv there gone) & %s" })
            assert.are.equal(1, status)
            assert_one_line(err, "saved as picture%-rescued%-1%.png")
            assert.are.equal("\137PNG", picture("picture-rescued-1.png"):sub(1, 4))
            local report = cjson.decode(out)
            assert.are.equal("io", report.error.kind)
            assert.are.equal("picture-rescued-1.png", report.images[1].path)
        end)

        describe("--json", function()
            it("prints one object and no prose", function()
                local status, out, err = run "generate 'a cat' -n 2 -o ./cat --json"
                assert.are.equal("", err)
                assert.are.equal(0, status)
                assert.is_falsy(out:find("\\/", 1, true))
                local report = cjson.decode(out)
                assert.are.equal(2, #report.images)
                for index, image in ipairs(report.images) do
                    assert.are.equal("./cat-" .. index .. ".png", image.path)
                    local bytes = picture("cat-" .. index .. ".png")
                    assert.are.equal(#bytes, image.size)
                    assert.are.same({ png_dimensions(bytes) }, { image.width, image.height })
                    assert.are.equal("image/png", image.mime)
                end
                assert.are.equal("imagen-4", report.model)
                assert.are.equal(1, report.attempts)
                assert.is_true(math.abs(report.created - os.time()) < 60)
                assert.is_true(report.cost > 0)
                assert.is_true(report.timing.total > 0)
                assert.are.equal("string", type(report.request_id))
                assert.is_nil(report.error)
            end)

            it("prints an error as one object, and its line on standard error", function()
                local status, out, err = run "generate x --json --model emulate/429"
                assert.are.equal(1, status)
                local report = cjson.decode(out)
                assert.are.equal("rate_limit", report.error.kind)
                assert.are.equal(429, report.error.status)
                assert.are.equal("string", type(report.error.message))
                assert_one_line(err, "%S")
            end)

            it("prints an error of the command's own in the same way", function()
                local status, out, err = run "generate x --json -o nowhere/x"
                assert.are.equal(1, status)
                assert.are.equal("io", cjson.decode(out).error.kind)
                assert_one_line(err, "nowhere/: No such file")
            end)
        end)

        it("shows a value that the model does not know, and sends nothing", function()
            local status, _, err = run("generate x -n 9 --base-url " .. NOWHERE)
            assert.are.equal(1, status)
            assert_one_line(err, "n.*9")
        end)

        it("needs the key in the environment", function()
            local without = { env = { THUCCHIEN_API_KEY = false } }
            local status, out, err = run("generate x --json", without)
            assert.are.equal(1, status)
            assert.are.equal("authentication", cjson.decode(out).error.kind)
            assert_one_line(err, "THUCCHIEN_API_KEY")
        end)

        it("never prints the key", function()
            local shown = {}
            local attempts = {
                { "generate x -o a" },
                { "generate x -o a" },
                { "generate x -o b --json" },
                { "generate x --model emulate/401 --json" },
                { "generate x --model emulate/expired-key --json" }, -- repeats it whole
                { "generate x --base-url nonsense" },
                { "generate x --base-url " .. NOWHERE },
                { "generate x --json", { env = { THUCCHIEN_API_KEY = "a-" .. KEY:sub(4) } } },
                { "generate x --json", { env = { THUCCHIEN_API_KEY = KEY .. "\n" } } },
            }
            for _, attempt in ipairs(attempts) do
                local _, out, err = run(attempt[1], attempt[2])
                shown[#shown + 1] = out .. err
            end
            assert.is_falsy(table.concat(shown):find(KEY:sub(4), 1, true))
        end)

        it("is silent on a pipe and shows life on a terminal", function()
            local _, _, err = run "generate x -o pipe"
            assert.are.equal("", err)
            if exit_status(os.execute "command -v script >/dev/null") ~= 0 then
                return pending "needs script(1) for a terminal"
            end
            local terminal = { around = 'script -qec "%s" /dev/null' }
            local status, out = run("generate x -o terminal", terminal)
            assert.are.equal(0, status)
            assert.is_truthy(out:find("waiting for the gateway", 1, true))
            assert.is_truthy(out:find("\r\27[K", 1, true))
            assert.is_truthy(out:find("terminal.png", 1, true))
        end)
    end)

    describe("with wrong usage", function()
        local cases = {
            { "", "a command is required" },
            { "paint", "unknown command 'paint'" },
            { "generate", "missing argument 'prompt'" },
            { "generate x y", "too many arguments" },
            { "generate x --colour red", "unknown option '--colour'" },
            { "generate x --key sk-1", "unknown option '--key'" },
            { "generate x -n 0", "-n takes a whole number from 1, got '0'" },
            { "generate x -n 1.5", "-n takes" },
            { "generate x -n two", "-n takes" },
            { "generate x -n", "option '-n' requires an argument" },
            { "generate x --timeout soon", "--timeout takes seconds, got 'soon'" },
            { "generate x --timeout 0", "--timeout takes" },
            { "emulator --port 65536", "--port takes a number from 0 to 65535" },
            { "emulator --delay -1", "unknown option '-1'" },
            { "emulator --delay=-1", "--delay takes" },
        }
        for _, case in ipairs(cases) do
            it(("exits with 2: '%s'"):format(case[1]), function()
                local status, out, err = run(case[1])
                assert.are.equal(2, status)
                assert.are.equal("", out)
                assert.is_truthy(err:find "^Usage: thucchien")
                assert.is_truthy(err:find("\nthucchien: " .. case[2], 1, true), err)
                assert.are.same({}, files())
            end)
        end
    end)

    it("shows its version", function()
        local status, out = run "--version"
        assert.are.equal(0, status)
        assert.is_truthy(out:find "^thucchien %d+%.%d+%.%d+ %(Lua", out)
    end)

    it("shows help", function()
        local expected = {
            ["--help"] = { "generate", "emulator", "THUCCHIEN_API_KEY" },
            ["generate --help"] = { "-o FILE", "-n N", "--size", "--aspect-ratio", "--model",
                "--base-url", "--timeout", "--json", "--force" },
            ["emulator --help"] = { "--port", "--host", "--images", "--delay", "--stop-on-eof",
                "emulate/429", "emulate/slow", "emulate/truncated" },
        }
        for arguments, words in pairs(expected) do
            local status, out, err = run(arguments)
            assert.are.equal(0, status)
            assert.are.equal("", err)
            for _, word in ipairs(words) do
                assert.is_truthy(out:find(word, 1, true), word)
            end
            assert.is_falsy(out:find("--key", 1, true))
        end
    end)

    it("shows help without the C module, and says in one line that it is not there", function()
        local without = { env = { LUA_INIT = "package.cpath = 'nowhere/?.so'" } }
        -- The command adds the checkout's build directory; a copy elsewhere has none.
        lfs.mkdir(directory .. "/bin")
        os.execute(("cp %s/bin/thucchien %s/bin/ && cp -r %s/lua %s/"):format(
            quote(root), quote(directory), quote(root), quote(directory)))
        local here = command
        command = lua .. " bin/thucchien"
        finally(function()
            command = here
        end)
        assert.are.equal(0, (run("--help", without)))
        assert.are.equal(0, (run("emulator --help", without)))
        local status, _, err = run("generate x", without)
        assert.are.equal(1, status)
        assert_one_line(err, "the C module 'thucchien' is not there")
    end)

    describe("emulator", function()
        it("says in one line what a Lua without lua-http needs", function()
            local missing = require("thucchien.emulator").missing()
            if not missing then
                return pending "this Lua has lua-http"
            end
            local status, out, err = run "emulator --port 0"
            assert.are.equal(1, status)
            assert.are.equal("", out)
            assert.are.equal("thucchien: " .. missing .. "\n", err)
        end)

        it("stops when standard input ends", function()
            if require("thucchien.emulator").missing() then
                return pending "this Lua has no lua-http"
            end
            local status, out = run "emulator --port 0 --stop-on-eof"
            assert.are.equal(0, status)
            assert.is_truthy(out:find "http://127%.0%.0%.1:%d+")
        end)
    end)
end)
