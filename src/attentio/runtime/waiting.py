"""How the threads of this process wait for each other: they spin on a quiet machine, and sleep on a busy one.

PyTorch shares every product among OpenMP threads. The thread that is done first spins, which is fastest where every
thread has a core. On a busy machine it spins on the core that the other one waits for. OpenMP on Linux (libgomp) spins
for a short time only where a process has more threads than cores. So `Sleepers`, a team of threads that do nothing,
let all others sleep. When the team ends, the others spin again.

Linux says how long each thread was ready to run and had no core. Elsewhere, and with one thread, nothing is done.
"""

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

POLL_SECONDS = 0.2
IDLE_SECONDS = 10.0  # after the last work, watching ends
BUSY = 0.08  # share of the time without a core, from which threads sleep
QUIET = 0.02  # below this, for so many polls, they spin again
QUIET_POLLS = 15
SCARCE = 0.5  # share from which people are told
SCARCE_SECONDS = 10.0
_TASKS = Path("/proc/self/task")
_OPENMP = "libgomp.so.1"


class Turns(NamedTuple):
    """For how long threads ran, and for how long they were ready and had no core, in seconds."""

    ran: float
    waited: float

    @property
    def share(self) -> float:
        """The share of the time asked for that was not given. 0 where nothing was asked for."""
        asked = self.ran + self.waited
        return self.waited / asked if asked > 0 else 0.0


class Mode(NamedTuple):
    """Whether threads sleep while they wait, and for how many polls it has been quiet since."""

    sleeping: bool = False
    quiet: int = 0

    def after(self, share: float) -> "Mode":
        """Return the mode after a poll in which threads lacked a core for this share of the time."""
        if share >= BUSY:
            return Mode(sleeping=True)
        if not self.sleeping or share >= QUIET:
            return Mode(self.sleeping)
        quiet = self.quiet + 1
        return Mode() if quiet >= QUIET_POLLS else Mode(sleeping=True, quiet=quiet)


def read_turns(tasks: Path = _TASKS) -> dict[str, Turns]:
    """Return the turns of every thread since it began, by its number. Empty where the system does not say."""
    found: dict[str, Turns] = {}
    with contextlib.suppress(OSError):
        for task in tasks.iterdir():
            with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
                ran, waited, _ = (task / "schedstat").read_text().split()
                found[task.name] = Turns(int(ran) / 1e9, int(waited) / 1e9)
    return found


def turns_between(before: Mapping[str, Turns], after: Mapping[str, Turns]) -> Turns:
    """Return what all threads got between two readings. Threads that ended between them are left out."""
    ran = waited = 0.0
    for name, turns in after.items():
        first = before.get(name, Turns(0.0, 0.0))
        first = Turns(0.0, 0.0) if turns.ran < first.ran else first  # the number was given to a new thread
        ran, waited = ran + turns.ran - first.ran, waited + turns.waited - first.waited
    return Turns(ran, waited)


class Sleepers:
    """Threads that do nothing, so that libgomp counts more threads than cores."""

    def __init__(self, count: int) -> None:
        self._ready, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(count,), daemon=True, name="attentio-sleepers")
        self._thread.start()
        self._ready.wait()

    def _hold(self, count: int) -> None:
        import torch

        try:
            values = torch.zeros(1 << 16)
            values.add_(1)  # PyTorch sets up the threads of a new thread at its first product
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / _OPENMP)).omp_set_num_threads(count)
                values.add_(1)  # starts the team
        finally:
            self._ready.set()
        self._end.wait()

    def end(self) -> None:
        """End the team."""
        self._end.set()
        self._thread.join()


class Watch:
    """Watches how busy the machine is while this process works, and lets its threads sleep or spin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working = 0
        self._last_work = 0.0
        self._thread: threading.Thread | None = None
        self._scarce: float | None = None
        self._told = False
        self.mode = Mode()

    @contextlib.contextmanager
    def work(self, *, small: bool = False) -> Generator[None]:
        """Watch while the block runs. Blocks may be nested and stand in several threads.

        small: not worth waking a thread that sleeps. On a busy machine one thread does it all.
        """
        with self._lock:
            self._working += 1
            if self._thread is None and _can_watch():
                self._thread = threading.Thread(target=self._run, daemon=True, name="attentio-waiting")
                self._thread.start()
        try:
            with one_thread() if small and self.mode.sleeping else contextlib.nullcontext():
                yield
        finally:
            with self._lock:
                self._working -= 1
                self._last_work = time.monotonic()

    def complaint(self) -> str | None:
        """Return, once in a process, that it gets less than half of the processor time that it asks for."""
        if self._scarce is None or self._told:
            return None
        self._told = True
        return f"this machine is busy: this process gets {1 - self._scarce:.0%} of the processor time that it asks for"

    def _run(self) -> None:
        sleepers: Sleepers | None = None
        before = first = read_turns()
        since = time.monotonic()
        while self._needed():
            time.sleep(POLL_SECONDS)
            now = read_turns()
            self.mode = self.mode.after(turns_between(before, now).share)
            before = now
            if self.mode.sleeping and sleepers is None:
                sleepers = Sleepers(_team_size())
            elif not self.mode.sleeping and sleepers is not None:
                sleepers.end()
                sleepers = None
            if time.monotonic() - since >= SCARCE_SECONDS:
                share = turns_between(first, now).share
                self._scarce = share if share > SCARCE else self._scarce
                first, since = now, time.monotonic()
        if sleepers is not None:
            sleepers.end()

    def _needed(self) -> bool:
        with self._lock:
            if self._working > 0 or time.monotonic() - self._last_work < IDLE_SECONDS:
                return True
            self._thread, self.mode = None, Mode()
            return False


@contextlib.contextmanager
def one_thread() -> Generator[None]:
    """Let PyTorch use one thread while the block runs."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _can_watch() -> bool:
    import torch

    return sys.platform == "linux" and torch.get_num_threads() > 1 and bool(read_turns())


def _team_size() -> int:
    """Return how many idle threads make more than there are cores, with those that work."""
    import torch

    return max(2, len(os.sched_getaffinity(0)) - torch.get_num_threads() + 2)


WATCH = Watch()


def _forget() -> None:
    WATCH.__init__()  # a copy of this process has none of its threads, and perhaps a locked lock


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
