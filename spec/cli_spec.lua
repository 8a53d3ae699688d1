--- The command as a user has it: a process of its own, against the emulator, in a directory that is
-- thrown away.

local cjson = require "cjson"
local lfs = require "lfs"
local support = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local pictures = require "spec.support.pictures"

local root, lua, quote = support.root, support.lua, support.quote
local read, write = support.read, support.write
local command = lua .. " '" .. root .. "/bin/thucchien'"

local KEY = "sk-a-key-nobody-may-read-0123456789"

-- An answer with a PNG of 57 bytes, 2 by 3 pixels.
local PICTURE = '{"created":1,"data":[{"b64_json":"iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAAElEQVQ1rwYeAAAAAElFTkSuQmCC"}]}'

-- Nobody listens on port 1: with this address a command that sends anything says "connection".
local NOWHERE = "http://127.0.0.1:1"

describe("thucchien", function()
    local emulator, mirror, slow, directory

    --- Runs the command with `arguments`, a shell text. `with`: stdin, env (false unsets), around
    -- (a shell text in which %s is the command). Returns status, standard output, standard error.
    local function run(arguments, with)
        with = with or {}
        local environment = { THUCCHIEN_BASE_URL = emulator.url, THUCCHIEN_API_KEY = KEY,
            XDG_CONFIG_HOME = directory .. "/.settings" }
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
        return support.execute(everything), read(directory .. "/.stdout"), read(directory .. "/.stderr")
    end

    -- The address at which everything is answered by a picture once the gate is open; the request's id is for `has`.
    local function held(id, gate)
        return quote(mirrors.answering(mirror, { id = id, body = PICTURE, gate = gate.path }))
    end

    -- A shell's loop until a condition is true, half a minute at most.
    local function wait_until(condition)
        return ("n=0; until %s || [ $n = 1500 ]; do n=$((n + 1)); sleep 0.02; done"):format(condition)
    end

    -- Conditions: the mirror has had the request; the command has printed a text on its standard output.
    local function has(id)
        return ("grep -q '^request %s ' %s"):format(id, quote(mirror.log_path))
    end

    local function has_printed(text)
        return ("grep -q '%s' .stdout"):format(text)
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
        local emulators = require "spec.support.emulator"
        emulator = emulators.start {}
        slow = emulators.start { delay = 60 }
        mirror = mirrors.start()
    end)

    teardown(function()
        emulator:stop()
        slow:stop()
        mirror:stop()
    end)

    fixtures.directory(function(path) directory = path end)

    describe("generate", function()
        it("saves a picture and prints path, dimensions and size", function()
            local status, out, err = run "generate 'a lighthouse at dusk' -o lighthouse"
            assert.are.equal("", err)
            assert.are.equal(0, status, err)
            assert.are.same({ "lighthouse.png" }, files())
            local bytes = picture "lighthouse.png"
            local width, height = pictures.png_dimensions(bytes)
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

        it("warns of a size that comes out square, once, and before it waits", function()
            local status, out, err = run "generate x --size 1536x1024 -o wide"
            assert.are.equal(0, status, err)
            assert.is_truthy(out:find "^wide%.png  1024x1024  ")
            local before = "thucchien: size 1536x1024 comes out square from 'imagen-4': --aspect-ratio 4:3 does not\n"
            assert.are.equal(before .. "thucchien: image 1 is 1024x1024 pixels, 1536x1024 was asked for\n", err)
            local late, _, said = run("generate x --size 1536x1024 --timeout 0.2 --base-url " .. quote(slow.url))
            assert.are.equal(1, late)
            assert.are.equal(before, said:sub(1, #before))
            assert.is_truthy(said:find("\nthucchien: timeout: ", 1, true))
        end)

        it("keeps an extension as it is", function()
            assert.are.equal(0, (run "generate x -o picture.dat"))
            assert.are.same({ "picture.dat" }, files())
        end)

        it("passes size, shape and model on", function()
            run "generate x --size 96x64 --model emulate/chunked -o wide"
            assert.are.same({ 96, 64 }, { pictures.png_dimensions(picture "wide.png") })
            run "generate x --aspect-ratio 9:16 -o tall"
            local width, height = pictures.png_dimensions(picture "tall.png")
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
            assert.are.same({ "a.b", "fog-2.png", "fog-3.png", "fog.png" }, files())
            local _, lines = out:gsub("\n", "")
            assert.are.equal(3, lines)
            assert.is_false(picture "fog.png" == picture "fog-2.png")
            run "generate x -n 2 -o plain"
            assert.is_truthy(picture "plain.png" and picture "plain-2.png")
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
                { "日本の灯台、夜", "日本の灯台-夜" },
                { "Маяк на рассвете 2", "Маяк-на-рассвете-2" },
                { "ngọn đèn 灯\226\128\174\194\133fdp", "ngon-den-灯-fdp" }, -- controls above ASCII
                { "a\tb\\c:d*e?f<g>h|i\"j", "a-b-c-d-e-f-g-h-i-j" },
                { ("灯"):rep(60), ("灯"):rep(40) },
                { "../../etc/passwd", "etc-passwd" },
                { "a picture of a bridge over a river in the rain",
                    "a-picture-of-a-bridge-over-a-river-in" },
                { ("a"):rep(60), ("a"):rep(40) },
                { "a lighthouse's \"beam\" & $HOME", "a-lighthouse-s-beam-home" },
            }
            for _, case in ipairs(cases) do
                it(case[1], function()
                    local status, out = run("generate --model emulate/drip/100000 -- " .. quote(case[1]))
                    assert.are.equal(0, status)
                    assert.are.equal(1, (out:find(case[2] .. ".png  ", 1, true)))
                    assert.are.same({ case[2] .. ".png" }, files())
                end)
            end
        end)

        it("takes the first free name when it has the choice", function()
            local small = "generate fog --model emulate/drip/100000 "
            write(directory .. "/fog-2.png", "mine")
            for _, expected in ipairs { "fog.png", "fog-3.png", "fog-4.png" } do
                local status, out = run(small)
                assert.are.equal(0, status)
                assert.are.equal(expected, out:match "^%S+")
            end
            local _, out = run(small .. "-n 3")
            assert.are.same({ "fog-5.png", "fog-6.png", "fog-7.png" },
                { out:match "^(%S+)[^\n]+\n(%S+)[^\n]+\n(%S+)[^\n]+\n$" })
            assert.are.equal("mine", picture "fog-2.png")
            run(small .. "--force")
            assert.are.equal(7, #files())
        end)

        it("puts the derived name into a directory that -o names", function()
            lfs.mkdir(directory .. "/there")
            local _, out = run "generate 'a fog' -o there"
            assert.are.equal("there/a-fog.png", out:match "^%S+")
            _, out = run "generate 'a fog' -o there/"
            assert.are.equal("there/a-fog-2.png", out:match "^%S+")
            _, out = run "generate 'a fog' -o ."
            assert.are.equal("./a-fog.png", out:match "^%S+")
        end)

        it("writes to what is no file as it is", function()
            local status, out, err = run "generate x -n 2 -o /dev/null"
            assert.are.equal("", err)
            assert.are.equal(0, status, err)
            assert.are.equal("/dev/null", out:match "^%S+")
            out, err = select(2, run("generate x -o /dev/stdout", { around = "%s | cat >piped.png" }))
            assert.are.equal("", out)
            assert.is_truthy(err:find "^/dev/stdout  1024x1024  ")
            run "generate x -o ordinary"
            assert.is_true(picture "piped.png" == picture "ordinary.png")
            assert.are.same({ "ordinary.png", "piped.png" }, files())
        end)

        it("waits for the reader of a pipe, and outlives it", function()
            if support.execute("mkfifo " .. quote(directory .. "/pipe")) ~= 0 then
                return pending "no mkfifo"
            end
            local status, out = run("generate x -o pipe", { around = "{ sleep 0.3; cat pipe >got; } & %s; wait" })
            assert.are.equal(0, status)
            assert.are.equal("pipe", out:match "^%S+")
            assert.are.same({ 1024, 1024 }, { pictures.png_dimensions(picture "got") })
            local _, lines, err = run("generate x -o pipe", { around = "head -c 1 pipe >got & %s" })
            assert_one_line(err, "cannot write 'pipe': Broken pipe; saved as picture%-rescued%-1%.png")
            assert.is_truthy(lines:find("picture-rescued-1.png  1024x1024", 1, true))
        end)

        it("adds to what standard output has", function()
            run("generate x -o /dev/stdout", { around = "{ echo before; %s; } >file" })
            assert.are.equal("before\n\137PNG", picture("file"):sub(1, 11))
            run("generate x -o /dev/stdout", { around = "%s >>file" })
            assert.are.equal("before\n\137PNG", picture("file"):sub(1, 11))
            assert.is_truthy(picture("file"):find("\137PNG", 20, true))
        end)

        it("says so when the name says another format, and keeps the name", function()
            local status, out, err = run "generate x -o photo.JPG"
            assert.are.equal(0, status, err)
            assert.are.equal("photo.JPG", out:match "^%S+")
            assert_one_line(err, "photo%.JPG: the picture is a PNG file, whatever its name says")
            assert.are.same({ "photo.JPG" }, files())
            out, err = select(2, run "generate x -o photo.jpeg --json")
            assert.is_truthy(cjson.decode(out).warnings[1]:find("PNG", 1, true))
            assert_one_line(err, "photo%.jpeg: ")
            for _, name in ipairs { "a.png", "b.PNG", "c.dat", "v1.5" } do
                assert.are.equal("", (select(3, run("generate x -o " .. name))))
            end
        end)

        it("takes a name of its own though others want the same at once", function()
            local count = 8
            local all = ("for i in %s; do %%s >.out-$i & done; wait"):format(("x "):rep(count):gsub("x", "$((n=n+1))"))
            local _, _, err = run("generate fog --model emulate/drip/100000", { around = "n=0; " .. all })
            assert.are.equal("", err)
            local said, expected = {}, { "fog.png" }
            for index = 1, count do
                said[index] = read(directory .. "/.out-" .. index):match "^%S+"
                expected[index] = index == 1 and "fog.png" or ("fog-%d.png"):format(index)
            end
            table.sort(said)
            table.sort(expected)
            assert.are.same(expected, said)
            assert.are.same(expected, files())
        end)

        it("gives a name that ends with a dot its extension", function()
            assert.are.equal(0, (run "generate x -o dot."))
            assert.are.same({ "dot.png" }, files())
        end)

        it("saves a picture that the module does not know, and says so", function()
            lfs.mkdir(directory .. "/.pictures")
            local bitmap = "BM\70\0\0\0\0\0\0\0\54\0\0"
            write(directory .. "/.pictures/odd.png", bitmap)
            local odd = require("spec.support.emulator").start { images = directory .. "/.pictures" }
            finally(function()
                odd:stop()
            end)
            local status, out, err = run("generate x -o odd --base-url " .. quote(odd.url))
            assert.are.equal(0, status, err)
            assert.are.equal("odd  unknown size  13 bytes\n", out)
            assert_one_line(err, "odd: not a picture the module knows")
            assert.are.equal(bitmap, picture "odd")
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
                assert_refused("generate x --force -o taken", "taken%.png: is a directory")
                assert_refused("generate x -o new/", "new/: there is no such directory")
            end)

            it("finds a pipe where a file should be, without waiting for it", function()
                if support.execute("mkfifo " .. quote(directory .. "/fog.png")) ~= 0 then
                    return pending "no mkfifo"
                end
                assert_refused("generate x -o fog", "fog%.png: is a pipe")
                assert_refused("generate x --force -o fog", "fog%.png: is a pipe")
                local _, out = run "generate fog"
                assert.are.equal("fog-2.png", out:match "^%S+")
            end)

            it("finds a link to nothing", function()
                os.execute("ln -s nowhere " .. quote(directory .. "/link.png"))
                assert_refused("generate x -o link.png", "link%.png: is a link to nothing")
                assert_refused("generate x --force -o link", "link%.png: is a link to nothing")
            end)

            it("leaves nothing behind", function()
                assert.are.equal(2, (run "generate x -o probe -n 9"))
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
            local gate = mirrors.gate()
            local status, out, err = run("generate x -o race --base-url " .. held("race", gate),
                { around = ("(%s; printf mine >race.png; : >%s) & %%s"):format(wait_until(has "race"), gate.path) })
            gate:remove()
            assert.are.equal(1, status)
            assert_one_line(err, "race%.png: already exists.*; saved as race%-rescued%-1%.png")
            assert.is_truthy(out:find "^race%-rescued%-1%.png  ")
            assert.are.equal("mine", picture "race.png")
            assert.are.equal("\137PNG", picture("race-rescued-1.png"):sub(1, 4))
        end)

        it("loses no picture when the directory goes away", function()
            lfs.mkdir(directory .. "/there")
            local gate = mirrors.gate()
            local status, out, err = run("generate x -o there/x --json --base-url " .. held("goes-away", gate),
                { around = ("(%s; mv there gone; : >%s) & %%s"):format(wait_until(has "goes-away"), gate.path) })
            gate:remove()
            assert.are.equal(1, status)
            assert_one_line(err, "saved as picture%-rescued%-1%.png")
            assert.are.equal("\137PNG", picture("picture-rescued-1.png"):sub(1, 4))
            local report = cjson.decode(out)
            assert.are.equal("io", report.error.kind)
            assert.are.equal("picture-rescued-1.png", report.images[1].path)
        end)

        it("has saved every picture before it prints a line", function()
            local three = "generate x -n 3 -o fog --model emulate/drip/100000"
            run(three, { around = "%s | true" })
            assert.are.same({ "fog-2.png", "fog-3.png", "fog.png" }, files())
        end)

        it("fails when standard output does, and has the picture", function()
            if not lfs.attributes "/dev/full" then
                return pending "needs /dev/full"
            end
            for _, arguments in ipairs { "-o a", "-o b --json" } do
                local status, _, err = run("generate x " .. arguments, { around = "%s >/dev/full" })
                assert.are.equal(1, status)
                assert_one_line(err, "standard output: No space left")
            end
            assert.are.same({ "a.png", "b.png" }, files())
            assert.are.equal(1, (run("--version", { around = "%s >/dev/full" })))
        end)

        it("keeps the pictures that were whole when the answer breaks off", function()
            local status, out, err = run "generate x -n 4 -o fog --model emulate/truncated"
            assert.are.equal(1, status)
            assert_one_line(err, "bad_response: .*; 2 of 4 pictures saved: fog%.png, fog%-2%.png; "
                .. "what arrived of an incomplete picture is in fog%.png%.part\n$")
            assert.is_truthy(out:find "^fog%.png  64x64  [^\n]+\nfog%-2%.png  64x64  [^\n]+\n$")
            assert.are.same({ "fog-2.png", "fog.png", "fog.png.part" }, files())
            assert.are.equal("\137PNG\r\n\26\n", picture("fog.png.part"):sub(1, 8))
        end)

        it("keeps what came of a picture that is cut short, beside those that are whole", function()
            local status, out, err = run "generate x -n 3 -o fog --model emulate/cut"
            assert.are.equal(1, status)
            assert.is_truthy(out:find "^fog%-2%.png  [^\n]+\nfog%-3%.png  [^\n]+\n$", out)
            assert.is_truthy(err:find("bad_response: image 1 is cut short[^\n]*; "
                .. "what arrived of an incomplete picture is in fog%.png%.part\n"), err)
            assert.are.same({ "fog-2.png", "fog-3.png", "fog.png.part" }, files())
            assert.are.equal(450, #picture "fog.png.part")
        end)

        it("never takes a file for what came of a picture, nor a picture for the whole", function()
            for _, arguments in ipairs { "-o fog", "-o fog", "-o fog --json", "-o fog --json --force" } do
                assert.are.equal(1, (run("generate x --model emulate/cut " .. arguments)))
            end
            assert.are.same({ "fog.png-2.part", "fog.png-3.part", "fog.png-4.part", "fog.png.part" }, files())
            local _, out = run "generate x --model emulate/cut -o /dev/null --json"
            local report = cjson.decode(out)
            assert.are.same({ "picture.png.part", 450, "image/png" }, { report.parts[1].path, report.parts[1].size, report.parts[1].mime })
            assert.are.same({ "bad_response", true }, { report.error.kind, report.error.maybe_billed })
            assert.are.same({}, report.images)
        end)

        it("has no draft in the file", function()
            local status, out = run "generate x --via gemini --model emulate/draft -o fog"
            assert.are.equal(0, status)
            assert.is_truthy(out:find "^fog%.png  96x96  [^\n]+\n$", out)
            assert.are.same({ "fog.png" }, files())
        end)

        describe("asks a model that talks", function()
            it("by --via, and says on standard error what it said", function()
                local status, out, err = run "generate x --via chat --model emulate/several -o fox"
                assert.are.equal(0, status, err)
                assert.is_truthy(out:find "^fox%.png  96x96  [^\n]+\nfox%-2%.png  96x96  [^\n]+\n$", out)
                assert.is_truthy(err:find "%w[^\n]*\n$", err)
                assert.is_falsy(err:find("thucchien: ", 1, true))
            end)

            it("and puts that into the object of --json alone", function()
                local _, out, err = run "generate x --via chat --model emulate/several -o fox --json"
                assert.are.equal("", err)
                local report = cjson.decode(out)
                assert.are.equal("string", type(report.text))
                assert.are.equal("stop", report.finish_reason)
                assert.is_nil(report.warnings)
                assert.is_nil(report.errors)
            end)

            it("as often as it takes for -n, and saves each picture as it comes", function()
                local status, out = run "generate x -n 6 --model gemini-2.5-flash-image --aspect-ratio 4:3 -o fox"
                assert.are.equal(0, status)
                assert.are.same({ "fox-2.png", "fox-3.png", "fox-4.png", "fox-5.png", "fox-6.png", "fox.png" },
                    files())
                for _, name in ipairs { "fox", "fox%-2", "fox%-3", "fox%-4", "fox%-5", "fox%-6" } do
                    local width, height = out:match(name .. "%.png  (%d+)x(%d+)  ")
                    assert.is_true(math.abs(width / height - 4 / 3) < 0.05)
                end
            end)

            it("by Gemini's own route", function()
                assert.are.equal(0, (run "generate x --via gemini --model gemini-2.5-flash-image -o fox"))
                assert.are.same({ "fox.png" }, files())
            end)

            it("and shows its words where there is no picture", function()
                local status, out, err = run "generate x --via chat --model emulate/text"
                assert.are.equal(1, status)
                assert.are.equal("", out)
                assert_one_line(err, "no_image: the model answered in words alone: ")
            end)
        end)

        describe("--image", function()
            it("draws from pictures, each a file", function()
                run "generate 'a red fox' -o a"
                run "generate 'a blue heron' -o b"
                local one, two = " --image a.png", " --image a.png --image ./b.png"
                local draw = "generate 'a walk' --model gemini-2.5-flash-image -o "
                assert.are.equal(0, (run(draw .. "without")))
                assert.are.equal(0, (run(draw .. "one" .. one)))
                assert.are.equal(0, (run(draw .. "two" .. two)))
                assert.is_false(picture "without.png" == picture "one.png")
                assert.is_false(picture "one.png" == picture "two.png")
            end)

            it("is read before anything is sent", function()
                local nowhere = { env = { THUCCHIEN_BASE_URL = NOWHERE } }
                write(directory .. "/words.png", "not a picture")
                for file, problem in pairs {
                    ["missing.png"] = "cannot read 'missing%.png': No such file",
                    ["words.png"] = "'words%.png' is no picture",
                    ["."] = "'%.'.* [Ii]s a directory",
                } do
                    local status, out, err = run("generate x --via chat --image " .. file, nowhere)
                    assert.are.equal(1, status)
                    assert.are.equal("", out)
                    assert_one_line(err, "invalid_request: .*" .. problem)
                end
                local status, _, err = run("generate x --image words.png", nowhere)
                assert.are.equal(2, status)
                assert_one_line(err, "^thucchien: %-%-image: model 'imagen%-4' is asked via 'images', which does not take it")
            end)
        end)

        describe("when some of several requests fail", function()
            -- One that fails is not tried again: it may have been billed.
            local failing = "generate x -n 2 --via chat -o fox --model emulate/plain-500/1"

            it("saves the pictures that came, and fails with each error", function()
                local status, out, err = run(failing)
                assert.are.equal(1, status)
                assert.are.equal(1, #files())
                local _, lines = out:gsub("fox%-?%d?%.png  1024x1024  [^\n]+\n", "")
                assert.are.equal(1, lines)
                assert.is_truthy(err:find "thucchien: server_error: [^\n]+\n", err)
                assert.is_truthy(err:find("thucchien: 2 images were asked for, 1 came\n", 1, true), err)
            end)

            it("lists the errors in the object of --json", function()
                local status, out = run(failing .. " --json --aspect-ratio 1:1")
                assert.are.equal(1, status)
                local report = cjson.decode(out)
                assert.are.equal(1, #report.images)
                assert.are.equal(1, #report.errors)
                assert.are.equal("server_error", report.errors[1].kind)
                assert.are.same({ "2 images were asked for, 1 came" }, report.warnings)
            end)
        end)

        it("tells the address of a picture that could not be fetched", function()
            local status, out, err = run "generate x --model emulate/url-404"
            assert.are.equal(1, status)
            assert.are.equal("", out)
            assert_one_line(err, "cannot fetch http://127%.0%.0%.1:%d+/.*; the picture's address is http://127[^ ]+\n$")
            local report = cjson.decode((select(2, run "generate x --model emulate/url-404 --json")))
            assert.are.equal(emulator.url, report.error.url:sub(1, #emulator.url))
            assert.is_true(report.error.maybe_billed)
        end)

        describe("of what real gateways send", function()
            local ALL, TALKING, BY_URL = { "images", "chat", "gemini" }, { "chat", "gemini" }, { "images", "chat" }
            local ONE = { "images" } -- of an error the command only prints the line, whatever the route

            -- A model, its routes, and what comes of it: "picture" (whole, and nothing else), "part" (what came is
            -- kept under a name that says so), "unknown" (a file of a type that nobody knows), or the error's kind.
            local cases = {
                { "cut", ALL, "part" }, { "length", TALKING, "part" }, { "damaged", ALL, "part" }, { "lines", ALL, "picture" },
                { "lines-lf", ALL, "picture" }, { "base64url", ALL, "picture" }, { "no-padding", ALL, "picture" },
                { "percent", BY_URL, "picture" }, { "url-space", BY_URL, "picture" }, { "more-behind", ALL, "picture" },
                { "unknown-type", ALL, "unknown" }, { "draft", { "gemini" }, "picture" }, { "draft-late", { "gemini" }, "picture" },
                { "draft-after", { "gemini" }, "picture" }, { "draft-only", { "gemini" }, "no_image" },
                { "partial-images", { "images" }, "picture" },
                { "as-images", TALKING, "picture" }, { "as-chat", { "images", "gemini" }, "picture" }, { "as-gemini", BY_URL, "picture" },
                { "as-responses", ALL, "picture" }, { "responses-sse", ALL, "picture" },
                { "inside", { "gemini" }, "picture" }, { "data-images", { "images" }, "picture" }, { "ndjson", TALKING, "picture" },
                { "markdown-sse", { "chat" }, "picture" },
                { "raw", ALL, "picture" }, { "b64-data-url", { "images" }, "picture" },
                { "sse", ALL, "picture" }, { "sse-comments", ALL, "picture" }, { "chunks", TALKING, "picture" },
                { "keep-alive", ALL, "picture" }, { "blank-lines", ALL, "picture" }, { "string-url", { "chat" }, "picture" },
                { "message-b64", { "chat" }, "picture" }, { "markdown-url", { "chat" }, "picture" }, { "bare-url", { "chat" }, "picture" },
                { "same", ALL, "picture" }, { "usage-cost", BY_URL, "picture" }, { "signature", { "gemini" }, "picture" },
                { "reasoning", { "chat" }, "picture" },
                { "policy-code", ONE, "content_policy" }, { "moderated", ONE, "content_policy" }, { "filter-code", ONE, "content_policy" },
                { "filter-result", ONE, "content_policy" }, { "sentence", ONE, "content_policy" }, { "sentence-403", ONE, "content_policy" },
                { "unmoderated", { "images" }, "content_policy" }, { "refusal", { "chat" }, "content_policy" },
                { "finish", { "chat" }, "content_policy" }, { "feedback", { "chat" }, "content_policy" },
                { "no-quota", ONE, "budget_exceeded" }, { "billing-limit", ONE, "budget_exceeded" }, { "402", ONE, "budget_exceeded" },
                { "budget-422", ONE, "budget_exceeded" }, { "budget-team", ONE, "budget_exceeded" }, { "budget-user", ONE, "budget_exceeded" },
                { "200-402", ONE, "budget_exceeded" }, { "200-403", ONE, "permission_denied" }, { "200-502", ONE, "server_error" },
                { "choice-error", { "chat" }, "server_error" }, { "event-error", { "chat" }, "server_error" },
                { "listed", ONE, "invalid_request" }, { "errors", ONE, "invalid_request" }, { "code-message", ONE, "server_error" },
                { "no-success", ONE, "server_error" }, { "upstream-401", { "gemini" }, "server_error" },
                { "try-again/1ms", ONE, "rate_limit" }, { "retry-delay/0", ONE, "rate_limit" },
                -- Sent again, for nothing was billed: the second time it draws.
                { "parallel/1", ONE, "picture" }, { "crossed/1", ONE, "picture" }, { "overloaded/1", ONE, "picture" },
                { "200-429/1", ONE, "picture" }, { "200-503/1", ONE, "picture" },
                -- Not sent again, for it may have been.
                { "billed-answer/1", BY_URL, "rate_limit" }, { "billed-500/1", BY_URL, "rate_limit" },
                { "billed-quota/1", BY_URL, "rate_limit" }, { "billed-picture/1", ALL, "kept" },
            }

            local function is_whole(bytes)
                return bytes:sub(1, 8) == "\137PNG\r\n\26\n" and bytes:sub(-8, -5) == "IEND"
            end

            local function check(name, via, expected)
                local status, out, err = run(("generate 'a lake' -o x --via %s --model emulate/%s"):format(via, name))
                if expected == "picture" then
                    assert.are.same({ 0, { "x.png" } }, { status, files() }, err)
                    -- Bytes behind a picture's own end are let be.
                    assert.is_true(is_whole(picture "x.png") or name == "more-behind")
                    local size = pictures.png_dimensions(picture "x.png")
                    assert.are_not.equal(48, size) -- drafts are of that size
                    assert.is_truthy(out:find(("^x%%.png  %dx%%d+  [^\n]+\n$"):format(size)), out)
                    assert.is_falsy(err:find("thucchien: ", 1, true), err)
                elseif expected == "unknown" then
                    assert.are.same({ 0, { "x" } }, { status, files() }, err)
                    assert.is_truthy(err:find "thucchien: x: not a picture the module knows\n$", err)
                elseif expected == "kept" then -- the picture that came with an error's status
                    assert.are.same({ 1, { "x.png" } }, { status, files() }, err)
                    assert.is_true(is_whole(picture "x.png"))
                    assert.is_truthy(out:find "^x%.png  [^\n]+\n$", out)
                    assert_one_line(err, "^thucchien: rate_limit: ")
                else
                    local kind = expected == "part" and "bad_response" or expected
                    assert.are.same({ 1, "" }, { status, out })
                    assert_one_line(err, "^thucchien: " .. kind .. ": ")
                    assert.are.same(expected == "part" and { "x.png.part" } or {}, files())
                end
                for _, file in ipairs(files()) do
                    os.remove(directory .. "/" .. file)
                end
            end

            for _, case in ipairs(cases) do
                it("makes the best, emulate/" .. case[1], function()
                    for _, via in ipairs(case[2]) do
                        check(case[1], via, case[3])
                    end
                end)
            end

            it("has seen all", function()
                local seen = { ["resets-7h"] = true } -- a minute's wait
                for _, case in ipairs(cases) do
                    seen[case[1]:match "^[^/]+"] = true
                end
                for _, kind in ipairs { "damage", "shapes", "refusals", "limits", "misplaced" } do
                    for _, model in ipairs(require("thucchien.emulator." .. kind).models) do
                        assert.is_true(seen[model.name], model.name)
                    end
                end
            end)

            it("tells of pictures that are the same, and of what came of one of two", function()
                local status, _, err = run "generate 'a lake' -o x -n 2 --model emulate/same"
                assert.are.equal(0, status, err)
                assert_one_line(err, "image 2 is the same as image 1")
                status, _, err = run "generate 'a lake' -o y -n 2 --model emulate/cut"
                assert.are.equal(1, status)
                assert.is_truthy(err:find("thucchien: bad_response: image 1 is cut short", 1, true), err)
                assert.are.same({ "x-2.png", "x.png", "y-2.png", "y.png.part" }, files())
                assert.is_true(is_whole(picture "y-2.png"))
            end)
        end)

        describe("at Ctrl-C", function()
            --- Interrupts a shell's loop around the command, as a terminal does, once `ready` is true.
            local function interrupt(arguments, ready)
                write(directory .. "/.loop", "for turn in 1 2; do echo turn $turn\n"
                    .. command .. " " .. arguments .. "\ndone\n")
                write(directory .. "/.interrupt", "set -m; bash .loop & loop=$!\n" .. wait_until(ready)
                    .. "; kill -INT -$loop; wait $loop\n")
                return run("", { around = "bash .interrupt" })
            end

            local four = "generate x -n 4 -o fog --model emulate/drip"

            it("keeps the pictures that were whole, and ends a loop of the shell", function()
                local status, out, err = interrupt(four, "[ -e fog-2.png ]")
                local names = files()
                table.insert(names, 1, table.remove(names)) -- "fog.png" is sorted behind its numbers
                local said = ("thucchien: interrupted; %d of 4 pictures saved: %s; the request may be billed\n")
                    :format(#names, table.concat(names, ", "))
                assert.is_truthy(err:find(said, 1, true), err)
                assert.are.equal(130, status)
                assert.is_true(#names >= 2)
                assert.is_falsy(out:find("turn 2", 1, true))
                for _, name in ipairs(names) do
                    assert.is_truthy(out:find("\n" .. name .. "  64x64  ", 1, true))
                    assert.are.same({ 64, 64 }, { pictures.png_dimensions(picture(name)) })
                end
            end)

            it("prints its object", function()
                local _, out = interrupt(four .. " --json", "[ -e fog-2.png ]")
                local report = cjson.decode(out:match "{.*}")
                assert.are.equal("cancelled", report.error.kind)
                assert.are.equal("interrupted", report.error.message)
                assert.is_true(report.error.maybe_billed)
                assert.are.equal("fog.png", report.images[1].path)
            end)

            it("says that the request may be billed", function()
                local gate = mirrors.gate()
                local status, _, err = interrupt("generate x --base-url " .. held("interrupted", gate), has "interrupted")
                assert.are.equal(130, status)
                assert.is_truthy(err:find("thucchien: interrupted; the request may be billed\n", 1, true), err)
                assert.are.same({}, files())
            end)
        end)

        describe("--json", function()
            it("prints one object and no prose", function()
                local status, out, err = run "generate 'a cat' -n 2 -o ./cat --json"
                assert.are.equal("", err)
                assert.are.equal(0, status, err)
                assert.is_falsy(out:find("\\/", 1, true))
                local report = cjson.decode(out)
                assert.are.equal(2, #report.images)
                for index, image in ipairs(report.images) do
                    assert.are.equal(index == 1 and "./cat.png" or "./cat-2.png", image.path)
                    local bytes = picture(image.path)
                    assert.are.equal(#bytes, image.size)
                    assert.are.same({ pictures.png_dimensions(bytes) }, { image.width, image.height })
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
            for arguments, said in pairs {
                ["-n 9"] = "%-n: a number from 1 to 4 expected, got 9",
                ["--size 3x4"] = "%-%-size: '1024x1024', [^\n]+ expected, got '3x4'",
                ["--image x.png"] = "%-%-image: [^\n]+, or %-%-via chat%)",
                ["--param guidance_scale=much"] = "%-%-param guidance_scale: a number expected, got 'much'",
                ["--param guidancescale=1"] = "%-%-param: unknown field 'guidancescale' %(did you mean 'guidance_scale'%?%)",
            } do
                local status, out, err = run(("generate x %s --base-url %s"):format(arguments, NOWHERE))
                assert.are.equal(2, status, err)
                assert.are.equal("", out)
                assert_one_line(err, "^thucchien: " .. said)
            end
            local status, _, err = run "generate x --base-url http://gateway.example"
            assert.are.equal(2, status)
            assert_one_line(err, "^thucchien: %-%-base%-url: plain http shows the key to the network; use https, got 'http://")
        end)

        it("sends what its options and --param say, as the module's fields", function()
            local path = directory .. "/.sent"
            local address = mirrors.answering(mirror, { id = "options", body = PICTURE, keep = path })
            local status, _, err = run("generate a red fox -o fox --quality hd --style vivid --background opaque "
                .. "--output-format png --seed 7 --negative-prompt 'fog and rain' --param guidance_scale=7.5 "
                .. "--param add_watermark=false --param user=me "
                .. "--extra-body '{\"other\": {\"x\": [1, 2]}}' --base-url " .. quote(address))
            assert.are.equal(0, status, err)
            local sent = cjson.decode(read(path .. ".1"))
            assert.are.same({
                model = "imagen-4", prompt = "a red fox", n = 1, quality = "hd", style = "vivid", background = "opaque",
                output_format = "png", seed = 7, negative_prompt = "fog and rain", guidance_scale = 7.5,
                add_watermark = false, user = "me", other = { x = { 1, 2 } },
            }, sent)
        end)

        it("retries as --retry and --max-retries say", function()
            for options, attempts in pairs {
                ["--model emulate/503 --max-retries 0"] = 1,
                ["--model emulate/503 --retry none"] = 1,
                ["--model emulate/500 --retry all --max-retries 1"] = 2,
            } do
                local status, out = run("generate x --json " .. options)
                assert.are.equal(1, status)
                assert.are.equal(attempts, cjson.decode(out).error.attempts, options)
            end
        end)

        it("goes through --proxy", function()
            local status, _, err = run("generate x --proxy http://127.0.0.1:1", { env = { NO_PROXY = "", no_proxy = "" } })
            assert.are.equal(1, status)
            assert_one_line(err, "connection: [^\n]*port 1[ :]")
        end)

        it("sends nothing with --dry-run, and says which files it would write", function()
            local nowhere = { env = { THUCCHIEN_BASE_URL = NOWHERE } }
            write(directory .. "/a-red-fox.png", "mine")
            local status, out, err = run("generate a red fox -n 2 --dry-run", nowhere)
            assert.are.equal(0, status, err)
            assert.are.equal("a-red-fox-2.png  not drawn: --dry-run\na-red-fox-3.png  not drawn: --dry-run\n", out)
            assert.are.equal(1, (run("generate x -o a-red-fox --dry-run", nowhere)))
            assert.are.equal(2, (run("generate x -n 9 --dry-run", nowhere)))
            status, out = run("generate a hare --size 1024x1024 --seed 7 -o hare.png --dry-run --json", nowhere)
            assert.are.equal(0, status)
            assert.are.same({
                files = { "hare.png" },
                params = { prompt = "a hare", size = "1024x1024", seed = 7 },
            }, cjson.decode(out))
            assert.are.same({ "a-red-fox.png" }, files())
        end)

        it("prints nothing but errors with --quiet", function()
            local status, out, err = run "generate x -q --size 1536x1024 -o wide"
            assert.are.same({ 0, "", "" }, { status, out, err })
            assert.are.same({ "wide.png" }, files())
            status, out, err = run "generate x --quiet --model emulate/403"
            assert.are.same({ 1, "" }, { status, out })
            assert_one_line(err, "permission_denied: ")
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
                { "generate x -n 2 --model gemini-2.5-flash-image -o c --json" },
                { "generate x --model emulate/url-404 --json" },
                { "key" },
                { "key --json" },
                { "models --json" },
                { "key", { env = { THUCCHIEN_API_KEY = "a-" .. KEY:sub(4) } } },
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

        it("is silent on a pipe", function()
            local _, _, err = run "generate x -o pipe"
            assert.are.equal("", err)
        end)

        describe("on a terminal", function()
            --- Runs the command there; `typist` is what a shell writes to it.
            local function run_there(arguments, typist)
                if support.execute "script -qec true /dev/null >/dev/null 2>&1 </dev/null" ~= 0 then
                    pending "needs script(1), and terminals that it can make"
                end
                return run(arguments, { around = ("{ %s; } | script -qec \"%%s\" /dev/null"):format(typist) })
            end

            it("shows seconds and megabytes in one short line", function()
                local gate = mirrors.gate()
                local half = math.floor(#PICTURE / 2)
                local url = mirrors.answering(mirror, { id = "line", gate = gate.path,
                    pieces = { "HTTP/1.1 200 OK\r\n\r\n" .. PICTURE:sub(1, half), PICTURE:sub(half + 1) } })
                local status, out = run_there("generate x -o fog --base-url " .. quote(url),
                    ("%s; : >%s; %s"):format(wait_until(has_printed "receiving"), gate.path, wait_until(has_printed "fog.png")))
                gate:remove()
                assert.are.equal(0, status)
                assert.is_truthy(out:find("\r\27%[Kwaiting for the gateway, %d+ s "), out)
                assert.is_truthy(out:find "\r\27%[Kreceiving, %d+ s, 0%.0 MB ")
                assert.is_truthy(out:find("\r\27[Kfog.png", 1, true))
                for line in out:gmatch "\r\27%[K([^\r\n]*%d s[^\r\n]*)" do
                    assert.is_true(#line <= 40)
                end
            end)

            it("leaves no such line behind at Ctrl-C", function()
                local gate = mirrors.gate()
                local status, out = run_there("generate x --base-url " .. held("left", gate),
                    wait_until(has "left") .. "; printf '\\003'; " .. wait_until(has_printed "interrupted"))
                assert.are.equal(130, status)
                assert.is_truthy(out:find("\r\27[Kthucchien: interrupted; the request may be billed", 1, true), out)
            end)

            it("says that it waits for the prompt", function()
                local status, out = run_there("generate -", ("%s; echo 'a boat'; printf '\\004'; %s"):format(
                    wait_until(has_printed "type the prompt"), wait_until(has_printed "a-boat.png")))
                assert.are.equal(0, status)
                assert.is_truthy(out:find("thucchien: type the prompt, end with Ctrl-D\r\n", 1, true))
                assert.are.same({ "a-boat.png" }, files())
            end)

            it("can be interrupted while it waits for the prompt", function()
                local status, out = run_there("generate -", ("%s; printf '\\003'; %s"):format(
                    wait_until(has_printed "type the prompt"), wait_until(has_printed "interrupted")))
                assert.are.equal(130, status)
                assert.is_truthy(out:find("thucchien: interrupted\r\n", 1, true))
            end)
        end)
    end)

    describe("key", function()
        it("shows spend, budget, limits and expiry as a table", function()
            local status, out, err = run "key"
            assert.are.equal("", err)
            assert.are.equal(0, status, err)
            for label, pattern in pairs {
                key = "sk%-%.%.%." .. KEY:sub(-4), spend = "%$%d+%.%d%d%d%d", budget = "none of its own",
                expires = "never", limits = "200 requests a minute", models = "all",
            } do
                assert.is_truthy(("\n" .. out):find(("\n%s +%s\n"):format(label, pattern)), out)
            end
            assert.is_truthy(out:find("\n          20 requests a minute to imagen-4\n", 1, true), out)
        end)

        it("tells what is left of a budget, and when it begins anew", function()
            local poor = require("spec.support.emulator").start { args = { "--budget", "0.05" } }
            finally(function()
                poor:stop()
            end)
            local with = { env = { THUCCHIEN_BASE_URL = poor.url } }
            run("generate x", with)
            local _, out = run("key", with)
            assert.is_truthy(out:find("\nspend     $0.0400\n", 1, true), out)
            assert.is_truthy(out:find "\nbudget    %$0%.0500, %$0%.0100 left, resets at %d+%-%d%d%-%d%d %d%d:%d%d UTC\n", out)
            run("generate y", with) -- what was spent exceeds the budget
            _, out = run("key", with)
            assert.is_truthy(out:find(", $0.0000 left, ", 1, true), out)
        end)

        it("prints all that the gateway tells with --json", function()
            local status, out = run "key --json"
            assert.are.equal(0, status)
            local info = cjson.decode(out)
            assert.are.equal("number", type(info.spend))
            assert.are.equal(200, info.rpm_limit)
            assert.are.equal(20, info.metadata.model_rpm_limit["imagen-4"])
            assert.is_nil(info.max_budget)
        end)

        it("fails in one line, and with an object", function()
            local status, out, err = run("key --json --base-url " .. NOWHERE)
            assert.are.equal(1, status)
            assert.are.equal("connection", cjson.decode(out).error.kind)
            assert_one_line(err, "connection: ")
            status, out, err = run("key", { env = { THUCCHIEN_API_KEY = false } })
            assert.are.equal(1, status)
            assert.are.equal("", out)
            assert_one_line(err, "THUCCHIEN_API_KEY")
        end)
    end)

    describe("models", function()
        it("prints one name a line", function()
            local status, out, err = run "models"
            assert.are.equal("", err)
            assert.are.equal(0, status, err)
            assert.is_truthy(("\n" .. out):find("\nimagen-4\n", 1, true), out)
            assert.is_truthy(out:find("\ngemini-2.5-flash-image\n", 1, true), out)
            assert.is_falsy(out:find(" ", 1, true))
        end)

        it("prints the gateway's list with --json", function()
            local list = cjson.decode((select(2, run "models --json")))
            assert.are.equal("imagen-4", list[1].id)
        end)
    end)

    describe("settings", function()
        local own -- the user's file
        local unset = { env = { THUCCHIEN_API_KEY = false, THUCCHIEN_BASE_URL = false } }

        before_each(function()
            own = directory .. "/.settings/thucchien/config"
            lfs.mkdir(directory .. "/.settings")
            lfs.mkdir(directory .. "/.settings/thucchien")
            write(directory .. "/.key", "sk-from-a-file-0123456789\n")
            os.execute("chmod 600 " .. quote(directory .. "/.key"))
        end)

        --- What `config` says: { value, origin } by name.
        local function settings(arguments, with)
            local status, out, err = run("config --json " .. (arguments or ""), with)
            assert.are.equal(0, status, err)
            local found = {}
            for name, row in pairs(cjson.decode(out)) do
                found[name] = { row.value, row.origin }
            end
            return found
        end

        it("come from an option, the environment, ./.thucchien, the user's file, or are the default", function()
            assert.are.same({
                key = { "none", "-" }, base_url = { "https://api.thucchien.ai", "default" }, model = { "imagen-4", "default" },
            }, settings("", unset))
            write(own, "# mine\nmodel = own\nquality = low\ntimeout = 20\nbase_url = https://own.example\n\n"
                .. "[work]\nmodel = of-work\nstyle = vivid\n")
            write(directory .. "/.thucchien", "quality = hd\r\n[work]\n  size = 1024x1024  \n")
            local found = settings("--timeout 30", { env = { THUCCHIEN_MODEL = "of-env", THUCCHIEN_BASE_URL = false } })
            assert.are.same({ "...6789", "$THUCCHIEN_API_KEY" }, found.key)
            assert.are.same({ "of-env", "$THUCCHIEN_MODEL" }, found.model)
            assert.are.same({ "30", "option" }, found.timeout)
            assert.are.same({ "hd", ".thucchien:1" }, found.quality)
            assert.are.same({ "https://own.example", own .. ":5" }, found.base_url)
            assert.is_nil(found.style)
            for _, profile in ipairs { { "--profile work" }, { "", { env = { THUCCHIEN_PROFILE = "work" } } } } do
                found = settings(profile[1], profile[2])
                assert.are.same({ "of-work", own .. ":8" }, found.model)
                assert.are.same({ "vivid", own .. ":9" }, found.style)
                assert.are.same({ "1024x1024", ".thucchien:3" }, found.size)
            end
            local _, out = run "config"
            assert.is_truthy(out:find("\nquality +hd +%.thucchien:1\n"), out)
        end)

        it("say what is drawn, how and where", function()
            local path = directory .. "/.sent"
            lfs.mkdir(directory .. "/art")
            write(own, ("key_file = %s/.key\nbase_url = %s\nallowed = 1\n"):format(directory, mirror.url))
            local status, _, err = run("generate x", unset)
            assert.are.equal(2, status)
            assert_one_line(err, "config:3: unknown setting 'allowed'")
            write(own, ("key_file = %s/.key\nbase_url = %s\nquality = hd\nseed = 7\nfolder = %s/art\n"):format(directory,
                mirrors.answering(mirror, { id = "settings", body = PICTURE, keep = path }), directory))
            local out
            status, out, err = run("generate a hare", unset)
            assert.are.equal(0, status, err)
            assert.is_truthy(out:find("/art/a-hare.png", 1, true), out)
            local sent = cjson.decode(read(path .. ".1"))
            assert.are.same({ "hd", 7 }, { sent.quality, sent.seed })
            assert.are.equal("Bearer sk-from-a-file-0123456789",
                mirrors.credentials(mirrors.seen(mirror, "settings")[1], "authorization"))
        end)

        it("read a key file only if nobody else can, and never print the key", function()
            write(own, "key_file = " .. directory .. "/.key\n")
            assert.are.same({ "...6789", directory .. "/.key" }, settings("", unset).key)
            local problems = {
                ["chmod 640 .key"] = "others can read the key; `chmod 600 ",
                ["chmod 604 .key"] = "others can read the key",
                ["rm .key"] = "there is no such file %(key_file%)",
                ["echo sk-one sk-two >.key; chmod 600 .key"] = "the key expected, and nothing else",
            }
            for line, problem in pairs(problems) do
                os.execute(("cd %s && %s"):format(quote(directory), line))
                local status, out, err = run("key", unset)
                assert.are.equal(2, status)
                assert.are.equal("", out)
                assert_one_line(err, problem)
                assert.is_falsy(err:find("sk-", 1, true))
                write(directory .. "/.key", "sk-from-a-file-0123456789\n")
            end
        end)

        it("of ./.thucchien never say where the key goes or comes from", function()
            for _, name in ipairs { "base_url", "proxy", "key_file" } do
                write(directory .. "/.thucchien", name .. " = https://gateway.example\n")
                local status, _, err = run "key"
                assert.are.equal(2, status)
                assert_one_line(err, "%.thucchien:1: '" .. name .. "' is read from [^\n]*/config alone")
            end
        end)

        it("come from --env-file where it is asked for, and only what is ours", function()
            write(directory .. "/.env", "A=1\nexport THUCCHIEN_API_KEY='sk-of-env-file-9876'\nTHUCCHIEN_MODEL=\"m\"\n"
                .. "THUCCHIEN_BASE_URL=" .. emulator.url .. "\n")
            assert.are.equal("none", settings("", unset).key[1])
            local found = settings("--env-file .env", unset)
            assert.are.same({ { "...9876", ".env:2" }, { "m", ".env:3" } }, { found.key, found.model })
            assert.are.equal(0, (run("key --env-file .env", unset)))
            assert.are.equal("...6789", settings("--env-file .env").key[1]) -- the environment wins
            local status, _, err = run("key --env-file nowhere", unset)
            assert.are.equal(2, status)
            assert_one_line(err, "nowhere: there is no such file")
        end)

        it("are told by line where they cannot be read", function()
            for text, problem in pairs {
                ["model"] = ":1: a line is `name = value`", ["\ntimeout = soon"] = ":2: timeout: seconds expected, got 'soon'",
                ["model ="] = ":1: model: a value expected", ["[a b]"] = ":1: a line is",
            } do
                write(own, text .. "\n")
                local status, _, err = run "models"
                assert.are.equal(2, status)
                assert.is_truthy(err:find("/config" .. problem, 1, true), err)
            end
            write(own, "")
            local status, _, err = run "models --profile none"
            assert.are.equal(2, status)
            assert_one_line(err, "no profile %[none%] in ")
        end)
    end)

    describe("in Vietnamese", function()
        it("speaks as the locale or --lang says", function()
            for _, case in ipairs {
                { "", { LC_ALL = "vi_VN.UTF-8" } }, { "", { LC_ALL = false, LC_MESSAGES = false, LANG = "vi" } },
                { "--lang vi", { LC_ALL = "C" } },
            } do
                local status, out, err = run("generate x --model emulate/429 --retry none " .. case[1], { env = case[2] })
                assert.are.same({ 1, "" }, { status, out })
                -- A shell around the command may warn that it has no such locale.
                assert.is_truthy(("\n" .. err):find "\nthucchien: rate_limit: [^\n]+ %- hãy chờ rồi thử lại\n$", err)
            end
            for _, case in ipairs { { "", { LC_ALL = "C" } }, { "--lang en", { LC_ALL = "vi_VN.UTF-8" } },
                { "", { LC_ALL = "", LANG = "en_US.UTF-8" } }, { "", { LC_ALL = "vin_XX" } } } do
                local _, _, err = run("generate x --model emulate/429 --retry none " .. case[1], { env = case[2] })
                assert.is_truthy(err:find " %- wait, then try again\n$", err)
            end
        end)

        it("says what a key has spent, in columns, and what is wrong with a file", function()
            local status, out, err = run "key --lang vi"
            assert.are.equal(0, status, err)
            assert.is_truthy(out:find "^khóa      sk%-")
            assert.is_truthy(out:find "\nđã tiêu   %$")
            write(directory .. "/fog.png", "mine")
            status, out, err = run "generate x -o fog --lang vi"
            assert.are.same({ 1, "", "thucchien: fog.png: đã có sẵn (--force sẽ ghi đè)\n" }, { status, out, err })
            status, out = run "generate x -o nowhere/x --lang vi --json"
            assert.are.equal(1, status)
            assert.are.equal("io", cjson.decode(out).error.kind)
        end)

        it("has every advice of the module and every message of the command", function()
            local language = require "thucchien.cli.language"
            local missing = {}
            local function check(text)
                language.set "vi"
                if language.say(text) == text then
                    missing[#missing + 1] = text
                end
            end
            finally(function()
                language.set "en"
            end)
            for line in read(root .. "/doc/failures.md"):gmatch "%]?`[%l_]+: [^\n]* %- ([^`\n]+)` |" do
                check(line)
            end
            for name in lfs.dir(root .. "/lua/thucchien/cli") do
                local text = name:find "%.lua$" and read(root .. "/lua/thucchien/cli/" .. name) or ""
                for message in text:gmatch '%f[%w]say%("([^"]+)"' do
                    check(message)
                end
            end
            assert.are.same({}, missing)
        end)
    end)

    describe("with wrong usage", function()
        local cases = {
            { "", "a command is required" },
            { "paint", "unknown command 'paint'" },
            { "generate", "missing argument 'prompt'" },
            { "generate x --param size", "--param takes NAME=VALUE, got 'size'" },
            { "generate x --param =1", "--param takes NAME=VALUE, got '=1'" },
            { "generate x --param size=null", "--param takes NAME=VALUE, got 'size=null'" },
            { "generate x --param save=x", "--param has no 'save': -o says where pictures go" },
            { "generate x --extra-body [1", "--extra-body takes a JSON object, got '[1'" },
            { "generate x --seed -1", "unknown option '-1'" },
            { "generate x --seed 1.5", "--seed takes a whole number, got '1.5'" },
            { "generate x --retry often", "argument for option '--retry' must be one of 'safe', 'all', 'none'" },
            { "generate x --max-retries many", "--max-retries takes a whole number" },
            { "help paint", "unknown command 'paint'" },
            { "completion cmd", "argument 'shell' must be one of" },
            { "generate x --colour red", "unknown option '--colour'" },
            { "generate x --key sk-1", "unknown option '--key'" },
            { "generate x -n 0", "-n takes a whole number from 1, got '0'" },
            { "generate x -n 1.5", "-n takes" },
            { "generate x -n two", "-n takes" },
            { "generate x -n", "option '-n' requires an argument" },
            { "generate x --timeout soon", "--timeout takes seconds, got 'soon'" },
            { "generate x --timeout 0", "--timeout takes" },
            { "generate x --model ''", "--model takes a text that is not empty" },
            { "generate x -o -", "-o takes a file or a directory, got '-' (standard output is /dev/stdout)" },
            { "generate x -o ''", "-o takes a file or a directory" },
            { "generate x --json -n 0", "-n takes a whole number" },
            { "generate x --via pigeon", "argument for option '--via' must be one of 'images', 'chat', 'gemini'" },
            { "generate x --image ''", "--image takes a text that is not empty" },
            { "key mine", "too many arguments" },
            { "models --force", "unknown option '--force'" },
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
            ["--help"] = { "generate", "key", "models", "emulator", "THUCCHIEN_API_KEY" },
            ["generate --help"] = { "-o FILE", "-n N", "--size", "--aspect-ratio", "--model",
                "--base-url", "--timeout", "--json", "--force", "--via", "--image FILE", "--quality", "--seed N",
                "--negative-prompt", "--param NAME=VALUE", "--extra-body JSON", "--proxy", "--retry", "--max-retries",
                "--dry-run", "--quiet", "Examples:", "Exit status: 0 success, 1 a failure, 2 wrong usage, 130" },
            ["help"] = { "generate", "completion", "Exit status:" },
            ["help generate"] = { "-o FILE", "--dry-run" },
            ["key --help"] = { "budget", "--json", "--base-url" },
            ["models --help"] = { "--json", "--base-url" },
            ["config --help"] = { "--profile P", "--env-file FILE" },
            ["emulator --help"] = { "--port", "--host", "--images", "--delay", "--stop-on-eof",
                "emulate/429", "emulate/slow", "emulate/truncated" },
        }
        for arguments, words in pairs(expected) do
            local status, out, err = run(arguments)
            assert.are.equal(0, status, err)
            assert.are.equal("", err)
            for _, word in ipairs(words) do
                assert.is_truthy(out:find(word, 1, true), word)
            end
            assert.is_falsy(out:find("--key", 1, true))
        end
    end)

    it("has a manual page with every option", function()
        local page = read(root .. "/doc/thucchien.1"):gsub("\\%-", "-")
        for _, name in ipairs { "generate", "key", "models", "config" } do
            local _, help = run("help " .. name)
            for option in help:gmatch "\n   (%-[%w-]+)" do
                assert.is_truthy(page:find(option, 1, true), option .. " is not in it")
            end
            for option in help:gmatch "%-%-[%w-]+" do
                assert.is_truthy(page:find(option, 1, true), option .. " is not in it")
            end
        end
    end)

    it("completes in bash, zsh and fish", function()
        for _, shell in ipairs { "bash", "zsh", "fish" } do
            local status, out, err = run("completion " .. shell)
            assert.are.same({ 0, "" }, { status, err })
            for _, word in ipairs { "generate", "emulator", "aspect-ratio", "dry-run" } do
                assert.is_truthy(out:find(word, 1, true), word)
            end
        end
        -- What bash makes of it, as it asks at the Tab key.
        local _, out = run("completion bash", { around = "%s >.completion; bash -c '. ./.completion; "
            .. "COMP_WORDS=(thucchien generate x --asp); COMP_CWORD=3; _thucchien; echo \"${COMPREPLY[@]}\"'" })
        assert.are.equal("--aspect-ratio\n", out)
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
        local out
        status, out = run("--version", without)
        assert.are.equal(1, status)
        assert.is_truthy(out:find "^thucchien %(no C module%) %(Lua[^\n]+\n$", out)
    end)

    it("prefers the checkout's module to one that lies about", function()
        local built = ("%s/build/%s/thucchien.so"):format(root, lua:match "[^/]+$")
        if not lfs.attributes(built) then
            return pending("needs " .. built)
        end
        write(directory .. "/thucchien.so", "not a library")
        local status, out, err = run("--version", { env = { LUA_CPATH = false } })
        assert.are.equal("", err)
        assert.are.equal(0, status, err)
        assert.is_truthy(out:find "^thucchien %d")
    end)

    describe("emulator", function()
        it("says in one line what it needs that this Lua has not", function()
            local missing = require("thucchien.emulator").missing()
            if not missing then
                return pending "this Lua has all"
            end
            local status, out, err = run "emulator --port 0"
            assert.are.equal(1, status)
            assert.are.equal("", out)
            assert.are.equal("thucchien: " .. missing .. "\n", err)
        end)

        it("stops when standard input ends", function()
            if require("thucchien.emulator").missing() then
                return pending "this Lua has not all that it needs"
            end
            local status, out = run "emulator --port 0 --stop-on-eof"
            assert.are.equal(0, status)
            assert.is_truthy(out:find "http://127%.0%.0%.1:%d+")
        end)
    end)
end)
