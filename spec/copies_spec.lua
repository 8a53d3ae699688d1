-- The module loaded again, as an editor's users do all day, and several copies of it in one Lua state.

local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local support = require "spec.support.requests"
local routes = require "spec.support.routes"
local system = require "system"

local params, slow, KEY = support.params, support.slow, support.KEY

local mirror

fixtures.mirror(function(started) mirror = started end)

local function new(thucchien)
    return assert(thucchien.new { api_key = KEY, base_url = mirror.url })
end

-- Polls until nothing is in flight.
local function run(...)
    local deadline = system.monotime() + 10
    local left
    repeat
        left = 0
        for _, client in ipairs { ... } do
            left = left + client:poll(0.01)
        end
    until left == 0 or system.monotime() > deadline
    assert.equal(0, left)
end

local function reload()
    package.loaded.thucchien = nil
    return require "thucchien"
end

describe("the module, loaded again", function()
    it("resumes the coroutines that are in await, and has them awaited by the new one", function()
        local client, seen = new(require "thucchien"), {}
        local before = client:submit(slow(0.1))
        for i = 1, 2 do
            coroutine.wrap(function()
                seen[i] = before:await()
            end)()
        end
        reload()
        coroutine.wrap(function()
            seen[3] = before:await()
            seen[4] = client:submit(slow(0.05)):await()
        end)()
        reload()
        run(client)
        for i = 1, 4 do
            assert.equal("ABC", seen[i].data[1].bytes)
        end
        client:close()
    end)

    it("leaves clients and requests of before as they were, and new ones beside them", function()
        local old = new(require "thucchien")
        local told = {}
        local request = old:submit(slow(0.1), function(response)
            told.old = response.data[1].bytes
        end)
        local again = reload()
        local young = new(again)
        young:submit(slow(0.05), function(response)
            told.young = response.data[1].bytes
        end)
        assert.equal("queued", request:status())
        assert(old:generate(params()))
        run(old, young)
        assert.same({ old = "ABC", young = "ABC" }, told)
        assert.equal("ABC", request:wait().data[1].bytes)
        old:close()
        assert.matches("closed", tostring(old))
        assert(young:generate(params()))
        young:close()
    end)

    it("loads in the middle of everything", function()
        local client, done = new(require "thucchien"), 0
        for _ = 1, 3 do
            client:submit(params(nil, {
                on_image = reload,
            }), function(response)
                assert.equal("ABC", response.data[1].bytes)
                reload()
                done = done + 1
            end)
        end
        run(client)
        assert.equal(3, done)
        client:close()
    end)
end)

describe("another copy of the module", function()
    local directory, other

    setup(function()
        directory = command.new_directory()
        local path
        for pattern in package.cpath:gmatch "[^;]+" do
            path = path or command.read(pattern:gsub("%?", "thucchien")) and pattern:gsub("%?", "thucchien")
        end
        command.write(directory .. "/copy.so", command.read(path))
    end)

    teardown(function()
        command.remove_directory(directory)
    end)

    before_each(function()
        other = assert(package.loadlib(directory .. "/copy.so", "luaopen_thucchien"))()
    end)

    -- It may be of another version, to which this one's clients are of no form that it knows.
    it("takes none of the first one's clients, nor gives it its own", function()
        local own = new(require "thucchien")
        local poll = own.poll
        local foreign = new(other)
        assert.is_true(poll == own.poll)
        assert.is_true(poll ~= foreign.poll)
        for _, pair in ipairs { { poll, foreign }, { foreign.poll, own }, { own.submit, foreign }, { foreign.close, own } } do
            assert.error_matches(function()
                pair[1](pair[2], "x")
            end, "thucchien%.client expected, got userdata")
        end
        own:close()
        foreign:close()
    end)

    it("works beside the first one", function()
        local own, foreign, seen = new(require "thucchien"), new(other), {}
        for i, client in ipairs { own, foreign } do
            client:submit(slow(0.05), function(response)
                seen[#seen + 1] = response.data[1].bytes
            end)
            coroutine.wrap(function()
                local response = client:submit(slow(0.05 * i)):await()
                seen[#seen + 1] = response.data[1].bytes
            end)()
        end
        run(own, foreign)
        assert.same({ "ABC", "ABC", "ABC", "ABC" }, seen)
        local _, err = foreign:generate ""
        assert.matches("^invalid_request: ", tostring(err))
        own:close()
        foreign:close()
    end)

    it("draws with the first one's pictures", function()
        local own, foreign = new(require "thucchien"), new(other)
        local response = assert(own:generate(params { body = '{"data":[{"b64_json":"' .. routes.base64(0) .. '"}]}' }))
        local _, err = foreign:generate { prompt = "x", via = "chat", model = "gemini-2.5-flash-image",
            images = response.data, history = { response }, extra_body = { mirror = { status = 400, body = "" } } }
        assert.equal(400, err.status)
        own:close()
        foreign:close()
    end)
end)
