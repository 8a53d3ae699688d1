#!/bin/sh
# jq.sh BASE COUNT [OUT]: curl, jq and base64 in a pipe, COUNT times.
set -eu

# split runs one base64 for each picture and sets FILE to OUT/1, OUT/2, ...
filter='base64 -d >/dev/null'
if [ $# = 3 ]; then filter='base64 -d >"$FILE"'; fi

for _ in $(seq "$2"); do
    curl -s --fail -H 'Content-Type: application/json' \
        -d '{"prompt":"x","n":4,"model":"bench"}' "$1/images/generations" |
        jq -r '.data[].b64_json' |
        split -l 1 --numeric-suffixes=1 -a 1 --filter="$filter" - "${3:+$3/}"
done
