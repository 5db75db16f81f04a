"""Known word links of training pairs, from a file or the small world to links between tokens.

Cleaning moves the words of a text, and `follow` finds them again. A `CleanStore` keeps the links until the tokens are
known.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from attentio.data.alignments import check_line_counts, parse_line, parse_links
from attentio.data.heldout import LinkedPair
from attentio.data.readers.built_in import known_links
from attentio.data.readers.lines import Origin, read_lines, read_utf8
from attentio.data.settings import DataConfig
from attentio.data.source import Chunk
from attentio.data.store import NO_LINKS, SpanLinks
from attentio.text.clean import Cleaner
from attentio.text.words import place_words

Linked: TypeAlias = Callable[[Chunk], list[LinkedPair]]
Spans: TypeAlias = Sequence[tuple[int, int]]


def linked_reader(origin: Origin, config: DataConfig) -> Linked | None:
    """Return a function that gives words and links of a part, chunk after chunk, or None where no links are known.

    Raises DataError, with file and line, where a file of links does not fit its text or holds what is no link.
    """
    links = origin.links
    if links is None:
        count = config.small_world_pairs
        return (lambda chunk: known_links(chunk.lines.tolist(), *chunk[:2], count)) if origin.knows_links else None
    num_lines = sum(1 for _ in read_lines(origin.file, config.encoding))
    check_line_counts(links, sum(1 for _ in read_utf8(links)), str(origin.path), num_lines)
    lines = enumerate(read_utf8(links), 1)

    def read(chunk: Chunk) -> list[LinkedPair]:
        # A link joins a word of the first column to one of the second, whichever of them is the source.
        columns = (chunk.targets, chunk.sources) if config.swap else (chunk.sources, chunk.targets)
        pairs: list[LinkedPair] = []
        for number, *texts in zip(chunk.lines.tolist(), *columns, strict=True):
            first, second = (tuple(text.split()) for text in texts)
            line = next(line for at, line in lines if at == number)
            lengths = (len(first), len(second))
            pair = LinkedPair(first, second, parse_line(links, number, line, lengths, config.links_index, parse_links))
            pairs.append(pair.swapped() if config.swap else pair)
        return pairs

    return read


def follow(
    pairs: Sequence[LinkedPair], texts: Sequence[Sequence[str]], cleaners: Sequence[Cleaner]
) -> list[SpanLinks | None]:
    """Return the links of each pair in its cleaned texts, None where its words cannot be found there again."""
    linked = [i for i, pair in enumerate(pairs) if pair.links]
    words = ([pairs[i].source_words for i in linked], [pairs[i].target_words for i in linked])
    placed = [
        place_words(side, [lines[i] for i in linked], cleaner)
        for side, lines, cleaner in zip(words, texts, cleaners, strict=True)
    ]
    found: list[SpanLinks | None] = [NO_LINKS] * len(pairs)
    for i, source, target in zip(linked, *placed, strict=True):
        found[i] = None if source is None or target is None else span_links(pairs[i].links, source, target)
    return found


def span_links(word_links: Iterable[tuple[int, int]], source_words: Spans, target_words: Spans) -> SpanLinks:
    """Return links between words as links between characters: a row for each, sorted."""
    rows = [(*source_words[i], *target_words[j]) for i, j in sorted(word_links)]
    return np.array(rows, dtype=np.int32).reshape(-1, 4)


class TokenLinks:
    """Linked positions of each pair of a corpus: `links` (M, 2), source and target position, and `offsets` (N + 1)."""

    def __init__(self, links: npt.NDArray[np.uint16], offsets: npt.NDArray[np.int64]) -> None:
        self.links = links
        self.offsets = offsets

    @classmethod
    def of_pairs(cls, pairs: Iterable[Sequence[tuple[int, int]]]) -> Self:
        """Build from the links of each pair, in the order of the corpus. A pair whose links are not known has none."""
        found = [np.array(sorted(links), dtype=np.uint16).reshape(-1, 2) for links in pairs]
        offsets = np.cumsum([0, *map(len, found)], dtype=np.int64)
        return cls(np.concatenate([np.empty((0, 2), dtype=np.uint16), *found]), offsets)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the links of several corpora that follow one another."""
        lengths = np.concatenate([[0], *(np.diff(part.offsets) for part in parts)])
        links = np.concatenate([np.empty((0, 2), dtype=np.uint16), *(part.links for part in parts)])
        return cls(links, np.cumsum(lengths, dtype=np.int64))

    def of(self, indices: npt.NDArray[np.int64]) -> Self:
        """Return the links of some pairs, in the order of `indices`."""
        counts = self.offsets[indices + 1] - self.offsets[indices]
        ends = np.cumsum(counts, dtype=np.int64)
        first = np.repeat(self.offsets[indices] - ends + counts, counts)
        return type(self)(self.links[first + np.arange(len(first))], np.concatenate([np.zeros(1, np.int64), ends]))

    def batch(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the links of a batch of the pairs `indices`: (L, 3), each a row, a target and a source position."""
        found = self.of(indices)
        links = found.links.astype(np.int64)
        return np.stack([np.repeat(np.arange(len(indices)), np.diff(found.offsets)), links[:, 1], links[:, 0]], axis=1)

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, links=self.links, offsets=self.offsets)

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as held:
            return cls(held["links"], held["offsets"])


def token_links(links: SpanLinks, source: Spans, target: Spans) -> list[tuple[int, int]]:
    """Return links between words as links between all their tokens, each pair of tokens once.

    links: as of `span_links`. source, target: the characters of each token, (start, end), in order.
    """

    def within(tokens: Spans, start: int, end: int) -> range:
        """Return the tokens that have a character in start..end, none where that is empty."""
        if start == end:
            return range(0)
        after = bisect_right(tokens, start, key=lambda span: span[1])
        return range(after, bisect_left(tokens, end, key=lambda span: span[0]))

    found = {(s, t) for a, b, c, d in links.tolist() for s in within(source, a, b) for t in within(target, c, d)}
    return sorted(found)
