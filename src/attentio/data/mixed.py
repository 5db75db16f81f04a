"""Pairs whose sides are swapped or not translated, and text in another language than the one that is declared.

What belongs on a side is learned from the corpus itself: the words that most of its lines have. So the first two need
no table of languages.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attentio.data.findings import Finding
from attentio.text.script import base_language, guess_language, is_unsegmented
from attentio.text.tokenizer import split_words

LEAST_PAIRS = 100  # fewer say nothing of what is usual on a side
LEAST_SHARE = 0.01  # of the pairs. Less is a matter of single lines
LEAST_COUNT = 3
CLEAR = 0.7  # mean log-odds of a line's words, from which a line clearly belongs to a side
LEAST_WORDS = 2  # of a line that is judged
_STRONGEST = 4.0  # log-odds that one word may have
_SHOWN = 2

# Languages that `guess_language` tells apart from all others it knows. It takes any other Cyrillic text for Russian.
_KNOWN = frozenset({"en", "de", "fr", "es", "it", "pt", "nl", "ro", "zh", "ja", "ko", "th", "el", "he"})
_SAME = {"cmn": "zh", "zho": "zh", "eng": "en", "deu": "de", "fra": "fr", "spa": "es", "jpn": "ja", "kor": "ko"}

Floats = npt.NDArray[np.float64]


class Sides(NamedTuple):
    """Log-odds of each line to be of the source side: above 0 where its words usually stand there."""

    sources: Floats
    targets: Floats


def log_odds(sources: Sequence[str], targets: Sequence[str]) -> Sides:
    """Return which side each line looks like, judged by the other pairs. 0 for lines of fewer than two words."""
    units = [[_units(line) for line in side] for side in (sources, targets)]
    counts = [Counter(unit for line in side for unit in line) for side in units]
    sizes = [counts[0].total() + 1, counts[1].total() + 1]

    def judged(line: list[str], pair: tuple[list[str], list[str]]) -> float:
        if len(line) < LEAST_WORDS:
            return 0.0
        total = 0.0
        for unit in line:
            here = [counts[side][unit] - (unit in pair[side]) + 0.5 for side in (0, 1)]
            odds = math.log(here[0] / sizes[0]) - math.log(here[1] / sizes[1])
            total += min(_STRONGEST, max(-_STRONGEST, odds))
        return total / len(line)

    pairs = list(zip(*units, strict=True))
    found = [np.array([judged(pair[side], pair) for pair in pairs]) for side in (0, 1)]
    return Sides(found[0], found[1])


def check(
    sources: Sequence[str],
    targets: Sequence[str],
    lines: Sequence[int],
    where: str,
    languages: tuple[str | None, str | None] = (None, None),
) -> list[Finding]:
    """Return what is wrong with the sides of pairs. lines: their numbers in the file `where`."""
    found = [_other_language(side, text, where, languages) for side, text in enumerate((sources, targets))]
    if len(sources) >= LEAST_PAIRS:
        odds = log_odds(sources, targets)
        swapped = (odds.sources < -CLEAR) & (odds.targets > CLEAR)
        same = np.array([_is_copy(source, target) for source, target in zip(sources, targets, strict=True)])
        untranslated = same | ((odds.sources > CLEAR) & (odds.targets > CLEAR))
        untranslated |= (odds.sources < -CLEAR) & (odds.targets < -CLEAR)
        for name, what, remedy, rows in (
            ("swapped-sides", "have source and target swapped", "Swap these lines", np.flatnonzero(swapped)),
            (
                "untranslated",
                "have both sides in one language",
                "Remove or translate these",
                np.flatnonzero(untranslated),
            ),
        ):
            if len(rows) >= max(LEAST_COUNT, LEAST_SHARE * len(sources)):
                first = [lines[row] for row in rows[:_SHOWN]]
                found.append(
                    Finding(
                        name,
                        f"{where}: {len(rows):,} of {len(sources):,} pairs {what}",
                        f"{remedy} (first: {', '.join(f'{line:,}' for line in first)}), then train with --overwrite.",
                        {"pairs": len(rows), "of": len(sources), "first_line": lines[rows[0]]},
                        [f"line {lines[row]:,}: {sources[row]} | {targets[row]}" for row in rows[:_SHOWN]],
                    )
                )
    return [finding for finding in found if finding is not None]


def _units(line: str) -> list[str]:
    """Return the different words of a line, or its characters where no spaces part them. Both may stand on one side."""
    cut = list(line) if is_unsegmented([line]) else split_words(line)
    return [unit for unit in dict.fromkeys(cut) if unit[0].isalnum()]


def _is_copy(source: str, target: str) -> bool:
    """Return whether both sides say the same, up to case and what is no letter or digit, in two words or more."""
    texts = ["".join(filter(str.isalnum, text.casefold())) for text in (source, target)]
    return texts[0] == texts[1] and bool(texts[0]) and " " in source.strip()


def _other_language(
    side: int, lines: Sequence[str], where: str, languages: tuple[str | None, str | None]
) -> Finding | None:
    declared = base_language(languages[side])
    declared = _SAME.get(declared or "", declared)
    guess = guess_language(lines)
    if declared not in _KNOWN or guess is None or guess == declared:
        return None
    name, option = ("source", "target")[side], f"--{('source', 'target')[side]}-language"
    hint = f"Say which it is: {option} {guess}, or give a file in {languages[side]}."
    if guess == _SAME.get(base_language(languages[1 - side]) or "", base_language(languages[1 - side])):
        hint = f"Swapped columns? --swap. Otherwise: {option} {guess}."
    return Finding(
        "other-language",
        f"{where}: the {name} side looks like {guess}, and {languages[side]} is declared",
        hint,
        {"side": name, "declared": languages[side] or "", "guessed": guess},
        [lines[0]] if lines else [],
    )
