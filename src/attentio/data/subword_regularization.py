"""Subword regularisation: in training, subword pieces are now and then read as two smaller ones.

Kudo (2018) samples a segmentation of every sentence anew for each pass, from the text. Here the sentence keeps its own
one, and each piece by itself is taken apart with a given probability, at one of its likeliest places: no text is
needed, only the ids of a batch. As there, rare pieces are learnt together with the smaller ones that they are made of.
"""

from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from attentio.text.tokenizer import SentencePieceTokenizer, Tokenizer

MOST = 4  # places at which one piece may come apart


class Rows(NamedTuple):
    """Sentences end to end: `tokens` (N,), and the length of each (B,)."""

    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]


class Places(NamedTuple):
    """Where the tokens of some rows are after they were split: `first` (N,) in their row, and whether in two (N,)."""

    first: npt.NDArray[np.int64]
    split: npt.NDArray[np.bool_]


class PieceSplits:
    """How the pieces of a vocabulary come apart: `halves` (V, MOST, 2) ids, the first `count` (V,) of them in use."""

    def __init__(self, halves: npt.NDArray[np.int32], count: npt.NDArray[np.int64]) -> None:
        self.halves = halves
        self.count = count

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self | None:
        """The splits of a SentencePiece vocabulary; None for words and characters, which are not made of others."""
        if not isinstance(tokenizer, SentencePieceTokenizer):
            return None
        halves = np.zeros((tokenizer.vocab_size, MOST, 2), dtype=np.int32)
        count = np.zeros(tokenizer.vocab_size, dtype=np.int64)
        for piece, found in enumerate(tokenizer.halves()):
            count[piece] = len(found[:MOST])
            halves[piece, : count[piece]] = np.array(found[:MOST], dtype=np.int32).reshape(-1, 2)
        return cls(halves, count)

    def __call__(self, rows: Rows, share: float, generator: np.random.Generator) -> tuple[Rows, Places]:
        """The rows with a `share` of their divisible tokens in two, each at a place drawn among its likeliest."""
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


def moved(
    links: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], places: Places, side: int
) -> npt.NDArray[np.int64]:
    """Links (L, 3), row and tokens, after those in column `side` were split: a link with one is one with each half.

    lengths (B,): of the rows before.
    """
    token = (np.cumsum(lengths) - lengths)[links[:, 0]] + links[:, side]
    links = links.copy()
    links[:, side] = places.first[token]
    second = links[places.split[token]]
    second[:, side] += 1
    return np.concatenate([links, second])
