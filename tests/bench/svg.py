# SPDX-License-Identifier: Apache-2.0
"""A small writer of charts as SVG: lines over a number, and bars. Readable in light and dark, and without colours.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart; each line has dashes of its own
and its name at its end as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 78, 150, 82, 46
NAME_HEIGHT = 15
"""Least distance of two names at the ends of lines."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("", "7 4", "2 3", "9 3 2 3")
STYLE = """
text{font:13px system-ui,'Noto Sans','Noto Sans CJK SC',sans-serif;fill:#24292f}
.title{font-size:15px;font-weight:600}.small{font-size:12px}.end{text-anchor:end}.middle{text-anchor:middle}
.axis{stroke:#57606a;stroke-width:1}.grid{stroke:#8b949e;stroke-opacity:.35;stroke-width:1}
.limit{stroke:#57606a;stroke-width:1.5;stroke-dasharray:4 4}.line{fill:none;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.axis,.limit{stroke:#adbac7}}
"""


@dataclass(frozen=True)
class Series:
    """A line: its name and its points (x, y), x ascending."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """What an axis shows, and where its marks stand (value, text); the first and last are its ends."""

    name: str
    marks: list[tuple[float, str]]

    def place(self, value, start, stop):
        """Put a value between two coordinates."""
        low, high = self.marks[0][0], self.marks[-1][0]
        return start + (value - low) / (high - low) * (stop - start)


def axis_to(name, greatest, *, steps=5):
    """Give an axis from 0 to a round number that is at least ``greatest``."""
    unit = 10 ** max(0, len(str(int(greatest / steps))) - 1)
    step = next(unit * n for n in (1, 2, 3, 4, 5, 10) if unit * n * steps >= greatest)
    return Axis(name, [(step * n, f"{step * n:,}") for n in range(steps + 1)])


def line_chart(titles, x, y, lines, *, limit=None, height=320):
    """Draw lines; ``titles`` are the Chinese and the English one, ``limit`` a (value, name) to keep under or over."""
    right, bottom = WIDTH - RIGHT, height - BOTTOM
    parts = []
    for value, text in y.marks:
        at = y.place(value, bottom, TOP)
        parts.append(_line("grid", LEFT, at, right, at))
        parts.append(_text("small end", LEFT - 8, at + 4, text))
    for value, text in x.marks:
        at = x.place(value, LEFT, right)
        parts.append(_line("axis", at, bottom, at, bottom + 5))
        parts.append(_text("small middle", at, bottom + 19, text))
    parts.append(_line("axis", LEFT, bottom, right, bottom))
    parts.append(_text("small middle", (LEFT + right) / 2, bottom + 38, x.name))
    parts.append(_text("small", LEFT - 62, TOP - 14, y.name))
    if limit is not None:
        at = y.place(limit[0], bottom, TOP)
        parts += [_line("limit", LEFT, at, right, at), _text("small", right + 8, at + 4, limit[1])]
    drawn = [
        [(x.place(a, LEFT, right), y.place(b, bottom, TOP)) for a, b in series.points] for series in lines
    ]
    names = _spread([points[-1][1] for points in drawn])
    for number, (series, points, name_at) in enumerate(zip(lines, drawn, names, strict=True)):
        parts += _draw_series(number, points)
        parts.append(_text("small", right + 9, name_at + 4, series.name))
    return _document(titles, height, parts)


def bar_chart(titles, name, bars):
    """Draw horizontal bars; ``bars`` are (text, value) and their sum is what a row takes."""
    greatest = max(value for _, value in bars)
    left, thick = 330, 24
    height = TOP + thick * len(bars) + BOTTOM - 12
    parts = [_text("small", left, TOP - 10, name)]
    for number, (text, value) in enumerate(bars):
        at = TOP + thick * number
        length = value / greatest * (WIDTH - left - 70)
        parts.append(_text("small end", left - 8, at + 14, text))
        parts.append(
            f'<rect x="{left}" y="{at}" width="{length:.1f}" height="{thick - 7}" fill="{COLOURS[0]}"/>'
        )
        parts.append(_text("small", left + length + 6, at + 14, f"{value:,.1f}"))
    return _document(titles, height, parts)


def _draw_series(number, points):
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    end_x, end_y = points[-1]
    return [
        f'<polyline class="line" stroke="{colour}" stroke-dasharray="{dash}" points="{path}"/>',
        f'<circle cx="{end_x:.1f}" cy="{end_y:.1f}" r="3.5" fill="{colour}"/>',
    ]


def _spread(heights):
    """Move names down until none lies on another; their order stays."""
    placed = {}
    least = float("-inf")
    for number in sorted(range(len(heights)), key=heights.__getitem__):
        placed[number] = least = max(heights[number], least + NAME_HEIGHT)
    return [placed[number] for number in range(len(heights))]


def _document(titles, height, parts):
    chinese, english = titles
    head = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(english)} · {escape(chinese)}</title>",
        f"<style>{STYLE}</style>",
        _text("title", 16, 24, chinese),
        _text("title", 16, 44, english),
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def _line(kind, x1, y1, x2, y2):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(kind, x, y, text):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
