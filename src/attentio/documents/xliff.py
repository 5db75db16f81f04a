"""XLIFF 1.2 and 2.x (.xliff, .xlf): units without a translation get one, with a state that asks for a review.

Kept are units marked `translate="no"`, approved ones, and those with a translation, unless its state says that it is
new. Inline elements are codes. Everything else stays byte for byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from attentio.documents.document import Document, Edit, File
from attentio.documents.segments import Run, Slot, Write, written
from attentio.documents.xml import Element, Inline, Parsed, end_tag, escaped, inline, parse
from attentio.errors import DataError
from attentio.text.script import base_language
from attentio.text.words import Span

_NEW = ("new", "needs-translation", "initial")
_KINDS = {
    "1": Inline(("g", "mrk"), ("bpt", "bx"), ("ept", "ex"), ("rid", "id")),
    "2": Inline(("pc", "mrk"), ("sc",), ("ec",), ("startRef", "id")),
}
_MARKED = {"state": "needs-review-translation", "state-qualifier": "mt-suggestion"}
_write = written(escaped)


def open_xliff(file: File) -> Document:
    """Open an XLIFF file. Raises DataError where it is none, or of an unknown version."""
    parsed = parse(file.content, file.name)
    root = parsed.root
    version = root.attributes.get("version", "")[:1]
    if root.name != "xliff" or version not in _KINDS:
        what = f"version {version!r} of XLIFF" if root.name == "xliff" else f"<{root.name}>"
        raise DataError(f"{file.name} is {what}, and XLIFF 1.2 or 2 is read.")
    slots: list[Slot] = []
    skipped = 0
    for unit in _units(root, version):
        source = unit.element.first("seg-source") or unit.element.first("source")
        if source is None:
            continue
        target = unit.element.first("target")
        if unit.kept or (target is not None and target.text.strip() and unit.state not in _NEW):
            skipped += 1
            continue
        runs = tuple(inline(parsed, source, _KINDS[version]))
        after = unit.element.first("seg-source") or source
        if version == "1":
            place = (after.end, after.end) if target is None else (target.start, target.end)
            slots.append(Slot(*place, runs, _writer(parsed, after, target, _MARKED), always=True))
        else:
            end = target.end if target is not None else source.end
            write = _writer(parsed, source, target, {}, segment=unit.element)
            slots.append(Slot(unit.element.start, end, runs, write, always=True))
    more, notes = _named(parsed, file)
    return Document.of(parsed.decoded, file.name, slots, references=True, skipped=skipped, notes=notes, more=more)


class _Unit(NamedTuple):
    """What holds a source and a target. kept: whether it says that it is not to be translated."""

    element: Element
    kept: bool
    state: str


def _units(root: Element, version: str) -> Iterator[_Unit]:
    unit_name = {"1": "trans-unit", "2": "segment"}[version]

    def inside(element: Element, kept: bool) -> Iterator[_Unit]:
        says = element.attributes.get("translate")
        kept = says == "no" if says in ("yes", "no") else kept
        if element.name == unit_name:
            target = element.first("target")
            holder = element if version == "2" else target
            state = holder.attributes.get("state", "") if holder is not None else ""
            yield _Unit(element, kept or element.attributes.get("approved") == "yes", state)
            return
        for child in element.elements:
            yield from inside(child, kept)

    return inside(root, False)


def _writer(
    parsed: Parsed, after: Element, target: Element | None, marks: Mapping[str, str], *, segment: Element | None = None
) -> Write:
    """Return what writes a target after an element, or in place of one. segment: what is around both."""

    def write(runs: Sequence[Run]) -> Iterator[str | Span]:
        if segment is not None:
            yield parsed.start_tag(segment, state="translated")
            yield (segment.inner, after.end if target is None else target.start)
        if target is None:
            yield parsed.indent(after)
        tag = parsed.tag(after, "target", **marks) if target is None else parsed.start_tag(target, **marks)
        yield tag
        yield from _write(runs)
        yield end_tag(tag)

    return write


def _named(parsed: Parsed, file: File) -> tuple[list[Edit], list[str]]:
    """Return the edits that name the target language where the file does not, and notes on other languages."""
    root = parsed.root
    is_second = root.attributes["version"].startswith("2")
    holders = [root] if is_second else [each for each in root.elements if each.name == "file"]
    sides = ("srcLang", "trgLang") if is_second else ("source-language", "target-language")
    edits: list[Edit] = []
    notes: dict[str, None] = {}
    for holder in holders:
        for attribute, ours in zip(sides, (file.source_language, file.target_language), strict=True):
            theirs = holder.attributes.get(attribute)
            if theirs and ours and base_language(theirs) != base_language(ours):
                notes[f"{file.name} has {attribute} {theirs!r}, and this model has {ours!r}."] = None
            elif ours and not theirs and attribute == sides[1]:
                edits.append((holder.start, holder.inner, [parsed.start_tag(holder, **{attribute: ours})]))
    return edits, list(notes)
