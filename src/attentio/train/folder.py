"""A run folder: what is in it, and whose it is.

- `config.toml`: the effective configuration
- `data/`: the prepared data: tokenizers, encoded pairs, held-out text, report
- `checkpoints/`: what resuming needs
- `model/`: the best model so far, with all that translating needs. Copy or share this folder.
- `log.jsonl`: one line for every event of training
- `tests.json`: scores before and after, only of a training that started from a model
- `.lock`: only while a training is at work there
"""

import contextlib
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import cast

from attentio.data.prepare import MANIFEST
from attentio.data.settings import DataConfig
from attentio.errors import ModelError, ResourceError, UsageError
from attentio.runtime.files import LOCK, PARTIAL, disk_errors, hold, make_folder, read_json, remove, write_text
from attentio.train.plan import ENDS
from attentio.train.settings import RunConfig, differences, dump_config, load_config


class Run:
    """The places in a run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.data = folder / "data"
        self.checkpoints = folder / "checkpoints"
        self.model = folder / "model"
        self.log = folder / "log.jsonl"
        self.tests = folder / "tests.json"

    @property
    def has_begun(self) -> bool:
        """Whether something was trained here."""
        return self.config.exists() and (self.checkpoints.exists() or self.model.exists())


def data_settings(run: Run) -> DataConfig:
    """Return how the run read its files, the defaults where only its model is there.

    Raises ModelError where `config.toml` is another than what its data was prepared by.
    """
    if not run.config.exists():
        return DataConfig()
    settings = load_config(run.config).data
    prepared = read_json(run.data / MANIFEST)
    if isinstance(prepared, dict):
        before = cast(dict[str, dict[str, object]], prepared).get("config", {})
        if differences({"data": before}, {"data": settings.model_dump(mode="json")}):
            raise ModelError(f"{run.config} was altered.", hint="Restore it.", code="E_MODEL_CORRUPT", file=run.config)
    return settings


@contextlib.contextmanager
def claimed(run: Run, config: RunConfig, *, overwrite: bool = False) -> Generator[bool]:
    """Make the folder this run's, or find that it is already, and hold it during the block.

    Gives whether the run is asked for another end than `config.toml` says: `ENDS`. All else must be the same.

    overwrite: remove the run that is there first. Raises UsageError for a folder with another run or with anything
    else, and while another process trains there. A run that cannot be written to is not held: if it is finished,
    nothing is written.
    """
    with contextlib.ExitStack() as stack:
        with disk_errors(run.folder):
            _check_kind(run, overwrite=overwrite)
            try:
                make_folder(run.folder)
                stack.enter_context(hold(run.folder, "training"))
                for path in run.folder.glob(PARTIAL):
                    remove(path)
            except ResourceError as error:
                if error.code != "E_DISK" or overwrite or not run.has_begun:
                    raise
            if overwrite:
                for path in (run.checkpoints, run.model, run.data, run.log, run.tests, run.config):
                    remove(path)
            other_end = False
            if not run.has_begun:
                write_text(run.config, dump_config(config))
            else:
                held = load_config(run.config)
                ends = {name: getattr(config.train, name) for name in ENDS}
                same_end = held.model_copy(update={"train": held.train.model_copy(update=ends)})
                if changed := differences(same_end.model_dump(), config.model_dump()):
                    raise UsageError(
                        f"{run.folder} holds a run with other settings ({'; '.join(changed)}).",
                        hint="Choose another --out, or --overwrite it.",
                    )
                other_end = same_end != held
        yield other_end


def _check_kind(run: Run, *, overwrite: bool) -> None:
    """Refuse a folder that is no run: another folder may hold a `data` or `model` of another kind."""
    if not run.folder.exists():
        return
    if run.folder.is_dir() and all(path.name == LOCK or path.match(PARTIAL) for path in run.folder.iterdir()):
        return
    if overwrite:
        try:
            sections = tomllib.loads(run.config.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            sections = {}
        if sections.keys() >= {"data", "model", "attention", "train"}:  # of any version, so its values are not read
            return
    elif run.config.exists():
        return
    raise UsageError(f"{run.folder} is not empty and is no run folder.", hint="Choose another --out.")
