"""Subword regularization: in training, some subword tokens are replaced by two smaller ones.

Kudo (2018) samples a new segmentation of every sentence for each epoch, from its text. Here a sentence keeps its
tokens, and each of them is split with a given probability, at one of its likeliest places. So no text is
needed, only the ids of a batch. The aim is the same: rare tokens are learned with the smaller ones they consist of.
"""

from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from attentio.text.tokenizer import SentencePieceTokenizer, Tokenizer

MOST = 4  # places at which one token may be split


class Rows(NamedTuple):
    """Sentences end to end: `tokens` (N,), and the length of each (B,)."""

    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]


class Places(NamedTuple):
    """Where tokens are after the split: `first` (N,), the place in their row, and `split` (N,), whether in two."""

    first: npt.NDArray[np.int64]
    split: npt.NDArray[np.bool_]


class TokenSplits:
    """How the tokens of a vocabulary can be split: `halves` (V, MOST, 2) ids, the first `count` (V,) of them in use."""

    def __init__(self, halves: npt.NDArray[np.int32], count: npt.NDArray[np.int64]) -> None:
        self.halves = halves
        self.count = count

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """Return the splits of a SentencePiece vocabulary, or None for words and characters, which have no parts."""
        if not isinstance(tokenizer, SentencePieceTokenizer):
            return None
        halves = np.zeros((tokenizer.vocab_size, MOST, 2), dtype=np.int32)
        count = np.zeros(tokenizer.vocab_size, dtype=np.int64)
        for token, found in enumerate(tokenizer.halves()):
            count[token] = len(found[:MOST])
            halves[token, : count[token]] = np.array(found[:MOST], dtype=np.int32).reshape(-1, 2)
        return cls(halves, count)

    def __call__(self, rows: Rows, share: float, generator: np.random.Generator) -> tuple[Rows, Places]:
        """Return the rows with a `share` of their divisible tokens split, each at a place drawn among its likeliest."""
        tokens, lengths = rows
        drawn, place = generator.random((2, len(tokens)))
        count = self.count[tokens]
        split = (drawn < share) & (count > 0)
        halves = self.halves[tokens[split], (place * count).astype(np.int64)[split]]  # (M, 2)
        ends = np.cumsum(1 + split)
        starts = ends - 1 - split
        after = np.empty(len(tokens) + len(halves), dtype=tokens.dtype)
        after[starts] = tokens
        after[starts[split]], after[starts[split] + 1] = halves[:, 0], halves[:, 1]
        row = np.repeat(np.arange(len(lengths)), lengths)
        grown = lengths + np.bincount(row[split], minlength=len(lengths))
        return Rows(after, grown), Places(starts - (np.cumsum(grown) - grown)[row], split)


def move_links(
    links: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], places: Places, side: int
) -> npt.NDArray[np.int64]:
    """Return links (L, 3) after the tokens in column `side` were split. A linked token links with both its halves.

    lengths (B,): of the rows before the split.
    """
    token = (np.cumsum(lengths) - lengths)[links[:, 0]] + links[:, side]
    links = links.copy()
    links[:, side] = places.first[token]
    second = links[places.split[token]]
    second[:, side] += 1
    return np.concatenate([links, second])
