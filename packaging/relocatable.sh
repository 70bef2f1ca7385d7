#!/bin/sh
# relocatable.sh - builds the programs with their libraries inside, for any Linux with glibc 2.34 or newer on x86-64. They are installed into
# build/packaging/stage, with the licences of all that is inside, and listed in build/packaging/components (packaging/spdx.py).
#
# Inside of the programs and not beside them ($ORIGIN), as measured with the libraries of Debian 12: beside they are 38 files of 17 MB, because
# its libcurl brings LDAP, Kerberos and more. Such a program starts in 8 ms and takes 15 MB with 1,000 connections. With the libraries
# inside it starts in 2 ms and takes 9.5 MB, and a delivery costs the same. And libwebsockets looks for its event loop in a folder of the
# machine, where nothing is.
set -eu
cd "$(dirname "$0")/.."
. packaging/variables.sh
newest_glibc=2.34
made=build/packaging
stage=$PWD/$made/stage

fail() {
    printf 'relocatable: %s\n' "$*" >&2
    exit 1
}
[ "$(uname -sm)" = "Linux x86_64" ] || fail "it is made on Linux on x86-64, and this is $(uname -sm)"

# step NAME COMMAND...: shows what the command says only when it fails.
step() {
    log=$made/$1.log
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 60 "$log" >&2
        fail "failed: $*"
    }
}

mkdir -p $made
packaging/static-libraries.sh
# The libraries are other ones.
[ build/static/prefix/made -ot build/relocatable/build.ninja ] || rm -rf build/relocatable
[ -f build/relocatable/build.ninja ] || step configure cmake --preset relocatable
step build cmake --build --preset relocatable
rm -rf "$stage"
step install cmake --install build/relocatable --prefix "$stage" --strip
for program in "$stage"/bin/*; do
    needed=$(objdump -T "$program" | sed -n 's/.*(GLIBC_\([0-9.]*\)).*/\1/p' | sort -Vu | tail -n 1)
    [ "$(printf '%s\n' "$needed" $newest_glibc | sort -V | tail -n 1)" = $newest_glibc ] ||
        fail "$program needs glibc $needed, and may need $newest_glibc at most: make packages on Debian 12"
    libraries=$(objdump -p "$program" | sed -n 's/^ *NEEDED *//p' | grep -vxE 'libc\.so\.6|libm\.so\.6|ld-linux-x86-64\.so\.2' || true)
    [ -z "$libraries" ] || fail "$program still needs" $libraries
done

licences=$stage/share/doc/carillon/licences
mkdir -p "$licences"
cp build/static/prefix/licences/* "$licences/"
packaging/components.sh >$made/components
{
    printf 'In the programs, beside Carillon (Apache-2.0), with their licences in this folder:\n\n'
    tail -n +2 $made/components | while IFS='	' read -r library version licence _; do
        printf '%s %s (%s)\n' "$library" "$version" "$licence"
    done
    printf '\nTheir sources are those of the Debian packages of these versions. libjwt has, in place of the base64.c that Debian\n'
    printf 'leaves out, the one in packaging/libjwt of the sources of Carillon, under the licence of Carillon.\n'
} >"$licences/README"
