"""Glossaries: terms with the translation that they must have.

The longest term at a place counts. A term in lower case stands for any case, and one with a capital for itself alone.
A term is not found inside a word, except in scripts without spaces. Only the form that is listed is found, and the
translation is written as it is listed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

from attentio.documents.pairs import Pair, read_file, read_pairs
from attentio.text.script import is_unsegmented
from attentio.text.words import Span


class Term(NamedTuple):
    """A term that stands in a text: its place, as it is listed, and its translation."""

    span: Span
    source: str
    target: str


class Glossary:
    """The terms of a glossary. Called with a sentence it gives the phrases that the translation must hold.

    notes: entries that do not count, a sentence each. Glossaries with the same entries are equal, also as keys.
    """

    def __init__(self, entries: Iterable[tuple[str, str]], notes: Iterable[str] = ()) -> None:
        self.entries = dict(entries)
        self.notes = tuple(notes)
        self._key = tuple(self.entries.items())
        self._hash = hash(self._key)

    @classmethod
    def parse(cls, content: bytes, name: str) -> Self:
        """Read a glossary from TSV: source, tab, target. Of two translations of a term the first stays.

        Raises DataError with the line where a side is missing.
        """
        entries: dict[str, Pair] = {}
        notes: list[str] = []
        for pair in read_pairs(content, name):
            first = entries.setdefault(pair.source, pair)
            if first.target != pair.target:
                where = f"{name} line {pair.line}: {pair.source!r} is translated in line {first.line} already"
                notes.append(f"{where}, as {first.target!r}.")
        return cls(((source, pair.target) for source, pair in entries.items()), notes)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a glossary from a file. Raises DataError where it is missing or damaged."""
        return cls.parse(read_file(path), str(path))

    def __call__(self, sentence: str) -> list[str]:
        """Return the phrases that the translation of a sentence must hold, each once."""
        return list(dict.fromkeys(term.target for term in self.find(sentence)))

    def __len__(self) -> int:
        return len(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glossary) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _by_start(self) -> dict[str, list[str]]:
        """The terms by their first two characters, in lower case. The longest come first, then those with capitals."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for source in sorted(self.entries, key=lambda term: (-len(term), term.islower())):
            found[source[:2].lower()].append(source)
        return dict(found)

    def find(self, text: str) -> Iterator[Term]:
        """Yield the terms of a text from left to right. They do not overlap."""
        place = 0
        while place < len(text):
            start = text[place : place + 2].lower()
            terms = chain(self._by_start.get(start, ()), self._by_start.get(start[:1], ()) if start[1:] else ())
            term = next((term for term in terms if _stands(term, text, place)), None)
            if term is None:
                place += 1
                continue
            yield Term((place, place + len(term)), term, self.entries[term])
            place += len(term)


def _stands(term: str, text: str, start: int) -> bool:
    end = start + len(term)
    found = text[start:end]
    if found != term and (term != term.lower() or found.lower() != term):
        return False
    return not (_joins(text[start - 1 : start], found[0]) or _joins(found[-1], text[end : end + 1]))


def _joins(before: str, after: str) -> bool:
    """Return whether two characters belong to one word. Scripts without spaces have no words that could be seen."""
    return before.isalnum() and after.isalnum() and not (is_unsegmented([before]) or is_unsegmented([after]))
