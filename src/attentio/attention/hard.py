"""Hard normalizers: each query looks at one key. They differ in how they learn.

In use all of them take the key with the highest score, and predict from its value alone. In training they also return
`log_weights`, the logarithm of the distribution that they choose from. Their objectives, in `objective.py`, need it.
"""

from abc import abstractmethod
from typing import Annotated

import torch
from torch import Tensor

from attentio.attention.kind import REGION, About
from attentio.attention.normalize import Normalized, Normalizer, mask_scores, zero_masked
from attentio.attention.tensors import at_least_float32


class HardNormalizer(Normalizer):
    """The base of the hard kinds: a kind defines the weights that it learns from."""

    is_hard = True

    @abstractmethod
    def learn(self, log_weights: Tensor) -> Tensor:
        """Return the weights in training, (B, H, T, S), of the distribution with these logarithms."""

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        log_weights = mask_scores(at_least_float32(scores), mask).log_softmax(-1)
        weights = self.learn(log_weights) if self.training else _one_hot(log_weights)
        return Normalized(zero_masked(weights, mask), log_weights)


class HardReinforce(HardNormalizer):
    about = About(
        name="hard_reinforce",
        chinese="硬注意力（REINFORCE）",
        group=REGION,
        formula="z_i ~ softmax(e_i);  ∇ = E[∇ log p(y|z) + (log p(y|z) - b) ∇ log a(z)]",
        paper="Xu et al. 2015, section 4.1, eqs. 10-12",
        use="The model certainly looked at the chosen key. Several heads and contexts that feed back are allowed.",
        cost="As softmax, but more training steps, because the gradient is noisy.",
        trap="Mind the signs: (cost − baseline), detached, times +log a. If contexts feed back, use rewards to go.",
    )

    objective = "reinforce"

    def learn(self, log_weights: Tensor) -> Tensor:
        return _one_hot(log_weights + gumbel_noise(log_weights))  # the highest sum is a draw from the distribution


class HardMarginal(HardNormalizer):
    about = About(
        name="hard_marginal",
        chinese="硬注意力（精确边缘化）",
        group=REGION,
        formula="-log Σ_j a_ij p(y_i | s_i, v_j)",
        paper="Wu, Shapiro and Cotterell 2018, section 3. Top k: Shankar, Garg and Sarawagi 2018",
        use="Hard attention without sampling, if no context feeds back.",
        cost="The output layer for every key: S times, or k times with `train.marginal_top_k`.",
        trap="The formula is the cost. Predicting takes the best key alone. One head, and no score with a history.",
    )

    objective = "marginal"

    def learn(self, log_weights: Tensor) -> Tensor:
        return log_weights.exp()  # `objective.marginal_nll` sums over all of it


class HardStraightThrough(HardNormalizer):
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

    is_biased = True

    def __init__(self, temperature: Annotated[float, "of the relaxed draw, above 0"] = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature {temperature} must be above 0")
        self.temperature = temperature

    def learn(self, log_weights: Tensor) -> Tensor:
        noisy = log_weights + gumbel_noise(log_weights)
        relaxed = (noisy / self.temperature).softmax(-1)
        return _one_hot(noisy) - relaxed.detach() + relaxed  # the value of the draw, the gradient of the relaxed draw


def gumbel_noise(like: Tensor) -> Tensor:
    """Return independent noise of the standard Gumbel distribution, in the shape of `like`."""
    return -torch.empty_like(like).exponential_().log()


def _one_hot(scores: Tensor) -> Tensor:
    """Return 1 at the highest entry of each row, the first of equals, and 0 elsewhere."""
    keys = torch.arange(scores.size(-1), device=scores.device)
    return (keys == scores.argmax(-1, keepdim=True)).to(scores.dtype)
