"""Message catalogs of gettext (.po, .pot): messages without a translation get one, and are marked fuzzy for a review.

The header, translated messages, comments and obsolete messages stay byte for byte. Of a message with plural forms the
first translates the singular, and all others the plural. A single form translates the plural.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from attentio.documents.decoding import decode
from attentio.documents.document import Document, File
from attentio.documents.segments import Run, Slot, Write
from attentio.errors import DataError
from attentio.text.script import base_language
from attentio.text.words import Span

_LINE = re.compile(r"[^\n]*\n?")
_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d+)\])?)[ \t]*(?=\")")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"\s*')
_CHARSET = re.compile(rb'"Content-Type:[^"\n]*charset=([\w.:-]+)')
_LANGUAGE = re.compile(r"^Language: *([\w@-]+)", re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:([abfnrtv\"\\])|([0-7]{1,3})|x([0-9A-Fa-f]{2})|(.))")
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED: dict[str, str] = {value: f"\\{name}" for name, value in _NAMED.items()} | {'"': '\\"', "\\": "\\\\"}


@dataclass
class _Message:
    """A message of the catalog. Spans are those of strings with their quotes. start: where its first keyword stands."""

    start: int = -1
    flags: Span | None = None
    texts: dict[str, str] = field(default_factory=dict[str, str])
    places: dict[str, Span] = field(default_factory=dict[str, Span])

    @property
    def translations(self) -> list[str]:
        return [name for name in self.texts if name.startswith("msgstr")]


def open_po(file: File) -> Document:
    """Open a message catalog. Raises DataError with the line where it is damaged."""
    charset = _CHARSET.search(file.content[:20_000])
    name = charset[1].decode("ascii") if charset else None
    decoded = decode(file.content, file.name, declared=None if name == "CHARSET" else name)
    slots: list[Slot] = []
    skipped = 0
    notes: list[str] = []
    for message in _messages(decoded.text, file.name):
        names = message.translations
        if not message.texts["msgid"]:
            theirs = _LANGUAGE.search(message.texts[names[0]])
            if theirs and file.target_language and base_language(theirs[1]) != base_language(file.target_language):
                ours = f"this model writes {file.target_language!r}"
                notes.append(f"{file.name} is a catalog in {theirs[1]!r}, and {ours}.")
        elif any(message.texts[each] for each in names):
            skipped += 1
        else:
            slots += _slots(decoded.text, message)
    return Document.of(decoded, file.name, slots, skipped=skipped, notes=notes)


def _slots(text: str, message: _Message) -> Iterator[Slot]:
    line_end = "\r\n" if "\r\n" in text[:1000] else "\n"
    names = message.translations
    for number, name in enumerate(names):
        is_plural = "msgid_plural" in message.texts and (number > 0 or len(names) == 1)
        source = message.texts["msgid_plural" if is_plural else "msgid"]
        start, end = message.places[name]
        mark: list[str | Span] = []
        if number == 0:
            if message.flags:
                place, rest = message.flags
                mark = ["#, fuzzy," if text[rest : rest + 1] == " " else "#, fuzzy, "]
            else:
                place = rest = message.start
                mark = [f"#, fuzzy{line_end}"]
            mark.append((rest, start))
            start = place
        yield Slot(start, end, (source,), _writer(mark, line_end), always=True)


def _writer(before: Sequence[str | Span], line_end: str) -> Write:
    def write(runs: Sequence[Run]) -> Iterator[str | Span]:
        yield from before
        lines: list[str] = re.findall(r"[^\n]*\n|[^\n]+", "".join(map(str, runs)))
        quoted = [f'"{"".join(_ESCAPED.get(character, character) for character in line)}"' for line in lines]
        yield line_end.join([*(['""'] if len(quoted) > 1 else []), *quoted])

    return write


def _messages(text: str, name: str) -> Iterator[_Message]:
    """Yield the messages of a catalog, without obsolete ones."""
    message = _Message()
    current = ""
    for number, line in enumerate(_LINE.finditer(text), 1):
        shown = line[0].strip()
        start = line.start() + len(line[0]) - len(line[0].lstrip())
        keyword = _KEYWORD.match(text, start, line.end())
        if message.translations and not shown.startswith('"') and not (keyword and keyword[1].startswith("msgstr")):
            yield _whole(message, name, number)
            message, current = _Message(), ""
        if not shown or shown.startswith("#~"):
            if message.texts:
                raise DataError(f"{name} line {number}: the message before it has no msgstr.", line=number)
            message = _Message()  # flags of an obsolete message
        elif shown.startswith("#,"):
            message.flags = (start, start + 2)
        elif not shown.startswith("#"):
            current = keyword[1] if keyword else current
            string = _STRING.fullmatch(text, keyword.end() if keyword else start, line.end())
            if string is None or not current or (keyword and current in message.texts):
                raise DataError(f"{name} line {number}: neither a comment nor a message of gettext.", line=number)
            if message.start < 0:
                message.start = start
            begin = message.places[current][0] if not keyword else string.start()
            message.places[current] = (begin, string.end(1) + 1)
            message.texts[current] = message.texts.get(current, "") + _ESCAPE.sub(_character, string[1])
    if message.texts:
        yield _whole(message, name, text.count("\n") + 1)


def _whole(message: _Message, name: str, line: int) -> _Message:
    if "msgid" not in message.texts or not message.translations:
        what = "msgid" if "msgid" not in message.texts else "msgstr"
        raise DataError(f"{name} line {line}: the message before it has no {what}.", line=line)
    return message


def _character(found: re.Match[str]) -> str:
    named, octal, hexadecimal, other = found.groups()
    if octal or hexadecimal:
        return chr(int(octal or hexadecimal, 8 if octal else 16))
    return _NAMED.get(named, named) if named else f"\\{other}"
