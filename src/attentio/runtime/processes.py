"""Work shared out among processes, each with a processor core to itself.

Two cores with a batch each do more than two that share every product of one batch: none waits for the other at the end
of each product, and what Python does between products is shared out as well. A worker is a copy of this process (a
fork), so that a model is neither sent nor loaded again.
"""

import gc
import multiprocessing
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import TypeVar, cast

import torch

from attentio.errors import AttentioError, ResourceError

Item = TypeVar("Item")
Result = TypeVar("Result")

AVAILABLE = sys.platform == "linux"  # elsewhere a copy of a process that has used its libraries may not use them again


def share_out(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[tuple[int, Result]]:
    """The index and result of each item, in whatever order they are ready, from `workers` processes.

    What `function` raises in a worker is raised here; ResourceError if a worker is killed. No worker outlives the
    iteration, nor this process.
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
                warnings.simplefilter("ignore", DeprecationWarning)  # threads are alive, but none is at work
                process.start()
            theirs.close()
            processes.append(process)
            busy.append(ours)
        for connection in busy.copy():
            _next(connection, waiting, busy)
        while busy:
            for connection in wait(busy):
                assert isinstance(connection, Connection)
                index, result, error = _received(connection)
                if error is not None:
                    raise error
                _next(connection, waiting, busy)
                yield index, cast(Result, result)
    finally:
        for process in processes:
            process.kill()  # at work only if nobody waits for it any more
        for process in processes:
            process.join()


def _next(connection: Connection, waiting: Iterator[int], busy: list[Connection]) -> None:
    """Gives a worker the next item, or leave to go."""
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
        hint="Smaller batches take less; so does one worker (OMP_NUM_THREADS=1).",
    )


def _work(
    function: Callable[[Item], object], items: Sequence[Item], parent: Connection, others: list[Connection]
) -> None:
    """A worker's life: items by their indices, until the parent closes its end or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    for connection in others:  # the parent's ends: open here, they would hide that it is gone
        connection.close()
    gc.freeze()  # what was copied stays; to look at it would copy its memory
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
