"""`attentio evaluate`: how good a run is on held-out text."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attentio.errors import DataError, QualityGate

if TYPE_CHECKING:
    from attentio.data.heldout import HeldOut
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
    results = score_sets(translator, _test_sets(run, test, translator), beam, length_penalty, resamples)
    if as_json:
        typer.echo(json.dumps({"schema": 1, "run": str(run), "beam": beam, "tests": results}, ensure_ascii=False))
    else:
        for line in describe(results):
            typer.echo(line)
    worst = min(result["chrf"]["value"] for result in results.values())
    if min_chrf is not None and worst < min_chrf:
        raise QualityGate(f"chrF2 {worst:.2f} is below --min-chrf {min_chrf:g}.")


def score_sets(
    translator: "Translator", sets: "dict[str, HeldOut]", beam: int, length_penalty: float, resamples: int
) -> dict[str, dict[str, Any]]:
    """Name of a test set -> its scores, as `--json` prints them; and its alignment error rate where links are known."""
    from attentio.evaluate.quality import evaluate as score
    from attentio.search.batched import SearchConfig

    results: dict[str, dict[str, Any]] = {}
    for name, held_out in sets.items():
        found = translator.translate(held_out.sources, SearchConfig(beam, length_penalty))
        quality = score(
            [translation.text for translation in found],
            held_out.references,
            language=translator.target_language,
            resamples=resamples,
        )
        results[name] = {**quality.as_dict(), "references": held_out.pairs}
    return results


def describe(results: dict[str, dict[str, Any]]) -> list[str]:
    """The results for people."""
    lines: list[str] = []
    for name, result in results.items():
        lines.append(f"{name}: {result['sentences']:,} sentences, {result['references']:,} references")
        for key in ("bleu", "chrf", "chrf_plus_plus", "ter"):
            score = result[key]
            interval = "" if score["low"] is None else f"  [{score['low']:.2f}, {score['high']:.2f}]"
            lines.append(f"  {score['metric']:<8}{score['value']:7.2f}{interval}  {score['signature']}")
    return lines


def _test_sets(run: Path, test: Path | None, translator: "Translator") -> "dict[str, HeldOut]":
    from attentio.data.heldout import HeldOut
    from attentio.data.prepare import PreparedData
    from attentio.data.source import read_pairs
    from attentio.run import Run

    if test is None:
        sets = PreparedData.load(Run(run).data).tests
        if not sets:
            raise DataError(f"{run} held nothing out for testing.", hint="Give a test file: attentio evaluate RUN TEST.")
        return sets
    trained = translator.trained
    pairs = list(read_pairs(test, trained.config.data))
    if not pairs:
        raise DataError(f"{test} has no sentence pairs.", file=test)
    sources = trained.source_cleaner.lines([pair.source for pair in pairs])
    targets = trained.target_cleaner.lines([pair.target for pair in pairs])
    kept = [(source, target) for source, target in zip(sources, targets, strict=True) if source and target]
    return {test.stem: HeldOut.from_pairs(test.stem, kept)}
