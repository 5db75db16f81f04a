"""Real sentences for learners of Chinese, from the package hsk-sentences-audio (see NOTICE)."""

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from importlib.util import find_spec
from typing import Any, cast

from attentio.errors import MissingExtra


def pairs() -> Iterator[tuple[str, str, int]]:
    """Yield English, Chinese and the number of the sentence in the package, from 1.

    Raises MissingExtra where the package is not installed.
    """
    try:
        import hsk_sentences_audio  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise MissingExtra(
            "the corpus 'hsk' is in the package hsk-sentences-audio, which is not installed.",
            hint="pip install 'attentio[hsk]'",
        ) from None
    sentences = cast(Iterable[dict[str, Any]], hsk_sentences_audio.iter_sentences())
    for number, sentence in enumerate(sentences, start=1):
        english = str(sentence["translation"]["en"])
        # 82 rows of the package hold a placeholder instead of a translation. No placeholder ends like a sentence.
        if english.endswith((".", "?", "!")):
            yield english, str(sentence["chinese"]), number


def installed() -> bool:
    return find_spec("hsk_sentences_audio") is not None


def version() -> str:
    """Return the version of the package, or "missing"."""
    try:
        return package_version("hsk-sentences-audio")
    except PackageNotFoundError:
        return "missing"
