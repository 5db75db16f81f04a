"""`attentio translate` into a folder: parts that are each whole, so that the same command goes on where it ended."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from attentio.errors import DataError, MissingExtra, UsageError
from attentio.runtime.files import sha256_of

JSON_LINES = (".jsonl", ".ndjson")


def is_folder(path: str | None) -> bool:
    """Return whether an output is a folder: one that is there, or a name that ends as folders do."""
    return path is not None and (path.endswith(("/", "\\")) or Path(path).is_dir())


Chunk = TypeVar("Chunk", bound=Sized)


def write_parts(
    folder: Path,
    about: Mapping[str, str],
    chunks: Iterable[Chunk],
    source: Callable[[Chunk], str],
    answers: Callable[[Chunk, int], bytes],
    *,
    total: int | None,
    ending: str,
) -> None:
    """Write the answers to chunks of lines as parts of a folder. Those that are there already are kept.

    about: what the parts are of. source: gives what says whether a chunk is the same. answers: gives the part for a
    chunk, of which the first line has a number from 0. total: how many lines there are, where that is known.
    """
    from attentio.cli.progress import display
    from attentio.runtime.parts import Parts

    kept = count = done = 0
    shown = display(quiet=total is None)
    with Parts.opened(folder, ending, about) as parts:
        try:
            for chunk in chunks:
                if parts.has(count, source(chunk)):
                    kept += 1
                else:
                    parts.write(count, source(chunk), answers(chunk, done))
                count, done = count + 1, done + len(chunk)
                if total:
                    shown.show({"lines": f"{done:,} of {total:,}", "parts": f"{count:,}"}, done / total)
        finally:
            shown.close()
        parts.end(count)
    before = f", {kept:,} of them from before" if kept else ""
    parts_made = f"{count:,} {'part' if count == 1 else 'parts'}"
    sys.stderr.write(f"done   {folder}  {parts_made} of {done:,} {'line' if done == 1 else 'lines'}{before}\n")


def chunks_of(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    """Yield lines, so many at once."""
    while chunk := list(islice(lines, size)):
        yield chunk


class Tables:
    """Parquet files, of which one column is translated."""

    def __init__(self, files: Sequence[Path], field: str) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            hint = "pip install 'attentio[parquet]'"
            raise MissingExtra(f"Parquet files need a package ({error}).", hint=hint) from error
        self._arrow: Any = pyarrow
        self._parquet: Any = parquet
        self._field = field
        self._files = [(path, self._opened(path)) for path in files]
        self.total = sum(file.metadata.num_rows for _, file in self._files)

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

    def chunks(self, size: int) -> Iterator[Any]:
        """Yield rows, at most so many at once. Raises DataError where a file is damaged."""
        for path, file in self._files:
            try:
                yield from file.iter_batches(batch_size=size)
            except (OSError, self._arrow.ArrowException) as error:
                raise DataError(f"{path} is damaged ({_line(error)}).", file=path) from None

    def source(self, rows: Any) -> str:
        """Return what says whether rows are the same."""
        return sha256_of(rows.serialize().to_pybytes())

    def texts(self, rows: Any) -> list[str]:
        """Return the texts of rows, each on one line. A row without one has an empty text."""
        return [" ".join((text or "").split("\n")) for text in rows.column(self._field).to_pylist()]

    def answer(self, rows: Any, translations: Sequence[str]) -> bytes:
        """Return the rows with their translations as a Parquet file."""
        table = self._arrow.Table.from_batches([rows])
        if "translation" in table.column_names:
            table = table.drop_columns(["translation"])
        content = self._arrow.BufferOutputStream()
        self._parquet.write_table(table.append_column("translation", self._arrow.array(list(translations))), content)
        return content.getvalue().to_pybytes()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def tables_of(files: Sequence[Path], field: str | None) -> Tables | None:
    """Return Parquet files, or None where there are others."""
    named = [path.suffix.lower() == ".parquet" for path in files]
    return Tables(files, field or "text") if named and all(named) else None


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
