-- Through squid, which many networks have: it speaks HTTP/1.1 to both sides, and refuses with pages of HTML.

local thucchien = require "thucchien"
local command = require "spec.support.command"
local daemon = require "spec.support.daemon"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local KEY = requests.KEY
local PASSWORD = "hunter2-Secret"

local HELPER = "/usr/lib/squid/basic_ncsa_auth"
local helper = io.open(HELPER)
if not daemon.find "squid" or not daemon.find "openssl" or not helper then
    describe("squid", function()
        it("is needed for its specs", function()
            pending "there is no squid, or no openssl"
        end)
    end)
    return
end
helper:close()

-- The directory is everyone's: started by root, squid goes on as another user.
local CONF = [[
http_port 127.0.0.1:%d
pid_filename none
access_log none
cache_log /dev/null
cache deny all
coredump_dir %s
visible_hostname squid.example
shutdown_lifetime 0 seconds
connect_timeout 2 seconds
auth_param basic program %s %s/users
auth_param basic children 1 startup=1
acl known proxy_auth REQUIRED
acl narrow port 1-1023
http_access deny CONNECT narrow
http_access allow known
http_access deny all
]]

local squid, mirror, proxy

setup(function()
    local directory, port = command.new_directory(), daemon.ports(1)[1]
    os.execute(("echo 'joe:'$(openssl passwd -apr1 %s) >%s/users && chmod 755 %s"):format(PASSWORD, directory, directory))
    command.write(directory .. "/conf", CONF:format(port, directory, HELPER, directory))
    squid = daemon.start("squid", "http://127.0.0.1:" .. port, port,
        { daemon.find "squid", "--foreground", "-f", directory .. "/conf" }, directory)
    proxy = ("http://joe:%s@127.0.0.1:%d"):format(PASSWORD, port)
    mirror = mirrors.start()
end)

teardown(function()
    mirror:stop()
    squid:stop()
end)

local function ask(url, options, params)
    options.base_url, options.api_key = url, KEY
    options.proxy = options.proxy or proxy
    local client = assert(thucchien.new(options))
    local response, err = client:generate(params or "x")
    client:close()
    assert.is_nil(tostring(err):find(PASSWORD, 1, true))
    return response, err
end

describe("squid", function()
    it("hands a request on, and its answer back", function()
        local response = assert(ask(mirror.url, {}, {
            prompt = "x",
            extra_body = { mirror = { id = "handed-on", body = '{"data":[{"b64_json":"QUJD"}]}' } },
        }))
        assert.equal("ABC", response.data[1].bytes)
        assert.equal(1, mirrors.count(mirror, "handed-on"))
    end)

    it("refuses who is not known to it", function()
        for _, user in ipairs { "", "joe:wrong-password@", "jim:" .. PASSWORD .. "@" } do
            local other = proxy:gsub("//.*@", "//" .. user)
            local _, err = ask(mirror.url, { proxy = other })
            assert.equal("connection", err.kind)
            assert.equal(407, err.status)
            assert.equal(1, err.attempts)
            assert.is_false(err.maybe_billed)
            _, err = ask("https://127.0.0.1:8443", { proxy = other })
            assert.equal("connection", err.kind)
            assert.matches("the proxy asks for user name and password", err.message)
            assert.equal(1, err.attempts)
            assert.is_false(err.maybe_billed)
        end
    end)

    it("refuses a tunnel", function()
        local _, err = ask("https://127.0.0.1:443", {})
        assert.equal("connection", err.kind)
        assert.matches("the proxy refuses to connect to that server %(403%)", err.message)
        assert.equal(1, err.attempts)
        assert.is_false(err.maybe_billed)
    end)

    it("cannot reach the server: its page's title is told", function()
        local _, err = ask("http://127.0.0.1:1", { max_retries = 1 })
        assert.equal("server_error", err.kind)
        assert.equal(503, err.status)
        assert.matches("ERROR: The requested URL could not be retrieved", err.message)
        assert.is_nil(err.message:find("<", 1, true))
        assert.equal(2, err.attempts)
        assert.is_false(err.maybe_billed)
    end)

    it("cannot reach the server of a tunnel", function()
        local _, err = ask("https://127.0.0.1:" .. daemon.ports(1)[1], { max_retries = 1 })
        assert.equal("connection", err.kind)
        assert.matches("503", err.message)
        assert.equal(2, err.attempts)
        assert.is_false(err.maybe_billed)
    end)
end)
