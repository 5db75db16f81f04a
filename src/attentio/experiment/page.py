"""A comparison as one HTML page that needs nothing else: no script, no network, no file beside it.

It reads from a file on a phone as on a wide screen, light or dark, with a keyboard or a screen reader: figures are
tables, plots carry their message as text and repeat what a table says, maps of attention are tables themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from attentio.experiment.plot import Bar, Line, Mark, curves, intervals, scatter, swatch
from attentio.experiment.statistics import (
    ALPHA,
    METRICS,
    Cell,
    CellDifference,
    CellTest,
    Comparison,
    Spread,
    verdict,
    written_p,
)
from attentio.trace import AttentionTrace
from attentio.view.label import label, stacks

_COLORS = 8
_NAMES = {"chrF2": "chrF", "BLEU": "BLEU"}


@dataclass(frozen=True)
class SentenceMaps:
    """One sentence and, by name of cell, what a model of it attended to; a cell may have none."""

    sentence: str
    traces: Mapping[str, AttentionTrace]


def page(comparison: Comparison, axes: Sequence[str], facts: Mapping[str, str], maps: Sequence[SentenceMaps]) -> str:
    """The whole page.

    axes: the settings that were varied; facts: how it was made, name and value, in the order to show them.
    """
    what = " and ".join(axes) or "runs"
    title = f"{what} compared"
    body = "\n".join(
        part
        for part in (
            _header(comparison, title, facts),
            "<main>",
            _verdicts(comparison),
            _quality(comparison),
            _costs(comparison),
            _maps(comparison, maps),
            _method(comparison, facts),
            "</main>",
            "<footer>Made by <code>attentio compare</code>. This page is complete in itself; the figures are in "
            "<code>compare.json</code> and <code>compare.csv</code> beside it.</footer>",
        )
        if part
    )
    style = files("attentio.experiment").joinpath("static/report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>\n{style}{_cell_styles(len(comparison.cells))}</style>\n</head>\n"
        f'<body>\n<a class="skip" href="#answer">To the results</a>\n{body}\n</body>\n</html>\n'
    )


def _cell_styles(cells: int) -> str:
    """The colour of each cell, and its marks hidden while its box in the legend is not checked."""
    return "".join(
        f".cell-{i} {{ color: var(--c{i % _COLORS}); }}\n"
        f"#time:has(#show-{i}:not(:checked)) .plots .cell-{i} {{ display: none; }}\n"
        for i in range(cells)
    )


def _header(comparison: Comparison, title: str, facts: Mapping[str, str]) -> str:
    seeds = _seeds(comparison)
    tests = ", ".join(f"{count:,} of {_text(name)}" for name, count in comparison.sentences.items())
    tests = f"{next(iter(comparison.sentences.values())):,}" if len(comparison.sentences) == 1 else tests
    data = f" on {_text(facts['Data'])}" if "Data" in facts else ""
    return (
        f"<header>\n<h1>{_text(title)}</h1>\n<p class='lede'>{len(comparison.cells)} ways to train{data}. "
        f"{seeds} each, tested on sentences that none of them has seen: {tests}.</p>\n</header>"
    )


def _seeds(comparison: Comparison) -> str:
    counts = sorted({len(cell.measured) for cell in comparison.cells if cell.measured})
    numbers = " to ".join(map(str, sorted({counts[0], counts[-1]}))) if counts else "0"
    return f"{numbers} seed{'' if numbers == '1' else 's'}"


# What may be said


def _verdicts(comparison: Comparison) -> str:
    items: list[str] = []
    several = len(comparison.sentences) > 1
    for test in comparison.sentences:
        for cell in comparison.cells:
            where = f" ({_text(test)})" if several else ""
            if cell.name != comparison.baseline or test not in cell.tests:
                items.append(_verdict(cell, cell.tests.get(test), comparison.baseline, where))
    warning = ""
    if any(len(cell.measured) == 1 for cell in comparison.cells):
        warning = (
            "<p class='note'>With one seed this says which of two trained models is better, not which setting: "
            "another seed may turn it round.</p>"
        )
    return (
        '<section id="answer" aria-labelledby="answer-head">\n'
        f'<h2 id="answer-head">Against {_text(comparison.baseline)}</h2>\n'
        f"<ul class='verdicts'>\n{''.join(items)}</ul>\n{warning}"
        f"<p class='note'>Brackets hold 95&nbsp;% intervals. p is corrected for all {comparison.comparisons} "
        f"comparisons on this page (Holm); from {ALPHA:g} on it says “no difference shown”, which is not “no "
        "difference”.</p>\n</section>"
    )


def _verdict(cell: Cell, result: CellTest | None, baseline: str, where: str) -> str:
    if result is None:
        reason = next((run.failure for run in cell.runs if run.failure), "no result")
        return (
            f"<li><span class='badge'>failed</span><span>{_text(cell.name)}<small>{_text(reason)}</small></span></li>\n"
        )
    found = [result.differences[metric] for metric in reversed(METRICS) if metric in result.differences]
    shown = [difference for difference in found if difference.shown]
    directions = {difference.difference > 0 for difference in shown}
    kind, badge = "", "no difference shown"
    if len(directions) == 1:
        kind = "higher" if directions == {True} else "lower"
        badge = kind if len(shown) == len(found) else f"{kind} in {_NAMES[shown[0].metric]}"
        badge += ", one seed" if shown[0].one_seed else ""
    elif len(directions) == 2:
        badge = "mixed"
    elif not found:
        badge = "not tested"
    told = "; ".join(_words(difference) for difference in found) or f"{_text(baseline)} has no result"
    also = f"<small>also differs: {_text('; '.join(cell.also_differs))}</small>" if cell.also_differs else ""
    reasons = [run.failure for run in cell.runs if run.failure]
    missing = f"<small>{len(reasons)} of {len(cell.runs)} seeds failed: {_text(reasons[0])}</small>" if reasons else ""
    return (
        f"<li class='{kind}'><span class='badge'>{badge}</span><span><strong>{_text(cell.name)}</strong>{where}: {told}"
        f"{also}{missing}</span></li>\n"
    )


def _words(difference: CellDifference) -> str:
    name = _NAMES[difference.metric]
    reach = "" if difference.low is None else f" [{_signed(difference.low)}, {_signed(difference.high)}]"
    p = "not tested" if difference.corrected is None else _unbroken(f"p {written_p(difference.corrected)}")
    return f"{name}&nbsp;{_signed(difference.difference)}{reach}, {p}"


def _unbroken(text: str) -> str:
    return escape(text).replace(" ", "&nbsp;")


# Quality


def _quality(comparison: Comparison) -> str:
    parts: list[str] = []
    for test, sentences in comparison.sentences.items():
        measured = [(i, cell) for i, cell in enumerate(comparison.cells) if test in cell.tests]
        heading = f"<h3>{_text(test)}: {sentences:,} sentences</h3>" if len(comparison.sentences) > 1 else ""
        parts.append(
            f"{heading}<div class='plots'>{_score_plot(measured, test)}"
            f"{_difference_plot(measured, test, comparison.baseline)}</div>{_quality_table(comparison, test)}"
            f"{_attention_table(comparison, test)}"
        )
    return f'<section aria-labelledby="quality">\n<h2 id="quality">Quality</h2>\n{"".join(parts)}\n</section>'


def _score_plot(measured: Sequence[tuple[int, Cell]], test: str) -> str:
    bars: list[Bar] = []
    for i, cell in measured:
        score = cell.tests[test].scores["chrF2"]
        tip = f"{cell.name}: chrF {score.value:.1f} [{score.low:.1f}, {score.high:.1f}]"
        bars.append(Bar(i, label(cell.name), score.value, score.low, score.high, score.by_seed, tip))
    told = "chrF of each way to train with its interval. " + ". ".join(bar.tip for bar in bars)
    plot = intervals(bars, label=told, axis="chrF, more is better")
    return _figure("chrF on the test sentences", "bar: 95 % over seeds and sentences; dots: single seeds", plot)


def _difference_plot(measured: Sequence[tuple[int, Cell]], test: str, baseline: str) -> str:
    bars: list[Bar] = []
    for i, cell in measured:
        found = cell.tests[test].differences.get("chrF2")
        if found is not None and found.low is not None and found.high is not None:
            bars.append(
                Bar(i, label(cell.name), found.difference, found.low, found.high, (), f"{cell.name}: {verdict(found)}")
            )
        elif cell.name == baseline:
            bars.append(Bar(i, label(cell.name), 0.0, 0.0, 0.0, (), f"{cell.name}: the baseline"))
    if all(bar.name == label(baseline) for bar in bars):
        return ""
    told = f"Difference in chrF from {baseline}. " + ". ".join(bar.tip for bar in bars)
    plot = intervals(bars, label=told, axis=f"chrF minus that of {label(baseline)}", zero=0.0)
    return _figure(f"Difference from {_text(baseline)}", "bar: 95 % of this comparison alone, not corrected", plot)


def _quality_table(comparison: Comparison, test: str) -> str:
    heads = ["setting", "chrF", "difference", "p", "BLEU", "difference", "p"]
    rows: list[list[str]] = []
    for i, cell in enumerate(comparison.cells):
        if test in cell.tests:
            row = [_cell_head(i, cell)]
            for metric in reversed(METRICS):
                score = cell.tests[test].scores[metric]
                row.append(f"{score.value:.1f} <small>[{score.low:.1f}, {score.high:.1f}]</small>")
                row.extend(_difference_columns(cell.tests[test].differences.get(metric)))
            rows.append(row)
    return _table(f"Quality on {_text(test)}", heads, rows)


def _attention_table(comparison: Comparison, test: str) -> str:
    results = [cell.tests[test] for cell in comparison.cells if test in cell.tests]
    has_links = any(result.error_rate for result in results)
    heads = ["setting", *(["alignment error, %"] if has_links else []), "entropy, bits", "coverage", "monotonicity"]
    rows: list[list[str]] = []
    for i, cell in enumerate(comparison.cells):
        if test in cell.tests:
            result = cell.tests[test]
            links = [_spread(result.error_rate, ".1f", 100)] if has_links else []
            focus = [_spread(value, ".2f") for value in (result.entropy, result.coverage, result.monotonicity)]
            rows.append([_cell_head(i, cell), *links, *focus])
    return _table(f"Attention on {_text(test)}: the mean over seeds, and the lowest and highest", heads, rows)


def _difference_columns(difference: CellDifference | None) -> list[str]:
    if difference is None:
        return ["<small>baseline</small>", ""]
    p = "<small>not tested</small>" if difference.corrected is None else escape(written_p(difference.corrected))
    return [_signed(difference.difference), p.removeprefix("= ")]


# Time and cost


def _costs(comparison: Comparison) -> str:
    rows = [
        [
            _cell_head(i, cell),
            _spread(cell.training_seconds, ",.0f"),
            _spread(cell.steps, ",.0f"),
            _spread(cell.tokens_per_second, ",.0f"),
            _spread(cell.sentences_per_second, ",.0f"),
            _spread(cell.parameters, ",.0f"),
            _spread(cell.memory_bytes, ",.0f", 1e-6),
        ]
        for i, cell in enumerate(comparison.cells)
        if cell.tests
    ]
    heads = ["setting", "training, s", "updates", "target tokens/s", "sentences/s", "parameters", "peak memory, MB"]
    return (
        '<section id="time" aria-labelledby="time-head">\n<h2 id="time-head">Quality, time and cost</h2>\n'
        f"{_legend(comparison)}<div class='plots'>{_curves(comparison)}{_cost_plots(comparison)}</div>\n"
        f"{_table('Cost: the mean over seeds, and the lowest and highest where they differ', heads, rows)}</section>"
    )


def _curves(comparison: Comparison) -> str:
    lines = [
        Line(
            cell=i,
            points=tuple((point.seconds, point.chrf) for point in run.curve),
            tip=f"{cell.name}, seed {run.seed}: ends at {run.curve[-1].chrf:.1f}",
        )
        for i, cell in enumerate(comparison.cells)
        for run in cell.measured
        if run.curve
    ]
    if not lines:
        return ""
    told = "chrF on dev over the seconds of training, a line for each seed. " + ". ".join(line.tip for line in lines)
    plot = curves(lines, label=told, across="seconds of training", upright="chrF on dev")
    return _figure("Quality against training time", "each evaluation on dev, each seed", plot)


def _cost_plots(comparison: Comparison) -> str:
    test = next(iter(comparison.sentences))
    of_test = f" on {_text(test)}" if len(comparison.sentences) > 1 else ""
    plots = [
        ("parameters", "parameters, millions", 1e-6, "Quality against size"),
        ("sentences_per_second", "sentences a second, greedy", 1.0, "Quality against decoding speed"),
        ("tokens_per_second", "target tokens a second", 1.0, "Quality against training speed"),
    ]
    made: list[str] = []
    for field, axis, times, heading in plots:
        marks: list[Mark] = []
        for i, cell in enumerate(comparison.cells):
            cost: Spread | None = getattr(cell, field)
            if cost is None or test not in cell.tests:
                continue
            score = cell.tests[test].scores["chrF2"]
            tip = f"{cell.name}: chrF {score.value:.1f}, {times * cost.mean:,.2f} {axis}"
            across = (times * cost.lowest, times * cost.highest)
            marks.append(Mark(i, times * cost.mean, score.value, across, (score.low, score.high), tip))
        if marks:
            told = f"{heading}. " + ". ".join(mark.tip for mark in marks)
            plot = scatter(marks, label=told, across=axis, upright="chrF")
            made.append(_figure(heading, f"chrF{of_test} with its interval; across, the range over seeds", plot))
    return "".join(made)


# Maps


def _maps(comparison: Comparison, maps: Sequence[SentenceMaps]) -> str:
    shown = [sentence for sentence in maps if sentence.traces]
    if not shown:
        return ""
    parts: list[str] = []
    for number, sentence in enumerate(shown):
        figures = "".join(
            _map(i, cell, sentence.traces[cell.name])
            for i, cell in enumerate(comparison.cells)
            if cell.name in sentence.traces
        )
        parts.append(
            f'<h3 id="sentence-{number}" dir="auto">{_text(sentence.sentence)}</h3>\n<div class="maps" tabindex="0" '
            f'role="group" aria-labelledby="sentence-{number}">{figures}</div>'
        )
    return (
        '<section aria-labelledby="maps">\n<h2 id="maps">The same sentences, looked at</h2>\n'
        '<p class="note">A row is a word that was written, a column a word that was read; numbers are percent of '
        "attention, the mean over layers and heads, of the first seed. A map shows where a model looked, not why it "
        "wrote what it wrote.</p>\n"
        f"{''.join(parts)}</section>"
    )


def _map(number: int, cell: Cell, trace: AttentionTrace) -> str:
    weights = trace.matrix()
    caption = (
        f"<figcaption>{swatch(number)} {_text(cell.name)}"
        f"<span class='said' dir='auto'>{_text(trace.target) or '(nothing)'}</span></figcaption>"
    )
    if not weights.size:
        return f"<figure>{caption}<p class='note'>no words to attend to</p></figure>"
    heads = "".join(
        f"<th scope='col'><span class='{_direction(token)}'>{_text(token)}</span></th>" for token in trace.source_tokens
    )
    rows = "".join(
        f"<tr><th scope='row'>{_text(token)}</th>{''.join(map(_weight, row))}</tr>"
        for token, row in zip(trace.target_tokens, weights.tolist(), strict=True)
    )
    told = f"Attention of {cell.name}: percent of each written word's attention on each word read"
    return (
        f"<figure>{caption}<table class='map' aria-label='{_text(told)}'><thead><tr><td class='none'></td>{heads}</tr>"
        f"</thead><tbody>{rows}</tbody></table></figure>"
    )


def _direction(token: str) -> str:
    return "stack" if stacks(label(token)) else "down" if len(token) > 2 else "flat"


def _weight(weight: float) -> str:
    percent = round(100 * weight)
    # Where black and white change places so that numbers can be read, in the light and in the dark.
    name = "hot" if weight > 0.825 else "warm" if weight > 0.58 else "" if percent else "none"
    kind = f" class='{name}'" if name else ""
    return f"<td{kind} style='--w:{min(1.0, weight):.2f}'>{percent}</td>"


# How it was made


def _method(comparison: Comparison, facts: Mapping[str, str]) -> str:
    listed = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    signatures = {
        score.metric: score.signature
        for cell in comparison.cells
        for result in cell.tests.values()
        for score in result.scores.values()
    }
    listed += "".join(
        f"<dt>{_NAMES[name]}</dt><dd><code>{_text(text)}</code></dd>" for name, text in signatures.items()
    )
    methods = {
        difference.method
        for cell in comparison.cells
        for result in cell.tests.values()
        for difference in result.differences.values()
    }
    tested = sorted({method.partition(",")[0] for method in methods})  # without its degrees of freedom
    listed += "".join(f"<dt>Test</dt><dd>{_text(method)}; Holm over {comparison.comparisons}</dd>" for method in tested)
    return (
        '<section aria-labelledby="method">\n<h2 id="method">How this was measured</h2>\n'
        f"<dl class='facts'>{listed}</dl>\n"
        f"<p>A score is the mean over seeds of the corpus score. Its interval comes from {comparison.resamples:,} "
        "resamples of sentences, the same for all, and of the seeds of each way to train. A difference is tested with "
        "both the luck of the seeds and the luck of the sentences in its error. Few seeds know little of their own "
        "luck: intervals from three or fewer are rough, and only large differences show. Entropy, coverage and "
        "monotonicity are measured while each model is made to write the same references. Training speed leaves "
        "evaluations out; decoding speed is greedy, measured alone. Peak memory is that of the training process.</p>\n"
        f"{_runs_table(comparison)}</section>"
    )


def _runs_table(comparison: Comparison) -> str:
    tests = list(comparison.sentences)
    heads = [
        "setting",
        "seed",
        *[f"{_NAMES[m]}, {_text(t)}" if len(tests) > 1 else _NAMES[m] for t in tests for m in METRICS],
    ]
    heads += ["updates", "seconds", "note"]
    rows: list[list[str]] = []
    for i, cell in enumerate(comparison.cells):
        place = 0
        for run in cell.runs:
            scores = [""] * (len(tests) * len(METRICS))
            if run.failure is None:
                scores = [f"{cell.tests[t].scores[m].by_seed[place]:.1f}" for t in tests for m in METRICS]
                place += 1
            steps = "" if run.steps is None else f"{run.steps:,}"
            seconds = "" if run.training_seconds is None else f"{run.training_seconds:,.0f}"
            rows.append([_cell_head(i, cell), str(run.seed), *scores, steps, seconds, _text(run.failure or "")])
    return f"<details><summary>Every run</summary>{_table('Every run', heads, rows)}</details>"


# Small parts


def _legend(comparison: Comparison) -> str:
    boxes = "".join(
        f"<label><input type='checkbox' id='show-{i}' checked>{swatch(i)} {_text(cell.name)}</label>"
        for i, cell in enumerate(comparison.cells)
        if cell.tests
    )
    return f"<fieldset class='legend'><legend>Show</legend>{boxes}</fieldset>"


def _figure(heading: str, remark: str, plot: str) -> str:
    return f"<figure><figcaption>{heading}<small>{remark}</small></figcaption>{plot}</figure>"


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
    body = "\n".join(
        f"<tr><th scope='row'>{row[0]}</th>{''.join(f'<td>{value}</td>' for value in row[1:])}</tr>" for row in rows
    )
    return (
        f"<figure class='table'><figcaption>{caption}</figcaption>"
        f"<div class='scroll' tabindex='0' role='region' aria-label='{caption}'><table class='figures' "
        f"aria-label='{caption}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></figure>"
    )


def _cell_head(number: int, cell: Cell) -> str:
    return f"{swatch(number)}{_text(cell.name)}"


def _spread(spread: Spread | None, form: str, times: float = 1) -> str:
    """The mean, and the range where it differs as shown."""
    if spread is None:
        return "<small>not measured</small>"
    values = (spread.mean, spread.lowest, spread.highest)
    mean, lowest, highest = (format(times * value, form).replace("-", "−") for value in values)
    return mean if lowest == highest else f"{mean} <small>{lowest} to {highest}</small>"


def _signed(value: float | None) -> str:
    """A difference with its sign, a true minus for one below 0."""
    return "" if value is None else f"{value:+.1f}".replace("-", "−")


def _text(text: str) -> str:
    return escape(label(text))
