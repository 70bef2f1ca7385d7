"""One run of `carillon bench` against a running server, and what it measured. A run with losses is kept as it is: its
exit_code is 1 and its counts of faults stand in it."""
import json
import os
import subprocess

import servers

LIMIT_S = 120

# TCP treats a connection that has carried a long segment otherwise than a fresh one (docs/benchmarks.md): each carries one first.
LONG_FIRST = 4096
WITH_LONG_FIRST = ("fanout", "rooms")


def options_for(server):
    given = ["--protocol", server.protocol, "--url", server.url, *server.options]
    if server.api_port or server.protocol in ("plain", "nchan", "socketio"):
        given += ["--api", server.api]
    for pid in server.pids:
        given += ["--server-pid", pid]
    return given


def command_for(server, scenario, options):
    words = [servers.carillon_binary(), "bench", scenario, "--json"]
    if scenario in WITH_LONG_FIRST:
        options = {"first_size": max(LONG_FIRST, options.get("size", 0)), **options}
    for name, value in options.items():
        if value is not None:
            words += ["--" + name.replace("_", "-"), *([] if value is True else [value])]
    return [str(word) for word in words + options_for(server)]


def environment(server):
    return {**os.environ, **getattr(server, "load_env", {})}


def hold(server, scenario, **options):
    """Starts a load beside what is measured; the caller ends it."""
    return subprocess.Popen(command_for(server, scenario, options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True, env=environment(server))


def run(server, scenario, **options):
    """Measures; options are those of `carillon bench` with _ for -. The result is what --json printed, with exit_code; of
    a run that could not be made {"exit_code", "error"}."""
    try:
        done = subprocess.run(command_for(server, scenario, options), capture_output=True, text=True, timeout=LIMIT_S,
                              env=environment(server))
    except subprocess.TimeoutExpired:
        return {"error": f"not done in {LIMIT_S} s", "exit_code": 1}
    try:
        result = json.loads(done.stdout)
    except ValueError:
        said = [line for line in done.stderr.splitlines() if "--help" not in line]
        result = {"error": said[-1] if said else f"it ended with {done.returncode}"}
    result["exit_code"] = done.returncode
    return result
