"""Settings that fit the number of pairs, and how many updates a run makes, by hand."""

from pathlib import Path

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.train.folder import Run
from attentio.train.plan import FITS, SAFETY, StepPlan, describe_plan, fit
from attentio.train.run import train_files
from attentio.train.settings import TrainConfig, dump_config, effective_config, load_config


def write_pairs(path: Path, count: int) -> Path:
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(count, 5)), encoding="utf-8")
    return path


def timed(seconds: float = 100.0, epochs: int = 1000, **settings: float) -> tuple[StepPlan, TrainConfig]:
    train = TrainConfig(epochs=epochs, max_seconds=seconds, **settings)  # pyright: ignore[reportArgumentType]
    return StepPlan.of(train, steps_per_epoch=7), train


def test_the_table_goes_from_few_pairs_to_any_number() -> None:
    assert [row.most_pairs for row in FITS] == sorted(row.most_pairs for row in FITS)
    assert (fit(0), fit(10**9)) == (FITS[0], FITS[-1])
    assert FITS[-1].train == {}  # large corpora keep the preset


def test_the_default_fits_the_pairs_and_what_the_user_sets_wins(tmp_path: Path) -> None:
    data = {"data": {"train": [str(write_pairs(tmp_path / "pairs.tsv", 300))]}}
    config = effective_config(settings=data)
    assert config.train.fitted_pairs == 300
    assert {name: getattr(config.train, name) for name in fit(300).train} == fit(300).train
    assert config.model.dropout == fit(300).model["dropout"]
    assert config.data.learn_links
    assert config.model.lexicon == fit(300).model["lexicon"] > 0
    assert effective_config(settings=data, overrides=["model.family=transformer"]).model.lexicon == 0
    alone = effective_config(settings=data, overrides=["data.learn_links=false"])
    assert not alone.data.learn_links
    given = effective_config(settings=data, overrides=["train.epochs=7", "train.warmup_steps=9", "model.dropout=0.0"])
    assert (given.train.epochs, given.train.warmup_share, given.model.dropout) == (7, None, 0.0)
    assert StepPlan.of(given.train, steps_per_epoch=70).warmup_steps == 9
    assert effective_config(settings=data, overrides=["model.family=rnn"]).model.family == "rnn"
    longer = effective_config(settings=data, overrides=["train.max_seconds=60.0"])
    assert longer.train.epochs > config.train.epochs
    assert effective_config(preset="small", settings=data).train == TrainConfig(subword_regularization=0.1)


def test_only_many_pairs_without_a_time_limit_end_by_patience(tmp_path: Path) -> None:
    """Few pairs hold out too few sentences to tell when it gets no better."""
    limit = ["train.max_seconds=60.0"]
    for pairs, patience in ((300, 0), (4_000, 0), (8_001, 10)):
        data = {"data": {"train": [str(write_pairs(tmp_path / "pairs.tsv", pairs))]}}
        assert effective_config(settings=data).train.patience == patience
        assert effective_config(settings=data, overrides=limit).train.patience == 0


def test_a_run_keeps_its_plan_whatever_the_default_is_today(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.tsv", 20)
    run = Run(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    former = effective_config(preset="small", settings={"data": {"train": [str(pairs)]}})
    run.config.write_text(dump_config(former), encoding="utf-8")
    assert effective_config(settings={"data": {"train": [str(pairs)]}}, run=run.folder) == load_config(run.config)
    changed = effective_config(settings={"data": {"train": [str(pairs)]}}, overrides=["train.seed=5"], run=run.folder)
    assert (changed.train.seed, changed.train.epochs) == (5, former.train.epochs)


def test_what_is_planned_is_said() -> None:
    line, facts = describe_plan(TrainConfig(epochs=3, warmup_share=0.1, fitted_pairs=400), dropout=0.3, batches=70)
    assert "fitted to 400 pairs: at most 210 updates" in line
    exact, _ = describe_plan(TrainConfig(epochs=3, fitted_pairs=400, patience=0), dropout=0.3, batches=70)
    assert "fitted to 400 pairs: 210 updates" in exact
    assert (facts["most_updates"], facts["warmup_updates"]) == (210, 21)
    assert "as set" in describe_plan(TrainConfig(), dropout=0.3, batches=70)[0]


@pytest.mark.slow
def test_a_run_says_its_plan(tmp_path: Path) -> None:
    said: list[str] = []
    settings = {"train.max_steps": 1, "data.test": 0}
    result = train_files(write_pairs(tmp_path / "p.tsv", 30), tmp_path / "run", settings=settings, say=said.append)
    assert any("fitted to 30 pairs: 1 updates" in line for line in said)
    assert '"event": "plan"' in Run(result.run).log.read_text(encoding="utf-8")


def test_epochs_and_steps_whichever_is_less() -> None:
    assert StepPlan.of(TrainConfig(epochs=3), steps_per_epoch=7).total_steps == 21
    assert StepPlan.of(TrainConfig(epochs=3, max_steps=11), steps_per_epoch=7).total_steps == 11
    assert StepPlan.of(TrainConfig(epochs=3, max_steps=99), steps_per_epoch=7).total_steps == 21


def test_warm_up_is_a_share_of_the_updates_that_are_planned() -> None:
    assert StepPlan.of(TrainConfig(epochs=10, warmup_share=0.1), steps_per_epoch=7).warmup_steps == 7
    assert StepPlan.of(TrainConfig(epochs=1000, warmup_share=0.1), steps_per_epoch=70).warmup_steps == 400
    plan, settings = timed(warmup_share=0.1)
    assert plan.warmup_steps == 400  # 7,000 updates
    fewer = plan.after(10, 2.0, settings)  # 5 updates a second, 98 seconds left
    assert fewer.warmup_steps == round(0.1 * fewer.total_steps) == 48
    assert fewer.after(60, 10.0, settings).warmup_steps == 48  # it is over


def test_without_a_time_limit_the_clock_says_nothing() -> None:
    plan = StepPlan.of(TrainConfig(epochs=1), steps_per_epoch=7)
    assert plan.after(3, 1e9, TrainConfig()) == plan
    assert plan.stop_reason(6, 1e9) is None
    assert plan.stop_reason(7, 0.0) == "all steps done"


def test_a_time_limit_becomes_a_number_of_updates() -> None:
    plan, settings = timed()
    assert plan.after(9, 1.9, settings) == plan  # too early to say
    first = plan.after(10, 2.0, settings)  # 5 updates a second, 98 seconds left
    assert first.total_steps == 10 + int(98 * SAFETY * 5)
    assert first.revised_at == 10
    assert first.after(20, 9.9, settings) == first  # slower now, and still the same plan
    assert first.stop_reason(first.total_steps - 1, 29.0) is None
    assert first.stop_reason(first.total_steps, 29.0) == "planned steps done"


def test_the_plan_follows_the_latest_speed_until_the_end() -> None:
    plan, settings = timed()
    slow = plan.after(10, 10.0, settings)  # the machine was busy: 1 update a second
    assert slow.total_steps == 10 + int(90 * SAFETY)
    faster = slow.after(90, 30.0, settings)  # 4 updates a second since then, 70 seconds left
    assert faster.total_steps == 90 + int(70 * SAFETY * 4)
    late = faster.after(330, 90.0, settings)
    later = late.after(335, 95.0, settings)  # busy again: 1 update a second, 5 seconds left
    assert later.total_steps == 335 + int(5 * SAFETY)
    assert later.after(336, 99.0, settings) == later


def test_after_a_pause_one_revision_stands_for_several() -> None:
    plan, settings = timed()
    plan = plan.after(60, 60.0, settings)
    assert plan.total_steps == 60 + int(40 * SAFETY)
    assert plan.after(65, 69.0, settings) == plan


def test_the_limit_itself_holds() -> None:
    plan, settings = timed()
    assert plan.stop_reason(1, 100.0) == "time limit"
    late = plan.after(1, 150.0, settings)  # one update took longer than all the time there was
    assert late.total_steps == 1


def test_a_time_limit_never_adds_updates() -> None:
    plan, settings = timed(epochs=2)
    assert plan.after(5, 10.0, settings).total_steps == 14


def test_a_run_that_needs_updates_gets_more_time_for_them_up_to_a_bound() -> None:
    plan, settings = timed(seconds=100.0, min_steps=300)
    slow = plan.after(10, 10.0, settings)  # 1 update a second: 97 would fit
    assert slow.total_steps == 300
    assert slow.stop_reason(150, 150.0) is None  # over the time limit, and not there yet
    assert slow.stop_reason(299, 299.0) is None
    assert slow.stop_reason(300, 300.0) == "time limit"
    slower = slow.after(20, 150.0, settings)  # 14 s an update: in five times the limit, 24 more fit
    assert slower.total_steps == 20 + int(350 * SAFETY * 10 / 140)
    assert slower.stop_reason(30, 500.0) == "time limit"
    quick = plan.after(50, 10.0, settings)
    assert quick.total_steps == 50 + int(90 * SAFETY * 5)
    assert quick.stop_reason(310, 100.0) == "time limit"  # enough updates: the limit holds
    assert StepPlan.of(TrainConfig(epochs=1, min_steps=300), steps_per_epoch=7).total_steps == 7
