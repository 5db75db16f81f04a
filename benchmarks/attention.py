"""Time and memory of each kind and backend of attention.

    python benchmarks/attention.py                     # backends at all three shapes, every kind at the first
    python benchmarks/attention.py --shape 2 64 64 64  # backends and kinds at one shape
    python benchmarks/attention.py --write             # keeps the figures in benchmarks/results, under the date

Each time is the median of several runs, forward and backward, in training, with keys prepared beforehand. Memory is the
most that was held at one time above what stood before, summed from every allocation that torch made.
"""

import argparse
import datetime
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import describe_machine
from torch.profiler import profile

from attentio.attention import NORMALIZERS, SCORES, WINDOWS, Attention
from attentio.errors import UsageError
from attentio.runtime.device import resolve_device

RESULTS = Path(__file__).resolve().parent / "results"
SHAPES = ((32, 16, 16, 256), (8, 256, 256, 256), (2, 2048, 2048, 64))
BACKENDS = (("additive", "eager"), ("additive", "chunked"), ("additive", "triton"), ("dot", "eager"), ("dot", "sdpa"))
MOST_HIDDEN_UNITS = 2**31  # eight gigabytes: the eager additive score is not tried beyond


class Figure(NamedTuple):
    """One line of the table: seconds and bytes, or why there are none."""

    shape: tuple[int, ...]
    kind: str
    backend: str
    forward: float | None
    both: float | None
    memory: int | None
    reason: str = ""


def measure(shape: tuple[int, ...], backend: str, *, runs: int, device: str, **kind: Any) -> Figure:
    """The figures of one kind: forward alone, forward and backward, and peak memory of both."""
    batch, queries, keys, size = shape
    name = ", ".join(kind.values())
    too_large = batch * queries * keys * size > MOST_HIDDEN_UNITS
    if too_large and name == "additive" and backend == "eager":
        return Figure(shape, name, backend, None, None, None, "would hold more than 8 GB")
    torch.manual_seed(0)
    attention = Attention(size, size, backend=backend, **kind).to(device)
    query = torch.randn(batch, queries, size, device=device, requires_grad=True)
    memory = attention.prepare(torch.randn(batch, keys, size, device=device, requires_grad=True))

    def forward() -> torch.Tensor:
        return attention(query, memory).context

    def both() -> None:
        forward().sum().backward(retain_graph=True)

    try:
        both()
    except ValueError as error:
        return Figure(shape, name, backend, None, None, None, str(error).split(": ")[1])
    return Figure(
        shape, name, backend, _seconds(forward, runs, device), _seconds(both, runs, device), _peak(both, device)
    )


def _seconds(work: Callable[[], object], runs: int, device: str) -> float:
    times: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _peak(work: Callable[[], object], device: str) -> int:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    with profile(profile_memory=True) as profiler:
        work()
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    recorded: list[Any] = profiler.profiler.kineto_results.events()
    events = [event for event in recorded if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def table(figures: list[Figure]) -> list[str]:
    """The figures as a table in Markdown."""
    lines = [
        "| B, T, S, d | kind | backend | forward | forward + backward | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for figure in figures:
        shape = ", ".join(map(str, figure.shape))
        if figure.both is None or figure.forward is None or figure.memory is None:
            lines.append(f"| {shape} | {figure.kind} | {figure.backend} | {figure.reason} | | |")
        else:
            times = f"{1e3 * figure.forward:.2f} ms | {1e3 * figure.both:.2f} ms"
            lines.append(f"| {shape} | {figure.kind} | {figure.backend} | {times} | {figure.memory / 2**20:.2f} MiB |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=4, metavar=("B", "T", "S", "D"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    try:
        resolve_device(arguments.device)
    except UsageError as error:
        parser.error(str(error))
    options = {"runs": arguments.runs, "device": arguments.device}
    shapes = SHAPES if arguments.shape is None else (tuple(arguments.shape),)
    figures = [measure(shape, backend, score=score, **options) for shape in shapes for score, backend in BACKENDS]
    figures += [measure(shapes[0], "auto", score=name, **options) for name in SCORES]
    figures += [measure(shapes[0], "auto", normalize=name, **options) for name in NORMALIZERS]
    figures += [measure(shapes[0], "auto", window=name, **options) for name in WINDOWS]
    today = datetime.datetime.now(tz=datetime.UTC).date()
    report = [f"# Attention: time and memory, {today}", "", describe_machine(), "", *table(figures), ""]
    print("\n".join(report))
    if arguments.write:
        (RESULTS / f"{today}-attention.md").write_text("\n".join(report), encoding="utf-8")


if __name__ == "__main__":
    main()
