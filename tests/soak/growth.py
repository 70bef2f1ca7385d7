"""Whether a process grows. Its heap in use is measured at moments when all is quiet. The heap must not grow with time, except with the
connections. A straight line of bytes over time and connections is laid through the samples (least squares). The process grows when the line
rises by more than chance explains, and by more than a little. Pure."""
import statistics
from collections import namedtuple

Sample = namedtuple("Sample", "at_s node pid heap_bytes resident_bytes fds connections")
Line = namedtuple("Line", "bytes_a_second error bytes_a_connection")

WARM_UP = 0.25  # of a process's samples
LEAST = 8  # samples after the warm-up to judge by
GROWTH_BYTES = 512 << 10  # of the heap in use, from the end of the warm-up to the end
ERRORS = 3  # times the error of the slope: what chance does not do
RESIDENT_SHARE, RESIDENT_BYTES = 0.1, 4 << 20  # that malloc may keep beyond it
FDS_SPARE = 20  # beyond connections: publishers and probes come and go


def lives(samples):
    """The samples of each process, in order."""
    out = {}
    for sample in samples:
        out.setdefault((sample.node, sample.pid), []).append(sample)
    return out


def after_warm_up(life):
    return life[int(len(life) * WARM_UP):]


def line(life):
    """Through the heap in use of a life's samples; None with too few."""
    if len(life) < LEAST:
        return None
    t = centred([s.at_s for s in life])
    n = centred([s.connections for s in life])
    v = centred([s.heap_bytes for s in life])
    tt, nn, tn, tv, nv = dot(t, t), dot(n, n), dot(t, n), dot(t, v), dot(n, v)
    whole = tt * nn - tn * tn
    if whole <= tt * nn * 1e-6:  # as many connections all the time, or ever more
        a, b, left, spread = tv / tt, 0.0, 2, 1 / tt
    else:
        a, b, left, spread = (tv * nn - nv * tn) / whole, (nv * tt - tv * tn) / whole, 3, nn / whole
    rest = sum((y - a * x - b * z) ** 2 for x, z, y in zip(t, n, v))
    return Line(a, (rest / (len(life) - left) * spread) ** 0.5, b)


def centred(values):
    mean = statistics.fmean(values)
    return [value - mean for value in values]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def thirds(life):
    """Median resident bytes of the first and of the last third."""
    third = max(1, len(life) // 3)
    return statistics.median(s.resident_bytes for s in life[:third]), statistics.median(s.resident_bytes for s in life[-third:])


def mib(value):
    return f"{value / 2**20:.2f}"


def problems(samples):
    out = []
    for (node, pid), whole in lives(samples).items():
        life = after_warm_up(whole)
        trend = line(life)
        if not trend:
            continue  # killed too soon to tell
        seconds = life[-1].at_s - life[0].at_s
        grown = trend.bytes_a_second * seconds
        if grown > GROWTH_BYTES and trend.bytes_a_second > ERRORS * trend.error:
            out.append(f"{node} ({pid}) leaks: its heap in use grew by {mib(grown)} MiB in {seconds:.0f} s, connections left out")
        first, last = thirds(life)
        if last > first * (1 + RESIDENT_SHARE) + RESIDENT_BYTES:
            out.append(f"{node} ({pid}) grows: {mib(first)} MiB resident after the warm-up, {mib(last)} MiB at the end")
        spare = [s.fds - s.connections for s in life]
        if spare[-1] > min(spare) + FDS_SPARE:
            out.append(f"{node} ({pid}) keeps descriptors: {min(spare)} besides connections at first, {spare[-1]} at the end")
    return out
