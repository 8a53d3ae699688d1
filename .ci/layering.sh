#!/usr/bin/env bash
# Checks the layers of csrc/ by what each file includes.
#
#   binding   thucchien.c binding.h lua_*    the only files that include Lua's headers
#   engine    address client failure loop proxy refusal request trust
#                                            the only ones that include libcurl's
#   splitter  all the rest                   the C library, intrinsics, and each other
#
# A layer includes its own headers and those below, never one above. Since that holds for every
# file, nothing is reached through another header either.
set -euo pipefail
cd "$(dirname "$0")/../csrc"

layer() {
    case $1 in
    thucchien.c | binding.h | lua_*.[ch]) echo binding ;;
    address.[ch] | client.[ch] | loop.[ch] | proxy.[ch] | refusal.[ch] | request.[ch] | trust.[ch] | failure.[ch]) echo engine ;;
    *) echo splitter ;;
    esac
}

libc='<(assert|ctype|errno|fcntl|float|inttypes|io|limits|math|poll|share|signal|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|unistd|windows|sys/file|sys/stat|sys/time|sys/types)\.h>'
simd='<([a-z]?mmintrin|immintrin|arm_neon|cpuid|intrin|sys/auxv|asm/hwcap)\.h>' # the compiler's own

# allowed FILE HEADER, the header with its <> or "" around it.
allowed() {
    local own
    own=$(layer "$1")
    case $2 in
    '<lua.h>' | '<lauxlib.h>' | '<lualib.h>' | '<luajit.h>') [ "$own" = binding ] ;;
    '<curl/'*) [ "$own" = engine ] ;;
    '"'*)
        case $own/$(layer "${2//\"/}") in
        binding/* | engine/engine | engine/splitter | splitter/splitter) ;;
        *) return 1 ;;
        esac
        ;;
    *)
        [ "$own" != splitter ] || [[ $2 =~ ^$libc$ || $2 =~ ^$simd$ ]]
        ;;
    esac
}

status=0
for file in *.[ch]; do
    while read -r header; do
        allowed "$file" "$header" || {
            echo "csrc/$file: the $(layer "$file") must not include $header"
            status=1
        }
    done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]*[>"]).*/\1/p' "$file")
done
exit $status
