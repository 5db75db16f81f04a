"""Word links in files, a sentence a line: `0-1 2-2`, and in gold links `1p3` for those that are possible but not sure.

A link (i, j) joins source word i to target word j, both counted from 0 inside the program. Files may count from 0 or
from 1; which of the two is always said by the caller, never guessed. Line n of a file of links belongs to line n of
the text, and the words are what white space separates there. Drawing and scoring links is done in `evaluate`.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

from attentio.data.readers.lines import existing, read_lines
from attentio.errors import DataError
from attentio.metrics.alignment import GoldLinks, Link, Links

Lengths: TypeAlias = tuple[int, int]

_LINK = re.compile(r"([0-9]+)([-p])([0-9]+)")


_Row = TypeVar("_Row", Links, GoldLinks)


def parse_links(text: str, *, index: int, lengths: Lengths | None = None) -> Links:
    """The links of one sentence in Pharaoh form, `0-0 1-2`, counted from `index` (0 or 1).

    lengths: (source words, target words); a link beyond them is refused.
    Raises ValueError on anything else, a possible link (`0p1`) included: a system says what it links.
    """
    gold = parse_gold(text, index=index, lengths=lengths)
    if gold.possible != gold.sure:
        raise ValueError("has a possible link (p), and only gold links may be unsure")
    return gold.sure


def parse_gold(text: str, *, index: int, lengths: Lengths | None = None) -> GoldLinks:
    """The gold links of one sentence, `1-1 2p3`: `-` sure, `p` possible only, counted from `index` (0 or 1).

    lengths: (source words, target words); a link beyond them is refused.
    Raises ValueError on anything else, on a position below `index` included.
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
        if min(link) < 0:
            raise ValueError(f"has the link {word}, out of range when counted from {index}")
        if lengths is not None and (link[0] >= lengths[0] or link[1] >= lengths[1]):
            raise ValueError(
                f"has the link {word}, out of range when counted from {index} "
                f"in a sentence of {lengths[0]} words against {lengths[1]}"
            )
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return GoldLinks(frozenset(sure), frozenset(possible))


def read_links(path: str | Path, *, index: int, lengths: Sequence[Lengths] | None = None) -> list[Links]:
    """The links of a file, one line for each sentence, an empty line for none.

    lengths: (source words, target words) of each sentence; a link beyond them is refused.
    Raises DataError with the line when a link is malformed or out of range.
    """
    return _read(path, partial(parse_links, index=index), lengths)


def read_gold(path: str | Path, *, index: int, lengths: Sequence[Lengths] | None = None) -> list[GoldLinks]:
    """The gold links of a file, as `read_links` reads links."""
    return _read(path, partial(parse_gold, index=index), lengths)


class LinkFile:
    """A file of links in Pharaoh form, read along with the text it belongs to."""

    def __init__(self, path: Path, index: int) -> None:
        self._path = path
        self._index = index
        self._lines = enumerate(read_lines(path), 1)

    def take(self, numbers: Sequence[int], lengths: Sequence[Lengths]) -> list[Links]:
        """The links of the lines with these numbers, from 1 and ascending, also from call to call; others are skipped.

        lengths: (source words, target words) of each; raises DataError with the line as `read_links` does.
        """
        return [
            _parsed(
                self._path,
                number,
                next(text for at, text in self._lines if at == number),
                partial(parse_links, index=self._index),
                length,
            )
            for number, length in zip(numbers, lengths, strict=True)
        ]


def read_lengths(path: str | Path) -> list[Lengths]:
    """The numbers of words of each sentence of a file of `source words ||| target words`.

    Raises DataError with the line when a line has not exactly two sides.
    """
    lengths: list[Lengths] = []
    for number, line in enumerate(read_lines(existing(str(path))), 1):
        sides = line.split("|||")
        if len(sides) != 2:
            raise DataError(f"{path} line {number:,} is not `source words ||| target words`.", file=path, line=number)
        lengths.append((len(sides[0].split()), len(sides[1].split())))
    return lengths


def check_line_counts(links: str | Path, num_links: int, text: str | Path, num_lines: int) -> None:
    """Raises DataError unless a file of links has as many lines as the text it belongs to."""
    if num_links != num_lines:
        raise DataError(
            f"{links} has {num_links:,} lines, {text} has {num_lines:,}.",
            hint="They go line by line; a sentence without links is an empty line.",
            code="E_DATA_COUNTS",
            file=links,
            line=min(num_links, num_lines) + 1,
        )


def _read(path: str | Path, parse: Callable[..., _Row], lengths: Sequence[Lengths] | None) -> list[_Row]:
    lines = list(read_lines(existing(str(path))))
    if lengths is not None and len(lengths) != len(lines):
        raise DataError(f"{path} has {len(lines):,} lines, and there are {len(lengths):,} sentences.", file=path)
    parts = [None] * len(lines) if lengths is None else lengths
    return [
        _parsed(path, number, line, parse, length)
        for number, (line, length) in enumerate(zip(lines, parts, strict=True), 1)
    ]


def _parsed(path: str | Path, number: int, line: str, parse: Callable[..., _Row], lengths: Lengths | None) -> _Row:
    try:
        return parse(line, lengths=lengths)
    except ValueError as error:
        raise DataError(f"{path} line {number:,} {error}.", file=path, line=number) from None
