-- image:save: whole files or none.

local lfs = require "lfs"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local mirrors = require "spec.support.mirror"

local mirror, client, directory

local HEADS = {
    png = '"iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnW"',
    jpg = '"/9j/4AAQSkZJRgABAQAAAQABAAD/wAARCAADAAIDASIAAhEBAxEB"',
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

setup(function()
    mirror = mirrors.start()
    client = assert(thucchien.new { base_url = mirror.url, api_key = "sk-specs-0123456789abcdef" })
end)

teardown(function()
    client:close()
    mirror:stop()
end)

before_each(function()
    directory = command.new_directory()
end)

after_each(function()
    command.remove_directory(directory)
end)

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
