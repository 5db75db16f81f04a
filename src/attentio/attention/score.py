"""Scores: how well a query fits each key, before anything is normalised. A score is its formula and nothing else.

Two families cover most of them. In the first a score is an inner product, q . k, after each side was projected; in
the second it is v . tanh(q + k). A score of a family says how it projects; the family's formula exists once, and
`backend.py` knows faster ways to compute it. Masks, normalising, the weighted sum and dropout are not here.

Sizes are those of one head. Keys are projected by `prepare`, once per sentence; `forward` never sees a raw key.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attentio.attention.heads import HeadLinear


class Score(nn.Module, ABC):
    """A score of queries against keys; built as `Kind(query_size, key_size, num_heads)`, sizes of one head."""

    @abstractmethod
    def prepare(self, keys: Tensor) -> Tensor:
        """(B, H, S, K) -> (B, H, S, D): whatever can be done to the keys before any query is known."""

    @abstractmethod
    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """query (B, H, T, Q), prepared keys (B, H, S, D) -> scores (B, H, T, S)."""


class InnerProductScore(Score):
    """The family q . k: a kind says how each side is projected."""

    @abstractmethod
    def project(self, query: Tensor) -> Tensor:
        """(B, H, T, Q) -> (B, H, T, D)."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.project(query) @ keys.transpose(-2, -1)


class AdditiveScore(Score):
    """The family v . tanh(q + k): a kind says how each side is projected, and what v is."""

    @abstractmethod
    def project(self, query: Tensor) -> Tensor:
        """(B, H, T, Q) -> (B, H, T, D)."""

    @abstractmethod
    def direction(self) -> Tensor:
        """v, (H, D)."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return additive(self.project(query), keys, self.direction())


def additive(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """v . tanh(q + k) for every pair: (B, H, T, D), (B, H, S, D), (H, D) -> (B, H, T, S)."""
    hidden = (query.unsqueeze(3) + keys.unsqueeze(2)).tanh_()  # (B, H, T, S, D)
    batch, heads, queries, num_keys, size = hidden.shape
    return (hidden.view(batch, heads, queries * num_keys, size) @ v.unsqueeze(-1)).view(batch, heads, queries, num_keys)


class Dot(InnerProductScore):
    """q . k (Luong 2015, section 3.1, "dot"). Query and key must be equally long."""

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        _require_equal_sizes("dot", query_size, key_size)

    def prepare(self, keys: Tensor) -> Tensor:
        return keys

    def project(self, query: Tensor) -> Tensor:
        return query


class ScaledDot(InnerProductScore):
    """q . k / sqrt(d), d the size of one head (Vaswani 2017, eq. 1). Query and key must be equally long."""

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        _require_equal_sizes("scaled_dot", query_size, key_size)
        self.scale = 1 / math.sqrt(query_size)

    def prepare(self, keys: Tensor) -> Tensor:
        return keys

    def project(self, query: Tensor) -> Tensor:
        return query * self.scale


class Bilinear(InnerProductScore):
    """q . W k (Luong 2015, section 3.1, "general"); W is applied to the keys, once per sentence."""

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        self.key = HeadLinear(key_size, query_size, num_heads)

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def project(self, query: Tensor) -> Tensor:
        return query


class Additive(AdditiveScore):
    """v . tanh(W q + U k) (Bahdanau 2015, appendix A.1.2); Luong's "concat" is the same, its W being [W U]."""

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, hidden_size: int | None = None) -> None:
        super().__init__()
        hidden_size = hidden_size or query_size
        self.query = HeadLinear(query_size, hidden_size, num_heads)
        self.key = HeadLinear(key_size, hidden_size, num_heads)
        self.v = nn.Parameter(_uniform(num_heads, hidden_size))

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def project(self, query: Tensor) -> Tensor:
        return self.query(query)

    def direction(self) -> Tensor:
        return self.v


def _uniform(num_heads: int, size: int) -> Tensor:
    bound = 1 / math.sqrt(size)
    return torch.empty(num_heads, size).uniform_(-bound, bound)


def _require_equal_sizes(name: str, query_size: int, key_size: int) -> None:
    if query_size != key_size:
        raise ValueError(
            f"score {name!r} multiplies query and key entry by entry, but a query has {query_size} entries per head "
            f"and a key {key_size}: make them equal, or use 'bilinear' or 'additive', which project"
        )


SCORES: dict[str, Callable[[int, int, int], Score]] = {
    "dot": Dot,
    "scaled_dot": ScaledDot,
    "bilinear": Bilinear,
    "additive": Additive,
}
