"""What every format makes of a document: the places where text stands, and the way back to bytes."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from attentio.documents.decoding import Decoded
from attentio.documents.segments import Slot, splice
from attentio.text.words import Span


class File(NamedTuple):
    """A file to open. name: how messages call it. The codes of the languages are None where they are not known."""

    content: bytes
    name: str
    source_language: str | None = None
    target_language: str | None = None


Edit = tuple[int, int, Iterable[str | Span]]


class Document(NamedTuple):
    """A document that was opened.

    slots: one for each segment. changed: the document as bytes with edits made.
    skipped: how many segments the document says are not to be translated, or are translated already.
    notes: what the user should know, a sentence each. collapse: white space inside a text counts as one space.
    """

    slots: Sequence[Slot]
    changed: Callable[[Sequence[Edit]], bytes]
    skipped: int = 0
    notes: tuple[str, ...] = ()
    collapse: bool = False

    @classmethod
    def of(
        cls,
        decoded: Decoded,
        name: str,
        slots: Sequence[Slot],
        *,
        references: bool = False,
        skipped: int = 0,
        notes: Sequence[str] = (),
        collapse: bool = False,
        more: Sequence[Edit] = (),
    ) -> "Document":
        """Return a document that is one text. references: whether its format has character references.

        more: edits that are made whenever a segment changes.
        """

        def changed(edits: Sequence[Edit]) -> bytes:
            text = splice(decoded.text, [*edits, *(more if edits else ())])
            return decoded.encoded(text, name, references=references)

        return cls(slots, changed, skipped, tuple(notes), collapse)
