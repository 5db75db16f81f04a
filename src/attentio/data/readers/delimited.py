"""Columns between tabs or other delimiters, and which two of them hold the sentences.

A header names its columns. Without one, the first two columns of sentences are read. A column of numbers, identifiers,
language codes or one label is passed over.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from attentio.data.readers.languages import is_tag, known_language, place_of
from attentio.data.readers.lines import File, Languages, Origin, Row, Rows, one_line, read_lines
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError
from attentio.text.script import guess_language

_FIRST_LINES = 100
_FEW = 5  # lines from which on a column can be said to repeat itself
_SOURCE_NAMES = frozenset(["source", "src", "input", "sentence1", "text", "original", "sentence", "premise"])
_TARGET_NAMES = frozenset(["target", "tgt", "trg", "output", "sentence2", "translation", "reference", "hypothesis"])
_LABEL = re.compile(r"[<\[{(_]\S*[>\]})_]|[\w-]{1,12}")
_NO_TEXT = {
    "numbers": re.compile(r"[\W\d_]+"),
    "identifiers": re.compile(r"(?=\S*\d)[\w.:/#-]*\d[\w.:/#-]*", re.ASCII),
    "addresses": re.compile(r"https?://\S+"),
}


class _Columns(NamedTuple):
    source: int
    target: int
    languages: Languages
    header: bool


def read_delimited(origin: Origin, config: DataConfig, log: DropLog) -> Rows:
    """Read the two columns that hold the sentences. Raise DataError where there are none.

    `config.columns` chooses them by number, from 1, or by their names in the header.
    """
    file, delimiter = origin.file, config.delimiter
    lines = read_lines(file, config.encoding)
    first = list(islice(lines, _FIRST_LINES))
    filled = sum(1 for line in first if line.strip())
    if not filled:
        raise DataError(f"{file} is empty.", code="E_DATA_EMPTY", file=str(file))
    sample = [cells for cells, _ in _cut(file, first, delimiter, partial=len(first) == _FIRST_LINES) if len(cells) > 1]
    if not sample:
        what = (
            f"{file} has 1 column in each of the first {filled} lines. "
            f"A parallel file needs 2 (source {'TAB' if delimiter == chr(9) else delimiter} target)."
        )
        hint = "Two files? --src A --tgt B. Comma-separated? --delimiter ,"
        raise DataError(what, hint=hint, code="E_DATA_COLUMNS", file=str(file))
    columns = _choose(file, sample, config, log)
    return Rows(_pairs(origin, _cut(file, chain(first, lines), delimiter), columns, config, log), columns.languages)


def _pairs(
    origin: Origin, numbered: Iterator[tuple[list[str], int]], columns: _Columns, config: DataConfig, log: DropLog
) -> Iterator[Row]:
    left, right, _, header = columns
    wide = 0
    for cells, number in numbered:
        if len(cells) <= max(left, right):
            blank = not "".join(cells).strip()
            log.drop(origin.name, "blank" if blank else "one column", number, *map(one_line, cells[:2]))
        elif header:
            header = False
            shown = " | ".join(cell.strip() for cell in cells[:4])
            log.note(f"{origin.path}: line {number} is a header ({shown}); skipped")
        else:
            wide += len(cells) > 2
            yield one_line(cells[left]), one_line(cells[right]), number
    if wide and (left, right) == (0, 1) and config.columns is None:
        lines_have = "1 line has" if wide == 1 else f"{wide:,} lines have"
        log.note(f"{origin.path}: {lines_have} more than 2 columns; only the first 2 are read")


def _cut(file: File, lines: Iterable[str], delimiter: str, *, partial: bool = False) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each line, and its number. In a partial text the last quote may be open."""
    if delimiter not in ",;":
        yield from ((line.split(delimiter), number) for number, line in enumerate(lines, start=1))
        return
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            yield cells, number
            number = reader.line_num + 1
    except csv.Error as error:
        if not partial:
            what = f"{file} line {number}: {error}."
            raise DataError(what, hint="A quote that never ends?", file=str(file), line=number) from None


# Choosing columns


def _choose(file: File, sample: Sequence[list[str]], config: DataConfig, log: DropLog) -> _Columns:
    names, width = [cell.strip() for cell in sample[0]], max(map(len, sample))
    header = _is_header(names, sample[1:])
    languages = [known_language(name) if header else None for name in names] + [None] * (width - len(names))
    if config.columns is not None:
        chosen = _named_columns(file, config.columns, names if header else [], width)
    elif header:
        chosen = _columns_of_header(file, names, languages, config)
    else:
        chosen = _columns_of_text(file, sample, width, config)
    if chosen != (0, 1) or config.columns is not None:
        shown = (f"{i + 1} ({names[i]})" if header and i < len(names) else str(i + 1) for i in chosen)
        log.note(f"{file}: columns {' and '.join(shown)} are read")
    return _Columns(*chosen, (languages[chosen[0]], languages[chosen[1]]), header)


def _is_header(names: Sequence[str], rows: Sequence[list[str]]) -> bool:
    """Return whether the first line names the columns: by role, by language, or by number."""
    if any(row[: len(names)] == list(names) for row in rows):
        return False
    lowered = [name.lower() for name in names]
    if all(name.isdecimal() for name in lowered):
        return [int(name) for name in lowered] == list(range(1, len(names) + 1))
    roles = _SOURCE_NAMES | _TARGET_NAMES
    known = [name in roles or _names_language(name, i, rows) for i, name in enumerate(lowered)]
    # A cell that repeats below its place is what fills the column, not what names it.
    repeated = any(row[i].strip().lower() == name for i, name in enumerate(lowered) for row in rows if i < len(row))
    if len(names) == 2 or all(known[:2]):
        return all(known[:2]) and not repeated
    return sum(known) >= 2 and not repeated and all(len(name) <= 40 and not name.endswith(".") for name in names)


def _names_language(name: str, column: int, rows: Sequence[list[str]]) -> bool:
    language = known_language(name)
    # Two letters are a word as well as a code ("is", "so"): the text below decides.
    below = guess_language(row[column] for row in rows if column < len(row))
    return language is not None and (below in (None, language) or not is_tag(name))


def _named_columns(file: File, wanted: str, names: Sequence[str], width: int) -> tuple[int, int]:
    parts = [part.strip() for part in wanted.split(",")]
    places = {str(i + 1): i for i in range(width)} | {name.lower(): i for i, name in reversed([*enumerate(names)])}
    for part in parts:
        if part.lower() not in places:
            held = f"columns: {', '.join(names)}" if names else f"{width} columns, and no header that names them"
            raise DataError(f"{file} has no column {part!r}. It has {held}.", code="E_DATA_COLUMNS", file=str(file))
    chosen = [places[part.lower()] for part in parts]
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        what = f"--columns {wanted} does not name two columns."
        raise DataError(what, hint="For example --columns 2,4.", code="E_DATA_COLUMNS")
    return chosen[0], chosen[1]


def _columns_of_header(
    file: File, names: Sequence[str], languages: Sequence[str | None], config: DataConfig
) -> tuple[int, int]:
    left, right = (place_of(language, names) for language in (config.source_language, config.target_language))
    if left is not None and right is not None:
        return left, right
    lowered = [name.lower() for name in names]
    left = next((i for i, name in enumerate(lowered) if name in _SOURCE_NAMES), None)
    right = next((i for i, name in enumerate(lowered) if name in _TARGET_NAMES), None)
    if left is not None and right is not None:
        return left, right
    found = [i for i, language in enumerate(languages) if language is not None]
    if len(found) > 2:
        what = f"{file} has columns in {', '.join(names[i] for i in found)}."
        hint = "Choose two: --columns 1,2, or --source-language and --target-language."
        raise DataError(what, hint=hint, code="E_DATA_COLUMNS", file=str(file))
    return (found[0], found[1]) if len(found) == 2 else (0, 1)


def _columns_of_text(file: File, sample: Sequence[list[str]], width: int, config: DataConfig) -> tuple[int, int]:
    held = [_holds([row[i].strip() for row in sample if i < len(row) and row[i].strip()]) for i in range(width)]
    text = [i for i, what in enumerate(held) if what is None]
    if text[:2] == [0, 1] or (width > 2 and len(text) == 2):
        return text[0], text[1]
    if config.keep_going:
        return 0, 1
    what = ", ".join(f"column {i + 1} holds {what}" for i, what in enumerate(held[:6]) if what)
    found = f" Columns {', '.join(str(i + 1) for i in text)} may be text." if text else ""
    hint = "Choose two: --columns 2,4. If the file is meant as it is: --columns 1,2."
    raise DataError(f"{file}: {what}.{found}", hint=hint, code="E_DATA_COLUMNS", file=str(file))


def _holds(cells: Sequence[str]) -> str | None:
    """Return what the cells of a column hold, or None for sentences and for too few cells to say."""
    if len(cells) < _FEW:
        return None
    enough = 0.9 * len(cells)
    for what, pattern in _NO_TEXT.items():
        if sum(pattern.fullmatch(cell) is not None for cell in cells) >= enough:
            return what
    different = len(set(cells))
    if different <= max(2, len(cells) // 10) and sum(map(is_tag, cells)) >= enough:
        return "language codes"
    return "one label" if different == 1 and _LABEL.fullmatch(cells[0]) else None
