"""One run of `carillon bench` against a running server, and what it measured. A run with losses is kept as it is: its
exit_code is 1 and its counts of faults stand in it."""
import json
import os
import subprocess

import servers

LIMIT_S = 120


def options_for(server):
    given = ["--protocol", server.protocol, "--url", server.url, *server.options]
    if server.api_port or server.protocol in ("plain", "nchan", "socketio"):
        given += ["--api", server.api]
    for pid in server.pids:
        given += ["--server-pid", pid]
    return given


def run(server, scenario, **options):
    """Measures; options are those of `carillon bench` with _ for -. The result is what --json printed, with exit_code; of
    a run that could not be made {"exit_code", "error"}."""
    command = [servers.carillon_binary(), "bench", scenario, "--json"]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), value]
    done = subprocess.run([str(word) for word in command + options_for(server)], capture_output=True, text=True,
                          timeout=LIMIT_S, env={**os.environ, **getattr(server, "load_env", {})})
    try:
        result = json.loads(done.stdout)
    except ValueError:
        said = [line for line in done.stderr.splitlines() if "--help" not in line]
        result = {"error": said[-1] if said else f"it ended with {done.returncode}"}
    result["exit_code"] = done.returncode
    return result
