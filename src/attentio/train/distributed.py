"""Ranks: the processes that train one model together.

Every decision that all of them must take alike (stop, plan, patience) goes through `Ranks`. One process is the trivial
case. Several are a process group of torch.distributed that is already there.
"""

from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn

Value = TypeVar("Value")


class Ranks:
    """One process, which agrees with itself. `rank` counts from 0. Rank 0 decides, reads, writes and reports."""

    rank = 0
    size = 1

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


ALONE = Ranks()
