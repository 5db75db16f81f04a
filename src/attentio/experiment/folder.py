"""The folder of a comparison: what is in it, and who works in it.

- `bench.json`: which cells and seeds are compared
- `data/`: the prepared data, one folder for each way to prepare it
- `runs/CELL/seed-N/`: run folders, as `attentio train` makes them
- `results/CELL/seed-N.*`: what was measured of each run, and a log where a process wrote one
- `compare.json`, `compare.csv`, `compare.html`: the result
"""

import contextlib
import shutil
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from attentio import __version__
from attentio.errors import UsageError
from attentio.experiment.grid import GridCell
from attentio.runtime.files import LOCK, disk_errors, hold, read_json, write_json
from attentio.train.settings import differences, parse_config

SCHEMA = 1


class Bench:
    """The places in a folder of comparison."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "bench.json"
        self.data = folder / "data"
        self.runs = folder / "runs"
        self.results = folder / "results"
        self.tests = self.results / "tests.json"

    @contextlib.contextmanager
    def claimed(self) -> Generator[None]:
        """Make the folder and hold it for this process. The lock ends with the process, however that ends.

        Raises UsageError while another process is at work here, or when the folder holds something else. Raises
        ResourceError when it cannot be written.
        """
        there = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set[str]()
        is_file = self.folder.exists() and not self.folder.is_dir()
        if is_file or (there - {LOCK, "results"} and not self.plan.exists()):
            raise self._taken(f"{self.folder} is not empty and holds no comparison.")
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with hold(self.folder, "comparing"):
            yield

    def claim_plan(self, cells: list[GridCell], seeds: list[int]) -> None:
        """Write down what is compared. Cells and seeds may be added to what stands there, anything else is refused.

        A plan of which nothing was trained yet binds nobody.
        """
        plan = {cell.name: cell.config for cell in cells}
        before: dict[str, Any] = read_json(self.plan) or {}
        if "runs" in before:
            raise self._taken(f"{self.folder} holds a comparison of run folders.")
        if not self.runs.exists():
            shutil.rmtree(self.data, ignore_errors=True)
            before = {"cells": {}, "seeds": []}
        other = f"{self.folder} holds another grid"
        for name, settings in before["cells"].items():
            if name not in plan:
                raise self._taken(f"{other}, with the cell {name}.", "Vary that, too")
            held = parse_config(settings, where=str(self.plan))
            if changed := differences(held.model_dump(), plan[name].model_dump()):
                raise self._taken(f"{other} ({'; '.join(changed)}).")
        if more := sorted(set(before["seeds"]) - set(seeds)):
            needed = len({*before["seeds"], *seeds})
            raise self._taken(f"{other}, with seed {', '.join(map(str, more))}.", f"Give --seeds {needed}")
        self._write({"seeds": seeds, "cells": {name: config.model_dump(mode="json") for name, config in plan.items()}})

    def claim_runs(self, folders: list[Path]) -> None:
        """Write down which runs are compared, in place of others. A grid is left alone."""
        if "cells" in (read_json(self.plan) or {}):
            raise self._taken(f"{self.folder} holds a grid.")
        self._write({"runs": [str(folder) for folder in folders]})

    def _write(self, plan: Mapping[str, object]) -> None:
        write_json(self.plan, {"schema": SCHEMA, "version": __version__, **plan})

    @staticmethod
    def _taken(message: str, instead: str | None = None) -> UsageError:
        """Return the refusal to use this folder, with what could be done `instead` of choosing another one."""
        return UsageError(message, hint=f"{instead}, or choose another --out." if instead else "Choose another --out.")
