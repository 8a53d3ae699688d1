#!/usr/bin/env bash
# Compiles all of csrc/ into a C program by one compiler line without options of our own, and has
# that program make pictures: from its own few lines of Lua, then from a script.
#
# From the Makefile: LUA (which liblua), LUA_INCDIR, BUILD, CC.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$BUILD/host
library=${LUA##*/}
[ "$library" != luajit ] || library=luajit-5.1
mkdir -p "$dir"

set -x
"$CC" -I"$LUA_INCDIR" examples/host/host.c csrc/*/*.c -l"$library" -lcurl -o "$dir/host"
{ set +x; } 2>/dev/null

# No module may come from the checkout: the program has it inside.
export LUA_PATH= LUA_CPATH=';;'
rm -f "$dir"/*.png
examples/with-emulator.sh "$dir/host" "a bridge in fog" "$dir/bridge"
echo 'print(require("thucchien")._VERSION)
      local r = assert(require("thucchien").generate(arg[1]))
      assert(r.data[1]:save(arg[2]))' >"$dir/script.lua"
examples/with-emulator.sh "$dir/host" "$dir/script.lua" "a bridge at night" "$dir/night.png"
test -s "$dir/bridge.png"
test -s "$dir/night.png"
