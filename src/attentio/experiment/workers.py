"""The processes that fill a comparison: how one is started, waited for, and what it may answer.

Every piece of work is a process of its own: a training that runs out of memory ends alone, what is measured of a
process is of nothing else, and the process that starts them never loads a framework. A worker ends when whoever started
it is gone, however it went.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from attentio.errors import AttentioError, ResourceError
from attentio.experiment.folder import POLL_SECONDS
from attentio.runtime.files import read_json
from attentio.runtime.stop import StopRequest

_FULL_DISK = ("E_DISK", "E_DISK_FULL")


class Stopped(Exception):  # noqa: N818
    """Ctrl-C or SIGTERM came, and all work has been saved."""

    def __init__(self, signal: int) -> None:
        super().__init__()
        self.signal = signal


class JobError(AttentioError):
    """What a worker could not do, in its own words."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"], hint=error["hint"], code=error["code"], file=error["file"])
        self.exit_status = error["status"]


@dataclass(frozen=True)
class Workers:
    """Starts workers and waits for them; `stop` says whether Ctrl-C or SIGTERM came. Threads may share it."""

    stop: StopRequest
    inherited: tuple[int, ...] = ()
    given_up: Event = field(default_factory=Event)  # set: every worker is killed

    def do(
        self,
        work: str,
        arguments: Mapping[str, Any],
        answer: Path,
        *,
        watch: Callable[[], None] = lambda: None,
        threads: int | None = None,
    ) -> Any:
        """What the worker answered, which then stands in the file `answer`; `watch` is called now and then.

        threads: those of its arithmetic; None leaves that to the libraries. Raises JobError when the work cannot be
        done, ResourceError when the disk is full, Stopped when asked to stop.
        """
        if self.stop.signal is not None:
            raise Stopped(self.stop.signal)
        answer.parent.mkdir(parents=True, exist_ok=True)
        log = answer.with_suffix(".log")
        job = json.dumps({"work": work, "arguments": arguments, "answer": str(answer)})
        program = "from attentio.experiment.jobs import work; work()"
        environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", program, job],
                stdin=subprocess.PIPE,  # which ends when this process does
                stdout=said,
                stderr=said,
                start_new_session=True,  # so that Ctrl-C comes to this process alone
                pass_fds=self.inherited,
                env=environment,
            )
            try:
                self._wait(process, watch)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        if self.stop.signal is not None:
            raise Stopped(self.stop.signal)
        if not log.stat().st_size:
            log.unlink()
        return self._answered(process, answer, log)

    def _wait(self, process: "subprocess.Popen[bytes]", watch: Callable[[], None]) -> None:
        asked = False
        while process.poll() is None:
            if self.stop.requested() and not asked:
                process.send_signal(signal.SIGTERM)
                asked = True
            if self.given_up.is_set():
                process.kill()
            watch()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)

    def _answered(self, process: "subprocess.Popen[bytes]", answer: Path, log: Path) -> Any:
        status = process.returncode
        found: dict[str, Any] = read_json(answer) or {}
        if status != 0 or not found:
            why = f"ended with status {status}"
            if status < 0:
                why = f"was ended by {signal.Signals(-status).name}"
                why += ", as when memory runs out" if status == -signal.SIGKILL else ""
            raise JobError(failure(f"the process {why}." + (f" See {log}." if log.exists() else ""), "E_WORKER", 1))
        return answer_of(found)


def num_processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answer_of(found: Mapping[str, Any]) -> Any:
    """The answer of a worker. Raises JobError for what it could not do, ResourceError when the disk is full."""
    error = found.get("error")
    if error is None:
        return found["answer"]
    if error["code"] in _FULL_DISK:  # the next cell would fail as well
        raise ResourceError(error["message"], hint=error["hint"], code=error["code"], file=error["file"])
    raise JobError(error)


def failure(message: str, code: str, status: int) -> dict[str, Any]:
    """What a worker answers in place of an answer."""
    where: dict[str, Any] = {"hint": None, "file": None, "line": None}
    return {"code": code, "message": " ".join(message.split()), "status": status, **where}


INTERRUPTED = failure("the training was interrupted.", "E_STOPPED", 1)
