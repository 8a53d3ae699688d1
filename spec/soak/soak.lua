-- Random requests for minutes, checked one by one, on clients that come and go: memory and descriptors stay flat.
--
--     lua soak.lua MINUTES [SEED [ROUND]]
--
-- Works in rounds. What a round asks for follows from the seed and the round's number alone, on every Lua; with
-- ROUND that one is run over and over. Each round makes one to twelve requests on one client, drives them in one
-- way or another, and looks at every end. After some rounds all clients go, garbage is collected, and what the
-- process holds is measured. Prints a line a minute and a verdict; the status is 0 when all was well.
--
-- SOAK_RSS_MIB says how much the resident memory may grow: more than the default where a sanitizer keeps books.
-- A leak of a few bytes a request takes many minutes to be more than that.

local cjson = require "cjson"
local lfs = require "lfs"
local system = require "system"
local thucchien = require "thucchien"
local emulators = require "spec.support.emulator"
local mirrors = require "spec.support.mirror"
local routes = require "spec.support.routes"

local minutes = tonumber(arg[1]) or 1
local seed = tonumber(arg[2]) or os.time() % 1000000
local only_round = tonumber(arg[3])

local KEY = "sk-soak-0123456789abcdef"
local ROUND_SECONDS = 60  -- for a round to end, whatever it asks for
local EPOCH_SECONDS = math.min(5, minutes * 60 / 12) -- between measurements
local RSS_MIB = tonumber(os.getenv "SOAK_RSS_MIB") or 4
local LUA_KIB = rawget(_G, "jit") and 256 or 64 -- LuaJIT's own buffers go up and down

-- ---- chance -----------------------------------------------------------------------------------------------------

-- Park and Miller's generator: exact in doubles, so the same on every Lua.
local state

local function begin_chance(round)
    state = (seed * 7919 + round * 104729) % 2147483646 + 1
    for _ = 1, 3 do
        state = state * 16807 % 2147483647
    end
end

local function upto(most)
    state = state * 16807 % 2147483647
    return state % most + 1
end

local function one_of(list)
    return list[upto(#list)]
end

local function chance(one_in)
    return upto(one_in) == 1
end

-- ---- what servers answer ----------------------------------------------------------------------------------------

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
    local out = {}
    for i = 1, #bytes, 3 do
        local a, b, c = bytes:byte(i, i + 2)
        local number = a * 65536 + (b or 0) * 256 + (c or 0)
        for k = 1, 4 do
            local at = math.floor(number / 64 ^ (4 - k)) % 64 + 1
            out[#out + 1] = (k == 3 and not b or k == 4 and not c) and "=" or ALPHABET:sub(at, at)
        end
    end
    return table.concat(out)
end

-- Pictures of several sizes, with their base64: the head of a PNG, and bytes of all values.
local pictures = {}
do
    local all = {}
    for i = 0, 255 do
        all[i + 1] = string.char(i)
    end
    local head = routes.bytes(0) -- a PNG that has ended: what is behind it is let be
    local block = table.concat(all) .. table.concat(all):reverse() .. "x"
    for i, blocks in ipairs { 0, 1, 7, 60, 600, 2500 } do
        local encoded = base64(block) -- its length is a multiple of three
        pictures[i] = { bytes = head .. block:rep(blocks), text = base64(head) .. encoded:rep(blocks) }
        if i % 2 == 0 then -- and lengths that are none
            pictures[i].bytes, pictures[i].text = pictures[i].bytes .. "x", pictures[i].text .. "eA=="
        end
    end
end

local function whole_answer()
    local data, wanted = {}, {}
    for i = 1, chance(4) and upto(6) or 1 do
        local picture = chance(30) and one_of(pictures) or pictures[upto(4)]
        data[i] = ('{"b64_json":"%s","revised_prompt":%s}'):format(picture.text, chance(2) and "null" or '"a \\u00e9"')
        wanted[i] = picture.bytes
    end
    return '{"created":1,"data":[' .. table.concat(data, ",") .. '],"usage":{"total_tokens":1}}', wanted
end

local function cut_into_pieces(text)
    local pieces, at = {}, 1
    while at <= #text do
        local size = upto(chance(3) and 200 or 50000)
        pieces[#pieces + 1], at = text:sub(at, at + size - 1), at + size
    end
    return pieces
end

local function litellm(message, type)
    return ('{"error":{"message":"%s","type":"%s","param":"None","code":"400"}}'):format(message, type or "None")
end

-- A server that says when it closes: else the next request may be under way on that connection, and lost.
local function closing(answer)
    answer.close, answer.headers = true, { "connection: close" }
    return answer
end

local ids = 0

-- Each gives an answer, and what is to come of it: bytes of the pictures, or a kind; further fields of the params.
local answers = {
    function()
        local body, wanted = whole_answer()
        local answer = { body = body, hold = chance(5) and upto(20) / 1000 or nil }
        return chance(8) and closing(answer) or answer, wanted
    end,
    function()
        local body, wanted = whole_answer()
        return { chunks = cut_into_pieces(body), gzip = chance(3) or nil }, wanted
    end,
    function()
        local body, wanted = whole_answer()
        local pieces = { "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n" }
        for _, piece in ipairs(cut_into_pieces(body)) do
            pieces[#pieces + 1] = piece
        end
        return { pieces = pieces }, wanted
    end,
    function() -- a retry that helps
        local body, wanted = whole_answer()
        local fault = one_of {
            { status = 503, body = "", headers = { "retry-after-ms: " .. upto(20) } },
            { status = 429, body = litellm "slow down", headers = { "retry-after-ms: " .. upto(20) } },
            { status = 500, body = "oops", headers = { "retry-after-ms: 1" } },
        }
        ids = ids + 1
        return { id = "soak-" .. ids, answers = { fault, { body = body } } }, wanted, { retry = "all" }, 2
    end,
    function() -- and one that does not
        return { status = 503, body = "<html><title>503 No</title>", headers = { "retry-after-ms: 2" } }, "server_error", nil, 3
    end,
    function()
        return one_of {
            { status = 400, body = litellm("Budget has been exceeded!", "budget_exceeded") },
            { status = 429, body = litellm "Max budget limit reached." },
        }, "budget_exceeded"
    end,
    function()
        local answer = { status = 401, body = litellm("no such key " .. KEY, "auth_error") }
        return chance(2) and closing(answer) or answer, "authentication"
    end,
    function()
        return { status = 302, headers = { "location: https://elsewhere.example/" } }, "not_found"
    end,
    function()
        return { status = 400, chunks = { litellm "no", (" "):rep(upto(2000000)) } }, "invalid_request"
    end,
    function()
        return one_of { { body = '{"data":[]}' }, { body = '{"data":[{"b64_json":null}]}' }, { body = "{}" } }, "no_image"
    end,
    function()
        local body = whole_answer()
        local at = upto(#body - 1)
        return one_of {
            { body = body:sub(1, at) }, { body = body .. "x" }, { body = "<html>" }, { body = "" },
            { body = body:gsub('"%]', "*") .. "*" }, { body = ("["):rep(2000) },
            { body = body, length = #body + upto(1000), close = true },
            { pieces = { "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n", body:sub(1, at) } },
        }, "bad_response"
    end,
    function()
        return { pieces = {} }, "connection", { retry = chance(6) and "all" or "none" }
    end,
    function()
        return { hold = 1, body = "{}" }, "timeout", { timeout = upto(50) / 1000 }
    end,
    function()
        local headers = {}
        for i = 1, 300 do
            headers[i] = "x-" .. i .. ": " .. ("y"):rep(1000)
        end
        return { headers = headers, body = "{}" }, "response_too_large"
    end,
}

local models = {
    ["64"] = { "emulate/chunked", "emulate/gzip", "emulate/pretty", "emulate/drip/4096", "emulate/503/1" },
    authentication = { "emulate/401", "emulate/expired-key", "emulate/blocked-key" },
    budget_exceeded = { "emulate/budget", "emulate/budget-429" },
    rate_limit = { "emulate/rate-limit/90" },
    content_policy = { "emulate/filtered", "emulate/refused", "emulate/traceback" },
    no_image = { "emulate/empty", "emulate/null-image" },
    bad_response = { "emulate/html", "emulate/garbage", "emulate/not-base64", "emulate/trailing", "emulate/truncated-json" },
    connection = { "emulate/reset" },
    server_error = { "emulate/500", "emulate/502" },
    not_found = { "emulate/redirect" },
}
local outcomes = {}
for outcome in pairs(models) do
    outcomes[#outcomes + 1] = outcome
end
table.sort(outcomes)

-- ---- a plan -----------------------------------------------------------------------------------------------------

local PROMPTS = { "x", "ngọn hải đăng lúc hoàng hôn", "a \"quoted\"\\ prompt\n", ("đ"):rep(3000), "🌙" }

local function plan_request(client_is_emulators)
    local plan = { params = { prompt = one_of(PROMPTS) }, attempts = 1 }
    local params = plan.params
    if client_is_emulators then
        local outcome = one_of(outcomes)
        params.model, params.size = one_of(models[outcome]), "64x64"
        if outcome == "64" then
            params.n = upto(3)
            plan.wanted, plan.attempts = params.n, params.model:find "503" and 2 or 1
        else
            plan.kind = outcome
        end
    elseif chance(8) then -- nothing asked for: the mirror tells what it saw
        plan.echo, params.n = true, upto(4)
        params.aspect_ratio = one_of { "1:1", "16:9" }
    elseif chance(12) then
        plan.kind, plan.refused = "invalid_request", true
        params[one_of { "aspectratio", "N", "pompt" }] = "x"
    else
        local answer, expected, more, attempts = one_of(answers)()
        params.extra_body = { mirror = answer }
        plan.attempts = attempts or plan.attempts
        plan[type(expected) == "table" and "wanted" or "kind"] = expected
        for name, value in pairs(more or {}) do
            params[name] = value
        end
        if params.retry == "all" and plan.kind == "connection" then
            params.max_retries, plan.attempts = 1, 2
        end
    end
    plan.taker = one_of { "none", "none", "none", "sink", "save", "on_image", "all" }
    plan.way = one_of { "generate", "submit", "submit", "wait", "await", "await", "dropped" }
    plan.cancel_after = chance(6) and upto(12) - 1 or nil
    plan.raises = chance(25) and one_of { "done", "on_image", "sink" } or nil
    plan.refuses = not plan.raises and chance(25) or nil -- its sink does
    return plan
end

local function plan_round()
    local round = { requests = {}, emulators = chance(6), gc = upto(20), poll = one_of { 0, 0.001, 0.02, 1 } }
    round.fresh = chance(4)
    round.options = { max_concurrency = upto(8), headers = chance(2) and { ["X-Soak"] = "1" } or nil,
        http2 = chance(10) or nil, max_retries = 2, timeout = 20 }
    for i = 1, upto(12) do
        round.requests[i] = plan_request(round.emulators)
    end
    round.end_by = chance(10) and one_of { "close", "abandon", "close in done" } or nil
    round.end_after = upto(20)
    return round
end

-- ---- its checks -------------------------------------------------------------------------------------------------

local failures = 0
local round_number = 0
local counts = { requests = 0, pictures = 0, cancelled = 0 }

local function complain(plan, format, ...)
    failures = failures + 1
    io.stderr:write(("round %d of seed %d%s: %s\n"):format(round_number, seed, plan and
        (", request %d (%s, %s, %s)"):format(plan.number, plan.way, plan.taker, plan.kind or "pictures") or "",
        format:format(...)))
end

local function read(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local bytes = file:read "*a"
    file:close()
    return bytes
end

local function check_picture(plan, image, index)
    local bytes = image.bytes
    if plan.params.save then
        bytes = image.path and read(image.path)
    elseif plan.params.sink then
        bytes = plan.taken and plan.taken[index]
    end
    if not bytes or #bytes ~= image.size then
        return complain(plan, "picture %d has %s bytes, not %d", index, bytes and #bytes or "no", image.size)
    end
    if type(plan.wanted) == "table" and bytes ~= plan.wanted[index] then
        complain(plan, "picture %d is another", index)
    elseif image.mime ~= "image/png" then
        complain(plan, "picture %d is %s", index, tostring(image.mime))
    end
    counts.pictures = counts.pictures + 1
end

local function check_response(plan, response)
    if plan.kind then
        return complain(plan, "a response")
    end
    local many = plan.echo and 1 or type(plan.wanted) == "table" and #plan.wanted or plan.wanted
    if #response.data ~= many then
        return complain(plan, "%d pictures, not %d", #response.data, many)
    elseif response.attempts ~= plan.attempts and not plan.params.model then
        complain(plan, "%d attempts, not %d", response.attempts, plan.attempts)
    end
    for index, image in ipairs(response.data) do
        check_picture(plan, image, index)
    end
    if plan.echo then
        local body = cjson.decode(response.echo.body)
        if body.prompt ~= plan.params.prompt or body.n ~= plan.params.n or body.aspect_ratio ~= plan.params.aspect_ratio then
            complain(plan, "it was sent as %s", response.echo.body)
        end
    end
end

local function check_error(plan, err, round)
    local kind = err.kind
    local line = tostring(err)
    if line:find(KEY, 1, true) or (err.body or ""):find(KEY, 1, true) then
        complain(plan, "the key is in %s", line)
    end
    if kind == "cancelled" then
        counts.cancelled = counts.cancelled + 1
        if not (plan.cancelled or plan.raised or round.ended) then
            complain(plan, "cancelled, by nobody")
        end
    elseif kind == "io" then
        if not plan.refused_chunk then
            complain(plan, "%s", line)
        end
    elseif kind ~= plan.kind then
        complain(plan, "%s", line)
    elseif not plan.refused and not plan.params.model and err.attempts ~= plan.attempts then
        complain(plan, "%s: %s attempts, not %d", line, tostring(err.attempts), plan.attempts)
    end
end

local function ended(plan, round, response, err)
    if plan.ends then
        return complain(plan, "ended twice")
    end
    plan.ends = 1
    if response then
        check_response(plan, response)
    elseif type(err) == "table" then
        check_error(plan, err, round)
    else
        complain(plan, "%s", tostring(err))
    end
end

-- ---- running it -------------------------------------------------------------------------------------------------

local mirror, emulator = mirrors.start(), emulators.start()
local directory = os.tmpname()
os.remove(directory)
assert(lfs.mkdir(directory))

local clients = {}                                    -- those of this epoch, mirror's and emulator's
local all_clients = setmetatable({}, { __mode = "k" }) -- to see them collected

local function new_client(round)
    local options = { api_key = KEY, base_url = (round.emulators and emulator or mirror).url }
    for name, value in pairs(round.options) do
        options[name] = value
    end
    local client = assert(thucchien.new(options))
    all_clients[client] = true
    return client
end

local function raise(plan)
    plan.raised = true
    error("soak raises", 0)
end

local function add_takers(plan)
    local params, taker = plan.params, plan.taker
    if taker == "sink" or taker == "all" then
        plan.taken = {}
        local open = {}
        params.sink = function(index, chunk)
            if plan.raises == "sink" then
                raise(plan)
            elseif plan.refuses then
                plan.refused_chunk = true
                return nil, "soak refuses"
            end
            open[index] = open[index] or {}
            if chunk then
                table.insert(open[index], chunk)
            else
                plan.taken[index] = table.concat(open[index])
            end
            return true
        end
    elseif taker == "save" then
        params.save = directory .. "/" .. plan.number .. "-"
    end
    if taker == "on_image" or taker == "all" then
        params.on_image = function(image, index)
            if plan.raises == "on_image" then
                raise(plan)
            end
            check_picture(plan, image, index)
        end
        params.on_progress = function() end
    end
end

-- Calls what drives a client. Only our own errors may come out of it.
local function drive(call, ...)
    local ok, result, err = pcall(call, ...)
    if not ok and result ~= "soak raises" then
        complain(nil, "%s", tostring(result))
    end
    return ok, result, err
end

local function begin(client, plan, round)
    counts.requests = counts.requests + 1
    add_takers(plan)
    local way = plan.way
    local function done(response, err)
        ended(plan, round, response, err)
        if round.end_by == "close in done" then
            round.ended = true
            client:close()
        end
        if plan.raises == "done" then
            raise(plan)
        end
    end
    if way == "generate" then
        local ok, response, err = drive(client.generate, client, plan.params)
        if ok then
            ended(plan, round, response, err)
        else
            plan.ends = 1
        end
        return
    elseif way == "await" then
        coroutine.wrap(function()
            local request, err = client:submit(plan.params)
            if not request then
                return ended(plan, round, nil, err)
            end
            plan.request = request
            ended(plan, round, request:await())
        end)()
        return
    end
    local request, err = client:submit(plan.params, way ~= "wait" and done or nil)
    if not request then
        return ended(plan, round, nil, err)
    end
    plan.request = way ~= "dropped" and request or nil
end

local function step(client, plan, round, polls)
    local request = plan.request
    if request and not plan.ends and plan.cancel_after and polls >= plan.cancel_after and not plan.cancelled then
        plan.cancelled = request:cancel() or nil
        plan.cancel_after = nil
    end
    if plan.way == "wait" and request and not plan.ends and polls > plan.number then
        local ok, response, err = drive(request.wait, request, 0.01)
        if not ok then
            plan.ends = 1
        elseif response or request:status() == "done" then
            ended(plan, round, response, err)
        end
    end
    return client
end

local function all_ended(round)
    for _, plan in ipairs(round.requests) do
        if not plan.ends then
            return false
        end
    end
    return true
end

local function run_round(number)
    begin_chance(number)
    local round = plan_round()
    local name = round.emulators and "emulator" or "mirror"
    if round.fresh or not clients[name] then
        clients[name] = new_client(round)
    end
    local client = clients[name]
    for i, plan in ipairs(round.requests) do
        plan.number = i
        if not round.ended then
            begin(client, plan, round)
        else
            plan.ends = 1
        end
    end
    local deadline, polls = system.monotime() + ROUND_SECONDS, 0
    while not all_ended(round) do
        polls = polls + 1
        for _, plan in ipairs(round.requests) do
            step(client, plan, round, polls)
        end
        if round.end_by and round.end_by ~= "close in done" and polls >= round.end_after then
            round.ended, clients[name] = true, nil
            if round.end_by == "abandon" then
                return
            end
            client:close()
        end
        drive(client.poll, client, round.poll)
        if polls % round.gc == 0 then
            collectgarbage(round.gc % 2 == 0 and "step" or "collect")
        end
        if round.poll == 0 then
            system.sleep(0.0005)
        end
        if system.monotime() > deadline then
            for _, plan in ipairs(round.requests) do
                if not plan.ends then
                    complain(plan, "still %s", plan.request and plan.request:status() or "under way")
                end
            end
            break
        end
    end
    if round.ended then
        clients[name] = nil
    end
end

-- ---- what the process holds -------------------------------------------------------------------------------------

local function resident() -- in KiB
    local file = assert(io.open "/proc/self/statm")
    local _, pages = file:read("*n", "*n")
    file:close()
    return pages * 4
end

local function descriptors()
    local count = 0
    for _ in lfs.dir "/proc/self/fd" do
        count = count + 1
    end
    return count
end

local function files()
    local left = {}
    for name in lfs.dir(directory) do
        if name ~= "." and name ~= ".." then
            left[#left + 1] = name
        end
    end
    for _, name in ipairs(left) do
        if not name:find "^%d+%-[%-%d]*%.png$" then
            complain(nil, "a file is left: %s", name)
        end
        os.remove(directory .. "/" .. name)
    end
end

-- Filled up beforehand, so that what is noted does not count as growth.
local samples, measured = { rss = {}, lua = {}, fds = {} }, 0
for i = 1, math.ceil(minutes * 60 / EPOCH_SECONDS) + 1 do
    samples.rss[i], samples.lua[i], samples.fds[i] = 0, 0, 0
end

local function measure()
    clients = {}
    for _ = 1, 3 do
        collectgarbage()
    end
    files()
    local kept = 0
    for _ in pairs(all_clients) do
        kept = kept + 1
    end
    if kept > 0 then
        complain(nil, "%d clients are not collected", kept)
    end
    measured = measured + 1
    samples.rss[measured], samples.lua[measured], samples.fds[measured] = resident(), collectgarbage "count", descriptors()
end

local function median(from, to, name)
    local values = {}
    for i = from, to do
        values[#values + 1] = samples[name][i]
    end
    table.sort(values)
    return values[math.ceil(#values / 2)]
end

-- The first quarter is for warming up. The second is compared with the last.
local function judge()
    local quarter = math.floor(measured / 4)
    if quarter < 1 then
        return complain(nil, "too few measurements: %d", measured)
    end
    local function grown(name)
        local before, after = median(quarter + 1, 2 * quarter, name), median(measured - quarter + 1, measured, name)
        return before, after, after - before
    end
    local rss_before, rss_after, rss = grown "rss"
    local lua_before, lua_after, lua = grown "lua"
    local fds_before, fds_after, fds = grown "fds"
    print(("resident %d -> %d KiB, Lua's %.0f -> %.0f KiB, descriptors %d -> %d (medians of %d measurements each)"):format(
        rss_before, rss_after, lua_before, lua_after, fds_before, fds_after, quarter))
    if rss > RSS_MIB * 1024 then
        complain(nil, "the resident memory grew by %d KiB", rss)
    end
    if lua > LUA_KIB then
        complain(nil, "Lua's memory grew by %.0f KiB", lua)
    end
    if fds ~= 0 then
        complain(nil, "%d descriptors more", fds)
    end
end

-- ---- minutes ----------------------------------------------------------------------------------------------------

io.stdout:setvbuf "line"
if rawget(_G, "jit") then
    jit.off() -- LuaJIT's compiled code would count as growth
end
print(("soak: %g minutes, seed %d, %s, %s"):format(minutes, seed, rawget(_G, "jit") and "LuaJIT" or _VERSION, thucchien.libcurl))
local start = system.monotime()
local finish, next_line, next_epoch = start + minutes * 60, start + 60, start + EPOCH_SECONDS
while system.monotime() < finish and failures < 20 do
    round_number = only_round or round_number + 1
    run_round(round_number)
    local now = system.monotime()
    if now >= next_epoch then
        measure()
        next_epoch = system.monotime() + EPOCH_SECONDS
    end
    if now >= next_line and measured > 0 then
        print(("%3d min: %d rounds, %d requests, %d pictures, %d cancelled; resident %d KiB, Lua's %.0f KiB, %d descriptors"):format(
            math.floor((now - start) / 60 + 0.5), round_number, counts.requests, counts.pictures, counts.cancelled,
            samples.rss[measured], samples.lua[measured], samples.fds[measured]))
        next_line = next_line + 60
    end
end
measure()
judge()
emulator:stop()
mirror:stop()
lfs.rmdir(directory)
print(("soak: %s: %d requests, %d pictures, %d cancelled, %d failures, seed %d"):format(
    failures == 0 and "well" or "FAILED", counts.requests, counts.pictures, counts.cancelled, failures, seed))
os.exit(failures == 0, true)
