"""Normalizers: from scores to weights. Each gives weights >= 0 that are exactly 0 where the mask forbids; and for a row
that may attend nowhere, zero weights and finite gradients.

They work in float32 (float64 stays float64), whatever the scores came in.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attentio.attention.memory import Memory


class Normalized(NamedTuple):
    """weights (B, H, T, S); what an objective needs of the distribution they came from; what the next step needs."""

    weights: Tensor
    log_weights: Tensor | None = None
    past: Tensor | None = None


class Normalizer(nn.Module, ABC):
    """Turns scores into weights."""

    @abstractmethod
    def start(self, memory: Memory) -> Tensor | None:
        """What is remembered before the first query; None for a kind that has no past."""

    @abstractmethod
    def forward(self, scores: Tensor, mask: Tensor | None, past: Tensor | None = None) -> Normalized:
        """scores (B, H, T, S), mask (broadcastable, True = may attend, None = everywhere) -> weights (B, H, T, S)."""


class RowNormalizer(Normalizer):
    """A normalizer that treats each row of scores for itself and needs nothing but the scores and the mask."""

    @abstractmethod
    def weigh(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """scores (..., S), mask -> weights (..., S)."""

    def start(self, memory: Memory) -> None:
        return None

    def forward(self, scores: Tensor, mask: Tensor | None, past: Tensor | None = None) -> Normalized:
        return Normalized(self.weigh(at_least_float32(scores), mask))


class Softmax(RowNormalizer):
    """a_j = exp(e_j) / sum_k exp(e_k) (Bahdanau 2015, eq. 6)."""

    def weigh(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return scores.softmax(-1)
        # The lowest finite number, not -inf: a row that is masked throughout stays finite, and is zeroed afterwards.
        weights = torch.where(mask, scores, torch.finfo(scores.dtype).min).softmax(-1)
        return torch.where(mask, weights, 0.0)


def at_least_float32(scores: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay as they are."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


NORMALIZERS: dict[str, Callable[[], Normalizer]] = {
    "softmax": Softmax,
}
