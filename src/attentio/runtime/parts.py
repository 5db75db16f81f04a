"""A folder of parts: a long output in files that are whole or not there, so that an interrupted work goes on.

`parts.jsonl` says what the parts are of, and for each one what it was made from and the SHA-256 of both. A part that
is not in it, or that was altered, is made again. What a part holds is decided elsewhere.
"""

import contextlib
import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Self

from attentio.errors import UsageError
from attentio.runtime.files import disk_errors, hold, make_folder, sha256, sha256_of, write_bytes, write_text

INDEX = "parts.jsonl"
SCHEMA = 1


class Parts:
    """The parts in a folder, numbered from 0. `ending` is that of their names."""

    def __init__(self, folder: Path, ending: str, known: Mapping[int, tuple[str, str]]) -> None:
        self._folder = folder
        self._ending = ending
        self._known = dict(known)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path, ending: str, about: Mapping[str, str]) -> Generator[Self]:
        """Give the parts of a folder, which no other process may write meanwhile.

        about: what the parts are of, by names that people know. Raises UsageError where the folder holds parts of
        something else, or other files, and ResourceError where it cannot be written.
        """
        with disk_errors(folder):
            make_folder(folder)
        with hold(folder, "writing parts"):
            path = folder / INDEX
            known = cls._read(folder, about) if path.exists() else None
            if known is None:
                others = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
                if others and others != [INDEX]:
                    raise UsageError(
                        f"{folder} holds other files, such as {others[0]}.",
                        hint="Choose an empty folder, or a new one.",
                    )
                write_text(path, json.dumps({"schema": SCHEMA, "about": dict(about)}, ensure_ascii=False) + "\n")
            with disk_errors(folder):
                for left in folder.glob(".part-*.partial"):  # of a process that was killed while it wrote
                    left.unlink()
            yield cls(folder, ending, known or {})

    @staticmethod
    def _read(folder: Path, about: Mapping[str, str]) -> dict[int, tuple[str, str]] | None:
        """Return which parts were written, or None where nothing says what they are of."""
        lines = (folder / INDEX).read_text(encoding="utf-8", errors="replace").split("\n")
        rows = [row for row in map(_row, lines) if row is not None]
        if not rows or "about" not in rows[0]:
            return None
        before = rows[0]["about"]
        for name in [*about, *before]:
            if before.get(name) != about.get(name):
                raise UsageError(
                    f"{folder} holds parts of another translation: {name} was {before.get(name)!r}, and is "
                    f"{about.get(name)!r}.",
                    hint="Choose another folder.",
                )
        return {
            row["part"]: (row["source"], row["sha256"]) for row in rows[1:] if {"part", "source", "sha256"} <= {*row}
        }

    def path(self, number: int) -> Path:
        """Return where a part is."""
        return self._folder / f"part-{number:06d}{self._ending}"

    def has(self, number: int, made_from: str) -> bool:
        """Return whether a part was made from what has this SHA-256, and is as it was written."""
        source, digest = self._known.get(number, ("", ""))
        path = self.path(number)
        return source == made_from and path.is_file() and sha256(path) == digest

    def write(self, number: int, made_from: str, content: bytes) -> None:
        """Write a part that was made from what has this SHA-256. Raises ResourceError, and then nothing has changed."""
        write_bytes(self.path(number), content)
        self._known[number] = made_from, sha256_of(content)
        row = {"part": number, "source": made_from, "sha256": self._known[number][1]}
        with disk_errors(self._folder), (self._folder / INDEX).open("a", encoding="utf-8") as index:
            index.write(f"\n{json.dumps(row)}\n")  # a line that was cut short before stays by itself
            index.flush()
            os.fsync(index.fileno())

    def end(self, count: int) -> None:
        """Say that there are `count` parts: those after them, of a longer source, are removed."""
        with disk_errors(self._folder):
            for path in self._folder.glob(f"part-*{self._ending}"):
                number = path.name[len("part-") : -len(self._ending)]
                if number.isdigit() and int(number) >= count:
                    path.unlink()


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
