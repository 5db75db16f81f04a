"""Pasts: what a score remembers of the weights it led to, as a term added to the keys, inside the score's tanh.

The remembered tensor travels in `AttentionState`; the modules here only say how it starts, how it enters the score and
how it is brought up to date. Nothing here touches the values.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from attentio.attention.heads import HeadLinear
from attentio.attention.memory import Memory
from attentio.attention.precision import at_least_float32


class AlignmentHistory(nn.Module, ABC):
    """A memory of earlier weights, (B, H, S) in every kind; zero before anything was attended to."""

    def start(self, memory: Memory) -> Tensor:
        """(B, H, S) zeros, in at least float32, in which the sums are kept."""
        return at_least_float32(memory.values.new_zeros(memory.values.shape[:3]))

    @abstractmethod
    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        """prepared keys (B, H, S, _), history (B, H, S) in their precision -> keys (B, H, S, D) with the term added."""

    @abstractmethod
    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        """prepared keys, history (B, H, S), weights (B, H, S) of the query just answered -> history (B, H, S)."""


class CoverageHistory(AlignmentHistory):
    """c = sum of all earlier weights, entering as w_c c (See 2017, eqs. 10-11)."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.term = HeadLinear(1, hidden_size, num_heads)

    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        return keys + self.term(history.unsqueeze(-1))

    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        return history + weights


class FertilityHistory(AlignmentHistory):
    """C_j = sum of earlier weights / Phi_j, entering as V C (Tu 2016, the "linguistic" coverage with fertility).

    Phi_j = N sigmoid(U h_j), the number of words that key j may yield, is the last entry of the prepared key.
    """

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.term = HeadLinear(1, hidden_size, num_heads)

    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        return keys[..., :-1] + self.term(history.unsqueeze(-1))

    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        return history + weights / keys[..., -1]


class ConvolvedHistory(AlignmentHistory):
    """f = F * (weights of the query before), entering as U f (Chorowski 2015, eqs. 8-9)."""

    def __init__(self, hidden_size: int, num_heads: int, *, width: int, channels: int) -> None:
        super().__init__()
        if width % 2 == 0:
            raise ValueError(f"width {width} of the filters must be odd, so that each is centred on a key")
        bound = 1 / math.sqrt(width)
        self.filters = nn.Parameter(torch.empty(num_heads * channels, 1, width).uniform_(-bound, bound))
        self.term = HeadLinear(channels, hidden_size, num_heads)

    def forward(self, keys: Tensor, history: Tensor) -> Tensor:
        batch, heads, num_keys = history.shape
        width = self.filters.size(-1)
        features = nn.functional.conv1d(history, self.filters, padding=width // 2, groups=heads)  # (B, H*C, S)
        return keys + self.term(features.view(batch, heads, -1, num_keys).mT)

    def remember(self, keys: Tensor, history: Tensor, weights: Tensor) -> Tensor:
        return weights
