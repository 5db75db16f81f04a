"""Heads: slices of a vector that attend independently, and a linear map for each head.

A slice is only a view, without a projection. The projections of a Transformer are in `multihead.py`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def split_heads(vectors: Tensor, num_heads: int) -> Tensor:
    """Return vectors cut into heads: (B, T, H*D) -> (B, H, T, D)."""
    batch, length, size = vectors.shape
    return vectors.view(batch, length, num_heads, size // num_heads).transpose(1, 2)


def merge_heads(context: Tensor) -> Tensor:
    """Return the contexts of all heads side by side: (B, H, T, V) -> (B, T, H*V)."""
    return context.transpose(1, 2).flatten(2)


class HeadLinear(nn.Module):
    """A linear map for each head: (B, H, T, I) -> (B, H, T, O), weight (H, O, I), initialized as `nn.Linear`."""

    def __init__(self, in_size: int, out_size: int, num_heads: int, *, bias: bool = False) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_size)
        self.weight = nn.Parameter(torch.empty(num_heads, out_size, in_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_heads, out_size).uniform_(-bound, bound)) if bias else None

    def forward(self, vectors: Tensor) -> Tensor:
        if self.weight.size(0) == 1:  # one matrix product instead of one per sentence
            return F.linear(vectors, self.weight[0], None if self.bias is None else self.bias[0])
        mapped = torch.einsum("bhti,hoi->bhto", vectors, self.weight)
        return mapped if self.bias is None else mapped + self.bias.unsqueeze(1)
