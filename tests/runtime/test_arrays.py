"""The words of a search mean the same for numpy and for torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attentio.runtime.arrays import NUMPY, Arrays, arrays_of
from attentio.runtime.tensors import arrays_on

TORCH = arrays_on(torch.device("cpu"))
ROWS = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
PLACES = np.array([[0, 6], [1, 1], [2, 5], [3, 4], [6, 0]])

# What is said, in both libraries, of these rows.
WORDS: dict[str, Callable[[Arrays], Any]] = {
    "full": lambda xp: [xp.full((2, 3), 1), xp.full((2,), True), xp.full((1, 2), -np.inf)],
    "arange": lambda xp: [xp.arange(4)],
    "floats": lambda xp: [xp.floats(xp.of(ROWS), double=True), xp.floats(xp.arange(3))],
    "where": lambda xp: [xp.where(xp.of(ROWS) > 0, -np.inf, xp.of(ROWS)), xp.where(xp.of(ROWS) > 0, 1, 0)],
    "concat": lambda xp: [xp.concat([xp.of(ROWS), xp.of(ROWS)], axis=1), xp.stack([xp.of(ROWS)] * 2, axis=1)],
    "take": lambda xp: [xp.take(xp.of(ROWS), xp.of(PLACES))],
    "nonzero": lambda xp: list(xp.nonzero(xp.of(ROWS) > 0.5)),
    "repeat": lambda xp: [xp.repeat(xp.of(ROWS), 3)],
    "best": lambda xp: list(xp.best(xp.of(ROWS))),
    "top": lambda xp: list(xp.top(xp.of(ROWS), 3)),
    "top_sums": lambda xp: list(xp.top_sums(xp.of(ROWS[:4]), xp.of(np.array([[0, -1], [-np.inf, 2]], np.float32)), 5)),
    "order": lambda xp: [xp.order(xp.of(ROWS)), xp.order(xp.of(PLACES), descending=True)],
    "cumsum": lambda xp: [xp.of(ROWS).cumsum(-1), (xp.of(ROWS) > 0).cumsum(-1)],
    "logsumexp": lambda xp: [xp.logsumexp(xp.of(ROWS)), xp.log_softmax(xp.of(ROWS)), xp.softmax(xp.of(ROWS))],
}


@pytest.mark.parametrize("word", WORDS)
def test_numpy_and_torch_say_the_same(word: str) -> None:
    for mine, theirs in zip(WORDS[word](NUMPY), WORDS[word](TORCH), strict=True):
        assert isinstance(mine, np.ndarray)
        assert isinstance(theirs, torch.Tensor)
        assert str(mine.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_allclose(mine, TORCH.numpy(theirs), rtol=1e-6, atol=1e-6)
        assert arrays_of(mine) is NUMPY
        assert arrays_of(theirs) is TORCH


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.sampled_from([30, 256, 400, 1001]), st.booleans())
def test_the_highest_of_many_are_those_of_a_full_sort(seed: int, count: int, size: int, few: bool) -> None:
    """With ties, and where nearly all is forbidden."""
    drawn = np.random.default_rng(seed)
    rows = drawn.integers(0, 40, (3, size)).astype(np.float32) if few else drawn.normal(size=(3, size))
    if seed % 3 == 0:
        rows[0, drawn.permutation(size)[2:]] = -np.inf
    values, places = NUMPY.top(rows, count)
    np.testing.assert_array_equal(values, -np.sort(-rows, axis=1)[:, :count])
    np.testing.assert_array_equal(values, np.take_along_axis(rows, places, axis=1))
    assert all(len(set(row)) == count for row in places.tolist())


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.sampled_from([30, 256, 400, 1001]), st.booleans())
def test_the_highest_sums_of_groups_are_those_of_a_full_sort(seed: int, count: int, size: int, few: bool) -> None:
    """With ties, with rows that have nothing, and where nearly all is forbidden."""
    drawn = np.random.default_rng(seed)
    rows = drawn.integers(0, 40, (6, size)) if few else 1e3 * drawn.normal(size=(6, size))
    rows, added = rows.astype(np.float32), drawn.integers(-3, 3, (2, 3)).astype(np.float32)
    if seed % 3 == 0:
        added[1, seed % 2] = -np.inf
        rows[0, drawn.permutation(size)[2:]] = -np.inf
    sums = (rows.reshape(2, 3, size) + added[:, :, None]).reshape(2, -1)
    for found, places in (NUMPY.top_sums(rows, added, count), map(TORCH.numpy, top_sums_of_torch(rows, added, count))):
        np.testing.assert_array_equal(found, -np.sort(-sums, axis=1)[:, :count])
        np.testing.assert_array_equal(found, np.take_along_axis(sums, places, axis=1))
        assert all(len(set(row)) == count for row in places.tolist())


def top_sums_of_torch(*given: Any) -> tuple[torch.Tensor, torch.Tensor]:
    rows, added, count = given
    return TORCH.top_sums(torch.from_numpy(rows), torch.from_numpy(added), count)
