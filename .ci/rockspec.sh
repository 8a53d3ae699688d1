#!/usr/bin/env bash
# Checks the rockspec as its users meet it, without a network: the lists in it are complete, luarocks
# accepts it, and builds it in the checkout; it installs the source rock of a release from a server
# of rocks; and the command that it installs makes a picture, both times.
#
# From the Makefile: LUA_VERSION, BUILD, CC, CURL_INCDIR. The release is the one in $BUILD/dist.
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
rocks() { luarocks --lua-version "$LUA_VERSION" --tree "$1" "${@:2}" CURL_INCDIR="$CURL_INCDIR"; }

# draw TREE: from another directory, so that nothing comes from the checkout. The command's wrapper
# looks for modules in the trees that luarocks searched for dependencies; with none searched, say
# which.
run=$PWD/examples/with-emulator.sh
draw() (
    cd "$1"
    env -u "LUA_PATH_${LUA_VERSION/./_}" -u "LUA_CPATH_${LUA_VERSION/./_}" \
        LUA_PATH="$1/share/lua/$LUA_VERSION/?.lua;;" LUA_CPATH="$1/lib/lua/$LUA_VERSION/?.so;;" \
        "$run" "$1/bin/thucchien" generate "paper boats on a canal" -o boats
    test -s boats.png
)

rocks "$tree/made" make --deps-mode none "$rockspec"
rm -f thucchien.so csrc/*/*.o # luarocks compiles beside the sources
draw "$tree/made"

mkdir -p "$tree/server"
cp "$BUILD"/dist/*.rockspec "$BUILD"/dist/*.src.rock "$tree/server/"
luarocks-admin --lua-version "$LUA_VERSION" make-manifest "$tree/server"
rocks "$tree/installed" install --deps-mode none --only-server "$tree/server" thucchien
draw "$tree/installed"
