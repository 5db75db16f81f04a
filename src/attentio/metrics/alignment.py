"""Word links drawn from attention, and scored against links that people made.

A link (i, j) joins source word i to target word j, both counted from 0. Files of links are read in `data.alignments`.
Weight matrices are (T, S) as in a trace. To compare one with links, make it a matrix of words, not of subwords
(`AttentionTrace.merged`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from attentio.errors import DataError, UsageError
from attentio.text.words import word_spans
from attentio.trace import AttentionTrace, Span

Link: TypeAlias = tuple[int, int]
Links: TypeAlias = frozenset[Link]
Weights: TypeAlias = NDArray[np.floating]
DEFAULT_THRESHOLD = 0.2


@dataclass(frozen=True)
class GoldLinks:
    """The links of one sentence as people made them: `possible` includes `sure`."""

    sure: Links
    possible: Links


def format_links(links: Links, *, index: int = 0) -> str:
    """Return links in Pharaoh form, sorted, counted from `index`."""
    return " ".join(f"{i + index}-{j + index}" for i, j in sorted(links))


@dataclass(frozen=True)
class AlignmentScore:
    """Links of `sentences` sentences against gold links. Every figure is between 0 and 1.

    precision: share of the links that are possible, None without links. recall: share of the sure gold links found,
    None without any. error_rate: 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|), None when A and S are empty.
    """

    sentences: int
    links: int
    sure: int
    possible: int
    precision: float | None
    recall: float | None
    error_rate: float | None

    def as_dict(self) -> dict[str, object]:
        """Return the score as the stable object that `--json` prints."""
        return asdict(self)


def alignment_error_rate(links: Sequence[Links], gold: Sequence[GoldLinks]) -> AlignmentScore:
    """Return alignment error rate, precision and recall of a corpus (Och and Ney 2003), from counts of all sentences.

    Raises DataError when the numbers of sentences differ or there is none.
    """
    if len(links) != len(gold):
        raise DataError(f"{len(links):,} sentences with links stand against {len(gold):,} with gold links.")
    if not gold:
        raise DataError("there is no sentence to score.")
    found = sum(len(row) for row in links)
    sure = sum(len(row.sure) for row in gold)
    possible = sum(len(row.possible | row.sure) for row in gold)
    in_sure = sum(len(row & right.sure) for row, right in zip(links, gold, strict=True))
    in_possible = sum(len(row & (right.possible | right.sure)) for row, right in zip(links, gold, strict=True))
    precision = in_possible / found if found else None
    recall = in_sure / sure if sure else None
    error_rate = 1 - (in_sure + in_possible) / (found + sure) if found + sure else None
    return AlignmentScore(len(gold), found, sure, possible, precision, recall, error_rate)


def argmax_links(weights: Weights) -> Links:
    """Return each target word linked to the source word of largest weight in (T, S) weights, the first of equals.

    A target word that attends nowhere has no link.
    """
    if not weights.size:
        return frozenset()
    best = weights.argmax(axis=1)
    return frozenset((int(i), j) for j, i in enumerate(best) if weights[j, i] > 0)


def text_links(parts: Iterable[tuple[str, str, AttentionTrace | None]]) -> Links:
    """Return the links between the words of a text of several parts, each given as source, target and trace.

    Words are counted over all parts. A part without a trace has no links.
    """
    found: set[Link] = set()
    source = target = 0
    for part_source, part_target, trace in parts:
        if trace is not None:
            found |= {(i + source, j + target) for i, j in argmax_links(trace.words().matrix())}
        source, target = source + len(word_spans(part_source)), target + len(word_spans(part_target))
    return frozenset(found)


def threshold_links(weights: Weights, threshold: float) -> Links:
    """Return every pair of words whose weight reaches `threshold`."""
    return frozenset((int(i), int(j)) for j, i in np.argwhere(weights >= threshold))


def mutual_links(weights: Weights) -> Links:
    """Return pairs of words that are each other's best: both directions of one (T, S) matrix, intersected."""
    return argmax_links(weights) & flipped(argmax_links(weights.T))


def flipped(links: Links) -> Links:
    """Return the same links from the other side, (j, i): for a model that translates the other way."""
    return frozenset((j, i) for i, j in links)


LINKERS: dict[str, Callable[[Weights, float], Links]] = {
    "argmax": lambda weights, _: argmax_links(weights),
    "threshold": threshold_links,
    "intersection": lambda weights, _: mutual_links(weights),
}
"""The ways to draw links from (T, S) weights, given a threshold, by name."""


@dataclass(frozen=True)
class LinkRule:
    """How word links are drawn from a trace: whose weights are read, and which of them become links.

    links: argmax, threshold or intersection. threshold: of that rule alone, 0.2 by default.
    layer: None for the last one that looks at the source. head: counted from 0. None for the mean over heads.
    Raises UsageError for another name, or a threshold that does nothing.
    """

    links: str = "argmax"
    threshold: float | None = None
    layer: str | None = None
    head: int | None = None

    def __post_init__(self) -> None:
        if self.links not in LINKERS:
            raise UsageError(f"no way {self.links!r} to draw links.", hint=f"Choose {', '.join(LINKERS)}.")
        if self.threshold is not None and self.links != "threshold":
            raise UsageError(f"a threshold does nothing to {self.links} links.", hint="Choose threshold links.")
        if self.threshold is not None and not self.threshold > 0:
            none = f"a threshold of {self.threshold} would link every word to every other."
            raise UsageError(none, hint="Take one above 0.")

    def __call__(self, trace: AttentionTrace, source_words: Sequence[Span], target_words: Sequence[Span]) -> Links:
        """Return the links between words, which are given as (start, end) characters in the trace's texts.

        Raises UsageError when the trace has no such layer or head.
        """
        layer = self.layer if self.layer is not None else trace.layers[-1]
        weights = trace.merged(source_words, target_words).matrix(layer, self.head)
        return LINKERS[self.links](weights, self.threshold or DEFAULT_THRESHOLD)

    @property
    def name(self) -> str:
        """The rule with its threshold, where it has one."""
        return self.links if self.links != "threshold" else f"threshold {self.threshold or DEFAULT_THRESHOLD:g}"
