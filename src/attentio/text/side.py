"""One side of a translator: what reads or writes one language, and how a folder holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attentio.errors import ModelError
from attentio.text.clean import Cleaner
from attentio.text.known import KnownWords
from attentio.text.special import SpecialIds
from attentio.text.tokenizer import Tokenizer, load_tokenizer

SIDES = ("source", "target")
_WORDS = ".words"


@dataclass(frozen=True)
class Side:
    """What reads or writes one language: `language` is its code, or None where it is not known.

    words: those of the training text, or None where they are not known.
    """

    tokenizer: Tokenizer
    cleaner: Cleaner = field(default_factory=Cleaner)
    language: str | None = None
    words: KnownWords | None = None

    def unseen(self, text: str) -> tuple[str, ...]:
        """Return the words and characters of `text` that training never saw, each once."""
        found = self.tokenizer.unseen(text)
        more = self.words.unseen(text) if self.words is not None else []
        return *found, *(word for word in more if not any(each in word for each in found))

    def save(self, path: Path) -> dict[str, Any]:
        """Write the tokenizer to a file, the words beside it, and return the rest, for `load`."""
        path.write_bytes(self.tokenizer.to_bytes())
        if self.words is not None:
            path.with_suffix(_WORDS).write_bytes(self.words.to_bytes())
        return {
            **({} if self.words is None else {"words": len(self.words)}),
            "language": self.language,
            "cleaner": self.cleaner.as_dict(),
            "vocab_size": self.tokenizer.vocab_size,
            "special": self.tokenizer.special._asdict(),
        }

    @classmethod
    def load(cls, path: Path, held: Mapping[str, Any]) -> "Side":
        """Read what `save` wrote. Raises ModelError where the two do not belong together."""
        tokenizer = load_tokenizer(path)
        if tokenizer.special != SpecialIds(**held["special"]):
            raise ModelError(f"{path}: its special tokens have other ids.", code="E_MODEL_MISMATCH", file=path)
        words = KnownWords.from_bytes(path.with_suffix(_WORDS).read_bytes()) if "words" in held else None
        return cls(tokenizer, Cleaner.from_dict(held["cleaner"]), held["language"], words)
