"""Several ways to train, each with several seeds, on the same sentences: which is better, by how much, is it chance?

A *cell* is one way to train: the runs that differ in nothing but their seed. Other seeds and other sentences would give
other scores, so every interval here covers both. Texts and measurements come in, and frozen results go out. Nothing is
trained or translated here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from attentio.errors import UsageError
from attentio.metrics.faithfulness import MEASURES
from attentio.metrics.focus import Focus
from attentio.metrics.quality import RESAMPLES, metrics, reference_streams, signature, written_in
from attentio.metrics.significance import (
    SEED,
    Table,
    bootstrap,
    corpus_score,
    critical_t,
    interval,
    p_value,
    sentence_statistics,
    swapped,
    two_sided_p,
)

ALPHA = 0.05
"""A difference is shown when its corrected p is below this."""

MEASURE_NAMES = dict(zip(MEASURES, ("ρ erasure", "ρ gradient", "compr.", "suff."), strict=True))
"""What the measures of faithfulness are called in a table."""

LEAST_BLEU = 5.0
"""Of two cells that both stay below this, neither translates: no difference between them is shown."""

TRIALS = 10_000  # exchanges of two systems' sentences
METRICS = ("BLEU", "chrF2")
FOCUS = ("error_rate", "entropy", "coverage", "monotonicity")
COSTS = ("parameters", "steps", "training_seconds", "tokens_per_second", "sentences_per_second", "memory_bytes")


Rows: TypeAlias = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class ReferenceSet:
    """The sentences all cells are compared on: `references[i]` are all known translations of sentence i.

    left_out: why others of the set are not, with their number.
    """

    name: str
    references: Sequence[Sequence[str]]
    language: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Point:
    """One evaluation on dev during a training."""

    seconds: float
    step: int
    chrf: float


@dataclass(frozen=True)
class Measured:
    """One trained model, or why there is none. What was not measured is None.

    translations, focus, error_rate, faithfulness, explanations: by name of test set. faithfulness: for each map of the
    first sentences, (sentences, measures), `attention` being that of the last layer. explanations: alignment error of
    links drawn from attention, erasure and gradients. tokens_per_second: target tokens trained on, evaluations left
    out. sentences_per_second: greedy translation of the test sentences, measured alone. memory_bytes: the largest
    resident size of the training process.
    """

    seed: int
    run: str
    failure: str | None = None
    parameters: int | None = None
    steps: int | None = None
    training_seconds: float | None = None
    tokens_per_second: float | None = None
    sentences_per_second: float | None = None
    memory_bytes: int | None = None
    curve: tuple[Point, ...] = ()
    focus: Mapping[str, Focus] = field(default_factory=dict[str, Focus])
    error_rate: Mapping[str, float] = field(default_factory=dict[str, float])
    translations: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    faithfulness: Mapping[str, Mapping[str, "Rows"]] = field(default_factory=dict[str, Mapping[str, "Rows"]])
    explanations: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])


@dataclass(frozen=True)
class Spread:
    """A measurement over seeds."""

    mean: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """Return the spread of what was measured, or None if nothing was."""
        known = [value for value in values if value is not None]
        return cls(float(np.mean(known)), min(known), max(known)) if known else None


@dataclass(frozen=True)
class CellScore:
    """One metric of one cell on one test set.

    value: the mean over seeds of the corpus score. low, high: 95 % of the resamples of sentences and seeds lie between
    them. by_seed: the corpus score of each seed. signature: sacreBLEU's.
    """

    metric: str
    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    signature: str


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and sentences. low, high: its 95 % interval over both. All None where nothing is known."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CellDifference:
    """One metric of a cell minus that of the baseline.

    low, high: the 95 % interval of this difference alone, not corrected for the number of comparisons.
    p_value: of this comparison alone. corrected: after Holm's correction over all comparisons made. All four are None
    where no test is possible. method: how p was found, in words.
    one_seed: whether this is about two models, one of each cell. Another seed may reverse it.
    too_weak: whether both cells stay below LEAST_BLEU.
    """

    metric: str
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    corrected: float | None
    method: str
    one_seed: bool = False
    too_weak: bool = False

    @property
    def shown(self) -> bool:
        """Whether more than luck is shown, by cells of which at least one translates."""
        return not self.too_weak and self.corrected is not None and self.corrected < ALPHA


@dataclass(frozen=True)
class CellTest:
    """One cell on one test set. `differences` is empty for the baseline.

    faithfulness: for each map its measures, empty where not measured. explanations: alignment error of links drawn
    from attention, erasure and gradients.
    """

    scores: Mapping[str, CellScore]
    differences: Mapping[str, CellDifference]
    error_rate: Spread | None
    entropy: Spread | None
    coverage: Spread | None
    monotonicity: Spread | None
    faithfulness: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict[str, Mapping[str, Estimate]])
    explanations: Mapping[str, Spread | None] = field(default_factory=dict[str, Spread | None])


@dataclass(frozen=True)
class Cell:
    """One way to train and what came of it. `settings` are the varied ones, `also_differs` says what else differs.

    The rest is filled in by `compare_cells`, over the seeds that have a result. `tests` is empty when none has.
    """

    name: str
    settings: Mapping[str, object]
    runs: Sequence[Measured]
    also_differs: Sequence[str] = ()
    parameters: Spread | None = None
    steps: Spread | None = None
    training_seconds: Spread | None = None
    tokens_per_second: Spread | None = None
    sentences_per_second: Spread | None = None
    memory_bytes: Spread | None = None
    tests: Mapping[str, CellTest] = field(default_factory=dict[str, CellTest])

    @property
    def measured(self) -> tuple[Measured, ...]:
        return tuple(run for run in self.runs if run.failure is None)


@dataclass(frozen=True)
class Comparison:
    """All cells against one baseline, with the way it was made.

    sentences, references: how many each test set has. left_out: why others are not scored, with their number.
    """

    baseline: str
    cells: tuple[Cell, ...]
    sentences: Mapping[str, int]
    references: Mapping[str, int]
    comparisons: int
    resamples: int
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])

    def on(self, test: str) -> list[tuple[int, Cell, CellTest]]:
        """Return the cells that have a result on a test set, each with its number."""
        return [(i, cell, cell.tests[test]) for i, cell in enumerate(self.cells) if test in cell.tests]

    def as_dict(self) -> dict[str, object]:
        """Return the comparison as the stable object that `--json` prints: figures only, no test sentence."""
        shown = asdict(self)
        for cell in shown["cells"]:
            for run in cell["runs"]:
                del run["translations"], run["faithfulness"]
        return {**shown, "alpha": ALPHA, "seed": SEED}


def compare_cells(
    cells: Sequence[Cell],
    tests: Sequence[ReferenceSet],
    *,
    baseline: str,
    resamples: int = RESAMPLES,
    trials: int = TRIALS,
) -> Comparison:
    """Score every cell on every test set and test each against `baseline`, in BLEU and chrF2.

    A cell's score is the mean over seeds of the corpus score. Its interval is a bootstrap of two levels. Each of
    `resamples` draws takes, with replacement,

    - the same sentences for all cells and seeds,
    - n - 1 of the n seeds of each cell with n > 1. This gives the mean its right variance (Rao and Wu 1988).

    The difference d of two cells, with two seeds or more each, has the variance `v_sentences + v_cell + v_baseline`.
    The first is that of d over the draws of sentences, times N / (N - 1). The others are the sample variance over the
    seeds of a cell, divided by their number. The ratio `d / sqrt(variance)` is compared with Student's t. Its degrees
    of freedom are those of Welch and Satterthwaite.

    With one seed each, p is that of paired approximate randomization (`significance`). It speaks of these two models
    only. All p together are corrected by Holm's (1979) steps. Raises UsageError when no cell is named `baseline`.
    """
    names = [cell.name for cell in cells]
    if baseline not in names:
        raise UsageError(f"no cell {baseline!r} to compare with.", hint=f"There are {', '.join(names)}.")
    results = {test.name: _results(test, cells, baseline, resamples, trials) for test in tests}
    found = [d for test in results.values() for cell in test.values() for d in cell.differences.values()]
    raw = [difference.p_value for difference in found if difference.p_value is not None]
    corrected = iter(holm(raw))
    for test in results.values():
        for name, result in test.items():
            differences = {
                metric: difference if difference.p_value is None else replace(difference, corrected=next(corrected))
                for metric, difference in result.differences.items()
            }
            test[name] = replace(result, differences=differences)
    filled = tuple(
        replace(
            cell,
            **{cost: Spread.of(getattr(run, cost) for run in cell.measured) for cost in COSTS},
            tests={test: by_cell[cell.name] for test, by_cell in results.items() if cell.name in by_cell},
        )
        for cell in cells
    )
    return Comparison(
        baseline,
        filled,
        {test.name: len(test.references) for test in tests},
        {test.name: sum(map(len, test.references)) for test in tests},
        len(raw),
        resamples,
        {test.name: dict(test.left_out) for test in tests},
    )


def _results(
    test: ReferenceSet, cells: Sequence[Cell], baseline: str, resamples: int, trials: int
) -> dict[str, CellTest]:
    """Return scores, differences that are not corrected yet, and attention of each measured cell on one test set."""
    runs = {cell.name: cell.measured for cell in cells if cell.measured}
    scores: dict[str, dict[str, CellScore]] = {name: {} for name in runs}
    differences: dict[str, dict[str, CellDifference]] = {name: {} for name in runs}
    language = test.language or written_in(test.references)
    for metric_name in METRICS if runs else ():
        metric = metrics(language)[metric_name]
        tables: dict[str, list[Table]] = {}
        for name, seeds in runs.items():
            lines = [run.translations[test.name] for run in seeds]
            tables[name] = [sentence_statistics(metric, one, reference_streams(one, test.references)) for one in lines]
        drawn = iter(bootstrap(metric, [table for seeds in tables.values() for table in seeds], resamples))
        resampled = {name: np.array([next(drawn) for _ in seeds]) for name, seeds in tables.items()}
        made = signature(metric, bs=resamples)
        for name, seeds in tables.items():
            values = tuple(corpus_score(metric, table.sum(axis=0)) for table in seeds)
            reach = interval(over_seeds(resampled[name]))
            scores[name][metric_name] = CellScore(metric_name, float(np.mean(values)), *reach, values, made)
        for name in runs if baseline in runs else ():
            if name == baseline:
                continue
            gaps = resampled[name].mean(axis=0) - resampled[baseline].mean(axis=0)
            too_weak = max(scores[name]["BLEU"].value, scores[baseline]["BLEU"].value) < LEAST_BLEU
            found = _difference(scores[name][metric_name], scores[baseline][metric_name], gaps, len(test.references))
            if found.one_seed:
                first, second = swapped(metric, tables[baseline][0], tables[name][0], trials)
                how = f"paired approximate randomization over sentences, {trials:,} trials"
                found = replace(found, p_value=p_value(second - first, found.difference), method=how)
            differences[name][metric_name] = replace(found, too_weak=too_weak)
    return {
        name: CellTest(
            scores[name],
            differences[name],
            Spread.of(run.error_rate.get(test.name) for run in seeds),
            *(Spread.of(getattr(run.focus.get(test.name), key, None) for run in seeds) for key in FOCUS[1:]),
            faithfulness=estimate_faithfulness([run.faithfulness.get(test.name, {}) for run in seeds], resamples),
            explanations={
                looked_at: Spread.of(run.explanations.get(test.name, {}).get(looked_at) for run in seeds)
                for looked_at in seeds[0].explanations.get(test.name, {})
            },
        )
        for name, seeds in runs.items()
    }


def _difference(cell: CellScore, baseline: CellScore, gaps: NDArray[np.float64], sentences: int) -> CellDifference:
    """Return the difference of two cells. gaps: (resamples,) that of their means over seeds, for drawn sentences."""
    difference = cell.value - baseline.value
    seeds = sorted((len(cell.by_seed), len(baseline.by_seed)))
    if seeds == [1, 1]:
        return CellDifference(cell.metric, difference, *interval(gaps), None, None, "", one_seed=True)
    if seeds[0] < 2 or sentences < 2:
        why = "one of the two has a single seed" if seeds[0] < 2 else "a single sentence"
        return CellDifference(cell.metric, difference, None, None, None, None, f"not tested: {why}")
    error, df, p = welch(cell.by_seed, baseline.by_seed, float(gaps.var(ddof=1)), sentences)
    reach = critical_t(df) * error
    method = f"Welch's t over seeds and sentences, {df:.1f} degrees of freedom"
    return CellDifference(cell.metric, difference, difference - reach, difference + reach, p, None, method)


def over_seeds(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (resamples,) means over drawn seeds, of (seeds, resamples) scores: a column has the same sentences.

    n - 1 of n seeds are drawn with replacement, so that the mean over seeds varies as much as it should. A single seed
    is always drawn.
    """
    seeds, resamples = resampled.shape
    drawn = np.random.default_rng(SEED).integers(0, seeds, size=(max(1, seeds - 1), resamples))
    return np.take_along_axis(resampled, drawn, axis=0).mean(axis=0)


def estimate_faithfulness(seeds: Sequence[Mapping[str, Rows]], resamples: int) -> dict[str, dict[str, Estimate]]:
    """Return the measures of each map, with intervals over seeds and sentences as scores have them."""
    found: dict[str, dict[str, Estimate]] = {}
    for name in seeds[0]:
        rows = np.array([seed[name] for seed in seeds], dtype=np.float64)  # (seeds, sentences, measures)
        found[name] = {measure: _estimate(rows[:, :, i], resamples) for i, measure in enumerate(MEASURES)}
    return found


def _estimate(values: NDArray[np.float64], resamples: int) -> Estimate:
    """Return the mean of (seeds, sentences) values. NaN is a value not known."""
    known = values[:, ~np.isnan(values).any(axis=0)]
    if not known.size:
        return Estimate(None, None, None)
    count = known.shape[1]
    drawn = np.random.default_rng(SEED).integers(count, size=(resamples, count))
    means = np.stack([row[drawn].mean(axis=1) for row in known])
    return Estimate(float(known.mean()), *interval(over_seeds(means)))


def verdict(difference: CellDifference) -> str:
    """Return what may be said of a difference, in a few words: never more than was shown."""
    reach = "" if difference.low is None else f" [{difference.low:+.1f}, {difference.high:+.1f}]"
    size = f"{difference.metric} {difference.difference:+.1f}{reach}"
    if difference.too_weak:
        return f"too weak to compare, both below BLEU {LEAST_BLEU:g}: {size}"
    if difference.corrected is None:
        return f"{size}: {difference.method}"
    p = f"p {written_p(difference.corrected)}{', of these two models' if difference.one_seed else ''}"
    if not difference.shown:
        return f"no difference shown: {size}, {p}"
    return f"{'higher' if difference.difference > 0 else 'lower'}: {size}, {p}"


def seed_counts(comparison: Comparison) -> str:
    """Return how many seeds the cells have: `3 seeds`, `1 to 3 seeds`."""
    counts = sorted({len(cell.measured) for cell in comparison.cells if cell.measured})
    numbers = " to ".join(map(str, sorted({counts[0], counts[-1]}))) if counts else "0"
    return f"{numbers} seed{'' if numbers == '1' else 's'}"


def left_out(comparison: Comparison, test: str) -> str:
    """Return how many sentences of a test set are not scored, and why. Nothing where all are."""
    reasons = comparison.left_out.get(test, {})
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return f"{sum(reasons.values()):,} left out ({told})" if reasons else ""


def two_places(value: float | None) -> str:
    """Return a measure of faithfulness for people, with a true minus. What is not defined is a dash."""
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # never −0.00


def written_p(p: float) -> str:
    """Return a p-value for people, with the sign before it."""
    if p < 0.001:
        return "< 0.001"
    digits = 4 if f"{p:.3f}" == f"{ALPHA:.3f}" else 3 if p < 0.1 else 2  # never rounded onto the bound
    return f"= {p:.{digits}f}"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values by Holm's (1979) step-down correction, each to be held against one bound, in the order given."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def welch(
    cell: Sequence[float], baseline: Sequence[float], sentence_variance: float, sentences: int
) -> tuple[float, float, float]:
    """Return standard error, degrees of freedom and two-sided p of the difference of two means over seeds.

    cell, baseline: the scores of two seeds or more each. sentence_variance: of the difference, over resamples of
    `sentences` sentences (two or more).
    """
    parts = [(sentence_variance * sentences / (sentences - 1), sentences - 1)]
    parts += [(float(np.var(scores, ddof=1)) / len(scores), len(scores) - 1) for scores in (cell, baseline)]
    variance = sum(part for part, _ in parts)
    difference = float(np.mean(cell)) - float(np.mean(baseline))
    if variance < 1e-18:  # nothing varies: the same translations, or all alike everywhere
        return 0.0, math.inf, 1.0 if abs(difference) < 1e-9 else 0.0
    error = math.sqrt(variance)
    df = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    return error, df, two_sided_p(difference / error, df)
