"""Word links: reading them, drawing them from attention, and scoring them against links that people made.

A link (i, j) joins source word i to target word j, both counted from 0 inside the program. Files may count from 0 or
from 1; which of the two is always said by the caller, never guessed. Weight matrices are (T, S) as in a trace, so a
matrix that should be compared with links is one of words, not of sub-words (`AttentionTrace.merged`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from attentio.errors import DataError, UsageError

Link: TypeAlias = tuple[int, int]
Links: TypeAlias = frozenset[Link]
Lengths: TypeAlias = tuple[int, int]
Weights: TypeAlias = NDArray[np.floating]

_LINK = re.compile(r"([0-9]+)([-p])([0-9]+)")


@dataclass(frozen=True)
class GoldLinks:
    """The links of one sentence as people made them: `possible` includes `sure`."""

    sure: Links
    possible: Links


_Row = TypeVar("_Row", Links, GoldLinks)


@dataclass(frozen=True)
class AlignmentScore:
    """Links of `sentences` sentences against gold links; every figure between 0 and 1.

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
        """The score as the stable object that `--json` prints."""
        return asdict(self)


def alignment_error_rate(links: Sequence[Links], gold: Sequence[GoldLinks]) -> AlignmentScore:
    """Alignment error rate, precision and recall of a corpus (Och and Ney 2003): counts are summed over sentences.

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
    return AlignmentScore(
        sentences=len(gold),
        links=found,
        sure=sure,
        possible=possible,
        precision=in_possible / found if found else None,
        recall=in_sure / sure if sure else None,
        error_rate=1 - (in_sure + in_possible) / (found + sure) if found + sure else None,
    )


def argmax_links(weights: Weights) -> Links:
    """Each target word linked to the source word with its largest weight, the first of equals; (T, S) weights.

    A target word that attends nowhere has no link.
    """
    if not weights.size:
        return frozenset()
    best = weights.argmax(axis=1)
    return frozenset((int(i), j) for j, i in enumerate(best) if weights[j, i] > 0)


def threshold_links(weights: Weights, threshold: float) -> Links:
    """Every pair of words whose weight reaches `threshold`; (T, S) weights. Raises ValueError unless 0 < threshold."""
    if not threshold > 0:
        raise ValueError(f"a threshold of {threshold} would link every word to every other")
    return frozenset((int(i), int(j)) for j, i in np.argwhere(weights >= threshold))


def mutual_links(weights: Weights) -> Links:
    """Pairs of words that are each other's best: the intersection of both directions of one matrix; (T, S) weights."""
    return argmax_links(weights) & flipped(argmax_links(weights.T))


def flipped(links: Links) -> Links:
    """The same links seen from the other side, (j, i): for a model that translates the other way."""
    return frozenset((j, i) for i, j in links)


def diagonal_links(source_length: int, target_length: int) -> Links:
    """Each target word linked to the source word at the same relative place: what knowing nothing is worth."""
    last = source_length - 1
    return frozenset(
        (min(last, round(j * source_length / target_length)), j) for j in range(target_length) if last >= 0
    )


def linker(name: str, threshold: float = 0.2) -> Callable[[Weights], Links]:
    """The way to draw links from (T, S) weights that has this name: argmax, threshold or intersection.

    Raises UsageError for another name or a threshold that is not above 0.
    """
    if not threshold > 0:
        raise UsageError(f"a threshold of {threshold} would link every word to every other.", hint="Take one above 0.")
    linkers: dict[str, Callable[[Weights], Links]] = {
        "argmax": argmax_links,
        "threshold": partial(threshold_links, threshold=threshold),
        "intersection": mutual_links,
    }
    if name not in linkers:
        raise UsageError(f"no way {name!r} to draw links from attention.", hint=f"Choose {', '.join(linkers)}.")
    return linkers[name]


def parse_links(text: str, *, index: int) -> Links:
    """The links of one sentence in Pharaoh form, `0-0 1-2`, counted from `index` (0 or 1).

    Raises ValueError on anything else, a possible link (`0p1`) included: a system says what it links.
    """
    gold = parse_gold(text, index=index)
    if gold.possible != gold.sure:
        raise ValueError("has a possible link (p), and only gold links may be unsure")
    return gold.sure


def parse_gold(text: str, *, index: int) -> GoldLinks:
    """The gold links of one sentence, `1-1 2p3`: `-` sure, `p` possible only, counted from `index` (0 or 1).

    Raises ValueError on anything else, on a position below `index` included.
    """
    if index not in (0, 1):
        raise ValueError(f"links are counted from 0 or 1, not from {index}")
    sure: set[Link] = set()
    possible: set[Link] = set()
    for word in text.split():
        match = _LINK.fullmatch(word)
        if match is None:
            raise ValueError(f"has {word!r}, which is not a link such as 0-1 or 0p1")
        link = (int(match[1]) - index, int(match[3]) - index)
        if min(link) < 0:
            raise ValueError(f"has the link {word}, out of range when counted from {index}")
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return GoldLinks(frozenset(sure), frozenset(possible))


def format_links(links: Links, *, index: int = 0) -> str:
    """Links in Pharaoh form, sorted, counted from `index`."""
    return " ".join(f"{i + index}-{j + index}" for i, j in sorted(links))


def read_links(path: str | Path, *, index: int, lengths: Sequence[Lengths] | None = None) -> list[Links]:
    """The links of a file, one line for each sentence, an empty line for none.

    lengths: (source words, target words) of each sentence; a link beyond them is refused.
    Raises DataError with the line when a link is malformed or out of range.
    """
    return _read(path, partial(parse_links, index=index), lambda links: links, lengths)


def read_gold(path: str | Path, *, index: int, lengths: Sequence[Lengths] | None = None) -> list[GoldLinks]:
    """The gold links of a file, as `read_links` reads links."""
    return _read(path, partial(parse_gold, index=index), lambda gold: gold.possible, lengths)


def read_lengths(path: str | Path) -> list[Lengths]:
    """The numbers of words of each sentence of a file of `source words ||| target words`.

    Raises DataError with the line when a line has not exactly two sides.
    """
    lengths: list[Lengths] = []
    for number, line in enumerate(_lines(path), 1):
        sides = line.split("|||")
        if len(sides) != 2:
            raise DataError(f"{path} line {number:,} is not `source words ||| target words`.", file=path, line=number)
        lengths.append((len(sides[0].split()), len(sides[1].split())))
    return lengths


def _read(
    path: str | Path,
    parse: Callable[[str], _Row],
    links_of: Callable[[_Row], Links],
    lengths: Sequence[Lengths] | None,
) -> list[_Row]:
    lines = _lines(path)
    if lengths is not None and len(lengths) != len(lines):
        raise DataError(f"{path} has {len(lines):,} lines, and there are {len(lengths):,} sentences.", file=path)
    rows: list[_Row] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(parse(line))
            if lengths is not None:
                _check_range(links_of(rows[-1]), lengths[number - 1])
        except ValueError as error:
            raise DataError(f"{path} line {number:,} {error}.", file=path, line=number) from None
    return rows


def _check_range(links: Links, lengths: Lengths) -> None:
    outside = [(i, j) for i, j in links if i >= lengths[0] or j >= lengths[1]]
    if outside:
        i, j = min(outside)
        raise ValueError(
            f"links word {i + 1} with word {j + 1} (counted from 1), out of range in a sentence of "
            f"{lengths[0]} words against {lengths[1]}"
        )


def _lines(path: str | Path) -> list[str]:
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.", file=path) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).", file=path) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start:,}.", file=path) from None
    # Not splitlines(): it also breaks at characters that may stand inside a sentence.
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
