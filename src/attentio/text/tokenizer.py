"""Text to token ids and back: words (the seed's), characters and SentencePiece behind one interface, one file each.

`encode` adds neither begin nor end. `spans` says which characters of the text each token covers, so that weights can
be drawn over what the user wrote. Cleaning happens before (`clean`), and nothing here composes or decomposes
characters. A vocabulary is learned in `learn`. All of it may be used by several threads at once.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias, cast, final

import numpy as np
import numpy.typing as npt
import sentencepiece

from attentio.errors import ModelError, UsageError
from attentio.runtime.files import sha256_of
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.script import PUNCTUATION
from attentio.text.special import SPECIAL, SPECIAL_TOKENS
from attentio.text.words import Span

UNKNOWN = "\ufffd"  # what an unknown token decodes to
CACHED_WORDS = 500_000  # of one SentencePiece tokenizer, each with its tokens: some 100 MB at most
_LOWERCASE = b"lowercase\n"  # before the content of a SentencePiece model that reads lower case
_WORD_MARK = "\u2581"  # SentencePiece's space

Ids: TypeAlias = npt.NDArray[np.int32]
Lengths: TypeAlias = npt.NDArray[np.int64]


class Tokenizer(ABC):
    """What every tokenizer offers. Its tokens are a list, each for one unit of a text, stored as JSON."""

    kind: ClassVar[str]  # "word", "char", "sentencepiece", or of other toolkits "space" or "numbered" (`text.numbered`)
    special = SPECIAL
    tokens: Sequence[str]  # the token of each id

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        if self.tokens[:4] != SPECIAL_TOKENS or len(set(self.tokens)) != len(self.tokens):
            raise ModelError("the tokenizer's tokens are damaged.", code="E_MODEL_TOKENIZER")
        self._ids = {token: i for i, token in enumerate(self.tokens)}

    def _units(self, text: str) -> Sequence[str]:
        """Return what one token stands for, in order."""
        return text

    def _join(self, units: list[str]) -> str:
        """Return the text that the units make."""
        return "".join(units)

    @abstractmethod
    def spans(self, text: str) -> list[Span]:
        """Return, for each id of `encode(text)`, the characters of `text` it covers, as (start, end)."""

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the tokens of `text`, without begin and end."""
        return [self._ids.get(unit, self.special.unk) for unit in self._units(text)]

    def encode_lines(self, lines: Sequence[str]) -> tuple[Ids, Lengths]:
        """Return the ids of all lines end to end (N,), and the length of each line (B,)."""
        return _flatten([self.encode(line) for line in lines])

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids. Padding, begin and end are left out."""
        unknown, left_out = self.special.unk, self.special[:3]
        return self._join([UNKNOWN if i == unknown else self.tokens[i] for i in ids if i not in left_out])

    def unseen(self, text: str) -> list[str]:
        """Return the words or characters of `text` that training never saw, each once, in order."""
        return list(dict.fromkeys(unit for unit in self._units(text) if unit not in self._ids))

    def symbols(self) -> list[list[int]]:
        """Return what each token writes, as symbols. However a text is cut into tokens, its symbols are the same."""
        return [[] if i in self.special[:3] else [i] for i in range(self.vocab_size)]

    def symbols_of(self, text: str) -> list[int]:
        """Return the symbols of `text`. Raises UsageError where no tokens write it."""
        if unseen := self.unseen(text):
            what = ", ".join(map(repr, unseen))
            raise UsageError(f"the model cannot write {text!r}: its vocabulary has no {what}.")
        return self.encode(text)

    def symbols_after_word(self) -> list[int]:
        """Return the symbols of which one follows a complete word. Empty where words have symbols of their own."""
        return []

    def to_bytes(self) -> bytes:
        """Return the content of the one file that holds this tokenizer."""
        return json.dumps(self._held(), ensure_ascii=True, indent=0).encode()

    def _held(self) -> dict[str, Any]:
        return {"kind": self.kind, "pieces": self.tokens}  # as the files of every version say


def fingerprint(tokenizer: Tokenizer) -> str:
    """Return the SHA-256 of the tokenizer's file: the same only for the same tokenizer."""
    return sha256_of(tokenizer.to_bytes())


# Punctuation stands alone. Apostrophes and hyphens inside a word, and points and commas inside a number, do not.
# Everything that is neither space nor punctuation is part of a word, so that combining vowel signs stay with theirs.
_ALONE = PUNCTUATION + PLACEHOLDERS
_WORD = re.compile(rf"[^\s{_ALONE}]+(?:(?:['’\-]|(?<=\d)[.,:](?=\d))[^\s{_ALONE}]+)*|[{_ALONE}]")
_NO_SPACE_BEFORE = frozenset(".,!?;:)]}%…。，！？；：、）】》」』”")
_NO_SPACE_AFTER = frozenset("([{（【《「『“¿¡")


@final
class WordTokenizer(Tokenizer):
    """The seed's words: lower-cased, split at spaces, punctuation split off. Unknown words become one token."""

    kind = "word"

    def spans(self, text: str) -> list[Span]:
        return [match.span() for match in _WORD.finditer(text)]

    def _units(self, text: str) -> Sequence[str]:
        return split_words(text)

    def _join(self, units: list[str]) -> str:
        parts: list[str] = []
        glue = True  # nothing stands before the first word
        for word in units:
            if not glue and word not in _NO_SPACE_BEFORE:
                parts.append(" ")
            parts.append(word)
            glue = word in _NO_SPACE_AFTER
        return "".join(parts)


def split_words(text: str) -> list[str]:
    """Return the words of `text` in lower case, as `WordTokenizer` reads them."""
    if text.isascii():
        return _WORD.findall(text.lower())
    # Lower-casing can lengthen a word (İ), so the words are cut first: `spans` cuts the same text.
    return [word.lower() for word in _WORD.findall(text)]


@final
class CharTokenizer(Tokenizer):
    """One token per character, spaces included. Unknown characters become one token."""

    kind = "char"

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        if any(len(token) != 1 for token in self.tokens[4:]):
            raise ModelError("character tokenizer: a token is not one character.", code="E_MODEL_TOKENIZER")
        self._table: Ids | None = None

    def encode_lines(self, lines: Sequence[str]) -> tuple[Ids, Lengths]:
        if self._table is None:  # id of every code point: one look-up for a whole chunk
            table = np.full(0x110000, self.special.unk, dtype=np.int32)
            table[code_points("".join(self.tokens[4:]))] = np.arange(4, self.vocab_size, dtype=np.int32)
            self._table = table  # whole when another thread sees it
        lengths = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))
        return self._table[code_points("".join(lines))], lengths

    def spans(self, text: str) -> list[Span]:
        return [(i, i + 1) for i in range(len(text))]


@final
class SentencePieceTokenizer(Tokenizer):
    """SentencePiece without its normalization. A character that training never saw falls back to its UTF-8 bytes.

    model: the content of SentencePiece's own file.
    lowercase: whatever is read is lower-cased first, and the file says so before SentencePiece's own content.
    """

    kind = "sentencepiece"

    def __init__(self, model: bytes, *, lowercase: bool = False, cached_words: int = CACHED_WORDS) -> None:
        self.model = model
        self.lowercase = lowercase
        self._processor, self.tokens = open_sentencepiece(model)
        size = len(self.tokens)
        if self.tokens[:4] != SPECIAL_TOKENS:
            raise ModelError(
                f"the SentencePiece model begins with {list(self.tokens[:4])}, not with {list(SPECIAL_TOKENS)}.",
                hint="Train it with pad_id=0, bos_id=1, eos_id=2, unk_id=3.",
                code="E_MODEL_TOKENIZER",
            )
        begins_words = str(self._processor.encode("a", out_type=str)[0]).startswith(_WORD_MARK)
        self._by_word = begins_words and not any(_WORD_MARK in token[1:] for token in self.tokens)
        self._cached_words = cached_words
        self._cache: dict[str, list[int]] = {}
        self._bytes = frozenset(i for i in range(size) if self._processor.is_byte(i))
        known = (token for i, token in enumerate(self.tokens[4:], start=4) if i not in self._bytes)
        self._ids = dict.fromkeys("".join(known) + " ", 0)  # the characters it has seen

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(self.read(text))

    def encode_lines(self, lines: Sequence[str]) -> tuple[Ids, Lengths]:
        if self.lowercase:
            lines = [lowered(line) for line in lines]
        text = "\n".join(lines)
        if not self._by_word or not lines or _WORD_MARK in text or text.count("\n") != len(lines) - 1:
            return _flatten(self._processor.encode(list(lines)))
        # No token reaches over a space, so a line is its words one after the other, and words recur.
        split = [line.split(" ") for line in lines]
        words = list(chain.from_iterable(split))
        found = self._encode_words(words)
        ids, lengths = _flatten(found)
        ends = np.cumsum(np.fromiter(map(len, split), dtype=np.int64, count=len(split)))
        return ids, np.diff(np.concatenate(([0], np.cumsum(lengths)))[np.concatenate(([0], ends))])

    def _encode_words(self, words: list[str]) -> list[list[int]]:
        cache = self._cache  # a full one is replaced and never emptied: another thread may be reading it
        fresh = [word for word in dict.fromkeys(words) if word not in cache]
        if fresh:
            if len(cache) + len(fresh) > self._cached_words:
                cache = self._cache = {}
                fresh = list(dict.fromkeys(words))
            cache.update(zip(fresh, self._processor.encode(fresh), strict=True))
        return [cache[word] for word in words]

    def spans(self, text: str) -> list[Span]:
        return sentencepiece_spans(self._processor, self._bytes, self.read(text))

    def halves(self) -> list[list[tuple[int, int]]]:
        """Return, for each token, the pairs of tokens it could be split into, likeliest first."""
        ids = {token: i for i, token in enumerate(self.tokens) if i >= 4 and i not in self._bytes}
        scores = [self._processor.get_score(i) for i in range(self.vocab_size)]
        found: list[list[tuple[int, int]]] = [[] for _ in self.tokens]
        for token, i in ids.items():
            cuts = ((ids.get(token[:cut]), ids.get(token[cut:])) for cut in range(1, len(token)))
            pairs = [(first, second) for first, second in cuts if first is not None and second is not None]
            found[i] = sorted(pairs, key=lambda pair: -scores[pair[0]] - scores[pair[1]])
        return found

    def decode(self, ids: Iterable[int]) -> str:
        return self._processor.decode([int(i) for i in ids if i not in self.special[:3]])

    def unseen(self, text: str) -> list[str]:
        read = zip(text, self.read(text), strict=True)
        return list(dict.fromkeys(char for char, known in read if known not in self._ids))

    def symbols(self) -> list[list[int]]:
        """Return the bytes of each token's text, with a space for SentencePiece's mark of one."""
        return spelled_out(self.tokens, self._bytes)

    def symbols_of(self, text: str) -> list[int]:
        return list(self.read(text).encode())

    def symbols_after_word(self) -> list[int]:
        # The last ones are first bytes of quotation marks, dashes, full-width punctuation and placeholders.
        return [*b""" .,;:?!)]}>"'/-""", 0xC2, 0xE2, 0xE3, 0xEE, 0xEF]

    def to_bytes(self) -> bytes:
        return _LOWERCASE * self.lowercase + self.model

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        return type(self).from_bytes, (self.to_bytes(),)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Return the tokenizer whose `to_bytes` gave `content`."""
        return cls(content.removeprefix(_LOWERCASE), lowercase=content.startswith(_LOWERCASE))

    def read(self, text: str) -> str:
        """Return the text whose tokens are taken, as long as `text`."""
        return lowered(text) if self.lowercase else text


def open_sentencepiece(model: bytes) -> tuple[Any, tuple[str, ...]]:
    """Return SentencePiece's processor for the content of its file, and its tokens. Raises ModelError."""
    processor = cast(Any, sentencepiece.SentencePieceProcessor)()
    try:
        processor.LoadFromSerializedProto(model)
        return processor, tuple(processor.id_to_piece(i) for i in range(processor.get_piece_size()))
    except (RuntimeError, UnicodeDecodeError) as error:
        raise ModelError("not a SentencePiece model.", code="E_MODEL_TOKENIZER") from error


def sentencepiece_spans(processor: Any, byte_ids: Collection[int], text: str) -> list[Span]:
    """Return the characters of `text` that each of SentencePiece's tokens covers."""
    found = processor.encode(text, return_type="offset_mapping")
    spans: list[Span] = []
    end_of_character = 0
    # SentencePiece gives a fallback character to its last byte alone. Here each of its bytes covers all of it.
    for token, (start, end) in zip(reversed(found["ids"]), reversed(found["offsets"]), strict=True):
        end = end_of_character = end_of_character if token in byte_ids and start == end else end
        bare = start + len(text[start:end]) - len(text[start:end].lstrip())
        spans.append((bare if bare < end else start, end))
    return spans[::-1]


def spelled_out(tokens: Sequence[str], byte_ids: Collection[int]) -> list[list[int]]:
    """Return the bytes of each token's text."""
    spelled = [list(token.replace(_WORD_MARK, " ").encode()) for token in tokens]
    for i in byte_ids:
        spelled[i] = [int(tokens[i][3:-1], 16)]  # <0xE4>
    return [[], [], [], [-1], *spelled[4:]]


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a file that holds `Tokenizer.to_bytes`. Raises ModelError when it is missing or no tokenizer."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such tokenizer file.", file=path, code="E_MODEL_MISSING") from None
    if not content.startswith(b"{"):
        return SentencePieceTokenizer.from_bytes(content)
    try:
        held = json.loads(content)
        kinds = {"word": WordTokenizer, "char": CharTokenizer}
        if held["kind"] in kinds:
            return kinds[held["kind"]](held["pieces"])
        from attentio.text.numbered import from_held  # of models of other toolkits

        return from_held(held)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a tokenizer file.", file=path, code="E_MODEL_TOKENIZER") from error


def lowered(text: str) -> str:
    """Return `text` in lower case and as long as it was. A character whose lower case is longer stays."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


class _Lower(dict[int, int]):
    """Code point -> that of its lower case. Filled as characters are met."""

    def __missing__(self, point: int) -> int:
        lower = chr(point).lower()
        self[point] = ord(lower) if len(lower) == 1 else point
        return self[point]


_LOWER = _Lower()


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """Return the code point of each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _flatten(ids: list[list[int]]) -> tuple[Ids, Lengths]:
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(lengths.sum()))
    return flat, lengths
