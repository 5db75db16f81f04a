"""How far a comparison is: what the logs of its trainings say, afterwards and while they are written."""

import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from attentio.experiment.statistics import Point
from attentio.train.reporter import Display, events, events_in
from attentio.train.settings import TrainConfig


class TrainingLog(NamedTuple):
    """What the log of a run says of its training."""

    steps: int | None = None
    training_seconds: float | None = None
    tokens_per_second: float | None = None
    curve: tuple[Point, ...] = ()

    def __str__(self) -> str:
        best = f"best dev chrF {max(point.chrf for point in self.curve):.1f}, " if self.curve else ""
        return f"{best}{self.steps or 0:,} steps, {self.training_seconds or 0:.0f} s"


def read_log(path: Path) -> TrainingLog:
    """Read a run's log.jsonl. What was done again after an interruption counts once, a broken line is skipped.

    tokens_per_second: the median of the running speed of the updates, without evaluations. Where there is none, it is
    target tokens by all seconds.
    """
    done = [event for event in events(path) if "step" in event]
    if not done:
        return TrainingLog()
    speeds = {event["step"]: event["tokens_per_second"] for event in done if event["event"] == "step"}
    points = {event["step"]: event for event in done if event["event"] == "evaluation"}
    curve = tuple(Point(round(points[n]["seconds"], 3), n, points[n]["dev_chrf"]) for n in sorted(points))
    last = done[-1]
    speed = float(median(speeds.values())) if speeds else last["target_tokens"] / last["seconds"]
    return TrainingLog(last["step"], round(last["seconds"], 3), speed, curve)


class Clock:
    """How far all trainings are, and how long the rest will take, when so many run `at_once`."""

    def __init__(self, total: int, seconds_each: float | None, *, at_once: int = 1) -> None:
        self.total = total
        self._each, self._at_once = seconds_each, at_once
        self._took: list[float] = []
        self._began: dict[int, float] = {}
        self._share: dict[int, float] = {}

    def begin(self, number: int) -> None:
        self._began[number], self._share[number] = time.monotonic(), 0.0

    def end(self, number: int) -> None:
        took = time.monotonic() - self._began[number]
        if took > 1.0:  # what was done before took no time, and says nothing
            self._took.append(took)
        self._share[number] = 1.0

    def running(self) -> list[int]:
        return sorted(number for number, share in list(self._share.items()) if share < 1.0)

    def place(self, number: int, share: float) -> tuple[str, float]:
        """Return the time left, in words, and the share of all that is done, when `share` of `number` is done."""
        self._share[number] = min(share, 0.999)
        each = sum(self._took) / len(self._took) if self._took else self._each
        if each is None and share > 0.02:
            each = (time.monotonic() - self._began[number]) / share
        done = sum(list(self._share.values()))
        if each is None:
            return "?", done / self.total
        minutes, seconds = divmod(int(each * max(0.0, self.total - done) / min(self._at_once, self.total)), 60)
        hours = f"{minutes // 60}:" if minutes >= 60 else ""
        return f"{hours}{minutes % 60:02d}:{seconds:02d}", done / self.total


class Watch:
    """Follows the log of one training, number `number` of all, and tells the display."""

    def __init__(self, log: Path, settings: TrainConfig, shown: Display, clock: Clock, number: int, name: str) -> None:
        self._log, self._settings, self._shown, self._clock = log, settings, shown, clock
        self._number, self._name = number, name
        self._offset = 0
        self._last: dict[str, Any] = {}

    def __call__(self) -> None:
        """Tell what is new in the log."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._offset += len(whole)
            for event in events_in(whole):
                self._last |= {key: value for key, value in event.items() if value is not None}
        ends = {"seconds": self._settings.max_seconds, "step": self._settings.max_steps, "epoch": self._settings.epochs}
        key, end = next((key, end) for key, end in ends.items() if end is not None)
        left, done = self._clock.place(self._number, min(1.0, self._last.get(key, 0) / end))
        running = self._clock.running()
        if self._number != running[0]:
            return  # one line of facts: those of the training that began first
        facts = {
            "training": f"{self._number + 1}/{self._clock.total}"
            + f" and {len(running) - 1} more" * (len(running) > 1),
            "cell": self._name,
            "seed": str(self._settings.seed),
            "step": f"{self._last.get('step', 0):,}",
            "dev chrF": f"{self._last['dev_chrf']:.1f}" if "dev_chrf" in self._last else "-",
            "left in all": left,
        }
        self._shown.show(facts, min(1.0, done))
