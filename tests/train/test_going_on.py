"""A run that is over goes on where another end is asked for, exactly as if it had never stopped there."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attentio.corpora.small_world.grammar import sample
from attentio.errors import UsageError
from attentio.train.checkpoint import whole_checkpoints
from attentio.train.folder import Run
from attentio.train.plan import RISING_SHARE, SAFETY, StepPlan, learning_rate
from attentio.train.reporter import TrainingReporter
from attentio.train.run import TrainResult, train_files
from attentio.train.settings import TrainConfig, load_config
from attentio.train.state import Progress

SETTINGS = {
    "model.embedding_size": 4,
    "model.hidden_size": 4,
    "model.dropout": 0.1,
    "data.source_tokenizer": "char",
    "data.target_tokenizer": "char",
    "data.dev": 4,
    "data.test": 4,
    "train.max_steps": 5,
    "train.batch_tokens": 200,
    "train.warmup_steps": 1,
    "train.evaluate_every": 2,
    "train.evaluate_pairs": 2,
    "train.device": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(30, 5)), encoding="utf-8")
    return path


def train(data: Path, out: Path, said: list[str] | None = None, **settings: Any) -> TrainResult:
    given = SETTINGS | {f"train.{name}": value for name, value in settings.items()}
    say = [].append if said is None else said.append
    return train_files(data, out, preset="rnn-tiny", settings=given, say=say)


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    train(data, folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run that is over after five updates."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def state(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors and values that the newest checkpoint holds, times left out."""
    tensors, values = next(whole_checkpoints(folder / "checkpoints", pytest.fail))
    flat = {f"{group}/{name}": tensor for group, held in tensors.items() for name, tensor in held.items()}
    progress = {name: value for name, value in values["progress"].items() if name != "seconds"}
    return flat, {"progress": progress, "sampler": values["sampler"]}


def same(first: Path, second: Path) -> bool:
    (tensors, values), (others, other_values) = state(first), state(second)
    assert tensors.keys() == others.keys()
    return values == other_values and all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())


def at_update(patch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    update = TrainingReporter.update

    def updated(reporter: TrainingReporter, progress: Progress, **facts: Any) -> None:
        update(reporter, progress, **facts)
        if progress.step == step:
            act()

    patch.setattr(TrainingReporter, "update", updated)


class PowerCutError(Exception): ...


def power_cut() -> None:
    raise PowerCutError


# The law: rates that do not depend on the end give what a longer run gives


@pytest.mark.slow
def test_with_a_constant_rate_going_on_is_never_having_stopped(data: Path, tmp_path: Path) -> None:
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    train(data, straight, max_steps=10, schedule="constant")
    for steps in (4, 6, 10):
        assert train(data, parts, max_steps=steps, schedule="constant").steps == steps
    assert same(straight, parts)


@pytest.mark.slow
def test_more_patience_is_never_having_lost_it(data: Path, tmp_path: Path) -> None:
    # No update changes anything, so no evaluation is better than the first.
    kept = {"learning_rate": 1e-12, "average_decay": 0.0, "max_steps": 10}
    train(data, tmp_path / "straight", patience=3, **kept)
    first = train(data, tmp_path / "parts", patience=1, **kept)
    assert (first.steps, first.ended) == (4, "no longer better on dev")
    assert train(data, tmp_path / "parts", patience=3, **kept).steps == 8
    assert same(tmp_path / "straight", tmp_path / "parts")
    more = kept | {"max_steps": 30}
    assert train(data, tmp_path / "parts", patience=3, **more).steps == 14  # three evaluations more, at 10, 12 and 14


# Exact resume


@pytest.mark.slow
@pytest.mark.parametrize("act", [lambda: os.kill(os.getpid(), 15), power_cut])
def test_an_extension_that_was_broken_off_ends_with_the_same_weights(
    data: Path, run: Path, tmp_path: Path, act: Callable[[], object]
) -> None:
    whole, said = Path(shutil.copytree(run, tmp_path / "whole")), []
    train(data, whole, said, max_steps=9)
    assert any(line.startswith("going on from step 5") for line in said)
    with pytest.MonkeyPatch.context() as patch:
        at_update(patch, 7, act)
        with pytest.raises((KeyboardInterrupt, PowerCutError)):
            train(data, run, max_steps=9)
    assert train(data, run, max_steps=9).steps == 9
    assert same(whole, run)
    assert load_config(Run(run).config).train.max_steps == 9


# What is over, and what is refused


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({}, "done"),
        ({"max_steps": 4}, "5 updates are done, and 4 are asked for. A higher train.max_steps goes on"),
        ({"epochs": 400}, "5 updates are done, and 5 are asked for. A higher train.max_steps goes on"),
        ({"max_steps": 50, "max_seconds": 1e-9}, "A longer --max-time goes on"),
        ({"patience": 3}, "A higher train.max_steps goes on"),
    ],
)
def test_a_run_that_did_what_is_asked_says_so_and_writes_nothing(
    data: Path, run: Path, settings: dict[str, Any], hint: str
) -> None:
    before, said = content(run), []
    assert train(data, run, said, **settings).steps == 5
    assert content(run) == before
    (line,) = [line for line in said if line.startswith(("nothing to do", "done", "ended"))]
    assert hint in line or not settings


def test_another_setting_is_refused_also_beside_another_end(data: Path, run: Path) -> None:
    before = content(run)
    with pytest.raises(UsageError, match=r"other settings \(train.clip_norm was 1.0, now 2.0\)"):
        train(data, run, max_steps=9, clip_norm=2.0)
    assert content(run) == before
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UsageError, match="no whole checkpoint to go on from"):
        train(data, run, max_steps=9)


@pytest.mark.slow
def test_a_run_that_is_not_over_may_be_given_another_end_before_it(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        at_update(patch, 6, lambda: os.kill(os.getpid(), 15))
        with pytest.raises(KeyboardInterrupt):
            train(data, run, max_steps=20)
    with pytest.raises(UsageError, match="past the end that is asked for: 6 updates are done"):
        train(data, run, max_steps=4)
    assert load_config(Run(run).config).train.max_steps == 20
    assert train(data, run, max_steps=8).steps == 8


# The plan, by hand


def planned(ended: str = "", *, step: int = 100, seconds: float = 50.0, stale: int = 0, **settings: Any) -> Any:
    """Return what a run of 100 updates in 50 seconds, asked for 10 epochs of 10, does with other settings."""
    first = {name: settings.pop(f"first_{name}") for name in ("max_seconds",) if f"first_{name}" in settings}
    plan = StepPlan.of(TrainConfig(epochs=10, warmup_steps=5, **first), steps_per_epoch=10)
    progress = Progress(step=step, seconds=seconds, stale_evaluations=stale, ended=ended or None)
    asked = TrainConfig(**({"epochs": 10, "warmup_steps": 5} | first | settings))
    assert not plan.is_of(asked, steps_per_epoch=10)
    return plan.going_on(asked, steps_per_epoch=10, progress=progress)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "inverse_sqrt", "constant"])
def test_a_schedule_that_decays_to_an_end_begins_again_and_others_go_on(schedule: str) -> None:
    settings = TrainConfig.model_validate({"epochs": 30, "warmup_steps": 5, "schedule": schedule})
    plan = planned("all steps done", epochs=30)
    assert (plan.total_steps, plan.began_at, plan.rising_steps) == (300, 100, round(RISING_SHARE * 200))
    rates = [plan.rate(step, settings) for step in range(100, 300)]
    if schedule in ("linear", "cosine"):
        assert rates[:10] == pytest.approx([settings.learning_rate * (i + 1) / 10 for i in range(10)])
        assert rates[9:] == sorted(rates[9:], reverse=True)
        assert rates[105] == pytest.approx(0.505 * settings.learning_rate)  # half of the 190 updates after the rise
        assert rates[-1] == pytest.approx(0.01 * settings.learning_rate, rel=1)
    else:
        assert rates == [learning_rate(step, settings, total_steps=300) for step in range(100, 300)]


def test_a_run_that_was_not_over_keeps_its_schedule_and_only_its_end_moves() -> None:
    settings = TrainConfig(epochs=30, warmup_steps=5)
    plan = planned("", step=60, epochs=30)
    assert plan.rate(60, settings) == learning_rate(60, settings, total_steps=300)
    timed = planned("", step=60, first_max_seconds=100.0, max_seconds=200.0)
    assert timed.after(61, 50.5, TrainConfig(max_seconds=200.0)) == timed  # settled just now


def test_a_new_time_limit_leads_past_epochs_that_were_done() -> None:
    plan = planned("all steps done", max_seconds=80.0)
    assert plan.total_steps == 100 + int(30 * SAFETY * 2)  # 2 updates a second, 30 seconds left
    later = plan.after(103, 53.0, TrainConfig(max_seconds=80.0))  # a tenth of these: 1 update a second now
    assert later.total_steps == 103 + int(27 * SAFETY)
    assert planned("all steps done", max_seconds=80.0, epochs=11).total_steps == 110
    assert "train.max_steps" in planned("all steps done", max_seconds=80.0, max_steps=100)


def test_fewer_epochs_than_are_done_leave_nothing_to_do() -> None:
    assert "50 are asked for. A higher train.epochs goes on" in planned("all steps done", epochs=5)
    assert "A higher train.epochs goes on" in planned("all steps done", epochs=5, max_seconds=80.0)


def test_a_time_limit_that_was_used_up_is_no_shorter_for_more_epochs() -> None:
    used = {"first_max_seconds": 51.0, "ended": "planned steps done"}
    assert "--max-time" in planned(epochs=30, **used)
    assert planned(max_seconds=90.0, step=60, **used).total_steps == 100


def test_patience_counts_on_where_nothing_else_changed_and_anew_where_it_did() -> None:
    lost = {"ended": "no longer better on dev", "step": 60, "stale": 10}
    assert "train.patience" in planned(patience=9, **lost)
    assert planned(patience=20, **lost).began_at == 0
    assert planned(epochs=20, **lost).began_at == 60


def test_a_plan_of_an_earlier_version_knows_its_end_by_its_numbers() -> None:
    plan = StepPlan(100, 100, None, warmup_steps=5)
    assert plan.is_of(TrainConfig(epochs=10), steps_per_epoch=10)
    assert not plan.is_of(TrainConfig(epochs=11), steps_per_epoch=10)
