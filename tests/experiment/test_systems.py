"""Two systems on the same sentences: cells of one seed each."""

import random

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from attentio.errors import DataError
from attentio.experiment.statistics import Cell, CellDifference, Measured, ReferenceSet, compare_cells

WORDS = ["".join(random.Random(number).choices("abcdefg", k=4)) for number in range(60)]
REFERENCES = [" ".join(random.Random(1000 + number).choices(WORDS, k=7)) for number in range(80)]


def noisy(share: float, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(w if chance.random() > share else chance.choice(WORDS) for w in r.split()) for r in REFERENCES]


def differences(baseline: list[str], system: list[str], *, trials: int = 300) -> dict[str, CellDifference]:
    cells = [
        Cell(name, {}, [Measured(1, "", translations={"test": lines})])
        for name, lines in (("baseline", baseline), ("system", system))
    ]
    references = [ReferenceSet("test", [[line] for line in REFERENCES])]
    compared = compare_cells(cells, references, baseline="baseline", resamples=200, trials=trials)
    return dict(compared.cells[1].tests["test"].differences)


def test_a_clear_difference_is_found() -> None:
    found = differences(noisy(0.6, seed=1), noisy(0.2, seed=2))
    assert list(found) == ["BLEU", "chrF2"]
    for difference in found.values():
        assert difference.difference > 10
        assert difference.low is not None
        assert difference.high is not None
        assert 0 < difference.low < difference.difference < difference.high
        assert difference.p_value is not None
        assert difference.p_value < 0.01
        assert "300 trials" in difference.method


def test_equal_systems_do_not_differ() -> None:
    system = noisy(0.5, seed=1)
    for found in differences(system, system, trials=100).values():
        assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_one_better_sentence_is_no_evidence() -> None:
    # Whichever system the one sentence is given to, the difference is as large: exchanging proves nothing.
    system = noisy(0.5, seed=1)
    found = differences(system, [REFERENCES[0], *system[1:]])["chrF2"]
    assert found.difference > 0
    assert found.p_value == 1


def test_randomization_agrees_with_sacrebleu_where_nothing_ties() -> None:
    first, second = noisy(0.5, seed=1), noisy(0.47, seed=2)
    found = differences(first, second, trials=2000)["chrF2"]
    _, oracle = PairedTest([("a", first), ("b", second)], {"chrF2": CHRF()}, [REFERENCES], "ar", 2000)()
    assert found.p_value is not None
    assert 0.02 < found.p_value < 0.98
    assert found.p_value == pytest.approx(oracle["chrF2"][1].p_value, abs=4 * np.sqrt(0.25 / 2000) * 1.42)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="2 translations stand against 80"):
        differences(["a", "b"], ["a", "b"])
