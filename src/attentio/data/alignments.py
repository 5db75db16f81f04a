"""Word links in files, a sentence a line: `0-1 2-2`, and in gold links `1p3` for those that are possible but not sure.

A link (i, j) joins source word i to target word j, both counted from 0 inside the program. Files count from 0 or from
1, which the caller says. Line n of a file of links belongs to line n of the text. Words are separated by white space
there. Links are drawn and scored in `evaluation`.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from attentio.data.readers.lines import existing, read_utf8
from attentio.errors import DataError
from attentio.metrics.alignment import GoldLinks, Link, Links

Lengths: TypeAlias = tuple[int, int]

_LINK = re.compile(r"([0-9]+)([-p])([0-9]+)")
_Row = TypeVar("_Row")


def parse_links(text: str, *, index: int, lengths: Lengths | None = None) -> Links:
    """Return the links of one sentence in Pharaoh form, `0-0 1-2`, counted from `index` (0 or 1).

    lengths: (source words, target words). A link beyond them is refused.
    Raises ValueError on anything else. A possible link (`0p1`) is refused, too: a system says what it links.
    """
    gold = parse_gold(text, index=index, lengths=lengths)
    if gold.possible != gold.sure:
        raise ValueError("has a possible link (p), and only gold links may be unsure")
    return gold.sure


def parse_gold(text: str, *, index: int, lengths: Lengths | None = None) -> GoldLinks:
    """Return the gold links of one sentence, `1-1 2p3`: `-` sure, `p` possible only. Arguments as of `parse_links`.

    Raises ValueError on anything else, such as a position below `index`.
    """
    if index not in (0, 1):
        raise ValueError(f"links are counted from 0 or 1, not from {index}")
    sure: set[Link] = set()
    possible: set[Link] = set()
    for word in text.split():
        match = _LINK.fullmatch(word)
        if match is None:
            raise ValueError(f"has {word!r}, which is not a link such as 0-1 or 0p1")
        link = (int(match[1]) - index, int(match[3]) - index)
        beyond = lengths is not None and (link[0] >= lengths[0] or link[1] >= lengths[1])
        if min(link) < 0 or beyond:
            where = f" in a sentence of {lengths[0]} words against {lengths[1]}" if lengths and beyond else ""
            raise ValueError(f"has the link {word}, out of range when counted from {index}{where}")
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return GoldLinks(frozenset(sure), frozenset(possible))


def read_links(path: str | Path, *, index: int, lengths: Sequence[Lengths] | None = None) -> list[Links]:
    """Return the links of a file, one line for each sentence, an empty line for none.

    lengths: (source words, target words) of each sentence. A link beyond them is refused.
    Raises DataError with the line where a link is malformed or out of range.
    """
    return _read(path, index, lengths, parse_links)


def read_gold(path: str | Path, *, index: int, lengths: Sequence[Lengths] | None = None) -> list[GoldLinks]:
    """Return the gold links of a file. Arguments and errors are those of `read_links`."""
    return _read(path, index, lengths, parse_gold)


def _read(path: str | Path, index: int, lengths: Sequence[Lengths] | None, parse: Callable[..., _Row]) -> list[_Row]:
    lines = list(read_utf8(existing(str(path))))
    if lengths is not None and len(lengths) != len(lines):
        raise DataError(f"{path} has {len(lines):,} lines, and there are {len(lengths):,} sentences.", file=path)
    each = [None] * len(lines) if lengths is None else lengths
    return [parse_line(path, *row, index, parse) for row in zip(range(1, len(lines) + 1), lines, each, strict=True)]


def parse_line(
    path: str | Path, number: int, line: str, lengths: Lengths | None, index: int, parse: Callable[..., _Row]
) -> _Row:
    """Return what `parse` makes of one line. Raise DataError with file and line where that is nothing."""
    try:
        return parse(line, index=index, lengths=lengths)
    except ValueError as error:
        raise DataError(f"{path} line {number:,} {error}.", file=path, line=number) from None


def read_lengths(path: str | Path) -> list[Lengths]:
    """Return the numbers of words of each sentence of a file of `source words ||| target words`.

    Raises DataError with the line where a line has not exactly two sides.
    """
    lengths: list[Lengths] = []
    for number, line in enumerate(read_utf8(existing(str(path))), 1):
        sides = line.split("|||")
        if len(sides) != 2:
            raise DataError(f"{path} line {number:,} is not `source words ||| target words`.", file=path, line=number)
        lengths.append((len(sides[0].split()), len(sides[1].split())))
    return lengths


def check_line_counts(links: str | Path, num_links: int, text: str | Path, num_lines: int) -> None:
    """Raise DataError unless a file of links has as many lines as the text it belongs to."""
    if num_links != num_lines:
        what = f"{links} has {num_links:,} lines, {text} has {num_lines:,}."
        hint = "They go line by line. A sentence without links is an empty line."
        raise DataError(what, hint=hint, code="E_DATA_COUNTS", file=links, line=min(num_links, num_lines) + 1)
