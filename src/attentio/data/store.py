"""A cleaned copy of the pairs on disk, written once and read side by side in the chunks it was written in.

It exists only while data is prepared. One chunk is one block of bytes for each side, so that reading costs one decode
and one split, and no line is handled by itself.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from attentio.errors import ResourceError


class _Block(NamedTuple):
    start: int  # number of its first pair
    pairs: int
    offset: int  # where its bytes begin, source first
    source_bytes: int
    target_bytes: int


class CleanStore:
    """Cleaned pairs in order; texts must hold no line end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: list[_Block] = []
        self._file = path.open("w+b")

    def __len__(self) -> int:
        return self._blocks[-1].start + self._blocks[-1].pairs if self._blocks else 0

    def add(self, sources: list[str], targets: list[str]) -> None:
        """Append a chunk."""
        if not sources:
            return
        sides = ["\n".join(side).encode() for side in (sources, targets)]
        self._blocks.append(_Block(len(self), len(sources), self._file.tell(), len(sides[0]), len(sides[1])))
        try:
            self._file.writelines(sides)
        except OSError as error:
            raise ResourceError(f"cannot write {self._path}: {error.strerror}.") from None

    def side(self, number: int) -> Iterator[tuple[int, list[str]]]:
        """The texts of one side (0 source, 1 target), each chunk with the number of its first pair."""
        for block in self._blocks:
            offset = block.offset + (block.source_bytes if number else 0)
            yield block.start, self._read(offset, block.target_bytes if number else block.source_bytes)

    def pairs(self) -> Iterator[tuple[int, list[str], list[str]]]:
        """Both sides, each chunk with the number of its first pair."""
        for block in self._blocks:
            sources = self._read(block.offset, block.source_bytes)
            yield block.start, sources, self._read(block.offset + block.source_bytes, block.target_bytes)

    def _read(self, offset: int, size: int) -> list[str]:
        self._file.seek(offset)
        return self._file.read(size).decode().split("\n")

    def close(self) -> None:
        """Close and delete the copy."""
        self._file.close()
        self._path.unlink(missing_ok=True)
