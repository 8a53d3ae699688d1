-- Asks a server with curl, which shares no code with us.

local command = require "spec.support.command"

local quote = command.quote

local curl = {}

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
    local directory = command.new_directory()
    local out, head, sent = directory .. "/out", directory .. "/head", directory .. "/sent"
    local words = { "curl -sS -m 60 -o", quote(out), "-D", quote(head), options.arguments or "" }
    for _, header in ipairs(options.headers or {}) do
        words[#words + 1] = "-H " .. quote(header)
    end
    if options.body then
        command.write(sent, options.body)
        words[#words + 1] = "--data-binary @" .. quote(sent)
    end
    words[#words + 1] = quote(url)
    local code = command.execute(table.concat(words, " ") .. " 2> /dev/null")
    local answer = { body = command.read(out) or "", headers = {}, code = code }
    for line in (command.read(head) or ""):gmatch "[^\r\n]+" do
        answer.status = tonumber(line:match "^HTTP/1%.1 (%d+)") or answer.status
        local name, value = line:match "^([^:]+): (.*)$"
        if name then
            answer.headers[name:lower()] = value
        end
    end
    command.remove_directory(directory)
    return answer
end

return curl
