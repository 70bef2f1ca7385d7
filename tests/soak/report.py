"""What came of a soak: whether the nodes grow, and the report."""
import json
import re
import statistics
import subprocess
from collections import namedtuple

from support.carillon import BINARY

Sample = namedtuple("Sample", "at_s node pid resident_bytes fds connections")

WARM_UP = 0.3  # of a process's samples
GROWTH_SHARE, GROWTH_BYTES = 0.1, 4 << 20  # of the median after the warm-up, to that at the end
FDS_SPARE = 20  # beyond connections of clients: publishers and probes come and go


def lives(samples):
    """The samples of each process, in order."""
    out = {}
    for sample in samples:
        out.setdefault((sample.node, sample.pid), []).append(sample)
    return out


def after_warm_up(life):
    return life[int(len(life) * WARM_UP):]


def ends(life):
    """Median memory of the first and of the last third after the warm-up."""
    warm = after_warm_up(life)
    third = max(1, len(warm) // 3)
    return statistics.median(s.resident_bytes for s in warm[:third]), statistics.median(s.resident_bytes for s in warm[-third:])


def slope_per_hour(life):
    """Bytes, by least squares over what comes after the warm-up."""
    warm = after_warm_up(life)
    mean_at, mean = statistics.mean(s.at_s for s in warm), statistics.mean(s.resident_bytes for s in warm)
    spread = sum((s.at_s - mean_at) ** 2 for s in warm)
    return 3600 * sum((s.at_s - mean_at) * (s.resident_bytes - mean) for s in warm) / spread if spread else 0


def growth(samples):
    """Problems: processes whose memory or descriptors grow without an end in sight."""
    problems = []
    for (node, pid), life in lives(samples).items():
        if len(life) < 5:
            continue  # killed too soon to tell
        first, last = ends(life)
        if last > first * (1 + GROWTH_SHARE) + GROWTH_BYTES:
            problems.append(f"{node} ({pid}) grows: {first / 2**20:.1f} MiB after the warm-up, {last / 2**20:.1f} MiB at the end")
        warm = after_warm_up(life)
        few, many = min(s.fds - s.connections for s in warm), warm[-1].fds - warm[-1].connections
        if many > few + FDS_SPARE:
            problems.append(f"{node} ({pid}) keeps descriptors: {few} besides connections at first, {many} at the end")
    return problems


def mib(value):
    return f"{value / 2**20:.1f}"


def memory_table(samples):
    lines = ["| node | pid | looked at | resident MiB: first | after warm-up | end | most | slope, MiB an hour | descriptors besides connections: least, most |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for (node, pid), life in lives(samples).items():
        first, last = ends(life)
        spare = [s.fds - s.connections for s in life]
        slope = mib(slope_per_hour(life)) if len(life) >= 5 else "too short"
        lines.append(f"| {node} | {pid} | {len(life)} | {mib(life[0].resident_bytes)} | {mib(first)} | {mib(last)} | "
                     f"{mib(max(s.resident_bytes for s in life))} | {slope} | {min(spare)}, {max(spare)} |")
    return lines


def write(soak):
    """soak: soak.Soak, at its end."""
    a = soak.arguments
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip().splitlines()
    account = dict(sorted((k, v) for k, v in soak.account.items() if k not in ("seats", "problems")))
    verdict = f"{len(soak.problems)} problems" if soak.problems else "nothing is wrong"
    lines = [f"# Soak: {verdict}", "",
             f"{version[0] if version else ''}, {soak.elapsed():.0f} s in {len(soak.rounds)} rounds, seed {a.seed}, {a.clients} subscribers, "
             f"{a.idle} idle connections, 6 publishers. Again: `./run soak {a.seconds:g} --seed {a.seed}` (the faults are the same, "
             "what the machine makes of them is not).", "", "## Accounted for", "", "| what | times |", "| --- | --- |"]
    lines += [f"| {what} | {times} |" for what, times in account.items()]
    lines += ["", "## Faults", "", "| what | times |", "| --- | --- |"]
    lines += [f"| {name.replace('_', ' ')} | {times} |" for name, times in sorted(soak.faults.items())]
    lines += ["", "## Memory and descriptors", "", *memory_table(soak.samples), "", "## Problems", ""]
    lines += [f"- {re.sub(chr(10), ' ', str(problem))[:1000]}" for problem in soak.problems] or ["None."]
    (soak.folder / "report.md").write_text("\n".join(lines) + "\n")
    (soak.folder / "report.json").write_text(json.dumps({
        "seed": a.seed, "seconds": round(soak.elapsed(), 1), "account": account, "faults": dict(soak.faults),
        "problems": soak.problems, "rounds": soak.rounds, "samples": [s._asdict() for s in soak.samples]}, indent=1) + "\n")
    print(f"soak: {verdict}; the report is {soak.folder / 'report.md'}", flush=True)
