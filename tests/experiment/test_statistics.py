"""Cells of several seeds against a baseline: intervals, tests, correction, and what is said of them."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import sacrebleu
from scipy import stats

from attentio.corpora.small_world.grammar import sample
from attentio.errors import UsageError
from attentio.experiment.statistics import (
    ALPHA,
    Cell,
    CellDifference,
    Comparison,
    Estimate,
    Measured,
    Point,
    ReferenceSet,
    Spread,
    compare_cells,
    estimate_faithfulness,
    holm,
    over_seeds,
    verdict,
    welch,
    written_p,
)
from attentio.metrics.focus import Focus

REFERENCES = [[pair.target] for pair in sample(60, 3)]


def translations(wrong: float, seed: int) -> list[str]:
    """The references with a share of their characters replaced."""
    draw = random.Random(seed)
    return ["".join("错" if draw.random() < wrong else char for char in lines[0]) for lines in REFERENCES]


def cell(name: str, wrong: Sequence[float], **measured: object) -> Cell:
    """A cell with a seed for each share of wrong characters; every translation differs from every other."""
    runs = [
        Measured(
            seed, f"runs/{name}/{seed}", translations={"test": translations(share, hash_of(name, seed))}, **measured
        )
        for seed, share in enumerate(wrong, 1)
    ]
    return Cell(name, {"attention.score": name}, runs)


def hash_of(name: str, seed: int) -> int:
    return 1000 * seed + sum(map(ord, name))


def compared(*cells: Cell, baseline: str = "a", resamples: int = 100) -> Comparison:
    return compare_cells(
        cells, [ReferenceSet("test", REFERENCES, "zh")], baseline=baseline, resamples=resamples, trials=200
    )


# Scores and intervals


def test_a_score_is_the_mean_over_seeds_of_sacrebleus_corpus_score() -> None:
    first = compared(cell("a", [0.1, 0.3, 0.2]), cell("b", [0.2, 0.2])).cells[0].tests["test"].scores
    outputs = [translations(share, hash_of("a", seed)) for seed, share in enumerate([0.1, 0.3, 0.2], 1)]
    streams = [[lines[0] for lines in REFERENCES]]
    chrf = [sacrebleu.CHRF().corpus_score(output, streams).score for output in outputs]
    bleu = [sacrebleu.BLEU(tokenize="zh").corpus_score(output, streams).score for output in outputs]
    assert first["chrF2"].by_seed == pytest.approx(chrf)
    assert first["BLEU"].by_seed == pytest.approx(bleu)
    assert first["chrF2"].value == pytest.approx(np.mean(chrf))
    assert first["chrF2"].low < first["chrF2"].value < first["chrF2"].high
    assert "tok:zh" in first["BLEU"].signature
    assert "bs:100" in first["BLEU"].signature


@pytest.mark.slow
def test_one_seed_has_the_interval_that_sacrebleu_draws() -> None:
    """With one seed there is no luck of seeds, and the interval is that of sentences alone."""
    score = compared(cell("a", [0.2]), cell("b", [0.2]), resamples=300).cells[0].tests["test"].scores["chrF2"]
    metric = sacrebleu.CHRF()
    streams = [[lines[0] for lines in REFERENCES]]
    found = metric.corpus_score(translations(0.2, hash_of("a", 1)), streams, n_bootstrap=300)
    assert (score.low + score.high) / 2 == pytest.approx(found.score, abs=2)
    draws = np.random.default_rng(12345).choice(60, size=(300, 60), replace=True)
    output = translations(0.2, hash_of("a", 1))
    by_hand = sorted(
        metric.corpus_score([output[i] for i in draw], [[streams[0][i] for i in draw]]).score for draw in draws
    )
    assert (score.low, score.high) == (pytest.approx(by_hand[7]), pytest.approx(by_hand[-8]))


def test_unlike_seeds_widen_the_interval() -> None:
    alike = compared(cell("a", [0.2, 0.2, 0.2]), cell("b", [0.2])).cells[0].tests["test"].scores["chrF2"]
    unlike = compared(cell("a", [0.1, 0.2, 0.3]), cell("b", [0.2])).cells[0].tests["test"].scores["chrF2"]
    assert unlike.high - unlike.low > 2 * (alike.high - alike.low)


def test_the_mean_over_seeds_varies_as_much_as_it_should() -> None:
    """Drawing n - 1 of n seeds gives the variance s² / n of a mean; drawing n would give (n - 1) / n of that."""
    seeds = np.array([10.0, 13.0, 20.0])
    drawn = over_seeds(np.repeat(seeds[:, None], 200_000, axis=1))
    assert drawn.mean() == pytest.approx(seeds.mean(), abs=0.02)
    assert drawn.var() == pytest.approx(seeds.var(ddof=1) / 3, rel=0.01)
    assert over_seeds(np.arange(5.0)[None]).tolist() == [0, 1, 2, 3, 4]


# Differences


def test_two_cells_that_do_not_translate_are_not_called_different() -> None:
    """However surely one is less bad. With a cell that translates, there is a difference."""
    made = compared(cell("a", [0.97, 0.98, 0.99]), cell("b", [0.7, 0.71, 0.72]), cell("c", [0.1, 0.1, 0.2]))
    weak, good = (made.cells[i].tests["test"].differences["chrF2"] for i in (1, 2))
    assert max(made.cells[i].tests["test"].scores["BLEU"].value for i in (0, 1)) < 5
    assert weak.corrected is not None
    assert weak.corrected < 0.05
    assert not weak.shown
    assert verdict(weak).startswith("too weak to compare, both below BLEU 5: chrF2 +")
    assert good.shown
    assert verdict(good).startswith("higher: ")


def test_the_standard_error_by_hand() -> None:
    """Without variance of sentences this is Welch's test, which SciPy has."""
    cells = [31.0, 33.0, 32.6], [29.0, 30.5, 28.0, 29.9]
    error, df, p = welch(*cells, 0.0, 500)
    wanted = stats.ttest_ind(*cells, equal_var=False)
    assert (df, p) == (pytest.approx(wanted.df), pytest.approx(wanted.pvalue))
    assert error == pytest.approx((np.var(cells[0], ddof=1) / 3 + np.var(cells[1], ddof=1) / 4) ** 0.5)
    # With it: 0.9 of 10 sentences counts as 1; two seeds 1 apart give 0.25 each; variances add up.
    error, df, p = welch([2.0, 3.0], [1.0, 2.0], 0.9, 10)
    assert error == pytest.approx(1.5**0.5)
    assert df == pytest.approx(1.5**2 / (1 / 9 + 0.25**2 + 0.25**2))
    assert p == pytest.approx(2 * stats.t.sf(1 / 1.5**0.5, df))


def test_what_never_varies() -> None:
    assert welch([5.0, 5.0], [5.0, 5.0], 0.0, 9)[2] == 1
    assert welch([6.0, 6.0], [5.0, 5.0], 0.0, 9)[2] == 0


def test_the_same_translations_do_not_differ() -> None:
    runs = cell("a", [0.2, 0.3]).runs
    found = compared(Cell("a", {}, runs), Cell("b", {}, runs)).cells[1].tests["test"].differences["chrF2"]
    assert (found.difference, found.shown) == (0, False)
    assert found.p_value == pytest.approx(1)


def test_a_large_difference_is_shown_and_has_its_sign() -> None:
    result = compared(cell("a", [0.30, 0.31, 0.29]), cell("b", [0.1, 0.11, 0.09]), cell("c", [0.6, 0.61, 0.59]))
    better, worse = (result.cells[i].tests["test"].differences["chrF2"] for i in (1, 2))
    assert better.shown
    assert better.low is not None
    assert 0 < better.low < better.difference
    assert worse.shown
    assert worse.difference < 0
    assert verdict(better).startswith("higher: chrF2 +")
    assert verdict(worse).startswith("lower: chrF2 -")
    assert result.cells[0].tests["test"].differences == {}


@pytest.mark.slow
def test_what_the_seeds_could_have_done_is_not_shown() -> None:
    """The sentences alone would call the mean of these seeds better; the seeds lie too far apart to say so."""
    steady, wild = cell("a", [0.20, 0.20, 0.20]), cell("b", [0.02, 0.15, 0.28])
    found = compared(steady, wild).cells[1].tests["test"].differences["chrF2"]
    assert found.difference > 2
    assert not found.shown
    assert verdict(found).startswith("no difference shown: ")
    one = compared(*(replace(each, runs=each.runs[:1]) for each in (steady, wild))).cells[1].tests["test"].differences
    assert all(found.p_value is not None and found.p_value < ALPHA for found in one.values())


def ours(scores: np.ndarray) -> float:
    """The p of `welch` for two cells, from scores of (cell, seed, sentence)."""
    variance = (scores[0].mean(axis=0) - scores[1].mean(axis=0)).var() / 150  # what a bootstrap of the sentences gives
    return welch(scores[0].mean(axis=1).tolist(), scores[1].mean(axis=1).tolist(), variance, 150)[2]


def of_sentences_alone(scores: np.ndarray) -> float:
    return stats.ttest_1samp(scores[0].mean(axis=0) - scores[1].mean(axis=0), 0).pvalue


def false_alarms(test: Callable[[np.ndarray], float], seeds: int, luck: float, trials: int) -> float:
    """How often a test calls two cells different that are alike."""
    draw = np.random.default_rng(4)
    called = 0
    for _ in range(trials):
        # Scores of (cell, seed, sentence): the sentence, what the cell finds hard in it, the seed's luck, the rest.
        scores = draw.normal(0, 1, 150) + draw.normal(0, 0.5, (2, 1, 150)) + draw.normal(0, luck, (2, seeds, 1))
        called += test(scores + draw.normal(0, 0.7, (2, seeds, 150))) < ALPHA
    return called / trials


MORE_CASES = [(2, 0.3), (3, 0.0), (3, 0.1), (5, 0.3)]


@pytest.mark.parametrize(
    ("seeds", "luck"), [(3, 0.3), *[pytest.param(*case, marks=pytest.mark.slow) for case in MORE_CASES]]
)
def test_false_alarms_are_no_more_than_promised(seeds: int, luck: float) -> None:
    """Simulated: at most 5 % of equal cells are called different, up to the chance of 1,000 trials."""
    assert false_alarms(ours, seeds, luck, 1000) <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 1000) ** 0.5


def test_the_sentences_alone_would_raise_them() -> None:
    assert false_alarms(of_sentences_alone, 3, 0.3, 100) > 0.4


def test_one_seed_each_is_the_paired_test_of_two_models() -> None:
    """`test_systems` holds its figures."""
    found = compared(cell("a", [0.2]), cell("b", [0.12])).cells[1].tests["test"].differences["chrF2"]
    assert found.one_seed
    assert found.p_value is not None
    assert verdict(replace(found, corrected=0.01)).endswith("p = 0.010, of these two models")


def test_one_seed_against_several_is_not_tested() -> None:
    found = compared(cell("a", [0.2, 0.25]), cell("b", [0.0])).cells[1].tests["test"].differences["chrF2"]
    assert found.difference > 0
    assert (found.p_value, found.corrected, found.shown) == (None, None, False)
    assert "single seed" in verdict(found)


def test_a_single_sentence_is_not_tested() -> None:
    runs = [
        Cell(name, {}, [Measured(seed, "", translations={"t": [text]}) for seed, text in enumerate(texts)])
        for name, texts in (("a", ["好。", "好人。"]), ("b", ["你好。", "你们好。"]))
    ]
    result = compare_cells(runs, [ReferenceSet("t", [["你好。"]], "zh")], baseline="a", resamples=100)
    assert result.cells[1].tests["t"].differences["chrF2"].p_value is None


# Holm


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1, and never below the one before."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.03]) == [0.03]


def test_all_comparisons_are_corrected_together() -> None:
    result = compared(cell("a", [0.3, 0.32]), cell("b", [0.25, 0.27]), cell("c", [0.1, 0.12]))
    found = [difference for cells in result.cells for difference in cells.tests["test"].differences.values()]
    assert result.comparisons == len(found) == 4
    assert [difference.corrected for difference in found] == pytest.approx(holm([d.p_value or 0 for d in found]))


# What surrounds the figures


def test_failures_are_left_out_and_kept() -> None:
    broken = cell("b", [0.1, 0.1])
    runs = [replace(broken.runs[0], failure="out of memory", translations={}), broken.runs[1]]
    result = compared(cell("a", [0.2, 0.2]), Cell("b", {}, runs), Cell("c", {}, [replace(runs[0], seed=7)]))
    assert [len(cells.measured) for cells in result.cells] == [2, 1, 0]
    assert len(result.cells[1].tests["test"].scores["BLEU"].by_seed) == 1
    assert result.cells[2].tests == {}
    assert result.cells[2].runs[0].failure == "out of memory"


def test_without_a_baseline_nothing_is_tested() -> None:
    lost = Cell("a", {}, [Measured(1, "", failure="x")])
    result = compared(lost, cell("b", [0.2, 0.2]))
    assert result.comparisons == 0
    assert result.cells[1].tests["test"].differences == {}
    assert result.cells[1].tests["test"].scores["BLEU"].value > 0
    with pytest.raises(UsageError, match=r"no cell 'z'.*There are a"):
        compared(lost, baseline="z")


def test_measurements_are_summed_up_over_seeds() -> None:
    costs = {"parameters": 100, "tokens_per_second": 7.0, "error_rate": {"test": 0.25}}
    costs["focus"] = {"test": Focus(3, 1.5, None, 0.5)}
    runs = cell("a", [0.1, 0.2], **costs).runs
    runs = [runs[0], replace(runs[1], tokens_per_second=9.0, focus={"test": Focus(3, 2.5, None, None)})]
    found = compared(Cell("a", {}, runs), cell("b", [0.1])).cells
    assert found[0].parameters == Spread(100, 100, 100)
    assert found[0].tokens_per_second == Spread(8, 7, 9)
    assert found[0].memory_bytes is None
    result = found[0].tests["test"]
    assert (result.entropy, result.coverage) == (Spread(2, 1.5, 2.5), None)
    assert (result.monotonicity, result.error_rate) == (Spread(0.5, 0.5, 0.5), Spread(0.25, 0.25, 0.25))


def test_the_json_holds_figures_and_no_text() -> None:
    points = (Point(1.0, 10, 3.5),)
    shown = compared(cell("a", [0.1, 0.2], curve=points), cell("b", [0.2, 0.2])).as_dict()
    text = json.dumps(shown, allow_nan=False, ensure_ascii=False)
    assert not any(lines[0] in text for lines in REFERENCES)
    assert "错" not in text
    loaded = json.loads(text)
    assert loaded["cells"][0]["runs"][0]["curve"] == [{"seconds": 1.0, "step": 10, "chrf": 3.5}]
    assert loaded["cells"][1]["tests"]["test"]["differences"]["chrF2"]["corrected"] is not None


def test_several_test_sets_are_kept_apart() -> None:
    cells = [cell("a", [0.2, 0.21]), cell("b", [0.1, 0.12])]
    for runs in cells:
        for run in runs.runs:
            run.translations["other"] = list(run.translations["test"])[:30]  # type: ignore[index]
    sets = [ReferenceSet("test", REFERENCES, "zh"), ReferenceSet("other", REFERENCES[:30], "zh")]
    result = compare_cells(cells, sets, baseline="a", resamples=100)
    assert result.sentences == {"test": 60, "other": 30}
    assert result.comparisons == 4
    first, second = (result.cells[1].tests[name].scores["chrF2"].value for name in ("test", "other"))
    assert first != second


@pytest.mark.parametrize(
    ("corrected", "said"),
    [
        (0.0499, "higher: chrF2 +1.2"),
        (0.05, "no difference shown: chrF2 +1.2"),
        (1.0, "no difference shown: chrF2 +1.2"),
    ],
)
def test_a_winner_is_claimed_only_below_the_bound(corrected: float, said: str) -> None:
    found = CellDifference("chrF2", 1.234, 0.5, 2.0, 0.01, corrected, "t")
    assert verdict(found).startswith(f"{said} [+0.5, +2.0], p ")


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0004, "< 0.001"),
        (0.0123, "= 0.012"),
        (0.0499, "= 0.0499"),
        (0.05, "= 0.0500"),
        (0.456, "= 0.46"),
        (1.0, "= 1.00"),
    ],
)
def test_p_for_people(p: float, text: str) -> None:
    assert written_p(p) == text


def test_faithfulness_is_a_mean_over_seeds_and_sentences() -> None:
    seeds = [{"attention": [[0.5, None, 1.0, 0.0], [0.7, 0.2, 3.0, 0.0]]}, {"attention": [[0.1, 0.2, 2.0, 0.0]] * 2}]
    found = estimate_faithfulness(seeds, 1000)["attention"]
    assert found["rank_correlation"].value == pytest.approx((0.6 + 0.1) / 2)
    assert found["gradient_correlation"].value == pytest.approx(0.2)  # of the sentence where both seeds know it
    assert found["sufficiency"] == Estimate(0.0, 0.0, 0.0)
    low, value, high = (getattr(found["comprehensiveness"], key) for key in ("low", "value", "high"))
    assert (low, value, high) == (1.0, 2.0, 3.0)  # the first seed's sentences alone, and one of them twice
    nothing = estimate_faithfulness([{"uniform": [[None] * 4]}], 100)["uniform"]
    assert nothing["rank_correlation"] == Estimate(None, None, None)
