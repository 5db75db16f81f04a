"""Markdown (.md): paragraphs, headings, list items and table cells are segments. Their markup is codes.

Front matter, code, HTML blocks, link targets and reference definitions stay as they are. markdown-it-py says which
lines hold text. A paragraph that was translated stands on one line, except at hard line breaks.
"""

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import NamedTuple

from markdown_it import MarkdownIt

from attentio.documents.decoding import decode
from attentio.documents.document import Document, File
from attentio.documents.segments import Code, Run, Slot, Write
from attentio.text.script import ends_without_space
from attentio.text.words import Span

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\r?\n.*?^(?:\1|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_HARD_BREAK = re.compile(r" {2,}[\r\n]")
_TARGET = r"(?:\((?:[^()\\\n]|\\.|\([^()\n]*\))*\)|\[[^\[\]\n]*\])"
_CODE = re.compile(
    r"(?P<code>(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<math>\$\$.+?\$\$|\$(?=\S)[^$\n]+?(?<=\S)\$(?!\d))"
    rf"|(?P<image>!\[(?:[^\[\]\\]|\\.)*\]{_TARGET})"
    r"|(?P<note>\[\^[^\[\]\s]+\]:?|\A\[[ xX]\](?=\s))"
    r"|(?P<tag><!--.*?-->|</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>|<[a-z][a-z0-9+.-]*:[^<>\s]*>"
    r"|<[^<>\s@]+@[^<>\s]+>)"
    rf"|(?P<closing>\]{_TARGET}?)"
    r"|(?P<opening>\[)"
    r"|(?P<emphasis>\*+|_+|~~)",
    re.DOTALL,
)
_SPECIAL = re.compile(r"[\\`*\[\]<~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|\$(?=\S)")
_BLOCK = re.compile(r"(?:[#>+\-=]|\d{1,9}(?=[.)]))(?=\s|[.)]|\Z|[-=])|~~~|---")


class _Mark(NamedTuple):
    """A part of the markup of a text. which: the group of `_CODE`."""

    which: str
    start: int
    end: int
    name: str


def open_markdown(file: File) -> Document:
    decoded = decode(file.content, file.name)
    slots = list(_slots(decoded.text))
    return Document.of(decoded, file.name, slots, collapse=True)


def _slots(text: str) -> Iterator[Slot]:
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    front = _FRONT_MATTER.match(text)
    begin = front.end() if front else 0
    lines = [line.span() for line in _LINE.finditer(text, begin)]
    environment: dict[str, dict[str, object]] = {}
    tokens = parser.parse(text[begin:], environment)
    labels = {_label(label) for label in environment.get("references", {})}
    place = begin
    for number, token in enumerate(tokens):
        if token.type != "inline" or token.map is None:
            continue
        is_cell = tokens[number - 1].type in ("th_open", "td_open")
        found: list[Span] = []
        for line, content in zip(lines[token.map[0] :], token.content.split("\n"), strict=False):
            place = max(place, line[0])
            start = text.find(content.strip(" \t"), place, line[1])
            if start < 0 and is_cell:  # cells are given without the backslashes before |
                content = content.replace("|", "\\|")
                start = text.find(content.strip(" \t"), place, line[1])
            if start < 0:
                break  # tabs that were made spaces: the text is left as it is
            place = start + len(content.strip(" \t"))
            found.append((start, place))
        else:
            yield from _cut(text, found, labels, is_cell)


def _cut(text: str, lines: list[Span], labels: set[str], is_cell: bool) -> Iterator[Slot]:
    """Yield the segments of a text: one, or more where it has hard line breaks."""
    part: list[Span] = []
    for start, end in lines:
        backslash = text[start:end].endswith("\\")
        hard = backslash or _HARD_BREAK.match(text, end)
        part.append((start, end - backslash))
        if hard:
            yield _slot(text, part, labels, is_cell)
            part = []
    if part:
        yield _slot(text, part, labels, is_cell)


def _slot(text: str, lines: list[Span], labels: set[str], is_cell: bool) -> Slot:
    joined = ""
    for start, end in lines:
        joined += (" " if joined and not ends_without_space(joined) else "") + text[start:end]
    runs: list[Run] = []
    end = 0
    for mark in _marks(joined, labels):
        runs.append(_read(joined[end : mark.start]))
        shown = joined[mark.start : mark.end]
        kind = "open" if mark.which == "opening" else "close" if mark.which == "closing" else "alone"
        runs.append(Code(kind, (shown,), shown, hash(mark.name)))
        end = mark.end
    runs.append(_read(joined[end:]))
    return Slot(lines[0][0], lines[-1][1], tuple(runs), _writer(is_cell))


def _marks(text: str, labels: set[str]) -> Iterator[_Mark]:
    """Yield the markup of a text: what opens, what closes, and what stands for itself. Escapes are text."""
    found = [_Mark(mark.lastgroup or "", *mark.span(), "") for mark in _CODE.finditer(text)]
    marks: list[_Mark] = []
    brackets: list[int] = []
    for mark in found:
        shown = text[mark.start : mark.end]
        if mark.which == "opening":
            brackets.append(len(marks))
            marks.append(mark)
        elif mark.which == "closing":
            if not brackets:
                continue
            place = brackets.pop()
            opening = marks[place]
            if shown != "]":
                marks.append(mark)
            elif _label(text[opening.end : mark.start]) in labels:  # a link whose text is its label
                marks[place:] = [_Mark("label", opening.start, mark.end, "")]
            else:  # brackets, and no link
                del marks[place]
        elif mark.which != "escape":
            marks.append(mark)
    unclosed = {marks[place].start for place in brackets}
    marks = [mark for mark in marks if mark.start not in unclosed]
    yield from _paired(text, marks)


def _paired(text: str, marks: list[_Mark]) -> Iterator[_Mark]:
    open_: list[str] = []
    for mark in marks:
        shown = text[mark.start : mark.end]
        if mark.which == "tag" and (tag := re.match(r"<(/?)([A-Za-z][\w-]*)(?=[\s/>])", shown)):
            which = "" if shown.endswith("/>") or tag[2].lower() in ("br", "img", "hr", "wbr") else "opening"
            yield mark._replace(which="closing" if tag[1] else which, name=f"<{tag[2].lower()}")
        elif mark.which == "emphasis":
            before, after = text[mark.start - 1 : mark.start], text[mark.end : mark.end + 1]
            opens, closes = _flanks(before, after), _flanks(after, before)
            if shown[0] == "_" and before.isalnum() and after.isalnum():
                continue
            if closes and shown in open_:
                del open_[len(open_) - 1 - open_[::-1].index(shown) :]
                yield mark._replace(which="closing", name=shown)
            elif opens:
                open_.append(shown)
                yield mark._replace(which="opening", name=shown)
            elif closes:
                yield mark._replace(which="")
        else:
            yield mark._replace(name="[" if mark.which in ("opening", "closing") else "")


def _flanks(outside: str, inside: str) -> bool:
    """Return whether emphasis may begin between two characters (CommonMark, 6.2)."""
    if not inside or inside.isspace():
        return False
    return inside.isalnum() or not outside or not outside.isalnum()


def _read(text: str) -> str:
    parts = re.split(r"(\\[!-/:-@\[-`{-~])", text)
    return "".join(part[1] if number % 2 else unescape(part) for number, part in enumerate(parts))


def _writer(is_cell: bool) -> Write:
    def write(runs: Sequence[Run]) -> Iterator[str | Span]:
        first = True
        for run in runs:
            if isinstance(run, Code):
                yield from run.parts
            else:
                written = _SPECIAL.sub(lambda found: "\\" + found[0], run.replace("\n", " "))
                written = written.replace("|", "\\|") if is_cell else written
                yield _escaped_start(written) if first else written
            first = first and isinstance(run, str) and not run.strip()

    return write


def _escaped_start(text: str) -> str:
    """Return a text that begins no block of another kind."""
    begin = len(text) - len(text.lstrip())
    found = _BLOCK.match(text, begin)
    if found is None:
        return text
    place = found.end() if text[begin].isdigit() else begin
    return f"{text[:place]}\\{text[place:]}"


def _label(label: str) -> str:
    return " ".join(label.split()).casefold()
