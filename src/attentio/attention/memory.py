"""Memory: what a decoder looks at, prepared once per sentence, carried from step to step and never kept on a module."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ROOM = 8  # a growing memory has place for a multiple of so many positions: few sizes, and seldom a larger one


class Memory(NamedTuple):
    """Prepared keys (B, H, S, D), values (B, H, S, V), and mask (B, S): True = real position, None = all are real.

    In a beam, K rows of the batch ask about one sentence. Where `sharable`, they then have one row here, `shared_by` =
    K, and (B K) rows of queries attend to B rows of memory.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    sharable: bool = False  # what a query attends to depends on neither its position nor what came before it
    shared_by: int = 1

    @property
    def num_keys(self) -> int:
        """S, padding included."""
        return self.values.size(2)

    def lengths(self) -> Tensor:
        """(B,) the true length of each sentence."""
        if self.mask is None:
            return torch.full((self.values.size(0),), self.num_keys, device=self.values.device)
        return self.mask.sum(1)

    @property
    def num_rows(self) -> int:
        """How many rows of the batch look at it."""
        return self.values.size(0) * self.shared_by

    def select(self, indices: Tensor) -> "Memory":
        """The rows `indices` of the batch: finished sentences leave. A memory that is shared moves by whole sentences.

        Then `indices` holds, one after the other, all K rows of each sentence that stays.
        """
        if self.shared_by > 1:
            indices = indices[:: self.shared_by] // self.shared_by
        mask = None if self.mask is None else self.mask.index_select(0, indices)
        return self._replace(
            keys=self.keys.index_select(0, indices), values=self.values.index_select(0, indices), mask=mask
        )

    def repeat(self, times: int) -> "Memory":
        """Each row so many times, side by side, for the hypotheses of a beam; shared among them where it may be."""
        if self.sharable:
            return self._replace(shared_by=self.shared_by * times)
        return self.select(repeated(self.num_rows, times, self.values.device))

    def extend(self, later: "Memory") -> "Memory":
        """This memory followed by `later` along S. At every step of a search, see `GrowingMemory`."""
        keys = torch.cat([self.keys, later.keys], 2)
        values = torch.cat([self.values, later.values], 2)
        if self.mask is None and later.mask is None:
            return self._replace(keys=keys, values=values)
        mask = torch.cat([self._positions(), later._positions()], 1)
        return self._replace(keys=keys, values=values, mask=mask)

    def _positions(self) -> Tensor:
        if self.mask is not None:
            return self.mask
        return torch.ones(self.values.size(0), self.num_keys, dtype=torch.bool, device=self.values.device)


class GrowingMemory(NamedTuple):
    """The memory of self-attention while decoding: what `Memory.extend` gives, without copying all that came before.

    memory: its first `length` positions are real, in every row; behind them there is room, which its mask hides. No
    place for scores that remember something of every key: what they would of an empty place is not defined.
    """

    memory: Memory
    length: int
    written: list[int]  # [how many positions]: in these tensors, by this or any later state that shares them

    @classmethod
    def of(cls, memory: Memory) -> "GrowingMemory":
        """That memory, all of it real, without room."""
        return cls(memory, memory.num_keys, [memory.num_keys])

    def extend(self, later: Memory) -> "GrowingMemory":
        """All of `later` after what is here. What is here stays as it is, and may be extended in another way."""
        if self.length == 0:
            return self.of(later)
        if torch.is_grad_enabled():  # what a gradient needs must not be written to
            keys, values = (part[:, :, : self.length] for part in self.memory[:2])
            return self.of(Memory(keys, values, None).extend(later))
        end = self.length + later.num_keys
        free = end <= self.memory.num_keys and self.written[0] == self.length
        keys, values, written = (*self.memory[:2], self.written) if free else self._roomier(end)
        keys[:, :, self.length : end] = later.keys
        values[:, :, self.length : end] = later.values
        written[0] = end
        mask = torch.arange(keys.size(2), device=keys.device) < end
        mask = None if end == keys.size(2) else mask.expand(keys.size(0), -1)
        return GrowingMemory(self.memory._replace(keys=keys, values=values, mask=mask), end, written)

    def select(self, indices: Tensor) -> "GrowingMemory":
        """The rows `indices` of the batch."""
        return self._replace(memory=self.memory.select(indices), written=[self.length])

    def _roomier(self, end: int) -> tuple[Tensor, Tensor, list[int]]:
        """A copy with room up to `end` and beyond; zeros, since whatever stands there is multiplied by zero."""

        def copied(part: Tensor) -> Tensor:
            copy = part.new_zeros(*part.shape[:2], -(-end // ROOM) * ROOM, part.size(3))
            copy[:, :, : self.length] = part[:, :, : self.length]
            return copy

        return copied(self.memory.keys), copied(self.memory.values), [self.length]


def repeated(num_rows: int, times: int, device: torch.device) -> Tensor:
    """The indices that repeat each of `num_rows` rows, side by side: 0, 0, 1, 1, ... for two times."""
    return torch.arange(num_rows, device=device).repeat_interleave(times)


def widen(history: Tensor, num_keys: int) -> Tensor:
    """What is remembered of each key, (B, H, S), in a memory that has grown to `num_keys`: of new keys nothing, 0."""
    added = num_keys - history.size(-1)
    return F.pad(history, (0, added)) if added else history
