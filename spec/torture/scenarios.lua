-- What torture.c runs with failing allocations: requests in all their parts, against the mirror.

local thucchien = require "thucchien"
local mirrors = require "spec.support.mirror"
local mirror = mirrors.start()

local PICTURE = '{"data":[{"b64_json":"' .. ("QUJD"):rep(2000) .. '","revised_prompt":"a \\u00e9"},{"b64_json":"QUJD"}]}'

-- A PNG's beginning and end are a picture for who only looks at them.
local PNG = "\137PNG\r\n\26\n\0\0\0\rIHDR\0\0\0\2\0\0\0\3\8\2\0\0\0\54\136\73\214\0\0\0\0IEND\174\66\96\130" .. ("x"):rep(1000)
local CHAT = '{"choices":[{"message":{"content":"![a](data:image/png;base64,QUJD) words",'
    .. '"images":[{"image_url":{"url":"data:image/png;base64,' .. ("QUJD"):rep(2000) .. '"}}]},"finish_reason":"stop"}]}'

-- A whole one, as a decoder for files that tell nothing sees it, and one that is cut, in base64.
local GIF = "GIF89a\2\0\3\0\0\0\0;"
local WHOLE, CUT = "R0lGODlhAgADAAAAADs=", "R0lGODlhAgADAAAA"

-- Where pictures go that are saved.
local FILES = os.tmpname()
os.remove(FILES)
os.execute("mkdir " .. FILES)

local function new()
    return assert(thucchien.new { base_url = mirror.url, api_key = "sk-torture-0123456789", headers = { ["X-A"] = "b" } })
end

local function raise(err)
    error(tostring(err), 0)
end

-- Fails for memory alone: a request that ends in another way than it should is an error of its own.
local function expect(kind, response, err)
    if not response and err.kind ~= kind then
        if tostring(err):find("emory", 1, true) then
            raise(err)
        end
        error("unexpected: " .. tostring(err), 0)
    end
end

local function request(answer, more)
    local params = { prompt = "đèn biển", n = 2, extra_body = { mirror = answer } }
    for name, value in pairs(more or {}) do
        params[name] = value
    end
    return params
end

-- Of a request that was submitted: how often its end was told. Whatever fails, it is, once.
local last

-- Polls until nothing is left; what that raises is kept.
local function finish(client)
    for _ = 1, 100 do
        local ok, left = pcall(client.poll, client, 0.1)
        if ok and left == 0 then
            return
        end
        last.err = last.err or not ok and left
    end
    error("unexpected: it does not end", 0)
end

local kept = new()

-- An ordinary request, on a client that saw nothing of it all.
function check() -- luacheck: ignore 111
    if last then
        local told, awaited, client = last, last.thread, last.client
        finish(client)
        client:close()
        last = nil
        if told.done ~= 1 or coroutine.status(awaited) ~= "dead" then
            error("unexpected: told " .. told.done .. " times, a coroutine " .. coroutine.status(awaited), 0)
        end
    end
    local response, err = kept:generate(request { body = PICTURE })
    if not response or #response.data[1].bytes ~= 6000 then
        raise(err or "another picture")
    end
end

local scenarios = {
    {
        name = "a success",
        run = function()
            local client = new()
            expect(nil, client:generate(request { body = PICTURE }))
            client:close()
        end,
    },
    {
        name = "a success with takers",
        run = function()
            local client = new()
            expect(nil, client:generate(request({ chunks = { PICTURE:sub(1, 3000), PICTURE:sub(3001) } }, {
                sink = function() end,
                on_image = function() end,
                on_progress = function() end,
            })))
            client:close()
        end,
    },
    {
        name = "pictures that become files",
        run = function()
            local client = new()
            local body = '{"data":[{"b64_json":"' .. WHOLE .. '"},{"b64_json":"' .. CUT .. '"},{"b64_json":"' .. WHOLE .. '"}]}'
            local params = request({ body = body }, { save = FILES .. "/a", if_exists = "number" })
            expect("bad_response", client:generate(params))
            local response, err = client:generate(request { body = '{"data":[{"b64_json":"' .. WHOLE .. '"}]}' })
            expect(nil, response, err)
            expect(nil, response.data[1]:save(FILES .. "/b", { if_exists = "number" }))
            expect("io", response.data[1]:save(FILES .. "/none/b"))
            client:close()
        end,
    },
    {
        name = "a picture that cannot be where it should be",
        run = function()
            local client = new()
            local body = '{"data":[{"b64_json":"' .. WHOLE .. '"}]}'
            os.remove(FILES .. "/c.gif")
            local pending, err = client:submit(request({ body = body }, { n = 1, save = FILES .. "/c", if_exists = "error" }))
            if not pending then
                raise(err)
            end
            local file = io.open(FILES .. "/c.gif", "w")
            if file then
                file:close()
            end
            expect("io", pending:wait())
            client:close()
        end,
    },
    {
        name = "a success that is awaited",
        run = function()
            local client = new()
            local thread = coroutine.create(function()
                local pending, err = client:submit(request { body = PICTURE }, function() end)
                if not pending then
                    raise(err)
                end
                expect(nil, pending:await())
            end)
            local ok, err = coroutine.resume(thread)
            local failure = not ok and err
            while client:poll(1) > 0 do end
            if failure then
                raise(failure)
            end
            client:close()
        end,
    },
    {
        name = "an end that is told, and awaited",
        run = function()
            local client, told = new(), { done = 0 }
            local pending
            told.client = client
            told.thread = coroutine.create(function()
                pending:await()
            end)
            pending = client:submit(request({ body = PICTURE }, { on_image = function() end }), function(_, err)
                told.done = told.done + 1
                if err and err.message ~= "not enough memory" then
                    error("unexpected: " .. err.message, 0)
                end
            end)
            if not pending then
                return
            end
            local ok, err = coroutine.resume(told.thread)
            if coroutine.status(told.thread) == "suspended" then
                last = told
                pcall(finish, client) -- as far as memory allows
            end
            if told.err or not ok then
                raise(told.err or err)
            end
        end,
    },
    {
        name = "a conversation with pictures, in two requests",
        run = function()
            local client = new()
            local earlier = { prompt = "a fox", text = "here", data = { { bytes = PNG } } }
            expect(nil, client:generate(request({ body = CHAT }, { via = "chat", images = { PNG }, history = { earlier } })))
            client:close()
        end,
    },
    {
        name = "pictures at addresses",
        run = function()
            local client = new()
            local address = mirrors.address(mirror, { body = GIF })
            local items = ('{"url":%q},{"url":%q}'):format(address, address)
            expect(nil, client:generate(request { body = '{"data":[' .. items .. "]}" }))
            client:close()
        end,
    },
    {
        name = "pictures that are elsewhere",
        run = function()
            local client = new()
            local function led_to(address)
                return mirrors.address(mirror, { status = 302, headers = { "location: " .. address }, body = "gone" })
            end
            local address = mirrors.address(mirror, { body = GIF })
            local items = ('{"url":%q},{"url":%q}'):format(led_to(led_to(address)), led_to(address:match "//[^/]+(/.*)$"))
            local body = '{"data":[' .. items .. "]}"
            expect(nil, client:generate(request({ body = body }, { on_progress = function() end, on_image = function() end })))
            client:close()
        end,
    },
    {
        name = "drafts, words, and pictures that are not whole",
        run = function()
            local client = new()
            local parts = ('{"thought":true,"inlineData":{"data":%q}},{"text":"a"},{"inlineData":{"data":%q}},{"inlineData":{"data":%q}}')
                :format(WHOLE, CUT, WHOLE)
            local chunk = ('{"candidates":[{"content":{"parts":[%s]},"finishReason":"STOP"}],"usageMetadata":{"cost":1}}'):format(parts)
            expect(nil, client:generate(request({ body = "data: " .. chunk .. "\n\ndata: " .. chunk .. "\n\n" }, { n = 1 })))
            client:close()
        end,
    },
    {
        name = "pictures that words point to",
        run = function()
            local client = new()
            local address = mirrors.address(mirror, { body = GIF })
            local content = ('"![a](%s) and ![b](%s \\"b\\")"'):format(address, address)
            expect(nil, client:generate(request { body = '{"choices":[{"message":{"content":' .. content .. "}}]}" }, { retry = "none" }))
            client:close()
        end,
    },
    {
        name = "a refusal in an answer",
        run = function()
            local client = new()
            expect("content_policy", client:generate(request {
                body = '{"candidates":[{"finishReason":"SAFETY","safetyRatings":[{"category":"X","blocked":true}]}],"promptFeedback":{"blockReason":"X"}}',
            }))
            client:close()
        end,
    },
    {
        name = "a call",
        run = function()
            local client = new()
            expect(nil, client:call { path = "/x", body = { mirror = { body = '{"spend":1.5,"keys":["a",null]}' } } })
            client:close()
        end,
    },
    {
        name = "a refusal",
        run = function()
            local client = new()
            expect("budget_exceeded", client:generate(request {
                status = 400,
                body = '{"error":{"message":"Budget has been exceeded!","type":"budget_exceeded","param":null,"code":"400"}}',
            }))
            client:close()
        end,
    },
    {
        name = "a refusal with a picture",
        run = function()
            local client = new()
            local _, err = client:generate(request {
                status = 429, body = '{"error":{"message":"Rate limit exceeded"},"data":[{"b64_json":"iVBORw0KGgoAAAANSUhEUgAAAAIA'
                    .. 'AAADCAIAAAA2iEnWAAAAAElEQVQ1rwYeAAAAAElFTkSuQmCC"}]}',
            })
            expect("rate_limit", nil, err)
            assert(#err.data == 1)
            client:close()
        end,
    },
    {
        name = "a refusal inside a refusal, in a success",
        run = function()
            local client = new()
            expect("budget_exceeded", client:generate(request {
                body = '{"error":{"code":402,"message":"{\\"error\\":{\\"message\\":\\"no credits\\",\\"code\\":402}}"}}',
            }))
            client:close()
        end,
    },
    {
        name = "half an answer",
        run = function()
            local client = new()
            expect("bad_response", client:generate(request { body = PICTURE:sub(1, 4000) }))
            client:close()
        end,
    },
    {
        name = "no answer",
        run = function()
            local client = new()
            expect("connection", client:generate(request { pieces = {} }))
            client:close()
        end,
    },
}

return setmetatable(scenarios, {
    __gc = function()
        os.execute("rm -r " .. FILES)
    end,
})
