"""`attentio translate` into a folder: parts that are each whole, so that the same command goes on where it ended."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from attentio.cli.lines import LineWork, read_lines
from attentio.errors import DataError, MissingExtra, UsageError
from attentio.runtime.files import sha256_of

if TYPE_CHECKING:
    from attentio.cli.notes import Notes
    from attentio.runtime.parts import Parts
    from attentio.translator import Translator

JSON_LINES = (".jsonl", ".ndjson")


def is_folder(path: str | None) -> bool:
    """Return whether an output is a folder: one that is there, or a name that ends as folders do."""
    return path is not None and (path.endswith(("/", "\\")) or Path(path).is_dir())


class Done(NamedTuple):
    """A part of an output. made_from: the SHA-256 of its lines. content: None where it was there before."""

    number: int
    made_from: str
    lines: int
    content: bytes | None = None


class Job(NamedTuple):
    """A translation that other processes are to do: with which model, what is asked of it, and how it computes."""

    run: Path
    work: LineWork
    device: str
    precision: str


class Source(Protocol):
    """Lines or rows that are translated in chunks. It can be sent to another process where it is made of files."""

    ending: str  # of the names of parts

    def count(self) -> int | None:
        """Return how many lines there are, None where that is not known before."""
        ...

    def chunks(self) -> Iterator[Any]:
        """Yield chunks, at most so many lines at once."""
        ...

    def digest(self, chunk: Any) -> str:
        """Return the SHA-256 of a chunk."""
        ...

    def texts(self, work: LineWork, chunk: Any, first: int) -> list[str]:
        """Return what is translated of a chunk, of which the first line has a number from 0."""
        ...

    def content(self, work: LineWork, translator: "Translator", notes: "Notes", chunk: Any, first: int) -> bytes:
        """Return the part for a chunk."""
        ...


def numbered(source: Source) -> Iterator[tuple[int, int, Any]]:
    """Yield each chunk with its number and the number of its first line, both from 0."""
    first = 0
    for number, chunk in enumerate(source.chunks()):
        yield number, first, chunk
        first += len(chunk)


def compared(work: LineWork, source: Source, notes: "Notes", parts: "Parts") -> Iterator[tuple[Done, int, Any]]:
    """Yield each part without its content, the number of its first line, and its chunk unless the part is there."""
    for number, first, chunk in numbered(source):
        part = Done(number, source.digest(chunk), len(chunk))
        there = parts.has(number, part.made_from)
        if first == 0 and not there:
            notes.check_language(source.texts(work, chunk, first))
        yield part, first, None if there else chunk


def translated(
    translator: "Translator", work: LineWork, source: Source, notes: "Notes", parts: "Parts"
) -> Iterator[Done]:
    """Yield all parts, in their order. Those that are not there yet are translated in this process."""
    for part, first, chunk in compared(work, source, notes, parts):
        content = None if chunk is None else source.content(work, translator, notes, chunk, first)
        yield part._replace(content=content)


def write_parts(
    folder: Path, about: Mapping[str, str], source: Source, translate: "Callable[[Parts], Iterator[Done]]"
) -> None:
    """Write parts into a folder as they come. Those that are there already are kept.

    about: what the parts are of. translate: yields all parts, in any order.
    """
    from attentio.cli.progress import display
    from attentio.runtime.parts import Parts

    kept = count = done = 0
    with Parts.opened(folder, source.ending, about) as parts:
        total = source.count()
        shown = display(quiet=total is None)
        try:
            for part in translate(parts):
                if part.content is None:
                    kept += 1
                else:
                    parts.write(part.number, part.made_from, part.content)
                count, done = count + 1, done + part.lines
                if total:
                    shown.show({"lines": f"{done:,} of {total:,}", "parts": f"{count:,}"}, done / total)
        finally:
            shown.close()
        parts.end(count)
    before = f", {kept:,} of them from before" if kept else ""
    parts_made = f"{count:,} {'part' if count == 1 else 'parts'}"
    sys.stderr.write(f"done   {folder}  {parts_made} of {done:,} {'line' if done == 1 else 'lines'}{before}\n")


class TextLines:
    """Lines of text or JSON. lines: those of the files, or of standard input where there are no files."""

    def __init__(
        self, files: Sequence[Path], lines: Iterator[str], objects: "Objects | None", size: int, *, as_json: bool
    ) -> None:
        self._files = files
        self._lines = lines
        self._objects = objects
        self._size = size
        self.ending = ".jsonl" if objects is not None or as_json else ".txt"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": [path.resolve() for path in self._files], "_lines": None}

    def count(self) -> int | None:
        return sum(1 for _ in read_lines(self._files, self._objects)) if self._files else None

    def chunks(self) -> Iterator[list[str]]:
        lines = read_lines(self._files, self._objects) if self._files else self._lines
        while chunk := list(islice(lines, self._size)):
            yield chunk

    def digest(self, chunk: list[str]) -> str:
        return sha256_of("\n".join(chunk))

    def texts(self, work: LineWork, chunk: list[str], first: int) -> list[str]:
        return work.texts(chunk, first)

    def content(self, work: LineWork, translator: "Translator", notes: "Notes", chunk: list[str], first: int) -> bytes:
        return "".join(f"{line}\n" for line in work.answers(translator, notes, chunk, first)).encode()


class Tables:
    """Parquet files, of which one column is translated."""

    ending = ".parquet"

    def __init__(self, files: Sequence[Path], field: str, size: int) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            hint = "pip install 'attentio[parquet]'"
            raise MissingExtra(f"Parquet files need a package ({error}).", hint=hint) from error
        self._arrow: Any = pyarrow
        self._parquet: Any = parquet
        self._field = field
        self._size = size
        self._files = [(path, self._opened(path)) for path in files]

    def __reduce__(self) -> tuple[Any, ...]:
        return Tables, ([path.resolve() for path, _ in self._files], self._field, self._size)

    def _opened(self, path: Path) -> Any:
        from attentio.data.readers.lines import existing

        try:
            file = self._parquet.ParquetFile(existing(str(path)))
        except (OSError, self._arrow.ArrowException) as error:
            raise DataError(f"{path} is no Parquet file, or damaged ({_line(error)}).", file=path) from None
        column = {field.name: field.type for field in file.schema_arrow}.get(self._field)
        if column is None or not (self._arrow.types.is_string(column) or self._arrow.types.is_large_string(column)):
            raise DataError(f"{path} has no text {self._field!r}.", hint="Name the column with --field.", file=path)
        return file

    def count(self) -> int:
        return sum(file.metadata.num_rows for _, file in self._files)

    def chunks(self) -> Iterator[Any]:
        """Yield rows, at most so many at once. Raises DataError where a file is damaged."""
        for path, file in self._files:
            try:
                yield from file.iter_batches(batch_size=self._size)
            except (OSError, self._arrow.ArrowException) as error:
                raise DataError(f"{path} is damaged ({_line(error)}).", file=path) from None

    def digest(self, chunk: Any) -> str:
        return sha256_of(sha256_of(chunk.serialize().to_pybytes()))

    def texts(self, work: LineWork, chunk: Any, first: int) -> list[str]:
        """Return the texts of rows, each on one line. A row without one has an empty text."""
        return [" ".join((text or "").split("\n")) for text in chunk.column(self._field).to_pylist()]

    def content(self, work: LineWork, translator: "Translator", notes: "Notes", chunk: Any, first: int) -> bytes:
        """Return the rows with their translations as a Parquet file."""
        translations = work.answers(translator, notes, self.texts(work, chunk, first), first)
        table = self._arrow.Table.from_batches([chunk])
        if "translation" in table.column_names:
            table = table.drop_columns(["translation"])
        content = self._arrow.BufferOutputStream()
        self._parquet.write_table(table.append_column("translation", self._arrow.array(translations)), content)
        return content.getvalue().to_pybytes()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def tables_of(files: Sequence[Path], field: str | None, size: int) -> Tables | None:
    """Return Parquet files, or None where there are others."""
    named = [path.suffix.lower() == ".parquet" for path in files]
    return Tables(files, field or "text", size) if named and all(named) else None


def digest_of(run: Path) -> str:
    """Return the SHA-256 of what the folder of a model says of its files."""
    from attentio.exported import is_exported
    from attentio.runtime.files import sha256_of_json
    from attentio.runtime.sealed import read_manifest

    if is_exported(run):
        return sha256_of_json(read_manifest(run))
    from attentio.bundle import model_folder

    return sha256_of_json(read_manifest(model_folder(run)))


def content_of(path: Path | None) -> str:
    """Return the SHA-256 of a file, and nothing for none."""
    from attentio.runtime.files import sha256

    return "" if path is None else sha256(path)


class Objects:
    """JSON objects, one a line, of which one field is translated."""

    def __init__(self, field: str) -> None:
        self._field = field

    def text(self, line: str, number: int) -> str:
        """Return the text of an object, on one line. Raises DataError where there is none.

        number: of the line, from 1.
        """
        if not line.strip():
            return ""
        found = self._object(line).get(self._field)
        if not isinstance(found, str):
            raise DataError(
                f"line {number} has no text {self._field!r}.", hint="Name the field with --field.", line=number
            )
        return " ".join(found.split("\n"))

    def answer(self, line: str, translation: str) -> str:
        """Return the object with its translation."""
        return (
            json.dumps({**self._object(line), "translation": translation}, ensure_ascii=False) if line.strip() else ""
        )

    def _object(self, line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {}


def objects_of(files: Sequence[Path], format_: str, field: str | None) -> Objects | None:
    """Return how JSON objects are read, or None where lines are text. Raises UsageError for a field of text."""
    from attentio.data.readers.lines import unpacked_name

    named = [Path(unpacked_name(path)).suffix.lower() in JSON_LINES for path in files]
    if format_ == "jsonl" or (format_ == "auto" and named and all(named)):
        return Objects(field or "text")
    if field is not None:
        raise UsageError("--field is about JSON lines and Parquet.", hint="Add --format jsonl.")
    return None
