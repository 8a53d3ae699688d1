-- Asks for pictures and shows them as they come, while lanterns rise and nothing stalls.
--
--     make LUA=luajit                                      # once, in the checkout
--     luajit bin/thucchien emulator --port 8090 --delay 2  # in another terminal, without a key
--     love examples/love [--thread]
--
-- Type a prompt and press Enter, or a digit for one of ours. Escape cancels what is under way, or
-- quits. With --thread each request waits in a thread of its own; without, client:poll(0) moves all
-- of them on.
--
-- THUCCHIEN_SCREENSHOT=FILE.png asks for six pictures, saves what the window shows then, and quits.
-- luacheck: globals love

local frames = require "frames"
local gallery = require "gallery"
local sky = require "sky"
local utf8 = require "utf8"

local PRESETS = {
    "a lighthouse at dusk, waves against the rocks", "rice terraces after the rain",
    "lanterns on the river of an old town", "limestone islands in the morning mist",
    "a mountain pass in winter", "fishing boats under a full moon",
}
local EACH = 2 -- pictures a prompt

local screenshot = os.getenv "THUCCHIEN_SCREENSHOT"
local source -- polled.lua or threaded.lua
local prompt, asked = "", 0
local pixels = love.thread.getChannel "pixels"
local title_font, font, decoder

-- LÖVE's own font lacks Vietnamese letters; one of the system's may have them.
local function load_font(size)
    for _, path in ipairs {
        "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans.ttf",
        "C:/Windows/Fonts/segoeui.ttf", "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    } do
        local file = io.open(path, "rb")
        if file then
            local bytes = file:read "*a"
            file:close()
            return love.graphics.newFont(love.filesystem.newFileData(bytes, path), size)
        end
    end
    return love.graphics.newFont(size)
end

local function ask(text)
    asked = asked + 1
    local id = asked
    for index = EACH, 1, -1 do
        gallery.add(id, index, text)
    end
    source.ask(id, { prompt = text, n = EACH, aspect_ratio = "16:9" }, {
        progress = function(received, total)
            gallery.each(id, function(card)
                card.progress = total and received / total or 0.5
            end)
        end,
        ended = function(count, failure)
            gallery.each(id, function(card)
                if card.index > count then
                    card.failure = failure or "there was no such picture"
                end
            end)
        end,
    })
end

-- One a frame: to hand a picture to the graphics card takes time, too.
local function take_pixels()
    local event = pixels:pop()
    if not event then
        return
    end
    gallery.each(event.id, function(card)
        if card.index == event.index and event.pixels then
            card:show(event.pixels)
        elseif card.index == event.index then
            card.failure = "not a picture that LÖVE can read"
        end
    end)
end

function love.load(arguments)
    title_font, font = load_font(22), load_font(14)
    love.keyboard.setKeyRepeat(true)
    decoder = love.thread.newThread "decoder.lua" -- held: a thread that nobody holds is collected
    decoder:start()
    source = require(arguments[1] == "--thread" and "threaded" or "polled")
    sky.load()
    gallery.load(font)
    if screenshot then
        for i = 1, 3 do
            ask(PRESETS[i])
        end
    end
end

-- Saves the window, prints what it was like, and ends the program.
local function finish(path)
    love.graphics.captureScreenshot(function(data)
        local file = assert(io.open(path, "wb"))
        assert(file:write(data:encode("png"):getString()))
        file:close()
        print(("%d pictures, %d frames, longest poll %.2f ms"):format(gallery.count(), frames.count,
            frames.longest_poll))
        love.event.quit(0)
    end)
end

function love.update(dt)
    local start = love.timer.getTime()
    source.update()
    frames.note(dt, love.timer.getTime() - start)
    take_pixels()
    sky.update(dt)
    gallery.update(dt)
    if screenshot and not gallery.busy() then
        finish(screenshot)
        screenshot = nil
    end
end

local function draw_prompt()
    local width, height = love.graphics.getDimensions()
    love.graphics.setColor(0.05, 0.04, 0.12, 0.72)
    love.graphics.rectangle("fill", 40, height - 72, width - 80, 44, 22)
    love.graphics.setColor(1, 1, 1, 0.2)
    love.graphics.rectangle("line", 40.5, height - 71.5, width - 81, 43, 22)
    if prompt == "" then
        love.graphics.setColor(1, 1, 1, 0.5)
        love.graphics.print("type a prompt and press Enter, or press 1 to 6", font, 66, height - 59)
    else
        love.graphics.setColor(1, 1, 1)
        love.graphics.print(prompt, font, 66, height - 59)
    end
    if love.timer.getTime() % 1 < 0.6 then
        love.graphics.setColor(1, 0.72, 0.36)
        love.graphics.rectangle("fill", 64 + font:getWidth(prompt), height - 60, 2, 20)
    end
end

function love.draw()
    sky.draw()
    gallery.draw()
    love.graphics.setColor(1, 0.9, 0.75)
    love.graphics.print("thucchien", title_font, 40, 24)
    frames.draw(font)
    draw_prompt()
end

function love.textinput(text)
    local preset = prompt == "" and PRESETS[tonumber(text)]
    if preset then
        ask(preset)
    else
        prompt = prompt .. text
    end
end

function love.keypressed(key)
    if key == "return" and prompt ~= "" then
        ask(prompt)
        prompt = ""
    elseif key == "backspace" then
        local last = utf8.offset(prompt, -1)
        prompt = last and prompt:sub(1, last - 1) or ""
    elseif key == "escape" and gallery.busy() then
        source.cancel()
    elseif key == "escape" then
        love.event.quit()
    end
end

function love.quit()
    source.close()
    love.thread.getChannel("files"):push(false)
    decoder:wait()
end

-- Where nobody looks at the window, an error ends the program with a status.
if screenshot then
    function love.errorhandler(message)
        io.stderr:write(debug.traceback(tostring(message), 2), "\n")
        return function()
            return 1
        end
    end
end
