"""How much faster is training in several processes: measured with two, and derived for 8, 64 and 512?

    python benchmarks/scaling.py DATA
    python benchmarks/scaling.py DATA --presets cnn-small --rounds 3 --write

Measured, by turns: an update of one process with one thread, with two threads and with half the batch. Then two
processes of one thread (DistributedDataParallel, FSDP2), and two trainings side by side that share nothing but the
machine. And how long gloo adds up as many numbers as the model has.

Derived: what two processes take, from the parts, beside what they took. Then larger groups, where each worker has a
batch of its own (`Network`). docs/scaling.md explains the model.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
import torch.distributed as dist
from measure import by_turns, ratios, run, spread
from report import Table, add_options, publish
from torch import multiprocessing
from workload import Workload, new_run

from attentio.train.folder import Run
from attentio.train.reporter import events

PRESETS = ("cnn-small", "transformer-small", "rnn-base")
FIRST_BUCKET, BUCKET = 1 << 20, 25 << 20  # bytes of gradients that DistributedDataParallel sends at once
BACKWARD = 2 / 3  # of an update: the backward pass computes two products for each one of the forward pass
WORKERS = (8, 64, 512)
GIGABITS = (1, 10, 25, 100)
LATENCY = 50e-6  # seconds, of one message between two hosts over TCP


class Network(NamedTuple):
    """A connection of each worker: bytes a second, and seconds that a message takes however short it is."""

    bandwidth: float
    latency: float

    def all_reduce(self, size: float, workers: int) -> float:
        """Seconds in which a ring of workers adds up `size` bytes (Patarasuk & Yuan 2009)."""
        messages = 2 * (workers - 1)
        return messages * (size / workers / self.bandwidth + self.latency)

    def exposed(self, size: float, workers: int, backward: float) -> float:
        """Seconds that an update waits for the sum of gradients of `size` bytes.

        Buckets are sent while the backward pass of so many seconds goes on. The last one is ready at its end.
        """
        buckets = buckets_of(size)
        seconds = [self.all_reduce(bucket, workers) for bucket in buckets]
        return max(seconds[-1], sum(seconds) - backward * (1 - 1 / len(buckets)))

    def efficiency(self, size: float, workers: int, update: float) -> float:
        """Share of the speed of as many workers that wait for nobody, each with updates of so many seconds."""
        return update / (update + self.exposed(size, workers, BACKWARD * update))


def buckets_of(size: float) -> list[float]:
    """Bytes of each bucket of `size` bytes of gradients, in the order in which they are sent."""
    first = min(size, FIRST_BUCKET)
    full, rest = divmod(size - first, BUCKET)
    return [first, *[float(BUCKET)] * int(full), *([rest] if rest else [])]


class Seen(NamedTuple):
    """A training: seconds of an update, and target tokens a second."""

    update: float
    speed: float


def trained(
    workload: Workload, folder: Path, preset: str, batch_tokens: int, options: Sequence[str], **given: int
) -> Seen:
    """Train in so many `threads` for so many `steps`. The first `skip` updates do not count."""
    steps, skip = given["steps"], given["skip"]
    settings = (f"train.max_steps={steps}", f"train.evaluate_every={steps}", f"train.batch_tokens={batch_tokens}")
    settings += ("train.evaluate_pairs=1", "train.save_every_seconds=86400.0")
    words = new_run(workload, folder, settings, preset=preset)
    run([*words, *options], threads=given["threads"])
    course = [event for event in events(Run(folder).log) if event["event"] == "step"]
    first, last = next(event for event in course if event["step"] >= skip), course[-1]
    seconds = last["seconds"] - first["seconds"]
    tokens = last["target_tokens"] - first["target_tokens"]
    return Seen(seconds / (last["step"] - first["step"]), tokens / seconds)


def contestants(
    preset: str, workload: Workload, folder: Path, steps: int, skip: int
) -> dict[str, Callable[[int], Seen]]:
    """The trainings of a preset by name, each as a function of the round."""

    def one(name: str, *options: str, threads: int = 1, batch_tokens: int = BATCH_TOKENS) -> Seen:
        place = folder / name
        return trained(workload, place, preset, batch_tokens, options, threads=threads, steps=steps, skip=skip)

    def side_by_side(_number: int) -> Seen:
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(one, ("left", "right")))
        return Seen(max(seen.update for seen in both), sum(seen.speed for seen in both))

    return {
        ALONE: lambda _: one("alone"),
        HALF: lambda _: one("half", batch_tokens=BATCH_TOKENS // 2),
        THREADS: lambda _: one("threads", threads=2),
        PROCESSES: lambda _: one("processes", "--processes", "2"),
        SHARES: lambda _: one("shares", "--processes", "2", "--shard"),
        LARGER: lambda _: one("larger", "--processes", "2", batch_tokens=2 * BATCH_TOKENS),
        APART: side_by_side,
    }


BATCH_TOKENS = 2048
ALONE, HALF, THREADS = "one process, one thread", "the same, half the batch", "one process, two threads"
PROCESSES, SHARES = "two processes, one thread each", "the same, --shard"
LARGER = "two processes, twice the batch"
APART = "two trainings side by side"


def parameters_of(folder: Path) -> int:
    """The number of parameters of a run."""
    from attentio.bundle import Bundle

    return sum(tensor.numel() for tensor in Bundle.load(folder).weights.values())


def sum_up(rank: int, place: str, sizes: Sequence[int]) -> None:
    """Time sums of so many bytes with the other process. Rank 0 leaves the seconds in a file."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{place}/meeting", rank=rank, world_size=2)
    found: list[float] = []
    for size in sizes:
        held, seconds = torch.zeros(max(1, size // 4)), list[float]()
        for _ in range(12):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(held)
            seconds.append(time.perf_counter() - began)
        found.append(median(seconds[2:]))
    if rank == 0:
        torch.save(found, f"{place}/seconds")
    dist.destroy_process_group()
    os._exit(0)  # gloo's threads may abort where Python takes them down


def summed(sizes: Sequence[int]) -> list[float]:
    """Seconds in which two processes of this machine add up so many bytes over gloo."""
    with tempfile.TemporaryDirectory() as place:
        multiprocessing.spawn(sum_up, (place, sizes), nprocs=2)  # pyright: ignore[reportPrivateImportUsage]
        return torch.load(f"{place}/seconds")


def measured_table(preset: str, found: dict[str, list[Seen]], parameters: int, reduce: float) -> Table:
    """What was measured of a preset, and what the model says of two processes."""
    alone = found[ALONE]
    rows = [
        (
            name,
            spread([1000 * seen.update for seen in seens]),
            spread([seen.speed for seen in seens]),
            spread(ratios([seen.speed for seen in seens], [seen.speed for seen in alone]), 2),
        )
        for name, seens in found.items()
    ]
    names = (HALF, ALONE, APART, PROCESSES, LARGER)
    half, whole, apart, taken, larger = (median(seen.update for seen in found[name]) for name in names)
    slower = apart / whole  # what two processes take from each other
    size = 4 * parameters
    # On one machine a sum takes the processor time that it would hide behind, so none of it is hidden.
    predicted, predicted_larger = half * slower + reduce, whole * slower + reduce
    rows.append((f"{PROCESSES}, derived", f"{1000 * predicted:,.0f}", "", f"{whole / predicted:.2f}"))
    rows.append((f"{LARGER}, derived", f"{1000 * predicted_larger:,.0f}", "", f"{2 * whole / predicted_larger:.2f}"))
    notes = (
        f"{parameters:,} parameters, {size / 1e6:.1f} MB of gradients. gloo adds them up in {1000 * reduce:.1f} ms. "
        f"Derived: half a batch {1000 * half:,.0f} ms, or a whole one, times {slower:.2f} for two side by side, plus "
        f"the sum. That is {predicted / taken - 1:+.0%} and {predicted_larger / larger - 1:+.0%} of what was measured."
    )
    samples = {name: [seen._asdict() for seen in seens] for name, seens in found.items()}
    kept = samples | {"parameters": parameters, "all_reduce": reduce, "derived": [predicted, predicted_larger]}
    return Table(f"{preset}: measured", ("", "update, ms", "target tokens/s", "to one thread"), rows, kept, notes)


def derived_table(preset: str, update: float, parameters: int) -> Table:
    """Expected efficiency of larger groups, each worker with a whole batch."""
    rows: list[tuple[str, ...]] = []
    for gigabits in GIGABITS:
        network = Network(gigabits * 1e9 / 8, LATENCY)
        found = [f"{network.efficiency(4 * parameters, workers, update):.0%}" for workers in WORKERS]
        rows.append((f"{gigabits} Gbit/s", *found))
    notes = f"Each worker has a batch of {BATCH_TOKENS:,} tokens, an update of {1000 * update:,.0f} ms without waiting."
    return Table(f"{preset}: derived", ("", *(f"{n} workers" for n in WORKERS)), rows, {"update": update}, notes)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="parallel file")
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--skip", type=int, default=20, help="updates at the beginning that are not timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dev", type=int, default=200)
    add_options(parser)
    arguments = parser.parse_args(words)
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload = Workload.of(arguments.data, folder, dev=arguments.dev, test=arguments.dev)
        for preset in arguments.presets:
            sys.stderr.write(f"preset {preset}\n")
            trainings = contestants(preset, workload, folder, arguments.steps, arguments.skip)
            found = by_turns(trainings, arguments.rounds)
            parameters = parameters_of(folder / "alone")
            (reduce,) = summed([4 * parameters])
            tables.append(measured_table(preset, found, parameters, reduce))
            tables.append(derived_table(preset, median(seen.update for seen in found[ALONE]), parameters))
    sizes = [1 << power for power in range(10, 27, 4)]
    rows = [
        (f"{size:,}", f"{1000 * s:.2f}", f"{size / s / 1e6:,.0f}") for size, s in zip(sizes, summed(sizes), strict=True)
    ]
    tables.append(Table("gloo on this machine", ("bytes", "sum of two processes, ms", "MB/s"), rows, {"sizes": sizes}))
    publish("scaling", tables, arguments)


if __name__ == "__main__":
    main()
