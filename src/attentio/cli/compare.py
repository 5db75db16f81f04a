"""`attentio compare`: which attention is better on this data, by how much, and is that more than luck."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attentio.cli.measure import Outcome, ReportOptions, compare_grid, compare_runs
from attentio.errors import UsageError

if TYPE_CHECKING:
    from attentio.cli.grid import GridCell
    from attentio.config import RunConfig
    from attentio.evaluate.compare import Cell

DEFAULT_SEEDS = 3


def compare(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...|RUN...", help="Parallel files or built-in corpora as for train; or run folders."
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="AXIS",
            help="section.key=a,b or preset=a,b; several span a grid. With run folders: what tells them apart.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help=f"Trainings of each cell; default: {DEFAULT_SEEDS}.", show_default=False)
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help='What each training gets: 90s, 3m, 2h, or "500 steps"; default: its epochs.')
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the runs and the report.")] = Path("bench"),
    baseline: Annotated[
        str | None, typer.Option(help="Cell that the others are tested against; default: the first.")
    ] = None,
    on: Annotated[
        Path | None, typer.Option("--on", metavar="FILE", help="With run folders: test pairs for all of them.")
    ] = None,
    beam: Annotated[int, typer.Option("--beam", "-b", min=1, help="Hypotheses kept at each step; 1 is greedy.")] = 1,
    length_penalty: Annotated[float, typer.Option(min=0, help="Scores are log-probability / length ** this.")] = 1.0,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples for the intervals.")] = 1000,
    sentence: Annotated[
        list[str] | None, typer.Option("--sentence", metavar="TEXT", help="Show maps of this; repeat for more.")
    ] = None,
    test_sentences: Annotated[
        int, typer.Option(min=0, help="Show maps of this many test sentences, too: your text, in the report.")
    ] = 0,
    src: Annotated[list[str] | None, typer.Option("--src", help="Source-side file, beside --tgt.")] = None,
    tgt: Annotated[
        list[str] | None, typer.Option("--tgt", help="Target-side file, line by line as DATA or --src.")
    ] = None,
    links: Annotated[
        list[str] | None, typer.Option("--links", help="Known word links of DATA to guide attention, `0-0 1-2` a line.")
    ] = None,
    dev: Annotated[str | None, typer.Option(help="Held out for choosing: pairs, a share, or a file.")] = None,
    test: Annotated[str | None, typer.Option(help="Held out for testing: pairs, a share, or a file.")] = None,
    preset: Annotated[str | None, typer.Option(help="As for train; default: base.", show_default=False)] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", "-o", metavar="SECTION.KEY=VALUE", help="Any setting, for all cells.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Drop pairs with more pieces on a side.")] = None,
    script: Annotated[str | None, typer.Option(help="Chinese script: simplified, traditional or keep.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the files, where it is not UTF-8.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="What separates the columns, where it is not a tab.")] = None,
    swap: Annotated[bool, typer.Option("--swap", help="Translate from the second column to the first.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on although most pairs are unusable.")] = False,
    wide: Annotated[bool, typer.Option("--wide", help="Print all columns, however wide.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train every combination with several seeds on an equal budget, and test which is better; or test trained runs.

    Ctrl-C at any time; the same command again goes on where it stopped.
    """
    report = ReportOptions(baseline, beam, length_penalty, resamples, sentence, test_sentences, device or "auto")
    corpus: dict[str, Any] = {
        "src": src,
        "tgt": tgt,
        "links": links,
        "dev": dev,
        "test": test,
        "max_length": max_length,
        "script": script,
        "encoding": encoding,
        "delimiter": delimiter,
        "swap": swap,
        "keep_going": keep_going,
    }
    folders = [Path(name) for name in files or () if _is_run(Path(name))]
    if folders:
        if len(folders) < len(files or ()):
            raise UsageError("give data to train on, or run folders, not both.")
        training = {
            "seeds": seeds,
            "budget": budget,
            "preset": preset,
            "config": config_file,
            "set": override,
            **corpus,
        }
        if given_in_vain := [name for name, value in training.items() if value]:
            option = given_in_vain[0].replace("_", "-")
            raise UsageError(f"--{option} is about training, and these runs are trained.")
        outcome = compare_runs(folders, vary or (), out, on, report, quiet=quiet)
    else:
        if on is not None:
            raise UsageError("--on is for run folders.", hint="Hold a file out of training with --test FILE.")
        cells = _cells(vary or (), files, corpus, preset, config_file, override or (), device, budget)
        outcome = compare_grid(cells, seeds or DEFAULT_SEEDS, budget, out, report, quiet=quiet)
    _write(outcome, out)
    _print(outcome, out, wide=wide, quiet=quiet, as_json=as_json)
    if outcome.status:
        raise typer.Exit(outcome.status)


def _cells(
    vary: Sequence[str],
    files: list[str] | None,
    corpus: dict[str, Any],
    preset: str | None,
    config_file: Path | None,
    override: Sequence[str],
    device: str | None,
    budget: str | None,
) -> "list[GridCell]":
    """The grid that the command line asks for. Raises UsageError for what cannot be, before anything is done."""
    from attentio.cli.grid import budget_settings, cells_of, check_axes, read_axes
    from attentio.cli.train import corpus_settings, given
    from attentio.config import effective_config

    if not vary:
        hint = "Say what to vary, as in --vary attention.score=additive,dot,bilinear."
        raise UsageError("nothing to compare.", hint=hint)
    axes = read_axes(vary)
    check_axes(axes, override, budget=budget is not None, preset=preset is not None)
    settings = given(
        {
            "data": corpus_settings(files=files, **corpus),
            "train": {"device": device, **budget_settings(budget)},
        }
    )

    def build(of_cell: str | None, of_axes: Sequence[str]) -> "RunConfig":
        overrides = [*override, *of_axes]
        config = effective_config(
            preset=of_cell or preset or "base", file=config_file, settings=settings, overrides=overrides
        )
        if config.data.split_seed is not None:
            return config
        data = config.data.model_copy(update={"split_seed": config.train.seed})
        return config.model_copy(update={"data": data})

    cells = cells_of(axes, build)
    if len(cells) < 2:
        raise UsageError("one cell alone is no comparison.", hint="Name two values or more: --vary KEY=a,b.")
    if not cells[0].config.data.train:
        raise UsageError(
            "no data to train on.", hint="Give a parallel file, or one of the built-in corpora: demo, small-world, hsk."
        )
    return cells


def _is_run(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ("config.toml", "model", "manifest.json"))


def _write(outcome: Outcome, out: Path) -> None:
    from attentio.cli.bench import write_json, write_text
    from attentio.view.report import page

    write_json(out / "compare.json", _as_json(outcome))
    write_text(out / "compare.csv", _as_csv(outcome))
    write_text(out / "compare.html", page(outcome.comparison, outcome.axes, outcome.facts, outcome.maps))


def _print(outcome: Outcome, out: Path, *, wide: bool, quiet: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_as_json(outcome), ensure_ascii=False))
    else:
        from attentio.view.comparison import print_comparison

        print_comparison(outcome.comparison, wide=wide)
    for note in outcome.notes:
        sys.stderr.write(f"{note}\n")
    if not quiet:
        sys.stderr.write(f"report {out / 'compare.html'}\n")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    from attentio import __version__

    facts = {"schema": 1, "version": __version__, "axes": list(outcome.axes), "facts": outcome.facts}
    return {**facts, **outcome.comparison.as_dict()}


def _as_csv(outcome: Outcome) -> str:
    """A row for each cell and test set."""
    text = io.StringIO()
    rows = [row for cell in outcome.comparison.cells for row in _rows(cell, outcome.axes)]
    writer = csv.DictWriter(text, list(max(rows, key=len)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(cell: "Cell", axes: Sequence[str]) -> list[dict[str, object]]:
    """All columns in every row; what was not measured is empty."""
    rows: list[dict[str, object]] = []
    for name, result in cell.tests.items() or {"": None}.items():
        row: dict[str, object] = {"cell": cell.name, **{key: cell.settings[key] for key in axes}}
        row |= {"test": name, "seeds": len(cell.measured), "failed": len(cell.runs) - len(cell.measured)}
        for metric in ("chrF2", "BLEU"):
            score = result.scores[metric] if result else None
            found = result.differences.get(metric) if result else None
            for key in ("value", "low", "high"):
                row[metric if key == "value" else f"{metric}_{key}"] = getattr(score, key, None)
            for key in ("difference", "low", "high", "p_value", "corrected"):
                row[f"{metric}_{key}" if key == "difference" else f"{metric}_difference_{key}"] = getattr(
                    found, key, None
                )
        for key in ("error_rate", "entropy", "coverage", "monotonicity"):
            row[key] = getattr(getattr(result, key, None), "mean", None)
        for key in (
            *("parameters", "steps", "training_seconds", "tokens_per_second", "sentences_per_second", "memory_bytes"),
        ):
            row[key] = getattr(getattr(cell, key), "mean", None)
        rows.append({**row, "also_differs": "; ".join(cell.also_differs)})
    return rows
