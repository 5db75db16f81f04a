"""How many updates a run makes, by hand."""

from attentio.train.plan import SAFETY, StepPlan
from attentio.train.settings import TrainConfig


def test_epochs_and_steps_whichever_is_less() -> None:
    assert StepPlan.of(TrainConfig(epochs=3), steps_per_epoch=7).total_steps == 21
    assert StepPlan.of(TrainConfig(epochs=3, max_steps=11), steps_per_epoch=7).total_steps == 11
    assert StepPlan.of(TrainConfig(epochs=3, max_steps=99), steps_per_epoch=7).total_steps == 21


def test_without_a_time_limit_the_clock_says_nothing() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1), steps_per_epoch=7)
    assert plan.after(3, 1e9) == plan
    assert plan.stop_reason(6, 1e9) is None
    assert plan.stop_reason(7, 0.0) == "all steps done"


def test_a_time_limit_becomes_a_number_of_updates() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1000, max_seconds=100.0), steps_per_epoch=7)
    assert plan.after(49, 9.9) == plan  # too early to say
    first = plan.after(50, 10.0)  # 5 updates a second, 90 seconds left
    assert first.total_steps == 50 + int(90 * SAFETY * 5)
    assert first.revised_at == 50
    assert first.after(60, 29.9) == first  # slower now, and still the same plan
    assert first.stop_reason(first.total_steps - 1, 29.0) is None
    assert first.stop_reason(first.total_steps, 29.0) == "planned steps done"


def test_the_plan_follows_the_latest_speed() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1000, max_seconds=100.0), steps_per_epoch=7).after(10, 10.0)
    assert plan.total_steps == 10 + int(90 * SAFETY)  # the machine was busy: 1 update a second
    faster = plan.after(90, 30.0)  # 4 updates a second since then, 70 seconds left
    assert faster.total_steps == 90 + int(70 * SAFETY * 4)
    slower = faster.after(130, 50.0)  # 2 updates a second, 50 seconds left
    assert slower.total_steps == 130 + int(50 * SAFETY * 2)
    last = slower.after(170, 70.0)
    assert last.after(171, 99.0) == last


def test_after_a_pause_one_revision_stands_for_several() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1000, max_seconds=100.0), steps_per_epoch=7).after(60, 60.0)
    assert plan.total_steps == 60 + int(40 * SAFETY)
    assert plan.after(65, 69.0) == plan


def test_the_limit_itself_holds() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1000, max_seconds=100.0), steps_per_epoch=7)
    assert plan.stop_reason(1, 100.0) == "time limit"
    late = plan.after(1, 150.0)  # one update took longer than all the time there was
    assert late.total_steps == 1


def test_a_time_limit_never_adds_updates() -> None:
    plan = StepPlan.of(TrainConfig(epochs=2, max_seconds=100.0), steps_per_epoch=7)
    assert plan.after(5, 10.0).total_steps == 14
