#!/bin/sh
# with-emulator.sh COMMAND...: runs a command while an emulator of the gateway listens on a free
# port, with the environment that leads the module there. The emulator is gone afterwards, however
# the command ends.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
emulator=

stop() {
    if [ -n "$emulator" ]; then
        kill "$emulator" 2>/dev/null || :
        wait "$emulator" 2>/dev/null || :
    fi
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --stop-on-eof: should this script be killed outright, the pipe closes and the emulator ends too.
mkfifo "$dir/stdin" "$dir/stdout"
LUA_PATH="$root/lua/?.lua;;" LUA_CPATH=';;' "${EMULATOR_LUA:-luajit}" "$root/bin/thucchien" \
    emulator --port 0 --stop-on-eof <"$dir/stdin" >"$dir/stdout" &
emulator=$!
exec 3>"$dir/stdin" 4<"$dir/stdout"

line=
read -r line <&4 || :
case $line in
*http://*) ;;
*) echo "with-emulator.sh: the emulator did not start${line:+: $line}" >&2 && exit 1 ;;
esac
# Whoever reads the emulator's log must go on reading: a full pipe would stop it.
cat <&4 3>&- >"$dir/log" &

export THUCCHIEN_BASE_URL="${line##* }" THUCCHIEN_API_KEY=sk-emulator
export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
"$@" 3>&- 4<&-
