"""What a search does with arrays, in the same words for numpy and for torch.

A model names the `Arrays` that its numbers live in. What both libraries spell alike is written as it is: operators,
indexing, `any`, `sum(axis=)`, `cumsum(-1)`, `reshape`, `tolist`. The rest stands here. Rows are the last axis.
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
    def top_sums(self, rows: Array, added: Array, count: int) -> tuple[Array, Array]:
        """Return the highest of each group of W rows, each with a number added, highest first, and their places.

        rows: (G W, N). added: (G, W). Sums and places (G, count), counted over the W N entries of a group.
        """

    @abstractmethod
    def order(self, rows: Array, *, descending: bool = False) -> Array:
        """Return the places that sort each row. Equal entries keep their order."""

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
        return array[np.arange(len(array))[:, None], places]

    def nonzero(self, array: Array) -> tuple[Array, ...]:
        return np.nonzero(array)

    def repeat(self, array: Array, times: int) -> Array:
        return np.repeat(array, times, axis=0)

    def best(self, rows: Array) -> tuple[Array, Array]:
        return rows.max(axis=-1), rows.argmax(axis=-1)

    def top(self, rows: Array, count: int) -> tuple[Array, Array]:
        shape = (*rows.shape[:-1], count)
        flat = rows.reshape(-1, rows.shape[-1])
        values, places = _top(flat, np.zeros((len(flat), 1), dtype=flat.dtype), count)
        return values.reshape(shape), places.reshape(shape)

    def top_sums(self, rows: Array, added: Array, count: int) -> tuple[Array, Array]:
        return _top(rows, added, count)

    def order(self, rows: Array, *, descending: bool = False) -> Array:
        return np.argsort(-rows if descending else rows, axis=-1, kind="stable")

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
_LEAST_GROUPS = 128  # into which a row is cut: more than any count, and few beside a vocabulary
_ROUNDING = 1e-6  # more than a sum of two numbers can be off, as a share of both


def _top(rows: Array, added: Array, count: int) -> tuple[Array, Array]:
    """Return `NumpyArrays.top_sums`.

    A row is cut into groups of columns. The `count` highest of their maxima are all sums, so that nothing below them
    can be among the highest. That takes a third of the time of `argpartition`.
    """
    groups, width = added.shape
    size = rows.shape[1]
    if size >= 2 * _LEAST_GROUPS and count <= _LEAST_GROUPS // 2:
        maxima = (_maxima(rows).reshape(groups, width, -1) + added[:, :, None]).reshape(groups, -1)
        place = maxima.shape[1] - count
        least = np.partition(maxima, place, axis=1)[:, place, None]  # (G, 1)
        with np.errstate(invalid="ignore"):  # a row to which -inf is added has nothing
            bound = least - added - _ROUNDING * (np.abs(least) + np.abs(added))
        found = (rows >= bound.reshape(-1, 1)).ravel().nonzero()[0]
        if len(found) <= 8 * count * groups:  # else many are equal, as where nearly all are forbidden
            group = found // (width * size)
            values = rows.ravel()[found] + added.ravel()[found // size]
            order = np.lexsort((-values, group))
            taken = order[np.searchsorted(group, np.arange(groups))[:, None] + np.arange(count)]
            return values[taken], found[taken] % (width * size)
    sums = (rows.reshape(groups, width, size) + added[:, :, None]).reshape(groups, -1)
    row = np.arange(groups)[:, None]
    if sums.shape[1] > _LEAST_GROUPS:
        places = np.sort(np.argpartition(sums, sums.shape[1] - count, axis=1)[:, -count:], axis=1)
        places = places[row, np.argsort(-sums[row, places], axis=1, kind="stable")]
    else:
        places = np.argsort(-sums, axis=1, kind="stable")[:, :count]
    return sums[row, places], places


def _maxima(rows: Array) -> Array:
    """Return the maxima of groups of columns of rows (R, N): at least so many, and of nearly all columns."""
    times = (rows.shape[1] // _LEAST_GROUPS).bit_length() - 1
    left = rows[:, : rows.shape[1] >> times << times]
    for _ in range(times):  # two halves at a time, each as long as can be
        left = np.maximum(left[:, : left.shape[1] // 2], left[:, left.shape[1] // 2 :])
    return left


def arrays_of(array: Array) -> Arrays:
    """Return the functions for an array."""
    if isinstance(array, np.ndarray):
        return NUMPY
    from attentio.runtime.tensors import arrays_on  # where there is an array of torch, torch is loaded

    return arrays_on(array.device)
