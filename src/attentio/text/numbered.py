"""Tokenizers of models that other toolkits have trained. They are loaded where such a model is."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, final

from attentio.errors import ModelError
from attentio.text.tokenizer import UNKNOWN, Tokenizer, open_sentencepiece, sentencepiece_spans, spelled_out
from attentio.text.words import Span


@final
class SpaceTokenizer(Tokenizer):
    """One token for what stands between spaces: of a model whose text another program has cut and joins again."""

    kind = "space"

    def spans(self, text: str) -> list[Span]:
        return [match.span() for match in _BETWEEN_SPACES.finditer(text)]

    def _units(self, text: str) -> Sequence[str]:
        return text.split()

    def _join(self, units: list[str]) -> str:
        return " ".join(units)


_BETWEEN_SPACES = re.compile(r"\S+")


@final
class NumberedTokenizer(Tokenizer):
    """SentencePiece cuts the text, and a vocabulary of its own numbers the tokens, as Marian and OpenNMT do.

    model: the content of SentencePiece's own file. before: the token that every text begins with, such as `>>fra<<`,
    which tells a model of several languages what to write. A text that begins with such a token has it anyway.
    """

    kind = "numbered"

    def __init__(self, tokens: Sequence[str], model: bytes, *, before: str = "") -> None:
        super().__init__(tokens)
        self.model = model
        self.before = before
        self._processor, pieces = open_sentencepiece(model)
        if before and before not in self._ids:
            raise ModelError(f"the vocabulary has no token {before!r}.", code="E_MODEL_TOKENIZER")
        self._own_bytes = frozenset(i for i in range(len(pieces)) if self._processor.is_byte(i))
        byte_names = {pieces[i] for i in self._own_bytes}
        self._bytes = frozenset(i for i, token in enumerate(self.tokens) if token in byte_names)
        known = (token for i, token in enumerate(self.tokens[4:], start=4) if i not in self._bytes)
        self._known = dict.fromkeys("".join(known) + " ")

    def encode(self, text: str) -> list[int]:
        first, rest = self._cut(text)
        unknown = self.special.unk
        pieces = self._processor.encode(rest, out_type=str)
        return [*([self._ids[first]] if first else []), *(self._ids.get(piece, unknown) for piece in pieces)]

    def _cut(self, text: str) -> tuple[str, str]:
        """Return the token that a text begins with, or what stands for it, and the rest of the text."""
        code = _CODE.match(text)
        if code is not None and code[1] in self._ids:
            return code[1], text[code.end() :]
        return self.before, text

    def spans(self, text: str) -> list[Span]:
        first, rest = self._cut(text)
        start = len(text) - len(rest)
        spans = [(a + start, b + start) for a, b in sentencepiece_spans(self._processor, self._own_bytes, rest)]
        return [(0, len(text[:start].rstrip())), *spans] if first else spans

    def decode(self, ids: Iterable[int]) -> str:
        unknown, left_out = self.special.unk, self.special[:3]
        text = self._processor.decode([UNKNOWN if i == unknown else self.tokens[i] for i in ids if i not in left_out])
        return text.replace(_SPACE, " ").strip()  # left where SentencePiece does not know the token

    def unseen(self, text: str) -> list[str]:
        return list(dict.fromkeys(char for char in self._cut(text)[1] if char not in self._known))

    def symbols(self) -> list[list[int]]:
        return spelled_out(self.tokens, self._bytes)

    def symbols_of(self, text: str) -> list[int]:
        return list(text.encode())

    def _held(self) -> dict[str, Any]:
        return {**super()._held(), "before": self.before, "model": base64.b64encode(self.model).decode()}

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Self], tuple[dict[str, Any]]]:
        return type(self).from_held, (self._held(),)

    @classmethod
    def from_held(cls, held: Mapping[str, Any]) -> Self:
        """Return the tokenizer that a file holds."""
        return cls(held["pieces"], base64.b64decode(held["model"], validate=True), before=held["before"])


_SPACE = "\u2581"  # SentencePiece's mark of one
_CODE = re.compile(r"(>>\S+?<<) *")


def from_held(held: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer that a file holds. Raises KeyError for another kind."""
    return {"space": lambda: SpaceTokenizer(held["pieces"]), "numbered": lambda: NumberedTokenizer.from_held(held)}[
        held["kind"]
    ]()
