#!/usr/bin/env bash
# Checks the rockspec as its users meet it, without a network: the lists in it are complete, luarocks
# accepts and builds it, and the command that it installs makes a picture.
#
# From the Makefile: LUA_VERSION, BUILD, CC, CURL_INCDIR.
set -euo pipefail
cd "$(dirname "$0")/.."

rockspec=rockspec/thucchien-scm-1.rockspec
tree=$PWD/$BUILD/rock-$LUA_VERSION

# A file added to csrc/ or lua/ and forgotten here would be missing only for LuaRocks' users.
listed=$(grep -oE '"(csrc|lua)/[^"]+\.(c|lua)"' "$rockspec" | tr -d '"' | sort)
present=$({ ls csrc/*/*.c && find lua -name '*.lua'; } | sort)
diff <(echo "$listed") <(echo "$present") || {
    echo "$rockspec and the files of csrc/ and lua/ differ (< listed, > there)"
    exit 1
}

luarocks lint "$rockspec"

# Debian keeps curl's headers in a directory that luarocks does not search.
if [ -z "$CURL_INCDIR" ]; then
    CURL_INCDIR=/usr/include/$($CC -print-multiarch 2>/dev/null || :)
    [ -e "$CURL_INCDIR/curl/curl.h" ] || CURL_INCDIR=/usr/include
fi

rm -rf "$tree"
luarocks --lua-version "$LUA_VERSION" make --deps-mode none --tree "$tree" "$rockspec" \
    CURL_INCDIR="$CURL_INCDIR"
# luarocks compiles beside the sources.
rm -f thucchien.so csrc/*/*.o

# From another directory, so that nothing comes from the checkout. The command's wrapper looks for
# modules in the trees that luarocks searched for dependencies; with none searched, say which.
run=$PWD/examples/with-emulator.sh
cd "$tree"
env -u "LUA_PATH_${LUA_VERSION/./_}" -u "LUA_CPATH_${LUA_VERSION/./_}" \
    LUA_PATH="$tree/share/lua/$LUA_VERSION/?.lua;;" LUA_CPATH="$tree/lib/lua/$LUA_VERSION/?.so;;" \
    "$run" "$tree/bin/thucchien" generate "paper boats on a canal" -o boats
test -s boats.png
