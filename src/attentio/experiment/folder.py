"""The folder of a comparison: what is in it, who works in it, and whose it is.

bench.json       which cells and seeds are compared
data/            the prepared data, one folder for each way to prepare it
runs/CELL/seed-N/       run folders, as `attentio train` makes them
results/CELL/seed-N.*   what was measured of each run; a log where a process had something to say
compare.json, compare.csv, compare.html
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attentio import __version__
from attentio.errors import ResourceError, UsageError
from attentio.experiment.grid import GridCell
from attentio.runtime.files import disk_errors, read_json, sha256_of_json, write_text
from attentio.train.settings import differences, parse_config

SCHEMA = 1
POLL_SECONDS = 0.2
WAIT_SECONDS = 120.0  # for workers of a process that was killed: they save first


@dataclass(frozen=True)
class Bench:
    """The places in a folder of comparison."""

    folder: Path

    @property
    def plan(self) -> Path:
        return self.folder / "bench.json"

    @property
    def tests(self) -> Path:
        return self.folder / "results" / "tests.json"

    def data(self, key: str) -> Path:
        return self.folder / "data" / key

    def run(self, cell: str, seed: int) -> Path:
        return self.folder / "runs" / cell / f"seed-{seed}"

    def result(self, cell: str, seed: int, kind: str) -> Path:
        return self.folder / "results" / cell / f"seed-{seed}.{kind}"

    @contextlib.contextmanager
    def claimed(self, say: Callable[[str], None]) -> Generator[int]:
        """Makes the folder and holds it for this process and its workers; gives what they must inherit for that.

        Waits for the workers of a process that was killed; raises UsageError while another one is at work here, or
        when the folder holds something else, and ResourceError when it cannot be written.
        """
        if self.folder.exists() and not (self.folder.is_dir() and (self.plan.exists() or not self._others())):
            raise UsageError(f"{self.folder} is not empty and holds no comparison.", hint="Choose another --out.")
        lock = self.folder / ".lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ResourceError(f"{self.folder}: cannot be written ({error.strerror}).", file=self.folder) from None
        try:
            self._hold(descriptor, lock, say)
            yield descriptor
        finally:
            os.close(descriptor)

    def _others(self) -> bool:
        return any(path.name not in (".lock", "results") for path in self.folder.iterdir())

    def _hold(self, descriptor: int, lock: Path, say: Callable[[str], None]) -> None:
        until = time.monotonic() + WAIT_SECONDS
        waiting = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = lock.read_text(encoding="ascii")
                if _alive(holder) or time.monotonic() > until:
                    raise UsageError(
                        f"another comparison (process {holder}) is at work in {self.folder}.",
                        hint="Let it end, or choose another --out.",
                    ) from None
                if not waiting:
                    say(f"waiting for the last training in {self.folder} to save and end")
                waiting = True
                time.sleep(POLL_SECONDS)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def claim_plan(bench: Bench, cells: list[GridCell], seeds: list[int]) -> None:
    """Writes down what is compared. Cells and seeds may be added to what stands there; anything else is refused.

    A plan of which nothing was trained yet binds nobody.
    """
    plan = {cell.name: cell.config for cell in cells}
    before: dict[str, Any] = read_json(bench.plan) or {}
    if "runs" not in before and not (bench.folder / "runs").exists():
        shutil.rmtree(bench.folder / "data", ignore_errors=True)
        before = {"cells": {}, "seeds": []}
    hint = "Choose another --out."
    if "runs" in before:
        raise UsageError(f"{bench.folder} holds a comparison of run folders.", hint=hint)
    for name, settings in before["cells"].items():
        if name in plan:
            held = parse_config(settings, where=str(bench.plan))
            if changed := differences(held.model_dump(), plan[name].model_dump()):
                raise UsageError(f"{bench.folder} holds another grid ({'; '.join(changed)}).", hint=hint)
    if gone := [name for name in before["cells"] if name not in plan]:
        raise UsageError(
            f"{bench.folder} holds another grid, with the cell {gone[0]}.",
            hint="Vary that, too, or choose another --out.",
        )
    if more := sorted(set(before["seeds"]) - set(seeds)):
        raise UsageError(
            f"{bench.folder} holds another grid, with seed {', '.join(map(str, more))}.",
            hint=f"Give --seeds {len(set(before['seeds']) | set(seeds))}, or choose another --out.",
        )
    written = {name: config.model_dump(mode="json") for name, config in plan.items()}
    write_json(bench.plan, {"schema": SCHEMA, "version": __version__, "seeds": seeds, "cells": written})


def claim_runs(bench: Bench, folders: list[Path]) -> None:
    """Writes down which runs are compared, in place of others; a grid is left alone."""
    if "cells" in (read_json(bench.plan) or {}):
        raise UsageError(f"{bench.folder} holds a grid.", hint="Choose another --out.")
    write_json(bench.plan, {"schema": SCHEMA, "version": __version__, "runs": [str(folder) for folder in folders]})


def write(path: Path, text: str) -> None:
    """Write a file of a comparison, all or nothing, and the folders around it. Raises ResourceError when it cannot."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file as `write` does."""
    write(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def digest(value: object) -> str:
    """A short name for a JSON value."""
    return sha256_of_json(value)[:12]
