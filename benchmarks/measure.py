"""Commands under watch, taken by turns: how long each ran, how much memory it held, and when each of its lines came.

Whatever slows the machine down for a while slows contestants that take turns alike, so ratios are formed turn by turn.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

T = TypeVar("T")

ATTENTIO = (sys.executable, "-m", "attentio")
_LOOK_EVERY = 0.02  # seconds between looks at a command's memory
_SHOWN_LINES = 20  # of a command that failed


class Finished(NamedTuple):
    """A command that ended well: wall-clock seconds, most bytes of memory held (None: unknown here), lines printed."""

    seconds: float
    peak_bytes: int | None
    lines: list[tuple[float, str]]  # seconds after the start, and the text


def run(
    command: Sequence[str], *, threads: int, stdin: str = "", environment: Mapping[str, str] | None = None
) -> Finished:
    """Runs a command to its end; ends this program with the command's last lines when it fails."""
    settings = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # an installed program does not compile its source at every start
        "PYTHONWARNINGS": "ignore",
        **(environment or {}),
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **settings},
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    watch = _MemoryWatch(process.pid)
    watch.start()
    with process:
        with suppress(BrokenPipeError):  # it ended without reading: its status will say why
            process.stdin.write(stdin)
            process.stdin.close()
        lines = [(time.perf_counter() - started, line.rstrip("\n")) for line in process.stdout]
        status = process.wait()
        seconds = time.perf_counter() - started
    watch.stop()
    if status != 0:
        last = "\n".join(text for _, text in lines[-_SHOWN_LINES:])
        raise SystemExit(f"{last}\nerror: {' '.join(command)} ended with status {status}.")
    return Finished(seconds, watch.peak_bytes, lines)


class _MemoryWatch(threading.Thread):
    """Follows the high-water mark of a process's memory until told to stop.

    The mark that `wait4` returns would not do: a new process inherits that of the one that started it.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes: int | None = None
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            try:
                text = self._status.read_text(encoding="ascii", errors="replace")
            except OSError:
                return
            for line in text.splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_bytes = int(line.split()[1]) * 1024

    def stop(self) -> None:
        self._over.set()
        self.join()


def by_turns(contestants: Mapping[str, Callable[[int], T]], rounds: int) -> dict[str, list[T]]:
    """Calls every contestant once a round with the number of the round; what each returned, by round."""
    found: dict[str, list[T]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, contestant in contestants.items():
            sys.stderr.write(f"round {number + 1} of {rounds}: {name}\n")
            found[name].append(contestant(number))
    return found


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float | None], digits: int = 0) -> str:
    """The median with the least and the greatest: `7,600 (7,410–8,460)`; a dash where there is nothing."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    middle = f"{median(known):,.{digits}f}"
    if len(known) == 1:
        return middle
    return f"{middle} ({min(known):,.{digits}f}–{max(known):,.{digits}f})"
