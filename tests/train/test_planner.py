"""The planner measures, expects and advises. It changes nothing of the training that follows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.data.findings import Finding
from attentio.train import planner
from attentio.train.expectation import Expected, Traits
from attentio.train.planner import Speed, TrainingPlan, duration, plan_training
from attentio.train.settings import effective_config

Shell = Callable[[str, Path], tuple[int, str]]


def plan(**changes: object) -> TrainingPlan:
    known = {
        "model": "cnn",
        "preset": "auto",
        "pairs": 5000,
        "updates": 500,
        "planned": 1000,
        "share": 0.5,
        "seconds": 60.0,
        "limited": True,
        "patient": False,
        "shared": False,
        "speed": Speed(0.1, 2.0),
        "traits": Traits(5000, 20.0, 0.5),
        "expected": Expected(30.0, 20.0, 40.0),
        "full": Expected(38.0, 28.0, 48.0),
        "doubled": Expected(35.0, 25.0, 45.0),
        "unknown": None,
        "findings": [],
        "better_than": {"cnn-small": -4.0},
    }
    return TrainingPlan(**(known | changes))  # pyright: ignore[reportArgumentType]


def test_what_helps_most_comes_first() -> None:
    assert plan().advice() == ["more time: chrF 38 in 2 min", "twice the pairs: chrF 35"]
    many = plan(doubled=Expected(45.0, 30.0, 50.0))
    assert many.advice()[0] == "twice the pairs: chrF 45"
    assert plan(doubled=Expected(30.2, 20.0, 40.0), full=Expected(30.0, 20.0, 40.0), share=1.0).advice() == []
    sick = plan(findings=[Finding("misaligned", "lines are shifted", "Mend line 7.")], pairs=300)
    assert sick.advice()[0] == "Mend the text first. lines are shifted. Mend line 7."
    assert "--start-from" in sick.advice()[-1]


def test_the_line_of_train() -> None:
    assert plan().expectation() == "expect chrF 30 [20, 40] on unseen text in 60 s"
    assert plan(limited=False, patient=True, seconds=400).expectation().endswith("in up to 7 min")
    assert any("fewer when dev" in line for line in plan(patient=True).lines())
    assert not any("fewer when dev" in line for line in plan().lines())
    assert plan(expected=None, unknown="too few").expectation() == "expect 60 s, chrF unknown: too few"
    assert any("others use this machine" in line for line in plan(shared=True).lines())


@pytest.mark.parametrize(("seconds", "text"), [(9.6, "10 s"), (150, "2 min"), (5000, "83 min"), (9000, "2.5 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(420, 5)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_time_limit_is_a_number_of_updates(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "measure", lambda *_, **__: Speed(0.1, 1.0, 1.0))
    settings = {"data": {"train": [str(pairs)]}, "train": {"max_seconds": 100.0}}
    found = plan_training(effective_config(settings=settings))
    assert found.updates == int(100 * 0.97 / (0.1 + 1 / 50))
    assert found.limited
    assert 100 <= found.seconds < 130  # and what preparing takes
    assert found.share == found.updates / found.planned
    unlimited = plan_training(effective_config(settings={"data": {"train": [str(pairs)]}}))
    assert found.planned == unlimited.planned == unlimited.updates
    assert (unlimited.limited, unlimited.patient) == (False, False)
    assert found.expected is not None
    assert found.full is not None
    assert found.expected.low < found.expected.chrf < found.full.chrf
    monkeypatch.setattr(planner, "measure", lambda *_, **__: Speed(0.1, 1.0, 0.3))
    shared = plan_training(effective_config(settings=settings)).expected
    assert shared is not None
    assert shared.low < found.expected.low
    assert shared.high > found.expected.high
    assert found.as_dict()["expected"]["chrf"] == found.expected.chrf
    json.dumps(found.as_dict())
    other = plan_training(effective_config(preset="tiny", settings=settings))
    assert (other.expected, other.preset) == (None, "as set")
    assert "preset auto" in other.expectation()


@pytest.mark.slow
def test_plan_and_the_first_lines_of_train(
    pairs: Path, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "SECONDS", 0.1)
    status, printed = shell(f"attentio plan {pairs} --time 30s --json", tmp_path)
    assert status == 0, printed
    found = json.loads(printed)
    assert found["speed"]["update"] > 0
    assert found["speed"]["evaluation"] > 0
    assert found["findings"] == []
    assert found["expected"]["low"] < found["expected"]["high"]
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]
    monkeypatch.setattr("attentio.train.run.FORESEEING", 0.1)
    status, printed = shell(f"attentio train {pairs} --max-time 2s --out timed --json", tmp_path)
    assert status == 0, printed
    assert "expect chrF" in printed
    assert json.loads(printed.splitlines()[-1])["plan"]["expected"]["expected"]["chrf"] > 0


@pytest.mark.slow
def test_measuring_changes_nothing(pairs: Path, tmp_path: Path) -> None:
    from attentio.train.run import run_training

    settings = {"data": {"train": [str(pairs)]}, "train": {"max_steps": 3}}
    config = effective_config(settings=settings)
    plain, foreseen = tmp_path / "plain", tmp_path / "foreseen"
    run_training(config, plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attentio.train.run.FORESEEN", 1)
        patch.setattr("attentio.train.run.FORESEEING", 0.1)
        said: list[str] = []
        run_training(config, foreseen, foresee=True, say=said.append)
    assert any(line.startswith("expect ") for line in said)
    weights = "model/model.safetensors"
    assert (plain / weights).read_bytes() == (foreseen / weights).read_bytes()
