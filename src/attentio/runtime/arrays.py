"""What a search does with arrays, in the same words for numpy and for torch.

A model names the `Arrays` that its numbers live in. What both libraries spell alike is written as it is: operators,
indexing, `any`, `sum(axis=)`, `reshape`, `tolist`. The rest stands here. Rows are the last axis.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias, final

import numpy as np

Array: TypeAlias = Any  # of numpy, or of torch


class Arrays(ABC):
    """Functions on the arrays of one library, on one device."""

    @abstractmethod
    def of(self, values: Any) -> Array:
        """Return an array of numpy, or a list of numbers, as an array of this kind."""

    @abstractmethod
    def numpy(self, array: Array) -> "np.ndarray[Any, Any]":
        """Return an array as numpy's."""

    @abstractmethod
    def full(self, shape: Sequence[int], value: bool | int | float) -> Array:
        """Return an array of one value: of bool, int64 or float32, as the value is."""

    @abstractmethod
    def arange(self, size: int) -> Array:
        """Return 0, 1, ... size - 1, in int64."""

    @abstractmethod
    def floats(self, array: Array, *, double: bool = False) -> Array:
        """Return an array in float32, or in float64."""

    @abstractmethod
    def where(self, condition: Array, first: Array, second: Array | float) -> Array: ...

    @abstractmethod
    def concat(self, arrays: Sequence[Array], axis: int) -> Array: ...

    @abstractmethod
    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array: ...

    @abstractmethod
    def take(self, array: Array, places: Array) -> Array:
        """Return the entries of each row (G, N) at places (G, C)."""

    @abstractmethod
    def nonzero(self, array: Array) -> tuple[Array, ...]:
        """Return the places of what is not zero, an array for each axis."""

    @abstractmethod
    def repeat(self, array: Array, times: int) -> Array:
        """Return each entry of the first axis so many times, side by side."""

    @abstractmethod
    def best(self, rows: Array) -> tuple[Array, Array]:
        """Return the highest entry of each row, and its place."""

    @abstractmethod
    def top(self, rows: Array, count: int) -> tuple[Array, Array]:
        """Return the highest entries of each row, highest first, and their places."""

    @abstractmethod
    def order(self, rows: Array, *, descending: bool = False) -> Array:
        """Return the places that sort each row. Equal entries keep their order."""

    @abstractmethod
    def cumsum(self, rows: Array) -> Array: ...

    @abstractmethod
    def logsumexp(self, rows: Array) -> Array: ...

    @abstractmethod
    def log_softmax(self, rows: Array) -> Array: ...

    @abstractmethod
    def softmax(self, rows: Array) -> Array: ...

    has_workers: bool = True  # whether copies of this process can compute

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many of them are worth having."""

    def one_thread(self) -> None:
        """Compute with one thread from now on, where several threads of this process compute side by side."""
        return

    def at_work(self) -> AbstractContextManager[object]:
        """Return the context of a piece of work for somebody who waits."""
        return nullcontext()

    @abstractmethod
    def inference(self) -> AbstractContextManager[object]:
        """Return the context to compute in where nothing is learned."""


@final
class NumpyArrays(Arrays):
    """Arrays of numpy."""

    @property
    def workers(self) -> int:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        asked = os.environ.get("OMP_NUM_THREADS", "")
        return int(asked) if asked.isdecimal() and int(asked) else cores

    def of(self, values: Any) -> Array:
        return np.asarray(values)

    def numpy(self, array: Array) -> "np.ndarray[Any, Any]":
        return array

    def full(self, shape: Sequence[int], value: bool | int | float) -> Array:
        return np.full(shape, value, dtype=np.float32 if isinstance(value, float) else None)

    def arange(self, size: int) -> Array:
        return np.arange(size)

    def floats(self, array: Array, *, double: bool = False) -> Array:
        return array.astype(np.float64 if double else np.float32, copy=False)

    def where(self, condition: Array, first: Array, second: Array | float) -> Array:
        return np.where(condition, first, second)

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        return np.concatenate(arrays, axis=axis)

    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return np.stack(arrays, axis=axis)

    def take(self, array: Array, places: Array) -> Array:
        return np.take_along_axis(array, places, axis=1)

    def nonzero(self, array: Array) -> tuple[Array, ...]:
        return np.nonzero(array)

    def repeat(self, array: Array, times: int) -> Array:
        return np.repeat(array, times, axis=0)

    def best(self, rows: Array) -> tuple[Array, Array]:
        places = rows.argmax(axis=-1)
        return np.take_along_axis(rows, places[..., None], axis=-1)[..., 0], places

    def top(self, rows: Array, count: int) -> tuple[Array, Array]:
        shape = (*rows.shape[:-1], count)
        values, places = _top(rows.reshape(-1, rows.shape[-1]), count)
        return values.reshape(shape), places.reshape(shape)

    def order(self, rows: Array, *, descending: bool = False) -> Array:
        return np.argsort(-rows if descending else rows, axis=-1, kind="stable")

    def cumsum(self, rows: Array) -> Array:
        return rows.cumsum(axis=-1)

    def logsumexp(self, rows: Array) -> Array:
        highest = rows.max(axis=-1, keepdims=True)
        powers = rows - highest
        return np.log(np.exp(powers, out=powers).sum(axis=-1)) + highest[..., 0]

    def log_softmax(self, rows: Array) -> Array:
        return rows - self.logsumexp(rows)[..., None]

    def softmax(self, rows: Array) -> Array:
        powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def inference(self) -> AbstractContextManager[object]:
        return nullcontext()


NUMPY = NumpyArrays()
_GROUPS = 128  # into which a row is cut: more than any count, and few beside a vocabulary


def _top(rows: Array, count: int) -> tuple[Array, Array]:
    """Return `NumpyArrays.top` of rows (R, N).

    A row is cut into groups. The `count` highest of their maxima are all in the row, so that nothing below them is
    looked at again. That takes a third of the time of `argpartition`.
    """
    size, number = rows.shape[1], len(rows)
    long = size // _GROUPS
    if long > 1 and count <= _GROUPS // 2:
        maxima = rows[:, : long * _GROUPS].reshape(number, long, _GROUPS).max(axis=1)
        least = np.partition(maxima, _GROUPS - count, axis=1)[:, _GROUPS - count, None]
        found = np.flatnonzero(rows >= least)
        if len(found) <= 8 * count * number:  # else many are equal, as where nearly all are forbidden
            row, place = np.divmod(found, size)
            values = rows.reshape(-1)[found]
            order = np.lexsort((-values, row))
            taken = order[np.searchsorted(row, np.arange(number))[:, None] + np.arange(count)]
            return values[taken], place[taken]
    places = np.sort(np.argpartition(rows, size - count, axis=1)[:, size - count :], axis=1)
    values = np.take_along_axis(rows, places, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(places, order, axis=1)


def arrays_of(array: Array) -> Arrays:
    """Return the functions for an array."""
    if isinstance(array, np.ndarray):
        return NUMPY
    from attentio.runtime.tensors import arrays_on  # where there is an array of torch, torch is loaded

    return arrays_on(array.device)
