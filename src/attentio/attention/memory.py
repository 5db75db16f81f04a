"""Memory: what a decoder attends to, prepared once per sentence, carried from step to step, never kept on a module."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.attention.tensors import is_traced

ROOM = 8  # a growing memory has room for a multiple of so many positions, so that it seldom grows


class Memory(NamedTuple):
    """Prepared keys (B, H, S, D), values (B, H, S, V) and mask (B, S): True = real position, None = all are real.

    In a beam, K rows of the batch attend to one sentence. If the memory is `sharable`, they share one row here.
    Then `shared_by` is K, and B K rows of queries attend to B rows of memory.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    sharable: bool = False  # attention depends neither on the position of a query nor on earlier queries
    shared_by: int = 1

    @property
    def num_keys(self) -> int:
        """S, with padding."""
        return self.values.size(2)

    def lengths(self) -> Tensor:
        """Return the true length of each sentence, (B,)."""
        if self.mask is None:
            return torch.full((self.values.size(0),), self.num_keys, device=self.values.device)
        return self.mask.sum(1)

    @property
    def num_rows(self) -> int:
        """The number of rows of the batch that attend to it."""
        return self.values.size(0) * self.shared_by

    def select(self, indices: Tensor) -> "Memory":
        """Return the rows `indices` of the batch, without finished sentences.

        Of a shared memory, `indices` holds all K rows of each sentence that stays, one after the other.
        """
        if self.shared_by > 1:
            indices = indices[:: self.shared_by] // self.shared_by
        keys, values, mask = (None if part is None else part.index_select(0, indices) for part in self[:3])
        return self._replace(keys=keys, values=values, mask=mask)

    def repeat(self, times: int) -> "Memory":
        """Return each row so many times, side by side, for the hypotheses of a beam. A sharable memory is shared."""
        if self.sharable:
            return self._replace(shared_by=self.shared_by * times)
        return self.select(repeated(self.num_rows, times, self.values.device))

    def extend(self, later: "Memory") -> "Memory":
        """Return this memory followed by `later` along S. A search uses `GrowingMemory` instead."""
        masks = [
            x.new_ones(x.shape[::2], dtype=torch.bool) if mask is None else mask for _, x, mask, *_ in (self, later)
        ]
        mask = None if self.mask is None and later.mask is None else torch.cat(masks, 1)
        keys, values = (torch.cat([mine, new], 2) for mine, new in zip(self[:2], later[:2], strict=True))
        return self._replace(keys=keys, values=values, mask=mask)


class GrowingMemory(NamedTuple):
    """The memory of self-attention in decoding: as `Memory.extend`, but without a copy at every step.

    memory: its first `length` positions are real in every row. The room behind them is masked. Scores with a history
    are not supported, because they would remember the empty room.
    """

    memory: Memory
    length: int
    written: list[int]  # [number of positions] written in these tensors, also by later states that share them

    @classmethod
    def of(cls, memory: Memory) -> "GrowingMemory":
        """Return this memory, without room behind it."""
        return cls(memory, memory.num_keys, [memory.num_keys])

    def extend(self, later: Memory) -> "GrowingMemory":
        """Return this memory followed by `later`. This one stays as it is, and may be extended in another way."""
        if self.length == 0:
            return self.of(later)
        if torch.is_grad_enabled() or is_traced():  # what follows changes tensors in place
            keys, values = (part[:, :, : self.length] for part in self.memory[:2])
            return self.of(Memory(keys, values, None).extend(later))
        end = self.length + later.num_keys
        free = end <= self.memory.num_keys and self.written[0] == self.length
        keys, values, written = (*self.memory[:2], self.written)
        if not free:  # the room behind is zero, not NaN
            room, written = (0, 0, 0, -(-end // ROOM) * ROOM - self.length), [self.length]
            keys, values = (F.pad(part[:, :, : self.length], room) for part in self.memory[:2])
        keys[:, :, self.length : end] = later.keys
        values[:, :, self.length : end] = later.values
        written[0] = end
        mask = torch.arange(keys.size(2), device=keys.device) < end
        mask = None if end == keys.size(2) else mask.expand(keys.size(0), -1)
        return GrowingMemory(self.memory._replace(keys=keys, values=values, mask=mask), end, written)

    def without_room(self) -> Memory:
        """Return what is written, without the room behind it."""
        keys, values = (part[:, :, : self.length] for part in self.memory[:2])
        return self.memory._replace(keys=keys, values=values, mask=None)

    def select(self, indices: Tensor) -> "GrowingMemory":
        """Return the rows `indices` of the batch."""
        return self._replace(memory=self.memory.select(indices), written=[self.length])


def repeated(num_rows: int, times: int, device: torch.device) -> Tensor:
    """Return the indices that repeat each row side by side: 0, 0, 1, 1, ... for two times."""
    return torch.arange(num_rows, device=device).repeat_interleave(times)


def widen(history: Tensor, num_keys: int) -> Tensor:
    """Return the history (B, H, S) of a memory that has grown to `num_keys`, with 0 for new keys."""
    added = num_keys - history.size(-1)
    return F.pad(history, (0, added)) if added else history
