"""Comparisons to look at."""

from collections.abc import Callable, Sequence

import pytest

from attentio.experiment.statistics import (
    Cell,
    CellDifference,
    CellScore,
    CellTest,
    Comparison,
    Measured,
    Point,
    Spread,
)


@pytest.fixture
def make_comparison() -> Callable[..., Comparison]:
    """A comparison of cells by name, all figures invented; `p` is the corrected p of each cell but the first."""

    def make(
        names: Sequence[str], p: Sequence[float | None] = (), *, seeds: int = 3, tests: Sequence[str] = ("test",)
    ) -> Comparison:
        return Comparison(
            baseline=names[0],
            cells=tuple(_cell(number, name, [None, *p][number], seeds, tests) for number, name in enumerate(names)),
            sentences=dict.fromkeys(tests, 150),
            references=dict.fromkeys(tests, 170),
            comparisons=2 * len(tests) * (len(names) - 1),
            resamples=1000,
        )

    return make


def _cell(number: int, name: str, p: float | None, seeds: int, tests: Sequence[str]) -> Cell:
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
        return CellTest(scores, differences, Spread(0.2, 0.18, 0.22), Spread(1.1, 1, 1.2), Spread(0.8, 0.8, 0.8), None)

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
