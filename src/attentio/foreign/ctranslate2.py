"""Models of CTranslate2: its file of variables, read by its published layout, and the vocabularies beside it.

The file is a list of named arrays. Nothing of it is run, and CTranslate2 itself is not needed.
"""

import struct
from itertools import count
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from attentio.bundle import FORMAT, Architecture, Bundle
from attentio.errors import ModelError
from attentio.foreign.asked import Asked, read_lines, read_object
from attentio.foreign.layout import SIDES, Foreign, Layout, Vocabulary, architecture, check_sizes, positions_of
from attentio.runtime.files import read_json

MODEL = "model.bin"
AROUND = "attentio.json"  # in a folder of ours: what CTranslate2 does not know of a model
_VERSIONS = range(2, 7)  # of the file
_NAMES = ("TransformerBase", "TransformerBig", "TransformerSpec")
_TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)  # by its numbers
_ACTIVATIONS = {0: "relu", 2: "silu", 3: "gelu"}  # by its numbers
LAYOUT = Layout(
    self_attn=("/self_attention/linear_0",),
    self_output="/self_attention/linear_1",
    self_norm="/self_attention/layer_norm",
    decoder_self_norm="/self_attention/layer_norm",
    query="/attention/linear_0",
    key_value=("/attention/linear_1",),
    cross_output="/attention/linear_2",
    cross_norm="/attention/layer_norm",
    inner=("/ffn/linear_0",),
    output="/ffn/linear_1",
    feed_forward_norm="/ffn/layer_norm",
    weight="/weight",
    bias="/bias",
    gamma="/gamma",
    beta="/beta",
)
_WEIGHTS = ("weight", "bias", "gamma", "beta", "encodings")  # all else is a setting
# Settings that have no say in what is computed here, or are read below.
_READ = {
    *("alignment_layer", "alignment_heads", "embeddings_merge", "activation", "pre_norm", "num_heads"),
    *("scale_embeddings", "start_from_zero_embedding", "rotary_dim", "rotary_interleave"),
}
_USUAL = {"rotary_base": 10_000.0}  # what a setting must be that is not 0 otherwise


def is_model(path: Path) -> bool:
    """Return whether a folder holds a model of CTranslate2."""
    return (path / MODEL).is_file()


def read(folder: Path, asked: Asked) -> Bundle:
    """Return the model of a folder. Raises ModelError for what is damaged, or no vanilla Transformer."""
    path = folder / MODEL
    name, variables = read_variables(path)
    if name not in _NAMES:
        raise _refused(path, f"holds {name!r}, and no Transformer that translates")
    settings = {key: value for key, value in variables.items() if key.rpartition("/")[2] not in _WEIGHTS}
    foreign = Foreign({key: value for key, value in variables.items() if key not in settings}, path, LAYOUT)
    around = read_json(folder / AROUND)
    config = read_object(folder / "config.json") if (folder / "config.json").exists() else {}  # since 2023
    model, heads = _layers(path, name, settings, foreign)
    model |= {
        "source_end": bool(config.get("add_source_eos", False)),
        "norm_epsilon": float(config.get("layer_norm_epsilon") or 1e-5),
    }
    if config.get("add_source_bos"):
        raise _refused(folder / "config.json", "has add_source_bos, and here a source has no beginning")

    names = [_vocabulary(folder, side) for side in ("source", "target")]
    tables = [foreign.take(f"{side}/weight") for side in (_embeddings(foreign), "decoder/embeddings")]
    for tokens, table in zip(names, tables, strict=True):
        if "<unk>" not in tokens and len(tokens) == len(table) - 1:  # OpenNMT-tf names no unknown token
            tokens.append("<unk>")
    check_sizes(folder, names, tables)
    weight, bias = foreign.take("decoder/projection/weight"), foreign.take_if_there("decoder/projection/bias")
    foreign.check_all_taken()
    source, target = (_numbered(tokens, config) for tokens in names)
    if int(settings.get("decoder/start_from_zero_embedding", torch.tensor(0))):
        target.places[1] = -1
    model |= foreign.tokens(source, target, tables, weight, bias)
    built = architecture(model, heads)
    if around is not None:
        return _ours(folder, around, built, foreign.made)
    return asked.bundle(folder, built, foreign.made, source.tokens, target.tokens)


def read_variables(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the name of the specification and all variables of a file, in 32 bits where they had fewer.

    Raises ModelError for a file that is no model, is cut off, or has another version.
    """
    try:
        file = _File(path.read_bytes())
        version = file.number("I")
        if version not in _VERSIONS:
            versions = f"{_VERSIONS.start} to {_VERSIONS.stop - 1}"
            raise ModelError(
                f"{path}: version {version} of the file, and {versions} are known.", code="E_MODEL_SCHEMA", file=path
            )
        name = file.text()
        file.number("I")  # the revision of the specification: only names that we know are taken
        found = dict(file.variable(version) for _ in range(file.number("I")))
        if version >= 3:
            for _ in range(file.number("I")):
                alias, of = file.text(), file.text()
                found[alias] = found[of]
                if f"{of}_scale" in found:
                    found.setdefault(f"{alias}_scale", found[f"{of}_scale"])
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file.", file=path, code="E_MODEL_MISSING") from None
    except (struct.error, ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelError(
            f"{path} is no whole model of CTranslate2 ({error}).", code="E_MODEL_CORRUPT", file=path
        ) from None
    return name, _unrounded(found)


class _File:
    """Read numbers, texts and arrays one after the other. Raises struct.error or ValueError at the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def number(self, kind: str) -> int:
        (value,) = struct.unpack_from(f"<{kind}", self._content, self._place)
        self._place += struct.calcsize(f"<{kind}")
        return value

    def text(self) -> str:
        return self._bytes(self.number("H"))[:-1].decode()

    def _bytes(self, count: int) -> bytes:
        if self._place + count > len(self._content):
            raise ValueError("it is cut off")
        self._place += count
        return self._content[self._place - count : self._place]

    def variable(self, version: int) -> tuple[str, Tensor]:
        name = self.text()
        shape = [self.number("I") for _ in range(self.number("B"))]
        if version >= 4:
            kind, size = self.number("B"), self.number("I")
        else:
            width = self.number("B")
            kind, size = {4: 0, 1: 1, 2: 2}[width], width * self.number("I")
        content = self._bytes(size)
        return name, torch.frombuffer(bytearray(content), dtype=_TYPES[kind]).reshape(shape)


def _unrounded(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return variables without scales: what was stored in 8 or 16 bits is divided by its scale."""
    whole: dict[str, Tensor] = {}
    for name, tensor in found.items():
        scale = found.get(f"{name}_scale")
        if scale is not None and not tensor.is_floating_point():
            rows = scale.float().reshape(-1, *[1] * (tensor.dim() - 1)) if scale.dim() else scale.float()
            whole[name] = tensor.float() / rows
        elif not name.endswith("_scale") or name.removesuffix("_scale") not in found:
            whole[name] = tensor
    return whole


def _layers(path: Path, name: str, settings: dict[str, Tensor], foreign: Foreign) -> tuple[dict[str, Any], int]:
    """Take all layers, and return the settings of the model and the number of its heads."""
    for key, value in settings.items():
        kind = key.rpartition("/")[2]
        if kind not in _READ and value.numel() == 1 and abs(float(value) - _USUAL.get(kind, 0.0)) > 1e-6:
            raise _refused(path, f"has {key} = {float(value):g}")
        if kind not in _READ and value.numel() != 1:
            raise _refused(path, f"has {key}")

    def both(kind: str, usual: float) -> float:
        values = [float(settings.get(f"{side}/{kind}", torch.tensor(usual))) for side in SIDES]
        if values[0] != values[1]:
            raise _refused(path, f"has another {kind} in its decoder")
        return values[0]

    depth = {side: next(n for n in count() if f"{side}/layer_{n}/ffn/linear_0/weight" not in foreign) for side in SIDES}
    gated = "encoder/layer_0/ffn/linear_0_noact/weight" in foreign
    activation = _ACTIVATIONS.get(int(both("activation", 0)))
    if activation is None or (gated and activation != "silu"):
        raise _refused(path, f"has activation {int(both('activation', 0))}{' with gates' if gated else ''}")
    if gated:
        foreign.layout = LAYOUT._replace(inner=("/ffn/linear_0", "/ffn/linear_0_noact"))
    for side in SIDES:
        foreign.layers(side, [f"{side}/layer_{number}" for number in range(depth[side])])
    pre = bool(both("pre_norm", 1))
    embedding_norm = "encoder/layernorm_embedding/gamma" in foreign
    for side in SIDES:
        if pre:
            foreign.norm(f"{side}.norm", f"{side}/layer_norm")
        if embedding_norm:
            foreign.norm(f"{side}.embedding_norm", f"{side}/layernorm_embedding")
    made = foreign.made
    size = len(made["encoder.layers.0.self_residual.norm.weight"])
    scale = both("scale_embeddings", 1)
    if scale not in (0, 1) and abs(scale - size**0.5) > 1e-3:
        raise _refused(path, f"has scale_embeddings = {scale:g}")
    encodings = [foreign.take_if_there(f"{side}/position_encodings/encodings") for side in SIDES]
    if any(key.endswith("/rotary_dim") for key in settings):
        turned = {float(value) for key, value in settings.items() if key.endswith("/rotary_dim")}
        joined = [key for key, value in settings.items() if key.endswith("/rotary_interleave") and float(value)]
        heads = int(both("num_heads", 8))
        if joined or not turned <= {0.0, float(size // heads)}:
            raise _refused(path, "rotates positions in another way")
        positions: dict[str, Any] = {"positions": "rotary"}
    elif encodings[0] is None:
        positions = {"positions": "sinusoidal_t2t", "first_position": 1}
    else:
        positions = positions_of(encodings, size, made)
    heads = int(both("num_heads", 16 if name == "TransformerBig" else 8))
    model = {
        "hidden_size": size,
        "encoder_layers": depth["encoder"],
        "decoder_layers": depth["decoder"],
        "feed_forward_size": made["encoder.layers.0.feed_forward.output.weight"].shape[1],
        "activation": "swiglu" if gated else activation,
        "norm": "pre" if pre else "post",
        **positions,
        "scale_embeddings": bool(scale),
        "embedding_norm": embedding_norm,
    }
    return model, heads


def _embeddings(foreign: Foreign) -> str:
    return "encoder/embeddings_0" if "encoder/embeddings_0/weight" in foreign else "encoder/embeddings"


def _vocabulary(folder: Path, side: str) -> list[str]:
    """Return the tokens of a side: JSON, or lines in older models."""
    for name in (f"{side}_vocabulary", "shared_vocabulary"):
        if (path := folder / f"{name}.json").exists():
            found = read_json(path)
            if not isinstance(found, list) or not all(isinstance(token, str) for token in cast(list[Any], found)):
                raise ModelError(f"{path} is no list of tokens.", code="E_MODEL_CORRUPT", file=path)
            return cast(list[str], found)
        if (path := folder / f"{name}.txt").exists():
            return read_lines(path)
    raise ModelError(f"{folder}: {side}_vocabulary.json is missing.", code="E_MODEL_MISSING", file=folder)


def _numbered(tokens: list[str], config: dict[str, Any]) -> Vocabulary:
    places = {token: place for place, token in enumerate(tokens)}

    def place(setting: str, *usual: str) -> int:
        named = config.get(setting)
        return next((places[token] for token in (named, *usual) if token in places), -1)

    return Vocabulary.of(
        tokens,
        pad=place("", "<blank>", "<pad>"),
        bos=place("decoder_start_token", "<s>"),
        eos=place("eos_token", "</s>"),
        unk=place("unk_token", "<unk>"),
    )


def _ours(folder: Path, around: Any, architecture: Architecture, made: dict[str, Tensor]) -> Bundle:
    """Return a model that Attentio has exported, with all that was around it."""
    path = folder / AROUND
    try:
        if around["format"] > FORMAT:
            raise ModelError(f"{path} was written by a newer Attentio.", code="E_MODEL_SCHEMA", file=path)
        return Bundle.of_described(folder, {**around, "architecture": architecture.model_dump(mode="json")}, made)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be understood ({error}).", code="E_MODEL_CORRUPT", file=path) from None


def _refused(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} {what}.", code="E_IMPORT_SETTING", file=path)
