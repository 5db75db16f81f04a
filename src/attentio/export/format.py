"""What a format is: a class that says what it can express, writes a file, and runs the file.

The weights that formats store are prepared here, too. The gate between writing and keeping is `parity`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attentio.attention.registry import AXES, NORMALIZERS, SCORES, WINDOWS
from attentio.bundle import Bundle
from attentio.engines import Expresses
from attentio.errors import UsageError
from attentio.model.seq2seq import Seq2Seq

EVERYTHING = Expresses(
    frozenset(["rnn", "cnn", "transformer"]), *map(frozenset, (SCORES, NORMALIZERS, WINDOWS)), lexicon=True
)


@dataclass(frozen=True)
class Answer:
    """What a runtime made of one sentence: the best translation, its score, and the weights of each attention.

    weights: by name (H, T, S) or, of self-attention, as in `AttentionTrace`. Empty where a runtime gives none.
    """

    text: str
    score: float
    weights: Mapping[str, NDArray[np.float32]]


class Named(NamedTuple):
    """A model, and what it is called where it goes."""

    name: str
    bundle: Bundle


class Format(ABC):
    """A kind of file.

    runtime: what runs it. precisions: how weights can be stored, the usual first. many: whether it can hold several
    models. mark: of a format that is a folder, a file that is in every such folder. None for a file.
    weight_only: whether 8 bits are in the weights alone, so that few answers change. Else only chrF may not fall.
    own_search: whether it searches in its own way, and may find better answers than ours.
    raw: whether it hides nothing behind placeholders and mends nothing.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    runtime: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    many: ClassVar[bool] = False
    mark: ClassVar[str | None] = None
    weight_only: ClassVar[bool] = True
    own_search: ClassVar[bool] = False
    raw: ClassVar[bool] = False
    expresses: ClassVar[Expresses] = EVERYTHING

    def refusals(self, bundle: Bundle) -> list[str]:
        """Return the settings of a model that this format cannot express. Empty where it can express all."""
        return self.expresses.refusals(bundle.architecture)

    def notes(self, bundle: Bundle) -> list[str]:
        """Return what its user should know about a model in this format, a sentence each."""
        return []

    @abstractmethod
    def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
        """Write the file, or fill the folder."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """Return why the runtime cannot be used here, None where it can."""

    @abstractmethod
    def run(self, path: Path, sentences: Sequence[str], *, beam: int, number: int = 0) -> list[Answer]:
        """Return what the runtime makes of sentences with model `number` of this file.

        Raises ResourceError where it fails.
        """

    def run_in_32_bits(self, path: Path, sentences: Sequence[str], *, beam: int) -> list[Answer] | None:
        """Return what the runtime makes of sentences where all but the stored weights has 32 bits.

        None where that is how it always runs.
        """
        return None

    def in_8_bits(self, bundle: Bundle) -> Seq2Seq:
        """Return the model with the weights that this format keeps in 8 bits."""
        return rounded(folded(bundle))


def check_expressed(chosen: Format, bundle: Bundle, others: Sequence[Format]) -> None:
    """Raise UsageError, with the setting and the formats that can express it, where a format cannot."""
    if refused := chosen.refusals(bundle):
        able = [other.name for other in others if not other.refusals(bundle)]
        hint = f"Formats that can: {', '.join(able)}." if able else "No other format can express it yet."
        raise UsageError(f"{chosen.name} cannot express {' and '.join(refused)}.", hint=hint, code="E_EXPORT_SETTING")


def folded(bundle: Bundle) -> Seq2Seq:
    """Return the model with normalized weights computed once, as formats store them."""
    model = bundle.build()
    model.fold()
    return model.eval()


def tensors_of(model: Seq2Seq) -> dict[str, tuple[str, Tensor]]:
    """Return every tensor by its name, with the first name of the tensor: shared ones have several names."""
    first: dict[int, str] = {}
    named: dict[str, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        named[name] = first.setdefault(id(tensor), name), tensor.detach()
    return named


def round_last_axis(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return a tensor in 8 bits with one scale for each row of its last axis: (..., I) and (rows,)."""
    rows = tensor.float().reshape(-1, tensor.shape[-1])
    scale = rows.abs().amax(dim=1).clamp(min=1e-12) / 127
    return (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape), scale


def rounded(model: Seq2Seq) -> Seq2Seq:
    """Return the model with the weights that 8 bits keep, for comparing. It is changed in place."""
    done: set[str] = set()
    for first, tensor in tensors_of(model).values():
        if tensor.dim() > 1 and first not in done:
            done.add(first)
            held, scale = round_last_axis(tensor)
            tensor.copy_((held.float().reshape(len(scale), -1) * scale[:, None]).view(tensor.shape))
    return model


def kind_of(axis: str, setting: str) -> dict[str, Any]:
    """Return a kind as runtimes read it: its name and the options that differ from their defaults."""
    choice = AXES[axis].choose(setting)
    return {"name": choice.name, "options": dict(choice.options)}
