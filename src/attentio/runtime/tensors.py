"""What a search does with arrays (`runtime.arrays`), with those of torch."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, final

import numpy as np
import torch

from attentio.runtime.arrays import Array, Arrays


@final
class TorchArrays(Arrays):
    """Tensors on a device. They stay there."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.has_workers = device.type == "cpu"

    @property
    def workers(self) -> int:
        return torch.get_num_threads()

    def one_thread(self) -> None:
        torch.set_num_threads(1)

    def at_work(self) -> AbstractContextManager[object]:
        from attentio.runtime.waiting import WATCH  # not needed to open a model

        return WATCH.work(small=True)

    def of(self, values: Any) -> Array:
        if isinstance(values, np.ndarray):
            return torch.from_numpy(values).to(self.device)
        return torch.as_tensor(values, device=self.device)

    def numpy(self, array: Array) -> "np.ndarray[Any, Any]":
        return (array.float() if array.is_floating_point() else array).cpu().numpy()

    def full(self, shape: Sequence[int], value: bool | int | float) -> Array:
        return torch.full(tuple(shape), value, device=self.device)

    def arange(self, size: int) -> Array:
        return torch.arange(size, device=self.device)

    def floats(self, array: Array, *, double: bool = False) -> Array:
        return array.double() if double else array.float()

    def where(self, condition: Array, first: Array, second: Array | float) -> Array:
        return torch.where(condition, first, second)

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        return torch.cat(list(arrays), dim=axis)

    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return torch.stack(list(arrays), dim=axis)

    def take(self, array: Array, places: Array) -> Array:
        return array.gather(1, places)

    def nonzero(self, array: Array) -> tuple[Array, ...]:
        return array.nonzero().unbind(1)

    def repeat(self, array: Array, times: int) -> Array:
        return array.repeat_interleave(times, dim=0)

    def best(self, rows: Array) -> tuple[Array, Array]:
        found = rows.max(dim=-1)
        return found.values, found.indices

    def top(self, rows: Array, count: int) -> tuple[Array, Array]:
        found = rows.topk(count, dim=-1)
        return found.values, found.indices

    def top_sums(self, rows: Array, added: Array, count: int) -> tuple[Array, Array]:
        groups, width = added.shape
        size = rows.shape[-1]
        # The highest of a group are among as many of each of its rows.
        wide = min(count, size)
        best, columns = self.top(rows, wide)  # (G W, wide)
        sums, place = self.top((best + added.reshape(-1, 1)).reshape(groups, width * wide), count)
        return sums, place // wide * size + self.take(columns.reshape(groups, width * wide), place)

    def order(self, rows: Array, *, descending: bool = False) -> Array:
        return rows.sort(dim=-1, stable=True, descending=descending).indices

    def logsumexp(self, rows: Array) -> Array:
        # torch's own takes twice as long as this on a CPU.
        return rows.amax(dim=-1) - rows.log_softmax(dim=-1).amax(dim=-1)

    def log_softmax(self, rows: Array) -> Array:
        return rows.log_softmax(dim=-1)

    def softmax(self, rows: Array) -> Array:
        return rows.softmax(dim=-1)

    def inference(self) -> AbstractContextManager[object]:
        return torch.inference_mode()


@cache
def arrays_on(device: torch.device) -> TorchArrays:
    """Return the functions for tensors on a device."""
    return TorchArrays(device)
