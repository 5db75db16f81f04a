"""The formats by the suffixes of file names, and the one way through a document: open, translate at once, write.

A new format is a module with one function, and a row of `FORMATS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from attentio.documents.document import Document, File
from attentio.documents.html import open_fragment
from attentio.documents.segments import Segment
from attentio.errors import UsageError

if TYPE_CHECKING:  # a document is opened without torch
    from attentio.translator import Translation

Translate: TypeAlias = Callable[[Sequence[str]], Sequence["str | Translation"]]


class Format(NamedTuple):
    """A format of documents: what it is called, the function that opens it, and its media type."""

    title: str
    opener: str  # module and function: loaded when a document of this format comes
    media_type: str

    def open(self, file: File) -> Document:
        """Open a document. Raises DataError where it is damaged."""
        module, function = self.opener.split(":")
        return getattr(import_module(f"attentio.documents.{module}"), function)(file)


_HTML = Format("HTML", "html:open_html", "text/html")
_PO = Format("gettext", "po:open_po", "text/x-gettext-translation")
_MARKDOWN = Format("Markdown", "markdown:open_markdown", "text/markdown")
_XLIFF = Format("XLIFF", "xliff:open_xliff", "application/xliff+xml")
FORMATS: dict[str, Format] = {
    ".txt": Format("plain text", "plain:open_text", "text/plain"),
    ".srt": Format("SubRip subtitles", "subtitles:open_srt", "application/x-subrip"),
    ".vtt": Format("WebVTT subtitles", "subtitles:open_vtt", "text/vtt"),
    ".html": _HTML,
    ".htm": _HTML,
    ".xliff": _XLIFF,
    ".xlf": _XLIFF,
    ".po": _PO,
    ".pot": _PO,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".docx": Format(
        "Word", "docx:open_docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    ),
    ".tmx": Format("TMX", "memories:open_tmx", "application/x-tmx+xml"),
}
"""The formats by the suffixes of file names, in lower case."""


@dataclass(frozen=True)
class Lost:
    """A segment whose translation does not hold all that it must keep.

    number: which segment of the document, from 1. lost: placeholders and codes that are missing.
    """

    number: int
    source: str
    text: str
    lost: tuple[str, ...]


@dataclass(frozen=True)
class Translated:
    """A document that was translated.

    segments: how many texts were translated. skipped: how many stayed, because the document says so.
    translations: what `translate` gave for each segment. notes: what the user should know, a sentence each.
    """

    content: bytes
    segments: int
    skipped: int = 0
    lost: tuple[Lost, ...] = ()
    notes: tuple[str, ...] = ()
    translations: "tuple[str | Translation, ...]" = ()


def suffix_of(name: str) -> str | None:
    """Return the suffix of a file name that `FORMATS` knows, in lower case, or None."""
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix in FORMATS else None


def translate_document(
    content: bytes,
    suffix: str,
    translate: Translate,
    *,
    source_language: str | None = None,
    target_language: str | None = None,
    name: str = "the document",
) -> Translated:
    """Translate the texts of a document, all by one call of `translate`, and keep everything else.

    suffix: of `FORMATS`, such as ".html". translate: takes texts, gives as many texts or translations. Formatting
    inside a text is a tag such as <g1>. A segment that comes back unchanged keeps its bytes.
    name: how messages call the document. The languages are written where a format names them.
    Raises UsageError for an unknown suffix, and DataError for a damaged document.
    """
    format_ = FORMATS.get(suffix.lower())
    if format_ is None:
        raise UsageError(f"unknown format {suffix!r}. One of: {', '.join(FORMATS)}.")
    document = format_.open(File(content, name, source_language, target_language))
    return _translated([document], translate)[0]


def translate_html(fragments: Sequence[str], translate: Translate) -> list[Translated]:
    """Translate parts of pages, with their tags kept. All texts of all parts go through one call of `translate`.

    The content of each result is UTF-8.
    """
    return _translated([open_fragment(fragment) for fragment in fragments], translate)


def _translated(documents: Sequence[Document], translate: Translate) -> list[Translated]:
    slots = [
        [
            (slot, segment)
            for slot in document.slots
            if (segment := Segment(slot.runs, collapse=document.collapse)).is_text
        ]
        for document in documents
    ]
    texts = [segment.text for found in slots for _, segment in found]
    answers = list(translate(texts)) if texts else []
    if len(answers) != len(texts):
        raise ValueError(f"{len(texts)} texts were given to be translated, and {len(answers)} came back")
    rest = iter(answers)
    results: list[Translated] = []
    for document, found in zip(documents, slots, strict=True):
        given = list(islice(rest, len(found)))
        edits, lost = [], list[Lost]()
        for number, ((slot, segment), answer) in enumerate(zip(found, given, strict=True), 1):
            text = answer if isinstance(answer, str) else answer.text
            filled = segment.filled(text)
            other = () if isinstance(answer, str) else tuple(each for each in answer.lost if not segment.is_tag(each))
            if missing := (*other, *filled.lost):
                lost.append(Lost(number, segment.plain, segment.without_tags(text), missing))
            if text != segment.text or slot.always:
                edits.append((slot.start, slot.end, list(slot.write(filled.runs))))
        content = document.changed(edits)
        results.append(Translated(content, len(found), document.skipped, tuple(lost), document.notes, tuple(given)))
    return results
