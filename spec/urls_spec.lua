-- Answers that have addresses in place of pictures: what is fetched, from where, with what, and what can go wrong.

local cjson = require "cjson"
local system = require "system"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"
local routes = require "spec.support.routes"

local KEY = requests.KEY

-- A whole file of 14 bytes, as a decoder sees it that tells nothing.
local GIF = "GIF89a\2\0\3\0\0\0\0;"

local mirror, client, directory

-- An answer of the images route with these items: numbers are pictures in base64, strings addresses.
local function answer(items, more)
    local data = {}
    for i, item in ipairs(items) do
        data[i] = type(item) == "number" and { b64_json = routes.base64(item), url = cjson.null } or { url = item, b64_json = cjson.null }
    end
    local wanted = { body = cjson.encode { created = 1, data = data } }
    for name, value in pairs(more or {}) do
        wanted[name] = value
    end
    return wanted
end

-- The address of a picture, which comes as `more` says.
local function address(groups, more)
    local wanted = { body = groups and routes.bytes(groups) }
    for name, value in pairs(more or {}) do
        wanted[name] = value
    end
    return mirrors.address(mirror, wanted)
end

local function ask(items, params, more)
    params = params or {}
    params.prompt, params.model = "x", "any/model"
    params.extra_body = { mirror = answer(items, more) }
    return params
end

local function generate(items, params, more)
    return client:generate(ask(items, params, more))
end

-- The address of a picture of so many bytes.
local function large(size, more)
    local wanted = { before = routes.bytes(1), body = "x", times = size - #routes.bytes(1) }
    for name, value in pairs(more or {}) do
        wanted[name] = value
    end
    return mirrors.address(mirror, wanted)
end

-- The address of a redirect to `target`, with the same id or none.
local function redirect(target, status, id)
    return mirrors.address(mirror, { status = status or 302, headers = { "location: " .. target }, body = "", id = id })
end

fixtures.client(function(...) mirror, client = ... end, { headers = { ["X-Team"] = "secret-team" } })
fixtures.directory(function(path) directory = path end)

describe("addresses", function()
    it("are fetched, and stay in the images", function()
        local items = { address(1), large(600000), address(3) }
        local response = assert(generate(items, nil, { headers = { "x-litellm-response-cost: 0.12", "x-litellm-call-id: c-1" } }))
        assert.equal(3, #response.data)
        for i, bytes in ipairs { routes.bytes(1), routes.bytes(1) .. ("x"):rep(600000 - #routes.bytes(1)), routes.bytes(3) } do
            local image = response.data[i]
            assert.is_true(image.bytes == bytes)
            assert.same({ "image/png", 2, 3, items[i] }, { image.mime, image.width, image.height, image.url })
        end
        assert.same({ 0.12, "c-1", 1 }, { response.cost, response.request_id, response.attempts })
        assert.same({}, response.warnings)
        assert.is_nil(response.errors)
    end)

    it("keep what else the server says of a picture", function()
        local body = cjson.encode { data = { { url = address(1), revised_prompt = "a boat, at dusk", path = "/etc/passwd", mime = "text/html" } } }
        local response = assert(client:generate { prompt = "x", extra_body = { mirror = { body = body } } })
        assert.same({ "a boat, at dusk", "image/png" }, { response.data[1].revised_prompt, response.data[1].mime })
        assert.is_nil(response.data[1].path)
    end)

    it("are fetched without the key and without headers of the caller's", function()
        assert(generate({ address(1, { id = "bare" }) }, { extra_headers = { ["X-Mine"] = "secret-mine" } }, { id = "asked" }))
        local asked, seen = mirrors.seen(mirror, "asked"), mirrors.seen(mirror, "bare")
        assert.equal(1, #seen)
        assert.equal("secret-mine", asked[1].headers["x-mine"])
        assert.matches("^GET /picture%.png%?mirror=", seen[1].line)
        local lines = table.concat(seen[1].raw, "\n")
        assert.is_nil(lines:find "secret")
        assert.is_nil(lines:find(KEY, 1, true))
        for _, name in ipairs { "authorization", "x-goog-api-key", "content-type", "content-length", "cookie", "referer", "x-team" } do
            assert.is_nil(seen[1].headers[name], name)
        end
        assert.matches("^thucchien/", seen[1].headers["user-agent"])
    end)

    it("are fetched in parallel", function()
        local items, gate = {}, mirrors.gate()
        for i = 1, 4 do
            items[i] = address(i, { id = "parallel", gate = gate.path })
        end
        local request = assert(client:submit(ask(items)))
        requests.poll_until(client, function() return mirrors.count(mirror, "parallel") == 4 end) -- and none is answered
        gate:open()
        assert.equal(4, #assert(request:wait()).data)
        gate:remove()
    end)

    it("are fetched no more at once than max_concurrency says", function()
        local own = requests.client(mirror, { max_concurrency = 2 })
        local items = {}
        for i = 1, 6 do
            items[i] = address(i, { id = "two", hold = 0.05 })
        end
        assert.equal(6, #assert(own:generate(ask(items))).data)
        for _, seen in ipairs(mirrors.seen(mirror, "two")) do
            assert.is_true(seen.busy <= 2)
        end
        own:close()
    end)

    it("keep their places among pictures that came along, in whatever order they come", function()
        local indexes, first, third = {}, mirrors.gate(), mirrors.gate()
        local response = assert(generate({ address(1, { gate = first.path }), 2, address(3, { gate = third.path }), 4, address(5) }, {
            on_image = function(image, index) -- those that came along are numbered first
                indexes[#indexes + 1] = index
                assert.equal(routes.SIZE + 3 * ({ 2, 4, 1, 3, 5 })[index], #image.bytes)
                local gate = ({ [5] = third, [4] = first })[index]
                if gate then
                    gate:open()
                end
            end,
        }))
        first:remove()
        third:remove()
        for i = 1, 5 do
            assert.is_true(response.data[i].bytes == routes.bytes(i))
        end
        assert.equal(3, indexes[5])
        table.sort(indexes)
        assert.same({ 1, 2, 3, 4, 5 }, indexes)
    end)

    it("may come twice", function()
        local same = address(7)
        local response = assert(generate { same, same })
        assert.is_true(response.data[1].bytes == routes.bytes(7) and response.data[2].bytes == routes.bytes(7))
    end)

    it("of chat are fetched too", function()
        local body = cjson.encode { choices = { { message = { content = "Two.", images = {
            { image_url = { url = address(1) } }, { image_url = { url = "data:image/png;base64," .. routes.base64(2) } },
        } } } } }
        local response = assert(client:generate { prompt = "x", via = "chat", extra_body = { mirror = { body = body } } })
        assert.same({ routes.SIZE + 3, routes.SIZE + 6 }, { #response.data[1].bytes, #response.data[2].bytes })
        assert.equal("Two.", response.text)
    end)

    it("give their bytes to a sink", function()
        local parts, ends = {}, 0
        local response = assert(generate({ 5, large(300024, { hold = 0.1 }), large(600024) }, {
            sink = function(index, chunk)
                parts[index] = (parts[index] or "") .. (chunk or "")
                ends = ends + (chunk and 0 or 1)
                return true
            end,
        }))
        assert.equal(3, ends)
        for i, size in ipairs { routes.SIZE + 15, 300024, 600024 } do
            assert.equal(size, #parts[i])
            assert.equal(size, response.data[i].size)
            assert.is_nil(response.data[i].bytes)
        end
        assert.is_true(parts[3] == routes.bytes(1) .. ("x"):rep(600024 - #routes.bytes(1)))
    end)

    it("are saved under their numbers", function()
        local response = assert(generate({ 5, address(6, { hold = 0.1 }), large(600024) }, { save = directory .. "/dusk" }))
        assert.same({ "dusk-2.png", "dusk-3.png", "dusk.png" }, command.names(directory))
        assert.is_true(command.read(directory .. "/dusk.png") == routes.bytes(5))
        assert.is_true(command.read(directory .. "/dusk-2.png") == routes.bytes(6))
        assert.is_true(command.read(directory .. "/dusk-3.png") == routes.bytes(1) .. ("x"):rep(600024 - #routes.bytes(1)))
        assert.equal(directory .. "/dusk-3.png", response.data[3].path)
    end)

    it("have nothing for a sink before it is known that they are pictures", function()
        local html = { pieces = { "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n", "<!doc", "type html>" .. (" "):rep(99) }, pause = 0.15 }
        local got = {}
        local _, err = generate({ mirrors.address(mirror, html) }, {
            retry = "none",
            on_progress = function() end,
            sink = function(_, chunk)
                got[#got + 1] = chunk
            end,
        })
        assert.equal("bad_response", err.kind)
        assert.same({}, got)
    end)

    it("are fetched again when they were cut, as that costs nothing", function()
        local bytes = routes.bytes(5)
        local url = mirrors.address(mirror, { id = "cut", answers = { { body = bytes, length = 9999, close = true }, { body = bytes } } })
        assert.is_true(assert(generate { url }).data[1].bytes == bytes)
        assert.equal(2, mirrors.count(mirror, "cut"))
    end)

    it("are told nothing of the times when they were cut, though on_progress is", function()
        local cut = { body = GIF:sub(1, -3) } -- a whole answer, but no whole file
        local url = mirrors.address(mirror, { id = "cut-then-whole", answers = { cut, { body = GIF } } })
        local response = assert(generate({ url }, { on_progress = function() end }))
        assert.is_true(response.data[1].bytes == GIF)
        assert.is_nil(response.errors)
        assert.equal(2, mirrors.count(mirror, "cut-then-whole"))
    end)

    -- What the first time brought is being looked at: it has to stay where it is.
    it("are not fetched again while a function is told of the time before", function()
        local counts, response = {}, nil
        local url = mirrors.address(mirror, { id = "told-of", answers = { { body = GIF:sub(1, -3) }, { body = GIF } } })
        assert(client:submit(ask({ url }, {
            on_progress = function()
                system.sleep(0.1) -- so that the next time is told, too
                client:poll(0.7)
                counts[#counts + 1] = mirrors.count(mirror, "told-of")
            end,
        }), function(result)
            response = result
        end))
        while client:poll(0.1) > 0 do end
        assert.is_true(response.data[1].bytes == GIF)
        assert.same({ 0, 1 }, { counts[1], counts[2] }) -- the first is told of the addresses
    end)

    it("count in on_progress", function()
        local last = 0
        assert(generate({ large(300024) }, {
            on_progress = function(received)
                assert.is_true(received > last)
                last = received
            end,
        }))
        assert.is_true(last > 300000)
    end)

    it("are fetched by polls that do not wait, and done is called once", function()
        local results = {}
        local request = assert(client:submit(ask { address(1, { hold = 0.1 }), address(2) }, function(response, err)
            results[#results + 1] = response or err
        end))
        while request:status() ~= "done" do
            client:poll(0)
        end
        client:poll(0)
        client:poll(0)
        assert.equal(1, #results)
        assert.equal(2, #results[1].data)
    end)

    it("are fetched for a coroutine", function()
        local response
        local thread = coroutine.create(function()
            response = assert(client:submit(ask { address(1), address(2) }):await())
        end)
        assert(coroutine.resume(thread))
        while coroutine.status(thread) ~= "dead" do
            client:poll(0.1)
        end
        assert.equal(2, #response.data)
    end)

    it("are at most as many as an answer may have pictures", function()
        local items = {}
        for i = 1, 66 do
            items[i] = address(i % 3)
        end
        local response = assert(generate(items))
        assert.equal(64, #response.data)
        assert.equal(2, #response.errors)
        assert.matches("too many images", response.errors[1].message)
    end)
end)

describe("an address that cannot be fetched", function()
    local function fails(url, kind, message, params)
        local response, err = generate({ url }, params)
        assert.is_nil(response)
        assert.equal(kind, err.kind)
        assert.matches(message, err.message)
        assert.equal(url, err.url)
        assert.is_true(err.maybe_billed)
        assert.matches("err%.url", err.advice)
        assert.matches("^cannot fetch ", err.message)
        return err
    end

    it("is named without what may be a secret", function()
        local err = fails(address(nil, { status = 404, body = "" }), "not_found", "^cannot fetch " .. mirror.url .. "/picture%.png: ")
        assert.equal(404, err.status)
        assert.is_nil(err.message:find "mirror=")
        assert.is_nil(tostring(err):find "mirror=")
    end)

    it("has the kind of its answer", function()
        fails(address(nil, { status = 403, body = "" }), "permission_denied", "")
        fails(address(nil, { status = 500, body = "" }), "server_error", "", { retry = "none" })
        fails(address(nil, { status = 410, body = "" }), "invalid_request", "")
    end)

    it("is no picture", function()
        for _, body in ipairs { "<html><title>Sign in</title></html>", "x", "{}", '{"error":{"message":"expired"}}', ("text "):rep(30000) } do
            fails(address(nil, { body = body }), "bad_response", "picture", { retry = "none" })
        end
    end)

    it("is empty", function()
        fails(address(nil, { body = "" }), "bad_response", "", { retry = "none" })
        fails(address(nil, { status = 204, body = "" }), "bad_response", "", { retry = "none" })
    end)

    it("is cut", function()
        fails(large(3000, { length = 9999, close = true }), "bad_response", "", { retry = "none" })
    end)

    it("is larger than max_response_bytes", function()
        local own = requests.client(mirror, { max_response_bytes = 3024 })
        local response = assert(own:generate(ask { large(3024) }))
        assert.equal(3024, #response.data[1].bytes)
        local _, err = own:generate(ask { large(3025) })
        assert.equal("response_too_large", err.kind)
        _, err = own:generate(ask { mirrors.address(mirror, { chunks = { routes.bytes(1), ("x"):rep(1500), ("x"):rep(1500) } }) })
        assert.equal("response_too_large", err.kind)
        own:close()
    end)

    it("comes too late", function()
        fails(address(1, { hold = 60 }), "timeout", "", { timeout = 1, max_retries = 0 })
    end)

    it("is not reached", function()
        fails("http://127.0.0.1:1/a.png", "connection", "127%.0%.0%.1:1/a%.png", { max_retries = 0 })
    end)

    it("is none of the web", function()
        for _, url in ipairs {
            "file:///etc/passwd", "ftp://127.0.0.1/a.png", "gopher://127.0.0.1/", "data:text/plain,hello", "javascript:1", "nonsense", "://", "/a.png",
            "http://", "https://", "https://[::1", "http://127.0.0.1:99999/", "x http://127.0.0.1/",
        } do
            fails(url, "bad_response", "", { max_retries = 0 })
        end
    end)

    it("has a user name or a password", function()
        local port = mirror.url:match "%d+$"
        for _, user in ipairs { "an:secret@", "an@", ":secret@" } do
            local err = fails("http://" .. user .. "127.0.0.1:" .. port .. "/a.png", "bad_response", "without user name")
            assert.is_nil(tostring(err):find "secret")
        end
    end)

    it("is at http elsewhere", function()
        fails("http://pictures.example/a.png", "bad_response", "https expected")
        fails("http://8.8.8.8/a.png", "bad_response", "https expected")
    end)

    it("is tried again, as that costs nothing", function()
        local good = { body = routes.bytes(1) }
        for i, bad in ipairs { { status = 503, body = "" }, { status = 500, body = "" }, { pieces = {}, reset = true } } do
            local id = "tried" .. i
            local url = mirrors.address(mirror, { id = id, answers = { bad, good } })
            local response = assert(generate { url })
            assert.equal(routes.SIZE + 3, #response.data[1].bytes)
            assert.equal(2, mirrors.count(mirror, id))
        end
        local url = mirrors.address(mirror, { id = "not-tried", answers = { { status = 503, body = "" }, good } })
        fails(url, "server_error", "", { max_retries = 0 })
        assert.equal(1, mirrors.count(mirror, "not-tried"))
    end)

    it("leaves the other pictures, and its error with them", function()
        local gone = address(nil, { status = 404, body = "" })
        local response = assert(generate({ address(1), gone, 3 }, { n = 3 }))
        assert.equal(2, #response.data)
        assert.is_true(response.data[1].bytes == routes.bytes(1) and response.data[2].bytes == routes.bytes(3))
        assert.equal(1, #response.errors)
        assert.same({ "not_found", gone }, { response.errors[1].kind, response.errors[1].url })
        assert.same({ "3 images were asked for, 2 came" }, response.warnings)
    end)

    it("leaves a half file that says so", function()
        local response = assert(generate({ large(300000, { length = 900000, close = true }), address(5) }, { save = directory .. "/dusk", max_retries = 0 }))
        assert.equal(1, #response.data)
        assert.same({ "dusk-2.png", "dusk.png.part" }, command.names(directory))
        local half = response.errors[1].data[1]
        assert.same({ directory .. "/dusk.png.part", false, 300000 }, { half.path, half.complete, half.size })
    end)
end)

describe("a redirect", function()
    it("is followed three times", function()
        local target = address(9)
        for hops = 1, 3 do
            target = redirect(target, ({ 301, 302, 307 })[hops])
            local response = assert(generate { target })
            assert.is_true(response.data[1].bytes == routes.bytes(9))
            assert.equal(target, response.data[1].url)
        end
        local response, err = generate { redirect(target, 308) }
        assert.is_nil(response)
        assert.equal("bad_response", err.kind)
        assert.matches("one redirect too many", err.message)
    end)

    it("may be relative", function()
        local full = address(9)
        assert(generate { redirect(full:match "//[^/]+(/.*)$") })
        assert(generate { redirect(full:match "^http:(.*)$") })
    end)

    it("carries no key", function()
        assert(generate { redirect(address(9, { id = "led" })) })
        local seen = mirrors.seen(mirror, "led")
        assert.equal(1, #seen)
        assert.is_nil(seen[1].headers.authorization)
        assert.is_nil(table.concat(seen[1].raw):find(KEY, 1, true))
    end)

    it("leads nowhere but to the web", function()
        for target, message in pairs {
            ["file:///etc/passwd"] = "only https and http", ["ftp://127.0.0.1/"] = "only https and http", ["gopher://127.0.0.1/"] = "only https and http",
            ["http://169.254.169.254/latest/meta-data/"] = "https expected", ["http://pictures.example/a.png"] = "https expected",
            ["http://an:secret@127.0.0.1/"] = "without user name",
        } do
            local response, err = generate { redirect(target) }
            assert.is_nil(response)
            assert.equal("bad_response", err.kind, target)
            assert.matches(message, err.message)
            assert.is_nil(tostring(err):find "secret")
        end
    end)

    it("needs a target", function()
        local _, err = generate { address(nil, { status = 302, body = "" }) }
        assert.equal("bad_response", err.kind)
        _, err = generate { redirect("") }
        assert.is_string(err.kind)
    end)

    it("of the gateway's own answer is not followed", function()
        local _, err = client:generate { prompt = "x", extra_body = { mirror = { status = 302, body = "", headers = { "location: " .. address(1, { id = "gateway-led" }) } } } }
        assert.equal("not_found", err.kind)
        assert.equal(0, mirrors.count(mirror, "gateway-led"))
    end)
end)

describe("fetching ends", function()
    it("with cancel, which keeps what has come", function()
        local calls, request = 0, nil -- luacheck: ignore 311
        request = assert(client:submit(ask({ 1, address(2, { hold = 60, id = "slow" }) }), function()
            calls = calls + 1
        end))
        while mirrors.count(mirror, "slow") == 0 do
            client:poll(0.05)
        end
        assert.not_equal("done", request:status())
        assert.is_true(request:cancel())
        local _, err = request:wait()
        assert.equal("cancelled", err.kind)
        assert.is_true(err.maybe_billed)
        assert.equal(1, #err.data)
        client:poll()
        client:poll()
        assert.equal(1, calls)
    end)

    it("with the client", function()
        local own, calls, result = requests.client(mirror), 0, nil
        local request = assert(own:submit(ask({ 1, address(2, { hold = 60, id = "closed" }) }), function(_, err)
            calls, result = calls + 1, err
        end))
        while mirrors.count(mirror, "closed") == 0 do
            own:poll(0.05)
        end
        own:close()
        own:poll()
        local _, err = request:wait()
        assert.is_table(err or _)
        assert.equal(1, calls)
        assert.is_true(result == nil or result.kind == "cancelled")
    end)

    it("before it begins when on_image closes the client", function()
        local own = requests.client(mirror)
        local response, err = own:submit(ask({ 1, address(2, { id = "never" }) }, {
            on_image = function()
                own:close()
            end,
        })):wait()
        assert.is_table(response or err)
        assert.equal(0, mirrors.count(mirror, "never"))
    end)

    it("with a function that raises", function()
        assert.error_matches(function()
            generate({ 1, address(2) }, {
                on_image = function(_, index)
                    if index == 2 then
                        error "enough"
                    end
                end,
            })
        end, "enough")
    end)

    it("with a sink that refuses", function()
        local _, err = generate({ large(3000), large(6000) }, {
            sink = function()
                return nil, "the shelf is full"
            end,
        })
        assert.same({ "io", true }, { err.kind, err.maybe_billed })
        assert.matches("the shelf is full", err.message)
    end)

    it("with nothing left over, whoever lets go of it", function()
        for _ = 1, 20 do
            local own = requests.client(mirror)
            assert(own:submit(ask { address(2, { hold = 0.5 }) }))
            own:poll(0.02)
            own = nil -- luacheck: ignore
            collectgarbage()
        end
        collectgarbage()
        system.sleep(0.01)
    end)
end)

-- A gateway that is not on this machine: a name that an environment's proxy would be asked for is of no use here, so
-- TLS over loopback with a name of the internet's is what the proxy specs have. Here the emulator's ways are taken.
describe("the emulator's addresses", function()
    local own

    fixtures.emulator_client(function(_, started) own = started end, { max_retries = 0 })

    local function draw(model, n, via)
        return own:generate { model = "emulate/" .. model, n = n, prompt = "a lighthouse", via = via }
    end

    it("are fetched", function()
        for _, via in ipairs { "images", "chat" } do
            for _, model in ipairs { "url", "url-data", "url-mixed", "url-redirect", "url-redirect/3" } do
                local response, err = draw(model, via == "images" and 2 or 1, via)
                assert(response, model .. " " .. via .. ": " .. tostring(err))
                assert.equal(via == "images" and 2 or 1, #response.data)
                assert.equal("image/png", response.data[1].mime)
            end
        end
    end)

    it("fail as they should", function()
        for model, kind in pairs {
            ["url-404"] = "not_found", ["url-redirect/4"] = "bad_response", ["url-metadata"] = "bad_response", ["url-file"] = "bad_response",
            ["url-html"] = "bad_response", ["url-broken"] = "bad_response",
        } do
            local response, err = draw(model, 1)
            assert.is_nil(response)
            assert.equal(kind, err.kind, model)
            assert.is_string(err.url)
        end
    end)
end)
