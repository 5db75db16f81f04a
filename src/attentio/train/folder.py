"""A run folder: what is in it, and whose it is.

- `config.toml`: the effective configuration
- `data/`: the prepared data: tokenizers, encoded pairs, held-out text, report
- `checkpoints/`: what resuming needs
- `model/`: the best model so far, with all that translating needs. Copy or share this folder.
- `log.jsonl`: one line for every event of training
"""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from attentio.errors import ResourceError, UsageError
from attentio.train.settings import RunConfig, differences, dump_config, load_config


@dataclass(frozen=True)
class Run:
    """The places in a run folder."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"


def claim(run: Run, config: RunConfig) -> None:
    """Make the folder this run's, or find that it is already. Refuse a folder with another run."""
    if run.config.exists() and (run.checkpoints.exists() or run.model.exists()):
        if changed := differences(load_config(run.config).model_dump(), config.model_dump()):
            raise UsageError(
                f"{run.folder} holds a run with other settings ({'; '.join(changed)}).",
                hint="Choose another --out, or --overwrite it.",
            )
        return
    if run.folder.exists() and not run.config.exists() and (run.folder.is_file() or any(run.folder.iterdir())):
        raise _no_run_folder(run)
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        run.config.write_text(dump_config(config), encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"{run.folder}: cannot be written ({error.strerror}).", file=run.folder) from None


def clear(run: Run) -> None:
    """Remove a run, and nothing else: another folder may hold a `data` or `model` of another kind."""
    if not run.folder.exists() or (run.folder.is_dir() and not any(run.folder.iterdir())):
        return
    try:
        sections = tomllib.loads(run.config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        sections = {}
    if not sections.keys() >= {"data", "model", "attention", "train"}:  # of any version, so its values are not read
        raise _no_run_folder(run)
    for path in (run.checkpoints, run.model, run.data):
        shutil.rmtree(path, ignore_errors=True)
    for path in (run.log, run.config):
        path.unlink(missing_ok=True)


def _no_run_folder(run: Run) -> UsageError:
    return UsageError(f"{run.folder} is not empty and is no run folder.", hint="Choose another --out.")
