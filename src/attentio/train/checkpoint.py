"""Checkpoints that survive anything: safetensors and JSON, written whole or not at all, with SHA-256 of every file.

A checkpoint is a folder: written beside its place, flushed to the disk and renamed into it. What is in it, the loop
decides.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from attentio.errors import ModelError
from attentio.runtime.files import new_folder, resolve_path, sha256

MANIFEST = "manifest.json"
TENSORS = ".safetensors"
SCHEMA = 1
_OS_ERROR = re.compile(r"os error (\d+)", re.IGNORECASE)
_STEP = re.compile(r"\.?step-(\d+)(?:\.old)?")


class Checkpoint(NamedTuple):
    """What a checkpoint holds: groups of tensors, other files by name, and plain values."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    files: Mapping[str, bytes] = {}


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes `checkpoint` as a folder, all or nothing: `NAME.safetensors` for each group of tensors, and a manifest.

    Raises ResourceError when the disk is full; what stood in `folder` before is then still there.
    """
    with new_folder(folder) as partial:
        (partial / MANIFEST).touch()  # its permissions are the user's; safetensors would let nobody else read
        files: dict[str, object] = {}
        for name, group in checkpoint.tensors.items():
            path = partial / f"{name}{TENSORS}"
            with _tensor_errors():
                save_file({key: tensor.detach().contiguous() for key, tensor in group.items()}, path)
            shutil.copymode(partial / MANIFEST, path)
        for name, content in checkpoint.files.items():
            (partial / name).write_bytes(content)
        (partial / MANIFEST).unlink()
        for path in sorted(partial.iterdir()):
            files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
        manifest = {"schema": SCHEMA, "files": files, "state": checkpoint.state}
        (partial / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads what `save_checkpoint` wrote; raises ModelError naming the file that is missing, cut short or altered."""
    folder = resolve_path(folder)
    manifest = read_manifest(folder)
    tensors: dict[str, dict[str, Tensor]] = {}
    files: dict[str, bytes] = {}
    for name, expected in manifest["files"].items():
        path = folder / name
        verify(path, expected)
        if path.suffix != TENSORS:
            files[name] = path.read_bytes()
            continue
        try:
            tensors[path.stem] = load_file(path)
        except SafetensorError as error:
            raise ModelError(f"{path}: cannot be read ({error}).", code="E_MODEL_CORRUPT", file=path) from None
    return Checkpoint(tensors, manifest["state"], files)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint or of a run's model; raises ModelError when there is none or it is unreadable."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file.", hint="Is the run still training, or the folder wrong?", file=path
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: not valid JSON ({error}).", code="E_MODEL_CORRUPT", file=path) from None
    if not isinstance(manifest, dict) or cast(dict[str, object], manifest).get("schema") != SCHEMA:
        raise ModelError(f"{path}: written by another version of Attentio.", code="E_MODEL_SCHEMA", file=path)
    for key in ("files", "state"):
        if not isinstance(cast(dict[str, object], manifest).get(key), dict):
            raise ModelError(f"{path}: no table of {key} in it.", code="E_MODEL_CORRUPT", file=path)
    return cast(dict[str, Any], manifest)


def verify(path: Path, expected: Mapping[str, Any]) -> None:
    """Raises ModelError unless `path` has the size and SHA-256 its manifest says."""
    hint = "Train again, or restore the file from a copy."
    if not path.is_file():
        raise ModelError(f"{path}: missing.", hint=hint, code="E_MODEL_CORRUPT", file=path)
    size = path.stat().st_size
    if size < expected["bytes"]:
        message = f"{path} is truncated (the manifest says {expected['bytes']:,} bytes, the file has {size:,})."
        raise ModelError(message, hint=hint, code="E_MODEL_CORRUPT", file=path)
    if size != expected["bytes"] or sha256(path) != expected["sha256"]:
        raise ModelError(f"{path} was altered (its SHA-256 differs).", hint=hint, code="E_MODEL_CORRUPT", file=path)


def latest_checkpoint(folder: Path, note: Callable[[str], None]) -> Path | None:
    """The newest whole checkpoint under `folder`, or None; damaged ones are noted and passed over."""
    for path in map(resolve_path, _steps(folder)):
        try:
            for name, expected in read_manifest(path)["files"].items():
                verify(path / name, expected)
        except ModelError as error:
            note(f"passed over a damaged checkpoint: {error.message}")
            continue
        return path
    return None


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints, and what an interrupted write left behind."""
    for path in [*_steps(folder)[keep:], *folder.glob(".step-*")]:
        shutil.rmtree(path, ignore_errors=True)


def _steps(folder: Path) -> list[Path]:
    """The places of all checkpoints under `folder`, whole or not, newest first."""
    matches = [_STEP.fullmatch(path.name) for path in folder.glob("*")]
    steps = {int(match[1]) for match in matches if match is not None}
    return [folder / f"step-{step}" for step in sorted(steps, reverse=True)]


@contextlib.contextmanager
def _tensor_errors() -> Generator[None]:
    """Turn an error of safetensors, which holds the system's error as text, into that OSError."""
    try:
        yield
    except SafetensorError as error:
        found = _OS_ERROR.search(str(error))
        raise OSError(int(found[1]), os.strerror(int(found[1]))) if found else OSError(str(error)) from error
