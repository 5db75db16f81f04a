"""Translation memories: the pairs of a TMX file, streamed, with the line that each unit begins at.

Inline codes (`bpt`, `ept`, `ph`, `it`, `ut`, `sub`) are formatting and left out. `hi` marks text and is kept. The file
is read twice: first to see which languages its units have, then for its texts.
"""

import html.entities
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, permutations, product
from typing import Any, NamedTuple
from xml.parsers import expat

from attentio.data.readers.encoding import byte_order_mark
from attentio.data.readers.lines import File, decode_stream, find_codec, read_blocks
from attentio.data.readers.rows import Origin, Row, Rows, one_line
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError, UsageError
from attentio.text.script import base_language

_CODES = frozenset({"bpt", "ept", "ph", "it", "ut", "sub"})
_PLACEHOLDERS = frozenset({"ph", "ut"})  # stand for something between two words: a line break, a tab, a picture
_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")


class _Unit(NamedTuple):
    texts: list[tuple[str, str]]  # tag, text
    line: int


def read_tmx(origin: Origin, config: DataConfig, log: DropLog) -> Rows:
    """Read every unit that has both languages. A unit with several texts in a language gives several pairs.

    Languages are those of the settings, else the two that most units have. Full tags are compared first, then the
    languages without region and script. Raises DataError where the file has no such pair or is damaged.
    """
    file = origin.path
    assert file is not None
    reader = _Reader()
    units: Counter[tuple[str, ...]] = Counter(
        tuple(dict.fromkeys(tag for tag, _ in unit.texts)) for unit in _units(file, config, reader)
    )
    sides = _choose(file, units, reader.main_language, config)
    log.note(f"{file}: reading {sides[0]} to {sides[1]}")
    bases = [base_language(side) for side in sides]
    languages = (bases[0], bases[1]) if bases[0] != bases[1] else sides
    return Rows(_pairs(origin, file, config, sides, log), languages)


def _pairs(origin: Origin, file: File, config: DataConfig, sides: tuple[str, str], log: DropLog) -> Iterator[Row]:
    for unit in _units(file, config, _Reader()):
        texts = [_in_language(unit, wanted, other, file, log) for wanted, other in (sides, (sides[1], sides[0]))]
        if not all(texts):
            log.drop(origin.name, "language missing", unit.line)
        for source, target in product(*texts):
            yield one_line(source), one_line(target), unit.line


def _in_language(unit: _Unit, wanted: str, other: str, file: File, log: DropLog) -> list[str]:
    """Return the texts of a unit in a language: by its full tag, else by the language without region and script."""
    exact = [text for tag, text in unit.texts if tag == wanted]
    if exact:
        return exact
    alike = [(tag, text) for tag, text in unit.texts if base_language(tag) == base_language(wanted) and tag != other]
    if alike and "-" in wanted:
        log.note(f"{file}: where {wanted} is missing, {alike[0][0]} is read")
    return [text for _, text in alike]


def _choose(file: File, units: Counter[tuple[str, ...]], main: str | None, config: DataConfig) -> tuple[str, str]:
    tags = sorted({tag for unit in units for tag in unit})
    if tags in ([], [""]):
        what = "units name no language (xml:lang is missing)" if tags else "file has no unit"
        raise DataError(f"{file}: the {what}.", file=str(file))
    source, target = _normal(config.source_language), _normal(config.target_language)
    whole = base_language(source) is not None and base_language(source) == base_language(target)
    counts: Counter[tuple[str, str]] = Counter()
    for by_tag in (whole, True):
        for unit, count in units.items():
            names = dict.fromkeys(tag if by_tag else base_language(tag) or "" for tag in unit)
            for first, second in permutations(filter(None, names), 2):
                counts[first, second] += count
        if counts:  # otherwise there is one language, perhaps in two variants
            break

    def fits(tag: str, wanted: str | None) -> bool:
        return wanted is None or tag == wanted or (not whole and base_language(tag) == base_language(wanted))

    mains = {main, base_language(main)}
    # The pair of most units. Of its two directions, the one from the header's language, else in the order of the file.
    best = max(
        (pair for pair in counts if fits(pair[0], source) and fits(pair[1], target)),
        key=lambda pair: (counts[pair], source is None and target is None and pair[0] in mains),
        default=None,
    )
    if best is None:
        raise DataError(
            f"{file} has no unit in both {source or 'one language'} and {target or 'another'}. "
            f"Languages: {', '.join(tag for tag in tags if tag)}.",
            hint="Choose two of them: --source-language and --target-language.",
            file=str(file),
        )
    return source or best[0], target or best[1]


def _normal(tag: str | None) -> str | None:
    return tag.replace("_", "-").lower() if tag else None


# Parsing


def _units(file: File, config: DataConfig, reader: "_Reader") -> Iterator[_Unit]:
    parser = expat.ParserCreate("utf-8")  # what is declared has been decoded already
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: reader.start(name, attributes, parser.CurrentLineNumber)
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.SkippedEntityHandler = lambda name, _: reader.entity(file, name, parser.CurrentLineNumber)
    try:
        for text in chain(_decoded(file, config), [""]):
            parser.Parse(text.encode("utf-8", "surrogatepass"), text == "")
            yield from reader.drain()
    except expat.ExpatError as error:
        raise DataError(
            f"{file} line {error.lineno}: not well-formed XML ({expat.ErrorString(error.code)}).",
            file=str(file),
            line=error.lineno,
        ) from None


def _decoded(file: File, config: DataConfig) -> Iterator[str]:
    """Return the text of the file, decoded by its byte order mark, the settings, its declaration, or as UTF-8."""
    blocks = read_blocks(file)
    first = next(blocks, b"")
    mark, encoding = byte_order_mark(first)
    if encoding is None:
        declared = _DECLARED.match(first[:1000])
        wide = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(first[:2])
        encoding = config.encoding or wide or (declared[1].decode("ascii") if declared else "utf-8")
    try:
        name = find_codec(encoding).name
        texts = decode_stream(file, chain([first[len(mark) :]], blocks), name)
        yield from filter(None, texts)
    except (UsageError, LookupError):  # unknown, or a codec that makes no text
        raise DataError(
            f"{file} says that its encoding is {encoding!r}, which is unknown.",
            hint="Name another: --encoding gb18030, or convert it to UTF-8.",
            code="E_DATA_ENCODING",
            file=str(file),
        ) from None


class _Reader:
    """Collects the units of a file as expat meets their parts."""

    def __init__(self) -> None:
        self.main_language: str | None = None
        self._done: list[_Unit] = []
        self._texts: list[tuple[str, str]] = []
        self._line = 0
        self._language = ""
        self._segment: list[str] | None = None
        self._codes = 0
        self._gap = False

    def start(self, name: str, attributes: dict[str, Any], line: int) -> None:
        if name == "header":
            self.main_language = _normal(attributes.get("srclang"))
        elif name == "tu":
            self._texts, self._line = [], line
        elif name == "tuv":
            self._language = _normal(attributes.get("xml:lang") or attributes.get("lang")) or ""
        elif name == "seg":
            self._segment, self._gap = [], False
        elif name in _CODES:
            self._codes += 1
            self._gap = self._gap or name in _PLACEHOLDERS

    def end(self, name: str) -> None:
        if name == "seg" and self._segment is not None:
            self._texts.append((self._language, "".join(self._segment)))
            self._segment = None
        elif name == "tu":
            self._done.append(_Unit(self._texts, self._line))
        elif name in _CODES:
            self._codes -= 1

    def text(self, data: str) -> None:
        if self._segment is None or self._codes:
            return
        if self._gap and self._segment and self._segment[-1][-1:].isalnum() and data[:1].isalnum():
            self._segment.append(" ")
        self._gap = False
        self._segment.append(data)

    def entity(self, file: File, name: str, line: int) -> None:
        """Put in the character of an entity that an external DTD defines. HTML's names are known."""
        point = html.entities.name2codepoint.get(name)
        if point is None:
            raise DataError(f"{file} line {line}: undefined entity &{name};.", file=str(file), line=line)
        self.text(chr(point))

    def drain(self) -> list[_Unit]:
        done, self._done = self._done, []
        return done
