"""`attentio translate`: lines in, lines out."""

import json
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from attentio.cli import options
from attentio.errors import DataError, UsageError
from attentio.runtime.files import new_file

if TYPE_CHECKING:
    from attentio.translator import Translation, Translator

LINES_AT_ONCE = 2048  # read, sorted and batched together


def translate(
    run: options.Run,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Text, a sentence a line. Default: stdin.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write here instead of to stdout, whole or not at all.")
    ] = None,
    former_out: Annotated[Path | None, typer.Option("-o", hidden=True, help="The former short name of --out.")] = None,
    beam: options.Beam = 1,
    length_penalty: options.LengthPenalty = 1.0,
    nbest: Annotated[
        int, typer.Option("--nbest", min=0, help="Print this many hypotheses: `line ||| text ||| score`.")
    ] = 0,
    alignments: Annotated[
        bool, typer.Option("--alignments", help="Print word links from attention: `0-0 1-2`.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    sample: Annotated[bool, typer.Option("--sample", help="Draw each token from the model's distribution.")] = False,
    temperature: Annotated[
        float | None, typer.Option(help="With --sample: above 1 flattens the distribution, below 1 sharpens it. [1]")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="With --sample: draw from so many likeliest tokens only.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="With --sample: draw from the likeliest tokens of this probability together.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="With --sample: the same seed draws the same again. [0]")] = None,
    prefix: Annotated[str, typer.Option(help="Text that every translation begins with.")] = "",
    require: Annotated[
        list[str] | None, typer.Option(help="Phrase that every translation holds; repeatable, needs --beam.")
    ] = None,
    forbid: Annotated[list[str] | None, typer.Option(help="Phrase that no translation holds; repeatable.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens after which a translation is cut off.")] = None,
    no_repeat: Annotated[int, typer.Option(min=0, help="No so many tokens in a row stand twice; 0 allows all.")] = 0,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Source positions times hypotheses in a batch.")] = 4096,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
) -> None:
    """Translate text line by line: one line in, one line out, always; an empty line stays empty."""
    if former_out is not None:
        sys.stderr.write("note: -o of translate is written --out now\n")
        out = out or former_out
    if sum((nbest > 0, alignments, as_json)) > 1:
        raise UsageError("--nbest, --alignments and --json are three forms of output: choose one.")
    drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    drawing = {name: value for name, value in drawing.items() if value is not None}
    if drawing and not sample:
        raise UsageError(f"--{next(iter(drawing)).replace('_', '-')} is about sampling.", hint="Add --sample.")
    if sample and max(beam, nbest) > 1:
        many = f"--beam {beam}" if beam > 1 else f"--nbest {nbest}"
        raise UsageError(f"{many} and --sample do not go together.", hint="Leave one of them out.")
    lines = _read(files or [])
    import torch

    from attentio.search.batched import SearchConfig
    from attentio.search.strategy import Sample
    from attentio.translator import Translator

    config = SearchConfig(
        max(beam, nbest),
        length_penalty,
        batch_tokens,
        workers=torch.get_num_threads(),
        sample=Sample(**drawing) if sample else None,  # type: ignore[arg-type]
        max_length=max_length,
        no_repeat=no_repeat,
    )
    translator = Translator.load(run, device=device or "auto", precision=precision)
    number = 0
    # Someone typing waits for each answer; a file or a pipe is worth sorting.
    at_once = 1 if not files and sys.stdin.isatty() else LINES_AT_ONCE
    with _output(out) as write:
        while chunk := list(islice(lines, at_once)):
            found = translator.translate(
                chunk,
                config,
                trace=alignments or as_json,
                prefix=prefix,
                require=require or (),
                forbid=forbid or (),
            )
            for line, translation in zip(chunk, found, strict=True):
                _warn(translator, translation, number + 1)
                write(_render(number, line, translation, nbest=nbest, alignments=alignments, as_json=as_json))
                number += 1


def _render(
    number: int, line: str, translation: "Translation", *, nbest: int, alignments: bool, as_json: bool
) -> list[str]:
    if nbest:
        return [f"{number} ||| {text} ||| {score:.4f}" for text, score in translation.nbest[:nbest]] or [
            f"{number} |||  ||| 0"
        ]
    if not (alignments or as_json):
        return [translation.text]
    links = _links(translation)
    if alignments:
        return [links]
    shown = {
        "id": number,
        "source": line,
        "text": translation.text,
        "score": translation.score,
        "nbest": [{"text": text, "score": score} for text, score in translation.nbest],
        "alignment": links,
        "unseen": list(translation.unseen),
    }
    return [json.dumps(shown, ensure_ascii=False)]


def _links(translation: "Translation") -> str:
    """Each target word linked to the source word it attended to most; words as `AttentionTrace.words` finds them."""
    from attentio.metrics.alignment import argmax_links, format_links

    if translation.trace is None:
        return ""
    return format_links(argmax_links(translation.trace.words().matrix()))


def _warn(translator: "Translator", translation: "Translation", number: int) -> None:
    if translation.source and translator.is_long(translation.source):
        sys.stderr.write(
            f"warning: line {number} is longer than the {translator.max_length} pieces of training; cut into parts.\n"
        )
    if translation.unseen:
        some = " ".join(translation.unseen[:5])
        more = " …" if len(translation.unseen) > 5 else ""
        sys.stderr.write(
            f"note: line {number}: {len(translation.unseen)} never seen in training ({some}{more}); "
            "expect poor output.\n"
        )


def _read(files: list[Path]) -> Iterator[str]:
    """Lines of the files, or of standard input; only a line feed ends a line."""
    from attentio.data.readers.lines import existing, read_lines

    if not files:
        return _from_stdin()
    found = [existing(str(path)) for path in files]
    return (line for path in found for line in read_lines(path))


def _from_stdin() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"standard input line {number}, byte {error.start + 1}: not UTF-8 (0x{line[error.start]:02X}).",
                hint="Convert it, for instance with iconv -f GB18030 -t UTF-8.",
                line=number,
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text


@contextmanager
def _output(path: Path | None) -> Generator[Callable[[list[str]], None]]:
    """Give what writes lines: to standard output, at once if someone watches, or to a file that appears at the end."""
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
        yield lambda lines: _print_lines(sys.stdout, lines, flush=sys.stdout.isatty())
        sys.stdout.flush()
        return
    with new_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda lines: _print_lines(file, lines, flush=False)


def _print_lines(file: TextIO, lines: list[str], *, flush: bool) -> None:
    file.writelines(f"{line}\n" for line in lines)
    if flush:
        file.flush()
