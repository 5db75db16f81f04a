"""Checkpoints of OpenNMT-py: one file of torch with options, vocabularies and weights.

They are pickles, opened without running what stands in them (`pickled`). Those of version 2 keep objects of torchtext
in place of vocabularies, and are refused.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from attentio.bundle import Bundle
from attentio.errors import ModelError
from attentio.foreign.asked import Asked
from attentio.foreign.layout import SIDES, Foreign, Layout, Vocabulary, architecture, check_sizes, positions_of
from attentio.foreign.pickled import load_pickled

LAYOUT = Layout(
    self_attn=(".self_attn.linear_query", ".self_attn.linear_keys", ".self_attn.linear_values"),
    self_output=".self_attn.final_linear",
    self_norm=".layer_norm",
    decoder_self_norm=".layer_norm_1",
    query=".context_attn.linear_query",
    key_value=(".context_attn.linear_keys", ".context_attn.linear_values"),
    cross_output=".context_attn.final_linear",
    cross_norm=".layer_norm_2",
    inner=(".feed_forward.w_1",),
    output=".feed_forward.w_2",
    feed_forward_norm=".feed_forward.layer_norm",
)
_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "silu": "swiglu"}
# Options of a vanilla Transformer: what each must be, where it stands in the file.
_PLAIN: dict[str, tuple[object, ...]] = {
    "encoder_type": ("transformer",),
    "decoder_type": ("transformer",),
    "self_attn_type": ("scaled-dot", "scaled-dot-flash"),
    "max_relative_positions": (0,),
    "relative_positions_buckets": (0,),
    "position_encoding_type": ("SinusoidalInterleaved", "SinusoidalConcat"),
    "layer_norm": ("standard",),
    "parallel_residual": (False,),
    "multiquery": (False,),
    "num_kv": (0,),
    "copy_attn": (False,),
    "model_task": ("seq2seq",),
    "num_experts": (0,),
}
_HEAD = b"PK"  # of a zip, which torch's files are


def is_model(path: Path) -> bool:
    """Return whether this is a file that torch has written."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) == _HEAD or path.suffix in (".pt", ".bin", ".pth")


def read(path: Path, asked: Asked) -> Bundle:
    """Return the model of a checkpoint. Raises ModelError for what is damaged, or no vanilla Transformer."""
    found = load_pickled(path)
    if not isinstance(found, dict) or not {"model", "opt", "vocab", "generator"} <= cast(dict[Any, Any], found).keys():
        raise ModelError(f"{path} is no checkpoint of OpenNMT-py.", code="E_MODEL_CORRUPT", file=path)
    held = cast(dict[str, Any], found)
    options = held["opt"]
    if not isinstance(options, Namespace):
        raise ModelError(f"{path}: its options cannot be read.", code="E_MODEL_CORRUPT", file=path)
    names = _vocabularies(held["vocab"], path)
    said = vars(options)
    for name, allowed in _PLAIN.items():
        if said.get(name) is not None and said[name] not in allowed:
            raise _refused(path, f"{name} = {said[name]!r}")
    activation = _ACTIVATIONS.get(str(said.get("pos_ffn_activation_fn", "relu")))
    if activation is None:
        raise _refused(path, f"pos_ffn_activation_fn = {said['pos_ffn_activation_fn']!r}")
    tensors = {name: value for name, value in held["model"].items() if isinstance(value, Tensor)}
    for name, value in held["generator"].items():
        tensors[f"generator.{name.removeprefix('0.')}"] = value
    layout = LAYOUT
    if activation == "swiglu":
        layout = LAYOUT._replace(inner=(".feed_forward.w_1", ".feed_forward.w_3"))
    foreign = Foreign(tensors, path, layout)
    depth = {side: int(said.get(f"{side[:3]}_layers") or said.get("layers") or 0) for side in SIDES}
    between = {"encoder": "transformer", "decoder": "transformer_layers"}
    for side, count in depth.items():
        foreign.layers(side, [f"{side}.{between[side]}.{number}" for number in range(count)])
        foreign.norm(f"{side}.norm", f"{side}.layer_norm")
    below = [f"{side}.embeddings.make_embedding" for side in SIDES]
    tables = [foreign.take(f"{name}.emb_luts.0.weight") for name in below]
    size = tables[0].shape[1]
    encodings = [foreign.take_if_there(f"{name}.pe.pe") for name in below]
    if not said.get("position_encoding"):
        raise _refused(path, "position_encoding = False")
    weight, bias = foreign.take("generator.weight"), foreign.take_if_there("generator.bias")
    foreign.check_all_taken()
    check_sizes(path, names, tables)
    start = str(held["vocab"].get("decoder_start_token") or said.get("decoder_start_token") or "<s>")
    source, target = (_numbered(tokens, start) for tokens in names)
    positions: dict[str, Any] = {}
    if encodings[0] is not None:
        flat = [None if table is None else table.reshape(len(table), -1) for table in encodings]
        positions = positions_of(flat, size, foreign.made)
    elif said.get("position_encoding_type") == "SinusoidalConcat":
        positions = {"positions": "sinusoidal_halves"}
    model = {
        "hidden_size": size,
        "encoder_layers": depth["encoder"],
        "decoder_layers": depth["decoder"],
        "feed_forward_size": foreign.made["encoder.layers.0.feed_forward.output.weight"].shape[1],
        "activation": activation,
        "norm": "pre",
        "source_end": False,
        "norm_epsilon": float(said.get("norm_eps") or 1e-6),
        **positions,
        **foreign.tokens(source, target, tables, weight, bias),
    }
    built = architecture(model, int(said.get("heads", 8)))
    return asked.bundle(path, built, foreign.made, source.tokens, target.tokens)


def _vocabularies(vocabulary: Any, path: Path) -> list[list[str]]:
    try:
        found = [[str(token) for token in vocabulary[side]] for side in ("src", "tgt")]
    except (KeyError, TypeError):
        raise ModelError(
            f"{path}: its vocabularies are no lists, as in OpenNMT-py 3.", code="E_MODEL_SCHEMA", file=path
        ) from None
    if vocabulary.get("src_feats"):
        raise _refused(path, "features beside its source tokens")
    return found


def _numbered(tokens: list[str], start: str) -> Vocabulary:
    places = {token: place for place, token in enumerate(tokens)}
    pad, bos, eos, unk = (places.get(name, -1) for name in ("<blank>", start, "</s>", "<unk>"))
    return Vocabulary.of(tokens, pad=pad, bos=bos, eos=eos, unk=unk)


def _refused(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} has {what}, which no vanilla Transformer has.", code="E_IMPORT_SETTING", file=path)
