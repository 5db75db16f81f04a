"""Hard normalizers: each query looks at one key. They differ in how they learn; in use all look at the highest score.

What their objectives need besides the weights is the logarithm of the distribution they chose from, `log_weights`; the
objectives themselves are in `objective.py`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.attention.memory import Memory
from attentio.attention.normalize import Normalized, Normalizer, mask_scores, zero_masked
from attentio.attention.precision import at_least_float32


class HardReinforce(Normalizer):
    """In training a key drawn from softmax(e), to be learnt from by REINFORCE (Xu 2015, section 4.1)."""

    is_hard = True

    def start(self, memory: Memory) -> None:
        return None

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        log_weights = mask_scores(at_least_float32(scores), mask).log_softmax(-1)
        best = log_weights
        if self.training:
            best = best + _gumbel(best)  # the highest of the sums is a draw from the distribution
        return Normalized(zero_masked(_one_hot(best), mask), log_weights)


class HardMarginal(Normalizer):
    """In training the distribution itself, over which `objective.marginal_nll` sums exactly (Wu 2018, section 3)."""

    is_hard = True
    marginal = True

    def start(self, memory: Memory) -> None:
        return None

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        log_weights = mask_scores(at_least_float32(scores), mask).log_softmax(-1)
        weights = log_weights.exp() if self.training else _one_hot(log_weights)
        return Normalized(zero_masked(weights, mask), log_weights)


class HardStraightThrough(Normalizer):
    """In training a key drawn from softmax(e), with the gradient of the relaxed draw, softmax((e + g) / temperature).

    Straight-through Gumbel-softmax (Jang 2017, section 2.2; Maddison 2017): biased, but needs no objective of its own.
    """

    is_hard = True
    is_biased = True

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature {temperature} must be above 0")
        self.temperature = temperature

    def start(self, memory: Memory) -> None:
        return None

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        log_weights = mask_scores(at_least_float32(scores), mask).log_softmax(-1)
        if not self.training:
            return Normalized(zero_masked(_one_hot(log_weights), mask), log_weights)
        noisy = log_weights + _gumbel(log_weights)
        relaxed = (noisy / self.temperature).softmax(-1)
        chosen = _one_hot(noisy) - relaxed.detach() + relaxed  # the value of one, the gradient of the other
        return Normalized(zero_masked(chosen, mask), log_weights)


def _gumbel(like: Tensor) -> Tensor:
    return -torch.empty_like(like).exponential_().log()


def _one_hot(scores: Tensor) -> Tensor:
    """1 at the highest of each row, at the first of equals, and 0 elsewhere."""
    return F.one_hot(scores.argmax(-1), scores.size(-1)).to(scores.dtype)
