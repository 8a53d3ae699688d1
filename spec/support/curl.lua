-- Asks a server with curl, which shares no code with us.

local lfs = require "lfs"

local curl = {}

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read(path)
    local file = io.open(path, "rb")
    if not file then
        return ""
    end
    local bytes = file:read "*a"
    file:close()
    return bytes
end

--- What os.execute tells of a status: a number in 5.1 and LuaJIT, the third result since.
local function exit_status(result, _, code)
    return type(result) == "number" and math.floor(result / 256) or code
end

---@class spec.curl.answer
---@field status? integer
---@field body string
---@field headers table<string, string>  # names in lower case
---@field code integer                   # curl's exit code

---@param url string
---@param options? { headers?: string[], body?: string, arguments?: string }
---@return spec.curl.answer
function curl.request(url, options)
    options = options or {}
    local directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
    local out, head, sent = directory .. "/out", directory .. "/head", directory .. "/sent"
    local words = { "curl -sS -m 60 -o", quote(out), "-D", quote(head), options.arguments or "" }
    for _, header in ipairs(options.headers or {}) do
        words[#words + 1] = "-H " .. quote(header)
    end
    if options.body then
        local file = assert(io.open(sent, "wb"))
        file:write(options.body)
        file:close()
        words[#words + 1] = "--data-binary @" .. quote(sent)
    end
    words[#words + 1] = quote(url)
    local code = exit_status(os.execute(table.concat(words, " ") .. " 2> /dev/null"))
    local answer = { body = read(out), headers = {}, code = code }
    for line in read(head):gmatch "[^\r\n]+" do
        answer.status = tonumber(line:match "^HTTP/1%.1 (%d+)") or answer.status
        local name, value = line:match "^([^:]+): (.*)$"
        if name then
            answer.headers[name:lower()] = value
        end
    end
    os.remove(out)
    os.remove(head)
    os.remove(sent)
    lfs.rmdir(directory)
    return answer
end

return curl
