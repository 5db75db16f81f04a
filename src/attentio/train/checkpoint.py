"""Checkpoints that survive anything: safetensors and JSON, written whole or not at all, with SHA-256 of every file.

A checkpoint is a folder: written beside its place, flushed to the disk and renamed into it. What is in it, the loop
decides.
"""

import contextlib
import errno
import hashlib
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

from attentio.errors import ModelError, ResourceError

MANIFEST = "manifest.json"
TENSORS = ".safetensors"
SCHEMA = 1
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
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
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with _full_disk_is_an_error(folder):
        partial.mkdir(parents=True)
        (partial / MANIFEST).touch()  # its permissions are the user's; safetensors would let nobody else read
        files: dict[str, object] = {}
        for name, group in checkpoint.tensors.items():
            path = partial / f"{name}{TENSORS}"
            save_file({key: tensor.detach().contiguous() for key, tensor in group.items()}, path)
            shutil.copymode(partial / MANIFEST, path)
        for name, content in checkpoint.files.items():
            (partial / name).write_bytes(content)
        (partial / MANIFEST).unlink()
        for path in sorted(partial.iterdir()):
            _flush(path)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
        write_json(partial / MANIFEST, {"schema": SCHEMA, "files": files, "state": checkpoint.state})
    # A folder cannot be replaced in one step: the old one is moved aside, and `load_checkpoint` finds it there after a
    # crash.
    if folder.exists():
        shutil.rmtree(_old(folder), ignore_errors=True)
        folder.rename(_old(folder))
    partial.rename(folder)
    shutil.rmtree(_old(folder), ignore_errors=True)
    _flush(folder.parent)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads what `save_checkpoint` wrote; raises ModelError naming the file that is missing, cut short or altered."""
    folder = standing(folder)
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


def standing(folder: Path) -> Path:
    """Where the checkpoint `folder` is now: aside, if its writer was killed between the two renames that replace it."""
    return _old(folder) if not folder.exists() and _old(folder).exists() else folder


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
    for path in map(standing, _steps(folder)):
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


def write_json(path: Path, value: object) -> None:
    """Writes JSON beside `path`, flushes it to the disk and renames it into place."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    _flush(partial)
    partial.replace(path)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _steps(folder: Path) -> list[Path]:
    """The places of all checkpoints under `folder`, whole or not, newest first."""
    matches = [_STEP.fullmatch(path.name) for path in folder.glob("*")]
    steps = {int(match[1]) for match in matches if match is not None}
    return [folder / f"step-{step}" for step in sorted(steps, reverse=True)]


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _full_disk_is_an_error(folder: Path) -> Generator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        shutil.rmtree(folder.with_name(f".{folder.name}.partial"), ignore_errors=True)
        # safetensors wraps the operating system's error in its own, as text
        wrapped = _OS_ERROR.search(str(error))
        number = error.errno if isinstance(error, OSError) else int(wrapped[1]) if wrapped else None
        if number not in FULL_DISK:
            reason = os.strerror(number) if number is not None else str(error)
            raise ResourceError(
                f"{folder} cannot be written ({reason}).",
                hint="The checkpoint before it is kept; mend this and run the same command again.",
                code="E_DISK",
                file=folder,
            ) from None
        free = shutil.disk_usage(folder.parent).free
        raise ResourceError(
            f"disk full while saving {folder} ({free / 1e6:,.0f} MB free).",
            hint="The checkpoint before it is kept; free some space and run the same command again.",
            code="E_DISK_FULL",
            file=folder,
        ) from None
