"""`attentio translate` into a folder: parts that are each whole, so that the same command goes on where it ended."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from attentio.errors import DataError, UsageError

JSON_LINES = (".jsonl", ".ndjson")


def is_folder(path: str | None) -> bool:
    """Return whether an output is a folder: one that is there, or a name that ends as folders do."""
    return path is not None and (path.endswith(("/", "\\")) or Path(path).is_dir())


def write_parts(
    folder: Path,
    about: Mapping[str, str],
    lines: Iterator[str],
    answers: Callable[[list[str], int], Sequence[str]],
    *,
    total: int | None,
    part_lines: int,
    ending: str,
) -> None:
    """Write the answers to lines as parts of a folder. Those that are there already are kept.

    about: what the parts are of. answers: gives the output for lines, of which the first has a number from 0.
    total: how many lines there are, where that is known.
    """
    from attentio.cli.progress import display
    from attentio.runtime.parts import Parts

    written = kept = count = done = 0
    shown = display(quiet=total is None)
    with Parts.opened(folder, ending, about) as parts:
        try:
            while chunk := list(islice(lines, part_lines)):
                source = "\n".join(chunk)
                if parts.has(count, source):
                    kept += 1
                else:
                    parts.write(count, source, "".join(f"{line}\n" for line in answers(chunk, done)))
                    written += 1
                count, done = count + 1, done + len(chunk)
                if total:
                    shown.show({"lines": f"{done:,} of {total:,}", "parts": f"{count:,}"}, done / total)
        finally:
            shown.close()
        parts.end(count)
    before = f", {kept:,} of them from before" if kept else ""
    sys.stderr.write(f"done   {folder}  {count:,} parts of {done:,} lines{before}\n")


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
        raise UsageError("--field is about JSON lines.", hint="Add --format jsonl.")
    return None
