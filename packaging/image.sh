#!/bin/sh
# image.sh - carillon-VERSION-image.tar.gz, which `docker load -i` takes, and `podman load` once it is unpacked: what docker/Dockerfile makes
# of what is committed. No registry is asked: debian:trixie-slim is a fresh trixie root (packaging/root.sh). Needs root and buildah.
set -eu
cd "$(dirname "$0")/.."
. packaging/variables.sh
made=$PWD/build/image
archive=$PACKAGES/carillon-$VERSION-image.tar
buildah="buildah --root $made/storage --runroot $made/run --storage-driver vfs"

mkdir -p "$made/context" build
# ended CODE: what went wrong is in the log.
ended() {
    [ "$1" = 0 ] || tail -n 40 build/image.log >&3
    rm -rf "$made/base" "$made/base.tar" "$made/context"
}
trap 'ended $?' EXIT
trap 'exit 1' HUP INT TERM
exec 3>&2 >build/image.log 2>&1
packaging/root.sh make trixie "$made/base"
rm "$made/base/usr/sbin/policy-rc.d"
tar -C "$made/base" --numeric-owner -cf "$made/base.tar" . # unpacked in there with the owners that it has
base=$($buildah from scratch)
$buildah add --quiet "$base" "$made/base.tar" /
$buildah commit --quiet --rm --timestamp 0 "$base" docker.io/library/debian:trixie-slim
git archive HEAD | tar -x -C "$made/context"
$buildah bud --format docker --isolation chroot --network host --layers --timestamp "$SOURCE_DATE_EPOCH" --pull-never \
    --build-arg SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" -f "$made/context/docker/Dockerfile" -t "carillon:$VERSION" "$made/context"
rm -f "$archive" "$archive.gz"
$buildah push "carillon:$VERSION" "docker-archive:$archive:carillon:$VERSION"
packaging/image.py "$archive" "carillon:$VERSION"
gzip -9n "$archive"
packaging/components.sh | packaging/spdx.py "$archive.gz"
