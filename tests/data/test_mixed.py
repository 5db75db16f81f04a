"""Swapped and untranslated pairs are found by what is usual on a side, other languages by a guess."""

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.data.mixed import check, log_odds

PAIRS = [(pair.source, pair.target) for pair in sample(400, 3)]
SOURCES, TARGETS = [source for source, _ in PAIRS], [target for _, target in PAIRS]
LINES = [*range(1, 401)]
SPOILED = range(7, 400, 31)


def symptoms(sources: list[str], targets: list[str]) -> dict[str, object]:
    return {finding.symptom: finding.evidence for finding in check(sources, targets, LINES, "x.tsv", ("en", "zh"))}


def test_healthy_pairs_have_no_finding() -> None:
    assert symptoms(SOURCES, TARGETS) == {}
    odds = log_odds(SOURCES, TARGETS)
    assert odds.sources.min() > 0 > odds.targets.max()


def test_swapped_pairs_are_counted_and_the_first_is_named() -> None:
    sources, targets = [*SOURCES], [*TARGETS]
    for i in SPOILED:
        sources[i], targets[i] = targets[i], sources[i]
    assert symptoms(sources, targets) == {"swapped-sides": {"pairs": len(SPOILED), "of": 400, "first_line": 8}}


def test_pairs_in_one_language_are_counted() -> None:
    targets = [SOURCES[i - 1] if i in SPOILED else target for i, target in enumerate(TARGETS)]
    assert symptoms(SOURCES, targets) == {"untranslated": {"pairs": len(SPOILED), "of": 400, "first_line": 8}}


def test_copies_count_also_where_words_are_rare() -> None:
    sources = [f"Xyz{i} qrs{i}!" if i in SPOILED else source for i, source in enumerate(SOURCES)]
    targets = [f"xyz{i} qrs{i}" if i in SPOILED else target for i, target in enumerate(TARGETS)]
    assert symptoms(sources, targets) == {"untranslated": {"pairs": len(SPOILED), "of": 400, "first_line": 8}}


def test_single_lines_are_no_finding() -> None:
    assert symptoms(SOURCES, [SOURCES[5] if i in (5, 9) else text for i, text in enumerate(TARGETS)]) == {}


@pytest.mark.parametrize(
    ("languages", "found", "hint"),
    [
        (("en", "zh"), [], ""),
        (("eng", "cmn"), [], ""),
        (("en-GB", "zh-Hans"), [], ""),
        ((None, None), [], ""),
        (("ast", "yue"), [], ""),  # unknown here: the guess could be wrong
        (("fr", "zh"), ["other-language"], "--source-language en"),
        (("zh", "en"), ["other-language", "other-language"], "--swap"),
    ],
)
def test_a_language_other_than_the_declared_one(
    languages: tuple[str | None, str | None], found: list[str], hint: str
) -> None:
    findings = check(SOURCES, TARGETS, LINES, "x.tsv", languages)
    assert [finding.symptom for finding in findings] == found
    assert all(hint in finding.remedy for finding in findings)
