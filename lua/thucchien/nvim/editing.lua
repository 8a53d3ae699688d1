-- A buffer's text: where a job's links go, where the cursor is, what is selected.

local api, fn = vim.api, vim.fn

local editing = {}

local NAMESPACE = api.nvim_create_namespace "thucchien"

-- Changes a buffer and keeps each cursor on the text that it was on: some versions of Neovim do not move a
-- cursor when text comes in before it.
local function hold_cursors(buffer, change)
    local held = {}
    for _, window in ipairs(fn.win_findbuf(buffer)) do
        local cursor = api.nvim_win_get_cursor(window)
        held[window] = api.nvim_buf_set_extmark(buffer, NAMESPACE, cursor[1] - 1, cursor[2], {})
    end
    change()
    for window, mark in pairs(held) do
        local position = api.nvim_buf_get_extmark_by_id(buffer, NAMESPACE, mark, {})
        api.nvim_buf_del_extmark(buffer, NAMESPACE, mark)
        pcall(api.nvim_win_set_cursor, window, { position[1] + 1, position[2] })
    end
end

-- Puts the links of a job into the text; false if their position is gone or the text cannot be changed.
function editing.insert(job, lines)
    if not api.nvim_buf_is_loaded(job.buffer) then
        return false
    end
    local position = api.nvim_buf_get_extmark_by_id(job.buffer, NAMESPACE, job.mark, {})
    if not position[1] then
        return false
    end
    if job.own_lines then
        table.insert(lines, 1, "")
    end
    local row, column = position[1], position[2]
    local done = true
    hold_cursors(job.buffer, function()
        done = pcall(api.nvim_buf_set_text, job.buffer, row, column, row, column, lines)
    end)
    return done
end

-- Marks the position where the links of a job will go.
---@param row integer 0 is the first line
---@param column integer in bytes
---@param stays boolean text that comes in right there goes after the links
function editing.mark(buffer, row, column, stays)
    return api.nvim_buf_set_extmark(buffer, NAMESPACE, row, column, {
        right_gravity = not stays,
        virt_text = { { "… drawing", "Comment" } },
    })
end

function editing.unmark(job)
    if api.nvim_buf_is_valid(job.buffer) then
        api.nvim_buf_del_extmark(job.buffer, NAMESPACE, job.mark)
    end
end

-- The byte after the character that begins at byte `column`, counted from 0.
local function after_character(line, column)
    local from, to = line:find("^[^\128-\191][\128-\191]*", column + 1)
    return from and to or math.min(column, #line)
end

-- The row and column where text would be put now: in insert mode exactly at the cursor, else after the character
-- under it, as with |p|.
function editing.cursor()
    local cursor = api.nvim_win_get_cursor(0)
    local row = math.max(cursor[1], 1) - 1 -- commands of `nvim -c` run before there is a cursor
    local line = api.nvim_buf_get_lines(0, row, row + 1, false)[1] or ""
    if api.nvim_get_mode().mode:sub(1, 1) == "i" then
        return row, cursor[2]
    end
    return row, after_character(line, cursor[2])
end

-- The text of a range of lines. If the range comes from a selection by characters, only that part of its first and
-- last line.
function editing.selected(command)
    local first, last = fn.getpos "'<", fn.getpos "'>"
    local lines = api.nvim_buf_get_lines(0, command.line1 - 1, command.line2, false)
    if command.range == 2 and fn.visualmode() == "v" and first[2] == command.line1
        and last[2] == command.line2 then
        local line = lines[#lines]
        local stop = math.min(last[3] - 1, #line)
        if vim.o.selection ~= "exclusive" then
            stop = after_character(line, stop)
        end
        lines[#lines] = line:sub(1, stop)
        lines[1] = lines[1]:sub(first[3])
    end
    return table.concat(lines, "\n")
end

return editing
