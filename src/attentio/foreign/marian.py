"""Marian models as Hugging Face keeps them, such as OPUS-MT: config.json, vocab.json, two files of SentencePiece.

Weights are read from safetensors. A `pytorch_model.bin` is a pickle: it is opened by torch's reader that takes tensors
and nothing else.
"""

from pathlib import Path
from typing import Any, cast

from torch import Tensor

from attentio.bundle import Bundle
from attentio.errors import ModelError
from attentio.foreign.asked import Asked, read_object
from attentio.foreign.layout import (
    SIDES,
    Foreign,
    Layout,
    Vocabulary,
    architecture,
    check_size,
    check_sizes,
    positions_of,
)
from attentio.foreign.pickled import load_pickled
from attentio.runtime.sealed import load_tensors

SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
LAYOUT = Layout(
    self_attn=(".self_attn.q_proj", ".self_attn.k_proj", ".self_attn.v_proj"),
    self_output=".self_attn.out_proj",
    self_norm=".self_attn_layer_norm",
    decoder_self_norm=".self_attn_layer_norm",
    query=".encoder_attn.q_proj",
    key_value=(".encoder_attn.k_proj", ".encoder_attn.v_proj"),
    cross_output=".encoder_attn.out_proj",
    cross_norm=".encoder_attn_layer_norm",
    inner=(".fc1",),
    output=".fc2",
    feed_forward_norm=".final_layer_norm",
)
_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "swish": "silu", "silu": "silu"}


def is_model(path: Path) -> bool:
    """Return whether a folder is one of Hugging Face's, of any kind."""
    return (path / "config.json").is_file() and any((path / name).is_file() for name in (SAFE, PICKLED, "vocab.json"))


def read(folder: Path, asked: Asked) -> Bundle:
    """Return the model of a folder. Raises ModelError for what is damaged, incomplete, or of another kind."""
    config = read_object(folder / "config.json")
    kind = config.get("model_type")
    if kind != "marian":
        raise ModelError(
            f"{folder / 'config.json'} describes a model of type {kind!r}, and marian is read.",
            code="E_IMPORT_SETTING",
            file=folder,
        )
    foreign = Foreign(_tensors(folder), folder, LAYOUT)
    size, eos, pad = (_number(config, folder, name) for name in ("d_model", "eos_token_id", "pad_token_id"))
    depth = {side: _number(config, folder, f"{side}_layers") for side in SIDES}
    heads, inner = (
        _same(config, folder, f"encoder_{name}", f"decoder_{name}") for name in ("attention_heads", "ffn_dim")
    )
    activation = _ACTIVATIONS.get(str(config.get("activation_function")))
    if activation is None:
        raise _refused(folder, f"activation_function = {config.get('activation_function')!r}")
    for side, count in depth.items():
        foreign.layers(side, [f"model.{side}.layers.{number}" for number in range(count)])
    embedding_norm = "model.encoder.layernorm_embedding.weight" in foreign
    for side in SIDES if embedding_norm else ():
        foreign.norm(f"{side}.embedding_norm", f"model.{side}.layernorm_embedding")
    positions = [foreign.take_if_there(f"model.{side}.embed_positions.weight") for side in SIDES]
    shared = foreign.take_if_there("model.shared.weight")
    tables = [_table(foreign, side, shared) for side in SIDES]
    output = foreign.take_if_there("lm_head.weight")
    output = tables[1] if output is None else output
    bias = foreign.take_if_there("final_logits_bias")
    foreign.check_all_taken()

    names = _vocabularies(folder, [len(table) for table in tables])
    check_sizes(folder, names, tables)
    start = int(config.get("decoder_start_token_id", pad))
    source, target = (
        Vocabulary.of(tokens, pad=pad, bos=start, eos=eos, unk=tokens.index("<unk>") if "<unk>" in tokens else -1)
        for tokens in names
    )
    longest = int(config.get("max_position_embeddings", 512))
    if positions[0] is None:
        placed: dict[str, Any] = {"positions": "sinusoidal_halves"}
    else:
        placed = positions_of(positions, size, foreign.made)
    model = {
        "hidden_size": size,
        "encoder_layers": depth["encoder"],
        "decoder_layers": depth["decoder"],
        "feed_forward_size": inner,
        "activation": activation,
        "norm": "post",
        "scale_embeddings": bool(config.get("scale_embedding", False)),
        "embedding_norm": embedding_norm,
        **placed,
        **foreign.tokens(source, target, tables, output, None if bias is None else bias.flatten()),
    }
    said = read_object(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    asked = asked._replace(
        source_language=asked.source_language or said.get("source_lang"),
        target_language=asked.target_language or said.get("target_lang"),
    )
    for name in ("source.spm", "target.spm"):
        if not (folder / name).is_file() and not (asked.source_spm and asked.target_spm):
            raise ModelError(f"{folder}: {name} is missing.", code="E_MODEL_MISSING", file=folder)
    built = architecture(model, heads)
    return asked.bundle(folder, built, foreign.made, source.tokens, target.tokens, longest=longest - 1)


def _tensors(folder: Path) -> dict[str, Tensor]:
    if (folder / SAFE).is_file():
        return load_tensors(folder / SAFE)
    if (folder / PICKLED).is_file():
        found = load_pickled(folder / PICKLED)
        if isinstance(found, dict):
            return {
                str(name): value for name, value in cast(dict[Any, Any], found).items() if isinstance(value, Tensor)
            }
    raise ModelError(f"{folder}: {SAFE} is missing.", code="E_MODEL_MISSING", file=folder)


def _table(foreign: Foreign, side: str, shared: Tensor | None) -> Tensor:
    own = foreign.take_if_there(f"model.{side}.embed_tokens.weight")
    if own is None and shared is None:
        return foreign.take("model.shared.weight")  # says that it is missing
    return own if own is not None else cast(Tensor, shared)


def _vocabularies(folder: Path, sizes: list[int]) -> list[list[str]]:
    """Return the tokens of both sides: one vocabulary, or two. Numbers without a token get a name of their own."""
    names = ["vocab.json", "target_vocab.json" if (folder / "target_vocab.json").exists() else "vocab.json"]
    found: list[list[str]] = []
    for name, size in zip(names, sizes, strict=True):
        numbers = read_object(folder / name)
        if not all(isinstance(number, int) for number in numbers.values()):
            raise ModelError(f"{folder / name} is no vocabulary.", code="E_MODEL_CORRUPT", file=folder / name)
        check_size(folder, max(size, 1 + max(numbers.values(), default=0)), size, name)
        tokens = [f"<unused {number}>" for number in range(size)]
        for token, number in numbers.items():
            tokens[number] = token
        found.append(tokens)
    return found


def _number(config: dict[str, Any], folder: Path, name: str) -> int:
    if not isinstance(value := config.get(name), int):
        raise ModelError(f"{folder / 'config.json'} has no {name}.", code="E_MODEL_CORRUPT", file=folder)
    return value


def _same(config: dict[str, Any], folder: Path, name: str, other: str) -> int:
    value, its = _number(config, folder, name), _number(config, folder, other)
    if value != its:
        raise _refused(folder, f"{name} = {value} beside {other} = {its}")
    return value


def _refused(folder: Path, what: str) -> ModelError:
    return ModelError(f"{folder / 'config.json'} has {what}.", code="E_IMPORT_SETTING", file=folder)
