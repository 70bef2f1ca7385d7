#!/bin/sh
# root.sh - clean roots of other releases of Debian and Ubuntu, to build packages in and to try them in. Needs mmdebstrap and root.
#   root.sh make SUITE FOLDER [PACKAGE...]   makes FOLDER a root of SUITE (bookworm, trixie, jammy, noble): what every system of it has, apt, and
#                                            these packages. build/roots keeps an archive of each, for the next time: remove it for a newer one.
#   root.sh in FOLDER COMMAND [ARGUMENT...]  runs a command in there, with the network of this machine. Its processes and mounts are in
#                                            namespaces that end with it.
set -eu
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"

say() {
    printf 'root: %s\n' "$*" >&2
}

# The mirrors of Debian that apt on this machine uses. mmdebstrap knows those of Ubuntu, and those of Debian where this machine has none.
sources() {
    command -v apt-get >/dev/null || return 0
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
    security=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian-Security' | sort -u | head -n 1)
    [ -z "$site" ] || echo "deb $site $1 main"
    [ -z "$security" ] || echo "deb $security $1-security main"
}

# archive SUITE FILE [PACKAGE...]
archive() {
    suite=$1
    file=$2
    shift 2
    list=
    case $suite in
    jammy | noble) components=main,universe ;;
    *)
        components=main
        list=$(mktemp)
        sources "$suite" >"$list"
        [ -s "$list" ] || list=
        ;;
    esac
    say "making a $suite root${*:+ with $*}"
    mkdir -p "$(dirname "$file")"
    mmdebstrap --quiet --variant=minbase --components=$components --include="apt,ca-certificates${*:+,$(echo "$*" | tr ' ' ',')}" \
        "$suite" "$file.part.tar" ${list:+"$list"} && mv "$file.part.tar" "$file"
    [ -z "$list" ] || rm -f "$list"
}

make() {
    suite=$1
    folder=$2
    shift 2
    kept=$(dirname "$0")/../build/roots/$suite-$(echo "$*" | cksum | cut -d ' ' -f 1).tar
    [ -f "$kept" ] || archive "$suite" "$kept" "$@"
    mkdir -p "$folder"
    tar -C "$folder" --numeric-owner -xpf "$kept" --exclude='./dev/*'
    # Packages must not start services in there.
    printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
    chmod +x "$folder/usr/sbin/policy-rc.d"
    rm -f "$folder/etc/resolv.conf"
    cp /etc/resolv.conf /etc/hosts "$folder/etc/"
}

in_root() {
    root=$(cd "$1" && pwd)
    shift
    # The root is a mount too: without it nothing in there can make a network namespace.
    exec unshare --mount --pid --fork --kill-child sh -eu -c '
        root=$1
        shift
        mount --make-rprivate /
        mount --bind "$root" "$root"
        cd "$root"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive "$@"
    ' sh "$root" "$@"
}

case ${1:-} in
make | in)
    [ $# -ge 3 ] || { say "see the top of packaging/root.sh"; exit 2; }
    word=$1
    shift
    if [ "$word" = make ]; then make "$@"; else in_root "$@"; fi
    ;;
*)
    say "see the top of packaging/root.sh"
    exit 2
    ;;
esac
