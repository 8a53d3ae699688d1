--- The README and the pages of doc/ keep their word: every ```lua block, and every ```sh block that
-- calls the command, runs as it stands against the emulator. Other fences (console, c) only show
-- what things look like.

local lfs = require "lfs"
local command = require "spec.support.command"
local fixtures = require "spec.support.fixtures"

local root, lua, quote = command.root, command.lua, command.quote
local read, write = command.read, command.write

--- The fenced blocks of a page: { language, text, line }.
local function fenced_blocks(page)
    local blocks, open, number = {}, nil, 0
    for line in page:gmatch "([^\n]*)\n" do
        number = number + 1
        local language = line:match "^```(%w*)"
        if language and open then
            blocks[#blocks + 1], open = open, nil
        elseif language then
            open = { language = language, text = "", line = number }
        elseif open then
            open.text = open.text .. line .. "\n"
        end
    end
    assert(not open, "a fence is not closed")
    return blocks
end

--- The anchors of a page's headings, as GitHub makes them.
local function headings(page)
    local anchors = {}
    for title in ("\n" .. page):gmatch "\n#+ ([^\n]+)" do
        anchors[(title:lower():gsub("[^%w%s-]", ""):gsub("%s", "-"))] = true
    end
    return anchors
end

local function calls_the_command(text)
    return ("\n" .. text):find "[\n|;&]%s*thucchien%s" ~= nil
end

--- The Markdown files of the checkout that people read, by their paths in it.
local function find_pages()
    local pages = { "README.md", "README.vi.md", "CONTRIBUTING.md", "SECURITY.md" }
    for _, folder in ipairs { "doc/", "doc/vi/" } do
        for name in lfs.dir(root .. "/" .. folder) do
            if name:find "%.md$" then
                pages[#pages + 1] = folder .. name
            end
        end
    end
    table.sort(pages)
    return pages
end

describe("the documentation", function()
    local page = read(root .. "/README.md")
    local emulator, directory

    --- Runs a shell line in the temporary directory. Returns whether it succeeded, and what it
    -- printed.
    local function shell(line)
        local environment = ("PATH=%s:$PATH THUCCHIEN_BASE_URL=%s THUCCHIEN_API_KEY=sk-readme")
            :format(quote(directory .. "/bin"), quote(emulator.url))
        local status = command.execute(("cd %s && export %s && %s >output 2>&1 </dev/null")
            :format(quote(directory), environment, line))
        return status == 0, read(directory .. "/output")
    end

    fixtures.emulator(function(started) emulator = started end)

    before_each(function()
        directory = command.new_directory()
        assert(lfs.mkdir(directory .. "/bin"))
        write(directory .. "/bin/thucchien", ("#!/bin/sh\nexec %s %s \"$@\"\n"):format(
            lua, quote(root .. "/bin/thucchien")))
        os.execute("chmod +x " .. quote(directory .. "/bin/thucchien"))
    end)

    after_each(function()
        command.remove_directory(directory)
    end)

    --- Runs a Lua program with the module of this checkout.
    local function run_lua(text)
        -- The paths that bin/thucchien would set, after those that are there already.
        local abi = jit and "luajit" or "lua" .. _VERSION:match "%d+%.%d+"
        local paths = ("package.cpath = package.cpath .. ';%s/build/%s/?.so' "):format(root, abi)
        write(directory .. "/snippet.lua", paths .. text)
        return shell(lua .. " snippet.lua")
    end

    local examples = 0
    for _, path in ipairs(find_pages()) do
        for _, block in ipairs(fenced_blocks(read(root .. "/" .. path))) do
            local place = ("%s, line %d"):format(path, block.line)
            if block.language == "lua" then
                examples = examples + 1
                it("runs the Lua of " .. place, function()
                    local ok, output = run_lua(block.text)
                    assert.is_true(ok, output)
                end)
            elseif block.language == "sh" and calls_the_command(block.text) then
                examples = examples + 1
                it("runs the commands of " .. place, function()
                    write(directory .. "/snippet.sh", "set -e\n" .. block.text)
                    local ok, output = shell "sh snippet.sh"
                    assert.is_true(ok, output)
                end)
            end
        end

        it("links to files and headings that are there, in " .. path, function()
            local folder = path:match "^(.*/)" or ""
            for target, anchor in read(root .. "/" .. path):gmatch "%]%(([%w_./-]*)#?([%w-]*)%)" do
                local file = root .. "/" .. (target == "" and path or folder .. target)
                assert.is_truthy(lfs.attributes(file, "mode"), target .. " is missing")
                if anchor ~= "" then
                    assert.is_true(headings(read(file))[anchor], target .. "#" .. anchor .. " is missing")
                end
            end
        end)
    end

    it("has examples", function()
        assert.is_true(examples >= 12)
    end)

    it("has a README of fewer than 250 lines, which begins with a picture", function()
        local _, lines = page:gsub("\n", "")
        assert.is_true(lines < 250)
        local path = page:match "!%[[^%]]+%]%(([^)]+)%)"
        assert.are.equal("\137PNG", read(root .. "/" .. path):sub(1, 4))
    end)

    it("has a table of contents with every page", function()
        for _, path in ipairs(find_pages()) do
            local folder, name = path:match "^(doc/.-)([^/]+)$"
            if folder and name ~= "README.md" then
                local contents = read(root .. "/" .. folder .. "README.md")
                assert.is_truthy(contents:find("](" .. name .. ")", 1, true), path .. " is not in it")
            end
        end
    end)

    --- What two languages have in common: levels of headings, rows of tables, items of lists,
    --- pictures, and code to the letter but for its comments.
    local function structure(text)
        local parts = {}
        for line in text:gsub("\n```.-\n```", function(code)
            parts[#parts + 1] = code
            return ""
        end):gmatch "[^\n]+" do
            local code = line:match "^    %s*[^#]+"
            local mark = line:match "^#+ " or line:match "^|" or line:match "^%- " or line:match "^!%["
            parts[#parts + 1] = code and code:gsub("%s+$", "") or mark
        end
        return parts
    end

    it("says the same in both languages", function()
        assert.are.same(structure(page), structure(read(root .. "/README.vi.md")))
        local kinds = {}
        for index, path in ipairs { "doc/errors.md", "doc/vi/errors.md" } do
            kinds[index] = {}
            for kind in read(root .. "/" .. path):match("| `err%.kind` .*"):gmatch "\n| `([%l_]+)` |" do
                table.insert(kinds[index], kind)
            end
        end
        assert.are.same(kinds[1], kinds[2])
    end)

    it("saves the first example's picture", function()
        for _, block in ipairs(fenced_blocks(page)) do
            if block.language == "lua" then
                local ok, output = run_lua(block.text)
                assert.is_true(ok, output)
                assert.is_truthy(output:find "^lighthouse%.png%s+%d+%s+%d+")
                assert.are.equal("\137PNG", read(directory .. "/lighthouse.png"):sub(1, 4))
                return
            end
        end
    end)

    it("shows the messages that the module really gives", function()
        local _, output = run_lua [[
            local _, err = require("thucchien").generate { prompt = "x", aspectratio = "16:9" }
            print(err)
            local busy = { prompt = "x", model = "emulate/429", retry = "none" }
            _, err = require("thucchien").generate(busy)
            print(err.kind, err)
        ]]
        local shown = page:match "print%(err%)%s+%-%-> ([^\n]+)"
        assert.is_truthy(output:find(shown, 1, true), output)
        assert.is_truthy(output:find("rate_limit\t", 1, true), output)
    end)

    it("lists every error kind of the definitions, and no other", function()
        local defined, listed = {}, {}
        local definitions = read(root .. "/lua/thucchien/meta.d.lua")
        for kind in definitions:gmatch '%-%-%-| "([%w_]+)"' do
            defined[#defined + 1] = kind
        end
        for row in read(root .. "/doc/errors.md"):match("| `err%.kind` .*"):gmatch "\n|%s*([^|]+)|" do
            for kind in row:gmatch "`([%l_]+)`" do
                listed[#listed + 1] = kind
            end
        end
        table.sort(defined)
        table.sort(listed)
        assert.are.same(defined, listed)
        assert.is_true(#defined > 10)
    end)
end)
