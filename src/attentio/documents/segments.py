"""A segment: the text that is translated at once, with codes inside it that stand for formatting.

A translator sees each code as a short tag (`<g1>`, `</g1>`, `<x2/>`), which placeholders keep. Here the tags become
codes again. Where a translation has lost one, all codes are put around the text and the loss is said.
"""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

from attentio.text.words import Span

Kind = Literal["open", "close", "alone"]
_SPACE = re.compile(r"\s+")


class Code(NamedTuple):
    """Formatting inside a text. parts: what it writes. shown: how a message names it. pair: opening and closing."""

    kind: Kind
    parts: tuple[Any, ...]
    shown: str
    pair: int = 0


Run: TypeAlias = str | Code
Write: TypeAlias = Callable[[Sequence[Run]], Iterable[str | Span]]


class Slot(NamedTuple):
    """A place of a document, (start, end) characters of its text, and the runs of which a translation is put there.

    write: the new content as texts, and as spans of the document that are copied. always: also where the translation
    is the text itself, as the place holds something else.
    """

    start: int
    end: int
    runs: tuple[Run, ...]
    write: Write
    always: bool = False


class Filled(NamedTuple):
    """Runs with a translation in them. lost: codes that it did not hold, as messages name them."""

    runs: list[Run]
    lost: tuple[str, ...]


class Segment:
    """Runs as one text with tags, and a translation of that text as runs again.

    text: what is translated. White space and codes around it stay where they are.
    collapse: white space inside counts as one space, as in HTML.
    """

    def __init__(self, runs: Sequence[Run], *, collapse: bool = True) -> None:
        found = _merged(_paired(_joined(runs)))
        self._before, inner, self._after = _trimmed(found)
        self._codes = [run for run in inner if isinstance(run, Code)]
        plain = "".join(run for run in inner if isinstance(run, str))
        self._name = "g"
        while f"<{self._name}" in plain or f"</{self._name}" in plain:
            self._name += "g"
        self._tag = re.compile(rf"<(/?){self._name}(\d+)(/?)>")
        names = iter(self._tags())
        text = "".join(run if isinstance(run, str) else next(names) for run in inner)
        self.text = _SPACE.sub(" ", text) if collapse else text
        self.plain = plain

    @property
    def is_text(self) -> bool:
        return any(character.isalpha() for character in self.plain)

    def filled(self, answer: str) -> Filled:
        """Return the runs of a translation, with every code in it exactly once and properly nested.

        Codes stand where the translation has them. Where that would nest them wrongly, they keep their places and
        take the order of the source.
        """
        runs: list[Run] = []
        codes = dict(zip(self._tags(), self._codes, strict=True))
        found: Counter[str] = Counter()
        end = 0
        for tag in self._tag.finditer(answer):
            if tag[0] in codes:
                runs += [answer[end : tag.start()], codes[tag[0]]]
                found[tag[0]] += 1
                end = tag.end()
        runs.append(answer[end:])
        lost = tuple(code.shown for tag, code in codes.items() if found[tag] != 1)
        if lost:
            opening = [code for code in self._codes if code.kind == "open"]
            text = "".join(run for run in runs if isinstance(run, str))
            runs = [*opening, text, *(code for code in self._codes if code.kind != "open")]
            if not _is_nested(runs):
                runs = [text, *self._codes]
        elif not _is_nested(runs):
            in_order = iter(self._codes)
            runs = [run if isinstance(run, str) else next(in_order) for run in runs]
        return Filled([*self._before, *(run for run in runs if run), *self._after], lost)

    def without_tags(self, text: str) -> str:
        """Return a text without the tags of this segment, for people to read."""
        return self._tag.sub("", text) if self._codes else text

    def is_tag(self, text: str) -> bool:
        return self._tag.fullmatch(text) is not None

    def _tags(self) -> list[str]:
        numbers: dict[int, int] = {}
        tags: list[str] = []
        for number, code in enumerate(self._codes, 1):
            if code.kind == "alone":
                tags.append(f"<{self._name}{number}/>")
            else:
                numbers.setdefault(code.pair, number)
                tags.append(f"<{'/' if code.kind == 'close' else ''}{self._name}{numbers[code.pair]}>")
        return tags


def written(escape: Callable[[str], str]) -> Write:
    """Return the usual way to write runs: texts escaped, and codes as they are."""

    def write(runs: Sequence[Run]) -> Iterator[str | Span]:
        for run in runs:
            if isinstance(run, str):
                yield escape(run)
            else:
                yield from run.parts

    return write


def splice(text: str, edits: Sequence[tuple[int, int, Iterable[str | Span]]]) -> str:
    """Return a text with edits made. Each is (start, end, what stands there now), in any order.

    What is copied from elsewhere in the text has the edits of its own place in it.
    """
    ordered = sorted(edits, key=lambda edit: (edit[0], -edit[1]))

    def copied(start: int, end: int, first: int) -> Iterator[str]:
        place = start
        for number in range(first, len(ordered)):
            begin, stop, parts = ordered[number]
            if begin >= end and not (begin == stop == end == len(text)):
                break
            if begin < place or stop > end:
                continue
            yield text[place:begin]
            for part in parts:
                if isinstance(part, str):
                    yield part
                else:
                    yield from copied(*part, number + 1)
            place = stop
        yield text[place:end]

    return "".join(copied(0, len(text), 0))


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with neighboring texts as one, without empty ones."""
    found: list[Run] = []
    for run in runs:
        if isinstance(run, str) and found and isinstance(before := found[-1], str):
            found[-1] = before + run
        elif run:
            found.append(run)
    return found


def _paired(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with numbered pairs. What opens or closes alone becomes a code of its own."""
    found = list(runs)
    open_: list[int] = []  # places of what is open
    of_pair: defaultdict[int, list[int]] = defaultdict(list)  # the same, by pair
    for place, run in enumerate(found):
        if isinstance(run, str) or run.kind == "alone":
            continue
        if run.kind == "open":
            open_.append(place)
            of_pair[run.pair].append(place)
        elif not of_pair[run.pair]:
            found[place] = run._replace(kind="alone", pair=0)
        else:
            match = of_pair[run.pair][-1]
            while (last := open_.pop()) != match:
                of_pair[_code(found[last]).pair].pop()
                found[last] = _code(found[last])._replace(kind="alone", pair=0)
            of_pair[run.pair].pop()
            found[match], found[place] = _code(found[match])._replace(pair=match + 1), run._replace(pair=match + 1)
    for unclosed in open_:
        found[unclosed] = _code(found[unclosed])._replace(kind="alone", pair=0)
    return found


def _merged(runs: list[Run]) -> list[Run]:
    """Return the runs with pairs that surround the same text as one pair, and neighbors that stand alone as one."""
    closes = {run.pair: place for place, run in enumerate(runs) if isinstance(run, Code) and run.kind == "close"}
    outermost: dict[int, int] = {}
    for outer, inner in pairwise(runs):
        if isinstance(outer, str) or isinstance(inner, str) or not outer.kind == inner.kind == "open":
            continue
        if closes[outer.pair] == closes[inner.pair] + 1:
            outermost[inner.pair] = outermost.get(outer.pair, outer.pair)
    found: list[Run] = []
    for run in runs:
        if isinstance(run, Code):
            run = run._replace(pair=outermost.get(run.pair, run.pair))
            last = found[-1] if found else None
            if isinstance(last, Code) and (last.kind, last.pair) == (run.kind, run.pair):
                shown = last.shown if last.shown == run.shown else last.shown + run.shown
                found[-1] = Code(run.kind, last.parts + run.parts, shown, run.pair)
                continue
        found.append(run)
    return found


def _closes(run: Run, code: Code) -> bool:
    return isinstance(run, Code) and run.kind == "close" and run.pair == code.pair


def _code(run: Run) -> Code:
    assert isinstance(run, Code)
    return run


def _trimmed(runs: list[Run]) -> tuple[list[Run], list[Run], list[Run]]:
    """Return what stands before the text, the text with its codes, and what stands after it."""
    before: list[Run] = []
    after: list[Run] = []  # from the last to the first
    inner = deque(runs)
    changed = True
    while inner and changed:
        changed = False
        if isinstance(first := inner[0], str):
            if space := first[: len(first) - len(first.lstrip())]:
                before.append(space)
                inner.popleft()
                inner.extendleft(filter(None, [first.lstrip()]))
                changed = True
        elif first.kind == "alone":
            before.append(inner.popleft())
            changed = True
        if inner and isinstance(last := inner[-1], str):
            if space := last[len(last.rstrip()) :]:
                after.append(space)
                inner.pop()
                inner.extend(filter(None, [last.rstrip()]))
                changed = True
        elif inner and _code(inner[-1]).kind == "alone":
            after.append(inner.pop())
            changed = True
        if len(inner) > 1 and isinstance(inner[0], Code) and inner[0].kind == "open" and _closes(inner[-1], inner[0]):
            before.append(inner.popleft())
            after.append(inner.pop())
            changed = True
    return before, list(inner), after[::-1]


def _is_nested(runs: Sequence[Run]) -> bool:
    """Return whether every pair opens before it closes, and closes before what is around it."""
    open_: list[int] = []
    for run in runs:
        if isinstance(run, str) or run.kind == "alone":
            continue
        if run.kind == "open":
            open_.append(run.pair)
        elif not open_ or open_.pop() != run.pair:
            return False
    return not open_
