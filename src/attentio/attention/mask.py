"""Masks: boolean tensors in which True means "may attend", everywhere in Attentio.

Every mask broadcasts to (B, H, T, S): batch, heads, queries, keys. Other conventions (additive masks, True = ignore)
are converted once, where they come in. Windows (`window.py`) are made of the masks here.
"""

import torch
from torch import Tensor


def padding(lengths: Tensor, size: int) -> Tensor:
    """Return (B, size) for true lengths (B,): True at the real positions, which come first."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def causal(num_queries: int, num_keys: int, *, offset: int = 0, device: torch.device | None = None) -> Tensor:
    """Return (T, S): query t, at position `offset + t`, sees the keys up to its own position."""
    return distances(num_queries, num_keys, offset=offset, device=device) <= 0


def distances(num_queries: int, num_keys: int, *, offset: int = 0, device: torch.device | None = None) -> Tensor:
    """Return (T, S): the position of the key minus that of the query, `j - (offset + t)`."""
    queries = torch.arange(offset, offset + num_queries, device=device)
    keys = torch.arange(num_keys, device=device)
    return keys - queries[:, None]


def combine(*masks: Tensor | None) -> Tensor | None:
    """Return what all of these masks allow. None allows everything."""
    combined = None
    for mask in masks:
        if mask is not None:
            combined = mask if combined is None else combined & mask
    return combined
