"""A comparison as one HTML page that needs nothing else: no script, no network, no file beside it.

It reads on a phone as on a wide screen, light or dark, with a keyboard or a screen reader. Figures are tables, plots
repeat what a table says, and maps of attention are tables themselves. The page itself is `page.html.j2`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined

from attentio.errors import MissingExtra
from attentio.experiment.statistics import (
    ALPHA,
    MEASURE_NAMES,
    CellDifference,
    CellTest,
    Comparison,
    Spread,
    left_out,
    seed_counts,
    two_places,
    written_p,
)
from attentio.trace import AttentionTrace
from attentio.view.label import label, stacks

COLORS = 8
SHAPES = "●■▲◆▼✚"  # as the marks of the plots
NAMES = {"chrF2": "chrF", "BLEU": "BLEU"}
Row: TypeAlias = tuple[int, Sequence[tuple[str, str]]]
"""The number of a cell and its values, each with a remark beside it or none."""


@dataclass(frozen=True)
class SentenceMaps:
    """One sentence and, by name of cell, what a model of it attended to. A cell may have none."""

    sentence: str
    traces: Mapping[str, AttentionTrace]


class Table(NamedTuple):
    """A table of figures."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Row]


def page(comparison: Comparison, axes: Sequence[str], facts: Mapping[str, str], maps: Sequence[SentenceMaps]) -> str:
    """Return the whole page.

    axes: the settings that were varied. facts: how it was made, name and value, in the order to show them.
    """
    no_plots, plots, cost_plots = None, dict.fromkeys(comparison.sentences, ()), ()
    try:
        from attentio.experiment.plots import plots_of_costs, plots_of_quality

        plots = {test: plots_of_quality(comparison, test, i) for i, test in enumerate(comparison.sentences)}
        cost_plots = plots_of_costs(comparison)
    except MissingExtra as missing:
        no_plots = str(missing)
    environment = Environment(
        loader=PackageLoader("attentio.experiment", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: label(value) if type(value) is str else value,
    )
    filters: dict[str, Any] = {"signed": _signed, "p": _p, "direction": _direction, "shade": _shade}
    environment.filters.update(filters)
    results = [result for cell in comparison.cells for result in cell.tests.values()]
    methods = {found.method for result in results for found in result.differences.values()}
    return environment.get_template("page.html.j2").render(
        alpha=ALPHA,
        axes=axes,
        badge=_badge,
        colors=COLORS,
        comparison=comparison,
        costs=_costs(comparison),
        cost_plots=cost_plots,
        every=_every_run(comparison),
        facts=facts,
        faithfulness={test: _faithfulness(comparison, test) for test in comparison.sentences},
        failures=lambda cell: [run.failure for run in cell.runs if run.failure],
        left_out=partial(left_out, comparison),
        maps=[sentence for sentence in maps if sentence.traces],
        metrics=list(NAMES),
        # Without the degrees of freedom, which differ from cell to cell.
        methods=sorted({method.partition(",")[0] for method in methods}),
        names=NAMES,
        no_plots=no_plots,
        one_seed=any(len(cell.measured) == 1 for cell in comparison.cells),
        plots=plots,
        quality={test: [_quality(comparison, test), _attention(comparison, test)] for test in comparison.sentences},
        seeds=seed_counts(comparison),
        several=len(comparison.sentences) > 1,
        shapes=SHAPES,
        signatures={score.metric: score.signature for result in results for score in result.scores.values()},
    )


def _badge(result: CellTest) -> tuple[str, str]:
    """Return in a word or two what may be said of a cell, and the class of that: `higher`, `lower` or none."""
    found = [result.differences[metric] for metric in NAMES if metric in result.differences]
    shown = [difference for difference in found if difference.shown]
    directions = {difference.difference > 0 for difference in shown}
    if len(directions) == 2:
        return "mixed", ""
    if any(difference.too_weak for difference in found):
        return "too weak to compare", ""
    if not directions:
        return ("no difference shown" if found else "not tested"), ""
    kind = "higher" if directions == {True} else "lower"
    badge = kind if len(shown) == len(found) else f"{kind} in {NAMES[shown[0].metric]}"
    return f"{badge}, one seed" if shown[0].one_seed else badge, kind


# Tables


def _quality(comparison: Comparison, test: str) -> Table:
    rows: list[Row] = []
    for number, cell, result in comparison.on(test):
        values: list[tuple[str, str]] = []
        for metric in NAMES:
            score, difference = result.scores[metric], result.differences.get(metric)
            values.append((f"{score.value:.1f}", f"[{score.low:.1f}, {score.high:.1f}]"))
            if difference is None:
                values += [("", "baseline" if cell.name == comparison.baseline else "not tested"), ("", "")]
            else:
                p = _p(difference).removeprefix("p ").removeprefix("= ")
                values += [(_signed(difference.difference), ""), (p, "")]
        rows.append((number, values))
    return Table(f"Quality on {test}", ["setting", "chrF", "difference", "p", "BLEU", "difference", "p"], rows)


def _attention(comparison: Comparison, test: str) -> Table:
    results = [(number, result) for number, _, result in comparison.on(test)]
    columns = {"entropy, bits": "entropy", "coverage": "coverage", "monotonicity": "monotonicity"}
    if any(result.error_rate for _, result in results):
        columns = {"alignment error, %": "error_rate", **columns}
    forms = {"error_rate": (".1f", 100)}
    rows = [
        (number, [_spread(getattr(result, key), *forms.get(key, (".2f", 1))) for key in columns.values()])
        for number, result in results
    ]
    caption = f"Attention on {test}: the mean over seeds, and the lowest and highest"
    return Table(caption, ["setting", *columns], rows)


def _faithfulness(comparison: Comparison, test: str) -> Table | None:
    """Return every map of every cell, each with its measures. None where they were not asked for."""
    rows: list[Row] = []
    with_links = any(result.explanations for _, _, result in comparison.on(test))
    for number, _, result in comparison.on(test):
        for name, measures in result.faithfulness.items():
            found = [measures[key] for key in MEASURE_NAMES]
            values = [(name, "")]
            values += [
                (
                    two_places(each.value),
                    "" if each.low is None else f"[{two_places(each.low)}, {two_places(each.high)}]",
                )
                for each in found
            ]
            if with_links:
                values.append(
                    _spread(result.explanations[name], ".1f", 100) if name in result.explanations else ("–", "")
                )
            rows.append((number, values))
    heads = ["setting", "map", *MEASURE_NAMES.values(), *(["alignment error, %"] if with_links else [])]
    caption = f"Does attention show what translations depend on? On {test}, the first sentences"
    return Table(caption, heads, rows) if rows else None


def _costs(comparison: Comparison) -> Table:
    columns = {
        "training, s": ("training_seconds", 1),
        "updates": ("steps", 1),
        "target tokens/s": ("tokens_per_second", 1),
        "sentences/s": ("sentences_per_second", 1),
        "parameters": ("parameters", 1),
        "peak memory, MB": ("memory_bytes", 1e-6),
    }
    rows = [
        (number, [_spread(getattr(cell, key), ",.0f", times) for key, times in columns.values()])
        for number, cell in enumerate(comparison.cells)
        if cell.tests
    ]
    caption = "Cost: the mean over seeds, and the lowest and highest where they differ"
    return Table(caption, ["setting", *columns], rows)


def _every_run(comparison: Comparison) -> Table:
    measured = [(test, metric) for test in comparison.sentences for metric in NAMES]
    several = len(comparison.sentences) > 1
    rows: list[Row] = []
    for number, cell in enumerate(comparison.cells):
        by_seed = zip(
            *(cell.tests[test].scores[metric].by_seed for test, metric in measured if cell.tests), strict=True
        )
        for run in cell.runs:
            scores = None if run.failure else next(by_seed, None)
            values = [f"{score:.1f}" for score in scores] if scores else [""] * len(measured)
            costs = ["" if value is None else f"{value:,.0f}" for value in (run.steps, run.training_seconds)]
            rows.append((number, [(text, "") for text in (str(run.seed), *values, *costs, run.failure or "")]))
    heads = [f"{NAMES[metric]}, {test}" if several else NAMES[metric] for test, metric in measured]
    return Table("Every run", ["setting", "seed", *heads, "updates", "seconds", "note"], rows)


# Filters of the template


def _signed(value: float) -> str:
    """Return a difference with its sign, a true minus for one below 0."""
    return f"{value:+.1f}".replace("-", "−")


def _spread(spread: Spread | None, form: str, times: float = 1) -> tuple[str, str]:
    """Return the mean, and the range where it differs as shown."""
    if spread is None:
        return "", "not measured"
    values = (spread.mean, spread.lowest, spread.highest)
    mean, lowest, highest = (format(times * value, form).replace("-", "−") for value in values)
    return mean, "" if lowest == highest else f"{lowest} to {highest}"


def _p(difference: CellDifference) -> str:
    return "not tested" if difference.corrected is None else f"p {written_p(difference.corrected)}"


def _direction(token: str) -> str:
    return "stack" if stacks(label(token)) else "down" if len(token) > 2 else "flat"


def _shade(weight: float) -> dict[str, object]:
    """Return a weight as a cell of a map: its percentage, and the class of text that is legible on its shade."""
    percent = round(100 * weight)
    # Black and white change places so that numbers can be read, in the light and in the dark.
    kind = "hot" if weight > 0.825 else "warm" if weight > 0.58 else "cold" if percent else "none"
    return {"percent": percent, "kind": kind, "share": f"{min(1.0, weight):.2f}"}
