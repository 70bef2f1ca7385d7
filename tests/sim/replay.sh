#!/bin/sh
# replay.sh CARILLON_SIM - a seed is a run: the same one in two processes does the same, line by line.
set -eu
for seed in 7 77 777; do
    first=$("$1" --seed $seed --trace 2>/dev/null | cksum)
    second=$("$1" --seed $seed --trace 2>/dev/null | cksum)
    [ "$first" = "$second" ] || {
        echo "seed $seed does not do the same twice: $first, then $second"
        exit 1
    }
done
