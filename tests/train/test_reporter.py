"""How long a run still takes: right within a fifth once it has run for ten seconds, never above the time limit."""

import numpy as np
import pytest

from attentio.train.reporter import Clock


def run(updates: int, *, evaluation: float, every: int, first: float, seed: int) -> list[float]:
    """Return the seconds at which each update of a run ends. Updates differ in length."""
    lengths = np.random.default_rng(seed).uniform(0.1, 0.5, updates)
    lengths[0] += first
    lengths[every - 1 :: every] += evaluation
    return np.cumsum(lengths).tolist()


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
    clock = Clock(max_seconds=60.0)
    assert clock.left(1, 40.0, 5400) == 20.0
    assert clock.left(2, 41.0, 5400) == 19.0
    assert clock.left(3, 61.0, 5400) == 0.0
    assert Clock().left(1, 40.0, 3) == 80.0  # there is nothing else to go by yet
