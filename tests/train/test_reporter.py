"""How long a run still takes: right within a fifth once it has run for ten seconds, never above the time limit."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from attentio.train.reporter import Clock, TrainingReporter
from attentio.train.settings import TrainConfig
from attentio.train.state import Progress


def run(updates: int, *, evaluation: float, every: int, first: float, seed: int) -> list[float]:
    """Return the seconds at which each update of a run ends. Updates differ in length."""
    lengths = np.random.default_rng(seed).uniform(0.1, 0.5, updates)
    lengths[0] += first
    lengths[every - 1 :: every] += evaluation
    return np.cumsum(lengths).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("evaluation", "every"), [(0.0, 50), (1.0, 50), (3.0, 100)])
def test_time_left_is_right_within_a_fifth_after_ten_seconds(evaluation: float, every: int, seed: int) -> None:
    ends = run(1200, evaluation=evaluation, every=every, first=8.0, seed=seed)
    clock = Clock()
    for step, seconds in enumerate(ends, 1):
        left = clock.left(step, seconds, len(ends))
        if 18 <= seconds <= ends[-1] - 20:  # ten seconds after the slow first update
            assert left == pytest.approx(ends[-1] - seconds, rel=0.2)
    assert left == 0.0


def test_time_left_follows_a_machine_that_becomes_slower() -> None:
    clock = Clock()
    for step in range(1, 301):
        clock.left(step, step * 1.0, 1000)
    found = [clock.left(300 + step, 300.0 + step * 4, 1000) for step in range(1, 31)]
    assert found[-1] == pytest.approx((1000 - 330) * 4, rel=0.1)


def test_time_left_is_never_above_the_limit() -> None:
    clock = Clock(60.0)
    assert clock.left(1, 40.0, 5400) == 20.0
    assert clock.left(2, 41.0, 5400) == 19.0
    assert clock.left(3, 61.0, 5400) == 0.0
    assert Clock().left(1, 40.0, 3) == 80.0  # there is nothing else to go by yet


class Shown:
    """A display that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def show(self, facts: Mapping[str, str], done: float) -> None: ...

    def line(self, text: str) -> None:
        self.lines.append(text)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("settings", "total", "warned"),
    [
        ({"max_seconds": 60.0}, 40, True),
        ({"max_seconds": 60.0}, 400, False),
        ({"max_seconds": 60.0, "max_steps": 40}, 40, False),  # as asked for
        ({}, 40, False),
    ],
)
def test_a_time_limit_with_too_few_updates_is_said_early_and_once(
    tmp_path: Path, settings: dict[str, float], total: int, warned: bool
) -> None:
    shown = Shown()
    with TrainingReporter(tmp_path / "log.jsonl", lambda: shown, TrainConfig.model_validate(settings)) as reporter:
        for step in range(1, 12):
            progress = Progress(step=step, seconds=step * 1.5)
            reporter.update(progress, epoch=0.1, total_steps=total, tokens_per_second=1.0)
            assert len(shown.lines) == (warned and progress.seconds >= 6.0)
    assert all(f"the time limit leaves {total} updates" in line for line in shown.lines)
