"""What is said of a translation at its end: one line for each kind of note, also of a long file."""

import sys
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attentio.translator import Translation, Translator


class Notes:
    """Notes on the lines of an input, or on the segments of a document. They can be sent to another process."""

    def __init__(self, translator: "Translator", unit: str = "line") -> None:
        self._language = translator.source_language
        self._longest = translator.bundle.longest_source
        self._unit = unit
        self._gathered: list[str] = []
        self._first: dict[str, int] = {}  # number of the first line of each kind, from 1
        self._count: Counter[str] = Counter()  # lines of each kind
        self._lost: tuple[str, ...] = ()  # in the first line that lacks something
        self._unseen: dict[str, int] = {}  # words, with the first line of each
        self._unforced: dict[str, int] = {}

    def check_language(self, lines: list[str]) -> None:
        """Write a note where the text looks like another language than the model reads."""
        from attentio.text.script import base_language, guess_language

        reads, found = base_language(self._language), guess_language(lines)
        if reads is not None and found is not None and reads != found:
            sys.stderr.write(f"note: the text looks like {found!r}, and this model reads {reads!r}.\n")

    def gather(self, *notes: str) -> None:
        self._gathered += notes

    def add(self, translation: "Translation", number: int) -> None:
        """Add what is to be said of one line. number: from 1."""
        kinds = {
            "cut": translation.cut,
            "joined": len(translation.parts) > 1,  # of several sentences
            "lost": translation.lost,
            "around": translation.around,
            "unforced": translation.unforced,
            "unseen": translation.unseen,
        }
        self._meet({kind: number for kind, met in kinds.items() if met}, translation.lost)
        for kept, words in ((self._unseen, translation.unseen), (self._unforced, translation.unforced)):
            for word in words:
                kept.setdefault(word, number)

    def join(self, other: "Notes") -> None:
        """Add the notes on other lines, which may come before or after."""
        self._meet(other._first, other._lost, other._count)
        for kept, words in ((self._unseen, other._unseen), (self._unforced, other._unforced)):
            for word, number in words.items():
                kept[word] = min(number, kept.get(word, number))

    def _meet(self, first: Mapping[str, int], lost: tuple[str, ...], count: Mapping[str, int] | None = None) -> None:
        for kind, number in first.items():
            if number < self._first.get(kind, number + 1):
                self._first[kind] = number
                if kind == "lost":
                    self._lost = lost
        self._count.update(first.keys() if count is None else count)

    def _named(self, kind: str) -> str:
        more = self._count[kind] - 1
        return f"{self._unit} {self._first[kind]}" + (f" and {more:,} more" if more else "")

    def write(self, *, nbest: int) -> None:
        sys.stderr.writelines(f"note: {note}\n" for note in self._gathered)
        if self._count["cut"]:
            sys.stderr.write(
                f"warning: sentences longer than the {self._longest} tokens of training, cut "
                f"into parts: {self._named('cut')}.\n"
            )
        if self._count["joined"] and nbest > 1:
            sys.stderr.write(f"note: several sentences, and so one hypothesis: {self._named('joined')}.\n")
        if more := self._count["lost"]:
            sys.stderr.write(
                f"warning: not kept in the translation: {' '.join(self._lost)} ({self._unit} {self._first['lost']})"
                + (f" and others in {more - 1:,} more {self._unit}s" if more > 1 else "")
                + ". See `lost` in --json.\n"
            )
        if self._count["unforced"]:
            terms = _first_five(self._unforced)
            sys.stderr.write(f"warning: terms of the glossary that are missing: {terms} ({self._named('unforced')}).\n")
        if self._count["around"]:
            sys.stderr.write(
                "note: cut at what must be kept, which the model would have lost, and translated in parts: "
                f"{self._named('around')}.\n"
            )
        if self._count["unseen"]:
            sys.stderr.write(
                f"note: {len(self._unseen)} never seen in training ({_first_five(self._unseen)}): "
                f"{self._named('unseen')}. Expect poor output there.\n"
            )


def _first_five(words: Mapping[str, int]) -> str:
    return " ".join(islice(sorted(words, key=words.__getitem__), 5)) + (" …" if len(words) > 5 else "")
