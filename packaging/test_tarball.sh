#!/bin/sh
# test_tarball.sh [SUITE...] - tries build/packages/carillon-*-linux-x64.tar.gz in fresh roots that have none of its libraries: those of a
# minimal bookworm, trixie, jammy and noble, or those that are named. Needs root and mmdebstrap.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- bookworm trixie jammy noble
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tarball=$(echo build/packages/carillon-*-linux-x64.tar.gz)
size=$(wc -c <"$tarball")
echo "tarball: $size bytes"
[ "$size" -lt 8000000 ] || { echo "test_tarball: FAILED: it is larger than 8 MB" >&2; exit 1; }
(cd build/packages && sha256sum --quiet --check SHA256SUMS)

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$work/key.pem" -out "$work/authority.pem" 2>/dev/null

for suite; do
    root=$work/$suite
    packaging/root.sh make "$suite" "$root"
    cp "$tarball" packaging/first_event.sh "$work"/*.pem "$root/root/"
    echo "=== $suite"
    packaging/root.sh in "$root" sh -euc '
        cd /root
        mkdir carillon && tar -xf carillon-*.tar.gz -C carillon --strip-components=1
        for file in bin/carillon bin/carillon-bench share/man/man1/carillon.1 share/carillon/options.schema.json LICENSE \
            share/doc/carillon/examples/carillon.jsonc share/bash-completion/completions/carillon share/zsh/site-functions/_carillon \
            share/doc/carillon/licences/openssl.txt; do
            [ -s carillon/$file ] || [ -s carillon/share/doc/carillon/$file ] || { echo "test_tarball: FAILED: no $file" >&2; exit 1; }
        done
        ldd carillon/bin/carillon
        ./first_event.sh /root/carillon/bin/carillon
        carillon/bin/carillon version --json
        carillon/bin/carillon check --config carillon/share/doc/carillon/examples/carillon.jsonc
        # Authorities are found where Fedora has them, when they are nowhere else.
        mv /etc/ssl /etc/ssl.away
        mkdir -p /etc/pki/tls/certs
        cat /etc/ssl.away/certs/ca-certificates.crt authority.pem >/etc/pki/tls/certs/ca-bundle.crt
        carillon/bin/carillon dev --port 0 --internal-port 0 --ready-file ready --tls-certificate authority.pem --tls-key key.pem \
            >dev.log 2>&1 &
        until [ -s ready ]; do sleep 0.01; done
        url=$(sed "s/.*\"ws_url\":\"wss*:\/\/[^:]*\([^\"]*\)\".*/wss:\/\/localhost\1/" ready)
        token=$(sed "s/.*\"token\":\"\([^\"]*\)\".*/\1/" ready)
        SSL_CERT_FILE=/etc/ssl.away/certs/ca-certificates.crt timeout 5 carillon/bin/carillon listen --url "$url" --token "$token" --no-reconnect demo 2>refused.log || true
        grep "not accepted" refused.log || { cat refused.log >&2; exit 1; }
        timeout 5 carillon/bin/carillon listen --url "$url" --token "$token" demo 2>accepted.log || true
        grep "subscribed" accepted.log || { cat accepted.log >&2; exit 1; }
    '
done
echo "tarball: all as it should be"
