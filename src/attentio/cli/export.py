"""`attentio export`: a model as a file that other programs run."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from attentio.cli import options
from attentio.errors import DataError, UsageError
from attentio.search import DEFAULT_BEAM

SENTENCES = 100


def export(
    run: options.Run,
    to: Annotated[str, typer.Option("--to", help="Format: html, site, onnx, ctranslate2 or argos.")],
    out: Annotated[Path, typer.Option("--out", help="File or folder to write, whole or not at all.")],
    precision: Annotated[
        str | None, typer.Option(help="How weights are stored: int8 or fp32. Default: the first that the format has.")
    ] = None,
    others: Annotated[
        list[Path] | None, typer.Option("--with", help="Another run on the same page. Repeat for more.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the model is called. Default: the run folder.")] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="Sentences to compare with, one a line, or source and translation. Default: the dev set."),
    ] = None,
    sentences: Annotated[int, typer.Option(min=1, help="How many sentences are compared.")] = SENTENCES,
    beam: options.Beam = DEFAULT_BEAM,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Write the file without comparing it.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Write a model as a file that runs without Attentio, if the file agrees with the model."""
    from attentio.bundle import Bundle
    from attentio.export import FORMATS
    from attentio.export.format import check_expressed
    from attentio.export.parity import ToExport
    from attentio.export.parity import export as write

    if to not in FORMATS:
        raise UsageError(f"there is no format {to!r}.", hint=f"One of: {', '.join(FORMATS)}.")
    chosen = FORMATS[to]
    runs = [run, *(others or [])]
    models: list[ToExport] = []
    for each in runs:
        bundle = Bundle.load(each)
        check_expressed(chosen, bundle, [other for other in FORMATS.values() if other is not chosen])
        called = name if name and each is run else each.resolve().name
        texts, references = _to_compare(each, check, sentences) if not unchecked else ([], None)
        models.append(ToExport(called, bundle, texts, references))
    report = write(chosen, out, models, precision=precision or chosen.precisions[0], beam=beam, unchecked=unchecked)
    for each in models:
        for note in chosen.notes(each.bundle):
            sys.stderr.write(f"note: {note}\n")
    if as_json:
        options.print_json(report.as_dict())
        return
    options.print_lines(report.lines())
    sys.stderr.write(f"{report.format} {report.path} ({report.bytes / 1e6:.2f} MB, {report.precision})\n")


def _to_compare(run: Path, check: Path | None, count: int) -> tuple[list[str], list[list[str]] | None]:
    """Return sentences to compare, evenly over what there is, and their references, where some are known."""
    from attentio.bundle import BUILT_IN
    from attentio.data.heldout import HeldOut, read_tsv
    from attentio.train.folder import Run

    if check is not None:
        if not check.is_file():
            raise DataError(f"{check}: no such file.", file=check)
        pairs = read_tsv(check)
    elif (dev := Run(run).data / "dev.tsv").is_file():
        pairs = read_tsv(dev)
    elif not run.exists() and (BUILT_IN / run).is_dir():
        from attentio.corpora.small_world.grammar import sample

        pairs = [(pair.source, pair.target) for pair in sample(4 * count, seed=20261127)]
    else:
        raise UsageError(f"{run} has no dev set to compare with.", hint="Give --check FILE, or --unchecked.")
    held = HeldOut.from_pairs("dev", [pair for pair in pairs if pair[0].strip()]).evenly(count)
    known = all(text for texts in held.references for text in texts)
    return held.sources, held.references if known else None
