-- Debian's nginx as a process of the specs, with certificates for every occasion.
--
--     local server = require("spec.support.nginx").start {
--         good = { certificate = "good" },              -- https
--         old = { certificate = "good", lines = "ssl_protocols TLSv1; …" },
--         plain = {},                                   -- http
--     }
--     … server.urls.good, server.directory .. "/ca.pem" …
--     server:stop()

local system = require "system"
local command = require "spec.support.command"
local daemon = require "spec.support.daemon"

local nginx = {}

---What is missing, or nil.
---@return string?
function nginx.missing()
    for _, name in ipairs { "nginx", "openssl", "bash" } do
        if not daemon.find(name) then
            return "there is no " .. name
        end
    end
    return nil
end

-- Two authorities, of which the specs trust one, and what they sign. Each has its key beside it.
local CERTIFICATES = [[
    set -e
    cd "$1"
    cat >openssl.cnf <<-END
	[ca]
	default_ca = mine
	[mine]
	database = index.txt
	new_certs_dir = .
	default_md = sha256
	policy = any
	rand_serial = yes
	unique_subject = no
	[any]
	commonName = supplied
	[req]
	distinguished_name = name
	[name]
	[here]
	subjectAltName = IP:127.0.0.1,DNS:localhost
	[elsewhere]
	subjectAltName = DNS:elsewhere.example
	[authority]
	basicConstraints = critical,CA:TRUE
	END
    : >index.txt
    key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
    self_signed() { # NAME EXTENSIONS
        key "$1"
        openssl req -x509 -config openssl.cnf -extensions "$2" -key "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1"
    }
    signed() { # NAME AUTHORITY EXTENSIONS FROM TO
        key "$1"
        openssl req -new -config openssl.cnf -key "$1.key" -out "$1.csr" -subj "/CN=$1"
        openssl ca -config openssl.cnf -batch -notext -cert "$2.pem" -keyfile "$2.key" -extensions "$3" \
            -startdate "$4" -enddate "$5" -in "$1.csr" -out "$1.pem"
    }
    self_signed ca authority
    self_signed nobody authority
    self_signed selfsigned here
    signed good ca here 20200101000000Z 20491231235959Z
    signed expired ca here 20200101000000Z 20210101000000Z
    signed early ca here 20480101000000Z 20491231235959Z
    signed wrongname ca elsewhere 20200101000000Z 20491231235959Z
    signed unknown nobody here 20200101000000Z 20491231235959Z
]]

-- good.pem, expired.pem, early.pem, wrongname.pem: signed by ca.pem; unknown.pem: by another; selfsigned.pem.
local function make_certificates(directory)
    command.write(directory .. "/make.sh", CERTIFICATES)
    if command.execute(("bash %s/make.sh %s >%s/make.log 2>&1"):format(directory, directory, directory)) ~= 0 then
        error("no certificates: " .. tostring(command.read(directory .. "/make.log")))
    end
end

local PICTURE = [[{"data":[{"b64_json":"QUJD"}],"protocol":"$server_protocol","tls":"$ssl_protocol",]]
    .. [["connection":"$connection","number":"$connection_requests","reused":"$ssl_session_reused"}]]

local HEAD = [[
user root;
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log info;
events {}
http {
    default_type application/json;
    log_format requests "request $server_port $status";
    access_log access.log requests;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 0;
]]

-- What answers behind all others, so that they read a request whole before its answer, as a gateway does: by
-- itself `return` does not, and over HTTP/2 that costs libcurl 7.88 an answer now and then.
local INNER = "    server { listen unix:%s/inner; location / { return 200 $http_x_answer; } }\n"
local ANSWER = "        location / { proxy_set_header X-Answer '%s'; proxy_pass http://unix:%s/inner:; }"

local function server_block(port, options, directory)
    local tls = options.certificate and " ssl" .. (options.http2 and " http2" or "") or ""
    local lines = { ("    server {\n        listen 127.0.0.1:%d%s;"):format(port, tls) }
    if options.certificate then
        lines[2] = ("        ssl_certificate %s.pem; ssl_certificate_key %s.key;"):format(
            options.certificate, options.certificate)
    end
    lines[#lines + 1] = options.lines or ""
    lines[#lines + 1] = options.answer or ANSWER:format(PICTURE, directory)
    return table.concat(lines, "\n") .. "\n    }\n"
end

---@class spec.nginx.server
---@field certificate? string  # good, expired, …; none: plain http
---@field http2? boolean
---@field lines? string        # further lines of its configuration
---@field answer? string       # in place of a location that answers with a picture

---@param servers table<string, spec.nginx.server>
---@return table process       # urls by name, directory, log(), requests(name), stop()
function nginx.start(servers)
    local directory = command.new_directory()
    make_certificates(directory)
    local names = {}
    for name in pairs(servers) do
        names[#names + 1] = name
    end
    table.sort(names)
    local ports, urls, blocks = daemon.ports(#names), {}, {}
    for i, name in ipairs(names) do
        blocks[i] = server_block(ports[i], servers[name], directory)
        urls[name] = ("%s://127.0.0.1:%d"):format(servers[name].certificate and "https" or "http", ports[i])
    end
    command.write(directory .. "/nginx.conf", HEAD .. table.concat(blocks) .. INNER:format(directory) .. "}\n")
    local started = daemon.start("nginx", urls[names[1]], ports[1],
        { daemon.find "nginx", "-p", directory, "-c", directory .. "/nginx.conf", "-e", directory .. "/error.log" }, directory)
    local server = { urls = urls, directory = directory }

    ---How many requests one of the servers has answered. They are noted after the answer: waits until there are
    ---`expected`, some seconds at most.
    function server.requests(self, name, expected)
        local port, count = urls[name]:match ":(%d+)$", 0
        for found in (command.read(directory .. "/access.log") or ""):gmatch "request (%d+)" do
            count = count + (found == port and 1 or 0)
        end
        local tries = 0
        while expected and count < expected and tries < 500 do
            system.sleep(0.01)
            tries, count = tries + 1, self:requests(name)
        end
        return count
    end

    ---What nginx itself has noted.
    function server.log()
        return command.read(directory .. "/error.log") or ""
    end

    ---Sends a signal to the master: "HUP", "QUIT", …
    function server.signal(_, name)
        os.execute(("kill -%s %s"):format(name, command.read(directory .. "/nginx.pid") or ""))
    end

    ---The process that answers; the newest, if there have been several.
    function server.worker(self)
        return self:log():match ".*start worker process (%d+)"
    end

    function server.stop()
        started:stop()
    end

    return server
end

return nginx
