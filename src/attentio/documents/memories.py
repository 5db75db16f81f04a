"""Translation memories as documents (.tmx): each unit without the target language gets it. Nothing else changes."""

from collections.abc import Iterator, Sequence

from attentio.documents.document import Document, File
from attentio.documents.segments import Run, Slot, Write, written
from attentio.documents.xml import Element, Inline, Parsed, end_tag, escaped, inline, parse
from attentio.errors import DataError, UsageError
from attentio.text.script import base_language
from attentio.text.words import Span

_KINDS = Inline(("hi",), ("bpt",), ("ept",), ("i",))
_write = written(escaped)


def open_tmx(file: File) -> Document:
    """Open a translation memory. Raises DataError where it is none, and UsageError without a target language."""
    parsed = parse(file.content, file.name)
    root = parsed.root
    if root.name != "tmx":
        raise DataError(f"{file.name} is <{root.name}>, and a TMX file is <tmx>.")
    if file.target_language is None:
        raise UsageError("a TMX file names its languages, and the model does not say what it writes.")
    header = root.first("header")
    wanted = file.source_language or (header.attributes.get("srclang") if header is not None else None)
    slots: list[Slot] = []
    skipped = 0
    for unit in (element for element in root.walk() if element.name == "tu"):
        variants = {base_language(each.language): each for each in unit.elements if each.name == "tuv"}
        source, target = variants.get(base_language(wanted)), variants.get(base_language(file.target_language))
        segment = source.first("seg") if source is not None else None
        if source is None or segment is None:
            continue
        if target is not None and target.text.strip():
            skipped += 1
            continue
        last = [each for each in unit.elements if each.name == "tuv"][-1]
        place = (last.end, last.end) if target is None else (target.start, target.end)
        write = _variant_writer(parsed, source, target, file.target_language)
        slots.append(Slot(*place, tuple(inline(parsed, segment, _KINDS)), write, always=True))
    if not slots and not skipped:
        raise DataError(f"{file.name} has no unit in {wanted or 'the source language'}.")
    return Document.of(parsed.decoded, file.name, slots, references=True, skipped=skipped)


def _variant_writer(parsed: Parsed, source: Element, target: Element | None, language: str) -> Write:
    def write(runs: Sequence[Run]) -> Iterator[str | Span]:
        tag = parsed.tag(source, "tuv", **{"xml:lang": language}) if target is None else parsed.start_tag(target)
        segment = parsed.tag(source, "seg")
        yield (parsed.indent(source) if target is None else "") + tag + segment
        yield from _write(runs)
        yield end_tag(segment) + end_tag(tag)

    return write
