-- Requests that are not for pictures: key_info, models, call.

local cjson = require "cjson"
local thucchien = require "thucchien"
local emulators = require "spec.support.emulator"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local KEY = requests.KEY

local mirror, client

setup(function()
    mirror = mirrors.start()
    client = assert(thucchien.new { base_url = mirror.url .. "/v1", api_key = KEY })
end)

teardown(function()
    client:close()
    mirror:stop()
end)

-- The path at which the mirror gives this answer.
local function path(answer)
    return mirrors.address(mirror, answer):match "//[^/]+(/.*)$"
end

describe("client:key_info and client:models", function()
    local emulator, own

    setup(function()
        emulator = emulators.start { args = { "--budget", "0.5" } }
        own = assert(thucchien.new { base_url = emulator.url .. "/v1", api_key = KEY })
    end)

    teardown(function()
        own:close()
        emulator:stop()
    end)

    it("tell spend, budget and limits, and which models there are", function()
        assert(own:generate { prompt = "x", n = 2 })
        local info = assert(own:key_info())
        assert.is_true(math.abs(info.spend - 0.08) < 1e-9)
        assert.equal(0.5, info.max_budget)
        assert.equal(200, info.rpm_limit)
        assert.equal(20, info.metadata.model_rpm_limit["imagen-4"])
        assert.is_nil(info.expires)
        assert.is_nil(tostring(info.key_name):find(KEY, 1, true))
        local names = {}
        for _, model in ipairs(assert(own:models())) do
            names[model.id] = true
        end
        assert.is_true(names["imagen-4"] and names["gemini-2.5-flash-image"])
    end)

    it("do not block when they are given a function", function()
        local results = {}
        assert(own:key_info(function(info, err)
            results[#results + 1] = info and info.max_budget or err
        end))
        local request = assert(own:models(function(models, err)
            results[#results + 1] = models and #models > 0 or err
        end))
        assert.same({}, results)
        for _ = 1, 1000 do
            if own:poll(0.05) == 0 then
                break
            end
        end
        assert.equal("done", request:status())
        table.sort(results, function(a) return type(a) == "number" end)
        assert.same({ 0.5, true }, results)
        assert.is_true(#assert(request:wait()) > 0)
    end)

    it("are awaited in a coroutine", function()
        local spend
        coroutine.wrap(function()
            spend = assert(assert(own:key_info(function() end)):await()).spend
        end)()
        for _ = 1, 1000 do
            if own:poll(0.05) == 0 then
                break
            end
        end
        assert.is_number(spend)
    end)

    it("say what is wrong with a key", function()
        local stranger = assert(thucchien.new { base_url = emulator.url, api_key = "no-key-at-all" })
        local info, err = stranger:key_info()
        assert.is_nil(info)
        assert.equal("authentication", err.kind)
        assert.is_false(err.maybe_billed)
    end)
end)

describe("client:call", function()
    it("gives the answer with nulls as nil and whole numbers as integers", function()
        local answer = assert(client:call { path = path { body = '{"a":null,"n":3,"x":0.5,"list":[1,{"b":null,"c":2.0}]}' } })
        assert.is_nil(answer.a)
        assert.equal("3", tostring(answer.n))
        assert.equal(0.5, answer.x)
        assert.same({ 1, { c = 2 } }, answer.list)
    end)

    it("picks one table of it", function()
        assert.same({ b = 1 }, assert(client:call { path = path { body = '{"a":{"b":1}}' }, field = "a" }))
        local answer, err = client:call { path = path { body = '{"a":1}' }, field = "a" }
        assert.is_nil(answer)
        assert.equal("bad_response", err.kind)
        assert.matches("no 'a'", err.message)
    end)

    it("sends GET without a body, and POST or what was asked for with one", function()
        for _, case in ipairs {
            { {}, "GET", "" }, { { method = "DELETE" }, "DELETE", "" }, { { method = "POST" }, "POST", "" }, { { body = { keys = { "a" } } }, "POST", '{"keys":["a"]}' },
            { { body = '{"raw":1}' }, "POST", '{"raw":1}' }, { { body = { a = 1 }, method = "PUT" }, "PUT", '{"a":1}' },
        } do
            local request, method, body = case[1], case[2], case[3]
            request.path = "/key/thing?x=1"
            request.extra_headers = { ["X-Mine"] = "yes" }
            local seen = assert(client:call(request)).echo
            assert.equal(method .. " /key/thing?x=1 HTTP/1.1", seen.line) -- not below the base URL's /v1
            assert.equal(body, seen.body)
            assert.equal("Bearer " .. KEY, (mirrors.credentials(seen, "authorization")))
            assert.equal("yes", seen.headers["x-mine"])
            assert.equal(body ~= "" and "application/json" or nil, seen.headers["content-type"])
            local has_length = method ~= "GET" and method ~= "DELETE"
            assert.equal(has_length and tostring(#body) or nil, seen.headers["content-length"])
        end
    end)

    it("refuses what cannot be sent", function()
        for param, request in pairs {
            path = { path = "key/info" }, method = { path = "/x", method = "BREW" }, body = { path = "/x", body = 5 },
            timeout = { path = "/x", timeout = -1 }, extra_headers = { path = "/x", extra_headers = { Authorization = "x" } },
        } do
            local answer, err = client:call(request)
            assert.is_nil(answer)
            assert.same({ "invalid_request", param }, { err.kind, err.param })
        end
        for _, wrong in ipairs { "", "//other.example/x", "/a b", "/a\r\nX: 1", "/a#b", "http://other.example/", "/\0" } do
            assert.equal("path", select(2, client:call { path = wrong }).param)
        end
        assert.matches("did you mean 'path'", select(2, client:call { pathh = "/x" }).message)
        assert.error_matches(function() client:call "/x" end, "table expected")
        assert.error_matches(function() client:call({ path = "/x" }, 5) end, "function expected")
    end)

    it("refuses a body that would not arrive as it is", function()
        local circle = {}
        circle.circle = circle
        for _, case in ipairs {
            { { a = "\255" }, "valid UTF%-8" }, { { ["\255"] = 1 }, "valid UTF%-8" }, { '{"a":"\255"}', "valid UTF%-8" },
            { { a = { 2 ^ 62 } }, "more digits" }, { circle, "nested deeper" },
        } do
            local answer, err = client:call { path = "/x", body = case[1] }
            assert.is_nil(answer)
            assert.same({ "invalid_request", "body" }, { err.kind, err.param })
            assert.matches(case[2], err.message)
        end
        assert.matches("cannot be sent as JSON", select(2, client:call { path = "/x", body = { print } }).message)
    end)

    it("tries again what changes nothing, and nothing that may have been done", function()
        for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE" } do
            local id = "changes-" .. method
            local _, err = client:call { method = method, path = path { id = id, answers = { { pieces = {} }, { body = "{}" } } } }
            assert.same({ "connection", true }, { err.kind, err.maybe_billed })
            assert.equal(1, mirrors.count(mirror, id))
        end
        assert(client:call { method = "GET", path = path { id = "changes-GET", answers = { { pieces = {} }, { body = "{}" } } } })
        assert.equal(2, mirrors.count(mirror, "changes-GET"))
    end)

    it("tries what costs nothing again, and nothing else", function()
        local good = { body = '{"well":true}' }
        local bad = { { status = 500, body = "" }, { pieces = {}, reset = true }, { status = 503, body = "" } }
        for i, answer in ipairs(bad) do
            local id = "free" .. i
            assert.is_true(assert(client:call { path = path { id = id, answers = { answer, good } } }).well)
            assert.equal(2, mirrors.count(mirror, id))
        end
        local body = { mirror = { id = "paid", answers = { bad[2], good } } }
        local answer, err = client:call { path = "/x", body = body }
        assert.is_nil(answer)
        assert.same({ "connection", true }, { err.kind, err.maybe_billed })
        assert.equal(1, mirrors.count(mirror, "paid"))
        assert.is_nil((client:call { path = path { id = "once", answers = { bad[1], good } }, retry = "none" }))
        assert.equal(1, mirrors.count(mirror, "once"))
    end)

    it("has the errors of any other request", function()
        local _, err = client:call { path = path { status = 404, body = '{"error":{"message":"Key not found in database",'
            .. '"type":"not_found_error","param":"key","code":"404"}}' } }
        assert.same({ "not_found", "key", 404, false }, { err.kind, err.param, err.code, err.maybe_billed })
        for _, body in ipairs { "", "<html></html>", "5", '"x"', "{" } do
            assert.equal("bad_response", select(2, client:call { path = path { body = body } }).kind)
        end
        assert.equal("response_too_large", select(2, client:call { path = "/x",
            body = { mirror = { before = '{"x":"', body = "y", times = 4194304 } } }).kind)
    end)

    it("is told of its end by a closed client, once", function()
        local own, calls, kind = requests.client(mirror), 0, nil
        assert(own:call({ path = path { hold = 5, body = "{}" } }, function(_, err)
            calls, kind = calls + 1, err.kind
        end))
        own:poll(0.05)
        own:close()
        own:poll()
        own:poll()
        assert.same({ 1, "cancelled" }, { calls, kind })
        assert.is_nil((own:key_info()))
    end)
end)

describe("an answer without content", function()
    it("is an empty table", function()
        assert.same({}, assert(client:call { path = path { pieces = { "HTTP/1.1 204 No Content\r\n\r\n" } } }))
    end)

    it("is still cut short where it should have one", function()
        local _, err = client:call { path = path { body = "" } }
        assert.equal("bad_response", err.kind)
    end)
end)

describe("an answer's arrays", function()
    it("that are empty are tables", function()
        assert.same({ list = {}, object = {} }, assert(client:call { path = path { body = cjson.encode { list = {}, object = {} } } }))
    end)
end)
