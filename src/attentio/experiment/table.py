"""A comparison in a terminal: a table for each test set, as many columns as fit, and what may be said of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from attentio.experiment.statistics import ALPHA, Cell, CellTest, Comparison, Spread, verdict, written_p
from attentio.view.label import label


@dataclass(frozen=True)
class _Column:
    """A column: its heading, and what stands in it for a cell and its result on one test set."""

    heading: str
    shown: Callable[[Cell, CellTest], str]


def print_comparison(comparison: Comparison, *, wide: bool = False, console: Console | None = None) -> None:
    """Print a table for each test set and a verdict for each cell.

    wide: all columns, however wide the terminal is; otherwise the last ones are left out until the table fits.
    """
    console = console or Console(highlight=False)
    for test, sentences in comparison.sentences.items():
        heading = f"{test}: {sentences:,} sentences, {comparison.references[test]:,} references"
        columns = list(_columns(comparison, test))
        table = _table(comparison, test, columns)
        room = console.width
        while not wide and len(columns) > 3 and _width(console, table) > room:
            columns.pop()
            table = _table(comparison, test, columns)
        if wide and (needed := _width(console, table)) > room:
            console = Console(file=console.file, width=needed, highlight=False)
        console.print(Text(heading, style="bold"), soft_wrap=True)
        console.print(table)
        for line in verdicts(comparison, test):
            console.print(Text(line), soft_wrap=True)
        console.print()
    for line in remarks(comparison):
        console.print(Text(line), soft_wrap=True)


def verdicts(comparison: Comparison, test: str) -> Iterator[str]:
    """For each cell but the baseline, what may be said of it on a test set."""
    for cell in comparison.cells:
        result = cell.tests.get(test)
        if result is None:
            yield f"{label(cell.name)}: no result"
            continue
        for difference in reversed(list(result.differences.values())):  # chrF2 first
            yield f"{label(cell.name)} against {label(comparison.baseline)}, {verdict(difference)}"


def remarks(comparison: Comparison) -> Iterator[str]:
    """What whoever reads the figures must know."""
    seeds = sorted({len(cell.measured) for cell in comparison.cells if cell.measured})
    number = " to ".join(map(str, sorted({seeds[0], seeds[-1]}))) if seeds else "0"
    yield f"{number} {'seed' if number == '1' else 'seeds'} for each cell. [Brackets]: 95 % over seeds and sentences."
    if comparison.comparisons:
        yield (
            f"p: corrected for {comparison.comparisons} comparisons (Holm); a difference is shown when it is below "
            f"{ALPHA:g}."
        )
    if seeds and seeds[0] == 1:
        yield "One seed says which of two models is better, not which attention: another seed may turn it round."
    for cell in comparison.cells:
        if cell.also_differs:
            yield f"{label(cell.name)} also differs: {label('; '.join(cell.also_differs))}"


def _columns(comparison: Comparison, test: str) -> Iterator[_Column]:
    """All columns that have something in them, the most wanted first."""
    yield _Column("cell", lambda cell, _: label(cell.name))
    yield _Column("chrF2", lambda _, result: _score(result, "chrF2"))
    yield _Column("BLEU", lambda _, result: _score(result, "BLEU"))
    if comparison.comparisons:
        yield _Column("Δ chrF2", lambda _, result: _difference(result, "chrF2"))
        yield _Column("p", lambda _, result: _p(result, "chrF2"))
    results = [cell.tests[test] for cell in comparison.cells if test in cell.tests]
    if any(result.error_rate for result in results):
        yield _Column("AER", lambda _, result: _mean(result.error_rate, "{:.1f}", 100))
    yield _Column("params", lambda cell, _: _mean(cell.parameters, "{:.2f}M", 1e-6))
    yield _Column("sent/s", lambda cell, _: _mean(cell.sentences_per_second, "{:,.0f}"))
    yield _Column("tok/s", lambda cell, _: _mean(cell.tokens_per_second, "{:,.0f}"))
    if any(cell.memory_bytes for cell in comparison.cells):
        yield _Column("memory", lambda cell, _: _mean(cell.memory_bytes, "{:,.0f}M", 1e-6))
    if comparison.comparisons:
        yield _Column("Δ BLEU", lambda _, result: _difference(result, "BLEU"))
        yield _Column("p BLEU", lambda _, result: _p(result, "BLEU"))
    yield _Column("entropy", lambda _, result: _mean(result.entropy, "{:.2f}"))
    yield _Column("coverage", lambda _, result: _mean(result.coverage, "{:.2f}"))
    yield _Column("monotonicity", lambda _, result: _mean(result.monotonicity, "{:.2f}"))
    yield _Column("seeds", lambda cell, _: str(len(cell.measured)))
    yield _Column("steps", lambda cell, _: _mean(cell.steps, "{:,.0f}"))
    yield _Column("seconds", lambda cell, _: _mean(cell.training_seconds, "{:,.0f}"))


def _table(comparison: Comparison, test: str, columns: list[_Column]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column.heading, justify="left" if column.heading == "cell" else "right", no_wrap=True)
    for cell in comparison.cells:
        result = cell.tests.get(test)
        if result is None:
            table.add_row(Text(label(cell.name)), Text("failed"), *[""] * (len(columns) - 2))
        else:
            table.add_row(*[Text(column.shown(cell, result)) for column in columns])
    return table


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _score(result: CellTest, metric: str) -> str:
    score = result.scores[metric]
    return f"{score.value:.1f} [{score.low:.1f}, {score.high:.1f}]"


def _difference(result: CellTest, metric: str) -> str:
    difference = result.differences.get(metric)
    return "baseline" if difference is None else f"{difference.difference:+.1f}"


def _p(result: CellTest, metric: str) -> str:
    difference = result.differences.get(metric)
    if difference is None or difference.corrected is None:
        return "-"
    return written_p(difference.corrected).removeprefix("= ")


def _mean(spread: Spread | None, form: str, times: float = 1) -> str:
    return "-" if spread is None else form.format(times * spread.mean)
