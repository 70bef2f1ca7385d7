"""count.py FOLDER OUT - counts the cost of each operation. It runs the programs of FOLDER under callgrind. For each operation it
prints the instructions, and the misses of the last-level cache as callgrind simulates it. It writes them to OUT as JSON. It fails when a
cost grows with a number that it must not depend on."""
import datetime
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = ["count_delivery", "count_membership", "count_control", "count_gate", "count_history", "count_presence",
            "count_publish", "count_revocations", "count_structures"]

# Simulated caches, fixed so that the machine does not matter: size, ways, bytes of a line.
CACHES = {"I1": "32768,8,64", "D1": "32768,8,64", "LL": "8388608,16,64"}

# Costs that must stay flat: path, variable, and how much more (as a share) a value may cost than any smaller value of the variable.
FLAT = [
    ("delivery", "subscribers", 0.05),
    ("delivery_16_events_a_turn", "subscribers", 0.05),
    ("delivery", "other_sessions", 0.05),
    ("delivery", "other_channels", 0.05),
    ("delivery", "rules", 0.05),
    ("delivery", "history", 0.05),
    ("event_to_history", "events_kept", 0.05),
    ("history_page_of_100_each_event", "events_kept", 0.50),  # realloc() moves the page, or does not
    ("subscribe", "subscribers", 0.10),
    ("unsubscribe", "subscribers", 0.10),
    ("unsubscribe_and_subscribe", "subscribers", 0.10),
    ("subscribe", "rules", 0.15),  # of a sorted list, so a step more for twice as many
    ("http_publish", "rules", 0.15),
    ("http_batch_of_100_each_event", "rules", 0.15),
    ("unsubscribe_and_subscribe", "own_channels", 0.15),  # many are found by a table
    ("session_open", "other_sessions", 0.10),
    ("session_close", "other_sessions", 0.50),  # free() merges what lies together, now and then
    # An ordered set takes steps by the logarithm of its size: a hundred times the members cost at most twice as much.
    ("presence_page_of_1", "members", 1.00),
    ("presence_page_of_100_each_member", "members", 0.10),
    ("presence_leave_and_join", "members", 1.00),
    ("revocations_cover", "revoked", 0.10),
    ("revocations_look_each", "revoked", 0.10),
    ("revocations_forget_each", "revoked", 0.25),  # tables get smaller, or do not
    ("revocations_add", "revoked", 0.25),  # tables grow, or do not
    ("page_of_100_sessions", "sessions", 0.10),
    ("change_one_session", "sessions", 1.00),
    ("disconnect_one_user", "other_sessions", 0.50),  # free() merges what lies together, now and then
    ("page_of_one_users_sessions", "other_sessions", 0.25),  # realloc() moves the page, or does not
    ("count_sessions", "sessions", 0.10),
    ("page_of_100_channels", "channels", 0.10),
    ("page_of_100_channels_by_prefix", "channels", 0.10),
    ("look_at_one_channel", "channels", 0.10),
    ("timer_stop_and_start", "running", 0.10),
    ("timer_from_start_to_start", "running", 0.10),
    ("timer_tick", "running", 0.10),
    ("map_get", "entries", 0.10),
    ("map_put_and_remove", "entries", 0.10),
    ("map_put_from_a_walk", "entries", 0.25),  # growing falls on more or fewer of them
]


def run(program, folder):
    """The rows of one program: callgrind writes a file for each stretch, named by its label."""
    out = folder / program.name
    caches = [f"--{name}={form}" for name, form in CACHES.items()]
    ran = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--cache-sim=yes", *caches,
                          f"--callgrind-out-file={out}", program], stderr=subprocess.PIPE, text=True)
    if ran.returncode:
        sys.exit(f"{ran.stderr}{program.name} failed")
    dumps = sorted(folder.glob(f"{program.name}.*"), key=lambda path: int(path.suffix[1:]))
    rows = {}
    for dump in dumps:
        row = read(dump.read_text(encoding="utf-8"))
        if row:
            rows[row["path"], row["variable"], row["value"]] = row  # the last one of a label counts
    return list(rows.values())


def read(text):
    label = re.search(r"^desc: Trigger: Client Request: (\S+) (\S+) (\S+) (\d+)$", text, re.M)
    if not label:
        return None
    path, variable, value, operations = label.groups()
    names = re.search(r"^events: (.*)$", text, re.M).group(1).split()
    counts = re.search(r"^(?:totals|summary): (.*)$", text, re.M).group(1).split()
    total = dict.fromkeys(names, 0) | dict(zip(names, map(int, counts)))
    return {
        "path": path,
        "variable": variable,
        "value": int(value) if value.isdigit() else value,
        "instructions_each": round(total["Ir"] / int(operations), 1),
        "ll_misses_each": round((total["ILmr"] + total["DLmr"] + total["DLmw"]) / int(operations), 3),
    }


def growths(rows):
    """A sentence for each cost that grows and must not."""
    found = []
    for path, variable, allowed in FLAT:
        series = [row for row in rows if (row["path"], row["variable"]) == (path, variable)]
        if len(series) < 2:
            found.append(f"{path} by {variable}: was not counted")
        for i, row in enumerate(series[1:], 1):
            least = min(series[:i], key=lambda earlier: earlier["instructions_each"])
            if row["instructions_each"] > least["instructions_each"] * (1 + allowed):
                found.append(f"{path}: {row['instructions_each']} instructions with {variable} {row['value']}, "
                             f"{least['instructions_each']} with {least['value']}; at most {allowed:.0%} more are allowed")
    return found


def said_by(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    rows = []
    print(f"{'path':32} {'variable':16} {'value':>16} {'instructions':>13} {'LL misses':>10}")
    for name in PROGRAMS:
        with tempfile.TemporaryDirectory() as dumps:
            for row in run(folder / name, Path(dumps)):
                print("{path:32} {variable:16} {value:>16} {instructions_each:13,.1f} {ll_misses_each:10.3f}".format(**row),
                      flush=True)
                rows.append(row)
    compiler, flags = (folder / "compiler.txt").read_text(encoding="utf-8").splitlines()
    changed = said_by("git", "status", "--porcelain", "--", "common", "server", "bench/instructions", "cmake")
    head = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": said_by("git", "rev-parse", "--short", "HEAD") + (" with changes" if changed else ""),
        "compiler": compiler,
        "flags": flags,
        "valgrind": said_by("valgrind", "--version"),
        "simulated_caches": CACHES,
    }
    rows.sort(key=lambda row: (row["path"], row["variable"]))  # stable: the values keep their order
    lines = ",\n".join("    " + json.dumps(row) for row in rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(head, indent=2)[:-2] + ',\n  "rows": [\n' + lines + "\n  ]\n}\n", encoding="utf-8")
    found = growths(rows)
    for sentence in found:
        print(f"grows: {sentence}", file=sys.stderr)
    if not found:
        print(f"{len(FLAT)} costs are flat, as they must be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
