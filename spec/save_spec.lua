-- image:save: whole files or none.

local lfs = require "lfs"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local routes = require "spec.support.routes"

local mirror, client, directory

local HEADS = {
    png = '"iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAAElEQVQ1rwYeAAAAAElFTkSuQmCC"',
    jpg = '"/9j/4AAQSkZJRgABAQAAAQABAAD/wAARCAADAAIDASIAAhEBAxEB/9k="',
    gif = '"R0lGODlhAgADAIAAAAAAAP///yH5BAAAAAAALAAAAAACAAMAAAIChF0AOw=="',
    webp = '"UklGRhoAAABXRUJQVlA4TA0AAAAvAYAAEAcQERGIiP4HAA=="',
}

local function image(json)
    local response = assert(client:generate {
        prompt = "x",
        extra_body = { mirror = { body = '{"data":[{"b64_json":' .. json .. "}]}" } },
    })
    return response.data[1]
end

fixtures.client(function(...) mirror, client = ... end)
fixtures.directory(function(path) directory = path end)

describe("save", function()
    for ext, json in pairs(HEADS) do
        it("adds the true extension: " .. ext, function()
            local picture = image(json)
            assert.equal(directory .. "/dusk." .. ext, picture:save(directory .. "/dusk"))
            assert.is_true(command.read(directory .. "/dusk." .. ext) == picture.bytes)
            assert.same({ "dusk." .. ext }, command.names(directory))
            assert.same({ 2, 3 }, { picture.width, picture.height })
        end)
    end

    it("corrects no extension that is there", function()
        assert.equal(directory .. "/a.dat", image(HEADS.png):save(directory .. "/a.dat"))
        assert.equal(directory .. "/.hidden.png", image(HEADS.png):save(directory .. "/.hidden"))
        assert.same({ ".hidden.png", "a.dat" }, command.names(directory))
    end)

    it("looks for the extension in the name, not in the directory", function()
        assert(lfs.mkdir(directory .. "/v1.5"))
        local path = assert(image(HEADS.png):save(directory .. "/v1.5/dusk"))
        assert.equal(directory .. "/v1.5/dusk.png", path)
        os.remove(path)
    end)

    it("adds nothing to bytes of an unknown type", function()
        assert.equal(directory .. "/a", image('"QUJD"'):save(directory .. "/a"))
        assert.equal("ABC", command.read(directory .. "/a"))
    end)

    it("replaces a file that is there", function()
        local file = assert(io.open(directory .. "/a.png", "wb"))
        file:write(("old"):rep(100))
        file:close()
        assert(image('"QUJD"'):save(directory .. "/a.png"))
        assert.equal("ABC", command.read(directory .. "/a.png"))
        assert.same({ "a.png" }, command.names(directory))
    end)

    it("says what is wrong and leaves nothing behind", function()
        local picture = image(HEADS.png)
        assert(lfs.mkdir(directory .. "/taken.png"))
        for path, reason in pairs {
            [directory .. "/missing/a.png"] = "No such file",
            [directory .. "/taken.png"] = "directory",
            [directory .. "/"] = "no name for a file",
            [""] = "no name for a file",
            [directory .. "/a\0b"] = "no name for a file",
        } do
            local saved, err = picture:save(path)
            assert.is_nil(saved)
            assert.equal("io", err.kind)
            assert.matches(reason, err.message)
        end
        assert.same({ "taken.png" }, command.names(directory))
    end)

    it("wants a path and an image", function()
        local picture = image(HEADS.png)
        assert.has_error(function()
            picture:save()
        end)
        assert.has_error(function()
            picture.save("a", "b")
        end)
        assert.has_error(function()
            picture.save({}, "b")
        end)
    end)
end)

describe("names", function()
    local function refusal(save, params)
        params = params or {}
        params.prompt, params.save = "x", save
        params.extra_body = { mirror = { id = "names", body = '{"data":[{"b64_json":' .. HEADS.png .. "}]}" } }
        local before = mirrors.count(mirror, "names")
        local response, err = client:generate(params)
        assert.equal(before + (response and 1 or 0), mirrors.count(mirror, "names"))
        return err, response
    end

    it("of no file are refused before anything is sent, and by image:save", function()
        for _, path in ipairs { "", ".", "..", directory .. "/.", directory .. "/..", directory .. "/", "a\0b" } do
            local err = refusal(path)
            assert.equal("invalid_request", err.kind, path)
            assert.equal("save", err.param)
            assert.matches("is no name for a file", err.message)
            local saved, failure = image(HEADS.png):save(path)
            assert.is_nil(saved)
            assert.equal("io", failure.kind)
        end
        assert.same({}, command.names(directory))
    end)

    it("of all pictures are looked at before anything is sent", function()
        local stem = directory .. "/" .. ("n"):rep(249)
        for _, case in ipairs {
            { stem .. "nn.png", 1 }, { stem .. "nnn.png", 1, "too long" },
            { stem .. "n", 1 }, { stem .. "nn", 1, "too long" }, -- it may be a .webp
            { stem .. ".png", 4 }, { stem .. "n.png", 4, "too long" },
        } do
            local err, response = refusal(case[1], { n = case[2] })
            assert.equal(case[3] == nil, response ~= nil, case[1]:sub(#stem))
            assert.matches(case[3] or "", err and err.message or "")
        end
    end)

    it("may be longer than a message", function()
        local err = refusal(directory .. ("/đ"):rep(1000) .. "/a")
        assert.matches("^cannot write '%.%.%.[/đ]+/a%.png': No such file or directory$", err.message)
        local _, failure = image(HEADS.png):save(directory .. "/" .. ("n"):rep(300))
        assert.matches("^cannot write '%.%.%.n+%.png': File name too long$", failure.message)
    end)

    it("may have backslashes", function()
        if package.config:sub(1, 1) ~= "/" then
            return pending "a separator here"
        end
        assert.equal(directory .. "/a\\b.png", image(HEADS.png):save(directory .. "/a\\b"))
        assert.equal(directory .. "/x.y\\z.png", image(HEADS.png):save(directory .. "/x.y\\z.png"))
        assert.equal(directory .. "/c\\.png", image(HEADS.png):save(directory .. "/c\\"))
    end)

    it("that say another format are warned of, and kept", function()
        for name, misnamed in pairs { ["a.jpg"] = true, ["a.JPEG"] = true, ["a.gif"] = true, ["a.PNG"] = false, ["a.dat"] = false,
            ["a.v1"] = false, a = false } do
            local _, response = refusal(directory .. "/" .. name)
            assert.equal(misnamed and 1 or 0, #response.warnings, name)
            assert.matches(misnamed and "^image 1 is a png file, whatever its name says: .*a%." or "", response.warnings[1] or "")
        end
        assert.is_truthy(command.read(directory .. "/a.jpg"))
    end)

    it("are relative to the directory of the moment", function()
        local here = lfs.currentdir()
        finally(function()
            lfs.chdir(here)
        end)
        lfs.chdir(directory)
        assert.equal("a.png", image(HEADS.png):save "a")
        assert.same({ "a.png" }, command.names(directory))
    end)
end)

describe("if_exists", function()
    local function put(name)
        command.write(directory .. "/" .. name, "mine")
    end

    local function save(name, if_exists)
        return image(HEADS.png):save(directory .. "/" .. name, { if_exists = if_exists })
    end

    it("replaces a file", function()
        put "a.png"
        assert.equal(directory .. "/a.png", save("a", "replace"))
        assert.not_equal("mine", command.read(directory .. "/a.png"))
    end)

    it("finds a number that is free", function()
        put "a.png"
        put "a-2.png"
        assert(lfs.mkdir(directory .. "/a-3.png"))
        assert(lfs.link("nowhere", directory .. "/a-4.png", true))
        assert.equal(directory .. "/a-5.png", save("a", "number"))
        assert.equal("/dev/null", image(HEADS.png):save("/dev/null", { if_exists = "number" }))
        assert.equal(directory .. "/a-6.png", save("a.png", "number"))
        assert.equal(directory .. "/b.png", save("b", "number"))
        assert.equal("mine", command.read(directory .. "/a.png"))
        assert.equal("mine", command.read(directory .. "/a-2.png"))
        assert.equal(7, #command.names(directory))
    end)

    it("is an error", function()
        put "a.png"
        local saved, err = save("a", "error")
        assert.is_nil(saved)
        assert.equal("io", err.kind)
        assert.equal("exists", err.code)
        assert.matches("a%.png': File exists$", err.message)
        assert.matches("image.bytes", err.advice)
        assert.equal("mine", command.read(directory .. "/a.png"))
        assert.equal(directory .. "/b.png", save("b", "error"))
        assert.same({ "a.png", "b.png" }, command.names(directory))
    end)

    it("has three values, and one other option stands beside it", function()
        local picture = image(HEADS.png)
        for _, options in ipairs { { if_exists = "rename" }, { if_exists = true }, { ifexists = "error" }, { 1 }, "error" } do
            assert.has_error(function()
                picture:save(directory .. "/a", options)
            end)
        end
        assert(picture:save(directory .. "/a", { fsync = false }))
        assert(picture:save(directory .. "/a", nil))
        assert.same({ "a.png" }, command.names(directory))
    end)

    describe("with save", function()
        local function generate(params, count)
            params.prompt, params.save, params.n = "x", directory .. "/a", count
            local items = ('{"b64_json":' .. HEADS.png .. "},"):rep(count):sub(1, -2)
            params.extra_body = { mirror = { id = "exists", body = '{"data":[' .. items .. "]}" } }
            return client:generate(params)
        end

        it("finds numbers", function()
            put "a.png"
            put "a-3.png"
            local response = assert(generate({ if_exists = "number", fsync = false }, 3))
            local paths = {}
            for index, picture in ipairs(response.data) do
                paths[index] = picture.path:sub(#directory + 2)
            end
            assert.same({ "a-2.png", "a-4.png", "a-5.png" }, paths)
            assert.equal("mine", command.read(directory .. "/a.png"))
        end)

        it("is an error before anything is sent, whatever the type", function()
            for _, name in ipairs { "a.png", "a-2.jpg", "a-3.webp" } do
                put(name)
                local before = mirrors.count(mirror, "exists")
                local _, err = generate({ if_exists = "error" }, 3)
                assert.equal("io", err.kind)
                assert.matches("File exists", err.message)
                assert.equal(before, mirrors.count(mirror, "exists"))
                os.remove(directory .. "/" .. name)
            end
            assert(generate({ if_exists = "error" }, 3))
        end)

        it("does not overwrite what has come since", function()
            local done
            local request = assert(client:submit({
                prompt = "x", save = directory .. "/a", if_exists = "error",
                extra_body = { mirror = { hold = 0.2, body = '{"data":[{"b64_json":' .. HEADS.png .. "}]}" } },
            }, function(response, err)
                done = { response, err }
            end))
            put "a.png"
            local _, err = request:wait()
            assert.is_table(done)
            assert.equal("io", err.kind)
            assert.equal(directory .. "/a-rescued-1.png", err.data[1].path)
            assert.equal("mine", command.read(directory .. "/a.png"))
        end)

        it("is checked", function()
            for field, value in pairs { if_exists = "rename", fsync = 1 } do
                local _, err = generate({ [field] = value }, 1)
                assert.equal("invalid_request", err.kind)
                assert.equal(field, err.param)
            end
            for field, value in pairs { if_exists = "error", fsync = false } do
                local _, err = client:generate { prompt = "x", [field] = value }
                assert.equal("invalid_request", err.kind)
                assert.matches("goes with 'save'", err.message)
            end
        end)
    end)
end)

describe("a pipe", function()
    local pipe

    before_each(function()
        pipe = directory .. "/pipe"
        if command.execute("mkfifo " .. command.quote(pipe)) ~= 0 then
            pipe = nil
        end
    end)

    -- Saves into the pipe once its reader is there.
    local function save(picture)
        for _ = 1, 100 do
            local saved, err = picture:save(pipe)
            if saved or not err.message:find "nobody reads" then
                return saved, err
            end
            os.execute "sleep 0.05"
        end
    end

    local function large()
        local response = assert(client:generate { prompt = "x", extra_body = { mirror = {
            body = '{"data":[{"b64_json":' .. HEADS.png:sub(1, -2) .. ("AAAA"):rep(100000) .. '"}]}',
        } } })
        return response.data[1]
    end

    it("that nobody reads from holds nobody up", function()
        if not pipe then
            return pending "no mkfifo"
        end
        local saved, err = image(HEADS.png):save(pipe)
        assert.is_nil(saved)
        assert.equal("io", err.kind)
        assert.equal(("cannot write '%s': nobody reads from it"):format(pipe), err.message)
    end)

    it("whose reader leaves ends nobody's process", function()
        if not pipe then
            return pending "no mkfifo"
        end
        os.execute(("head -c 1 %s >/dev/null &"):format(command.quote(pipe)))
        local saved, err = save(large())
        assert.is_nil(saved)
        assert.matches("Broken pipe", err.message)
    end)

    it("takes all of it", function()
        if not pipe then
            return pending "no mkfifo"
        end
        local picture = large()
        os.execute(("{ sleep 0.3; cat; } <%s >%s/got &"):format(command.quote(pipe), command.quote(directory)))
        assert.equal(pipe, (save(picture)))
        for _ = 1, 100 do
            if #(command.read(directory .. "/got") or "") == picture.size then
                break
            end
            os.execute "sleep 0.05"
        end
        assert.is_true(command.read(directory .. "/got") == picture.bytes)
    end)
end)

-- Places that take no picture, as an ordinary user meets them: all three ways to a file run in processes of their
-- own, inside a shell's line that makes the place what it is.
describe("a place that takes no picture", function()
    local NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups "
    local SIZE = 300000
    local quote = command.quote

    -- arg: the way, the path. Prints what came of it, then what is in the path's directory.
    local SCRIPT = [[
        local client = assert(require("thucchien").new())
        local response, err = client:generate { prompt = "x", save = arg[1] == "save" and arg[2] or nil }
        if response and arg[1] == "image:save" then
            response, err = response.data[1]:save(arg[2])
        end
        print(response and "saved" or err, response and "" or err.kind)
    ]]

    local emulator, place, temporary

    setup(function()
        local images = command.new_directory()
        command.write(images .. "/large.png", routes.bytes(0) .. ("\0"):rep(SIZE))
        emulator = require("spec.support.emulator").start { images = images }
        emulator.images = images
    end)

    teardown(function()
        emulator:stop()
        command.remove_directory(emulator.images)
    end)

    before_each(function()
        place = directory .. "/place"
        temporary = command.new_directory()
        assert(lfs.mkdir(place))
        os.execute("chmod 777 " .. quote(temporary))
        command.write(directory .. "/script.lua", SCRIPT)
        os.execute("chmod 755 " .. quote(directory))
    end)

    after_each(function()
        command.remove_directory(temporary)
    end)

    local function run(line)
        local pipe = assert(io.popen("{ " .. line .. "; } 2>&1"))
        local printed = pipe:read "*a"
        pipe:close()
        return printed
    end

    -- A shell's line for `way`; it goes on with the names in the place, and the beginning of a file there.
    local function save(way, name)
        local path = quote(place .. "/" .. name)
        local line = way == "the command"
            and ("%s %s generate x --force -o %s"):format(command.lua, quote(command.root .. "/bin/thucchien"), path)
            or ("%s %s %s %s"):format(command.lua, quote(directory .. "/script.lua"), way, path)
        return ("export THUCCHIEN_BASE_URL=%s THUCCHIEN_API_KEY=sk-specs-0123456789abcdef TMPDIR=%s; cd %s; %s; ")
            :format(emulator.url, quote(temporary), quote(directory), line) .. ("cd %s; ls -A; head -c 20 a.png"):format(quote(place))
    end

    local function in_namespace(setup_line, line)
        local prefix = run "id -u" == "0\n" and "unshare -m" or "unshare -Urm"
        return ("%s sh -c %s"):format(prefix, quote(setup_line .. " && echo made && " .. line))
    end

    local places = {
        {
            name = "a full disk",
            reason = "No space left on device",
            line = function(line)
                return in_namespace(("mount -t tmpfs -o size=64k none %s && echo old >%s/a.png")
                    :format(quote(place), quote(place)), line)
            end,
        },
        {
            name = "a disk for reading only",
            reason = "Read%-only file system",
            line = function(line)
                return in_namespace(("mount -t tmpfs none %s && echo old >%s/a.png && mount -o remount,ro %s")
                    :format(quote(place), quote(place), quote(place)), line)
            end,
        },
        {
            name = "another user's directory",
            reason = "Permission denied",
            line = function(line)
                command.write(place .. "/a.png", "old\n")
                os.execute("chmod 555 " .. quote(place))
                local prefix = run "id -u" == "0\n" and NOBODY or ""
                return ("%s sh -c %s"):format(prefix, quote("test -r " .. quote(command.root .. "/bin/thucchien")
                    .. " && echo made && " .. line))
            end,
        },
        {
            name = "a limit for files",
            reason = "File too large",
            line = function(line)
                command.write(place .. "/a.png", "old\n")
                return ("sh -c %s"):format(quote("trap '' XFSZ; ulimit -f 64; echo made; " .. line))
            end,
        },
    }

    for _, case in ipairs(places) do
        for _, way in ipairs { "image:save", "save", "the command" } do
            it(("leaves the old file and nothing else: %s, %s"):format(case.name, way), function()
                local printed = run(case.line(save(way, "a.png")))
                local told, left = printed:match "^made\n(.*)\n(a%.png\n.*old\n)$"
                if not printed:find("made", 1, true) then
                    return pending("cannot be made here: " .. printed)
                end
                -- What fits is kept where nothing else can be.
                local part = case.name == "a limit for files" and way == "save" and "a.png.part\n" or ""
                assert.equal("a.png\n" .. part .. "old\n", left, printed)
                assert.matches(case.reason, told:match "^[^\n]+")
                if way == "the command" then -- a picture that is paid for may be put elsewhere
                    local elsewhere = command.read(directory .. "/picture-rescued-1.png")
                    assert.equal(told:find("rescued", 1, true) and SIZE + routes.SIZE, elsewhere and #elsewhere)
                else
                    assert.matches("\tio$", told)
                end
            end)
        end
    end

    -- What a link means is replaced, and the link stays.
    for _, way in ipairs { "image:save", "save", "the command" } do
        it("may be a link's target: " .. way, function()
            command.write(directory .. "/old.png", "old\n")
            assert(lfs.link("../old.png", place .. "/a.png", true))
            run(save(way, "a.png"))
            assert.equal("link", lfs.symlinkattributes(place .. "/a.png", "mode"))
            assert.equal(SIZE + routes.SIZE, #command.read(directory .. "/old.png"))
            assert.same({ "old.png", "place", "script.lua" }, command.names(directory))
        end)

        it("is a link to nothing or to itself: " .. way, function()
            for target, reason in pairs { nowhere = "nothing", ["a.png"] = "symbolic links" } do
                if reason == "nothing" and way ~= "the command" then
                    reason = "No such file"
                end
                os.remove(place .. "/a.png")
                assert(lfs.link(target, place .. "/a.png", true))
                assert.matches(reason, (run(save(way, "a.png"))))
                assert.same({ "a.png" }, command.names(place))
                assert.equal("link", lfs.symlinkattributes(place .. "/a.png", "mode"))
            end
        end)
    end

    for _, way in ipairs { "image:save", "save" } do
        it("is a link to a directory: " .. way, function()
            assert(lfs.link(".", place .. "/a.png", true))
            assert.matches("directory", (run(save(way, "a.png"))))
            assert.same({ "a.png" }, command.names(place))
        end)
    end
end)
