"""Two aligned files: line n of one is the translation of line n of the other."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attentio.data.readers.languages import is_tag, known_language
from attentio.data.readers.lines import File, read_lines, unpacked_name
from attentio.data.readers.rows import Origin, Row, Rows
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.errors import DataError


def read_two_files(origin: Origin, config: DataConfig, log: DropLog) -> Rows:
    """Read two files line by line. Raise DataError where one has more lines than the other, blank ones apart."""
    assert origin.path is not None
    assert origin.target is not None
    files = (origin.path, origin.target)
    endings = [Path(unpacked_name(file)).suffix[1:] for file in files]
    named = [known_language(ending) if is_tag(ending) else None for ending in endings]
    languages = (named[0], named[1]) if None not in named and named[0] != named[1] else (None, None)
    return Rows(_pairs(origin.name, files, config, log), languages)


def _pairs(name: str, files: tuple[File, File], config: DataConfig, log: DropLog) -> Iterator[Row]:
    sides = (read_lines(file, config.encoding) for file in files)
    number = 0
    for number, (left, right) in enumerate(zip_longest(*sides), start=1):
        if left is None or right is None:
            surplus = files[left is None]
            if (left or right or "").strip():
                raise _different_counts(files, config)
            log.note(f"{surplus} ends with more blank lines than {files[left is not None]}")
        elif not left.strip() and not right.strip():
            log.drop(name, "blank", number)
        else:
            yield left, right, number
    if number == 0:
        raise DataError(f"{files[0]} and {files[1]} are empty.", code="E_DATA_EMPTY", file=str(files[0]))


def _different_counts(files: tuple[File, File], config: DataConfig) -> DataError:
    lengths = [
        np.fromiter((len(line) for line in read_lines(file, config.encoding)), dtype=np.float64) for file in files
    ]
    line, ratio = _suspicious(*lengths)
    return DataError(
        f"{files[0]} has {len(lengths[0]):,} lines, {files[1]} {len(lengths[1]):,}. "
        f"First suspicious pair: line {line:,} (length ratio {ratio:.1f}). Nothing was trained.",
        code="E_DATA_COUNTS",
        file=str(files[0]),
        line=line,
    )


def _suspicious(source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> tuple[int, float]:
    """Return the first line (from 1) whose length ratio is far from the usual one, and how far (a factor)."""
    shared = min(len(source), len(target))
    if shared == 0:
        return 1, float("inf")
    ratios = np.log((source[:shared] + 1) / (target[:shared] + 1))
    away = np.abs(ratios - np.median(ratios))
    far = np.flatnonzero(away > np.log(4))
    place = int(far[0]) if len(far) else int(np.argmax(away))
    return place + 1, float(np.exp(away[place]))
