"""Word documents (.docx): the text of each paragraph is a segment, in body, headers, footers, notes and comments.

A paragraph's most frequent formatting is that of its text, and other formatting inside it is a code. Pictures, fields,
notes and deleted text are kept. All other files of the archive are copied. Nothing is written to the disk.
"""

import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

from attentio.documents.document import Document, Edit, File
from attentio.documents.segments import Code, Run, Slot, Write, splice
from attentio.documents.xml import Element, Parsed, end_tag, escaped, parse
from attentio.errors import DataError
from attentio.text.words import Span

LARGEST = 256 << 20
"""Bytes that an archive may have when it is unpacked."""
MOST_FILES = 10_000
_PROOFING = re.compile(r"<(?:\w+:)?(?:lang|noProof)(?:\s[^<>]*)?/>|<(\w+:)?rPr>\s*</\1?rPr>|<(?:\w+:)?rPr/>")
_PARTS = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml")
_WORD = re.compile(
    "http://(?:schemas.openxmlformats.org/wordprocessingml/2006|purl.oclc.org/ooxml/wordprocessingml)/main"
)
_AROUND = frozenset(("hyperlink", "ins", "moveTo", "smartTag"))  # elements around runs of a paragraph
_UNSEEN = frozenset(("proofErr", "lastRenderedPageBreak", "noProof"))
_BREAKS = frozenset(("br", "tab", "cr", "ptab"))
_TEXT = frozenset(("t", "noBreakHyphen", "softHyphen"))


class Format(NamedTuple):
    """Marks where text of another formatting begins. properties: the `<w:rPr>` of its runs, None where it ends."""

    properties: str | None = None


class _Part(NamedTuple):
    name: str
    parsed: Parsed
    slots: list[Slot]


def open_docx(file: File) -> Document:
    """Open a Word document. Raises DataError where it is none, damaged, or unpacks to more than `LARGEST`."""
    with _archive(file) as archive:
        contents = {info.filename: _unpacked(archive, info, file.name) for info in _checked(archive, file.name)}
        infos = archive.infolist()
    if "word/document.xml" not in contents:
        raise DataError(f"{file.name} is no Word document: it has no word/document.xml.")
    parts: list[_Part] = []
    for name, content in contents.items():
        if _PARTS.fullmatch(name):
            parsed = parse(content, f"{file.name}:{name}")
            parts.append(_Part(name, parsed, list(_slots(parsed))))
    # One list of slots for all files: each has its places after those of the files before it.
    shifted: list[Slot] = []
    starts: list[int] = []
    start = 0
    for part in parts:
        starts.append(start)
        shifted += [slot._replace(start=slot.start + start, end=slot.end + start) for slot in part.slots]
        start += len(part.parsed.decoded.text) + 1

    def changed(edits: Sequence[Edit]) -> bytes:
        if not edits:
            return file.content
        for part, begin, end in zip(parts, starts, [*starts[1:], start], strict=True):
            own = [(first - begin, last - begin, what) for first, last, what in edits if begin <= first < end]
            if own:
                decoded = part.parsed.decoded
                text = splice(decoded.text, own)
                contents[part.name] = decoded.encoded(text, file.name, references=True)
        return _packed(infos, contents)

    return Document(shifted, changed)


def _archive(file: File) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(file.content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        hint = "A .doc of old Word must be saved as .docx first." if file.content[:4] == b"\xd0\xcf\x11\xe0" else None
        raise DataError(f"{file.name} is no Word document: it is not a zip archive.", hint=hint) from None


def _checked(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MOST_FILES or len({info.filename for info in infos}) < len(infos):
        raise DataError(f"{name} is damaged: its archive has {len(infos):,} files, some of one name or too many.")
    if any(info.flag_bits & 1 for info in infos):
        raise DataError(f"{name} is encrypted.", hint="Remove its password first.")
    if sum(info.file_size for info in infos) > LARGEST:
        raise DataError(f"{name} unpacks to more than {LARGEST >> 20} MB.")
    return infos


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    """Return the content of a file in the archive. No more is unpacked than the archive says it is."""
    try:
        with archive.open(info) as opened:
            content = opened.read(info.file_size + 1)
        if len(content) != info.file_size:
            raise zipfile.BadZipFile
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        raise DataError(f"{name} is damaged: {info.filename[:80]!r} cannot be unpacked.") from None
    return content


def _packed(infos: Sequence[zipfile.ZipInfo], contents: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for info in infos:
            copy = zipfile.ZipInfo(info.filename, info.date_time)
            stored = info.compress_type == zipfile.ZIP_STORED
            copy.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            copy.external_attr, copy.create_system, copy.comment = info.external_attr, info.create_system, info.comment
            archive.writestr(copy, contents[info.filename])
    return packed.getvalue()


class _Text(NamedTuple):
    """Text of one run. key: its formatting, as far as it can be seen. properties: the `<w:rPr>` itself.

    head, tail: what ends and begins the run again where other content of it stands before or after.
    """

    text: str
    key: str
    properties: str
    start: int
    end: int
    head: str
    tail: str


_Item: TypeAlias = _Text | Code | None


def _slots(parsed: Parsed) -> Iterator[Slot]:
    for paragraph in parsed.root.walk():
        if _is(paragraph, "p"):
            for is_break, group in groupby(_items(parsed, paragraph), lambda item: item is None):
                items = [item for item in group if item is not None]
                if not is_break and any(isinstance(item, _Text) for item in items):
                    yield _slot(parsed, paragraph, items)


def _slot(parsed: Parsed, paragraph: Element, items: list[_Text | Code]) -> Slot:
    texts = [item for item in items if isinstance(item, _Text)]
    lengths = Counter[str]()
    for text in texts:
        lengths[text.key] += len(text.text)
    base = lengths.most_common(1)[0][0]
    properties = {text.key: text.properties for text in reversed(texts)}
    runs: list[Run] = []
    before: str | None = None  # the formatting of the text before, None after a code
    for item in items:
        key = item.key if isinstance(item, _Text) else None
        if isinstance(item, _Text) and not item.text.strip() and before is not None:
            key = before
        if before not in (None, base, key):
            runs.append(Code("close", (Format(),), "formatting", -1))
        if key not in (None, base, before):
            runs.append(Code("open", (Format(properties[key]),), "formatting", -1))
        runs.append(item.text if isinstance(item, _Text) else item)
        before = key
    if before not in (None, base):
        runs.append(Code("close", (Format(),), "formatting", -1))
    span = [(item.start, item.end) if isinstance(item, _Text) else item.parts[0] for item in (items[0], items[-1])]
    return Slot(span[0][0], span[1][1], tuple(runs), _writer(parsed, paragraph, texts, properties[base]))


def _writer(parsed: Parsed, paragraph: Element, texts: list[_Text], base: str) -> Write:
    tag = parsed.tag(paragraph, "r"), parsed.tag(paragraph, "t", **{"xml:space": "preserve"})

    def write(runs: Sequence[Run]) -> Iterator[str | Span]:
        formats = [base]
        yield texts[0].head
        for run in runs:
            if isinstance(run, str):
                yield f"{tag[0]}{formats[-1]}{tag[1]}{escaped(run)}{end_tag(tag[1])}{end_tag(tag[0])}" if run else ""
                continue
            for part in run.parts:
                if not isinstance(part, Format):
                    yield part
                elif part.properties is not None:
                    formats.append(part.properties)
                elif len(formats) > 1:
                    formats.pop()
        yield texts[-1].tail

    return write


def _is(element: Element, *names: str) -> bool:
    return element.name in names and bool(_WORD.fullmatch(element.space))


def _items(parsed: Parsed, element: Element) -> Iterator[_Item]:
    """Yield what is in a paragraph: texts, codes, and None where a segment ends."""
    field = 0  # how many fields have begun: they begin, separate and end in runs of their own
    for child in element.elements:
        if child.name.endswith("Pr") or child.name in _UNSEEN:
            continue
        if _is(child, "r"):
            fields = (each for each in child.elements if _is(each, "fldChar"))
            marks = [each.attributes.get(f"{each.space} fldCharType") for each in fields]
            field += marks.count("begin")
            if not field:
                yield from _run_items(parsed, child)
                continue
            field -= min(field, marks.count("end"))
        content = child.first("sdtContent") if _is(child, "sdt") else child if _is(child, *_AROUND) else None
        if content is None or field or not content.elements:
            yield Code("alone", ((child.start, child.end),), child.name)
            continue
        properties = content.first(f"{content.name}Pr")
        inner = properties.end if properties is not None else content.inner
        yield Code("open", ((child.start, inner),), child.name, child.start)
        yield from _items(parsed, content)
        yield Code("close", ((content.inner_end, child.end),), child.name, child.start)


def _run_items(parsed: Parsed, run: Element) -> Iterator[_Item]:
    properties = run.first("rPr")
    shown = parsed.decoded.text[properties.start : properties.end] if properties is not None else ""
    inside = [each for each in run.elements if not _is(each, "rPr", *_UNSEEN)]
    if not inside:
        return
    if not any(_is(each, *_TEXT) for each in inside):
        is_break = all(_is(each, *_BREAKS) for each in inside)
        yield None if is_break else Code("alone", ((run.start, run.end),), inside[0].name)
        return
    tag = parsed.tag(run, "r")
    for is_text, group in groupby(inside, lambda each: _is(each, *_TEXT)):
        elements = list(group)
        if not is_text:
            yield None
            continue
        first, last = elements[0] is inside[0], elements[-1] is inside[-1]
        yield _Text(
            "".join(map(_text, elements)),
            _PROOFING.sub("", shown),
            shown,
            run.start if first else elements[0].start,
            run.end if last else elements[-1].end,
            "" if first else end_tag(tag),
            "" if last else tag + shown,
        )


def _text(element: Element) -> str:
    return element.text if element.name == "t" else "\u2011" if element.name == "noBreakHyphen" else "\u00ad"
