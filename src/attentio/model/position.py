"""Positions: how a model without recurrence is told where a token stands."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Positions(nn.Module, ABC):
    """Vectors that are added to the embeddings of tokens."""

    @abstractmethod
    def forward(self, start: int, length: int) -> Tensor:
        """The vectors of positions start, start + 1, ...: (length, H)."""


class Sinusoidal(Positions):
    """Sines and cosines of geometrically growing wavelengths (Vaswani 2017, section 3.5); known for any position."""

    table: Tensor

    def __init__(self, size: int, max_positions: int = 512) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("table", _sinusoids(max_positions, size), persistent=False)

    def forward(self, start: int, length: int) -> Tensor:
        """The vectors of positions start, start + 1, ...: (length, H)."""
        if start + length > len(self.table):
            self.table = _sinusoids(2 * (start + length), self.size).to(self.table)
        return self.table[start : start + length]


class Learned(Positions):
    """A vector learnt for each position (Gehring 2017, section 3.1); positions beyond the last one share its vector."""

    def __init__(self, size: int, max_positions: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_positions, size) * 0.1)

    def forward(self, start: int, length: int) -> Tensor:
        """The vectors of positions start, start + 1, ...: (length, H)."""
        if start + length <= len(self.table):
            return self.table[start : start + length]
        places = torch.arange(start, start + length, device=self.table.device)
        return self.table[places.clamp(max=len(self.table) - 1)]


POSITIONS: dict[str, Callable[[int, int], Positions]] = {"sinusoidal": Sinusoidal, "learned": Learned}


class Rotary(nn.Module):
    """Turns each pair of numbers of a query or key by an angle that grows with its position (Su 2021, section 3.2.2).

    The product of a query and a key then depends on their distance alone. A pair is (i, i + D/2) of a head of size D.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads

    def forward(self, vectors: Tensor, start: int) -> Tensor:
        """vectors (B, T, heads * D), the first at position `start` -> the same shape."""
        heads = vectors.unflatten(-1, (self.num_heads, -1))  # (B, T, heads, D)
        cosine, sine = _angles(start, vectors.shape[1], heads.shape[-1], vectors.device)
        first, second = heads.chunk(2, dim=-1)
        turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
        return turned.to(vectors.dtype).flatten(2)


def _angles(start: int, length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (length, 1, size / 2) each."""
    places = torch.arange(start, start + length, device=device, dtype=torch.float32)
    angles = places[:, None, None] * _frequencies(size, device)
    return angles.cos(), angles.sin()


def _frequencies(size: int, device: torch.device | None = None) -> Tensor:
    pairs = torch.arange(0, size, 2, device=device, dtype=torch.float32)
    return torch.exp(pairs * (-math.log(10_000) / size))


def _sinusoids(length: int, size: int) -> Tensor:
    angles = torch.arange(length, dtype=torch.float32)[:, None] * _frequencies(size)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size]
