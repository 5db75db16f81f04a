"""A text as sentences, and the sentences as a text again.

Models read one sentence at a time, and people's lines hold several. Where a sentence ends is decided by `sentencex`.
White space between sentences is kept, and so is the order. Nothing of the text is lost or changed here.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import sentencex

from attentio.text.placeholders import begins_with_address, kept_spans
from attentio.text.script import base_language, ends_without_space
from attentio.text.words import Span

_LINES = re.compile(r"(\s*\n\s*)")
_OTHER_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)")
_EDGES = re.compile(r"(\s*)(.*?)(\s*)\Z", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CLAUSE_ENDS = re.compile(r"(?<=[,;:])\s+|(?<=[，；：、])")
_SPACE, _SPACES = re.compile(r"\s"), re.compile(r"\s+")


class Sentences(NamedTuple):
    """The sentences of a text. `spaces` has one more: what stands before each sentence and after the last."""

    texts: list[str]
    spaces: list[str]

    def join(self, texts: Sequence[str]) -> str:
        """Return a text of other sentences, one for each of these, with the white space of these.

        A single space, or none, is written as the language of the new sentences does it. Full-width punctuation is
        followed by none.
        """
        joined = self.spaces[0]
        for before, (text, space) in enumerate(zip(texts, self.spaces[1:], strict=True), start=1):
            joined += text
            if before < len(texts) and space in ("", " ") and text:
                space = "" if ends_without_space(text) else " "
            joined += space
        return joined


def split_sentences(text: str, language: str | None) -> Sentences:
    """Return the sentences of a text in a language (its code, or None where it is not known). A line ends one, too.

    Rare characters that some programs take for the end of a line become spaces: a line stays a line.
    """
    text = _OTHER_LINE_ENDS.sub(" ", text)
    texts: list[str] = []
    spaces = [""]
    for number, part in enumerate(_LINES.split(text)):
        if number % 2 == 1:
            spaces[-1] += part
            continue
        # The splitter takes no lone surrogate, and stumbles over wide spaces. One character stands for each, so that
        # places stay.
        language_code, plain = base_language(language) or "en", _SPACE.sub(" ", _SURROGATE.sub("\ufffd", part))
        found = cast(Any, sentencex).get_sentence_boundaries(language_code, plain)
        places = [0, *(boundary["start_index"] for boundary in found[1:]), len(part)] if part else []
        for start, end in pairwise(places):
            before, sentence, after = _EDGES.fullmatch(part[start:end]).groups()  # type: ignore[union-attr]
            spaces[-1] += before
            if sentence:
                texts.append(sentence)
                spaces.append("")
            spaces[-1] += after
    return Sentences(texts, spaces)


def cut_long(sentence: str, fits: Callable[[str], bool]) -> list[str]:
    """Return a sentence in parts that fit, cut after clauses, else between words, else between characters.

    Parts are as long as they may be. Single spaces between them are left out, and nothing else is. What a translation
    must keep is not cut, so that it may be longer.
    """
    if fits(sentence):
        return [sentence]
    kept = kept_spans(sentence)
    for cuts in (_CLAUSE_ENDS, _SPACES):
        pieces = _cut(sentence, cuts, kept)
        if len(pieces) > 1:
            parts: list[str] = []
            for piece in pieces:
                if parts and fits(joined := join_parts([parts[-1], piece])):
                    parts[-1] = joined
                else:
                    parts.append(piece)
            return [part for long in parts for part in cut_long(long, fits)]
    if kept:
        places = [0, *(place for span in kept for place in span), len(sentence)]
        parts = [sentence[start:end] for start, end in pairwise(places)]
        cut = [[part] if number % 2 else cut_long(part, fits) for number, part in enumerate(parts) if part]
        return [part for each in cut for part in each]
    parts = []
    start = 0
    while start < len(sentence):  # the longest beginning of the rest that fits, and one character if none does
        low, high = 1, 2
        while start + high <= len(sentence) and fits(sentence[start : start + high]):
            low, high = high, 2 * high
        high = min(high, len(sentence) - start + 1)  # the first length that is known to be too much
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(sentence[start : start + middle]) else (low, middle)
        parts.append(sentence[start : start + low])
        start += low
    return parts


def _cut(sentence: str, cuts: re.Pattern[str], kept: Sequence[Span]) -> list[str]:
    """Return the parts between `cuts` that are not inside what is kept."""
    starts = [start for start, _ in kept]
    spans: list[Span] = []
    for cut in cuts.finditer(sentence):
        before = bisect_left(starts, cut.end()) - 1  # the last that is kept and begins before the end of the cut
        if before < 0 or kept[before][1] <= cut.start():
            spans.append(cut.span())
    places = [0, *(place for span in spans for place in span), len(sentence)]
    return [sentence[start:end] for start, end in zip(places[::2], places[1::2], strict=True) if start < end]


def join_parts(parts: Sequence[str]) -> str:
    """Return parts of a sentence side by side, without a space after a full-width character.

    A URL or an e-mail address has one after a letter of any script.
    """
    text = ""
    for part in parts:
        apart = not ends_without_space(text) or (text[-1].isalnum() and begins_with_address(part))
        text += f" {part}" if text and part and apart else part
    return text
