#!/usr/bin/env bash
# Installs what is missing for the groups named as arguments; silent and quick when all is there.
#
# On Debian and Ubuntu, as root or where sudo needs no password, apt does it, and takes nothing away
# for it. Everywhere else, and where apt cannot, the packages are named, each as Debian calls it, and
# the script fails only if something it cannot find by looking (a command, a header, a Lua module) is
# really missing.
#
# From the Makefile: LUA (the Lua to build for), LUAS (all of them), CC, INCLUDES (-I options).
set -euo pipefail
LUA=${LUA:-lua5.4} LUAS=${LUAS:-}

lua_headers() {
    case $1 in
    luajit*) echo "libluajit-5.1-dev|libluajit2-5.1-dev" ;; # LuaJIT's own, or OpenResty's
    lua5.1) echo liblua5.1-0-dev ;;
    lua5.*) echo "lib$1-dev" ;;
    esac # any other Lua was installed by hand, with its headers
}

interpreter() {
    case $1 in
    luajit*) echo "luajit|luajit2" ;;
    lua5.[1-5]) echo "$1" ;;
    esac
}

# "a|b" means that either will do; installed is the first one that fits to what is there.
packages() {
    local lua=${LUA##*/}
    case $1 in
    build) echo "gcc|clang libc6-dev|libc-dev $(lua_headers "$lua")
        libcurl4-openssl-dev|libcurl4-gnutls-dev|libcurl4-nss-dev" ;;
    run) echo "$(interpreter "$lua") lua-cjson lua-argparse ca-certificates" ;;
    emulator) echo "$(interpreter luajit) lua-cjson lua-argparse lua-cqueues lua-luaossl lua-zlib" ;;
    test) echo "lua-busted libcmocka-dev curl openssl liblua5.4-dev lua-cjson lua-luv lua-cqueues lua-http
        locales" ;;
    fuzz) echo "clang libclang-rt-dev liblua5.4-dev lua-cjson" ;;
    all-luas) for lua in $LUAS; do echo "$(interpreter "$lua") $(lua_headers "$lua")"; done ;;
    lint) echo "lua-check clang-format clang-tidy binutils" ;;
    rockspec) echo "luarocks git zip" ;;
    compilers) echo "gcc clang" ;;
    hosts) echo "$(interpreter luajit) $(lua_headers luajit) liblua5.4-dev gcc love xvfb xauth valgrind lua-luv lua-cqueues
        fonts-dejavu-core" ;;
    tinyproxy) echo "tinyproxy bash" ;;
    squid) echo "squid openssl" ;;
    texlua) echo texlive-binaries ;;
    pictures) echo "xterm imagemagick" ;;
    nvim) echo "neovim python3-venv tmux" ;;
    nginx) echo "nginx-light|nginx|nginx-core|nginx-full|nginx-extras openssl python3" ;;
    roots) echo "debootstrap util-linux git" ;;
    peers) echo "curl jq liblua5.4-dev lua-socket python3-requests" ;;
    callgrind) echo valgrind ;;
    neon) echo "gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libcmocka-dev:arm64" ;;
    *) echo "deps.sh: no group '$1'" >&2 && exit 2 ;;
    esac
}

wanted=$(for group in "$@"; do packages "$group"; done | tr -s ' \n' '\n' | sort -u)

# Prints those of $wanted that dpkg does not have.
missing_packages() {
    local installed choice name
    # shellcheck disable=SC2086  # names have no blanks
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n${Package}:${Architecture} ${db:Status-Status}\n' \
        ${wanted//|/ } 2>/dev/null || :)
    for choice in $wanted; do
        for name in ${choice//|/ }; do
            case $'\n'$installed$'\n' in *$'\n'"$name installed"$'\n'*) continue 2 ;; esac
        done
        echo "$choice"
    done
}

has_header() { echo "#include <$1>" | ${CC:-cc} ${INCLUDES:-} -E - >/dev/null 2>&1; }
has_module() { "$1" -e "require '$2'" >/dev/null 2>&1; }

# Whether a package's contents are there, whoever installed them.
found() {
    case $1 in
    gcc) command -v "${CC:-cc}" || command -v cc ;;
    libc6-dev) has_header stdio.h ;;
    luajit2) command -v luajit ;;
    liblua5* | libluajit*) has_header lua.h ;;
    libcurl4-*) has_header curl/curl.h ;;
    libcmocka-dev) printf '#include <%s>\n' stdarg.h stddef.h setjmp.h stdint.h cmocka.h |
        ${CC:-cc} ${INCLUDES:-} -E - ;;
    libclang-rt-dev) echo 'int main(void) { return 0; }' |
        clang -x c -fsanitize=address - -o /dev/null ;;
    lua-cjson) has_module "$LUA" cjson ;;
    lua-argparse) has_module "$LUA" argparse ;;
    lua-http) : ;; # one spec looks whether it is there
    lua-luaossl) has_module luajit openssl.digest && has_module luajit cqueues ;;
    lua-zlib) has_module luajit zlib ;;
    lua-busted) command -v busted ;;
    neovim) command -v nvim ;;
    xvfb) command -v xvfb-run ;;
    imagemagick) command -v convert ;;
    fonts-*) : ;;
    lua-luv) has_module "$LUA" luv ;;
    lua-cqueues) has_module "$LUA" cqueues ;;
    python3-venv) python3 -c 'import venv, ensurepip' ;;
    squid) PATH=$PATH:/usr/sbin command -v squid ;;
    texlive-binaries) command -v texlua ;;
    locales) : ;; # without them some specs are pending
    nginx-light) PATH=$PATH:/usr/sbin command -v nginx ;;
    lua-socket) has_module "$LUA" socket.http ;;
    python3-requests) python3 -c 'import requests' ;;
    lua-check) command -v luacheck ;;
    binutils) command -v nm ;;
    ca-certificates) : ;; # the system's own store, under any name
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove \
        --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# Of each choice the first package that can be installed beside what is there and what was picked
# before; its first one where none can.
pick() {
    local choice name picked=()
    for choice in "$@"; do
        for name in ${choice//|/ }; do
            [ "$name" = "$choice" ] && break # there is no choice
            apt_install -s "${picked[@]}" "$name" >/dev/null 2>&1 && break
            name=${choice%%|*}
        done
        picked+=("$name")
    done
    echo "${picked[@]}"
}

# What apt would take away for these packages.
victims() {
    apt-get install -s -qq --no-install-recommends "$@" 2>/dev/null |
        sed -n 's/^Remv \([^ ]*\).*/\1/p' | sort -u | tr '\n' ' '
}

said='' # by apt, when it cannot
if command -v dpkg-query >/dev/null; then
    missing=$(missing_packages)
    [ -n "$missing" ] || exit 0
    if can_install; then
        exec 9<"$0" && flock 9 # one apt at a time under make -j, and look again after the wait
        missing=$(missing_packages)
        [ -n "$missing" ] || exit 0
        case $missing in *:arm64*) as_root dpkg --add-architecture arm64 ;; esac
        as_root apt-get update -qq || echo "apt-get update failed; going on with the lists that are there" >&2
        # shellcheck disable=SC2086
        missing=$(pick $missing)
        echo "installing: $missing"
        # shellcheck disable=SC2086
        if said=$(apt_install $missing 2>&1 >/dev/null); then exit 0; fi
    fi
else
    missing=$wanted
fi

absent=$(for choice in $missing; do found "${choice%%|*}" || echo "${choice%%|*}"; done)
[ -n "$absent" ] || exit 0
{
    # shellcheck disable=SC2086
    victims=$([ -z "$said" ] || victims $absent)
    [ -z "$said" ] || printf '%s\n' "$said"
    echo "Missing, by the names of Debian's packages:" $absent
    if [ -n "$victims" ]; then
        echo "To install them would take away: $victims"
        echo "Nothing was changed. Install them by hand if you can do without those, or something else that"
        echo "serves, and run make again; make DEPS=no takes what is there."
    elif command -v apt-get >/dev/null; then
        echo "Install them with: sudo apt-get install" $absent
    else
        echo "Install the same with this system's package manager or LuaRocks, then run make again."
    fi
} >&2
exit 1
