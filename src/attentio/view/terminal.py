"""The attention map in a terminal: target words down the side, source words along the top, a shade for each weight.

Without colors (a pipe, NO_COLOR, a terminal of 16 colors) the map is made of percentages. A map that is wider than the
terminal folds: the source words that do not fit follow in further blocks. Nothing is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from attentio.trace import AttentionTrace
from attentio.view.label import label, shortened

_NARROWEST = 3  # a percentage has up to three digits
_WIDEST = 12
# From dark to bright in even steps, readable with every kind of color blindness: blue, gray, yellow.
_STOPS = np.array([(0, 32, 81), (60, 77, 110), (127, 124, 117), (187, 175, 113), (253, 234, 69)], dtype=np.float64)


@dataclass(frozen=True)
class TerminalMap:
    """One attention map as something rich can print.

    trace: shown as it is. Pass `trace.words()` for words instead of subwords.
    layer, head: as for `AttentionTrace.matrix`.
    numbers: write percentages on the shades as well.
    """

    trace: AttentionTrace
    layer: str | None = None
    head: int | None = None
    numbers: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        matrix = self.trace.matrix(self.layer, self.head)
        shades = console.color_system in ("256", "truecolor") and not console.no_color
        source, target = label(self.trace.source), label(self.trace.target)
        fits = cell_len(source) + cell_len(target) + 3 <= options.max_width
        yield Text(f"{source} → {target}" if fits else f"{source}\n→ {target}")
        if not matrix.size:
            yield Text("(no words to attend to)")
            return
        widest = max(_NARROWEST, min(2 * _WIDEST, options.max_width // 3))
        rows = [shortened(label(token), widest) for token in self.trace.target_tokens]
        columns = [shortened(label(token), _WIDEST) for token in self.trace.source_tokens]
        gutter = max(map(cell_len, rows))
        widths = [max(_NARROWEST, cell_len(column)) for column in columns]
        blocks = list(_blocks(widths, options.max_width - gutter))
        for first, last in blocks:
            if len(blocks) > 1:
                yield Text(f"source {first + 1} to {last} of {len(columns)}", style="italic")
            part = slice(first, last)
            yield _line("", gutter, list(map(_right, columns[part], widths[part])))
            for row, weights in zip(rows, matrix[:, part], strict=True):
                yield _line(row, gutter, self._cells(weights, widths[part], shades))
        yield _scale() if shades else Text("Numbers are percent of attention; a dot is half a percent or less.")

    def _cells(self, weights: NDArray[np.float32], widths: list[int], shades: bool) -> list[Text]:
        cells: list[Text] = []
        for weight, width in zip(weights.tolist(), widths, strict=True):
            percent = round(100 * weight)
            digits = str(percent) if percent else "·"
            text = _right(digits if self.numbers or not shades else "", width)
            if shades:
                text.stylize(_shade(weight))
            cells.append(text)
        return cells


def print_map(
    trace: AttentionTrace,
    *,
    layer: str | None = None,
    head: int | None = None,
    numbers: bool = False,
    console: Console | None = None,
) -> None:
    """Print one attention map to the console, standard output unless another is given."""
    (console or Console(highlight=False)).print(TerminalMap(trace, layer, head, numbers))


def _blocks(widths: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Return ranges of columns that fit into `room`, with one space before each. Each range has at least one."""
    first, used = 0, 0
    for index, width in enumerate(widths):
        if index > first and used + width + 1 > room:
            yield first, index
            first, used = index, 0
        used += width + 1
    yield first, len(widths)


def _line(name: str, gutter: int, cells: list[Text]) -> Text:
    line = _right(name, gutter)
    for cell in cells:
        line.append(" ").append_text(cell)
    line.no_wrap = True
    line.overflow = "crop"
    return line


def _right(text: str, width: int) -> Text:
    return Text(" " * (width - cell_len(text)) + text)


def _shade(weight: float) -> Style:
    place = min(max(weight, 0.0), 1.0) * (len(_STOPS) - 1)
    below = min(int(place), len(_STOPS) - 2)
    red, green, blue = _STOPS[below] + (place - below) * (_STOPS[below + 1] - _STOPS[below])
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128
    background = f"#{round(red):02x}{round(green):02x}{round(blue):02x}"
    return Style(color="#ffffff" if dark else "#000000", bgcolor=background)


def _scale() -> Text:
    line = Text("attention 0 ")
    for step in range(11):
        line.append("  ", style=_shade(step / 10))
    return line.append(" 1")
