"""Attention maps as pictures: PNG or SVG files by matplotlib, one panel for each sentence, layer or head.

Which fonts draw the labels is found out in `font`. Importing this module needs the extra `plot`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from attentio.errors import UsageError
from attentio.runtime.files import new_file
from attentio.trace import AttentionTrace
from attentio.view.figure import Axes, Figure, settings, svg
from attentio.view.font import families
from attentio.view.label import label, stacks

_CELL = 0.34  # inches, of one weight. Smaller where a picture would grow beyond _LARGEST
_LARGEST = 36.0
_POINTS = 72.0
_MANY = 3  # sentences side by side before the next row begins
_DESCRIPTION = "Rows are target words, columns are source words. The darker a cell, the more attention, from 0 to 1."


class _Panel(NamedTuple):
    title: str
    source: list[str]
    target: list[str]
    weights: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """Its columns and rows. A translation without words still has a panel, an empty one."""
        return max(1, len(self.source)), max(1, len(self.target))


@dataclass(frozen=True)
class Heatmap:
    """A drawn figure with its title. `message` names the characters that no installed font can draw, or is None."""

    figure: Figure
    title: str
    message: str | None

    def save(self, path: str | Path, *, dpi: int = 150) -> None:
        """Write the picture as .png or .svg, the same bytes for the same picture.

        An SVG holds its text as text, which the fonts of its reader draw, and a title and a description.
        Raises UsageError for another ending.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind not in (".png", ".svg"):
            raise UsageError(f"{path}: pictures are .png or .svg files.", hint="Give it such an ending.")
        with settings(), new_file(path) as partial:
            if kind == ".png":
                self.figure.savefig(partial, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
            else:
                text = svg(self.figure, self.title, _DESCRIPTION, dpi=dpi, bbox_inches="tight")
                partial.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}', encoding="utf-8")


def draw(
    traces: AttentionTrace | Sequence[AttentionTrace],
    *,
    layers: Sequence[str | None] = (None,),
    heads: Sequence[int | None] = (None,),
    names: Sequence[str] = (),
    numbers: bool = False,
    font: str | Path | None = None,
) -> Heatmap:
    """Draw attention maps: target words down, source words along the top, the same scale from 0 to 1 in all panels.

    traces: shown as they are. Pass `trace.words()` for words instead of subwords.
    layers, heads: what to show of each, as for `AttentionTrace.matrix`. Heads stand side by side, layers and sentences
        one below the other. Sentences with one panel each stand side by side, up to three in a row.
    names: one for each trace, such as its model, to stand over it.
    numbers: write the weights into the cells, in percent.
    font: a font file to draw with where it has the characters.
    Raises UsageError when there is nothing to draw or no such layer or head, DataError when `font` is no font.
    """
    shown = [traces] if isinstance(traces, AttentionTrace) else list(traces)
    if not (shown and layers and heads):
        raise UsageError("there is no attention to draw.", hint="Give at least one sentence, layer and head.")
    several = len(layers) * len(heads) > 1
    panels = [
        _panel(trace, layer, head, name, several)
        for (trace, name), layer, head in product(zip(shown, names or [""] * len(shown), strict=True), layers, heads)
    ]
    columns = len(heads) if several else min(len(panels), _MANY)
    headline = _sentences(shown[0], 80 * columns) if several and len(shown) == 1 else ""
    text = "".join(panel.title + "".join(panel.source + panel.target) for panel in panels)
    chosen, missing = families(f"{headline}{text}0123456789", font=font)
    message = None
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        message = (
            f"no installed font draws {', '.join(missing[:5])}{more}: install one (on Debian, `apt install "
            "fonts-noto-cjk` for Chinese, Japanese and Korean) or name a font file."
        )
    title = " | ".join(f"Attention: {label(trace.source)} → {label(trace.target)}" for trace in shown)
    # The generic name is there for the reader of an SVG, whose machine may lack all of these fonts.
    with settings(font__family=[*chosen, "sans-serif"]):
        return Heatmap(_figure(panels, columns, headline, numbers), title, message)


def _panel(trace: AttentionTrace, layer: str | None, head: int | None, name: str, several: bool) -> _Panel:
    layer = trace.layers[-1] if layer == "last" else layer
    source, target = ([label(token) for token in tokens] for tokens in trace.labels())
    part = ", ".join([*filter(None, [name, layer]), *([f"head {head}"] if head is not None else [])])
    whole = [_sentences(trace, max(24, 4 * len(source))), part]
    title = part or "mean" if several else "\n".join(line for line in whole if line)
    return _Panel(title, source, target, trace.matrix(layer, head))


def _figure(panels: Sequence[_Panel], columns: int, headline: str, numbers: bool) -> Figure:
    """Draw all panels with cells of one size. A row or column of panels is as large as its largest, in inches."""
    rows = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    stacked = [panels[column::columns] for column in range(columns)]
    across = sum(max(panel.size[0] for panel in column) for column in stacked)
    down = sum(max(panel.size[1] for panel in row) for row in rows)
    cell = min(_CELL, _LARGEST / max(across, down))
    em = min(11.0 / _POINTS, cell * 0.46)
    lefts = [em * (max(_width(panel.target) for panel in column) + 2) for column in stacked]
    widths = [max(max(cell * p.size[0], em * _width(p.title.split("\n"))) for p in column) for column in stacked]
    tops = [em * (max(_headroom(panel) for panel in row) + 2) for row in rows]
    heights = [cell * max(panel.size[1] for panel in row) for row in rows]
    above = em * 1.4 * (headline.count("\n") + 2) if headline else 0.0
    width = sum(lefts) + sum(widths) + 0.9
    height = above + sum(tops) + sum(heights) + em
    figure = Figure(figsize=(width, height))

    def axes(left: float, top: float, wide: float, tall: float) -> Axes:
        return figure.add_axes((left / width, 1 - (top + tall) / height, wide / width, tall / height))

    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        left = sum(lefts[: column + 1]) + sum(widths[:column])
        top = above + sum(tops[: row + 1]) + sum(heights[:row])
        _draw_panel(axes(left, top, cell * panel.size[0], cell * panel.size[1]), panel, em * _POINTS, numbers)
    if headline:
        figure.text(lefts[0] / width, 1, headline, fontsize=em * _POINTS * 1.1, va="top")
    scale = axes(width - 0.7, above + tops[0], 0.12, min(1.6, heights[0]))
    bar = figure.colorbar(figure.axes[0].images[0], cax=scale, ticks=[0, 0.5, 1])
    bar.set_label("attention", fontsize=em * _POINTS)
    bar.ax.tick_params(labelsize=em * _POINTS * 0.9, length=2)
    bar.outline.set_visible(False)
    return figure


def _width(labels: Iterable[str]) -> float:
    """About how wide the widest label is, in em."""
    return 0.6 * max(map(cell_len, labels), default=0)


def _headroom(panel: _Panel) -> float:
    """About how much height the title and the labels of the source take, in em."""
    labels = [len(name) if stacks(name) else 0.6 * cell_len(name) + 0.5 for name in panel.source]
    return 1.4 * (panel.title.count("\n") + 1) + 1.15 * max(labels, default=0.0) + 0.5


def _draw_panel(axes: Axes, panel: _Panel, points: float, numbers: bool) -> None:
    columns, rows = panel.size
    weights = panel.weights if panel.weights.size else np.zeros((rows, columns))
    axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
    axes.set_title(panel.title, loc="left", fontsize=points * 1.05, pad=points * 0.6)
    axes.set_yticks(range(len(panel.target)), panel.target, fontsize=points)
    names = ["\n".join(name) if stacks(name) else name for name in panel.source]
    axes.set_xticks(range(len(panel.source)), names, fontsize=points, va="bottom", linespacing=1.0)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    for tick, name in zip(axes.get_xticklabels(), panel.source, strict=True):
        # Han characters stay upright, one above the other. Latin words lean, so that neighbors do not collide.
        leaning = not stacks(name) and cell_len(name) > 2
        tick.set(rotation=60 if leaning else 0, ha="left" if leaning else "center", rotation_mode="anchor")
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.0)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    for (row, column), weight in np.ndenumerate(panel.weights if numbers else np.zeros((0, 0))):
        color = "white" if weight > 0.55 else "black"
        axes.text(column, row, f"{100 * weight:.0f}", ha="center", va="center", fontsize=points * 0.7, color=color)


def _sentences(trace: AttentionTrace, room: int) -> str:
    """Return both sentences, on one line if they fit into `room` columns, else the target below. Break long ones."""
    source, target = label(trace.source), label(trace.target)
    if cell_len(f"{source} → {target}") <= room:
        return f"{source} → {target}"
    lines = [line for text in (source, f"→ {target}") for line in Text(text).wrap(Console(), room)]
    return "\n".join(line.plain.strip() for line in lines)
