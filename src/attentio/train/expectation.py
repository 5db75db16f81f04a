"""What quality to expect of a training, before it: from two figures of the corpus and a table of runs.

- `retrieved`: strict chrF of a translator without learning. It answers with the target of the most similar source.
- `seen`: the share of three source words in a row that also stand so in another sentence.

Both are computed in seconds. The first holds what a script and a language do to chrF, the second how much is new in an
unseen sentence. A linear model of the logarithms of all three is fitted to `runs.csv`, where each run stands with both
figures. Its interval comes from leaving out each corpus of the table in turn.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attentio.metrics.quality import corpus_chrf
from attentio.text.script import is_unsegmented
from attentio.text.tokenizer import split_words

MOST_PAIRS = 50_000  # of the training pairs, evenly drawn
MOST_ASKED = 200  # pairs that are taken for unseen ones
LEAST_PAIRS = 50
SETTING = "auto"  # the preset of the runs that the model is fitted to
MOST_OF_IT = 0.5  # of a training
COVERED = 0.9  # of the runs of a corpus that the table does not hold lie in the interval
MOST_CHRF = 99.0
ENOUGH = 2_500  # updates that count as all, where more are planned
_NEVER_SEEN = 0.05  # added to `seen`, of which logarithms are taken
_LEAST_DONE = 0.02  # of the updates. With fewer, nothing is learned

Floats = npt.NDArray[np.float64]


class Traits(NamedTuple):
    """What is known of a corpus before training. retrieved: 0 to 100. seen: 0 to 1."""

    pairs: int
    retrieved: float
    seen: float


class Run(NamedTuple):
    """A row of the table: a training and its chrF on 500 unseen sentences. share: of the planned updates it made."""

    corpus: str
    pairs: int
    setting: str
    seed: int
    updates: int
    share: float
    retrieved: float
    seen: float
    chrf: float
    origin: str


class Expected(NamedTuple):
    """Expected chrF, and the interval that should hold 9 of 10 corpora. outside: why the table says little of it."""

    chrf: float
    low: float
    high: float
    outside: str | None = None


@cache
def runs() -> Sequence[Run]:
    text = files("attentio").joinpath("train", "runs.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return [Run(*(kind(row[name]) for name, kind in Run.__annotations__.items())) for row in rows]


def traits(pairs: Sequence[tuple[str, str]]) -> Traits | None:
    """Return the figures of training pairs: some of them are taken for unseen ones, each by itself.

    A pair that shares a side with the one that is asked for is left out. None where there are too few pairs.
    """
    if len(pairs) < LEAST_PAIRS:
        return None
    held = pairs[:: -(-len(pairs) // MOST_PAIRS)]
    rows = range(0, len(held), -(-len(held) // MOST_ASKED))
    unparted = is_unsegmented([source for source, _ in held])
    units = [
        [char for char in source.lower() if not char.isspace()] if unparted else split_words(source)
        for source, _ in held
    ]
    same = [_same_side(held, side) for side in (0, 1)]
    left_out = [same[0][held[row][0]] | same[1][held[row][1]] for row in rows]
    found = [held[near][1] for near in _nearest(units, rows, left_out)]
    counts = Counter(three for line in units for three in _in_a_row(line))
    seen: list[bool] = []
    for row, others in zip(rows, left_out, strict=True):
        own = Counter(three for other in others for three in _in_a_row(units[other]))
        seen += [counts[three] > own[three] for three in _in_a_row(units[row])]
    references = [[held[row][1]] for row in rows]
    return Traits(len(pairs), corpus_chrf(found, references, strict=True), float(np.mean(seen or [0])))


def _in_a_row(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    return zip(words, words[1:], words[2:], strict=False)


def _same_side(pairs: Sequence[tuple[str, str]], side: int) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for row, pair in enumerate(pairs):
        found.setdefault(pair[side], set()).add(row)
    return found


def _nearest(lines: Sequence[Sequence[str]], asked: Sequence[int], left_out: Sequence[set[int]]) -> list[int]:
    """Return for each line that is asked for the most similar other one: rare common words count most.

    left_out: the lines that do not count, of each that is asked for.
    """
    places: dict[str, list[int]] = {}
    for row, line in enumerate(lines):
        for unit in dict.fromkeys(line):
            places.setdefault(unit, []).append(row)
    weights = {unit: np.log(len(lines) / len(rows)) ** 2 for unit, rows in places.items()}
    sizes = np.array([sum(weights[unit] for unit in dict.fromkeys(line)) for line in lines]) ** 0.5 + 1e-9
    found: list[int] = []
    for row, others in zip(asked, left_out, strict=True):
        scores = np.zeros(len(lines))
        for unit in dict.fromkeys(lines[row]):
            scores[places[unit]] += weights[unit]
        scores /= sizes
        scores[[*others]] = -1.0
        found.append(int(np.argmax(scores)))
    return found


def done(updates: int, share: float) -> float:
    """Return how much of its training a run makes, 0 to 1. share: its updates, by those that the preset plans."""
    return min(1.0, max(share, updates / ENOUGH))


def expect(corpus: Traits, part: float, table: Sequence[Run] | None = None) -> Expected:
    """Return the chrF to expect of the preset auto. part: of its training, as `done` says."""
    rows = [run for run in (runs() if table is None else table) if run.setting == SETTING]
    value = float(_columns([corpus.retrieved], [corpus.seen], [part])[0] @ _fit(rows))
    reach = _reach(rows, part)
    outside = None
    pairs = [run.pairs for run in rows]
    if not min(pairs) / 2 <= corpus.pairs <= max(pairs) * 2:
        outside = f"the table has runs of {min(pairs):,} to {max(pairs):,} pairs"
        reach *= 1.5
    low, middle, high = (_chrf(value + way * reach) for way in (-1, 0, 1))
    return Expected(round(middle, 1), round(low, 1), round(high, 1), outside)


def left_out(table: Sequence[Run] | None = None) -> list[tuple[Run, float]]:
    """Return each run of the table with the chrF that the runs of all other corpora let expect."""
    rows = [run for run in (runs() if table is None else table) if run.setting == SETTING]
    found: list[tuple[Run, float]] = []
    for corpus in dict.fromkeys(run.corpus for run in rows):
        weights = _fit([run for run in rows if run.corpus != corpus])
        mine = [run for run in rows if run.corpus == corpus]
        found += [(run, _chrf(float(value))) for run, value in zip(mine, _given(mine) @ weights, strict=True)]
    return found


def _reach(rows: Sequence[Run], part: float) -> float:
    """Return how far, in logarithms, the interval reaches to either side. Of short trainings all runs tell."""
    errors = [
        (abs(_log(run.chrf) - _log(expected)), done(run.updates, run.share) >= MOST_OF_IT)
        for run, expected in left_out(rows)
    ]
    alike = [error for error, is_most in errors if is_most or part < MOST_OF_IT]
    return float(np.quantile(alike, COVERED))


def _fit(rows: Sequence[Run]) -> Floats:
    """Return least-squares weights. Every corpus counts the same, however many runs it has."""
    counts: Mapping[str, int] = {run.corpus: sum(other.corpus == run.corpus for other in rows) for run in rows}
    root = np.array([counts[run.corpus] ** -0.5 for run in rows])
    logs = np.array([_log(run.chrf) for run in rows])
    weights, *_ = np.linalg.lstsq(_given(rows) * root[:, None], logs * root, rcond=None)
    return weights.astype(np.float64)


def _given(rows: Sequence[Run]) -> Floats:
    return _columns(
        [run.retrieved for run in rows], [run.seen for run in rows], [done(run.updates, run.share) for run in rows]
    )


def _columns(retrieved: Sequence[float], seen: Sequence[float], part: Sequence[float]) -> Floats:
    """Return what the model is linear in. A corpus that can be learned well loses most where training is cut short."""
    logs, known = np.array([_log(value) for value in retrieved]), np.array(seen)
    loss = known * np.log(np.clip(part, _LEAST_DONE, 1.0))
    return np.stack([np.ones(len(logs)), logs, np.log(known + _NEVER_SEEN), loss], axis=1)


def _log(chrf: float) -> float:
    return float(np.log(min(max(chrf, 0.5), MOST_CHRF)))


def _chrf(log: float) -> float:
    return min(MOST_CHRF, float(np.exp(log)))
