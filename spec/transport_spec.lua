-- The way to the server: time limits, connections that fail, TLS, Ctrl-C, the environment.

local lfs = require "lfs"
local system = require "system"
local thucchien = require "thucchien"
local mirrors = require "spec.support.mirror"

local KEY = "sk-specs-0123456789abcdef"
local PICTURE = '{"data":[{"b64_json":"QUJD"}]}'
local LUA = jit and "luajit" or "lua" .. _VERSION:match "%d+%.%d+"

local mirror

local function new(options)
    options.api_key = options.api_key or KEY
    options.base_url = options.base_url or mirror.url
    return assert(thucchien.new(options))
end

local function ask(client, answer)
    return client:generate { prompt = "x", extra_body = { mirror = answer } }
end

-- Runs Lua code and returns what it printed, and how long that took.
local function run(code, environment)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(code)
    file:close()
    local start = system.monotime()
    local pipe = assert(io.popen(("env %s %s %s 2>&1"):format(environment or "", LUA, path)))
    local printed = pipe:read "*a"
    pipe:close()
    os.remove(path)
    return printed, system.monotime() - start
end

local function environment(url)
    return ("THUCCHIEN_API_KEY=%s THUCCHIEN_BASE_URL=%s"):format(KEY, url)
end

setup(function()
    mirror = mirrors.start()
end)

teardown(function()
    mirror:stop()
end)

describe("time", function()
    it("runs out for an answer that does not come", function()
        local client = new { timeout = 0.2 }
        local response, err = ask(client, { hold = 3, body = PICTURE })
        assert.is_nil(response)
        assert.equal("timeout", err.kind)
        assert.is_true(err.maybe_billed)
        assert.equal(1, err.attempts)
        assert.matches("0.2 seconds", err.message)
    end)

    it("runs out for one that only drips", function()
        local pieces = { "HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n{" }
        for i = 2, 100 do
            pieces[i] = " "
        end
        local _, err = ask(new { timeout = 0.3 }, { pieces = pieces, pause = 0.05 })
        assert.equal("timeout", err.kind)
        assert.equal(200, err.status)
    end)

    it("is enough for a slow one", function()
        assert(ask(new { timeout = 5 }, { hold = 0.5, body = PICTURE }))
    end)

    it("may be the request's own", function()
        local _, err = new({}):generate {
            prompt = "x", timeout = 0.1, extra_body = { mirror = { hold = 2, body = PICTURE } },
        }
        assert.equal("timeout", err.kind)
    end)
end)

describe("a connection", function()
    it("that nobody takes is an error, and safe to retry", function()
        local client = new { base_url = "http://127.0.0.1:1", max_retries = 1 }
        local response, err = client:generate "x"
        assert.is_nil(response)
        assert.equal("connection", err.kind)
        assert.is_false(err.maybe_billed)
        assert.equal(2, err.attempts)
    end)

    it("to a name that is none is an error", function()
        local client = new { base_url = "https://no-such-host.invalid", max_retries = 0 }
        local _, err = client:generate "x"
        assert.equal("connection", err.kind)
        assert.matches("no%-such%-host.invalid", err.message)
        assert.is_false(err.maybe_billed)
    end)

    it("goes through a proxy that is given", function()
        local client = new { base_url = "http://pictures.localhost:1", proxy = mirror.url }
        local response = assert(client:generate "x")
        assert.equal("POST http://pictures.localhost:1/images/generations HTTP/1.1", response.echo.line)
    end)
end)

describe("TLS", function()
    local directory, secure

    local function make_certificate(name, subject)
        local command = ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            .. "-keyout %s/%s.key -out %s/%s.pem -subj /CN=%s -addext subjectAltName=%s >%s/log 2>&1"):format(
            directory, name, directory, name, name, subject, directory)
        assert(os.execute(command))
        return directory .. "/" .. name .. ".pem", directory .. "/" .. name .. ".key"
    end

    setup(function()
        directory = os.tmpname()
        os.remove(directory)
        assert(lfs.mkdir(directory))
        secure = mirrors.start(make_certificate("right", "IP:127.0.0.1"))
    end)

    teardown(function()
        secure:stop()
        for name in lfs.dir(directory) do
            os.remove(directory .. "/" .. name)
        end
        os.remove(directory)
    end)

    it("is spoken with a certificate that is trusted", function()
        local client = new { base_url = secure.url, ca_file = directory .. "/right.pem" }
        for _ = 1, 2 do
            assert(ask(client, { body = PICTURE }))
        end
    end)

    it("refuses one that is not, and does not try again", function()
        local _, err = new({ base_url = secure.url }):generate "x"
        assert.equal("tls", err.kind)
        assert.equal(1, err.attempts)
        assert.is_false(err.maybe_billed)
    end)

    it("refuses one for another name", function()
        local other = mirrors.start(make_certificate("wrong", "DNS:example.com"))
        local client = new { base_url = other.url, ca_file = directory .. "/wrong.pem" }
        local _, err = client:generate "x"
        other:stop()
        assert.equal("tls", err.kind)
    end)

    it("says so when there is no such file", function()
        local _, err = new({ base_url = secure.url, ca_file = directory .. "/none.pem" }):generate "x"
        assert.equal("tls", err.kind)
        assert.matches("none.pem", err.message)
    end)

    it("trusts the file that the environment names", function()
        local code = 'print(require("thucchien").generate { prompt = "x", extra_body = { mirror = '
            .. "{ body = [[" .. PICTURE .. "]] } } })"
        local right = run(code, environment(secure.url) .. " CURL_CA_BUNDLE= SSL_CERT_FILE=" .. directory .. "/right.pem")
        assert.matches("^table: ", right)
        local wrong = run(code, environment(secure.url) .. " CURL_CA_BUNDLE=/nowhere.pem")
        assert.matches("^nil\ttls: .*/nowhere.pem", wrong)
    end)
end)

describe("another process", function()
    it("takes key and address from its environment", function()
        local printed = run([[
            local response, err = require("thucchien").generate "x"
            print(response and response.echo.headers.authorization or err)
        ]], environment(mirror.url))
        assert.matches("Bearer " .. KEY:gsub("%-", "%%-"), printed)
    end)

    it("sends nothing for this machine through a proxy of its environment", function()
        local printed = run('print(require("thucchien").generate { prompt = "x", max_retries = 0 })',
            environment "http://127.0.0.1:1" .. " http_proxy=" .. mirror.url .. " all_proxy=" .. mirror.url)
        assert.matches("^nil\tconnection", printed)
    end)

    it("is told of a bad address in its environment", function()
        local printed = run('print(require("thucchien").generate "x")', environment "http://example.com")
        assert.matches("plain http", printed)
    end)

    it("is interrupted by Ctrl-C while it waits", function()
        local code = [[
            local pid = io.open("/proc/self/stat"):read "*n"
            os.execute("(sleep 0.3; kill -INT " .. pid .. ") &")
            local start = require("system").monotime()
            local ok, err = pcall(require("thucchien").generate, {
                prompt = "x", extra_body = { mirror = { hold = 20 } } })
            local seconds = require("system").monotime() - start
            print(ok, err, seconds < 0.3 + 0.25 and "at once" or "late: " .. seconds)
        ]]
        local printed = run(code, environment(mirror.url))
        assert.matches("false\t.*interrupted!\tat once", printed)
    end)

    it("ends quietly when it gives up in the middle", function()
        local printed = run([[
            local client = require("thucchien").new()
            local calls = 0
            debug.sethook(function()
                calls = calls + 1
                if calls == 4 then debug.sethook() error "enough" end -- pcall, generate, then while it waits
            end, "c")
            print(pcall(client.generate, client, { prompt = "x", extra_body = { mirror = { hold = 20 } } }))
            print(client:generate "y")
        ]], environment(mirror.url))
        assert.matches("enough", printed)
        assert.matches("table: ", printed)
    end)
end)
