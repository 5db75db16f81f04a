"""Layers that the families share: dropout, token embeddings, positions, and what joins recurrent layers in a stack.

A layer holds parameters and nothing else. Attention has its own room, `attentio.attention`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from attentio.text.special import SPECIAL


class Dropout(nn.Module):
    """Zero elements with probability round(256 p) / 256 in training, and scale the rest to keep the mean.

    `torch.nn.Dropout` draws one random number per element, which takes a quarter of a training step on a CPU. Here
    eight elements share one 64-bit draw, a byte each, and the mask is made of integers, many at once. The draws come
    from torch's own generator, so its saved state covers them.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = round(256 * p)
        self.scale = 256 / (256 - self.threshold) if self.threshold < 256 else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, of any shape, with the same shape and dtype."""
        if not self.training or self.threshold == 0:
            return x
        return x * dropout_mask(x.shape, self.threshold, self.scale, x)

    def extra_repr(self) -> str:
        return f"p={self.threshold}/256"


def dropout_mask(shape: torch.Size, threshold: int, scale: float, like: Tensor) -> Tensor:
    """Return a mask that holds 0 with probability threshold / 256, else `scale`, of the dtype and device of `like`."""
    if like.device.type != "cpu":
        return (torch.rand(shape, device=like.device) * 256 >= threshold).to(like.dtype) * scale
    if threshold >= 256:
        return like.new_zeros(shape)
    if like.dtype not in _LANES:
        return dropout_mask(shape, threshold, scale, like.new_empty(0, dtype=torch.float32)).to(like.dtype)
    lanes = _LANES[like.dtype]
    count, size, parts = shape.numel(), 8 * lanes.itemsize, lanes.itemsize
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None).view(lanes)
    keep = torch.empty(parts, len(words), dtype=lanes)
    for part in range(parts):  # each byte becomes the highest of a lane, and decides whether that is large enough
        torch.bitwise_left_shift(words, 8 * part, out=keep[part])
    keep.ge_((threshold - 128) << (size - 8))
    keep *= int(torch.tensor(scale, dtype=like.dtype).view(lanes))  # the bits of the scale, as an integer
    return keep.view(like.dtype).flatten()[:count].view(shape)


_LANES = {torch.float32: torch.int32, torch.bfloat16: torch.int16}  # integers of the same width


class LayerNorm(nn.LayerNorm):
    """`torch.nn.LayerNorm` over the last axis, whose gradients are the same bits with any number of threads.

    On a CPU, torch adds up the gradients of weight and bias in one part for each thread. The sum depends on the parts.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, torch's own name
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        return cast(Tensor, _LayerNorm.apply(input, self.weight, self.bias, self.eps))


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        normalized, mean, deviation = torch.native_layer_norm(x, weight.shape, weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, mean, deviation)  # deviation: one divided by it
        return normalized

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, bias, mean, deviation = ctx.saved_tensors
        of_x, _, _ = torch.ops.aten.native_layer_norm_backward(
            gradient.contiguous(), x, weight.shape, mean, deviation, weight, bias, [True, False, False]
        )
        rows = ((x - mean) * deviation * gradient).flatten(0, -2)
        return of_x, rows.sum(0), gradient.flatten(0, -2).sum(0, dtype=bias.dtype), None


class TokenEmbedding(nn.Module):
    """Look tokens up in a (vocab_size, width) table. The vector of padding is zero and stays zero.

    In training `word_dropout` takes whole tokens out (Gal 2016), and `dropout` single numbers.
    """

    def __init__(self, vocab_size: int, width: int, dropout: float, word_dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(vocab_size, width))
        self.word_dropout = Dropout(word_dropout)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.table, std=width**-0.5)
        with torch.no_grad():
            self.table[SPECIAL.pad] = 0

    def words(self, tokens: Tensor) -> Tensor:
        """Return the embeddings (..., width) of tokens (...), with word dropout only."""
        found = nn.functional.embedding(tokens, self.table, padding_idx=SPECIAL.pad)
        if self.training and self.word_dropout.threshold:
            found = found * self.word_dropout(found.new_ones(*tokens.shape, 1))
        return found

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the embeddings (..., width) of tokens (...), with both kinds of dropout."""
        return self.dropout(self.words(tokens))


class Positions(nn.Module, ABC):
    """Vectors that are added to the embeddings of tokens."""

    @abstractmethod
    def forward(self, start: int, length: int) -> Tensor:
        """Return the vectors of positions start, start + 1, ...: (length, H)."""


class Sinusoidal(Positions):
    """Sines and cosines of geometrically growing wavelengths, for any position (Vaswani 2017, section 3.5).

    kind: how they stand in a vector, see `SINUSOIDS`. first: the number of the first position.
    """

    table: Tensor

    def __init__(self, size: int, max_positions: int = 512, *, kind: str = "sinusoidal", first: int = 0) -> None:
        super().__init__()
        self.size = size
        self.kind, self.first = kind, first
        self.register_buffer("table", self.at(torch.arange(max_positions)), persistent=False)

    def at(self, places: Tensor) -> Tensor:
        """Return the vectors (T, size) of places (T,), counted from 0."""
        return SINUSOIDS[self.kind]((places + self.first).to(torch.float32)[:, None], self.size)

    def forward(self, start: int, length: int) -> Tensor:
        table = self.table  # one reading: another thread may put a longer table in its place
        if start + length > len(table):
            self.table = table = self.at(torch.arange(2 * (start + length))).to(table)
        return table[start : start + length]


class Learned(Positions):
    """A vector learned for each position (Gehring 2017, section 3.1). Later positions share the last vector."""

    def __init__(self, size: int, max_positions: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_positions, size) * 0.1)

    def forward(self, start: int, length: int) -> Tensor:
        if start + length <= len(self.table):
            return self.table[start : start + length]
        places = torch.arange(start, start + length, device=self.table.device)
        return self.table[places.clamp(max=len(self.table) - 1)]


class Rotary(nn.Module):
    """Rotate each pair of numbers of a query or key by an angle that grows with its position (Su 2021, section 3.2.2).

    The product of a query and a key then depends on their distance alone. A pair is (i, i + D/2) of a head of size D.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads

    def forward(self, vectors: Tensor, start: int) -> Tensor:
        """Return vectors (B, T, heads * D), the first at position `start`, rotated: the same shape."""
        heads = vectors.unflatten(-1, (self.num_heads, -1))  # (B, T, heads, D)
        cosine, sine = _angles(start, vectors.shape[1], heads.shape[-1], vectors.device)
        first, second = heads.chunk(2, dim=-1)
        rotated = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
        return rotated.to(vectors.dtype).flatten(2)


def _angles(start: int, length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, (length, 1, size / 2) each."""
    places = start + torch.arange(length, device=device, dtype=torch.float32)
    angles = places[:, None, None] * _frequencies(size, device)
    return angles.cos(), angles.sin()


def _frequencies(size: int, device: torch.device | None = None) -> Tensor:
    pairs = torch.arange(0, size, 2, device=device, dtype=torch.float32)
    return torch.exp(pairs * (-math.log(10_000) / size))


def _side_by_side(places: Tensor, size: int) -> Tensor:
    angles = places * _frequencies(size)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size]


def _halves(places: Tensor, size: int) -> Tensor:
    angles = places * _frequencies(size)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :size]


def _timescales(places: Tensor, size: int) -> Tensor:
    """Return halves whose longest wavelength is 10000 times the shortest one. In the other kinds it is less."""
    count = size // 2
    angles = places * torch.exp(torch.arange(count) * (-math.log(10_000) / max(1, count - 1)))
    return nn.functional.pad(torch.cat([angles.sin(), angles.cos()], dim=-1), (0, size % 2))


# Vectors (L, size) of places (L, 1), by the name of the setting `positions`.
SINUSOIDS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "sinusoidal": _side_by_side,
    "sinusoidal_halves": _halves,
    "sinusoidal_t2t": _timescales,
}


class Stacking(nn.Module):
    """Join recurrent layers: x_n = x_{n-1} + dropout(layer_n(norm(x_{n-1}))), x_1 = dropout(layer_1(x_0)).

    `residual` adds the term x_{n-1} (Wu 2016, eqs. 5-6), above the first layer, where widths always agree.
    `layer_norm` normalizes what each layer above the first reads, and what the top one gives (Ba 2016, eq. 3). Unlike
    Ba, the sums inside the cell are not normalized. `size`: width of an output.
    """

    def __init__(self, num_layers: int, size: int, *, dropout: float, residual: bool, layer_norm: bool) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.residual = residual
        self.layer_norm = layer_norm
        self.norms = nn.ModuleList(LayerNorm(size) if layer_norm else nn.Identity() for _ in range(num_layers))

    def below(self, layer: int, inputs: Tensor) -> Tensor:
        """Return what layer number `layer`, from 0, reads of its inputs (..., I)."""
        return inputs if layer == 0 else self.norms[layer - 1](inputs)

    def above(self, layer: int, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Return what layer number `layer` hands on, (..., H), for its inputs (..., I) and outputs (..., H)."""
        outputs = self.dropout(outputs)
        if self.residual and layer > 0:
            outputs = inputs + outputs
        return self.norms[-1](outputs) if layer == len(self.norms) - 1 else outputs
