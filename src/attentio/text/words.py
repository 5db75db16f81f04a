"""Cutting text into words, and finding words again in a text that was cleaned."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate, chain, islice, pairwise
from typing import TYPE_CHECKING, TypeAlias

from attentio.text.script import stands_alone

if TYPE_CHECKING:
    from attentio.text.clean import Cleaner

Span: TypeAlias = tuple[int, int]
_JOINERS = "\u200c\u200d"  # zero-width: one keeps letters apart that belong together, the other joins
_FLAG_LETTER = re.compile("[\U0001f1e6-\U0001f1ff]")
_MODIFIER = re.compile("[\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")  # it changes the emoji before it


def word_spans(text: str) -> list[Span]:
    """Return the words of a text as (start, end) characters.

    - White space separates.
    - Han characters and kana are words by themselves, as Chinese and Japanese do not part words.
    - Letters, digits and marks run together, also across apostrophe, hyphen or joiner between two of them (don't).
    - Any other character is a word, and repeated ones (...) are one word.
    - What makes one picture is one word: an emoji with modifiers, several that a joiner joins, the letters of a flag.
    """
    spans: list[Span] = []
    end = 0
    while end < len(text):
        start, end = end, end + 1
        char = text[start]
        if char.isspace():
            continue
        while end < len(text) and _goes_on(text, start, end):
            end += 1
        spans.append((start, end))
    return spans


def words(text: str) -> list[str]:
    """Return the words of a text, as `word_spans` finds them."""
    return [text[start:end] for start, end in word_spans(text)]


def _goes_on(text: str, start: int, end: int) -> bool:
    """Return whether a word that begins at `start` goes on at `end`."""
    first, before, char = text[start], text[end - 1], text[end]
    if _is_word(first):
        return _is_word(char) or (char in f"'’-{_JOINERS}" and _is_word(text[end + 1 : end + 2]))
    # A variation selector or a combining mark belongs to the character before it.
    if unicodedata.category(char)[0] == "M" or stands_alone(first):
        return unicodedata.category(char)[0] == "M"
    if _FLAG_LETTER.match(first):
        return end == start + 1 and bool(_FLAG_LETTER.match(char))
    return before == char == first or bool(_MODIFIER.match(char)) or (before == _JOINERS[1] and not char.isspace())


def _is_word(char: str) -> bool:
    return bool(char) and unicodedata.category(char)[0] in "LMN" and not stands_alone(char)


def place_words(
    words: Sequence[Sequence[str]], texts: Sequence[str], cleaner: "Cleaner"
) -> list[Sequence[Span] | None]:
    """Return where the words of each line stand in its cleaned text, as (start, end) characters.

    `words` are all the words of each line before it was cleaned to the text. Cleaning moves spaces and takes characters
    away, but changes no order: words are found by counting the characters that are no space. None where the counts
    of words and text do not agree.
    """
    flat = cleaner.lines(list(chain.from_iterable(words)))
    counts = (len(word) - word.count(" ") for word in flat)
    return [_counted_spans(list(islice(counts, len(line))), text) for line, text in zip(words, texts, strict=True)]


def _counted_spans(counts: list[int], text: str) -> Sequence[Span] | None:
    places = [i for i, character in enumerate(text) if character != " "]
    if sum(counts) != len(places):
        return None
    places.append(len(text))
    # A word of which nothing is left stands, empty, before the next one.
    return [
        (places[start], places[end - 1] + 1 if end > start else places[start])
        for start, end in pairwise(accumulate(counts, initial=0))
    ]
