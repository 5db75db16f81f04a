"""Translation memories: the pairs of a TMX file, streamed. `documents.units` says what its units are.

The file is read twice: first to see which languages its units have, then for its texts.
"""

import binascii
from collections import Counter
from collections.abc import Iterator
from itertools import chain, permutations, product

from attentio.data.readers.lines import File, Origin, Row, Rows, decode_stream, find_codec, one_line, read_blocks
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.documents.decoding import xml_encoding
from attentio.documents.units import UnitReader, normal_tag
from attentio.errors import DataError, UsageError
from attentio.text.encoding import byte_order_mark
from attentio.text.script import base_language


def read_tmx(origin: Origin, config: DataConfig, log: DropLog) -> Rows:
    """Read every unit that has both languages. A unit with several texts in a language gives several pairs.

    Languages are those of the settings, else the two that most units have. Full tags are compared first, then the
    languages without region and script. Raises DataError where the file has no such pair or is damaged.
    """
    file = origin.file
    reader = UnitReader(str(file))
    units = Counter(tuple(dict.fromkeys(tag for tag, _ in unit.texts)) for unit in reader.units(_decoded(file, config)))
    sides = _choose(file, units, reader.main_language, config)
    log.note(f"{file}: reading {sides[0]} to {sides[1]}")
    first, second = map(base_language, sides)
    return Rows(_pairs(origin, config, sides, log), (first, second) if first != second else sides)


def _pairs(origin: Origin, config: DataConfig, sides: tuple[str, str], log: DropLog) -> Iterator[Row]:
    for unit in UnitReader(str(origin.file)).units(_decoded(origin.file, config)):
        texts: list[list[str]] = []
        for wanted, other in (sides, sides[::-1]):
            found = [(tag, text) for tag, text in unit.texts if tag == wanted]
            if not found:
                base = base_language(wanted)
                found = [(tag, text) for tag, text in unit.texts if base_language(tag) == base and tag != other]
                if found and "-" in wanted:
                    log.note(f"{origin.path}: where {wanted} is missing, {found[0][0]} is read")
            texts.append([text for _, text in found])
        if not all(texts):
            log.drop(origin.name, "language missing", unit.line)
        for source, target in product(*texts):
            yield one_line(source), one_line(target), unit.line


def _choose(file: File, units: Counter[tuple[str, ...]], main: str | None, config: DataConfig) -> tuple[str, str]:
    tags = sorted({tag for unit in units for tag in unit})
    if tags in ([], [""]):
        what = "units name no language (xml:lang is missing)" if tags else "file has no unit"
        raise DataError(f"{file}: the {what}.", file=str(file))
    source, target = normal_tag(config.source_language), normal_tag(config.target_language)
    whole = base_language(source) is not None and base_language(source) == base_language(target)
    counts: Counter[tuple[str, str]] = Counter()
    for by_tag in (whole, True):
        for unit, count in units.items():
            names = dict.fromkeys(tag if by_tag else base_language(tag) or "" for tag in unit)
            for pair in permutations(filter(None, names), 2):
                counts[pair] += count
        if counts:  # otherwise there is one language, perhaps in two variants
            break

    def fits(tag: str, wanted: str | None) -> bool:
        return wanted is None or tag == wanted or (not whole and base_language(tag) == base_language(wanted))

    mains = {main, base_language(main)} if source is None and target is None else set[str | None]()
    # The pair of most units. Of its two directions, the one from the header's language, else in the order of the file.
    fitting = [pair for pair in counts if fits(pair[0], source) and fits(pair[1], target)]
    if not fitting:
        what = f"{file} has no unit in both {source or 'one language'} and {target or 'another'}. "
        what += f"Languages: {', '.join(tag for tag in tags if tag)}."
        hint = "Choose two of them: --source-language and --target-language."
        raise DataError(what, hint=hint, file=str(file))
    best = max(fitting, key=lambda pair: (counts[pair], pair[0] in mains))
    return source or best[0], target or best[1]


def _decoded(file: File, config: DataConfig) -> Iterator[str]:
    """Return the text of the file, decoded by its byte order mark, the settings, its declaration, or as UTF-8."""
    blocks = read_blocks(file)
    first = next(blocks, b"")
    mark, encoding = byte_order_mark(first)
    encoding = encoding or config.encoding or xml_encoding(first) or "utf-8"
    try:
        texts = decode_stream(file, chain([first[len(mark) :]], blocks), find_codec(encoding).name)
        yield from filter(None, texts)
    except (UsageError, LookupError, binascii.Error):  # unknown, or a codec that makes no text
        what = f"{file} says that its encoding is {encoding!r}, which is unknown."
        hint = "Name another: --encoding gb18030, or convert it to UTF-8."
        raise DataError(what, hint=hint, code="E_DATA_ENCODING", file=str(file)) from None
