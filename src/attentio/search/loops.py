"""Loops: a search that writes the same again and again is stopped where it does, not at the limit of length."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attentio.runtime.arrays import Array, Arrays, arrays_of
from attentio.search.constraint import Constraint

LONGEST = 16  # tokens of a loop that is noticed
_WRITTEN = 3  # times in a row that one token, or a run of two or three, may be written: "very very very"
_LONGER = 2  # times that a longer run may be
_WITHOUT_LETTERS = 8  # times that a token without letters may be: zeros of a number, points


class LoopState(NamedTuple):
    """recent: (R, L) the last tokens, newest first. same: (R, L) how many tokens in a row equal those 1 … L before."""

    recent: Array
    same: Array


class NoLoops(Constraint):
    """No run of up to 16 tokens is written over and over.

    names: the tokens of the vocabulary. Those without letters may be repeated more often.
    """

    stops_loops_only = True

    def __init__(self, names: Sequence[str]) -> None:
        lengths = np.arange(1, LONGEST + 1)
        times = np.where(lengths <= _WRITTEN, _WRITTEN, _LONGER)
        self._most = lengths * times - 1  # (L,) equal tokens before the one that completes one time too many
        self._most[0] = 0  # single tokens have limits of their own
        self._alone = np.array(
            [_WRITTEN if any(map(str.isalpha, name)) else _WITHOUT_LETTERS for name in names]
        )  # (V,)

    def start(self, rows: int, arrays: Arrays) -> LoopState:
        return LoopState(arrays.full((rows, LONGEST), -1), arrays.full((rows, LONGEST), 0))

    def advance(self, state: LoopState, rows: Array, tokens: Array) -> LoopState:
        xp, recent, tokens = arrays_of(tokens), state.recent[rows], tokens[:, None]
        same = xp.where(recent == tokens, state.same[rows] + 1, 0)
        return LoopState(xp.concat([tokens, recent[:, :-1]], axis=1), same)

    def banned(self, state: LoopState, left: Array) -> Array | None:
        """Return (R, V), True for the token that would write a run once too often. None where there is no such row."""
        xp = arrays_of(state.same)
        most = xp.of(self._most) + xp.full(state.same.shape, 0)
        most[:, 0] = xp.of(self._alone)[state.recent[:, 0]] - 1  # nothing written: `same` is 0
        looping = state.same >= most.clip(min=1)
        # A run of one token again and again is judged as that token.
        looping[:, 1:] &= state.same[:, :1] < xp.arange(LONGEST)[1:]
        if not looping.any():
            return None
        banned = xp.full((len(looping), len(self._alone)), False)
        row, place = xp.nonzero(looping)
        banned[row, state.recent[row, place]] = True
        return banned
