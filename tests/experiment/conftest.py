"""Comparisons to look at."""

from collections.abc import Callable, Sequence

import pytest

from attentio.experiment.statistics import (
    Cell,
    CellDifference,
    CellScore,
    CellTest,
    Comparison,
    Estimate,
    Measured,
    Point,
    Spread,
)
from attentio.metrics.faithfulness import MEASURES


@pytest.fixture
def make_comparison() -> Callable[..., Comparison]:
    """A comparison of cells by name, all figures invented; `p` is the corrected p of each cell but the first."""

    def make(
        names: Sequence[str],
        p: Sequence[float | None] = (),
        *,
        seeds: int = 3,
        tests: Sequence[str] = ("test",),
        faithfulness: bool = False,
    ) -> Comparison:
        return Comparison(
            baseline=names[0],
            cells=tuple(
                _cell(number, name, [None, *p][number], seeds, tests, faithfulness=faithfulness)
                for number, name in enumerate(names)
            ),
            sentences=dict.fromkeys(tests, 150),
            references=dict.fromkeys(tests, 170),
            comparisons=2 * len(tests) * (len(names) - 1),
            resamples=1000,
        )

    return make


def _cell(number: int, name: str, p: float | None, seeds: int, tests: Sequence[str], *, faithfulness: bool) -> Cell:
    measures = {
        name: {key: Estimate(value, value - 0.1, value + 0.1) for key in MEASURES}
        for name, value in (("attention", 0.5 + 0.1 * number), ("random", -0.02))
        if faithfulness
    }
    rates = {"attention": Spread(0.25, 0.2, 0.3)} if faithfulness else {}

    def result() -> CellTest:
        scores, differences = {}, {}
        for metric, base in (("BLEU", 34.0), ("chrF2", 29.0)):
            value = base + 1.5 * number
            by_seed = tuple(value + step - (seeds - 1) / 2 for step in range(seeds))
            scores[metric] = CellScore(metric, value, value - 1.2, value + 1.3, by_seed, f"{metric}|nrefs:1|bs:1000")
            if number:
                gap = 1.5 * number
                differences[metric] = CellDifference(
                    metric, gap, gap - 1, gap + 1, p, p, "Welch's t, 5.0 degrees", seeds == 1
                )
        spreads = Spread(0.2, 0.18, 0.22), Spread(1.1, 1, 1.2), Spread(0.8, 0.8, 0.8), None
        return CellTest(scores, differences, *spreads, measures, rates)

    runs = tuple(
        Measured(
            seed,
            f"runs/{number}/{seed}",
            steps=200,
            training_seconds=60.0,
            curve=tuple(Point(10.0 * step, 30 * step, 5.0 * step + number) for step in range(1, 7)),
        )
        for seed in range(1, seeds + 1)
    )
    costs = [Spread(value, value * 0.9, value * 1.1) for value in (1e6 + 2e5 * number, 200, 60, 5000, 400, 6e8)]
    return Cell(name, {"attention.score": name}, runs, (), *costs, {test: result() for test in tests})
