"""Lines in, lines out: how the lines of `attentio translate` are read, and what is written for each."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attentio.errors import DataError

if TYPE_CHECKING:
    from attentio.cli.bulk import Objects
    from attentio.cli.notes import Notes
    from attentio.documents import Glossary, Memory
    from attentio.search.batched import SearchConfig
    from attentio.translator import Translation, Translator

SAMPLE_LINES = 20  # of a file, to see whether it is plain text


@dataclass(frozen=True)
class LineWork:
    """What is asked of texts, and what is written for a line. It can be sent to another process.

    trace: whether attention is needed. memory: known translations, which are used where they fit.
    nbest, alignments, as_json: the forms of output. objects: lines are JSON objects, and the translation is a field.
    """

    config: "SearchConfig"
    split: bool
    trace: bool
    prefix: str
    require: Sequence[str]
    forbid: Sequence[str]
    terms: "Glossary | None"
    memory: "Memory | None"
    objects: "Objects | None"
    nbest: int
    alignments: bool
    as_json: bool

    def alone(self) -> Self:
        """Return the same work for one of many processes, which starts no others."""
        return replace(self, config=self.config._replace(workers=1))

    def translate(self, translator: "Translator", texts: Sequence[str]) -> "list[Translation]":
        def ask(texts: Sequence[str]) -> "list[Translation]":
            return translator.translate(
                texts,
                self.config,
                trace=self.trace,
                split=self.split,
                prefix=self.prefix,
                require=self.require,
                forbid=self.forbid,
                terms=self.terms,
            )

        return ask(texts) if self.memory is None else self.memory.translate(texts, ask, translator.source_language)

    def texts(self, lines: Sequence[str], first: int) -> list[str]:
        """Return what is translated of lines, of which the first has a number from 0."""
        if self.objects is None:
            return [*lines]
        return [self.objects.text(line, number) for number, line in enumerate(lines, first + 1)]

    def answers(self, translator: "Translator", notes: "Notes", lines: Sequence[str], first: int) -> list[str]:
        """Return the output for lines, of which the first has a number from 0. `notes` hears of each."""
        texts = self.texts(lines, first)
        written: list[str] = []
        found = self.translate(translator, texts)
        for number, (line, text, translation) in enumerate(zip(lines, texts, found, strict=True), first):
            notes.add(translation, number + 1)
            if self.objects is not None:
                written.append(self.objects.answer(line, translation.text))
                continue
            written += self._rendered(number, text, translation)
        return written

    def _rendered(self, number: int, line: str, translation: "Translation") -> list[str]:
        if not (self.nbest or self.alignments or self.as_json):
            return [translation.text]
        matches = self.memory.similar(line) if self.memory is not None and not self.alignments else None
        if self.nbest:
            own = [f"{number} ||| {text} ||| {score:.4f}" for text, score in translation.nbest[: self.nbest]]
            similar = [f"{number} ||| {match.text} ||| memory={match.score:.4f}" for match in matches or ()]
            return [*(own or [f"{number} |||  ||| 0"]), *similar]
        from attentio.metrics.alignment import format_links, text_links
        from attentio.text.words import words

        leaves = translation.leaves()
        links = format_links(text_links((part.source, part.text, part.trace) for part in leaves))
        if self.alignments:
            return [links]
        shown = {
            "id": number,
            "source": line,
            "text": translation.text,
            "score": translation.score,
            "nbest": [{"text": text, "score": score} for text, score in translation.nbest],
            "source_tokens": words(translation.source),
            "target_tokens": words(translation.text),
            "alignment": links,
            "unseen": list(translation.unseen),
            "lost": list(translation.lost),
            "around": list(translation.around),
            "unforced": list(translation.unforced),
            "sentences": len(leaves),
            "cut": translation.cut,
        }
        if matches is not None:
            shown["memory"] = [match._asdict() for match in matches]
        return [json.dumps(shown, ensure_ascii=False)]


def read_lines(files: Sequence[Path], objects: "Objects | None" = None) -> Iterator[str]:
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
    from attentio.data.readers import READERS
    from attentio.data.readers.lines import unpacked_name

    lines = [line for line in lines if line.strip()]
    start = lines[0].lstrip().lower() if lines else ""
    suffix = Path(unpacked_name(path)).suffix.lower()
    named = [name for name, reader in READERS.items() if suffix in reader.endings]
    cells = [line.split("\t") for line in lines]
    if start.startswith(("<?xml", "<!doctype", "<html", "<tmx")):
        return "TMX" if "tmx" in named else "XML or HTML"
    if "json" in named and start.startswith(("{", "[")):
        return "JSON"
    if len(lines) > 1 and len(cells[0]) > 1 and {len(row) for row in cells} == {len(cells[0])}:
        return f"a table of {len(cells[0])} columns"
    return None


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
