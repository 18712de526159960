"""One picture for a table: how far each row is above its floor. Plain SVG, for light and dark pages."""

import math
from html import escape

from .goals import TIMES, number
from .operations import OPERATIONS

ROW, BAR = 26, 12
LEFT, RIGHT, PLOT = 330, 70, 420
TOP, BOTTOM = 64, 34
WIDTH = LEFT + PLOT + RIGHT

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px; fill: #6e7781 }
.axis { stroke: #8c959f; stroke-opacity: .35 }
.met { fill: #2f81f7 } .missed { fill: #d1762b }
.stock { fill: #8c959f; fill-opacity: .55 }
.bound { stroke: #24292f; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } .bound { stroke: #e6edf3 } }
"""


def picture(title, verdicts):
    """The SVG of the rows that are about a floor and were measured; None if there are none."""
    bars = [bar for bar in map(Bar.of, verdicts) if bar]
    if not bars:
        return None
    scale = Scale([value for bar in bars for value in (bar.measured, bar.bound, bar.stock) if value])
    height = TOP + ROW * len(bars) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        text(12, 24, title, "title"),
        *legend(any(bar.stock for bar in bars)),
        *axis(scale, height),
    ]
    for position, bar in enumerate(bars):
        parts += bar.drawn(TOP + ROW * position, scale)
    return "\n".join([*parts, "</svg>", ""])


class Bar:
    def __init__(self, label, measured, bound, stock, met):
        self.label, self.measured, self.bound, self.stock, self.met = label, measured, bound, stock, met

    @classmethod
    def of(cls, verdict):
        for bound, measured in zip(verdict.row.bounds, verdict.measured, strict=True):
            if bound.figure == "times_floor" and measured is not None:
                title = OPERATIONS[verdict.row.operation].title
                label = title if verdict.row.pairing in ("netref", "rust") else f"{title} ({verdict.row.pairing})"
                stock = verdict.stock_times_floor if verdict.row.pairing == "netref" else None
                return cls(label, measured, bound.at_most, stock, bound.met_by(measured))
        return None

    def drawn(self, y, scale):
        middle = y + ROW / 2
        yield text(LEFT - 10, middle + 4, self.label, anchor="end")
        if self.stock:
            yield rectangle(scale.of(1), middle - 2, scale.of(self.stock), 4, "stock")
        yield rectangle(scale.of(1), middle - BAR / 2, scale.of(self.measured), BAR, "met" if self.met else "missed")
        x = scale.of(self.bound)
        yield f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 9:.1f}" y2="{middle + 9:.1f}"/>'
        furthest = max(scale.of(value) for value in (self.measured, self.bound, self.stock or 0.001))
        figures = number(self.measured) + (f" / {number(self.stock)}" if self.stock else "")
        yield text(min(furthest, LEFT + PLOT) + 6, middle + 4, figures, "small")


class Scale:
    """Logarithmic: the figures go from below 1 to thousands."""

    def __init__(self, values):
        self.low = min(0.5, *values) / 1.1
        self.high = max(2, *values) * 1.1

    def of(self, value):
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return LEFT + PLOT * share

    @property
    def ticks(self):
        return [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if self.low <= tick <= self.high]


def legend(has_stock):
    items = [("met", "netref, bound met"), ("missed", "netref, bound missed")] + ([("stock", "stock RPyC")] if has_stock else [])
    x = 12
    for kind, words in items:
        yield f'<rect class="{kind}" x="{x}" y="36" width="10" height="10"/>'
        yield text(x + 15, 45, words, "small")
        x += 30 + 6.5 * len(words)
    yield f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="34" y2="48"/>'
    yield text(x + 7, 45, "required", "small")
    yield text(WIDTH - 12, 24, f"time, {TIMES} the bare socket program (logarithmic)", "small", anchor="end")


def axis(scale, height):
    for tick in scale.ticks:
        x = scale.of(tick)
        width = 2 if tick == 1 else 1
        yield f'<line class="axis" stroke-width="{width}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM + 4}"/>'
        yield text(x, height - BOTTOM + 20, f"{tick:g}", "small", anchor="middle")


def rectangle(x, y, end, height, kind):
    left, right = min(x, end), max(x, end)
    return f'<rect class="{kind}" x="{left:.1f}" y="{y:.1f}" width="{max(right - left, 1):.1f}" height="{height}"/>'


def text(x, y, words, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
