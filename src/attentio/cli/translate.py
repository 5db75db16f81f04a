"""`attentio translate`: lines in, lines out. Documents are translated in `cli.documents`."""

import json
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from attentio.cli import options
from attentio.errors import DataError, UsageError
from attentio.runtime.files import check_folder, check_place, new_file
from attentio.search import DEFAULT_BEAM

if TYPE_CHECKING:
    from attentio.cli.bulk import Objects
    from attentio.documents import Match
    from attentio.translator import Translation, Translator

LINES_AT_ONCE = 2048  # read, sorted and batched together
SAMPLE_LINES = 20  # of a file, to see whether it is plain text


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
    nbest: Annotated[
        int, typer.Option("--nbest", min=0, help="Print this many hypotheses: `line ||| text ||| score`.")
    ] = 0,
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
    glossary: Annotated[
        Path | None, typer.Option("--glossary", help="TSV of terms and the translations they must have.")
    ] = None,
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
    engine: options.Engine = "attentio",
) -> None:
    """Translate text line by line, or a document with its structure. An empty line stays empty."""
    if former_out is not None:
        sys.stderr.write("note: -o of translate is written --out now\n")
        out_path = out_path or former_out
    from attentio.cli import bulk

    tables = bulk.tables_of(files or [], field)
    objects = bulk.objects_of(files or [], format_, field) if tables is None else None
    folder = Path(out_path) if out_path is not None and bulk.is_folder(out_path) else None
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
    lines = _read(files or [], objects) if document is None and tables is None else iter(())
    terms = Glossary.read(glossary) if glossary is not None else None
    compiler.put_off()
    from attentio.search.batched import SearchConfig
    from attentio.search.strategy import Sample
    from attentio.translator import Translator

    translator = Translator.load(run, device=device or "auto", precision=precision, engine=engine)
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
    known = read_memory(memory, translator)
    notes = Notes(translator, "segment" if document is not None else "line")
    notes.gather(*(terms.notes if terms is not None else ()))

    def ask(texts: Sequence[str]) -> "list[Translation]":
        return translator.translate(
            texts,
            config,
            trace=document is None and (alignments or as_json),
            split=split,
            prefix=prefix,
            require=require or (),
            forbid=forbid or (),
            terms=terms,
        )

    def recall(texts: Sequence[str]) -> "list[Translation]":
        return ask(texts) if known is None else known.translate(texts, ask, translator.source_language)

    if document is not None:
        document.translate(recall, translator, notes, out, as_json=as_json)
        notes.write(nbest=0)
        return

    def answers(chunk: list[str], first: int) -> list[str]:
        """Return the output for lines, of which the first has a number from 0."""
        texts = (
            chunk if objects is None else [objects.text(line, number) for number, line in enumerate(chunk, first + 1)]
        )
        found = recall(texts)
        if first == 0:
            notes.check_language(texts)
        written: list[str] = []
        for number, (line, text, translation) in enumerate(zip(chunk, texts, found, strict=True), first):
            notes.add(translation, number + 1)
            if objects is not None:
                written.append(objects.answer(line, translation.text))
                continue
            matches = known.similar(text) if known is not None and (nbest or as_json) else None
            written += _render(number, text, translation, matches, nbest=nbest, alignments=alignments, as_json=as_json)
        return written

    if folder is not None:
        asked: dict[str, object] = {
            "the model": bulk.digest_of(run),
            "files": [path.name for path in files or []],
            **{"--beam": config.beam_size, "--length-penalty": length_penalty, "--nbest": nbest},
            **{"--alignments": alignments, "--json": as_json, "--split": split, "--sample": config.sample},
            **{"--prefix": prefix, "--require": require or [], "--forbid": forbid or []},
            **{"--max-length": max_length, "--no-repeat": no_repeat, "--field": field, "--part-lines": part_lines},
            **{"--glossary": bulk.content_of(glossary), "--memory": bulk.content_of(memory)},
            **{"--precision": precision, "--engine": engine},
        }
        about = {name: str(value) for name, value in asked.items()}
        if tables is not None:
            bulk.write_parts(
                folder,
                about,
                tables.chunks(part_lines),
                tables.source,
                lambda rows, first: tables.answer(rows, answers(tables.texts(rows), first)),
                total=tables.total,
                ending=".parquet",
            )
        else:
            bulk.write_parts(
                folder,
                about,
                bulk.chunks_of(lines, part_lines),
                "\n".join,
                lambda chunk, first: "".join(f"{line}\n" for line in answers(chunk, first)).encode(),
                total=sum(1 for _ in _read(files, objects)) if files else None,
                ending=".jsonl" if objects is not None or as_json else ".txt",
            )
        notes.write(nbest=nbest)
        return
    # Someone typing waits for each answer. A file or a pipe is worth sorting.
    at_once = 1 if not files and sys.stdin.isatty() else LINES_AT_ONCE
    number = 0
    with _output(out) as write:
        while chunk := list(islice(lines, at_once)):
            write(answers(chunk, number))
            number += len(chunk)
    notes.write(nbest=nbest)


def _render(
    number: int,
    line: str,
    translation: "Translation",
    matches: "Sequence[Match] | None",
    *,
    nbest: int,
    alignments: bool,
    as_json: bool,
) -> list[str]:
    if nbest:
        own = [f"{number} ||| {text} ||| {score:.4f}" for text, score in translation.nbest[:nbest]]
        similar = [f"{number} ||| {match.text} ||| memory={match.score:.4f}" for match in matches or ()]
        return [*(own or [f"{number} |||  ||| 0"]), *similar]
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
        "source_tokens": _words(translation.source),
        "target_tokens": _words(translation.text),
        "alignment": links,
        "unseen": list(translation.unseen),
        "lost": list(translation.lost),
        "around": list(translation.around),
        "unforced": list(translation.unforced),
        "sentences": len(translation.leaves()),
        "cut": translation.cut,
    }
    if matches is not None:
        shown["memory"] = [match._asdict() for match in matches]
    return [json.dumps(shown, ensure_ascii=False)]


def _links(translation: "Translation") -> str:
    """Return the links between the words of a text, from the traces of all its parts."""
    from attentio.metrics.alignment import format_links, text_links

    return format_links(text_links((part.source, part.text, part.trace) for part in translation.leaves()))


def _words(text: str) -> list[str]:
    from attentio.text.words import words

    return words(text)


class Notes:
    """Notes on the whole input, written at its end, also by `view`: a long file gets one line and not thousands."""

    def __init__(self, translator: "Translator", unit: str = "line") -> None:
        self._translator = translator
        self._unit = unit
        self._gathered: list[str] = []
        self._around: list[int] = []
        self._unforced: dict[str, None] = {}
        self._with_unforced: list[int] = []
        self._cut: list[int] = []  # numbers of lines, from 1
        self._joined: list[int] = []  # lines of several sentences
        self._lost: dict[int, tuple[str, ...]] = {}
        self._unseen: dict[str, None] = {}
        self._with_unseen: list[int] = []

    def check_language(self, lines: list[str]) -> None:
        """Write a note where the text looks like another language than the model reads."""
        from attentio.text.script import base_language, guess_language

        reads, found = base_language(self._translator.source_language), guess_language(lines)
        if reads is not None and found is not None and reads != found:
            sys.stderr.write(f"note: the text looks like {found!r}, and this model reads {reads!r}.\n")

    def gather(self, *notes: str) -> None:
        """Add notes that were made elsewhere, a sentence each."""
        self._gathered += notes

    def add(self, translation: "Translation", number: int) -> None:
        if translation.cut:
            self._cut.append(number)
        if len(translation.parts) > 1:
            self._joined.append(number)
        if translation.lost:
            self._lost[number] = translation.lost
        if translation.around:
            self._around.append(number)
        if translation.unforced:
            self._with_unforced.append(number)
            self._unforced.update(dict.fromkeys(translation.unforced))
        if translation.unseen:
            self._with_unseen.append(number)
            self._unseen.update(dict.fromkeys(translation.unseen))

    def _named(self, numbers: list[int]) -> str:
        return f"{self._unit} {numbers[0]}" + (f" and {len(numbers) - 1:,} more" if numbers[1:] else "")

    def write(self, *, nbest: int) -> None:
        """Write one line for each kind of note."""
        sys.stderr.writelines(f"note: {note}\n" for note in self._gathered)
        if self._cut:
            sys.stderr.write(
                f"warning: sentences longer than the {self._translator.bundle.longest_source} tokens of training, cut "
                f"into parts: {self._named(self._cut)}.\n"
            )
        if self._joined and nbest > 1:
            sys.stderr.write(f"note: several sentences, and so one hypothesis: {self._named(self._joined)}.\n")
        if self._lost:
            number, lost = next(iter(self._lost.items()))
            sys.stderr.write(
                f"warning: not kept in the translation: {' '.join(lost)} ({self._unit} {number})"
                + (f" and others in {len(self._lost) - 1:,} more {self._unit}s" if len(self._lost) > 1 else "")
                + ". See `lost` in --json.\n"
            )
        if self._unforced:
            terms = " ".join(islice(self._unforced, 5)) + (" …" if len(self._unforced) > 5 else "")
            where = self._named(self._with_unforced)
            sys.stderr.write(f"warning: terms of the glossary that are missing: {terms} ({where}).\n")
        if self._around:
            sys.stderr.write(
                "note: cut at what must be kept, which the model would have lost, and translated in parts: "
                f"{self._named(self._around)}.\n"
            )
        if self._unseen:
            some = " ".join(islice(self._unseen, 5)) + (" …" if len(self._unseen) > 5 else "")
            sys.stderr.write(
                f"note: {len(self._unseen)} never seen in training ({some}): {self._named(self._with_unseen)}. "
                "Expect poor output there.\n"
            )


def _read(files: list[Path], objects: "Objects | None" = None) -> Iterator[str]:
    """Return the lines of the files, or of standard input. Only a line feed ends a line."""
    if not files:
        lines = _from_stdin()
        if sys.stdin.isatty():
            return lines
        first = list(islice(lines, SAMPLE_LINES))
        if objects is None and (what := _no_plain_text(first, Path())):
            sys.stderr.write(f"note: standard input looks like {what}. Each line is translated as plain text.\n")
        return chain(first, lines)
    from attentio.data.readers.lines import existing, read_utf8

    found = [existing(str(path)) for path in files]
    for path in found:
        if objects is None and (what := _no_plain_text(list(islice(read_utf8(path), SAMPLE_LINES)), path)):
            hint = "Extract the sentences, one a line."
            if "table" in what:
                hint = f"Take the source column: cut -f 1 {path} | attentio translate RUN"
            raise DataError(f"{path} is {what}, and translate reads plain text.", hint=hint, file=path)
    return (line for path in found for line in read_utf8(path))


def _no_plain_text(lines: list[str], path: Path) -> str | None:
    """Return what a file seems to be by its first lines and its name, or None for plain text."""
    lines = [line for line in lines if line.strip()]
    start = lines[0].lstrip().lower() if lines else ""
    named = _formats_of(path) if path.name else set[str]()
    cells = [line.split("\t") for line in lines]
    if start.startswith(("<?xml", "<!doctype", "<html", "<tmx")):
        return "TMX" if "tmx" in named else "XML or HTML"
    if "json" in named and start.startswith(("{", "[")):
        return "JSON"
    if len(lines) > 1 and len(cells[0]) > 1 and {len(row) for row in cells} == {len(cells[0])}:
        return f"a table of {len(cells[0])} columns"
    return None


def _formats_of(path: Path) -> set[str]:
    """Return the formats of parallel text that a file's name stands for."""
    from attentio.data.readers import READERS
    from attentio.data.readers.lines import unpacked_name

    suffix = Path(unpacked_name(path)).suffix.lower()
    return {name for name, reader in READERS.items() if suffix in reader.endings}


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
    """Give a function that writes lines: to standard output, or to a file that appears when all is done."""
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
