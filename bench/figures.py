"""Medians, ranges and paired ratios of what a scenario's rounds measured. Pure: results in, numbers out."""
import math
import statistics


class Results:
    """One result file: entries of {case, server, runs}, a run of each round in order."""

    def __init__(self, result):
        self.result = result
        self.entries = {(entry["case"], entry["server"]): entry for entry in result["entries"]}

    def servers(self):
        return list(dict.fromkeys(server for _, server in self.entries))

    def cases(self):
        return list(dict.fromkeys(case for case, _ in self.entries))

    def runs(self, case, server):
        entry = self.entries.get((case, server))
        return entry["runs"] if entry else []

    def values(self, case, server, *path):
        """The values of this measurement, one a round. None: the round could not be made, or did not measure it. path may step into an
        object, as in "latency_us", "p99"."""
        return [step_into(run, path) for run in self.runs(case, server)]

    def median(self, case, server, *path):
        return median(self.values(case, server, *path))

    def ratios(self, over, under, *path):
        """One (case, server) divided by another, round by round; None for a round that has not both."""
        pairs = zip(self.values(*over, *path), self.values(*under, *path))
        return [a / b if a is not None and b else None for a, b in pairs]

    def ratio(self, over, under, *path):
        """Their median. None if no round has both."""
        return median(self.ratios(over, under, *path))

    def faults(self, case, server):
        """In words; empty if every round was right."""
        said = []
        for run in self.runs(case, server):
            if "error" in run:
                said.append(run["error"])
            elif run["exit_code"]:
                said.append(", ".join(f"{run[name]} {name}" for name in ("lost", "duplicated", "misordered") if run.get(name)))
        return said


def step_into(value, path):
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread(values):
    """(least, most), or None."""
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def sure(values):
    """(least, most) between which the true median lies with a probability of 95 % or more, for any distribution of the values. They are the
    k-th sorted values from both ends. None for fewer than six values, which say too little."""
    known = sorted(value for value in values if value is not None)
    outside = k = 0
    while (outside := outside + 2 * math.comb(len(known), k) / 2 ** len(known)) <= 0.05:
        k += 1
    return (known[k - 1], known[-k]) if k else None
