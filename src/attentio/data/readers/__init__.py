"""Readers of parallel text, one file for each format. `READERS` lists them by the endings of file names.

A new format is a module with one function and a row here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from attentio.data.readers.built_in import read_built_in
from attentio.data.readers.delimited import read_delimited
from attentio.data.readers.jsonl import read_json
from attentio.data.readers.lines import Origin, Rows, unpacked_name
from attentio.data.readers.tmx import read_tmx
from attentio.data.readers.two_files import read_two_files
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig


class Reader(NamedTuple):
    """A format of one file: the endings of its names, how it is read, and whether a line is a pair."""

    endings: tuple[str, ...]
    read: Callable[[Origin, DataConfig, DropLog], Rows]
    by_line: bool = True


READERS: dict[str, Reader] = {
    "tmx": Reader((".tmx",), read_tmx, by_line=False),
    "json": Reader((".jsonl", ".ndjson", ".json"), read_json),
    "delimited": Reader((".tsv", ".csv", ".tab", ".txt"), read_delimited),  # and whatever no other row names
}


def reader_of(origin: Origin) -> Reader:
    if origin.path is None or origin.target is not None:
        return Reader((), read_built_in if origin.path is None else read_two_files)
    suffix = Path(unpacked_name(origin.path)).suffix.lower()
    return next((reader for reader in READERS.values() if suffix in reader.endings), READERS["delimited"])
