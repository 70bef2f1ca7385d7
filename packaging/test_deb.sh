#!/bin/sh
# test_deb.sh [SUITE...] - tries the packages that packaging/deb.sh made, each in a fresh system of its release that systemd boots
# (systemd-nspawn, without network): install, first event, reload, upgrade, remove, purge. And lintian reads them. Needs root, mmdebstrap,
# systemd-container and lintian.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- bookworm trixie noble
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

package_of() {
    case $1 in
    bookworm) echo build/packages/carillon_*+deb12_*.deb ;;
    trixie) echo build/packages/carillon_*+deb13_*.deb ;;
    noble) echo build/packages/carillon_*+ubuntu24.04_*.deb ;;
    esac
}

# later PACKAGE FOLDER: the same package as a later version, whose configuration file has changed too.
later() {
    dpkg-deb -R "$1" "$work/later"
    sed -i 's/^Version: /&1:/' "$work/later/DEBIAN/control"
    echo '// of the next version' >>"$work/later/etc/carillon/carillon.jsonc"
    mkdir -p "$2"
    dpkg-deb --root-owner-group -b "$work/later" "$2/carillon_later.deb" >/dev/null
    rm -rf "$work/later"
}

for suite; do
    package=$(package_of "$suite")
    [ -f "$package" ] || { echo "test_deb: there is no package of $suite; ./run package deb makes it" >&2; exit 1; }
    echo "=== $suite: $package"
    echo "--- lintian"
    # Three notes are left out: there is no script for other init systems, the compiler's name stays in the programs, and "allows to".
    lintian --allow-root --pedantic --display-info --fail-on error,warning,info,pedantic --suppress-tags \
        package-supports-alternative-init-but-no-init.d-script,binary-has-unneeded-section,spelling-error-in-binary "$package"
    root=$work/$suite
    packaging/root.sh make "$suite" "$root" systemd systemd-sysv procps perl adduser
    mkdir -p "$root/root/old"
    cp "$package" "$root/root/old"
    later "$package" "$root/root/new"
    cp packaging/deb/try.sh "$root/root/"
    rm "$root/usr/sbin/policy-rc.d"
    # The packages that it depends on are fetched here, with the network of this machine.
    packaging/root.sh in "$root" sh -c 'apt-get -q update && apt-get -q -y --download-only install /root/old/*.deb' >"$work/fetched" 2>&1 ||
        { cat "$work/fetched" >&2; exit 1; }
    cat >"$root/etc/systemd/system/try.service" <<'END'
[Unit]
After=multi-user.target
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=/root/try.sh
StandardOutput=file:/root/try.log
StandardError=inherit
TimeoutStartSec=300
END
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -s ../try.service "$root/etc/systemd/system/multi-user.target.wants/"
    status=0
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --register=no --keep-unit --private-network --boot --directory "$root" \
        </dev/null >"$work/console" 2>&1 || status=$?
    cat "$root/root/try.log"
    [ "$status" = 0 ] && grep -q '^deb: all as it should be' "$root/root/try.log" || {
        tail -n 20 "$work/console" >&2
        echo "test_deb: FAILED on $suite" >&2
        exit 1
    }
    rm -rf "$root"
done
