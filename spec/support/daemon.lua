-- Starts servers that others wrote, as real processes: each with a directory of its own, on free ports, and gone
-- when the specs are. Their packages may be missing: see `find`.

local process = require "spec.support.process"

local daemon = {}

---Where a command is, or nil.
---@param name string
---@return string?
function daemon.find(name)
    local pipe = assert(io.popen("PATH=$PATH:/usr/sbin:/sbin command -v " .. name))
    local path = pipe:read "*l"
    pipe:close()
    return path
end

---Ports that nobody listens on, a moment ago.
---@param count integer
---@return integer[]
function daemon.ports(count)
    local pipe = assert(io.popen(([[luajit -e '
        local socket, held = require "cqueues.socket", {}
        for i = 1, %d do
            held[i] = assert(socket.listen { host = "127.0.0.1", port = 0 })
            held[i]:listen(5)
            print((select(3, held[i]:localname())))
        end']]):format(count)))
    local ports = {}
    for line in pipe:lines() do
        ports[#ports + 1] = tonumber(line)
    end
    pipe:close()
    assert(#ports == count, "no free ports")
    return ports
end

-- Runs the command until standard input ends.
local SCRIPT = [[
    url=$1 port=$2; shift 2
    "$@" </dev/null & pid=$!
    trap 'kill "$pid" 2>/dev/null; wait "$pid"' EXIT
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "$pid" 2>/dev/null || exit 1
        sleep 0.02
    done
    echo "listening on $url"
    cat >/dev/null
]]

---@param name string      # for the error if it does not start
---@param url string       # what is under `url` of the process
---@param port integer     # a port that takes connections when it has started
---@param words string[]   # the command; it stays in the foreground
---@param directory string # with its files; gone when the process is stopped
---@return table process
function daemon.start(name, url, port, words, directory)
    local all = { "bash", "-c", SCRIPT, "daemon", url, tostring(port) }
    for _, word in ipairs(words) do
        all[#all + 1] = word
    end
    local started = process.start(name, all)
    started.directory = directory
    return started
end

return daemon
