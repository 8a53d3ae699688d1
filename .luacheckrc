-- Every Lua's globals: the code runs on all of them and looks before it uses.
std = "max"
max_line_length = 120
cache = false

-- Specs are tables of cases, a case a line.
files["spec"] = { std = "max+busted", max_line_length = false }
files["rockspec"] = { std = "+rockspec" }

-- What Neovim gives to the code that it runs.
files["lua/thucchien/uv.lua"] = { read_globals = { "vim" } }
files["lua/thucchien/nvim.lua"] = { read_globals = { "vim" } }
files["lua/thucchien/nvim"] = { read_globals = { "vim" } }
files["lua/thucchien/health.lua"] = { read_globals = { "vim" } }
files["plugin"] = { read_globals = { "vim" } }
files["spec/hosts/nvim"] = { globals = { "vim" } }

-- Definitions for editors: functions that are empty, with parameters that only have a type.
files["**/*.d.lua"] = { ignore = { "211", "212", "241" } }
