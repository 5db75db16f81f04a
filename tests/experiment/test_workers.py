"""Processes of a comparison killed and interrupted. Each slow test starts several that import torch."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from attentio.experiment.progress import read_log
from attentio.experiment.stages import prepare_data, train_run
from attentio.train.reporter import TrainingReporter
from attentio.train.settings import effective_config
from attentio.train.state import Progress

ARGUMENTS = [
    *("compare", "small-world", "-o", "data.small_world_pairs=200", "--vary", "attention.score=dot,additive"),
    *("-o", "model.embedding_size=8", "-o", "model.hidden_size=8", "-o", "train.evaluate_pairs=2", "--device", "cpu"),
    *("-o", "data.dev=6", "-o", "data.test=12", "-o", "train.batch_tokens=300", "-o", "train.evaluate_every=30"),
    *("-o", "train.save_every_seconds=0.05", "--resamples", "100", "--seeds", "1", "--budget", "90 steps"),
]


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-c", "from attentio.cli import main; main()", *ARGUMENTS, "--out", str(folder), *more]


@contextmanager
def started(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(folder, *more), **pipes, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    for _ in range(20_000):
        if condition():
            return
        if process is not None and process.poll() is not None:
            pytest.fail(f"it ended before it could be stopped: {process.communicate()[1]}")
        time.sleep(0.02)
    pytest.fail("it does not get on")


def steps(folder: Path, score: str) -> int:
    log = folder / "runs" / f"attention.score={score}" / "seed-1" / "log.jsonl"
    return (read_log(log).steps or 0) if log.exists() else 0


def arguments_of(process: int | str) -> str:
    """The command line of a process, empty where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def workers_of(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    found = {int(path.name): arguments_of(path.name) for path in Path("/proc").glob("[0-9]*")}
    return [
        number for number, words in found.items() if "runtime.processes import work" in words and str(folder) in words
    ]


def quality(folder: Path) -> list[Any]:
    shown = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    return [(cell["name"], cell["tests"], cell["steps"]) for cell in shown["cells"]]


def test_a_training_interrupted_in_its_process_goes_on_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker does, done here: the second answer is that of a training that nobody stopped."""
    overrides = ["data.train=['small-world']", "data.small_world_pairs=40", "data.dev=4", "data.test=4"]
    overrides += ["model.embedding_size=4", "model.hidden_size=4", "train.max_steps=6", "train.device=cpu"]
    config = effective_config(preset="tiny", overrides=overrides).model_dump(mode="json")
    data, answer = tmp_path / "data", tmp_path / "answer.json"
    prepare_data({"one": config}, {"one": str(data)})
    answer.write_text(json.dumps({"answer": {"memory_bytes": 10**15}}), encoding="utf-8")
    whole = train_run(config, str(tmp_path / "whole"), str(data), str(tmp_path / "none.json"))
    update = TrainingReporter.update

    def interrupt(reporter: TrainingReporter, progress: Progress, **facts: Any) -> None:
        update(reporter, progress, **facts)
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TrainingReporter, "update", interrupt)
    first = train_run(config, str(tmp_path / "broken"), str(data), str(answer))
    assert (first["interrupted_by"], first["steps"]) == (signal.SIGTERM, 3)
    second = train_run(config, str(tmp_path / "broken"), str(data), str(answer))
    assert (second["interrupted_by"], second["steps"], whole["steps"]) == (None, 6, 6)
    assert second["memory_bytes"] == 10**15  # the larger of both trainings
    weights = [(tmp_path / run / "model" / "model.safetensors").read_bytes() for run in ("whole", "broken")]
    assert weights[0] == weights[1]


IN_PROC = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes in /proc")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison that nobody disturbed, one training after the other."""
    folder = tmp_path_factory.mktemp("whole") / "bench"
    with started(folder) as process:
        _, text = process.communicate()
    assert process.returncode == 0, text
    return folder


def interrupted(process: subprocess.Popen[str], folder: Path, number: signal.Signals) -> None:
    """Interrupt a comparison, which saves and says so."""
    process.send_signal(number)
    out, text = process.communicate()
    assert process.returncode == 128 + number, text
    assert "stopped; the same command again goes on exactly here" in text
    assert "Traceback" not in text
    assert out == ""
    assert workers_of(folder) == []


def finished(folder: Path, whole: Path, *more: str) -> None:
    """Let the same command end, with the same figures and models as the one that nobody disturbed."""
    with started(folder, *more) as process:
        out, text = process.communicate()
    assert process.returncode == 0, text
    assert "additive against dot" in out
    assert quality(folder) == quality(whole)
    for score in ("dot", "additive"):
        name = f"runs/attention.score={score}/seed-1/model/model.safetensors"
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.long
@IN_PROC
def test_killed_and_interrupted_it_ends_with_the_same_result(tmp_path: Path, whole: Path) -> None:
    """SIGKILL in the first training, SIGTERM in the second: the same command goes on, to the same figures."""
    with started(tmp_path) as process:
        wait_for(lambda: steps(tmp_path, "dot") >= 20, process)
        process.kill()
        process.communicate()
    wait_for(lambda: not workers_of(tmp_path))  # the orphan saves and ends by itself
    assert 0 < steps(tmp_path, "dot") < 90
    assert not (tmp_path / "compare.json").exists()
    with started(tmp_path) as process:
        wait_for(lambda: steps(tmp_path, "additive") >= 10, process)
        interrupted(process, tmp_path, signal.SIGTERM)
    assert steps(tmp_path, "additive") < 90
    finished(tmp_path, whole)


@pytest.mark.long
@IN_PROC
def test_two_at_once_are_interrupted_and_killed_and_go_on(tmp_path: Path, whole: Path) -> None:
    """Ctrl-C while both train: both save. A worker that is killed, as when memory runs out, fails alone."""
    both = ("--at-once", "2")
    with started(tmp_path, *both) as process:
        wait_for(lambda: min(steps(tmp_path, "dot"), steps(tmp_path, "additive")) >= 10, process)
        assert len(workers_of(tmp_path)) == 2
        interrupted(process, tmp_path, signal.SIGINT)
    assert max(steps(tmp_path, "dot"), steps(tmp_path, "additive")) < 90

    def at_dot() -> list[int]:
        return [number for number in workers_of(tmp_path) if "score=dot" in arguments_of(number)]

    with started(tmp_path, *both, "--json") as process:
        wait_for(lambda: bool(at_dot()), process)
        os.kill(at_dot()[0], signal.SIGKILL)  # it is alive: it has not even loaded torch
        out, text = process.communicate()
    assert process.returncode == 1, text
    assert "dot, seed 1 failed: the process was ended by SIGKILL, as when memory runs out." in text
    dot, additive = json.loads(out)["cells"]
    assert dot["tests"] == {}
    assert additive["tests"]["test"]["scores"]
    finished(tmp_path, whole, *both)
