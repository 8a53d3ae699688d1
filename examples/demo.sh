#!/bin/sh
# demo.sh FILE: what "make demo" does. The command asks the emulator for a picture, writes it to
# FILE (with the extension that fits), and prints where it is and how large.
#
# From the Makefile: LUA, and OUT, the directory of the module built for it.
set -eu

cd "$(dirname "$0")/.."
mkdir -p "$(dirname "$1")"
# The variables with a version in their name would come before these two.
unset LUA_PATH_5_2 LUA_PATH_5_3 LUA_PATH_5_4 LUA_PATH_5_5
unset LUA_CPATH_5_2 LUA_CPATH_5_3 LUA_CPATH_5_4 LUA_CPATH_5_5
export LUA_PATH="./lua/?.lua;;" LUA_CPATH="./$OUT/?.so;;"

examples/with-emulator.sh "$LUA" bin/thucchien generate \
    "a lighthouse at dusk, waves against the rocks, a first star" \
    --aspect-ratio 16:9 -o "$1" --force
