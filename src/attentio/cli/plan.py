"""`attentio plan`: how long a training would take here, and how good it would be."""

import json
from typing import Annotated

import typer

from attentio.cli import options
from attentio.cli.options import by_section, with_groups
from attentio.errors import UsageError


@with_groups
def plan(
    *,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="DATA...", help="Parallel files or built-in corpora.")
    ] = None,
    corpus: options.Corpus,
    time: Annotated[str | None, typer.Option("--time", help="For a training of this long: 90s, 10m, 2h.")] = None,
    preset: options.Preset = "auto",
    config_file: options.ConfigFile = None,
    override: options.Overrides = None,
    seed: options.Seed = None,
    device: options.Device = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure this machine for some seconds, read the corpus, and say what time and quality to expect of `train`."""
    from attentio.train.settings import effective_config, read_duration

    limit = None if time is None else read_duration(time)
    settings = by_section(data=corpus.of(files), train={"seed": seed, "device": device, "max_seconds": limit})
    config = effective_config(preset=preset, file=config_file, settings=settings, overrides=override or ())
    if not config.data.train:
        raise UsageError("no data to plan for.", hint="Give a parallel file, or a built-in corpus: small-world, hsk.")
    from attentio.train.planner import plan_training

    found = plan_training(config)
    if as_json:
        typer.echo(json.dumps({"schema": 1, **found.as_dict()}, ensure_ascii=False))
        return
    for line in found.lines():
        typer.echo(line)
