"""The text of a corpus, checked as it stands in its files, for `attentio data report` and `attentio doctor`.

Of a large file, blocks of neighboring lines are read, evenly over the file.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from attentio.data import misaligned, mixed
from attentio.data.findings import Finding
from attentio.data.readers.lines import Origin, Row
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import open_rows, origins
from attentio.data.split import TRAIN

BLOCK = 100  # neighboring pairs
MOST_BLOCKS = 400  # more are thinned out
MOST_PAIRS = 2 * BLOCK * MOST_BLOCKS  # read again where a fault lies between two blocks


class Sample(NamedTuple):
    """Blocks of pairs in the order of the file, every `stride`-th of them."""

    rows: list[Row]
    stride: int


def sampled(rows: Iterator[Row]) -> Sample:
    kept: list[list[Row]] = []
    stride = number = 0
    while block := list(islice(rows, BLOCK)):
        if number % (1 << stride) == 0:
            kept.append(block)
        if len(kept) > MOST_BLOCKS:
            kept, stride = kept[::2], stride + 1
        number += 1
    return Sample(list(chain.from_iterable(kept)), 1 << stride)


def check_corpus(config: DataConfig, languages: tuple[str | None, str | None] = (None, None)) -> list[Finding]:
    """Return what is wrong with the training files, as they are read. Built-in corpora are not checked.

    languages: those that the settings or a run declare. Raises DataError for a file that cannot be read.
    """
    found: list[Finding] = []
    for origin in origins(config):
        if origin.role == TRAIN and origin.corpus is None:
            found += _check(origin, config, languages)
    return found


def _check(origin: Origin, config: DataConfig, languages: tuple[str | None, str | None]) -> list[Finding]:
    rows = open_rows(origin, config, DropLog())
    declared = languages[0] or rows.languages[0], languages[1] or rows.languages[1]
    sample = sampled(iter(rows.pairs))
    if not sample.rows:
        return []
    sources, targets, lines = _columns(sample.rows)
    order = misaligned.check(sources, targets, lines, origin.where)
    if order is not None and order.symptom == "misaligned" and sample.stride > 1:
        order = _closer(order, origin, config, sample) or order
    return [*([] if order is None else [order]), *mixed.check(sources, targets, lines, origin.where, declared)]


def _closer(found: Finding, origin: Origin, config: DataConfig, sample: Sample) -> Finding | None:
    """Return the finding with the line where it begins, from all pairs between the blocks around it."""
    place = next(i for i, row in enumerate(sample.rows) if row[2] == found.evidence["first_line"]) // BLOCK
    begin = max(0, place - 1) * sample.stride * BLOCK
    end = min(begin + 2 * sample.stride * BLOCK + BLOCK, begin + MOST_PAIRS)
    sources, targets, lines = _columns(list(islice(open_rows(origin, config, DropLog()).pairs, begin, end)))
    return misaligned.check(sources, targets, lines, origin.where)


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str], list[int]]:
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
