"""`attentio train`: from parallel text to a run folder; the same command again goes on where it stopped."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from attentio.cli.progress import display, speaker
from attentio.errors import UsageError


def train(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...", help="Parallel files (TSV, JSONL, TMX, .gz) or built-in: demo, small-world, hsk."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Run folder.")] = Path("run"),
    src: Annotated[list[str] | None, typer.Option("--src", help="Source-side file, beside --tgt.")] = None,
    tgt: Annotated[
        list[str] | None, typer.Option("--tgt", help="Target-side file, line by line as DATA or --src.")
    ] = None,
    links: Annotated[
        list[str] | None, typer.Option("--links", help="Known word links of DATA to guide attention, `0-0 1-2` a line.")
    ] = None,
    dev: Annotated[str | None, typer.Option(help="Held out for choosing: pairs, a share, or a file.")] = None,
    test: Annotated[str | None, typer.Option(help="Held out for testing: pairs, a share, or a file.")] = None,
    attention: Annotated[str | None, typer.Option(help="Attention score: additive, dot, bilinear, …")] = None,
    preset: Annotated[str, typer.Option(help="tiny, small, base, of a family (rnn-base), or notebook.")] = "small",
    config_file: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", "-o", metavar="SECTION.KEY=VALUE", help="Any setting.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split, weights, order and dropout.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Stop after this long: 90s, 10m, 2h.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Drop pairs with more tokens on a side.")] = None,
    script: Annotated[str | None, typer.Option(help="Chinese script: simplified, traditional or keep.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the files, where it is not UTF-8.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="What separates the columns, where it is not a tab.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="The two columns to read, by number or by name in the header: 2,4.")
    ] = None,
    source_language: Annotated[
        str | None, typer.Option(help="Language of the source side, such as en or zh-TW.")
    ] = None,
    target_language: Annotated[str | None, typer.Option(help="Language of the target side.")] = None,
    swap: Annotated[bool, typer.Option("--swap", help="Translate from the second column to the first.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on although most pairs are unusable.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew in a run folder that has a run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report on data, model and memory; train nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Train a translator. Ctrl-C at any time; the same command again resumes exactly where it stopped."""
    from attentio.train.settings import effective_config, read_duration

    settings = {
        "data": corpus_settings(
            files=files,
            src=src,
            tgt=tgt,
            links=links,
            dev=dev,
            test=test,
            max_length=max_length,
            script=script,
            encoding=encoding,
            delimiter=delimiter,
            columns=columns,
            source_language=source_language,
            target_language=target_language,
            swap=swap,
            keep_going=keep_going,
        ),
        "attention": {"score": attention},
        "train": {"seed": seed, "device": device, "max_seconds": None if max_time is None else read_duration(max_time)},
    }
    config = effective_config(preset=preset, file=config_file, settings=given(settings), overrides=override or ())
    if not config.data.train:
        raise UsageError(
            "no data to train on.", hint="Give a parallel file, or one of the built-in corpora: demo, small-world, hsk."
        )
    from attentio.train import run as training

    say = speaker(quiet=quiet)
    if dry_run:
        summary = training.dry_run(config, out, say=say)
    else:
        summary = training.run_training(
            config, out, overwrite=overwrite, say=say, display=partial(display, quiet=quiet)
        )
    if as_json:
        typer.echo(json.dumps({"schema": 1, **summary}, ensure_ascii=False))
    if summary.get("interrupted_by"):
        raise typer.Exit(128 + int(summary["interrupted_by"]))


def corpus_settings(
    *,
    files: list[str] | None,
    src: list[str] | None,
    tgt: list[str] | None,
    links: list[str] | None = None,
    dev: str | None,
    test: str | None,
    max_length: int | None,
    script: str | None,
    encoding: str | None,
    delimiter: str | None,
    columns: str | None,
    source_language: str | None,
    target_language: str | None,
    swap: bool,
    keep_going: bool,
) -> dict[str, object]:
    """The settings of `data` from what the command line says of it; None where it says nothing."""
    if files and src:
        raise UsageError("give DATA or --src, not both.")
    return {
        "train": files or src,
        "target": tgt,
        "links": links,
        "dev": _held_out(dev),
        "test": _held_out(test),
        "max_length": max_length,
        "script": script,
        "encoding": encoding,
        "delimiter": None if delimiter is None else delimiter.replace("\\t", "\t"),
        "columns": columns,
        "source_language": source_language,
        "target_language": target_language,
        "swap": swap or None,
        "keep_going": keep_going or None,
    }


def _held_out(text: str | None) -> int | float | str | None:
    for kind in (int, float):
        try:
            return None if text is None else kind(text)
        except ValueError:
            continue
    return text


def given(settings: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """Only what was given on the command line."""
    return {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in settings.items()
    }
