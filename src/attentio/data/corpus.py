"""Encoded sentence pairs in memory-mapped files, so that a corpus may be larger than memory.

A corpus is a folder: for each side one flat file of token ids and one of offsets, and a manifest. It knows nothing of
text or of batches. Sentences are stored without begin and end, which `batch` adds.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from attentio.errors import DataError
from attentio.runtime.files import new_folder, read_json, sha256, sha256_of

MANIFEST = "corpus.json"
_FORMAT = 1
_PREPARE_AGAIN = "Prepare the data again."

Encoded: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


class Side:
    """One side of a corpus: `tokens`, the ids end to end, and `offsets` (N+1), where each sentence begins."""

    def __init__(self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> None:
        self.tokens = tokens
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Return the ids of one sentence, without begin and end."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def rows(self, indices: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Return the ids of some sentences end to end, and the length of each."""
        starts = self.offsets[indices]
        lengths = self.offsets[indices + 1] - starts
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.tokens[np.repeat(starts, lengths) + within], lengths

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Number of tokens of each sentence, without begin and end."""
        return np.diff(self.offsets).astype(np.int32)


class EncodedCorpus:
    """Pairs of encoded sentences, opened lazily from a folder that `write_corpus` wrote."""

    def __init__(self, source: Side, target: Side, manifest: dict[str, Any] | None = None) -> None:
        if len(source) != len(target):
            raise ValueError(f"{len(source)} sources but {len(target)} targets")
        self.source = source
        self.target = target
        self.manifest = manifest or {}

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map the files of `folder` without reading them. Raise DataError where the folder is damaged."""
        path = folder / MANIFEST
        manifest = read_json(path)
        if manifest is None:
            what = f"{path} is damaged" if path.exists() else f"{folder}: no encoded corpus here"
            raise DataError(f"{what}.", hint=_PREPARE_AGAIN, file=folder)
        if manifest.get("format") != _FORMAT:
            what = f"{folder}: corpus format {manifest.get('format')}, this version reads {_FORMAT}."
            raise DataError(what, hint=_PREPARE_AGAIN, file=folder)
        sides: list[Side] = []
        for side in ("source", "target"):
            tokens = _map(folder / f"{side}.tokens", manifest[side]["dtype"], manifest[side]["tokens"])
            sides.append(Side(tokens, _map(folder / f"{side}.offsets", "int64", manifest["pairs"] + 1)))
        return cls(sides[0], sides[1], manifest)

    @classmethod
    def from_lists(cls, source: list[list[int]], target: list[list[int]]) -> Self:
        """Return a small corpus in memory, for tests and examples."""

        def side(sentences: list[list[int]]) -> Side:
            tokens = np.array([i for ids in sentences for i in ids], dtype=np.int32)
            return Side(tokens, np.cumsum([0, *map(len, sentences)], dtype=np.int64))

        return cls(side(source), side(target))

    def __len__(self) -> int:
        return len(self.source)

    def verify(self) -> None:
        """Compare every file with the SHA-256 in the manifest. Raise DataError where one differs."""
        for name, expected in self.manifest["sha256"].items():
            side = self.source if name.startswith("source") else self.target
            array = side.tokens if name.endswith("tokens") else side.offsets
            # Read as a file: what is read through the map would all count as memory of this process.
            mapped = isinstance(array, np.memmap)
            found = sha256(Path(str(array.filename))) if mapped else sha256_of(np.ascontiguousarray(array).tobytes())
            if found != expected:
                raise DataError(f"the encoded corpus is damaged: {name}.", hint=_PREPARE_AGAIN)


@contextmanager
def write_corpus(folder: Path, source_vocab_size: int, target_vocab_size: int) -> Generator["CorpusWriter"]:
    """Give a writer of a corpus, in bounded memory. The folder appears whole when the block ends without an error."""
    with new_folder(folder) as partial:
        with ExitStack() as stack:
            sizes = {"source": source_vocab_size, "target": target_vocab_size}
            sides = [_SideWriter(partial, side, size, stack) for side, size in sizes.items()]
            yield CorpusWriter(sides)
        manifest: dict[str, Any] = {"format": _FORMAT, "pairs": sides[0].sentences, "sha256": {}}
        for side in sides:
            manifest[side.name] = {"tokens": side.tokens, "dtype": side.dtype.name, "vocab_size": side.vocab_size}
            manifest["sha256"] |= {path.name: sha256(path) for path in side.paths}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


class CorpusWriter:
    """What `write_corpus` gives: takes encoded pairs, chunk by chunk."""

    def __init__(self, sides: "Sequence[_SideWriter]") -> None:
        self._sides = sides

    def add(self, source: Encoded, target: Encoded) -> None:
        """Append pairs, each side as (ids end to end, length of each sentence), as `Tokenizer.encode_lines` gives."""
        if len(source[1]) != len(target[1]):
            raise ValueError(f"{len(source[1])} sources but {len(target[1])} targets")
        for writer, (tokens, lengths) in zip(self._sides, (source, target), strict=True):
            writer.add(tokens, lengths)


class _SideWriter:
    def __init__(self, folder: Path, name: str, vocab_size: int, stack: ExitStack) -> None:
        self.name = name
        self.vocab_size = vocab_size
        self.dtype = np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.int32)
        self.tokens = self.sentences = 0
        self.paths = [folder / f"{name}.{kind}" for kind in ("tokens", "offsets")]
        self._tokens_file, self._offsets_file = (stack.enter_context(path.open("wb")) for path in self.paths)
        self._offsets_file.write(np.zeros(1, dtype=np.int64).data)

    def add(self, tokens: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64]) -> None:
        if int(lengths.sum()) != len(tokens):
            raise ValueError(f"{len(tokens)} tokens, but the lengths add up to {int(lengths.sum())}")
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.vocab_size:
            raise ValueError(f"a token id is outside 0..{self.vocab_size - 1}")
        self._tokens_file.write(np.ascontiguousarray(tokens.astype(self.dtype)).data)
        self._offsets_file.write((self.tokens + np.cumsum(lengths, dtype=np.int64)).data)
        self.tokens += len(tokens)
        self.sentences += len(lengths)


def _map(path: Path, dtype: str, size: int) -> npt.NDArray[Any]:
    actual, expected = path.stat().st_size if path.exists() else None, size * np.dtype(dtype).itemsize
    if actual != expected:
        what = f"{path}: missing from the encoded corpus."
        if actual is not None:
            what = f"{path} is truncated ({actual:,} bytes, should be {expected:,})."
        raise DataError(what, hint=_PREPARE_AGAIN, file=path)
    if size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=(size,))
