"""Several ways to train, each with several seeds, on the same sentences: which is better, by how much, is it chance?

A *cell* is one way to train: the runs that differ in nothing but their seed. Other seeds and other sentences would give
other scores, so every interval here covers both. Texts and measurements come in, and frozen results go out. Nothing is
trained or translated here.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from attentio.errors import UsageError
from attentio.metrics.focus import Focus
from attentio.metrics.quality import (
    RESAMPLES,
    TRIALS,
    compare_systems,
    metrics,
    reference_streams,
    signature,
    written_in,
)
from attentio.metrics.significance import (
    SEED,
    bootstrap,
    corpus_score,
    critical_t,
    interval,
    sentence_statistics,
    two_sided_p,
)

ALPHA = 0.05
"""A difference is shown when its corrected p is below this."""

LEAST_BLEU = 5.0
"""Of two cells that both stay below this, neither translates: no difference between them is shown."""

METRICS = ("BLEU", "chrF2")
COSTS = ("parameters", "steps", "training_seconds", "tokens_per_second", "sentences_per_second", "memory_bytes")


@dataclass(frozen=True)
class ReferenceSet:
    """The sentences all cells are compared on: `references[i]` are all known translations of sentence i."""

    name: str
    references: Sequence[Sequence[str]]
    language: str | None = None


@dataclass(frozen=True)
class Point:
    """One evaluation on dev during a training."""

    seconds: float
    step: int
    chrf: float


@dataclass(frozen=True)
class Measured:
    """One trained model, or why there is none. What was not measured is None.

    translations, focus, error_rate: by name of test set. tokens_per_second: target tokens trained on, evaluations left
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


@dataclass(frozen=True)
class CellRuns:
    """One way to train and what came of it: `settings` are the varied ones, `also_differs` says what else differs."""

    name: str
    settings: Mapping[str, object]
    runs: Sequence[Measured]
    also_differs: Sequence[str] = ()


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
class CellDifference:
    """One metric of a cell minus that of the baseline.

    low, high: the 95 % interval of this difference alone, not corrected for the number of comparisons.
    p_value: of this comparison alone. corrected: after Holm's correction over all comparisons made. Both are None where
    no test is possible. method: how p was found, in words.
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
    """One cell on one test set. `differences` is empty for the baseline."""

    scores: Mapping[str, CellScore]
    differences: Mapping[str, CellDifference]
    error_rate: Spread | None
    entropy: Spread | None
    coverage: Spread | None
    monotonicity: Spread | None


@dataclass(frozen=True)
class Cell:
    """One way to train, measured: over the seeds that have a result. `tests` is empty when none has."""

    name: str
    settings: Mapping[str, object]
    also_differs: tuple[str, ...]
    runs: tuple[Measured, ...]
    parameters: Spread | None
    steps: Spread | None
    training_seconds: Spread | None
    tokens_per_second: Spread | None
    sentences_per_second: Spread | None
    memory_bytes: Spread | None
    tests: Mapping[str, CellTest]

    @property
    def measured(self) -> tuple[Measured, ...]:
        """The runs that have a result."""
        return tuple(run for run in self.runs if run.failure is None)

    @property
    def has_one_seed(self) -> bool:
        """Whether a single run has a result."""
        return len(self.measured) == 1


@dataclass(frozen=True)
class Comparison:
    """All cells against one baseline, with the way it was made."""

    baseline: str
    cells: tuple[Cell, ...]
    sentences: Mapping[str, int]
    references: Mapping[str, int]
    comparisons: int
    resamples: int

    def as_dict(self) -> dict[str, object]:
        """Return the comparison as the stable object that `--json` prints: figures only, no test sentence."""
        shown = asdict(self)
        for cell in shown["cells"]:
            for run in cell["runs"]:
                del run["translations"]
        return {**shown, "alpha": ALPHA, "seed": SEED}


def compare_cells(
    cells: Sequence[CellRuns],
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
    only. All p together are corrected by Holm's (1979) steps.

    Raises UsageError when no cell has the name of the baseline.
    """
    if baseline not in {cell.name for cell in cells}:
        raise UsageError(
            f"no cell {baseline!r} to compare with.", hint=f"There are {', '.join(c.name for c in cells)}."
        )
    scored = {test.name: _scores(test, cells, baseline, resamples, trials) for test in tests}
    raw = {
        (test, cell, metric): difference.p_value
        for test, (_, differences) in scored.items()
        for cell, by_metric in differences.items()
        for metric, difference in by_metric.items()
        if difference.p_value is not None
    }
    corrected = dict(zip(raw, holm(list(raw.values())), strict=True))

    def cell_test(cell: CellRuns, test: str) -> CellTest:
        scores, differences = scored[test]
        runs = _measured(cell)
        focus = [run.focus[test] for run in runs if test in run.focus]
        best = max((scores[name]["BLEU"].value for name in (cell.name, baseline) if name in scores), default=0.0)
        return CellTest(
            scores=scores[cell.name],
            differences={
                metric: dataclasses.replace(
                    difference, corrected=corrected.get((test, cell.name, metric)), too_weak=best < LEAST_BLEU
                )
                for metric, difference in differences.get(cell.name, {}).items()
            },
            error_rate=Spread.of(run.error_rate.get(test) for run in runs),
            entropy=Spread.of(row.entropy for row in focus),
            coverage=Spread.of(row.coverage for row in focus),
            monotonicity=Spread.of(row.monotonicity for row in focus),
        )

    return Comparison(
        baseline=baseline,
        cells=tuple(
            Cell(
                name=cell.name,
                settings=dict(cell.settings),
                also_differs=tuple(cell.also_differs),
                runs=tuple(cell.runs),
                **{name: Spread.of(getattr(run, name) for run in _measured(cell)) for name in COSTS},
                tests={test.name: cell_test(cell, test.name) for test in tests} if _measured(cell) else {},
            )
            for cell in cells
        ),
        sentences={test.name: len(test.references) for test in tests},
        references={test.name: sum(map(len, test.references)) for test in tests},
        comparisons=len(raw),
        resamples=resamples,
    )


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


def _measured(cell: CellRuns) -> list[Measured]:
    return [run for run in cell.runs if run.failure is None]


def _scores(
    test: ReferenceSet, cells: Sequence[CellRuns], baseline: str, resamples: int, trials: int
) -> tuple[dict[str, dict[str, CellScore]], dict[str, dict[str, CellDifference]]]:
    """Return scores, and differences with their own p, of one test set: by cell, then by metric."""
    outputs = {cell.name: [run.translations[test.name] for run in _measured(cell)] for cell in cells if _measured(cell)}
    scores: dict[str, dict[str, CellScore]] = {name: {} for name in outputs}
    differences: dict[str, dict[str, CellDifference]] = {name: {} for name in outputs if name != baseline}
    language = test.language or written_in(test.references)
    for metric_name in METRICS if outputs else ():
        metric = metrics(language)[metric_name]
        tables = {
            name: [sentence_statistics(metric, lines, reference_streams(lines, test.references)) for lines in seeds]
            for name, seeds in outputs.items()
        }
        resampled = bootstrap(metric, [table for seeds in tables.values() for table in seeds], resamples)
        by_cell: dict[str, NDArray[np.float64]] = {}  # (seeds, resamples)
        for name, seeds in tables.items():
            by_cell[name], resampled = resampled[: len(seeds)], resampled[len(seeds) :]
            values = tuple(corpus_score(metric, table.sum(axis=0)) for table in seeds)
            low, high = interval(over_seeds(by_cell[name]))
            made = signature(metric, bs=resamples)
            scores[name][metric_name] = CellScore(metric_name, float(np.mean(values)), low, high, values, made)
        for name in differences if baseline in outputs else ():
            seeds = len(outputs[name]), len(outputs[baseline])
            pair = scores[name][metric_name], scores[baseline][metric_name]
            if seeds == (1, 1):
                differences[name][metric_name] = _of_two_models(
                    metric_name, outputs[baseline][0], outputs[name][0], test, language, resamples, trials
                )
            else:
                drawn = by_cell[name].mean(axis=0) - by_cell[baseline].mean(axis=0)
                differences[name][metric_name] = _of_two_cells(*pair, float(drawn.var(ddof=1)), len(test.references))
    return scores, differences if baseline in outputs else {}


def over_seeds(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (resamples,) means over drawn seeds, of (seeds, resamples) scores: a column has the same sentences.

    n - 1 of n seeds are drawn with replacement, so that the mean over seeds varies as much as it should. A single seed
    is always drawn.
    """
    seeds, resamples = resampled.shape
    drawn = np.random.default_rng(SEED).integers(0, seeds, size=(max(1, seeds - 1), resamples))
    return np.take_along_axis(resampled, drawn, axis=0).mean(axis=0)


def _of_two_cells(cell: CellScore, baseline: CellScore, sentence_variance: float, sentences: int) -> CellDifference:
    difference = cell.value - baseline.value
    fewest = min(len(cell.by_seed), len(baseline.by_seed))
    if fewest < 2 or sentences < 2:
        why = "not tested: one of the two has a single seed" if fewest < 2 else "not tested: a single sentence"
        return CellDifference(cell.metric, difference, None, None, None, None, why)
    error, df, p = welch(cell.by_seed, baseline.by_seed, sentence_variance, sentences)
    reach = critical_t(df) * error
    method = f"Welch's t over seeds and sentences, {df:.1f} degrees of freedom"
    return CellDifference(cell.metric, difference, difference - reach, difference + reach, p, None, method)


def _of_two_models(
    metric: str,
    baseline: Sequence[str],
    system: Sequence[str],
    test: ReferenceSet,
    language: str,
    resamples: int,
    trials: int,
) -> CellDifference:
    (found,) = compare_systems(
        baseline, system, test.references, language=language, only=(metric,), resamples=resamples, trials=trials
    )
    method = f"paired approximate randomization over sentences, {trials:,} trials"
    return CellDifference(metric, found.difference, found.low, found.high, found.p_value, None, method, one_seed=True)
