"""Known word links of training pairs, as links between the pieces a model reads and writes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

Spans = Sequence[tuple[int, int]]


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


def token_links(
    word_links: Iterable[tuple[int, int]], source_words: Spans, target_words: Spans, source: Spans, target: Spans
) -> list[tuple[int, int]]:
    """Links between words as links between all their pieces; every argument but the first is spans of characters."""
    source_pieces = [_pieces(word, source) for word in source_words]
    target_pieces = [_pieces(word, target) for word in target_words]
    return [(s, t) for i, j in word_links for s in source_pieces[i] for t in target_pieces[j]]


def _pieces(word: tuple[int, int], pieces: Spans) -> list[int]:
    return [n for n, (start, end) in enumerate(pieces) if start < word[1] and end > word[0]]
