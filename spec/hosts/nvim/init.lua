-- Runs one of cases.lua inside Neovim: -c 'lua run_case("its name")'. Given by --cmd luafile, so that -u NONE
-- keeps everything else out.
-- luacheck: globals vim run_case

local here = vim.fn.fnamemodify(debug.getinfo(1, "S").source:sub(2), ":p:h")
vim.opt.runtimepath:prepend(vim.env.PLUGIN)

---Neovim 0.7 ends with status 0 whatever -c raises, so the status is set here.
function run_case(name)
    vim.cmd "runtime plugin/thucchien.lua"
    local ok, message = xpcall(function()
        for _, case in ipairs(dofile(here .. "/cases.lua")) do
            if case[1] == name then
                return case[2]()
            end
        end
        error("no such case: " .. name)
    end, debug.traceback)
    if not ok then
        io.stderr:write("\n", message, "\n")
        vim.cmd "cquit 1"
    end
    vim.cmd "qa!"
end
