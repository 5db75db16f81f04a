"""Text to piece ids and back: words (the seed's), characters and SentencePiece behind one interface, one file each.

Ids 0 to 3 are padding, begin, end and unknown in every kind. `encode` adds neither begin nor end; `spans` says which
characters of the text each piece covers, so that weights can be drawn over what the user wrote. Cleaning happens
before (`clean`); nothing here composes or decomposes characters.
"""

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias, cast, final

import numpy as np
import numpy.typing as npt
import sentencepiece

from attentio.errors import ModelError, UsageError
from attentio.text.script import PUNCTUATION, is_unsegmented
from attentio.text.special import SPECIAL, SPECIAL_TOKENS, SpecialIds

PAD_ID, BOS_ID, EOS_ID, UNK_ID = SPECIAL
SPECIAL_PIECES = SPECIAL_TOKENS
_LOWERCASE = b"lowercase\n"  # before the content of a SentencePiece model that reads lower case
_WORD_MARK = "\u2581"  # SentencePiece's space
_CACHED_WORDS = 500_000  # of one tokenizer, each with its pieces: some 100 MB at most
UNKNOWN = "\ufffd"  # what an unknown piece decodes to
SAMPLE_LINES = 400_000  # SentencePiece learns its merges from at most this many lines; every character still counts
KINDS = ("auto", "word", "char", "sentencepiece")

Span: TypeAlias = tuple[int, int]
Ids: TypeAlias = npt.NDArray[np.int32]


class Tokenizer(Protocol):
    """What every tokenizer offers."""

    @property
    def kind(self) -> str:
        """ "word", "char" or "sentencepiece"."""
        ...

    @property
    def pieces(self) -> list[str]:
        """The piece of each id; the first four are the special ones."""
        ...

    @property
    def special(self) -> SpecialIds:
        """The ids of its special tokens."""
        ...

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Ids of the pieces of `text`, without begin and end."""
        ...

    def encode_lines(self, lines: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Ids of all lines end to end, and the length of each line: `encode` for many lines at once."""
        ...

    def spans(self, text: str) -> list[Span]:
        """For each id of `encode(text)`, the characters of `text` it covers, as (start, end)."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids; padding, begin and end are left out."""
        ...

    def unseen(self, text: str) -> list[str]:
        """The units of `text` (words or characters) that training never saw, each once, in order."""
        ...

    def to_bytes(self) -> bytes:
        """The content of the one file that holds this tokenizer."""
        ...

    def save(self, path: Path) -> None: ...


def fingerprint(tokenizer: Tokenizer) -> str:
    """SHA-256 of the tokenizer's file: the same only for the same tokenizer."""
    return hashlib.sha256(tokenizer.to_bytes()).hexdigest()


# Punctuation stands alone; apostrophes and hyphens inside a word, and points and commas inside a number, do not.
# Everything that is neither space nor punctuation is part of a word, so that combining vowel signs stay with theirs.
_WORD = re.compile(
    rf"[^\s{PUNCTUATION}]+(?:(?:['’\-]|(?<=\d)[.,:](?=\d))[^\s{PUNCTUATION}]+)*|[{PUNCTUATION}]",
)
_NO_SPACE_BEFORE = frozenset(".,!?;:)]}%…。，！？；：、）】》」』”")
_NO_SPACE_AFTER = frozenset("([{（【《「『“¿¡")


@final
class WordTokenizer:
    """The seed's words: lower-cased, split at spaces, punctuation split off; unknown words become one piece."""

    kind = "word"
    special = SPECIAL

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = _checked(pieces)
        self._ids = {piece: i for i, piece in enumerate(self._pieces)}

    @property
    def pieces(self) -> list[str]:
        return list(self._pieces)

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(word, UNK_ID) for word in _words(text)]

    def encode_lines(self, lines: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        return _flatten([self.encode(line) for line in lines])

    def spans(self, text: str) -> list[Span]:
        return [match.span() for match in _WORD.finditer(text)]

    def decode(self, ids: Iterable[int]) -> str:
        return _join_words([UNKNOWN if i == UNK_ID else self._pieces[i] for i in ids if i > EOS_ID])

    def unseen(self, text: str) -> list[str]:
        return list(dict.fromkeys(word for word in _words(text) if word not in self._ids))

    def to_bytes(self) -> bytes:
        return _as_json(self.kind, self._pieces)

    def save(self, path: Path) -> None:
        path.write_bytes(self.to_bytes())


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    # Lower-casing can lengthen a word (İ), so the words are cut first: `spans` cuts the same text.
    return [word.lower() for word in _WORD.findall(text)]


def _join_words(words: list[str]) -> str:
    parts: list[str] = []
    glue = True  # nothing stands before the first word
    for word in words:
        if not glue and word not in _NO_SPACE_BEFORE:
            parts.append(" ")
        parts.append(word)
        glue = word in _NO_SPACE_AFTER
    return "".join(parts)


@final
class CharTokenizer:
    """One piece per character, spaces included; unknown characters become one piece."""

    kind = "char"
    special = SPECIAL

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = _checked(pieces)
        if any(len(piece) != 1 for piece in self._pieces[4:]):
            raise ModelError("character tokenizer: a piece is not one character.", code="E_MODEL_TOKENIZER")
        self._ids = {piece: i for i, piece in enumerate(self._pieces[4:], start=4)}
        self._table: Ids | None = None

    @property
    def pieces(self) -> list[str]:
        return list(self._pieces)

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(char, UNK_ID) for char in text]

    def encode_lines(self, lines: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        if self._table is None:  # id of every code point: one look-up for a whole chunk
            self._table = np.full(0x110000, UNK_ID, dtype=np.int32)
            self._table[_code_points("".join(self._pieces[4:]))] = np.arange(4, self.vocab_size, dtype=np.int32)
        lengths = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))
        return self._table[_code_points("".join(lines))], lengths

    def spans(self, text: str) -> list[Span]:
        return [(i, i + 1) for i in range(len(text))]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(UNKNOWN if i == UNK_ID else self._pieces[i] for i in ids if i > EOS_ID)

    def unseen(self, text: str) -> list[str]:
        return list(dict.fromkeys(char for char in text if char not in self._ids))

    def to_bytes(self) -> bytes:
        return _as_json(self.kind, self._pieces)

    def save(self, path: Path) -> None:
        path.write_bytes(self.to_bytes())


@final
class SentencePieceTokenizer:
    """SentencePiece without its normalisation; a character that training never saw falls back to its UTF-8 bytes.

    `lowercase`: whatever is read is lower-cased first, and the file says so before SentencePiece's own content.
    """

    kind = "sentencepiece"
    special = SPECIAL

    def __init__(self, model: bytes, *, lowercase: bool = False) -> None:
        self._model = model
        self._lowercase = lowercase
        self._processor = cast(Any, sentencepiece.SentencePieceProcessor)()
        try:
            self._processor.LoadFromSerializedProto(model)
            size = self._processor.get_piece_size()
            self._pieces: list[str] = [self._processor.id_to_piece(i) for i in range(size)]
        except (RuntimeError, UnicodeDecodeError) as error:
            raise ModelError("not a SentencePiece model.", code="E_MODEL_TOKENIZER") from error
        if tuple(self._pieces[:4]) != SPECIAL_PIECES:
            raise ModelError(
                f"the SentencePiece model begins with {self._pieces[:4]}, not with {list(SPECIAL_PIECES)}.",
                hint="Train it with pad_id=0, bos_id=1, eos_id=2, unk_id=3.",
                code="E_MODEL_TOKENIZER",
            )
        begins_words = str(self._processor.encode("a", out_type=str)[0]).startswith(_WORD_MARK)
        self._by_word = begins_words and not any(_WORD_MARK in piece[1:] for piece in self._pieces)
        self._cache: dict[str, list[int]] = {}
        self._bytes = frozenset(i for i in range(size) if self._processor.is_byte(i))
        known = (p for i, p in enumerate(self._pieces[4:], start=4) if i not in self._bytes)
        self._characters = frozenset("".join(known)) | {" "}

    @property
    def pieces(self) -> list[str]:
        return list(self._pieces)

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(self._read(text))

    def encode_lines(self, lines: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        if self._lowercase:
            lines = [lowered(line) for line in lines]
        text = "\n".join(lines)
        if not self._by_word or not lines or _WORD_MARK in text or text.count("\n") != len(lines) - 1:
            return _flatten(self._processor.encode(list(lines)))
        # No piece reaches over a space, so a line is its words one after the other, and words recur.
        split = [line.split(" ") for line in lines]
        words = list(chain.from_iterable(split))
        fresh = [word for word in dict.fromkeys(words) if word not in self._cache]
        if fresh:
            if len(self._cache) + len(fresh) > _CACHED_WORDS:
                self._cache.clear()
                fresh = list(dict.fromkeys(words))
            self._cache.update(zip(fresh, self._processor.encode(fresh), strict=True))
        found = [self._cache[word] for word in words]
        ids, lengths = _flatten(found)
        ends = np.cumsum(np.fromiter(map(len, split), dtype=np.int64, count=len(split)))
        return ids, np.diff(np.concatenate(([0], np.cumsum(lengths)))[np.concatenate(([0], ends))])

    def spans(self, text: str) -> list[Span]:
        found = self._processor.encode(self._read(text), return_type="offset_mapping")
        spans: list[Span] = []
        end_of_character = 0
        # SentencePiece gives a fallback character to its last byte alone; here each of its bytes covers all of it.
        for piece_id, (start, end) in zip(reversed(found["ids"]), reversed(found["offsets"]), strict=True):
            if piece_id in self._bytes and start == end:
                end = end_of_character
            end_of_character = end
            bare = start + len(text[start:end]) - len(text[start:end].lstrip())
            spans.append((bare if bare < end else start, end))
        return spans[::-1]

    def halves(self) -> list[list[tuple[int, int]]]:
        """For each piece, the pairs of pieces that it could be written as, likeliest first."""
        ids = {piece: i for i, piece in enumerate(self._pieces) if i > UNK_ID and i not in self._bytes}
        scores = [self._processor.get_score(i) for i in range(self.vocab_size)]
        found: list[list[tuple[int, int]]] = [[] for _ in self._pieces]
        for piece, i in ids.items():
            cuts = ((ids.get(piece[:cut]), ids.get(piece[cut:])) for cut in range(1, len(piece)))
            pairs = [(first, second) for first, second in cuts if first is not None and second is not None]
            found[i] = sorted(pairs, key=lambda pair: -scores[pair[0]] - scores[pair[1]])
        return found

    def decode(self, ids: Iterable[int]) -> str:
        return self._processor.decode([int(i) for i in ids if i > EOS_ID])

    def unseen(self, text: str) -> list[str]:
        read = zip(text, self._read(text), strict=True)
        return list(dict.fromkeys(char for char, known in read if known not in self._characters))

    def to_bytes(self) -> bytes:
        return _LOWERCASE * self._lowercase + self._model

    def save(self, path: Path) -> None:
        path.write_bytes(self.to_bytes())

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        return type(self).from_bytes, (self.to_bytes(),)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `to_bytes` gave."""
        return cls(content.removeprefix(_LOWERCASE), lowercase=content.startswith(_LOWERCASE))

    def _read(self, text: str) -> str:
        """The text whose pieces are taken, as long as `text`."""
        return lowered(text) if self._lowercase else text


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer that `save` wrote: JSON for words and characters, SentencePiece's own format otherwise."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such tokenizer file.", file=path, code="E_MODEL_MISSING") from None
    if not content.startswith(b"{"):
        return SentencePieceTokenizer.from_bytes(content)
    try:
        held = json.loads(content)
        kinds = {"word": WordTokenizer, "char": CharTokenizer}
        return kinds[held["kind"]](held["pieces"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a tokenizer file.", file=path, code="E_MODEL_TOKENIZER") from error


def train_tokenizer(
    kind: str, lines: Iterable[str], vocab_size: int | None = None, *, min_count: int = 1, lowercase: bool = False
) -> Tokenizer:
    """Learn a tokenizer from cleaned lines, read once, in bounded memory.

    `kind` "auto" takes characters for scripts written without spaces, SentencePiece otherwise. `vocab_size` counts
    the four special pieces; None lets the data decide. `min_count` (words and characters) leaves rarer ones unknown.
    `lowercase` (SentencePiece; words always are) makes one piece of a word in all its cases.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown tokenizer {kind!r}.", hint=f"One of: {', '.join(KINDS)}.")
    lines = iter(lines)
    first = list(islice(lines, 2000))
    if kind == "auto":
        kind = "char" if is_unsegmented(first) else "sentencepiece"
    rest = chain(first, lines)
    if kind == "word":
        return WordTokenizer(_most_frequent(_count_words(rest), vocab_size, min_count))
    if kind == "char":
        return CharTokenizer(_most_frequent(_count_chars(rest), vocab_size, min_count))
    return _train_sentencepiece(rest, vocab_size, dummy_prefix=not is_unsegmented(first), lowercase=lowercase)


def default_vocab_size(num_lines: int) -> int:
    """Pieces for SentencePiece: 2,000 for a tiny corpus, 4,000 up to 200,000 lines, 8,000 beyond."""
    return 2000 if num_lines < 8000 else 4000 if num_lines < 200_000 else 8000


def _train_sentencepiece(
    lines: Iterable[str], vocab_size: int | None, *, dummy_prefix: bool, lowercase: bool
) -> SentencePieceTokenizer:
    sample = _EvenSample(SAMPLE_LINES)
    counts = _count_chars(sample.watch(map(lowered, lines) if lowercase else lines))
    characters = [char for char in counts if char != " "]
    # Every character, the 256 bytes, the special pieces and SentencePiece's own space must fit, and some merges too.
    least = len(characters) + 256 + 4 + 1
    if vocab_size is not None and vocab_size < least:
        raise UsageError(
            f"a SentencePiece vocabulary of {vocab_size:,} is too small for {len(characters):,} characters.",
            hint=f"It takes at least {least:,}; or leave the size out, or take characters.",
        )
    if not characters:
        raise UsageError("a SentencePiece vocabulary cannot be learnt from empty text.")
    model = io.BytesIO()
    cast(Any, sentencepiece.SentencePieceTrainer).train(
        sentence_iterator=iter(sample.lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size or max(default_vocab_size(sample.seen), least + 500),
        hard_vocab_limit=False,
        character_coverage=1.0,
        required_chars="".join(characters),
        byte_fallback=True,
        normalization_rule_name="identity",  # rules of our own would leave the path of their file in the model
        add_dummy_prefix=dummy_prefix,
        max_sentence_length=1 << 16,
        pad_id=PAD_ID,
        bos_id=BOS_ID,
        eos_id=EOS_ID,
        unk_id=UNK_ID,
        num_threads=1,  # more threads would not be faster here
        minloglevel=2,
    )
    return SentencePieceTokenizer(model.getvalue(), lowercase=lowercase)


def lowered(text: str) -> str:
    """`text` in lower case, character by character where that is one character, too: as long as it was."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


class _Lower(dict[int, int]):
    """Code point -> that of its lower case; filled as characters are met."""

    def __missing__(self, point: int) -> int:
        lower = chr(point).lower()
        self[point] = ord(lower) if len(lower) == 1 else point
        return self[point]


_LOWER = _Lower()


class _EvenSample:
    """Keeps at most `limit` lines of a stream, evenly spaced: whenever full, every second one goes."""

    def __init__(self, limit: int) -> None:
        self.lines: list[str] = []
        self.seen = 0
        self._limit = limit
        self._stride = 1

    def watch(self, lines: Iterable[str]) -> Iterable[str]:
        for line in lines:
            if self.seen % self._stride == 0:
                if len(self.lines) == self._limit:
                    self.lines = self.lines[::2]
                    self._stride *= 2
                if self.seen % self._stride == 0:
                    self.lines.append(line)
            self.seen += 1
            yield line


def _count_words(lines: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(_words(line))
    return counts


def _count_chars(lines: Iterable[str]) -> Counter[str]:
    totals = np.zeros(0x110000, dtype=np.int64)
    lines = iter(lines)
    while chunk := list(islice(lines, 10_000)):
        points, counts = np.unique(_code_points("".join(chunk)), return_counts=True)
        totals[points] += counts
    return Counter({chr(point): int(totals[point]) for point in np.flatnonzero(totals)})


def _most_frequent(counts: Counter[str], vocab_size: int | None, min_count: int) -> list[str]:
    room = None if vocab_size is None else vocab_size - len(SPECIAL_PIECES)
    if room is not None and room < 1:
        raise UsageError(f"a vocabulary of {vocab_size} has no room beside the {len(SPECIAL_PIECES)} special pieces.")
    ordered = sorted(((-count, piece) for piece, count in counts.items() if count >= min_count))
    return [*SPECIAL_PIECES, *(piece for _, piece in ordered[:room])]


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _flatten(ids: list[list[int]]) -> tuple[Ids, npt.NDArray[np.int64]]:
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(lengths.sum()))
    return flat, lengths


def _checked(pieces: Sequence[str]) -> list[str]:
    held = list(pieces)
    if tuple(held[:4]) != SPECIAL_PIECES or len(set(held)) != len(held):
        raise ModelError("the tokenizer's pieces are damaged.", code="E_MODEL_TOKENIZER")
    return held


def _as_json(kind: str, pieces: list[str]) -> bytes:
    return json.dumps({"kind": kind, "pieces": pieces}, ensure_ascii=True, indent=0).encode()
