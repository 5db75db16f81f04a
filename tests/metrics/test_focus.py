"""Entropy, coverage and monotonicity, each a sum on paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.errors import DataError
from attentio.metrics.focus import coverage, entropy, focus, monotonicity


def test_entropy_by_hand() -> None:
    # 0 bits, 1 bit and 1.5 bits (1/2, 1/4, 1/4).
    rows = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.5, 0.25]])
    assert entropy(rows) == pytest.approx(2.5 / 3)
    assert entropy(rows[:1]) == 0


def test_entropy_is_of_the_row_divided_by_its_sum() -> None:
    assert entropy(np.array([[0.2, 0.2, 0.0], [0.0, 0.0, 0.0]])) == pytest.approx(1.0)
    assert entropy(np.zeros((2, 3))) is None
    assert entropy(np.zeros((0, 3))) is None


def test_coverage_by_hand() -> None:
    # Columns sum to 1.5 (counts 1), 0.5 and 0.
    assert coverage(np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0]])) == pytest.approx(0.5)
    assert coverage(np.zeros((2, 0))) is None
    assert coverage(np.zeros((0, 2))) == 0


def test_monotonicity_by_hand() -> None:
    forward = np.eye(4)
    assert monotonicity(forward) == 1
    assert monotonicity(forward[::-1]) == -1
    # Places 0, 2, 1, 3: of six pairs one is reversed.
    assert monotonicity(forward[[0, 2, 1, 3]]) == pytest.approx((5 - 1) / 6)
    # Places 0, 0, 1: one pair of three is in the same place.
    assert monotonicity(forward[[0, 0, 1]]) == pytest.approx(2 / 3)


def test_fog_has_no_direction() -> None:
    fog = np.full((5, 7), 1 / 7, dtype=np.float32) + np.random.default_rng(1).normal(0, 1e-6, (5, 7)).astype(np.float32)
    assert monotonicity(fog) == 0


def test_rows_that_attend_nowhere_do_not_count() -> None:
    rows = np.eye(3)[[0, 1, 2]]
    rows[1] = 0
    assert monotonicity(rows) == 1
    assert monotonicity(rows[:2]) is None


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_bounds(target: int, source: int, seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(source), size=target)
    bits, covered, order = entropy(weights), coverage(weights), monotonicity(weights)
    assert bits is not None
    assert covered is not None
    assert -1e-12 <= bits <= np.log2(source) + 1e-9
    assert 0 <= covered <= min(1.0, target / source) + 1e-9
    assert (order is None) == (target < 2)
    if order is not None:
        assert order == pytest.approx(-monotonicity(weights[::-1]))


def test_corpus_means_leave_out_what_is_not_defined() -> None:
    result = focus([np.eye(2), np.eye(2)[::-1], np.array([[0.5, 0.5]]), np.zeros((1, 0))])
    assert result.sentences == 4
    assert result.entropy == pytest.approx(1 / 3)
    assert result.coverage == pytest.approx((1 + 1 + 0.5) / 3)
    assert result.monotonicity == 0
    assert focus([np.zeros((1, 1))]).as_dict() == {
        "sentences": 1,
        "entropy": None,
        "coverage": 0,
        "monotonicity": None,
    }
    with pytest.raises(DataError, match="no sentence"):
        focus([])
