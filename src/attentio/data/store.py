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


class CleanStore:
    """Cleaned pairs in order. Texts must hold no line end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._pairs = 0
        # Of each chunk: its first pair, where its bytes begin, and the sizes of source, target, link counts and links.
        self._blocks: list[tuple[int, int, list[int]]] = []

    def __len__(self) -> int:
        return self._pairs

    def add(self, sources: list[str], targets: list[str], links: Sequence[SpanLinks] | None = None) -> None:
        """Append a chunk. links: of each pair, where any are known."""
        if not sources:
            return
        parts = ["\n".join(side).encode() for side in (sources, targets)]
        if links is not None:
            parts += [np.array([*map(len, links)], dtype=np.int64).tobytes(), np.concatenate(links).tobytes()]
        self._blocks.append((self._pairs, self._file.tell(), [*map(len, parts)]))
        self._pairs += len(sources)
        try:
            self._file.writelines(parts)
        except OSError as error:
            raise ResourceError(f"cannot write {self._path}: {error.strerror or error}.") from None

    def chunks(self) -> Iterator[StoredChunk]:
        for start, offset, sizes in self._blocks:
            self._file.seek(offset)
            source, target, *known = map(self._file.read, sizes)
            links = None
            if known:
                rows = np.frombuffer(known[1], dtype=np.int32).reshape(-1, 4)
                links = np.split(rows, np.cumsum(np.frombuffer(known[0], dtype=np.int64))[:-1])
            yield StoredChunk(start, source.decode().split("\n"), target.decode().split("\n"), links)

    def close(self) -> None:
        """Close and delete the copy."""
        self._file.close()
        self._path.unlink(missing_ok=True)
