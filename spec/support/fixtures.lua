-- What specs have around them, set up before and taken away after. Each is called in a spec file or in one of its
-- `describe`s, and hands out what it has set up to a function:
--
--     local mirror, client, directory
--     fixtures.client(function(...) mirror, client = ... end, { timeout = 5 })
--     fixtures.directory(function(path) directory = path end)

local busted = require "busted"
local command = require "spec.support.command"
local emulators = require "spec.support.emulator"
local mirrors = require "spec.support.mirror"

local fixtures = {}

-- A server for all specs, and a client of it if `options` are given.
local function serve(start, take, options)
    local server, client
    busted.setup(function()
        server = start()
        -- Loaded here: specs of the emulator alone need no C module.
        client = options and require("spec.support.requests").client(server, options)
        take(server, client)
    end)
    busted.teardown(function()
        if client then
            client:close()
        end
        server:stop()
    end)
end

---The mirror, one for all specs.
---@param take fun(mirror: table)
function fixtures.mirror(take)
    serve(mirrors.start, take)
end

---The mirror and a client of it, for all specs.
---@param take fun(mirror: table, client: thucchien.client)
---@param options? table  # of the client
function fixtures.client(take, options)
    serve(mirrors.start, take, options or {})
end

---The emulator, one for all specs.
---@param take fun(emulator: table)
function fixtures.emulator(take)
    serve(emulators.start, take)
end

---The emulator and a client of it, for all specs.
---@param take fun(emulator: table, client: thucchien.client)
---@param options? table  # of the client
function fixtures.emulator_client(take, options)
    serve(emulators.start, take, options or {})
end

---A directory, a new one for each spec.
---@param take fun(path: string)
function fixtures.directory(take)
    local path
    busted.before_each(function()
        path = command.new_directory()
        take(path)
    end)
    busted.after_each(function()
        command.remove_directory(path)
    end)
end

return fixtures
