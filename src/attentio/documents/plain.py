"""Plain text (.txt): each line is translated by itself. Line ends and white space stay."""

import re
from collections.abc import Iterator

from attentio.documents.decoding import decode
from attentio.documents.document import Document, File
from attentio.documents.segments import Slot, written

_LINE = re.compile(r"[^\r\n]+")


def open_text(file: File) -> Document:
    """Open plain text."""
    decoded = decode(file.content, file.name)
    return Document.of(decoded, file.name, list(_slots(decoded.text)))


def _slots(text: str) -> Iterator[Slot]:
    for line in _LINE.finditer(text):
        yield Slot(*line.span(), (line[0],), written(str))
