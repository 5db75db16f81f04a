"""How a finished model is put into its run folder, and how it is opened again."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from attentio.data.prepare import PreparedData
from attentio.errors import ModelError, UsageError
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.runtime.files import resolve_path, sha256
from attentio.runtime.precision import resolve_precision
from attentio.text.clean import Cleaner
from attentio.text.tokenizer import Tokenizer, load_tokenizer
from attentio.train.checkpoint import (
    MANIFEST,
    Checkpoint,
    load_checkpoint,
    read_manifest,
    save_checkpoint,
)
from attentio.train.folder import Run
from attentio.train.loop import Progress
from attentio.train.settings import RunConfig, parse_config


@dataclass(frozen=True)
class TrainedModel:
    """A model with what surrounds it: the text rules and tokenizers it was trained with."""

    config: RunConfig
    model: Seq2Seq
    num_parameters: int  # that were trained
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    source_cleaner: Cleaner
    target_cleaner: Cleaner
    source_language: str | None
    target_language: str | None
    progress: Progress


def publish_model(run: Run, config: RunConfig, data: PreparedData, model: Seq2Seq, progress: Progress) -> None:
    """Writes `model` and all that translating needs to the run's model folder, in place of what was there."""
    state = {
        "config": config.model_dump(mode="json"),
        "progress": dataclasses.asdict(progress),
        "cleaners": {"source": data.source_cleaner.as_dict(), "target": data.target_cleaner.as_dict()},
        "languages": {"source": data.source_language, "target": data.target_language},
        "vocab_sizes": {"source": data.source_tokenizer.vocab_size, "target": data.target_tokenizer.vocab_size},
    }
    files = {
        "source.tokenizer": data.source_tokenizer.to_bytes(),
        "target.tokenizer": data.target_tokenizer.to_bytes(),
    }
    save_checkpoint(run.model, Checkpoint({"model": model.unique_state_dict()}, state, files))


def open_model(path: Path, device: torch.device, *, precision: str = "fp32") -> TrainedModel:
    """Opens the model of a run folder, or a model folder itself.

    precision: "fp32"; "bf16", which rounds weights and states to bfloat16; or "auto", bf16 where the device is fast at
    it.
    Raises ModelError when it is missing, damaged, or put together from different runs.
    """
    arithmetic = resolve_precision(precision, device)
    folder = _model_folder(path)
    manifest = read_manifest(folder)
    for side in ("source", "target"):
        _check_tokenizer(folder / f"{side}.tokenizer", manifest["files"], manifest["state"]["vocab_sizes"][side])
    tensors, state, _ = load_checkpoint(folder)
    try:
        config = parse_config(state["config"], where=str(folder))
    except UsageError as error:
        raise ModelError(error.message, hint=error.hint or "Was it written by another version?", file=folder) from None
    tokenizers = {side: load_tokenizer(folder / f"{side}.tokenizer") for side in ("source", "target")}
    sizes = tokenizers["source"].vocab_size, tokenizers["target"].vocab_size
    model = build_model(config.model, config.attention, *sizes, self_attention=config.self_attention).to(device)
    model.load_unique_state_dict(tensors["model"])
    num_parameters = model.num_parameters()
    model.fold()
    if arithmetic == "bf16":
        model.to(torch.bfloat16)
    model.pack()
    return TrainedModel(
        config=config,
        model=model.eval(),
        num_parameters=num_parameters,
        source_tokenizer=tokenizers["source"],
        target_tokenizer=tokenizers["target"],
        source_cleaner=Cleaner.from_dict(state["cleaners"]["source"]),
        target_cleaner=Cleaner.from_dict(state["cleaners"]["target"]),
        source_language=state["languages"]["source"],
        target_language=state["languages"]["target"],
        progress=Progress(**state["progress"]),
    )


def _model_folder(path: Path) -> Path:
    run = Run(path)
    hint = "Give the folder that `attentio train --out` wrote."
    if not path.is_dir():
        raise ModelError(f"{path}: no such folder.", hint=hint, file=path)
    if any((path / name).exists() for name in (MANIFEST, "model.safetensors")):
        return path
    folder = resolve_path(run.model)
    if folder.exists():
        return folder
    if run.config.exists():
        hint = "It is written at the first evaluation of the training."
        raise ModelError(f"{path} has no model yet.", hint=hint, file=path)
    raise ModelError(f"{path} is not a run folder.", hint=hint, file=path)


def _check_tokenizer(path: Path, files: dict[str, dict[str, object]], vocab_size: int) -> None:
    """Compares hashes, not only sizes: pieces of another run in the same number would translate into nonsense."""
    if not path.is_file() or sha256(path) == files[path.name]["sha256"]:
        return  # a missing file is reported with the others
    try:
        found = load_tokenizer(path).vocab_size
    except ModelError:
        return  # damaged, not exchanged: reported with the others
    raise ModelError(
        f"{path} ({found:,} pieces) does not belong to these weights (embedding {vocab_size:,}).",
        hint="Model and tokenizer must come from one run.",
        code="E_MODEL_MISMATCH",
        file=path,
    )
