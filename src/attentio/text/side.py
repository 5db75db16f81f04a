"""One side of a translator: what reads or writes one language, and how a folder holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attentio.errors import ModelError
from attentio.text.clean import Cleaner
from attentio.text.special import SpecialIds
from attentio.text.tokenizer import Tokenizer, load_tokenizer

SIDES = ("source", "target")


@dataclass(frozen=True)
class Side:
    """What reads or writes one language: `language` is its code, or None where it is not known."""

    tokenizer: Tokenizer
    cleaner: Cleaner = field(default_factory=Cleaner)
    language: str | None = None

    def save(self, path: Path) -> dict[str, Any]:
        """Write the tokenizer to a file, and return the rest, for `load`."""
        path.write_bytes(self.tokenizer.to_bytes())
        return {
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
        return cls(tokenizer, Cleaner.from_dict(held["cleaner"]), held["language"])
