"""XML as a tree that knows where everything stands, so that all but the translations is copied as it was written.

The tree is built by expat. Entities that a file declares are refused, and nothing outside the file is read.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple, TypeAlias
from xml.parsers import expat

from attentio.documents.decoding import Decoded, decode, xml_encoding
from attentio.documents.segments import Code, Kind, Run
from attentio.errors import DataError

DEEPEST = 200  # elements in one another
MOST = 1_000_000  # elements of a file
XML = "http://www.w3.org/XML/1998/namespace"
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Text(NamedTuple):
    """Text between tags, and where it stands with its references and CDATA marks."""

    text: str
    start: int
    end: int


class Other(NamedTuple):
    """A comment, a processing instruction, or an entity that is defined elsewhere."""

    start: int
    end: int


@dataclass(slots=True)
class Element:
    """An element. name: without its prefix. space: its namespace. attributes: by name, or by "namespace name".

    start, inner, inner_end, end: where its tags begin and end, as characters of the text.
    """

    name: str
    space: str
    attributes: dict[str, str]
    start: int
    line: int
    inner: int = 0
    inner_end: int = 0
    end: int = 0
    children: "list[Node]" = field(default_factory=list["Node"])

    @property
    def elements(self) -> "list[Element]":
        return [child for child in self.children if isinstance(child, Element)]

    def first(self, name: str) -> "Element | None":
        """Return the first element of a name directly in this one."""
        return next((child for child in self.elements if child.name == name), None)

    def walk(self) -> "Iterator[Element]":
        """Yield this element and all inside it, in the order of the file."""
        yield self
        for child in self.elements:
            yield from child.walk()

    @property
    def text(self) -> str:
        return "".join(child.text if isinstance(child, Text | Element) else "" for child in self.children)

    @property
    def language(self) -> str | None:
        """Return its `xml:lang`, or the `lang` of older formats."""
        return self.attributes.get(f"{XML} lang") or self.attributes.get("lang")


Node: TypeAlias = Element | Text | Other


class Parsed(NamedTuple):
    """An XML file: its text and the tree of it."""

    decoded: Decoded
    root: Element

    def tag(self, element: Element, name: str, **attributes: str) -> str:
        """Return a start tag with the prefix that `element` has."""
        prefix = re.match(r"<([^\s/>:]+:)?", self.decoded.text[element.start : element.inner])
        start = f"<{(prefix and prefix[1]) or ''}{name}"
        return start + "".join(f' {key}="{escape(value)}"' for key, value in attributes.items()) + ">"

    def start_tag(self, element: Element, **attributes: str) -> str:
        """Return the start tag of an element with other attributes. It does not close the element."""
        tag = self.decoded.text[element.start : element.inner].removesuffix(">").removesuffix("/").rstrip()
        for name, value in attributes.items():
            pattern = re.compile(rf"""(\s{re.escape(name)}\s*=\s*)("[^"]*"|'[^']*')""")
            new = f'"{escape(value)}"'
            tag = pattern.sub(lambda found: found[1] + new, tag) if pattern.search(tag) else f"{tag} {name}={new}"  # noqa: B023
        return tag + ">"

    def indent(self, element: Element) -> str:
        """Return the white space before an element, if only white space stands there on its line."""
        text, start = self.decoded.text, element.start
        while start and text[start - 1].isspace():
            start -= 1
        space = text[start : element.start]
        return space if "\n" in space else ""

    def code(self, kind: Kind, start: int, end: int, pair: object = 0) -> Code:
        """Return a part of the file as a code."""
        return Code(kind, ((start, end),), self.decoded.text[start:end], hash(pair))


def end_tag(start_tag: str) -> str:
    name = re.split(r"[\s/>]", start_tag[1:], maxsplit=1)[0]
    return f"</{name}>"


def parse(content: bytes, name: str) -> Parsed:
    """Return the tree of an XML file. Raises DataError with the line where it is damaged or declares entities."""
    decoded = decode(content, name, declared=xml_encoding(content))
    return Parsed(decoded, _Builder(decoded.text, name).root)


def escaped(text: str) -> str:
    """Return a text as XML writes it."""
    return escape(_NOT_XML.sub("", text), quote=False)


def inline(parsed: Parsed, element: Element, kinds: "Inline") -> list[Run]:
    """Return what is inside an element as runs of text and codes."""
    runs: list[Run] = []
    for child in element.children:
        if isinstance(child, Text):
            runs.append(child.text)
        elif isinstance(child, Other):
            runs.append(parsed.code("alone", child.start, child.end))
        elif child.name in kinds.around and not kinds.is_kept(child):
            runs += [
                parsed.code("open", child.start, child.inner, (child.name, child.start)),
                *inline(parsed, child, kinds),
                parsed.code("close", child.inner_end, child.end, (child.name, child.start)),
            ]
        else:
            kind = "open" if child.name in kinds.opening else "close" if child.name in kinds.closing else "alone"
            runs.append(parsed.code(kind, child.start, child.end, kinds.pair_of(child)))
    return runs


class Inline(NamedTuple):
    """Which elements stand around text, and which open and close something without being around it.

    keys: the attributes that say what belongs together. All other elements are codes of their own.
    """

    around: Sequence[str]
    opening: Sequence[str] = ()
    closing: Sequence[str] = ()
    keys: Sequence[str] = ()

    def pair_of(self, element: Element) -> str | None:
        """Return what says which opening and closing belong together."""
        return next((element.attributes[key] for key in self.keys if key in element.attributes), None)

    def is_kept(self, element: Element) -> bool:
        return element.attributes.get("translate") == "no" or element.attributes.get("mtype") == "protected"


class _Builder:
    """Builds the tree as expat meets its parts. Each ends where the next begins."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name
        self._content = text.encode("utf-8")
        self._ascii = len(self._content) == len(text)
        self._byte = self._place = 0  # the same place, in bytes and in characters
        self._count = 0
        self._open: list[Element] = []
        self._started: Element | None = None  # whose start tag ends where the next event begins
        self._data: list[str] = []  # of the text that has begun
        self._last: int | None = None  # where the text or comment begins that ends where the next event begins
        self._parser = expat.ParserCreate("utf-8", " ")  # what is declared has been decoded already
        self._parser.buffer_text = False
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add_text
        self._parser.StartCdataSectionHandler = lambda: self._add_text("")
        self._parser.EndCdataSectionHandler = lambda: self._add_text("")
        self._parser.CommentHandler = self._parser.SkippedEntityHandler = self._other
        self._parser.ProcessingInstructionHandler = self._other
        self._parser.EntityDeclHandler = self._refuse
        try:
            self._parser.Parse(self._content, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            what = f"{name} line {error.lineno}: not well-formed XML ({reason})."
            raise DataError(what, line=error.lineno) from None

    def _here(self) -> int:
        byte = self._parser.CurrentByteIndex
        if self._ascii:
            return byte
        self._place += len(self._content[self._byte : byte].decode("utf-8"))
        self._byte = byte
        return self._place

    def _settle(self, place: int) -> None:
        if self._started is not None:
            self._started.inner = place
            self._started = None
        if self._last is not None and self._open:
            is_text, start = bool(self._data), self._last
            self._open[-1].children.append(Text("".join(self._data), start, place) if is_text else Other(start, place))
            self._data, self._last = [], None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        place, line = self._here(), self._parser.CurrentLineNumber
        self._settle(place)
        if len(self._open) == DEEPEST:
            raise DataError(f"{self._name} line {line}: more than {DEEPEST} elements in one another.", line=line)
        self._count += 1
        if self._count > MOST:
            raise DataError(f"{self._name} has more than {MOST:,} elements.", hint="Cut it into several files.")
        space, _, local = name.rpartition(" ")
        element = Element(local, space, attributes, place, line)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._started = element

    def _end(self, _: str) -> None:
        place = self._here()
        is_empty = self._started is not None and self._text[place - 2 : place] == "/>"
        self._settle(place)
        element = self._open.pop()
        element.inner_end = place
        element.end = place if is_empty else self._text.index(">", place) + 1

    def _add_text(self, data: str) -> None:
        place = self._here()
        if not self._data:
            self._settle(place)
            self._last = place
        self._data.append(data)

    def _other(self, *_: Any) -> None:
        place = self._here()
        self._settle(place)
        if self._open:
            self._last = place

    def _refuse(self, entity: str, *_: Any) -> None:
        line = self._parser.CurrentLineNumber
        raise DataError(
            f"{self._name} line {line}: it declares the entity {entity[:40]!r}, and such files are not read.",
            hint="Write its text where it is used.",
            line=line,
        )
