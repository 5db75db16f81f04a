"""What a table of runs lets expect: figures of a corpus by hand, a model that fits what is linear, honest intervals."""

import random

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.metrics.quality import corpus_chrf
from attentio.train import expectation
from attentio.train.expectation import Run, Traits, done, expect, left_out, runs, traits


def test_figures_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four pairs, each is asked for: two have a neighbor whose target is the same, two have nobody."""
    monkeypatch.setattr(expectation, "LEAST_PAIRS", 1)
    pairs = [("a b c d", "xyzxyz"), ("a b c e", "xyzxyz "), ("f g h", "uuu"), ("i j k", "vvv")]
    found = traits(pairs)
    assert found is not None
    assert found.pairs == 4
    assert found.seen == 2 / 6  # "a b c" twice, of a b c, b c d, a b c, b c e, f g h, i j k
    answers = ["xyzxyz ", "xyzxyz", "xyzxyz", "xyzxyz"]  # the first pair, where no word is shared
    assert found.retrieved == corpus_chrf(answers, [target for _, target in pairs], strict=True)


def test_a_pair_does_not_know_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor another one with the same source or target."""
    monkeypatch.setattr(expectation, "LEAST_PAIRS", 1)
    found = traits([("a b c", "x"), ("a b c", "y"), ("d e f", "z"), ("d e f g", "z"), ("h i j", "w")])
    assert found is not None
    assert found.seen == 0.0


@pytest.mark.slow
def test_more_pairs_are_known_better() -> None:
    pairs = [(pair.source, pair.target) for pair in sample(1500, 3)]
    small, large = traits(pairs[:300]), traits(pairs)
    assert small is not None
    assert large is not None
    assert small.retrieved < large.retrieved
    assert small.seen < large.seen
    shuffled = [*zip([s for s, _ in pairs], random.Random(1).sample([t for _, t in pairs], len(pairs)), strict=True)]
    spoiled = traits(shuffled)
    assert spoiled is not None
    assert spoiled.retrieved < large.retrieved / 2
    assert traits(pairs[: expectation.LEAST_PAIRS - 1]) is None


def table(noise: float = 0.0) -> list[Run]:
    """Runs whose chrF follows the model exactly, but for the noise that each corpus adds."""
    found: list[Run] = []
    for number, corpus in enumerate(("a", "b", "c", "d")):
        for pairs, seen, retrieved in ((100, 0.2, 7.0 + number), (1000, 0.5, 12.0 + 2 * number)):
            for share in (0.1, 1.0):
                noisy = 2.718281828 ** ((number % 2 * 2 - 1) * noise)
                chrf = 3 * retrieved * (seen + 0.05) ** 0.4 * share**seen * noisy
                found.append(Run(corpus, pairs, "auto", 1, int(1000 * share), share, retrieved, seen, chrf, ""))
    return found


def test_what_is_linear_is_found_again() -> None:
    # done() of 1,000 updates is 1 where the share is 1, and 0.1 where it is 0.1.
    found = expect(Traits(300, 10.0, 0.3), 1.0, table())
    assert found.chrf == pytest.approx(3 * 10 * 0.35**0.4, abs=0.1)
    assert (found.low, found.high) == (found.chrf, found.chrf)
    assert expect(Traits(300, 10.0, 0.3), 0.1, table()).chrf < found.chrf


def test_the_interval_is_as_wide_as_corpora_differ() -> None:
    calm, wild = (expect(Traits(300, 10.0, 0.3), 1.0, table(noise)) for noise in (0.1, 0.4))
    assert calm.high - calm.low < wild.high - wild.low
    assert wild.low < wild.chrf < wild.high
    outside = expect(Traits(100_000, 10.0, 0.3), 1.0, table(0.1))
    assert outside.outside == "the table has runs of 100 to 1,000 pairs"
    assert outside.high - outside.low > calm.high - calm.low


@pytest.mark.parametrize(
    ("updates", "share", "part"), [(100, 0.5, 0.5), (2500, 0.1, 1.0), (500, 0.01, 0.2), (9000, 2, 1)]
)
def test_enough_updates_count_as_all(updates: int, share: float, part: float) -> None:
    assert done(updates, share) == part


def test_the_table_that_comes_with_the_package() -> None:
    rows = runs()
    mine = [run for run in rows if run.setting == "auto"]
    assert len({run.corpus for run in mine}) >= 4
    assert all(0 < run.chrf < 100 and 0 <= run.seen <= 1 and 0 < run.share <= 1 and run.origin for run in rows)
    errors = [abs(run.chrf - expected) for run, expected in left_out()]
    assert sum(errors) / len(errors) < 10
