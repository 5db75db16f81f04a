"""A cleaned copy of the pairs on disk, with their known links. It is written once, and read in the same chunks.

It exists only while data is prepared. A chunk is one block of bytes for each side. So reading costs one decode and one
split, and no line is handled by itself.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from attentio.errors import ResourceError

SpanLinks: TypeAlias = npt.NDArray[np.int32]  # (L, 4): start and end of a source word and of the target word it links
NO_LINKS: SpanLinks = np.empty((0, 4), dtype=np.int32)


class StoredChunk(NamedTuple):
    """Pairs that were added together. `start` is the number of the first, and `links` has an entry for each pair."""

    start: int
    sources: list[str]
    targets: list[str]
    links: list[SpanLinks] | None


class _Block(NamedTuple):
    start: int
    pairs: int
    offset: int  # where its bytes begin: source, target, numbers of links, links
    sizes: tuple[int, int, int, int]


class CleanStore:
    """Cleaned pairs in order. Texts must hold no line end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: list[_Block] = []
        self._file = path.open("w+b")

    def __len__(self) -> int:
        return self._blocks[-1].start + self._blocks[-1].pairs if self._blocks else 0

    def add(self, sources: list[str], targets: list[str], links: Sequence[SpanLinks] | None = None) -> None:
        """Append a chunk. links: of each pair, where any are known."""
        if not sources:
            return
        parts = ["\n".join(side).encode() for side in (sources, targets)]
        if links is None:
            parts += [b"", b""]
        else:
            counts = np.fromiter(map(len, links), dtype=np.int64, count=len(links))
            parts += [counts.tobytes(), np.concatenate(links).tobytes()]
        sizes = (len(parts[0]), len(parts[1]), len(parts[2]), len(parts[3]))
        self._blocks.append(_Block(len(self), len(sources), self._file.tell(), sizes))
        try:
            self._file.writelines(parts)
        except OSError as error:
            raise ResourceError(f"cannot write {self._path}: {error.strerror or error}.") from None

    def side(self, number: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the texts of one side (0 source, 1 target), each chunk with the number of its first pair."""
        for block in self._blocks:
            yield block.start, self._part(block, number).decode().split("\n")

    def chunks(self) -> Iterator[StoredChunk]:
        """Yield all chunks."""
        for block in self._blocks:
            sources, targets = (self._part(block, number).decode().split("\n") for number in (0, 1))
            links = None
            if block.sizes[2]:
                counts = np.frombuffer(self._part(block, 2), dtype=np.int64)
                rows = np.frombuffer(self._part(block, 3), dtype=np.int32).reshape(-1, 4)
                links = np.split(rows, np.cumsum(counts)[:-1])
            yield StoredChunk(block.start, sources, targets, links)

    def _part(self, block: _Block, number: int) -> bytes:
        self._file.seek(block.offset + sum(block.sizes[:number]))
        return self._file.read(block.sizes[number])

    def close(self) -> None:
        """Close and delete the copy."""
        self._file.close()
        self._path.unlink(missing_ok=True)
