-- busted inside the Lua that runs this file.

-- A sanitizer that finds a leak at exit ends the process without writing out what stdio still holds.
io.stdout:setvbuf "line"

require "busted.runner" { standalone = false }
