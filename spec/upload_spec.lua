-- The body on its way to the server: whole, once, from its beginning, whatever the server does meanwhile.

local cjson = require "cjson"
local command = require "spec.support.command"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local PICTURE = requests.PICTURE
local MIB = 1024 * 1024
local LARGE = ("0123456789abcdef"):rep(MIB) -- more than the buffers of a connection hold

local mirror, client, directory, path

-- Text that is nowhere the same, so that a piece in the wrong place shows.
local function text_of(size)
    local lines = {}
    for i = 1, size / 10 + 1 do
        lines[i] = ("%09d,"):format(i)
    end
    return table.concat(lines):sub(1, size)
end

setup(function()
    directory = command.new_directory()
    path = directory .. "/body"
    mirror = mirrors.start()
    client = requests.client(mirror)
end)

teardown(function()
    client:close()
    mirror:stop()
    command.remove_directory(directory)
end)

describe("a body", function()
    -- Around the buffers that libcurl has, and many of them.
    local sizes = { 1, 16000, 16384, 65000, 65535, 65536, 65537, 524288, 524289, 3 * MIB }

    it("arrives whole", function()
        for _, size in ipairs(sizes) do
            local prompt = text_of(size)
            local id = "whole" .. size
            local response, err = client:generate {
                prompt = prompt, extra_body = { mirror = { id = id, keep = path, body = PICTURE } },
            }
            assert(response, tostring(err))
            local body, headers = command.read(path .. ".1"), mirrors.seen(mirror, id)[1].headers
            assert.equal(tostring(#body), headers["content-length"])
            assert.is_nil(headers["transfer-encoding"])
            assert.is_nil(headers.expect)
            assert.is_true(cjson.decode(body).prompt == prompt, size .. " bytes")
        end
    end)

    it("arrives whole with the second attempt", function()
        for i, size in ipairs(sizes) do
            local prompt = text_of(size)
            local answers = { { status = 503, headers = { "retry-after-ms: 1" } }, { body = PICTURE } }
            local response, err = client:generate {
                prompt = prompt, timeout = 20, extra_body = { mirror = { id = "again" .. i, keep = path, answers = answers } },
            }
            assert(response, tostring(err))
            assert.equal(2, response.attempts)
            assert.is_true(cjson.decode(command.read(path .. ".2")).prompt == prompt, size .. " bytes")
        end
    end)

    it("is not sent twice when the kept connection ends while it is", function()
        for i, prompt in ipairs { "x", LARGE } do
            local own = requests.client(mirror, { retry = "none" })
            assert(own:generate { prompt = "x", extra_body = { mirror = { drop = true, body = PICTURE } } })
            local id = "dropped" .. i
            local response, err = own:generate { prompt = prompt, extra_body = { mirror = { id = id } } }
            assert.is_nil(response)
            assert.equal("connection", err.kind)
            assert.is_nil(err.message:find "rewind")
            assert.is_true(err.maybe_billed)
            assert.equal(1, err.attempts)
            assert.equal(0, mirrors.count(mirror, id))
            own:close()
        end
    end)

    it("goes on while its answer waits to be taken", function()
        for _, picture in ipairs { 3, 3 * MIB } do
            local taken = 0
            local response, err = client:generate {
                prompt = LARGE, timeout = 20, extra_headers = { ["X-Meanwhile"] = tostring(picture) },
                sink = function(_, chunk)
                    taken = taken + #(chunk or "")
                    return true
                end,
            }
            assert(response, tostring(err))
            assert.equal(picture, taken)
        end
    end)

    it("goes on in polls that do not wait", function()
        local taken = 0
        local request = assert(client:submit {
            prompt = LARGE, timeout = 20, extra_headers = { ["X-Meanwhile"] = tostring(3 * MIB) },
            sink = function(_, chunk)
                taken = taken + #(chunk or "")
                return true
            end,
        })
        while request:status() ~= "done" do
            client:poll(0)
        end
        assert(request:wait())
        assert.equal(3 * MIB, taken)
    end)
end)
