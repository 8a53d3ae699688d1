-- Through a proxy of another maker's: by option, by environment, with a password, and what it refuses.

local thucchien = require "thucchien"
local command = require "spec.support.command"
local nginx = require "spec.support.nginx"
local proxies = require "spec.support.proxy"
local requests = require "spec.support.requests"

local KEY = requests.KEY
local PASSWORD = "hunter2-Secret"

local missing = nginx.missing() or proxies.missing()
if missing then
    describe("a proxy", function()
        it("needs nginx and tinyproxy for its specs", function()
            pending(missing)
        end)
    end)
    return
end

local server, authority, open, guarded, narrow

setup(function()
    server = nginx.start {
        secure = { certificate = "good" },
        h2 = { certificate = "good", http2 = true },
        expired = { certificate = "expired" },
        plain = {},
    }
    authority = server.directory .. "/ca.pem"
    open = proxies.start()
    guarded = proxies.start { user = "joe", password = PASSWORD }
    narrow = proxies.start { connect_ports = { 443 } }
end)

teardown(function()
    server:stop()
    open:stop()
    guarded:stop()
    narrow:stop()
end)

-- Asks `name` through `proxy`. Returns what came.
local function ask(name, proxy, options)
    options = options or {}
    options.base_url, options.proxy = server.urls[name], proxy
    options.api_key, options.ca_file = KEY, authority
    options.max_retries = options.max_retries or 0
    local client = assert(thucchien.new(options))
    local response, err = client:generate "x"
    client:close()
    assert.is_nil(tostring(err):find(PASSWORD, 1, true))
    assert.is_nil(err and (err.body or ""):find(PASSWORD, 1, true) or nil)
    return response, err
end

local function tunnels(proxy)
    return proxy:seen "CONNECT 127%.0%.0%.1:%d+ HTTP"
end

describe("a proxy", function()
    it("has a tunnel through it for https", function()
        local before = tunnels(open)
        assert(ask("secure", open.url))
        assert.equal(before + 1, tunnels(open))
        assert.equal("HTTP/2.0", assert(ask("h2", open.url, { http2 = true })).protocol)
    end)

    it("may be given without http://", function()
        local before = tunnels(open)
        assert(ask("secure", open.host))
        assert.equal(before + 1, tunnels(open))
    end)

    it("is asked by its whole address for http", function()
        local before = open:seen "POST http://127%.0%.0%.1"
        assert(ask("plain", open.url))
        assert.equal(before + 1, open:seen "POST http://127%.0%.0%.1")
    end)

    it("never sees key or prompt of what goes through its tunnel", function()
        assert(ask("secure", open.url))
        assert.is_nil(open:log():find(KEY, 1, true))
        assert.is_nil(open:log():find("/images", 1, true) and open:log():find("CONNECT%S* /images"))
    end)

    it("serves several requests with one tunnel", function()
        local before = tunnels(open)
        local client = assert(thucchien.new {
            base_url = server.urls.secure, proxy = open.url, ca_file = authority, api_key = KEY,
        })
        for _ = 1, 3 do
            assert(client:generate "x")
        end
        client:close()
        assert.equal(before + 1, tunnels(open))
    end)

    it("does not make a bad certificate good", function()
        local _, err = ask("expired", open.url, { max_retries = 2 })
        assert.equal("tls", err.kind)
        assert.matches("expired", err.message)
        assert.equal(1, err.attempts)
        assert.is_false(err.maybe_billed)
    end)

    it("is told user and password", function()
        assert(ask("secure", ("http://joe:%s@%s"):format(PASSWORD, guarded.host)))
        assert(ask("plain", ("http://joe:%s@%s"):format(PASSWORD, guarded.host)))
    end)

    it("refuses others", function()
        for _, user in ipairs { "", "joe:wrong-password@", "jim:" .. PASSWORD .. "@", "joe@" } do
            local _, err = ask("secure", "http://" .. user .. guarded.host)
            assert.equal("connection", err.kind)
            assert.matches("40[17]", err.message)
            assert.is_false(err.maybe_billed)
            assert.is_nil(tostring(err):find("wrong-password", 1, true))
            _, err = ask("plain", "http://" .. user .. guarded.host)
            assert.is_true(err.status == 407 or err.status == 401)
            assert.equal(1, err.attempts)
            assert.is_nil(tostring(err):find("wrong-password", 1, true))
        end
    end)

    it("is not asked again when it refuses, and the message says what it wants", function()
        for url, said in pairs {
            [guarded.url] = "the proxy asks for user name and password",
            ["http://joe:wrong-password@" .. guarded.host] = "the proxy asks for user name and password",
            [narrow.url] = "the proxy refuses",
        } do
            local _, err = ask("secure", url, { max_retries = 2 })
            assert.equal("connection", err.kind)
            assert.matches(said, err.message)
            assert.equal(1, err.attempts)
        end
    end)

    it("may refuse the port", function()
        local _, err = ask("secure", narrow.url)
        assert.equal("connection", err.kind)
        assert.matches("403", err.message)
        assert.is_false(err.maybe_billed)
    end)

    it("may be unable to reach the server", function()
        local client = assert(thucchien.new {
            base_url = "https://127.0.0.1:1", proxy = open.url, api_key = KEY, max_retries = 1,
        })
        local _, err = client:generate "x"
        client:close()
        assert.equal("connection", err.kind)
        assert.matches("5%d%d", err.message)
        assert.is_false(err.maybe_billed)
        assert.equal(2, err.attempts)
    end)

    it("may be gone", function()
        for _, proxy in ipairs { "http://127.0.0.1:1", ("http://joe:%s@127.0.0.1:1"):format(PASSWORD) } do
            local _, err = ask("secure", proxy, { max_retries = 1 })
            assert.equal("connection", err.kind)
            assert.matches("127%.0%.0%.1", err.message)
            assert.is_false(err.maybe_billed)
            assert.equal(2, err.attempts)
        end
        local _, err = ask("secure", "http://no-such-proxy.invalid:3128")
        assert.equal("connection", err.kind)
        assert.matches("no%-such%-proxy.invalid", err.message)
        assert.is_false(err.maybe_billed)
    end)

    it("may end while requests go through it", function()
        local short = proxies.start()
        local client = assert(thucchien.new {
            base_url = server.urls.secure, proxy = short.url, ca_file = authority, api_key = KEY, max_retries = 0,
        })
        assert(client:generate "x")
        short:stop()
        local response, err = client:generate "x"
        client:close()
        assert.is_nil(response)
        assert.equal("connection", err.kind)
        assert.is_false(err.maybe_billed)
    end)
end)

describe("the environment", function()
    local CODE = [[
        local client = require("thucchien").new { max_retries = 0, allow_http = true }
        local response, err = client:generate "x"
        print(response and "good" or "bad", err)
    ]]

    local function run(name, variables, host)
        variables.THUCCHIEN_API_KEY = KEY
        variables.THUCCHIEN_BASE_URL = server.urls[name]:gsub("127%.0%.0%.1", host or "127.0.0.1")
        variables.SSL_CERT_FILE, variables.CURL_CA_BUNDLE = authority, ""
        local printed = command.run_lua(CODE, variables)
        assert.is_nil(printed:find(PASSWORD, 1, true))
        return printed
    end

    it("names a proxy for https", function()
        for _, name in ipairs { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" } do
            local before = tunnels(open)
            assert.matches("^good", run("secure", { [name] = open.url }))
            assert.equal(before + 1, tunnels(open))
        end
    end)

    it("names places that need none", function()
        local before = tunnels(open)
        assert.matches("^good", run("secure", { https_proxy = open.url, no_proxy = "example.com,127.0.0.1" }))
        assert.matches("^good", run("secure", { https_proxy = open.url, NO_PROXY = "*" }))
        assert.equal(before, tunnels(open))
        assert.matches("^good", run("secure", { https_proxy = open.url, no_proxy = "example.com" }))
        assert.equal(before + 1, tunnels(open))
    end)

    it("gives the proxy for https to https only", function()
        local before = #open:log()
        assert.matches("^good", run("plain", { https_proxy = open.url }))
        assert.equal(before, #open:log())
    end)

    it("has no say about http to this machine", function()
        local before = #open:log()
        assert.matches("^good", run("plain", { http_proxy = open.url, all_proxy = open.url }))
        assert.equal(before, #open:log())
    end)

    it("names a proxy for http elsewhere", function()
        local before = open:seen "POST http://no%-such%-host%.invalid"
        -- A name that only the proxy would look up.
        local printed = run("plain", { http_proxy = open.url }, "no-such-host.invalid")
        assert.matches("^bad", printed)
        assert.equal(before + 1, open:seen "POST http://no%-such%-host%.invalid")
        -- CGI programs are told HTTP_PROXY by whoever calls them, so in capitals it counts for nothing.
        run("plain", { HTTP_PROXY = open.url }, "no-such-host.invalid")
        assert.equal(before + 1, open:seen "POST http://no%-such%-host%.invalid")
    end)

    it("may have the password", function()
        assert.matches("^good", run("secure", { https_proxy = ("http://joe:%s@%s"):format(PASSWORD, guarded.host) }))
        local printed = run("secure", { https_proxy = ("http://jim:%s@%s"):format(PASSWORD, guarded.host) })
        assert.matches("^bad\tconnection: .*40[17]", printed)
    end)

    it("is overruled by the option", function()
        local before = tunnels(open)
        local printed = command.run_lua(
            ('print(require("thucchien").new({ proxy = "%s" }):generate "x")'):format(open.url), {
                THUCCHIEN_API_KEY = KEY, THUCCHIEN_BASE_URL = server.urls.secure, SSL_CERT_FILE = authority,
                CURL_CA_BUNDLE = "", https_proxy = "http://127.0.0.1:1",
            })
        assert.matches("^table: ", printed)
        assert.equal(before + 1, tunnels(open))
    end)
end)
