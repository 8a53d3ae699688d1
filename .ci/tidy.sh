#!/usr/bin/env bash
# tidy.sh CLANG_TIDY INCLUDES FILE...: clang-tidy with the checks of .clang-tidy, a file a core.
# Its running count of warnings in other people's headers goes to a log that only a failure shows.
set -euo pipefail

tidy=$1 includes=$2
shift 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# shellcheck disable=SC2086  # INCLUDES holds several options
printf '%s\0' "$@" |
    xargs -0 -n 1 -P "$(getconf _NPROCESSORS_ONLN)" sh -c \
        'tidy=$1 includes=$2; exec $tidy --quiet "$3" -- -std=c99 $includes' - "$tidy" "$includes" \
        >"$log" 2>&1 || { cat "$log" && exit 1; }
