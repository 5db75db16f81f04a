"""JSON: one record on each line, or one array of records. A record may be Hugging Face's `{"translation": {…}}`.

The first record decides which keys are the source and the target. The order of keys inside a record says nothing.
"""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple, cast

from attentio.data.readers.languages import known_language
from attentio.data.readers.lines import File, read_lines
from attentio.data.readers.rows import Origin, Row, Rows, one_line
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError, ResourceError
from attentio.text.script import base_language

_KEYS = (("source", "target"), ("src", "tgt"), ("src", "trg"))
_MOST_CHARACTERS = 1 << 30  # of one JSON array, which has to be in memory at once
_FORMS = 'Each record is {"source": …, "target": …}, […, …] or {"translation": {"en": …, "zh": …}}.'


class _Keys(NamedTuple):
    source: str | int
    target: str | int


def read_json(origin: Origin, config: DataConfig, log: DropLog) -> Rows:  # noqa: ARG001
    """Read JSON lines, or one JSON array. Raise DataError with the line or the record that is no pair."""
    file = origin.path
    assert file is not None
    records = _records(file, config)
    first = next(records, None)
    if first is None:
        raise DataError(f"{file} is empty.", code="E_DATA_EMPTY", file=str(file))
    keys = _choose(file, first, config)
    languages = [known_language(key) if isinstance(key, str) else None for key in keys]
    return Rows(_pairs(file, chain([first], records), keys), (languages[0], languages[1]))


def _pairs(file: File, records: Iterator[tuple[Any, str, int]], keys: _Keys) -> Iterator[Row]:
    for held, place, number in records:
        texts = [_text(_inner(held), key) for key in keys]
        if not all(isinstance(text, str) for text in texts):
            raise DataError(
                f"{file} {place}: no text under {keys.source!r} and {keys.target!r}, which the first record has.",
                hint=_FORMS,
                file=str(file),
                line=number,
            )
        yield one_line(texts[0]), one_line(texts[1]), number


def _records(file: File, config: DataConfig) -> Iterator[tuple[Any, str, int]]:
    """Yield each record with its place in words and its number, from 1."""
    lines = read_lines(file, config.encoding)
    filled = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    for i, (number, line) in enumerate(filled):
        if i == 0 and line.lstrip()[0] in "[{" and not _is_json(line):
            yield from _array(file, chain([line], lines))
            return
        held = _parsed(file, line, number)
        if _is_array_of_records(held):
            yield from ((record, f"record {at}", at) for at, record in enumerate(held, start=1))
        else:
            yield held, f"line {number}", number


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True  # and refused when it is parsed
    except ValueError:
        return False
    return True


def _is_array_of_records(held: Any) -> bool:
    return isinstance(held, list) and bool(held) and all(isinstance(item, list | dict) for item in cast(Any, held))


def _array(file: File, lines: Iterator[str]) -> Iterator[tuple[Any, str, int]]:
    """Yield the records of one value that is written over many lines."""
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
        held = arrays[0] if len(arrays) == 1 else [held]
    yield from ((record, f"record {i}", i) for i, record in enumerate(cast(list[Any], held), start=1))


def _parsed(file: File, text: str, number: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        reason = str(error)
    except RecursionError:
        reason = "nested too deeply"
    raise DataError(f"{file} line {number}: not JSON ({reason}).", file=str(file), line=number)


def _inner(held: Any) -> Any:
    inner = cast(dict[str, Any], held).get("translation") if isinstance(held, dict) else None
    return cast(Any, inner) if isinstance(inner, dict) else held


def _text(held: Any, key: str | int) -> Any:
    if isinstance(key, int):
        cells = cast(list[Any], held) if isinstance(held, list) else []
        return cells[key] if key < len(cells) else None
    return cast(dict[str, Any], held).get(key) if isinstance(held, dict) else None


def _choose(file: File, first: tuple[Any, str, int], config: DataConfig) -> _Keys:
    """Return the keys of source and target, from the settings or from the first record."""
    held, place, number = first
    record = _inner(held)
    if isinstance(record, list) and len(cast(list[Any], record)) >= 2:
        return _Keys(0, 1)
    texts: list[str] = []
    if isinstance(record, dict):
        texts = [key for key, value in cast(dict[str, Any], record).items() if isinstance(value, str)]
    if config.columns is not None:
        named = [name.strip() for name in config.columns.split(",")]
        if len(named) == 2 and set(named) <= set(texts):
            return _Keys(named[0], named[1])
    wanted = (config.source_language, config.target_language)
    if all(wanted):
        sides = [_key_of(texts, str(language)) for language in wanted]
        if None not in sides:
            return _Keys(str(sides[0]), str(sides[1]))
    for source, target in _KEYS:
        if source in texts and target in texts:
            return _Keys(source, target)
    languages = [key for key in texts if known_language(key)]
    pair = languages if len(languages) == 2 else texts if held is not record and len(texts) == 2 else []
    if len(pair) == 2:
        return _Keys(pair[0], pair[1])
    if len(languages) > 2:
        raise DataError(
            f"{file} {place} has {len(languages)} languages: {', '.join(languages)}.",
            hint=f"Choose two: --columns {languages[0]},{languages[1]}.",
            file=str(file),
            line=number,
        )
    raise DataError(f"{file} {place}: no source and target text.", hint=_FORMS, file=str(file), line=number)


def _key_of(keys: list[str], language: str) -> str | None:
    """Return the key that is a language: by the whole tag, else by the language without region and script."""
    same = [key for key in keys if key.lower().replace("_", "-") == language.lower().replace("_", "-")]
    alike = [key for key in keys if known_language(key) and known_language(key) == known_language(language)]
    return next(iter(same or [key for key in keys if base_language(key) == base_language(language)] or alike), None)
