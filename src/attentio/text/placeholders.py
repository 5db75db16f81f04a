"""Placeholders: what a translation must keep exactly, hidden behind single characters while the model works.

Hidden are URLs, e-mail addresses, numbers, tags, emoji, and variables such as {name} and %s. Placeholders are
characters of the private-use area, which every tokenizer can hold as tokens. In training a pair is masked where both
sides hold the same text. In translating all are masked, and put back in what the model wrote.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from attentio.text.words import Span

PLACEHOLDERS = "\ue000\ue001\ue002\ue003\ue004\ue005\ue006\ue007"
_OWN = re.compile(f"[{PLACEHOLDERS}]")
_TAKEN = dict.fromkeys(map(ord, PLACEHOLDERS), "\ufffd")  # where a text holds such characters of its own

_EMOJI = (
    "(?:[\U0001f1e6-\U0001f1ff]{2}"  # flags
    "|[#*0-9]\ufe0f?\u20e3"  # keycaps
    "|[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u27bf\u2934-\u2b55\U0001f000-\U0001faff]"
    "[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*(?:\u200d[\u2640-\u27bf\U0001f000-\U0001faff][\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*)*"
    "[\U000e0020-\U000e007f]*)"
)
_KEPT = re.compile(
    r"(?:https?|ftp)://[^\s<>\"'，。！？；：、）】》」』”]*[^\s<>\"'，。！？；：、）】》」』”.,;:!?)\]}]"
    r"|www\.[\w\-]+(?:\.[\w\-]+)+(?:/[\w\-./?%&=#~+]*[\w/])?"
    r"|[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}"
    r"|\$?\{\{?[^{}\n]{0,60}\}\}?"
    r"|%(?:\([^()\n]{1,40}\))?[-+0#]?\d*(?:\.\d+)?[sdifgrxXc@](?![A-Za-z])"
    r"|</?[A-Za-z][^<>\n]{0,200}>"
    r"|&(?:[A-Za-z]{2,10}|#\d{1,6}|#x[0-9A-Fa-f]{1,6});"
    rf"|{_EMOJI}"
    r"|(?<![^\W_])[0-9]+(?:[.,:/\-][0-9]+)*%?",
    re.ASCII,
)

# A sign that every kept part has one of. Most sentences have none, and need not be searched.
_SIGN = re.compile(
    "[@{%<&0-9\u20e3\U0001f1e6-\U0001f1ff\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u27bf"
    "\u2934-\u2b55\U0001f000-\U0001faff]|://|www\\."
)
_ADDRESS = re.compile(r"(?:https?|ftp)://|www\.|[A-Za-z0-9._%+\-]+@[A-Za-z0-9]")


def begins_with_address(text: str) -> bool:
    """Return whether a text begins with a URL or an e-mail address, into which letters before it would run."""
    return _ADDRESS.match(text) is not None


def without_kept(text: str) -> str:
    """Return a text without the parts that a translation must keep."""
    return _KEPT.sub("", text)


class Masked(NamedTuple):
    """A text with placeholders, and what stands behind each, by placeholder."""

    text: str
    kept: dict[str, str]


def kept_spans(text: str) -> list[Span]:
    """Return where the parts of a text stand that a translation must keep, as (start, end) characters."""
    return [found.span() for found in _KEPT.finditer(text)] if _SIGN.search(text) else []


def mask(text: str, first: int = 0) -> Masked:
    """Return a text with its kept parts masked, from placeholder number `first` on, round the end.

    The same text gets a placeholder of its own each time. Where a text has more kept parts than there are
    placeholders, those after the last are left as they are. Placeholders in the text itself become U+FFFD.
    """
    text = _without_placeholders(text)
    kept: dict[str, str] = {}
    masked, end = "", 0
    for (start, stop), number in zip(kept_spans(text), range(len(PLACEHOLDERS)), strict=False):
        placeholder = PLACEHOLDERS[(first + number) % len(PLACEHOLDERS)]
        kept[placeholder] = text[start:stop]
        masked += text[end:start] + placeholder
        end = stop
    return Masked(masked + text[end:], kept)


def mask_pair(source: str, target: str, first: int = 0) -> tuple[str, str, dict[str, str]]:
    """Return both sides with the parts masked that stand on both equally often, and what stands behind placeholders.

    The first placeholder is number `first`. In training it varies, so that all of them are learned.
    """
    source, target = _without_placeholders(source), _without_placeholders(target)
    if not (_SIGN.search(source) and _SIGN.search(target)):
        return source, target, {}
    on_source, on_target = (Counter(side[start:end] for start, end in kept_spans(side)) for side in (source, target))
    common = {part for part, count in on_source.items() if on_target[part] == count}
    if not common or sum(on_source[part] for part in common) > len(PLACEHOLDERS):
        return source, target, {}
    kept: dict[str, str] = {}
    given: dict[str, list[str]] = {}
    for start, end in kept_spans(source):
        if (part := source[start:end]) in common:
            placeholder = PLACEHOLDERS[(first + len(kept)) % len(PLACEHOLDERS)]
            kept[placeholder] = part
            given.setdefault(part, []).append(placeholder)
    return _replaced(source, given), _replaced(target, given), kept


def _without_placeholders(text: str) -> str:
    return text.translate(_TAKEN) if _OWN.search(text) else text


def _replaced(text: str, given: dict[str, list[str]]) -> str:
    left = {part: iter(placeholders) for part, placeholders in given.items()}
    masked, end = "", 0
    for start, stop in kept_spans(text):
        if (part := text[start:stop]) in left:
            masked += text[end:start] + next(left[part])
            end = stop
    return masked + text[end:]


class Restored(NamedTuple):
    """A text with what stood behind its placeholders.

    starts, ends: where each character of the masked text now begins and ends. `starts` has one more: the end of all.
    """

    text: str
    starts: list[int]
    ends: list[int]

    def spans(self, spans: Sequence[Span]) -> list[Span]:
        """Return spans of the masked text as spans of this one."""
        return [(self.starts[start], self.ends[end - 1] if end > start else self.starts[start]) for start, end in spans]


def unmasked(text: str) -> Restored:
    """Return a text in which nothing was hidden."""
    places = list(range(len(text) + 1))
    return Restored(text, places, places[1:])


def restore(text: str, kept: dict[str, str], *, apart: bool = False) -> Restored:
    """Return the text with each placeholder replaced by what it stands for. One that stands for nothing is left out.

    apart: write a space where letters would run into a URL or an e-mail address, or digits into a number.
    """
    if not _OWN.search(text):
        return unmasked(text)
    restored, starts, ends, last = "", list[int](), list[int](), Piece("")
    for char in text:
        piece = Piece(kept.get(char, ""), kept=True) if char in PLACEHOLDERS else Piece(char)
        if apart and piece.text and last.runs_into(piece):
            restored += " "
        starts.append(len(restored))
        restored += piece.text
        ends.append(len(restored))
        last = piece if piece.text else last
    return Restored(restored, [*starts, len(restored)], ends)


class Piece(NamedTuple):
    """A character, or what stands behind a placeholder."""

    text: str
    kept: bool = False

    @property
    def is_address(self) -> bool:
        """Return whether letters before or after it would be read as part of it."""
        return self.kept and begins_with_address(self.text)

    def runs_into(self, other: "Piece") -> bool:
        """Return whether the one cannot be told from the other where nothing stands between them."""
        left, right = self.text[-1:], other.text[:1]
        if self.is_address or other.is_address:
            return (self.is_address or left.isalnum()) and (other.is_address or right.isalnum())
        return (self.kept or other.kept) and left.isdecimal() and right.isdecimal()


def missing(text: str, kept: dict[str, str]) -> list[str]:
    """Return the placeholders of `kept` that a masked text does not hold exactly once."""
    return [placeholder for placeholder in kept if text.count(placeholder) != 1]
