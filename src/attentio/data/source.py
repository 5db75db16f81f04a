"""What the user named as data, and its pairs: built-in corpora, files, aligned files and archives.

The formats are in `readers`. Texts come out as they stand in the file, on one line each. Cleaning comes later.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from attentio.corpora import COLLECTIONS, CORPORA
from attentio.data.readers import reader_of
from attentio.data.readers.archives import ARCHIVES, open_archive
from attentio.data.readers.lines import (
    Origin,
    Rows,
    decode_stream,
    ends_with_crlf,
    existing,
    read_blocks,
    read_lines,
    unpacked_name,
)
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.split import DEV, TEST
from attentio.errors import DataError, UsageError
from attentio.text.script import base_language

BUILT_IN = (*CORPORA, *COLLECTIONS)
CHUNK_LINES = 20_000


class Pair(NamedTuple):
    """A sentence and its translation. `line` is where it begins in its file, from 1."""

    source: str
    target: str
    line: int


class Chunk(NamedTuple):
    """Many pairs in columns."""

    sources: list[str]
    targets: list[str]
    lines: npt.NDArray[np.int64]  # line of each pair in its file, from 1


def origins(config: DataConfig) -> list[Origin]:
    """Return all parts that the settings name, in reading order: for training, then a dev and a test file.

    Those for training have a name each, and a file of links where there are some. Raises UsageError where numbers of
    files do not fit or a built-in corpus is named twice. Raises DataError for a missing file.
    """
    if not config.train:
        raise UsageError("no data given.", hint=f"Name a parallel file, or a built-in corpus: {', '.join(BUILT_IN)}.")
    found = list(_aligned(config) if config.target else _named(config))
    names = [origin.name for origin in found]
    for i, name in enumerate(names):
        if names.count(name) > 1:
            found[i] = replace(found[i], name=f"{name}-{i + 1}")
    if config.links:
        found = _with_links(found, config.links)
    for role, file in ((DEV, config.dev), (TEST, config.test)):
        if isinstance(file, str):
            found.append(replace(file_origin(file), role=role))
    return found


def _aligned(config: DataConfig) -> Iterator[Origin]:
    for source, target in zip(map(existing, config.train), map(existing, config.target), strict=True):
        if source.samefile(target):
            raise DataError(f"{source} is given as source and as target.", file=source)
        yield Origin(_stem(source), source, target)


def _named(config: DataConfig) -> Iterator[Origin]:
    named_by: dict[str, str] = {}
    for text in config.train:
        if text not in BUILT_IN:
            yield file_origin(text)
            continue
        for name in COLLECTIONS.get(text, (text,)):
            if name in named_by:
                what = f"the built-in corpus {name!r} is named twice: by {named_by[name]!r} and by {text!r}."
                raise UsageError(what, hint="Name each corpus once.")
            named_by[name] = text
            if text not in COLLECTIONS or CORPORA[name].installed():
                yield Origin(name, corpus=name)


def _with_links(found: list[Origin], links: list[str]) -> list[Origin]:
    files = [origin for origin in found if origin.path is not None]
    if len(files) != len(links):
        what = f"{len(files)} parallel and {len(links)} links files: each parallel file needs one of its own."
        raise UsageError(what, hint="Give them in the same order.")
    for origin in files:
        if not reader_of(origin).by_line:
            what = "word links go line by line, and a file of this format has no line for each pair."
            raise UsageError(f"{origin.path}: {what}", hint="Convert it to TSV.")
    named = map(existing, links)
    return [origin if origin.path is None else replace(origin, links=next(named)) for origin in found]


def file_origin(text: str) -> Origin:
    """Return the part that one file, or one archive, is."""
    path = existing(text, known=BUILT_IN)
    archive = path.name.lower().endswith(ARCHIVES)
    first, second = open_archive(path) if archive else (path, None)
    return Origin(_stem(path), first, second)


def _stem(path: Path) -> str:
    name = unpacked_name(path)
    return Path(name).stem or name


def settings_for(file: Path, trained: DataConfig, given: Mapping[str, object]) -> DataConfig:
    """Return how to read a file that a run was not trained on.

    What is `given` (delimiter, encoding, columns, swap) counts. Otherwise the file shows it: UTF-8 where it can be
    decoded so, tabs where its first lines have some. Only then the settings `trained` of the run's own files count.
    """
    update = dict(given)
    if "encoding" not in update and trained.encoding is not None and _is_utf8(file):
        update["encoding"] = None
    if update.keys().isdisjoint({"delimiter", "columns"}) and (trained.delimiter != "\t" or trained.columns):
        encoding = update.get("encoding", trained.encoding)
        filled = [line for line in islice(read_lines(file, cast("str | None", encoding)), 100) if line.strip()]
        tabs = min((line.count("\t") for line in filled), default=0)
        if tabs and trained.delimiter != "\t":
            update |= {"delimiter": "\t", "columns": None}
        elif tabs == 1 and trained.columns:
            update["columns"] = None
    return DataConfig.model_validate(trained.model_dump() | update)


def _is_utf8(file: Path) -> bool:
    try:
        for _ in decode_stream(file, read_blocks(file), "utf-8"):
            pass
    except DataError:
        return False
    return True


def count_pairs(config: DataConfig, limit: int) -> int:
    """Return how many training pairs are named, before cleaning, or `limit` if there are more."""
    log = DropLog()
    parts = (open_rows(origin, config, log).pairs for origin in origins(config) if origin.role not in (DEV, TEST))
    return sum(1 for _ in islice(chain.from_iterable(parts), limit))


def open_rows(origin: Origin, config: DataConfig, log: DropLog) -> Rows:
    """Return the pairs of one part and the languages it names, sides as `config.swap` asks.

    Raises DataError for what cannot be read: what, where, and how to mend it.
    """
    for file in (origin.path, origin.target):
        if file is not None and ends_with_crlf(file):
            log.note(f"{file}: lines end with CRLF")
    rows = reader_of(origin).read(origin, config, log)
    wanted = (base_language(config.source_language), base_language(config.target_language))
    if not config.swap or origin.corpus is not None or (None not in wanted and rows.languages == wanted):
        return rows
    first, second = rows.languages
    return Rows(((target, source, line) for source, target, line in rows.pairs), (second, first))


def read_chunks(origin: Origin, config: DataConfig, log: DropLog) -> Iterator[Chunk]:
    """Yield all pairs of one part in chunks of `CHUNK_LINES`. Lines that are no pair go to `log`."""
    rows = open_rows(origin, config, log).pairs
    while pairs := list(islice(rows, CHUNK_LINES)):
        sources, targets, lines = zip(*pairs, strict=True)
        yield Chunk(list(sources), list(targets), np.array(lines, dtype=np.int64))


def read_pairs(path: Path, config: DataConfig | None = None, log: DropLog | None = None) -> Iterator[Pair]:
    rows = open_rows(file_origin(str(path)), config or DataConfig(), log or DropLog())
    yield from map(Pair._make, rows.pairs)
