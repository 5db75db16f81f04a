"""Exact resume: killed at any moment and started again by the same command, a run ends with the same weights."""

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attentio.cli import main
from attentio.corpora.small_world.grammar import sample
from attentio.model.fast import probe
from attentio.runtime import choices
from attentio.runtime.processes import AVAILABLE
from attentio.train.checkpoint import whole_checkpoints
from attentio.train.folder import Run
from attentio.train.reporter import TrainingReporter
from attentio.train.run import train_files
from attentio.train.state import kernels_of

# Dropout, a running average, evaluations, epochs, saving all the time: whatever could get out of step.
SETTINGS = {
    "model.embedding_size": 12,
    "model.hidden_size": 16,
    "model.dropout": 0.2,
    "train.epochs": 10,
    "train.max_steps": 24,
    "train.batch_tokens": 400,
    "train.evaluate_every": 5,
    "train.evaluate_pairs": 5,
    "train.save_every_seconds": 1e-9,
    "train.warmup_steps": 10,
    "train.device": "cpu",
    "data.max_length": 40,
    "data.dev": 20,
    "data.test": 0,
}


def kill_at(moment: int, number: int, patch: pytest.MonkeyPatch) -> None:
    """Send this process a signal at its `moment`-th update, sync or rename."""
    left = [moment]

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **facts: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), number)
            return call(*arguments, **facts)

        return called

    for place, name in ((TrainingReporter, "update"), (os, "fsync"), (Path, "rename"), (Path, "replace")):
        patch.setattr(place, name, watched(getattr(place, name)))


def work(data: Path, out: Path, stop: signal.Signals | None, moment: int) -> None:
    """Be `attentio train` in a process that has loaded everything, and die of a signal in the midst of it."""
    options = [part for name, value in SETTINGS.items() for part in ("-o", f"{name}={value}")]
    sys.argv = ["attentio", "train", str(data), "--out", str(out), "--preset", "tiny", *options]
    with out.with_suffix(".said").open("w", encoding="utf-8") as sys.stdout, pytest.MonkeyPatch.context() as patch:
        sys.stderr = sys.stdout
        if stop is not None:
            kill_at(moment, stop, patch)
        main()


def trained(data: Path, out: Path, stop: signal.Signals | None = None, moment: int = 0) -> tuple[int | None, str]:
    """Status and output of a training in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=work, args=(data, out, stop, moment))
    process.start()
    process.join()
    return process.exitcode, out.with_suffix(".said").read_text(encoding="utf-8")


def digest(out: Path) -> str:
    return hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(200, 5)), encoding="utf-8")
    return path


def test_interrupted_in_its_process_it_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    settings = SETTINGS | {"train.max_steps": 8, "train.evaluate_every": 3, "data.dev": 5}
    train_files(data, tmp_path / "whole", preset="tiny", settings=settings)
    for name, moment in (("SIGINT", 60), ("SIGTERM", 25)):
        with pytest.MonkeyPatch.context() as patch:
            kill_at(moment, signal.Signals[name], patch)
            with pytest.raises(KeyboardInterrupt, match=name):
                train_files(data, tmp_path / "broken", preset="tiny", settings=settings)
    train_files(data, tmp_path / "broken", preset="tiny", settings=settings)
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


@pytest.mark.slow
def test_it_goes_on_with_the_products_that_it_began_with(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATTENTIO_KERNELS")
    monkeypatch.setattr(choices, "cache_folder", lambda: tmp_path / "cache")
    settings = SETTINGS | {"train.max_steps": 6, "train.evaluate_every": 3, "data.dev": 5, "train.precision": "fp32"}
    forced = {kind: {"onednn": 2.0, "torch": 1.0} for kind in choices.STANDARD if "rows" in kind}
    measured = [(forced, True)]
    monkeypatch.setattr(probe, "measure", lambda: measured.pop())
    train_files(data, tmp_path / "whole", preset="tiny", settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(40, signal.SIGTERM, patch)
        with pytest.raises(KeyboardInterrupt):
            train_files(data, tmp_path / "broken", preset="tiny", settings=settings)
    shutil.rmtree(tmp_path / "cache")  # nothing is known of this machine any more, and nothing is measured
    train_files(data, tmp_path / "broken", preset="tiny", settings=settings)
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")
    train_files(data, tmp_path / "asked", preset="tiny", settings=settings | {"train.kernels": "onednn"})
    for out, name in (("whole", "torch"), ("broken", "torch"), ("asked", "onednn")):
        newest = next(whole_checkpoints(Run(tmp_path / out).checkpoints, print))
        assert kernels_of(newest)["forward, many rows"] == name


@pytest.mark.slow
@pytest.mark.skipif(not AVAILABLE, reason="copies of a process")
def test_killed_at_random_moments_it_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    """Also in the midst of saving: a moment is any update, sync or rename."""
    broken, moments = tmp_path / "broken", random.Random(20)
    assert trained(data, tmp_path / "whole")[0] == 0
    for stop in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        status, text = trained(data, broken, stop, moments.randint(10, 60))
        assert status == (-stop if stop is signal.SIGKILL else 128 + stop), text
        assert "Traceback" not in text
        assert stop is signal.SIGKILL or "the same command again resumes exactly here" in text
    status, text = trained(data, broken)
    assert status == 0, text
    assert digest(broken) == digest(tmp_path / "whole")
    (broken / ".lock").unlink(missing_ok=True)
    assert sorted(path.name for path in broken.iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )
