"""`attentio train`: from parallel text to a run folder. The same command again goes on where it stopped."""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attentio.cli import options
from attentio.cli.doctor import look_at
from attentio.cli.options import with_groups
from attentio.cli.progress import display, speaker
from attentio.errors import UsageError

if TYPE_CHECKING:
    from attentio.data.settings import DataConfig


@with_groups
def train(
    *,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...",
            help="Parallel files (TSV, JSONL, TMX, .gz), demo, small-world, hsk, or what `data prepare` made.",
        ),
    ] = None,
    out: options.RunOut = Path("run"),
    corpus: options.Corpus,
    attention: Annotated[str | None, typer.Option(help="Attention score: additive, dot, bilinear, …")] = None,
    settings: options.Settings,
    device: options.Device = None,
    max_time: options.MaxTime = None,
    start_from: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Start from this model: its weights, vocabulary and architecture."),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Train in so many processes of this machine, with a share of each batch.")
    ] = 1,
    shard: Annotated[
        bool, typer.Option("--shard", help="Each process holds a share of the weights and the optimizer (FSDP2).")
    ] = False,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report on data, model and memory. Train nothing.")
    ] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a translator. Press Ctrl-C at any time: the same command resumes exactly where it stopped."""
    from attentio.train.settings import read_duration

    prepared = _prepared_folder(files)
    data = corpus.of(files)
    shared = None if prepared is None else _shared_data(prepared, data, settings.override or (), start_from)
    if shared is not None:
        data = shared.model_dump(mode="json")
    given = {
        "device": device,
        "max_seconds": None if max_time is None else read_duration(max_time),
        "start_from": None if start_from is None else str(start_from),
    }
    sections = {"data": data, "attention": {"score": attention}, "train": given}
    kept = None if overwrite else out
    config = settings.effective("train on", sections, run=kept, note=speaker(quiet=False))
    if shared is not None:  # what is not set there is not set by a preset either
        config = config.model_copy(update={"data": shared})
    from attentio.train import run as training

    say = speaker(quiet=quiet)

    if dry_run:
        summary = training.dry_run(config, out, say=say, prepared=prepared)
    else:
        from attentio.train.distributed import is_started, joined_ranks, launch

        if not is_started():
            if processes > 1:
                raise typer.Exit(launch(sys.argv[1:], processes, say))
            if shard:
                raise UsageError("--shard shares a model out among processes, and there is one.", hint="--processes 2")
        with joined_ranks(shard=shard) as ranks:
            summary = training.run_training(
                config,
                out,
                overwrite=ranks.starts_over(overwrite),
                say=say,
                display=partial(display, quiet=quiet),
                foresee=not quiet,
                ranks=ranks,
                prepared=prepared,
            )
            if ranks.rank > 0:  # it has nothing to close, and gloo's threads may abort where Python takes them down
                os._exit(0)
        if summary["ended"] is not None and summary["plan"] is not None:  # trained here and now
            summary["findings"] = look_at(out, say)
    if as_json:
        options.print_json(summary)
    if summary.get("interrupted_by"):
        raise typer.Exit(128 + int(summary["interrupted_by"]))


def _prepared_folder(files: Sequence[str] | None) -> Path | None:
    from attentio.data.source import BUILT_IN

    folders = [Path(file) for file in files or () if file not in BUILT_IN and Path(file).is_dir()]
    if folders and len(files or ()) > 1:
        raise UsageError(f"{folders[0]} is a folder: prepared data is trained on alone.", hint="Give one DATA.")
    return folders[0] if folders else None


def _shared_data(
    prepared: Path, data: Mapping[str, object], override: Sequence[str], start_from: Path | None
) -> "DataConfig":
    """Return the settings of prepared data. Raises UsageError for what would have changed it."""
    from attentio.data.prepare import prepared_settings

    late = [f"data.{name}" for name in data if name != "train"]
    late += [text for text in override if text.split("=")[0].strip().startswith("data.")]
    late += [] if start_from is None else ["--start-from"]
    if late:
        raise UsageError(f"{prepared} is prepared, so that {late[0]} comes too late.", hint="Leave it out.")
    return prepared_settings(prepared)
