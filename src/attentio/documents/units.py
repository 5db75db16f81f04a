"""The units of TMX files, streamed, with the line that each begins at. Nothing outside a file is read.

Inline codes (`bpt`, `ept`, `ph`, `it`, `ut`, `sub`) are formatting and left out. `hi` marks text and is kept.
"""

import html.entities
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple
from xml.parsers import expat

from attentio.errors import DataError

_CODES = frozenset({"bpt", "ept", "ph", "it", "ut", "sub"})
_LONGEST_UNIT = 1 << 26  # characters: a file of some kilobytes may unpack to one unit larger than memory
_PLACEHOLDERS = frozenset({"ph", "ut"})  # stand for something between two words: a line break, a tab, a picture


class Unit(NamedTuple):
    """A unit: its texts, each with its language tag, and its line from 1."""

    texts: list[tuple[str, str]]
    line: int


def normal_tag(tag: str | None) -> str | None:
    """Return a language tag in lower case with hyphens."""
    return tag.replace("_", "-").lower() if tag else None


class UnitReader:
    """Collects the units of a file as expat meets their parts. main_language: that of its header, as far as known."""

    def __init__(self, file: str) -> None:
        self.main_language: str | None = None
        self._file = file
        self._parser = expat.ParserCreate("utf-8")  # what is declared has been decoded already
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.SkippedEntityHandler = self._entity
        self._done: list[Unit] = []
        self._unit = Unit([], 0)
        self._language = ""
        self._segment: list[str] | None = None
        self._codes = 0
        self._gap = False

    def units(self, texts: Iterable[str]) -> Iterator[Unit]:
        """Yield the units of a file that is given in parts. Raises DataError with the line where it is damaged."""
        try:
            since = 0  # characters since the last unit
            for text in chain(filter(None, texts), [""]):
                since += len(text)
                if since > _LONGEST_UNIT:
                    line = self._parser.CurrentLineNumber
                    what = f"{self._file} line {line}: a unit of over {_LONGEST_UNIT >> 20} million characters."
                    raise DataError(what, file=self._file, line=line)
                self._parser.Parse(text.encode("utf-8", "surrogatepass"), text == "")
                if self._done:
                    yield from self._done
                    self._done, since = [], 0
        except expat.ExpatError as error:
            what = f"{self._file} line {error.lineno}: not well-formed XML ({expat.ErrorString(error.code)})."
            raise DataError(what, file=self._file, line=error.lineno) from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "header":
            self.main_language = normal_tag(attributes.get("srclang"))
        elif name == "tu":
            self._unit = Unit([], self._parser.CurrentLineNumber)
        elif name == "tuv":
            self._language = normal_tag(attributes.get("xml:lang") or attributes.get("lang")) or ""
        elif name == "seg":
            self._segment, self._gap = [], False
        elif name in _CODES:
            self._codes += 1
            self._gap = self._gap or name in _PLACEHOLDERS

    def _end(self, name: str) -> None:
        if name == "seg" and self._segment is not None:
            self._unit.texts.append((self._language, "".join(self._segment)))
            self._segment = None
        elif name == "tu":
            self._done.append(self._unit)
        elif name in _CODES:
            self._codes -= 1

    def _text(self, data: str) -> None:
        if self._segment is None or self._codes:
            return
        if self._gap and self._segment and self._segment[-1][-1:].isalnum() and data[:1].isalnum():
            self._segment.append(" ")
        self._gap = False
        self._segment.append(data)

    def _entity(self, name: str, _: object) -> None:
        """Put in the character of an entity that an external DTD defines. HTML's names are known."""
        point = html.entities.name2codepoint.get(name)
        if point is None:
            line = self._parser.CurrentLineNumber
            raise DataError(f"{self._file} line {line}: undefined entity &{name};.", file=self._file, line=line)
        self._text(chr(point))
