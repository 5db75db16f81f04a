"""Two aligned files: line n of one is the translation of line n of the other."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from attentio.data.readers.languages import is_tag, known_language
from attentio.data.readers.lines import File, Origin, Row, Rows, read_lines, unpacked_name
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError


def read_two_files(origin: Origin, config: DataConfig, log: DropLog) -> Rows:
    """Read two files line by line. Raise DataError where one has more lines than the other, blank ones apart."""
    assert origin.target is not None
    files = (origin.file, origin.target)
    endings = [Path(unpacked_name(file)).suffix[1:] for file in files]
    first, second = (known_language(ending) if is_tag(ending) else None for ending in endings)
    named = first is not None and second is not None and first != second
    return Rows(_pairs(origin.name, files, config, log), (first, second) if named else (None, None))


def _pairs(name: str, files: tuple[File, File], config: DataConfig, log: DropLog) -> Iterator[Row]:
    sides = (read_lines(file, config.encoding) for file in files)
    number = 0
    for number, (left, right) in enumerate(zip_longest(*sides), start=1):
        if left is None or right is None:
            if (left or right or "").strip():
                raise _different_counts(files, config)
            log.note(f"{files[left is None]} ends with more blank lines than {files[left is not None]}")
        elif not left.strip() and not right.strip():
            log.drop(name, "blank", number)
        else:
            yield left, right, number
    if number == 0:
        raise DataError(f"{files[0]} and {files[1]} are empty.", code="E_DATA_EMPTY", file=str(files[0]))


def _different_counts(files: tuple[File, File], config: DataConfig) -> DataError:
    """Say how many lines there are, and which pair is the first whose length ratio is far from the usual one."""
    source, target = (np.array([len(line) for line in read_lines(file, config.encoding)]) for file in files)
    shared = min(len(source), len(target))
    line, factor = 1, float("inf")
    if shared:
        ratios = np.log((source[:shared] + 1) / (target[:shared] + 1))
        away = np.abs(ratios - np.median(ratios))
        far = np.flatnonzero(away > np.log(4))
        line = 1 + int(far[0] if len(far) else np.argmax(away))
        factor = float(np.exp(away[line - 1]))
    what = (
        f"{files[0]} has {len(source):,} lines, {files[1]} {len(target):,}. "
        f"First suspicious pair: line {line:,} (length ratio {factor:.1f}). Nothing was trained."
    )
    return DataError(what, code="E_DATA_COUNTS", file=str(files[0]), line=line)
