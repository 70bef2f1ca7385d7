#!/bin/sh
# deb.sh [SUITE] - makes the Debian package into build/packages: of this machine's release, or of another one (bookworm, trixie, noble) in a
# clean root (packaging/root.sh). Both build what is committed.
set -eu
cd "$(dirname "$0")/.."
packages=$PWD/build/packages
mkdir -p "$packages"
[ -n "${SOURCE_DATE_EPOCH:-}" ] || SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# of_this_release: builds the sources here.
of_this_release() {
    command -v dpkg-shlibdeps >/dev/null || {
        echo "deb: dpkg-shlibdeps is missing; it is in the package dpkg-dev of Debian and Ubuntu" >&2
        exit 1
    }
    rm -rf build/deb
    CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=." cmake -G Ninja -B build/deb -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCARILLON_TESTS=OFF \
        -DCARILLON_DEB=ON -DCMAKE_INSTALL_PREFIX=/usr
    cmake --build build/deb
    umask 022
    cpack --config build/deb/CPackConfig.cmake -B build/deb/cpack
    cp build/deb/cpack/carillon_*.deb "$packages"
}

# of SUITE: the same in a root of that release, with what is committed.
of() {
    packages_to_build=$(sed -n '/^build_packages="/,/"$/p' run | sed 's/^build_packages=//' | tr -d '"')
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    trap 'exit 1' HUP INT TERM
    # shellcheck disable=SC2086 # a list of words
    packaging/root.sh make "$1" "$root" dpkg-dev $packages_to_build
    mkdir -p "$root/src/carillon"
    git archive HEAD | tar -x -C "$root/src/carillon"
    packaging/root.sh in "$root" env SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" /src/carillon/packaging/deb.sh
    cp "$root"/src/carillon/build/packages/*.deb "$packages"
}

mkdir -p build
if [ $# -eq 0 ]; then
    of_this_release >build/deb.log 2>&1 || { cat build/deb.log >&2; exit 1; }
else
    for suite; do
        of "$suite" >"build/deb-$suite.log" 2>&1 || { cat "build/deb-$suite.log" >&2; exit 1; }
    done
fi
