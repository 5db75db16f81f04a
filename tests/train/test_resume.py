"""Exact resume: killed at any moment and started again by the same command, a run ends with the same weights."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.train.reporter import TrainingReporter
from attentio.train.run import train_files
from attentio.train.state import Progress

# Dropout, a running average, evaluations, epochs, saving nearly all the time: whatever could get out of step.
SETTINGS = {
    "model.embedding_size": 12,
    "model.hidden_size": 16,
    "model.dropout": 0.2,
    "train.epochs": 10,
    "train.max_steps": 150,
    "train.batch_tokens": 400,
    "train.evaluate_every": 40,
    "train.evaluate_pairs": 5,
    "train.save_every_seconds": 0.02,
    "train.warmup_steps": 10,
    "data.max_length": 40,
    "data.dev": 20,
    "data.test": 0,
}


def command(data: Path, out: Path) -> list[str]:
    program = "from attentio.cli import main; main()"
    options = [part for name, value in SETTINGS.items() for part in ("-o", f"{name}={value}")]
    return [sys.executable, "-c", program, "train", str(data), "--out", str(out), "--device", "cpu", *options]


@contextmanager
def started(data: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """A training in a process of its own, which is gone afterwards whatever happens."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(data, out), **pipes, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def steps_logged(out: Path) -> int:
    log = out / "log.jsonl"
    if not log.exists():
        return 0
    lines = log.read_text(encoding="utf-8").split("\n")[:-1]
    return max((json.loads(line).get("step", 0) for line in lines), default=0)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(10_000):
        if condition():
            return
        if process.poll() is not None:
            pytest.fail(f"the training ended before it could be stopped: {process.communicate()[1]}")
        time.sleep(0.02)
    pytest.fail("the training does not get on")


def digest(out: Path) -> str:
    return hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(200, 5)), encoding="utf-8")
    return path


def test_interrupted_in_its_process_it_ends_with_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS | {"train.max_steps": 12, "train.evaluate_every": 5, "train.device": "cpu", "data.dev": 5}
    train_files(data, tmp_path / "whole", preset="tiny", settings=settings)
    update, stops = TrainingReporter.update, {4: signal.SIGINT, 9: signal.SIGTERM}

    def interrupt(reporter: TrainingReporter, progress: Progress, **facts: Any) -> None:
        update(reporter, progress, **facts)
        if progress.step in stops:
            os.kill(os.getpid(), stops.pop(progress.step))

    monkeypatch.setattr(TrainingReporter, "update", interrupt)
    for name in ("SIGINT", "SIGTERM"):
        with pytest.raises(KeyboardInterrupt, match=name):
            train_files(data, tmp_path / "broken", preset="tiny", settings=settings)
    train_files(data, tmp_path / "broken", preset="tiny", settings=settings)
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    with started(data, tmp_path / "whole") as process:
        _, text = process.communicate()
    assert process.returncode == 0, text
    moments = random.Random(20)
    broken = tmp_path / "broken"
    stops = [
        (signal.SIGKILL, -signal.SIGKILL),
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGKILL, -signal.SIGKILL),
    ]
    reached = 0
    for number, (stop, status) in enumerate(stops, start=1):
        with started(data, broken) as process:
            wanted = min(reached + moments.randint(5, 25), 28 * number)
            wait_for(lambda wanted=wanted: steps_logged(broken) >= wanted, process)
            time.sleep(moments.random() * 0.05)
            process.send_signal(stop)
            _, text = process.communicate()
        assert process.returncode == status, text
        assert "Traceback" not in text
        if stop is not signal.SIGKILL:
            assert "the same command again resumes exactly here" in text
        reached = steps_logged(broken)
    assert reached < SETTINGS["train.max_steps"]
    with started(data, broken) as process:
        _, text = process.communicate()
    assert process.returncode == 0, text
    assert digest(broken) == digest(tmp_path / "whole")
    assert sorted(path.name for path in broken.iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )
