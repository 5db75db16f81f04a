"""Lines that do not belong together are found, and where that begins. Healthy text is left alone."""

import random
import tracemalloc

import numpy as np
import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.data import misaligned
from attentio.data.misaligned import best_run, check, measure

PAIRS = [(pair.source, pair.target) for pair in sample(700, 3)]
SOURCES, TARGETS = [source for source, _ in PAIRS], [target for _, target in PAIRS]
LINES = [10 * number for number in range(1, len(PAIRS) + 1)]


@pytest.mark.parametrize(
    ("gains", "run"),
    [([1.0, -2.0, 3.0, 4.0, -1.0], (2, 4)), ([-1.0, -1.0], (0, 0)), ([2.0, -1.0, 2.0], (0, 3))],
)
def test_thebest_run_is_the_one_with_the_greatest_sum(gains: list[float], run: tuple[int, int]) -> None:
    assert best_run(np.array(gains)) == run


def test_healthy_pairs_have_no_finding() -> None:
    assert check(SOURCES, TARGETS, LINES, "x.tsv") is None
    found = measure(SOURCES, TARGETS)
    assert found.shift is None
    assert found.own > 2 * found.other


@pytest.mark.slow
def test_long_lines_take_little_memory() -> None:
    """All pairs of words of all lines at once would take 250 MB here."""
    draw = random.Random(1)
    lines = [" ".join(f"w{draw.randrange(5000)}" for _ in range(24)) for _ in range(3000)]
    tracemalloc.start()
    measure(lines, lines[::-1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.slow
@pytest.mark.parametrize("begin", [0, 13, 331, 600])
@pytest.mark.parametrize("lost", ["source", "target"])
def test_a_lost_line_is_found_where_it_was(begin: int, lost: str) -> None:
    sides = {"source": [*SOURCES], "target": [*TARGETS]}
    del sides[lost][begin]
    size = len(PAIRS) - 1
    found = check(sides["source"][:size], sides["target"][:size], LINES[:size], "x.tsv")
    assert found is not None
    assert found.symptom == "misaligned"
    assert abs(int(found.evidence["first_line"]) - LINES[begin]) <= 30  # three lines
    assert found.evidence["shift"] == (1 if lost == "source" else -1)
    assert f"the {lost} side one too few" in found.remedy
    assert "to the end" in found.what


def test_a_shift_that_mends_itself_has_an_end() -> None:
    targets = [*TARGETS[:200], *TARGETS[201:400], "x", *TARGETS[400:]]
    found = measure(SOURCES, targets).shift
    assert found is not None
    assert abs(found.begin - 200) <= 3
    assert abs(found.end - 399) <= 3


def test_shuffled_targets_are_unrelated() -> None:
    found = check(SOURCES, random.Random(1).sample(TARGETS, len(TARGETS)), LINES, "x.tsv")
    assert found is not None
    assert found.symptom == "unrelated-sides"


def test_few_pairs_say_nothing() -> None:
    few = misaligned.LEAST_PAIRS - 1
    assert check(SOURCES[:few], TARGETS[::-1][:few], LINES[:few], "x.tsv") is None


def test_empty_lines_are_read() -> None:
    assert check(["", *SOURCES], ["", *TARGETS], [1, *LINES], "x.tsv") is None
