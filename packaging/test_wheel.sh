#!/bin/sh
# test_wheel.sh [SUITE] - tries the wheel in a fresh trixie (or SUITE) that has Python and none of the program's libraries: with pip, and with
# pipx where it can fetch what it needs itself. Needs root and mmdebstrap.
set -eu
cd "$(dirname "$0")/.."
suite=${1:-trixie}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
packaging/root.sh make "$suite" "$root" python3 python3-venv
cp build/packages/carillon-*.whl packaging/first_event.sh "$root/root/"
packaging/root.sh in "$root" sh -euc '
    cd /root
    python3 -m venv venv
    venv/bin/pip install --quiet --no-index carillon-*.whl
    venv/bin/pip check
    ./first_event.sh /root/venv/bin/carillon
    ./first_event.sh /root/venv/bin/python -m carillon
    [ "$(venv/bin/python -c "import carillon; print(carillon.program())")" = /root/venv/bin/carillon ]
    venv/bin/pip uninstall --quiet --yes carillon
    [ ! -e venv/bin/carillon ]
'
echo "wheel: all as it should be"
