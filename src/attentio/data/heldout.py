"""Held-out text: sources with all their references, and word links where they are known.

A held-out set is an ordinary two-column TSV file, one line a pair. Lines with the same source are references of one
another. Beside it, for the small world only, stand the word links of each line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from attentio.errors import DataError
from attentio.metrics.alignment import Links, flipped, format_links


@dataclass(frozen=True)
class HeldOut:
    """Sources, all different, and `references[i]`, all known translations of `sources[i]` in file order."""

    name: str
    sources: list[str]
    references: list[list[str]]

    @classmethod
    def from_pairs(cls, name: str, pairs: Sequence[tuple[str, str]]) -> Self:
        grouped: dict[str, list[str]] = {}
        for source, target in pairs:
            grouped.setdefault(source, []).append(target)
        return cls(name, list(grouped), list(grouped.values()))

    @classmethod
    def load(cls, path: Path, name: str | None = None) -> Self:
        return cls.from_pairs(name or path.stem, read_tsv(path))

    @property
    def pairs(self) -> int:
        return sum(map(len, self.references))

    def evenly(self, most: int) -> Self:
        """Return at most so many sentences, evenly over all: parts of a set may differ."""
        size, count = len(self.sources), min(len(self.sources), most)
        rows = [number * size // count for number in range(count)]
        return type(self)(self.name, [self.sources[row] for row in rows], [self.references[row] for row in rows])


class LinkedPair(NamedTuple):
    """Words of both sides and the links between them: (i, j) joins source word i to target word j, from 0."""

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    links: Links

    def swapped(self) -> "LinkedPair":
        return LinkedPair(self.target_words, self.source_words, flipped(self.links))


def write_pairs(path: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Write cleaned pairs, which hold no tab and no line end, as TSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8", newline="\n")


def read_tsv(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of a file that `write_pairs` wrote."""
    if not path.is_file():
        raise DataError(f"{path} is missing.", hint="Prepare the data again.", file=path)
    return [(source, target) for source, _, target in (line.partition("\t") for line in _lines(path))]


def write_links(stem: Path, pairs: Sequence[LinkedPair]) -> None:
    """Write two files, a line a pair: `STEM.src-tgt` with `source words ||| target words` and `STEM.gold` with `i-j`.

    The layout of the published gold alignments, except that words are counted from 0.
    """
    words = (f"{' '.join(pair.source_words)} ||| {' '.join(pair.target_words)}\n" for pair in pairs)
    gold = (format_links(pair.links) + "\n" for pair in pairs)
    for ending, lines in ((".src-tgt", words), (".gold", gold)):
        stem.with_name(stem.name + ending).write_text("".join(lines), encoding="utf-8", newline="\n")


def read_links(stem: Path) -> Iterator[LinkedPair]:
    words, gold = (_lines(stem.with_name(stem.name + ending)) for ending in (".src-tgt", ".gold"))
    for line, links in zip(words, gold, strict=True):
        source, _, target = line.partition(" ||| ")
        pairs = (link.partition("-") for link in links.split())
        joined = frozenset((int(i), int(j)) for i, _, j in pairs)
        yield LinkedPair(tuple(source.split(" ")), tuple(target.split(" ")), joined)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]
