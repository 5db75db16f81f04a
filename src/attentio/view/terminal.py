"""The attention map in a terminal: target words down the side, source words along the top, a shade for each weight.

Without colors (a pipe, NO_COLOR, a terminal of 16 colors) the map is made of percentages. A map that is wider than the
terminal folds: the source words that do not fit follow in further blocks. Nothing is left out.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from attentio.trace import AttentionTrace
from attentio.view.label import label, shortened

_NARROWEST = 3  # a percentage has up to three digits
_WIDEST = 12
# From dark to bright in even steps, readable with every kind of color blindness: blue, gray, yellow.
_STOPS = np.array([(0, 32, 81), (60, 77, 110), (127, 124, 117), (187, 175, 113), (253, 234, 69)])


def print_map(
    trace: AttentionTrace,
    *,
    layer: str | None = None,
    head: int | None = None,
    numbers: bool = False,
    console: Console | None = None,
) -> None:
    """Print one attention map to the console, standard output unless another is given.

    trace: shown as it is. Pass `trace.words()` for words instead of subwords.
    layer, head: as for `AttentionTrace.matrix`. numbers: write percentages on the shades as well.
    """
    console = console or Console(highlight=False)
    matrix = trace.matrix(layer, head)
    shades = console.color_system in ("256", "truecolor") and not console.no_color
    source, target = label(trace.source), label(trace.target)
    fits = cell_len(source) + cell_len(target) + 3 <= console.width
    console.print(Text(f"{source} → {target}" if fits else f"{source}\n→ {target}"))
    if not matrix.size:
        console.print(Text("(no words to attend to)"))
        return
    widest = max(_NARROWEST, min(2 * _WIDEST, console.width // 3))
    source_labels, target_labels = trace.labels()
    rows = [shortened(label(token), widest) for token in target_labels]
    columns = [shortened(label(token), _WIDEST) for token in source_labels]
    gutter = max(map(cell_len, rows))
    widths = [max(_NARROWEST, cell_len(column)) for column in columns]
    blocks = list(_blocks(widths, console.width - gutter))
    for part in blocks:
        if len(blocks) > 1:
            console.print(Text(f"source {part.start + 1} to {part.stop} of {len(columns)}", style="italic"))
        console.print(_line([Text(""), *map(Text, columns[part])], [gutter, *widths[part]]))
        for row, weights in zip(rows, matrix[:, part].tolist(), strict=True):
            texts = [str(round(100 * weight) or "·") if numbers or not shades else "" for weight in weights]
            styles = [_shade(weight) if shades else "" for weight in weights]
            console.print(_line([Text(row), *map(Text, texts, styles)], [gutter, *widths[part]]))
    if shades:
        steps = [("  ", _shade(step / 10)) for step in range(11)]
        console.print(Text.assemble("attention 0 ", *steps, " 1"))
    else:
        console.print(Text("Numbers are percent of attention; a dot is half a percent or less."))


def _blocks(widths: list[int], room: int) -> Iterator[slice]:
    """Yield ranges of columns that fit into `room`, with one space before each. Each range has at least one."""
    first, used = 0, 0
    for index, width in enumerate(widths):
        if index > first and used + width + 1 > room:
            yield slice(first, index)
            first, used = index, 0
        used += width + 1
    yield slice(first, len(widths))


def _line(cells: Iterable[Text], widths: list[int]) -> Text:
    """Return the cells in one line that never folds, each at the right of its column and shaded to its full width."""
    pairs = zip(cells, widths, strict=True)
    padded = [Text(" " * (width - cell_len(cell.plain)) + cell.plain, cell.style) for cell, width in pairs]
    return Text(" ", no_wrap=True, overflow="crop").join(padded)


def _shade(weight: float) -> Style:
    places = np.linspace(0, 1, len(_STOPS))
    red, green, blue = (round(np.interp(weight, places, channel)) for channel in _STOPS.T)
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128
    return Style(color="#ffffff" if dark else "#000000", bgcolor=f"#{red:02x}{green:02x}{blue:02x}")
