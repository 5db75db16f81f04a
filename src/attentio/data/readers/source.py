"""Parallel text in, pairs out: TSV and other delimited files, two aligned files, JSONL, TMX, and the built-in corpora.

Files may be gzipped, UTF-8 with or without a byte order mark, UTF-16 with one, or in an encoding that is named. Lines
end at LF or CRLF and nowhere else: Python's `splitlines` also breaks at U+2028, U+0085 and VT, which silently shifts
one side of a corpus against the other. Texts come out as they stand in the file; `clean` mends them.
"""

import codecs
import csv
import difflib
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from attentio.data.readers.encoding import byte_order_mark, guess_encoding
from attentio.data.readers.tmx import read_tmx
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError, MissingExtra, UsageError

BUILT_IN = ("small-world", "hsk", "demo")
CHUNK_LINES = 20_000
_BLOCK_BYTES = 1 << 22
_LOOK_LINES = 100

# Cells that name a column instead of filling it.
_HEADER_WORDS = frozenset(
    re.findall(
        r"\S+",
        "source target src tgt trg text translation sentence sentence1 sentence2 input output english chinese mandarin "
        "german french spanish en zh de fr es eng cmn deu fra spa",
    )
)


class Pair(NamedTuple):
    """A sentence and its translation; `line` is where it begins in its file, from 1."""

    source: str
    target: str
    line: int


class Chunk(NamedTuple):
    """Many pairs in columns."""

    sources: list[str]
    targets: list[str]
    lines: npt.NDArray[np.int64]  # 1-based line of each pair in its file


@dataclass(frozen=True)
class Origin:
    """Where one part of the data comes from: a built-in corpus, one file, or two aligned files."""

    name: str
    path: Path | None = None
    target: Path | None = None


def origins(config: DataConfig) -> list[Origin]:
    """The parts that `config.train` names, each with a name of its own; a missing file raises DataError."""
    if not config.train:
        raise UsageError("no data given.", hint="Name a parallel file, or a built-in corpus: small-world, hsk, demo.")
    found: list[Origin] = []
    for i, text in enumerate(config.train):
        if config.target:
            source, target = existing(text), existing(config.target[i])
            if source.samefile(target):
                raise DataError(f"{source} is given as source and as target.", file=source)
            found.append(Origin(_stem(source), source, target))
        elif text == "demo":
            found.append(Origin("small-world"))
            if _has_hsk():
                found.append(Origin("hsk"))
        elif text in BUILT_IN:
            found.append(Origin(text))
        else:
            path = existing(text)
            found.append(Origin(_stem(path), path))
    return _with_distinct_names(found)


def held_out_origin(text: str) -> Origin:
    """The part that a dev or test file is."""
    path = existing(text)
    return Origin(_stem(path), path)


def read_chunks(origin: Origin, config: DataConfig, log: DropLog) -> Iterator[Chunk]:
    """All pairs of one part, in chunks of `CHUNK_LINES`, sides as `config.swap` asks.

    Lines that are no pair go to `log`. Raises DataError for what cannot be read: what, where, and how to mend it.
    """
    for path in (origin.path, origin.target):
        if path is not None and _ends_with_crlf(path):
            log.note(f"{path}: lines end with CRLF")
    rows = _rows(origin, config, log)
    while pairs := list(islice(rows, CHUNK_LINES)):
        sources, targets, lines = zip(*pairs, strict=True)
        if config.swap and origin.path is not None:
            sources, targets = targets, sources
        yield Chunk(list(sources), list(targets), np.array(lines, dtype=np.int64))


def read_pairs(path: Path, config: DataConfig | None = None, log: DropLog | None = None) -> Iterator[Pair]:
    """The pairs of one file, one by one."""
    for chunk in read_chunks(Origin(_stem(path), path), config or DataConfig(), log or DropLog()):
        yield from map(Pair._make, zip(chunk.sources, chunk.targets, chunk.lines.tolist(), strict=True))


def existing(text: str) -> Path:
    """The file of that name; DataError with a suggestion where there is none."""
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file.", file=path)
    similar = _similar_file(path)
    raise DataError(
        f"{path}: no such file.", hint=f"Did you mean {similar}?" if similar else None, code="E_DATA_MISSING", file=path
    )


def read_lines(path: Path, encoding: str | None = None) -> Iterator[str]:
    """The lines of a text file, without their ends, decoded strictly; raises DataError with line and byte."""
    with _opened(path) as file:
        blocks = _read_blocks(path, file)
        first = next(blocks, b"")
        mark, marked = byte_order_mark(first)
        name = encoding or marked or "utf-8"
        try:
            wide = codecs.lookup(name).name.startswith(("utf-16", "utf-32"))
        except LookupError:
            raise UsageError(f"unknown encoding {name!r}.", hint="For example gb18030, big5, utf-16-le.") from None
        blocks = _rejoined(first[len(mark) :] if marked else first, blocks)
        decoded = _decode_wide(path, blocks, marked or name) if wide else _decode(path, blocks, name)
        yield from _split_lines(path, decoded)


def _rows(origin: Origin, config: DataConfig, log: DropLog) -> Iterator[tuple[str, str, int]]:
    if origin.path is None:
        return _BUILT_IN_READERS[origin.name](config)
    if origin.target is not None:
        return _two_files(origin.path, origin.target, config)
    suffix = Path(origin.path.name.removesuffix(".gz")).suffix.lower()
    if suffix == ".tmx":
        return read_tmx(origin.path, _blocks_of(origin.path), config.source_language, config.target_language, log)
    lines = read_lines(origin.path, config.encoding)
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(origin, lines, config)
    return _delimited(origin, lines, config, log)


def _delimited(
    origin: Origin, lines: Iterator[str], config: DataConfig, log: DropLog
) -> Iterator[tuple[str, str, int]]:
    path = cast(Path, origin.path)
    delimiter = config.delimiter
    first = list(islice(lines, _LOOK_LINES))
    filled = [line for line in first if line.strip()]
    if not filled:
        raise DataError(f"{path} is empty.", code="E_DATA_EMPTY", file=path)
    if not any(delimiter in line for line in filled):
        raise DataError(
            f"{path} has 1 column in each of the first {len(filled)} lines; "
            f"a parallel file needs 2 (source {'TAB' if delimiter == chr(9) else delimiter} target).",
            hint="Two files? --src A --tgt B. Comma-separated? --delimiter ,",
            code="E_DATA_COLUMNS",
            file=path,
        )
    joined = _rejoined_lines(first, lines)
    numbered = _csv_rows(path, joined, delimiter) if delimiter in ",;" else _split_rows(joined, delimiter)
    wide = 0
    for cells, number in numbered:
        if len(cells) < 2:
            # A line with nothing on it is an empty pair; one with text lacks its other side.
            log.drop(origin.name, "one column" if "".join(cells).strip() else "empty", number, *cells)
        elif number == 1 and _is_header(cells):
            log.note(f"{path}: line 1 is a header ({' | '.join(cell.strip() for cell in cells[:3])}); skipped")
        else:
            wide += len(cells) > 2
            yield cells[0], cells[1], number
    if wide:
        lines_have = "1 line has" if wide == 1 else f"{wide:,} lines have"
        log.note(f"{path}: {lines_have} more than 2 columns; only the first 2 are read")


def _split_rows(lines: Iterable[str], delimiter: str) -> Iterator[tuple[list[str], int]]:
    for number, line in enumerate(lines, start=1):
        yield line.split(delimiter, 2), number


def _csv_rows(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[list[str], int]]:
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            yield cells, number
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path} line {number}: {error}.", hint="A quote that never ends?", file=path, line=number
        ) from None


def _is_header(cells: list[str]) -> bool:
    names = [cell.strip().lower() for cell in cells]
    counted = all(name.isdecimal() for name in names) and [int(name) for name in names] == list(
        range(1, len(names) + 1)
    )
    return counted or all(name in _HEADER_WORDS for name in names[:2])


def _two_files(source: Path, target: Path, config: DataConfig) -> Iterator[tuple[str, str, int]]:
    sides = (read_lines(path, config.encoding) for path in (source, target))
    number = 0
    for number, (left, right) in enumerate(zip_longest(*sides), start=1):
        if left is None or right is None:
            raise _different_counts(source, target, config)
        yield left, right, number
    if number == 0:
        raise DataError(f"{source} and {target} are empty.", code="E_DATA_EMPTY", file=source)


def _different_counts(source: Path, target: Path, config: DataConfig) -> DataError:
    lengths = [
        np.fromiter((len(line) for line in read_lines(path, config.encoding)), dtype=np.float64)
        for path in (source, target)
    ]
    line, ratio = _suspicious(*lengths)
    return DataError(
        f"{source} has {len(lengths[0]):,} lines, {target} {len(lengths[1]):,}. "
        f"First suspicious pair: line {line:,} (length ratio {ratio:.1f}). Nothing was trained.",
        code="E_DATA_COUNTS",
        file=source,
        line=line,
    )


def _suspicious(source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> tuple[int, float]:
    """The first line (from 1) whose length ratio is far from the usual one, and how far (a factor)."""
    shared = min(len(source), len(target))
    if shared == 0:
        return 1, float("inf")
    ratios = np.log((source[:shared] + 1) / (target[:shared] + 1))
    away = np.abs(ratios - np.median(ratios))
    far = np.flatnonzero(away > np.log(4))
    place = int(far[0]) if len(far) else int(np.argmax(away))
    return place + 1, float(np.exp(away[place]))


_JSON_KEYS = (("source", "target"), ("src", "tgt"), ("src", "trg"))


def _json_lines(origin: Origin, lines: Iterator[str], config: DataConfig) -> Iterator[tuple[str, str, int]]:
    path = cast(Path, origin.path)
    keys = [*_JSON_KEYS]
    if config.source_language and config.target_language:
        keys.insert(0, (config.source_language, config.target_language))
    seen = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        seen = True
        try:
            held: Any = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path} line {number}: not JSON ({error}).", file=path, line=number) from None
        source, target = _json_pair(held, keys)
        if not isinstance(source, str) or not isinstance(target, str):
            raise DataError(
                f"{path} line {number}: no source and target text.",
                hint='Each line is {"source": …, "target": …}, […, …] or {"translation": {"en": …, "zh": …}}.',
                file=path,
                line=number,
            )
        yield source, target, number
    if not seen:
        raise DataError(f"{path} is empty.", code="E_DATA_EMPTY", file=path)


def _json_pair(held: Any, keys: list[tuple[str, str]]) -> tuple[Any, Any]:
    if isinstance(held, list):
        cells = cast(list[Any], held)
        return (cells[0], cells[1]) if len(cells) >= 2 else (None, None)
    if not isinstance(held, dict):
        return None, None
    record = cast(dict[str, Any], held)
    if isinstance(record.get("translation"), dict):
        record = cast(dict[str, Any], record["translation"])
        if len(record) == 2 and not any(source in record and target in record for source, target in keys):
            source, target = record.values()
            return source, target
    for source, target in keys:
        if source in record and target in record:
            return record[source], record[target]
    return None, None


def _small_world(config: DataConfig) -> Iterator[tuple[str, str, int]]:
    from attentio.corpora.small_world.sampling import sampled

    for number, pair in enumerate(sampled(config.small_world_pairs), start=1):
        yield (*_oriented(pair.source, pair.target, config), number)


def _hsk(config: DataConfig) -> Iterator[tuple[str, str, int]]:
    try:
        import hsk_sentences_audio  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise MissingExtra(
            "the corpus 'hsk' is in the package hsk-sentences-audio, which is not installed.",
            hint="pip install 'attentio[hsk]'",
        ) from None
    sentences = cast(Iterable[dict[str, Any]], hsk_sentences_audio.iter_sentences())
    for number, sentence in enumerate(sentences, start=1):
        english = str(sentence["translation"]["en"])
        # 82 rows of the package hold a placeholder where the translation should be; none of those ends a sentence.
        if english.endswith((".", "?", "!")):
            yield (*_oriented(english, str(sentence["chinese"]), config), number)


def _oriented(english: str, chinese: str, config: DataConfig) -> tuple[str, str]:
    """Built-in corpora are English to Chinese unless the languages, or where none are given `swap`, say otherwise."""
    languages = (config.source_language, config.target_language)
    swapped = languages == ("zh", "en") if all(languages) else config.swap
    return (chinese, english) if swapped else (english, chinese)


def _has_hsk() -> bool:
    from importlib.util import find_spec

    return find_spec("hsk_sentences_audio") is not None


_BUILT_IN_READERS: dict[str, Callable[[DataConfig], Iterator[tuple[str, str, int]]]] = {
    "small-world": _small_world,
    "hsk": _hsk,
}


def _opened(path: Path) -> IO[bytes]:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        return cast(IO[bytes], gzip.open(path, "rb")) if zipped else path.open("rb")
    except FileNotFoundError:
        existing(str(path))
        raise
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}.", file=path) from None


def _ends_with_crlf(path: Path) -> bool:
    with _opened(path) as file:
        return next(_read_blocks(path, file), b"").partition(b"\n")[0].endswith(b"\r")


def _read_blocks(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    try:
        while block := file.read(_BLOCK_BYTES):
            yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}).", file=path) from None


def _blocks_of(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        yield from _read_blocks(path, file)


def _decode(path: Path, blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Whole lines, decoded. Every encoding but UTF-16 and UTF-32 writes LF as the byte 0x0A, and only LF."""
    line = 1
    for data in _whole_lines(blocks):
        try:
            yield data.decode(encoding)
        except UnicodeDecodeError as error:
            raise _not_decodable(path, data, error, line, encoding) from None
        line += data.count(b"\n")


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for block in blocks:
        whole, newline, tail = block.rpartition(b"\n")
        if newline:
            yield b"".join((*rest, whole, newline))
            rest = [tail]
        else:
            rest.append(block)
    yield b"".join(rest)


def _decode_wide(path: Path, blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not {encoding} ({error.reason}).", code="E_DATA_ENCODING", file=path) from None


def _split_lines(path: Path, texts: Iterable[str]) -> Iterator[str]:
    rest = ""
    number = 0
    for text in texts:
        nul = text.find("\0")
        if nul >= 0:
            at = number + text.count("\n", 0, nul) + 1
            raise DataError(
                f"{path} line {at} has a NUL byte; is this a binary or UTF-16 file?",
                hint="If UTF-16: --encoding utf-16-le (or utf-16-be).",
                code="E_DATA_NUL",
                file=path,
                line=at,
            )
        *lines, tail = text.split("\n")
        if lines:
            lines[0] = rest + lines[0]
            rest = tail
        else:
            rest += tail
        number += len(lines)
        for line in lines:
            yield line.removesuffix("\r")
    if number == 0 and rest.count("\r") > 1:
        raise DataError(f"{path} ends its lines with CR alone.", hint="Convert it: tr '\\r' '\\n'.", file=path)
    if rest:
        yield rest.removesuffix("\r")


def _not_decodable(path: Path, data: bytes, error: UnicodeDecodeError, line: int, encoding: str) -> DataError:
    start = data.rfind(b"\n", 0, error.start) + 1
    at = line + data.count(b"\n", 0, error.start)
    guess = guess_encoding(data[start : start + (1 << 20)])
    name = "UTF-8" if encoding == "utf-8" else encoding
    return DataError(
        f"{path} line {at}, byte {error.start - start + 1}: not {name} (0x{data[error.start]:02X}).",
        hint=f"Looks like {guess.upper()}: --encoding {guess}, or iconv -f {guess.upper()} -t UTF-8."
        if guess
        else None,
        code="E_DATA_ENCODING",
        file=path,
        line=at,
    )


def _rejoined(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _rejoined_lines(first: list[str], rest: Iterable[str]) -> Iterator[str]:
    yield from first
    yield from rest


def _similar_file(path: Path) -> Path | str | None:
    folders = [folder for folder in (path.parent, Path()) if folder.is_dir()]
    folders += sorted(entry for entry in Path().iterdir() if entry.is_dir() and not entry.name.startswith("."))
    nearby = [entry for folder in dict.fromkeys(folders) for entry in _files(folder)]
    for entry in nearby:
        if entry.name == path.name:
            return entry
    names = [entry.name for entry in nearby] + list(BUILT_IN)
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return next((entry for entry in nearby if entry.name == close[0]), close[0]) if close else None


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in islice(folder.iterdir(), 2000) if entry.is_file())
    except OSError:
        return []


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return Path(name).stem or name


def _with_distinct_names(found: list[Origin]) -> list[Origin]:
    names = [origin.name for origin in found]
    return [
        origin if names.count(origin.name) == 1 else Origin(f"{origin.name}-{i + 1}", origin.path, origin.target)
        for i, origin in enumerate(found)
    ]
