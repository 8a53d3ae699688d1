#!/usr/bin/env bash
# test.sh C_TEST... -- LUA...
#
# Runs the C unit tests and the specs under each Lua, and ends with the sum of both on a line by
# itself: "N passed, N failed", with ", N skipped" when there are. The status is 0 only if something
# ran and nothing failed. Each C test and each spec file is a process, JOBS of them run at a time, and
# each shows what it printed when it has ended. Picked specs come after the C tests, in one process,
# and show it as it comes. What is the emulator's or the engine's alone is the same with every Lua, and
# runs with the first.
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
    # shellcheck disable=SC2086  # RUN is a command and its arguments
    CMOCKA_MESSAGE_OUTPUT=TAP ${RUN:-} "$1"
}

add_c_test() { # LOG STATUS
    local skips
    skips=$(count '^ok .*# SKIP' "$1")
    add $(($(count '^ok ' "$1") - skips)) "$(count '^not ok ' "$1")" "$skips" "$2"
}

# The longest: these run programs, draw with the emulator or try every byte.
LONGEST='spec/(real_answers|readme|cli|references|emulator(_routes)?|examples|hostile|reentry)_spec.lua'
ONCE='spec/(emulator(_[a-z]+)?|failures_doc|libcurl|money|tls|proxy|squid|deps)_spec.lua'

# run_specs LUA FILE...
run_specs() (
    local out=$PWD/$BUILD/$VARIANT${1##*/}
    export LUA=$1 LUA_PATH="$PWD/lua/?.lua;$PWD/?.lua;;" LUA_CPATH="$out/?.so;;"
    shift
    if [ -d "$out/bin" ]; then export PATH=$out/bin:$PATH LUA=${LUA##*/}; fi
    # Straight under the Lua to be tested: the busted command would start it through a shell.
    "$LUA" .ci/busted.lua --output=plainTerminal "$@"
)

# busted sums up as "5 successes / 1 failure / 0 errors / 2 pending : 0.2 seconds".
add_specs() { # LOG STATUS
    local sum status=$2
    sum=$(sed -nE 's|^([0-9]+) success(es)? / ([0-9]+) failures? / ([0-9]+) errors? / ([0-9]+) pending.*|\1 \3 \4 \5|p' "$1" | tail -n 1)
    # shellcheck disable=SC2086
    set -- ${sum:-0 0 0 0}
    if [ "$(($1 + $2 + $3 + $4))" = 0 ] && [ "$status" = 0 ]; then status=none-ran; fi
    add "$1" $(($2 + $3)) "$4" "$status"
}

run_picked() {
    local status=0
    echo "== specs on $1"
    # shellcheck disable=SC2086  # SPEC may name several files; those in spec/hosts have targets of their own
    run_specs "$1" $SPEC 2>&1 | tee "$logs/specs" || status=${PIPESTATUS[0]}
    add_specs "$logs/specs" "$status"
}

tasks=() # each a C test, or a Lua and a spec file
shown=0  # how many of them have ended and are in the sums

# One of those who work at the tasks: takes what nobody has taken, which mkdir decides.
work() {
    local i status task
    for ((i = 0; i < ${#tasks[@]}; i++)); do
        mkdir "$logs/$i" 2>/dev/null || continue
        status=0
        read -ra task <<<"${tasks[i]}"
        if [ ${#task[@]} = 1 ]; then
            run_c_test "${task[@]}"
        else
            run_specs "${task[@]}"
        fi >"$logs/$i/printed" 2>&1 || status=$?
        echo "$status" >"$logs/$i/exit"
        mv "$logs/$i/exit" "$logs/$i/status" # it is whole when it is there
    done
}

show_ended() {
    local i task status printed
    for ((i = 0; i < ${#tasks[@]}; i++)); do
        [ -f "$logs/$i/status" ] || continue
        read -ra task <<<"${tasks[i]}"
        status=$(cat "$logs/$i/status") printed=$logs/$i/printed
        rm "$logs/$i/status"
        shown=$((shown + 1))
        echo "== ${task[1]:-$task}${task[1]:+ on $task}"
        cat "$printed"
        if [ ${#task[@]} = 1 ]; then
            add_c_test "$printed" "$status"
        else
            add_specs "$printed" "$status"
        fi
    done
}

run_tasks() {
    local i
    for ((i = 0; i < JOBS; i++)); do work & done
    while [ -n "$(jobs -rp)" ]; do
        show_ended
        sleep 0.2
    done
    show_ended
    if [ "$shown" != ${#tasks[@]} ]; then
        echo "($((${#tasks[@]} - shown)) did not end as they should)"
        failed=$((failed + 1))
    fi
}

# add_spec_files LUA...: the longest first, so that none of them is waited for alone at the end.
add_spec_files() {
    local lua file files but=none
    for lua in "$@"; do
        # shellcheck disable=SC2012,SC2086  # the names are ours
        files=$(ls ${SPEC:-spec/*_spec.lua} | grep -vxE "$but" || :)
        for file in $(grep -xE "$LONGEST" <<<"$files") $(grep -vxE "$LONGEST" <<<"$files"); do
            tasks+=("$lua $file")
        done
        but=$ONCE
    done
}

while [ $# -gt 0 ] && [ "$1" != -- ]; do
    tasks+=("$1")
    shift
done
shift
picked=
if [ $# = 1 ] && [ -n "${SPEC:-}" ]; then
    picked=$1
else
    add_spec_files "$@"
fi
run_tasks
if [ -n "$picked" ]; then
    run_picked "$picked"
fi

echo
echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
