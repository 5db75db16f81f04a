"""`attentio compare`: which attention is better on this data, by how much, and is that more than luck."""

import difflib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attentio.cli import options
from attentio.cli.options import by_section, with_groups
from attentio.cli.progress import display
from attentio.errors import DataError, UsageError
from attentio.runtime.files import check_folder

if TYPE_CHECKING:
    from attentio.experiment.runner import Outcome


@with_groups
def compare(
    *,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...|RUN...", help="Parallel files or built-in corpora as for train, or run folders."
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS",
            help="section.key=a,b or preset=a,b. Several span a grid. With run folders: what tells them apart.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings of each cell. Default: 3.", show_default=False)
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help='What each training gets: 90s, 3m, 2h, or "500 steps". Default: its epochs.')
    ] = None,
    at_once: Annotated[
        int, typer.Option(min=1, help="Trainings that run at the same time, each with its share of the processors.")
    ] = 1,
    out: Annotated[Path, typer.Option("--out", help="Folder for the runs and the report.")] = Path("bench"),
    baseline: Annotated[
        str | None, typer.Option(help="Cell that the others are tested against. Default: the first.")
    ] = None,
    on: Annotated[
        Path | None, typer.Option("--on", metavar="FILE", help="With run folders: test pairs for all of them.")
    ] = None,
    beam: options.Beam = 1,
    length_penalty: options.LengthPenalty = 1.0,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples for the intervals.")] = 1000,
    sentence: Annotated[
        list[str] | None, typer.Option("--sentence", metavar="TEXT", help="Show maps of this. Repeat for more.")
    ] = None,
    test_sentences: Annotated[
        int, typer.Option(min=0, help="Show maps of this many test sentences, too: your text, in the report.")
    ] = 0,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Also measure whether attention shows what masking a token costs.")
    ] = False,
    corpus: options.Corpus,
    preset: Annotated[str | None, typer.Option(help="As for train. Default: small.", show_default=False)] = None,
    config_file: options.ConfigFile = None,
    override: options.Overrides = None,
    device: options.Device = None,
    wide: Annotated[bool, typer.Option("--wide", help="Print all columns, however wide.")] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Train every combination with several seeds on an equal budget, and test which is better. Or test trained runs.

    Press Ctrl-C at any time: the same command goes on where it stopped.
    """
    from attentio.experiment.runner import DEFAULT_SEEDS, ReportOptions, compare_runs, run_comparison
    from attentio.runtime.processes import Stopped

    report = ReportOptions(
        baseline, beam, length_penalty, resamples, sentence, test_sentences, device or "auto", faithfulness
    )
    reading = corpus.settings()
    if folders := _run_folders(files or [], trained=not vary):
        training = {
            "seeds": seeds,
            "budget": budget,
            "at_once": at_once > 1,
            "preset": preset,
            "config": config_file,
            "set": override,
            **{key: value for key, value in asdict(corpus).items() if on is None or key not in reading},
        }
        if given_in_vain := [name for name, value in training.items() if value]:
            option = given_in_vain[0].replace("_", "-")
            raise UsageError(f"--{option} is about training, and these runs are trained.")
        check_folder(out)
        measured = partial(compare_runs, folders, out, vary=vary or (), on=on, reading=reading, options=report)
    else:
        if on is not None:
            raise UsageError("--on is for run folders.", hint="Hold a file out of training with --test FILE.")
        measured = partial(
            run_comparison,
            vary or (),
            by_section(data=corpus.of(files), train={"device": device}),
            out,
            seeds=seeds or DEFAULT_SEEDS,
            budget=budget,
            preset=preset,
            config_file=config_file,
            overrides=override or (),
            options=report,
            at_once=at_once,
        )
    try:
        outcome = measured(display=partial(display, quiet=quiet))
    except Stopped as stopped:
        sys.stderr.write("stopped; the same command again goes on exactly here\n")
        raise typer.Exit(128 + stopped.signal) from None
    outcome.write(out)
    _print(outcome, out, wide=wide, quiet=quiet, as_json=as_json)
    if outcome.status:
        raise typer.Exit(outcome.status)


def _run_folders(names: Sequence[str], *, trained: bool) -> list[Path]:
    """Return the run folders among the arguments: all of them, or none where they name data to train on.

    trained: whether nothing but run folders makes sense, so that a mistyped one is said to be one.
    Raises UsageError where they name both, and DataError for a folder that is no run or is not there.
    """
    from attentio.data.source import BUILT_IN

    paths = [Path(name) for name in names]
    runs = [path for path in paths if _is_run(path)]
    if len(runs) < max(2, len(paths)):  # a built-in corpus stays one, though a run has its name, as after the demo
        runs = [path for path in runs if str(path) not in BUILT_IN]
    for path in paths:
        if path in runs or path.is_file() or (not runs and not trained) or str(path) in BUILT_IN:
            continue
        hint = "Give the folder that `attentio train --out` made."
        if path.exists():
            raise DataError(f"{path} is no run folder.", hint=hint, file=path)
        near = [str(other) for other in path.parent.glob("*") if _is_run(other)] if path.parent.is_dir() else []
        close = difflib.get_close_matches(str(path), near, n=1)
        raise DataError(
            f"there is no {path}.", hint=f"Did you mean {close[0]}?" if close else f"Name data, or run folders. {hint}"
        )
    if runs and len(runs) < len(paths):
        raise UsageError("give data to train on, or run folders, not both.")
    return runs


def _is_run(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ("config.toml", "model", "manifest.json"))


def _print(outcome: "Outcome", out: Path, *, wide: bool, quiet: bool, as_json: bool) -> None:
    if as_json:
        options.print_json(outcome.as_dict())
    else:
        from attentio.experiment.table import print_comparison

        print_comparison(outcome.comparison, wide=wide)
    for note in outcome.notes:
        sys.stderr.write(f"{note}\n")
    if not quiet:
        sys.stderr.write(f"report {out / 'compare.html'}\n")
