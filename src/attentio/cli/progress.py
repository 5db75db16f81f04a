"""Where people read how a training goes: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping

from attentio.train.reporter import Display

PLAIN_SECONDS = 10.0  # between plain lines


def speaker(*, quiet: bool) -> Callable[[str], None]:
    """Return what says remarks while no display is open: on standard error, or nowhere."""
    return Display().line if quiet else lambda text: print(text, file=sys.stderr)


def display(*, quiet: bool) -> Display:
    """Return a display on standard error: a live bar on a terminal, plain lines elsewhere, nothing if `quiet`."""
    return Display() if quiet else _Live() if sys.stderr.isatty() else _Plain()


class _Plain(Display):
    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, facts: Mapping[str, str], done: float) -> None:
        if time.monotonic() - self._last >= PLAIN_SECONDS:
            self.line(f"{done:4.0%}  " + "  ".join(f"{name} {value}" for name, value in facts.items()))

    def line(self, text: str) -> None:
        self._last = time.monotonic()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class _Live(Display):
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.fields[facts]}"))
        self._progress = Progress(*columns, console=Console(stderr=True, highlight=False))
        self._progress.start()
        self._task = self._progress.add_task("", total=1.0, facts="")

    def show(self, facts: Mapping[str, str], done: float) -> None:
        text = "  ".join(f"{name} {value}" for name, value in facts.items())
        self._progress.update(self._task, completed=done, facts=text)

    def line(self, text: str) -> None:
        self._progress.console.print(text, markup=False)

    def close(self) -> None:
        self._progress.stop()
