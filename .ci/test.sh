#!/usr/bin/env bash
# test.sh C_TEST... -- LUA...
#
# Runs the C unit tests, then the specs under each Lua, and ends with the sum of both on a line by
# itself: "N passed, N failed", with ", N skipped" when there are. The status is 0 only if something
# ran and nothing failed. Several Luas run side by side, JOBS at a time, and so do two halves of the
# specs where there is one Lua only; each shows what it printed when it has ended. Picked specs show
# it as it comes. What is the emulator's or the engine's alone is the same with every Lua, and runs
# with the first.
#
# BUILD and VARIANT say where the modules are ($BUILD/$VARIANT<lua>/thucchien.so); SPEC picks spec
# files; RUN is what runs the C tests, an emulator of another processor. A directory bin beside a
# module comes first in PATH: there "make asan" has its own Lua.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0 skipped=0
BUILD=${BUILD:-build} VARIANT=${VARIANT:-}
JOBS=${JOBS:-$(($(getconf _NPROCESSORS_ONLN) + 1))} # specs wait for half of their time
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# What a developer has set for other programs must not decide the outcome.
unset LUA_INIT LUA_INIT_5_{2,3,4,5} LUA_PATH_5_{2,3,4,5} LUA_CPATH_5_{2,3,4,5} LUA_PATH LUA_CPATH
unset "${!THUCCHIEN_@}" http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1

# add PASSED FAILED SKIPPED STATUS: a crash, a leak found at exit or an empty run leaves no failure
# in the log, so a bad status without one counts as one.
add() {
    local failures=$2
    if [ "$4" != 0 ] && [ "$failures" = 0 ]; then
        echo "(ended with status $4)"
        failures=1
    fi
    passed=$((passed + $1)) failed=$((failed + failures)) skipped=$((skipped + $3))
}

# count PATTERN LOG
count() { grep -cE "$1" "$2" || :; }

run_c_test() {
    local status=0 skips log=$logs/c
    echo "== $1"
    # shellcheck disable=SC2086  # RUN is a command and its arguments
    CMOCKA_MESSAGE_OUTPUT=TAP ${RUN:-} "$1" >"$log" 2>&1 || status=$?
    cat "$log"
    skips=$(count '^ok .*# SKIP' "$log")
    add $(($(count '^ok ' "$log") - skips)) "$(count '^not ok ' "$log")" "$skips" "$status"
}

ONCE='spec/(emulator(_[a-z]+)?|failures_doc|libcurl|money|tls|proxy|squid|deps)_spec.lua'

# The specs of one part of several: the largest files are dealt out first.
part() { # PART PARTS BUT
    # shellcheck disable=SC2012  # the names are ours
    ls -S spec/*_spec.lua | grep -vxE "$3" | awk -v part="$1" -v parts="$2" 'NR % parts == part'
}

# run_specs LUA PART PARTS BUT
run_specs() (
    local out=$PWD/$BUILD/$VARIANT${1##*/}
    export LUA=$1 LUA_PATH="$PWD/lua/?.lua;$PWD/?.lua;;" LUA_CPATH="$out/?.so;;"
    if [ -d "$out/bin" ]; then export PATH=$out/bin:$PATH LUA=${1##*/}; fi
    # Straight under the Lua to be tested: the busted command would start it through a shell.
    # shellcheck disable=SC2086  # SPEC may name several files; those in spec/hosts have targets of their own
    "$LUA" .ci/busted.lua --output=plainTerminal ${SPEC:-$(part "$2" "$3" "$4")}
)

# busted sums up as "5 successes / 1 failure / 0 errors / 2 pending : 0.2 seconds".
add_specs() { # LOG STATUS
    local sum status=$2
    sum=$(sed -nE 's|^([0-9]+) success(es)? / ([0-9]+) failures? / ([0-9]+) errors? / ([0-9]+) pending.*|\1 \3 \4 \5|p' "$1" | tail -n 1)
    # shellcheck disable=SC2086
    set -- ${sum:-0 0 0 0}
    if [ "$(($1 + $2 + $3))" = 0 ] && [ "$status" = 0 ]; then status=none-ran; fi
    add "$1" $(($2 + $3)) "$4" "$status"
}

run_picked() {
    local status=0
    echo "== specs on $1"
    run_specs "$1" 0 1 none 2>&1 | tee "$logs/specs" || status=${PIPESTATUS[0]}
    add_specs "$logs/specs" "$status"
}

# run_side_by_side PARTS LUA...
run_side_by_side() {
    local parts=$1 luas=() pids=() next=0 oldest status lua i but=none
    shift
    for lua in "$@"; do
        for ((i = 0; i < parts; i++)); do luas+=("$lua $i $parts $but"); done
        but=$ONCE
    done
    set -- "${luas[@]}"
    for ((oldest = 0; oldest < $#; oldest++)); do
        for (( ; next < $# && next < oldest + JOBS; next++)); do
            # shellcheck disable=SC2086  # a Lua, its part, and the specs that it is without
            run_specs ${luas[next]} >"$logs/$next" 2>&1 &
            pids[next]=$!
        done
        status=0
        wait "${pids[oldest]}" || status=$?
        echo "== specs on ${luas[oldest]%% *}"
        cat "$logs/$oldest"
        add_specs "$logs/$oldest" "$status"
    done
}

while [ $# -gt 0 ] && [ "$1" != -- ]; do
    run_c_test "$1"
    shift
done
shift
if [ $# != 1 ]; then
    run_side_by_side 1 "$@"
elif [ -n "${SPEC:-}" ]; then
    run_picked "$1"
else
    run_side_by_side 2 "$1"
fi

echo
echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
