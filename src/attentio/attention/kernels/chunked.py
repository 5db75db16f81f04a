"""Additive scores in chunks: the (B, H, T, S, D) tensor of hidden units is never whole in memory.

Each chunk is computed, summed and dropped, and computed again in the backward pass. Only the score is computed here, so
it serves every normalizer. The hidden unit is `tanh(x) = 2 c` with `c = sigmoid(2 x) - 1/2`. On some CPUs that costs a
fifth of a tanh. Its derivative is `4 (1/4 - c^2)`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from attentio.attention.tensors import at_least_float32

CHUNK = 2**18
"""Number of hidden units computed at once: a megabyte, about the cache of a core."""


def additive(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """Return v . tanh(q + k) of every pair: (B, H, T, D), (B, H, S, D), (H, D) -> (B, H, T, S), in at least float32."""
    return _Additive.apply(at_least_float32(query), at_least_float32(keys), at_least_float32(v))


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        return _scores(query, keys, v)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        require_first_derivative()
        query, keys, v = ctx.saved_tensors
        return _gradients(query, keys, v, grad_outputs[0])


def require_first_derivative() -> None:
    """Raise RuntimeError in a backward pass that needs a gradient itself."""
    if torch.is_grad_enabled():
        raise RuntimeError("a fast additive score has no second derivative: use backend 'eager'")


def _scores(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    batch, heads, queries, size = query.shape
    scores = query.new_empty(batch, heads, queries, keys.size(2))
    for head, rows, columns, c in hidden_chunks(query, keys):
        some = scores[rows, head, columns]  # (b, t, S), and c is (b, t, S, D)
        torch.mul((c.view(-1, size) @ v[head]).view(some.shape), 2, out=some)
    return scores


def _gradients(query: Tensor, keys: Tensor, v: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    size = query.size(-1)
    quarter = torch.tensor(0.25, dtype=query.dtype, device=query.device)
    of_query, of_keys, of_v = torch.empty_like(query), torch.zeros_like(keys), torch.zeros_like(v)
    for head, rows, columns, c in hidden_chunks(query, keys):
        g = gradient[rows, head, columns]
        of_v[head].addmv_(c.view(-1, size).t(), g.reshape(-1))
        slope = torch.addcmul(quarter, c, c, value=-1, out=c)
        of_query[rows, head, columns] = (g.unsqueeze(2) @ slope).squeeze(2)
        for t in range(g.size(1)):
            of_keys[rows, head].addcmul_(g[:, t, :, None], slope[:, t])
    scale = 4 * v.unsqueeze(1)
    return of_query.mul_(scale), of_keys.mul_(scale), of_v.mul_(2)


def hidden_chunks(query: Tensor, keys: Tensor) -> Iterator[tuple[int, slice, slice, Tensor]]:
    """Yield head, rows of the batch, queries, and `c = tanh(q + k) / 2` (b, t, S, D), in one buffer for all."""
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
                c = buffer[: left.size(0) * left.size(1) * per_query].view(shape)
                yield head, rows, columns, torch.add(left, right, out=c).sigmoid_().sub_(0.5)
