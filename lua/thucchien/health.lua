-- What :checkhealth thucchien says.

-- luacheck: globals vim

local plugin = require "thucchien.nvim"

local uv = vim.uv or vim.loop

-- Before Neovim 0.8 it is a module of its own; before 0.10 its functions have longer names.
local report = vim.health or require "health"
local start = report.start or report.report_start
local ok = report.ok or report.report_ok
local info = report.info or report.report_info
local warn = report.warn or report.report_warn
local problem = report.error or report.report_error

local DEFAULT_BASE_URL = "https://api.thucchien.ai"
local CONNECT_MILLISECONDS = 3000

local health = {}

-- The file that require "thucchien" takes: Neovim looks in 'runtimepath' before package.cpath.
local function module_file()
    local pattern = package.cpath:match "%?%.%a+"
    local suffix = pattern and pattern:sub(2) or ".so"
    return vim.api.nvim_get_runtime_file("lua/thucchien" .. suffix, false)[1]
        or package.searchpath("thucchien", package.cpath)
end

---@return thucchien?
local function check_module()
    start "thucchien: module"
    info(("Neovim runs %s, whose modules are built for Lua 5.1 or LuaJIT"):format(
        jit and jit.version or _VERSION))
    local thucchien, message = plugin.load()
    if not thucchien then
        problem(message, { "run `make nvim` in " .. plugin.root() .. " and start Neovim anew" })
        return nil
    end
    ok(("%s from %s"):format(thucchien._VERSION, module_file() or "inside Neovim"))
    ok(thucchien.libcurl or "libcurl, of an unknown version")
    return thucchien
end

-- Says whether there is a key, never which.
local function check_key(options)
    local key = options.api_key
    if type(key) == "function" then
        -- Not called here: it may ask for a password.
        ok "API key: from the function in setup"
    elseif key then
        ok "API key: from setup"
    elseif (os.getenv "THUCCHIEN_API_KEY" or "") ~= "" then
        ok "API key: from $THUCCHIEN_API_KEY"
    else
        problem("no API key", { "set $THUCCHIEN_API_KEY before Neovim starts",
            "or give setup a function: see :help thucchien-key" })
    end
end

-- "https://host:port/path" in parts.
local function parse(url)
    local scheme, authority = url:match "^(https?)://([^/?#]+)"
    if not scheme then
        return nil
    end
    authority = authority:gsub("^.*@", "")
    local host, port = authority:match "^%[(.-)%]:?(%d*)$"
    if not host then
        host, port = authority:match "^([^:]+):?(%d*)$"
    end
    return host, tonumber(port) or (scheme == "https" and 443 or 80)
end

local function connect(address, port, done)
    local socket = uv.new_tcp()
    socket:connect(address, port, function(failed)
        socket:close()
        done(failed)
    end)
    return socket
end

-- Whether somebody listens at an address, in a limited time. Nothing is sent, least of all a key.
---@return string? why it is not reachable
local function unreachable(host, port)
    local finished, failure, socket = false, nil, nil
    local function finish(failed)
        finished, failure = true, failed
    end
    local query = uv.getaddrinfo(host, nil, { socktype = "stream" }, function(failed, found)
        if finished then
            return -- too late
        elseif failed or not found[1] then
            finish(failed or "no address")
        else
            socket = connect(found[1].addr, port, finish)
        end
    end)
    if not vim.wait(CONNECT_MILLISECONDS, function() return finished end, 10) then
        finish(("no answer in %g s"):format(CONNECT_MILLISECONDS / 1000))
        if socket and not socket:is_closing() then
            socket:close()
        elseif query then
            query:cancel()
        end
    end
    return failure
end

local function proxy_of(options, url)
    local scheme = url:match "^%a+"
    return options.proxy or os.getenv(scheme .. "_proxy") or os.getenv(scheme:upper() .. "_PROXY")
        or os.getenv "all_proxy" or os.getenv "ALL_PROXY"
end

local function check_gateway(options)
    local url = options.base_url or os.getenv "THUCCHIEN_BASE_URL"
    url = url and url ~= "" and url or DEFAULT_BASE_URL
    local host, port = parse(url)
    if not host then
        problem("the address of the gateway is no http or https URL: " .. url)
        return
    end
    local where = ("%s (port %d of %s)"):format(url:gsub("//[^/]*@", "//"), port, host)
    local why = unreachable(host, port)
    if not why then
        ok("gateway reachable: " .. where)
    elseif proxy_of(options, url) then
        info("gateway not reachable without the proxy: " .. where .. ": " .. why)
    else
        warn("gateway not reachable: " .. where .. ": " .. why,
            { "look at the network, a proxy (http_proxy, https_proxy), and base_url" })
    end
end

function health.check()
    local thucchien = check_module()
    local options = plugin.settings().client or {}
    start "thucchien: gateway"
    if thucchien then
        local client, err = thucchien.new(options)
        if client then
            client:close()
        else
            problem("setup: " .. tostring(err))
        end
    end
    check_key(options)
    check_gateway(options)
end

return health
