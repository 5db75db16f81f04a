"""Heads: how a vector is cut into slices that attend on their own, and a linear map that each head has for itself.

Cutting is only a view: no projection comes along. The projections of a Transformer live in `multihead.py`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def split_heads(vectors: Tensor, num_heads: int) -> Tensor:
    """(B, T, H*D) -> (B, H, T, D)."""
    batch, length, size = vectors.shape
    return vectors.view(batch, length, num_heads, size // num_heads).transpose(1, 2)


def merge_heads(context: Tensor) -> Tensor:
    """(B, H, T, V) -> (B, T, H*V): the heads' contexts side by side."""
    return context.transpose(1, 2).flatten(2)


class HeadLinear(nn.Module):
    """A linear map for each head: (B, H, T, I) -> (B, H, T, O), weight (H, O, I), initialised like `nn.Linear`."""

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
