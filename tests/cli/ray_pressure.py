"""Bulk translation on Ray of a corpus that is much larger than what may be read ahead, by actors that are slow.

    python ray_pressure.py FOLDER READABLE

The first time that Ray reads the corpus, and every time where READABLE is 0, it ends after three quarters, without an
error. Written as JSON: the chunks that were read, the most that were read and not done, and the niceness of actors.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attentio.cli import on_ray
from attentio.cli.bulk import Done, Job, write_parts
from attentio.cli.lines import LineWork
from attentio.cli.notes import Notes
from attentio.errors import AttentioError
from attentio.runtime.parts import Parts
from attentio.search.batched import SearchConfig
from attentio.translator import Translator

CHUNKS, CHUNK_BYTES, AHEAD_BYTES = 120, 1 << 20, 8 << 20


class Corpus:
    """Chunks of one long line. Those that Ray reads and those that are done are bytes of two files."""

    ending = ".txt"

    def __init__(self, folder: Path, *, readable: bool) -> None:
        self._folder = folder
        self._readable = readable
        self._process = os.getpid()

    def size(self, name: str) -> int:
        path = self._folder / name
        return path.stat().st_size if path.exists() else 0

    def note(self, name: str, content: str = ".") -> None:
        with (self._folder / name).open("a", encoding="ascii") as file:
            file.write(content)

    def count(self) -> int:
        return CHUNKS

    def chunks(self) -> Iterator[list[str]]:
        by_ray = os.getpid() != self._process
        last = 3 * CHUNKS // 4 if by_ray and (self.size("read") == 0 or not self._readable) else CHUNKS
        for number in range(last):
            if by_ray:
                self.note("read")
            yield [f"{number:08}" * (CHUNK_BYTES // 8)]

    def digest(self, chunk: list[str]) -> str:
        return hashlib.sha256(chunk[0].encode()).hexdigest()

    def texts(self, work: Any, chunk: list[str], first: int) -> list[str]:
        return ["I see a cat."]

    def content(self, work: Any, translator: Any, notes: Any, chunk: list[str], first: int) -> bytes:
        time.sleep(0.1)
        self.note("niceness", f"{os.nice(0)}\n")
        return chunk[0][:8].encode()


def main(folder: Path, *, readable: bool) -> None:
    corpus, most = Corpus(folder, readable=readable), 0
    translator = Translator.load("small-world", device="cpu")
    work = LineWork(
        SearchConfig(workers=2), split=False, trace=False, prefix="", require=(), forbid=(), terms=None, memory=None,
        objects=None, nbest=0, alignments=False, as_json=False,
    )  # fmt: skip
    notes = Notes(translator)

    def translate(parts: Parts) -> Iterator[Done]:
        nonlocal most
        for done, part in enumerate(on_ray.translated(Job(model, work, "cpu", "fp32"), corpus, notes, parts)):
            if corpus.size("read") <= 3 * CHUNKS // 4:  # the second time, it reads past what is there
                most = max(most, corpus.size("read") - done)
            yield part

    model = Path(on_ray.__file__).parents[1] / "models" / "small-world"
    on_ray.check_installed()
    on_ray.AHEAD_BYTES = AHEAD_BYTES
    try:
        write_parts(folder / "parts", {}, corpus, translate)
    except AttentioError as error:
        print(error)
        sys.exit(error.exit_status)
    niceness = sorted(set((folder / "niceness").read_text(encoding="ascii").split()))
    print(json.dumps({"read": corpus.size("read"), "ahead": most, "niceness": niceness}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), readable=sys.argv[2] != "0")
