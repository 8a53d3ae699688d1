#!/bin/sh
# curl.sh BASE COUNT [OUT]: one curl, COUNT requests over one connection, nothing kept.
set -eu

target=${3:+$3/body}
urls=$(seq "$2" | sed "s|.*|url = $1/images/generations\noutput = ${target:-/dev/null}|")
exec curl -s --fail --http1.1 -H 'Content-Type: application/json' \
    -d '{"prompt":"x","n":4,"model":"bench"}' -K - <<END
$urls
END
