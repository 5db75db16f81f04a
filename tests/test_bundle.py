"""A run folder: its model is whole and belongs together, or it is said which file is amiss."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attentio.bundle import open_model
from attentio.errors import ModelError
from attentio.model.fast import linear
from attentio.train.folder import Run

CPU = torch.device("cpu")


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def refused(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        open_model(path, CPU)
    assert caught.value.exit_status == 4
    assert "\n" not in str(caught.value)
    return caught.value


def test_it_opens_whole(run: Path) -> None:
    trained = open_model(run, CPU)
    assert not trained.model.training
    assert trained.progress.best_step == 20
    assert trained.config.model.hidden_size == 128
    assert trained.source_cleaner.lines(["a  b"]) == ["a b"]
    packs = linear.pack(torch.ones(2, 3)) is not None
    packed = [module.packed for module in trained.model.modules() if isinstance(module, linear.Linear)]
    assert len(packed) > 1
    assert all((part is not None) == packs for part in (trained.model.decoder.packed_output, *packed))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: -(path.stat().st_size // 4)])


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "source.tokenizer", "target.tokenizer"])
@pytest.mark.parametrize(
    ("damage", "words"), [(truncate, "is truncated"), (alter, "was altered"), (Path.unlink, "missing")]
)
def test_damaged_files_are_named(run: Path, name: str, damage: Callable[[Path], None], words: str) -> None:
    damage(run / "model" / name)
    error = refused(run)
    assert name in error.message
    # Altered, a tokenizer may still be one, of another run as far as anybody can tell.
    assert words in error.message or (damage is alter and error.code == "E_MODEL_MISMATCH")


def test_a_tokenizer_of_another_run_is_refused_also_at_the_same_size(run: Path) -> None:
    path = run / "model" / "target.tokenizer"
    held = json.loads(path.read_text(encoding="utf-8"))
    held["pieces"][-1], held["pieces"][-2] = held["pieces"][-2], held["pieces"][-1]
    path.write_text(json.dumps(held), encoding="utf-8")
    error = refused(run)
    assert error.code == "E_MODEL_MISMATCH"
    size = f"{len(held['pieces']):,}"
    assert f"({size} pieces) does not belong to these weights (embedding {size})" in error.message


def test_weights_of_another_configuration_are_refused(run: Path) -> None:
    manifest = run / "model" / "manifest.json"
    held = json.loads(manifest.read_text(encoding="utf-8"))
    held["state"]["config"]["model"]["hidden_size"] = 64
    manifest.write_text(json.dumps(held), encoding="utf-8")
    assert "the weights do not belong to this configuration" in refused(run).message
    held["state"]["config"]["model"]["colour"] = "red"
    manifest.write_text(json.dumps(held), encoding="utf-8")
    assert "unknown setting model.colour" in refused(run).message


def test_folders_that_hold_no_model(run: Path, tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "nowhere").message
    assert "no such folder" in refused(run / "config.toml").message
    assert "is not a run folder" in refused(tmp_path).message
    shutil.rmtree(run / "model")
    assert "has no model yet" in refused(run).message


def test_a_model_folder_without_its_parts(run: Path) -> None:
    (run / "model" / "manifest.json").unlink()
    for place in (run, run / "model"):
        error = refused(place)
        assert "manifest.json: no such file" in error.message
    shutil.rmtree(run / "model")
    (run / "model").mkdir()
    assert "manifest.json" in refused(run).message


def test_a_model_whose_writer_was_killed_while_replacing_it_still_opens(run: Path) -> None:
    (run / "model").rename(run / ".model.old")
    assert open_model(run, CPU).progress.best_step == 20
    (run / ".model.partial").mkdir()
    assert open_model(run, CPU).progress.best_step == 20


def test_places() -> None:
    run = Run(Path("x"))
    names = [path.name for path in (run.config, run.data, run.checkpoints, run.model, run.log)]
    assert names == ["config.toml", "data", "checkpoints", "model", "log.jsonl"]
