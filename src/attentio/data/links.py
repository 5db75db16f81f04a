"""Known word links of training pairs on their way to links between the pieces a model reads and writes.

Links come with the words of the text as it was given. Cleaning moves those words, so `place_words` finds them again;
`LinkStore` keeps the links of all pairs beside their cleaned text until the pieces are known; `token_links` joins the
pieces of linked words, and `TokenLinks` is what training reads.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice, pairwise
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from attentio.errors import ResourceError
from attentio.text.clean import Cleaner

Spans = Sequence[tuple[int, int]]
SpanLinks = npt.NDArray[np.int32]  # (L, 4): start and end of a source word, start and end of the target word it links


def place_words(words: Sequence[Sequence[str]], texts: Sequence[str], cleaner: Cleaner) -> list[Spans | None]:
    """Where the words of each line stand in its cleaned text, as (start, end) characters.

    `words` are all the words of each line before it was cleaned to the text. Cleaning moves spaces and takes characters
    away, but changes no order: words are found by counting the characters that are no space. None where the counts
    of words and text do not agree.
    """
    flat = cleaner.lines(list(chain.from_iterable(words)))
    counts = (len(word) - word.count(" ") for word in flat)
    return [_counted_spans(list(islice(counts, len(line))), text) for line, text in zip(words, texts, strict=True)]


def _counted_spans(counts: list[int], text: str) -> Spans | None:
    places = [i for i, character in enumerate(text) if character != " "]
    if sum(counts) != len(places):
        return None
    places.append(len(text))
    # A word of which nothing is left stands, empty, before the next one.
    return [
        (places[start], places[end - 1] + 1 if end > start else places[start])
        for start, end in pairwise(accumulate(counts, initial=0))
    ]


def span_links(word_links: Iterable[tuple[int, int]], source_words: Spans, target_words: Spans) -> SpanLinks:
    """Links between words as links between characters: a row for each, sorted."""
    rows = [(*source_words[i], *target_words[j]) for i, j in sorted(word_links)]
    return np.array(rows, dtype=np.int32).reshape(-1, 4)


class LinkStore:
    """Links of cleaned pairs on disk, (L, 4) for each pair, in the chunks they were added in; deleted when closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._chunks = 0

    def add(self, pairs: Sequence[SpanLinks]) -> None:
        """Append a chunk; an empty one is left out, as `CleanStore` does."""
        if not pairs:
            return
        counts = np.fromiter(map(len, pairs), dtype=np.int64, count=len(pairs))
        try:
            for array in (counts, np.concatenate(pairs)):
                np.save(self._file, array, allow_pickle=False)
        except OSError as error:
            raise ResourceError(f"cannot write {self._path}: {error.strerror or error}.") from None
        self._chunks += 1

    def chunks(self) -> Iterator[list[SpanLinks]]:
        """The links of each pair, chunk by chunk."""
        self._file.seek(0)
        for _ in range(self._chunks):
            counts, links = (np.load(self._file, allow_pickle=False) for _ in range(2))
            yield np.split(links, np.cumsum(counts)[:-1])

    def close(self) -> None:
        """Close and delete the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class TokenLinks:
    """Linked positions of each pair of a corpus: `links` (M, 2), source and target position, and `offsets` (N + 1)."""

    def __init__(self, links: npt.NDArray[np.uint16], offsets: npt.NDArray[np.int64]) -> None:
        self.links = links
        self.offsets = offsets

    @classmethod
    def of_pairs(cls, pairs: Iterable[Sequence[tuple[int, int]]]) -> Self:
        """From the links of each pair, in the order of the corpus; a pair whose links are not known has none."""
        found = [np.array(sorted(links), dtype=np.uint16).reshape(-1, 2) for links in pairs]
        offsets = np.cumsum([0, *map(len, found)], dtype=np.int64)
        return cls(np.concatenate([np.empty((0, 2), dtype=np.uint16), *found]), offsets)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The links of several corpora that follow one another."""
        lengths = np.concatenate([np.empty(0, dtype=np.int64), *(np.diff(part.offsets) for part in parts)])
        links = np.concatenate([np.empty((0, 2), dtype=np.uint16), *(part.links for part in parts)])
        return cls(links, np.concatenate(([0], np.cumsum(lengths))))

    def batch(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The links of a batch made of the pairs `indices`: (L, 3), each a row, a target and a source position."""
        starts, ends = self.offsets[indices], self.offsets[indices + 1]
        rows = np.repeat(np.arange(len(indices)), ends - starts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(ends - starts) - (ends - starts), ends - starts)
        links = self.links[np.repeat(starts, ends - starts) + within].astype(np.int64)
        return np.stack([rows, links[:, 1], links[:, 0]], axis=1)

    def save(self, path: Path) -> None:
        """Writes one .npz file."""
        with path.open("wb") as file:
            np.savez(file, links=self.links, offsets=self.offsets)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            return cls(held["links"], held["offsets"])


def token_links(links: SpanLinks, source: Spans, target: Spans) -> list[tuple[int, int]]:
    """Links between words as links between all their pieces, each pair of pieces once.

    links: as of `span_links`. source, target: the characters of each piece, (start, end), in order.
    """
    reads, writes = _Pieces(source), _Pieces(target)
    found = {(s, t) for a, b, c, d in links.tolist() for s in reads.within(a, b) for t in writes.within(c, d)}
    return sorted(found)


class _Pieces:
    """The pieces of a text, to be found by characters."""

    def __init__(self, spans: Spans) -> None:
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def within(self, start: int, end: int) -> range:
        """The pieces that have a character in start..end; none where that is empty."""
        if start == end:
            return range(0)
        return range(bisect_right(self._ends, start), bisect_left(self._starts, end))
