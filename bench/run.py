"""run.py [SCENARIO...] [--rounds N] [--seconds N] [--servers A,B] [--out FOLDER] - measures, and writes a result file for each scenario.
Then it writes the page and its plots from all result files that are there. `quick` runs every scenario for a moment, into build/bench.
`page` measures nothing."""
import argparse
import json
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import machine
import page
import readme
import scenarios
import servers

RESULTS = servers.ROOT / "bench/results"
QUICK = servers.ROOT / "build/bench/results"


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench", epilog="Scenarios: " + ", ".join(scenarios.ALL) + ".")
    parser.add_argument("scenario", nargs="*", choices=[*scenarios.ALL, "quick", "page", []], metavar="SCENARIO",
                        help="what is measured; everything if none is named")
    parser.add_argument("--rounds", type=int, help="how often each server is measured (3; quick: 1)")
    parser.add_argument("--seconds", type=int, help="how long each load is measured (2; quick: 1)")
    parser.add_argument("--servers", type=lambda text: text.split(","), help="only these, as in carillon,floor,ws")
    parser.add_argument("--out", type=lambda text: servers.ROOT / text,
                        help="folder of the result files (bench/results; quick: build/bench/results)")
    given = parser.parse_args()
    quick = "quick" in given.scenario
    given.rounds = given.rounds or (1 if quick else 3)
    given.seconds = given.seconds or (1 if quick else 2)
    given.out = given.out or (QUICK if quick else RESULTS)
    given.names = [name for name in given.scenario if name in scenarios.ALL]
    if not given.names and "page" not in given.scenario:
        given.names = list(scenarios.ALL)
    return given


def measure(name, given, described):
    bench = scenarios.Bench(given.rounds, given.seconds, given.servers)
    print(f"{name}: {scenarios.ALL[name].__doc__}", file=sys.stderr, flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as bench.folder:
        scenarios.ALL[name](bench)
    command = shlex.join(["./run", "bench", *sys.argv[1:]])
    result = {"scenario": name, "about": scenarios.ALL[name].__doc__, "command": command,
              "took_s": round(time.monotonic() - began), "machine": described, **bench.result()}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def main():
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C does: what was started is ended
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if 0 < hard < servers.FILES else servers.FILES, hard))
    described = machine.describe() if given.names else None
    failed = []
    for name in given.names:
        try:
            measure(name, given, described)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"{name}: not measured: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    official = given.out == RESULTS
    written, results = page.write(given.out, servers.ROOT / "docs/benchmarks.md" if official else None)
    if official:
        readme.write(servers.ROOT / "README.md", results)
    print(f"the page is {written.relative_to(servers.ROOT)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
