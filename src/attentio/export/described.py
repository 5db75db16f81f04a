"""What a runtime without Python needs to know about text: tokenizers, cleaners and scripts, as JSON."""

import base64
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

from attentio.bundle import Side
from attentio.errors import UsageError
from attentio.text.clean import CONVERSIONS, Cleaner, convert
from attentio.text.numbered import NumberedTokenizer
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.script import FULL_WIDTH, HAN, KANA, PUNCTUATION
from attentio.text.tokenizer import SentencePieceTokenizer, Tokenizer

RANGES = {
    "han": HAN,
    "kana": KANA,
    "fullWidth": FULL_WIDTH,
    "punctuation": PUNCTUATION,
    "placeholders": PLACEHOLDERS,
}
_HAN_POINTS = (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000), *range(0xF900, 0xFB00), *range(0x20000, 0x323B0))
_MODELS = {1: "unigram", 2: "bpe"}  # numbers in the file format of SentencePiece
_NORMAL, _CONTROL, _WHOLE, _BYTE = 1, 3, 4, 6


def side(held: Side) -> dict[str, Any]:
    """Return one side of a model."""
    return {
        "language": held.language,
        "cleaner": cleaner(held.cleaner),
        "tokenizer": tokenizer(held.tokenizer),
    }


def cleaner(held: Cleaner) -> dict[str, Any]:
    """Return the rules of one side. `script` is a table of characters, and None where nothing is converted."""
    converts = held.han and held.script != "keep"
    return {"han": held.han, "script": _script(CONVERSIONS[held.script]) if converts else None}


@cache
def _script(name: str) -> dict[str, str]:
    """Return which characters a conversion of OpenCC changes where they stand alone, and what they become."""
    chars = [chr(point) for point in _HAN_POINTS]
    made = convert(name, "\n".join(chars)).split("\n")
    pairs = [(a, b) for a, b in zip(chars, made, strict=True) if a != b and len(b) == 1]
    return {"from": "".join(a for a, _ in pairs), "to": "".join(b for _, b in pairs)}


def tokenizer(held: Tokenizer) -> dict[str, Any]:
    """Return a tokenizer. Raises UsageError for a SentencePiece model of another kind than BPE and unigram."""
    if isinstance(held, SentencePieceTokenizer):
        return {"kind": held.kind, "lowercase": held.lowercase, **sentencepiece(held.model)}
    stored = {"kind": held.kind, "tokens": list(held.tokens)}
    if isinstance(held, NumberedTokenizer):
        stored |= {"before": held.before, "cut": {"kind": "sentencepiece", **sentencepiece(held.model)}}
    return stored


def sentencepiece(model: bytes) -> dict[str, Any]:
    """Return a SentencePiece model, read from its own file format. Raises UsageError for what runtimes do not know."""
    tokens: list[str] = []
    scores: list[float] = []
    kinds: list[int] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for field, value in _fields(model):
        if field == 1:
            entry = dict(_fields(value))
            tokens.append(entry[1].decode())
            scores.append(round(struct.unpack("<f", entry[2])[0], 9) if 2 in entry else 0.0)
            kinds.append(entry.get(3, _NORMAL))
        elif field == 2:
            trainer = dict(_fields(value))
        elif field == 3:
            normalizer = dict(_fields(value))
    kind = _MODELS.get(trainer.get(3, 1))
    suffix, escaped = trainer.get(24, 0), normalizer.get(5, 1)
    if kind is None or suffix or not escaped:
        raise UsageError(
            "the tokenizer is a SentencePiece model of a rare kind, and only BPE and unigram models can leave.",
            code="E_EXPORT_SETTING",
        )
    return {
        "model": kind,
        "tokens": tokens,
        "scores": scores,
        "bytes": [place for place, kind in enumerate(kinds) if kind == _BYTE],
        "whole": [place for place, kind in enumerate(kinds) if kind == _WHOLE],
        "control": [place for place, kind in enumerate(kinds) if kind == _CONTROL],
        "unused": [place for place, kind in enumerate(kinds) if kind not in (_NORMAL, _WHOLE, _BYTE)],
        "dummyPrefix": bool(normalizer.get(3, 1)),
        "removeSpaces": bool(normalizer.get(4, 1)),
        "rules": base64.b64encode(normalizer.get(2, b"")).decode(),
    }


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message of Protocol Buffers: numbers, and bytes for all else."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            value |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if byte < 0x80:
                return value

    while place < len(message):
        tag = number()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, number()
            continue
        size = {1: 8, 2: 0, 5: 4}[kind] or number()
        yield tag >> 3, message[place : place + size]
        place += size
