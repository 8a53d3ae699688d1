-- What thucchien.generate and thucchien.new refuse, and how they say so. Nothing is sent for a bad field.

local thucchien = require "thucchien"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local mirror, client

fixtures.client(function(...) mirror, client = ... end)

local function deep(levels)
    local value = {}
    for _ = 1, levels do
        value = { value }
    end
    return value
end

local function circle()
    local value = {}
    value.value = value
    return value
end

describe("params", function()
    local cases = {
        { "no prompt", {}, "prompt", "field 'prompt': what to draw" },
        { "an empty prompt", { prompt = "" }, "prompt", "empty string" },
        { "a blank prompt", { prompt = " \n\t" }, "prompt", "nothing but white space" },
        { "an empty model", { model = "" }, "model", "empty string" },
        { "names in the body that are not UTF-8", { extra_body = { ["\255"] = 1 } }, "extra_body", "valid UTF%-8" },
        { "more digits than a number has", { seed = 2 ^ 60 }, "seed", "from %-9007199254740992 to 9007199254740992" },
        { "a prompt of another type", { prompt = 5 }, "prompt", "field 'prompt': a string expected, got 5" },
        { "a prompt that is not UTF-8", { prompt = "ab\255" }, "prompt", "valid UTF%-8 expected %(byte 3" },
        { "a lone surrogate", { prompt = "\237\160\128" }, "prompt", "byte 1" },
        { "an overlong sequence", { prompt = "\192\175" }, "prompt", "byte 1" },
        { "a character beyond Unicode", { prompt = "a\244\144\128\128" }, "prompt", "byte 2" },
        { "a cut sequence", { prompt = "a\226\130" }, "prompt", "byte 2" },
        { "n of 0", { n = 0 }, "n", "from 1 to 4 expected, got 0" },
        { "n of 5", { n = 5 }, "n", "from 1 to 4 expected, got 5" },
        { "half a picture", { n = 1.5 }, "n", "a whole number expected, got 1.5" },
        { "n in words", { n = "two" }, "n", "a whole number expected, got 'two'" },
        { "n of another type", { n = true }, "n", "a whole number expected, got a boolean" },
        { "an infinite n", { n = math.huge }, "n", "expected, got inf" },
        { "a size of another model", { size = "512x512" }, "size", "'1024x1024', '1536x1024' or '1024x1536'.*got '512x512'" },
        { "an unknown ratio", { aspect_ratio = "2:1" }, "aspect_ratio", "'1:1', '3:4', '4:3', '16:9' or '9:16'.*'2:1'" },
        { "a typo", { aspectratio = "1:1" }, "aspect_ratio", "unknown field 'aspectratio' %(did you mean 'aspect_ratio'%?%)" },
        { "another typo", { promt = "x" }, "prompt", "did you mean 'prompt'" },
        { "a field of nowhere", { colour_scheme = "x" }, nil, "unknown field 'colour_scheme'" },
        { "a numbered field", { "a lighthouse" }, nil, "unknown field 1" },
        { "no time at all", { timeout = 0 }, "timeout", "got 0" },
        { "a negative time", { timeout = -1 }, "timeout", "got %-1" },
        { "no number of seconds", { timeout = 0 / 0 }, "timeout", "from 0.001" },
        { "retries that are not whole", { max_retries = 1.5 }, "max_retries", "whole number" },
        { "an unknown way to retry", { retry = "always" }, "retry", "'safe', 'all' or 'none' expected, got 'always'" },
        { "a header with a line end", { extra_headers = { ["X-A"] = "b\r\nX-Evil: 1" } }, "extra_headers", "control character" },
        { "a header with a NUL", { extra_headers = { ["X-A"] = "b\0c" } }, "extra_headers", "control character" },
        { "a header's name with a line end", { extra_headers = { ["X\r\nEvil"] = "b" } }, "extra_headers", "no name of a header" },
        { "a header's name with a colon", { extra_headers = { ["X:"] = "b" } }, "extra_headers", "no name of a header" },
        { "a header without a name", { extra_headers = { "b" } }, "extra_headers", "names and values" },
        { "a header with a table", { extra_headers = { ["X-A"] = {} } }, "extra_headers", "names and values" },
        { "a header of ours", { extra_headers = { authorization = "Bearer x" } }, "extra_headers", "set by the module" },
        { "a function in the body", { extra_body = { a = print } }, nil, "cannot be sent as JSON" },
        { "infinity in the body", { extra_body = { a = math.huge } }, nil, "cannot be sent as JSON" },
        { "bytes in the body", { extra_body = { a = { b = "\254" } } }, "a", "valid UTF%-8" },
        { "a circle in the body", { extra_body = circle() }, "value", "nested deeper" },
        { "a well in the body", { extra_body = { a = deep(200) } }, "a", "nested deeper" },
        { "more digits than JSON has", { extra_body = { a = 2 ^ 62 } }, "a", "more digits" },
        { "a body without names", { extra_body = { 1, 2 } }, "extra_body", "names and values" },
    }
    for _, case in ipairs(cases) do
        it("are refused: " .. case[1], function()
            local params = case[2]
            params.prompt = params.prompt or (case[1] ~= "no prompt" and "x" or nil)
            params.extra_headers = params.extra_headers or { ["X-Id"] = "bad" }
            local response, err = client:generate(params)
            assert.is_nil(response)
            assert.equal("invalid_request", err.kind)
            assert.equal(case[3], err.param)
            assert.matches(case[4], err.message)
            assert.is_nil(err.maybe_billed)
        end)
    end

    it("send nothing when they are refused", function()
        local own = requests.client(mirror)
        assert.is_nil((own:generate { prompt = "", extra_body = { mirror = { id = "refused" } } }))
        assert.is_nil((own:generate { prompt = "x", n = 9, extra_body = { mirror = { id = "refused" } } }))
        assert.equal(0, mirrors.count(mirror, "refused"))
    end)

    it("of unknown models are checked for types only", function()
        assert(client:generate { prompt = "x", model = "another-model", n = 1, size = "4K", aspect_ratio = "21:9" })
        local _, err = client:generate { prompt = "x", model = "another-model", size = 4 }
        assert.equal("size", err.param)
    end)

    it("may hold up to 2^53 where lua-cjson can write it", function()
        local response, err = client:generate { prompt = "x", seed = 99999999999999 }
        assert(response, err)
        assert.matches('"seed":99999999999999[,}]', response.echo.body)
    end)

    it("show no key in a message", function()
        local _, err = client:generate { prompt = "x", size = "sk-abcdefghijklmnopqrstuvwxyz" }
        assert.is_nil(tostring(err):find("abcdefghijklmnop", 1, true))
    end)

    it("of the wrong Lua type raise", function()
        for _, value in ipairs { 5, true, print } do
            assert.error_matches(function()
                client:generate(value)
            end, "table or string expected, got " .. type(value))
            assert.error_matches(function()
                thucchien.generate(value)
            end, "bad argument #1 .*table or string expected, got " .. type(value))
        end
        assert.error_matches(function()
            thucchien.generate()
        end, "table or string expected, got no")
    end)

    it("may come from a class, and are checked as they come out of it", function()
        local class = { model = "another-model", save = function() end }
        class.__index = class
        local response, err = client:generate(setmetatable({ prompt = "x" }, class))
        assert.is_nil(response)
        assert.equal("save", err.param)
        class.save = nil
        assert.equal("another-model", assert(client:generate(setmetatable({ prompt = "x" }, class))).model)
        for _, fields in ipairs { { model = {} }, { sink = true }, { n = {} }, { on_image = 5 }, { extra_headers = "x" } } do
            response, err = client:generate(setmetatable({ prompt = "x" }, { __index = fields }))
            assert.is_nil(response)
            assert.equal("invalid_request", err.kind)
        end
    end)

    it("that close the client find it closed", function()
        local own = requests.client(mirror)
        local _, err = own:generate(setmetatable({ prompt = "x" }, {
            __index = function()
                own:close()
            end,
        }))
        assert.matches("closed", err.message)
    end)

    it("whose metamethods raise do no harm", function()
        local params = setmetatable({ prompt = "x" }, {
            __index = function()
                error "from the params"
            end,
        })
        assert.error_matches(function()
            client:generate(params)
        end, "from the params")
        assert(client:generate "x")
    end)
end)

describe("a prompt", function()
    local function character(code)
        if code < 0x80 then
            return string.char(code)
        end
        local tail = {}
        local first, room = 0xC0, 0x20
        repeat
            table.insert(tail, 1, string.char(0x80 + code % 0x40))
            code = math.floor(code / 0x40)
            if code >= room then
                first, room = first + room, room / 2
            end
        until code < room
        return string.char(first + code) .. table.concat(tail)
    end

    -- The first and the last of each run of blanks; each has a neighbour on either side that is none.
    local BLANKS = {
        { 0, 0x20 }, { 0x7F, 0xA0 }, { 0xAD, 0xAD }, { 0x34F, 0x34F }, { 0x61C, 0x61C }, { 0x115F, 0x1160 }, { 0x1680, 0x1680 },
        { 0x17B4, 0x17B5 }, { 0x180B, 0x180F }, { 0x2000, 0x200F }, { 0x2028, 0x202F }, { 0x205F, 0x206F }, { 0x2800, 0x2800 },
        { 0x3000, 0x3000 }, { 0x3164, 0x3164 }, { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF }, { 0xFFA0, 0xFFA0 }, { 0xFFF0, 0xFFF8 },
        { 0x1BCA0, 0x1BCA3 }, { 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF },
    }

    local function is_refused(prompt)
        local request, err = client:submit(prompt)
        if request then
            request:cancel()
            return false
        end
        assert.equal("invalid_request", err.kind)
        assert.equal("prompt", err.param)
        return err.message:find("nothing but white space", 1, true) ~= nil
    end

    it("of blanks alone is refused, whatever kind of them", function()
        local all = {}
        for _, run in ipairs(BLANKS) do
            for _, code in ipairs { run[1], run[2], math.floor((run[1] + run[2]) / 2) } do
                all[#all + 1] = character(code)
                assert.is_true(is_refused(character(code)), ("U+%04X alone"):format(code))
                assert.is_true(is_refused((" \n" .. character(code)):rep(3)), ("U+%04X"):format(code))
            end
            for _, code in ipairs { math.max(run[1], 1) - 1, run[2] + 1 } do
                assert.equal(run[1] == 0 and code == 0, is_refused(character(code)), ("U+%04X"):format(code))
            end
        end
        assert.is_true(is_refused(table.concat(all)))
        assert.is_false(is_refused(table.concat(all) .. "x"))
        assert.is_false(is_refused("x" .. table.concat(all)))
        assert.is_false(is_refused "❤️")
    end)
end)

describe("options", function()
    local BOM, ZERO_WIDTH, NO_BREAK = "\239\187\191", "\226\128\139", "\194\160"
    local SECRET = "sk-secret-0123456789"
    local bad_keys = {
        ['"' .. SECRET .. '"'] = "a quote at its beginning or end", ["'" .. SECRET .. "'"] = "a quote at its beginning or end",
        ["`" .. SECRET .. "`"] = "a quote", ['"' .. SECRET] = "a quote", [SECRET .. "'"] = "a quote", ['"'] = "a quote",
        [BOM .. SECRET] = "a byte order mark", [BOM] = "a byte order mark", [SECRET .. BOM] = "not ASCII",
        [ZERO_WIDTH .. SECRET] = "not ASCII", [SECRET .. ZERO_WIDTH] = "not ASCII", [SECRET .. NO_BREAK] = "not ASCII",
        ["sk-" .. ZERO_WIDTH .. SECRET] = "not ASCII", ["“" .. SECRET .. "”"] = "not ASCII", [SECRET .. "…"] = "not ASCII",
        [SECRET .. "\r"] = "a space or a control character", [" " .. SECRET] = "a space or a control character",
    }

    local function expect_refusal(said, err, kind)
        assert.equal(kind, err.kind)
        assert.matches(said, err.message)
        assert.is_nil(tostring(err):find("secret", 1, true))
        assert.is_nil(tostring(err):find("6789", 1, true))
    end

    it("do not have a key with what comes along when it is copied", function()
        for key, said in pairs(bad_keys) do
            local made, err = thucchien.new { api_key = key }
            assert.is_nil(made)
            expect_refusal(said, err, "invalid_request")
            local own = assert(thucchien.new { base_url = mirror.url, api_key = function() return key end })
            local _, problem = own:generate "x"
            own:close()
            expect_refusal(said, problem, "authentication")
        end
    end)

    local cases = {
        { "a typo", { api_keys = "sk-x" }, "unknown option 'api_keys' %(did you mean 'api_key'%?%)" },
        { "a wrong type", { timeout = "x" }, "^option 'timeout': a number expected, got 'x'$" },
        { "a number too small", { max_concurrency = 0 }, "^option 'max_concurrency': a number from 1" },
        { "a header that is ours", { headers = { Authorization = "x" } }, "^option 'headers': 'Authorization' is set" },
        { "a key with a line end", { api_key = "sk-a\nX-Evil: 1" }, "space or a control character" },
        { "a key with a space", { api_key = "sk-a b" }, "space or a control character" },
        { "an empty key", { api_key = "" }, "empty string" },
        { "a key of another type", { api_key = 5 }, "a string or a function expected, got a number" },
        { "plain http", { base_url = "http://example.com" }, "plain http shows the key" },
        { "another protocol", { base_url = "file:///etc/passwd" }, "https" },
        { "yet another", { base_url = "ftp://example.com" }, "only https and http" },
        { "no URL", { base_url = "api.thucchien.ai" }, "https URL expected" },
        { "an empty URL", { base_url = "" }, "empty string" },
        { "a password in the URL", { base_url = "https://a:b@example.com" }, "without user name and password" },
        { "a query in the URL", { base_url = "https://example.com/?a=b" }, "without '%?' and '#'" },
        { "an empty fragment in the URL", { base_url = "https://example.com/#" }, "without '%?' and '#'" },
        { "a line end in the URL", { base_url = "https://example.com/\r\n" }, "control characters" },
        { "a hostile loopback", { base_url = "http://127.0.0.1.example.com" }, "plain http" },
        { "time that is no number", { timeout = "long" }, "a number expected, got 'long'" },
        { "no time to connect", { connect_timeout = 0 }, "from 0.001" },
        { "no requests at once", { max_concurrency = 0 }, "from 1 to" },
        { "no bytes at all", { max_response_bytes = 0 }, "from 1 to" },
        { "retries below none", { max_retries = -1 }, "from 0 to 100" },
        { "a header of ours", { headers = { Authorization = "x" } }, "set by the module" },
        { "a proxy with a line end", { proxy = "http://a\nb" }, "control characters" },
        { "http2 that is no boolean", { http2 = "yes" }, "a boolean expected" },
    }
    for _, case in ipairs(cases) do
        it("are refused: " .. case[1], function()
            local made, err = thucchien.new(case[2])
            assert.is_nil(made)
            assert.equal("invalid_request", err.kind)
            assert.matches(case[3], err.message)
            local key = type(case[2].api_key) == "string" and #case[2].api_key > 3 and case[2].api_key
            assert.is_falsy(key and tostring(err):find(key, 1, true))
        end)
    end

    it("are all optional", function()
        assert(thucchien.new()):close()
        assert(thucchien.new {}):close()
    end)

    it("show no password of a URL", function()
        local _, err = thucchien.new { base_url = "https://me:hunter2@example.com" }
        assert.is_nil(tostring(err):find("hunter2", 1, true))
        local own = requests.client(mirror, { max_retries = 0,
            proxy = "http://joe:hunter2@127.0.0.1:notaport" })
        _, err = own:generate "x"
        assert.is_nil(tostring(err):find("hunter2", 1, true))
    end)

    it("let plain http to a loopback, or on demand", function()
        for _, url in ipairs { "http://localhost:1", "http://127.0.0.1:1/v1", "http://[::1]:1", "http://api.localhost",
            "http://LOCALHOST:1", "http://localhost.:1", "http://Api.LocalHost", "http://127.1:1", "http://0x7f.0.0.1",
            "http://[0:0:0:0:0:0:0:1]:1", "http://[::ffff:127.0.0.1]:1" } do
            assert(thucchien.new { base_url = url }):close()
        end
        assert(thucchien.new { base_url = "http://example.com", allow_http = true }):close()
    end)

    it("of the wrong Lua type raise", function()
        assert.has_error(function()
            thucchien.new "sk-x"
        end)
    end)

    it("are not enough without a key", function()
        if os.getenv "THUCCHIEN_API_KEY" then
            return pending "there is a key in the environment"
        end
        local own = assert(thucchien.new { base_url = mirror.url })
        local response, err = own:generate "x"
        assert.is_nil(response)
        assert.equal("authentication", err.kind)
        assert.matches("THUCCHIEN_API_KEY", err.message)
    end)

    it("tell when the function for the key fails", function()
        local own = assert(thucchien.new {
            base_url = mirror.url,
            api_key = function()
                error "the vault is locked, sk-abcdefghijklmnopqrstuvwx"
            end,
        })
        local _, err = own:generate "x"
        assert.is_nil(tostring(err):find("abcdefghijklmnop", 1, true))
        assert.equal("authentication", err.kind)
        assert.matches("the vault is locked", err.message)
        own = assert(thucchien.new { base_url = mirror.url, api_key = function() end })
        _, err = own:generate "x"
        assert.equal("authentication", err.kind)
    end)
end)

describe("the module", function()
    it("has its version where the command and the rockspec can see it", function()
        assert.equal("thucchien 0.2.0", thucchien._VERSION)
    end)
end)
