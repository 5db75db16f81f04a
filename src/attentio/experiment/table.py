"""A comparison in a terminal: a table for each test set, with the columns that fit, and the verdicts."""

from collections.abc import Callable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from attentio.experiment.statistics import (
    ALPHA,
    MEASURE_NAMES,
    Cell,
    CellTest,
    Comparison,
    Spread,
    left_out,
    seed_counts,
    two_places,
    verdict,
    written_p,
)
from attentio.view.label import label

Columns = dict[str, Callable[[Cell, CellTest], str]]
"""What stands in a column for a cell and its result on one test set, by heading."""


def print_comparison(comparison: Comparison, *, wide: bool = False, console: Console | None = None) -> None:
    """Print a table for each test set and a verdict for each cell.

    wide: all columns, however wide the terminal is. Otherwise the last ones are left out until the table fits.
    """
    console = console or Console(highlight=False)
    for test, sentences in comparison.sentences.items():
        columns = _columns(comparison, test)
        while _width(console, table := _table(comparison, test, columns)) > console.width:
            if wide:
                console = Console(file=console.file, width=_width(console, table), highlight=False)
            elif len(columns) > 3:
                columns.popitem()
            else:
                break
        counts = f"{test}: {sentences:,} sentences, {comparison.references[test]:,} references"
        heading = ", ".join(filter(None, (counts, left_out(comparison, test))))
        console.print(Text(heading, style="bold"), soft_wrap=True)
        console.print(table)
        if any(result.faithfulness for _, _, result in comparison.on(test)):
            console.print(_faithfulness(comparison, test))
        for line in verdicts(comparison, test):
            console.print(Text(line), soft_wrap=True)
        console.print()
    for line in remarks(comparison):
        console.print(Text(line), soft_wrap=True)


def verdicts(comparison: Comparison, test: str) -> Iterator[str]:
    """Yield, for each cell but the baseline, what may be said of it on a test set."""
    for cell in comparison.cells:
        if test not in cell.tests:
            yield f"{label(cell.name)}: no result"
            continue
        for difference in reversed(list(cell.tests[test].differences.values())):  # chrF2 first
            yield f"{label(cell.name)} against {label(comparison.baseline)}, {verdict(difference)}"


def remarks(comparison: Comparison) -> Iterator[str]:
    """Yield what whoever reads the figures must know."""
    yield f"{seed_counts(comparison)} for each cell. [Brackets]: 95 % over seeds and sentences."
    if comparison.comparisons:
        yield (
            f"p: corrected for {comparison.comparisons} comparisons (Holm). A difference is shown when it is below "
            f"{ALPHA:g}."
        )
    if any(len(cell.measured) == 1 for cell in comparison.cells):
        yield "One seed says which of two models is better, not which attention: another seed may turn it round."
    for cell in comparison.cells:
        if cell.also_differs:
            yield f"{label(cell.name)} also differs: {label('; '.join(cell.also_differs))}"


def _columns(comparison: Comparison, test: str) -> Columns:
    """Return all columns that have something in them, the most wanted first."""
    columns: Columns = {
        "cell": lambda cell, _: label(cell.name),
        "chrF2": lambda _, result: _score(result, "chrF2"),
        "BLEU": lambda _, result: _score(result, "BLEU"),
        "Δ chrF2": lambda _, result: _difference(result, "chrF2"),
        "p": lambda _, result: _p(result, "chrF2"),
        "AER": lambda _, result: _mean(result.error_rate, "{:.1f}", 100),
        "params": lambda cell, _: _mean(cell.parameters, "{:.2f}M", 1e-6),
        "sent/s": lambda cell, _: _mean(cell.sentences_per_second, "{:,.0f}"),
        "tok/s": lambda cell, _: _mean(cell.tokens_per_second, "{:,.0f}"),
        "memory": lambda cell, _: _mean(cell.memory_bytes, "{:,.0f}M", 1e-6),
        "Δ BLEU": lambda _, result: _difference(result, "BLEU"),
        "p BLEU": lambda _, result: _p(result, "BLEU"),
        "entropy": lambda _, result: _mean(result.entropy, "{:.2f}"),
        "coverage": lambda _, result: _mean(result.coverage, "{:.2f}"),
        "monotonicity": lambda _, result: _mean(result.monotonicity, "{:.2f}"),
        "seeds": lambda cell, _: str(len(cell.measured)),
        "steps": lambda cell, _: _mean(cell.steps, "{:,.0f}"),
        "seconds": lambda cell, _: _mean(cell.training_seconds, "{:,.0f}"),
    }
    empty = set() if comparison.comparisons else {"Δ chrF2", "p", "Δ BLEU", "p BLEU"}
    cells = comparison.on(test)
    empty |= {name for name in ("AER", "memory") if all(columns[name](cell, held) == "-" for _, cell, held in cells)}
    return {name: shown for name, shown in columns.items() if name not in empty}


def _table(comparison: Comparison, test: str, columns: Columns) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in columns:
        table.add_column(heading, justify="left" if heading == "cell" else "right", no_wrap=True)
    for cell in comparison.cells:
        if test in cell.tests:
            table.add_row(*[Text(shown(cell, cell.tests[test])) for shown in columns.values()])
        else:
            table.add_row(Text(label(cell.name)), Text("failed"), *[""] * (len(columns) - 2))
    return table


def _faithfulness(comparison: Comparison, test: str) -> Table:
    """Return how far attention of the last layer agrees with what masking costs. The page has every map."""
    title = "faithfulness of attention (last layer), in brackets that of a random map"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title=title, title_justify="left")
    table.add_column("cell", no_wrap=True)
    for heading in MEASURE_NAMES.values():
        table.add_column(heading, justify="right")
    for _, cell, result in comparison.on(test):
        maps = result.faithfulness
        row = [
            f"{two_places(maps['attention'][key].value)} ({two_places(maps['random'][key].value)})"
            for key in MEASURE_NAMES
            if maps
        ]
        table.add_row(Text(label(cell.name)), *row)
    return table


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _score(result: CellTest, metric: str) -> str:
    score = result.scores[metric]
    return f"{score.value:.1f} [{score.low:.1f}, {score.high:.1f}]"


def _difference(result: CellTest, metric: str) -> str:
    found = result.differences.get(metric)
    return "baseline" if found is None else f"{found.difference:+.1f}"


def _p(result: CellTest, metric: str) -> str:
    found = result.differences.get(metric)
    return "-" if found is None or found.corrected is None else written_p(found.corrected).removeprefix("= ")


def _mean(spread: Spread | None, form: str, times: float = 1) -> str:
    return "-" if spread is None else form.format(times * spread.mean)
