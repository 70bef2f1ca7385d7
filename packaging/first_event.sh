#!/bin/sh
# first_event.sh COMMAND...: does with `COMMAND`, which is carillon in one way or another, as a new user does: starts `COMMAND dev`, listens,
# publishes, and ends the server by a signal. Needs no other program than those of a minimal system. Prints what it did.
set -eu
folder=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$folder"' EXIT
fail() {
    echo "first_event: FAILED: $*" >&2
    cat "$folder"/*.log >&2
    exit 1
}

# now: in milliseconds.
now() {
    date +%s%3N
}

# until SECONDS COMMAND...
until_true() {
    end=$(($(now) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now)" -lt "$end" ] || fail "never: $*"
        sleep 0.01
    done
}

# value NAME: of the line of JSON that dev writes when it is ready.
value() {
    sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" "$folder/ready"
}

gone() {
    ! kill -0 "$pid" 2>/dev/null
}

# started NAME: `dev` is ready; says how long it took.
started() {
    rm -f "$folder/ready"
    from=$(now)
    "$@" dev --port 0 --internal-port 0 --ready-file "$folder/ready" >"$folder/dev.log" 2>&1 &
    pid=$!
    until_true 60 test -s "$folder/ready"
    echo "first_event: $* dev is ready after $(($(now) - from)) ms"
}

# ended SIGNAL: the server ends in order, and its exit code is handed on.
ended() {
    kill -"$1" "$pid"
    until_true 20 gone
    code=0
    wait "$pid" || code=$?
    pid=
    [ "$code" = 0 ] || fail "the exit code after SIG$1 is $code"
    echo "first_event: ended by SIG$1 with exit code 0"
}

cd "$folder"
: >listen.log
"$@" version | head -n 1
started "$@"
ended TERM
started "$@"
"$@" listen --url "$(value ws_url)" --token "$(value token)" --count 1 demo >event 2>listen.log &
listener=$!
until_true 20 grep -q subscribed listen.log
"$@" publish --url "$(value api_url)" --api-key "$(value api_key)" demo notification '{"message":"Hello"}'
wait "$listener" || fail "nothing came"
grep -q '"message":"Hello"' event || fail "another event came: $(cat event)"
echo "first_event: $(cat event)"
ended INT
code=0
"$@" serv 2>wrong.log || code=$?
[ "$code" = 2 ] || fail "a wrong word ends with $code"
