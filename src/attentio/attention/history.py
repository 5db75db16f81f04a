"""Histories: what a score remembers of earlier weights, as a term added to the keys inside the tanh of the score.

The remembered tensor travels in `AttentionState`. The modules here define how it starts, how it enters the score and
how it is updated. Nothing here touches the values.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from attentio.attention.kind import at_least
from attentio.attention.memory import Memory
from attentio.attention.tensors import HeadLinear, at_least_float32, uniform


class AlignmentHistory(nn.Module, ABC):
    """A memory of earlier weights, (B, H, S) in every kind, and zero before the first query."""

    def start(self, memory: Memory) -> Tensor:
        """Return zeros (B, H, S) in at least float32, the precision of the sums."""
        return at_least_float32(memory.values.new_zeros(memory.values.shape[:3]))

    @abstractmethod
    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        """Return keys (B, H, S, D) with the term of the history (B, H, S) added to the prepared keys (B, H, S, _)."""

    @abstractmethod
    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        """Return the history (B, H, S) after a query with these weights (B, H, S)."""


class CoverageHistory(AlignmentHistory):
    """c = sum of all earlier weights, with the term w_c c (See 2017, eqs. 10-11)."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.term = HeadLinear(1, hidden_size, num_heads)

    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        return keys + self.term(history.unsqueeze(-1))

    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        return history + weights


class FertilityHistory(CoverageHistory):
    """C_j = sum of earlier weights / Phi_j, with the term V C (Tu 2016, the "linguistic" coverage with fertility).

    Phi_j = N sigmoid(U h_j) is the number of words that key j may yield. It is the last entry of the prepared key.
    """

    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        return super().forward(keys[..., :-1], history)

    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        fertility = at_least_float32(keys[..., -1]).clamp(min=1e-4)  # in float16 it may be 0
        return super().remember(keys, history, weights / fertility)


class ConvolvedHistory(AlignmentHistory):
    """f = F * (weights of the query before), with the term U f (Chorowski 2015, eqs. 8-9)."""

    def __init__(self, hidden_size: int, num_heads: int, *, width: int, channels: int) -> None:
        super().__init__()
        if at_least(1, width=width) % 2 == 0:
            raise ValueError(f"width {width} of the filters must be odd, so that each has a key in its center")
        self.filters = uniform(num_heads * at_least(1, channels=channels), 1, width, fan_in=width)
        self.term = HeadLinear(channels, hidden_size, num_heads)

    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        padding, heads = self.filters.size(-1) // 2, history.size(1)
        features = nn.functional.conv1d(history, self.filters, padding=padding, groups=heads)  # (B, H*C, S)
        return keys + self.term(features.unflatten(1, (heads, -1)).mT)

    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        return weights
