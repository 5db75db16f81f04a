"""`attentio view`: a translation beside what the model looked at."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from attentio.cli import options
from attentio.cli.options import layer_name
from attentio.errors import UsageError
from attentio.runtime.files import check_place

PICTURES = (".png", ".svg")


def view(
    run: options.Run,
    sentences: Annotated[list[str], typer.Argument(metavar="SENTENCE...", help="What to translate.")],
    png: Annotated[Path | None, typer.Option("--png", help="Write the map as a PNG picture.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the map as an SVG picture.")] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the trace of one sentence as .json or .npz.")
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the model's own tokens instead of words.")] = False,
    pieces: Annotated[bool, typer.Option("--pieces", hidden=True, help="The former name of --tokens.")] = False,
    layer: options.Layer = None,
    head: options.Head = None,
    numbers: Annotated[bool, typer.Option("--numbers", help="Write percentages into the map.")] = False,
    font: Annotated[Path | None, typer.Option(help="Font file for the pictures.")] = None,
    beam: options.Beam = options.DEFAULT_BEAM,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Translate and show which source words each target word attended to: in the terminal, as PNG, as SVG."""
    if save is not None and len(sentences) > 1:
        raise UsageError("--save takes the trace of one sentence.")
    if pieces:
        sys.stderr.write("note: --pieces is called --tokens now\n")
    _check_places(png, svg, save)
    layer = layer_name(layer)
    from attentio.search.batched import SearchConfig
    from attentio.translator import Translator

    translator = Translator.load(run, device=device or "auto")
    found = translator.translate(sentences, SearchConfig(beam), trace=True)
    for translation in found:
        if translation.trace is None:
            raise UsageError(
                f"there is no map of {translation.source!r}: it is empty, or longer than the model can take at once."
            )
    traces = [translation.trace for translation in found if translation.trace is not None]
    shown = traces if tokens or pieces else [trace.words() for trace in traces]
    if as_json:
        objects: list[dict[str, Any]] = [
            {
                "source": trace.source,
                "text": trace.target,
                "score": translation.score,
                "source_tokens": trace.source_tokens,
                "target_tokens": trace.target_tokens,
                "weights": trace.matrix(layer, head).tolist(),
            }
            for trace, translation in zip(shown, found, strict=True)
        ]
        typer.echo(json.dumps({"schema": 1, "translations": objects}, ensure_ascii=False))
    else:
        from attentio.view.terminal import print_map

        for trace in shown:
            typer.echo(trace.target)
            print_map(trace, layer=layer, head=head, numbers=numbers)
    if save is not None:
        traces[0].save(save)
    if png is not None or svg is not None:
        from attentio.view.heatmap import draw

        picture = draw(shown, layers=(layer,), heads=(head,), numbers=numbers, font=font)
        for path in (png, svg):
            if path is not None:
                picture.save(path)
                sys.stderr.write(f"picture {path}\n")
        if picture.message:
            sys.stderr.write(f"note: {picture.message}\n")


def _check_places(png: Path | None, svg: Path | None, save: Path | None) -> None:
    """Refuse what could not be written, before the model is opened."""
    for path, endings in ((png, PICTURES), (svg, PICTURES), (save, (".json", ".npz"))):
        if path is not None and path.suffix.lower() not in endings:
            raise UsageError(f"{path}: the name must end in {' or '.join(endings)}.")
        check_place(path)
    if png is not None or svg is not None:
        import_module("attentio.view.heatmap")  # raises MissingExtra without matplotlib
