#!/bin/sh
# npm.sh - the npm package carillon, and @carillon/linux-x64 with the program in it. npm installs the second one where it fits.
set -eu
cd "$(dirname "$0")/.."
. packaging/variables.sh
packaging/relocatable.sh
tree=build/packaging/npm
rm -rf $tree
mkdir -p $tree/main/package/bin $tree/linux-x64/package/bin

main=$tree/main/package
sed "s/VERSION/$VERSION/" packaging/npm/package.json >$main/package.json
cp packaging/npm/index.js packaging/npm/index.d.ts packaging/npm/README.md LICENSE $main/
cp packaging/npm/carillon.js $main/bin/
chmod 755 $main/bin/carillon.js
packaging/pack.sh $tree/main package "$PACKAGES/carillon-$VERSION.tgz"
head -n 1 build/packaging/components | packaging/spdx.py "$PACKAGES/carillon-$VERSION.tgz"

platform=$tree/linux-x64/package
sed "s/VERSION/$VERSION/" packaging/npm/platform.json >$platform/package.json
cp build/packaging/stage/bin/carillon $platform/bin/
cp LICENSE $platform/
cp -R build/packaging/stage/share/doc/carillon/licences $platform/
packaging/pack.sh $tree/linux-x64 package "$PACKAGES/carillon-linux-x64-$VERSION.tgz"
packaging/spdx.py "$PACKAGES/carillon-linux-x64-$VERSION.tgz" <build/packaging/components
