-- The way to the server: time limits, connections that fail, TLS, Ctrl-C, the environment.

local thucchien = require "thucchien"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local KEY, PICTURE = requests.KEY, requests.PICTURE

local mirror

local function new(options)
    options.api_key = options.api_key or KEY
    options.base_url = options.base_url or mirror.url
    return assert(thucchien.new(options))
end

local function ask(client, answer)
    return client:generate { prompt = "x", extra_body = { mirror = answer } }
end

-- Runs Lua code and returns what it printed.
local function run(code, environment)
    local path = os.tmpname()
    command.write(path, code)
    local pipe = assert(io.popen(("env %s %s %s 2>&1"):format(environment or "", command.lua, path)))
    local printed = pipe:read "*a"
    pipe:close()
    os.remove(path)
    return printed
end

local function environment(url)
    return ("THUCCHIEN_API_KEY=%s THUCCHIEN_BASE_URL=%s"):format(KEY, url)
end

fixtures.mirror(function(started) mirror = started end)

describe("time", function()
    it("runs out for an answer that does not come", function()
        local client = new { timeout = 0.5 }
        local response, err = ask(client, { hold = 60, body = PICTURE })
        assert.is_nil(response)
        assert.equal("timeout", err.kind)
        assert.is_true(err.maybe_billed)
        assert.equal(1, err.attempts)
        assert.matches("0.5 seconds", err.message)
    end)

    it("runs out for one that only drips", function()
        local pieces = { "HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n{" }
        for i = 2, 1000 do
            pieces[i] = " "
        end
        local _, err = ask(new { timeout = 1 }, { pieces = pieces, pause = 0.05 })
        assert.equal("timeout", err.kind)
        assert.equal(200, err.status)
    end)

    it("is enough for a slow one", function()
        assert(ask(new { timeout = 60 }, { hold = 0.5, body = PICTURE }))
    end)

    it("may be the request's own", function()
        local _, err = new({}):generate {
            prompt = "x", timeout = 0.1, extra_body = { mirror = { hold = 60, body = PICTURE } },
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
        local line = ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            .. "-keyout %s/%s.key -out %s/%s.pem -subj /CN=%s -addext subjectAltName=%s >%s/log 2>&1"):format(
            directory, name, directory, name, name, subject, directory)
        assert(os.execute(line))
        return directory .. "/" .. name .. ".pem", directory .. "/" .. name .. ".key"
    end

    setup(function()
        directory = command.new_directory()
        secure = mirrors.start(make_certificate("right", "IP:127.0.0.1"))
    end)

    teardown(function()
        secure:stop()
        command.remove_directory(directory)
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
            print(response and response.echo.headers.authorization:gsub("|", "") or err)
        ]], environment(mirror.url))
        assert.matches("Bearer " .. KEY:gsub("%-", "%%-"), printed)
    end)

    it("is told of a bad key in its environment", function()
        for key, said in pairs {
            ['"sk-secret-6789"'] = "a quote at its beginning or end", ["\239\187\191sk-secret-6789"] = "a byte order mark",
            ["sk-secret-6789\226\128\139"] = "not ASCII", ["sk-secret-6789\194\160"] = "not ASCII",
        } do
            local printed = run('print(require("thucchien").generate "x")',
                ("THUCCHIEN_API_KEY='%s' THUCCHIEN_BASE_URL=%s"):format(key, mirror.url))
            assert.matches("authentication: the API key has [^\n]*" .. said, printed)
            assert.is_nil(printed:find("6789", 1, true))
        end
    end)

    it("takes the model from its environment", function()
        local function ask_for(words, params)
            return (run(([[
                local client, refused = require("thucchien").new { %s }
                if not client then
                    return print(refused)
                end
                local response, err = client:generate { prompt = "x", extra_body = { mirror = { body = '{"data":[{"b64_json":"QUJD"}]}' } }, %s }
                print(response and response.model or err)
            ]]):format(params and params.option or "", params and params.field or ""), environment(mirror.url) .. " " .. words))
        end
        assert.equal("imagen-4\n", ask_for "THUCCHIEN_MODEL=")
        assert.equal("imagen-4\n", ask_for "")
        assert.equal("any/model\n", ask_for "THUCCHIEN_MODEL=any/model")
        assert.equal("another\n", ask_for("THUCCHIEN_MODEL=any/model", { option = 'model = "another"' }))
        assert.equal("third\n", ask_for("THUCCHIEN_MODEL=any/model", { option = 'model = "another"', field = 'model = "third"' }))
        assert.matches("option 'model': no control characters", ask_for "THUCCHIEN_MODEL=\"$(printf 'a\\nb')\"")
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
            local thucchien = require "thucchien"
            local pid = io.open("/proc/self/stat"):read "*n"
            os.execute("(until grep -q '^request ctrl-c ' %s; do sleep 0.05; done; kill -INT " .. pid .. ") &")
            print(pcall(thucchien.generate, {
                prompt = "x", timeout = 3600, extra_body = { mirror = { id = "ctrl-c", hold = 3600 } } }))
        ]]
        local printed = run(code:format(mirror.log_path), environment(mirror.url) .. " timeout 60")
        assert.matches("false\t.*interrupted!", printed)
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

-- The mirror is the proxy here, and says what a gateway elsewhere would: that a picture is at `url`.
describe("a picture that an answer points to", function()
    -- A name that the system, and no rule of ours, takes for this machine: its own, as a rule.
    local function name_of_this_machine()
        local pipe = assert(io.popen "getent hosts $(hostname) ip6-localhost")
        local name = pipe:read("*a"):match "%S+%s+(%S+)"
        pipe:close()
        return name
    end

    -- What becomes of it, for a gateway at `base`; `options` are more of them, in Lua.
    local function fetch(url, words, options, base)
        return (run(([[
            local client = assert(require("thucchien").new { max_retries = 0, allow_http = true, %s })
            local response, err = client:generate { prompt = "x", model = "any/model", timeout = 5,
                extra_body = { mirror = { body = '{"data":[{"url":"%s"}]}' } } }
            print(response and "fetched" or err.kind .. ": " .. err.message)
        ]]):format(options or "", url), environment(base or "http://gateway.example") .. " " .. words))
    end

    -- What comes of the mirror's answer to a CONNECT: of a name that nobody else can look up.
    local TUNNELED = "the server does not speak TLS"

    local function port()
        return mirror.url:match "%d+$"
    end

    it("goes through the proxy", function()
        local elsewhere = "https://pictures.example:1/a.png"
        assert.matches(TUNNELED, fetch(elsewhere, "http_proxy=" .. mirror.url .. " https_proxy=" .. mirror.url))
        assert.matches(TUNNELED, fetch(elsewhere, "", ("proxy = %q"):format(mirror.url)))
    end)

    it("or is guarded, where NO_PROXY has its host", function()
        local name = name_of_this_machine()
        if not name then
            pending "this machine has no other name than localhost"
        end
        local url, proxies = ("https://%s:%s/a.png"):format(name, port()), "http_proxy=" .. mirror.url .. " https_proxy=" .. mirror.url
        local option = ("proxy = %q"):format(mirror.url)
        local parent = name:match "^[^.]+(%..+)$"
        for _, list in ipairs { name, name:upper(), "pictures.example," .. name, parent or name } do
            for _, variable in ipairs { "no_proxy", "NO_PROXY" } do
                local words = ("%s=%s"):format(variable, list)
                assert.matches("it is at a private address", fetch(url, proxies .. " " .. words))
                assert.matches("it is at a private address", fetch(url, words, option))
            end
        end
    end)

    it("or is guarded, where the proxy is for other URLs", function()
        local name = name_of_this_machine()
        if not name then
            pending "this machine has no other name than localhost"
        end
        local url = ("https://%s:%s/a.png"):format(name, port())
        assert.matches("it is at a private address", fetch(url, "http_proxy=" .. mirror.url))
    end)

    it("is not reached at a private address because the proxy is at one", function()
        for _, words in ipairs { "http_proxy=", "all_proxy=", "ALL_PROXY=" } do
            assert.matches("it is at a private address", fetch(("https://127.0.0.1:%s/a.png"):format(port()), words .. mirror.url))
        end
        assert.matches("it is at a private address",
            fetch(("https://10.0.0.1:%s/a.png"):format(port()), "", ("proxy = %q"):format(mirror.url)))
    end)

    it("is not at this machine, however that is written", function()
        for _, host in ipairs {
            "LOCALHOST", "LocalHost", "localhost.", "a.LOCALHOST", "127.0.0.1.", "127.1", "0x7f.1", "0177.0.0.1",
            "2130706433", "%31%32%37.0.0.1", "loc%61lhost", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
            "[::FFFF:7f00:1]", "0.0.0.0", "[::]",
        } do
            local said = fetch(("https://%s:%s/a.png"):format(host, port()), "https_proxy=" .. mirror.url .. " http_proxy=" .. mirror.url)
            assert.matches("it is at a private address", said, 1, true)
        end
    end)

    it("is fetched through a proxy for a gateway on this machine too", function()
        local said = fetch("https://pictures.example:1/a.png", "https_proxy=" .. mirror.url, "", mirror.url)
        assert.matches(TUNNELED, said)
    end)
end)
