"""Normalizers: from scores to weights. Each gives weights >= 0 that are exactly 0 where the mask forbids; and for a row
that may attend nowhere, zero weights and finite gradients.

Here are what a normalizer is, softmax, and the two steps by which all keep to the mask. Those that give few keys all
the weight are in `sparse.py`, those that choose one key in `hard.py`, those that walk in `monotonic.py`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from attentio.attention.memory import Memory
from attentio.attention.precision import at_least_float32


class Normalized(NamedTuple):
    """weights (B, H, T, S); what an objective needs of the distribution they came from; what the next step needs."""

    weights: Tensor
    log_weights: Tensor | None = None
    history: Tensor | None = None


class Normalizer(nn.Module, ABC):
    """Turns scores into weights.

    `chooses` says that a weight is the choice of one key; `marginal` that the objective sums over all choices;
    `walks` that it moves along the source and never back; `biased` that in training its gradient is on purpose not that
    of its weights; `num_scores` how many scores it needs of each pair.
    """

    is_hard: ClassVar[bool] = False
    marginal: ClassVar[bool] = False
    is_monotonic: ClassVar[bool] = False
    is_biased: ClassVar[bool] = False
    num_scores: ClassVar[int] = 1

    @abstractmethod
    def start(self, memory: Memory) -> Tensor | None:
        """What is remembered before the first query, (B, ...); None for a kind that has no history."""

    @abstractmethod
    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        """scores (B, H, T, S), mask (broadcastable, True = may attend, None = everywhere) -> weights (B, H, T, S)."""


class RowNormalizer(Normalizer):
    """A normalizer that treats each row of scores for itself and needs nothing but the scores and the mask."""

    @abstractmethod
    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """scores (..., S) in float32 or float64, mask -> weights (..., S)."""

    def start(self, memory: Memory) -> None:
        return None

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        return Normalized(self.normalize_rows(at_least_float32(scores), mask))


class Softmax(RowNormalizer):
    """a_j = exp(e_j) / sum_k exp(e_k) (Bahdanau 2015, eq. 6)."""

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return zero_masked(mask_scores(scores, mask).softmax(-1), mask)


def mask_scores(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Forbidden scores become the lowest finite number: not -inf, so that an empty row stays finite until `blank`."""
    return scores if mask is None else torch.where(mask, scores, torch.finfo(scores.dtype).min)


def zero_masked(weights: Tensor, mask: Tensor | None) -> Tensor:
    """Forbidden weights become exactly 0, which leaves an empty row all zeros."""
    return weights if mask is None else torch.where(mask, weights, 0.0)
