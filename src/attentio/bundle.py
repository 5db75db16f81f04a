"""A bundle: the one thing that translating opens, and all that leaves with a model.

It holds the architecture, the weights, and for each side the tokenizer, the cleaner and the language. It holds no
configuration of the run: no paths, no texts, no settings of training. A model folder is a bundle on the disk, of a
numbered format. Folders of every earlier format still open: `MIGRATIONS` brings them up to date.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from attentio import __version__
from attentio.attention import KindError
from attentio.errors import ModelError
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq, current_tensors
from attentio.model.settings import AttentionConfig, ModelConfig, SelfAttentionConfig
from attentio.runtime.choices import DECODING
from attentio.runtime.device import resolve_device
from attentio.runtime.files import new_folder, resolve_path, sha256
from attentio.runtime.precision import resolve_precision
from attentio.runtime.sealed import (
    MANIFEST,
    check_format,
    load_tensors,
    read_manifest,
    round_rows,
    save_tensors,
    seal,
    unround_rows,
    verify,
)
from attentio.text.side import SIDES, Side
from attentio.text.tokenizer import load_tokenizer

FORMAT = 3  # of what `Bundle.save` writes
WEIGHTS = "model.safetensors"
_HINT = "Give the folder that `attentio train --out` wrote."
BUILT_IN = Path(__file__).parent / "models"  # folders of models that come with the package: small-world


class Architecture(BaseModel):
    """What a model is built from, beside its vocabularies: the settings of the network, and none of its training."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: Annotated[ModelConfig, Field(discriminator="family")]
    attention: AttentionConfig = AttentionConfig()
    self_attention: SelfAttentionConfig = SelfAttentionConfig()


@dataclass(frozen=True)
class Bundle:
    """A model with what surrounds it.

    weights: tensors by name, a shared one once (`Seq2Seq.unique_state_dict`).
    max_length: more tokens than this no sentence in training was allowed to have.
    longest_source: tokens of the longest source in training. Longer ones are translated in parts.
    placeholders: whether what must be kept exactly is hidden behind placeholders (`text.placeholders`).
    metadata: free facts, to be looked at only: the version of Attentio and how far its training was.
    """

    architecture: Architecture
    weights: Mapping[str, Tensor]
    source: Side
    target: Side
    max_length: int
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    longest_source: int = 0
    placeholders: bool = False

    def __post_init__(self) -> None:
        if not self.longest_source:  # not known
            object.__setattr__(self, "longest_source", self.max_length)

    def save(self, folder: str | Path, *, int8: bool = False) -> None:
        """Write the bundle as a folder, in place of what stood there, all or nothing. Raises ResourceError.

        int8: round each row of a matrix to 8 bits. A quarter of the size, and some translations change.
        """
        with new_folder(Path(folder)) as partial:
            save_tensors(partial / WEIGHTS, round_rows(self.weights) if int8 else self.weights)
            sides = zip(SIDES, (self.source, self.target), strict=True)
            held = {name: side.save(partial / f"{name}.tokenizer") for name, side in sides}
            seal(partial, self.described(held))

    def described(self, sides: Mapping[str, Any]) -> dict[str, Any]:
        """Return all but weights and tokenizers, as the manifest holds it. `sides`: what saving them gave."""
        held = {"format": FORMAT, "architecture": self.architecture.model_dump(mode="json"), **sides}
        metadata = {"version": __version__, "parameters": self.num_parameters, **self.metadata}
        text = {name: getattr(self, name) for name in ("max_length", "longest_source", "placeholders")}
        return {**held, **text, "metadata": metadata}

    @classmethod
    def of_described(cls, folder: Path, manifest: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Self:
        """Return what `described` described, of this format. `folder` holds the tokenizers.

        Raises ModelError for what does not belong together, and ValueError, KeyError or TypeError for nonsense.
        """
        return cls(
            architecture=Architecture.model_validate(manifest["architecture"]),
            weights=weights,
            source=Side.load(folder / "source.tokenizer", manifest["source"]),
            target=Side.load(folder / "target.tokenizer", manifest["target"]),
            max_length=int(manifest["max_length"]),
            metadata=dict(manifest["metadata"]),
            longest_source=int(manifest["longest_source"]),
            placeholders=bool(manifest["placeholders"]),
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the model of a run folder, a model folder itself, or a built-in model by its name, on the CPU.

        Raises ModelError when it is missing, damaged, altered, put together from two runs, or of a newer format.
        """
        folder = model_folder(Path(path))
        manifest = _up_to_date(folder, read_manifest(folder))
        try:
            for name in SIDES:
                _check_tokenizer(folder / f"{name}.tokenizer", manifest["files"], manifest[name]["vocab_size"])
            verify(folder, manifest)
            tensors = unround_rows(load_tensors(folder / WEIGHTS))
            return cls.of_described(folder, manifest, current_tensors(tensors))
        except ValidationError as error:
            fault = error.errors()[0]
            cause, where = fault.get("ctx", {}).get("error"), ".".join(map(str, fault["loc"]))
            if isinstance(cause, KindError):  # the manifest is as it was written, and a kind of attention is missing
                message, hint = f"{folder}: {where}: {cause}", getattr(cause, "hint", None)
                raise ModelError(message, hint=hint, code="E_MODEL_KIND", file=folder) from None
            raise _damaged(folder, f"{where}: {fault['msg']}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(folder, f"{type(error).__name__}: {error}") from error

    @cached_property
    def num_parameters(self) -> int:
        """The number of weights that were trained. Shared ones count once."""
        return int(self.metadata.get("parameters", 0)) or self._empty().num_parameters()

    def build(self, device: str | torch.device = "cpu") -> Seq2Seq:
        """Return the model with these weights, to be trained further. Raises ModelError where they do not fit."""
        model = self._empty().to(device)
        model.load_unique_state_dict(self.weights)
        return model

    def ready(self, device: str | torch.device = "cpu", *, precision: str = "fp32") -> Seq2Seq:
        """Return the model laid out for translating. It learns no more.

        device: "auto" is the first of cuda, mps and cpu that this machine has.
        precision: "fp32", "bf16" (weights and states are rounded) or "auto" (bf16 where the device is fast at it).
        Raises ModelError where the weights do not fit the architecture.
        """
        device = resolve_device(device) if isinstance(device, str) else device
        arithmetic = resolve_precision(precision, device, DECODING)
        model = self.build(device)
        model.fold()
        if arithmetic == "bf16":
            model.to(torch.bfloat16)
        model.pack()
        return model.eval()

    def _empty(self) -> Seq2Seq:
        parts = self.architecture
        sizes = self.source.tokenizer.vocab_size, self.target.tokenizer.vocab_size
        with torch.random.fork_rng(devices=()):  # random weights that nobody keeps must not move a training's generator
            return build_model(parts.model, parts.attention, *sizes, self_attention=parts.self_attention)


def _from_format_1(manifest: dict[str, Any]) -> dict[str, Any]:
    """Take what translating needs out of the whole configuration of the run, which format 1 held."""
    state = manifest["state"]
    config = state["config"]
    sides = {
        name: {
            "language": state["languages"][name],
            "cleaner": state["cleaners"][name],
            "vocab_size": state["vocab_sizes"][name],
            "special": {"pad": 0, "bos": 1, "eos": 2, "unk": 3},
        }
        for name in SIDES
    }
    return {
        "format": 2,
        "files": manifest["files"],
        "architecture": {name: config[name] for name in ("model", "attention", "self_attention")},
        **sides,
        "max_length": config["data"]["max_length"],
        "metadata": {"progress": state["progress"]},
    }


def _from_format_2(manifest: dict[str, Any]) -> dict[str, Any]:
    """Add what format 2 did not know: it cut at the maximal length, and masked nothing."""
    return {**manifest, "format": 3, "longest_source": manifest["max_length"], "placeholders": False}


# The number of a format, and what turns its manifest into one of the next format.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_format_1, 2: _from_format_2}


def _up_to_date(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    if "exported" in manifest:
        raise ModelError(f"{folder} is an exported model.", hint="Give the run that it came from.", file=folder)
    number = manifest.get("format", manifest.get("schema"))  # format 1 called it so
    number = check_format(folder, number, FORMAT, unnamed="names no format of a model", hint=_HINT)
    try:
        for format_number in range(number, FORMAT):
            manifest = MIGRATIONS[format_number](manifest)
    except (KeyError, TypeError) as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from error
    return manifest


def _damaged(folder: Path, what: str) -> ModelError:
    path = folder / MANIFEST
    return ModelError(f"{path} cannot be understood ({what}).", code="E_MODEL_CORRUPT", file=path)


def model_folder(path: Path) -> Path:
    """Return where the model of a run folder is, a model folder itself, or a built-in model. Raises ModelError."""
    if not path.exists() and len(path.parts) == 1 and (BUILT_IN / path).is_dir():
        return BUILT_IN / path
    if not path.is_dir():
        raise ModelError(f"{path}: no such folder.", hint=_HINT, file=path)
    if any((path / name).exists() for name in (MANIFEST, WEIGHTS)):
        return path
    folder = resolve_path(path / "model")
    if folder.exists():
        return folder
    if (path / "config.toml").exists():
        hint = "It is written at the first evaluation of the training."
        raise ModelError(f"{path} has no model yet.", hint=hint, file=path)
    raise ModelError(f"{path} is not a run folder.", hint=_HINT, file=path)


def _check_tokenizer(path: Path, files: Mapping[str, Any], vocab_size: int) -> None:
    """Refuse the tokenizer of another run, also one of the same size: it would translate into nonsense."""
    if not path.is_file() or sha256(path) == files[path.name]["sha256"]:
        return  # a missing file is reported with the others
    try:
        found = load_tokenizer(path).vocab_size
    except ModelError:
        return  # damaged, not exchanged: reported with the others
    raise ModelError(
        f"{path} ({found:,} tokens) does not belong to these weights (embedding {vocab_size:,}).",
        hint="Model and tokenizer must come from one run.",
        code="E_MODEL_MISMATCH",
        file=path,
    )
