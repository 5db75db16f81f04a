"""Resampling against sacreBLEU, against sums by hand, and against what chance should give."""

import random

import numpy as np
import pytest
from sacrebleu.metrics.base import Metric, Score
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from attentio.metrics.significance import bootstrap, corpus_score, interval, p_value, sentence_statistics, swapped


def noisy_lines(count: int, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Random sentences, and the same with a share of their words replaced."""
    chance = random.Random(seed)
    words = ["".join(chance.choices("abcdefg", k=4)) for _ in range(60)]
    lines = [chance.choices(words, k=7) for _ in range(count)]
    noisy = [[chance.choice(words) if chance.random() < share else word for word in line] for line in lines]
    return [" ".join(line) for line in noisy], [" ".join(line) for line in lines]


class Mean(Metric):
    """The mean of one number per sentence: statistics are (number, 1)."""

    def _compute_score_from_stats(self, stats: list[float]) -> Score:
        return Score("mean", stats[0] / stats[1])

    _aggregate_and_compute = _compute_segment_statistics = None
    _extract_reference_info = _preprocess_segment = None


def table(values: object) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    return np.stack([numbers, np.ones(len(numbers))], axis=1)


@pytest.mark.parametrize("metric", [BLEU(), CHRF(), CHRF(word_order=2), TER()])
def test_statistics_and_draws_are_those_of_sacrebleu(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    hypotheses, references = noisy_lines(41, 0.4, seed=5)
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    oracle = metric.corpus_score(hypotheses, [references], n_bootstrap=300)
    statistics = sentence_statistics(metric, hypotheses, [references])
    assert corpus_score(metric, statistics.sum(axis=0)) == pytest.approx(oracle.score)
    scores = bootstrap(metric, [statistics], 300)[0]
    low, high = interval(scores)
    assert scores.mean() == pytest.approx(oracle._mean, rel=1e-5)
    assert (high - low) / 2 == pytest.approx(oracle._ci, rel=1e-4)


def test_systems_are_drawn_alike() -> None:
    statistics = table([1.0, 5.0, 2.0, 8.0])
    scores = bootstrap(Mean(), [statistics, table([2.0, 6.0, 3.0, 9.0])], 100)
    np.testing.assert_allclose(scores[1] - scores[0], 1.0)


def test_swapping_keeps_the_sum() -> None:
    first, second = table([1.0, 5.0, 2.0]), table([4.0, 4.0, 0.5])
    scores = swapped(Mean(), first, second, 200)
    np.testing.assert_allclose(scores.sum(axis=0), (8 + 8.5) / 3)
    assert len(np.unique(scores[0].round(9))) == 2**3  # every way to exchange three sentences was drawn


def test_interval_drops_a_fortieth_at_each_end() -> None:
    assert interval(np.arange(200.0)[::-1]) == (5, 194)
    assert interval(np.array([3.0])) == (3, 3)


def test_p_value_counts_ties_and_both_sides() -> None:
    chance = np.array([-3.0, -1.0, 0.0, 1.0, 2.0])
    assert p_value(chance, 2.0) == pytest.approx((2 + 1) / 6)
    assert p_value(chance, -1.0) == pytest.approx((4 + 1) / 6)
    assert p_value(np.zeros(99), 0.0) == 1


@pytest.mark.slow
def test_p_values_are_fair_where_nothing_differs() -> None:
    # Two systems whose sentences are alike but for chance: about 1 in 20 of such pairs may look different at 0.05.
    generator = np.random.default_rng(8)
    found = {"swapped": 0, "bootstrap": 0}
    for _ in range(100):
        tables = [table(generator.normal(size=40)) for _ in range(2)]
        observed = tables[1][:, 0].mean() - tables[0][:, 0].mean()
        first, second = swapped(Mean(), *tables, 100)
        found["swapped"] += p_value(second - first, observed) < 0.05
        scores = bootstrap(Mean(), tables, 100)
        differences = scores[1] - scores[0]
        found["bootstrap"] += p_value(differences - differences.mean(), observed) < 0.05
    # A binomial of 100 and 0.05 has mean 5 and standard deviation 2.2.
    assert 1 <= found["swapped"] <= 11
    assert 1 <= found["bootstrap"] <= 12
