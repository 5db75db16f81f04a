"""`attentio train`: from parallel text to a run folder; the same command again goes on where it stopped."""

import json
import re
import shutil
import signal
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attentio.errors import DataError, ResourceError, UsageError

if TYPE_CHECKING:
    from attentio.config import RunConfig
    from attentio.data.prepare import PreparedData
    from attentio.run import Run

_TIME = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")


def train(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...", help="Parallel files (TSV, JSONL, TMX, .gz) or built-in: demo, small-world, hsk."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Run folder.")] = Path("run"),
    src: Annotated[list[str] | None, typer.Option("--src", help="Source-side file, beside --tgt.")] = None,
    tgt: Annotated[
        list[str] | None, typer.Option("--tgt", help="Target-side file, line by line as DATA or --src.")
    ] = None,
    links: Annotated[
        list[str] | None, typer.Option("--links", help="Known word links of DATA to guide attention, `0-0 1-2` a line.")
    ] = None,
    dev: Annotated[str | None, typer.Option(help="Held out for choosing: pairs, a share, or a file.")] = None,
    test: Annotated[str | None, typer.Option(help="Held out for testing: pairs, a share, or a file.")] = None,
    attention: Annotated[str | None, typer.Option(help="Attention score: additive, dot, bilinear, …")] = None,
    preset: Annotated[str, typer.Option(help="tiny, small, base, of a family (cnn-small), or notebook.")] = "base",
    config_file: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", "-o", metavar="SECTION.KEY=VALUE", help="Any setting.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split, weights, order and dropout.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Stop after this long: 90s, 10m, 2h.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Drop pairs with more pieces on a side.")] = None,
    script: Annotated[str | None, typer.Option(help="Chinese script: simplified, traditional or keep.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the files, where it is not UTF-8.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="What separates the columns, where it is not a tab.")] = None,
    swap: Annotated[bool, typer.Option("--swap", help="Translate from the second column to the first.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on although most pairs are unusable.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew in a run folder that has a run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report on data, model and memory; train nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Train a translator. Ctrl-C at any time; the same command again resumes exactly where it stopped."""
    from attentio.config import effective_config

    settings = {
        "data": corpus_settings(
            files=files,
            src=src,
            tgt=tgt,
            links=links,
            dev=dev,
            test=test,
            max_length=max_length,
            script=script,
            encoding=encoding,
            delimiter=delimiter,
            swap=swap,
            keep_going=keep_going,
        ),
        "attention": {"score": attention},
        "train": {"seed": seed, "device": device, "max_seconds": None if max_time is None else seconds_of(max_time)},
    }
    config = effective_config(preset=preset, file=config_file, settings=given(settings), overrides=override or ())
    if not config.data.train:
        raise UsageError(
            "no data to train on.", hint="Give a parallel file, or one of the built-in corpora: demo, small-world, hsk."
        )
    summary = run_training(config, out, overwrite=overwrite, dry_run=dry_run, quiet=quiet)
    if as_json:
        typer.echo(json.dumps({"schema": 1, **summary}, ensure_ascii=False))
    if summary.get("interrupted_by"):
        raise typer.Exit(128 + int(summary["interrupted_by"]))


def corpus_settings(
    *,
    files: list[str] | None,
    src: list[str] | None,
    tgt: list[str] | None,
    links: list[str] | None = None,
    dev: str | None,
    test: str | None,
    max_length: int | None,
    script: str | None,
    encoding: str | None,
    delimiter: str | None,
    swap: bool,
    keep_going: bool,
) -> dict[str, object]:
    """The settings of `data` from what the command line says of it; None where it says nothing."""
    if files and src:
        raise UsageError("give DATA or --src, not both.")
    return {
        "train": files or src,
        "target": tgt,
        "links": links,
        "dev": _held_out(dev),
        "test": _held_out(test),
        "max_length": max_length,
        "script": script,
        "encoding": encoding,
        "delimiter": None if delimiter is None else delimiter.replace("\\t", "\t"),
        "swap": swap or None,
        "keep_going": keep_going or None,
    }


def run_training(
    config: "RunConfig", out: Path, *, overwrite: bool = False, dry_run: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Trains as `attentio train` does and returns what it would print as JSON."""
    say = _silent if quiet else _to_stderr
    _check(config)
    if dry_run:
        return _dry_run(config, out, say)
    from attentio.run import Run

    run = Run(out)
    if overwrite:
        _clear(run)
    _claim(run, config)
    data = _prepare(run, config, say)
    return _train(run, config, data, say, quiet=quiet)


def _check(config: "RunConfig") -> None:
    """Finds mistakes in the settings before anything is read, written or removed: missing files, impossible models."""
    from attentio.data.passes import Parts
    from attentio.train.footprint import footprint
    from attentio.train.loop import resolve_device

    Parts.of(config.data)
    resolve_device(config.train.device)
    footprint(config, 5, 5)


def _clear(run: "Run") -> None:
    """Removes a run, and nothing else: a folder that is no run folder may hold a `data` or `model` of another kind."""
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


def _no_run_folder(run: "Run") -> UsageError:
    return UsageError(f"{run.folder} is not empty and is no run folder.", hint="Choose another --out.")


def _train(run: "Run", config: "RunConfig", data: "PreparedData", say: Any, *, quiet: bool) -> dict[str, Any]:
    from attentio.cli.progress import TrainingReporter
    from attentio.run import publish_model
    from attentio.train.evaluation import DevSet
    from attentio.train.footprint import check_resources, describe
    from attentio.train.loop import train as train_loop

    sizes = data.source_tokenizer.vocab_size, data.target_tokenizer.vocab_size
    say(describe(config, *sizes))
    check_resources(config, *sizes, run.folder)
    dev = None
    if data.dev is not None:
        dev = DevSet(data.dev, data.source_tokenizer, data.target_tokenizer, limit=config.train.evaluate_pairs)
    stop = StopRequest()
    with TrainingReporter(run.log, quiet=quiet, epochs=config.train.epochs) as reporter, stop:
        progress = train_loop(
            config,
            data.train,
            sizes,
            run.checkpoints,
            links=data.train_links,
            evaluate=dev,
            publish=lambda model, progress: publish_model(run, config, data, model, progress),
            reporter=reporter,
            stop=stop.requested,
        )
    best = (
        "" if progress.best_chrf is None else f"  best dev chrF {progress.best_chrf:.2f} at step {progress.best_step:,}"
    )
    if progress.ended is None:
        say(f"stopped at step {progress.step:,}; the same command again resumes exactly here")
    else:
        say(f"done   {run.folder}  {progress.ended} after {progress.step:,} steps, {progress.seconds:.0f} s{best}")
    return {
        "run": str(run.folder),
        "ended": progress.ended,
        "interrupted_by": stop.signal,
        "steps": progress.step,
        "seconds": round(progress.seconds, 1),
        "target_tokens": progress.target_tokens,
        "best_dev_chrf": progress.best_chrf,
        "best_step": progress.best_step,
    }


def _prepare(run: "Run", config: "RunConfig", say: Any) -> "PreparedData":
    from attentio.data.prepare import is_prepared, prepare

    if run.checkpoints.exists() and not is_prepared(config.data, run.data, seed=config.train.seed):
        raise DataError(
            f"the data of {run.folder} changed since its training began.",
            hint="Restore the files, choose another --out, or start anew with --overwrite.",
            file=run.folder,
        )
    data = prepare(config.data, run.data, seed=config.train.seed)
    for line in [*data.report.warnings(), *data.report.lines(run.data / "report.json")]:
        say(line)
    return data


def _claim(run: "Run", config: "RunConfig") -> None:
    """Makes the folder this run's, or finds that it is already; a folder with another run is left alone."""
    from attentio.config import dump_config, load_config

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


def _dry_run(config: "RunConfig", out: Path, say: Any) -> dict[str, Any]:
    from tempfile import TemporaryDirectory

    from attentio.data.prepare import prepare
    from attentio.train.footprint import describe, footprint

    with TemporaryDirectory(prefix="attentio-") as folder:
        data = prepare(config.data, Path(folder) / "data", seed=config.train.seed)
        for line in [*data.report.warnings(), *data.report.lines()]:
            say(line)
        sizes = data.source_tokenizer.vocab_size, data.target_tokenizer.vocab_size
        say(describe(config, *sizes))
        say(f"dry run: nothing was trained, {out} was not touched")
        parameters, memory = footprint(config, *sizes)
        return {"dry_run": True, "parameters": parameters, "memory_bytes": memory, "train_pairs": data.report.train}


class StopRequest:
    """While active, SIGINT and SIGTERM ask for a halt at the next update; a second SIGINT is not caught."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def requested(self) -> bool:
        return self.signal is not None


def seconds_of(text: str) -> float:
    """ "90s", "10m", "2h" or plain seconds, as seconds; raises UsageError for anything else."""
    match = _TIME.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"cannot read the time {text!r}.", hint="Write it as 90s, 10m or 2h.")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _held_out(text: str | None) -> int | float | str | None:
    for kind in (int, float):
        try:
            return None if text is None else kind(text)
        except ValueError:
            continue
    return text


def given(settings: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """Only what was given on the command line."""
    return {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in settings.items()
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In words, the settings that are not the same; where families differ, only what both of them have."""
    return [
        f"{section}.{key} was {value!r}, now {now[section][key]!r}"
        for section, values in before.items()
        for key, value in values.items()
        if key in now[section] and value != now[section][key]
    ]


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")


def _silent(_text: str) -> None: ...
