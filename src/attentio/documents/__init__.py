"""Text that is not plain sentences: documents in and out with their structure, glossaries, translation memories.

Formats find the text of a document, and keep everything else byte for byte. How text is translated is decided by
whoever calls. Nothing here opens a model.
"""

from attentio.documents.formats import (
    FORMATS,
    Lost,
    Translate,
    Translated,
    suffix_of,
    translate_document,
    translate_html,
)
from attentio.documents.glossary import Glossary
from attentio.documents.memory import Match, Memory
from attentio.documents.pairs import append_pair

__all__ = [
    "FORMATS",
    "Glossary",
    "Lost",
    "Match",
    "Memory",
    "Translate",
    "Translated",
    "append_pair",
    "suffix_of",
    "translate_document",
    "translate_html",
]
