#!/bin/sh
# secrets.sh - draws the secrets of docker/compose.yaml, once: docker/secrets/token-secret, which signs tokens, and docker/secrets/api-keys,
# which backends publish with. Files that are there stay. Nobody else on this machine can enter the folder; the files themselves are readable,
# because the user in the container is another one.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for file in token-secret api-keys; do
    [ ! -e "secrets/$file" ] || continue
    od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"secrets/$file.new"
    echo >>"secrets/$file.new"
    chmod 644 "secrets/$file.new"
    mv "secrets/$file.new" "secrets/$file"
    echo "secrets: docker/secrets/$file is new"
done
