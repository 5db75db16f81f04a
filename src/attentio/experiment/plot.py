"""Plots as inline SVG, drawn by hand: intervals of cells side by side, curves over time, quality against cost.

Colours and fonts are the page's: a mark has the class of its cell, `cell-0` and so on, and is drawn in the current
colour. Every mark says in words what it stands for when it is pointed at.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from attentio.view.label import label as visible

WIDTH = 440.0
_HEIGHT = 300.0
_ROW = 32.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 12.0, 40.0
_NAMES = 21  # columns for names beside a plot, at most
_SHAPES = 6
_CORNERS: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    2: ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
    3: ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
    4: ((0, 1.2), (1.15, -0.9), (-1.15, -0.9)),
    5: (
        *((-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4)),
        *((0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)),
    ),
}


@dataclass(frozen=True)
class Bar:
    """One row of a plot of intervals. cell: its number; points: single values beside the interval."""

    cell: int
    name: str
    value: float
    low: float
    high: float
    points: tuple[float, ...]
    tip: str


@dataclass(frozen=True)
class Line:
    """A curve of (x, y) points."""

    cell: int
    points: tuple[tuple[float, float], ...]
    tip: str


@dataclass(frozen=True)
class Mark:
    """A point with its uncertainty: ranges of x and of y."""

    cell: int
    x: float
    y: float
    across: tuple[float, float]
    upright: tuple[float, float]
    tip: str


@dataclass(frozen=True)
class _Scale:
    """Values to places along one axis, with round numbers to write beside it."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, at_most: int) -> list[float]:
        step = _round_step((self.high - self.low) / at_most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def ticks(low: float, high: float, at_most: int = 6) -> list[float]:
    """Round numbers between two values: 1, 2 or 5 times a power of ten apart."""
    return _Scale(low, high, 0, 1).ticks(at_most)


def intervals(bars: Sequence[Bar], *, label: str, axis: str, zero: float | None = None) -> str:
    """A row for each bar: the interval, the value as a mark of the cell's shape, single values as dots.

    zero: where a line marks the value to compare with.
    """
    ends = [end for bar in bars for end in (bar.low, bar.high, *bar.points)] + ([] if zero is None else [zero])
    letters = min(_NAMES, max(_width(bar.name) for bar in bars))
    left = 14.0 + 7.2 * letters
    height = _TOP + _ROW * len(bars) + _BOTTOM
    scale = _scale(min(ends), max(ends), left, WIDTH - _RIGHT)
    parts = list(_across(scale, _TOP, height - _BOTTOM, axis))
    if zero is not None:
        parts.append(_line(scale(zero), _TOP, scale(zero), height - _BOTTOM, "zero"))
    for row, bar in enumerate(bars):
        y = _TOP + _ROW * (row + 0.5)
        names = _in_lines(bar.name, letters)
        for line, name in enumerate(names):
            place = y + 13.0 * (line - (len(names) - 1) / 2)
            parts.append(f'<text class="name" x="{left - 8:.1f}" y="{place:.1f}" dy=".35em">{_text(name)}</text>')
        parts.append(f'<g class="cell-{bar.cell}"><title>{_text(bar.tip)}</title>')
        parts.append(_line(scale(bar.low), y, scale(bar.high), y, "interval"))
        parts.extend(f'<circle class="seed" cx="{scale(point):.1f}" cy="{y + 8:.1f}" r="2.4"/>' for point in bar.points)
        parts.append(f"{_shape(bar.cell, scale(bar.value), y)}</g>")
    return _svg(height, label, parts)


def curves(lines: Sequence[Line], *, label: str, across: str, upright: str) -> str:
    """Every curve as a line that ends in a mark."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x_scale = _scale(0.0, max(xs), _LEFT, WIDTH - _RIGHT, exact=True)
    y_scale = _scale(min(ys), max(ys), _HEIGHT - _BOTTOM, _TOP)
    parts = [*_across(x_scale, _TOP, _HEIGHT - _BOTTOM, across), *_upright(y_scale, upright)]
    for line in lines:
        places = [(x_scale(x), y_scale(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<g class="cell-{line.cell}"><title>{_text(line.tip)}</title>')
        parts.append(f'<polyline class="curve" points="{path}"/>{_shape(line.cell, *places[-1], size=3.6)}</g>')
    return _svg(_HEIGHT, label, parts)


def scatter(marks: Sequence[Mark], *, label: str, across: str, upright: str) -> str:
    """Every mark with its error bars."""
    xs = [x for mark in marks for x in (mark.x, *mark.across)]
    ys = [y for mark in marks for y in (mark.y, *mark.upright)]
    x_scale = _scale(min(xs), max(xs), _LEFT, WIDTH - _RIGHT)
    y_scale = _scale(min(ys), max(ys), _HEIGHT - _BOTTOM, _TOP)
    parts = [*_across(x_scale, _TOP, _HEIGHT - _BOTTOM, across), *_upright(y_scale, upright)]
    for mark in marks:
        x, y = x_scale(mark.x), y_scale(mark.y)
        parts.append(f'<g class="cell-{mark.cell}"><title>{_text(mark.tip)}</title>')
        parts.append(_line(x, y_scale(mark.upright[0]), x, y_scale(mark.upright[1]), "error"))
        parts.append(_line(x_scale(mark.across[0]), y, x_scale(mark.across[1]), y, "error"))
        parts.append(f"{_shape(mark.cell, x, y)}</g>")
    return _svg(_HEIGHT, label, parts)


def swatch(cell: int) -> str:
    """The mark of a cell, for a legend."""
    return f'<svg class="swatch cell-{cell}" viewBox="0 0 16 16" aria-hidden="true">{_shape(cell, 8, 8)}</svg>'


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    inside = "".join(parts)
    return f'<svg class="plot" viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{_text(label)}">{inside}</svg>'


def _scale(low: float, high: float, start: float, end: float, *, exact: bool = False) -> _Scale:
    """From the lowest to the highest value with a little room around them, or not where `exact`."""
    room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return (
        _Scale(low, high if high > low else low + 1, start, end)
        if exact
        else _Scale(low - room, high + room, start, end)
    )


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least * 0.999)


def _across(scale: _Scale, top: float, bottom: float, name: str) -> Iterator[str]:
    chosen = scale.ticks(6)
    for tick in chosen:
        x = scale(tick)
        yield _line(x, top, x, bottom, "grid")
        number = _number(tick, chosen)
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{number}</text>'
    middle = (scale.start + scale.end) / 2
    yield f'<text class="axis" x="{middle:.1f}" y="{bottom + 33:.1f}" text-anchor="middle">{_text(name)}</text>'


def _upright(scale: _Scale, name: str) -> Iterator[str]:
    chosen = scale.ticks(6)
    for tick in chosen:
        y = scale(tick)
        yield _line(_LEFT, y, WIDTH - _RIGHT, y, "grid")
        yield (
            f'<text class="tick" x="{_LEFT - 6:.1f}" y="{y:.1f}" dy=".35em" text-anchor="end">'
            f"{_number(tick, chosen)}</text>"
        )
    middle = (scale.start + scale.end) / 2
    yield (
        f'<text class="axis" x="0" y="0" text-anchor="middle" transform="translate(12 {middle:.1f}) rotate(-90)">'
        f"{_text(name)}</text>"
    )


def _number(tick: float, chosen: Sequence[float]) -> str:
    """A tick with as many decimals as it takes to tell it from its neighbours."""
    step = abs(chosen[1] - chosen[0]) if len(chosen) > 1 else 1.0
    text = f"{tick:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else "0"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _shape(cell: int, x: float, y: float, size: float = 5.0) -> str:
    """A mark told from others by its shape as well as its colour."""
    kind = cell % _SHAPES
    if not kind:
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in _CORNERS[kind])
    return f'<polygon class="mark" points="{points}"/>'


def _width(text: str) -> int:
    """How many columns a text takes; a Han character takes two."""
    return sum(2 if ord(char) >= 0x2E80 else 1 for char in text)


def _in_lines(name: str, room: int) -> list[str]:
    """A name in one line, or in two where it has two parts and is too long; what is still too long is cut."""
    first, comma, rest = name.partition(", ")
    lines = [name] if _width(name) <= room or not comma else [f"{first},", rest]
    return [_cut(line, room) for line in lines]


def _cut(text: str, room: int) -> str:
    if _width(text) <= room:
        return text
    shown = ""
    for char in text:
        if _width(shown + char) >= room:
            break
        shown += char
    return f"{shown.rstrip()}…"


def _text(text: str) -> str:
    return escape(visible(text))
