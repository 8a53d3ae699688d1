#!/usr/bin/env bash
# root.sh SUITE [COMMAND...]: what the README tells a newcomer, in a Debian of its own.
#
# Makes build/roots/SUITE.base, a root of that release with git and make only, if it is not there;
# copies it to build/roots/SUITE, clones the last commit into it, and runs "make demo" and "make
# test" there as root, and in trixie also as a user without root; or COMMAND, as root. The last line
# is the sum. What is mounted or left running is gone when this ends.
#
# The mirror is the one that this system's own apt uses. Where no root can be made, that is a skip
# that says why.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    printf 'skipped: no root of %s here, as %s\n\n0 passed, 0 failed, 1 skipped\n' "$suite" "$1"
    exit 0
}

# Where apt has its first source of Debian's from; the other releases are beside it.
find_mirror() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' \
        'Label: Debian' | head -n 1
}

make_base() {
    local mirror packages=git,make log=$base.log
    command -v apt-get >/dev/null || skip "there is no apt"
    [ "$(id -u)" = 0 ] || skip "only root can make one"
    .ci/deps.sh roots || skip "debootstrap is missing"
    mirror=$(find_mirror)
    if [ -z "$mirror" ]; then # apt has not looked yet
        apt-get update -qq || skip "apt reaches no mirror"
        mirror=$(find_mirror)
    fi
    [ -n "$mirror" ] || skip "apt has no mirror of Debian's"
    case $mirror in https:*) packages+=,ca-certificates ;; esac
    rm -rf "$base"
    if ! debootstrap --variant=minbase --include=$packages "$suite" "$base" "$mirror" >"$log" 2>&1; then
        rm -rf "$base"
        skip "debootstrap failed: $(tail -n 1 "$log")"
    fi
    apt-config dump | grep -E '^Acquire::(http|https|Check-)' >"$base/etc/apt/apt.conf.d/90outside" || :
    # Nobody keeps it, so nothing waits for the disk.
    echo force-unsafe-io >"$base/etc/dpkg/dpkg.cfg.d/unsafe-io"
    rm -f "$base"/var/cache/apt/archives/*.deb
    touch "$base/ready"
}

make_root() {
    [ -e "$base/ready" ] || make_base
    rm -rf "$root"
    cp -a "$base" "$root"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    git clone --quiet --no-hardlinks . "$root/root/thucchien"
}

# as USER COMMAND: in the root, with nothing of this system's environment.
as() {
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        chroot "$root" su -s /bin/bash -c "cd ~/thucchien && ${*:2}" "$1" </dev/null
}

# step USER COMMAND...: adds what its last line sums up; without one it counts as one.
step() {
    local status=0 sum log=$root.log
    printf '\n== %s, %s: %s\n' "$suite" "$1" "${*:2}"
    as "$@" 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
    sum=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$log" |
        tail -n 1)
    # shellcheck disable=SC2086
    set -- ${sum:-$((status == 0)) $((status != 0))}
    [ "$status" = 0 ] || [ "$2" != 0 ] || set -- "$1" 1 "${3:-0}"
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
}

newcomer() {
    step root make demo
    step root make test
    [ "$suite" = trixie ] || return 0 # once is enough, and takes as long again
    chroot "$root" useradd --create-home guest
    git clone --quiet --no-hardlinks . "$root/home/guest/thucchien"
    chroot "$root" chown -R guest /home/guest/thucchien
    step guest make demo
    step guest make test
}

inside=
[ "$1" != --inside ] || { inside=yes && shift; }
suite=$1
shift
base=${BUILD:-build}/roots/$suite.base root=${BUILD:-build}/roots/$suite
mkdir -p "${root%/*}"
if [ -z "$inside" ]; then
    make_root
    unshare --mount --pid --fork mount -t tmpfs tmpfs "$root/mnt" || skip "nothing can be mounted"
    as root apt-get update -qq || skip "apt reaches nothing from inside"
    exec unshare --mount --pid --fork --kill-child .ci/root.sh --inside "$suite" "$@"
fi

# A root that is a mount itself, so that the specs can make mounts of their own.
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
passed=0 failed=0 skipped=0
if [ $# -gt 0 ]; then step root "$@"; else newcomer; fi
printf '\n%d passed, %d failed%s\n' $passed $failed "$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ]
