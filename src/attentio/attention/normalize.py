"""Normalizers: from scores to weights.

Weights are at least 0, and exactly 0 where the mask forbids. A row that may attend nowhere gets zero weights and finite
gradients. Here are the base classes, softmax, and the two steps that apply a mask. Other kinds have
their own files: few weights above 0 (`sparse.py`), one key (`hard.py`), moving along the source (`monotonic.py`).
"""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from attentio.attention.kind import REGION, About, Kind
from attentio.attention.memory import Memory
from attentio.attention.tensors import at_least_float32

Objective = Literal["cross_entropy", "reinforce", "marginal"]


class Normalized(NamedTuple):
    """Weights (B, H, T, S), the log of the distribution a hard kind chose from, and what the next step needs."""

    weights: Tensor
    log_weights: Tensor | None = None
    history: Tensor | None = None


class Normalizer(Kind):
    """Turn scores into weights. Constructor: (*, options).

    is_hard: a weight is the choice of one key.
    is_monotonic: it moves along the source and never back.
    is_biased: in training its gradient differs from that of its weights on purpose.
    num_scores: the number of scores of each pair that it needs.
    objective: what training minimizes, see `attentio.train.objective`.
    """

    is_hard: ClassVar[bool] = False
    is_monotonic: ClassVar[bool] = False
    is_biased: ClassVar[bool] = False
    num_scores: ClassVar[int] = 1
    objective: ClassVar[Objective] = "cross_entropy"

    def start(self, memory: Memory) -> Tensor | None:
        """Return the history before the first query, (B, ...), or None for a kind without a history."""
        return None

    @abstractmethod
    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        """Return the weights of scores (B, H, T, S). mask: broadcastable, True = may attend, None = everywhere."""


class RowNormalizer(Normalizer):
    """A normalizer that treats each row by itself and needs only the scores and the mask."""

    @abstractmethod
    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """Return the weights (..., S) of scores (..., S), which are in float32 or float64."""

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        return Normalized(self.normalize_rows(at_least_float32(scores), mask))


class Softmax(RowNormalizer):
    about = About(
        name="softmax",
        chinese="软注意力",
        group=REGION,
        formula="a_ij = exp(e_ij) / Σ_k exp(e_ik)",
        paper="Bahdanau, Cho and Bengio 2015, eq. 6",
        use="The first choice.",
        cost="B H T S exponentials.",
        trap="Normalize once, over the keys. Over an axis of size 1 every weight is 1.",
    )

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return zero_masked(mask_scores(scores, mask).softmax(-1), mask)


def mask_scores(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return scores that are the lowest finite number where forbidden. Not -inf, so that an empty row stays finite."""
    return scores if mask is None else torch.where(mask, scores, torch.finfo(scores.dtype).min)


def zero_masked(weights: Tensor, mask: Tensor | None) -> Tensor:
    """Return weights that are exactly 0 where forbidden. An empty row is all zeros."""
    return weights if mask is None else torch.where(mask, weights, 0.0)
