-- Responses as a stream of events, which some gateways send although nobody asked for one.

local events = {}

---Gives a response the type of a stream, or another one.
---@param response thucchien.emulator.response
---@param content_type? string
---@return thucchien.emulator.response
function events.typed(response, content_type)
    response.headers[1] = { "content-type", content_type or "text/event-stream; charset=utf-8" }
    return response
end

-- JSON on one line: the line ends of a document are between its tokens.
local function one_line(json)
    return (json:gsub("\r?\n[ \t]*", ""))
end

---A stream of documents, for so many pictures.
---@param call thucchien.emulator.call
---@param documents string[]  # JSON
---@param count integer
---@param options? { names?: boolean, comments?: boolean, unfinished?: boolean }
---@return thucchien.emulator.response
function events.response(call, documents, count, options)
    options = options or {}
    local parts = {}
    local function add(...)
        for _, text in ipairs({ ... }) do parts[#parts + 1] = text end
    end
    for _, document in ipairs(documents) do
        if options.comments then add(": PROCESSING\n\n") end
        if options.names then add("event: ", document:match('"type":"([%w_.]+)"'), "\n") end
        add("data: ", one_line(document), "\n\n")
    end
    if not options.unfinished then add("data: [DONE]\n\n") end
    return events.typed(call.respond(table.concat(parts), count))
end

---The same documents one a line, and nothing around them.
---@param call thucchien.emulator.call
---@param documents string[]  # JSON
---@param count integer
---@return thucchien.emulator.response
function events.lines(call, documents, count)
    local parts = {}
    for i, document in ipairs(documents) do parts[i] = one_line(document) .. "\n" end
    return events.typed(call.respond(table.concat(parts), count), "application/x-ndjson")
end

return events
