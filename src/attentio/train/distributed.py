"""Ranks: the processes that train one model together.

Every decision that all of them must take alike (stop, plan, patience) goes through `Ranks`. One process is the trivial
case. Several are a process group of torch.distributed: `torchrun -m attentio train` starts them, and so does `launch`.
"""

import contextlib
import logging
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.distributed_c10d import _set_pg_timeout  # pyright: ignore[reportPrivateUsage]
from torch.distributed.rendezvous import rendezvous

from attentio.errors import STATUS_FILE, LostProcess
from attentio.runtime.processes import num_processors
from attentio.train.layout import Layout, Replicated, Sharded

Value = TypeVar("Value")
LONGEST_WAIT = timedelta(days=2)  # for rank 0, which prepares the data and evaluates
MEETING = timedelta(seconds=60)  # in which all processes must be there, once training begins
RESTARTS = 3  # of `launch`, each after a process was killed
GET_ADDRESS = 0x8915  # SIOCGIFADDR of Linux
_BEGIN = "attentio/begin"
_OVERWRITTEN = "overwritten"  # a file: the run of this command was
_RESUMES = "The same command resumes from the newest checkpoint."
_NETWORK = "GLOO_SOCKET_IFNAME, an environment variable, names the network interface to use."
# What an error says where another process has gone.
_LOST = ("gloo", "Gloo", "Connection", "NCCL", "imed out")


class Ranks:
    """One process, which agrees with itself. `rank` counts from 0. Rank 0 decides, reads, writes and reports."""

    rank = 0
    size = 1
    layout = Layout()

    def begin(self, wanted: bool) -> bool:
        """Return whether training begins, as rank 0 wants it. The others wait for it as long as it takes."""
        return wanted

    def starts_over(self, wanted: bool) -> bool:
        """Return whether a run is to be overwritten: not again where torchrun started these processes again."""
        return wanted

    def started_over(self) -> None:
        """Note that the run was overwritten."""

    def all_agree(self, flag: bool) -> bool:
        """Return whether every rank says yes."""
        return flag

    def broadcast(self, value: Value) -> Value:
        """Return the value that rank 0 has."""
        return value

    def total(self, number: float) -> float:
        """Return the sum of what every rank has."""
        return number

    def part_ways(self, seed: int, update: int) -> None:
        """Give every rank but the first random numbers of its own, which follow from the number of the update."""


class ProcessGroup(Ranks):
    """The processes of torch.distributed's default group."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def all_agree(self, flag: bool) -> bool:
        return self.total(float(flag)) == self.size

    def broadcast(self, value: Value) -> Value:
        held: list[Any] = [value]
        dist.broadcast_object_list(held, src=0)
        return cast(Value, held[0])

    def total(self, number: float) -> float:
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        held = torch.tensor([number], dtype=torch.float64, device=device)
        dist.all_reduce(held)
        return float(held.item())

    def part_ways(self, seed: int, update: int) -> None:
        if self.rank:
            torch.manual_seed((seed + 1) * 1_000_003 + update * 1_009 + self.rank)


class StartedByTorchrun(ProcessGroup):
    """The processes that torchrun started. They meet when training begins: preparing data may take hours before."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._store, self.rank, self.size = next(rendezvous("env://", timeout=MEETING))
        self._kept = _kept_by_torchrun()
        if name := _interface_to(os.environ["MASTER_ADDR"]):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)

    def begin(self, wanted: bool) -> bool:
        if self.rank == 0:
            self._store.set(_BEGIN, "yes" if wanted else "no")
        else:
            self._store.wait([_BEGIN], LONGEST_WAIT)
            wanted = self._store.get(_BEGIN) == b"yes"
        if wanted:
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            store = PrefixStore("group", self._store)
            late = threading.Timer(2 * MEETING.total_seconds(), _give_up)  # gloo may wait for longer than its timeout
            late.start()
            dist.init_process_group(backend, timeout=MEETING, store=store, rank=self.rank, world_size=self.size)
            late.cancel()
            _set_pg_timeout(LONGEST_WAIT)  # rank 0 may evaluate for long
        return wanted

    def starts_over(self, wanted: bool) -> bool:
        return wanted and (self._kept is None or not (self._kept / _OVERWRITTEN).exists())

    def started_over(self) -> None:
        if self._kept is not None:
            (self._kept / _OVERWRITTEN).touch()


def _give_up() -> None:
    sys.stderr.write(
        f"error: {LostProcess('the processes of this training cannot reach each other.', hint=_NETWORK)}\n"
    )
    os._exit(LostProcess.exit_status)


def _interface_to(host: str) -> str | None:
    """Return the name of the network interface by which this machine reaches another. None where it cannot be told.

    gloo takes the one that the name of this machine stands for, which often is the loopback.
    """
    if sys.platform != "linux":
        return None
    import fcntl

    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
        place.connect((host, 9))  # sends nothing
        own = place.getsockname()[0]
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has no address
                asked = struct.pack("256s", name.encode())
                if socket.inet_ntoa(fcntl.ioctl(place, GET_ADDRESS, asked)[20:24]) == own:
                    return name
    return None


def _kept_by_torchrun() -> Path | None:
    """Return a folder that is there until torchrun ends, however often it starts these processes.

    None where another program started them.
    """
    if told := os.environ.get(STATUS_FILE):
        return Path(told).parent
    errors = os.environ.get("TORCHELASTIC_ERROR_FILE")  # FOLDER/attempt_0/RANK/error.json
    return None if errors is None else Path(errors).parents[2]


ALONE = Ranks()


def is_started() -> bool:
    """Return whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextlib.contextmanager
def joined_ranks(*, shard: bool = False) -> Generator[Ranks]:
    """Give the processes that torchrun started, or the one that there is.

    shard: each of several processes holds a share of the weights.
    Raises LostProcess where another of them ends in the middle. Then end at once: gloo may wait for it for ever.
    """
    if not is_started():
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        yield StartedByTorchrun(Sharded() if shard else Replicated())
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error) for word in _LOST):
            raise
        raise _lost(error) from None
    if dist.is_initialized():
        dist.destroy_process_group()


def _lost(error: Exception) -> LostProcess:
    return LostProcess(f"another process of this training ended ({str(error).splitlines()[0][:120]}).", hint=_RESUMES)


def launch(arguments: Sequence[str], processes: int, say: Callable[[str], None]) -> int:
    """Run `attentio` with these arguments in several processes of this machine, by torchrun. Return its exit status.

    Where one of them is killed, all are started again, at most `RESTARTS` times. Then it raises LostProcess.
    """
    logging.disable(logging.CRITICAL)  # what matters is said by `attentio` itself
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, num_processors() // processes)))
    with TemporaryDirectory(prefix="attentio-") as folder:
        told = Path(folder) / "status"
        os.environ[STATUS_FILE] = str(told)
        try:
            for number in range(RESTARTS + 1):
                try:
                    status = _launch(arguments, processes)
                    return int(told.read_text(encoding="utf-8")) if told.exists() else status
                except LostProcess as error:
                    if number == RESTARTS:
                        raise
                    say(f"{error.message} All start again from the newest checkpoint ({number + 1} of {RESTARTS}).")
        finally:
            del os.environ[STATUS_FILE]
    raise AssertionError


def _launch(arguments: Sequence[str], processes: int) -> int:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=f"attentio-{os.getpid()}",
        max_restarts=0,  # it would also start again what was refused
        monitor_interval=0.2,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "attentio", *arguments)
    except ChildFailedError as error:
        failures = sorted(error.failures.items(), key=lambda item: item[1].timestamp)
        for rank, failure in failures:  # the others may have noticed before torchrun did
            if failure.exitcode < 0:
                what = f"process {rank} of this training was killed by signal {-failure.exitcode}."
                raise LostProcess(what, hint=_RESUMES) from None
        status = max(1, failures[0][1].exitcode)
        if status == LostProcess.exit_status:
            raise LostProcess("a process of this training ended.", hint=_RESUMES) from None
        return status
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0
