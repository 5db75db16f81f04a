"""Additive scores on a GPU in one Triton kernel each way; imported only where Triton is installed.

A forward program owns a tile of queries by keys and goes through the hidden units; nothing of size (T, S, D) is
written. Backward makes the hidden units again: a program owns rows of one side and a block of hidden units and goes
through the other side, once for queries and once for keys, so that no two programs add to one place and the result is
the same every time.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false, reportUntypedFunctionDecorator=false

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from attentio.attention.chunked import require_first_derivative

QUERIES, KEYS, UNITS = 8, 8, 64


@triton.jit
def _tanh(x):
    # Interpreter and every GPU know exp; written so that it never overflows.
    e = tl.exp(-2.0 * tl.abs(x))
    t = (1.0 - e) / (1.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def _forward(
    query, keys, v, scores, heads, num_queries, num_keys, size,
    tile_queries: tl.constexpr, tile_keys: tl.constexpr, tile_units: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(2)  # b * H + h
    i = tl.program_id(0) * tile_queries + tl.arange(0, tile_queries)
    j = tl.program_id(1) * tile_keys + tl.arange(0, tile_keys)
    total = tl.zeros([tile_queries, tile_keys, tile_units], tl.float32)
    for start in range(0, size, tile_units):
        c = start + tl.arange(0, tile_units)
        q = tl.load(query + (row * num_queries + i[:, None]) * size + c, (i[:, None] < num_queries) & (c < size), 0.0)
        k = tl.load(keys + (row * num_keys + j[:, None]) * size + c, (j[:, None] < num_keys) & (c < size), 0.0)
        w = tl.load(v + (row % heads) * size + c, c < size, 0.0)
        hidden = _tanh(q.to(tl.float32)[:, None, :] + k.to(tl.float32)[None, :, :])
        total += w.to(tl.float32)[None, None, :] * hidden
    inside = (i[:, None] < num_queries) & (j[None, :] < num_keys)
    tl.store(scores + (row * num_queries + i[:, None]) * num_keys + j[None, :], tl.sum(total, axis=2), inside)


@triton.jit
def _backward(
    own, other, gradient, of_own, of_v, num_own, num_other, size, own_stride, other_stride,
    tile_own: tl.constexpr, tile_other: tl.constexpr, tile_units: tl.constexpr,
):  # fmt: skip
    """Gradient of the rows `own`, without the factor v, and each row's share in the gradient of v."""
    row = tl.program_id(2)
    i = tl.program_id(0) * tile_own + tl.arange(0, tile_own)
    c = tl.program_id(1) * tile_units + tl.arange(0, tile_units)
    owned = (i[:, None] < num_own) & (c[None, :] < size)
    x = tl.load(own + (row * num_own + i[:, None]) * size + c[None, :], owned, 0.0).to(tl.float32)
    slopes = tl.zeros([tile_own, tile_units], tl.float32)
    hiddens = tl.zeros([tile_own, tile_units], tl.float32)
    for start in range(0, num_other, tile_other):
        j = start + tl.arange(0, tile_other)
        y = tl.load(other + (row * num_other + j[:, None]) * size + c, (j[:, None] < num_other) & (c < size), 0.0)
        inside = (i[:, None] < num_own) & (j[None, :] < num_other)
        place = row * num_own * num_other + i[:, None] * own_stride + j[None, :] * other_stride
        g = tl.load(gradient + place, inside, 0.0)[:, :, None]
        hidden = _tanh(x[:, None, :] + y.to(tl.float32)[None, :, :])
        slopes += tl.sum(g * (1.0 - hidden * hidden), axis=1)
        hiddens += tl.sum(g * hidden, axis=1)
    tl.store(of_own + (row * num_own + i[:, None]) * size + c[None, :], slopes, owned)
    tl.store(of_v + (row * num_own + i[:, None]) * size + c[None, :], hiddens, owned)


def additive(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """v . tanh(q + k) for every pair: (B, H, T, D), (B, H, S, D), (H, D) -> (B, H, T, S) in float32."""
    return _Additive.apply(query, keys, v)


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        query, keys, v = query.contiguous(), keys.contiguous(), v.contiguous()
        ctx.save_for_backward(query, keys, v)
        batch, heads, num_queries, size = query.shape
        num_keys = keys.size(2)
        scores = torch.empty(batch, heads, num_queries, num_keys, device=query.device)
        grid = (triton.cdiv(num_queries, QUERIES), triton.cdiv(num_keys, KEYS), batch * heads)
        _forward[grid](query, keys, v, scores, heads, num_queries, num_keys, size, QUERIES, KEYS, UNITS)
        return scores

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        require_first_derivative()
        query, keys, v = ctx.saved_tensors
        gradient = grad_outputs[0].contiguous().float()
        num_keys = keys.size(2)
        of_query, of_v = _gradient_of_rows(query, keys, gradient, num_keys, 1)
        of_keys, _ = _gradient_of_rows(keys, query, gradient, 1, num_keys)
        factor = v.float().unsqueeze(1)
        return (of_query * factor).to(query.dtype), (of_keys * factor).to(keys.dtype), of_v.sum((0, 2)).to(v.dtype)


def _gradient_of_rows(
    own: Tensor, other: Tensor, gradient: Tensor, own_stride: int, other_stride: int
) -> tuple[Tensor, Tensor]:
    batch, heads, num_own, size = own.shape
    of_own = torch.empty(own.shape, device=own.device)
    of_v = torch.empty(own.shape, device=own.device)
    grid = (triton.cdiv(num_own, QUERIES), triton.cdiv(size, UNITS), batch * heads)
    _backward[grid](
        own, other, gradient, of_own, of_v, num_own, other.size(2), size, own_stride, other_stride, QUERIES, KEYS, UNITS
    )
    return of_own, of_v
