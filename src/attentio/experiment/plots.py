"""Plots of a comparison as SVG elements: intervals, curves over time, quality against cost.

The page gives colors and fonts: a color of ours becomes a CSS variable, so that plots follow light and dark. Every mark
has the class of its cell, `cell-0` and so on, and a title that says what it stands for. Needs the extra `plot`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from attentio.experiment.statistics import Comparison, Spread, verdict
from attentio.view.figure import Figure, settings, svg
from attentio.view.label import label, shortened

WIDTH, HEIGHT, ROW = 440, 300, 32  # points, which are the units of the SVG
NAME_WIDTH = 21  # columns for names beside a plot, at most
MARKERS = "os^DvP"
_INK, _SOFT, _GRID, _CARD = "#1c2024", "#5d656d", "#eceef0", "#ffffff"
_CELLS = ("#1b62b5", "#c2480d", "#14804f", "#9a2f86", "#7a6200", "#0b7c8c", "#b3243f", "#5b5f6b")
_VARIABLES = {
    **{_INK: "var(--ink)", _SOFT: "var(--soft)", _GRID: "var(--grid)", _CARD: "var(--card)"},
    **{color: f"var(--c{number})" for number, color in enumerate(_CELLS)},
}


class PlotFigure(NamedTuple):
    """A plot with its heading and a remark."""

    heading: str
    remark: str
    svg: str


@dataclass(frozen=True)
class Mark:
    """One value of a cell with its uncertainty.

    cell: its number. name, tip: text beside the mark, and for those who point at it. x, y: the value. across, upright:
    its ranges. points: single values.
    """

    cell: int
    name: str
    tip: str
    x: float = 0.0
    y: float = 0.0
    across: tuple[float, float] | None = None
    upright: tuple[float, float] | None = None
    points: tuple[tuple[float, float], ...] = ()


class _Plot:
    """A figure with one pair of axes in the style of the page."""

    def __init__(self, height: float, across: str, upright: str = "") -> None:
        self.figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        self.axes = self.figure.add_subplot()
        self.axes.set_axisbelow(True)
        self.axes.grid(visible=True, axis="both" if upright else "x", color=_GRID, linewidth=1)
        self.axes.tick_params(colors=_SOFT, length=0, labelsize=12)
        self.axes.margins(0.06)
        self.axes.locator_params(axis="x", nbins=6)
        self.axes.xaxis.set_major_formatter("{x:,.6g}")
        self.axes.spines[:].set_visible(False)
        self.axes.set_xlabel(label(across), color=_SOFT, fontsize=12)
        self.axes.set_ylabel(label(upright), color=_SOFT, fontsize=12)
        self._tips: list[tuple[int, str]] = []

    def draw(self, mark: Mark, xs: Sequence[float], ys: Sequence[float], **style: Any) -> None:
        color = _CELLS[mark.cell % len(_CELLS)]
        style = {"color": color, "markeredgecolor": _CARD, "markeredgewidth": 1, **style}
        (artist,) = self.axes.plot(xs, ys, **style)
        artist.set_gid(f"cell {len(self._tips)}")
        artist.set_clip_on(False)
        self._tips.append((mark.cell, mark.tip))

    def dot(self, mark: Mark, x: float, y: float, size: float = 9) -> None:
        """Draw the mark of a cell, told from others by its shape as well as its color."""
        self.draw(mark, [x], [y], marker=MARKERS[mark.cell % len(MARKERS)], markersize=size, linestyle="none")

    def element(self, name: str, title: str) -> str:
        """Return the SVG element. Its ids begin with `name`, so that plots share a page."""
        told = ". ".join(dict.fromkeys(tip for _, tip in self._tips))
        text = svg(self.figure, label(title), label(told), transparent=True)
        used = set(re.findall(r'#([\w-]+)[")]', text))

        def identity(found: re.Match[str]) -> str:
            cell, number = found[1].partition(" ")[::2]
            if cell == "cell" and number:
                place, tip = self._tips[int(number)]
                return f'<g class="cell-{place}"><title>{escape(label(tip))}</title>'
            return f"<g{found[2]}>"

        text = re.sub(r'<g id="([^"]*)"([^>]*)>', identity, text)
        text = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
        text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
        text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _VARIABLES.get(found[0], found[0]), text)
        text = re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"', r'\1class="plot"', text, count=1)
        return re.sub(r"\n\s*", "\n", text)


@settings()
def intervals(marks: Sequence[Mark], name: str, title: str, axis: str, *, zero: bool = False) -> str:
    """Draw a row for each mark: its range across, its value, and single values as dots below.

    zero: draw a line at 0, the value to compare with.
    """
    plot = _Plot(ROW * len(marks) + 52, axis)
    if zero:
        plot.axes.axvline(0, color=_SOFT, linewidth=1.2, linestyle=(0, (4, 3)))
    for row, mark in enumerate(marks):
        if mark.across is not None:
            plot.draw(mark, mark.across, [row, row], linewidth=5, alpha=0.38, solid_capstyle="round")
        if mark.points:
            below = [row + 0.27] * len(mark.points)
            xs = [x for x, _ in mark.points]
            plot.draw(mark, xs, below, marker="o", markersize=4.8, linestyle="none", alpha=0.6, markeredgewidth=0)
        plot.dot(mark, mark.x, row)
    plot.axes.set_yticks(range(len(marks)), [_in_lines(mark.name) for mark in marks], color=_INK, fontsize=13)
    plot.axes.set_ylim(len(marks) - 0.5, -0.5)
    return plot.element(name, title)


@settings()
def chart(marks: Sequence[Mark], name: str, title: str, across: str, upright: str) -> str:
    """Draw every mark as a line through its points that ends in its shape, or as a shape with its ranges."""
    plot = _Plot(HEIGHT, across, upright)
    for mark in marks:
        if mark.points:
            xs, ys = zip(*mark.points, strict=True)
            plot.draw(mark, xs, ys, linewidth=1.7, alpha=0.85)
            plot.dot(mark, xs[-1], ys[-1], 6.5)
            plot.axes.set_xlim(left=0)
            continue
        for xs, ys in ((mark.across, (mark.y, mark.y)), ((mark.x, mark.x), mark.upright)):
            if xs is not None and ys is not None:
                plot.draw(mark, xs, ys, linewidth=1.6, alpha=0.75)
        plot.dot(mark, mark.x, mark.y)
    return plot.element(name, title)


def plots_of_quality(comparison: Comparison, test: str, number: int) -> list[PlotFigure]:
    """Plot the scores of all cells with their intervals, and the differences from the baseline where there are any."""
    scores: list[Mark] = []
    differences: list[Mark] = []
    for i, cell, result in comparison.on(test):
        score, found = result.scores["chrF2"], result.differences.get("chrF2")
        tip = f"{cell.name}: chrF {score.value:.1f} [{score.low:.1f}, {score.high:.1f}]"
        seeds = tuple((value, 0.0) for value in score.by_seed)
        scores.append(Mark(i, cell.name, tip, score.value, across=(score.low, score.high), points=seeds))
        if found is not None and found.low is not None and found.high is not None:
            tip = f"{cell.name}: {verdict(found)}"
            differences.append(Mark(i, cell.name, tip, found.difference, across=(found.low, found.high)))
        elif cell.name == comparison.baseline:
            differences.append(Mark(i, cell.name, f"{cell.name}: the baseline"))
    if not scores:
        return []
    heading, other = "chrF on the test sentences", f"Difference from {comparison.baseline}"
    svg = intervals(scores, f"score-{number}", heading, "chrF, more is better")
    made = [PlotFigure(heading, "bar: 95 % over seeds and sentences; dots: single seeds", svg)]
    if any(mark.name != comparison.baseline for mark in differences):
        axis = f"chrF minus that of {comparison.baseline}"
        svg = intervals(differences, f"difference-{number}", f"{other}, in chrF", axis, zero=True)
        made.append(PlotFigure(other, "bar: 95 % of this comparison alone, not corrected", svg))
    return made


def plots_of_costs(comparison: Comparison) -> list[PlotFigure]:
    """Plot quality against training time, size and speed."""
    made: list[PlotFigure] = []
    lines: list[Mark] = []
    for i, cell in enumerate(comparison.cells):
        for run in cell.measured:
            if run.curve:
                tip = f"{cell.name}, seed {run.seed}: ends at {run.curve[-1].chrf:.1f}"
                lines.append(Mark(i, cell.name, tip, points=tuple((point.seconds, point.chrf) for point in run.curve)))
    if lines:
        heading = "Quality against training time"
        svg = chart(lines, "curves", f"{heading}, a line for each seed", "seconds of training", "chrF on dev")
        made.append(PlotFigure(heading, "each evaluation on dev, each seed", svg))
    test = next(iter(comparison.sentences))
    remark = f"chrF{f' on {test}' if len(comparison.sentences) > 1 else ''} with its interval"
    for field, axis, times, heading in (
        ("parameters", "parameters, millions", 1e-6, "Quality against size"),
        ("sentences_per_second", "sentences a second, greedy", 1.0, "Quality against decoding speed"),
        ("tokens_per_second", "target tokens a second", 1.0, "Quality against training speed"),
    ):
        marks: list[Mark] = []
        for i, cell, result in comparison.on(test):
            cost: Spread | None = getattr(cell, field)
            if cost is not None:
                score = result.scores["chrF2"]
                tip = f"{cell.name}: chrF {score.value:.1f}, {times * cost.mean:,.2f} {axis}"
                across, upright = (times * cost.lowest, times * cost.highest), (score.low, score.high)
                marks.append(Mark(i, cell.name, tip, times * cost.mean, score.value, across, upright))
        if marks:
            svg = chart(marks, field.replace("_", "-"), heading, axis, "chrF")
            made.append(PlotFigure(heading, f"{remark}; across, the range over seeds", svg))
    return made


def _in_lines(name: str) -> str:
    """Return a long name of two parts in two lines. What is still too long is cut."""
    shown = label(name)
    lines = shown.replace(", ", ",\n", 1) if len(shown) > NAME_WIDTH else shown
    return "\n".join(shortened(line, NAME_WIDTH) for line in lines.split("\n"))
