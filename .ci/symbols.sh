#!/usr/bin/env bash
# symbols.sh OUT: what the objects and the module of one build show to the outside.
#
# The module exports luaopen_thucchien alone and brings no liblua; names that cross files begin with
# tc_, because a host that compiles csrc/ in has no hidden visibility to keep them apart.
set -euo pipefail

status=0
complain() { echo "$1" && status=1; }

exported=$(nm -D --defined-only "$1/thucchien.so" | awk '{ print $NF }' | sort | xargs)
[ "$exported" = luaopen_thucchien ] || complain "$1/thucchien.so exports: $exported"

shared=$(nm -g --defined-only "$1"/obj/*/*.o | awk 'NF == 3 { print $3 }' | sort -u)
strays=$(grep -vE '^(tc_|luaopen_thucchien$)' <<<"$shared" | xargs || :)
[ -z "$strays" ] || complain "without the prefix tc_: $strays"

! readelf -d "$1/thucchien.so" | grep -E 'NEEDED.*liblua' || complain "$1/thucchien.so links liblua"
exit $status
