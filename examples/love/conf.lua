-- luacheck: globals love

function love.conf(t)
    t.identity = "thucchien-lanterns"
    t.version = "11.4"
    t.window.title = "thucchien"
    t.window.width, t.window.height = 1200, 720
    t.window.msaa = os.getenv "THUCCHIEN_SCREENSHOT" and 0 or 4 -- slow without a graphics card
    t.modules.audio, t.modules.sound = false, false
    t.modules.joystick, t.modules.physics, t.modules.video = false, false, false
end
