-- The cards: one a picture that was asked for, the newest first. A picture comes in tile by tile.
-- luacheck: globals love

local gallery = {}

local COLUMNS, ROWS, TILES_X, TILES_Y, REVEAL = 3, 2, 16, 9, 1.4
local MARGIN, TOP, GAP, BOTTOM, CAPTION = 40, 84, 24, 92, 34
local RADIUS = 10

local cards = {}
local small

local Card = {}
Card.__index = Card

-- Where card `place` belongs. Pictures are 16:9.
local function spot(place)
    local width, height = love.graphics.getDimensions()
    local column, row = (place - 1) % COLUMNS, math.floor((place - 1) / COLUMNS)
    local room = (height - TOP - BOTTOM) / ROWS - GAP - CAPTION
    local w = math.min((width - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS, room * 16 / 9)
    local left = (width - COLUMNS * w - (COLUMNS - 1) * GAP) / 2
    return left + column * (w + GAP), TOP + row * (w * 9 / 16 + CAPTION + GAP), w, w * 9 / 16
end

function gallery.load(font)
    small = font
end

---Makes room for a picture that somebody asked for.
function gallery.add(id, index, prompt)
    local x, y, w, h = spot(1)
    table.insert(cards, 1, setmetatable({
        id = id, index = index, prompt = prompt, x = x, y = y - 30, w = w, h = h,
        asked = love.timer.getTime(), opacity = 0, progress = 0, shown_progress = 0,
    }, Card))
    cards[COLUMNS * ROWS + 1] = nil
end

function gallery.each(id, call)
    for _, card in ipairs(cards) do
        if card.id == id then
            call(card)
        end
    end
end

---Is there a card that still waits, or whose picture is not all there?
function gallery.busy()
    for _, card in ipairs(cards) do
        if not card.failure and not (card.image and card.age > REVEAL + 0.2) then
            return true
        end
    end
    return false
end

---How many cards have their picture.
function gallery.count()
    local count = 0
    for _, card in ipairs(cards) do
        count = count + (card.image and 1 or 0)
    end
    return count
end

---Gives a card its picture.
function Card:show(pixels)
    self.image = love.graphics.newImage(pixels, { mipmaps = true })
    self.age, self.tiles = 0, {}
    local width, height = self.image:getDimensions()
    for i = 0, TILES_X * TILES_Y - 1 do
        local column, row = i % TILES_X, math.floor(i / TILES_X)
        self.tiles[#self.tiles + 1] = {
            column = column, row = row,
            quad = love.graphics.newQuad(column * width / TILES_X, row * height / TILES_Y,
                width / TILES_X, height / TILES_Y, width, height),
            delay = (column / TILES_X + row / TILES_Y) * 0.35 + love.math.random() * 0.25,
        }
    end
end

function gallery.update(dt)
    local ease = 1 - math.exp(-9 * dt)
    for place, card in ipairs(cards) do
        local x, y, w, h = spot(place)
        card.x, card.y = card.x + (x - card.x) * ease, card.y + (y - card.y) * ease
        card.w, card.h = w, h
        card.opacity = card.opacity + (1 - card.opacity) * ease
        card.shown_progress = card.shown_progress + (card.progress - card.shown_progress) * ease
        card.age = card.image and card.age + dt
    end
end

function Card:draw_tiles()
    if self.age > REVEAL then -- all there
        love.graphics.setColor(1, 1, 1)
        local width, height = self.image:getDimensions()
        love.graphics.draw(self.image, self.x, self.y, 0, self.w / width, self.h / height)
        return
    end
    local w, h = self.w / TILES_X, self.h / TILES_Y
    for _, tile in ipairs(self.tiles) do
        local come = math.max(0, math.min(1, (self.age - tile.delay) / 0.45))
        come = come * come * (3 - 2 * come)
        local _, _, quad_w, quad_h = tile.quad:getViewport()
        love.graphics.setColor(1, 1, 1, come)
        love.graphics.draw(self.image, tile.quad, self.x + (tile.column + 0.5) * w,
            self.y + (tile.row + 0.5) * h - (1 - come) * 14, 0,
            w / quad_w * (0.4 + 0.6 * come), h / quad_h * (0.4 + 0.6 * come),
            quad_w / 2, quad_h / 2)
    end
end

-- A band of light that wanders over what is still empty, and how much of the answer has come.
function Card:draw_waiting(time)
    local left = self.age and math.max(0, 1 - self.age * 4) or 1 -- gone when the picture comes
    local sweep = ((time * 0.5 + self.index * 0.15) % 1.4 - 0.2) * self.w
    for i = -6, 6 do
        love.graphics.setColor(1, 0.85, 0.65, 0.02 * (7 - math.abs(i)) * left)
        love.graphics.rectangle("fill", self.x + sweep + i * 12, self.y, 12, self.h)
    end
    local bar = self.w - 48
    love.graphics.setColor(1, 1, 1, 0.12 * left)
    love.graphics.rectangle("fill", self.x + 24, self.y + self.h - 26, bar, 4, 2)
    love.graphics.setColor(1, 0.72, 0.36, 0.9 * left)
    bar = bar * self.shown_progress
    love.graphics.rectangle("fill", self.x + 24, self.y + self.h - 26, bar, 4, 2)
    love.graphics.setColor(1, 1, 1, 0.55 * left)
    love.graphics.printf(("%.1f s"):format(time - self.asked), small, self.x,
        self.y + self.h / 2 - 8, self.w, "center")
end

function Card:draw_failure()
    love.graphics.setColor(1, 0.62, 0.55)
    love.graphics.printf(self.failure, small, self.x + 20, self.y + self.h * 0.3, self.w - 40,
        "center")
end

function Card:draw(time)
    love.graphics.setColor(0, 0, 0, 0.28 * self.opacity)
    love.graphics.rectangle("fill", self.x - 3, self.y + 5, self.w + 6, self.h + 4, RADIUS + 2)
    love.graphics.setColor(0.07, 0.06, 0.16, 0.82 * self.opacity)
    love.graphics.rectangle("fill", self.x, self.y, self.w, self.h, RADIUS)
    love.graphics.stencil(function()
        love.graphics.rectangle("fill", self.x, self.y, self.w, self.h, RADIUS)
    end)
    love.graphics.setStencilTest("greater", 0)
    if self.failure then
        self:draw_failure()
    elseif not (self.age and self.age > REVEAL) then
        self:draw_waiting(time)
    end
    if self.image then
        self:draw_tiles()
    end
    love.graphics.setStencilTest()
    love.graphics.setColor(1, 1, 1, 0.16 * self.opacity)
    love.graphics.rectangle("line", self.x + 0.5, self.y + 0.5, self.w - 1, self.h - 1, RADIUS)
    love.graphics.setScissor(self.x, self.y + self.h, self.w, CAPTION)
    love.graphics.setColor(1, 1, 1, 0.8 * self.opacity)
    love.graphics.print(self.prompt, small, self.x + 4, self.y + self.h + 9)
    love.graphics.setScissor()
end

function gallery.draw()
    local time = love.timer.getTime()
    for i = #cards, 1, -1 do -- a card that is new comes in over the others
        cards[i]:draw(time)
    end
end

return gallery
