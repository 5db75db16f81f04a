"""The luck of sentences and seeds in numbers: corpora drawn again, systems exchanged, Student's t distribution.

Every metric here is a function of sums of per-sentence statistics. Resampling adds up rows of a table, and no sentence
is looked at twice. Draws come in blocks, so that the memory needed does not grow with the number of resamples.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric

_SMALLEST = 1e-300
_PRECISION = 1e-14

SEED = 12345
"""The seed of every draw. It is sacreBLEU's own, and its signatures name it."""

BLOCK = 4_000_000  # drawn sentences at a time: 32 MB

Table = NDArray[np.float64]


def sentence_statistics(metric: Metric, hypotheses: Sequence[str], streams: list[list[str]]) -> Table:
    """Return what sacreBLEU counts in each sentence: (sentences, counts). The metric then knows its signature."""
    # sacreBLEU has no public way to these counts. A test holds that they give its public score.
    counts = metric._extract_corpus_statistics(hypotheses, streams)  # pyright: ignore[reportPrivateUsage]
    return np.asarray(counts, dtype=np.float64)


def corpus_score(metric: Metric, totals: NDArray[np.float64]) -> float:
    """Return the score of a corpus from its summed statistics."""
    score = metric._compute_score_from_stats(totals.tolist())  # pyright: ignore[reportPrivateUsage]
    return float(score.score)


def bootstrap(metric: Metric, tables: Sequence[Table], resamples: int) -> NDArray[np.float64]:
    """Return the scores of corpora drawn from the same sentences with replacement: (tables, resamples).

    Every table (a system's statistics) is drawn alike, so that differences between systems are of the same sentences.
    The draws are those of sacreBLEU.
    """
    sentences = len(tables[0])
    random = np.random.default_rng(SEED)
    scores: list[list[float]] = []
    for size in _blocks(resamples, sentences):
        draws = random.choice(sentences, size=(size, sentences), replace=True)
        for draw in draws:
            times = np.bincount(draw, minlength=sentences)
            scores.append([corpus_score(metric, times @ table) for table in tables])
    return np.array(scores).T


def swapped(metric: Metric, first: Table, second: Table, trials: int) -> NDArray[np.float64]:
    """Return the scores of two systems whose sentences are exchanged at random, each with chance 1/2: (2, trials)."""
    sentences = len(first)
    random = np.random.default_rng(SEED)
    together = first + second
    scores: list[list[float]] = []
    for size in _blocks(trials, sentences):
        mixed = (random.random((size, sentences)) < 0.5) @ (first - second) + second.sum(axis=0)
        scores.extend([corpus_score(metric, row), corpus_score(metric, together.sum(axis=0) - row)] for row in mixed)
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


def _blocks(draws: int, sentences: int) -> Iterator[int]:
    size = max(1, BLOCK // sentences)
    while draws > 0:
        yield min(size, draws)
        draws -= size


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
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if two_sided_p(middle, df) > alpha else (low, middle)
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b), from the side where the continued fraction converges fast."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction 1 / (1 + d_1 / (1 + d_2 / ...)) of 26.5.8, forwards by Lentz's method."""
    value = above = _SMALLEST
    below = 0.0
    for term in range(10_000):
        half = term // 2
        if term % 2:
            part = -(a + half) * (a + b + half) * x / ((a + term - 1) * (a + term))
        else:
            part = half * (b - half) * x / ((a + term - 1) * (a + term)) if term else 1.0
        below = 1.0 / ((1.0 + part * below) or _SMALLEST)
        above = (1.0 + part / above) or _SMALLEST
        value *= above * below
        if abs(above * below - 1.0) < _PRECISION:
            break
    return value
