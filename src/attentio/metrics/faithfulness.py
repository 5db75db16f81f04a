"""How far attention agrees with what a model's answer depends on. Numbers in, numbers out."""

import numpy as np
from numpy.typing import NDArray

from attentio.metrics.significance import SEED

MEASURES = ("rank_correlation", "gradient_correlation", "comprehensiveness", "sufficiency")
"""Rank correlation with erasure and with gradient times input, nats lost by masking most attention, or the rest."""


def rank_correlation(weights: NDArray[np.floating], importance: NDArray[np.floating]) -> float | None:
    """Return Spearman's rho between the rows of two (T, S) matrices, averaged over the rows, -1 to 1.

    Ties get the mean of their ranks. A row in which either is constant has no rho and does not count. None where no row
    counts.
    """
    found: list[float] = []
    for left, right in zip(weights, importance, strict=True):
        if len(left) > 1 and np.ptp(left) > 0 and np.ptp(right) > 0:
            found.append(float(np.corrcoef(_ranks(left), _ranks(right))[0, 1]))
    return float(np.mean(found)) if found else None


def interval(values: NDArray[np.floating], resamples: int) -> tuple[float | None, float | None, float | None]:
    """Return the mean of (sentences,) values and its 95 % bootstrap interval over sentences. NaN is a value not known.

    The interval is None without resamples, and all is None where no value is known.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None, None
    if not resamples:
        return float(known.mean()), None, None
    draws = np.random.default_rng(SEED).integers(len(known), size=(resamples, len(known)))
    low, high = np.percentile(known[draws].mean(axis=1), (2.5, 97.5))
    return float(known.mean()), float(low), float(high)


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rank of each value from 0, ties with the mean of theirs."""
    smaller, alike = values[:, None] > values, values[:, None] == values
    return smaller.sum(axis=1) + (alike.sum(axis=1) - 1) / 2
