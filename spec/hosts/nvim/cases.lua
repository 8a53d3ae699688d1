-- What nvim_spec.lua runs inside Neovim, a Neovim for each: { name, function }. Also read by the spec itself,
-- for the names.
-- luacheck: globals vim

local uv = vim and (vim.uv or vim.loop)

local function plugin()
    return require "thucchien.nvim"
end

-- Waits with Neovim's loop running.
local function await(condition)
    assert(vim.wait(10000, condition, 5), "waited in vain")
end

local function await_all()
    await(function()
        return plugin().pending() == 0
    end)
end

local function equal(expected, got)
    if not vim.deep_equal(expected, got) then
        error(("expected %s, got %s"):format(vim.inspect(expected), vim.inspect(got)), 2)
    end
end

local function matches(pattern, text)
    if not tostring(text):find(pattern) then
        error(("expected something like %s, got %s"):format(pattern, text), 2)
    end
end

local function lines()
    return vim.api.nvim_buf_get_lines(0, 0, -1, false)
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local bytes = file:read "*a"
    file:close()
    return bytes
end

-- A Markdown file with the cursor in it.
local function edit(text, row, column)
    vim.cmd("silent edit! " .. vim.env.WORK .. "/note.md")
    vim.api.nvim_buf_set_lines(0, 0, -1, false, text)
    vim.api.nvim_win_set_cursor(0, { row, column })
end

-- Sets up with the messages collected instead of shown.
local function setup(options)
    local messages = {}
    options = options or {}
    function options.notify(message, level)
        assert(not vim.in_fast_event(), "notified in the fast context")
        messages[#messages + 1] = { message, level }
    end
    plugin().setup(options)
    return messages
end

local function slow(seconds)
    return { model = "emulate/slow/" .. seconds }
end

-- libuv as given, but for the handles: they are noted in a list. (uv.walk would find them all, but in Neovim 0.7
-- it stumbles over the editor's own.)
local function noting(list)
    local function noted(name)
        return function(...)
            local handle = assert(uv[name](...))
            list[#list + 1] = handle
            return handle
        end
    end
    return setmetatable({ new_timer = noted "new_timer", new_socket_poll = noted "new_socket_poll" }, { __index = uv })
end

local function count_open(list)
    return #vim.tbl_filter(function(handle)
        return not handle:is_closing()
    end, list)
end

return {
    { "draws, saves the exact picture beside the file, and links it", function()
        local shown = {}
        function vim.notify(message, level)
            shown[#shown + 1] = { message, level }
        end
        edit({ "Seen: ", "", "The end." }, 1, 5)
        vim.cmd "Thucchien ngọn HẢI ĐĂNG, \"đêm\" [2]"
        equal(1, plugin().pending())
        await_all()
        local name = "ngon-hai-dang-dem-2.png"
        equal({ "Seen: ![ngọn HẢI ĐĂNG, \"đêm\" \\[2\\]](" .. name .. ")", "", "The end." }, lines())
        assert(read(vim.env.WORK .. "/" .. name) == read(vim.env.PICTURE), "another picture")
        equal({ "thucchien: drawing ngọn HẢI ĐĂNG, \"đêm\" [2]", vim.log.levels.INFO }, shown[1])
        matches("^thucchien: .*" .. vim.pesc(name) .. " %(%d+x%d+%)$", shown[#shown][1])
    end },

    { "warns of what is known before it waits, and of the rest at the end, each once", function()
        local messages = setup { params = { size = "1536x1024" } }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a wide sea"
        equal({ "thucchien: size 1536x1024 comes out square from 'imagen-4': aspect_ratio '4:3' does not", vim.log.levels.WARN },
            messages[2])
        await_all()
        local warnings = vim.tbl_filter(function(message)
            return message[2] == vim.log.levels.WARN
        end, messages)
        equal(2, #warnings)
        matches("^thucchien: image 1 is %d+x%d+ pixels, 1536x1024 was asked for$", warnings[2][1])
    end },

    { "draws on every route, where nothing else is asked for as well", function()
        for _, via in ipairs { "images", "chat", "gemini" } do
            local messages = setup { params = { via = via, model = "emulate/stamp" } }
            edit({ "" }, 1, 0)
            vim.cmd("Thucchien " .. via)
            await_all()
            equal({ ("![%s](%s.png)"):format(via, via) }, lines())
            equal(2, #messages)
        end
        local client = assert(plugin().client())
        local err
        client:call({ path = "/chat/completions", method = "POST", body = {} }, function(_, failure)
            err = failure
        end)
        await(function()
            return err
        end)
        matches("Invalid model name passed in model=None", tostring(err)) -- which a list has not
    end },

    { "links whole pictures alone, in whatever shape they come", function()
        for i, case in ipairs {
            { "lines", "images" }, { "percent", "chat" }, { "draft", "gemini" }, { "draft-after", "gemini" }, { "partial-images", "images" },
            { "as-chat", "images" }, { "as-images", "gemini" }, { "raw", "chat" }, { "sse", "chat" }, { "chunks", "gemini" },
            { "markdown-url", "chat" }, { "bare-url", "chat" }, { "signature", "gemini" },
            { "cut", "images", "bad_response" }, { "length", "chat", "bad_response" }, { "damaged", "gemini", "bad_response" },
            { "draft-only", "gemini", "no_image" }, { "refusal", "chat", "content_policy" }, { "sentence", "images", "content_policy" },
            { "402", "chat", "budget_exceeded" }, { "200-502", "images", "server_error" }, { "billed-500", "chat", "rate_limit" },
        } do
            local name, via, kind = case[1], case[2], case[3]
            local messages = setup { params = { model = "emulate/" .. name, via = via } }
            edit({ "" }, 1, 0)
            vim.cmd("Thucchien shape " .. i)
            await_all()
            local last = messages[#messages]
            local files = vim.fn.readdir(vim.env.WORK, ("v:val =~ '^shape-%d\\.'"):format(i))
            if kind then
                equal({ "" }, lines())
                matches("^thucchien: " .. kind .. ": ", last[1])
                equal(vim.log.levels.ERROR, last[2])
                assert(select(2, last[1]:gsub("billed", "")) <= 1, last[1])
                equal(kind == "bad_response" and { ("shape-%d.png.part"):format(i) } or {}, files)
            else
                equal({ name, { ("![shape %d](shape-%d.png)"):format(i, i) } }, { name, lines() })
                equal({ name, 2 }, { name, #messages })
                equal({ ("shape-%d.png"):format(i) }, files)
                assert(read(vim.env.WORK .. "/" .. files[1]):find "IEND....", name)
            end
        end
    end },

    { "links what came of several, and says why the others did not", function()
        local messages = setup { params = { model = "emulate/cut", via = "images", n = 2 } }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien two"
        await_all()
        equal({ "![two](two.png)" }, lines())
        local told = {}
        for i, message in ipairs(messages) do
            told[i] = message[1]
        end
        told = table.concat(told, "\n")
        matches("thucchien: bad_response: image 1 is cut short", told)
        matches("thucchien: 2 images were asked for, 1 came", told)
        matches("two.*%.part", told)
    end },

    { "links where the cursor was, however the text has changed", function()
        setup { params = slow(0.5) }
        edit({ "one ", "", "three" }, 1, 3)
        vim.cmd "Thucchien first"
        vim.api.nvim_win_set_cursor(0, { 2, 0 })
        vim.cmd "Thucchien second"
        vim.api.nvim_buf_set_lines(0, 0, 0, false, { "above", "above too" })
        vim.api.nvim_buf_set_lines(0, 3, 3, false, { "between" })
        vim.api.nvim_buf_set_text(0, 2, 0, 2, 3, { "the number one" })
        vim.api.nvim_buf_set_text(0, 2, 15, 2, 15, { "and more" })
        vim.api.nvim_win_set_cursor(0, { 3, 18 })
        await_all()
        equal({ "above", "above too", "the number one ![first](first.png)and more", "between",
            "![second](second.png)", "three" }, lines())
        local cursor = vim.api.nvim_win_get_cursor(0)
        equal(" more", lines()[3]:sub(cursor[2] + 1)) -- on the same blank as before
    end },

    { "overwrites nothing, and numbers the pictures", function()
        setup { folder = "images/new", params = { n = 2 } }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien boat"
        vim.cmd "Thucchien boat"
        await_all()
        local directory = vim.env.WORK .. "/images/new/"
        local files = vim.fn.readdir(directory)
        table.sort(files)
        equal({ "boat-2.png", "boat-3.png", "boat-4.png", "boat.png" }, files)
        for _, file in ipairs(files) do
            assert(read(directory .. file) == read(vim.env.PICTURE), file)
            matches("!%[boat%]%(images/new/" .. vim.pesc(file) .. "%)", table.concat(lines(), "\n"))
        end
    end },

    { "names a picture in the prompt's own script", function()
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien 日本の庭"
        await_all()
        matches("日本の庭%.png%)$", lines()[1])
        assert(read(vim.env.WORK .. "/日本の庭.png") == read(vim.env.PICTURE), "another picture")
    end },

    { "takes a folder from a function, and text from another", function()
        local seen
        setup {
            folder = function(file)
                seen = file
                return vim.env.WORK .. "/else where"
            end,
            insert = function(path, image, prompt)
                assert(not vim.in_fast_event())
                equal(path, image.path)
                return { "<" .. prompt .. ">", image.ext, vim.fn.fnamemodify(path, ":t") }
            end,
        }
        edit({ "ab" }, 1, 0)
        vim.cmd "Thucchien a kite"
        await_all()
        equal(vim.env.WORK .. "/note.md", seen)
        equal({ "a<a kite>", "png", "a-kite.pngb" }, lines())
        setup { folder = "else where (2)" }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a kite"
        await_all()
        equal({ "![a kite](else%20where%20%282%29/a-kite.png)" }, lines())
    end },

    { "links by itself when the function for the text fails", function()
        local messages = setup {
            insert = function()
                error "mine"
            end,
        }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a kite"
        await_all()
        equal({ "![a kite](a-kite.png)" }, lines())
        matches("mine", messages[2][1])
    end },

    { "draws what is selected, and links below", function()
        setup()
        edit({ "before", "một con thuyền giấy", "after" }, 2, 0)
        vim.cmd [[execute "normal! 2G0wve\<Esc>"]]
        vim.cmd "'<,'>Thucchien watercolour:"
        await_all()
        equal({ "before", "một con thuyền giấy", "![watercolour: con](watercolour-con.png)", "after" },
            lines())
        vim.cmd "1,2Thucchien"
        await_all()
        equal("![before một con thuyền giấy](before-mot-con-thuyen-giay.png)", lines()[3])
    end },

    { "puts nothing into a buffer that is gone", function()
        local messages = setup { params = slow(0.3) }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a kite"
        vim.cmd "bwipeout!"
        await_all()
        equal({ "" }, lines())
        matches("a%-kite%.png.*its place in the text is gone", messages[#messages][1])
        assert(read(vim.env.WORK .. "/a-kite.png") == read(vim.env.PICTURE))
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a kite"
        vim.bo.modifiable = false
        await_all()
        matches("a%-kite%-2%.png.*its place in the text is gone", messages[#messages][1])
    end },

    { "leaves the loop running, and calls back outside the fast context", function()
        setup()
        edit({ "" }, 1, 0)
        local timer, last, longest, ticks = uv.new_timer(), uv.hrtime(), 0, 0
        timer:start(5, 5, function()
            local now = uv.hrtime()
            longest, last, ticks = math.max(longest, now - last), now, ticks + 1
        end)
        local fast, images = {}, 0
        local client = assert(plugin().client())
        local done
        assert(client:submit({
            prompt = "x",
            model = "emulate/drip",
            on_image = function()
                images = images + 1
                fast[#fast + 1] = vim.in_fast_event()
            end,
            on_progress = function()
                fast[#fast + 1] = vim.in_fast_event()
            end,
        }, function(response, err)
            fast[#fast + 1] = vim.in_fast_event()
            vim.api.nvim_buf_line_count(0) -- raises in the fast context
            done = response or err
        end))
        await(function()
            return done
        end)
        timer:close()
        equal("table", type(done.data))
        equal(1, images)
        assert(not vim.tbl_contains(fast, true), "called in the fast context")
        assert(ticks > 50, "the timer has gone off " .. ticks .. " times")
        assert(longest < 250e6, "the loop was held for " .. longest / 1e6 .. " ms")
    end },

    { "tells how long it has waited", function()
        local shown = setup { params = slow(3) }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a kite"
        await_all()
        matches("^thucchien: 2 s: a kite$", shown[2][1])
    end },

    { "cancels by :Thucchien!", function()
        local messages = setup { params = slow(30) }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien one"
        vim.cmd "Thucchien two"
        vim.wait(100)
        vim.cmd "Thucchien!"
        matches("cancelled 2", messages[3][1])
        await_all()
        equal(3, #messages)
        equal({ "" }, lines())
        local marks = vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace "thucchien", 0, -1, {})
        equal({}, marks)
        vim.cmd "Thucchien!"
        matches("nothing is in flight", messages[4][1])
    end },

    { "tells errors, and that there is no key", function()
        local messages = setup { params = { model = "emulate/refused" } }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien something else"
        await_all()
        matches("content_policy: ", messages[2][1])
        equal(vim.log.levels.ERROR, messages[2][2])
        messages = setup { client = { api_key = function() error("locked", 0) end } }
        vim.cmd "Thucchien a kite"
        matches("authentication: .*locked.*:help thucchien%-key", messages[1][1])
        vim.env.THUCCHIEN_API_KEY = nil
        messages = setup()
        vim.cmd "Thucchien a kite"
        equal(1, #messages)
        matches("no API key.*:help thucchien%-key", messages[1][1])
        equal(vim.log.levels.ERROR, messages[1][2])
        messages = setup { folder = "/dev/null/pictures" }
        vim.cmd "Thucchien a kite"
        matches("cannot write into /dev/null/pictures", messages[1][1])
        messages = setup()
        vim.cmd "Thucchien"
        matches("say what to draw", messages[1][1])
        equal(0, plugin().pending())
    end },

    { "asks for nothing in a buffer that cannot be changed", function()
        local shown = setup()
        edit({ "" }, 1, 0)
        vim.bo.modifiable = false
        vim.cmd "Thucchien a kite"
        equal(0, plugin().pending())
        equal(1, #shown)
        matches("cannot be changed", shown[1][1])
    end },

    { "links each whole picture once, and keeps what came of one that is not", function()
        local messages = setup { params = { model = "emulate/cut", n = 3 } }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien boat"
        await_all()
        local files = vim.fn.readdir(vim.env.WORK, [[v:val =~ "boat"]])
        table.sort(files)
        equal({ "boat-2.png", "boat.png", "boat.png.part" }, files)
        equal({ "![boat](boat.png)", "![boat](boat-2.png)" }, lines())
        local told = {}
        for i, message in ipairs(messages) do
            told[i] = message[1]
        end
        matches("what arrived of an incomplete picture is in [^\n]*boat%.png%.part\n", table.concat(told, "\n") .. "\n")
        matches("\nthucchien: bad_response: image 1 is cut short", table.concat(told, "\n"))
        matches("\nthucchien: 3 images were asked for, 2 came", table.concat(told, "\n"))
    end },

    { "keeps what came of the only picture", function()
        local messages = setup { params = { model = "emulate/damaged" } }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien boat"
        await_all()
        equal({ "boat.png.part" }, vim.fn.readdir(vim.env.WORK, [[v:val =~ "boat"]]))
        equal({ "" }, lines())
        matches("bad_response: image 1 has a character that is not base64", messages[#messages][1])
    end },

    { "keeps a picture whose folder went away", function()
        local messages = setup { folder = "going", params = slow(0.3) }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a kite"
        vim.fn.delete(vim.env.WORK .. "/going", "rf")
        await_all()
        matches("saved in ", messages[2][1])
        local rescued = vim.fn.stdpath "data" .. "/thucchien/a-kite.png"
        assert(read(rescued) == read(vim.env.PICTURE))
        equal({ "![a kite](" .. rescued .. ")" }, lines())
    end },

    { "refuses options that it does not know", function()
        for pattern, options in pairs {
            ["unknown option 'api_key' %(there are client, "] = { api_key = "x" },
            ["option 'folder': string or function expected, got number"] = { folder = 5 },
            ["'sink' is not for setup"] = { params = { sink = print } },
        } do
            local ok, message = pcall(plugin().setup, options)
            assert(not ok)
            matches(pattern, message)
        end
        local messages = setup { client = { timeout = "soon" } }
        edit({ "" }, 1, 0)
        vim.cmd "Thucchien a kite"
        matches("timeout", messages[1][1])
    end },

    { "leaves no handle behind after detach and close", function()
        local thucchien = assert(plugin().load())
        local attach = require("thucchien.uv").attach
        for _, how in ipairs { "detach", "close", "detach in flight" } do
            local list, finished = {}, 0
            local client = assert(thucchien.new())
            local detach = attach(client, noting(list))
            for _ = 1, 3 do
                local model = "emulate/slow/" .. (how == "detach" and 0.1 or 30)
                client:submit({ prompt = "x", model = model }, function()
                    finished = finished + 1
                end)
            end
            await(function()
                return #list >= 4 and (finished == 3 or how ~= "detach")
            end)
            if how == "close" then
                assert(count_open(list) >= 3)
                client:close()
                await(function()
                    return finished == 3
                end)
            else
                detach()
            end
            equal(0, count_open(list))
            client:close()
        end
    end },

    { "does not mix with the system's lua-cjson", function()
        setup()
        local directory = vim.fn.glob("/usr/lib/" .. uv.os_uname().machine .. "-*/lua/5.1")
        package.cpath = package.cpath .. ";" .. directory .. "/?.so"
        local json = require "cjson.safe" -- as another plugin may have done
        edit({ "" }, 1, 0)
        for i = 1, 20 do
            vim.cmd("Thucchien " .. ("kite "):rep(i * 40))
            await_all()
        end
        equal(json, package.loaded["cjson.safe"])
        equal(20, select(2, table.concat(lines(), "\n"):gsub("!%[kite", "")))
    end },

    { "answers checkhealth without the key", function()
        vim.cmd "checkhealth thucchien"
        local text = table.concat(lines(), "\n")
        for _, pattern in ipairs { "thucchien %d+%.%d+%.%d+ from .-lua/thucchien%.so", "LuaJIT", "libcurl",
            "API key: from %$THUCCHIEN_API_KEY", "gateway reachable: http://127%.0%.0%.1" } do
            matches(pattern, text)
        end
        assert(not text:find(vim.env.THUCCHIEN_API_KEY, 1, true), "the key is shown")
        vim.env.THUCCHIEN_API_KEY = nil
        plugin().setup { client = { base_url = "http://127.0.0.1:9" } }
        vim.cmd "checkhealth thucchien"
        text = table.concat(lines(), "\n")
        matches("no API key", text)
        matches("gateway not reachable: http://127%.0%.0%.1:9", text)
    end },

    { "has help without duplicate tags", function()
        local doc = vim.env.WORK .. "/doc"
        vim.fn.mkdir(doc)
        assert(uv.fs_copyfile(vim.env.PLUGIN .. "/doc/thucchien.txt", doc .. "/thucchien.txt"))
        vim.cmd("helptags " .. doc) -- raises for duplicates
        vim.opt.runtimepath:prepend(vim.env.WORK)
        local text = read(doc .. "/thucchien.txt")
        for tag in text:gmatch "|([^%s|]+)|" do
            assert(pcall(vim.cmd, "help " .. tag), "no help for |" .. tag .. "|")
        end
        for line in text:gmatch "[^\n]+" do
            assert(vim.fn.strdisplaywidth(line) <= 78, line)
        end
    end },

    { "quits at once with a request in flight", function()
        edit({ "" }, 1, 0)
        setup { params = slow(30) }
        vim.cmd "Thucchien one"
        vim.wait(200)
        equal(1, plugin().pending())
        vim.bo.modified = false
        -- The spec's clock is the same one: both are the system's monotonic clock.
        io.stderr:write(("\nquitting at %.3f\n"):format(uv.hrtime() / 1e9))
        vim.cmd "qa"
    end },
}
