#!/usr/bin/env bash
# asan-lua.sh LUA DIR: writes DIR/<lua>, which runs LUA with the address sanitizer loaded first.
#
# A module built with ASan needs its runtime in the process before anything else, hence LD_PRELOAD.
# But every shell and helper that the specs start would inherit that, be slow, and be blamed for its
# own leaks. So a second library takes the variable out of the environment once it has worked. What
# the specs start by the name of this Lua is DIR/<lua> again: it comes first in PATH, and it is the
# name that the process sees as its own.
set -euo pipefail

lua=$(command -v "$1")
dir=$PWD/$2
wrapper=$dir/${lua##*/}
runtime=$("${CC:-cc}" -print-file-name=libasan.so)

mkdir -p "$dir"
"${CC:-cc}" -shared -fPIC -x c -o "$dir/preloaded.so" - <<'END'
#include <stdlib.h>

__attribute__((constructor)) static void preloaded(void)
{
    unsetenv("LD_PRELOAD");
}
END
cat >"$wrapper" <<END
#!/usr/bin/env bash
LD_PRELOAD=$runtime:$dir/preloaded.so exec -a "$wrapper" "$lua" "\$@"
END
chmod +x "$wrapper"
