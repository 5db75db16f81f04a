"""The luck of sentences and seeds in numbers: corpora drawn again, systems exchanged, Student's t distribution.

Every metric here is a function of sums of per-sentence statistics. Resampling adds up rows of a table, and no sentence
is looked at twice.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # loading it takes a moment
    from sacrebleu.metrics.base import Metric

SEED = 12345
"""The seed of every draw. It is sacreBLEU's own, and its signatures name it."""

Table = NDArray[np.float64]


def sentence_statistics(metric: "Metric", hypotheses: Sequence[str], streams: list[list[str]]) -> Table:
    """Return what sacreBLEU counts in each sentence: (sentences, counts). The metric then knows its signature."""
    # sacreBLEU has no public way to these counts. A test holds that they give its public score.
    counts = metric._extract_corpus_statistics(hypotheses, streams)  # pyright: ignore[reportPrivateUsage]
    return np.asarray(counts, dtype=np.float64)


def corpus_score(metric: "Metric", totals: NDArray[np.float64]) -> float:
    """Return the score of a corpus from its summed statistics."""
    score = metric._compute_score_from_stats(totals.tolist())  # pyright: ignore[reportPrivateUsage]
    return float(score.score)


def bootstrap(metric: "Metric", tables: Sequence[Table], resamples: int) -> NDArray[np.float64]:
    """Return the scores of corpora drawn from the same sentences with replacement: (tables, resamples).

    Every table (a system's statistics) is drawn alike, so that differences between systems are of the same sentences.
    The draws are those of sacreBLEU.
    """
    sentences = len(tables[0])
    random = np.random.default_rng(SEED)
    scores: list[list[float]] = []
    for _ in range(resamples):
        times = np.bincount(random.choice(sentences, size=sentences, replace=True), minlength=sentences)
        scores.append([corpus_score(metric, times @ table) for table in tables])
    return np.array(scores).reshape(resamples, len(tables)).T


def swapped(metric: "Metric", first: Table, second: Table, trials: int) -> NDArray[np.float64]:
    """Return the scores of two systems whose sentences are exchanged at random, each with chance 1/2: (2, trials)."""
    random = np.random.default_rng(SEED)
    total, scores = (first + second).sum(axis=0), list[list[float]]()
    for _ in range(trials):
        mixed = (random.random(len(first)) < 0.5) @ (first - second) + second.sum(axis=0)
        scores.append([corpus_score(metric, mixed), corpus_score(metric, total - mixed)])
    return np.array(scores).T


def interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of resampled scores: without the lowest and the highest fortieth."""
    ordered = np.sort(scores)
    cut = len(ordered) // 40
    return float(ordered[cut]), float(ordered[len(ordered) - cut - 1])


def p_value(chance: NDArray[np.float64], observed: float) -> float:
    """Return how often a difference by chance is at least as large, either way, as the observed one: (n + 1) / (N + 1).

    Ties count. Two systems that answer alike differ by 0, and so does chance. The result is then 1. sacreBLEU 2.6
    counts only larger differences, and calls such a pair different with p = 0.001.
    """
    at_least = np.abs(chance) >= abs(observed) - 1e-9
    return (int(at_least.sum()) + 1) / (len(chance) + 1)


# Student's t


def two_sided_p(t: float, df: float) -> float:
    """Return the chance of a value of Student's t at least as far from 0 as `t`, with `df` degrees of freedom.

    By the regularized incomplete beta function (Abramowitz and Stegun 1964, 26.7.1). SciPy has it, but would be a large
    dependency for this alone. Raises ValueError for df <= 0.
    """
    if not df > 0:
        raise ValueError(f"{df} degrees of freedom")
    if math.isinf(t):
        return 0.0
    if df > 1e7:  # the normal distribution, to more digits than anybody prints
        return math.erfc(abs(t) / math.sqrt(2))
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t))


def critical_t(df: float, alpha: float = 0.05) -> float:
    """Return the t that chance exceeds, either way, in a share `alpha` of cases: 1.96 for large `df`, else more."""
    low, high = 0.0, 1.0
    while two_sided_p(high, df) > alpha:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, df) > alpha else (low, middle)
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) by the continued fraction of 26.5.8, from the side where it converges fast."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    fraction = 1.0
    for term in range(60 + int(4 * math.sqrt(max(a, b))), 0, -1):  # as many as it needs, from the last one on
        half, odd = divmod(term, 2)
        part = -(a + half) * (a + b + half) if odd else half * (b - half)
        fraction = 1.0 + part * x / ((a + term - 1) * (a + term)) / fraction
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) / (a * fraction)
