"""The Markdown page and its plots, made from the result files alone: nobody edits a number by hand."""
import json
import os
from pathlib import Path

import page_text
import plot
import targets
from figures import Results, median, spread, sure
from history import as_long, with_history
from upstreams import all_turns

CPU = ("server_cpu_us_each",)
NOTE = "<!-- Written by ./run bench from bench/results/*.json: edit bench/page_text.py and bench/page.py instead. -->"


def write(folder, path):
    """Writes plots beside the results and the page to path, or beside the results if path is None; returns where,
    and the results."""
    path = path or folder.parent / "benchmarks.md"
    results = read(folder)
    plots = {name: folder / f"{name}.svg" for name, svg in draw(results).items() if save(folder / f"{name}.svg", svg)}
    links = {name: os.path.relpath(file, path.parent) for name, file in plots.items()}
    counts = folder / "instructions.json"
    text = render(results, links, json.loads(counts.read_text()) if counts.exists() else None)
    path.write_text(text)
    return path, results


def save(path, svg):
    if svg:
        path.write_text(svg)
    return bool(svg)


def read(folder):
    """{scenario: Results} of the files that are there."""
    found = {}
    for file in sorted(Path(folder).glob("*.json")):
        result = json.loads(file.read_text())
        if "entries" in result:
            found[result["scenario"]] = Results(result)
    return found


def table(heads, rows):
    if not rows:
        return []
    return ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] * len(heads)) + " |",
            *("| " + " | ".join(row) + " |" for row in rows), ""]


def digits(value):
    """Three figures or all before the point."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ranged(values, scale=1.0):
    """Median, and least to most in brackets where there are several."""
    known = [value * scale for value in values if value is not None]
    if not known:
        return "–"
    least, most = spread(known)
    text = digits(median(known))
    return f"{text} ({digits(least)}–{digits(most)})" if len(known) > 1 else text


def times(value):
    return f"{value:.2f} ×" if value is not None else "–"


def server_name(name):
    return f"**{name}**" if name.startswith("carillon") else name


def faults(results, case, server):
    said = results.faults(case, server)
    return f"{len(said)} of {len(results.runs(case, server))} runs failed: {said[0]}" if said else ""


def per_server(results, case, columns):
    """A row of each server: columns are (head, function of the server's name). Faults stand in a last column if any."""
    names = [name for name in results.servers() if results.runs(case, name)]
    said = {name: faults(results, case, name) for name in names}
    heads = ["server", *(head for head, _ in columns), *(["faults"] if any(said.values()) else [])]
    rows = [[server_name(name), *(cell(name) for _, cell in columns), *([said[name]] if any(said.values()) else [])]
            for name in names]
    return table(heads, rows)


def delivery_columns(results, case):
    return [("server CPU µs a delivery", lambda name: ranged(results.values(case, name, *CPU))),
            ("× floor", lambda name: times(results.ratio((case, name), (case, "floor"), *CPU))),
            ("× carillon", lambda name: times(results.ratio((case, name), (case, "carillon"), *CPU))),
            ("deliveries a second", lambda name: ranged(results.values(case, name, "per_second"))),
            ("p99 ms", lambda name: ranged(results.values(case, name, "latency_us", "p99"), 0.001))]


def section_targets(results):
    rows = []
    for scenario, what, target, check in targets.ALL:
        said = check(results[scenario]) if scenario in results else None
        measured, reached = said or ("not measured", None)
        rows.append([what, target, measured, {True: "reached", False: "**not reached**", None: "–"}[reached]])
    return table(["scenario", "target", "measured", ""], rows)


def section_fanout(results, links):
    out = []
    if "fanout" in results:
        for case in results["fanout"].cases():
            out += [f"1,000 subscribers, {case}:", "", *per_server(results["fanout"], case, delivery_columns(results["fanout"], case))]
    return out + picture(links, "subscribers", "Server CPU a delivery against the number of subscribers")


def section_latency(results, links):
    out = []
    if "latency" in results:
        latency = results["latency"]
        columns = {case: [("events a second", lambda name, case=case: ranged(latency.values(case, name, "events_per_second"))),
                          ("p50 ms", lambda name, case=case: ranged(latency.values(case, name, "latency_us", "p50"), 0.001)),
                          ("p99 ms", lambda name, case=case: ranged(latency.values(case, name, "latency_us", "p99"), 0.001)),
                          ("first subscriber, p50 ms", lambda name, case=case: ranged(latency.values(case, name, "first_latency_us", "p50"), 0.001)),
                          ("last subscriber, p99 ms", lambda name, case=case: ranged(latency.values(case, name, "last_latency_us", "p99"), 0.001))]
                   for case in ("saturated", "half", "common")}
        for case, title in page_text.LATENCY:
            out += [title, "", *per_server(latency, case, columns[case][:3] if case == "saturated" else columns[case])]
    return out + picture(links, "offered", "p99 latency against the load offered")


def section_rooms(results):
    if "rooms" not in results:
        return []
    case = "16 in flight"
    return per_server(results["rooms"], case, delivery_columns(results["rooms"], case))


def kib_each(run):
    growth = run.get("server_rss_growth_bytes")
    return growth / run["connections"] / 1024 if growth is not None else None


def section_memory(results, links):
    out = []
    if "idle" in results:
        idle = results["idle"]
        out += per_server(idle, "15000", [
            ("KiB RSS a connection", lambda name: ranged([kib_each(run) for run in idle.runs("15000", name)])),
            ("RSS of all, MiB", lambda name: ranged(idle.values("15000", name, "server_rss_bytes"), 2 ** -20)),
            ("CPU, % of a core", lambda name: ranged(idle.values("15000", name, "server_cpu_percent")))])
    if "memory" in results:
        memory = results["memory"]
        cases = memory.cases()
        out += ["KiB of resident memory that a connection adds, against the number of connections:", "",
                *table(["server", *(f"{int(case):,}" for case in cases)],
                       [[server_name(name), *(ranged([kib_each(run) for run in memory.runs(case, name)]) for case in cases)]
                        for name in memory.servers()])]
    return out + picture(links, "memory", "Resident memory against connections")


def section_tls(results):
    if "tls" not in results:
        return []
    tls = results["tls"]
    return table(["", "server CPU µs a connection", "KiB RSS a connection"],
                 [[case, ranged(tls.values(case, "carillon", "server_cpu_us_each")),
                   ranged([kib_each(run) for run in tls.runs(case, "carillon")])] for case in tls.cases()])


def section_connect(results):
    if "connect" not in results:
        return []
    connect = results["connect"]
    return table(["tokens, connections", "a second", "server CPU µs each", "p50 ms", "p99 ms", "faults"],
                 [[case, ranged(connect.values(case, "carillon", "per_second")), ranged(connect.values(case, "carillon", *CPU)),
                   ranged(connect.values(case, "carillon", "latency_us", "p50"), 0.001),
                   ranged(connect.values(case, "carillon", "latency_us", "p99"), 0.001), faults(connect, case, "carillon")]
                  for case in connect.cases()])


def section_publish(results):
    if "publish" not in results:
        return []
    publish = results["publish"]
    return table(["HTTP publish", "events a second", "server CPU µs an event", "p50 ms", "p99 ms"],
                 [[case, ranged(publish.values(case, "carillon", "per_second")), ranged(publish.values(case, "carillon", *CPU)),
                   ranged(publish.values(case, "carillon", "latency_us", "p50"), 0.001),
                   ranged(publish.values(case, "carillon", "latency_us", "p99"), 0.001)] for case in publish.cases()])


def each_process(run):
    """CPU of the two nodes and of Redis, µs an event: what they say is of a delivery."""
    deliveries = run["operations"] / run["events"] if run.get("events") else None
    return [server["cpu_us_each"] * deliveries for server in run.get("servers", [])] if deliveries else [None] * 3


def section_redis(results):
    if "redis" not in results:
        return []
    redis = results["redis"]
    rows = []
    for case in redis.cases():
        costs = list(zip(*(each_process(run) for run in redis.runs(case, "carillon"))))
        rows.append([case, ranged(redis.values(case, "carillon", "events_per_second")),
                     *(ranged(costs[i]) if len(costs) == 3 else "–" for i in (2, 1, 0)),
                     ranged(redis.values(case, "carillon", "latency_us", "p99"), 0.001), faults(redis, case, "carillon")])
    return table(["two nodes, history on", "events a second", "Redis CPU µs an event", "publishing node's", "delivering node's", "p99 ms", "faults"], rows)


def each_client(run):
    """µs of CPU of the node, and of Redis if it is there, for each client that came back."""
    costs = [server["cpu_us_each"] * run["operations"] / run["connections"] for server in run.get("servers", [])
             if server["cpu_us_each"] is not None]
    return (costs + [None, None])[:2]


def commands_used(run):
    counts = (run or {}).get("redis_commands", {})
    return ", ".join(f"{name} {calls:,}" for name, calls in sorted(counts.items(), key=lambda item: -item[1])) or "–"


def redis_share(found, case):
    """Redis's part of the CPU µs a delivery; of a run with two processes it is the second."""
    values = [run["servers"][1]["cpu_us_each"] for run in found.runs(case, "Redis") if len(run.get("servers", [])) == 2]
    return f"{median(values):.3f}" if values else "–"


def ratio_columns(values):
    likely = sure(values)
    return [times(median(values)), f"{likely[0]:.2f}–{likely[1]:.2f}" if likely else "–"]


def section_history(results):
    if "history" not in results:
        return []
    found = results["history"]
    rows = []
    for case in found.cases():
        kept, long = with_history(case), as_long(case)
        for broker in found.servers():
            ratios = found.ratios((kept, broker), (case, broker), *CPU)
            if ratios:
                rows.append([case, broker, ranged(found.values(case, broker, *CPU)), ranged(found.values(kept, broker, *CPU)), *ratio_columns(ratios),
                             *ratio_columns(found.ratios((kept, broker), (long, broker), *CPU)),
                             f"{redis_share(found, case)}, {redis_share(found, kept)}" if broker == "Redis" else "–", f"{len(ratios)}",
                             next(filter(None, (faults(found, each, broker) for each in (case, kept, long))), "")])
    return table(["events to 1,000", "broker", "server CPU µs a delivery without", "with", "×", "95 % sure", "× frames as long without", "95 % sure",
                  "of it Redis's, without and with", "turns", "faults"], rows)


def section_continuity(results):
    if "continuity" not in results:
        return []
    found = results["continuity"]
    rows, commands = [], []
    for case in found.cases():
        for name in found.servers() if case.startswith("recover") else []:
            runs, where = found.runs(case, name), f"{'one channel' if case == 'recover' else case.partition(', ')[2]}, {name.partition(',')[0]}"
            if not runs:
                continue
            costs = list(zip(*(each_client(run) for run in runs)))
            rows.append([where, ranged(found.values(case, name, "caught_up_us"), 1e-6), ranged(found.values(case, name, "per_second")),
                         ranged(costs[0]), ranged(costs[1]), ranged(found.values(case, name, "latency_us", "p50"), 0.001),
                         ranged(found.values(case, name, "latency_us", "p99"), 0.001),
                         ranged(found.values(case, name, "server_rss_peak_bytes"), 2 ** -20), faults(found, case, name)])
            if "redis_commands" in runs[-1]:
                commands += [f"- {where}: {commands_used(runs[-1])}."]
    out = table(["10,000 clients come back, 100 events missed", "all caught up, s", "recovered events a second", "node's CPU µs a client",
                 "Redis CPU µs a client", "client p50 ms", "client p99 ms", "greatest RSS of all, MiB", "faults"], rows)
    if commands:
        out += [*page_text.REDIS_COMMANDS, *commands, ""]
    return out + table(["1,000 channels get 100 events of 128 bytes each", "node's RSS grows by, MiB", "Redis's"],
                       [[name, ranged(found.values("channels", name, "rss_growth_bytes"), 2 ** -20),
                         ranged(found.values("channels", name, "redis_rss_growth_bytes"), 2 ** -20)]
                        for name in found.servers() if found.runs("channels", name)])


def section_slow(results):
    if "slow" not in results:
        return []
    slow = results["slow"]
    return table(["100 subscribers, 100 events of 16 KiB a second", "p50 ms", "p99 ms", "greatest RSS, MiB", "stopped", "closed by the server", "faults"],
                 [[case, ranged(slow.values(case, "carillon", "latency_us", "p50"), 0.001),
                   ranged(slow.values(case, "carillon", "latency_us", "p99"), 0.001),
                   ranged(slow.values(case, "carillon", "server_rss_peak_bytes"), 2 ** -20),
                   ranged(slow.values(case, "carillon", "stopped")), ranged(slow.values(case, "carillon", "closed")),
                   faults(slow, case, "carillon")]
                  for case in slow.cases()])


def section_workers(results):
    if "workers" not in results:
        return []
    workers = results["workers"]
    return table(["", "workers", "deliveries a second", "server CPU µs a delivery", "server CPU %", "generator CPU %"],
                 [[case, name, ranged(workers.values(case, name, "per_second")), ranged(workers.values(case, name, *CPU)),
                   ranged(workers.values(case, name, "server_cpu_percent")), ranged(workers.values(case, name, "generator_cpu_percent"))]
                  for case in workers.cases() for name in workers.servers()])


def latency_columns(found, case):
    return [("a second", lambda name: ranged(found.values(case, name, "per_second"))),
            ("server CPU µs each", lambda name: ranged(found.values(case, name, *CPU))),
            ("p50 ms", lambda name: ranged(found.values(case, name, "latency_us", "p50"), 0.001)),
            ("p99 ms", lambda name: ranged(found.values(case, name, "latency_us", "p99"), 0.001))]


def held_kib(found, case):
    return lambda name: ranged(found.values(case, name, "held_each"), 2 ** -10)


def titled(case):
    if "session" in case:
        return f"{case}:"
    return f"20 {case}:" if "MiB" in case else f"100 sessions, {case}:"


def section_upstream(results):
    out = []
    if "upstream" in results:
        found = results["upstream"]
        for case in found.cases():
            columns = [("KiB held of each", held_kib(found, case))] if "MiB" in case else latency_columns(found, case)
            out += [titled(case), "", *per_server(found, case, columns)]
    if "stalled" in results:
        found = results["stalled"]
        for case, title in (("without", "100 sessions, 2,000 messages a second, all backends answer:"),
                            ("stalled", "The same, while 100 others send to a backend that does not answer:")):
            together = [(f"{name} ms of all turns together", lambda _, case=case, name=name: ranged(
                found.values(all_turns(case), "carillon", "latency_us", name), 0.001)) for name in ("p50", "p99")]
            out += [title, "", *per_server(found, case, latency_columns(found, case) + together + (
                [("KiB held of each of the others", held_kib(found, case))] if case == "stalled" else []))]
    if "frames" in results:
        found = results["frames"]
        for case in found.cases():
            out += [f"500 sessions, 50 binary frames of 640 bytes a second each, {case}:", "",
                    *per_server(found, case, latency_columns(found, case)[:2])]
    return out


def section_admission(results):
    out = []
    if "tickets" in results:
        found = results["tickets"]
        for case in found.cases():
            out += [f"Tickets: {case}:", "", *per_server(found, case, latency_columns(found, case))]
    if "lifecycle" in results:
        found = results["lifecycle"]
        for case in found.cases():
            rate, cpu, *latency = latency_columns(found, case)
            more = [(head, lambda name, case=case, key=key: ranged(found.values(case, name, key))) for head, key in (
                ("of Redis", "store_cpu_us_each"), ("of the backend", "backend_cpu_us_each"),
                ("the node's core, % busy", "node_core_percent"), ("the other core, % busy", "other_core_percent"),
                ("node CPU µs each, until it has gone and all is told", "life_cpu_us_each"))]
            out += ["Lifecycle events:", "", *per_server(found, case, [rate, cpu, *more, *latency])]
    return out


def section_journal(results):
    if "journal" not in results:
        return []
    found = results["journal"]
    out = []
    for case in found.cases():
        out += [f"20,000 deliveries a second, {case}:", "", *per_server(found, case, latency_columns(found, case))]
    return out


def section_older(results):
    if "older" not in results or not results["older"].cases():
        return []
    found = results["older"]
    return table(["load", "server CPU µs each", "of the older program", "ratio", "95 % sure", "faults"],
                 [[case, ranged(found.values(case, "carillon", *CPU)), ranged(found.values(case, "older", *CPU)),
                   *ratio_columns(found.ratios((case, "carillon"), (case, "older"), *CPU)), faults(found, case, "carillon")]
                  for case in found.cases()])


def section_cold(results):
    if "cold" not in results:
        return []
    return per_server(results["cold"], "ready", [("ms from start to ready", lambda name: ranged(results["cold"].values("ready", name, "ready_ms")))])


def section_growth(results):
    if "growth" not in results:
        return []
    growth = results["growth"]
    rows, first = [], {}
    for case in growth.cases():
        variable, _, value = case.partition(": ")
        base = first.setdefault(variable, case)
        rows.append([variable, value, ranged(growth.values(case, "carillon", *CPU)),
                     times(growth.ratio((case, "carillon"), (base, "carillon"), *CPU)),
                     ranged(growth.values(case, "carillon", "latency_us", "p99"), 0.001), faults(growth, case, "carillon")])
    return table(["what grows", "to", "server CPU µs each", "× the first", "p99 ms", "faults"], rows)


def label(value):
    return value.replace("_", " ") if isinstance(value, str) else f"{value:,}"


def section_instructions(counts):
    if not counts:
        return []
    rows = {}
    for row in counts["rows"]:
        rows.setdefault((row["path"], row["variable"]), []).append(row)
    return table(["path", "what grows", "to: instructions each"],
                 [[path.replace("_", " "), variable.replace("_", " "),
                   ", ".join(f"{label(row['value'])}: {digits(row['instructions_each'])}" for row in group)]
                  for (path, variable), group in rows.items()])


def section_machine(results):
    made = [(name, entry.result) for name, entry in results.items()]
    machines = {}
    for name, result in made:
        machines.setdefault(json.dumps(result["machine"], sort_keys=True), []).append((name, result))
    out = []
    for described, group in machines.items():
        machine = json.loads(described)
        took = sum(result["took_s"] for _, result in group)
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
        skipped = {f"{server} ({why})" for _, result in group for server, why in result["skipped"].items()}
        out += table(["", ""], [
            ["scenarios", ", ".join(name for name, _ in group)],
            ["date", machine["date"]], ["commit", f"`{machine['commit']}`"],
            ["command", ", ".join(sorted({f"`{result['command']}`" for _, result in group})) + f" (these took {took / 60:.1f} minutes)"],
            ["machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['system']}"],
            ["built with", f"{machine['compiler']}, {machine['build']}; {libraries}"],
            ["servers", versions],
            *([["skipped", ", ".join(sorted(skipped))]] if skipped else [])])
    return out


def picture(links, name, text):
    return [f"![{text}]({links[name]})", ""] if name in links else []


def by_number(results, scenario, figure, scale=1.0):
    """{server: [(case as a number, median)]} for a plot."""
    found = results[scenario]
    lines = {}
    for name in found.servers():
        points = [(int(case), figure(found, case, name)) for case in found.cases() if found.runs(case, name)]
        lines[name] = [(a, b * scale) for a, b in points if b is not None and b > 0]
    return lines


def draw(results):
    """{name: SVG}."""
    out = {}
    if "subscribers" in results:
        lines = by_number(results, "subscribers", lambda found, case, name: found.median(case, name, *CPU))
        out["subscribers"] = plot.line_chart("Fan-out: server CPU a delivery, 1 event in flight", "subscribers of one channel",
                                             "µs a delivery", lines, x_log=True, y_log=True)
    if "offered" in results:
        found = results["offered"]  # events a second to 1,000: thousands of deliveries
        lines = {name: [(int(case), found.median(case, name, "latency_us", "p99") / 1000) for case in found.cases()
                        if not found.faults(case, name) and found.median(case, name, "latency_us", "p99")]
                 for name in found.servers()}
        out["offered"] = plot.line_chart("Latency against load: 1,000 subscribers, open loop", "deliveries offered, thousands a second",
                                         "p99 latency, ms", lines, y_log=True)
    if "memory" in results:
        lines = by_number(results, "memory", lambda found, case, name: found.median(case, name, "server_rss_bytes"), 2 ** -20)
        out["memory"] = plot.line_chart("Resident memory of the server", "idle connections, one subscription each", "MiB",
                                        lines, x_log=True, y_log=True)
    return out


def render(results, links, counts):
    parts = [NOTE, "# Benchmarks", "", *page_text.INTRODUCTION, "## Figures to reach", "", *section_targets(results),
             *page_text.AFTER_TARGETS]
    for title, text, lines in [
            ("Fan-out", page_text.FANOUT, section_fanout(results, links)),
            ("Latency", page_text.LATENCY_TEXT, section_latency(results, links)),
            ("Rooms", page_text.ROOMS, section_rooms(results)),
            ("Memory and idle connections", page_text.MEMORY, section_memory(results, links)),
            ("Connecting", page_text.CONNECT, section_connect(results)),
            ("TLS on the own listener", page_text.TLS, section_tls(results)),
            ("Publishing", page_text.PUBLISH, section_publish(results) + section_redis(results)),
            ("What a history costs", page_text.HISTORY, section_history(results)),
            ("Coming back, and memory", page_text.CONTINUITY, section_continuity(results)),
            ("Slow subscribers", page_text.SLOW, section_slow(results)),
            ("Messages to a backend", page_text.UPSTREAM, section_upstream(results)),
            ("Tickets and lifecycle events", page_text.ADMISSION, section_admission(results)),
            ("The journal of the server for development", page_text.JOURNAL, section_journal(results)),
            ("Against an older program", page_text.OLDER, section_older(results)),
            ("Two workers", page_text.WORKERS, section_workers(results)),
            ("Cold start", page_text.COLD, section_cold(results)),
            ("Cost must not grow with what does not matter", page_text.GROWTH, section_growth(results)),
            ("Instructions", page_text.INSTRUCTIONS, section_instructions(counts)),
            ("Where and when", page_text.WHERE, section_machine(results))]:
        if lines:
            parts += [f"## {title}", "", *text, *lines]
    return "\n".join(parts + page_text.END).rstrip() + "\n"
