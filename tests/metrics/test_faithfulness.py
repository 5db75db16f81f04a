"""Rank correlation, by hand and against scipy."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from attentio.metrics.faithfulness import rank_correlation


def test_the_same_order_the_opposite_order_and_between() -> None:
    importance = np.array([[1.0, 2.0, 3.0]])
    assert rank_correlation(np.array([[0.1, 0.2, 0.7]]), importance) == pytest.approx(1)
    assert rank_correlation(np.array([[0.7, 0.2, 0.1]]), importance) == pytest.approx(-1)
    assert rank_correlation(np.array([[0.2, 0.1, 0.7]]), importance) == pytest.approx(0.5)


def test_it_is_the_mean_over_rows_and_ties_share_a_rank() -> None:
    random = np.random.default_rng(3)
    left, right = random.integers(0, 4, (5, 7)).astype(float), random.random((5, 7))
    wanted = np.mean([spearmanr(a, b).statistic for a, b in zip(left, right, strict=True)])
    assert rank_correlation(left, right) == pytest.approx(wanted)


def test_rows_without_an_order_do_not_count() -> None:
    flat = np.ones((1, 3))
    rising = np.array([[1.0, 2.0, 3.0]])
    assert rank_correlation(flat, rising) is None
    assert rank_correlation(np.vstack([flat, rising]), np.vstack([rising, rising])) == pytest.approx(1)
    assert rank_correlation(np.zeros((2, 1)), np.zeros((2, 1))) is None
