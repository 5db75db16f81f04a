"""Memory: what a decoder looks at, prepared once per sentence, carried from step to step and never kept on a module."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Memory(NamedTuple):
    """Prepared keys (B, H, S, D), values (B, H, S, V), and mask (B, S): True = real position, None = all are real."""

    keys: Tensor
    values: Tensor
    mask: Tensor | None

    @property
    def num_keys(self) -> int:
        """S, padding included."""
        return self.values.size(2)

    def lengths(self) -> Tensor:
        """(B,) the true length of each sentence."""
        if self.mask is None:
            return torch.full((self.values.size(0),), self.num_keys, device=self.values.device)
        return self.mask.sum(1)

    def select(self, indices: Tensor) -> "Memory":
        """The rows `indices` of the batch: beams change places, finished sentences leave."""
        mask = None if self.mask is None else self.mask.index_select(0, indices)
        return Memory(self.keys.index_select(0, indices), self.values.index_select(0, indices), mask)

    def extend(self, later: "Memory") -> "Memory":
        """This memory followed by `later` along S: how the memory of self-attention grows while decoding."""
        keys = torch.cat([self.keys, later.keys], 2)
        values = torch.cat([self.values, later.values], 2)
        if self.mask is None and later.mask is None:
            return Memory(keys, values, None)
        return Memory(keys, values, torch.cat([self._positions(), later._positions()], 1))

    def _positions(self) -> Tensor:
        if self.mask is not None:
            return self.mask
        return torch.ones(self.values.size(0), self.num_keys, dtype=torch.bool, device=self.values.device)


def widen(past: Tensor, num_keys: int) -> Tensor:
    """What is remembered of each key, (B, H, S), in a memory that has grown to `num_keys`: of new keys nothing, 0."""
    added = num_keys - past.size(-1)
    return F.pad(past, (0, added)) if added else past
