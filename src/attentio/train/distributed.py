"""Ranks: the processes that train one model together.

Every decision that all of them must take alike (stop, plan, patience) goes through `Ranks`. One process is the trivial
case. Several are a process group of torch.distributed: `torchrun -m attentio train` starts them, and so does `launch`.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.distributed_c10d import _set_pg_timeout  # pyright: ignore[reportPrivateUsage]
from torch.distributed.rendezvous import rendezvous

from attentio.errors import STATUS_FILE, LostProcess

Value = TypeVar("Value")
LONGEST_WAIT = timedelta(days=2)  # for rank 0, which prepares the data and evaluates
MEETING = timedelta(seconds=60)  # in which all processes must be there, once training begins
_BEGIN = "attentio/begin"
_RESUMES = "The same command resumes from the newest checkpoint."
# What an error says where another process has gone.
_LOST = ("gloo", "Gloo", "Connection", "NCCL", "imed out")


class Ranks:
    """One process, which agrees with itself. `rank` counts from 0. Rank 0 decides, reads, writes and reports."""

    rank = 0
    size = 1

    def begin(self, wanted: bool) -> bool:
        """Return whether training begins, as rank 0 wants it. The others wait for it as long as it takes."""
        return wanted

    def all_agree(self, flag: bool) -> bool:
        """Return whether every rank says yes."""
        return flag

    def broadcast(self, value: Value) -> Value:
        """Return the value that rank 0 has."""
        return value

    def total(self, number: float) -> float:
        """Return the sum of what every rank has."""
        return number

    def part_ways(self, seed: int, step: int) -> None:
        """Give every rank but the first random numbers of its own, from update number `step` on."""

    def wrap(self, step: nn.Module) -> nn.Module:
        """Return the module whose backward pass averages gradients over the ranks."""
        return step

    def adding(self, step: nn.Module) -> AbstractContextManager[object]:
        """Let backward passes of the module that `wrap` gave add up gradients of this rank only."""
        del step
        return contextlib.nullcontext()


class ProcessGroup(Ranks):
    """The processes of torch.distributed's default group, with gradients averaged by DistributedDataParallel."""

    def __init__(self) -> None:
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

    def part_ways(self, seed: int, step: int) -> None:
        if self.rank:
            torch.manual_seed((seed + 1) * 1_000_003 + step * 1_009 + self.rank)

    def wrap(self, step: nn.Module) -> nn.Module:
        return nn.parallel.DistributedDataParallel(step)

    def adding(self, step: nn.Module) -> AbstractContextManager[object]:
        return cast(nn.parallel.DistributedDataParallel, step).no_sync()


class StartedByTorchrun(ProcessGroup):
    """The processes that torchrun started. They meet when training begins: preparing data may take hours before."""

    def __init__(self) -> None:
        self._store, self.rank, self.size = next(rendezvous("env://", timeout=MEETING))

    def begin(self, wanted: bool) -> bool:
        if self.rank == 0:
            self._store.set(_BEGIN, "yes" if wanted else "no")
        else:
            self._store.wait([_BEGIN], LONGEST_WAIT)
            wanted = self._store.get(_BEGIN) == b"yes"
        if wanted:
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            store = PrefixStore("group", self._store)
            dist.init_process_group(backend, timeout=MEETING, store=store, rank=self.rank, world_size=self.size)
            _set_pg_timeout(LONGEST_WAIT)  # rank 0 may evaluate for long
        return wanted


ALONE = Ranks()


def is_started() -> bool:
    """Return whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_restarted() -> bool:
    """Return whether torchrun started this process again, after one of them was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


@contextlib.contextmanager
def joined_ranks() -> Generator[Ranks]:
    """Give the processes that torchrun started, or the one that there is.

    Raises LostProcess where another of them ends in the middle.
    """
    if not is_started():
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        yield StartedByTorchrun()
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error) for word in _LOST):
            raise
        raise _lost(error) from None
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _lost(error: Exception) -> LostProcess:
    return LostProcess(f"another process of this training ended ({str(error).splitlines()[0][:120]}).", hint=_RESUMES)


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run `attentio` with these arguments in several processes of this machine, by torchrun. Return its exit status.

    Raises LostProcess where one of them is killed. Then all end.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.CRITICAL)  # what matters is said by `attentio` itself
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=f"attentio-{os.getpid()}",
        max_restarts=0,
        monitor_interval=0.2,
    )
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    with TemporaryDirectory(prefix="attentio-") as folder:
        told = Path(folder) / "status"
        os.environ[STATUS_FILE] = str(told)
        status = 0
        try:
            elastic_launch(config, sys.executable)("-m", "attentio", *arguments)
        except ChildFailedError as error:
            failures = sorted(error.failures.items(), key=lambda item: item[1].timestamp)
            for rank, failure in failures:  # the others may have noticed before torchrun did
                if failure.exitcode < 0:
                    what = f"process {rank} of this training was killed by signal {-failure.exitcode}."
                    raise LostProcess(what, hint=_RESUMES) from None
            status = max(1, failures[0][1].exitcode)
        except SignalException as error:
            status = 128 + int(error.sigval)
        finally:
            del os.environ[STATUS_FILE]
        return int(told.read_text(encoding="utf-8")) if told.exists() else status
