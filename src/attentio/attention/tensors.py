"""Tensors: the conventions for masks, heads and precision, everywhere in Attentio.

- Masks are boolean, True means "may attend", and every mask broadcasts to (B, H, T, S): batch, heads, queries, keys.
  Other conventions (additive masks, True = ignore) are converted once, where they come in.
- Heads are slices of a vector that attend independently: views, without a projection.
- Scores, exponentials, positions and sums are in at least float32, with one exception. Inner products of bfloat16 are
  summed in float32 and rounded to bfloat16, which has the same range.
"""

import math
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def padding(lengths: Tensor, size: int) -> Tensor:
    """Return (B, size) for true lengths (B,): True at the real positions, which come first."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def causal(num_queries: int, num_keys: int, *, offset: int = 0, device: torch.device | None = None) -> Tensor:
    """Return (T, S): query t, at position `offset + t`, sees the keys up to its own position."""
    return distances(num_queries, num_keys, offset=offset, device=device) <= 0


def distances(num_queries: int, num_keys: int, *, offset: int = 0, device: torch.device | None = None) -> Tensor:
    """Return (T, S): the position of the key minus that of the query, `j - (offset + t)`."""
    queries = offset + torch.arange(num_queries, device=device)
    return torch.arange(num_keys, device=device) - queries[:, None]


def combine(*masks: Tensor | None) -> Tensor | None:
    """Return what all of these masks allow. None allows everything."""
    combined = None
    for mask in masks:
        if mask is not None:
            combined = mask if combined is None else combined & mask
    return combined


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return half precision as float32. float32 and float64 stay as they are."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def is_traced() -> bool:
    """Return whether a compiler or an ONNX export is tracing. Does not import `torch.onnx`, which takes 40 ms."""
    return torch.compiler.is_compiling() or ("torch.onnx" in sys.modules and torch.onnx.is_in_onnx_export())


def split_heads(vectors: Tensor, num_heads: int) -> Tensor:
    """Return vectors cut into heads: (B, T, H*D) -> (B, H, T, D)."""
    batch, length, size = vectors.shape
    return vectors.view(batch, length, num_heads, size // num_heads).transpose(1, 2)


def merge_heads(context: Tensor) -> Tensor:
    """Return the contexts of all heads side by side: (B, H, T, V) -> (B, T, H*V)."""
    return context.transpose(1, 2).flatten(2)


def uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Return a parameter drawn as `nn.Linear` draws its weights."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class HeadLinear(nn.Module):
    """A linear map for each head: (B, H, T, I) -> (B, H, T, O), weight (H, O, I), initialized as `nn.Linear`."""

    def __init__(self, in_size: int, out_size: int, num_heads: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = uniform(num_heads, out_size, in_size, fan_in=in_size)
        self.bias = uniform(num_heads, out_size, fan_in=in_size) if bias else None

    def forward(self, vectors: Tensor) -> Tensor:
        if self.weight.size(0) == 1:  # one matrix product instead of one per sentence
            return F.linear(vectors, self.weight[0], None if self.bias is None else self.bias[0])
        mapped = torch.einsum("bhti,hoi->bhto", vectors, self.weight)
        return mapped if self.bias is None else mapped + self.bias.unsqueeze(1)
