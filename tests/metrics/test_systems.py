"""Two systems on the same sentences."""

import random

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from attentio.errors import DataError, UsageError
from attentio.metrics.quality import compare_systems

WORDS = ["".join(random.Random(number).choices("abcdefg", k=4)) for number in range(60)]
REFERENCES = [" ".join(random.Random(1000 + number).choices(WORDS, k=7)) for number in range(80)]


def noisy(share: float, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(w if chance.random() > share else chance.choice(WORDS) for w in r.split()) for r in REFERENCES]


@pytest.mark.parametrize("method", ["randomization", "bootstrap"])
def test_a_clear_difference_is_found(method: str) -> None:
    worse, better = noisy(0.6, seed=1), noisy(0.2, seed=2)
    results = compare_systems(worse, better, REFERENCES, method=method, resamples=200, trials=400)
    assert [result.metric for result in results] == ["BLEU", "chrF2", "chrF2++", "TER"]
    for result in results:
        sign = -1 if result.metric == "TER" else 1
        assert result.difference * sign > 10
        assert result.difference == pytest.approx(result.system.value - result.baseline.value)
        assert result.low < result.difference < result.high
        assert result.low * result.high > 0
        assert result.p_value < 0.01
    drawn = "bs:200|ar:400|seed:12345" if method == "randomization" else "bs:200|seed:12345"
    assert drawn in results[0].signature


@pytest.mark.parametrize("method", ["randomization", "bootstrap"])
def test_equal_systems_do_not_differ(method: str) -> None:
    system = noisy(0.5, seed=1)
    for result in compare_systems(system, system, REFERENCES, method=method, resamples=100, trials=100):
        assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("method", ["randomization", "bootstrap"])
def test_one_better_sentence_is_no_evidence(method: str) -> None:
    # Whichever system the one sentence is given to, the difference is as large: exchanging proves nothing.
    system = noisy(0.5, seed=1)
    better = [REFERENCES[0], *system[1:]]
    (result,) = compare_systems(system, better, REFERENCES, method=method, only=["chrF2"], resamples=300, trials=300)
    assert result.difference > 0
    assert result.p_value == 1 if method == "randomization" else result.p_value > 0.1


def test_randomization_agrees_with_sacrebleu_where_nothing_ties() -> None:
    first, second = noisy(0.5, seed=1), noisy(0.47, seed=2)
    (result,) = compare_systems(first, second, REFERENCES, only=["chrF2"], trials=2000)
    _, oracle = PairedTest([("a", first), ("b", second)], {"chrF2": CHRF()}, [REFERENCES], "ar", 2000)()
    assert 0.02 < result.p_value < 0.98
    assert result.p_value == pytest.approx(oracle["chrF2"][1].p_value, abs=4 * np.sqrt(0.25 / 2000) * 1.42)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="2 translations stand against 3"):
        compare_systems(["a", "b", "c"], ["a", "b"], ["a", "b", "c"])
    with pytest.raises(UsageError, match="randomization or bootstrap"):
        compare_systems(["a"], ["a"], ["a"], method="t-test")
    with pytest.raises(UsageError, match="no metric 'METEOR'"):
        compare_systems(["a"], ["a"], ["a"], only=["METEOR"])
