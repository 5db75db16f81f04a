"""`attentio translate`: lines in, lines out. Documents are translated in `cli.documents`."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer

from attentio.cli import options
from attentio.cli.lines import LineWork, read_lines
from attentio.cli.notes import Notes
from attentio.errors import UsageError
from attentio.runtime.files import check_folder, check_place, new_file
from attentio.search import DEFAULT_BEAM

LINES_AT_ONCE = 2048  # read, sorted and batched together


def translate(
    run: options.Run,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Text, in UTF-8. Default: stdin.")
    ] = None,
    out_path: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="PATH", help="Write here, whole or not at all. FOLDER/ gets parts, for many lines."
        ),
    ] = None,
    former_out: Annotated[str | None, typer.Option("-o", hidden=True, help="The former short name of --out.")] = None,
    beam: Annotated[
        int | None, typer.Option("--beam", "-b", min=1, help="Hypotheses kept at each step. 1 is greedy search. [5]")
    ] = None,
    length_penalty: options.LengthPenalty = 1.0,
    nbest: Annotated[int, typer.Option(min=0, help="Print this many hypotheses: `line ||| text ||| score`.")] = 0,
    alignments: Annotated[
        bool, typer.Option("--alignments", help="Print word links from attention: `0-0 1-2`.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    split: Annotated[
        bool,
        typer.Option("--split/--no-split", help="Translate the sentences of a line one by one, or a line at once."),
    ] = True,
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
        list[str] | None, typer.Option(help="Phrase that every translation holds. Needs --beam. Repeat for more.")
    ] = None,
    forbid: Annotated[list[str] | None, typer.Option(help="Phrase that no translation holds. Repeat for more.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens after which a translation is cut off.")] = None,
    no_repeat: Annotated[int, typer.Option(min=0, help="Repeat no run of this many tokens. 0 allows all.")] = 0,
    format_: Annotated[
        str, typer.Option("--format", help="What FILE is: auto goes by its suffix. lines, html, docx: see the docs.")
    ] = "auto",
    glossary: Annotated[Path | None, typer.Option(help="TSV of terms and the translations they must have.")] = None,
    memory: Annotated[
        Path | None, typer.Option("--memory", help="TMX or TSV of known translations. They are used where they fit.")
    ] = None,
    part_lines: Annotated[int, typer.Option(min=1, help="Lines of a part, where --out is a folder.")] = 10_000,
    field: Annotated[
        str | None, typer.Option(help="Field of JSON lines, or column of Parquet, that is translated. [text]")
    ] = None,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Source positions times hypotheses in a batch.")] = 4096,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    engine: Annotated[
        str,
        typer.Option(
            help="What searches: attentio, or ctranslate2, which is faster and takes plain Transformers. "
            "ray: files into a folder, on a Ray cluster."
        ),
    ] = "attentio",
) -> None:
    """Translate text line by line, or a document with its structure. An empty line stays empty."""
    if former_out is not None:
        sys.stderr.write("note: -o of translate is written --out now\n")
        out_path = out_path or former_out
    from attentio.cli import bulk

    on_ray = engine == "ray"
    searched_by = "attentio" if on_ray else engine
    tables = bulk.tables_of(files or [], field, part_lines)
    objects = bulk.objects_of(files or [], format_, field) if tables is None else None
    folder = Path(out_path) if out_path is not None and (on_ray or bulk.is_folder(out_path)) else None
    out = Path(out_path) if out_path is not None and folder is None else None
    if sum((nbest > 0, alignments, as_json)) > 1:
        raise UsageError("--nbest, --alignments and --json are three forms of output: choose one.")
    drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    drawing = {name: value for name, value in drawing.items() if value is not None}
    if drawing and not sample:
        raise UsageError(f"--{next(iter(drawing)).replace('_', '-')} is about sampling.", hint="Add --sample.")
    if sample and max(beam or 1, nbest) > 1:
        many = f"--beam {beam}" if (beam or 1) > 1 else f"--nbest {nbest}"
        raise UsageError(f"{many} and --sample do not go together.", hint="Leave one of them out.")
    if (objects is not None or tables is not None) and (nbest or alignments or as_json):
        raise UsageError("the translation becomes a field.", hint="Leave --nbest, --alignments and --json out.")
    if tables is not None and folder is None:
        raise UsageError("Parquet files are translated into a folder.", hint="Add --out FOLDER/.")
    if on_ray and (folder is None or not files):
        missing = "into a folder" if folder is None else "files, and not standard input"
        raise UsageError(f"--engine ray translates {missing}.", hint="Give FILE and --out FOLDER.")
    if on_ray:
        from attentio.cli.on_ray import check_installed

        check_installed()
    check_place(out)
    if folder is not None:
        check_folder(folder)
    from attentio.cli.documents import open_document, read_memory
    from attentio.documents import Glossary
    from attentio.runtime import compiler

    document = open_document(files or [], format_) if tables is None else None
    if document is not None:
        if folder is not None:
            raise UsageError(f"{folder} would get parts, and a document is one file.", hint="Name a file with --out.")
        document.check(out, alone="--nbest" if nbest else "--alignments" if alignments else "", as_json=as_json)
    lines = read_lines(files or [], objects) if document is None and tables is None else iter(())
    terms = Glossary.read(glossary) if glossary is not None else None
    compiler.put_off()
    from attentio.search.batched import SearchConfig
    from attentio.search.strategy import Sample
    from attentio.translator import Translator

    # On Ray others translate, and this process finds mistakes before they begin.
    here = "cpu" if on_ray else device or "auto"
    translator = Translator.load(run, device=here, precision=precision, engine=searched_by)
    if engine == "attentio":
        options.note_slow_precision(precision, device)
    config = SearchConfig(
        max(beam or (1 if sample else DEFAULT_BEAM), nbest),
        length_penalty,
        batch_tokens,
        workers=translator.workers,
        sample=Sample(**drawing) if sample else None,  # type: ignore[arg-type]
        max_length=max_length,
        no_repeat=no_repeat,
    )
    notes = Notes(translator, "segment" if document is not None else "line")
    notes.gather(*(terms.notes if terms is not None else ()))
    work = LineWork(
        config,
        split=split,
        trace=document is None and (alignments or as_json),
        prefix=prefix,
        require=require or (),
        forbid=forbid or (),
        terms=terms,
        memory=read_memory(memory, translator),
        objects=objects,
        nbest=nbest,
        alignments=alignments,
        as_json=as_json,
    )
    if document is not None:
        document.translate(partial(work.translate, translator), translator, notes, out, as_json=as_json)
        notes.write(nbest=0)
        return
    if folder is not None:
        asked: dict[str, object] = {
            "the model": bulk.digest_of(run),
            "files": [path.name for path in files or []],
            **{"--beam": config.beam_size, "--length-penalty": length_penalty, "--nbest": nbest},
            **{"--alignments": alignments, "--json": as_json, "--split": split, "--sample": config.sample},
            **{"--prefix": prefix, "--require": require or [], "--forbid": forbid or []},
            **{"--max-length": max_length, "--no-repeat": no_repeat, "--field": field, "--part-lines": part_lines},
            **{"--glossary": bulk.content_of(glossary), "--memory": bulk.content_of(memory)},
            **{"--precision": precision, "--engine": searched_by},
        }
        about = {name: str(value) for name, value in asked.items()}
        source = tables or bulk.TextLines(files or [], lines, objects, part_lines, as_json=as_json)
        if on_ray:
            from attentio.cli.on_ray import translated

            job = bulk.Job(run, work, device or "auto", precision)
            bulk.write_parts(folder, about, source, partial(translated, job, source, notes))
        else:
            bulk.write_parts(folder, about, source, partial(bulk.translated, translator, work, source, notes))
        notes.write(nbest=nbest)
        return
    # Someone typing waits for each answer. A file or a pipe is worth sorting.
    at_once = 1 if not files and sys.stdin.isatty() else LINES_AT_ONCE
    number = 0
    with _output(out) as file:
        while chunk := list(islice(lines, at_once)):
            if number == 0:
                notes.check_language(work.texts(chunk, 0))
            file.writelines(f"{line}\n" for line in work.answers(translator, notes, chunk, number))
            if file.isatty():
                file.flush()
            number += len(chunk)
    notes.write(nbest=nbest)


@contextmanager
def _output(path: Path | None) -> Generator[TextIO]:
    """Give standard output, or a file that appears when all is done."""
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
        yield sys.stdout
        sys.stdout.flush()
        return
    with new_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        yield file
