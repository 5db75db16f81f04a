"""Plain text (.txt): each line is translated by itself. Line ends and white space stay."""

import re

from attentio.documents.decoding import decode
from attentio.documents.document import Document, File
from attentio.documents.segments import Slot, written

_LINE = re.compile(r"[^\r\n]+")


def open_text(file: File) -> Document:
    decoded = decode(file.content, file.name)
    slots = [Slot(*line.span(), (line[0],), written(str)) for line in _LINE.finditer(decoded.text)]
    return Document.of(decoded, file.name, slots)
