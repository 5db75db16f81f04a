"""Columns between tabs or other delimiters, and which two of them hold the sentences.

A header names its columns. Without one, the first two columns of sentences are read. A column of numbers, identifiers,
language codes or one label is passed over.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from attentio.data.readers.languages import is_tag, known_language
from attentio.data.readers.lines import File, read_lines
from attentio.data.readers.rows import Origin, Row, Rows, one_line
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError
from attentio.text.script import base_language, guess_language

_FIRST_LINES = 100
_SOURCE_NAMES = frozenset(["source", "src", "input", "sentence1", "text", "original", "sentence", "premise"])
_TARGET_NAMES = frozenset(["target", "tgt", "trg", "output", "sentence2", "translation", "reference", "hypothesis"])
_NUMBER = re.compile(r"[\W\d_]+")
_IDENTIFIER = re.compile(r"(?=\S*\d)[\w.:/#-]*\d[\w.:/#-]*", re.ASCII)
_ADDRESS = re.compile(r"https?://\S+")
_LABEL = re.compile(r"[<\[{(_]\S*[>\]})_]|[\w-]{1,12}")
_FEW = 5  # lines from which on a column can be said to repeat itself


class _Columns(NamedTuple):
    source: int
    target: int
    languages: tuple[str | None, str | None]
    header: bool
    note: str | None = None


def read_delimited(origin: Origin, config: DataConfig, log: DropLog) -> Rows:
    """Read the two columns that hold the sentences. Raise DataError where there are none.

    `config.columns` chooses them by number, from 1, or by their names in the header.
    """
    file = origin.path
    assert file is not None
    lines = read_lines(file, config.encoding)
    first = list(islice(lines, _FIRST_LINES))
    filled = [line for line in first if line.strip()]
    if not filled:
        raise DataError(f"{file} is empty.", code="E_DATA_EMPTY", file=str(file))
    delimiter = config.delimiter
    sample = [cells for cells, _ in _cut(file, first, delimiter, partial=len(first) == _FIRST_LINES) if len(cells) > 1]
    if not sample:
        raise DataError(
            f"{file} has 1 column in each of the first {len(filled)} lines. "
            f"A parallel file needs 2 (source {'TAB' if delimiter == chr(9) else delimiter} target).",
            hint="Two files? --src A --tgt B. Comma-separated? --delimiter ,",
            code="E_DATA_COLUMNS",
            file=str(file),
        )
    columns = _choose(file, sample, config)
    if columns.note:
        log.note(columns.note)
    numbered = _cut(file, chain(first, lines), delimiter)
    return Rows(_pairs(origin, file, numbered, columns, config, log), columns.languages)


def _pairs(
    origin: Origin,
    file: File,
    numbered: Iterator[tuple[list[str], int]],
    columns: _Columns,
    config: DataConfig,
    log: DropLog,
) -> Iterator[Row]:
    left, right = columns.source, columns.target
    last = max(left, right)
    wide = 0
    header = columns.header
    for cells, number in numbered:
        if len(cells) <= last:
            blank = not "".join(cells).strip()
            log.drop(origin.name, "blank" if blank else "one column", number, *map(one_line, cells[:2]))
        elif header:
            header = False
            log.note(f"{file}: line {number} is a header ({' | '.join(cell.strip() for cell in cells[:4])}); skipped")
        else:
            wide += len(cells) > 2
            yield one_line(cells[left]), one_line(cells[right]), number
    if wide and (left, right) == (0, 1) and config.columns is None:
        lines_have = "1 line has" if wide == 1 else f"{wide:,} lines have"
        log.note(f"{file}: {lines_have} more than 2 columns; only the first 2 are read")


def _cut(file: File, lines: Iterable[str], delimiter: str, *, partial: bool = False) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each line, and its number. In a partial text the last quote may be open."""
    if delimiter not in ",;":
        for number, line in enumerate(lines, start=1):
            yield line.split(delimiter), number
        return
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            yield cells, number
            number = reader.line_num + 1
    except csv.Error as error:
        if not partial:
            raise DataError(
                f"{file} line {number}: {error}.", hint="A quote that never ends?", file=str(file), line=number
            ) from None


# Choosing columns


def _choose(file: File, sample: Sequence[list[str]], config: DataConfig) -> _Columns:
    names, rows = [cell.strip() for cell in sample[0]], sample[1:]
    header = _is_header(names, rows)
    languages = [known_language(name) if header else None for name in names]
    if config.columns is not None:
        left, right = _named_columns(file, config.columns, names if header else [], max(map(len, sample)))
    elif header:
        left, right = _columns_of_header(file, names, languages, config)
    else:
        left, right = _columns_of_text(file, sample, config)
    chosen = (left, right)
    found = tuple(languages[i] if i < len(languages) else None for i in chosen)
    note = None
    if chosen != (0, 1) or config.columns is not None:
        shown = " and ".join(f"{i + 1} ({names[i]})" if header and i < len(names) else str(i + 1) for i in chosen)
        note = f"{file}: columns {shown} are read"
    return _Columns(left, right, (found[0], found[1]), header, note)


def _is_header(names: Sequence[str], rows: Sequence[list[str]]) -> bool:
    """Return whether the first line names the columns: by role, by language, or by number."""
    if any(row[: len(names)] == list(names) for row in rows):
        return False
    lowered = [name.lower() for name in names]
    if all(name.isdecimal() for name in lowered):
        return [int(name) for name in lowered] == list(range(1, len(names) + 1))
    roles = [name in _SOURCE_NAMES | _TARGET_NAMES for name in lowered]
    known = [role or _names_language(name, i, rows) for i, (name, role) in enumerate(zip(lowered, roles, strict=True))]
    # A cell that repeats below its place is what fills the column, not what names it.
    repeated = any(row[i].strip().lower() == name for i, name in enumerate(lowered) for row in rows if i < len(row))
    if len(names) == 2 or all(known[:2]):
        return all(known[:2]) and not repeated
    return sum(known) >= 2 and not repeated and all(len(name) <= 40 and not name.endswith(".") for name in names)


def _names_language(name: str, column: int, rows: Sequence[list[str]]) -> bool:
    """Return whether a cell is the name of a language that the cells below it can be in."""
    language = known_language(name)
    if language is None:
        return False
    below = guess_language([row[column] for row in rows if column < len(row)])
    # Two letters are a word as well as a code ("is", "so"): the text below decides.
    return below in (None, language) or not is_tag(name)


def _named_columns(file: File, wanted: str, names: Sequence[str], width: int) -> tuple[int, int]:
    parts = [part.strip() for part in wanted.split(",")]
    lowered = [name.lower() for name in names]
    places: list[int] = []
    for part in parts:
        if part.isdecimal() and 1 <= int(part) <= width:
            places.append(int(part) - 1)
        elif part.lower() in lowered:
            places.append(lowered.index(part.lower()))
        else:
            held = f"columns: {', '.join(names)}" if names else f"{width} columns, and no header that names them"
            raise DataError(f"{file} has no column {part!r}. It has {held}.", code="E_DATA_COLUMNS", file=str(file))
    if len(places) != 2 or places[0] == places[1]:
        raise DataError(
            f"--columns {wanted} does not name two columns.", hint="For example --columns 2,4.", code="E_DATA_COLUMNS"
        )
    return places[0], places[1]


def _columns_of_header(
    file: File, names: Sequence[str], languages: Sequence[str | None], config: DataConfig
) -> tuple[int, int]:
    lowered = [name.lower() for name in names]
    wanted = [base_language(config.source_language), base_language(config.target_language)]
    by_language = [i for i, language in enumerate(languages) if language is not None]
    if all(wanted) and all(language in languages for language in wanted):
        return languages.index(wanted[0]), languages.index(wanted[1])
    source = next((i for i, name in enumerate(lowered) if name in _SOURCE_NAMES), None)
    target = next((i for i, name in enumerate(lowered) if name in _TARGET_NAMES and i != source), None)
    if source is not None and target is not None:
        return source, target
    if len(by_language) > 2:
        raise DataError(
            f"{file} has columns in {', '.join(names[i] for i in by_language)}.",
            hint="Choose two: --columns 1,2, or --source-language and --target-language.",
            code="E_DATA_COLUMNS",
            file=str(file),
        )
    if len(by_language) == 2:
        return by_language[0], by_language[1]
    return 0, 1


def _columns_of_text(file: File, sample: Sequence[list[str]], config: DataConfig) -> tuple[int, int]:
    width = max(map(len, sample))
    held = [_holds([row[i].strip() for row in sample if i < len(row) and row[i].strip()]) for i in range(width)]
    if held[0] is None and held[1] is None:
        return 0, 1
    text = [i for i, what in enumerate(held) if what is None]
    if width > 2 and len(text) == 2:
        return text[0], text[1]
    if config.keep_going:
        return 0, 1
    what = ", ".join(f"column {i + 1} holds {what}" for i, what in enumerate(held[:6]) if what)
    found = f" Columns {', '.join(str(i + 1) for i in text)} may be text." if text else ""
    raise DataError(
        f"{file}: {what}.{found}",
        hint="Choose two: --columns 2,4. If the file is meant as it is: --columns 1,2.",
        code="E_DATA_COLUMNS",
        file=str(file),
    )


def _holds(cells: Sequence[str]) -> str | None:
    """Return what the cells of a column hold, or None for sentences and for too few cells to say."""
    if len(cells) < _FEW:
        return None
    enough = 0.9 * len(cells)
    if sum(_NUMBER.fullmatch(cell) is not None for cell in cells) >= enough:
        return "numbers"
    if sum(_IDENTIFIER.fullmatch(cell) is not None for cell in cells) >= enough:
        return "identifiers"
    if sum(_ADDRESS.fullmatch(cell) is not None for cell in cells) >= enough:
        return "addresses"
    different = set(cells)
    if len(different) <= max(2, len(cells) // 10) and sum(map(is_tag, cells)) >= enough:
        return "language codes"
    if len(different) == 1 and _LABEL.fullmatch(cells[0]):
        return "one label"
    return None
