# SPDX-License-Identifier: Apache-2.0
"""Draws the latency of each request over time as SVG: what the README shows.

Every request is in the picture: the plane is cut into cells of 2 by 2 pixels, and a cell that holds requests is painted,
darker the more it holds. So the file stays small, and a single slow request is as visible as it should be. Colours change
with the reader's light or dark mode; fonts are the reader's own.
"""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 880, 400
LEFT, RIGHT, TOP, BOTTOM = 66, 16, 74, 50
CELL = 2
SHADES = ((1, 0.5), (4, 0.65), (16, 0.82), (64, 1.0))  # at least so many requests in a cell: opacity

STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #57606a }
  .title { font-size: 14px; font-weight: 600; fill: #24292f }
  .strong { fill: #24292f }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .fine { stroke: #eaeef2; stroke-width: 1 }
  .axis { stroke: #8c959f; stroke-width: 1; fill: none }
  .even { stroke: #0969da } .odd { stroke: #bc4c00 }
  .dots { stroke-width: 2; fill: none }
  .swap { stroke: #8250df; stroke-width: 1; stroke-dasharray: 3 3 }
  .flag { fill: #8250df }
  .band { fill: #8c959f; fill-opacity: .14 } .clear { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .title, .strong { fill: #f0f6fc }
    .grid { stroke: #3d444d } .fine { stroke: #262c36 } .axis { stroke: #656c76 }
    .even { stroke: #4493f8 } .odd { stroke: #f0883e }
    .swap { stroke: #ab7df8 } .flag { fill: #ab7df8 }
    .band { fill: #9198a1; fill-opacity: .16 }
  }
"""


class Plane:
    """Where a time and a latency lie in the picture."""

    def __init__(self, seconds, least_ms, most_ms):
        self.seconds = seconds
        self.low, self.high = math.log10(least_ms), math.log10(most_ms)
        self.right, self.bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(self, second):
        return LEFT + second / self.seconds * (self.right - LEFT)

    def y(self, ms):
        part = (math.log10(max(ms, 1e-6)) - self.low) / (self.high - self.low)
        return self.bottom - min(max(part, 0), 1) * (self.bottom - TOP)


def bounds(latencies_ms):
    """Ends of the latency axis: 1, 2 or 5 times a power of ten, around all that was measured."""
    steps = [factor * 10.0 ** power for power in range(-4, 6) for factor in (1, 2, 5)]
    least = max(step for step in steps if step <= max(min(latencies_ms), 1e-4))
    most = min(step for step in steps if step >= max(latencies_ms))
    return least, max(most, least * 10)


def axes(plane):
    low, high = 10 ** plane.low * 0.999, 10 ** plane.high * 1.001
    for power in range(math.floor(plane.low), math.ceil(plane.high) + 1):
        for factor in range(1, 10):
            ms = factor * 10.0 ** power
            if not low <= ms <= high:
                continue
            y = round(plane.y(ms)) + 0.5
            yield f'<path class="{"grid" if factor == 1 else "fine"}" d="M{LEFT} {y}H{plane.right}"/>'
            if factor in (1, 2, 5):
                yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{ms:g}</text>'
    yield f'<text transform="translate(16 {(TOP + plane.bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">latency, ms</text>'
    step = next(s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300) if plane.seconds / s <= 14)
    for second in range(0, int(plane.seconds) + 1, step):
        x = round(plane.x(second)) + 0.5
        yield f'<path class="axis" d="M{x} {plane.bottom}v5"/>'
        yield f'<text x="{x}" y="{plane.bottom + 18}" text-anchor="middle">{second}</text>'
    yield f'<text x="{(LEFT + plane.right) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">time, s</text>'
    yield f'<path class="axis" d="M{LEFT}.5 {TOP}V{plane.bottom}.5H{plane.right}"/>'


def runs(cells):
    """Cells beside each other as one line: yields (column, row, length)."""
    for row in sorted({row for _, row in cells}):
        columns = sorted(column for column, r in cells if r == row)
        start = previous = columns[0]
        for column in columns[1:] + [None]:
            if column != previous + 1:
                yield start, row, previous - start + 1
                start = column
            previous = column


def dots(plane, requests):
    """requests: (second, ms, colour class). A cell takes the colour of the version that answered most of it."""
    cells = {}
    for second, ms, colour in requests:
        where = int((plane.x(second) - LEFT) / CELL), int((plane.bottom - plane.y(ms)) / CELL)
        counts = cells.setdefault(where, {})
        counts[colour] = counts.get(colour, 0) + 1
    painted = {}
    for where, counts in cells.items():
        shade = max(opacity for least, opacity in SHADES if sum(counts.values()) >= least)
        painted.setdefault((max(counts, key=counts.get), shade), set()).add(where)
    for (colour, shade), group in sorted(painted.items()):
        path, at = [], (0, 0)
        for column, row, length in runs(group):
            x, y = LEFT + column * CELL, plane.bottom - row * CELL - CELL // 2
            path.append(f"m{x - at[0]} {y - at[1]}h{length * CELL}")
            at = x + length * CELL, y
        yield f'<path class="dots {colour}" opacity="{shade:g}" d="M0 0{"".join(path)}"/>'


def draw(title, requests, swaps, bands, notes, seconds):
    """
    requests: (second, ms, version); swaps: (second, text); bands: (first second, last second, text,
    whether it is shaded); notes: lines under
    the title. Returns the SVG's text.
    """
    plane = Plane(seconds, *bounds([ms for _, ms, _ in requests]))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           f'role="img" aria-labelledby="title notes">',
           f'<title id="title">{escape(title)}</title>',
           f'<desc id="notes">{escape(" ".join(notes))}</desc>',
           f"<style>{STYLE}</style>",
           f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>']
    out += [f'<text x="{LEFT}" y="{37 + 15 * i}">{escape(note)}</text>' for i, note in enumerate(notes)]
    for first, last, text, shaded in bands:
        x, width = plane.x(first), plane.x(last) - plane.x(first)
        out.append(f'<rect class="{"band" if shaded else "clear"}" x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{plane.bottom - TOP}"/>')
    out += axes(plane)
    out += dots(plane, [(second, ms, "odd" if version % 2 else "even") for second, ms, version in requests])
    for second, text in swaps:
        x = round(plane.x(second)) + 0.5
        out.append(f'<path class="swap" d="M{x} {TOP}V{plane.bottom}"/><path class="flag" d="M{x - 4} {TOP - 6}h8l-4 7z"/>')
        if text:
            out.append(f'<text x="{x}" y="{TOP - 10}" text-anchor="middle">{escape(text)}</text>')
    for first, last, text, _ in bands:
        middle = min(max((plane.x(first) + plane.x(last)) / 2, LEFT + 56), plane.right - 56)
        for i, line in enumerate(text.split("\n")):
            kind = "strong" if i == 0 else "plain"
            out.append(f'<text class="{kind}" x="{middle:.1f}" y="{TOP + 17 + 15 * i}" text-anchor="middle">{escape(line)}</text>')
    out.append("</svg>\n")
    return "\n".join(out)
