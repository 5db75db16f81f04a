"""A run examined: its files, its text, what it learned. A good run has no symptom."""

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.errors import ModelError
from attentio.evaluation.doctor import examine
from attentio.train.run import run_training
from attentio.train.settings import effective_config

Shell = Callable[[str, Path], tuple[int, str]]


def trained(
    out: Path, pairs: list[tuple[str, str]], preset: str = "tiny", attention: str | None = None, **train: object
) -> Path:
    file = out.with_suffix(".tsv")
    file.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    settings: dict[str, dict[str, object]] = {
        "data": {"train": [str(file)], "dev": 60, "test": 60},
        "train": {"max_steps": 1, "warmup_steps": 0, "evaluate_pairs": 5, **train},
    }
    if attention is not None:
        settings["attention"] = {"score": attention}
    run_training(effective_config(preset=preset, settings=settings), out)
    return out


PAIRS = [(pair.source, pair.target) for pair in sample(700, 5)]


@pytest.fixture(scope="module")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that comes with the package, hardly trained further: a run that has learned."""
    out = tmp_path_factory.mktemp("good") / "run"
    return trained(out, PAIRS, preset="auto", start_from="small-world", learning_rate=1e-9)


@pytest.mark.slow
def test_a_good_run_has_no_symptom(good_run: Path) -> None:
    found = examine(good_run)
    assert found.findings == []
    assert found.left_out == []
    assert found.files == dict.fromkeys(("config.toml", "checkpoints", "model", "data"), "whole")
    assert found.newest == good_run / "checkpoints" / "step-1"
    assert "finished" in found.go_on


@pytest.mark.slow
def test_a_run_that_learned_nothing(tiny_run: Path) -> None:
    found = {finding.symptom: finding for finding in examine(tiny_run).findings}
    assert found.keys() >= {"underfitting", "small-held-out"}
    assert found.keys() & {"same-output", "too-short", "too-long", "loops"}
    assert not found.keys() & {"overfitting", "misaligned", "leaking-held-out", "warm-up-unfinished"}


@pytest.mark.slow
def test_what_was_trained_on_shifted_lines(tmp_path: Path) -> None:
    shifted = [(source, target) for (source, _), (_, target) in pairwise(PAIRS)]
    run = trained(tmp_path / "run", PAIRS[:300] + shifted[300:], warmup_steps=400)
    found = {finding.symptom: finding.evidence for finding in examine(run).findings}
    assert abs(int(found["misaligned"]["first_line"]) - 301) <= 3
    assert found["warm-up-unfinished"] == {"warmup_updates": 400, "updates": 1}


@pytest.mark.slow
def test_attention_that_cannot_choose(tmp_path: Path) -> None:
    """With `linear_concat`, every query has the same weights."""
    run = trained(tmp_path / "run", PAIRS, attention="linear_concat")
    found = {finding.symptom: finding.evidence for finding in examine(run).findings}
    assert found.keys() & {"uniform-attention", "dead-attention"}


@pytest.mark.slow
def test_a_held_out_set_that_the_first_model_was_trained_on(tmp_path: Path) -> None:
    first = trained(tmp_path / "first", PAIRS)
    other = [*PAIRS[::-1], ("It is new.", "这是新的。")]
    run = trained(tmp_path / "second", other, start_from=str(first), seed=2)
    assert "leaking-held-out" in {finding.symptom for finding in examine(run).findings}


def test_only_a_model() -> None:
    found = examine(Path("small-world"))
    assert found.findings == []
    assert found.left_out == ["only a model is here, and nothing of its training"]
    assert found.go_on == "attentio translate small-world"


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        examine(tmp_path / "none")


def copied(run: Path, to: Path) -> Path:
    return Path(shutil.copytree(run, to / "run"))


@pytest.mark.slow
def test_damage_is_named_and_how_to_go_on(good_run: Path, tmp_path: Path, shell: Shell) -> None:
    run = copied(good_run, tmp_path)
    weights = run / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (checkpoint,) = (run / "checkpoints").iterdir()
    status, printed = shell(f"attentio doctor {run} --json", tmp_path)
    found = json.loads(printed)
    assert status == ModelError.exit_status
    assert "truncated" in found["files"]["model"]
    assert found["files"]["checkpoints"] == "whole"
    assert found["newest_checkpoint"] == str(checkpoint)
    assert found["go_on"].startswith(f"attentio train --config {run}/config.toml --out {run} (mends model")
    assert "not whole" in " ".join(found["left_out"])
    status, printed = shell(found["go_on"].partition(" (")[0], tmp_path)  # it does
    assert status == 0, printed
    assert examine(run).is_whole
    (checkpoint / "manifest.json").write_text("{}")
    found = examine(run)
    assert found.newest is None
    assert "No checkpoint is whole" in found.go_on
    assert f"attentio translate {run}" in found.go_on


@pytest.mark.slow
def test_the_end_of_a_training_names_symptoms(tmp_path: Path, shell: Shell) -> None:
    options = "-o data.small_world_pairs=300 -o train.max_steps=2 --preset tiny"
    status, printed = shell(f"attentio train small-world {options} --json", tmp_path)
    assert status == 0
    assert "look at: " in printed
    assert "attentio doctor run" in printed
    found = json.loads(printed.splitlines()[-1])["findings"]
    assert "warm-up-unfinished" in {finding["symptom"] for finding in found}
    status, printed = shell("attentio doctor run", tmp_path)
    assert status == 0
    assert "warm-up-unfinished: warm-up did not end: 400 of 2 updates\n  → " in printed
