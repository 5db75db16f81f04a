"""How many updates a run makes, by hand."""

from attentio.config import TrainConfig
from attentio.train.plan import SAFETY, StepPlan


def test_epochs_and_steps_whichever_is_less() -> None:
    assert StepPlan.of(TrainConfig(epochs=3), steps_per_epoch=7).total_steps == 21
    assert StepPlan.of(TrainConfig(epochs=3, max_steps=11), steps_per_epoch=7).total_steps == 11
    assert StepPlan.of(TrainConfig(epochs=3, max_steps=99), steps_per_epoch=7).total_steps == 21


def test_without_a_time_limit_the_clock_says_nothing() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1), steps_per_epoch=7)
    assert plan.after(3, 1e9) == plan
    assert plan.why_over(6, 1e9) is None
    assert plan.why_over(7, 0.0) == "all steps done"


def test_a_time_limit_becomes_a_number_of_updates_once() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1000, max_seconds=100.0), steps_per_epoch=7)
    assert plan.after(49, 9.9) == plan  # too early to say
    settled = plan.after(50, 10.0)  # 5 updates a second, 90 seconds left
    assert settled.total_steps == 50 + int(90 * SAFETY * 5)
    assert settled.settled_at == 50
    assert settled.after(60, 50.0) == settled  # slower now, and still the same plan
    assert settled.why_over(settled.total_steps - 1, 99.0) is None
    assert settled.why_over(settled.total_steps, 99.0) == "planned steps done"


def test_the_limit_itself_holds() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1000, max_seconds=100.0), steps_per_epoch=7)
    assert plan.why_over(1, 100.0) == "time limit"
    late = plan.after(1, 150.0)  # one update took longer than all the time there was
    assert late.total_steps == 1


def test_a_time_limit_never_adds_updates() -> None:
    plan = StepPlan.of(TrainConfig(epochs=2, max_seconds=100.0), steps_per_epoch=7)
    assert plan.after(5, 10.0).total_steps == 14
