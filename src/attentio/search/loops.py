"""Loops: a search that writes the same again and again is stopped where it does, not at the limit of length."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attentio.search.constraint import Constraint

LONGEST = 16  # tokens of a loop that is noticed
_WRITTEN = 3  # times in a row that one token, or a run of two or three, may be written: "very very very"
_LONGER = 2  # times that a longer run may be
_WITHOUT_LETTERS = 8  # times that a token without letters may be: zeros of a number, points


class LoopState(NamedTuple):
    """recent: (R, L) the last tokens, newest first. same: (R, L) how many tokens in a row equal those 1 … L before."""

    recent: Tensor
    same: Tensor


class NoLoops(Constraint):
    """No run of up to 16 tokens is written over and over.

    names: the tokens of the vocabulary. Those without letters may be repeated more often.
    """

    def __init__(self, names: Sequence[str]) -> None:
        lengths = torch.arange(1, LONGEST + 1)
        times = torch.where(lengths <= _WRITTEN, _WRITTEN, _LONGER)
        self._most = lengths * times - 1  # (L,) equal tokens before the one that completes one time too many
        self._most[0] = 0  # single tokens have limits of their own
        self._alone = torch.tensor(
            [_WRITTEN if any(map(str.isalpha, name)) else _WITHOUT_LETTERS for name in names]
        )  # (V,)

    def start(self, rows: int, device: torch.device) -> LoopState:
        """Return the state in which nothing is written."""
        nothing = torch.full((rows, LONGEST), -1, device=device)
        return LoopState(nothing, torch.zeros_like(nothing))

    def advance(self, state: LoopState, rows: Tensor, tokens: Tensor) -> LoopState:
        """Return how the last tokens repeat after `tokens`."""
        recent, tokens = state.recent[rows], tokens[:, None]
        same = torch.where(recent == tokens, state.same[rows] + 1, 0)
        return LoopState(torch.cat([tokens, recent[:, :-1]], dim=1), same)

    def banned(self, state: LoopState, left: Tensor) -> Tensor | None:
        """Return (R, V), True for the token that would write a run once too often. None where there is no such row."""
        most = self._most.to(state.same.device).expand_as(state.same).clone()
        most[:, 0] = self._alone.to(most.device)[state.recent[:, 0]] - 1  # nothing written: `same` is 0
        looping = state.same >= most.clamp(min=1)
        # A run of one token again and again is judged as that token.
        looping[:, 1:] &= state.same[:, :1] < torch.arange(1, LONGEST, device=most.device)
        if not looping.any():
            return None
        banned = torch.zeros(len(looping), len(self._alone), dtype=torch.bool, device=looping.device)
        row, place = looping.nonzero().unbind(1)
        banned[row, state.recent[row, place]] = True
        return banned
