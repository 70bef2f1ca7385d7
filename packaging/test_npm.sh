#!/bin/sh
# test_npm.sh [SUITE] - tries the npm packages in an empty folder of a fresh trixie (or SUITE) that has Node, npm, and none of the program's
# libraries; and without network. Needs root and mmdebstrap.
set -eu
cd "$(dirname "$0")/.."
suite=${1:-trixie}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
packaging/root.sh make "$suite" "$root" nodejs npm
cp build/packages/carillon-*.tgz packaging/first_event.sh "$root/root/"
# Without a network of its own, and so without a registry.
unshare --net sh -euc 'ip link set lo up && exec "$@"' sh packaging/root.sh in "$root" sh -euc '
    cd /root
    main=$(echo /root/carillon-[0-9]*.tgz) platform=$(echo /root/carillon-linux-x64-*.tgz)
    pid_of() {
        sed "s/.*\"pid\":\([0-9]*\).*/\1/" "$1"
    }
    gone() {
        for i in $(seq 1000); do
            kill -0 "$1" 2>/dev/null || return 0
            sleep 0.01
        done
        echo "test_npm: FAILED: the program has not ended" >&2
        exit 1
    }
    echo "=== npx from the packed files, in an empty folder"
    mkdir cold && cd cold
    from=$(date +%s%3N)
    npx --yes --offline --package "$main" --package "$platform" carillon version
    echo "npm: the first npx took $(($(date +%s%3N) - from)) ms"
    from=$(date +%s%3N)
    npx --yes --offline --package "$main" --package "$platform" carillon dev --port 0 --internal-port 0 --ready-file ready >dev.log 2>&1 &
    until [ -s ready ]; do sleep 0.01; done
    echo "npm: with npx it is ready after $(($(date +%s%3N) - from)) ms"
    kill $!
    gone "$(pid_of ready)"
    echo "=== installed"
    mkdir /root/installed && cd /root/installed
    npm install --offline --no-audit --no-fund "$main" "$platform"
    PATH=$PWD/node_modules/.bin:$PATH
    /root/first_event.sh carillon
    [ -x "$(node -p "require(\"carillon\").program()")" ]
    echo "=== signals and exit codes"
    carillon dev --port 0 --internal-port 0 --ready-file ready >/dev/null 2>&1 &
    until [ -s ready ]; do sleep 0.01; done
    child=$(pid_of ready)
    rm ready
    kill -HUP $! # a reload
    kill -KILL "$child"
    code=0
    wait $! || code=$?
    [ $code = 137 ] || { echo "test_npm: FAILED: the program was killed, and the exit code is $code" >&2; exit 1; }
    sh -c "carillon dev --exit-with-parent --port 0 --internal-port 0 --ready-file ready >/dev/null 2>&1 & until [ -s ready ]; do sleep 0.01; done"
    child=$(pid_of ready)
    gone "$child"
    echo "=== a machine without a program"
    try() {
        node -e "$1; try { require(\"carillon\").program(); process.exit(1) } catch (error) { console.log(error.message) }"
    }
    try "Object.defineProperty(process, \"platform\", { value: \"darwin\" })" | grep "no program for darwin-x64 yet"
    rm -r node_modules/@carillon
    try "" | grep "omit=optional"
    if carillon dev 2>words; then exit 1; fi
    cat words
'
echo "npm: all as it should be"
