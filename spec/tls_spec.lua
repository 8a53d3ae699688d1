-- TLS with a server of another maker's: who is trusted, who is not and what is said then; HTTP/2.

local system = require "system"
local thucchien = require "thucchien"
local command = require "spec.support.command"
local mirrors = require "spec.support.mirror"
local nginx = require "spec.support.nginx"
local support = require "spec.support.requests"

local KEY, PICTURE = support.KEY, support.PICTURE

local missing = nginx.missing()
if missing then
    describe("TLS", function()
        it("needs nginx and openssl for its specs", function()
            pending(missing)
        end)
    end)
    return
end

local mirror, server, authority

local function new(name, options)
    options = options or {}
    options.base_url = options.base_url or server.urls[name]
    options.api_key = KEY
    options.ca_file = options.ca_file or authority
    return assert(thucchien.new(options))
end

setup(function()
    mirror = mirrors.start()
    local old = " ssl_ciphers DEFAULT:@SECLEVEL=0;"
    local behind = { ("location / { proxy_pass %s; proxy_buffering off; }"):format(mirror.url) }
    server = nginx.start {
        good = { certificate = "good" },
        expired = { certificate = "expired" },
        early = { certificate = "early" },
        wrongname = { certificate = "wrongname" },
        unknown = { certificate = "unknown" },
        selfsigned = { certificate = "selfsigned" },
        tls10 = { certificate = "good", lines = "ssl_protocols TLSv1;" .. old },
        tls11 = { certificate = "good", lines = "ssl_protocols TLSv1.1;" .. old },
        tls12 = { certificate = "good", lines = "ssl_protocols TLSv1.2;" },
        tls13 = { certificate = "good", lines = "ssl_protocols TLSv1.3;" },
        short = { certificate = "good", lines = "keepalive_timeout 1;" },
        plain = {},
        h2 = { certificate = "good", http2 = true },
        goaway = { certificate = "good", http2 = true, lines = "keepalive_requests 2;" },
        refusing = { certificate = "good", http2 = true, answer = "location / { return 444; }" },
        behind = { certificate = "good", http2 = true, answer = behind[1] },
        behind1 = { certificate = "good", answer = behind[1] },
    }
    authority = server.directory .. "/ca.pem"
end)

teardown(function()
    server:stop()
    mirror:stop()
end)

describe("a certificate", function()
    it("that a trusted authority signed is trusted", function()
        local client = new "good"
        local response = assert(client:generate "x")
        assert.equal("ABC", response.data[1].bytes)
        client:close()
    end)

    -- In a mount namespace of its own a directory with our authority stands in the system's place.
    it("that the system's own directory has is trusted without a word", function()
        local certificates = thucchien.libcurl:match "^libcurl/%S+ OpenSSL/" and "/etc/ssl/certs"
        local status = os.execute "unshare -m true 2>/dev/null"
        if not certificates or not (status == true or status == 0) or not command.has_hashes(certificates) then
            pending "needs OpenSSL, a directory of its certificates, and the right to mount"
            return
        end
        local directory = command.new_directory()
        local script = directory .. "/ask.lua"
        command.write(script, ('local client = assert(require("thucchien").new { base_url = %q, api_key = "sk-x" })'
            .. ' local response, err = client:generate "x" io.write(response and "trusted" or tostring(err))'):format(server.urls.good))
        local pipe = assert(io.popen(("mkdir %s/certs && cp %s %s/certs/$(openssl x509 -hash -noout -in %s).0 && "
            .. "unset SSL_CERT_FILE CURL_CA_BUNDLE && unshare -m sh -c 'mount --bind %s/certs %s && %s %s' 2>&1"):format(
            directory, authority, directory, authority, directory, certificates, command.lua, script)))
        assert.equal("trusted", pipe:read "*a")
        pipe:close()
        command.remove_directory(directory)
    end)

    -- name, what is said beside the TLS library's own words
    local cases = {
        { "expired", "check the clock" },
        { "early", "check the clock" },
        { "selfsigned", "has signed its certificate itself" },
        { "unknown", "nobody who is trusted here" },
        { "wrongname", "for another host" },
    }
    for _, case in ipairs(cases) do
        for _, retry in ipairs { "safe", "all" } do
            it("is refused and said to be: " .. case[1] .. ", " .. retry, function()
                local client = new(case[1], { retry = retry })
                local response, err = client:generate "x"
                client:close()
                assert.is_nil(response)
                assert.equal("tls", err.kind)
                assert.matches(case[2], tostring(err), 1, true)
                assert.equal(1, err.attempts)
                assert.is_false(err.maybe_billed)
                assert.is_nil(err.status)
                assert.equal(0, server:requests(case[1]))
            end)
        end
    end

    it("of a known authority is unknown with another ca_file", function()
        local client = new("good", { ca_file = server.directory .. "/nobody.pem" })
        local _, err = client:generate "x"
        client:close()
        assert.equal("tls", err.kind)
        assert.equal(1, err.attempts)
    end)

    it("of one's own making may be trusted by itself", function()
        local client = new("selfsigned", { ca_file = server.directory .. "/selfsigned.pem" })
        assert(client:generate "x")
        client:close()
    end)

    it("is not trusted because the ca_file has no certificate", function()
        for _, name in ipairs { "nginx.conf", "good.key", "index.txt.old-none" } do
            local client = new("good", { ca_file = server.directory .. "/" .. name })
            local _, err = client:generate "x"
            client:close()
            assert.equal("tls", err.kind)
            assert.matches(name, err.message, 1, true)
            assert.equal(1, err.attempts)
        end
    end)

    it("is looked up where the environment says", function()
        local code = 'print(require("thucchien").generate "x")'
        local environment = { THUCCHIEN_API_KEY = KEY, THUCCHIEN_BASE_URL = server.urls.good }
        local function run(ssl, curl)
            environment.SSL_CERT_FILE, environment.CURL_CA_BUNDLE = ssl, curl
            return command.run_lua(code, environment)
        end
        local nobody = server.directory .. "/nobody.pem"
        assert.matches("^table: ", run(authority, ""))
        assert.matches("^table: ", run("", authority))
        assert.matches("^table: ", run(nobody, authority)) -- curl's own variable comes first
        assert.matches("^nil\ttls: ", run(authority, nobody))
        assert.matches("^nil\ttls: ", run("", ""))
        assert.matches("^nil\ttls: .*nowhere", run("/nowhere.pem", ""))
    end)
end)

describe("TLS", function()
    for _, version in ipairs { "TLSv1.2", "TLSv1.3" } do
        it("may be " .. version, function()
            local client = new(version == "TLSv1.2" and "tls12" or "tls13")
            assert.equal(version, assert(client:generate "x").tls)
            client:close()
        end)
    end

    for _, name in ipairs { "tls10", "tls11" } do
        it("is refused where it is too old: " .. name, function()
            local client = new(name, { max_retries = 1 })
            local _, err = client:generate "x"
            client:close()
            assert.equal("tls", err.kind)
            assert.is_false(err.maybe_billed)
            assert.equal(0, server:requests(name))
        end)

        it("is said to be too old where it is, and not tried again: " .. name, function()
            local client = new(name)
            local _, err = client:generate "x"
            client:close()
            assert.matches("TLS 1%.2", err.message)
            assert.equal(1, err.attempts)
        end)
    end

    it("is missed where a server speaks plain http", function()
        local client = new("plain", { base_url = server.urls.plain:gsub("^http:", "https:"), max_retries = 0 })
        local _, err = client:generate "x"
        client:close()
        assert.equal("tls", err.kind)
        assert.is_false(err.maybe_billed)
    end)

    it("is said to be missing where a server speaks plain http", function()
        local client = new("plain", { base_url = server.urls.plain:gsub("^http:", "https:") })
        local _, err = client:generate "x"
        client:close()
        assert.matches("does not speak TLS", err.message)
        assert.equal(1, err.attempts)
    end)

    it("is what the server misses with plain http", function()
        local client = new("good", { base_url = server.urls.good:gsub("^https:", "http:"), retry = "all" })
        local _, err = client:generate "x"
        client:close()
        assert.equal("invalid_request", err.kind)
        assert.equal(400, err.status)
        assert.matches("plain HTTP request was sent to HTTPS port", err.message)
        assert.equal(1, err.attempts)
    end)

    it("keeps its connection for the next request", function()
        local client = new "good"
        local first, second = assert(client:generate "x"), assert(client:generate "x")
        assert.same({ first.connection, "2" }, { second.connection, second.number })
        client:close()
    end)

    it("takes a new connection when the server has ended the old one", function()
        local client = new "good"
        local first = assert(client:generate "x")
        local worker = server:worker()
        server:signal "HUP" -- new workers; the old one ends its idle connections
        local deadline = system.monotime() + 60
        repeat
            system.sleep(0.02)
        until server:log():find("process " .. worker .. " exited", 1, true) or system.monotime() > deadline
        local second = assert(client:generate "x")
        assert.is_true(first.connection ~= second.connection or second.number == "1")
        client:close()
    end)

    -- Has this machine a connection to a port of its own that neither side has ended?
    local function is_connected(port)
        for line in io.lines "/proc/net/tcp" do
            local remote, state = line:match "^%s*%d+: %x+:%x+ %x+:(%x+) (%x%x) "
            if state == "01" and tonumber(remote, 16) == port then
                return true
            end
        end
        return false
    end

    it("takes a new connection when the server does not keep one for long", function()
        local client, port = new "short", tonumber(server.urls.short:match ":(%d+)")
        for round = 1, 3 do
            local deadline = system.monotime() + 60
            while round > 1 and is_connected(port) and system.monotime() < deadline do
                system.sleep(0.02)
            end
            local response = assert(client:generate "x")
            assert.equal("1", response.number)
        end
        client:close()
    end)

    it("tells when it breaks off in the middle of an answer", function()
        for _, name in ipairs { "behind", "behind1" } do
            local client, gate = new(name, { http2 = name == "behind" }), mirrors.gate()
            local request = assert(client:submit {
                prompt = "x",
                extra_body = { mirror = { pieces = {
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
                    '{"data":[{"b64_json":"QU', "",
                }, gate = gate.path } },
            })
            local deadline = system.monotime() + 60
            while (request:progress() or 0) < 10 and system.monotime() < deadline do
                client:poll(0.02)
            end
            os.execute("kill -KILL " .. server:worker()) -- the master starts another
            gate:open()
            local response, err = request:wait()
            assert.is_nil(response)
            assert.equal("bad_response", err.kind)
            assert.is_true(err.maybe_billed)
            assert.equal(1, err.attempts)
            assert(client:generate { prompt = "x", extra_body = { mirror = { body = PICTURE } } })
            client:close()
            gate:remove()
        end
    end)
end)

describe("HTTP/2", function()
    it("is spoken where it is wanted", function()
        local client = new("h2", { http2 = true })
        assert.equal("HTTP/2.0", assert(client:generate "x").protocol)
        client:close()
        client = new "h2"
        assert.equal("HTTP/1.1", assert(client:generate "x").protocol)
        client:close()
        client = new("good", { http2 = true }) -- a server that cannot
        assert.equal("HTTP/1.1", assert(client:generate "x").protocol)
        client:close()
    end)

    it("has many requests on one connection", function()
        local client = new("h2", { http2 = true, max_concurrency = 20 })
        local requests, connections, count = {}, {}, 0
        for i = 1, 20 do
            requests[i] = assert(client:submit "x")
        end
        for _, request in ipairs(requests) do
            local response = assert(request:wait())
            assert.equal("HTTP/2.0", response.protocol)
            if not connections[response.connection] then
                connections[response.connection] = true
                count = count + 1
            end
        end
        assert.equal(1, count)
        client:close()
    end)

    it("carries large answers side by side", function()
        local client = new("behind", { http2 = true })
        local body = '{"data":[{"b64_json":"' .. ("QUJD"):rep(50000) .. '"}]}'
        local requests = {}
        for i = 1, 4 do
            requests[i] = assert(client:submit { prompt = "x", extra_body = { mirror = { body = body } } })
        end
        for _, request in ipairs(requests) do
            assert.equal(150000, #assert(request:wait()).data[1].bytes)
        end
        client:close()
    end)

    it("bears servers that say goodbye, and asks nothing twice", function()
        local client = new("goaway", { http2 = true })
        local before = server:requests "goaway"
        for _ = 1, 5 do
            assert(client:generate "x")
        end
        assert.equal(before + 5, server:requests("goaway", before + 5))
        client:close()
    end)

    it("bears goodbyes while others are on their way", function()
        local client = new("goaway", { http2 = true, retry = "none" })
        local requests, good = {}, 0
        local before = server:requests "goaway"
        for i = 1, 8 do
            requests[i] = assert(client:submit "x")
        end
        for _, request in ipairs(requests) do
            local response, err = request:wait()
            if response then
                good = good + 1
            else
                assert.is_true(err.kind == "connection" or err.kind == "bad_response")
                assert.is_true(err.maybe_billed)
                assert.equal(1, err.attempts)
            end
        end
        local seen = server:requests("goaway", before + good) - before
        assert.is_true(good >= 2 and good <= seen and seen <= 8, ("%d good, %d seen"):format(good, seen))
        assert(client:generate "x")
        client:close()
    end)

    for _, case in ipairs { { "safe", 1 }, { "all", 2 }, { "none", 1 } } do
        it("tells of a stream that the server resets: " .. case[1], function()
            local client = new("refusing", { http2 = true, retry = case[1], max_retries = 1 })
            local before = server:requests "refusing"
            local response, err = client:generate "x"
            assert.is_nil(response)
            assert.equal("connection", err.kind)
            assert.is_true(err.maybe_billed)
            assert.equal(case[2], err.attempts)
            assert.equal(before + case[2], server:requests("refusing", before + case[2]))
            client:close()
        end)
    end
end)
