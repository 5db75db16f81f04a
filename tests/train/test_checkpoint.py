"""Checkpoints: whole or not there, whatever happens while they are written; and damage is found and named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from attentio.errors import ModelError, ResourceError
from attentio.runtime import sealed as module
from attentio.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    whole_checkpoints,
)


def content(value: float) -> Checkpoint:
    tensors = {"weights": {"a": torch.full((3, 5), value), "b": torch.arange(7)}, "more": {"c": torch.tensor(value)}}
    return Checkpoint(tensors, {"step": value, "text": "猫"})


def same(found: Checkpoint, wanted: Checkpoint) -> bool:
    tensors = found.tensors.keys() == wanted.tensors.keys() and all(
        torch.equal(found.tensors[group][name], tensor)
        for group, named in wanted.tensors.items()
        for name, tensor in named.items()
    )
    return tensors and found.state == wanted.state


@pytest.fixture
def notes() -> list[str]:
    return []


def test_round_trip_and_replacement(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    for value in (1.0, 2.0):
        save_checkpoint(folder, content(value))
        assert same(load_checkpoint(folder), content(value))
    assert [path.name for path in folder.parent.iterdir()] == ["model"], "something was left beside it"


def test_a_tensor_that_is_a_view_is_saved_as_what_it_shows(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    save_checkpoint(tmp_path / "x", Checkpoint({"w": {"t": whole.t(), "row": whole[1]}}, {}))
    found = load_checkpoint(tmp_path / "x").tensors["w"]
    assert torch.equal(found["t"], whole.t())
    assert torch.equal(found["row"], whole[1])


def test_whoever_may_read_one_file_may_read_all(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "x", content(1.0))
    assert len({path.stat().st_mode for path in (tmp_path / "x").iterdir()}) == 1


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("name", ["weights.safetensors", "more.safetensors"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "is truncated (the manifest says"),
        (alter, "was altered (its SHA-256 differs)"),
        (lengthen, "was altered (its SHA-256 differs)"),
        (Path.unlink, "missing."),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, damage: Callable[[Path], None], words: str) -> None:
    save_checkpoint(tmp_path / "x", content(1.0))
    damage(tmp_path / "x" / name)
    with pytest.raises(ModelError) as caught:
        load_checkpoint(tmp_path / "x")
    assert words in caught.value.message
    assert caught.value.file == str(tmp_path / "x" / name)
    assert caught.value.code == "E_MODEL_CORRUPT"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"sha256": "x", "a": "\\ud800"}', "not valid JSON"),
        ("[]", "written by another version"),
        ('{"schema": 2}', "written by another version"),
        ('{"schema": 1}', "no table of files"),
        ('{"schema": 1, "files": {"weights": 5}}', "no table of files"),
        ('{"schema": 1, "files": {"../x": {"bytes": 1, "sha256": ""}}}', "no table of files"),
        ('{"schema": 1, "files": {}}', "no table of state"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str | None, words: str) -> None:
    save_checkpoint(tmp_path / "x", content(1.0))
    manifest = tmp_path / "x" / "manifest.json"
    manifest.unlink() if text is None else manifest.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=words):
        load_checkpoint(tmp_path / "x")


def test_a_file_that_is_no_safetensors_although_its_hash_fits(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "x", content(1.0))
    (tmp_path / "x" / "more.safetensors").write_bytes(b"nonsense")
    module.seal(tmp_path / "x", {"schema": 1, "state": {}})
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(tmp_path / "x")


def full_disk(_tensors: dict[str, torch.Tensor], _path: Path) -> None:
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def read_only(_tensors: dict[str, torch.Tensor], _path: Path) -> None:
    raise OSError(30, "Read-only file system")


@pytest.mark.parametrize(
    ("where", "name", "fault", "words", "code"),
    [
        (safetensors.torch, "save_file", full_disk, "disk full while saving", "E_DISK_FULL"),
        (safetensors.torch, "save_file", read_only, "cannot be written (Read-only file system)", "E_DISK"),
    ],
    ids=["full", "read-only"],
)
def test_a_failing_disk_is_said_and_the_one_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, fault: Any, words: str, code: str
) -> None:
    save_checkpoint(tmp_path / "x", content(1.0))
    with monkeypatch.context() as patch:
        patch.setattr(where, name, fault)
        with pytest.raises(ResourceError) as caught:
            save_checkpoint(tmp_path / "x", content(2.0))
    assert words in caught.value.message
    assert caught.value.code == code
    assert same(load_checkpoint(tmp_path / "x"), content(1.0))
    assert [path.name for path in tmp_path.iterdir()] == ["x"], "the unfinished one was left behind"
    save_checkpoint(tmp_path / "x", content(3.0))
    assert same(load_checkpoint(tmp_path / "x"), content(3.0))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("survived", range(2))
def test_killed_at_any_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int) -> None:
    """The manifest is renamed into place, the old folder away, the new one in: a kill before each leaves one whole."""
    save_checkpoint(tmp_path / "x", content(1.0))
    done: list[Path] = []

    def dying(call: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def rename(self: Path, target: Path) -> Path:
            if len(done) == survived:
                raise Killed
            done.append(self)
            return call(self, target)

        return rename

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying(Path.rename))
        patch.setattr(Path, "replace", dying(Path.replace))
        with pytest.raises(Killed):
            save_checkpoint(tmp_path / "x", content(2.0))
    assert len(done) == survived
    assert same(load_checkpoint(tmp_path / "x"), content(1.0))
    save_checkpoint(tmp_path / "x", content(3.0))
    assert same(load_checkpoint(tmp_path / "x"), content(3.0))


def steps(folder: Path, notes: list[str]) -> list[float]:
    return [checkpoint.state["step"] for checkpoint in whole_checkpoints(folder, notes.append)]


def test_the_newest_by_number_not_by_name(tmp_path: Path, notes: list[str]) -> None:
    assert steps(tmp_path, notes) == []
    for step in (9, 10, 100):
        save_checkpoint(tmp_path / f"step-{step}", content(step))
    (tmp_path / "step-999.copy").mkdir()
    (tmp_path / "notes.txt").touch()
    assert steps(tmp_path, notes) == [100, 10, 9]
    prune_checkpoints(tmp_path, keep=2)
    assert steps(tmp_path, notes) == [100, 10]
    assert (tmp_path / "step-999.copy").exists(), "removed what it did not write"
    assert notes == []


def test_a_damaged_newest_gives_way_and_is_noted(tmp_path: Path, notes: list[str]) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path / f"step-{step}", content(step))
    truncate(tmp_path / "step-3" / "weights.safetensors")
    (tmp_path / "step-2" / "manifest.json").unlink()
    (tmp_path / "step-2" / "manifest.json").mkdir()
    (tmp_path / "step-4").touch()
    assert steps(tmp_path, notes) == [1]
    assert len(notes) == 3
    assert "step-3/weights.safetensors is truncated" in notes[1]


def test_one_moved_aside_by_a_kill_is_found(tmp_path: Path, notes: list[str]) -> None:
    save_checkpoint(tmp_path / "step-7", content(7.0))
    (tmp_path / "step-7").rename(tmp_path / ".step-7.old")
    assert same(next(whole_checkpoints(tmp_path, notes.append)), content(7.0))
    save_checkpoint(tmp_path / "step-8", content(8.0))
    prune_checkpoints(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-8"]
