"""The parts of a Transformer under the names of another toolkit, put together under ours.

A toolkit is a `Layout`: its names. Some keep query, key and value in one matrix and some in three. What is not a part
of the vanilla Transformer has a name that nobody takes, and is refused.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attentio.bundle import Architecture
from attentio.errors import ModelError
from attentio.model.layers import SINUSOIDS
from attentio.text.special import SPECIAL, SPECIAL_TOKENS

SIDES = ("encoder", "decoder")
NEVER = -1e9  # the bias of a token that is not in the model
_CLOSE = 1e-4  # of tables of positions: what 32-bit sines differ by


class Layout(NamedTuple):
    """Names of a layer's parts, after the name of the layer. A tuple is one matrix in several parts, in our order.

    `weight`, `bias`, `gamma`, `beta`: the ends of names, of linear maps and of normalizations.
    """

    self_attn: tuple[str, ...]
    self_output: str
    self_norm: str
    decoder_self_norm: str
    query: str
    key_value: tuple[str, ...]
    cross_output: str
    cross_norm: str
    inner: tuple[str, ...]
    output: str
    feed_forward_norm: str
    weight: str = ".weight"
    bias: str = ".bias"
    gamma: str = ".weight"
    beta: str = ".bias"


class Foreign:
    """The tensors of a foreign model, taken one by one, and what they are in ours.

    tensors: by their foreign names. path: the file, for messages.
    """

    def __init__(self, tensors: Mapping[str, Tensor], path: Path, layout: Layout) -> None:
        self._left = dict(tensors)
        self.path = path
        self.layout = layout
        self.made: dict[str, Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> Tensor:
        """Return a tensor in 32 bits. Raises ModelError where it is missing."""
        if name not in self._left:
            raise ModelError(f"{self.path}: {name} is missing.", code="E_MODEL_CORRUPT", file=self.path)
        return self._left.pop(name).float()

    def take_if_there(self, name: str) -> Tensor | None:
        """Return a tensor, or None."""
        return self.take(name) if name in self._left else None

    def drop(self, *names: str) -> None:
        """Leave out what has no say."""
        for name in names:
            self._left.pop(name, None)

    def linear(self, own: str, *parts: str) -> None:
        """Take linear maps as one with their outputs side by side. A bias that is not there is zero."""
        weights, biases = [], []
        for part in parts:
            weight = self.take(part + self.layout.weight)
            bias = self.take_if_there(part + self.layout.bias)
            weights.append(weight)
            biases.append(weight.new_zeros(len(weight)) if bias is None else bias)
        self.made[f"{own}.weight"], self.made[f"{own}.bias"] = torch.cat(weights), torch.cat(biases)

    def norm(self, own: str, name: str) -> None:
        """Take a layer normalization. A bias that is not there is zero."""
        weight = self.take(name + self.layout.gamma)
        bias = self.take_if_there(name + self.layout.beta)
        self.made[f"{own}.weight"] = weight
        self.made[f"{own}.bias"] = torch.zeros_like(weight) if bias is None else bias

    def layers(self, side: str, names: Sequence[str]) -> None:
        """Take the layers of the "encoder" or "decoder"."""
        layout, decodes = self.layout, side == "decoder"
        for number, name in enumerate(names):
            own = f"{side}.layers.{number}"
            self.linear(f"{own}.self_attn.query_key_value", *(name + part for part in layout.self_attn))
            self.linear(f"{own}.self_attn.output", name + layout.self_output)
            self.norm(f"{own}.self_residual.norm", name + (layout.decoder_self_norm if decodes else layout.self_norm))
            if decodes:
                self.linear(f"{own}.cross.query", name + layout.query)
                self.linear(f"{own}.cross.key_value", *(name + part for part in layout.key_value))
                self.linear(f"{own}.cross.output", name + layout.cross_output)
                self.norm(f"{own}.cross_residual.norm", name + layout.cross_norm)
            self.linear(f"{own}.feed_forward.inner", *(name + part for part in layout.inner))
            self.linear(f"{own}.feed_forward.output", name + layout.output)
            self.norm(f"{own}.feed_forward_residual.norm", name + layout.feed_forward_norm)

    def tokens(
        self,
        source: "Vocabulary",
        target: "Vocabulary",
        tables: Sequence[Tensor],
        output: Tensor,
        bias: Tensor | None,
    ) -> dict[str, Any]:
        """Take what has a row for each token, and return which of it is shared, as settings.

        tables: the embeddings of source and target. output, bias: (V, H) and (V,) of the output layer. A bias that is
        not there is zero.
        """
        bias = output.new_zeros(len(output)) if bias is None else bias
        encoder, decoder = source.embeddings(tables[0]), target.embeddings(tables[1])
        output = target.rows(output)
        written = torch.tensor([place >= 0 for place in target.places])
        written[[SPECIAL.pad, SPECIAL.bos]] = False  # never written: their rows of the output have no say
        tied = torch.equal(output[written], decoder[written])
        shared = source.tokens == target.tokens and torch.equal(encoder, decoder)
        self.made["encoder.embedding.table"] = encoder
        self.made["decoder.bias"] = target.rows(bias, without=NEVER)
        if not tied or not shared:  # of what is shared, the first name stands (`Seq2Seq.unique_state_dict`)
            self.made["decoder.output"] = decoder if tied else output
        if not tied and not shared:
            self.made["decoder.embedding.table"] = decoder
        return {"share_embeddings": shared, "tie_embeddings": tied}

    def check_all_taken(self) -> None:
        """Raise ModelError, with its name, for a part that no vanilla Transformer has."""
        if self._left:
            raise ModelError(
                f"{self.path} is no vanilla Transformer: it has {min(self._left)}.",
                code="E_IMPORT_SETTING",
                file=self.path,
            )


class Vocabulary(NamedTuple):
    """Our tokens, and where each stood in the foreign vocabulary. -1: nowhere."""

    tokens: list[str]
    places: list[int]

    @classmethod
    def of(cls, names: Sequence[str], *, pad: int, bos: int, eos: int, unk: int) -> "Vocabulary":
        """Number tokens as we do, with the special ones first. Names that then stand twice are told apart.

        pad, bos, eos, unk: their foreign numbers, -1 where the model has none. bos: what a target begins with.
        """
        special = (pad, bos, eos, unk)
        others = [place for place in range(len(names)) if place not in special]
        tokens: list[str] = [*SPECIAL_TOKENS]
        seen = set(tokens)
        for place in others:
            name = names[place]
            while name in seen:
                name += f"#{place}"
            seen.add(name)
            tokens.append(name)
        return cls(tokens, [*special, *others])

    def rows(self, table: Tensor, *, without: float = 0.0) -> Tensor:
        """Return the rows of a foreign table (V, ...) in our order. `without`: what a row that is nowhere holds."""
        places = torch.tensor(self.places)
        found = table[places.clamp(min=0)].clone()
        found[places < 0] = without
        return found

    def embeddings(self, table: Tensor) -> Tensor:
        """Return a foreign table of embeddings in our order. The vector of padding is zero."""
        found = self.rows(table)
        found[SPECIAL.pad] = 0
        return found


def check_sizes(path: Path, names: Sequence[Sequence[str]], tables: Sequence[Tensor]) -> None:
    """Raise ModelError where the vocabulary of a side does not belong to its embeddings."""
    for side, tokens, table in zip(("source", "target"), names, tables, strict=True):
        check_size(path, len(tokens), len(table), side)


def check_size(path: Path, tokens: int, rows: int, side: str) -> None:
    """Raise ModelError where a vocabulary does not belong to its embeddings."""
    if tokens != rows:
        raise ModelError(
            f"{path}: the {side} vocabulary has {tokens:,} tokens, and its embeddings are {rows:,}.",
            code="E_MODEL_MISMATCH",
            file=path,
        )


def architecture(model: Mapping[str, Any], heads: int) -> Architecture:
    """Return the architecture of a vanilla Transformer with these settings of `model`."""
    attention = {"score": "scaled_dot", "num_heads": heads}
    model = {"family": "transformer", **model}
    return Architecture.model_validate({"model": model, "attention": attention, "self_attention": {"num_heads": heads}})


def kind_of_positions(table: Tensor, size: int) -> dict[str, Any] | None:
    """Return the settings of sinusoids that give this table (L, size) of positions, None where none do."""
    for kind, made in SINUSOIDS.items():
        for first in (0, 1, 2):
            places = torch.arange(first, first + len(table), dtype=torch.float32)[:, None]
            if (made(places, size) - table).abs().max() < _CLOSE:
                return {"positions": kind, "first_position": first}
    return None


def positions_of(tables: Sequence[Tensor | None], size: int, made: MutableMapping[str, Tensor]) -> dict[str, Any]:
    """Return the settings of positions for the tables of encoder and decoder. They are learned where nothing fits."""
    found = [kind_of_positions(table, size) for table in tables if table is not None]
    if found and found[0] is not None and all(each == found[0] for each in found):
        return found[0]
    rows = 0
    for side, table in zip(SIDES, tables, strict=True):
        if table is not None:
            made[f"{side}.positions.table"] = table
            rows = len(table)
    return {"positions": "learned", "max_positions": rows}
