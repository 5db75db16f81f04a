"""Known word links of training pairs, from a file or the small world to links between tokens.

- `link_files` and `linked_reader` read the links of a part beside its pairs.
- Cleaning moves the words of a text, and `follow` finds them again.
- A `CleanStore` keeps the links of all pairs beside their cleaned text until the tokens are known.
- `token_links` links the tokens of linked words, and `TokenLinks` is what training reads.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from attentio.data.alignments import LinkFile, check_line_counts
from attentio.data.heldout import LinkedPair
from attentio.data.readers import reader_of
from attentio.data.readers.built_in import known_links, knows_links
from attentio.data.readers.lines import File, existing, read_lines
from attentio.data.readers.rows import Origin
from attentio.data.settings import DataConfig
from attentio.data.source import Chunk
from attentio.data.store import NO_LINKS, SpanLinks
from attentio.errors import UsageError
from attentio.text.clean import Cleaner
from attentio.text.words import place_words

Linked: TypeAlias = Callable[[Chunk], list[LinkedPair]]
Spans: TypeAlias = Sequence[tuple[int, int]]


def link_files(origins: Sequence[Origin], config: DataConfig) -> list[Path | None]:
    """Return the file of links of each part. Built-in corpora have none. Raise where numbers or formats do not fit."""
    if not config.links:
        return [None] * len(origins)
    files = [origin.path for origin in origins if origin.path is not None]
    if len(files) != len(config.links):
        raise UsageError(
            f"{len(files)} parallel and {len(config.links)} links files: each parallel file needs one of its own.",
            hint="Give them in the same order.",
        )
    for origin in origins:
        if origin.path is not None and not reader_of(origin).by_line:
            raise UsageError(
                f"{origin.path}: word links go line by line, and a file of this format has no line for each pair.",
                hint="Convert it to TSV.",
            )
    named = map(existing, config.links)
    return [next(named) if origin.path is not None else None for origin in origins]


def linked_reader(origin: Origin, links: Path | None, config: DataConfig) -> Linked | None:
    """Return a function that gives words and links of a part, chunk after chunk, or None where no links are known.

    Raises DataError, with file and line, where a file of links does not fit its text or holds what is no link.
    """
    if links is not None:
        return _of_file(cast(File, origin.path), links, config)
    if knows_links(origin):
        count = config.small_world_pairs
        return lambda chunk: known_links(chunk.lines.tolist(), chunk.sources, chunk.targets, count)
    return None


def follow(
    pairs: Sequence[LinkedPair], texts: tuple[Sequence[str], Sequence[str]], cleaners: tuple[Cleaner, Cleaner]
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


def _of_file(text: File, links: Path, config: DataConfig) -> Linked:
    counts = (sum(1 for _ in read_lines(path, encoding)) for path, encoding in ((links, None), (text, config.encoding)))
    check_line_counts(links, next(counts), str(text), next(counts))
    file = LinkFile(links, config.links_index)

    def read(chunk: Chunk) -> list[LinkedPair]:
        # A link joins a word of the first column to one of the second, whichever of them is the source.
        columns = (chunk.targets, chunk.sources) if config.swap else (chunk.sources, chunk.targets)
        first, second = ([tuple(line.split()) for line in column] for column in columns)
        lengths = [(len(left), len(right)) for left, right in zip(first, second, strict=True)]
        pairs = map(LinkedPair, first, second, file.take(chunk.lines.tolist(), lengths))
        return [pair.swapped() if config.swap else pair for pair in pairs]

    return read


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
        lengths = np.concatenate([np.empty(0, dtype=np.int64), *(np.diff(part.offsets) for part in parts)])
        links = np.concatenate([np.empty((0, 2), dtype=np.uint16), *(part.links for part in parts)])
        return cls(links, np.concatenate(([0], np.cumsum(lengths))))

    def batch(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the links of a batch of the pairs `indices`: (L, 3), each a row, a target and a source position."""
        starts, ends = self.offsets[indices], self.offsets[indices + 1]
        rows = np.repeat(np.arange(len(indices)), ends - starts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(ends - starts) - (ends - starts), ends - starts)
        links = self.links[np.repeat(starts, ends - starts) + within].astype(np.int64)
        return np.stack([rows, links[:, 1], links[:, 0]], axis=1)

    def save(self, path: Path) -> None:
        """Write one .npz file."""
        with path.open("wb") as file:
            np.savez(file, links=self.links, offsets=self.offsets)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            return cls(held["links"], held["offsets"])


def token_links(links: SpanLinks, source: Spans, target: Spans) -> list[tuple[int, int]]:
    """Return links between words as links between all their tokens, each pair of tokens once.

    links: as of `span_links`. source, target: the characters of each token, (start, end), in order.
    """
    reads, writes = _Tokens(source), _Tokens(target)
    found = {(s, t) for a, b, c, d in links.tolist() for s in reads.within(a, b) for t in writes.within(c, d)}
    return sorted(found)


class _Tokens:
    """The tokens of a text, to be found by characters."""

    def __init__(self, spans: Spans) -> None:
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def within(self, start: int, end: int) -> range:
        """Return the tokens that have a character in start..end, none where that is empty."""
        if start == end:
            return range(0)
        return range(bisect_right(self._ends, start), bisect_left(self._starts, end))
