"""What one translation attended to: its tokens, where they stand in the text, and the weights of every layer and head.

An `AttentionTrace` is plain data. Models fill it, `evaluate` measures it, `view` draws it, and a file keeps it. None of
these needs the others. Nothing here knows a model or a tokenizer, and only numpy is needed.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attentio.errors import DataError, UsageError
from attentio.runtime.files import write_bytes
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.words import Span, word_spans

Matrix: TypeAlias = NDArray[np.float32]

SCHEMA = 3
_WEIGHTS = ("weights", "encoder_self", "decoder_self")
_FIELDS = {
    1: (*("source", "target", "source_tokens", "target_tokens", "source_spans", "target_spans"), "token_log_probs"),
    2: _WEIGHTS[1:],
    3: ("candidates", "score"),
}
"""What each schema of files brought beside `weights`."""

Candidates: TypeAlias = tuple[tuple[tuple[str, float], ...], ...]


@dataclass(frozen=True, eq=False)
class AttentionTrace:
    """The attention of one translation.

    S source tokens, T target tokens, H heads (of that layer).

    source_spans, target_spans: (start, end) in characters of `source` and `target`, one per token. A token that shows
        no character of its own (a byte of a character that later bytes complete) has an empty span where it stands;
        end-of-sentence is a last token with an empty span at the end of the text.
    weights: layer name -> (H, T, S) float32, of the attention to the source, as the model used them: after normalizing,
        0 where masked.
    encoder_self: layer name -> (H, S, S) of the encoder's self-attention, where the model has it.
    decoder_self: layer name -> (H, T, 1 + T) of the decoder's self-attention. Column 0 is the beginning of the
        sentence, column 1 + j is target token j. A token sees only those before it.
    token_log_probs: (T,) float32, natural logarithm of the probability of each target token.
    candidates: the likeliest tokens at each of the T places with their probabilities, likeliest first. Empty where they
        are not known, as between words.
    score: what the translation was ranked by, where it is known.

    Arrays are copied and made read-only. Raises ValueError when lengths, spans or values disagree.
    """

    source: str
    target: str
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    source_spans: tuple[Span, ...]
    target_spans: tuple[Span, ...]
    weights: Mapping[str, NDArray[np.float32]]
    token_log_probs: NDArray[np.float32]
    encoder_self: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    decoder_self: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    candidates: Candidates = ()
    score: float | None = None

    def __post_init__(self) -> None:
        source_tokens, target_tokens = tuple(self.source_tokens), tuple(self.target_tokens)
        if not self.weights:
            raise ValueError("a trace needs the weights of at least one layer")
        log_probs = _frozen(self.token_log_probs)
        if log_probs.shape != (len(target_tokens),):
            raise ValueError(f"token_log_probs has shape {log_probs.shape}, expected ({len(target_tokens)},)")
        if not np.isfinite(log_probs).all():
            raise ValueError("token_log_probs holds a value that is not finite")
        checked = {
            "source_tokens": source_tokens,
            "target_tokens": target_tokens,
            "source_spans": _checked_spans("source", self.source_spans, self.source, len(source_tokens)),
            "target_spans": _checked_spans("target", self.target_spans, self.target, len(target_tokens)),
            **{kind: self._checked_weights(getattr(self, kind), shape) for kind, shape in self._shapes().items()},
            "token_log_probs": log_probs,
            "candidates": _checked_candidates(self.candidates, len(target_tokens)),
        }
        if self.score is not None and not np.isfinite(self.score):
            raise ValueError("the score is not finite")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _shapes(self) -> dict[str, tuple[int, int]]:
        source, target = len(self.source_tokens), len(self.target_tokens)
        return {"weights": (target, source), "encoder_self": (source, source), "decoder_self": (target, 1 + target)}

    def _checked_weights(
        self, layers: Mapping[str, NDArray[np.float32]], size: tuple[int, int]
    ) -> dict[str, NDArray[np.float32]]:
        checked = {name: _frozen(array) for name, array in layers.items()}
        for name, weights in checked.items():
            if weights.ndim != 3 or weights.shape[0] == 0 or weights.shape[1:] != size:
                shape = f"(heads, {size[0]}, {size[1]})"
                raise ValueError(f"weights of {name!r} have shape {weights.shape}, expected {shape}")
            if not np.isfinite(weights).all() or (weights < 0).any():
                raise ValueError(f"weights of {name!r} must be finite and not negative")
        return checked

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the names of the layers that look at the source, in the model's order."""
        return tuple(self.weights)

    def matrix(self, layer: str | None = None, head: int | None = None) -> Matrix:
        """Return the weights (T, S) of one head of one layer, heads counted from 0.

        Without `head` it is the mean over heads, without `layer` the mean over the layers that look at the source. Each
        layer counts the same, however many heads it has. The layer "last" is the last of these. A layer of
        self-attention has the shape it has in `encoder_self` or `decoder_self`. Raises UsageError when the trace has no
        such layer or head.
        """
        known = {**self.weights, **self.encoder_self, **self.decoder_self}
        layer = self.layers[-1] if layer == "last" else layer
        if layer is not None and layer not in known:
            raise UsageError(f"no layer {layer!r} in this trace.", hint=f"Layers: {', '.join(known)}.")
        chosen = [layer] if layer is not None else list(self.weights)
        return np.stack([self._head(name, known[name], head) for name in chosen]).mean(axis=0, dtype=np.float32)

    @staticmethod
    def _head(layer: str, weights: NDArray[np.float32], head: int | None) -> Matrix:
        if head is None:
            return weights.mean(axis=0, dtype=np.float32)
        if not 0 <= head < len(weights):
            raise UsageError(f"no head {head} in layer {layer!r}.", hint=f"Heads: 0 to {len(weights) - 1}.")
        return weights[head]

    def merged(self, source_spans: Sequence[Span], target_spans: Sequence[Span]) -> "AttentionTrace":
        """Return the same attention between words. `*_spans` are the words, as (start, end) characters in the texts.

        Weights are summed over the tokens of a word that is looked at, and averaged over those of the word that looks.
        Log-probabilities are summed. End-of-sentence disappears from both sides. Rows are *not* normalized again, so a
        row sums to what the model spent on words.

        A token that reaches over several words is shared among them by its characters in each. A token that shows no
        character of a word, such as a space, goes to the word that follows it. A word that no
        token shows keeps a zero row or column. Raises ValueError when words overlap or stand outside the text.
        """
        source_words = _checked_spans("source word", source_spans, self.source, len(source_spans), disjoint=True)
        target_words = _checked_spans("target word", target_spans, self.target, len(target_spans), disjoint=True)
        of_source = _shares(self.source_spans, source_words, len(self.source))  # (S, source words)
        of_target = _shares(self.target_spans, target_words, len(self.target))  # (T, target words)
        average_source, average_target = _averages(of_source), _averages(of_target)  # (words, tokens) each
        with_begin: Matrix = np.zeros((1 + of_target.shape[0], 1 + of_target.shape[1]), dtype=np.float32)
        with_begin[0, 0], with_begin[1:, 1:] = 1, of_target
        return AttentionTrace(
            source=self.source,
            target=self.target,
            source_tokens=tuple(self.source[start:end] for start, end in source_words),
            target_tokens=tuple(self.target[start:end] for start, end in target_words),
            source_spans=source_words,
            target_spans=target_words,
            weights=_between(average_target, self.weights, of_source),
            token_log_probs=of_target.T @ self.token_log_probs,
            encoder_self=_between(average_source, self.encoder_self, of_source),
            decoder_self=_between(average_target, self.decoder_self, with_begin),
            score=self.score,
        )

    def _repr_html_(self) -> str:
        """Return the map as a notebook shows it."""
        # Found by its name: views come after traces, and only a notebook needs one here.
        return import_module("attentio.view.embed").notebook(self)

    def labels(self) -> tuple[list[str], list[str]]:
        """Return source and target tokens as people read them: a placeholder is what it stands for."""
        return (
            _labels(self.source_tokens, self.source_spans, self.source),
            _labels(self.target_tokens, self.target_spans, self.target),
        )

    def words(self) -> "AttentionTrace":
        """Return the same attention between the words that `word_spans` finds, without end-of-sentence."""
        return self.merged(word_spans(self.source), word_spans(self.target))

    def save(self, path: str | Path) -> None:
        """Write the trace to a `.npz` or `.json` file. The file is complete or not there at all."""
        path = Path(path)
        dump, _ = _FORMATS[_format(path)]
        write_bytes(path, dump(self))

    @classmethod
    def load(cls, path: str | Path) -> "AttentionTrace":
        """Read a trace from a `.npz` or `.json` file. No pickle is ever opened.

        Raises DataError when the file is missing, is of another schema, or contradicts itself.
        """
        path = Path(path)
        _, parse = _FORMATS[_format(path)]
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DataError(f"{path}: no such file.", file=path) from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).", file=path) from None
        try:
            fields = parse(content)
            if fields["schema"] not in range(1, SCHEMA + 1):
                raise ValueError(f"schema {fields['schema']!r}, and this version reads 1 to {SCHEMA}")
            expected = {"weights", *(name for since in _FIELDS if since <= fields["schema"] for name in _FIELDS[since])}
            if unknown := fields.keys() - {"schema", *expected}:
                raise ValueError(f"unknown field {min(unknown)!r}")
            return cls(**{name: _checked_field(name, fields[name]) for name in expected})
        except KeyError as error:
            raise DataError(f"{path}: not an attention trace (no field {error}).", file=path) from None
        except (ValueError, TypeError, RecursionError, zipfile.BadZipFile, EOFError) as error:
            raise DataError(f"{path}: not an attention trace ({error}).", file=path) from None


def _labels(tokens: Sequence[str], spans: Sequence[Span], text: str) -> list[str]:
    return [
        text[start:end] if token in PLACEHOLDERS else token for token, (start, end) in zip(tokens, spans, strict=True)
    ]


def _shares(spans: Sequence[Span], words: Sequence[Span], length: int) -> Matrix:
    """Return the share of each token in each word, (tokens, words). Rows sum to 1, or to 0 for end-of-sentence."""
    shares = np.zeros((len(spans), len(words)), dtype=np.float32)
    if not words:
        return shares
    starts = np.array([start for start, _ in words])
    ends = np.array([end for _, end in words])
    for token, (start, end) in enumerate(spans):
        if token == len(spans) - 1 and start == end == length:
            continue
        overlap = np.clip(np.minimum(ends, end) - np.maximum(starts, start), 0, None)
        if overlap.any():
            shares[token] = overlap / overlap.sum()
        else:
            following = np.flatnonzero(ends > start)
            nearest = following[np.argmin(starts[following])] if len(following) else np.argmax(ends)
            shares[token, nearest] = 1.0
    return shares


def _between(
    words: Matrix, layers: Mapping[str, NDArray[np.float32]], others: Matrix
) -> dict[str, NDArray[np.float32]]:
    """Return (H, words, other words) for the weights (H, tokens, other tokens) of each layer."""
    return {name: (words @ weights @ others).astype(np.float32, copy=False) for name, weights in layers.items()}


def _averages(shares: Matrix) -> Matrix:
    """Return (words, tokens): the tokens of each word, shares (tokens, words) of which sum to 1, or to 0 for none."""
    sums = shares.sum(axis=0)[:, None]
    averages: Matrix = np.zeros(shares.T.shape, dtype=np.float32)
    np.divide(shares.T, sums, out=averages, where=sums > 0)
    return averages


def _checked_spans(
    what: str, spans: Sequence[Span], text: str, count: int, *, disjoint: bool = False
) -> tuple[Span, ...]:
    checked = tuple((int(start), int(end)) for start, end in spans)
    if len(checked) != count:
        raise ValueError(f"{count} {what} tokens have {len(checked)} spans")
    for start, end in checked:
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"{what} span ({start}, {end}) is outside a text of {len(text)} characters")
    ordered = sorted(checked)
    if disjoint and any(first[1] > second[0] for first, second in pairwise(ordered)):
        raise ValueError(f"{what} spans overlap")
    return checked


def _checked_candidates(candidates: Candidates, length: int) -> Candidates:
    checked = tuple(tuple((token, float(str(np.float32(p)))) for token, p in place) for place in candidates)
    if checked and len(checked) != length:
        raise ValueError(f"{length} target tokens have candidates at {len(checked)} places")
    if not all(0 <= p <= 1 for place in checked for _, p in place):
        raise ValueError("candidates have a probability that is not between 0 and 1")
    return checked


def _frozen(array: NDArray[np.float32]) -> NDArray[np.float32]:
    copy = np.array(array, dtype=np.float32)
    copy.flags.writeable = False
    return copy


def _checked_field(name: str, value: Any) -> Any:
    """Return a field of a file in the type of the trace. Refuse others, such as a string in the place of a list."""
    if name in ("source", "target"):
        if not isinstance(value, str):
            raise ValueError(f"{name} is not text")
        return value
    if name in _WEIGHTS:
        if not isinstance(value, dict):
            raise ValueError(f"{name} are not a table of layers")
        return {layer: np.asarray(array, dtype=np.float32) for layer, array in value.items()}
    if name == "token_log_probs":
        return np.asarray(value, dtype=np.float32)
    if name == "score":
        if value is not None and type(value) not in (int, float):
            raise ValueError("score is not a number")
        return value
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")
    if name == "candidates":
        if not all(isinstance(token, str) for place in value for token, _ in place):
            raise ValueError("candidates holds something that is not text")
        return value
    if name.endswith("_tokens"):
        if not all(isinstance(token, str) for token in value):
            raise ValueError(f"{name} holds something that is not text")
        return tuple(value)
    for span in value:
        if not (isinstance(span, list) and len(span) == 2 and all(type(edge) is int for edge in span)):
            raise ValueError(f"{name} holds {span!r}, which is not a pair of integers")
    return tuple((start, end) for start, end in value)


def _texts(trace: AttentionTrace) -> dict[str, Any]:
    return {"schema": SCHEMA} | {name: getattr(trace, name) for name in (*_FIELDS[1][:-1], *_FIELDS[3])}


def _numbers(array: NDArray[np.float32]) -> list[Any]:
    """Nested lists whose numbers are the shortest that give the same float32 again."""
    if array.ndim > 1:
        return [_numbers(row) for row in array]
    return [float(str(value)) for value in array]


def _dump_json(trace: AttentionTrace) -> bytes:
    fields = _texts(trace)
    for kind in _WEIGHTS:
        fields[kind] = {layer: _numbers(weights) for layer, weights in getattr(trace, kind).items()}
    fields["token_log_probs"] = _numbers(trace.token_log_probs)
    return _json(fields)


def _json(fields: dict[str, Any]) -> bytes:
    """Return JSON in UTF-8, which has no half of a surrogate pair: where there is one, all is written in ASCII."""
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(fields, allow_nan=False).encode()


def _parse_json(content: bytes) -> dict[str, Any]:
    fields = json.loads(content.decode())
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    if fields.get("target_tokens") == []:
        # Nested lists of shape (H, 0, S) have lost their S, but the tokens still know it.
        for kind, width in (("weights", len(fields["source_tokens"])), ("decoder_self", 1)):
            if isinstance(weights := fields.get(kind), dict):
                fields[kind] = {layer: np.reshape(heads, (len(heads), 0, width)) for layer, heads in weights.items()}
    return fields


def _dump_npz(trace: AttentionTrace) -> bytes:
    layers = [(kind, layer) for kind in _WEIGHTS for layer in getattr(trace, kind)]
    fields = _texts(trace) | {"layers": layers}
    text = np.frombuffer(_json(fields), dtype=np.uint8)
    arrays: dict[str, Any] = {f"weights_{i}": getattr(trace, kind)[layer] for i, (kind, layer) in enumerate(layers)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, text=text, token_log_probs=trace.token_log_probs, **arrays)
    return buffer.getvalue()


def _parse_npz(content: bytes) -> dict[str, Any]:
    # A bare .npy would come back as an array, a pickle is refused, and both before anything else is looked at.
    with zipfile.ZipFile(io.BytesIO(content)), np.load(io.BytesIO(content), allow_pickle=False) as archive:
        fields = json.loads(archive["text"].tobytes().decode())
        if not isinstance(fields, dict):
            raise ValueError("its text part is not a JSON object")
        layers = fields.pop("layers")
        if unknown := set(archive.files) - {"text", "token_log_probs", *(f"weights_{i}" for i in range(len(layers)))}:
            raise ValueError(f"unknown array {min(unknown)!r}")
        # Schema 1 has only names, all of layers that look at the source.
        places = [("weights", layer) if isinstance(layer, str) else tuple(layer) for layer in layers]
        fields |= {kind: {} for kind in (_WEIGHTS if fields.get("schema") != 1 else _WEIGHTS[:1])}
        for index, (kind, layer) in enumerate(places):
            fields[kind][layer] = archive[f"weights_{index}"]
        fields["token_log_probs"] = archive["token_log_probs"]
    return fields


# How each kind of file is written and read.
_FORMATS = {".json": (_dump_json, _parse_json), ".npz": (_dump_npz, _parse_npz)}


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(f"{path}: a trace is a {' or '.join(_FORMATS)} file.", hint="Give it such an ending.")
    return suffix
