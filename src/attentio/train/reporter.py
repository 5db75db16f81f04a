"""How a training tells how it goes: to a display, and in the log of its run."""

import contextlib
import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from attentio.runtime.files import disk_errors
from attentio.runtime.waiting import WATCH
from attentio.train.plan import OVERTIME

if TYPE_CHECKING:  # importing the loop at run time would import torch before it is needed
    from attentio.train.settings import TrainConfig
    from attentio.train.state import Progress

LOG_EVERY = 10  # updates between lines of the log
FEW_UPDATES = 100  # in which hardly anything is learned
RECENT_SECONDS = 60.0  # of which the speed says how long a run still takes


def too_few(updates: int) -> str:
    """Return what to say of a time limit that leaves fewer updates than `FEW_UPDATES`."""
    return f"the time limit leaves {updates:,} updates. In fewer than {FEW_UPDATES} hardly anything is learned."


def events(log: Path) -> list[dict[str, Any]]:
    """Return the events that a run's log holds, in order. A line that was cut off is passed over."""
    return events_in(log.read_bytes()) if log.is_file() else []


def events_in(text: bytes) -> list[dict[str, Any]]:
    """Return the events in a part of a log."""
    found: list[dict[str, Any]] = []
    for line in text.split(b"\n"):
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                found.append(cast("dict[str, Any]", event))
    return found


def evaluations(log: Path) -> list[dict[str, Any]]:
    """Return the evaluations on dev that a run's log holds, in order, without the name of the event."""
    kept = [event for event in events(log) if event["event"] == "evaluation"]
    return [{name: value for name, value in event.items() if name != "event"} for event in kept]


class Reporter:
    """Where a training tells how it goes. This one tells nobody."""

    def update(self, progress: "Progress", *, epoch: float, total_steps: int, tokens_per_second: float) -> None:
        """Hear of every update."""

    def evaluated(self, progress: "Progress", *, epoch: float) -> None:
        """Hear of every evaluation on dev."""

    def note(self, text: str) -> None:
        """Hear of anything out of the ordinary."""


class Display:
    """Where people read of it. This one shows nothing."""

    def show(self, facts: Mapping[str, str], done: float) -> None: ...
    def line(self, text: str) -> None: ...
    def close(self) -> None: ...


class Clock:
    """Says how long a run still takes, by its speed in the last minute, evaluations included."""

    def __init__(self, max_seconds: float = math.inf) -> None:
        self._max_seconds = max_seconds
        self._recent: deque[tuple[int, float]] = deque()  # updates done, and seconds into the run

    def left(self, step: int, seconds: float, total_steps: int) -> float:
        """Return the seconds left after update number `step` (from 1). Never more than the time limit leaves."""
        self._recent.append((step, seconds))
        while len(self._recent) > 2 and seconds - self._recent[1][1] >= RECENT_SECONDS:
            self._recent.popleft()
        first, began = self._recent[0]
        # The first update of a process is slower than all others, and so alone for as long as there is no other.
        pace = (seconds - began) / (step - first) if step > first else seconds / step
        return max(0.0, min(pace * (total_steps - step), self._max_seconds - seconds))


class TrainingReporter(Reporter):
    """Tells a display and the run's log."""

    def __init__(self, log: Path, display: Callable[[], Display], settings: "TrainConfig") -> None:
        with disk_errors(log):
            torn = log.exists() and log.read_bytes()[-1:] not in (b"", b"\n")
            self._path, self._log = log, log.open("ab", buffering=0)  # nothing waits to be written on a full disk
            self._log.write(b"\n" * torn)
        self._display = display()
        self._limit = math.inf if settings.max_seconds is None else settings.max_seconds
        self._few = min(FEW_UPDATES, settings.max_steps or FEW_UPDATES)  # fewer may be asked for
        self._warned = False
        self._speed = 0.0
        self._clock = Clock(self._limit * (OVERTIME if settings.min_steps > 0 else 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.close()
        self._log.close()

    def update(self, progress: "Progress", *, epoch: float, total_steps: int, tokens_per_second: float) -> None:
        self._speed = tokens_per_second if progress.step == 1 else self._speed + (tokens_per_second - self._speed) / 20
        if progress.step % LOG_EVERY == 0:
            self.event("step", progress, epoch=epoch, tokens_per_second=round(self._speed))
        if text := WATCH.complaint():
            self.note(text)
        if not self._warned and progress.seconds >= self._limit / 10 and total_steps < self._few:
            self._warned = True
            self.note(f"warning: {too_few(total_steps)}")
        left = self._clock.left(progress.step, progress.seconds, total_steps)
        facts = {
            "epoch": f"{math.ceil(epoch)}",
            "step": f"{progress.step:,}/{total_steps:,}",
            "loss": f"{progress.loss:.3f}",
            "dev chrF": "-" if progress.dev_chrf is None else f"{progress.dev_chrf:.1f}",
            "tok/s": f"{self._speed:,.0f}",
            "left": f"{int(left) // 60:02d}:{int(left) % 60:02d}",
        }
        self._display.show(facts, min(1.0, progress.step / total_steps))

    def evaluated(self, progress: "Progress", *, epoch: float) -> None:
        self.event("evaluation", progress, epoch=epoch)
        mark = " (kept)" if progress.best_step == progress.step else ""
        self._display.line(
            f"epoch {epoch:.1f}  step {progress.step:,}  loss {progress.loss:.3f}  "
            f"dev chrF {progress.dev_chrf:.2f}{mark}  {self._speed:,.0f} tok/s  {progress.seconds:.0f} s"
        )

    def note(self, text: str) -> None:
        self._write({"event": "note", "text": text})
        self._display.line(text)

    def plan(self, facts: Mapping[str, object]) -> None:
        """Write what is planned: as the first line of a log, and again where a run goes on to another end."""
        if self._log.tell() == 0 or facts.get("went_on_from"):
            self._write({"event": "plan", **facts})

    def event(self, name: str, progress: "Progress", **facts: object) -> None:
        """Write one line of the log."""
        self._write({"event": name, **asdict(progress), **facts})

    def _write(self, event: Mapping[str, object]) -> None:
        with disk_errors(self._path):
            self._log.write((json.dumps(event, ensure_ascii=False) + "\n").encode())
