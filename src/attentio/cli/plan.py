"""`attentio plan`: how long a training would take here, and how good it would be."""

from typing import Annotated

import typer

from attentio.cli import options
from attentio.cli.options import with_groups


@with_groups
def plan(
    *,
    files: options.Data = None,
    corpus: options.Corpus,
    time: Annotated[str | None, typer.Option("--time", help="For a training of this long: 90s, 10m, 2h.")] = None,
    run: options.Settings,
    device: options.Device = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure this machine for some seconds, read the corpus, and say what time and quality to expect of `train`."""
    from attentio.train.settings import read_duration

    limit = None if time is None else read_duration(time)
    sections = {"data": corpus.of(files), "train": {"device": device, "max_seconds": limit}}
    config = run.effective("plan for", sections)
    from attentio.train.planner import plan_training

    found = plan_training(config)
    if as_json:
        options.print_json(found.as_dict())
        return
    options.print_lines(found.lines())
