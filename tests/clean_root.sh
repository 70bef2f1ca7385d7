#!/bin/sh
# clean_root.sh SUITE [WORD] - does as a new developer does: takes a fresh clone of HEAD in a fresh Debian SUITE
# (trixie, bookworm) with git and nothing else. There ./run WORD (test) must pass. Needs mmdebstrap and root. The
# packages come from the mirror that apt on this machine uses. Everything is in a temporary directory, and all processes
# and mounts are in namespaces that end with it.
set -eu
suite=${1:?usage: tests/clean_root.sh SUITE [WORD], such as: tests/clean_root.sh trixie}
word=${2:-test}
repository=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"

site_of() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" | sort -u | head -n 1
}
mirror=$(site_of Debian)
security=$(site_of Debian-Security)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
echo "clean_root: making a $suite with git in $root"
{
    echo "deb $mirror $suite main"
    [ -z "$security" ] || echo "deb $security $suite-security main"
} >"$work/sources.list"
mmdebstrap --quiet --variant=apt --include=git,ca-certificates "$suite" "$root" "$work/sources.list"
# Packages must not start services in there.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
git clone --quiet --no-hardlinks "file://$repository" "$root/root/carillon"

echo "clean_root: ./run $word"
unshare --mount --pid --fork --kill-child sh -eu -c '
    mount --make-rprivate /
    mount --bind "$1" "$1" # a root of mounts too, without which nothing in there can make a network namespace
    cd "$1"
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        sh -c "cd /root/carillon && exec ./run $2"
' sh "$root" "$word"
