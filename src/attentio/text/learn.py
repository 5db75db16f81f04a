"""How a tokenizer is learned from text. Translating needs none of this."""

import io
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any, cast

import numpy as np
import sentencepiece

from attentio.errors import UsageError
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.script import is_unsegmented
from attentio.text.special import SPECIAL, SPECIAL_TOKENS
from attentio.text.tokenizer import (
    CharTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    WordTokenizer,
    code_points,
    lowered,
    split_words,
)

KINDS = ("auto", "word", "char", "sentencepiece")
SAMPLE_LINES = 400_000  # SentencePiece learns its merges from at most this many lines. Every character still counts.


def train_tokenizer(
    kind: str,
    lines: Iterable[str],
    vocab_size: int | None = None,
    *,
    min_count: int = 1,
    lowercase: bool = False,
    placeholders: bool = False,
) -> Tokenizer:
    """Learn a tokenizer from cleaned lines, read once, in bounded memory.

    kind: "auto" takes characters for scripts written without spaces, SentencePiece otherwise.
    vocab_size: counts the four special tokens. None lets the data decide.
    min_count: (words and characters) rarer ones stay unknown.
    placeholders: each placeholder becomes a token, whether the lines hold it or not.
    lowercase: (SentencePiece) one token stands for a word in all its cases. Words are always lower-cased.
    Raises UsageError for an unknown kind and for a vocabulary that is too small.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown tokenizer {kind!r}.", hint=f"One of: {', '.join(KINDS)}.")
    lines = iter(lines)
    first = list(islice(lines, 2000))
    rest, unsegmented = chain(first, lines), is_unsegmented(first)
    always = PLACEHOLDERS if placeholders else ""
    if kind == "word":
        counts = Counter(chain.from_iterable(map(split_words, rest)))
        return WordTokenizer(_most_frequent(counts, vocab_size, min_count, always))
    if kind == "char" or (kind == "auto" and unsegmented):
        return CharTokenizer(_most_frequent(_count_chars(rest), vocab_size, min_count, always))
    return _train_sentencepiece(rest, vocab_size, dummy_prefix=not unsegmented, lowercase=lowercase, always=always)


def extend_tokenizer(tokenizer: Tokenizer, lines: Iterable[str], *, min_count: int = 1) -> Tokenizer:
    """Return the tokenizer with a token for each word or character of the lines that it lacks, most frequent first.

    SentencePiece gets characters only: words that are new to it are made of tokens it has.
    """
    if isinstance(tokenizer, WordTokenizer):
        counts = Counter(chain.from_iterable(map(split_words, lines)))
    else:
        counts = _count_chars(lines)
    ordered = sorted((-count, unit) for unit, count in counts.items() if count >= min_count)
    return _with_unseen(tokenizer, [unit for _, unit in ordered])


def _with_unseen(tokenizer: Tokenizer, units: Sequence[str]) -> Tokenizer:
    """Return the tokenizer with those of the units that it lacks as tokens at its end. All others keep their ids."""
    new = [*dict.fromkeys(unseen for unit in units for unseen in tokenizer.unseen(unit))]
    if not new:
        return tokenizer
    if isinstance(tokenizer, SentencePieceTokenizer):
        added = b"".join(map(_single_character, dict.fromkeys(map(tokenizer.read, new))))
        return SentencePieceTokenizer(tokenizer.model + added, lowercase=tokenizer.lowercase)
    return type(tokenizer)([*tokenizer.tokens, *new])


def _single_character(char: str) -> bytes:
    """Return a token as it stands in a SentencePiece model: appended to one, it is one of its tokens.

    Its score is below all others, so that no other token is cut in another way.
    """
    text = char.encode()
    fields = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", -1e6)  # 1: its text, 2: its score
    return b"\x0a" + bytes([len(fields)]) + fields


def default_vocab_size(num_lines: int) -> int:
    """Return the tokens for SentencePiece: 4,000 below 200,000 lines, else 8,000. Few lines give fewer."""
    return 4000 if num_lines < 200_000 else 8000


def _train_sentencepiece(
    lines: Iterable[str], vocab_size: int | None, *, dummy_prefix: bool, lowercase: bool, always: str
) -> SentencePieceTokenizer:
    sample = EvenSample(SAMPLE_LINES)
    counts = _count_chars(sample.watch(map(lowered, lines) if lowercase else lines))
    characters = [char for char in counts if char != " " and char not in always]
    # Every character, the 256 bytes, the special tokens and SentencePiece's own space must fit, and some merges too.
    least = len(characters) + 256 + len(SPECIAL_TOKENS) + len(always) + 1
    if vocab_size is not None and vocab_size < least:
        raise UsageError(
            f"a SentencePiece vocabulary of {vocab_size:,} is too small for {len(characters):,} characters.",
            hint=f"It takes at least {least:,}. Or leave the size out, or take characters.",
        )
    if not characters:
        raise UsageError("a SentencePiece vocabulary cannot be learned from empty text.")
    model = io.BytesIO()
    cast(Any, sentencepiece.SentencePieceTrainer).train(
        sentence_iterator=iter(sample.lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size or max(default_vocab_size(sample.seen), least + 500),
        hard_vocab_limit=False,
        character_coverage=1.0,
        required_chars="".join(characters),
        user_defined_symbols=list(always),
        byte_fallback=True,
        normalization_rule_name="identity",  # rules of our own would leave the path of their file in the model
        add_dummy_prefix=dummy_prefix,
        max_sentence_length=1 << 16,
        pad_id=SPECIAL.pad,
        bos_id=SPECIAL.bos,
        eos_id=SPECIAL.eos,
        unk_id=SPECIAL.unk,
        num_threads=1,  # more threads would not be faster here
        minloglevel=2,
    )
    return SentencePieceTokenizer(model.getvalue(), lowercase=lowercase)


class EvenSample:
    """Keeps at most `limit` lines of a stream, evenly spaced. Whenever it is full, every second line goes."""

    def __init__(self, limit: int) -> None:
        self.lines: list[str] = []
        self.seen = 0
        self._limit = limit
        self._stride = 1

    def watch(self, lines: Iterable[str]) -> Iterable[str]:
        """Yield the lines, and keep some of them."""
        for line in lines:
            if self.seen % self._stride == 0:
                if len(self.lines) == self._limit:
                    self.lines = self.lines[::2]
                    self._stride *= 2
                if self.seen % self._stride == 0:
                    self.lines.append(line)
            self.seen += 1
            yield line


def _count_chars(lines: Iterable[str]) -> Counter[str]:
    totals = np.zeros(0x110000, dtype=np.int64)
    lines = iter(lines)
    while chunk := list(islice(lines, 10_000)):
        points, counts = np.unique(code_points("".join(chunk)), return_counts=True)
        totals[points] += counts
    return Counter({chr(point): int(totals[point]) for point in np.flatnonzero(totals)})


def _most_frequent(counts: Counter[str], vocab_size: int | None, min_count: int, always: str) -> list[str]:
    taken = len(SPECIAL_TOKENS) + len(always)
    room = None if vocab_size is None else vocab_size - taken
    if room is not None and room < 1:
        raise UsageError(f"a vocabulary of {vocab_size} has no room beside the {taken} special tokens.")
    ordered = sorted(((-count, token) for token, count in counts.items() if count >= min_count and token not in always))
    return [*SPECIAL_TOKENS, *always, *(token for _, token in ordered[:room])]
