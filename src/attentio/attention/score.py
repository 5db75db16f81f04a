"""Scores: how well a query fits each key, before anything is normalised. A score is its formula and nothing else.

Two families cover most of them. In the first a score is an inner product, q . k, after each side was projected; in
the second it is v . tanh(q + k). A score of a family says how it projects; the family's formula exists once, and
`backend.py` knows faster ways to compute it. Masks, normalising, the weighted sum and dropout are not here.

Sizes are those of one head. Keys are projected by `prepare`, once per sentence; `forward` never sees a raw key.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.heads import HeadLinear
from attentio.attention.history import AlignmentHistory, ConvolvedHistory, CoverageHistory, FertilityHistory
from attentio.attention.precision import at_least_float32


class Score(nn.Module, ABC):
    """A score of queries against keys; built as `Kind(query_size, key_size, num_heads)`, sizes of one head.

    `history` is the term by which earlier weights enter, None for a kind that depends on the query and the keys alone.
    `positional` says that it matters where a key stands, not only what it is.
    """

    is_positional: ClassVar[bool] = False

    def __init__(self, history: AlignmentHistory | None = None) -> None:
        super().__init__()
        self.history = history

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
        return self.project(query) @ keys.mT


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
    return torch.linalg.vecdot(hidden, v[:, None, None, :])


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


class Cosine(InnerProductScore):
    """tau q . k / (|q| |k|), tau learnt per head (Henry 2020, query-key normalisation; tau <= 100 as in Liu 2022).

    Without tau no score exceeds 1, and over many keys the weights are fog.
    """

    HIGHEST = 100.0

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, temperature: float = 10.0) -> None:
        super().__init__()
        _require_equal_sizes("cosine", query_size, key_size)
        if not 0 < temperature <= self.HIGHEST:
            raise ValueError(f"temperature {temperature} must lie above 0 and not above {self.HIGHEST}")
        self.log_temperature = nn.Parameter(torch.full((num_heads,), math.log(temperature)))

    def prepare(self, keys: Tensor) -> Tensor:
        return _unit(keys)

    def project(self, query: Tensor) -> Tensor:
        temperature = self.log_temperature.clamp(max=math.log(self.HIGHEST)).exp()
        return _unit(query) * temperature[:, None, None].to(query.dtype)


class LinearConcat(Score):
    """w . [q; k] = w_q . q + w_k . k. What the query adds is the same for every key, so softmax cancels it.

    Every query gets the same weights: it is here because it is often written down, and to be seen failing.
    """

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        self.query = HeadLinear(query_size, 1, num_heads)
        self.key = HeadLinear(key_size, 1, num_heads)

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.query(query) + keys.mT  # (B, H, T, 1) + (B, H, 1, S)


class Location(Score):
    """W q, one entry for each position, whatever stands there (Luong 2015, eq. 8). Reaches `max_length` keys."""

    is_positional = True

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, max_length: int = 512) -> None:
        super().__init__()
        self.max_length = max_length
        self.position = HeadLinear(query_size, max_length, num_heads)

    def prepare(self, keys: Tensor) -> Tensor:
        return keys[..., :0]  # only how many they are is of interest

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        num_keys = keys.size(2)
        if num_keys > self.max_length:
            raise ValueError(
                f"score 'location' reaches {self.max_length} keys, not {num_keys}: set a larger max_length"
            )
        return self.position(query)[..., :num_keys]


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


class NormedAdditive(AdditiveScore):
    """g v/|v| . tanh(W q + U k + b): length and direction of v learnt apart (Salimans 2016; Raffel 2017, eq. 16)."""

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, hidden_size: int | None = None) -> None:
        super().__init__()
        hidden_size = hidden_size or query_size
        self.query = HeadLinear(query_size, hidden_size, num_heads)
        self.key = HeadLinear(key_size, hidden_size, num_heads, bias=True)
        self.v = nn.Parameter(_uniform(num_heads, hidden_size))
        self.g = nn.Parameter(torch.full((num_heads, 1), 1 / math.sqrt(hidden_size)))

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def project(self, query: Tensor) -> Tensor:
        return self.query(query)

    def direction(self) -> Tensor:
        return self.g * F.normalize(self.v, dim=1)  # of each head


class Coverage(AdditiveScore):
    """v . tanh(W q + U k + w_c c + b), c the sum of all earlier weights (See 2017, eq. 11)."""

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, hidden_size: int | None = None) -> None:
        hidden_size = hidden_size or query_size
        super().__init__(CoverageHistory(hidden_size, num_heads))
        self.query = HeadLinear(query_size, hidden_size, num_heads)
        self.key = HeadLinear(key_size, hidden_size, num_heads, bias=True)
        self.v = nn.Parameter(_uniform(num_heads, hidden_size))

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def project(self, query: Tensor) -> Tensor:
        return self.query(query)

    def direction(self) -> Tensor:
        return self.v


class FertilityCoverage(AdditiveScore):
    """v . tanh(W q + U k + V C), C the earlier weights over the fertility N sigmoid(U_f k) (Tu 2016, section 3.1)."""

    def __init__(
        self,
        query_size: int,
        key_size: int,
        num_heads: int = 1,
        *,
        hidden_size: int | None = None,
        max_fertility: float = 2.0,
    ) -> None:
        hidden_size = hidden_size or query_size
        super().__init__(FertilityHistory(hidden_size, num_heads))
        self.max_fertility = max_fertility
        self.query = HeadLinear(query_size, hidden_size, num_heads)
        self.key = HeadLinear(key_size, hidden_size, num_heads)
        self.fertility = HeadLinear(key_size, 1, num_heads)
        self.v = nn.Parameter(_uniform(num_heads, hidden_size))

    def prepare(self, keys: Tensor) -> Tensor:
        fertility = self.max_fertility * self.fertility(keys).sigmoid()
        return torch.cat([self.key(keys), fertility], -1)  # (B, H, S, D + 1)

    def project(self, query: Tensor) -> Tensor:
        return self.query(query)

    def direction(self) -> Tensor:
        return self.v


class LocationAware(AdditiveScore):
    """v . tanh(W q + V k + U f + b), f the weights of the query before, convolved (Chorowski 2015, eqs. 8-9)."""

    is_positional = True

    def __init__(
        self,
        query_size: int,
        key_size: int,
        num_heads: int = 1,
        *,
        hidden_size: int | None = None,
        width: int = 15,
        channels: int = 10,
    ) -> None:
        hidden_size = hidden_size or query_size
        super().__init__(ConvolvedHistory(hidden_size, num_heads, width=width, channels=channels))
        self.query = HeadLinear(query_size, hidden_size, num_heads)
        self.key = HeadLinear(key_size, hidden_size, num_heads, bias=True)
        self.v = nn.Parameter(_uniform(num_heads, hidden_size))

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def project(self, query: Tensor) -> Tensor:
        return self.query(query)

    def direction(self) -> Tensor:
        return self.v


class Paired(Score):
    """Two scores of one kind with parameters of their own, for a normalizer that needs two (MoChA): (2, B, H, T, S)."""

    def __init__(self, first: Score, second: Score) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def prepare(self, keys: Tensor) -> Tensor:
        return torch.cat([self.first.prepare(keys), self.second.prepare(keys)], -1)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        first, second = keys.chunk(2, -1)
        return torch.stack([self.first(query, first), self.second(query, second)])


def _uniform(num_heads: int, size: int) -> Tensor:
    bound = 1 / math.sqrt(size)
    return torch.empty(num_heads, size).uniform_(-bound, bound)


def _unit(vectors: Tensor) -> Tensor:
    # In float32, and with an eps that float16 could not hold: a zero vector keeps a finite gradient.
    return F.normalize(at_least_float32(vectors), dim=-1, eps=1e-6).to(vectors.dtype)


def _require_equal_sizes(name: str, query_size: int, key_size: int) -> None:
    if query_size != key_size:
        raise ValueError(
            f"score {name!r} multiplies query and key entry by entry, but a query has {query_size} entries per head "
            f"and a key {key_size}: make them equal, or use 'bilinear' or 'additive', which project"
        )
