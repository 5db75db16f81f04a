"""HTML (.html): the text of each block is a segment, and its inline tags are codes.

Attributes, scripts, styles, preformatted text and whatever is marked `translate="no"` or `class="notranslate"` stay as
they are. Only the places of tags are looked for, so that everything else is copied as it was written.
"""

import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from typing import Literal, NamedTuple

from attentio.documents.decoding import Decoded, decode, html_encoding
from attentio.documents.document import Document, File
from attentio.documents.segments import Code, Run, Slot, written


def _names(*listed: str) -> frozenset[str]:
    return frozenset(" ".join(listed).split())


INLINE = _names(
    "a abbr acronym b bdi bdo big button cite data del dfn em font i img input ins label mark q s small span",
    "strike strong sub sup time tt u wbr",
)
OPAQUE = _names("code kbd samp var math svg object video audio canvas iframe")
"""Inline elements that are kept with what is inside them."""
UNTOUCHED = _names("script style pre textarea template noembed noframes xmp plaintext")
"""Other elements that are kept with what is inside them."""
VOID = _names("area base br col embed hr img input link meta param source track wbr")
_IMPLIED_END = _names("p li dt dd td th tr option")
RAW = _names("script style xmp iframe noembed noframes textarea title plaintext")
"""Elements in which no other tag than their own end counts."""
_MARKUP = re.compile(r"<!--|<(?P<slash>/?)(?P<name>[A-Za-z][^\s/>]*)|<[!?]|</(?=[^A-Za-z])")
_ATTRIBUTE = re.compile(
    r"""(?:[\s/]+|(?P<name>=?[^\s/>=]+|=)(?:\s*=\s*(?P<value>"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s>"'][^\s>]*|(?=>)))?)"""
)
_NO = re.compile(r"(?:^|\s)notranslate(?:\s|$)")


class _Token(NamedTuple):
    kind: Literal["start", "end", "text", "other"]
    start: int
    end: int
    name: str = ""
    attributes: Mapping[str, str] = {}


def open_html(file: File) -> Document:
    decoded = decode(file.content, file.name, declared=html_encoding(file.content))
    slots, skipped = _slots(decoded.text)
    return Document.of(decoded, file.name, slots, references=True, skipped=skipped, collapse=True)


def open_fragment(text: str) -> Document:
    """Open a part of a page that is given as text. Its `changed` returns UTF-8."""
    slots, skipped = _slots(text)
    return Document.of(Decoded(text, b"", "utf-8"), "HTML", slots, references=True, skipped=skipped, collapse=True)


def _tokens(text: str) -> Iterator[_Token]:
    """Yield the tokens of a page as browsers cut it (WHATWG HTML, 13.2.5). Together they are the whole page.

    Each character is looked at once: what never ends reaches to the end of the page.
    """
    place = 0
    while place < len(text):
        found = _MARKUP.search(text, place)
        start = found.start() if found else len(text)
        if start > place:
            yield _Token("text", place, start)
        if found is None:
            return
        if found["name"] is None:
            ends = "-->" if found[0] == "<!--" else ">"
            last = text.find(ends, found.end() - (2 if ends == "-->" else 0))
            place = len(text) if last < 0 else last + len(ends)
            yield _Token("other", start, place)
            continue
        name = found["name"].lower()
        attributes: dict[str, str] = {}
        place = found.end()
        while (part := _ATTRIBUTE.match(text, place)) and part.end() > place:
            place = part.end()
            if part["name"]:
                value = (part["value"] or "").strip("\"'")
                attributes.setdefault(part["name"].lower(), value)
        if text[place : place + 1] != ">":  # a tag that never ends, which a browser does not show
            yield _Token("other", start, len(text))
            return
        place += 1
        if found["slash"]:
            yield _Token("end", start, place, name)
            continue
        yield _Token("start", start, place, name, attributes)
        if name in RAW:
            closing = re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE).search(text, place)
            stop = closing.start() if closing else len(text)
            if stop > place:
                yield _Token("text", place, stop)
            place = stop


def _slots(text: str) -> tuple[list[Slot], int]:
    """Return the segments of a page, and the number of elements that are marked as not to be translated."""
    reader = _Reader(text)
    tokens = list(_tokens(text))
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.kind == "start" and (kept := _kept(token)):
            last = _end_of(tokens, place)
            reader.skipped += kept == "marked"
            if token.name in INLINE | OPAQUE:
                reader.code("alone", token.start, tokens[last].end, token.name)
            else:
                reader.flush()
            place = last + 1
            continue
        if token.kind == "text":
            reader.text(token.start, token.end)
        elif token.kind == "other":
            reader.code("alone", token.start, token.end, "")
        elif token.name not in INLINE:
            reader.flush()
        elif token.name in VOID or (token.kind == "start" and text[token.end - 2 : token.end] == "/>"):
            reader.code("alone", token.start, token.end, token.name)
        else:
            reader.code("open" if token.kind == "start" else "close", token.start, token.end, token.name)
        place += 1
    reader.flush()
    return reader.slots, reader.skipped


def _kept(token: _Token) -> Literal["marked", "untouched", ""]:
    if token.attributes.get("translate", "").strip().lower() == "no" or _NO.search(token.attributes.get("class", "")):
        return "marked"
    return "untouched" if token.name in OPAQUE | UNTOUCHED else ""


def _end_of(tokens: list[_Token], place: int) -> int:
    """Return the number of the last token of the element that begins at `place`."""
    root = tokens[place].name
    if root in VOID:
        return place
    inside: list[str] = []
    for number in range(place + 1, len(tokens)):
        token = tokens[number]
        if token.kind == "start" and token.name not in VOID:
            if not inside and token.name == root and root in _IMPLIED_END:
                return number - 1
            inside.append(token.name)
        elif token.kind == "end":
            if token.name in inside:
                while inside.pop() != token.name:
                    pass
            elif token.name == root:
                return number
            elif root in _IMPLIED_END and token.name not in INLINE:
                return number - 1
    return len(tokens) - 1


class _Reader:
    """Gathers the runs of a segment until a block ends it."""

    def __init__(self, text: str) -> None:
        self.slots: list[Slot] = []
        self.skipped = 0
        self._text = text
        self._runs: list[Run] = []
        self._start = self._end = 0
        self._pairs: dict[str, int] = {}

    def text(self, start: int, end: int) -> None:
        self._grow(start, end)
        self._runs.append(unescape(self._text[start:end]))

    def code(self, kind: Literal["open", "close", "alone"], start: int, end: int, name: str) -> None:
        self._grow(start, end)
        shown = self._text[start:end]
        pair = self._pairs.setdefault(name, len(self._pairs) + 1)
        self._runs.append(Code(kind, ((start, end),), shown, pair))

    def flush(self) -> None:
        if any(isinstance(run, str) and run.strip() for run in self._runs):
            self.slots.append(Slot(self._start, self._end, tuple(self._runs), written(_escaped)))
        self._runs = []

    def _grow(self, start: int, end: int) -> None:
        self._start = self._start if self._runs else start
        self._end = end


def _escaped(text: str) -> str:
    return escape(text, quote=False).replace("\u00a0", "&nbsp;")
