"""Training as `attentio train` does it: into a run folder, which the same call again goes on with."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attentio.bundle import Architecture, Bundle, Side
from attentio.data.pipeline import Parts
from attentio.data.prepare import PreparedData, is_prepared, prepare
from attentio.data.subword_regularization import TokenSplits
from attentio.errors import DataError
from attentio.model.seq2seq import Seq2Seq
from attentio.runtime.device import resolve_device
from attentio.runtime.stop import StopRequest
from attentio.train.dev import DevSet
from attentio.train.folder import Run, claim, clear
from attentio.train.footprint import check_resources, describe, footprint
from attentio.train.loop import Progress, train
from attentio.train.reporter import Display, Silent, TrainingReporter
from attentio.train.settings import RunConfig

Say = Callable[[str], None]


def _silent(_text: str) -> None: ...


def run_training(
    config: RunConfig,
    out: Path,
    *,
    overwrite: bool = False,
    say: Say = _silent,
    display: Callable[[], Display] = Silent,
) -> dict[str, Any]:
    """Trains to the end, or until Ctrl-C or SIGTERM, and returns what `--json` prints.

    say: told before and after; display: opened for the time between.
    """
    _check(config)
    run = Run(out)
    if overwrite:
        clear(run)
    claim(run, config)
    data = _prepare(run, config, say)
    return _train(run, config, data, say, display)


def dry_run(config: RunConfig, out: Path, *, say: Say) -> dict[str, Any]:
    """Reports on data, model and memory of a run that would stand in `out`; trains nothing and writes nothing there."""
    _check(config)
    with TemporaryDirectory(prefix="attentio-") as folder:
        data = prepare(config.data, Path(folder) / "data", seed=config.train.seed)
        for line in [*data.report.warnings(), *data.report.lines()]:
            say(line)
        sizes = data.source_tokenizer.vocab_size, data.target_tokenizer.vocab_size
        say(describe(config, *sizes))
        say(f"dry run: nothing was trained, {out} was not touched")
        parameters, memory = footprint(config, *sizes)
        return {"dry_run": True, "parameters": parameters, "memory_bytes": memory, "train_pairs": data.report.train}


def bundle_of(config: RunConfig, data: PreparedData, model: Seq2Seq, progress: Progress) -> Bundle:
    """Return `model` with all that translating needs of its run, and nothing else of it."""
    return Bundle(
        Architecture(model=config.model, attention=config.attention, self_attention=config.self_attention),
        model.unique_state_dict(),
        Side(data.source_tokenizer, data.source_cleaner, data.source_language),
        Side(data.target_tokenizer, data.target_cleaner, data.target_language),
        config.data.max_length,
        {"parameters": model.num_parameters(), "progress": asdict(progress)},
    )


def _check(config: RunConfig) -> None:
    """Finds mistakes in the settings before anything is read, written or removed: missing files, impossible models."""
    Parts.of(config.data)
    resolve_device(config.train.device)
    footprint(config, 5, 5)


def _prepare(run: Run, config: RunConfig, say: Say) -> PreparedData:
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


def _train(run: Run, config: RunConfig, data: PreparedData, say: Say, display: Callable[[], Display]) -> dict[str, Any]:
    sizes = data.source_tokenizer.vocab_size, data.target_tokenizer.vocab_size
    say(describe(config, *sizes))
    check_resources(config, *sizes, run.folder)
    dev = None
    if data.dev is not None:
        dev = DevSet(data.dev, data.source_tokenizer, data.target_tokenizer, limit=config.train.evaluate_pairs)
    splits = None, None
    if config.train.split_pieces > 0:
        splits = TokenSplits.of(data.source_tokenizer), TokenSplits.of(data.target_tokenizer)
    stop = StopRequest()
    with TrainingReporter(run.log, display, epochs=config.train.epochs) as reporter, stop:
        progress = train(
            config,
            data.train,
            sizes,
            run.checkpoints,
            links=data.train_links,
            splits=splits,
            evaluate=dev,
            publish=lambda model, progress: bundle_of(config, data, model, progress).save(run.model),
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
