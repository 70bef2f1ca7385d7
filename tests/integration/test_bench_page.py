"""The page of ./run bench: medians and ratios of what was measured, targets reached or not, and nothing bad hidden."""
import collections
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import figures  # noqa: E402
import page  # noqa: E402
import plot  # noqa: E402
import readme  # noqa: E402
import upstreams  # noqa: E402

MACHINE = {"date": "2026-01-02 03:04 UTC", "commit": "abc", "cpu": "A CPU", "cores": 2, "memory_gib": 1.0, "kernel": "6.1", "system": "Debian",
           "compiler": "cc 1", "build": "Release", "libraries": {"libuv": "1"}, "versions": {"carillon": "0.1"}}


def run(cpu, **more):
    return {"exit_code": 0, "server_cpu_us_each": cpu, "per_second": 1000.0, "latency_us": {"p50": 10, "p99": 20}, **more}


def result(scenario, entries, **more):
    return figures.Results({"scenario": scenario, "rounds": 3, "took_s": 60, "command": "./run bench", "machine": MACHINE, "skipped": {},
                            "entries": [{"case": case, "server": server, "runs": runs}
                                        for (case, server), runs in entries.items()], **more})


def fanout(ours, floors, **more):
    return {"fanout": result("fanout", {("1 in flight", "floor"): [run(value) for value in floors],
                                        ("1 in flight", "carillon"): [run(value) for value in ours],
                                        ("1 in flight", "ws"): [run(9.0)]}, **more)}


def row_of(text, what):
    return next(line for line in text.splitlines() if line.startswith("|") and what in line)


def test_ratios_are_of_the_same_round():
    """The machine became half as fast: the ratio is as it was, and is not that of the medians' mixture."""
    found = fanout(ours=[6.0, 12.0, 14.0], floors=[5.0, 10.0, 10.0])["fanout"]
    assert found.ratio(("1 in flight", "carillon"), ("1 in flight", "floor"), "server_cpu_us_each") == pytest.approx(1.2)
    assert found.median("1 in flight", "carillon", "server_cpu_us_each") == 12.0


@pytest.mark.parametrize("ours,verdict", [(5.5, "| reached |"), (6.0, "**not reached**")])
def test_targets(ours, verdict):
    text = page.render(fanout([ours] * 3, [5.0] * 3), {}, None)
    assert verdict in row_of(text, "at most 1.15 × floor")
    assert f"{ours / 5:.2f} × floor" in row_of(text, "at most 1.15 × floor")


def test_instruction_counts():
    counts = {"rows": [{"path": "gate", "variable": "token", "value": "hs256_in_cache", "instructions_each": 40123.4},
                       {"path": "delivery", "variable": "subscribers", "value": 100000, "instructions_each": 208.0},
                       {"path": "delivery", "variable": "subscribers", "value": 10, "instructions_each": 260.0}]}
    text = page.render({}, {}, counts)
    assert "hs256 in cache: 40,123" in row_of(text, "| gate |")
    assert "100,000: 208, 10: 260" in row_of(text, "| delivery |")


def test_a_scenario_that_was_not_measured_is_not_reached():
    text = page.render({}, {}, None)
    assert "not measured" in row_of(text, "cold start")
    assert "| reached" not in text


def test_failed_runs_are_shown():
    lossy = {"exit_code": 1, "lost": 7, "duplicated": 0, "misordered": 0, **{k: v for k, v in run(3.0).items() if k != "exit_code"}}
    found = {"fanout": result("fanout", {("1 in flight", "aedes"): [lossy, run(3.0)],
                                         ("1 in flight", "NATS"): [{"exit_code": 1, "error": "refused"}]})}
    text = page.render(found, {}, None)
    assert "1 of 2 runs failed: 7 lost" in row_of(text, "aedes")
    assert "1 of 1 runs failed: refused" in row_of(text, "| NATS")


@pytest.mark.parametrize("kept,verdict", [(5.2, "| reached |"), (5.3, "**not reached**")])
def test_history(kept, verdict):
    """The machine's speed is another in each turn, the ratio is not."""
    speeds = [1.0, 2.0, 1.5, 3.0, 1.2, 1.1]
    case = "16 in flight"
    found = {"history": result("history", {(case, "memory"): [run(5.0 * speed) for speed in speeds],
                                           (f"{case}, history", "memory"): [run(kept * speed) for speed in speeds]})}
    text = page.render(found, {}, None)
    row = row_of(text, "history on, 128 bytes to 1,000, 16 in flight")
    assert verdict in row
    assert f"{kept / 5:.2f} × (95 % sure: {kept / 5:.2f}–{kept / 5:.2f})" in row
    assert f"| {kept / 5:.2f} × |" in row_of(text, f"| {case} | memory")


def test_coming_back():
    came_back = run(1.0, connections=10, operations=1000, caught_up_us=2500000, server_rss_peak_bytes=3 << 20)
    two = {"servers": [{"cpu_us_each": 2.0}, {"cpu_us_each": 0.5}], "redis_commands": {"evalsha": 104, "subscribe": 2}}
    grown = {"exit_code": 0, "channels": 1000}
    text = page.render({"continuity": result("continuity", {
        ("recover", "memory, history"): [{**came_back, "servers": [{"cpu_us_each": 1.5}]}], ("recover", "Redis, history"): [{**came_back, **two}],
        ("channels", "memory"): [{**grown, "rss_growth_bytes": 1 << 20}],
        ("channels", "memory, history"): [{**grown, "rss_growth_bytes": (1 << 20) + 2048 * 1000}],
        ("channels", "Redis"): [{**grown, "rss_growth_bytes": 0, "redis_rss_growth_bytes": 1 << 20}],
        ("channels", "Redis, history"): [{**grown, "rss_growth_bytes": 0, "redis_rss_growth_bytes": (1 << 20) + 3072 * 1000}]})}, {}, None)
    assert "memory 2.5 s, Redis 2.5 s" in row_of(text, "all caught up after")
    assert "2.0 KiB in the node; with Redis 3.0 KiB there" in row_of(text, "memory of a channel")
    assert "| 2.50 | 1,000 | 200 | 50.0 |" in row_of(text, "| one channel, Redis | 2.50")
    assert "- one channel, Redis: evalsha 104, subscribe 2." in text


@pytest.mark.parametrize("p99,verdict", [(15, "| reached |"), (16, "**not reached**")])
def test_messages_to_a_backend(p99, verdict):
    direct, through = (run(1.0, per_second=21000, latency_us={"p50": value * 10, "p99": value * 100}) for value in (10, p99))
    text = page.render({"upstream": result("upstream", {
        ("backend takes 0 ms", "direct"): [direct], ("backend takes 0 ms", "carillon"): [through],
        ("backend takes 0 ms, 5,000 calls a second", "direct"): [direct], ("backend takes 0 ms, 5,000 calls a second", "carillon"): [through],
        ("1 MiB answers", "carillon"): [{"exit_code": 0, "held_each": 100 * 1024}]})}, {}, None)
    assert "21,000 a second | reached" in row_of(text, "through an HTTP upstream")
    assert verdict in row_of(text, "p99 against calling the backend directly")
    assert "100 KiB | reached" in row_of(text, "held of one that its client does not read")
    assert f"p50 + 0.0{p99 - 10} ms, p99 + 0.{p99 - 10}0 ms; p99 1.{p99 - 10}0 ×; CPU time of the node 1 µs | –" in row_of(text, "| 5,000 calls a second either way, a backend that answers at once")
    assert row_of(text, "| **carillon** | 100 |")


def test_a_stalled_backend_and_frames():
    slow = run(1.0, latency_us={"p50": 1, "p99": 23}, held_each=300 * 1024)
    text = page.render({
        "stalled": result("stalled", {("without", "carillon"): [run(1.0)], ("stalled", "carillon"): [slow],
                                      ("without, all turns", "carillon"): [run(1.0)],
                                      ("stalled, all turns", "carillon"): [run(1.0, latency_us={"p50": 10, "p99": 21})]}),
        "frames": result("frames", {("to a Redis stream", "carillon"): [run(7.5, per_second=25000), run(7.5, per_second=25000, exit_code=1, lost=2)]}),
    }, {}, None)
    assert "1.05 × of all turns together; turn by turn 1.15 × (1.15–1.15) | reached" in row_of(text, "p99 of the sessions with another one")
    assert "300 KiB | **not reached**" in row_of(text, "held of a session whose backend")
    assert "to a Redis stream 7.5 µs | **not reached**" in row_of(text, "binary frames of 640 bytes")
    assert "1 of 2 runs failed: 2 lost" in text


@pytest.mark.parametrize("ours,rate,verdict", [(1.04, 20000, "reached"), (1.06, 20000, "**not reached**"), (1.04, 19000, "**not reached**")])
def test_the_journal_is_at_most_a_twentieth(ours, rate, verdict):
    text = page.render({"journal": result("journal", {("100 subscribers", "carillon"): [run(1.0, per_second=20000)],
                                                      ("100 subscribers", "carillon dev"): [run(ours, per_second=rate)]})}, {}, None)
    assert f"{ours:.2f} × ({ours:.2f}–{ours:.2f}) | {verdict} |" in row_of(text, "20,000 deliveries a second to 100")
    assert "20,000 deliveries a second, 100 subscribers:" in text


def test_tickets_lifecycle_and_an_older_program():
    text = page.render({
        "tickets": result("tickets", {("issued", "memory"): [run(1.0, per_second=12000)], ("used", "memory"): [run(1.0, per_second=9000)]}),
        "lifecycle": result("lifecycle", {("connect", "off"): [run(1.0, per_second=10000)],
                                          ("connect", "to a Redis stream"): [run(1.04, per_second=9600)],
                                          ("connect", "to HTTP"): [run(1.1, per_second=9400, store_cpu_us_each=12.0)]}),
        "older": result("older", {("connect", "carillon"): [run(1.01)], ("connect", "older"): [run(1.0)]})}, {}, None)
    assert "memory 12,000 a second | reached" in row_of(text, "| tickets issued |")
    assert "memory 9,000 a second | **not reached**" in row_of(text, "tickets used")
    for what, stream, http in (("connect rate of", "0.96 × (0.96–0.96) | reached", "0.94 × (0.94–0.94) | **not reached**"),
                               ("CPU time of", "1.04 × (1.04–1.04) | reached", "1.10 × (1.10–1.10) | **not reached**")):
        rows = [line for line in text.splitlines() if what in line and "with lifecycle events to" in line]
        assert [said in row for said, row in zip((stream, http), rows)] == [True, True]
    assert "| 9,400 | 1.10 | 12.0 |" in row_of(text, "| to HTTP |")
    assert "1.01 × | reached" in row_of(text, "connect, against an older program")


def test_latencies_of_several_runs_are_put_together():
    counts = collections.Counter({10: 97, 20: 1})
    counts.update({20: 1, 4000: 1})
    assert upstreams.percentiles(counts) == {"p50": 10, "p90": 10, "p99": 20, "max": 4000}


def test_skipped_servers_and_the_machine_are_named():
    text = page.render(fanout([5.0], [5.0], skipped={"nchan": "not in this release"}), {}, None)
    for said in ("nchan (not in this release)", "A CPU", "2026-01-02 03:04 UTC", "`./run bench`", "`abc`", "1.0 minutes"):
        assert said in text


def test_range_of_the_rounds():
    assert page.ranged([3.0, None, 1.0, 2.0]) == "2.00 (1.00–3.00)"
    assert page.ranged([1500.0]) == "1,500"
    assert page.ranged([None]) == "–"


def texts(svg):
    return ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")


def test_chart_is_well_formed_and_labels_do_not_cover_each_other():
    series = {name: [(10, 5.0), (10000, 7.0 + i / 100)] for i, name in enumerate(plot.STYLES)}
    svg = plot.line_chart("A < B & C", "x", "y", series, x_log=True, y_log=True)
    heights = sorted(float(text.get("y")) for text in texts(svg) if text.get("class") == "label")
    assert len(heights) == len(series)
    assert all(b - a >= plot.LABEL_HEIGHT - 0.1 for a, b in zip(heights, heights[1:]))
    assert heights[-1] <= plot.HEIGHT


def test_no_chart_of_nothing():
    assert plot.line_chart("t", "x", "y", {"ws": []}) is None


@pytest.mark.parametrize("low,high,ticks", [(10, 10000, [10, 100, 1000, 10000]), (3, 40, [2, 5, 10, 20, 50]), (5, 5, [5, 10])])
def test_log_ticks(low, high, ticks):
    assert plot.log_ticks(low, high) == pytest.approx(ticks)


def test_linear_ticks():
    assert plot.linear_ticks(130) == [0, 50, 100, 150]


def test_readme_quotes_the_results_between_its_marks(tmp_path):
    path = tmp_path / "README.md"
    before = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
    path.write_text(before)
    found = fanout([7.77], [5.0])
    readme.write(path, found)
    assert path.read_text() == before  # not without everything that is quoted
    found["latency"] = result("latency", {("common", "carillon"): [run(1.0, latency_us={"p99": 123000})]})
    found["memory"] = result("memory", {("10000", "carillon"): [run(1.0, connections=1024, server_rss_growth_bytes=4 << 20)]})
    readme.write(path, found)
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| **carillon** | 7.77 | – | 123 | 4.00 |" in text
