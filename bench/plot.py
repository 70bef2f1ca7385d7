"""Line charts as SVG, for pages with a light or a dark theme. Pure: points in, text out."""
import math
from html import escape

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 72, 132, 52, 56
LABEL_HEIGHT = 16
CHARACTER = 6.6  # a rough width of the font's characters

# Name of a server: colour, width, dashes. Colours are told apart by the colour-blind, too, and on white and on black.
STYLES = {
    "carillon": ("#e5484d", 3.2, ""),
    "floor": ("#8b949e", 2, "6 4"),
    "nchan": ("#2f81f7", 2, ""),
    "nchan live": ("#2f81f7", 2, "3 3"),
    "ws": ("#d29922", 2, ""),
    "Socket.IO": ("#a371f7", 2, ""),
    "aedes": ("#db61a2", 2, ""),
    "Mosquitto": ("#2da44e", 2, ""),
    "NATS": ("#1b9aaa", 2, ""),
}
OTHER_STYLE = ("#8b949e", 2, "")

CSS = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.label { font-weight: 600 }
.ground { fill: #ffffff }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.axis { stroke: #59636e; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ground { fill: #0d1117 }
  .grid { stroke: #2a313a }
  .axis { stroke: #9198a1 }
}
"""


class Axis:
    """Values to pixels. A logarithmic axis ends at 1, 2 or 5 times a power of ten, rounded outwards from the values. Another axis begins at
    zero and ends at a round number."""

    def __init__(self, values, log, start, end):
        self.log, self.start, self.end = log, start, end
        if log:
            self.ticks = log_ticks(min(values), max(values))
        else:
            self.ticks = linear_ticks(max(values))
        self.low, self.high = self.ticks[0], self.ticks[-1]

    def at(self, value):
        if self.log:
            share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def log_ticks(low, high):
    """1, 2, 5, 10 and so on over a few decades, powers of ten alone over many."""
    steps = (1, 2, 5) if math.log10(high / low) < 2.6 else (1,)
    every = [step * 10.0 ** power for power in range(-9, 13) for step in steps]
    first = max(i for i, tick in enumerate(every) if tick <= low * 1.0001)
    last = min(i for i, tick in enumerate(every) if tick >= high * 0.9999)
    return every[first:max(last, first + 1) + 1]


def linear_ticks(high):
    raw = max(high, 1e-9) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= raw)
    return [step * i for i in range(math.ceil(high / step - 1e-9) + 1)]


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:g}"


def spread_labels(wanted):
    """wanted: heights of labels. Where they would cover each other they move apart, in order."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    for before, i in zip(order, order[1:]):
        placed[i] = max(placed[i], placed[before] + LABEL_HEIGHT)
    over = placed[order[-1]] - (HEIGHT - BOTTOM) if order else 0
    if over > 0:
        bottom = HEIGHT - BOTTOM
        for i in reversed(order):
            placed[i] = min(placed[i], bottom)
            bottom = placed[i] - LABEL_HEIGHT
    return placed


def frame(title, x_label, y_label, x, y):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           f'role="img" aria-label="{escape(title)}">', f"<style>{CSS}</style>",
           f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
           f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>']
    for tick in y.ticks:
        at = y.at(tick)
        out += [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>',
                f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{number(tick)}</text>']
    for tick in x.ticks:
        at = x.at(tick)
        out += [f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
                f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number(tick)}</text>']
    out += [f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>',
            f'<text x="{LEFT}" y="{TOP - 8}" text-anchor="start">{escape(y_label)}</text>']
    return out


def line_chart(title, x_label, y_label, series, x_log=False, y_log=False):
    """series: {name: [(x, y), ...]}; the name stands at the end of its line."""
    series = {name: points for name, points in series.items() if points}
    points = [point for line in series.values() for point in line]
    if not points:
        return None
    x = Axis([point[0] for point in points], x_log, LEFT, WIDTH - RIGHT)
    y = Axis([point[1] for point in points], y_log, HEIGHT - BOTTOM, TOP)
    out = frame(title, x_label, y_label, x, y)
    ends = spread_labels([y.at(line[-1][1]) for line in series.values()])
    # Carillon is drawn last, over the others.
    for (name, line), label in sorted(zip(series.items(), ends), key=lambda item: item[0][0] == "carillon"):
        colour, width, dashes = STYLES.get(name, OTHER_STYLE)
        at = [(x.at(a), y.at(b)) for a, b in line]
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in at)
        out.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"'
                   + (f' stroke-dasharray="{dashes}"' if dashes else "") + "/>")
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in at]
        edge = WIDTH - RIGHT + 8
        out.append(f'<path d="M{at[-1][0] + 4:.1f} {at[-1][1]:.1f}L{edge} {label:.1f}" stroke="{colour}" stroke-width="1" '
                   'stroke-opacity="0.5" fill="none"/>')
        out.append(f'<text class="label" x="{edge + 4}" y="{label + 4:.1f}" style="fill:{colour}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])
