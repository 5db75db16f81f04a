"""A sealed folder: files, and a manifest with the size and SHA-256 of each and of its own content.

A model and a checkpoint are stored like this. Tensors are stored as safetensors. What else stands in the manifest is
decided by whoever seals it.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from attentio.errors import ModelError
from attentio.runtime.files import sha256, sha256_of_json

if TYPE_CHECKING:  # an exported model is a sealed folder too, and opened without torch
    from torch import Tensor

MANIFEST = "manifest.json"
_OS_ERROR = re.compile(r"os error (\d+)", re.IGNORECASE)


def save_tensors(path: Path, tensors: "Mapping[str, Tensor]") -> None:
    """Write tensors as safetensors. Raises OSError, as any writing does."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.touch()
    permissions = path.stat().st_mode  # safetensors would let nobody but the user read
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:  # holds the system's error as text
        found = _OS_ERROR.search(str(error))
        raise OSError(int(found[1]), os.strerror(int(found[1]))) if found else OSError(str(error)) from error
    path.chmod(permissions)


def load_tensors(path: Path) -> "dict[str, Tensor]":
    """Read what `save_tensors` wrote. Raises ModelError when the file is not safetensors."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path}: cannot be read ({error}).", code="E_MODEL_CORRUPT", file=path) from None


ROW_SCALE = ".row_scale"  # after the name of a tensor whose rows are rounded to 8 bits


def round_rows(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Return tensors with every matrix rounded to 8 bits, and the scale of each of its rows beside it."""
    import torch

    rounded: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2:
            rounded[name] = tensor
            continue
        rows = tensor.detach().float().flatten(1)
        scale = rows.abs().amax(dim=1).clamp(min=1e-12) / 127
        rounded[name] = (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape)
        rounded[name + ROW_SCALE] = scale
    return rounded


def unround_rows(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Return the tensors that `round_rows` rounded, as 32-bit numbers. Others stay as they are."""
    scales = {name.removesuffix(ROW_SCALE): scale for name, scale in tensors.items() if name.endswith(ROW_SCALE)}
    return {
        name: (tensor.float().flatten(1) * scales[name][:, None]).view(tensor.shape) if name in scales else tensor
        for name, tensor in tensors.items()
        if not name.endswith(ROW_SCALE)
    }


def seal(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the manifest of `folder`: `values`, the size and SHA-256 of every file, and the SHA-256 of all of that."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    # As JSON will give it back: a tuple becomes a list.
    content = json.loads(json.dumps({**values, "files": files}, ensure_ascii=False))
    manifest = {**content, "sha256": sha256_of_json(content)}
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a sealed folder. Raises ModelError when there is none, or it is damaged or altered.

    A manifest of an earlier version has no SHA-256 of its own content, and is then not compared with one.
    """
    path = folder / MANIFEST
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        manifest = cast(dict[str, Any], held if isinstance(held, dict) else {})
        digest = manifest.pop("sha256", None)
        found = None if digest is None else sha256_of_json(manifest)
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file.", hint="Is the run still training, or the folder wrong?", file=path
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON ({error}).", code="E_MODEL_CORRUPT", file=path) from None
    if found != digest:
        raise _altered(path)
    return manifest


def check_format(folder: Path, number: object, known: int, *, unnamed: str, hint: str) -> int:
    """Return the number of a format that this version reads: 1 to `known`. Raises ModelError, E_MODEL_SCHEMA.

    unnamed: what a manifest without such a number is or lacks. hint: what to do about that.
    """
    if isinstance(number, int) and 1 <= number <= known:
        return number
    message = f"{folder / MANIFEST} {unnamed}."
    if isinstance(number, int) and number > known:
        message = f"{folder} was written by a newer Attentio (format {number}, this one reads up to {known})."
        hint = "Install that version."
    raise ModelError(message, hint=hint, code="E_MODEL_SCHEMA", file=folder)


_RESTORE = "Repeat the `attentio train` that made it, or restore the file from a copy."


def verify(folder: Path, manifest: Mapping[str, Any], *, hint: str = _RESTORE) -> None:
    """Compare every file with its manifest. Raises ModelError for one that is missing, cut short or altered."""
    try:
        files = {str(name): (int(held["bytes"]), held["sha256"]) for name, held in manifest["files"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        files = {"/": (0, "")}
    if any(Path(name).name != name for name in files):
        path = folder / MANIFEST
        raise ModelError(f"{path}: no table of files in it.", code="E_MODEL_CORRUPT", file=path)
    for name, (expected, digest) in files.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path}: missing.", hint=hint, code="E_MODEL_CORRUPT", file=path)
        size = path.stat().st_size
        if size < expected:
            message = f"{path} is truncated (the manifest says {expected:,} bytes, the file has {size:,})."
            raise ModelError(message, hint=hint, code="E_MODEL_CORRUPT", file=path)
        if size != expected or sha256(path) != digest:
            raise _altered(path, hint)


def _altered(path: Path, hint: str = _RESTORE) -> ModelError:
    return ModelError(f"{path} was altered (its SHA-256 differs).", hint=hint, code="E_MODEL_CORRUPT", file=path)
