"""The comparison in README.md, between two marks: a few figures of docs/benchmarks.md, from the same result files."""
import page

BEGIN = "<!-- figures: written by ./run bench, from the results of docs/benchmarks.md -->"
END = "<!-- end of figures -->"
CPU = ("server_cpu_us_each",)


def comparison(results):
    """The lines between the marks; None while something that they quote has not been measured."""
    if not {"fanout", "latency", "memory"} <= results.keys():
        return None
    fanout, latency, memory = results["fanout"], results["latency"], results["memory"]
    rows = []
    for name in fanout.servers():
        each = [page.kib_each(run) for run in memory.runs("10000", name)]
        p99 = latency.values("common", name, "latency_us", "p99")
        if name == "floor":
            each = []
        rows.append([page.server_name(name), page.digits(fanout.median("1 in flight", name, *CPU)),
                     page.digits(fanout.median("16 in flight", name, *CPU)),
                     page.digits(page.median([value / 1000 for value in p99 if value is not None])),
                     page.digits(page.median(each))])
    machine = fanout.result["machine"]
    return [f"Each column was measured in one run, with 128-byte events and one worker for each server, on {machine['cores']} cores",
            f"({machine['cpu']}) that the load generator shares. [docs/benchmarks.md](docs/benchmarks.md) has all figures, the servers that were not",
            "compared, and how to repeat it.", "",
            *page.table(["", "CPU µs a delivery to 1,000, 1 event in flight", "16 in flight", "p99 ms, 10,000 subscribers, same load",
                         "KiB of memory a connection"], rows),
            "`floor` is a C program that does nothing but one `send()` to each subscriber, the limit of this kernel."]


def write(path, results):
    """Replaces what stands between the marks, if everything has been measured."""
    lines = comparison(results)
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if lines and begin and end:
        path.write_text("\n".join([before + BEGIN, *lines, END]) + after)
