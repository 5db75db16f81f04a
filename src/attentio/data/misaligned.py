"""Whether the lines of a parallel corpus belong together: found from its text alone, without a model.

Words that translate each other meet in many pairs. So a pair is scored by how often its words meet in other pairs,
compared with chance. Every source is scored with its own target and with the targets of the lines beside it. Where a
line was lost on one side, its neighbor wins from there on, in every line.

Measured on parts of four corpora, each shifted by one line from a line drawn at random, in LOG.md.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from attentio.data.findings import Finding
from attentio.text.script import is_unsegmented
from attentio.text.tokenizer import split_words

LEAST_PAIRS = 100  # fewer say nothing
LEAST_SHIFTED = 15  # lines in a row. The best run of healthy lines was 2 long
LEAST_STEPS = 4.0  # standard errors that a run of lines must differ by
LEAST_UNRELATED = 300  # pairs. In fewer, too few words are met twice
LARGEST_CHANCE = 0.1  # share of a pair's score that another line's target lacks. At least 0.28 in healthy parts
_UNITS = 24  # different words of a line that are looked at
_LINES = 1000  # whose pairs of words are held at once
_BUCKETS = 4_194_301  # of counted pairs of words, a prime number
_BESIDE = (-1, 0, 1)

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]


class Shift(NamedTuple):
    """Lines whose source belongs to the target `by` lines later. begin, end: indices of pairs, the end not included.

    steps: standard errors between these lines as they stand and as they would be shifted.
    """

    by: int
    begin: int
    end: int
    steps: float


class Alignment(NamedTuple):
    """How well the lines belong together.

    shift: the run of lines that fit their neighbors better, if there is one. own, other: mean score of a source with
    its own target, and with that of a line far away, 0 and more. steps: standard errors between them.
    """

    shift: Shift | None
    own: float
    other: float
    steps: float


def measure(sources: Sequence[str], targets: Sequence[str]) -> Alignment:
    """Return how well N sources fit their N targets, in the order of the file."""
    source, target = _Units(sources), _Units(targets)
    scores = _scores(source, target, _BESIDE, counted=_BESIDE)
    found: list[Shift] = []
    for by in _BESIDE:
        if by:
            gain = scores[by] - scores[0]
            begin, end = best_run(gain)
            noise = float(gain.std()) * (end - begin) ** 0.5
            found.append(Shift(by, begin, end, float(gain[begin:end].sum()) / noise if noise else 0.0))
    best = max(found, key=lambda shift: shift.steps)
    is_shifted = best.end - best.begin >= LEAST_SHIFTED and best.steps >= LEAST_STEPS
    far = len(sources) // 2
    scores = _scores(source, target, (0, far), counted=(0,))
    lead = scores[0] - scores[far]
    noise = float(lead.std()) / len(lead) ** 0.5
    steps = float(lead.mean()) / noise if noise else 0.0
    return Alignment(best if is_shifted else None, float(scores[0].mean()), float(scores[far].mean()), steps)


def check(sources: Sequence[str], targets: Sequence[str], lines: Sequence[int], where: str) -> Finding | None:
    """Return what is wrong with the order of the lines, or None. lines: their numbers in the file `where`."""
    if len(sources) < LEAST_PAIRS:
        return None
    found = measure(sources, targets)
    if found.shift is not None:
        return _shifted(found.shift, sources, targets, lines, where)
    unrelated = found.own - found.other < LARGEST_CHANCE * found.own
    if len(sources) < LEAST_UNRELATED or not unrelated:
        return None
    return Finding(
        "unrelated-sides",
        f"{where}: sources fit their own targets no better than those of other lines",
        "Were both sides sorted or shuffled on their own? Pair them again, then: attentio data report DATA",
        {
            "own_score": round(found.own, 3),
            "other_score": round(found.other, 3),
            "standard_errors": round(found.steps, 1),
        },
        [f"line {lines[0]:,}: {sources[0]} | {targets[0]}"],
    )


def _shifted(shift: Shift, sources: Sequence[str], targets: Sequence[str], lines: Sequence[int], where: str) -> Finding:
    first, last = lines[shift.begin], lines[shift.end - 1]
    to_the_end = shift.end >= len(lines) - LEAST_SHIFTED
    way = "next" if shift.by > 0 else "previous"
    more, less = ("target", "source") if shift.by > 0 else ("source", "target")
    reach = "to the end" if to_the_end else f"to about line {last:,}"
    shown = shift.begin + min(LEAST_SHIFTED, shift.end - shift.begin) // 2
    examples = [f"line {lines[shown]:,}: {sources[shown]} | {targets[shown]}"]
    if 0 <= shown + shift.by < len(targets):
        examples.append(f"  the {way} line's target: {targets[shown + shift.by]}")
    return Finding(
        "misaligned",
        f"{where}: from about line {first:,} {reach}, sources belong to the targets of the {way} line",
        f"Near line {first:,} the {more} side has a line too many, or the {less} side one too few. Mend it, then "
        "train with --overwrite.",
        {"first_line": first, "last_line": last, "shift": shift.by, "standard_errors": round(shift.steps, 1)},
        examples,
    )


class _Units:
    """The different words of every line, as numbers, at least one. Characters where none are parted.

    `flat` holds them end to end, `lengths` how many each has.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        ids: dict[str, int] = {}
        flat: list[int] = []
        lengths: list[int] = []
        cut = list if is_unsegmented(lines) else split_words
        for line in lines:
            words = dict.fromkeys(cut(line.lower()))
            units = [unit for unit in words if unit[0].isalnum()][:_UNITS] or [""]
            flat += [ids.setdefault(unit, len(ids)) for unit in units]
            lengths.append(len(units))
        self.flat = np.array(flat, dtype=np.int64)
        self.lengths = np.array(lengths, dtype=np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.counts = np.bincount(self.flat)


def _scores(source: _Units, target: _Units, shifts: Sequence[int], *, counted: Sequence[int]) -> dict[int, Floats]:
    """Return by shift the score of each source with the target so many lines later. The last line comes before line 1.

    A word of the source scores by the word of the target that it meets most beyond chance, in other pairs. counted:
    the shifts whose pairs count as meetings.
    """
    met = np.zeros(_BUCKETS, dtype=np.int32)
    for by in counted:
        for block in _meetings(source, target, by):
            np.add.at(met, block.keys, np.int32(1))  # of its own type, or it takes sixty times as long
    found: dict[int, Floats] = {}
    for by in shifts:
        blocks: list[Floats] = []
        for x, y, keys, words, others in _meetings(source, target, by):
            elsewhere = met[keys] - float(by in counted)
            by_chance = len(counted) * source.counts[x] * target.counts[y] / len(source.lengths)
            gain = np.log(np.maximum(elsewhere, 1e-9) / by_chance).clip(min=0) * elsewhere / (elsewhere + 1)
            best = np.maximum.reduceat(gain, _begins(np.repeat(others, words)))
            blocks.append(np.add.reduceat(best, _begins(words)) / words)
        found[by] = np.concatenate(blocks)
    return found


class _Meetings(NamedTuple):
    """Every word of a source beside every word of a target, pair after pair, source word after source word."""

    x: Ints
    y: Ints
    keys: Ints  # of their counts
    words: Ints  # of each source
    others: Ints  # words of each target


def _meetings(source: _Units, target: _Units, by: int) -> Iterator[_Meetings]:
    """Yield the meetings of a block of lines after the other: those of all lines would take gigabytes."""
    others_of_all, starts_of_all = np.roll(target.lengths, -by), np.roll(target.starts, -by)
    for begin in range(0, len(source.lengths), _LINES):
        lines = slice(begin, begin + _LINES)
        words, others, starts = source.lengths[lines], others_of_all[lines], starts_of_all[lines]
        sizes = words * others
        pair = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(pair)) - _begins(sizes)[pair]
        x = source.flat[source.starts[lines][pair] + place // others[pair]]
        y = target.flat[starts[pair] + place % others[pair]]
        yield _Meetings(x, y, (x * 1_000_003 + y * 7_368_787) % _BUCKETS, words, others)


def _begins(sizes: npt.NDArray[Any]) -> Ints:
    return np.cumsum(sizes) - sizes


def best_run(gains: Floats) -> tuple[int, int]:
    """Return begin and end of the run of neighbors with the greatest sum (Kadane's algorithm)."""
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    lowest = np.minimum.accumulate(sums)
    end = int(np.argmax(sums - lowest))
    return int(np.flatnonzero(sums[: end + 1] == lowest[end])[-1]), end
