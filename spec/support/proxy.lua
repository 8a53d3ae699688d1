-- tinyproxy as a process of the specs: a proxy of another maker's.
--
--     local proxy = require("spec.support.proxy").start { user = "joe", password = "hunter2" }
--     thucchien.new { proxy = proxy.url, … }

local command = require "spec.support.command"
local daemon = require "spec.support.daemon"

local support = {}

---What is missing, or nil.
---@return string?
function support.missing()
    for _, name in ipairs { "tinyproxy", "bash" } do
        if not daemon.find(name) then
            return "there is no " .. name
        end
    end
    return nil
end

---@class spec.proxy.options
---@field user? string
---@field password? string
---@field connect_ports? integer[]  # all, if not given

---@param options? spec.proxy.options
---@return table process            # url, host, log(), seen(pattern), stop()
function support.start(options)
    options = options or {}
    local directory, port = command.new_directory(), daemon.ports(1)[1]
    local lines = {
        "Port " .. port, "Listen 127.0.0.1", "Allow 127.0.0.1", "LogLevel Connect", "MaxClients 20", "Timeout 60",
        'LogFile "' .. directory .. '/log"', "XTinyproxy Yes",
    }
    if options.user then
        lines[#lines + 1] = ("BasicAuth %s %s"):format(options.user, options.password)
    end
    for _, connect_port in ipairs(options.connect_ports or {}) do
        lines[#lines + 1] = "ConnectPort " .. connect_port
    end
    command.write(directory .. "/conf", table.concat(lines, "\n") .. "\n")
    local host = "127.0.0.1:" .. port
    local url = "http://" .. host
    local started = daemon.start("tinyproxy", url, port, { daemon.find "tinyproxy", "-d", "-c", directory .. "/conf" }, directory)
    local proxy = { url = url, host = host }

    function proxy.log()
        return command.read(directory .. "/log") or ""
    end

    ---How often the log has the pattern.
    function proxy.seen(self, pattern)
        return select(2, self:log():gsub(pattern, ""))
    end

    function proxy.stop()
        started:stop()
    end

    return proxy
end

return support
