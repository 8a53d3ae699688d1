#!/usr/bin/env bash
# Checks the layers of csrc/, which are its folders, by what each file includes:
#
#     binding -> engine -> splitter -> base
#
# A file includes headers of its own folder ("x.h") and of the folders to the right ("../base/x.h"),
# never of those to the left; the binding includes the public header too, "../thucchien.h". Only the
# binding includes Lua's headers, only the engine libcurl's; base and splitter have the C library,
# the system's calls and the compiler's intrinsics.
set -euo pipefail
cd "$(dirname "$0")/../csrc"

rank() {
    case $1 in
    base) echo 0 ;;
    splitter) echo 1 ;;
    engine) echo 2 ;;
    binding) echo 3 ;;
    *) echo 9 ;;
    esac
}

libc='<(assert|ctype|errno|fcntl|float|inttypes|io|limits|math|poll|share|signal|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|unistd|windows|sys/file|sys/stat|sys/time|sys/types)\.h>'
simd='<([a-z]?mmintrin|immintrin|arm_neon|cpuid|intrin|sys/auxv|asm/hwcap)\.h>' # the compiler's own

# allowed FOLDER HEADER, the header with its <> or "" around it.
allowed() {
    local path=${2//\"/}
    case $2 in
    '<lua.h>' | '<lauxlib.h>' | '<lualib.h>' | '<luajit.h>') [ "$1" = binding ] ;;
    '<curl/'*) [ "$1" = engine ] ;;
    '<'*) [ "$(rank "$1")" -ge 2 ] || [[ $2 =~ ^$libc$ || $2 =~ ^$simd$ ]] ;;
    '"../thucchien.h"') [ "$1" = binding ] ;;
    '"../'*) path=${path#../} && [ -e "$path" ] && [ "$(rank "${path%/*}")" -lt "$(rank "$1")" ] ;;
    *) [[ $path != */* && -e $1/$path ]] ;;
    esac
}

status=0
for file in */*.[ch]; do
    while read -r header; do
        allowed "${file%/*}" "$header" || {
            echo "csrc/$file must not include $header"
            status=1
        }
    done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]*[>"]).*/\1/p' "$file")
done
exit $status
