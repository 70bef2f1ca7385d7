#!/bin/sh
# wheel.sh - the PyPI package carillon: a wheel that puts the program beside Python.
set -eu
cd "$(dirname "$0")/.."
. packaging/variables.sh
packaging/relocatable.sh
wheel=$PACKAGES/carillon-$VERSION-py3-none-manylinux_2_34_x86_64.whl
/usr/bin/python3 -B packaging/wheel.py "$wheel"
packaging/spdx.py "$wheel" <build/packaging/components
