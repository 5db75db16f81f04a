"""Documents of `attentio translate`: which file is one, where it goes, and what is said of it."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attentio.documents import FORMATS, Memory, Translated, suffix_of, translate_document
from attentio.documents.pairs import read_file
from attentio.errors import UsageError
from attentio.runtime.files import write_bytes

if TYPE_CHECKING:
    from attentio.cli.notes import Notes
    from attentio.translator import Translation, Translator

LINES = ("lines", "txt", "text")
BINARY = (".docx",)


def open_document(files: Sequence[Path], name: str) -> "OpenDocument | None":
    """Return the document that a command is about, or None where lines are translated.

    name: the format, or "auto". Raises UsageError where it is unknown, or a document is not alone.
    """
    if name in (*LINES, "jsonl"):
        return None
    if name == "auto":
        found = [suffix for path in files if (suffix := suffix_of(path.name)) not in (None, ".txt")]
        if not found:
            return None
        suffix = found[0]
    else:
        suffix = f".{name.lower().lstrip('.')}"
        if suffix not in FORMATS:
            known = ", ".join(each[1:] for each in FORMATS if each != ".txt")
            raise UsageError(f"unknown format {name!r}. One of: auto, lines, jsonl, {known}.")
    if len(files) > 1:
        raise UsageError(f"{files[0]} and others: a document is translated alone.", hint="Name one FILE.")
    path = files[0] if files else None
    assert suffix is not None
    content = sys.stdin.buffer.read() if path is None else read_file(path)
    return OpenDocument(content, suffix, "standard input" if path is None else str(path))


class OpenDocument(NamedTuple):
    """A document that is to be translated."""

    content: bytes
    suffix: str
    name: str

    def check(self, out: Path | None, *, alone: str, as_json: bool) -> None:
        """Raise UsageError where the output has no place, or is of another kind. alone: an option about lines."""
        if alone:
            raise UsageError(f"{alone} is about lines, and {self.name} is a document.", hint="Add --format lines.")
        if out is None and as_json:
            raise UsageError("--json of a document tells about it, and the document needs a place.", hint="Add --out.")
        if out is None and self.suffix in BINARY and sys.stdout.isatty():
            raise UsageError(f"a {self.suffix} file cannot be shown.", hint="Add --out.")

    def translate(
        self,
        ask: "Callable[[Sequence[str]], list[Translation]]",
        translator: "Translator",
        notes: "Notes",
        out: Path | None,
        *,
        as_json: bool,
    ) -> None:
        """Translate the document, write it, and say how many segments it has. `notes` hears of each."""
        kept: list[Translation] = []

        def translate(texts: Sequence[str]) -> "list[Translation]":
            kept.extend(ask(texts))
            notes.check_language(list(texts))
            return kept

        done = translate_document(
            self.content,
            self.suffix,
            translate,
            source_language=translator.source_language,
            target_language=translator.target_language,
            name=self.name,
        )
        if out is None:
            sys.stdout.buffer.write(done.content)
            sys.stdout.buffer.flush()
        else:
            write_bytes(out, done.content)
        for number, translation in enumerate(kept, 1):
            notes.add(translation, number)
        notes.gather(*done.notes, _counted(self.name, done))
        if as_json:
            print(json.dumps(self._described(done, kept, out), ensure_ascii=False))

    def _described(self, done: Translated, kept: "Sequence[Translation]", out: Path | None) -> dict[str, object]:
        return {
            "file": self.name,
            "format": self.suffix[1:],
            "out": str(out),
            "segments": done.segments,
            "skipped": done.skipped,
            "lost": [
                {"segment": one.number, "source": one.source, "text": one.text, "lost": list(one.lost)}
                for one in done.lost
            ],
            "around": [number for number, each in enumerate(kept, 1) if each.around],
            "unforced": [
                {"segment": number, "unforced": list(each.unforced)}
                for number, each in enumerate(kept, 1)
                if each.unforced
            ],
            "notes": list(done.notes),
        }


def _counted(name: str, done: Translated) -> str:
    texts = f"{name}: {done.segments:,} segments translated"
    if done.skipped:
        texts += f", {done.skipped:,} left as they are"
    if done.lost:
        one = done.lost[0]
        texts += f", {len(done.lost):,} without all they must keep: segment {one.number} lacks {' '.join(one.lost)}"
    return texts + "."


def read_memory(path: Path | None, translator: "Translator") -> Memory | None:
    """Return a memory in the languages of a model."""
    return None if path is None else Memory.read(path, translator.source_language, translator.target_language)
