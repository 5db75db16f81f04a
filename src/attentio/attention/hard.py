"""Hard normalizers: each query looks at one key. They differ in how they learn. In use all take the highest score.

Besides the weights they return `log_weights`, the logarithm of the distribution that they chose from. Their objectives,
in `objective.py`, need it.
"""

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.attention.kind import REGION, About
from attentio.attention.memory import Memory
from attentio.attention.normalize import Normalized, Normalizer, mask_scores, zero_masked
from attentio.attention.precision import at_least_float32


class HardReinforce(Normalizer):
    """In training, a key drawn from softmax(e), which learns by REINFORCE (Xu 2015, section 4.1)."""

    about = About(
        name="hard_reinforce",
        chinese="硬注意力（REINFORCE）",
        group=REGION,
        formula="z_i ~ softmax(e_i);  ∇ = E[∇ log p(y|z) + (log p(y|z) - b) ∇ log a(z)]",
        paper="Xu et al. 2015, section 4.1, eqs. 10-12",
        use="One key is chosen, so the model certainly looked at it. Several heads and contexts that feed back "
        "are allowed.",
        cost="As softmax, but more training steps, because the gradient is noisy.",
        trap="Mind the signs: (cost − baseline), detached, times +log a. If contexts feed back, use rewards to go.",
    )

    is_hard = True
    objective = "reinforce"

    def start(self, memory: Memory) -> None:
        return None

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        log_weights = mask_scores(at_least_float32(scores), mask).log_softmax(-1)
        best = log_weights
        if self.training:
            best = best + gumbel_noise(best)  # the highest sum is a draw from the distribution
        return Normalized(zero_masked(_one_hot(best), mask), log_weights)


class HardMarginal(Normalizer):
    """In training, the distribution, over which `objective.marginal_nll` sums exactly (Wu 2018, section 3)."""

    about = About(
        name="hard_marginal",
        chinese="硬注意力（精确边缘化）",
        group=REGION,
        formula="-log Σ_j a_ij p(y_i | s_i, v_j)",
        paper="Wu, Shapiro and Cotterell 2018, section 3. Top k: Shankar, Garg and Sarawagi 2018",
        use="Hard attention without sampling, if no context feeds back.",
        cost="The output layer for every key: S times, or k times with `train.marginal_top_k`.",
        trap="Training sums over all keys. Translation looks at the best key only. One head, and no score with a "
        "history.",
    )

    is_hard = True
    objective = "marginal"

    def start(self, memory: Memory) -> None:
        return None

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        log_weights = mask_scores(at_least_float32(scores), mask).log_softmax(-1)
        weights = log_weights.exp() if self.training else _one_hot(log_weights)
        return Normalized(zero_masked(weights, mask), log_weights)


class HardStraightThrough(Normalizer):
    """In training, a key drawn from softmax(e), with the gradient of the relaxed draw softmax((e + g) / temperature).

    Straight-through Gumbel-softmax (Jang 2017, section 2.2, Maddison 2017). It is biased, but needs no own objective.
    """

    about = About(
        name="hard_straight_through",
        chinese="硬注意力（直通 Gumbel）",
        group=REGION,
        formula="forward onehot(argmax(e + g)), backward softmax((e + g) / temperature), g Gumbel",
        paper="Jang, Gu and Poole 2017, section 2.2. Maddison, Mnih and Teh 2017",
        use="Hard attention with an unchanged loss.",
        cost="As softmax.",
        trap="The gradient is biased by design. Noise is added in training only.",
    )

    is_hard = True
    is_biased = True

    def __init__(self, temperature: Annotated[float, "of the relaxed draw, above 0"] = 1.0) -> None:
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
        noisy = log_weights + gumbel_noise(log_weights)
        relaxed = (noisy / self.temperature).softmax(-1)
        chosen = _one_hot(noisy) - relaxed.detach() + relaxed  # the value of the draw, the gradient of the relaxed draw
        return Normalized(zero_masked(chosen, mask), log_weights)


def gumbel_noise(like: Tensor) -> Tensor:
    """Return independent noise of the standard Gumbel distribution, in the shape of `like`."""
    return -torch.empty_like(like).exponential_().log()


def _one_hot(scores: Tensor) -> Tensor:
    """Return 1 at the highest entry of each row, the first of equals, and 0 elsewhere."""
    return F.one_hot(scores.argmax(-1), scores.size(-1)).to(scores.dtype)
