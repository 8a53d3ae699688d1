-- `save` that fails late: the picture is paid for, so it is kept, and the error says where it is.
--
-- Each case is a process of its own, with a directory `place` for the pictures and `tmp` for temporary files. It does
-- harm to them `before` the first poll, or `meanwhile`, when half a picture has come.

local cjson = require "cjson"
local lfs = require "lfs"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local pictures = require "spec.support.pictures"

local quote = command.quote
local NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups "
local ROOT = command.execute "test $(id -u) = 0" == 0

local SCRIPT = [[
    local cjson = require "cjson"
    local file = assert(io.open "task.json")
    local task = cjson.decode(file:read "*a")
    file:close()
    local client = assert(require("thucchien").new { api_key = "sk-specs-0123456789abcdef" })
    local params = { prompt = "x", n = task.n, save = task.save, if_exists = task.if_exists, retry = "none",
        extra_body = { mirror = task.answer } }
    local request, names = nil, {}
    function params.on_image(image, index)
        names[index] = image.path
    end
    function params.on_progress(received)
        if received > 1000 then
            if task.meanwhile then
                os.execute(task.meanwhile)
                task.meanwhile = nil
            end
            assert(io.open("gates/rest", "w")):close()
            return task.cancel and request:cancel()
        end
    end
    local err
    request, err = client:submit(params)
    local response
    if request then
        os.execute(task.before or ":")
        response, err = request:wait()
    end
    local result = { ok = response ~= nil, kind = err and err.kind, message = err and err.message, names = names,
        param = err and err.param, maybe_billed = err and err.maybe_billed, data = {} }
    for index, image in ipairs((response or err).data or {}) do
        local picture = image.path:find "^place/.*%." and io.open(image.path, "rb") -- to open a pipe may wait
            or image.path:find "^tmp/" and io.open(image.path, "rb")
        local bytes = picture and picture:read "*a" or ""
        result.data[index] = { path = image.path, complete = image.complete, size = image.size, bytes = #bytes,
            tail = bytes:sub(-1) }
    end
    print(cjson.encode(result))
]]

-- A PNG of no pixels, with `size` bytes of a comment.
local function png(size)
    local length = string.char(0, math.floor(size / 65536), math.floor(size / 256) % 256, size % 256)
    return "\137PNG\r\n\26\n\0\0\0\13IHDR\0\0\0\2\0\0\0\3\8\2\0\0\0\54\136\73\214"
        .. length .. "tEXt" .. ("x"):rep(size) .. "\0\0\0\0" .. "\0\0\0\0IEND\174\66\96\130"
end

local COMMENT = 300000
local SIZE = #png(COMMENT)
local PICTURE = pictures.encode(png(COMMENT))
local SMALL = pictures.encode(png(10))

-- An answer with pictures in it, of which the first comes in two halves: the second when the script knows of the
-- other one.
local function answer(first, ...)
    local body = '{"data":[{"b64_json":"' .. table.concat({ first or PICTURE, ... }, '"},{"b64_json":"') .. '"}]}'
    local half = 200000
    return {
        pieces = { ("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"):format(#body) .. body:sub(1, half), body:sub(half + 1) },
    }
end

describe("a picture that cannot be where it should be", function()
    local mirror, directory

    fixtures.mirror(function(started) mirror = started end)

    before_each(function()
        directory = command.new_directory()
        assert(lfs.mkdir(directory .. "/place") and lfs.mkdir(directory .. "/tmp") and lfs.mkdir(directory .. "/gates"))
        os.execute("chmod 777 " .. quote(directory) .. "/*; chmod 755 " .. quote(directory))
        command.write(directory .. "/script.lua", SCRIPT)
    end)

    after_each(function()
        os.execute("chattr -R -i " .. quote(directory) .. " 2>/dev/null")
        command.remove_directory(directory)
    end)

    -- Runs the script in the directory with a task; `with` has first (a shell's line before it), as (a prefix of the
    -- shell) and tmp. Returns what it found, or nil and what was printed.
    local function run(task, with)
        task.answer = task.answer or answer()
        task.answer.gate = task.answer.pieces[2] and directory .. "/gates/rest"
        os.remove(directory .. "/gates/rest")
        task.save = task.save or "place/a"
        command.write(directory .. "/task.json", cjson.encode(task))
        with = with or {}
        local line = ("cd %s && %s && export THUCCHIEN_BASE_URL=%s TMPDIR=%s && echo made && %s script.lua")
            :format(quote(directory), with.first or ":", mirror.url, with.tmp or "tmp", command.lua)
        local pipe = assert(io.popen(("%s sh -c %s 2>&1"):format(with.as or "", quote(line .. (with.behind or "")))))
        local printed = pipe:read "*a"
        pipe:close()
        local json = printed:match "^made\n({.*})\n$"
        return json and cjson.decode(json), printed
    end

    local function names()
        return command.names(directory .. "/place"), command.names(directory .. "/tmp")
    end

    local function bytes_of(path)
        return command.read(directory .. "/" .. path)
    end

    -- The one picture is whole, at `path`, and the error says so.
    local function assert_kept(result, reason, path)
        assert.is_false(result.ok)
        assert.equal("io", result.kind)
        assert.is_true(result.maybe_billed)
        assert.matches("^cannot write 'place/[^']+': " .. reason, result.message)
        assert.is_truthy(result.message:find("'" .. path .. "'", 1, true), result.message)
        assert.same({ { path = path, size = SIZE, bytes = SIZE, tail = "\130" } }, result.data)
        assert.same({ path }, result.names)
    end

    it("is beside a file that is a mount", function()
        local result, printed = run({}, {
            as = ROOT and "unshare -m" or "unshare -Urm",
            first = "echo old >place/a.png && echo mounted >other && mount --bind other place/a.png",
        })
        if not result then
            return pending("cannot be made here: " .. printed)
        end
        assert_kept(result, "Device or resource busy", "place/a-rescued-1.png")
        assert.same({ { "a-rescued-1.png", "a.png" }, {} }, { names() })
        assert.equal("old\n", bytes_of "place/a.png")
        assert.equal("mounted\n", bytes_of "other")
    end)

    it("is beside a directory that has taken its name", function()
        assert_kept(run { meanwhile = "mkdir place/a.png" }, "Is a directory", "place/a-rescued-1.png")
    end)

    it("is among temporary files when its directory is gone", function()
        for _, moment in ipairs { "before", "meanwhile" } do
            local result = run { [moment] = "rm -r place" }
            os.remove(directory .. "/tmp/a-rescued-1.png")
            assert_kept(result, "No such file", "tmp/a-rescued-1.png")
            assert.same({}, command.names(directory .. "/tmp"))
            lfs.mkdir(directory .. "/place")
        end
    end)

    it("keeps the name that it has when no other can be given", function()
        local result = run({ meanwhile = "chattr +i place" }, { first = "touch tmp/x && chattr +i tmp/x && chattr -i tmp/x" })
        if not result then
            return pending "no chattr here"
        end
        assert_kept(result, "Operation not permitted", "place/.thucchien-00.part")
    end)

    it("keeps the name that it has in a directory that takes no more of another user's", function()
        if ROOT then
            os.execute("chown 65534 " .. quote(directory .. "/place"))
        end
        local result, printed = run({ meanwhile = "chmod 555 place" },
            { as = ROOT and NOBODY or "", first = "test -r " .. quote(command.root .. "/bin/thucchien") })
        if not result then
            return pending("cannot be made here: " .. printed)
        end
        assert_kept(result, "Permission denied", "place/.thucchien-00.part")
    end)

    it("is among temporary files when the disk is full", function()
        local result, printed = run({}, {
            as = ROOT and "unshare -m" or "unshare -Urm",
            first = "mount -t tmpfs -o size=64k none place && echo old >place/a.png",
            behind = " && test $(ls -A place) = a.png",
        })
        if not printed:find("made", 1, true) then
            return pending("cannot be made here: " .. printed)
        end
        assert_kept(result, "No space left on device", "tmp/a-rescued-1.png")
        assert.equal("rw-------", lfs.attributes(directory .. "/tmp/a-rescued-1.png", "permissions"))
    end)

    it("is kept as far as it goes when all disks are full", function()
        local result, printed = run({}, {
            as = ROOT and "unshare -m" or "unshare -Urm",
            first = "mount -t tmpfs -o size=128k none place",
            tmp = "place",
        })
        if not printed:find("made", 1, true) then
            return pending("cannot be made here: " .. printed)
        end
        assert.equal("io", result.kind)
        assert.matches("No space left on device", result.message)
        local picture = result.data[1]
        assert.equal("place/a.png.part", picture.path)
        assert.is_false(picture.complete)
        assert.is_true(picture.bytes > 30000 and picture.bytes == picture.size, picture.bytes)
    end)

    it("does not take the others along", function()
        local result = run { n = 3, answer = answer(PICTURE, SMALL, SMALL), meanwhile = "mkdir place/a.png" }
        assert.equal("io", result.kind)
        assert.same({ "place/a-rescued-1.png", "place/a-2.png", "place/a-3.png" }, result.names)
        for index, name in ipairs(result.names) do
            assert.equal(name, result.data[index].path)
            assert.equal(result.data[index].size, result.data[index].bytes)
        end
    end)

    it("has a shorter name where nobody could know of the longer one", function()
        local long = "place/" .. ("n"):rep(251)
        local result = run { save = long .. ".png", answer = answer(SMALL, SMALL) }
        assert.equal("io", result.kind)
        assert.matches("name too long", result.message)
        assert.same({ long .. ".png", "place/picture-rescued-1.png" }, result.names)
    end)

    it("is let be when a caller gives it up", function()
        local result = run { cancel = true, meanwhile = "ls -A place >seen" }
        assert.equal("cancelled", result.kind)
        assert.equal(".thucchien-00.part\n", bytes_of "seen")
        assert.same({ {}, {} }, { names() })
    end)

    it("keeps what came before the connection broke", function()
        local broken = answer()
        broken.pieces[2] = nil
        local result = run { answer = broken }
        assert.is_false(result.ok)
        assert.is_true(result.maybe_billed)
        local picture = result.data[1]
        assert.equal("place/a.png.part", picture.path)
        assert.is_false(picture.complete)
        assert.is_true(picture.bytes > 100000 and picture.bytes == picture.size, picture.bytes)
        assert.same({}, result.names)
        assert.same({ { "a.png.part" }, {} }, { names() })
        assert.equal("place/a.png-2.part", run({ answer = broken }).data[1].path)
    end)

    it("keeps what came of a picture that ends too early, and the others", function()
        local result = run { n = 2, answer = answer(PICTURE:sub(1, 240000), SMALL) }
        assert.same({ { "a-2.png", "a.png.part" }, {} }, { names() })
        assert.equal(180000, #bytes_of "place/a.png.part")
        assert.equal("place/a-2.png", result.names[2] or result.names["2"])
    end)

    describe("because it is a pipe", function()
        it("that nobody reads from", function()
            assert_kept(run({ save = "place/pipe" }, { first = "mkfifo place/pipe" }),
                "nobody reads from it", "tmp/pipe-rescued-1.png")
        end)

        it("whose reader leaves", function()
            assert_kept(run({ save = "place/pipe" }, { first = "mkfifo place/pipe && { head -c 1 place/pipe >/dev/null & } && exec 3>place/pipe" }),
                "Broken pipe", "tmp/pipe-rescued-1.png")
        end)

        it("is in it when somebody reads", function()
            local result = run({ save = "place/pipe" }, { first = "mkfifo place/pipe && { cat place/pipe >got & } && exec 3>place/pipe" })
            assert.is_true(result.ok)
            assert.equal("place/pipe", result.data[1].path)
            assert.equal(SIZE, #bytes_of "got")
        end)
    end)

    it("is in standard output, whatever that is", function()
        run({ save = "/dev/stdout" }, { behind = " | cat >piped" })
        assert.equal(png(COMMENT), bytes_of("piped"):sub(1, SIZE))
        run({ save = "/dev/stdout" }, { behind = " >file" })
        assert.equal(png(COMMENT), bytes_of("file"):sub(1, SIZE))
        run({ save = "/dev/stdout" }, { behind = " >>file" })
        assert.is_true(#bytes_of "file" > 2 * SIZE)
    end)

    it("is found at the next save when its process was killed", function()
        run { meanwhile = "kill -9 $PPID" }
        assert.same({ ".thucchien-00.part" }, command.names(directory .. "/place"))
        local left = #bytes_of "place/.thucchien-00.part"
        assert.is_true(left > 1000)
        assert.is_true(run({ save = "place/b" }).ok)
        assert.same({ "b.png", "unfinished-1.part" }, command.names(directory .. "/place"))
        assert.equal(left, #bytes_of "place/unfinished-1.part")
    end)
end)
