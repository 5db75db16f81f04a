"""The learning rate, by hand."""

import pytest

from attentio.train.plan import learning_rate
from attentio.train.settings import TrainConfig


def rate(step: int, kind: str, *, warmup_steps: int, total_steps: int) -> float:
    settings = {"schedule": kind, "learning_rate": 8.0, "warmup_steps": warmup_steps}
    return learning_rate(step, TrainConfig.model_validate(settings), total_steps=total_steps)


def rates(kind: str, steps: list[int]) -> list[float]:
    return [rate(step, kind, warmup_steps=4, total_steps=24) for step in steps]


@pytest.mark.parametrize("kind", ["linear", "cosine", "inverse_sqrt", "constant"])
def test_the_warm_up_is_linear_and_reaches_the_peak(kind: str) -> None:
    assert rates(kind, [0, 1, 2, 3]) == [2.0, 4.0, 6.0, 8.0]


def test_decays() -> None:
    # 20 updates after the warm-up; a quarter, half and all of them done; then the rate stays.
    assert rates("constant", [4, 14, 24, 99]) == [8.0] * 4
    assert rates("linear", [4, 9, 14, 24, 99]) == pytest.approx([8, 0.7525 * 8, 0.505 * 8, 0.08, 0.08])
    half_cosine = (1 + 0.5**0.5) / 2
    assert rates("cosine", [4, 9, 14, 24, 99]) == pytest.approx(
        [8, 8 * (0.01 + 0.99 * half_cosine), 0.505 * 8, 0.08, 0.08]
    )
    assert rates("inverse_sqrt", [3, 15, 35, 99]) == pytest.approx([8, 4, 8 / 3, 1.6])


def test_without_warm_up_it_begins_at_the_peak() -> None:
    for kind in ("linear", "cosine", "inverse_sqrt", "constant"):
        assert rate(0, kind, warmup_steps=0, total_steps=10) == 8.0


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_run_no_longer_than_its_warm_up_is_no_division_by_zero(kind: str) -> None:
    assert rate(4, kind, warmup_steps=4, total_steps=4) > 0
