"""The report of a soak, for people (Markdown) and programs (JSON)."""
import json
import re
import subprocess

from growth import after_warm_up, line, lives, mib, thirds
from support.carillon import BINARY


def memory_table(samples):
    lines = [row("node", "pid", "looked at", "heap in use, MiB: first", "after warm-up", "end", "slope, KiB an hour", "KiB a connection",
                 "resident, MiB: first", "after warm-up", "end", "descriptors besides connections: least", "most"), row(*["---"] * 13)]
    for (node, pid), life in lives(samples).items():
        warm = after_warm_up(life)
        trend = line(warm)
        slope = f"{trend.bytes_a_second * 3600 / 1024:.0f} ± {trend.error * 3600 / 1024:.0f}" if trend else "too short"
        each = f"{trend.bytes_a_connection / 1024:.1f}" if trend else ""
        first, last = thirds(warm)
        spare = [s.fds - s.connections for s in life]
        lines.append(row(node, pid, len(life), *(mib(s.heap_bytes) for s in (life[0], warm[0], life[-1])), slope, each,
                         mib(life[0].resident_bytes), mib(first), mib(last), min(spare), max(spare)))
    return lines


def table(head, rows):
    return [row(head, "times"), row("---", "---"), *(row(name.replace("_", " "), rows[name]) for name in sorted(rows))]


def row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def write(soak):
    """soak: soak.Soak, at its end."""
    a = soak.arguments
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip().splitlines()
    account = {k: v for k, v in soak.account.items() if k not in ("seats", "problems")}
    verdict = f"{len(soak.problems)} problems" if soak.problems else "nothing is wrong"
    only = f" --only {' '.join(a.only)}" if a.only else ""
    verdict += ", interrupted" if soak.interrupted else ""
    lines = [f"# Soak: {verdict}", "",
             f"{version[0] if version else ''}, {soak.elapsed():.0f} s in {len(soak.rounds)} rounds, Redis {a.topology}, seed {a.seed}, {a.clients} "
             f"subscribers, {a.idle} idle connections, 6 publishers, nodes with {a.workers} worker{'s' * (a.workers > 1)}. Again: "
             f"`./run soak {a.seconds:g} --topology {a.topology} --seed {a.seed}{only}` (the plan of faults is the same, what the machine makes of it is not).",
             "", "## Accounted for", "", *table("what", account), "", "## Faults", "", *table("what", soak.faults),
             "", "## Memory and descriptors", "",
             "At the calm that ends each round. The slope is that of the heap in use, with what connections take left out.", "",
             *memory_table(soak.samples), "", "## Problems", ""]
    lines += [f"- {re.sub(chr(10), ' ', str(problem))[:3000]}" for problem in soak.problems] or ["None."]
    (soak.folder / "report.md").write_text("\n".join(lines) + "\n")
    (soak.folder / "report.json").write_text(json.dumps({
        "topology": a.topology, "seed": a.seed, "seconds": round(soak.elapsed(), 1), "account": account, "faults": dict(soak.faults),
        "problems": soak.problems, "rounds": soak.rounds, "samples": [s._asdict() for s in soak.samples]}, indent=1) + "\n")
    print(f"soak: {verdict}; the report is {soak.folder / 'report.md'}", flush=True)
