#!/bin/sh
# pictures.sh: draws the pictures of the README anew, into doc/. All of them are screenshots of the
# real thing: the command's picture, the plugin in a real Neovim in a terminal, a real LÖVE window.
#
# From the Makefile: BUILD. Needs the modules for LuaJIT and Neovim there.
set -eu

cd "$(dirname "$0")/.."
root=$PWD
work=$root/$BUILD/pictures
rm -rf "$work" && mkdir -p "$work"
unset LUA_PATH LUA_CPATH THUCCHIEN_MODEL
export LUA_CPATH="$root/$BUILD/luajit/?.so;;"

# small FROM TO WIDTH: few colours make a small PNG, and these pictures have few.
small() {
    convert "$1" -resize "$3" -dither FloydSteinberg -colors 128 -strip -define png:compression-level=9 "$2"
}

examples/with-emulator.sh luajit bin/thucchien generate \
    "a lighthouse at dusk, waves against the rocks, a first star" \
    --aspect-ratio 16:9 -o "$work/lighthouse.png" --force
small "$work/lighthouse.png" doc/lighthouse.png 800x

THUCCHIEN_SCREENSHOT=$work/love.png examples/with-emulator.sh \
    xvfb-run -a -s '-screen 0 1280x800x24' love examples/love >/dev/null
small "$work/love.png" doc/love.png 800x

# One picture is there, its link in the text; the next one is on its way.
cat >"$work/notes.md" <<'EOF'
# Chuyến đi biển

Chiều nay chúng tôi tới chân ngọn hải đăng.



Đêm xuống, sóng vẫn vỗ vào ghềnh đá.



Sáng mai chúng tôi về.
EOF
cat >"$work/init.lua" <<EOF
vim.opt.runtimepath:prepend "$root"
vim.opt.termguicolors = true
vim.opt.number = true
vim.opt.laststatus = 2
vim.cmd "colorscheme slate"
local nvim = require "thucchien.nvim"
nvim.setup { params = { aspect_ratio = "16:9" } }
vim.defer_fn(function()
    vim.api.nvim_win_set_cursor(0, { 5, 0 })
    vim.cmd "Thucchien ngọn hải đăng lúc hoàng hôn"
end, 300)
vim.defer_fn(function()
    nvim.setup { params = { model = "emulate/slow" } }
    vim.api.nvim_win_set_cursor(0, { 9, 0 })
    vim.cmd "Thucchien ngọn hải đăng trong đêm bão"
end, 3000)
EOF
cat >"$work/terminal" <<EOF
#!/bin/sh
cd "$work"
xterm -geometry 76x14 -fa 'DejaVu Sans Mono' -fs 13 -b 0 -bw 0 -e nvim -u init.lua -i NONE -n notes.md &
sleep 6
import -window root -trim +repage "$work/neovim.png"
kill \$!
EOF
chmod +x "$work/terminal"
examples/with-emulator.sh xvfb-run -a -s '-screen 0 1280x800x24' "$work/terminal"
small "$work/neovim.png" doc/neovim.png 800x

ls -l doc/*.png
