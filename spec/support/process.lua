-- Servers that specs talk to: real processes on free ports. Each prints "listening on URL" first and ends when
-- its standard input does, which is a pipe from here: when the specs end, however they end, so does it.

local system = require "system"
local command = require "spec.support.command"

local process = {}

local START_SECONDS = 60

local methods = {}
local metatable = { __index = methods }

---What the process has printed so far, errors too.
---@return string
function methods:log()
    return command.read(self.log_path) or ""
end

---Waits until what it printed matches a pattern, and returns the match; nil after half a minute, or when the
---process has ended. The line of a request is printed after its answer, so a client that looks at once may be
---too early.
---@param pattern string
---@param seconds? number  # 30 if not given
---@return string?
function methods:await(pattern, seconds)
    local deadline = system.monotime() + (seconds or 30)
    repeat
        local log = self:log() -- once: it may grow between two looks
        local found = log:match(pattern)
        if found then
            return found
        end
        system.sleep(0.01)
    until system.monotime() > deadline or log:match "exit status %d+\n$"
    return nil
end

---Ends the process, waits until it has ended, and removes its directory if it has one. A second time does nothing.
function methods:stop()
    if self.pipe then
        self.pipe:close()
        self.pipe = nil
        os.remove(self.log_path)
        if self.directory then
            command.remove_directory(self.directory)
        end
    end
end

---@param name string  # for the error if it does not start
---@param words string[]  # the command
---@return table process  # url, log(), await(pattern), stop()
function process.start(name, words)
    local quoted = {}
    for i, word in ipairs(words) do
        quoted[i] = command.quote(word)
    end
    local log_path = os.tmpname()
    -- A sanitizer that is preloaded into the specs has no business in another process.
    local line = ("(env -u LD_PRELOAD %s; echo exit status $?) > %s 2>&1"):format(
        table.concat(quoted, " "), command.quote(log_path))
    local started = setmetatable({ pipe = assert(io.popen(line, "w")), log_path = log_path }, metatable)
    started.url = started:await("listening on (https?://%S+)\n", START_SECONDS)
    if not started.url then
        local printed = started:log()
        started:stop()
        error(("%s did not start; it printed: %s"):format(name, printed), 3)
    end
    return started
end

return process
