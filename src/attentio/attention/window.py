"""Windows: which keys a query sees because of where it stands, and how much position alone counts.

A window never looks at a score. It gives a mask, a bias that is added to the scores, and a factor that multiplies the
weights; most give only one of them. Windows are combined by `CombinedWindow`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attentio.attention.heads import HeadLinear
from attentio.attention.mask import causal, combine, distances
from attentio.attention.memory import Memory
from attentio.attention.precision import at_least_float32


class Span(NamedTuple):
    """What a window says; each part broadcasts to (B, H, T, S), and None leaves things as they are."""

    mask: Tensor | None = None
    bias: Tensor | None = None
    factor: Tensor | None = None


class Window(nn.Module, ABC):
    """From positions to a mask, a bias and a factor; built as `Kind(query_size, num_heads)`, sizes of one head.

    `follows` says that the window moves along the source with the queries and leaves keys behind; `scales` that it
    gives a factor, so that weights need not sum to what the normalizer made of them; `causal` that no key after a
    query's own position is seen, by this window or by one that it stands together with: for such a query the sentence
    ends where it stands, and a window that asks how long the sentence is must say so.
    """

    is_moving: bool = False
    scales_weights: bool = False
    is_causal: bool = False

    @abstractmethod
    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        """query (B, H, T, Q), whose first row stands at `position`."""


class Full(Window):
    """Every query sees every key ("global" in Luong 2015, section 3.1)."""

    def __init__(self, query_size: int = 0, num_heads: int = 1) -> None:
        super().__init__()

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        return Span()


class Causal(Window):
    """Query t sees the keys up to position t: self-attention that cannot look ahead (Vaswani 2017, section 3.2.3)."""

    is_causal = True

    def __init__(self, query_size: int = 0, num_heads: int = 1) -> None:
        super().__init__()

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        if memory.num_keys <= position + 1:  # as at every step of a search: no query has a key behind it
            return Span()
        return Span(mask=causal(query.size(2), memory.num_keys, offset=position, device=query.device))


class Sliding(Window):
    """Query t sees the keys at most `radius` away from position t (Beltagy 2020, section 3.1)."""

    is_moving = True

    def __init__(self, query_size: int = 0, num_heads: int = 1, *, radius: int = 10) -> None:
        super().__init__()
        self.radius = radius

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        away = distances(query.size(2), memory.num_keys, offset=position, device=query.device)
        return Span(mask=away.abs() <= self.radius)


class LocalMonotonic(Window):
    """local-m: |s - p_t| <= D with p_t = t, but never past the last word (Luong 2015, section 3.2)."""

    is_moving = True

    def __init__(self, query_size: int = 0, num_heads: int = 1, *, radius: int = 10) -> None:
        super().__init__()
        self.radius = radius

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        queries = torch.arange(position, position + query.size(2), device=query.device)
        centre = torch.minimum(queries, (memory.lengths() - 1).clamp(min=0)[:, None])  # (B, T)
        return Span(mask=_offsets(centre.unsqueeze(1), memory.num_keys).abs() <= self.radius)


class LocalPredictive(Window):
    """local-p: |s - p_t| <= D with p_t = S sigmoid(v . tanh(W q)), weights times exp(-(s - p_t)^2 / 2 sigma^2).

    Luong 2015, eqs. 9-10, sigma = D/2; S is the true length of the sentence, or, together with `Causal`, of what query
    t sees of it, t + 1 at most: the centre may not tell how long the rest will be. As in the paper the Gaussian comes
    after the softmax and the weights then sum to less than 1; `renormalize` adds its logarithm to the scores instead.
    The Gaussian is the only way by which W and v learn: the edges of the window have no gradient.
    """

    is_moving = True

    def __init__(self, query_size: int, num_heads: int = 1, *, radius: int = 10, renormalize: bool = False) -> None:
        super().__init__()
        self.radius = radius
        self.renormalize = renormalize
        self.scales_weights = not renormalize
        self.hidden = HeadLinear(query_size, query_size, num_heads)
        self.centre = HeadLinear(query_size, 1, num_heads)

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        share = at_least_float32(self.centre(self.hidden(query).tanh())).squeeze(-1).sigmoid()  # (B, H, T)
        length = memory.lengths()[:, None, None]
        if self.is_causal:
            seen = torch.arange(position + 1, position + query.size(2) + 1, device=query.device)
            length = torch.minimum(length, seen)  # (B, 1, T)
        centre = torch.minimum(length * share, (length - 1).clamp(min=0))
        away = _offsets(centre, memory.num_keys)  # (B, H, T, S)
        log_gaussian = -2 * (away / self.radius) ** 2  # sigma = D/2
        mask = away.abs() <= self.radius
        if self.renormalize:
            return Span(mask=mask, bias=log_gaussian)
        return Span(mask=mask, factor=log_gaussian.exp())


class RelativeBias(Window):
    """Adds to each score a number learnt per head for j - t, equal beyond `max_distance` (Raffel 2020, section 2.1).

    Position counts, whatever the score is; the content-dependent form of Shaw 2018 is not this one.
    """

    def __init__(self, query_size: int = 0, num_heads: int = 1, *, max_distance: int = 16) -> None:
        super().__init__()
        self.max_distance = max_distance
        self.bias = nn.Parameter(torch.zeros(num_heads, 2 * max_distance + 1))

    def forward(self, query: Tensor, memory: Memory, position: int) -> Span:
        away = distances(query.size(2), memory.num_keys, offset=position, device=query.device)
        away = away.clamp(-self.max_distance, self.max_distance) + self.max_distance
        return Span(bias=self.bias[:, away])  # (H, T, S)


class CombinedWindow(Window):
    """Several windows at once: a key is seen where all see it, biases add up and factors multiply.

    With `Causal` among them, all are told (`Window.is_causal`).
    """

    def __init__(self, windows: "list[Window]") -> None:
        super().__init__()
        self.windows = nn.ModuleList(windows)
        self.is_moving = any(window.is_moving for window in windows)
        self.scales_weights = any(window.scales_weights for window in windows)
        self.is_causal = any(window.is_causal for window in windows)
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
    """`combine_windows(Causal, RelativeBias)`: a window that is all of these."""
    return lambda query_size, num_heads: CombinedWindow([window(query_size, num_heads) for window in windows])


def _offsets(centre: Tensor, num_keys: int) -> Tensor:
    """(B, H, T) -> (B, H, T, S): position of each key, less the centre."""
    return torch.arange(num_keys, device=centre.device) - centre.unsqueeze(-1)
