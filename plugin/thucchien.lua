-- Defines :Thucchien. Everything else is loaded when the command is first used.
-- luacheck: globals vim

if vim.g.loaded_thucchien then
    return
end
vim.g.loaded_thucchien = true

vim.api.nvim_create_user_command("Thucchien", function(command)
    require("thucchien.nvim").command(command)
end, {
    bang = true,
    nargs = "?", -- the whole rest of the line is the prompt
    range = true,
    desc = "Draw a picture and link it here; with ! cancel all in flight",
})
