"""`attentio evaluate`: how good a run is on held-out text."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attentio.cli import options
from attentio.cli.align import percent
from attentio.cli.options import layer_name, with_groups
from attentio.errors import QualityGate, UsageError
from attentio.search import DEFAULT_BEAM

if TYPE_CHECKING:
    from attentio.translator import Translator


@with_groups
def evaluate(
    *,
    run: options.Run,
    test: Annotated[
        Path | None, typer.Argument(metavar="[TEST]", help="Parallel file. Default: what the run held out for testing.")
    ] = None,
    beam: options.Beam = DEFAULT_BEAM,
    length_penalty: options.LengthPenalty = 1.0,
    resamples: options.Resamples = 1000,
    min_chrf: Annotated[float | None, typer.Option(help="Fail with status 7 when chrF2 is below this.")] = None,
    gold: Annotated[
        Path | None,
        typer.Option("--gold", help="Gold links of TEST, `1-1 2p3` a line: score attention against them."),
    ] = None,
    alignments: Annotated[Path | None, typer.Option(hidden=True, help="The former name of --gold.")] = None,
    gold_index: Annotated[int | None, typer.Option(min=0, max=1, help="Gold words are counted from 0 or 1.")] = None,
    reading: options.Reading,
    link_rule: Annotated[
        str, typer.Option("--link-rule", help="How attention becomes links: argmax, threshold or intersection.")
    ] = "argmax",
    threshold: Annotated[
        float | None, typer.Option(help="With --link-rule threshold: the least weight that links. Default: 0.2.")
    ] = None,
    reverse: Annotated[
        Path | None,
        typer.Option("--reverse", metavar="RUN2", help="Model of the other direction: links that both draw count."),
    ] = None,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Also measure whether attention shows what masking a token costs.")
    ] = False,
    layer: options.LinkLayer = None,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    as_json: options.AsJson = False,
) -> None:
    """Score a run with BLEU, chrF and TER, with intervals and signatures. Or score its attention against gold links."""
    from attentio.metrics.alignment import LinkRule

    if alignments is not None:
        sys.stderr.write("note: --alignments is called --gold now\n")
        gold = gold or alignments
    device = device or "auto"
    rule = LinkRule(link_rule, threshold, layer_name(layer), head)
    _check_options(test, gold, gold_index, min_chrf, needs_gold=rule != LinkRule() or reverse is not None)

    from attentio.evaluation.links import LinkScorer
    from attentio.evaluation.scores import score_attention, score_run
    from attentio.translator import Translator

    translator = Translator.load(run, device=device, precision=precision)
    options.note_slow_precision(precision, device)
    other = None if reverse is None else _other_direction(reverse, translator, device, precision)
    scorer = LinkScorer(translator, rule, other)
    shown: dict[str, Any] = {"run": str(run)}
    how = reading.settings()
    if test is not None and gold is not None and gold_index is not None:
        results = score_attention(scorer, run, test, gold, gold_index=gold_index, faithfulness=faithfulness, **how)
    else:
        results = score_run(
            translator,
            run,
            test,
            beam=beam,
            length_penalty=length_penalty,
            resamples=resamples,
            scorer=scorer,
            faithfulness=faithfulness,
            **how,
        )
        shown["beam"] = beam
    failed = None
    if min_chrf is not None and (worst := min(result["chrf"]["value"] for result in results.values())) < min_chrf:
        failed = QualityGate(f"chrF2 {worst:.2f} is below --min-chrf {min_chrf:g}.")
    if as_json:
        shown["tests"] = results
        if failed is not None:
            shown["error"] = failed.as_dict()
        options.print_json(shown)
    else:
        options.print_lines(describe(results))
        for name, result in results.items():
            for note in result.get("notes", ()):
                sys.stderr.write(f"{name}: {note}\n")
    if failed is not None:  # not raised: the one JSON object has been printed
        sys.stderr.write(f"error: {failed}\n")
        raise typer.Exit(failed.exit_status)


def _check_options(
    test: Path | None,
    gold: Path | None,
    gold_index: int | None,
    min_chrf: float | None,
    *,
    needs_gold: bool,
) -> None:
    """Refuse options that would do nothing, or whose meaning is not said."""
    if gold is None:
        if gold_index is not None:
            raise UsageError("--gold-index belongs to --gold.", hint="Give both.")
        if test is not None and needs_gold:
            from attentio.evaluation.scores import no_gold

            raise no_gold(f"{test} has no known word links")
        return
    if test is None:
        raise UsageError("--gold needs the sentences it links.", hint="attentio evaluate RUN TEST --gold GOLD")
    if gold_index is None:
        raise UsageError(f"are the words of {gold} counted from 0 or from 1?", hint="--gold-index 0 or 1")
    if min_chrf is not None:
        raise UsageError("--min-chrf scores translations, and --gold makes none.", hint="Leave one out.")


def _other_direction(run: Path, translator: "Translator", device: str, precision: str) -> "Translator":
    """Return the model that `--reverse` names. Refuse one that is known to translate the same way."""
    from attentio.text.script import base_language
    from attentio.translator import Translator

    other = Translator.load(run, device=device, precision=precision)
    there = (base_language(translator.source_language), base_language(translator.target_language))
    back = (base_language(other.source_language), base_language(other.target_language))
    if None not in (*there, *back) and back != there[::-1]:
        raise UsageError(f"{run} translates {back[0]} to {back[1]}, and --reverse needs {there[1]} to {there[0]}.")
    return other


def describe(results: dict[str, dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for name, result in results.items():
        if "references" in result:
            lines.append(f"{name}: {result['sentences']:,} sentences, {result['references']:,} references")
        else:
            lines.append(f"{name}: {result['alignment']['sentences']:,} sentences")
        for key in ("bleu", "chrf", "chrf_plus_plus", "ter"):
            if key in result:
                score = result[key]
                interval = "" if score["low"] is None else f"  [{score['low']:.2f}, {score['high']:.2f}]"
                lines.append(f"  {score['metric']:<8}{score['value']:7.2f}{interval}  {score['signature']}")
        if "faithfulness" in result:
            lines += _faithfulness(result["faithfulness"])
        if "alignment" in result:
            found = result["alignment"]
            lines.append(
                f"  {'AER':<8}{percent(found['error_rate']):>7}  attention against {found['sure']:,} sure and "
                f"{found['possible'] - found['sure']:,} only possible links, precision {percent(found['precision'])}, "
                f"recall {percent(found['recall'])} ({found['method']})"
            )
        for looked_at, found in result.get("explanations", {}).items():
            lines.append(
                f"  {'AER':<8}{percent(found['error_rate']):>7}  {looked_at}, the strongest source word of each target "
                f"word, first {found['sentences']:,} sentences"
            )
    return lines


def _faithfulness(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"  faithfulness, {found['sentences']:,} sentences: rank correlation with erasure, and with gradient x input, "
        f"nats lost by masking the {100 * found['share']:g} % with most attention, nats lost by masking all others"
    )
    for name, measures in found["maps"].items():
        shown: list[str] = []
        for each in measures.values():
            interval = "" if each["low"] is None else f" [{each['low']:.2f}, {each['high']:.2f}]"
            shown.append("-" if each["value"] is None else f"{each['value']:.2f}{interval}")
        yield f"  {name:<16}" + "".join(f"{text:>22}" for text in shown)
