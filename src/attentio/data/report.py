"""What happened to the data: every dropped pair with its reason, and the figures of a preparation.

`DropLog` is filled while reading and cleaning. `DataReport` is what remains, saved as JSON and shown as a few lines.
Nothing here decides anything.
"""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TextIO

from pydantic import TypeAdapter, ValidationError

from attentio.errors import DataError
from attentio.runtime.files import write_json

_FIRST = 3  # line numbers remembered per reason
_PHRASES = {
    "empty": "with an empty side",
    "one column": "with one column",
    "identical": "with the same text on both sides",
    "length ratio": "with sides of very different lengths",
    "duplicate": "met before",
    "too long": "over the longest length (--max-length)",
    "in held-out file": "sharing a side with the dev or test file",
    "language missing": "without one of the languages",
}


class DropLog:
    """Counts dropped pairs by part and reason and lists them in a TSV file: part, line, reason, source, target."""

    def __init__(self, listing: Path | None = None) -> None:
        self.notes: list[str] = []
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.first: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.mended: Counter[str] = Counter()
        self._file: TextIO | None = None
        if listing is not None:
            self._file = listing.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
            self._file.write("part\tline\treason\tsource\ttarget\n")

    def drop(self, part: str, reason: str, line: int, source: str = "", target: str = "") -> None:
        """Note that one pair is left out. Its texts are flattened to one line."""
        self.counts[part][reason] += 1
        first = self.first[part, reason]
        if len(first) < _FIRST:
            first.append(line)
        if self._file is not None:
            texts = (" ".join(text.split()) for text in (source, target))
            self._file.write("\t".join((part, str(line), reason, *texts)) + "\n")

    def note(self, text: str) -> None:
        """Note once what a user should know and what is no error."""
        if text not in self.notes:
            self.notes.append(text)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass(frozen=True)
class Leak:
    """Shares (0 to 1) of held-out pairs whose source, target, or either also stands in the training part."""

    source: float
    target: float
    either: float


@dataclass(frozen=True)
class PartReport:
    """One corpus of a preparation."""

    name: str
    read: int
    dropped: dict[str, int]
    first_dropped: dict[str, list[int]]  # reason -> first line numbers
    train: int
    dev: int
    test: int


@dataclass(frozen=True)
class SideReport:
    """One side of all training pairs. Lengths are in tokens."""

    language: str | None
    tokenizer: str
    vocab_size: int
    script_mix: dict[str, float] | None  # before conversion. None where no Chinese is
    mean_length: float
    longest: int
    unseen_in_test: int  # different words or characters of the held-out sets that training never saw


@dataclass(frozen=True)
class DataReport:
    """The figures of one preparation."""

    parts: list[PartReport]
    source: SideReport
    target: SideReport
    train: int
    dev: int
    test: int
    components: int
    largest_component: int
    leak_random: Leak | None  # had the same numbers been held out at random
    leak: Leak | None
    mended: dict[str, int] = field(default_factory=dict)  # characters changed by cleaning, by kind
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    schema: int = 1

    @property
    def dropped(self) -> dict[str, int]:
        """Return the dropped pairs of all parts by reason, most frequent first."""
        total: Counter[str] = Counter()
        for part in self.parts:
            total.update(part.dropped)
        return dict(total.most_common())

    def lines(self, report: Path | None = None) -> list[str]:
        """Return the report for people: one fact a line."""
        kept = self.train + self.dev + self.test
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items())
        shown = f"data   {kept:,} pairs kept, {sum(self.dropped.values()):,} dropped"
        shown = [shown + f" ({reasons})" * bool(reasons) + (f"   report: {report}" if report else "")]
        held = f"{self.dev:,} dev, {self.test:,} test" if self.dev or self.test else "no held-out part"
        if self.leak is not None and self.leak_random is not None:
            held += f"; of the held-out pairs {100 * self.leak.either:.1f} % have a side in train "
            held += f"(a random split: {100 * self.leak_random.either:.1f} %)"
        shown.append(f"split  {self.train:,} train, {held}")
        for name, side in (("source", self.source), ("target", self.target)):
            line = f"{name} {side.language or 'unknown language'}, {side.tokenizer}, {side.vocab_size:,} tokens, "
            line += f"mean length {side.mean_length:.1f}, longest {side.longest}"
            unseen = side.unseen_in_test
            shown.append(line + (f", {unseen:,} unseen in held-out text" if unseen else ""))
            if side.script_mix:
                mix = ", ".join(f"{100 * share:.1f} % {script}" for script, share in side.script_mix.items())
                shown.append(f"script {mix} (before conversion)")
        return [*shown, *(f"note   {note}" for note in self.notes)]

    def summary(self) -> dict[str, object]:
        """Return what was kept and what was not, as `train --json` prints it."""
        facts = {"train": self.train, "dev": self.dev, "test": self.test, "dropped": self.dropped}
        return {**facts, "mended": self.mended, "notes": self.notes}

    def warnings(self) -> list[str]:
        """Return one line for each reason for which a part lost pairs, with the first lines where it did."""
        shown: list[str] = []
        for part in self.parts:
            for reason, count in part.dropped.items():
                lines, many = part.first_dropped[reason], "s" * (count > 1)
                first = f"first: line{'s' * (len(lines) > 1)} {', '.join(f'{line:,}' for line in lines)}"
                what = f"pair{many} {_PHRASES.get(reason, reason)} dropped"
                what = f"blank line{many} skipped" if reason == "blank" else what
                shown.append(f"warning: {part.name}: {count:,} {what} ({first}).")
        return shown

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "DataReport":
        """Read what `save` wrote. Raise DataError where it is missing or damaged."""
        try:
            return _reader().validate_json(path.read_bytes())
        except (OSError, ValidationError):
            raise DataError(f"{path} is missing or damaged.", hint="Prepare the data again.", file=path) from None


@cache
def _reader() -> TypeAdapter[DataReport]:
    return TypeAdapter(DataReport)
