#!/bin/sh
# components.sh - prints what is in the programs that packaging/relocatable.sh makes, as packaging/spdx.py reads it: Carillon, and the
# libraries as Debian calls them.
set -eu
cd "$(dirname "$0")/.."
. packaging/variables.sh
printf 'carillon\t%s\tApache-2.0\tpkg:generic/carillon@%s\n' "$VERSION" "$VERSION"
while read -r library licence; do
    file=$(sed -n "s|^$library  *[0-9a-f]*  *||p" packaging/static-libraries.lock | tail -n 1)
    version=$(basename "$file" | sed 's/^[^_]*_//; s/\.debian\.tar.*//; s/\.orig\.tar.*//')
    printf '%s\t%s\t%s\tpkg:deb/debian/%s@%s?arch=source\n' "$library" "$version" "$licence" "$(basename "$(dirname "$file")")" \
        "$(printf %s "$version" | sed 's/+/%2B/g; s/~/%7E/g')"
done <packaging/licences.txt
