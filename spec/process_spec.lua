-- The process that the module lives in: what it exports, its locale, its globals, and which Lua it is.

local lfs = require "lfs"
local command = require "spec.support.command"
local mirrors = require "spec.support.mirror"
local requests = require "spec.support.requests"

local KEY = requests.KEY
local IS_51 = _VERSION == "Lua 5.1" and not jit

local mirror, directory

setup(function()
    mirror = mirrors.start()
    directory = command.new_directory()
end)

teardown(function()
    mirror:stop()
    command.remove_directory(directory)
end)

-- What every program below begins with.
local PRELUDE = [[
    local function dump(value)
        if type(value) ~= "table" then
            return type(value) == "string" and ("%q"):format(value) or type(value) == "number" and ("%.17g"):format(value):gsub("[^%w+.-]+", ".")
                or tostring(value)
        end
        local names, parts = {}, {}
        for name in next, value do names[#names + 1] = name end
        table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
        for i, name in ipairs(names) do parts[i] = dump(name) .. "=" .. dump(value[name]) end
        return "{" .. table.concat(parts, ",") .. "}"
    end
]]

-- Runs a program in a process of its own and returns what it printed, all but the last line's end.
local function run(code, variables, lua)
    local words = {}
    variables = variables or {}
    variables.THUCCHIEN_API_KEY, variables.THUCCHIEN_BASE_URL = KEY, mirror.url
    for name, value in pairs(variables) do
        words[#words + 1] = name .. "=" .. command.quote(value)
    end
    command.write(directory .. "/program.lua", PRELUDE .. code)
    local pipe = assert(io.popen(("env %s %s %s 2>&1"):format(table.concat(words, " "), lua or command.lua, directory .. "/program.lua")))
    local printed = pipe:read "*a"
    pipe:close()
    return (printed:gsub("\n$", ""))
end

-- Where this module is, as a template for package.cpath.
local function module_template()
    for template in package.cpath:gmatch "[^;]+" do
        local path = template:gsub("%?", "thucchien")
        if lfs.attributes(path, "mode") == "file" then
            return template:sub(1, 1) == "/" and template or command.root .. "/" .. template
        end
    end
end

local function has(program)
    return command.execute("command -v " .. program .. " >/dev/null 2>&1") == 0
end

-- A library whose functions, of these names, end the process. Returns what has a program load it for all to see.
local function occupy(names)
    local lines = { "#include <stdlib.h>" }
    for _, name in ipairs(names) do
        lines[#lines + 1] = ("void %s(void);\nvoid %s(void) { abort(); }"):format(name, name)
    end
    local path = directory .. "/" .. table.concat(names, "-")
    command.write(path .. ".c", table.concat(lines, "\n") .. "\n")
    assert(command.execute(("cc -shared -fPIC -o %s.so %s.c"):format(path, path)) == 0)
    if IS_51 then
        return "", { LD_PRELOAD = path .. ".so" }
    end
    return ("assert(package.loadlib(%q, '*'))\n"):format(path .. ".so"), {}
end

-- Draws, and shows numbers that went there and came back.
local DRAW = [[
    local client = assert(require("thucchien").new { max_retries = 0 })
    local response, err = client:generate { prompt = "xé\n\"\\\1", extra_body = { guidance = 7.5 } }
    print(response and response.echo.body:match('"guidance":([^,}]+)') or tostring(err))
    response, err = client:generate { prompt = "x", extra_body = { mirror = { body =
        '{"data":[{"b64_json":"QUJD","score":0.25}],"made":{"in":[1.5,2]}}' } } }
    print(response and dump { response.data[1].score, response.made, response.data[1].bytes } or tostring(err))
]]
local DRAWN = "7.5\n" .. '{1=0.25,2={"in"={1=1.5,2=2}},3="ABC"}'

describe("a process that exports names of lua-cjson's", function()
    it("draws all the same", function()
        for _, names in ipairs { { "strbuf_free" }, { "strbuf_init", "strbuf_resize" }, { "fpconv_strtod" }, { "fpconv_g_fmt" } } do
            local code, variables = occupy(names)
            assert.equal(DRAWN, run(code .. DRAW, variables))
        end
    end)

    local DOCUMENTS = {
        '{}', '[]', ' { "a" : [ ] , "b" : { } } ', '{"a":null,"b":[null,1,null]}', '{"a":true,"b":false}',
        '[0,-0,1,-1,12345678901234567890,0.1,-0.5,1e5,1E+5,1.5e-7,0e0,4.9e-324,1.7976931348623157e308,9007199254740993]',
        '[' .. ("1"):rep(90) .. '.' .. ("2"):rep(90) .. 'e-80,0.' .. ("0"):rep(200) .. '1]',
        [==["\"\\\/\b\f\n\r\t\u0000\u0041\u00e9\u20ac\ud83d\ude00\uD83D\uDE00é€😀"]==],
        [==["\u0001\u007f\u0080\u07ff\u0800\uffff"]==], [==[{"\u0061\n":1,"":2,"a b":{"":[]}}]==],
        '{"a":1,"a":2}', ("["):rep(500) .. ("]"):rep(500), ('{"a":'):rep(400) .. "1" .. ("}"):rep(400),
        '"' .. ("long \\n"):rep(5000) .. '"', '"' .. ("x"):rep(30000) .. '"', '\t\r\n [ 1 ,\n2 ] \n',
    }

    it("reads what lua-cjson reads", function()
        local lines = { 'local client = assert(require("thucchien").new { max_retries = 0 })' }
        for _, document in ipairs(DOCUMENTS) do
            lines[#lines + 1] = ("print(dump { client:call { path = '/x', body = { mirror = { body = %q } } } })"):format(
                '{"value":' .. document .. "}")
        end
        local code, variables = occupy { "strbuf_free" }
        local program = table.concat(lines, "\n")
        local theirs, ours = run(program), run(code .. program, variables)
        assert.equal(theirs, ours)
        assert.equal(#DOCUMENTS, select(2, ours:gsub('"value"=', "")))
    end)

    it("writes what lua-cjson writes", function()
        local program = [[
            local client = assert(require("thucchien").new { max_retries = 0 })
            local all = {}
            for code = 1, 127 do all[code] = string.char(code) end
            local deep = {}
            for _ = 1, 90 do deep = { deep } end
            local function nothing() end
            for _, value in ipairs {
                { 1, 2.5, -3, 1e300, 1e-300, 0.1, 1 / 3, 2 ^ 53, -2 ^ 53, 123456789.125 }, { true, false }, { "" }, { {} }, { a = {} },
                { table.concat(all) .. "\0é€😀", ("x\n"):rep(5000) }, deep, { nil, 1, nil, 2 }, { [1] = 1, [3] = 3 },
                { [0] = 1 }, { [-1] = 1 }, { [1.5] = 1 }, { 1, x = 2 }, { [10] = 1 }, { [11] = 1 }, { [1] = 1, [100] = 1 },
                { [true] = 1 }, { nothing }, { 1 / 0 }, { 0 / 0 }, { x = { y = { z = "\127" } } }, { print = io.stdout },
            } do
                local answer, err = client:call { path = "/x", body = { value = value } }
                print(answer and answer.echo.body or err.kind)
            end
        ]]
        local code, variables = occupy { "strbuf_free" }
        -- The text itself may differ: "\/", the order of names, digits.
        local function meanings(printed)
            local list = {}
            for line in (printed .. "\n"):gmatch "(.-)\n" do
                list[#list + 1] = line
            end
            return list
        end
        local theirs, ours = meanings(run(program)), meanings(run(code .. program, variables))
        assert.equal(#theirs, #ours)
        local cjson = require "cjson"
        for i, line in ipairs(ours) do
            if line:sub(1, 1) == "{" then
                assert.same(cjson.decode(theirs[i]), cjson.decode(line))
            else
                assert.equal(theirs[i], line)
            end
        end
        assert.equal(22, #ours)
    end)

    it("may be Neovim, whose null is a value of its own", function()
        local code, variables = occupy { "strbuf_free" }
        assert.equal('{"value":[1,null,null]}', run(code .. [[
            vim = { NIL = io.stdout }
            local client = assert(require("thucchien").new { max_retries = 0 })
            print(client:call({ path = "/x", body = { value = { 1, vim.NIL, vim.NIL } } }).echo.body)
        ]], variables))
    end)

    it("may be LuaTeX", function()
        local built = _VERSION == "Lua 5.3"
        if not built or not has "texlua" then
            return pending "needs texlua, and the module for Lua 5.3"
        end
        local prelude = ("package.cpath = %q .. ';/usr/lib/x86_64-linux-gnu/lua/5.3/?.so'\n"):format(module_template())
        assert.equal(DRAWN, run(prelude .. DRAW, nil, "texlua"))
    end)
end)

describe("a locale with another decimal point", function()
    -- Locales of the specs' own: they need no others. glibc leaks some bytes of LOCPATH.
    local variables = { ASAN_OPTIONS = "detect_leaks=0" }

    local function make_locale(name, point)
        command.write(directory .. "/" .. name .. ".src",
            ('LC_NUMERIC\ndecimal_point "%s"\nthousands_sep ""\ngrouping -1\nEND LC_NUMERIC\n'):format(point))
        command.execute(("localedef -c -f UTF-8 -i %s/%s.src %s/%s >/dev/null 2>&1"):format(directory, name, directory, name))
        variables.LOCPATH = directory
        return run(("print(os.setlocale(%q, 'numeric'))"):format(name), variables) == name
    end

    local SET, RESET = "assert(os.setlocale(%q, 'numeric'))\n", "assert(os.setlocale('C', 'numeric'))\n"
    local REQUIRE = "local thucchien = require 'thucchien'\n"

    for name, point in pairs { comma = ",", arab = "<U066B>" } do
        it("is no matter, whenever it is set: " .. name, function()
            if not make_locale(name, point) then
                return pending "localedef makes no locales here"
            end
            local set = SET:format(name)
            for _, order in ipairs {
                REQUIRE .. set .. DRAW, set .. DRAW, set .. REQUIRE .. RESET .. DRAW, REQUIRE .. set .. DRAW:gsub("print", RESET .. "print", 1),
                REQUIRE .. "require('cjson.safe').new()\n" .. set .. (name == "comma" and "require('cjson.safe').new()\n" or "") .. DRAW,
            } do
                assert.equal(DRAWN, run(order, variables))
            end
        end)
    end
end)

describe("a strict _G", function()
    local STRICT = [[
        setmetatable(_G, {
            __index = function(_, name) error("undeclared variable " .. tostring(name), 2) end,
            __newindex = function(_, name) error("assignment to undeclared variable " .. tostring(name), 2) end,
        })
    ]]

    it("is asked for nothing that it has not", function()
        assert.equal(DRAWN, run(STRICT .. DRAW))
        local code, variables = occupy { "strbuf_free" }
        assert.equal(DRAWN, run(code .. STRICT .. DRAW, variables))
        assert.equal("table", run(STRICT .. [[
            local client = assert(require("thucchien").new())
            local response
            coroutine.wrap(function() response = client:submit("x"):await() end)()
            while client:poll(0.05) > 0 do end
            print(type(response))
        ]]))
    end)

    it("bears the Lua modules too", function()
        local programs = {
            ["thucchien.emulator"] = true, ["thucchien.cli"] = true, ["thucchien.uv"] = "luv", ["thucchien.cqueues"] = "cqueues",
        }
        for name, needed in pairs(programs) do
            if needed == true or command.has_module(needed) then
                local code = needed == true and "" or ("require %q\n"):format(needed) -- which may not bear it itself
                assert.equal("table", run(code .. STRICT .. ("print(type(require %q))"):format(name)))
            end
        end
        if command.has_module "luv" then
            assert.equal("function", run("require 'luv'\n" .. STRICT .. [[
                print(type(require("thucchien.uv").attach(assert(require("thucchien").new()))))
            ]]))
        end
    end)
end)

describe("a sandbox", function()
    it("may have no require any more", function()
        local LOAD = "local require = require\n"
        for _, code in ipairs {
            "require 'cjson.safe'\n" .. LOAD .. "_G.require = nil\n",
            LOAD .. "_G.require, _G.package = nil, nil\n",
            LOAD .. "local loaded = require 'cjson.safe'\npackage.loaded['cjson.safe'] = nil\n"
                .. "package.preload['cjson.safe'] = function() return loaded end\n_G.require, package.cpath = nil, package.cpath\n",
            LOAD .. "_G.coroutine = nil\n",
        } do
            assert.equal(DRAWN, run(code .. DRAW))
        end
    end)

    it("may have coroutines of its own", function()
        assert.equal("mine\ttable", run [[
            local theirs, used = coroutine, nil
            coroutine = setmetatable({ yield = function(...) used = "mine" return theirs.yield(...) end }, { __index = theirs })
            local client, response = assert(require("thucchien").new()), nil
            coroutine.wrap(function() response = client:submit("x"):await() end)()
            while client:poll(0.05) > 0 do end
            print(used, type(response))
        ]])
    end)

    it("may have no lua-cjson, or something else of that name", function()
        for _, code in ipairs {
            "package.loaded['cjson.safe'] = true\n", "package.loaded['cjson.safe'] = {}\n",
            "package.loaded['cjson.safe'] = { new = function() error 'no' end }\n",
            "package.loaded['cjson.safe'] = { new = function() return {} end }\n",
            "package.preload['cjson.safe'] = function() error 'not here' end\n",
        } do
            assert.equal(DRAWN, run(code .. DRAW))
        end
    end)
end)

describe("a scheduler that resumes whatever has yielded at once", function()
    -- Has `count` early resumes, after each of which `rest` is done, and then the answer. Returns what is printed.
    local function await(count, rest, more, hold)
        return run(([[
            local thucchien = require "thucchien"
            local function draw(client, count)
                local response
                local thread = coroutine.create(function()
                    local request = client:submit { prompt = "x", extra_body = { mirror = { hold = %g, body = '{"data":[{"b64_json":"QUJD"}]}' } } }
                    response = request:await()
                end)
                for _ = 1, count do
                    if coroutine.status(thread) == "dead" then break end -- the answer has come, on a slow machine
                    assert(coroutine.resume(thread))
                    %s
                end
                while client:poll(0.1) > 0 do end
                print(response.data[1].bytes)
            end
            local client = assert(thucchien.new())
            draw(client, %d)
            %s
        ]]):format(hold or 0.4, rest or "", count, more or ""))
    end

    it("is told of the core that it keeps busy, once for each client, and the answer comes", function()
        local printed = await(20000, nil, "draw(client, 20000)\n draw(assert(thucchien.new()), 20000)")
        assert.equal(3, select(2, printed:gsub("ABC", "")))
        assert.equal(2, select(2, printed:gsub("thucchien: request:await%(%) is resumed again and again[^\n]+set_driver", "")))
        assert.equal(4, select(2, printed:gsub("\n", "")))
    end)

    it("is told nothing where it takes its time", function()
        assert.equal("ABC", await(500))
        assert.equal("ABC", await(1100, "client:poll(0.001)", "", 3))
    end)
end)

describe("a state that is closed", function()
    -- Lua 5.1 and LuaJIT unload lua-cjson's library before they call the finalizer.
    it("finalizes what was there before the module, which may still submit", function()
        assert.equal("true\nsubmitted", run([[
            local thucchien
            local function submit()
                io.stdout:write(tostring(thucchien.new():submit "x" ~= nil), "\nsubmitted")
            end
            if newproxy then
                EARLY = newproxy(true)
                getmetatable(EARLY).__gc = submit
            else
                EARLY = setmetatable({}, { __gc = submit })
            end
            thucchien = require "thucchien"
        ]], { ASAN_OPTIONS = "detect_leaks=0" })) -- Lua finalizes nothing that is made so late
    end)
end)

describe("another Lua than the one it was built for", function()
    it("is told which it is", function()
        local template, built = module_template(), jit and "Lua 5.1 or LuaJIT" or _VERSION
        if built == "Lua 5.1" then
            built = "Lua 5.1 or LuaJIT"
        end
        local tried = 0
        for lua, name in pairs { ["lua5.1"] = "Lua 5.1", ["lua5.2"] = "Lua 5.2", ["lua5.3"] = "Lua 5.3", ["lua5.4"] = "Lua 5.4",
            luajit = "LuaJIT", texlua = "Lua 5.3" } do
            if has(lua) and not built:find(name, 1, true) then
                local printed = run(([[
                    package.cpath = %q .. ";" .. package.cpath
                    print(select(2, pcall(require, "thucchien")))
                ]]):format(template), nil, lua)
                if not printed:find("ASan runtime", 1, true) then -- which another Lua has not
                    tried = tried + 1
                    assert.equal(("thucchien: built for %s, this is %s"):format(built, name), printed)
                end
            end
        end
        if tried == 0 then
            pending "there is no other Lua"
        end
    end)
end)
