"""The functions that `import attentio` offers."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import attentio
from attentio.errors import DataError, UsageError


def test_what_is_offered_is_listed_and_loaded_late() -> None:
    assert dir(attentio) == sorted(attentio.__all__)
    assert all(getattr(attentio, name) is not None for name in attentio.__all__)
    code = "import sys, attentio; raise SystemExit('torch' in sys.modules or 'attentio.train' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="nothing"):
        _ = attentio.nothing


@pytest.mark.slow
def test_training_gives_records_prints_nothing_and_runs_in_any_thread(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"train.max_steps": 4, "train.evaluate_every": 2, "train": {"evaluate_pairs": 5}}
    settings |= {"data.small_world_pairs": 250}
    found: list[object] = []
    told: list[str] = []

    def work() -> None:
        found.append(attentio.train("small-world", tmp_path / "run", preset="tiny", settings=settings, say=told.append))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (result,) = found
    assert capsys.readouterr() == ("", "")
    assert any(line.startswith("ended ") for line in told)  # "done" is not said of a model that has learned nothing
    assert (result.steps, result.ended, result.run) == (4, "all steps done", tmp_path / "run")
    assert [record["step"] for record in result.records] == [2, 4]
    assert all({"dev_chrf", "seconds", "loss", "epoch"} <= record.keys() for record in result.records)
    assert attentio.Translator.load(result.run)("My sister bought two books.").source


@pytest.mark.slow
def test_mistakes_are_errors_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        attentio.train(tmp_path / "none.tsv", tmp_path / "run")
    with pytest.raises(UsageError, match="unknown setting train\\.epoch"):
        attentio.train("small-world", tmp_path / "run", settings={"train.epoch": 3})


def test_the_package_is_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "attentio", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"attentio {attentio.__version__}\n"
