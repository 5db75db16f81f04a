"""Additive scores on a GPU, in one Triton kernel for each direction. Imported only where Triton is installed.

A forward program owns a tile of queries by keys and loops over the hidden units. Nothing of size (T, S, D) is written.
The backward pass computes the hidden units again. A program owns rows of one side and a block of hidden units,
and loops over the other side. This happens once for queries and once for keys. No two programs add to one place, so
results repeat exactly. Sums are in float32, or in float64 for operands in float64.

Without a GPU Triton can interpret the kernel, slowly: set TRITON_INTERPRET=1 before Python starts.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false, reportArgumentType=false

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from attentio.attention.kernels.chunked import require_first_derivative
from attentio.attention.tensors import at_least_float32

QUERIES, KEYS, UNITS = 8, 8, 64


@triton.jit
def _tanh(x):
    # The interpreter and every GPU have exp. This form never overflows.
    e = tl.exp(-2.0 * tl.abs(x))
    t = (1.0 - e) / (1.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def forward_kernel(
    query, keys, v, scores, heads, num_queries, num_keys, size, precision: tl.constexpr,
    tile_queries: tl.constexpr, tile_keys: tl.constexpr, tile_units: tl.constexpr,
):  # fmt: skip
    """Compute the scores of one tile of queries and keys."""
    row = tl.program_id(0).to(tl.int64)  # b * H + h, in 64 bits because (B, H, T, S) may be large
    i = tl.program_id(1) * tile_queries + tl.arange(0, tile_queries)
    j = tl.program_id(2) * tile_keys + tl.arange(0, tile_keys)
    total = tl.zeros([tile_queries, tile_keys, tile_units], precision)
    for start in range(0, size, tile_units):
        c = start + tl.arange(0, tile_units)
        q = tl.load(query + (row * num_queries + i[:, None]) * size + c, (i[:, None] < num_queries) & (c < size), 0.0)
        k = tl.load(keys + (row * num_keys + j[:, None]) * size + c, (j[:, None] < num_keys) & (c < size), 0.0)
        w = tl.load(v + (row % heads) * size + c, c < size, 0.0)
        hidden = _tanh(q.to(precision)[:, None, :] + k.to(precision)[None, :, :])
        total += w.to(precision)[None, None, :] * hidden
    inside = (i[:, None] < num_queries) & (j[None, :] < num_keys)
    tl.store(scores + (row * num_queries + i[:, None]) * num_keys + j[None, :], tl.sum(total, axis=2), inside)


@triton.jit
def backward_kernel(
    own, other, gradient, of_own, of_v, num_own, num_other, size, own_stride, other_stride, precision: tl.constexpr,
    tile_own: tl.constexpr, tile_other: tl.constexpr, tile_units: tl.constexpr,
):  # fmt: skip
    """Compute the gradient of the rows `own` without the factor v, and the share of each row in the gradient of v."""
    row = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * tile_own + tl.arange(0, tile_own)
    c = tl.program_id(2) * tile_units + tl.arange(0, tile_units)
    owned = (i[:, None] < num_own) & (c[None, :] < size)
    x = tl.load(own + (row * num_own + i[:, None]) * size + c[None, :], owned, 0.0).to(precision)
    slopes = tl.zeros([tile_own, tile_units], precision)
    hiddens = tl.zeros([tile_own, tile_units], precision)
    for start in range(0, num_other, tile_other):
        j = start + tl.arange(0, tile_other)
        y = tl.load(other + (row * num_other + j[:, None]) * size + c, (j[:, None] < num_other) & (c < size), 0.0)
        inside = (i[:, None] < num_own) & (j[None, :] < num_other)
        place = row * num_own * num_other + i[:, None] * own_stride + j[None, :] * other_stride
        g = tl.load(gradient + place, inside, 0.0)[:, :, None]
        hidden = _tanh(x[:, None, :] + y.to(precision)[None, :, :])
        slopes += tl.sum(g * (1.0 - hidden * hidden), axis=1)
        hiddens += tl.sum(g * hidden, axis=1)
    tl.store(of_own + (row * num_own + i[:, None]) * size + c[None, :], slopes, owned)
    tl.store(of_v + (row * num_own + i[:, None]) * size + c[None, :], hiddens, owned)


def additive(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """Return v . tanh(q + k) of every pair: (B, H, T, D), (B, H, S, D), (H, D) -> (B, H, T, S), in at least float32."""
    return _Additive.apply(query, keys, v)


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        query, keys, v = query.contiguous(), keys.contiguous(), v.contiguous()
        ctx.save_for_backward(query, keys, v)
        batch, heads, num_queries, size = query.shape
        num_keys = keys.size(2)
        scores = at_least_float32(query.new_empty(batch, heads, num_queries, num_keys))
        grid = (batch * heads, triton.cdiv(num_queries, QUERIES), triton.cdiv(num_keys, KEYS))
        precision = _PRECISIONS[scores.dtype]
        forward_kernel[grid](
            query, keys, v, scores, heads, num_queries, num_keys, size, precision, QUERIES, KEYS, UNITS
        )
        return scores

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        require_first_derivative()
        query, keys, v = ctx.saved_tensors
        gradient = grad_outputs[0].contiguous()
        num_keys = keys.size(2)
        of_query, of_v = _gradient_of_rows(query, keys, gradient, num_keys, 1)
        of_keys, _ = _gradient_of_rows(keys, query, gradient, 1, num_keys)
        factor = v.to(gradient.dtype).unsqueeze(1)
        return (of_query * factor).to(query.dtype), (of_keys * factor).to(keys.dtype), of_v.sum((0, 2)).to(v.dtype)


def _gradient_of_rows(
    own: Tensor, other: Tensor, gradient: Tensor, own_stride: int, other_stride: int
) -> tuple[Tensor, Tensor]:
    batch, heads, num_own, size = own.shape
    of_own, of_v = torch.empty_like(own, dtype=gradient.dtype), torch.empty_like(own, dtype=gradient.dtype)
    grid = (batch * heads, triton.cdiv(num_own, QUERIES), triton.cdiv(size, UNITS))
    strides, precision = (own_stride, other_stride), _PRECISIONS[gradient.dtype]
    backward_kernel[grid](
        own, other, gradient, of_own, of_v, num_own, other.size(2), size, *strides, precision, QUERIES, KEYS, UNITS
    )
    return of_own, of_v


_PRECISIONS = {torch.float32: tl.float32, torch.float64: tl.float64}
