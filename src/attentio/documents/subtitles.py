"""Subtitles (.srt and .vtt): the lines of a cue are one text. Numbers, times, settings, notes and styles stay.

A translation has as many lines as the cue had, of about the same share. Lines that begin with a dash are speakers,
each with a text of their own. Tags such as <i> and {\\an8} are codes.
"""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from attentio.documents.decoding import decode
from attentio.documents.document import Document, File
from attentio.documents.segments import Code, Run, Slot, Write
from attentio.errors import DataError
from attentio.text.script import ends_without_space, is_unsegmented
from attentio.text.words import Span

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_TIMES = re.compile(r"\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}(?:\s.*)?")
_TAG = re.compile(r"<(/?)([A-Za-z][\w]*)?[^<>\r\n]*>|\{\\[^{}\r\n]*\}")
_CLAUSE_ENDS = ",.;:!?，。；：！？、"
_SPEAKER = re.compile(r"\s*[-–—]\s*")


def _open(file: File, *, vtt: bool) -> Document:
    decoded = decode(file.content, file.name)
    if vtt and not re.match(r"WEBVTT(?:[ \t\r\n]|\Z)", decoded.text):
        raise DataError(f"{file.name} line 1: WebVTT begins with WEBVTT.", line=1)
    read, escape = (html.unescape, partial(html.escape, quote=False)) if vtt else (str, str)
    slots = [_slot(decoded.text, lines, read, escape) for lines in _texts(decoded.text)]
    if not vtt and decoded.text.strip() and not any(map(_TIMES.fullmatch, decoded.text.splitlines())):
        raise DataError(f"{file.name} has no line with times, such as 00:00:01,000 --> 00:00:02,500.")
    return Document.of(decoded, file.name, slots, collapse=True)


open_srt, open_vtt = partial(_open, vtt=False), partial(_open, vtt=True)


def _texts(text: str) -> Iterator[list[Span]]:
    """Yield the lines of each text, without their ends. They follow a line with times, up to an empty line."""
    lines: list[Span] = []
    cue = False
    for line in _LINE.finditer(text):
        shown = line[0].rstrip("\r\n")
        if _TIMES.fullmatch(shown):
            cue, lines = True, []
        elif not shown.strip():
            yield from _speakers(text, lines)
            cue, lines = False, []
        elif cue:
            lines.append((line.start(), line.start() + len(shown)))
    yield from _speakers(text, lines)


def _speakers(text: str, lines: list[Span]) -> Iterator[list[Span]]:
    if len(lines) > 1 and all(_SPEAKER.match(text, *line) for line in lines[1:]):
        yield from ([line] for line in lines)
    elif lines:
        yield lines


def _slot(text: str, lines: list[Span], read: Callable[[str], str], escape: Callable[[str], str]) -> Slot:
    first = lines[0][0]
    if dash := _SPEAKER.match(text, *lines[0]):
        first = dash.end()
    runs: list[Run] = []
    for number, (start, end) in enumerate([(first, lines[0][1]), *lines[1:]]):
        if number and runs and not (isinstance(runs[-1], str) and ends_without_space(runs[-1])):
            runs.append(" ")
        place = start
        for tag in _TAG.finditer(text, start, end):
            kind = "alone" if tag[2] is None else "close" if tag[1] else "open"
            runs += [read(text[place : tag.start()]), Code(kind, (tag[0],), tag[0], hash((tag[2] or "").lower()))]
            place = tag.end()
        runs.append(read(text[place:end]))
    ends = [text[before[1] : after[0]] for before, after in pairwise(lines)]
    shares = [max(1, len(_TAG.sub("", text[start:end]))) for start, end in lines]
    return Slot(first, lines[-1][1], tuple(runs), _lines_writer(ends, shares, escape))


def _lines_writer(ends: Sequence[str], shares: Sequence[int], escape: Callable[[str], str]) -> Write:
    """Return what writes runs as so many lines, with these line ends between them."""

    def write(runs: Sequence[Run]) -> Iterator[str]:
        plain = "".join(run for run in runs if isinstance(run, str))
        breaks = dict(zip(_breaks(plain, shares), ends, strict=False))
        place = 0
        for run in runs:
            if not isinstance(run, str):
                yield from map(str, run.parts)
                continue
            begin = place
            for at in sorted(at for at in breaks if place <= at < place + len(run)):
                yield escape(plain[begin:at].rstrip()) + breaks[at]
                begin = at + (len(plain[at:]) - len(plain[at:].lstrip()))
            place += len(run)
            yield escape(plain[begin:place])

    return write


def _breaks(text: str, shares: Sequence[int]) -> list[int]:
    """Return where a text is broken into lines of about these shares: at spaces, or at any character without them."""
    anywhere = is_unsegmented([text])
    # No line begins with punctuation.
    places = [i for i in range(1, len(text)) if text[i].isspace() or (anywhere and text[i].isalnum())]
    found: list[int] = []
    for line in range(1, len(shares)):
        wanted = len(text) * sum(shares[:line]) / sum(shares)
        later = [place for place in places if place > (found[-1] if found else 0)]
        if later:
            # After punctuation is better than in the middle of a clause.
            found.append(min(later, key=lambda place: abs(place - wanted) - 3 * (text[place - 1] in _CLAUSE_ENDS)))
    return found
