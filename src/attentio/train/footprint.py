"""What a training will need before it starts: parameters, memory, disk."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attentio.errors import ResourceError
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import RNNConfig
from attentio.runtime.device import is_out_of_memory, resolve_device
from attentio.runtime.precision import resolve_precision
from attentio.train.settings import RunConfig

COPIES = 5  # of every parameter: itself, its gradient, two moments, its running average
CHECKPOINTS_AT_ONCE = 3
PROCESS = 500_000_000  # bytes: libraries, the corpus, and what they allocate. Measured on five models, 0.51 to 0.8 GB


def footprint(config: RunConfig, source_vocab: int, target_vocab: int) -> tuple[int, int]:
    """Return the number of parameters, and roughly the bytes that training takes (within a factor of two).

    Raises UsageError for a model that cannot be, ResourceError for one that no memory could hold.
    """
    try:
        parameters = _shapes(config, source_vocab, target_vocab).num_parameters()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise ResourceError(
            "too little memory: the model alone is larger than what is there.",
            hint="Try smaller sizes, or --preset small or tiny.",
            code="E_OUT_OF_MEMORY",
        ) from None
    model = config.model
    layers = model.encoder_layers + model.decoder_layers
    # per token: about ten vectors kept by each recurrent layer, six elsewhere, two rows of logits for half the tokens
    per_token = (10 * layers + 6) * model.hidden_size + target_vocab
    return parameters, PROCESS + 4 * (COPIES * parameters + config.train.batch_tokens * per_token)


def single_numbers(config: RunConfig) -> list[str]:
    """Return the names of weights that have no axis."""
    return [name for name, parameter in _shapes(config, 5, 5).named_parameters() if parameter.dim() == 0]


def _shapes(config: RunConfig, *vocab_sizes: int) -> Seq2Seq:
    """Return the model without first values: shapes alone."""
    with _Undrawn():
        return build_model(config.model, config.attention, *vocab_sizes, self_attention=config.self_attention)


class _Undrawn(TorchFunctionMode):
    """First values are not drawn, so that memory is asked for and never used: shapes without numbers.

    As on the device "meta", for which torch loads its compiler: that takes a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (nn.init.normal_, nn.init.uniform_, Tensor.normal_, Tensor.uniform_):
            return args[0] if args else (kwargs or {})["tensor"]
        if func is torch.randn:
            func = torch.empty
        return func(*args, **(kwargs or {}))


def describe(config: RunConfig, source_vocab: int, target_vocab: int) -> str:
    """Return the model and what it needs, in one line."""
    parameters, memory = footprint(config, source_vocab, target_vocab)
    device = resolve_device(config.train.device)
    precision = resolve_precision(config.train.precision, device)
    return (
        f"model  {describe_model(config)}, {parameters:,} parameters, about {memory / 1e9:.1f} GB, {device} {precision}"
    )


def describe_model(config: RunConfig) -> str:
    """Family, layers, width, attention and lexicon, in a few words."""
    model, attention = config.model, config.attention
    heads = f", {attention.num_heads} heads" if attention.num_heads > 1 else ""
    kind, query = model.family, ""
    if isinstance(model, RNNConfig):
        kind, query = f"{model.family} {model.cell}", f", query = {model.query}"
    lexicon = f", lexicon {model.lexicon}" if model.lexicon else ""
    return (
        f"{kind} {model.encoder_layers}+{model.decoder_layers} x {model.hidden_size}, "
        f"attention = {attention.score}, {attention.normalize}, {attention.window}{heads}{query}{lexicon}"
    )


def check_resources(config: RunConfig, source_vocab: int, target_vocab: int, folder: Path) -> None:
    """Raise ResourceError when memory or disk is plainly too small, before anything is trained."""
    parameters, memory = footprint(config, source_vocab, target_vocab)
    there = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))  # it will give way
    needed = 4 * COPIES * parameters * CHECKPOINTS_AT_ONCE - there
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"disk too full: checkpoints in {folder} need {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free.",
            hint="Free some space, or choose another --out.",
            code="E_DISK_FULL",
            file=folder,
        )
    available = available_memory()
    if resolve_device(config.train.device).type == "cpu" and available is not None and memory > available:
        raise ResourceError(
            f"too little memory: training needs about {memory / 1e9:.1f} GB, {available / 1e9:.1f} GB are available.",
            hint="Try -o train.batch_tokens=1024, or --preset small or tiny.",
            code="E_OUT_OF_MEMORY",
        )


def available_memory() -> int | None:
    """Return the bytes of memory that can be had now, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
