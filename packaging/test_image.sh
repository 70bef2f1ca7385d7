#!/bin/sh
# test_image.sh - runs the image that packaging/image.sh made: its files as a read-only root, its user, its process 1, in network and
# process namespaces of its own, as a container engine does. And reads the files of docker/compose.yaml with the programs that they are for.
# Needs root, docker-compose, haproxy and prometheus.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
container=
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

stop() {
    [ -z "$container" ] || kill "$container" 2>/dev/null || true
    container=
}
fail() {
    echo "FAILED: $*" >&2
    cat "$work/log" >&2
    exit 1
}

# The layers and the configuration, without an engine.
archive=$(echo build/packages/carillon-*-image.tar.gz)
mkdir "$work/archive" "$work/root"
tar -xzf "$archive" -C "$work/archive"
/usr/bin/python3 - "$work" <<'END'
import json, pathlib, subprocess, sys
work = pathlib.Path(sys.argv[1])
manifest, = json.loads((work / "archive/manifest.json").read_text())
for layer in manifest["Layers"]:
    subprocess.run(["tar", "-xpf", work / "archive" / layer, "-C", work / "root", "--numeric-owner"], check=True)
image = json.loads((work / "archive" / manifest["Config"]).read_text())["config"]
(work / "image.env").write_text("".join(f"{variable}\n" for variable in image["Env"]))
(work / "entrypoint").write_text(" ".join(image["Entrypoint"]))
(work / "cmd").write_text(" ".join(image["Cmd"]))
(work / "user").write_text(image["User"])
(work / "workdir").write_text(image["WorkingDir"])
(work / "health").write_text(" ".join(image["Healthcheck"]["Test"][1:]))
sizes = [(work / "archive" / layer).stat().st_size for layer in manifest["Layers"]]
print(f"layers: {', '.join(f'{size / 1e6:.1f} MB' for size in sizes)}")
assert sum(sizes) < 15e6, "over 15 MB"
END
echo "archive: $(stat -c %s "$archive") bytes; in the image:"
(cd "$work/root" && find . -type f -printf '%10s %P\n' | sort -rn | head -n 8)

# run WORD...: the image with these words as its command. $mounted is at /etc/carillon. With $writable the root can be written to.
run() {
    : >"$work/log"
    # shellcheck disable=SC2016,SC2046 # they are for the inner shell; lists of words
    unshare --mount --pid --net --fork --kill-child sh -eu -c '
        root=$1 mounted=$2 writable=$3 user=$4 folder=$5
        shift 5
        ip link set lo up
        ip address add 10.99.0.1/32 dev lo
        mount --make-rprivate /
        mount --bind "$root" "$root"
        mkdir -p "$root/proc" "$root/dev" "$root/etc/carillon"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        [ -z "$mounted" ] || mount --bind "$mounted" "$root/etc/carillon"
        [ -n "$writable" ] || mount -o remount,bind,ro "$root"
        exec unshare --root="$root" --wd="$folder" --setgid "${user#*:}" --setuid "${user%:*}" /usr/bin/carillon "$@"
    ' sh "$work/root" "${mounted:-}" "${writable:-}" "$(cat "$work/user")" "$(cat "$work/workdir")" "$@" >"$work/out" 2>"$work/log" &
    container=$!
}
# inside COMMAND...: as `docker exec`.
inside() {
    server=$(pgrep -P "$container")
    nsenter -t "$server" -m -p -n -r -w -S 10001 -G 10001 -- "$@"
}
ready() {
    for _ in $(seq 100); do
        ! grep -q ' ready in ' "$work/log" || return 0
        sleep 0.1
    done
    fail "it does not get ready"
}
healthy() {
    # shellcheck disable=SC2046 # the words of HEALTHCHECK
    inside $(cat "$work/health") >/dev/null || fail "the health check says no: $*"
    echo "healthy: $*"
}
# ends: SIGTERM drains, and the exit code is 0.
ends() {
    kill "$(pgrep -P "$container")"
    wait "$container" || fail "exit code $?"
    container=
    grep -q 'SIGTERM: draining' "$work/log" || fail "it did not drain"
}

unset $(env | sed -n 's/^\(CARILLON_[A-Z_]*\)=.*/\1/p')
while read -r variable; do
    case $variable in CARILLON_*) export "${variable?}" ;; esac
done <"$work/image.env"
[ "$(cat "$work/entrypoint")" = /usr/bin/carillon ]

docker/secrets.sh
mkdir "$work/conf"
cp docker/secrets/* docker/carillon.jsonc "$work/conf"
chmod 755 "$work/conf"
chmod 644 "$work/conf"/*
mounted=$work/conf
export CARILLON_TOKEN_SECRET_FILE=/etc/carillon/token-secret CARILLON_API_KEYS_FILE=/etc/carillon/api-keys

echo "--- a mounted configuration, a token, an event"
run serve --config /etc/carillon/carillon.jsonc
ready
healthy "as the file says"
inside /usr/bin/carillon token --secret-file /etc/carillon/token-secret --sub ada --channel 'room:*' >"$work/conf/ada.jwt"
inside /usr/bin/carillon listen --token-file /etc/carillon/ada.jwt --count 1 user:ada >"$work/event" 2>"$work/listen.log" &
listener=$!
until grep -q subscribed "$work/listen.log"; do sleep 0.1; done
inside /usr/bin/carillon publish --api-key-file /etc/carillon/api-keys user:ada notification '{"message":"Hello"}'
wait $listener
cat "$work/event"
[ "$(ps -o uid= -p "$(pgrep -P "$container")" | tr -d ' ')" = 10001 ] || fail "it is not the user of the image"
ends

echo "--- the health check, however the address was given"
run serve --internal-port 9000
ready
healthy "by flags"
ends
export CARILLON_INTERNAL_PORT=9001
run serve
ready
healthy "by variables"
ends
unset CARILLON_INTERNAL_PORT
echo '{"internal": {"port": 9002}, "channels": [{"match": "*", "allow": ["subscribe"]}]}' >"$work/conf/other.jsonc"
export CARILLON_CONFIG=/etc/carillon/other.jsonc
run serve
ready
healthy "by a file that a variable names"
kill -STOP "$(pgrep -P "$container")"
! inside $(cat "$work/health") 2>/dev/null || fail "a server that stands still is healthy"
kill -CONT "$(pgrep -P "$container")"
ends
unset CARILLON_CONFIG CARILLON_TOKEN_SECRET_FILE CARILLON_API_KEYS_FILE

echo "--- carillon dev, from outside"
mounted=
run dev --allow-remote
ready
healthy "dev"
inside /usr/bin/carillon healthcheck --url http://10.99.0.1:8081
server=$(pgrep -P "$container")
nsenter -t "$server" -n curl -sS -X POST -H 'Content-Type: application/json' -d '{"sub":"ada"}' http://10.99.0.1:8081/dev/v1/tokens
echo
ends

echo "--- the lines of docs/install.md, with a root that can be written to"
writable=1
run dev --allow-remote
ready
inside /usr/bin/carillon token --secret-file .carillon-dev/token-secret --sub ada >"$work/ada.jwt"
inside /usr/bin/carillon listen --token-file - --count 1 demo <"$work/ada.jwt" >"$work/event" 2>"$work/listen.log" &
listener=$!
until grep -q subscribed "$work/listen.log"; do sleep 0.1; done
inside /usr/bin/carillon publish --api-key-file .carillon-dev/api-key demo notification '{"message":"Hello"}'
wait $listener
cat "$work/event"
ends

echo "--- Compose"
# That of Debian 12 does not know the member `name` yet.
sed '/^name: /d' docker/compose.yaml | docker-compose --project-directory docker -f - config --quiet
mkdir "$work/prometheus"
cp docker/prometheus.yml config/alerts.yml "$work/prometheus"
promtool check config "$work/prometheus/prometheus.yml"
echo "image: all as it should be"
