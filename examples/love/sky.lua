-- What moves: lanterns over hills at night, in several depths. A frame that comes late can be seen.
-- luacheck: globals love

local sky = {}

local WIDTH, HEIGHT, LANTERNS, STARS = 1200, 720, 60, 160
local time = 0
local backdrop, glow, lanterns, stars, hills

-- A white disc that fades towards its rim.
local function soft_disc(size)
    local data = love.image.newImageData(size, size)
    local middle = (size - 1) / 2
    data:mapPixel(function(x, y)
        local distance = math.sqrt((x - middle) ^ 2 + (y - middle) ^ 2) / middle
        return 1, 1, 1, math.max(0, 1 - distance) ^ 2.2
    end)
    return love.graphics.newImage(data)
end

local function gradient(bands)
    local vertices = {}
    for _, band in ipairs(bands) do
        local y, r, g, b = unpack(band)
        vertices[#vertices + 1] = { 0, y * HEIGHT, 0, 0, r, g, b }
        vertices[#vertices + 1] = { WIDTH, y * HEIGHT, 0, 0, r, g, b }
    end
    return love.graphics.newMesh(vertices, "strip", "static")
end

-- A ridge that repeats every WIDTH pixels, twice as long as the window.
local function ridge(base, size, seed, top, bottom)
    local vertices = {}
    for x = 0, 2 * WIDTH, 6 do
        local turn = x / WIDTH * 2 * math.pi
        local y = base - size * (math.sin(turn * 2 + seed) + 0.6 * math.sin(turn * 5 + seed * 3)
            + 0.25 * math.sin(turn * 11 + seed * 7))
        vertices[#vertices + 1] = { x, y, 0, 0, unpack(top) }
        vertices[#vertices + 1] = { x, HEIGHT, 0, 0, unpack(bottom) }
    end
    return love.graphics.newMesh(vertices, "strip", "static")
end

function sky.load()
    local random = love.math.newRandomGenerator(7)
    backdrop = gradient {
        { 0, 0.03, 0.04, 0.12 }, { 0.45, 0.09, 0.08, 0.25 },
        { 0.8, 0.33, 0.17, 0.36 }, { 1, 0.72, 0.36, 0.33 },
    }
    glow = soft_disc(64)
    hills = {
        { ridge(600, 34, 1, { 0.24, 0.13, 0.33 }, { 0.40, 0.20, 0.34 }), 12 },
        { ridge(650, 26, 4, { 0.13, 0.08, 0.23 }, { 0.22, 0.12, 0.26 }), 28 },
        { ridge(698, 18, 2, { 0.05, 0.04, 0.12 }, { 0.04, 0.03, 0.10 }), 60 },
    }
    stars, lanterns = {}, {}
    for i = 1, STARS do
        local x, y = random:random(0, WIDTH), random:random(0, HEIGHT * 0.7)
        stars[i] = { x, y, random:random() * 6.3 }
    end
    for i = 1, LANTERNS do
        local depth = random:random() ^ 1.6 -- 0 is far away
        lanterns[i] = {
            depth = depth, x = random:random(0, WIDTH), y = random:random(0, HEIGHT + 80),
            phase = random:random() * 6.3, size = 3 + depth * 9,
        }
    end
    table.sort(lanterns, function(a, b) return a.depth < b.depth end)
end

function sky.update(dt)
    time = time + dt
    for _, lantern in ipairs(lanterns) do
        lantern.y = lantern.y - (8 + 34 * lantern.depth) * dt
        lantern.x = (lantern.x + (4 + 10 * lantern.depth) * dt) % (WIDTH + 40)
        if lantern.y < -60 then
            lantern.y = HEIGHT + 60
        end
    end
end

local function draw_lantern(lantern)
    local flicker = 0.85 + 0.15 * math.sin(time * 3 + lantern.phase)
    local x = lantern.x - 20 + math.sin(time * 0.7 + lantern.phase) * 8
    local y, size = lantern.y, lantern.size
    love.graphics.setBlendMode "add"
    love.graphics.setColor(1, 0.55, 0.2, (0.12 + 0.4 * lantern.depth) * flicker)
    local reach = size * 7 / 64
    love.graphics.draw(glow, x, y, 0, reach, reach, 32, 32)
    love.graphics.setBlendMode "alpha"
    love.graphics.setColor(1, 0.72, 0.36, (0.35 + 0.6 * lantern.depth) * flicker)
    love.graphics.polygon("fill", x - size * 0.7, y - size, x + size * 0.7, y - size,
        x + size * 0.5, y + size, x - size * 0.5, y + size)
    love.graphics.setColor(1, 0.93, 0.7, 0.8 * flicker)
    love.graphics.ellipse("fill", x, y + size * 0.65, size * 0.34, size * 0.28)
end

function sky.draw()
    love.graphics.push()
    love.graphics.scale(love.graphics.getWidth() / WIDTH, love.graphics.getHeight() / HEIGHT)
    love.graphics.setColor(1, 1, 1)
    love.graphics.draw(backdrop)
    for _, star in ipairs(stars) do
        local x, y, phase = unpack(star)
        love.graphics.setColor(1, 1, 1, 0.25 + 0.25 * math.sin(time * 1.5 + phase))
        love.graphics.circle("fill", (x - time * 2) % WIDTH, y, 1.1)
    end
    local next_lantern = 1
    for layer, hill in ipairs(hills) do -- farther lanterns are behind nearer hills
        while lanterns[next_lantern] and lanterns[next_lantern].depth < (layer - 1) * 0.25 do
            draw_lantern(lanterns[next_lantern])
            next_lantern = next_lantern + 1
        end
        love.graphics.setColor(1, 1, 1)
        love.graphics.draw(hill[1], -(time * hill[2] % WIDTH), 0)
    end
    for i = next_lantern, #lanterns do
        draw_lantern(lanterns[i])
    end
    love.graphics.pop()
end

return sky
