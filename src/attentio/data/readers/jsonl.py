"""JSON: one record on each line, or one array of records. A record may be Hugging Face's `{"translation": {…}}`.

The first record decides which keys are the source and the target. The order of keys inside a record says nothing.
"""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeAlias, cast

from attentio.data.readers.languages import known_language, place_of
from attentio.data.readers.lines import File, Origin, Row, Rows, one_line, read_lines
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError, ResourceError

_ROLES = (("source", "target"), ("src", "tgt"), ("src", "trg"))
_MOST_CHARACTERS = 1 << 30  # of one JSON array, which has to be in memory at once
_FORMS = 'Each record is {"source": …, "target": …}, […, …] or {"translation": {"en": …, "zh": …}}.'
_Record: TypeAlias = tuple[Any, str, int]  # what it holds, its place in words, and its number, from 1
_Keys: TypeAlias = tuple[str, str] | tuple[int, int]


def read_json(origin: Origin, config: DataConfig, log: DropLog) -> Rows:  # noqa: ARG001
    """Read JSON lines, or one JSON array. Raise DataError with the line or the record that is no pair."""
    file = origin.file
    records = _records(file, config)
    first = next(records, None)
    if first is None:
        raise DataError(f"{file} is empty.", code="E_DATA_EMPTY", file=str(file))
    keys = _choose(file, first, config)
    source, target = (known_language(key) if isinstance(key, str) else None for key in keys)
    return Rows(_pairs(file, chain([first], records), keys), (source, target))


def _pairs(file: File, records: Iterator[_Record], keys: _Keys) -> Iterator[Row]:
    for held, place, number in records:
        source, target = (_fields(held).get(key) for key in keys)
        if not (isinstance(source, str) and isinstance(target, str)):
            what = f"{file} {place}: no text under {keys[0]!r} and {keys[1]!r}, which the first record has."
            raise DataError(what, hint=_FORMS, file=str(file), line=number)
        yield one_line(source), one_line(target), number


def _records(file: File, config: DataConfig) -> Iterator[_Record]:
    lines = read_lines(file, config.encoding)
    filled = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    for i, (number, line) in enumerate(filled):
        if i == 0 and line.lstrip()[0] in "[{" and not _is_json(line):
            yield from _numbered(_one_value(file, chain([line], lines)))
            return
        held = _parsed(file, line, number)
        if isinstance(held, list) and held and all(isinstance(item, list | dict) for item in cast(list[Any], held)):
            yield from _numbered(cast(list[Any], held))
        else:
            yield held, f"line {number}", number


def _numbered(records: list[Any]) -> Iterator[_Record]:
    return ((record, f"record {i}", i) for i, record in enumerate(records, start=1))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True  # and refused when it is parsed
    except ValueError:
        return False
    return True


def _one_value(file: File, lines: Iterator[str]) -> list[Any]:
    """Return the records of one value that is written over many lines."""
    parts: list[str] = []
    size = 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > _MOST_CHARACTERS:
            raise ResourceError(f"{file} is one JSON value of over 1 GB.", hint="Write one record a line: .jsonl.")
    held = _parsed(file, "\n".join(parts), 1)
    if isinstance(held, dict):  # the array may stand inside an object, beside other things
        arrays = [value for value in cast(dict[str, Any], held).values() if isinstance(value, list)]
        return cast(list[Any], arrays[0]) if len(arrays) == 1 else [held]
    return held


def _parsed(file: File, text: str, number: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        reason = str(error)
    except RecursionError:
        reason = "nested too deeply"
    raise DataError(f"{file} line {number}: not JSON ({reason}).", file=str(file), line=number)


def _fields(held: Any) -> dict[str | int, Any]:
    """Return what a record holds by key, or by place in a list."""
    if isinstance(held, dict):
        inner = cast(dict[str | int, Any], held).get("translation")
        return cast(dict[str | int, Any], inner if isinstance(inner, dict) else held)
    return dict(enumerate(cast(list[Any], held))) if isinstance(held, list) else {}


def _choose(file: File, first: _Record, config: DataConfig) -> _Keys:
    held, place, number = first
    fields = _fields(held)
    if 1 in fields:
        return 0, 1
    texts = [key for key, value in fields.items() if isinstance(key, str) and isinstance(value, str)]
    named = [name.strip() for name in (config.columns or "").split(",")]
    if len(named) == 2 and set(named) <= set(texts):
        return named[0], named[1]
    left, right = (place_of(language, texts) for language in (config.source_language, config.target_language))
    if left is not None and right is not None:
        return texts[left], texts[right]
    for roles in _ROLES:
        if set(roles) <= set(texts):
            return roles
    languages = [key for key in texts if known_language(key)]
    translation = isinstance(held, dict) and fields is not held
    pair = languages if len(languages) == 2 or not translation else texts
    if len(pair) == 2:
        return pair[0], pair[1]
    if len(languages) > 2:
        what = f"{file} {place} has {len(languages)} languages: {', '.join(languages)}."
        hint = f"Choose two: --columns {languages[0]},{languages[1]}."
        raise DataError(what, hint=hint, file=str(file), line=number)
    raise DataError(f"{file} {place}: no source and target text.", hint=_FORMS, file=str(file), line=number)
