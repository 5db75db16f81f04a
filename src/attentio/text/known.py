"""Which words a model was trained on: a short number for each, as its text does not leave with it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self
from zlib import crc32

import numpy as np

from attentio.text.words import words

if TYPE_CHECKING:
    import numpy.typing as npt


class KnownWords:
    """The words of a training text, each as the CRC-32 of its case-folded form. Words without a letter do not count.

    Of a million words that are not among 100,000 known ones, about 23 are taken for known.
    """

    def __init__(self, digests: "npt.NDArray[np.uint32]") -> None:
        self.digests = digests  # in order, each once

    def __len__(self) -> int:
        return len(self.digests)

    def __or__(self, other: Self) -> Self:
        return type(self)(np.union1d(self.digests, other.digests))

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Return the words of all texts."""
        found = {_digest(word) for text in texts for word in _counted(text)}
        return cls(np.array(sorted(found), dtype=np.uint32))

    def unseen(self, text: str) -> list[str]:
        """Return the words of `text` that are not among them, each once, in order."""
        asked = list(dict.fromkeys(_counted(text)))
        if not len(self.digests):
            return asked
        digests = np.array([_digest(word) for word in asked], dtype=np.uint32)
        places = self.digests.searchsorted(digests).clip(max=len(self.digests) - 1)
        known = self.digests[places] == digests
        return [word for word, is_known in zip(asked, known, strict=True) if not is_known]

    def to_bytes(self) -> bytes:
        """Return the content of the file that holds them."""
        return self.digests.astype("<u4").tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Return the words whose `to_bytes` gave `content`. Raises ValueError for anything else."""
        return cls(np.frombuffer(content, dtype="<u4").astype(np.uint32))


def _counted(text: str) -> Iterable[str]:
    return (word for word in words(text) if any(char.isalpha() for char in word))


def _digest(word: str) -> int:
    return crc32(word.casefold().encode("utf-8", "surrogatepass"))
