#!/usr/bin/env python3
"""Draws how the time of the network grows: plot_network_growth.py ROWS.csv [OUT.svg]

The rows are those of scripts/bench_network.py --csv: simulator, workload, hosts, oversubscription, tolerance, flows,
cpu_s. Two plots, both axes logarithmic: CPU seconds against hosts, with streams of 100,000 flows, and against flows,
with streams of 256 hosts. Rows without cpu_s (not ended in time) are left out. Plain SVG, so that it needs no library.
"""
import csv
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, LEFT, TOP = 430, 330, 62, 46
LEGEND = 190
# Okabe and Ito's colours, which colour-blind people can tell apart.
COLOURS = {"a2a": "#0072b2", "zipf": "#d55e00", "stream": "#009e73", "rnd": "#cc79a7", "rndz": "#56b4e9"}
MARKS = "circle square diamond".split()


def read_rows(path):
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["cpu_s"]]
    for row in rows:
        row["hosts"], row["flows"], row["cpu_s"] = int(row["hosts"]), int(row["flows"]), max(float(row["cpu_s"]), 1e-3)
        row["tolerance"] = float(row["tolerance"] or 0)
    return rows


def series_of(rows):
    """Rows by what is held fixed: simulator, workload, oversubscription, tolerance."""
    series = {}
    for row in rows:
        series.setdefault((row["simulator"], row["workload"], row["oversubscription"], row["tolerance"]), []).append(row)
    return series


def name_of(key):
    simulator, workload, oversubscription, tolerance = key
    kind = simulator if simulator != "moesim" else "exact" if tolerance == 0 else f"{100 * tolerance:g} %"
    return f"{workload} {oversubscription}:1, {kind}"


def style_of(key):
    simulator, workload, oversubscription, tolerance = key
    dash = "" if simulator != "moesim" or tolerance == 0 else ' stroke-dasharray="5 3"'
    mark = MARKS[2] if simulator != "moesim" else MARKS[0] if oversubscription == "1" else MARKS[1]
    return COLOURS.get(workload, "#555555"), dash, mark


def mark_svg(mark, x, y, colour):
    if mark == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>'
    if mark == "square":
        return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{colour}"/>'
    return f'<path d="M{x:.1f} {y - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5 -4.5z" fill="#ffffff" stroke="{colour}" stroke-width="1.5"/>'


class Axis:
    def __init__(self, values, begin, end, powers_of=10):
        self.low = math.log(min(values)) if values else 0
        self.high = math.log(max(values)) if values else 1
        base = math.log(powers_of)
        self.low = math.floor(self.low / base + 1e-9) * base
        self.high = max(math.ceil(self.high / base - 1e-9) * base, self.low + base)
        self.begin, self.end, self.base, self.powers_of = begin, end, base, powers_of

    def place(self, value):
        return self.begin + (self.end - self.begin) * (math.log(value) - self.low) / (self.high - self.low)

    def ticks(self):
        first, last = round(self.low / self.base), round(self.high / self.base)
        step = max(1, (last - first) // 6)
        return [self.powers_of**power for power in range(first, last + 1, step)]


def tick_text(value):
    return f"{value:g}" if value < 10000 else f"{value / 1000:g}k" if value < 1e6 else f"{value / 1e6:g}M"


def panel(series, key, title, x_label, x_offset, powers_of):
    points = [row for rows in series.values() for row in rows]
    x_axis = Axis([row[key] for row in points], x_offset + LEFT, x_offset + WIDTH - 14, powers_of)
    y_axis = Axis([row["cpu_s"] for row in points], HEIGHT - 44, TOP)
    out = [f'<text x="{x_offset + LEFT}" y="24" font-size="13">{title}</text>']
    for tick in x_axis.ticks():
        x = x_axis.place(tick)
        out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - 44}" stroke="#e3e3e3"/>'
                   f'<text x="{x:.1f}" y="{HEIGHT - 28}" font-size="10" text-anchor="middle">{tick_text(tick)}</text>')
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        out.append(f'<line x1="{x_offset + LEFT}" y1="{y:.1f}" x2="{x_offset + WIDTH - 14}" y2="{y:.1f}" stroke="#e3e3e3"/>'
                   f'<text x="{x_offset + LEFT - 6}" y="{y + 3.5:.1f}" font-size="10" text-anchor="end">{tick_text(tick)}</text>')
    out.append(f'<text x="{(x_axis.begin + x_axis.end) / 2:.1f}" y="{HEIGHT - 10}" font-size="11" text-anchor="middle">{x_label}</text>'
               f'<text transform="translate({x_offset + 16} {(TOP + HEIGHT - 44) / 2}) rotate(-90)" font-size="11" '
               'text-anchor="middle">CPU seconds</text>')
    for which, rows in series.items():
        colour, dash, mark = style_of(which)
        places = [(x_axis.place(row[key]), y_axis.place(row["cpu_s"])) for row in sorted(rows, key=lambda row: row[key])]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>')
        out += [mark_svg(mark, x, y, colour) for x, y in places]
    return out


def legend(series):
    out = []
    for place, key in enumerate(sorted(series, key=name_of)):
        colour, dash, mark = style_of(key)
        x, y = 2 * WIDTH + 10, TOP + 6 + 16 * place
        out.append(f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{colour}" stroke-width="1.5"{dash}/>'
                   f'{mark_svg(mark, x + 13, y, colour)}<text x="{x + 34}" y="{y + 3.5}" font-size="10">{name_of(key)}</text>')
    return out


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rows = read_rows(sys.argv[1])
    series = series_of(rows)
    over_hosts = series_of([row for row in rows if row["workload"] != "stream" or row["flows"] == 100_000])
    over_flows = series_of([row for row in rows if row["workload"] != "stream" or row["hosts"] == 256])
    width, height = 2 * WIDTH + LEGEND, max(HEIGHT, TOP + 20 + 16 * len(series))
    body = (panel(over_hosts, "hosts", "Time against hosts", "hosts", 0, 2) +
            panel(over_flows, "flows", "Time against flows", "flows", WIDTH, 10))
    text = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" fill="#333333">\n'
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(body + legend(series)) + "\n</svg>\n")
    out = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "docs/network-growth.svg"
    out.write_text(text)


if __name__ == "__main__":
    main()
