"""Additive scores in chunks: the (B, H, T, S, D) tensor of hidden units is never whole in memory.

Each chunk is made, summed and thrown away, and made again in the backward pass. Only the score is computed here, so
every normalizer profits. The hidden unit is written tanh(x) = 2 sigmoid(2 x) - 1, which costs a sixth of a tanh on some
CPUs, and has the derivative 4 s (1 - s).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from attentio.attention.precision import at_least_float32

CHUNK = 2**18
"""Hidden units computed at once: a megabyte, about what a core's cache holds."""


def additive(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """v . tanh(q + k) for every pair: (B, H, T, D), (B, H, S, D), (H, D) -> (B, H, T, S), in at least float32."""
    query, keys, v = at_least_float32(query), at_least_float32(keys), at_least_float32(v)
    if torch.is_grad_enabled() and (query.requires_grad or keys.requires_grad or v.requires_grad):
        return _Additive.apply(query, keys, v)
    return _scores(query, keys, v)


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        return _scores(query, keys, v)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]: the decorator hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, v = ctx.saved_tensors
        return _gradients(query, keys, v, grad_outputs[0])


def _scores(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    batch, heads, queries, size = query.shape
    num_keys = keys.size(2)
    scores = query.new_empty(batch, heads, queries, num_keys)
    for head, rows, columns, s in _hidden(query, keys):
        chunk = scores[rows, head, columns]
        chunk.copy_((s.view(-1, size) @ v[head]).view(chunk.shape))
    return scores.mul_(2).sub_(v.sum(-1)[:, None, None])


def _gradients(query: Tensor, keys: Tensor, v: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    size = query.size(-1)
    of_query, of_keys, of_v = torch.empty_like(query), torch.zeros_like(keys), torch.zeros_like(v)
    for head, rows, columns, s in _hidden(query, keys):
        g = gradient[rows, head, columns]  # (b, t, S), and s is (b, t, S, D)
        of_v[head].addmv_(s.view(-1, size).t(), g.reshape(-1))
        slope = s.addcmul_(s, s, value=-1)  # s (1 - s)
        of_query[rows, head, columns] = (g.unsqueeze(2) @ slope).squeeze(2)
        for t in range(g.size(1)):
            of_keys[rows, head].addcmul_(g[:, t, :, None], slope[:, t])
    scale = 4 * v.unsqueeze(1)
    of_v = 2 * of_v - gradient.sum((0, 2, 3)).unsqueeze(-1)
    return of_query.mul_(scale), of_keys.mul_(scale), of_v


def _hidden(query: Tensor, keys: Tensor) -> Iterator[tuple[int, slice, slice, Tensor]]:
    """(head, rows of the batch, queries, s): s (b, t, S, D) = sigmoid(2 (q + k)) lives until the next is asked for."""
    batch, heads, queries, size = query.shape
    num_keys = keys.size(2)
    per_query = max(1, num_keys * size)
    t = min(queries, max(1, CHUNK // per_query))
    b = min(batch, max(1, CHUNK // (per_query * t)))
    buffer = query.new_empty(b * t * per_query)
    query, keys = 2 * query, 2 * keys
    for head in range(heads):
        for row in range(0, batch, b):
            rows = slice(row, min(row + b, batch))
            for column in range(0, queries, t):
                columns = slice(column, min(column + t, queries))
                left, right = query[rows, head, columns].unsqueeze(2), keys[rows, head].unsqueeze(1)
                shape = (left.size(0), left.size(1), num_keys, size)
                s = buffer[: left.size(0) * left.size(1) * per_query].view(shape)
                yield head, rows, columns, torch.add(left, right, out=s).sigmoid_()
