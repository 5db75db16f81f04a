"""`attentio align`: score any system's word links against gold links, no model needed."""

from pathlib import Path
from typing import Annotated

import typer

from attentio.cli import options


def align(
    gold: Annotated[Path, typer.Argument(help="Gold links, a sentence a line: `1-1 2p3`, - sure, p possible.")],
    links: Annotated[Path, typer.Argument(help="A system's links, a sentence a line: `0-0 1-2`.")],
    gold_index: Annotated[int, typer.Option("--gold-index", min=0, max=1, help="Gold words are counted from 0 or 1.")],
    index: Annotated[int, typer.Option("--index", min=0, max=1, help="The system's words are counted from 0 or 1.")],
    sentences: Annotated[
        Path | None,
        typer.Option("--sentences", help="`source words ||| target words`, to refuse links beyond a sentence."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Score word links: alignment error rate, precision and recall, in percent."""
    from attentio.data.alignments import check_line_counts, read_gold, read_lengths, read_links
    from attentio.metrics.alignment import alignment_error_rate

    lengths = read_lengths(sentences) if sentences is not None else None
    wanted = read_gold(gold, index=gold_index, lengths=lengths)
    found = read_links(links, index=index, lengths=lengths)
    check_line_counts(links, len(found), gold, len(wanted))
    score = alignment_error_rate(found, wanted)
    if as_json:
        options.print_json(score.as_dict())
        return
    typer.echo(
        f"AER {percent(score.error_rate)}   precision {percent(score.precision)}   recall {percent(score.recall)}   "
        f"{score.links:,} links, {score.sure:,} sure and {score.possible - score.sure:,} only possible gold links, "
        f"{score.sentences:,} sentences"
    )


def percent(share: float | None) -> str:
    """Return a share for people. What is not defined is said to be so, and is not 0."""
    return "undefined" if share is None else f"{100 * share:.2f}"
