#!/bin/sh
# clean_root.sh SUITE [WORD] - does as a new developer does: takes a fresh clone of HEAD in a fresh Debian SUITE
# (trixie, bookworm) or Ubuntu (noble) with git and nothing else. There ./run WORD (test) must pass. Needs mmdebstrap and root. The
# packages come from the mirror that apt on this machine uses. Everything is in a temporary directory, and all processes
# and mounts are in namespaces that end with it.
set -eu
suite=${1:?usage: tests/clean_root.sh SUITE [WORD], such as: tests/clean_root.sh trixie}
word=${2:-test}
repository=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
"$repository/packaging/root.sh" make "$suite" "$root" git
git clone --quiet --no-hardlinks "file://$repository" "$root/root/carillon"

echo "clean_root: ./run $word"
"$repository/packaging/root.sh" in "$root" sh -c "cd /root/carillon && exec ./run $word"
