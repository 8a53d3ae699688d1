-- What is ours to say, not libcurl's: the same for every release of it, from 7.62 on. "make test-oldest" runs these
-- and a few others with the module built as if for that one's headers.

local thucchien = require "thucchien"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local support = require "spec.support.requests"

local KEY, PICTURE = support.KEY, support.PICTURE
local BEGUN = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" .. '{"data":[{"b64_json":"'

local mirror

fixtures.mirror(function(started) mirror = started end)

local function new(options)
    return support.client(mirror, options)
end

-- An answer that stops in the middle of its picture.
local function half(more)
    return support.params({ pieces = { BEGUN .. ("QUJD"):rep(100000) }, pause = 30 }, more)
end

describe("a request that was sent may be billed", function()
    it("when it is cancelled before the answer", function()
        for _, method in ipairs { "submit", "call" } do
            local own, told = new(), nil
            local id = "sent-" .. method
            local request = assert(method == "submit"
                and own:submit(support.params { id = id, hold = 30 }, function(_, err) told = err end)
                or own:call({ method = "POST", path = "/any", body = { mirror = { id = id, hold = 30 } } },
                    function(_, err) told = err end))
            support.poll_until(own, function() return mirrors.count(mirror, id) == 1 end)
            request:cancel()
            own:poll()
            assert.same({ "cancelled", true }, { told.kind, told.maybe_billed })
            own:close()
        end
    end)

    it("when it is cancelled in the middle of the answer", function()
        local own = new()
        local request = assert(own:submit(half()))
        support.poll_until(own, function() return request:status() == "receiving" and request:progress() > 0 end)
        request:cancel()
        local _, err = request:wait()
        assert.same({ "cancelled", true, 200 }, { err.kind, err.maybe_billed, err.status })
        own:close()
    end)

    it("when its sink refuses what comes", function()
        local own = new { retry = "all" }
        local _, err = own:generate(half { sink = function() return nil, "no room" end })
        assert.same({ "io", true, 1 }, { err.kind, err.maybe_billed, err.attempts })
        own:close()
    end)

    it("when its time is over", function()
        for _, answer in ipairs { support.params { hold = 30 }, half() } do
            answer.timeout = 0.5
            local own = new { retry = "safe" }
            local _, err = own:generate(answer)
            assert.same({ "timeout", true, 1 }, { err.kind, err.maybe_billed, err.attempts })
            assert.matches("no whole response within 0.5 seconds", err.message, 1, true)
            own:close()
        end
    end)

    it("when its client is closed", function()
        local own, told = new(), nil
        assert(own:submit(support.params { id = "sent-close", hold = 30 }, function(_, err) told = err end))
        support.poll_until(own, function() return mirrors.count(mirror, "sent-close") == 1 end)
        own:close()
        own:poll()
        assert.same({ "cancelled", true }, { told.kind, told.maybe_billed })
    end)
end)

describe("a request that was not sent cost nothing", function()
    -- what happens, the client's options, attempts
    local cases = {
        { "nobody there", { base_url = "http://127.0.0.1:1" }, 2 },
        { "no such name", { base_url = "https://no-such-host.invalid" }, 2 },
        { "no such proxy", { proxy = "http://127.0.0.1:1", base_url = "http://pictures.example", allow_http = true }, 2 },
        { "no TLS behind a proxy", { proxy = "mirror", base_url = "https://pictures.example" }, 1 },
        { "a server that never shakes hands", { base_url = "https://mirror", connect_timeout = 0.2 }, 2 },
    }
    for _, case in ipairs(cases) do
        it(case[1], function()
            local options = case[2]
            options.proxy = options.proxy == "mirror" and mirror.url or options.proxy
            options.base_url = options.base_url:gsub("^https://mirror$", (mirror.url:gsub("^http:", "https:")))
            options.max_retries = 1
            local own = new(options)
            local _, err = own:generate "x"
            assert.is_false(err.maybe_billed)
            assert.is_nil(err.status)
            assert.equal(case[3], err.attempts)
            own:close()
        end)
    end
end)

describe("an answer is no answer", function()
    local function refused(answer, kind, message)
        local own = new { retry = "none" }
        local response, err = own:generate(support.params(answer))
        assert.is_nil(response)
        assert.same({ kind, true, 1 }, { err.kind, err.maybe_billed, err.attempts })
        assert.matches(message or "", err.message)
        own:close()
    end

    it("with a status that is not of three digits", function()
        for _, status in ipairs { "20000", "2000", "20", "2", "020", "OK", "-200", "200x", "2 0 0", "" } do
            refused({ pieces = { "HTTP/1.1 " .. status .. " OK\r\n\r\n" .. PICTURE } }, "bad_response")
        end
    end)

    it("behind interim ones without an end", function()
        refused({ pieces = { "" }, endless = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" },
            "response_too_large", "headers")
    end)

    it("with thousands of headers, however short", function()
        refused({ pieces = { "HTTP/1.1 200 OK\r\n" .. ("a: b\r\n"):rep(4500) .. "\r\n" .. PICTURE } },
            "response_too_large", "4000 lines")
        local own = new()
        assert(own:generate(support.params { pieces = {
            "HTTP/1.1 200 OK\r\n" .. ("a: b\r\n"):rep(3900) .. "\r\n" .. PICTURE } }))
        own:close()
    end)
end)

describe("libcurl", function()
    -- Takes a transfer and forgets it: no timer, no socket, no end.
    local FORGETFUL = "int curl_multi_add_handle(void *multi, void *easy) { (void)multi, (void)easy; return 0; }\n"

    local directory

    setup(function()
        directory = command.new_directory()
        command.write(directory .. "/forgetful.c", FORGETFUL)
        local compiler = os.getenv "CC" or "cc"
        assert.equal(0, command.execute(("%s -shared -fPIC -o %s/forgetful.so %s/forgetful.c"):format(
            compiler, directory, directory)))
    end)

    teardown(function()
        command.remove_directory(directory)
    end)

    it("may lose a transfer before it is sent: nobody waits for ever", function()
        if command.is_sanitized() then
            return pending "needs no sanitizer"
        end
        command.write(directory .. "/lost.lua", ([[
            local thucchien = require "thucchien"
            local client = assert(thucchien.new { api_key = "%s", base_url = "%s", connect_timeout = 0.1, max_retries = 1 })
            local _, err = client:generate "x"
            print(err.kind, err.maybe_billed, err.attempts, err.message)
            local called
            client:submit({ prompt = "x", max_retries = 0 }, function(_, e) called = e end)
            while client:poll(60) > 0 do end
            print(called.kind)
            client:close()
        ]]):format(KEY, mirror.url))
        local pipe = assert(io.popen(("LD_PRELOAD=%s/forgetful.so %s %s/lost.lua 2>&1"):format(
            directory, command.lua, directory)))
        local printed = pipe:read "*a"
        pipe:close()
        assert.equal("timeout\tfalse\t2\tno connection within 0.1 seconds\ntimeout\n", printed)
    end)

    it("is told by its version", function()
        assert.matches("^libcurl/%d+%.%d+", thucchien.libcurl)
    end)
end)
