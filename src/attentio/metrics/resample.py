"""Sampling sentences over again: how a corpus score would vary with other sentences, or with two systems' swapped.

Every metric here is a function of sums of per-sentence statistics, so resampling adds up rows of a table and no
sentence is looked at twice. Draws come in blocks, so that the memory needed does not grow with the number of resamples.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric

SEED = 12345
"""The seed of every draw; it is sacreBLEU's own, and its signatures name it."""

_BLOCK = 4_000_000  # drawn sentences at a time: 32 MB

Table = NDArray[np.float64]


def sentence_statistics(metric: Metric, hypotheses: Sequence[str], streams: list[list[str]]) -> Table:
    """What sacreBLEU counts in each sentence: (sentences, counts). Afterwards the metric knows its signature."""
    # sacreBLEU has no public way to these counts; a test holds that they give its public score.
    counts = metric._extract_corpus_statistics(hypotheses, streams)  # pyright: ignore[reportPrivateUsage]
    return np.asarray(counts, dtype=np.float64)


def corpus_score(metric: Metric, totals: NDArray[np.float64]) -> float:
    """The score of a corpus from its summed statistics."""
    score = metric._compute_score_from_stats(totals.tolist())  # pyright: ignore[reportPrivateUsage]
    return float(score.score)


def bootstrap(metric: Metric, tables: Sequence[Table], resamples: int) -> NDArray[np.float64]:
    """Scores of corpora drawn from the same sentences with replacement: (tables, resamples).

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
    """Scores of two systems whose sentences are exchanged at random, each with chance 1/2: (2, trials)."""
    sentences = len(first)
    random = np.random.default_rng(SEED)
    together = first + second
    scores: list[list[float]] = []
    for size in _blocks(trials, sentences):
        mixed = (random.random((size, sentences)) < 0.5) @ (first - second) + second.sum(axis=0)
        scores.extend([corpus_score(metric, row), corpus_score(metric, together.sum(axis=0) - row)] for row in mixed)
    return np.array(scores).T


def interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of resampled scores: what is left without the lowest and the highest fortieth."""
    ordered = np.sort(scores)
    cut = len(ordered) // 40
    return float(ordered[cut]), float(ordered[len(ordered) - cut - 1])


def p_value(chance: NDArray[np.float64], observed: float) -> float:
    """How often a difference by chance is at least as large, either way, as the observed one: (n + 1) / (N + 1).

    Ties count: two systems that answer alike differ by 0, and so does chance, always, which gives 1. (sacreBLEU 2.6
    counts strictly larger ones only, and calls such a pair different with p = 0.001.)
    """
    at_least = np.abs(chance) >= abs(observed) - 1e-9
    return (int(at_least.sum()) + 1) / (len(chance) + 1)


def _blocks(draws: int, sentences: int) -> Iterator[int]:
    size = max(1, _BLOCK // sentences)
    while draws > 0:
        yield min(size, draws)
        draws -= size
