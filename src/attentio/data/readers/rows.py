"""What every reader gives: rows of source, target and line, and the languages that the file itself names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from attentio.data.readers.lines import File

Row: TypeAlias = tuple[str, str, int]  # source, target, and the line where the pair begins, from 1

_LINE_END = re.compile("(?:\r?\n)+")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Origin:
    """Where one part of the data comes from: a built-in corpus, one file, or two aligned files."""

    name: str
    path: File | None = None
    target: File | None = None
    corpus: str | None = None  # the name of a built-in corpus


class Rows(NamedTuple):
    """The pairs of one origin. `languages` are those that the file names, None where it names none."""

    pairs: Iterator[Row]
    languages: tuple[str | None, str | None] = (None, None)


def one_line(text: str) -> str:
    """Return a text with its line ends as spaces and without lone surrogates, which no encoding can write."""
    if "\n" in text:
        text = _LINE_END.sub(" ", text)
    return text if text.isascii() else _SURROGATE.sub("", text)
