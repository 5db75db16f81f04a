"""The processes that do work for this one: copies of it that share out items, and fresh ones that run one function.

- `share_out` copies this process (a fork), so that a model is neither sent nor loaded again. Each copy has a processor
  core to itself. Two cores with a batch each do more than two cores that share every product of one batch. None waits
  for the other, and the work of Python between products is shared out as well.
- `Workers` starts a fresh process for each piece of work. A process that runs out of memory ends alone. What is
  measured of it belongs to nothing else. The process that starts it never loads torch.

No worker outlives the process that started it, however that ended.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar, cast

from filelock import FileLock

from attentio.errors import AttentioError, ResourceError
from attentio.runtime.files import FULL_DISK, disk_errors, read_json, write_json
from attentio.runtime.stop import StopRequest

Item = TypeVar("Item")
Result = TypeVar("Result")

AVAILABLE = sys.platform == "linux"  # elsewhere a copy of a process may not use libraries that it has used before
POLL_SECONDS = 0.2
LOCK_SECONDS = 120.0  # for a worker whose starter was killed: it saves first

# Copies of this process


def share_out(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    *,
    watch: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Result]]:
    """Give the index and result of each item from `workers` processes, in the order in which they are ready.

    `watch` is called ten times a second or more often. If it raises, all workers are stopped.
    What `function` raises in a worker is raised here. Raises ResourceError if a worker is killed. No worker outlives
    the iteration.
    """
    fork = multiprocessing.get_context("fork")
    waiting = iter(range(len(items)))
    processes: list[ForkProcess] = []
    busy: list[Connection] = []
    try:
        for _ in range(workers):
            ours, theirs = cast("tuple[Connection, Connection]", fork.Pipe())
            process = fork.Process(target=_work, args=(function, items, theirs, [ours, *busy]), daemon=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # threads exist, but none is at work
                process.start()
            theirs.close()
            processes.append(process)
            busy.append(ours)
        for connection in busy.copy():
            _next(connection, waiting, busy)
        while busy:
            watch()
            for connection in wait(busy, timeout=0.1):
                assert isinstance(connection, Connection)
                index, result, error = _received(connection)
                if error is not None:
                    raise error
                _next(connection, waiting, busy)
                yield index, cast(Result, result)
    finally:
        for process in processes:
            process.kill()  # still at work only if nobody waits for it
        for process in processes:
            process.join()


def _next(connection: Connection, waiting: Iterator[int], busy: list[Connection]) -> None:
    """Give a worker the next item, or close its connection when there is none."""
    index = next(waiting, None)
    if index is None:
        busy.remove(connection)
        connection.close()
        return
    try:
        connection.send(index)
    except BrokenPipeError:
        raise _killed() from None


def _received(connection: Connection) -> tuple[int, object, BaseException | None]:
    try:
        return connection.recv()
    except (EOFError, ConnectionResetError):
        raise _killed() from None


def _killed() -> ResourceError:
    return ResourceError(
        "a worker process was killed, perhaps because memory ran out.",
        hint="Try smaller batches, or one worker (OMP_NUM_THREADS=1).",
    )


def _work(
    function: Callable[[Item], object], items: Sequence[Item], parent: Connection, others: list[Connection]
) -> None:
    """Do items by their indices until the parent closes its end or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes, the parent decides
    for connection in others:  # the parent's ends, which would hide that it is gone if they stayed open here
        connection.close()
    gc.freeze()  # collecting what was copied would copy its memory
    if (torch := sys.modules.get("torch")) is not None:  # not where models are exported ones
        torch.set_num_threads(1)
    while True:
        try:
            index = parent.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            answer = index, function(items[index]), None
        except AttentioError as error:
            answer = index, None, error
        except Exception as error:  # whose traceback would be lost on the way
            error.add_note("".join(traceback.format_exception(error)))
            answer = index, None, error
        try:
            parent.send(answer)
        except BrokenPipeError:
            return


# Fresh processes


class Stopped(Exception):  # noqa: N818
    """Ctrl-C or SIGTERM came, and all work has been saved."""

    def __init__(self, signal: int) -> None:
        super().__init__()
        self.signal = signal


class JobError(AttentioError):
    """What a worker could not do, in its own words."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"], hint=error.get("hint"), code=error["code"], file=error.get("file"))
        self.exit_status = error["status"]

    @classmethod
    def of(cls, message: str, code: str = "E_WORKER", status: int = 1) -> "JobError":
        """Return an error with this message, on one line."""
        return cls({"message": " ".join(message.split()), "code": code, "status": status})

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), "status": self.exit_status}


@dataclass(frozen=True)
class Workers:
    """Starts workers and waits for them. `stop` says whether Ctrl-C or SIGTERM came. Threads may share it."""

    stop: StopRequest
    given_up: Event = field(default_factory=Event)  # set: every worker is killed

    def call(
        self,
        function: Callable[..., Result],
        arguments: Mapping[str, Any],
        answer: Path,
        *,
        watch: Callable[[], None] = lambda: None,
        threads: int | None = None,
    ) -> Result:
        """Return what a function of a module returns for these arguments in a process of its own, through JSON.

        answer: the file where the answer stands afterwards. What the worker prints goes to a file `.log` beside it.
        watch: called now and then. threads: those of its arithmetic, or None to leave that to the libraries.
        Raises JobError when the work cannot be done, ResourceError when the disk is full, Stopped when asked to stop.
        """
        if self.stop.signal is not None:
            raise Stopped(self.stop.signal)
        with disk_errors(answer):
            answer.parent.mkdir(parents=True, exist_ok=True)
        log = answer.with_suffix(".log")
        job = json.dumps(job_of(function, arguments, answer))
        environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import work; work()", job],
                stdin=subprocess.PIPE,  # which ends when this process does
                stdout=said,
                stderr=said,
                start_new_session=True,  # so that Ctrl-C comes to this process alone
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
        status = process.returncode
        if status == 0 and (found := read_json(answer)):
            return answer_of(found)
        why = f"ended with status {status}"
        if status < 0:
            why = f"was ended by {signal.Signals(-status).name}"
            why += ", as when memory runs out" if status == -signal.SIGKILL else ""
        raise JobError.of(f"the process {why}." + (f" See {log}." if log.exists() else ""))

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


def num_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def job_of(function: Callable[..., object], arguments: Mapping[str, Any], answer: Path) -> dict[str, Any]:
    """Return a piece of work as JSON: the function by its name, its arguments, and the file for the answer."""
    return {"module": function.__module__, "name": function.__name__, "arguments": arguments, "answer": str(answer)}


def answer_of(found: Mapping[str, Any]) -> Any:
    """Return the answer of a worker. Raises JobError for what it could not do, ResourceError when the disk is full."""
    error = found.get("error")
    if error is None:
        return found["answer"]
    if error["code"] in ("E_DISK", "E_DISK_FULL"):  # the next piece of work would fail as well
        raise ResourceError(error["message"], hint=error["hint"], code=error["code"], file=error["file"])
    raise JobError(error)


def work() -> None:
    """Do the job that is this process's argument, and leave its answer in a file.

    The worker of a killed process may still be saving. The next worker for the same answer waits until it has ended.
    """
    Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads(sys.argv[1])
    answer = Path(job["answer"])
    with FileLock(answer.with_suffix(".lock"), timeout=LOCK_SECONDS):
        write_json(answer, done(job))


def done(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what becomes of a job: its answer, or the error that stood in its way."""
    try:
        function = getattr(importlib.import_module(job["module"]), job["name"])
        return {"answer": function(**job["arguments"])}
    except AttentioError as error:
        return {"error": {"status": error.exit_status, **error.as_dict()}}
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            where = f" while writing {error.filename}" if error.filename else ""
            found = JobError.of(f"disk full{where}.", "E_DISK_FULL", ResourceError.exit_status)
        else:
            traceback.print_exc()
            log = Path(job["answer"]).with_suffix(".log")
            found = JobError.of(f"internal: {type(error).__name__}: {error} (see {log}).", "E_INTERNAL")
        return {"error": found.as_dict()}


def _end_with_parent() -> None:
    """End this process as SIGTERM would when the pipe from its parent closes: a training saves first."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
