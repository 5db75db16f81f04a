"""Translation memories: the pairs of a TMX file, streamed, with the line each unit begins at.

Inline codes (`bpt`, `ept`, `ph`, `it`, `ut`, `sub`) are formatting and left out; `hi` marks text and is kept.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.parsers import expat

from attentio.data.report import DropLog
from attentio.errors import DataError
from attentio.text.script import base_language

_CODES = frozenset({"bpt", "ept", "ph", "it", "ut", "sub"})


def read_tmx(
    path: Path,
    blocks: Iterable[bytes],
    source_language: str | None,
    target_language: str | None,
    log: DropLog,
) -> Iterator[tuple[str, str, int]]:
    """(source, target, line) of every unit that has both languages; by default the first unit's first two."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: reader.start(name, attributes, parser.CurrentLineNumber)
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    source = base_language(source_language)
    target = base_language(target_language)
    found = False
    try:
        for block in _ended(blocks):
            parser.Parse(block, block == b"")
            for unit, line in reader.drain():
                if source is None or target is None:
                    source, target = _languages(unit, reader.main_language, source, target)
                    if source is None or target is None:
                        continue
                    log.note(f"{path}: reading {source} to {target}")
                if source in unit and target in unit:
                    found = True
                    yield unit[source], unit[target], line
                else:
                    log.drop(path.name.removesuffix(".gz").removesuffix(".tmx"), "language missing", line)
    except expat.ExpatError as error:
        raise DataError(
            f"{path} line {error.lineno}: not well-formed XML ({expat.ErrorString(error.code)}).",
            file=path,
            line=error.lineno,
        ) from None
    if not found:
        seen = ", ".join(sorted(reader.languages)) or "none"
        raise DataError(f"{path} has no unit in both {source} and {target}; languages: {seen}.", file=path)


class _Reader:
    def __init__(self) -> None:
        self.languages: set[str] = set()
        self.main_language: str | None = None
        self._done: list[tuple[dict[str, str], int]] = []
        self._unit: dict[str, str] = {}
        self._line = 0
        self._language = ""
        self._segment: list[str] | None = None
        self._codes = 0

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        if name == "header":
            self.main_language = base_language(attributes.get("srclang"))
        elif name == "tu":
            self._unit, self._line = {}, line
        elif name == "tuv":
            self._language = base_language(attributes.get("xml:lang") or attributes.get("lang")) or ""
            self.languages.add(self._language)
        elif name == "seg":
            self._segment = []
        elif name in _CODES:
            self._codes += 1

    def end(self, name: str) -> None:
        if name == "seg" and self._segment is not None:
            self._unit.setdefault(self._language, "".join(self._segment))
            self._segment = None
        elif name == "tu":
            self._done.append((self._unit, self._line))
        elif name in _CODES:
            self._codes -= 1

    def text(self, data: str) -> None:
        if self._segment is not None and not self._codes:
            self._segment.append(data)

    def drain(self) -> list[tuple[dict[str, str], int]]:
        done, self._done = self._done, []
        return done


def _languages(
    unit: dict[str, str], main: str | None, source: str | None, target: str | None
) -> tuple[str | None, str | None]:
    there = list(unit)
    if source is None:
        source = main if main in unit and main != target else next((name for name in there if name != target), None)
    if target is None:
        target = next((name for name in there if name != source), None)
    return source, target


def _ended(blocks: Iterable[bytes]) -> Iterator[bytes]:
    yield from filter(None, blocks)
    yield b""
