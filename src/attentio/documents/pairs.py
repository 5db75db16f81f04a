"""Files of pairs that people keep beside a model (.tsv): glossaries, memories, corrections. A pair a line, by a tab."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from attentio.documents.decoding import decode
from attentio.errors import DataError, UsageError
from attentio.runtime.files import disk_errors

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Pair(NamedTuple):
    """A pair, and its line from 1."""

    source: str
    target: str
    line: int


def read_file(path: Path) -> bytes:
    """Return the content of a file. Raises DataError where there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}.", code="E_DATA_MISSING", file=path) from None


def read_pairs(content: bytes, name: str) -> Iterator[Pair]:
    """Yield the pairs of a TSV file. Empty lines and lines that begin with # are left out, and so is a third column.

    Raises DataError with the line where a side is missing.
    """
    for number, line in enumerate(decode(content, name).text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        source, _, rest = line.rstrip("\r").partition("\t")
        target = rest.partition("\t")[0]
        if not source.strip() or not target.strip():
            what = "no tab" if "\t" not in line else "an empty side"
            raise DataError(f"{name} line {number}: {what}.", hint="A line is source, tab, target.", line=number)
        yield Pair(source.strip(), target.strip(), number)


def append_pair(path: Path, source: str, target: str) -> None:
    """Add a pair to a TSV file that `attentio train` reads, whole or not at all, whoever else adds to it.

    White space becomes single spaces. Raises UsageError for an empty side, ResourceError where it cannot be written.
    """
    from filelock import FileLock

    sides = [_SURROGATE.sub("", _BREAKS.sub(" ", text)).strip() for text in (source, target)]
    if not all(sides):
        raise UsageError("a correction has a source and a target.")
    with disk_errors(path), FileLock(path.with_name(f"{path.name}.lock")):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(file).st_size
            unended = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            line = ("\n" if unended else "") + "\t".join(sides) + "\n"
            content = line.encode("utf-8")
            try:
                if os.write(file, content) != len(content):
                    raise OSError(28, os.strerror(28))
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
