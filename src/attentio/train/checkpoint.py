"""Checkpoints that survive anything: safetensors and JSON, written whole or not at all, with SHA-256 of every file.

A checkpoint is a folder: written beside its place, flushed to the disk and renamed into it. What is in it, the loop
decides.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from attentio.errors import ModelError
from attentio.runtime.files import new_folder, resolve_path
from attentio.runtime.sealed import load_tensors, read_manifest, save_tensors, seal, verify

TENSORS = ".safetensors"
SCHEMA = 1
_STEP = re.compile(r"\.?step-(\d+)(?:\.old)?")


class Checkpoint(NamedTuple):
    """What a checkpoint holds: groups of tensors, other files by name, and plain values."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    files: Mapping[str, bytes] = {}


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as a folder, all or nothing: `NAME.safetensors` for each group of tensors, and a manifest.

    Raises ResourceError when the disk is full. Then `folder` still holds what it held.
    """
    with new_folder(folder) as partial:
        for name, group in checkpoint.tensors.items():
            save_tensors(partial / f"{name}{TENSORS}", group)
        for name, content in checkpoint.files.items():
            (partial / name).write_bytes(content)
        seal(partial, {"schema": SCHEMA, "state": checkpoint.state})


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote. Raises ModelError naming the file that is missing, cut short or altered."""
    folder = resolve_path(folder)
    manifest = _manifest(folder)
    verify(folder, manifest)
    paths = [folder / name for name in manifest["files"]]
    tensors = {path.stem: load_tensors(path) for path in paths if path.suffix == TENSORS}
    files = {path.name: path.read_bytes() for path in paths if path.suffix != TENSORS}
    return Checkpoint(tensors, manifest["state"], files)


def latest_checkpoint(folder: Path, note: Callable[[str], None]) -> Path | None:
    """Return the newest whole checkpoint under `folder`, or None. Damaged ones are noted and passed over."""
    for path in map(resolve_path, _steps(folder)):
        try:
            verify(path, _manifest(path))
        except ModelError as error:
            note(f"passed over a damaged checkpoint: {error.message}")
            continue
        return path
    return None


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what an interrupted write left behind."""
    for path in [*_steps(folder)[keep:], *folder.glob(".step-*")]:
        shutil.rmtree(path, ignore_errors=True)


def _steps(folder: Path) -> list[Path]:
    """Return the places of all checkpoints under `folder`, whole or not, newest first."""
    matches = [_STEP.fullmatch(path.name) for path in folder.glob("*")]
    steps = {int(match[1]) for match in matches if match is not None}
    return [folder / f"step-{step}" for step in sorted(steps, reverse=True)]


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if manifest.get("schema") != SCHEMA:
        raise ModelError(f"{folder}: written by another version of Attentio.", code="E_MODEL_SCHEMA", file=folder)
    if isinstance(manifest.get("files"), dict) and not isinstance(manifest.get("state"), dict):
        raise ModelError(f"{folder}: no table of state in its manifest.", code="E_MODEL_CORRUPT", file=folder)
    return manifest
