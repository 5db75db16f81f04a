"""What training and translating reach beside other work: shares of the quiet speed, and of what would be fair.

    python benchmarks/busy.py cmn-2018.txt --competitors 0 1 2 4 --seconds 8 --rounds 2

Two processes train the default model with two threads, and two translate with it. In one of each, threads always spin
while they wait, as PyTorch's do. In the other they adapt, as in Attentio. Only one runs at a time, the others are
stopped. Beside it run so many processes that only count. `fair` is the share of the machine for two threads of
2 + competitors.
"""

import argparse
import json
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from attentio.train.reporter import Display

THREADS = 2
SETTLE = 2.0  # seconds before counting, in which threads adapt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a parallel file")
    parser.add_argument("--competitors", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--seconds", type=float, default=8.0, help="counted for each figure")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        task, waiting = arguments.worker
        work(task, waiting, arguments.data, arguments.preset)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        train_briefly(arguments.data, arguments.preset, model)
        workers = {
            (task, waiting): Worker(task, waiting, arguments.data if task == "train" else str(model), arguments.preset)
            for task in ("train", "translate")
            for waiting in ("spin", "adapt")
        }
        speeds: dict[tuple[str, str, int], list[float]] = {}
        for _ in range(arguments.rounds):
            for count in arguments.competitors:
                with Competitors(count):
                    for (task, waiting), worker in workers.items():
                        speed = worker.measure(arguments.seconds)
                        speeds.setdefault((task, waiting, count), []).append(speed)
        for worker in workers.values():
            worker.end()
    figures = report(speeds, arguments.competitors)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def report(speeds: Mapping[tuple[str, str, int], list[float]], counts: list[int]) -> list[dict[str, object]]:
    """Print a line for each task and number of competitors."""
    figures: list[dict[str, object]] = []
    for task in ("train", "translate"):
        quiet = median(speeds[task, "spin", counts[0]])
        for count in counts:
            fair = THREADS / (THREADS + count)
            shares = {waiting: median(speeds[task, waiting, count]) / quiet for waiting in ("spin", "adapt")}
            of_fair = {waiting: share / fair for waiting, share in shares.items()}
            print(
                f"{task:<9} {count} competitors  fair {fair:.2f}  "
                + "  ".join(f"{name} {shares[name]:.2f} ({of_fair[name]:.2f} of fair)" for name in shares),
                flush=True,
            )
            figures.append({"task": task, "competitors": count, "fair": fair, **shares})
    return figures


class Competitors:
    """Processes that only count."""

    def __init__(self, count: int) -> None:
        self._processes = [multiprocessing.Process(target=_count, daemon=True) for _ in range(count)]

    def __enter__(self) -> None:
        for process in self._processes:
            process.start()

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()


def _count() -> None:
    number = 0
    while True:
        number += 1


class Worker:
    """A process that trains or translates, and prints a line for every piece of work. It stands still between."""

    def __init__(self, task: str, waiting: str, data: str, preset: str) -> None:
        command = [sys.executable, __file__, data, "--preset", preset, "--worker", task, waiting]
        environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        self._lines: queue.Queue[float] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        for _ in range(3):
            self._lines.get(timeout=300)
        self._process.send_signal(signal.SIGSTOP)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("did "):
                self._lines.put(float(line.split()[1]))

    def measure(self, seconds: float) -> float:
        """Return how much was done in a second."""
        self._process.send_signal(signal.SIGCONT)
        time.sleep(SETTLE)
        while not self._lines.empty():
            self._lines.get()
        began, done = time.perf_counter(), 0.0
        while time.perf_counter() - began < seconds:
            done += self._lines.get(timeout=600)
        took = time.perf_counter() - began
        self._process.send_signal(signal.SIGSTOP)
        return done / took

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def train_briefly(data: str, preset: str, model: Path) -> None:
    """Make a model that can translate, however badly."""
    from attentio.train.run import train_files

    train_files(data, model, preset=preset, settings={"train.max_steps": 30, "data.dev": 20, "data.test": 20})


def work(task: str, waiting: str, data: str, preset: str) -> None:
    """Work without end, with threads that spin or adapt."""
    import attentio.runtime.waiting as waiting_module

    if waiting == "spin":
        waiting_module.BUSY = 2.0  # no share reaches it
    if task == "translate":
        from attentio.translator import Translator

        translator = Translator.load(data)
        words = ["the", "cat", "and", "a", "dog", "see", "my", "old", "house", "at", "night"]
        sentences = [" ".join(words[i % 7 : 4 + i % 7]).capitalize() + "." for i in range(16)]
        while True:
            translator.translate(sentences)
            print(f"did {len(sentences)}")
    from attentio.train.run import run_training
    from attentio.train.settings import effective_config

    settings = {"data": {"train": [data]}, "train": {"evaluate_every": 10**6, "epochs": 1000}}
    config = effective_config(preset=preset, settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        run_training(config, Path(folder) / "run", display=_Printed)


class _Printed(Display):
    def show(self, facts: Mapping[str, str], done: float) -> None:
        print("did 1")

    def line(self, text: str) -> None:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
