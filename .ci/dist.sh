#!/usr/bin/env bash
# Makes a release from the last commit: the sources, the rockspec and the source rock.
#
# The version is TC_VERSION of csrc/thucchien.h; everything else follows from it. The archive has the
# commit's time in it and nothing of this machine, so whoever makes it again gets the same bytes.
#
# From the Makefile: BUILD. Writes to $BUILD/dist.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(git show HEAD:csrc/thucchien.h | sed -n 's/^#define TC_VERSION "\(.*\)"$/\1/p')
name=thucchien-$version
dist=$PWD/$BUILD/dist
rm -rf "$dist" && mkdir -p "$dist"

git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$dist/$name.tar.gz"

# The rockspec of the checkout, for this version and this archive.
url=https://github.com/thucchien/thucchien/releases/download/v$version/$name.tar.gz
git show HEAD:rockspec/thucchien-scm-1.rockspec | sed \
    -e "s|^version = \"scm-1\"|version = \"$version-1\"|" \
    -e "s|url = \"git+https://.*\"|url = \"$url\",\n   dir = \"$name\"|" >"$dist/$name-1.rockspec"
luarocks lint "$dist/$name-1.rockspec"

# A source rock is a zip archive of the two, with times in it: those of the commit.
TZ=UTC
export TZ
touch -d "@$(git log -1 --format=%ct HEAD)" "$dist/$name-1.rockspec" "$dist/$name.tar.gz"
cd "$dist"
zip -qX "$name-1.src.rock" "$name-1.rockspec" "$name.tar.gz"
ls -l "$dist"
