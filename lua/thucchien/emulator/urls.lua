-- Pictures at addresses, as some models answer. The paths cannot be guessed and need no key. A request that has a
-- key all the same is refused, so that a client which gives its key to strangers fails here.

local responses = require "thucchien.emulator.responses"
local authentication = require "thucchien.emulator.authentication"
local recent = require "thucchien.emulator.recent"

local urls = {}

local KEPT = 64 -- addresses that can be fetched
local FOLDER = "/emulate/pictures/"
local SLOW_SECONDS = 30

---@class thucchien.emulator.published
---@field picture thucchien.emulator.picture
---@field way? string       # how it is served; whole and at once if nil
---@field argument? number

local function unguessable()
    return (require("openssl.rand").bytes(16):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

---Makes a picture fetchable for a while.
---@param store table  # the state's
---@param picture thucchien.emulator.picture
---@param way? string
---@param argument? number
---@return string path
function urls.publish(store, picture, way, argument)
    local name = ("%s.%s"):format(unguessable(), picture.mime:match("%w+$"))
    recent.set(store, KEPT, name, { picture = picture, way = way, argument = argument })
    return FOLDER .. name
end

local function whole(published)
    return responses.new(200, published.picture.bytes, published.picture.mime)
end

local function redirect(target)
    local response = responses.new(302, "")
    table.insert(response.headers, { "location", target })
    return response
end

-- The ways to serve a picture, by name.
local WAYS = {}

-- Some redirects, then the picture. Relative and absolute targets in turn; the query counts them.
WAYS["redirect"] = function(published, request)
    local hop = tonumber(request.query.hop) or 0
    if hop >= published.argument then return whole(published) end
    local target = ("%s?hop=%d"):format(request.path, hop + 1)
    return redirect(hop % 2 == 0 and target or "http://" .. request.host .. target)
end

WAYS["metadata"] = function() return redirect("http://169.254.169.254/latest/meta-data/") end

WAYS["file"] = function() return redirect("file:///etc/passwd") end

WAYS["html"] = function() return responses.html(200, "Sign in", "a login page") end

WAYS["slow"] = function(published)
    local response = whole(published)
    response.wait = published.argument
    return response
end

WAYS["broken"] = function(published)
    local response = whole(published)
    response.sent = math.floor(#response.body / 2)
    return response
end

---Answers a request for a published picture.
---@param request thucchien.emulator.request
---@param name string
---@return thucchien.emulator.response
function urls.serve(request, name)
    for _, header in ipairs(authentication.headers) do
        if request.headers:has(header) then
            return responses.detail(400, '"A key was sent to an address that needs none"')
        end
    end
    local published = request.state.urls[name]
    if not published then return responses.detail(404, '"Not Found"') end
    return (WAYS[published.way] or whole)(published, request)
end

-- A response with addresses in place of pictures.
local function addresses(call, way, argument)
    local list = {}
    for i, picture in ipairs(call.pictures()) do list[i] = { url = call.publish(picture, way, argument) } end
    return call.success(list)
end

local function number_of(call, default)
    return tonumber(call.argument) or default
end

local ROUTES = { images = true, chat = true }

local function served(name, about, way, default)
    return {
        name = name, about = about, via = ROUTES,
        respond = function(call) return addresses(call, way, number_of(call, default)) end,
    }
end

---Models that answer with addresses.
---@type thucchien.emulator.failure[]
urls.models = {
    served("url", "addresses to fetch instead of base64"),
    {
        name = "url-data", about = "data URLs where addresses are expected", via = ROUTES,
        respond = function(call)
            local list = {}
            for i, picture in ipairs(call.pictures()) do
                list[i] = { url = "data:" .. picture.mime .. ";base64," .. picture.b64_json }
            end
            return call.success(list)
        end,
    },
    {
        name = "url-mixed", about = "base64 and addresses in turn", via = ROUTES,
        respond = function(call)
            local list = {}
            for i, picture in ipairs(call.pictures()) do
                list[i] = i % 2 == 1 and picture or { url = call.publish(picture) }
            end
            return call.success(list)
        end,
    },
    {
        name = "url-404", about = "addresses where nothing is", via = ROUTES,
        respond = function(call)
            local list = {}
            for i = 1, call.n do
                list[i] = { url = ("http://%s%s%s.png"):format(call.host, FOLDER, unguessable()) }
            end
            return call.success(list)
        end,
    },
    served("url-redirect", "addresses that redirect once, or /N times", "redirect", 1),
    served("url-metadata", "redirect to a cloud's metadata, 169.254.169.254", "metadata"),
    served("url-file", "redirect to file:///etc/passwd", "file"),
    served("url-html", "addresses of an HTML page", "html"),
    served("url-slow", "pictures that come after 30 seconds, or /S", "slow", SLOW_SECONDS),
    served("url-broken", "pictures that break off in the middle", "broken"),
}

return urls
