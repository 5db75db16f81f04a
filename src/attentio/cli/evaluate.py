"""`attentio evaluate`: how good a run is on held-out text."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attentio.errors import DataError, QualityGate

if TYPE_CHECKING:
    from attentio.data.heldout import HeldOut
    from attentio.evaluate.alignment import AlignmentScore
    from attentio.translator import Translator


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a trained model.")],
    test: Annotated[
        Path | None, typer.Argument(metavar="[TEST]", help="Parallel file; default: what the run held out for testing.")
    ] = None,
    beam: Annotated[int, typer.Option("--beam", "-b", min=1, help="Hypotheses kept at each step; 1 is greedy.")] = 1,
    length_penalty: Annotated[float, typer.Option(min=0, help="Scores are log-probability / length ** this.")] = 1.0,
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")] = 1000,
    min_chrf: Annotated[float | None, typer.Option(help="Fail with status 7 when chrF2 is below this.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a run with BLEU, chrF and TER, each with its interval and signature; several references are all used."""
    from attentio.translator import Translator

    translator = Translator.load(run, device=device)
    results = score_run(translator, run, test, beam=beam, length_penalty=length_penalty, resamples=resamples)
    worst = min(result["chrf"]["value"] for result in results.values())
    failed = None
    if min_chrf is not None and worst < min_chrf:
        failed = QualityGate(f"chrF2 {worst:.2f} is below --min-chrf {min_chrf:g}.")
    if as_json:
        shown: dict[str, Any] = {"schema": 1, "run": str(run), "beam": beam, "tests": results}
        if failed is not None:
            shown["error"] = failed.as_dict()
        typer.echo(json.dumps(shown, ensure_ascii=False))
    else:
        for line in describe(results):
            typer.echo(line)
    if failed is not None:  # not raised: the one JSON object has been printed
        sys.stderr.write(f"error: {failed}\n")
        raise typer.Exit(failed.exit_status)


def score_run(
    translator: "Translator",
    run: Path,
    test: Path | None = None,
    *,
    beam: int = 1,
    length_penalty: float = 1.0,
    resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
    """Name of a test set -> its scores, as `--json` prints them; with alignment error rate where links are known."""
    from attentio.evaluate.quality import evaluate as score
    from attentio.search.batched import SearchConfig

    results: dict[str, dict[str, Any]] = {}
    for name, held_out in _test_sets(run, test, translator).items():
        found = translator.translate(held_out.sources, SearchConfig(beam, length_penalty))
        quality = score(
            [translation.text for translation in found],
            held_out.references,
            language=translator.target_language,
            resamples=resamples,
        )
        results[name] = {**quality.as_dict(), "references": held_out.pairs}
    if test is None:
        for name, alignment in _alignments(translator, run).items():
            results[name]["alignment"] = alignment.as_dict()
    return results


def _alignments(translator: "Translator", run: Path) -> "dict[str, AlignmentScore]":
    """Where the run holds out pairs with known word links, how well attention agrees with them.

    The model is made to produce each reference; every target word is linked to the source word it attends to most.
    """
    from attentio.data.heldout import read_links, read_tsv
    from attentio.data.prepare import PreparedData
    from attentio.evaluate.alignment import GoldLinks, alignment_error_rate, argmax_links
    from attentio.run import Run

    scores: dict[str, AlignmentScore] = {}
    for name, stem in PreparedData.load(Run(run).data).links.items():
        gold = list(read_links(stem))
        pairs = read_tsv(stem.with_name(f"{stem.name}.tsv"))
        traces = translator.align([source for source, _ in pairs], [target for _, target in pairs])
        found = [
            argmax_links(
                trace.merged(place(pair.source_words, trace.source), place(pair.target_words, trace.target)).matrix()
            )
            for trace, pair in zip(traces, gold, strict=True)
        ]
        scores[name] = alignment_error_rate(found, [GoldLinks(pair.links, pair.links) for pair in gold])
    return scores


def place(words: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Where the words stand in `text`, in order, as (start, end); capitals do not count."""
    spans: list[tuple[int, int]] = []
    folded, end = text.lower(), 0
    for word in words:
        start = folded.index(word.lower(), end)
        end = start + len(word)
        spans.append((start, end))
    return spans


def describe(results: dict[str, dict[str, Any]]) -> list[str]:
    """The results for people."""
    lines: list[str] = []
    for name, result in results.items():
        lines.append(f"{name}: {result['sentences']:,} sentences, {result['references']:,} references")
        for key in ("bleu", "chrf", "chrf_plus_plus", "ter"):
            score = result[key]
            interval = "" if score["low"] is None else f"  [{score['low']:.2f}, {score['high']:.2f}]"
            lines.append(f"  {score['metric']:<8}{score['value']:7.2f}{interval}  {score['signature']}")
        if "alignment" in result:
            found = result["alignment"]
            lines.append(
                f"  {'AER':<8}{100 * found['error_rate']:7.2f}  attention against {found['sure']:,} known word links, "
                f"precision {100 * found['precision']:.2f}, recall {100 * found['recall']:.2f}"
            )
    return lines


def _test_sets(run: Path, test: Path | None, translator: "Translator") -> "dict[str, HeldOut]":
    from attentio.data.heldout import HeldOut
    from attentio.data.prepare import PreparedData
    from attentio.data.source import read_pairs
    from attentio.run import Run

    if test is None:
        sets = PreparedData.load(Run(run).data).tests
        if not sets:
            raise DataError(
                f"{run} held nothing out for testing.", hint="Give a test file: attentio evaluate RUN TEST."
            )
        return sets
    trained = translator.trained
    pairs = list(read_pairs(test, trained.config.data))
    if not pairs:
        raise DataError(f"{test} has no sentence pairs.", file=test)
    sources = trained.source_cleaner.lines([pair.source for pair in pairs])
    targets = trained.target_cleaner.lines([pair.target for pair in pairs])
    kept = [(source, target) for source, target in zip(sources, targets, strict=True) if source and target]
    if not kept:
        raise DataError(f"{test} has no pair with text on both sides.", file=test)
    return {test.stem: HeldOut.from_pairs(test.stem, kept)}
