-- A call is a request for pictures that its route has read. The responses to it, good and bad, are made from it.

local headers = require "thucchien.emulator.headers"
local responses = require "thucchien.emulator.responses"
local recent = require "thucchien.emulator.recent"
local urls = require "thucchien.emulator.urls"

local call = {}

local KNOWN = 1000 -- conversations whose repetitions are counted
local STAMP = 64 -- pixels a side of a stamp, a small picture for responses whose pictures may have any size

---@class thucchien.emulator.call
---@field via thucchien.emulator.via
---@field model string         # as the caller named it
---@field kind thucchien.emulator.model
---@field failure? thucchien.emulator.failure
---@field argument? string     # of the failure
---@field prompt string
---@field n integer
---@field width integer        # pixels
---@field height integer
---@field text? string         # what the model says beside the pictures
---@field vision? thucchien.emulator.vision  # what shapes them besides the prompt
---@field offset integer       # how often the same was asked for before
---@field key string
---@field host string
---@field state table
---@field now integer          # Unix time
---@field pictures fun(): thucchien.emulator.picture[]  # as many and as large as were asked for
---@field stamps fun(): thucchien.emulator.picture[]    # the same, small
---@field draw fun(index: integer, width: integer, height: integer, suffix?: string): thucchien.emulator.picture
---@field publish fun(picture: thucchien.emulator.picture, way?: string, argument?: number): string  # its address
---@field respond fun(body: string, count: integer): thucchien.emulator.response  # 200, for so many pictures
---@field success fun(pictures: table[]): thucchien.emulator.response             # in the shape of the route

local function stamp_size(self)
    if self.via == "images" then return STAMP, STAMP end
    local scale = 1.5 * STAMP / math.max(self.width, self.height)
    return math.floor(self.width * scale + 0.5), math.floor(self.height * scale + 0.5)
end

-- How often the same key has asked for the same before. A model that talks makes one picture a request, and another
-- one each time.
local function times_asked(self)
    local asked = self.state.asked
    local id = table.concat({ self.key, self.via, self.model, self.vision and self.vision.id or "", self.prompt }, "\n")
    local hash = require("openssl.digest").new("sha1"):final(id)
    local before = asked[hash] or 0
    recent.set(asked, KNOWN, hash, before + 1)
    return before
end

---Completes the call that a route has read.
---@param self table
---@param request thucchien.emulator.request
---@param shape fun(self: thucchien.emulator.call, pictures: table[]): string  # the body of a success
---@return thucchien.emulator.call
function call.new(self, request, shape)
    local source = request.state.pictures
    self.key, self.host, self.state, self.now = request.key, request.host, request.state, os.time()
    self.offset = self.via == "images" and 0 or times_asked(self)
    function self.draw(index, width, height, suffix)
        return source:get(self.prompt .. (suffix or ""), self.offset + index, width, height, self.vision)
    end
    local function draw_all(width, height)
        local list = {}
        for i = 1, self.n do list[i] = self.draw(i, width, height) end
        return list
    end
    function self.pictures() return draw_all(self.width, self.height) end
    function self.stamps() return draw_all(stamp_size(self)) end
    function self.publish(picture, way, argument)
        return "http://" .. request.host .. urls.publish(request.state.urls, picture, way, argument)
    end
    function self.respond(body, count)
        return headers.add(responses.new(200, body), request, self, self.kind.price * count)
    end
    function self.success(pictures) return self.respond(shape(self, pictures), #pictures) end
    return self
end

return call
