-- Starts the mirror, a server that answers what the request itself asks for: see mirror_server.lua.
--
--     local mirror = require("spec.support.mirror").start()
--     client:generate { prompt = "x", extra_body = { mirror = { status = 500, body = "…" } } }

local process = require "spec.support.process"

local support = {}

---@param certificate? string  # paths: speaks TLS with them
---@param key? string
---@return table process  # url, log(), await(pattern), stop()
function support.start(certificate, key)
    return process.start("the mirror", { "luajit", "spec/support/mirror_server.lua", certificate, key })
end

---How many requests of `id` the mirror saw.
---@param mirror table
---@param id string
---@return integer
function support.count(mirror, id)
    local count = 0
    for line in mirror:log():gmatch "[^\n]+" do
        local this_id = line:match "^request (%S+) %d+$"
        count = count + (this_id == id and 1 or 0)
    end
    return count
end

return support
