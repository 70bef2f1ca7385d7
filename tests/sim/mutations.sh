#!/bin/sh
# mutations.sh [SEEDS] - does the simulator see a bug? Each patch of tests/sim/mutations/ plants a bug in a copy of the
# tree. Then seeds are run until one fails, at most SEEDS (10000). Fails when a bug goes unseen.
set -eu
cd "$(dirname "$0")/../.."
seeds=${1:-10000}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM
git ls-files --cached --others --exclude-standard | tar -cf - -T - | tar -xf - -C "$copy"
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >"$copy/log"
unseen=0
for patch in "$PWD"/tests/sim/mutations/*.patch; do
    name=$(basename "$patch" .patch)
    patch -s -p1 -d "$copy" <"$patch" || {
        echo "$name: the patch does not fit the code any more"
        exit 1
    }
    cmake --build "$copy/build" --target carillon_sim >"$copy/log" || {
        cat "$copy/log"
        exit 1
    }
    if "$copy/build/tests/sim/carillon_sim" --seeds "$seeds" --failures 1 >"$copy/found" 2>/dev/null; then
        echo "$name: UNSEEN by $seeds seeds"
        unseen=1
    else
        echo "$name: $(grep -m 1 '^seed ' "$copy/found")"
    fi
    patch -s -R -p1 -d "$copy" <"$patch"
done
exit "$unseen"
