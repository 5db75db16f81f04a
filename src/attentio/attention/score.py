"""Scores: how well a query fits each key, before anything is normalized. A score is its formula and nothing else.

Two families cover most scores. In the first a score is an inner product, q . k, of projected sides. In the second it is
v . tanh(q + k). A score of a family defines its projections. The formula of the family exists once, and
`kernels/backend.py` knows faster ways to compute it. Masks, normalizers, the weighted sum and dropout are not here.

Sizes are those of one head. `prepare` projects the keys, once per sentence. `forward` never sees a raw key.
To add a kind, write its class here, with `about`, its test, and run `make docs`.
"""

import math
from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.history import AlignmentHistory, ConvolvedHistory, CoverageHistory, FertilityHistory
from attentio.attention.kind import HISTORY, INFORMATION, SIMILARITY, About, Kind, at_least
from attentio.attention.tensors import HeadLinear, at_least_float32, uniform

HiddenSize = Annotated[int | None, "size of the hidden layer, by default that of the query"]
MaxFertility = Annotated[float, "largest number of target words of one source word"]
MaxLength = Annotated[int, "largest number of keys"]
Temperature = Annotated[float, "where tau starts, above 0 and at most 100"]


class Score(Kind):
    """Compare queries with keys. Constructor: (query_size, key_size, num_heads, *, options), sizes of one head.

    history: the term by which earlier weights enter, None where a score depends on the query and the keys alone.
    is_positional: the place of a key matters, not only its content.
    """

    is_positional: ClassVar[bool] = False

    def __init__(self, history: AlignmentHistory | None = None) -> None:
        super().__init__()
        self.history = history

    @abstractmethod
    def prepare(self, keys: Tensor) -> Tensor:
        """Return the keys, prepared before any query is known: (B, H, S, K) -> (B, H, S, D)."""

    @abstractmethod
    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the scores (B, H, T, S) of queries (B, H, T, Q) and prepared keys (B, H, S, D)."""


class InnerProductScore(Score):
    """The family q . k: a kind defines how each side is projected. By default both stay as they are."""

    def prepare(self, keys: Tensor) -> Tensor:
        return keys

    def project(self, query: Tensor) -> Tensor:
        """Return the projected query: (B, H, T, Q) -> (B, H, T, D)."""
        return query

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return inner_product(self.project(query), keys)


class AdditiveScore(Score):
    """The family v . tanh(q + k): a kind defines how each side is projected, and v."""

    @abstractmethod
    def project(self, query: Tensor) -> Tensor:
        """Return the projected query: (B, H, T, Q) -> (B, H, T, D)."""

    @abstractmethod
    def direction(self) -> Tensor:
        """Return v, (H, D)."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return additive(self.project(query), keys, self.direction())


class HiddenLayerScore(AdditiveScore):
    """The family v . tanh(W q + U k + ...): W and U with a hidden layer of `hidden_size`, or of the query's size."""

    def __init__(
        self,
        query_size: int,
        key_size: int,
        num_heads: int,
        hidden_size: int | None,
        history: AlignmentHistory | None = None,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__(history)
        hidden_size = query_size if hidden_size is None else at_least(1, hidden_size=hidden_size)
        self.query = HeadLinear(query_size, hidden_size, num_heads)
        self.key = HeadLinear(key_size, hidden_size, num_heads, bias=bias)
        self.v = uniform(num_heads, hidden_size, fan_in=hidden_size)

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def project(self, query: Tensor) -> Tensor:
        return self.query(query)

    def direction(self) -> Tensor:
        return self.v


def inner_product(query: Tensor, keys: Tensor) -> Tensor:
    """Return q . k of every pair: (B, H, T, D), (B, H, S, D) -> (B, H, T, S).

    The range of float16 ends at 65,504, which scores exceed. So it becomes float32, also under autocast. bfloat16 has
    the range of float32, and stays. Its products are summed in float32 and then rounded.
    """
    kind = query.device.type
    if torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16:
        with torch.autocast(kind, enabled=False):
            return query.float() @ keys.float().mT
    if torch.float16 in (query.dtype, keys.dtype):
        return query.float() @ keys.float().mT
    return query @ keys.mT


def additive(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """Return v . tanh(q + k) of every pair: (B, H, T, D), (B, H, S, D), (H, D) -> (B, H, T, S)."""
    hidden = (query.unsqueeze(3) + keys.unsqueeze(2)).tanh_()  # (B, H, T, S, D)
    return torch.linalg.vecdot(hidden, v[:, None, None, :])


class Dot(InnerProductScore):
    about = About(
        name="dot",
        chinese="点乘",
        group=SIMILARITY,
        formula="e_ij = q_i · k_j",
        paper="Luong, Pham and Manning 2015, section 3.1, “dot”",
        use="Queries and keys live in one space already, and are short. It has no parameters.",
        cost="2 B H T S D operations in one matrix product. The fused kernel of torch applies.",
        trap="Scores grow with the square root of D, and softmax saturates. Query and key must have equal sizes.",
    )

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        _require_equal_sizes("dot", query_size, key_size)


class ScaledDot(InnerProductScore):
    about = About(
        name="scaled_dot",
        chinese="缩放点乘",
        group=SIMILARITY,
        formula="e_ij = q_i · k_j / √d",
        paper="Vaswani et al. 2017, eq. 1",
        use="The score of the Transformer, with projections around it, as in `MultiHeadAttention`.",
        cost="As dot.",
        trap="d is the size of one head, not of all heads. The kernel of torch scales by itself: scale only once.",
    )

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        _require_equal_sizes("scaled_dot", query_size, key_size)
        self.scale = 1 / math.sqrt(query_size)

    def project(self, query: Tensor) -> Tensor:
        return query * self.scale


class Bilinear(InnerProductScore):
    about = About(
        name="bilinear",
        chinese="加权点乘（矩阵相乘）",
        group=SIMILARITY,
        formula="e_ij = q_iᵀ W k_j",
        paper="Luong, Pham and Manning 2015, section 3.1, “general”",
        use="Query and key differ in size or meaning. Nearly as cheap as dot, and a good first choice for an RNN.",
        cost="As dot, after W k once per sentence.",
        trap="It is not scaled. With large hidden sizes it saturates as dot does.",
    )

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        self.key = HeadLinear(key_size, query_size, num_heads)

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)


class Cosine(InnerProductScore):
    about = About(
        name="cosine",
        chinese="余弦相似度",
        group=SIMILARITY,
        formula="e_ij = τ q_i · k_j / (|q_i| |k_j|)",
        paper="Graves, Wayne and Danihelka 2014 (content addressing); Henry et al. 2020 (query-key normalization)",
        use="The length of vectors should not count, or training diverges because scores grow.",
        cost="As dot, and two norms.",
        trap="Without τ no score exceeds 1, and many keys get nearly uniform weights. τ is learned and starts at 10.",
    )

    HIGHEST = 100.0  # as in Liu 2022

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, temperature: Temperature = 10.0) -> None:
        super().__init__()
        _require_equal_sizes("cosine", query_size, key_size)
        if not 0 < temperature <= self.HIGHEST:
            raise ValueError(f"temperature {temperature} must lie above 0 and not above {self.HIGHEST}")
        self.log_temperature = nn.Parameter(torch.full((num_heads,), math.log(temperature)))

    def prepare(self, keys: Tensor) -> Tensor:
        return _unit(keys)

    def project(self, query: Tensor) -> Tensor:
        temperature = self.log_temperature.clamp(max=math.log(self.HIGHEST)).exp()  # of each head
        # Of each sentence, too: its gradient is then the same bits with any number of threads.
        return _unit(query) * temperature[:, None, None].to(query.dtype).expand(query.shape[0], -1, -1, -1)


class LinearConcat(Score):
    about = About(
        name="linear_concat",
        chinese="串联（线性）",
        group=SIMILARITY,
        formula="e_ij = w · [q_i; k_j] = w_q · q_i + w_k · k_j",
        paper="none: the “concat” of Luong without its tanh",
        use="To show why it fails.",
        cost="B H S D operations once per sentence.",
        trap="The query adds the same number to every score, and softmax cancels it. All queries get the same weights.",
    )

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        self.query = HeadLinear(query_size, 1, num_heads)
        self.key = HeadLinear(key_size, 1, num_heads)

    def prepare(self, keys: Tensor) -> Tensor:
        return self.key(keys)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.query(query) + keys.mT  # (B, H, T, 1) + (B, H, 1, S)


class OutOfReach(ValueError):  # noqa: N818
    """There are more keys than a score has numbers for."""


class Location(Score):
    about = About(
        name="location",
        chinese="基于位置",
        group=INFORMATION,
        formula="e_i = W q_i, one entry for each position",
        paper="Luong, Pham and Manning 2015, eq. 8",
        use="To see how far position alone goes.",
        cost="B H T Q L operations, where L is the largest length.",
        trap="It never looks at a key. Sources longer than `max_length` raise an error.",
    )

    is_positional = True

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, max_length: MaxLength = 512) -> None:
        super().__init__()
        self.max_length = at_least(1, max_length=max_length)
        self.position = HeadLinear(query_size, max_length, num_heads)

    def prepare(self, keys: Tensor) -> Tensor:
        return keys[..., :0]  # only their number matters

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        num_keys = keys.size(2)
        if num_keys > self.max_length:
            raise OutOfReach(
                f"score 'location' reaches {self.max_length} keys, not {num_keys}: use location:{num_keys} or more"
            )
        return self.position(query)[..., :num_keys]


class Additive(HiddenLayerScore):
    about = About(
        name="additive",
        chinese="多层感知机 MLP（加和）",
        group=SIMILARITY,
        formula="e_ij = v · tanh(W q_i + U k_j)",
        paper="Bahdanau, Cho and Bengio 2015, appendix A.1.2. It is the “concat” of Luong, with W cut in two",
        use="Small models and little data. A hidden layer compares the two. It is the first attention of translation.",
        cost="B H T S D tanh, about 25 times as slow as dot on long inputs. In chunks it needs as little memory.",
        trap="The plain form holds B H T S D numbers. The backends `chunked` and `triton` do not.",
    )

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, hidden_size: HiddenSize = None) -> None:
        super().__init__(query_size, key_size, num_heads, hidden_size)


class NormedAdditive(HiddenLayerScore):
    about = About(
        name="normed_additive",
        chinese="归一化的 MLP",
        group=SIMILARITY,
        formula="e_ij = g v/|v| · tanh(W q_i + U k_j + b)",
        paper="Salimans and Kingma 2016. Raffel et al. 2017, section 2.4",
        use="The size of scores matters: monotonic kinds and deep RNNs.",
        cost="As additive.",
        trap="g starts at 1/√d, so scores are small at first.",
    )

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, hidden_size: HiddenSize = None) -> None:
        super().__init__(query_size, key_size, num_heads, hidden_size, bias=True)
        self.g = nn.Parameter(torch.full((num_heads, 1), 1 / math.sqrt(hidden_size or query_size)))

    def direction(self) -> Tensor:
        return self.g * F.normalize(self.v, dim=1)  # of each head


class Coverage(HiddenLayerScore):
    about = About(
        name="coverage",
        chinese="覆盖",
        group=HISTORY,
        formula="c_i = Σ_(t<i) a_t;  e_ij = v · tanh(W q_i + U k_j + w_c c_ij + b)",
        paper="See, Liu and Manning 2017, eqs. 10-13",
        use="The output repeats itself or leaves things out. Use it with `coverage_loss`.",
        cost="As additive, with T steps one after the other.",
        trap="c holds the steps before this one only. The term belongs inside the tanh, not into the values.",
    )

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1, *, hidden_size: HiddenSize = None) -> None:
        history = CoverageHistory(hidden_size or query_size, num_heads)
        super().__init__(query_size, key_size, num_heads, hidden_size, history, bias=True)


class FertilityCoverage(HiddenLayerScore):
    about = About(
        name="fertility_coverage",
        chinese="带繁殖率的覆盖",
        group=HISTORY,
        formula="C_ij = Σ_(t<i) a_tj / Φ_j, Φ_j = N σ(U_f k_j);  e_ij = v · tanh(W q_i + U k_j + V C_ij)",
        paper="Tu et al. 2016, section 3.1",
        use="As coverage, where one source word yields several target words.",
        cost="As coverage.",
        trap="Φ never exceeds `max_fertility`, which is 2 as in the paper.",
    )

    def __init__(
        self,
        query_size: int,
        key_size: int,
        num_heads: int = 1,
        *,
        hidden_size: HiddenSize = None,
        max_fertility: MaxFertility = 2.0,
    ) -> None:
        history = FertilityHistory(hidden_size or query_size, num_heads)
        super().__init__(query_size, key_size, num_heads, hidden_size, history)
        self.max_fertility = at_least(0, max_fertility=max_fertility)
        self.fertility = HeadLinear(key_size, 1, num_heads)

    def prepare(self, keys: Tensor) -> Tensor:
        fertility = self.max_fertility * self.fertility(keys).sigmoid()
        return torch.cat([self.key(keys), fertility], -1)  # (B, H, S, D + 1)


class LocationAware(HiddenLayerScore):
    about = About(
        name="location_aware",
        chinese="位置感知",
        group=HISTORY,
        formula="f_i = F * a_(i-1);  e_ij = v · tanh(W q_i + V k_j + U f_ij + b)",
        paper="Chorowski et al. 2015, eqs. 8-9",
        use="Nearly monotonic alignment and long inputs: the last weights tell where to look now.",
        cost="As additive, plus a convolution, and T steps one after the other.",
        trap="It is sequential in training, too. The weights before the first query are zero.",
    )

    is_positional = True

    def __init__(
        self,
        query_size: int,
        key_size: int,
        num_heads: int = 1,
        *,
        hidden_size: HiddenSize = None,
        width: Annotated[int, "keys under a filter, odd"] = 15,
        channels: Annotated[int, "number of filters"] = 10,
    ) -> None:
        history = ConvolvedHistory(hidden_size or query_size, num_heads, width=width, channels=channels)
        super().__init__(query_size, key_size, num_heads, hidden_size, history, bias=True)


class Paired(Score):
    """Two scores of one kind, each with its own parameters, for a normalizer that needs two: (2, B, H, T, S)."""

    def __init__(self, first: Score, second: Score) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def prepare(self, keys: Tensor) -> Tensor:
        return torch.cat([self.first.prepare(keys), self.second.prepare(keys)], -1)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        first, second = keys.chunk(2, -1)
        return torch.stack([self.first(query, first), self.second(query, second)])


def _unit(vectors: Tensor) -> Tensor:
    # In float32, because float16 cannot hold this eps. A zero vector keeps a finite gradient.
    return F.normalize(at_least_float32(vectors), dim=-1, eps=1e-6).to(vectors.dtype)


def _require_equal_sizes(name: str, query_size: int, key_size: int) -> None:
    if query_size != key_size:
        raise ValueError(
            f"score {name!r} multiplies query and key entry by entry, so their sizes per head, {query_size} and "
            f"{key_size}, must be equal: make them equal, or use 'bilinear' or 'additive', which project"
        )
