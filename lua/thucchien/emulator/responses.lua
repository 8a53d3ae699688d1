-- The gateway's responses, as text: compact JSON as a LiteLLM proxy writes it, with its order of keys and
-- its nulls. No encoder writes it, because the order is part of what a client has to cope with.

local responses = {}

---@class thucchien.emulator.response
---@field status integer
---@field headers { [1]: string, [2]: string }[]
---@field body string
---@field chunked? boolean  # no content-length
---@field sent? integer     # bytes of the body to send before the connection is closed
---@field piece? integer    # bytes written at once …
---@field pause? number     # … and the seconds between two of them
---@field wait? number      # seconds before the response
---@field hang_up? boolean  # close the connection instead of answering

local ESCAPES = {
    ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
    ["\t"] = "\\t",
}

---A JSON string, or `null` for nil.
---@param text string?
---@return string
function responses.quote(text)
    if text == nil then return "null" end
    return '"' .. text:gsub('[%z\1-\31"\\]', function(character)
        return ESCAPES[character] or ("\\u%04x"):format(character:byte())
    end) .. '"'
end

---A number as Python's str() prints a float: the shortest text that reads back the same.
---@param number number
---@return string
function responses.python_float(number)
    for digits = 15, 17 do
        local text = ("%." .. digits .. "g"):format(number)
        if tonumber(text) == number then
            return text:find("[.e]") and text or text .. ".0"
        end
    end
    return tostring(number)
end

---@param status integer
---@param body string
---@param content_type? string
---@return thucchien.emulator.response
function responses.new(status, body, content_type)
    local headers = { { "content-type", content_type or "application/json" } }
    return { status = status, headers = headers, body = body }
end

---The proxy's error object. `kind` and `param` may be the string "None", which is not null.
---@param status integer
---@param message string
---@param kind? string
---@param param? string
---@return thucchien.emulator.response
function responses.error(status, message, kind, param)
    return responses.new(status, ('{"error":{"message":%s,"type":%s,"param":%s,"code":"%d"}}'):format(
        responses.quote(message), responses.quote(kind), responses.quote(param), status))
end

---An exception of the proxy's own web framework. The images route repeats the status in the text.
---@param via thucchien.emulator.via
---@param status integer
---@param message string
---@return thucchien.emulator.response
function responses.exception(via, status, message)
    if via == "images" then message = ("%d: %s"):format(status, message) end
    return responses.error(status, message, "None", "None")
end

---What the proxy makes of an error of the service behind it.
---@param status integer
---@param message string
---@param kind? string
---@param model? string  # as the caller named it
---@return thucchien.emulator.response
function responses.upstream_error(status, message, kind, model)
    return responses.error(status, ("%s. Received Model Group=%s\nAvailable Model Group Fallbacks=None")
        :format(message, model or "imagen-4"), kind)
end

---The error object of the service behind the proxy, as the proxy quotes it.
---@param code integer
---@param message string
---@param status string
---@return string
function responses.google_error(code, message, status)
    local shape = '{\n  "error": {\n    "code": %d,\n    "message": %s,\n    "status": "%s"\n  }\n}\n'
    return shape:format(code, responses.quote(message), status)
end

---The refusal of a value by the service behind the proxy.
---@param via thucchien.emulator.via
---@param message string
---@param model? string  # as the caller named it
---@return thucchien.emulator.response
function responses.invalid_argument(via, message, model)
    local said = responses.google_error(400, message, "INVALID_ARGUMENT")
    if via == "gemini" then return responses.error(400, said, "None", "None") end
    return responses.upstream_error(400,
        "litellm.BadRequestError: Vertex_aiException BadRequestError - " .. said, nil, model)
end

---FastAPI's own error, whose detail may be any JSON.
---@param status integer
---@param detail string  # JSON
---@return thucchien.emulator.response
function responses.detail(status, detail)
    return responses.new(status, '{"detail":' .. detail .. "}")
end

---The page of a web server in front of the proxy.
---@param status integer
---@param title string
---@param server string
---@return thucchien.emulator.response
function responses.html(status, title, server)
    local heading = status .. " " .. title
    return responses.new(status, ("<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s"
        .. "</h1></center>\r\n<hr><center>%s</center>\r\n</body>\r\n</html>\r\n"):format(
        heading, heading, server), "text/html")
end

local USAGE = '"usage":{"input_tokens":0,"input_tokens_details":{"image_tokens":0,"text_tokens":0},'
    .. '"output_tokens":0,"total_tokens":0}'

---One element of `data`.
---@param picture { b64_json?: string, url?: string }
---@return string
function responses.image(picture)
    -- Base64 needs no escapes, and looking for them in megabytes takes time.
    local encoded = picture.b64_json and '"' .. picture.b64_json .. '"' or "null"
    local url = responses.quote(picture.url)
    return '{"b64_json":' .. encoded .. ',"revised_prompt":null,"url":' .. url .. "}"
end

---The whole ImageResponse.
---@param created integer
---@param pictures { b64_json?: string, url?: string }[]
---@return string
function responses.images(created, pictures)
    local data = {}
    for i, picture in ipairs(pictures) do data[i] = responses.image(picture) end
    return ('{"created":%d,"background":null,"data":['):format(created) .. table.concat(data, ",")
        .. '],"output_format":null,"quality":null,"size":null,' .. USAGE .. "}"
end

return responses
