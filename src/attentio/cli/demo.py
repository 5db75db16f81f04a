"""`attentio demo`: everything once, on the built-in corpora, in a few minutes."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from attentio.cli import options
from attentio.cli.doctor import look_at
from attentio.cli.evaluate import describe
from attentio.cli.progress import display, speaker
from attentio.errors import MissingExtra, QualityGate

# In neither corpus: whoever reads them here can judge the translations for themselves.
SENTENCES = (
    "I love you.",
    "My sister bought two books yesterday.",
    "Where is the new station?",
    "He is taller than his father.",
    "We do not want to go to school today.",
    "The cat is sleeping on the bed.",
    "She made a cake for her mother.",
    "My brother lost his phone at the airport last week.",
    "If it rains tomorrow, I will stay at home.",
    "The book that she is reading is very interesting.",
)


def demo(
    out: options.RunOut = Path("demo"),
    max_time: Annotated[str, typer.Option(help="Longest training: 90s, 4m.")] = "4m",
) -> None:
    """Train on the built-in English-Chinese corpora, evaluate on held-out pairs, translate, draw attention."""
    from attentio.train.settings import effective_config, read_duration

    settings: dict[str, Any] = {"data": {"train": ["demo"]}, "train": {"max_seconds": read_duration(max_time)}}
    config = effective_config(preset="demo", settings=settings)

    from attentio.evaluation.scores import score_run
    from attentio.train.run import run_training
    from attentio.translator import Translator

    summary = run_training(config, out, say=speaker(quiet=False), display=partial(display, quiet=False))
    if summary["interrupted_by"] is not None:
        raise typer.Exit(128 + int(summary["interrupted_by"]))

    if summary["plan"] is not None:  # trained here and now
        look_at(out, speaker(quiet=False))
    translator = Translator.load(out)
    typer.echo("\nHeld-out pairs, none of them in training; each part is a score of its own:")
    options.print_lines(describe(score_run(translator, out, beam=4)))
    typer.echo("\nSentences that are in neither corpus:")
    found = [translator(sentence, beam_size=4) for sentence in SENTENCES]
    for translation in found:
        typer.echo(f"  {translation.source:<52}{translation.text}")
    typer.echo("")
    traces = [translation.trace.words() for translation in found[:3] if translation.trace is not None]
    from attentio.view.terminal import print_map

    print_map(traces[1])
    try:
        from attentio.view.heatmap import draw

        picture = draw(traces)
        picture.save(out / "attention.png")
        typer.echo(f"\npicture      {out / 'attention.png'}")
        if picture.message:
            sys.stderr.write(f"note: {picture.message}\n")
    except MissingExtra as error:
        sys.stderr.write(f"note: no picture was drawn: {error}\n")
    typer.echo(f'translator   {out}: attentio translate {out}, attentio view {out} "I love you."')
    typer.echo(f"log          {out / 'log.jsonl'}, data report {out / 'data' / 'report.json'}")
    typer.echo("your own     attentio train cmn.txt --out runs/mine   (English TAB Chinese, or any two languages)")
    typer.echo(
        "The demo knows a small world and some thousand real sentences. "
        "For real translation, train on cmn.txt or a larger corpus."
    )
    if summary["warnings"] or summary["steps"] < config.train.min_steps:
        raise QualityGate(
            f"{summary['steps']:,} updates in {summary['seconds']:,.0f} s are too few to translate well.",
            hint="Give it more time: attentio demo --max-time 20m --out demo2",
        )
