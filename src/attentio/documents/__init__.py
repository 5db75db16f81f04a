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

__all__ = ["FORMATS", "Lost", "Translate", "Translated", "suffix_of", "translate_document", "translate_html"]
