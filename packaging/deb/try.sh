#!/bin/sh
# try.sh - runs as root in a fresh system with systemd, which packaging/test_deb.sh boots: installs /root/old/carillon_*.deb, uses it,
# upgrades to /root/new/carillon_*.deb, removes and purges. The exit code is 0 if all was as it should be.
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd /root

step() {
    printf -- '--- %s\n' "$*"
}

# should COMMAND...: it must succeed. should not COMMAND...: it must fail.
should() {
    if [ "$1" = not ]; then
        shift
        ! "$@" || { echo "FAILED: not: $*"; exit 1; }
    else
        "$@" || { echo "FAILED: $*"; exit 1; }
    fi
}

apt() {
    apt-get -q -y -o Dpkg::Use-Pty=0 "$@" 2>&1 | grep -E 'carillon|^E:|rror' || true
}

# Everything on disk but what apt, dpkg, the journal and this script write anyway.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path /var/cache -o -path /var/log \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd/random-seed -o -path /var/tmp \) -prune -o -print | sort
}

running() {
    systemctl is-active --quiet carillon && carillon healthcheck >/dev/null
}

for package in /root/old/carillon_*.deb; do old=$package; done
for package in /root/new/carillon_*.deb; do new=$package; done
# What it depends on comes first, so that the files that stay afterwards are those of Carillon alone.
apt install adduser ca-certificates
dpkg-deb -f "$old" Depends | tr ',' '\n' | sed 's/(.*//' | xargs apt-get -q -y install >/dev/null
files >before
getent passwd | sort >users.before

step "apt install $old"
apt install "$old"
should systemctl is-enabled --quiet carillon
should running
systemctl status --no-pager carillon | head -n 12
should [ "$(stat -c '%U:%G %a' /etc/carillon/token-secret)" = "root:carillon 640" ]
should [ "$(stat -c '%U:%G %a' /etc/carillon/api-keys)" = "root:carillon 640" ]
should [ "$(ps -o user= -C carillon | sort -u)" = carillon ]
should [ "$(systemctl --failed --quiet list-units | grep -c carillon)" = 0 ]

step "the first event"
carillon token --secret-file /etc/carillon/token-secret --sub ada >ada.jwt
carillon listen --token-file ada.jwt --count 1 user:ada >event 2>listen.log &
listener=$!
until grep -q subscribed listen.log; do sleep 0.1; done
carillon publish --api-key-file /etc/carillon/api-keys user:ada notification '{"message":"Hello"}'
wait $listener
cat event
should grep -q '"message":"Hello"' event

step "a changed setting is applied by a reload"
sed -i 's/"public:\*"/"everybody:*"/' /etc/carillon/carillon.jsonc
pid=$(systemctl show -p MainPID --value carillon)
should systemctl reload carillon
should [ "$(systemctl show -p MainPID --value carillon)" = "$pid" ]

step "apt install $new (upgrade)"
cp -a /etc/carillon kept
rm /etc/carillon/api-keys
sed -i 's/"api":/\/\/ no API any more: "api":/' /etc/carillon/carillon.jsonc
cp -a /etc/carillon/carillon.jsonc kept/
apt -o Dpkg::Options::=--force-confold install "$new"
should running
should [ "$(systemctl show -p MainPID --value carillon)" != "$pid" ]
should cmp /etc/carillon/carillon.jsonc kept/carillon.jsonc
should cmp /etc/carillon/token-secret kept/token-secret
should not [ -e /etc/carillon/api-keys ]
dpkg -s carillon | grep -E '^(Status|Version)'

step "the maintainer scripts once more"
export DPKG_MAINTSCRIPT_PACKAGE=carillon
should /var/lib/dpkg/info/carillon.postinst configure 0.0.1
should /var/lib/dpkg/info/carillon.postinst configure 0.0.1
should /var/lib/dpkg/info/carillon.postrm upgrade 0.0.1
unset DPKG_MAINTSCRIPT_PACKAGE
should running

step "a service that was stopped and disabled stays so after an upgrade"
systemctl disable --now --quiet carillon
apt install --reinstall "$new"
should not systemctl is-enabled --quiet carillon
systemctl enable --now --quiet carillon

step "apt remove"
apt remove carillon
should not pgrep -x carillon
should not [ -e /usr/bin/carillon ]
should cmp /etc/carillon/token-secret kept/token-secret

step "and installed again"
apt install "$new"
should running
should cmp /etc/carillon/token-secret kept/token-secret

step "apt purge"
apt purge carillon
should not pgrep -x carillon
should not systemctl cat carillon
should not getent passwd carillon
should not getent group carillon
files >after
should diff before after
getent passwd | sort >users.after
should diff users.before users.after

step "installed with a port in use"
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalPort => 8080, LocalAddr => "0.0.0.0") or die; sleep 60' &
holder=$!
sleep 0.5
apt install "$new"
should [ "$(dpkg -s carillon | grep -c '^Status: install ok installed')" = 1 ]
journalctl --no-pager -u carillon -n 40 | grep -m 1 'in use' || true
kill $holder
systemctl reset-failed carillon 2>/dev/null || true
should systemctl restart carillon
should running

step "what systemd says of the unit"
should systemd-analyze verify --man=no /usr/lib/systemd/system/carillon.service
systemd-analyze security --no-pager carillon | tail -n 1
echo "deb: all as it should be"
