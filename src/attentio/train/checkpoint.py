"""Checkpoints that survive anything: safetensors and JSON, written whole or not at all, with SHA-256 of every file.

A checkpoint is a folder: written beside its place, flushed to the disk and renamed into it. What is in it, the loop
decides.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from attentio.errors import ModelError
from attentio.runtime.files import new_folder, resolve_path
from attentio.runtime.sealed import load_tensors, read_manifest, save_tensors, seal, verify

SCHEMA = 1
_STEP = re.compile(r"\.?step-(\d+)(?:\.old)?")


class Checkpoint(NamedTuple):
    """What a checkpoint holds: groups of tensors by name, and plain values."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as a folder, all or nothing: `NAME.safetensors` for each group of tensors, and a manifest.

    Raises ResourceError when the disk is full. Then `folder` still holds what it held.
    """
    with new_folder(folder) as partial:
        for name, group in checkpoint.tensors.items():
            save_tensors(partial / f"{name}.safetensors", group)
        seal(partial, {"schema": SCHEMA, "state": checkpoint.state})


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote. Raises ModelError naming the file that is missing, cut short or altered."""
    folder = resolve_path(folder)
    manifest = read_manifest(folder)
    if manifest.get("schema") != SCHEMA:
        raise ModelError(f"{folder}: written by another version of Attentio.", code="E_MODEL_SCHEMA", file=folder)
    verify(folder, manifest)
    if not isinstance(manifest.get("state"), dict):
        raise ModelError(f"{folder}: no table of state in its manifest.", code="E_MODEL_CORRUPT", file=folder)
    return Checkpoint({Path(name).stem: load_tensors(folder / name) for name in manifest["files"]}, manifest["state"])


def whole_checkpoints(folder: Path, note: Callable[[str], None]) -> Iterator[Checkpoint]:
    """Give the checkpoints under `folder`, newest first. Damaged ones are noted and passed over."""
    for path in _steps(folder):
        try:
            checkpoint = load_checkpoint(path)
        except ModelError as error:
            note(f"passed over a damaged checkpoint: {error.message}")
        else:
            yield checkpoint


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what an interrupted write left behind."""
    for path in [*_steps(folder)[keep:], *folder.glob(".step-*")]:
        shutil.rmtree(path, ignore_errors=True)


def _steps(folder: Path) -> list[Path]:
    """Return the places of all checkpoints under `folder`, whole or not, newest first."""
    steps = {int(match[1]) for path in folder.glob("*") if (match := _STEP.fullmatch(path.name))}
    return [folder / f"step-{step}" for step in sorted(steps, reverse=True)]
