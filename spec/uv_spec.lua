--- thucchien.uv inside a real libuv loop: luv's.

local lfs = require "lfs"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local params, slow, PICTURE = requests.params, requests.slow, requests.PICTURE

local has_uv, uv = pcall(require, "luv")
local root = lfs.currentdir()
local lua = os.getenv "LUA" or (jit and "luajit") or "lua" .. _VERSION:match "%d+%.%d+"

describe("thucchien.uv", function()
    if not has_uv then
        pending "needs luv (Debian: lua-luv)"
        return
    end

    local adapter = require "thucchien.uv"
    local mirror, client, detach

    local function handles()
        local count = 0
        uv.walk(function(handle)
            count = count + (handle:is_closing() and 0 or 1)
        end)
        return count
    end

    -- Runs the loop until there is nothing left to do, but no longer than a minute.
    local function run()
        local late = false
        local guard = uv.new_timer()
        guard:start(60000, 0, function()
            late = true
            uv.stop()
        end)
        guard:unref()
        uv.update_time()
        uv.run()
        guard:close()
        uv.run "nowait"
        assert.is_false(late, "something keeps the loop alive")
    end

    fixtures.mirror(function(started) mirror = started end)

    before_each(function()
        client = requests.client(mirror)
        detach = adapter.attach(client, uv)
        assert.equal(0, handles())
    end)

    after_each(function()
        client:close()
        uv.run "nowait"
        assert.equal(0, handles())
    end)

    it("serves several requests at once, and the loop goes on with the rest", function()
        local done, ticks, gate = 0, 0, mirrors.gate()
        local clock = uv.new_timer()
        clock:start(10, 10, function()
            ticks = ticks + 1
            if ticks >= 10 and mirrors.count(mirror, "at-once") == 5 then -- and none is answered
                gate:open()
            end
        end)
        for _ = 1, 5 do
            client:submit(params { id = "at-once", gate = gate.path, body = PICTURE }, function(response)
                done = done + (response and response.data[1].bytes == "ABC" and 1 or 0)
                if done == 5 then
                    clock:close()
                end
            end)
        end
        assert.equal(0, done)
        run()
        gate:remove()
        assert.equal(5, done)
    end)

    it("finds luv by itself", function()
        detach()
        adapter.attach(client)
        local bytes
        client:submit(params(), function(response)
            bytes = response.data[1].bytes
        end)
        run()
        assert.equal("ABC", bytes)
    end)

    it("goes on with a coroutine that awaits", function()
        local log = {}
        coroutine.wrap(function()
            for i = 1, 3 do
                log[i] = client:submit(params()):await().data[1].bytes
            end
        end)()
        run()
        assert.same({ "ABC", "ABC", "ABC" }, log)
    end)

    it("hands out pictures while the rest arrives", function()
        local events = {}
        client:submit(params({ pieces = {
            "HTTP/1.1 200 OK\r\n\r\n", '{"data":[{"b64_json":"QUJD"},', '{"b64_json":"QUJE"}]}',
        }, pause = 0.1 }, {
            on_image = function(image, index)
                events[#events + 1] = index .. image.bytes
            end,
        }), function()
            events[#events + 1] = "done"
        end)
        run()
        assert.same({ "1ABC", "2ABD", "done" }, events)
    end)

    it("tells of failures and tries again", function()
        local attempts, kind
        client:submit(params { answers = {
            { status = 503, body = "", headers = { "retry-after-ms: 50" } }, { body = PICTURE },
        }, id = "again" }, function(response)
            attempts = response and response.attempts
        end)
        client:submit(params { pieces = {} }, function(_, err)
            kind = err.kind
        end)
        run()
        assert.equal(2, attempts)
        assert.equal("connection", kind)
    end)

    it("notices the end of time", function()
        local kind
        local request = slow(600)
        request.timeout = 0.1
        client:submit(request, function(_, err)
            kind = err.kind
        end)
        run()
        assert.equal("timeout", kind)
    end)

    it("cancels from a timer and from a callback", function()
        local kinds = {}
        local function note(_, err)
            kinds[#kinds + 1] = err and err.kind or "none"
        end
        local first, second = client:submit(slow(600), note), client:submit(slow(600), note)
        local timer = uv.new_timer()
        timer:start(50, 0, function()
            timer:close()
            first:cancel()
        end)
        client:submit(slow(0.1), function(_, err)
            note(nil, err)
            second:cancel()
        end)
        run()
        table.sort(kinds)
        assert.same({ "cancelled", "cancelled", "none" }, kinds)
    end)

    it("lets a callback close the client", function()
        local log = {}
        client:submit(params(), function()
            log[#log + 1] = "first"
            client:close()
        end)
        client:submit(slow(600), function(_, err)
            log[#log + 1] = err.kind
        end)
        run()
        assert.same({ "first", "cancelled" }, log)
        assert.equal(0, handles())
    end)

    it("lets go of everything when the client is closed in flight", function()
        local kind
        client:submit(params { id = "in-flight", hold = 600 }, function(_, err)
            kind = err.kind
        end)
        repeat
            uv.run "once"
        until mirrors.count(mirror, "in-flight") == 1
        assert.is_true(handles() > 0)
        client:close()
        run()
        assert.equal("cancelled", kind)
        assert.equal(0, handles())
    end)

    it("lets a callback submit, and generate, which waits", function()
        local log = {}
        client:submit(params(), function()
            client:submit(params(), function()
                log[#log + 1] = client:generate(params()).data[1].bytes
            end)
            log[#log + 1] = "submitted"
        end)
        run()
        assert.same({ "submitted", "ABC" }, log)
    end)

    it("does not keep generate from working while others are in flight", function()
        local bytes, gate = nil, mirrors.gate()
        client:submit(params { id = "beside", gate = gate.path, body = PICTURE }, function(response)
            bytes = response.data[1].bytes
        end)
        repeat
            uv.run "once"
        until mirrors.count(mirror, "beside") == 1
        assert.equal("ABC", assert(client:generate(slow(0.05))).data[1].bytes)
        assert.is_nil(bytes)
        gate:open()
        run()
        gate:remove()
        assert.equal("ABC", bytes)
    end)

    it("detaches, and poll goes on", function()
        local bytes
        client:submit(params { id = "detached", hold = 0.2, body = PICTURE }, function(response)
            bytes = response.data[1].bytes
        end)
        repeat
            uv.run "once"
        until mirrors.count(mirror, "detached") == 1
        detach()
        uv.run "nowait"
        assert.equal(0, handles())
        while client:poll(1) > 0 do end
        assert.equal("ABC", bytes)
        detach() -- and again does nothing
    end)

    it("can be attached in flight", function()
        detach()
        local bytes
        client:submit(slow(0.1), function(response)
            bytes = response.data[1].bytes
        end)
        client:poll(0.02)
        adapter.attach(client, uv)
        run()
        assert.equal("ABC", bytes)
    end)

    it("does not mistake a new socket for an old one of the same number", function()
        local done = 0
        local answer = { body = PICTURE, close = true, headers = { "connection: close" } }
        local function chain(left)
            if left > 0 then
                client:submit(params(answer), function(response)
                    done = done + (response and 1 or 0)
                    chain(left - 1)
                end)
            end
        end
        for _ = 1, 4 do
            chain(25)
        end
        run()
        assert.equal(100, done)
        assert.equal(0, handles())
    end)

    it("lets go of a closed socket before a callback can open another file of its number", function()
        local port, answered = tonumber(mirror.url:match ":(%d+)$"), 0
        local function connect(done)
            local stream = uv.new_tcp()
            stream:connect("127.0.0.1", port, function(err)
                assert(not err, err)
                stream:write "GET / HTTP/1.1\r\n\r\n"
                stream:read_start(function()
                    stream:close()
                    done()
                end)
            end)
        end
        connect(function() -- the first one makes libuv open a file of its own
            client:submit(params { status = 400, close = true, headers = { "connection: close" } }, function()
                for _ = 1, 4 do
                    connect(function()
                        answered = answered + 1
                    end)
                end
            end)
        end)
        run()
        assert.equal(4, answered)
    end)

    it("completes the request of a client that nobody holds, which is collected then", function()
        local kept, bytes = setmetatable({}, { __mode = "k" }), nil
        do
            local own = requests.client(mirror)
            adapter.attach(own, uv)
            own:submit(slow(0.2), function(response)
                bytes = response.data[1].bytes
            end)
            kept[own] = true
        end
        local collector = uv.new_timer()
        collector:start(10, 10, function()
            collectgarbage()
            if bytes then
                collector:close()
            end
        end)
        run()
        assert.equal("ABC", bytes)
        collectgarbage()
        collectgarbage()
        assert.is_nil(next(kept))
    end)

    -- Runs a program with a client at `url`, in a process of its own: has it ended well, and what it printed.
    local function run_program(url, code)
        local script, log = os.tmpname(), os.tmpname()
        local file = assert(io.open(script, "w"))
        file:write(([[
            local client = assert(require("thucchien").new { api_key = "sk-x", base_url = %q, retry = "none" })
            require("thucchien.uv").attach(client)
            %s
            require("luv").run()
        ]]):format(url, code))
        file:close()
        local ok = os.execute(("cd '%s' && env -u LD_PRELOAD %s %s >%s 2>&1"):format(root, lua, script, log))
        local text = io.open(log):read "*a"
        os.remove(script)
        os.remove(log)
        return ok == true or ok == 0, text
    end

    -- luv prints what a callback raises and ends the process, whoever raised it.
    it("leaves errors of callbacks to luv", function()
        local ok, text = run_program(mirror.url, ([[
            client:submit({ prompt = "x", extra_body = { mirror = { body = %q } } }, function()
                error("from the callback", 0)
            end)
        ]]):format(PICTURE))
        assert.is_false(ok)
        assert.matches("Uncaught Error: from the callback", text)
    end)

    -- libuv takes a socket's error for a file that was closed, which luv prints.
    it("has nothing printed when a connection is refused", function()
        local ok, text = run_program("http://127.0.0.1:1", [[
            client:submit("x", function(_, err)
                print(err.kind)
            end)
        ]])
        assert.is_true(ok)
        assert.equal("connection\n", text)
    end)
end)
