--- The emulator is a server that people leave running. Whatever comes over the wire, it answers the next request,
--- keeps no descriptor, and ends when it is told to.

local wire = require "spec.support.wire"
local process = require "spec.support.process"

local KEY = "Authorization: Bearer sk-wire\r\n"
local CONNECTIONS = 512 -- that the emulator has at once

local function descriptors(pid)
    local pipe = assert(io.popen(("ls /proc/%s/fd 2>/dev/null | wc -l"):format(pid)))
    local count = tonumber(pipe:read "*a")
    pipe:close()
    return count
end

describe("the emulator's wire", function()
    if not wire.works() then
        pending "needs cqueues (Debian: lua-cqueues)"
        return
    end

    local emulator, pid

    local function start()
        local words = { "sh", "-c", 'echo "pid $$"; exec "$@"', "sh", os.getenv "EMULATOR_LUA" or "luajit", "bin/thucchien",
            "emulator", "--port", "0", "--stop-on-eof" }
        local started = process.start("the emulator", words)
        return started, started:log():match "pid (%d+)"
    end

    setup(function()
        emulator, pid = start()
    end)

    teardown(function()
        emulator:stop()
    end)

    local function post(body, more)
        return ("POST /images/generations HTTP/1.1\r\nHost: x\r\n%s%sContent-Length: %d\r\n\r\n%s"):format(KEY, more or "", #body, body)
    end

    -- Does it answer as if nothing had been?
    local function check_alive()
        local status = wire.ask(emulator.url, "GET /health/readiness HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert.equal(200, status)
    end

    -- Has it let go of all connections but `spare`?
    local function check_descriptors(before, spare)
        local now
        for _ = 1, 300 do
            now = descriptors(pid)
            if now <= before + (spare or 0) then
                return
            end
            require("system").sleep(0.01)
        end
        assert.equal(before, now)
    end

    local GET = "GET /health/readiness HTTP/1.1\r\n"
    local HEAD = "POST /images/generations HTTP/1.1\r\nHost: x\r\n"
    local CHUNKED = HEAD .. "Transfer-Encoding: chunked\r\n\r\n"
    local many = {}
    for i = 1, 200 do
        many[i] = ("X-%d: x\r\n"):format(i)
    end
    many = table.concat(many)

    local cases = { -- request, status
        { "a length that is no number", HEAD .. "Content-Length: abc\r\n\r\n", 400 },
        { "a length below nothing", HEAD .. "Content-Length: -1\r\n\r\n", 400 },
        { "a length that is not a number by IEEE 754", HEAD .. "Content-Length: nan\r\n\r\n", 400 },
        { "a length without end", HEAD .. "Content-Length: inf\r\n\r\n", 400 },
        { "a length in hexadecimal", HEAD .. "Content-Length: 0x10\r\n\r\n", 400 },
        { "a length with an exponent", HEAD .. "Content-Length: 1e3\r\n\r\n", 400 },
        { "a length with a sign", HEAD .. "Content-Length: +5\r\n\r\n{}   ", 400 },
        { "a length that is a fraction", HEAD .. "Content-Length: 1.5\r\n\r\n", 400 },
        { "an empty length", HEAD .. "Content-Length:\r\n\r\n", 400 },
        { "a list of lengths", HEAD .. "Content-Length: 2, 2\r\n\r\n{}", 400 },
        { "two lengths", HEAD .. "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400 },
        { "a length of twenty digits", HEAD .. "Content-Length: 99999999999999999999\r\n\r\n", 413 },
        { "a length that is too long", HEAD .. "Content-Length: 67108865\r\n\r\n", 413 },
        { "a length and chunks", HEAD .. "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400 },
        { "chunks twice", HEAD .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "chunks inside something else", HEAD .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501 },
        { "an empty coding", HEAD .. "Transfer-Encoding: \r\n\r\n", 501 },
        { "a coding that is a sign", HEAD .. "Transfer-Encoding: ;;;\r\n\r\n", 501 },
        { "chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "a chunk below nothing", CHUNKED .. "-1\r\n", 400 },
        { "a chunk of words", CHUNKED .. "xyz\r\n", 400 },
        { "a chunk without size", CHUNKED .. "\r\n\r\n", 400 },
        { "a chunk of 4 GiB", CHUNKED .. "FFFFFFFF\r\n", 413 },
        { "a chunk of more", CHUNKED .. ("F"):rep(16) .. "\r\n", 413 },
        { "a chunk with no end to its size", CHUNKED .. ("1"):rep(10000), 400 },
        { "a chunk longer than it says", CHUNKED .. "2\r\n{}{}\r\n0\r\n\r\n", 400 },
        { "trailers without end", CHUNKED .. "0\r\n" .. ("X-Y: zzzzzzzzzz\r\n"):rep(5000), 431 },
        { "a transfer coding that it would take", GET .. "TE: ;;;\r\nConnection: close\r\n\r\n", 200 },
        { "no request at all", "hello\r\n\r\n", 400 },
        { "nothing but line ends", ("\r\n"):rep(40000), 400 },
        { "another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
        { "HTTP/0.9", "GET /\r\n\r\n", 400 },
        { "a version that is none", "GET / HTTP/1.one\r\n\r\n", 400 },
        { "a TLS handshake", "\22\3\1\2\0\1\0\1\252\3\3" .. ("\200\13\10"):rep(90) .. "\n\n", 400 },
        { "zeros", ("\0"):rep(70000), 431 },
        { "a zero in the path", "GET /\0 HTTP/1.1\r\n\r\n", 400 },
        { "a zero in a header", GET .. "X-A: b\0c\r\n\r\n", 400 },
        { "a bare carriage return in a header", GET .. "X-A: b\rc\r\n\r\n", 400 },
        { "a header without a colon", GET .. "X-A\r\n\r\n", 400 },
        { "a header without a name", GET .. ": b\r\n\r\n", 400 },
        { "a space before the colon", GET .. "X-A : b\r\n\r\n", 400 },
        { "a header on two lines", GET .. "X-A: b\r\n c\r\n\r\n", 400 },
        { "too many headers", GET .. many .. "\r\n", 431 },
        { "a header that is too long", GET .. "X-A: " .. ("b"):rep(70000) .. "\r\n\r\n", 431 },
        { "a path that is too long", "GET /" .. ("b"):rep(70000) .. " HTTP/1.1\r\n\r\n", 431 },
        { "a method that is too long", ("G"):rep(40) .. " / HTTP/1.1\r\n\r\n", 400 },
    }

    it("refuses what is no request, and ends the connection", function()
        local before = descriptors(pid)
        for _, case in ipairs(cases) do
            local status, _, ended = wire.ask(emulator.url, case[2])
            assert.same({ case[1], case[3], true }, { case[1], status, ended })
        end
        check_alive()
        check_descriptors(before)
    end)

    it("refuses them as well when each byte comes alone", function()
        for _, case in ipairs(cases) do
            if #case[2] < 200 then
                local connection = wire.open(emulator.url)
                for i = 1, #case[2] do
                    connection:send(case[2]:sub(i, i))
                end
                local answer = connection:receive "HTTP/1%.1 %d+"
                connection:close()
                assert.same({ case[1], tostring(case[3]) }, { case[1], answer:match "^HTTP/1%.1 (%d+)" })
            end
        end
        check_alive()
    end)

    it("forgets clients that leave after any byte, or end the connection there", function()
        local before = descriptors(pid)
        for _, request in ipairs { post('{"model":"emulate/stamp"}', "Expect: 100-continue\r\n"),
            CHUNKED .. "3;a=b\r\n{  \r\n2\r\n }\r\n0\r\nX-Y: z\r\n\r\n" } do
            for cut = 0, #request - 1, 3 do
                local connection = wire.open(emulator.url)
                connection:send(request:sub(1, cut))
                if cut % 2 == 0 then
                    connection:finish()
                    connection:receive()
                end
                connection:close()
            end
        end
        check_alive()
        check_descriptors(before)
    end)

    it("notices that a client leaves while it has to wait", function()
        local before = descriptors(pid)
        local connection = wire.open(emulator.url)
        connection:send(post '{"model":"emulate/slow/1e300","prompt":"gone","n":1}')
        assert.equal("", (connection:receive(nil, 0.1)))
        connection:close()
        check_descriptors(before)
        assert.truthy(emulator:await "model=emulate/slow/1e300 n=1 size=1024x1024 client left")
    end)

    it("reads what is odd, and right", function()
        local body = '{"model":"emulate/empty","prompt":"x","n":1}'
        local size = ("%x"):format(#body)
        for name, request in pairs {
            ["line feeds alone"] = post(body, "Connection: close\r\n"):gsub("\r\n", "\n"),
            ["empty lines first"] = "\r\n\n\r\n" .. post(body, "Connection: close\r\n"),
            ["a length twice"] = post(body, ("Connection: close\r\nContent-Length: %d\r\n"):format(#body)),
            ["zeros before the length"] = post(body, "Connection: close\r\n"):gsub("Length: ", "Length: 000000000000000000"),
            ["chunks with extensions and trailers"] = HEAD .. KEY .. "connection: x , CLOSE\r\nTransfer-Encoding: Chunked\r\n\r\n00"
                .. size:upper() .. ";x=y\r\n" .. body .. "\r\n000\r\nX-Z: w\r\n\r\n",
            ["HTTP/1.0"] = post(body):gsub("HTTP/1.1", "HTTP/1.0"),
            ["the way proxies are asked"] = post(body, "Connection: close\r\n"):gsub("POST ", "POST http://gateway.example"),
            ["a header of 60 KB"] = post(body, "Connection: close\r\nX-A: " .. ("b"):rep(60000) .. "\r\n"),
        } do
            local status, answer, ended = wire.ask(emulator.url, request)
            assert.same({ name, 200, true }, { name, status, ended })
            assert.truthy(answer:find('"data":[]', 1, true))
        end
    end)

    it("says that it waits for a body where it is asked", function()
        local connection = wire.open(emulator.url)
        connection:send(HEAD .. KEY .. "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert.equal("HTTP/1.1 100 Continue\r\n\r\n", (connection:receive "\r\n\r\n"))
        connection:send "{}"
        assert.matches("^HTTP/1%.1 400 ", (connection:receive "\r\n\r\n"))
        connection:close()
    end)

    it("answers requests that come together in their order", function()
        local connection = wire.open(emulator.url)
        connection:send(GET .. "\r\n" .. "GET /nowhere HTTP/1.1\r\n\r\n" .. "HEAD /health/readiness HTTP/1.1\r\n\r\n"
            .. GET .. "Connection: close\r\n\r\n")
        local answer = connection:receive()
        connection:close()
        local statuses = {}
        for status in answer:gmatch "HTTP/1%.1 (%d+)" do
            statuses[#statuses + 1] = status
        end
        assert.same({ "200", "404", "405", "200" }, statuses)
    end)

    it("bears anything that resembles a request", function()
        local before = descriptors(pid)
        local seeds = { post('{"model":"emulate/stamp","prompt":"x","n":1,"messages":[]}', "Expect: 100-continue\r\nTE: trailers\r\n"),
            CHUNKED .. "3;a=b\r\n{  \r\n2\r\n }\r\n0\r\nX-Y: z\r\n\r\n",
            "GET /emulate/pictures/x?a=%41&b=%&%zz=1#f HTTP/1.1\r\nHost: [::1]:80\r\nx-goog-api-key: sk-a\r\n\r\n" }
        local bits = { "\0", "\r\n", "\n", " ", ":", "-1", "99999999999", "chunked", "\255", "%", "?", "Content-Length: ", "HTTP/1.1" }
        math.randomseed(20261126)
        for round = 1, 400 do
            local request = seeds[round % #seeds + 1]
            for _ = 1, math.random(1, 6) do
                local at, kind = math.random(1, #request), math.random(1, 4)
                local cut = kind == 1 and 0 or math.random(0, 8)
                local new = kind == 2 and "" or kind == 3 and string.char(math.random(0, 255)) or bits[math.random(1, #bits)]
                request = request:sub(1, at - 1) .. new .. request:sub(at + cut)
            end
            local connection = wire.open(emulator.url)
            connection:send(request)
            connection:finish()
            connection:receive()
            connection:close()
        end
        check_alive()
        check_descriptors(before)
        assert.is_nil(emulator:log():match "emulator: [^\n]*")
    end)

    it("bears arguments of models that are no numbers, or none that anybody can count to", function()
        for _, name in ipairs { "rate-limit/1e300", "rate-limit/inf", "cooldown/nan", "drip/1e300", "try-again/\\u0000%s", "retry-delay/inf",
            "retry-delay/nan", "cut/1e300", "lines/nan", "503/1e300", "resets-7h/%d" } do
            for path, fields in pairs { ["/images/generations"] = '"prompt":"x","n":1', ["/chat/completions"] = '"messages":[{"role":"user","content":"x"}]' } do
                local body = ('{"model":"emulate/%s",%s}'):format(name, fields)
                local request = post(body, "Connection: close\r\n"):gsub("^POST %S+", "POST " .. path)
                local status, answer = wire.ask(emulator.url, request)
                assert.is_true(status == 200 or status == 429 or status == 503, name)
                assert.is_nil(answer:find("Internal Server Error", 1, true), name)
            end
        end
    end)

    it("ends connections that only wait, when there are too many", function()
        local before, held = descriptors(pid), {}
        for i = 1, CONNECTIONS + 50 do
            held[i] = wire.open(emulator.url)
            held[i]:send(i % 2 == 0 and "GET / HTTP/1.1\r\n" or "")
        end
        check_alive()
        assert.is_true(descriptors(pid) <= before + CONNECTIONS)
        for _, connection in ipairs(held) do
            connection:close()
        end
        check_alive()
        check_descriptors(before)
    end)

    it("ends on a signal, whatever is under way", function()
        local own, id = start()
        local held = {}
        for i, request in ipairs { "", "GET / HT", HEAD, CHUNKED .. "5\r\nab", post '{"model":"emulate/slow","prompt":"x","n":1}',
            HEAD .. "Content-Length: abc\r\n\r\n", HEAD .. "Content-Length: 1000\r\n\r\n" } do
            held[i] = wire.open(own.url)
            held[i]:send(request)
        end
        os.execute("kill -TERM " .. id)
        assert.equal("0", own:await "exit status (%d+)\n")
        own:stop()
        for _, connection in ipairs(held) do
            connection:close()
        end
    end)
end)
