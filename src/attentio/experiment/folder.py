"""The folder of a comparison: what is in it, and who works in it.

- `bench.json`: which cells and seeds are compared
- `data/`: the prepared data, one folder for each way to prepare it
- `runs/CELL/seed-N/`: run folders, as `attentio train` makes them
- `results/CELL/seed-N.*`: what was measured of each run, and a log where a process wrote one
- `compare.json`, `compare.csv`, `compare.html`: the result
"""

import contextlib
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from attentio import __version__
from attentio.errors import UsageError
from attentio.experiment.grid import GridCell
from attentio.runtime.files import disk_errors, read_json, write_json
from attentio.train.settings import differences, parse_config

SCHEMA = 1
_ELSEWHERE = "Choose another --out."


@dataclass(frozen=True)
class Bench:
    """The places in a folder of comparison."""

    folder: Path

    @property
    def plan(self) -> Path:
        return self.folder / "bench.json"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def tests(self) -> Path:
        return self.results / "tests.json"

    def data(self, key: str) -> Path:
        return self.folder / "data" / key

    def run(self, cell: str, seed: int) -> Path:
        return self.folder / "runs" / cell / f"seed-{seed}"

    @contextlib.contextmanager
    def claimed(self) -> Generator[None]:
        """Make the folder and hold it for this process. The lock ends with the process, however that ends.

        Raises UsageError while another process is at work here, or when the folder holds something else. Raises
        ResourceError when it cannot be written.
        """
        if self.folder.exists() and not (self.folder.is_dir() and (self.plan.exists() or not self._others())):
            raise UsageError(f"{self.folder} is not empty and holds no comparison.", hint=_ELSEWHERE)
        lock = FileLock(self.folder / ".lock", blocking=False)
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                raise UsageError(
                    f"another comparison is at work in {self.folder}.", hint="Let it end, or choose another --out."
                ) from None
        try:
            yield
        finally:
            lock.release()

    def _others(self) -> bool:
        return any(path.name not in (".lock", "results") for path in self.folder.iterdir())

    def claim_plan(self, cells: list[GridCell], seeds: list[int]) -> None:
        """Write down what is compared. Cells and seeds may be added to what stands there, anything else is refused.

        A plan of which nothing was trained yet binds nobody.
        """
        plan = {cell.name: cell.config for cell in cells}
        before: dict[str, Any] = read_json(self.plan) or {}
        if "runs" not in before and not (self.folder / "runs").exists():
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            before = {"cells": {}, "seeds": []}
        if "runs" in before:
            raise UsageError(f"{self.folder} holds a comparison of run folders.", hint=_ELSEWHERE)
        for name, settings in before["cells"].items():
            if name not in plan:
                raise UsageError(
                    f"{self.folder} holds another grid, with the cell {name}.",
                    hint="Vary that, too, or choose another --out.",
                )
            held = parse_config(settings, where=str(self.plan))
            if changed := differences(held.model_dump(), plan[name].model_dump()):
                raise UsageError(f"{self.folder} holds another grid ({'; '.join(changed)}).", hint=_ELSEWHERE)
        if more := sorted(set(before["seeds"]) - set(seeds)):
            raise UsageError(
                f"{self.folder} holds another grid, with seed {', '.join(map(str, more))}.",
                hint=f"Give --seeds {len(set(before['seeds']) | set(seeds))}, or choose another --out.",
            )
        written = {name: config.model_dump(mode="json") for name, config in plan.items()}
        write_json(self.plan, {"schema": SCHEMA, "version": __version__, "seeds": seeds, "cells": written})

    def claim_runs(self, folders: list[Path]) -> None:
        """Write down which runs are compared, in place of others. A grid is left alone."""
        if "cells" in (read_json(self.plan) or {}):
            raise UsageError(f"{self.folder} holds a grid.", hint=_ELSEWHERE)
        names = [str(folder) for folder in folders]
        write_json(self.plan, {"schema": SCHEMA, "version": __version__, "runs": names})
