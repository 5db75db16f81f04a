"""From a file to its lines: finding it, unpacking, decoding, and cutting at line ends. And what readers make of them.

A file may be packed (gzip, bzip2, xz, zstandard) or a member of an archive. It is UTF-8 with or without a byte order
mark, UTF-16 with one, or in an encoding that is named. Lines end at LF or CRLF and nowhere else. Python's `splitlines`
also breaks at U+2028, U+0085 and VT, which shifts one side of a corpus against the other.
"""

import bz2
import codecs
import difflib
import gzip
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias, cast

from attentio.errors import DataError, MissingExtra, UsageError
from attentio.text.encoding import byte_order_mark, guess_encoding

BLOCK_BYTES = 1 << 22
_LONGEST_LINE = 1 << 26  # bytes: a file of some kilobytes may unpack to one line larger than memory
PACKED = (".gz", ".bz2", ".xz", ".zst")
# What the libraries raise where a file is damaged. zipfile passes some errors on as they come.
DAMAGED = (
    *(EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile),
    *(struct.error, IndexError, KeyError, ValueError, RuntimeError),
)
_LINE_END = re.compile("(?:\r?\n)+")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Member(NamedTuple):
    """A file inside a zip or tar archive."""

    archive: Path
    inside: str

    def __str__(self) -> str:
        return f"{self.archive}:{self.inside}"

    @property
    def name(self) -> str:
        return Path(self.inside).name


File: TypeAlias = Path | Member
Row: TypeAlias = tuple[str, str, int]  # source, target, and the line where the pair begins, from 1
Languages: TypeAlias = tuple[str | None, str | None]


@dataclass(frozen=True)
class Origin:
    """Where one part of the data comes from: a built-in corpus, one file, or two aligned files."""

    name: str
    path: File | None = None
    target: File | None = None
    corpus: str | None = None  # the name of a built-in corpus
    links: Path | None = None  # its file of word links
    role: int = 0  # TRAIN, DEV or TEST of `split`

    @property
    def file(self) -> File:
        assert self.path is not None
        return self.path

    @property
    def where(self) -> str:
        """Its file, or the name of its corpus."""
        return str(self.path or self.name)

    @property
    def knows_links(self) -> bool:
        """Whether its word links are known by construction."""
        return self.corpus == "small-world"

    @property
    def linked(self) -> bool:
        return self.links is not None or self.knows_links


class Rows(NamedTuple):
    """The pairs of one origin. `languages` are those that the file names, None where it names none."""

    pairs: Iterator[Row]
    languages: Languages = (None, None)


def one_line(text: str) -> str:
    """Return a text with its line ends as spaces and without lone surrogates, which no encoding can write."""
    if "\n" in text:
        text = _LINE_END.sub(" ", text)
    return text if text.isascii() else _SURROGATE.sub("", text)


def existing(text: str, *, known: Iterable[str] = ()) -> Path:
    """Return the path of a file. Raise DataError with a suggestion where there is none.

    `known` are other names that the user may have meant.
    """
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file.", file=path)
    similar = _similar_file(path, known)
    hint = f"Did you mean {similar}?" if similar else None
    raise DataError(f"{path}: no such file.", hint=hint, code="E_DATA_MISSING", file=path)


def read_utf8(file: File) -> Iterator[str]:
    """Yield the lines as `read_lines` does, where no option names an encoding: then the hint names none either."""
    try:
        yield from read_lines(file)
    except DataError as error:
        if named := re.search(r"--encoding ([\w-]+)", error.hint or ""):
            error.hint = f"Convert it: iconv -f {named[1].upper().replace('-LE', 'LE')} -t UTF-8."
        raise


def read_lines(file: File, encoding: str | None = None) -> Iterator[str]:
    """Yield the lines of a text file, without their ends, decoded strictly.

    Raises DataError with line and byte where the file is in another encoding or damaged.
    """
    blocks = read_blocks(file)
    first = next(blocks, b"")
    mark, marked = byte_order_mark(first)
    name = encoding or marked or "utf-8"
    wide = find_codec(name).name.startswith(("utf-16", "utf-32"))
    blocks = _bounded(file, chain([first[len(mark) :]], blocks))
    yield from _split_lines(file, decode_stream(file, blocks, marked or name) if wide else _decode(file, blocks, name))


def find_codec(name: str) -> codecs.CodecInfo:
    """Return the codec of an encoding. Raise UsageError where there is none of that name."""
    try:
        return codecs.lookup(name)
    except LookupError:
        raise UsageError(f"unknown encoding {name!r}.", hint="For example gb18030, big5, utf-16-le.") from None


def read_blocks(file: File) -> Iterator[bytes]:
    """Yield the unpacked bytes of a file. Raise DataError where they are damaged."""
    with ExitStack() as stack:
        opened = _open(file, stack)
        try:
            while block := opened.read(BLOCK_BYTES):
                yield block
        except Exception as error:
            if isinstance(error, OSError) and not isinstance(error, DAMAGED):  # bz2 has no error of its own
                raise DataError(f"{file}: {error.strerror or error}.", file=str(file)) from None
            if not isinstance(error, DAMAGED) and type(error).__name__ != "ZstdError":  # of a module not always there
                raise
            raise DataError(f"{file} is damaged ({error}).", file=str(file)) from None


def _bounded(file: File, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass blocks on. Raise DataError where a line has more bytes than `_LONGEST_LINE`."""
    line, length = 1, 0
    for block in blocks:
        line += block.count(b"\n")
        length = len(block) - 1 - block.rfind(b"\n") if b"\n" in block else length + len(block)
        if length > _LONGEST_LINE:
            what = f"{file} line {line} has over {_LONGEST_LINE >> 20} MB."
            hint = "A line holds a sentence or a pair. Is this a text of lines?"
            raise DataError(what, hint=hint, file=str(file), line=line)
        yield block


def on_disk(file: File) -> Path:
    """Return the path of a file, or of the archive that it is in."""
    return file.archive if isinstance(file, Member) else file


def ends_with_crlf(file: File) -> bool:
    blocks = read_blocks(file)
    found = next(blocks, b"").partition(b"\n")[0].endswith(b"\r")
    cast(Any, blocks).close()
    return found


def decode_stream(file: File, blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Decode blocks that may be cut inside a character. Raise DataError where that fails."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)
    except UnicodeError as error:  # the codec of UTF-16 gives no reason where it misses the byte order mark
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error
        raise DataError(f"{file}: not {encoding} ({reason}).", code="E_DATA_ENCODING", file=str(file)) from None


def unpacked_name(file: File) -> str:
    """Return the name of a file without the ending that says how it is packed."""
    return next((file.name[: -len(end)] for end in PACKED if file.name.lower().endswith(end)), file.name)


# Unpacking


def _zstandard(file: IO[bytes]) -> IO[bytes]:
    for name in ("compression.zstd", "backports.zstd"):  # the module of Python 3.14, and the same for older ones
        with suppress(ImportError):
            return cast(Any, import_module(name)).open(file)
    hint = "pip install 'attentio[zstd]' (the package backports.zstd), or unpack it: unzstd FILE."
    raise MissingExtra(f"{file.name} is a zstandard file, which this Python cannot read.", hint=hint)


_UNPACKERS: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstandard),
)


def _open(file: File, stack: ExitStack) -> IO[bytes]:
    path = on_disk(file)
    try:
        outer = stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        existing(str(path))
        raise
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}.", file=path) from None
    if not isinstance(file, Member):
        head = outer.read(8)
        outer.seek(0)
        unpack = next((unpack for magic, unpack in _UNPACKERS if head.startswith(magic)), None)
        return stack.enter_context(unpack(outer)) if unpack else outer
    try:
        if zipfile.is_zipfile(outer):
            return stack.enter_context(stack.enter_context(zipfile.ZipFile(outer)).open(file.inside))
        outer.seek(0)
        archive = stack.enter_context(tarfile.open(fileobj=outer))  # noqa: SIM115
        return stack.enter_context(cast(IO[bytes], archive.extractfile(file.inside)))
    except (*DAMAGED, OSError) as error:  # encrypted, or packed in a rare way
        raise DataError(f"{file} cannot be unpacked ({error}).", hint="Unpack it yourself.", file=str(file)) from None


# Decoding


def _decode(file: File, blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Whole lines, decoded. Every encoding but UTF-16 and UTF-32 writes LF as the byte 0x0A, and only LF."""
    line = 1
    rest: list[bytes] = []
    for block in chain(blocks, [None]):  # None: the end, where the last line may have no end
        whole, newline, tail = (b"", b"", b"") if block is None else block.rpartition(b"\n")
        if not newline and block is not None:
            rest.append(block)
            continue
        data = b"".join((*rest, whole, newline))
        rest = [tail]
        try:
            yield data.decode(encoding)
        except UnicodeDecodeError as error:
            raise _not_decodable(file, data, error, line, encoding) from None
        line += data.count(b"\n")


def _split_lines(file: File, texts: Iterable[str]) -> Iterator[str]:
    rest: list[str] = []
    number = 0
    for text in texts:
        nul = text.find("\0")
        if nul >= 0:
            at = number + text.count("\n", 0, nul) + 1
            what = f"{file} line {at} has a NUL byte. Is this a binary or UTF-16 file?"
            hint = "If UTF-16: --encoding utf-16-le (or utf-16-be)."
            raise DataError(what, hint=hint, code="E_DATA_NUL", file=str(file), line=at)
        *lines, tail = text.split("\n")
        if lines:
            lines[0] = "".join((*rest, lines[0]))
            rest.clear()
        rest.append(tail)
        number += len(lines)
        for line in lines:
            yield line.removesuffix("\r")
    last = "".join(rest)
    if number == 0 and last.count("\r") > 1:
        raise DataError(f"{file} ends its lines with CR alone.", hint="Convert it: tr '\\r' '\\n'.", file=str(file))
    if last:
        yield last.removesuffix("\r")


def _not_decodable(file: File, data: bytes, error: UnicodeDecodeError, line: int, encoding: str) -> DataError:
    start = data.rfind(b"\n", 0, error.start) + 1
    at = line + data.count(b"\n", 0, error.start)
    guess = guess_encoding(data[start : start + (1 << 20)])
    name = "UTF-8" if encoding == "utf-8" else encoding
    what = f"{file} line {at}, byte {error.start - start + 1}: not {name} (0x{data[error.start]:02X})."
    upper = (guess or "").upper()
    hint = f"Looks like {upper}: --encoding {guess}, or iconv -f {upper} -t UTF-8." if guess else None
    return DataError(what, hint=hint, code="E_DATA_ENCODING", file=str(file), line=at)


# Suggestions


def _similar_file(path: Path, known: Iterable[str]) -> Path | str | None:
    folders = [folder for folder in (path.parent, Path()) if folder.is_dir()]
    folders += sorted(entry for entry in Path().iterdir() if entry.is_dir() and not entry.name.startswith("."))
    nearby: list[Path] = []
    for folder in dict.fromkeys(folders):
        with suppress(OSError):
            nearby += sorted(entry for entry in islice(folder.iterdir(), 2000) if entry.is_file())
    names = [entry.name for entry in nearby]
    close = difflib.get_close_matches(path.name, [*names, *known], n=1, cutoff=0.75)
    wanted = path.name if path.name in names else close[0] if close else None
    return next((entry for entry in nearby if entry.name == wanted), wanted)
