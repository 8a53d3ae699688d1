-- What threads.c has done: functions of the servers' addresses, and of a number. They raise unless all ends as it
-- should.

local thucchien = require "thucchien"

local KEY = "sk-threads-0123456789abcdef"
local PICTURE = '{"data":[{"b64_json":"' .. ("QUJD"):rep(20000) .. '"},{"b64_json":"QUJD","revised_prompt":"\\u00e9"}]}'
local BYTES = ("ABC"):rep(20000)

local function new(url, more)
    local options = { base_url = url, api_key = KEY, headers = { ["X-Thread"] = "1" } }
    for name, value in pairs(more or {}) do
        options[name] = value
    end
    return assert(thucchien.new(options))
end

local function params(answer, more)
    local filled = { prompt = "đèn biển", extra_body = { mirror = answer } }
    for name, value in pairs(more or {}) do
        filled[name] = value
    end
    return filled
end

local function check(response, err)
    assert(response, tostring(err))
    assert(#response.data == 2 and response.data[1].bytes == BYTES, "another picture")
end

local function expect(kind, response, err)
    assert(not response, "a response")
    assert(err.kind == kind, tostring(err))
    assert(not tostring(err):find(KEY, 1, true), "the key is told")
end

local function run(client)
    repeat until client:poll(1) == 0
end

local jobs = {
    function(client)
        check(client:generate(params { body = PICTURE }))
        check(client:generate(params { chunks = { PICTURE:sub(1, 30000), PICTURE:sub(30001) }, gzip = true }))
    end,
    function(client)
        local size, images, told = 0, 0, false
        local function done(response, err)
            assert(response and not response.data[1].bytes, tostring(err))
            told = true
        end
        client:submit(params({ chunks = { PICTURE:sub(1, 30000), PICTURE:sub(30001) } }, {
            sink = function(_, chunk)
                size = size + #(chunk or "")
            end,
            on_image = function()
                images = images + 1
            end,
            on_progress = function() end,
        }), done)
        run(client)
        assert(told and size == #BYTES + 3 and images == 2, "not all was taken")
    end,
    function(client)
        local path = os.tmpname()
        local response = assert(client:generate(params({ body = PICTURE }, { save = path .. ".x" })))
        for _, image in ipairs(response.data) do
            assert(os.remove(image.path))
        end
        os.remove(path)
    end,
    function(client)
        local many = 0
        for _ = 1, 6 do
            coroutine.wrap(function()
                check(client:submit(params { body = PICTURE, hold = 0.01 }):await())
                many = many + 1
            end)()
        end
        run(client)
        assert(many == 6, "not all were awaited")
    end,
    function(client)
        expect("budget_exceeded", client:generate(params {
            status = 400, body = '{"error":{"message":"Budget has been exceeded! ' .. KEY .. '","type":"budget_exceeded"}}',
        }))
        expect("bad_response", client:generate(params { body = PICTURE:sub(1, 30000) }))
        expect("connection", client:generate(params { pieces = {} }))
        expect("timeout", client:generate(params({ hold = 0.5 }, { timeout = 0.05 })))
        expect("invalid_request", client:generate { prompt = "" })
        expect("rate_limit", client:generate(params({
            status = 429, headers = { "retry-after-ms: 1" },
        }, { max_retries = 1 })))
    end,
    function(client)
        local kinds = {}
        for i = 1, 4 do
            local request = client:submit(params { hold = 5 }, function(_, err)
                kinds[i] = err.kind
            end)
            client:poll(0.01)
            request:cancel()
        end
        run(client)
        client:poll()
        assert(table.concat(kinds, " ") == "cancelled cancelled cancelled cancelled", "not all were cancelled")
    end,
    function(client)
        client:submit(params { body = PICTURE }, function()
            error("raised", 0)
        end)
        local ok, err = pcall(run, client)
        assert(not ok and err == "raised", "an error was lost")
    end,
    function(_, emulator)
        local client = new(emulator)
        assert(client:generate { prompt = "x", model = "emulate/gzip", size = "64x64" })
        expect("content_policy", client:generate { prompt = "x", model = "emulate/filtered" })
        expect("bad_response", client:generate { prompt = "x", model = "emulate/truncated-json", size = "64x64" })
    end,
    function(_, _, mirror) -- a name, so that libcurl starts a thread of its own, and nobody waits for it
        local client = new(mirror:gsub("127%.0%.0%.1", "localhost"), nil)
        client:submit(params { hold = 5 })
        client:poll()
        check(new(mirror:gsub("127%.0%.0%.1", "localhost"), nil):generate(params { body = PICTURE }))
    end,
}

local parts = {}

-- A thread's work with one state: requests of all kinds, which ones the number says. Some are still under way when
-- it returns, and the state closes over them.
function parts.work(mirror, emulator, number)
    local client = new(mirror, { max_concurrency = 1 + number % 5 })
    for i = 1, 5 do
        jobs[(number + i) % #jobs + 1](client, emulator, mirror)
        if i % 2 == 0 then
            collectgarbage()
        end
    end
    if number % 3 == 0 then
        client:close()
    else -- the state closes with this under way
        client:submit(params { hold = 5 }, error)
        client:poll(0.005)
    end
end

local shared, pending

-- A client that was used, has a connection, and a request under way on it.
function parts.before_fork(mirror)
    shared = new(mirror)
    check(shared:generate(params { body = PICTURE }))
    pending = shared:submit(params { body = PICTURE, hold = 0.3 })
    shared:poll(0.05)
end

-- The child closes what it has no use for, and collects it.
function parts.in_child(mirror)
    local own = new(mirror)
    for _ = 1, 3 do
        check(own:generate(params { body = PICTURE }))
    end
    own:close()
    shared:close()
    shared, pending = nil, nil
    collectgarbage()
    check(new(mirror):generate(params { body = PICTURE }))
end

function parts.in_parent()
    check(pending:wait())
    check(shared:generate(params { body = PICTURE }))
    shared:close()
end

return parts
