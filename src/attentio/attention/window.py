"""Windows: which keys a query sees because of its position, and how much position alone counts.

A window never looks at a score. It gives a mask, a bias that is added to the scores, and a factor that multiplies the
weights. Most windows give only one of them. `combine_windows` combines several.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from attentio.attention.kind import INFORMATION, REGION, About, Kind, at_least
from attentio.attention.memory import Memory
from attentio.attention.tensors import HeadLinear, at_least_float32, causal, combine, distances

MaxDistance = Annotated[int, "largest distance with a number of its own"]
Radius = Annotated[int, "keys seen on each side of the center"]
Renormalize = Annotated[bool, "put the Gaussian inside the softmax, so that rows sum to 1"]


class Span(NamedTuple):
    """What a window gives. Each part broadcasts to (B, H, T, S), and None changes nothing."""

    mask: Tensor | None = None
    bias: Tensor | None = None
    factor: Tensor | None = None


class Window(Kind):
    """Turn positions into a mask, a bias and a factor. Constructor: (query_size, num_heads, *, options), of one head.

    is_moving: the window moves along the source with the queries and leaves keys behind.
    scales_weights: it gives a factor, so that weights need not keep the sum that the normalizer gave them.
    is_causal: this window, or one that it is combined with, hides every key after the query's own position. For such a
    query the sentence ends at its position. A window that asks for the length of the sentence must respect that.
    """

    is_moving: bool = False
    scales_weights: bool = False
    is_causal: bool = False

    def __init__(self, query_size: int = 0, num_heads: int = 1) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        """Return the span of queries (B, H, T, Q), the first of which is at `position`."""


class Full(Window):
    about = About(
        name="full",
        chinese="全局注意力",
        group=REGION,
        formula="every j",
        paper="Luong, Pham and Manning 2015, section 3.1, “global”",
        use="Between two sequences of ordinary length.",
        cost="T S pairs.",
        trap="Padding is not part of the sentence: pass the mask.",
    )

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        return Span()


class Causal(Window):
    about = About(
        name="causal",
        chinese="自注意力（因果）",
        group=INFORMATION,
        formula="j ≤ i",
        paper="Vaswani et al. 2017, section 3.2.3",
        use="Self-attention of a decoder: query and keys come from one sequence.",
        cost="All pairs are computed, and half of them count.",
        trap="While decoding, `step` carries the position in the state. Add other windows by `combine_windows`.",
    )

    is_causal = True

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        is_known = not isinstance(position, Tensor)  # pyright: ignore[reportUnnecessaryIsInstance]  (exporters)
        if is_known and memory.num_keys <= position + 1:  # no key lies behind a query, as in every step of a search
            return Span()
        return Span(mask=causal(query.size(2), memory.num_keys, offset=position, device=query.device))


class Sliding(Window):
    about = About(
        name="sliding",
        chinese="自注意力（滑动窗口）",
        group=INFORMATION,
        formula="|j - i| ≤ radius",
        paper="Beltagy, Peters and Cohan 2020, section 3.1",
        use="Self-attention over long sequences. Add causal by `combine_windows`.",
        cost="T S pairs, because it is a mask here. 2 radius + 1 keys count.",
        trap="A query far past the end of a short source sees no key: its context is zero. `local-m` stays there.",
    )

    is_moving = True

    def __init__(self, query_size: int = 0, num_heads: int = 1, *, radius: Radius = 10) -> None:
        super().__init__()
        self.radius = at_least(0, radius=radius)

    def center(self, positions: Tensor, memory: Memory) -> Tensor:
        """Return the key in the center of the window, (B or 1, T), of the queries at these positions (T,)."""
        return positions[None]

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        center = self.center(position + torch.arange(query.size(2), device=query.device), memory)
        return Span(mask=_offsets(center.unsqueeze(1), memory.num_keys).abs() <= self.radius)


class LocalMonotonic(Sliding):
    about = About(
        name="local-m",
        chinese="局部注意力（单调对齐）",
        group=REGION,
        formula="|j - p_i| ≤ D, p_i = min(i, S - 1)",
        paper="Luong, Pham and Manning 2015, section 3.2, “local-m”",
        use="Languages in nearly the same order.",
        cost="As full, because it is a mask here.",
        trap="It assumes equal lengths. p stays at the last word of each sentence, not of the padded batch.",
    )

    def center(self, positions: Tensor, memory: Memory) -> Tensor:
        return torch.minimum(positions, (memory.lengths() - 1).clamp(min=0)[:, None])


class LocalPredictive(Window):
    about = About(
        name="local-p",
        chinese="局部注意力（预测对齐）",
        group=REGION,
        formula="p_i = S σ(v · tanh(W q_i));  a_ij exp(-(j - p_i)² / 2σ²), |j - p_i| ≤ D, σ = D/2",
        paper="Luong, Pham and Manning 2015, eqs. 9-10, “local-p”",
        use="Soft attention within a region that the decoder chooses.",
        cost="As full, plus a small layer for each query.",
        trap="The Gaussian comes after the softmax, so rows sum to less than 1. W and v learn through it alone. "
        "With `renormalize` it goes into the scores and rows sum to 1, which the paper does not compute. "
        "In causal self-attention S is i + 1, or the center would tell how long the rest is.",
    )

    is_moving = True

    def __init__(
        self, query_size: int, num_heads: int = 1, *, radius: Radius = 10, renormalize: Renormalize = False
    ) -> None:
        super().__init__()
        self.radius = at_least(1, radius=radius)
        self.renormalize = renormalize
        self.scales_weights = not renormalize
        self.hidden = HeadLinear(query_size, query_size, num_heads)
        self.center = HeadLinear(query_size, 1, num_heads)

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        share = at_least_float32(self.center(self.hidden(query).tanh())).squeeze(-1).sigmoid()  # (B, H, T)
        length = memory.lengths()[:, None, None]
        if self.is_causal:
            seen = position + 1 + torch.arange(query.size(2), device=query.device)
            length = torch.minimum(length, seen)  # (B, 1, T)
        center = torch.minimum(length * share, (length - 1).clamp(min=0))
        away = _offsets(center, memory.num_keys)  # (B, H, T, S)
        mask, log_gaussian = away.abs() <= self.radius, -2 * (away / self.radius) ** 2  # sigma = D/2
        return Span(mask, bias=log_gaussian) if self.renormalize else Span(mask, factor=log_gaussian.exp())


class RelativeBias(Window):
    about = About(
        name="relative",
        chinese="相对位置偏置",
        group=INFORMATION,
        formula="e_ij + b_(j-i), the same beyond max_distance",
        paper="Shaw, Uszkoreit and Vaswani 2018 (clipping); Raffel et al. 2020, section 2.1 (as a number per head)",
        use="Self-attention that should know distances, with any score.",
        cost="One sum.",
        trap="It starts at zero, as if it were not there.",
    )

    def __init__(self, query_size: int = 0, num_heads: int = 1, *, max_distance: MaxDistance = 16) -> None:
        super().__init__()
        self.max_distance = at_least(0, max_distance=max_distance)
        self.bias = nn.Parameter(torch.zeros(num_heads, 2 * max_distance + 1))

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        away = distances(query.size(2), memory.num_keys, offset=position, device=query.device)
        away = away.clamp(-self.max_distance, self.max_distance) + self.max_distance
        return Span(bias=self.bias[:, away])  # (H, T, S)


class CombinedWindow(Window):
    """Several windows at once: a key is seen where all see it, biases are added, and factors are multiplied.

    If one of them is causal, all parts become `is_causal`.
    """

    def __init__(self, windows: "list[Window]") -> None:
        super().__init__()
        self.windows = nn.ModuleList(windows)
        for trait in ("is_moving", "scales_weights", "is_causal"):
            setattr(self, trait, any(getattr(window, trait) for window in windows))
        for part in self.modules():
            if isinstance(part, Window):
                part.is_causal = self.is_causal

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        spans: list[Span] = [window(query, memory, position) for window in self.windows]
        biases = [span.bias for span in spans if span.bias is not None]
        factors = [span.factor for span in spans if span.factor is not None]
        return Span(
            mask=combine(*(span.mask for span in spans)),
            bias=sum(biases[1:], biases[0]) if biases else None,
            factor=math.prod(factors[1:], start=factors[0]) if factors else None,
        )


def combine_windows(*windows: Callable[[int, int], Window]) -> Callable[[int, int], Window]:
    """Return a constructor of a window that is all of these, as in `combine_windows(Causal, RelativeBias)`."""
    return lambda query_size, num_heads: CombinedWindow([window(query_size, num_heads) for window in windows])


def _offsets(center: Tensor, num_keys: int) -> Tensor:
    """Return the position of each key minus the center: (B, H, T) -> (B, H, T, S)."""
    return torch.arange(num_keys, device=center.device) - center.unsqueeze(-1)
