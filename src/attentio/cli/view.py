"""`attentio view`: a translation beside what the model looked at."""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attentio.cli import options
from attentio.cli.notes import Notes
from attentio.cli.options import layer_name
from attentio.errors import UsageError
from attentio.runtime.files import check_place, write_text
from attentio.search import DEFAULT_BEAM

if TYPE_CHECKING:
    from attentio.search.batched import SearchConfig
    from attentio.trace import AttentionTrace
    from attentio.translator import Translation, Translator

PICTURES = (".png", ".svg")


def view(
    run: options.Run,
    sentences: Annotated[list[str] | None, typer.Argument(metavar="SENTENCE...", help="What to translate.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Write the map as a PNG picture.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the map as an SVG picture.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page that works alone, also offline.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the trace of one sentence as .json or .npz.")] = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="Serve a page on this machine to translate, look and ask what if.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of --open. 0 takes any free one.")] = 0,
    beside: Annotated[
        list[Path] | None, typer.Option("--beside", help="Another run to show beside the first. Repeat for more.")
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the model's own tokens instead of words.")] = False,
    pieces: Annotated[bool, typer.Option("--pieces", hidden=True, help="The former name of --tokens.")] = False,
    layer: options.Layer = None,
    head: options.Head = None,
    all_heads: Annotated[bool, typer.Option("--all-heads", help="Show every head of every layer.")] = False,
    numbers: Annotated[bool, typer.Option("--numbers", help="Write percentages into the map.")] = False,
    font: Annotated[Path | None, typer.Option(help="Font file for the pictures.")] = None,
    beam: options.Beam = DEFAULT_BEAM,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Translate and show which source words each target word attended to: in the terminal, a picture or a page."""
    sentences, runs = sentences or [], [run, *(beside or [])]
    if save is not None and len(sentences) * len(runs) > 1:
        raise UsageError("--save takes the trace of one sentence.")
    if all_heads and (as_json or layer is not None or head is not None):
        raise UsageError("--all-heads goes with neither --json, --layer nor --head.")
    if not sentences and not open_page:
        raise UsageError("what should be translated?", hint="Give a sentence, or --open for a page.")
    if pieces:
        sys.stderr.write("note: --pieces is called --tokens now\n")
    _check_places(png, svg, html, save)
    from attentio.runtime import compiler

    compiler.put_off()
    if open_page:
        import_module("attentio.serve.app")  # raises MissingExtra before a model is opened
    from attentio.search.batched import SearchConfig
    from attentio.translator import Translator

    names = [each.resolve().name for each in runs]
    names = names if len(set(names)) == len(names) else list(map(str, runs))
    translators = [Translator.load(each, device=device or "auto") for each in runs]
    if open_page:
        from attentio.serve.app import serve

        pages, text = dict(zip(names, translators, strict=True)), sentences[0] if sentences else ""
        serve(pages, port=port, text=text, beam=beam, say=sys.stderr.write, open_browser=sys.stderr.isatty())
        return
    found = [_looked_at(translator, sentences, SearchConfig(beam)) for translator in translators]
    if len({len(each) for each in found}) > 1:
        raise UsageError("a text is cut into other sentences by another model: give one sentence at a time.")
    if save is not None and len(found[0]) > 1:
        raise UsageError("--save takes the trace of one sentence.")
    together = [list(row) for row in zip(*found, strict=True)]  # of each sentence, what each model made of it
    whole = [[trace for _, trace in row] for row in together]
    shown = whole if tokens or pieces else [[trace.words() for trace in row] for row in whole]
    traces, labels = [trace for row in shown for trace in row], names * len(shown) if beside else []
    layer = None if layer == "mean" else layer_name(layer) or "last"
    layers, heads = (
        (traces[0].layers, range(len(traces[0].weights[traces[0].layers[-1]]))) if all_heads else ((layer,), (head,))
    )
    for trace in traces:  # a layer or head that one of them lacks is refused before anything is printed
        for each in heads:
            trace.matrix(layers[0], each)
    if as_json:
        objects: list[dict[str, Any]] = [
            {
                "source": trace.source,
                "text": trace.target,
                "score": translation.score,
                "source_tokens": trace.source_tokens,
                "target_tokens": trace.target_tokens,
                "weights": trace.matrix(layer, head).tolist(),
                "unseen": list(translation.unseen),
                "lost": list(translation.lost),
                **({"run": name} if beside else {}),
            }
            for trace, (translation, _), name in zip(
                traces, [each for row in together for each in row], names * len(shown), strict=True
            )
        ]
        options.print_json({"translations": objects})
    else:
        from attentio.view.terminal import print_map

        for place, trace in enumerate(traces):
            typer.echo(f"{labels[place]}: {trace.target}" if labels else trace.target)
            for one in layers:
                for each in heads:
                    if all_heads:
                        typer.echo(f"{one}, head {each}")
                    print_map(trace, layer=one, head=each, numbers=numbers)
    if save is not None:
        whole[0][0].save(save)
    if html is not None:
        from attentio.view.embed import document

        write_text(html, document(whole, names=names if beside else (), heads=all_heads))
        sys.stderr.write(f"page {html}\n")
    if png is not None or svg is not None:
        from attentio.view.heatmap import draw

        picture = draw(traces, layers=layers, heads=heads, names=labels, numbers=numbers, font=font)
        for path in (png, svg):
            if path is not None:
                picture.save(path)
                sys.stderr.write(f"picture {path}\n")
        if picture.message:
            sys.stderr.write(f"note: {picture.message}\n")


def _looked_at(
    translator: "Translator", sentences: list[str], config: "SearchConfig"
) -> list[tuple["Translation", "AttentionTrace"]]:
    """Return what was translated with its trace, each sentence of a text by itself."""
    found: list[tuple[Translation, AttentionTrace]] = []
    notes = Notes(translator)
    for number, translation in enumerate(translator.translate(sentences, config, trace=True), 1):
        notes.add(translation, number)
        parts = [(part, part.trace) for part in translation.leaves() if part.trace is not None]
        if not parts:
            raise UsageError(f"there is no map of {translation.source!r}: it is empty.")
        if len(parts) > 1:
            sys.stderr.write(f"note: {translation.source[:30]!r}... has a map for each of its {len(parts)} sentences\n")
        found += parts
    notes.write(nbest=1)
    return found


def _check_places(png: Path | None, svg: Path | None, html: Path | None, save: Path | None) -> None:
    for path, endings in ((png, PICTURES), (svg, PICTURES), (html, (".html", ".htm")), (save, (".json", ".npz"))):
        if path is not None and path.suffix.lower() not in endings:
            raise UsageError(f"{path}: the name must end in {' or '.join(endings)}.")
        check_place(path)
    if png is not None or svg is not None:
        import_module("attentio.view.heatmap")  # raises MissingExtra without matplotlib
