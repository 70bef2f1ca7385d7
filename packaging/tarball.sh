#!/bin/sh
# tarball.sh - carillon-VERSION-linux-x64.tar.gz: the programs with all their libraries inside, manual page, schema, examples,
# completions and licences. It can be unpacked anywhere; in /usr/local the service unit is right, too.
set -eu
cd "$(dirname "$0")/.."
. packaging/variables.sh
packaging/relocatable.sh
name=carillon-$VERSION-linux-x64
tree=build/packaging/tarball
rm -rf $tree
mkdir -p $tree
cp -R build/packaging/stage "$tree/$name"
packaging/pack.sh "$tree" "$name" "$PACKAGES/$name.tar.gz"
packaging/spdx.py "$PACKAGES/$name.tar.gz" <build/packaging/components
