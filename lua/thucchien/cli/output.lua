--- What the command writes: messages, text and JSON.

local output = {}

--- Folds any value into one line.
local function one_line(value)
    return (tostring(value):gsub(":%s*[\r\n]+%s*", ": "):gsub("%s*[\r\n]+%s*", "; "))
end

function output.warn(message)
    io.stderr:write("thucchien: ", one_line(message), "\n")
end

--- The gateway's or a model's text, without what a terminal might obey.
function output.harmless(text)
    return (text:gsub("\194[\128-\159]", ""):gsub("[%z\1-\8\11-\31\127]", ""))
end

--- Writes to standard output, or to `stream`, and flushes it: a full disk shows only then. Returns
--- whether all was written.
function output.put(text, stream)
    stream = stream or io.stdout
    local ok, message = stream:write(text, "\n")
    if ok then
        ok, message = stream:flush()
    end
    if not ok then
        output.warn("standard output: " .. message)
    end
    return ok
end

function output.encode_json(value)
    local cjson = require("cjson").new()
    if cjson.encode_escape_forward_slash then
        cjson.encode_escape_forward_slash(false)
        return cjson.encode(value)
    end
    -- An older cjson writes every slash as "\/": legal, and a nuisance in paths.
    return (cjson.encode(value):gsub("\\/", "/"))
end

return output
