#!/bin/sh
# deb.sh [SUITE... | here] - makes Debian packages, each in a clean root of its release (packaging/root.sh): bookworm, trixie and noble, or
# those that are named. They have what is committed. `here` makes one of this machine's release, of the files as they are.
set -eu
cd "$(dirname "$0")/.."
. packaging/variables.sh

here() {
    rm -rf build/deb
    # No path of this machine gets into the program.
    CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=." cmake -G Ninja -B build/deb -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCARILLON_TESTS=OFF \
        -DCARILLON_DEB=ON -DCMAKE_INSTALL_PREFIX=/usr
    cmake --build build/deb
    cpack --config build/deb/CPackConfig.cmake -B build/deb/cpack
    cp build/deb/cpack/carillon_*.deb "$PACKAGES"
}

# in_root SUITE: the same in a root with what ./run installs to build, and the commands that cpack calls.
in_root() {
    wanted=$(sed -n '/^build_packages="/,/"$/p' run | sed 's/^build_packages=//' | tr -d '"')
    rm -rf "${root:?}"/*
    # shellcheck disable=SC2086 # a list of words
    packaging/root.sh make "$1" "$root" dpkg-dev file $wanted
    mkdir -p "$root/src/carillon"
    git archive HEAD | tar -x -C "$root/src/carillon"
    packaging/root.sh in "$root" env PACKAGES=/packages /src/carillon/packaging/deb.sh here
    for package in "$root"/packages/*.deb; do
        cp "$package" "$PACKAGES"
        printf 'carillon\t%s\tApache-2.0\tpkg:generic/carillon@%s\n' "$VERSION" "$VERSION" | packaging/spdx.py "$PACKAGES/${package##*/}"
    done
}

if [ "${1:-}" = here ]; then
    here
    exit
fi
[ $# -gt 0 ] || set -- bookworm trixie noble
mkdir -p build
root=$(mktemp -d)
log=
# ended CODE: what went wrong is in the log.
ended() {
    [ "$1" = 0 ] || [ -z "$log" ] || tail -n 40 "$log" >&3
    rm -rf "$root"
}
trap 'ended $?' EXIT
trap 'exit 1' HUP INT TERM
exec 3>&2
for suite; do
    log=build/deb-$suite.log
    exec >"$log" 2>&1
    in_root "$suite"
done
