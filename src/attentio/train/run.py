"""Training as `attentio train` does it: into a run folder, which the same call again goes on with."""

import platform
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from attentio.bundle import Bundle
from attentio.data.heldout import HeldOut
from attentio.data.prepare import MANIFEST, PreparedData, is_prepared, prepare, share
from attentio.data.source import origins
from attentio.data.start import Start
from attentio.data.subword_regularization import TokenSplits
from attentio.errors import DataError, ModelError, UsageError
from attentio.metrics.quality import learning_warning
from attentio.model.fast.probe import settle
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import CNNConfig, TransformerConfig
from attentio.runtime.choices import CHOSEN, STANDARD, TRAINING, Choices, override, using
from attentio.runtime.device import resolve_device
from attentio.runtime.files import read_json, write_text
from attentio.runtime.precision import slow_bf16
from attentio.runtime.stop import StopRequest
from attentio.runtime.waiting import WATCH
from attentio.text.known import KnownWords
from attentio.train.checkpoint import Checkpoint, whole_checkpoints
from attentio.train.dev import DevSet
from attentio.train.distributed import ALONE, Ranks
from attentio.train.first_model import (
    Say,
    architecture_of,
    first_model,
    known_words,
    score_after,
    score_before,
    start_for,
    taken_over,
    with_token_rows,
)
from attentio.train.folder import Run, claimed
from attentio.train.footprint import check_resources, describe, footprint, single_numbers
from attentio.train.loop import NOT_EVALUATED, train
from attentio.train.plan import ENDED_BY_TIME, StepPlan, describe_plan
from attentio.train.reporter import FEW_UPDATES, Display, Reporter, TrainingReporter, evaluations, too_few
from attentio.train.settings import DEFAULT_PRESET, RunConfig, dump_config, effective_config, nested
from attentio.train.state import Progress, batches, kernels_of, progress_of, take_up

FORESEEN = 300  # updates of which time and quality are said before
FORESEEING = 2.0  # seconds of updates that are measured for that
SHOWN = 20.0  # seconds until a shared file system shows a host what another wrote
SAMPLE = 50  # training sentences that a finished model translates where nothing was held out


def _silent(_text: str) -> None: ...


@dataclass(frozen=True)
class TrainResult:
    """A training: where its run is, why it ended, and how it went.

    ended: why it is over. best_dev_chrf: None where nothing was held out.
    records: a dict for every evaluation on dev, for `pandas.DataFrame(result.records)`.
    """

    run: Path
    ended: str
    steps: int
    seconds: float
    target_tokens: int
    best_dev_chrf: float | None
    best_step: int
    records: list[dict[str, Any]]


def train_files(
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    preset: str = DEFAULT_PRESET,
    settings: Mapping[str, object] | None = None,
    start_from: str | Path | None = None,
    overwrite: bool = False,
    say: Say = _silent,
) -> TrainResult:
    """Train a translator on parallel files or built-in corpora, into the run folder `out`. The same call again goes on.

    settings: by section, `{"train": {"epochs": 3}}`, or by name, `{"train.epochs": 3}`.
    start_from: a run or model folder whose weights and vocabulary are taken over.
    say: told, in lines, what happens. Nothing is printed otherwise.
    Raises AttentioError for what the caller can mend, and KeyboardInterrupt after Ctrl-C, when all has been saved.
    """
    files = [data] if isinstance(data, str | Path) else data
    given: dict[str, dict[str, object]] = {"data": {"train": [str(file) for file in files]}}
    if start_from is not None:
        given["train"] = {"start_from": str(start_from)}
    run = None if overwrite else Path(out)
    config = effective_config(preset=preset, settings=nested(given, settings or {}), run=run)
    summary = run_training(config, Path(out), overwrite=overwrite, say=say)
    if summary["interrupted_by"] is not None:
        raise KeyboardInterrupt(signal.Signals(summary["interrupted_by"]).name)
    kept = ("ended", "steps", "seconds", "target_tokens", "best_dev_chrf", "best_step")
    records = evaluations(Run(Path(out)).log)
    return TrainResult(run=Path(out), records=records, **{key: summary[key] for key in kept})


def run_training(
    config: RunConfig,
    out: Path,
    *,
    overwrite: bool = False,
    say: Say = _silent,
    display: Callable[[], Display] = Display,
    foresee: bool = False,
    ranks: Ranks = ALONE,
    prepared: Path | None = None,
) -> dict[str, Any]:
    """Train to the end, or until Ctrl-C or SIGTERM, and return what `--json` prints. Where it is over, write nothing.

    say: told before and after. display: opened for the time between. foresee: say first what time and quality to
    expect, where a new training is not short. That measures the machine for some seconds.
    ranks: the processes that train together, on one file system. Rank 0 alone reads, prepares, writes and reports.
    prepared: a folder with the data of these settings, which other runs use, too.
    """
    run = Run(out)
    if ranks.rank > 0:
        return _follow(config, run, ranks)
    leading = _Leading(config, run, say, display, ranks)
    try:
        return leading.lead(overwrite=overwrite, foresee=foresee, prepared=prepared)
    finally:
        if not leading.called:
            ranks.begin(False)


def _follow(config: RunConfig, run: Run, ranks: Ranks) -> dict[str, Any]:
    stop = StopRequest()
    if ranks.begin(False):
        _check_shared(run, ranks)
        data = PreparedData.load(run.data)
        with stop:
            train(
                config,
                data.train,
                data.vocab_sizes,
                run.checkpoints,
                links=data.train_links,
                splits=_splits(config, data),
                evaluate=None if data.dev is None else lambda _: NOT_EVALUATED,
                publish=lambda *_: None,
                reporter=Reporter(),
                stop=stop.requested,
                ranks=ranks,
            )
    return {"interrupted_by": stop.signal}


def _check_shared(run: Run, ranks: Ranks) -> None:
    """Raise DataError on all ranks where one of them does not see the data and checkpoints that rank 0 sees."""
    wanted, end = ranks.broadcast(_seen(run)), time.monotonic() + SHOWN
    while (same := _seen(run) == wanted) is False and time.monotonic() < end:
        time.sleep(0.5)
    if not ranks.all_agree(same):
        raise DataError(
            f"the processes of this training do not all see one {run.folder}"
            f"{'.' if same else f': process {ranks.rank} on {platform.node()} does not.'}",
            hint="Choose an --out on a file system that all hosts share, under the same path.",
            file=run.folder,
        )


def _seen(run: Run) -> tuple[str | None, list[str]]:
    prepared = read_json(run.data / MANIFEST)
    return prepared and prepared["fingerprint"], sorted(path.name for path in run.checkpoints.glob("*step-*"))


@dataclass
class _Leading:
    """A training that this process leads, as rank 0. called: whether the others were told to begin."""

    config: RunConfig
    run: Run
    say: Say
    display: Callable[[], Display]
    ranks: Ranks
    called: bool = False

    def lead(self, *, overwrite: bool, foresee: bool, prepared: Path | None) -> dict[str, Any]:
        config, run, say, ranks = self.config, self.run, self.say, self.ranks
        _check(config)
        if ranks.layout.shares and (single := single_numbers(config)):
            raise UsageError(
                f"--shard cannot share out {single[0]} (attention.normalize = {config.attention.normalize!r}): it is a "
                "single number.",
                hint="Leave out --shard.",
            )
        if overwrite or not run.has_begun:
            _check_positions(config)
        start = start_for(config, None if overwrite else run, say)
        with claimed(run, config, overwrite=overwrite) as other_end:
            if overwrite:
                ranks.started_over()
            if prepared is not None and not run.data.exists():
                share(prepared, run.data)
            data = _prepare(run, config, start, say)
            notes: list[str] = []
            newest = next(whole_checkpoints(run.checkpoints, notes.append), None)
            progress, stopped_by, facts = Progress(), None, None
            before: Progress | None = None
            plan: StepPlan | None = None
            refusal: str | None = None
            if newest is not None:
                before = progress_of(newest, run.checkpoints)
                steps = batches(data.train, config.train).updates_per_epoch
                progress, plan, refusal = take_up(newest, run.checkpoints, config.train, steps_per_epoch=steps)
            elif other_end:
                what = f"{run.folder} holds a run with another end, and no whole checkpoint to go on from."
                raise UsageError(what, hint="Choose another --out, or --overwrite it.")
            if refusal is not None and progress.ended is None:
                raise UsageError(f"{run.folder} is past the end that is asked for: {refusal}.")
            if progress.ended is None:
                kernels = _kernels(config, newest)
                if other_end:
                    write_text(run.config, dump_config(config))
                if before is not None and before.ended is not None:
                    say(f"going on from step {before.step:,}, where the run had ended: {before.ended}")
                if config.train.start_from is not None:
                    score_before(run, config, say)
                with using(kernels):
                    expected = _foreseen(config, data, say) if foresee and before is None else None
                    progress, stopped_by, facts = self._train(data, plan)
                facts = {**facts, "expected": expected}
            else:
                for note in notes:
                    say(note)
            _mend_model(run, config, data, progress, say)
            warnings: list[str] = []
            tests = None
            if progress.ended is not None:
                if progress.ended in ENDED_BY_TIME and progress.step < FEW_UPDATES:
                    warnings.append(too_few(progress.step))
                if learned := learning_warning(*_learned(progress, run, data)):
                    warnings.append(f"{learned}. More pairs, more epochs or a longer --max-time may help.")
                if config.train.start_from is not None:
                    tests = score_after(run, data, progress, say)
        kept = ""
        if progress.best_chrf is not None:
            kept = f"  the model of step {progress.best_step:,} is kept, dev chrF {progress.best_chrf:.2f}"
        if progress.ended is None:
            say(f"stopped at step {progress.step:,}; the same command again resumes exactly here")
        elif refusal is not None:
            say(f"nothing to do in {run.folder}: {refusal}")
        else:
            word = "ended" if warnings else "done "
            say(f"{word}  {run.folder}  {progress.ended} after {progress.step:,} steps, {progress.seconds:.0f} s{kept}")
            for warning in warnings:
                say(f"warning: {warning}")
        return {
            "run": str(run.folder),
            "data": data.report.summary(),
            "plan": facts,
            "started_from": None if config.train.start_from is None else taken_over(config, data, tests),
            "ended": progress.ended,
            "interrupted_by": stopped_by,
            "steps": progress.step,
            "seconds": round(progress.seconds, 1),
            "target_tokens": progress.target_tokens,
            "best_dev_chrf": progress.best_chrf,
            "best_step": progress.best_step,
            "best_dev_loss": progress.least_loss,
            "warnings": warnings,
        }

    def _train(self, data: PreparedData, plan: StepPlan | None) -> tuple[Progress, int | None, Mapping[str, object]]:
        config, run, say, ranks = self.config, self.run, self.say, self.ranks
        say(describe(config, *data.vocab_sizes))
        if config.model.lexicon and data.train_links is None and config.train.start_from is None:
            say("note: model.lexicon learns from word links, and none are known (data.learn_links): it stays empty")
        if slow := slow_bf16(config.train.precision, resolve_device(config.train.device), TRAINING):
            say(f"note: {slow}")
        check_resources(config, *data.vocab_sizes, run.folder)
        dev = None
        if data.dev is not None:
            sets = [data.dev] if data.earlier_dev is None else [data.dev, data.earlier_dev]
            dev = DevSet.mean([DevSet(held, data, limit=config.train.evaluate_pairs) for held in sets])
            if len(sets) > 1:
                say("dev    chrF and loss are the mean of two dev sets: new pairs and earlier ones")

        words = cache(partial(known_words, config, data))  # looked for once, when there is a model to publish

        def publish(model: Seq2Seq, progress: Progress) -> None:
            metadata = {"parameters": model.num_parameters(), "progress": asdict(progress)}
            _bundle(config, data, model.unique_state_dict(), words(), **metadata).save(run.model)

        steps = batches(data.train, config.train).updates_per_epoch
        planned, facts = describe_plan(config.train, dropout=config.model.dropout, batches=steps, plan=plan)
        say(planned)
        stop = StopRequest()
        with TrainingReporter(run.log, self.display, config.train) as reporter, stop, WATCH.work():
            facts = {**facts, "kernels": dict(CHOSEN)}
            reporter.plan(facts)
            self.called = True  # also where they cannot meet: what went wrong is not to be covered by another error
            ranks.begin(True)
            _check_shared(run, ranks)
            progress = train(
                config,
                data.train,
                data.vocab_sizes,
                run.checkpoints,
                links=data.train_links,
                splits=_splits(config, data),
                first_weights=None
                if config.train.start_from is None
                else lambda: with_token_rows(first_model(config).weights, data.vocab_sizes),
                evaluate=dev,
                publish=publish,
                reporter=reporter,
                stop=stop.requested,
                ranks=ranks,
            )
        return progress, stop.signal, facts


def dry_run(config: RunConfig, out: Path, *, say: Say, prepared: Path | None = None) -> dict[str, Any]:
    """Report on data, model and memory of a run that would stand in `out`. Train nothing, and write nothing there."""
    _check(config)
    _check_positions(config)
    with TemporaryDirectory(prefix="attentio-") as folder:
        start = start_for(config, None, say)
        if prepared is not None:
            share(prepared, Path(folder) / "data")
        data = prepare(config.data, Path(folder) / "data", seed=config.train.seed, start=start)
        for line in [*data.report.warnings(), *data.report.lines()]:
            say(line)
        say(describe(config, *data.vocab_sizes))
        say(f"dry run: nothing was trained, {out} was not touched")
        parameters, memory = footprint(config, *data.vocab_sizes)
        return {"dry_run": True, "parameters": parameters, "memory_bytes": memory, "train_pairs": data.report.train}


def _kernels(config: RunConfig, newest: Checkpoint | None) -> Choices:
    """Return the implementations to compute with: those of the run where it goes on, so that it ends bit for bit."""
    if resolve_device(config.train.device).type != "cpu":
        return STANDARD
    if newest is None:
        return settle(config.train.kernels)
    asked = override(config.train.kernels)
    return kernels_of(newest) if asked is None else asked


def _bundle(
    config: RunConfig,
    data: PreparedData,
    weights: Mapping[str, Tensor],
    words: KnownWords | None,
    **metadata: object,
) -> Bundle:
    """Return weights with all that translating needs of their run, and nothing else of it."""
    return Bundle(
        architecture_of(config),
        weights,
        replace(data.source, words=words),
        data.target,
        config.data.max_length,
        metadata,
        longest_source=data.longest_source,
        placeholders=data.placeholders,
    )


def _check(config: RunConfig) -> None:
    origins(config.data)
    resolve_device(config.train.device)
    footprint(config, 5, 5)


def _check_positions(config: RunConfig) -> None:
    """Refuse sentences that are longer than the model has positions: the last ones would all look alike."""
    model, length = config.model, config.data.max_length
    positions = None
    if isinstance(model, CNNConfig) or (isinstance(model, TransformerConfig) and model.positions == "learned"):
        positions = model.max_positions
    if positions is not None and length >= positions:  # one is for the end of the sentence
        raise UsageError(
            f"sentences of {length:,} tokens are allowed, and the model has {positions:,} positions.",
            hint=f"--max-length {positions - 1}, or -o model.max_positions={length + 1}",
        )


def _prepare(run: Run, config: RunConfig, start: Start | None, say: Say) -> PreparedData:
    seed = config.train.seed
    if run.checkpoints.exists() and not is_prepared(config.data, run.data, seed=seed, start=start):
        raise DataError(
            f"the data of {run.folder} changed since its training began.",
            hint="Restore the files, choose another --out, or start again with --overwrite.",
            file=run.folder,
        )
    data = prepare(config.data, run.data, seed=seed, start=start)
    for line in [*data.report.warnings(), *data.report.lines(run.data / "report.json")]:
        say(line)
    return data


def _foreseen(config: RunConfig, data: PreparedData, say: Say) -> Mapping[str, object] | None:
    """Say what time and quality to expect. None for a training that is over before that were known."""
    updates = StepPlan.of(config.train, steps_per_epoch=batches(data.train, config.train).updates_per_epoch).total_steps
    if updates < FORESEEN or config.train.start_from is not None:
        return None
    from attentio.train.planner import plan_prepared

    found = plan_prepared(config, data, seconds=FORESEEING)
    say(f"{found.expectation()}. More about it: attentio plan DATA")
    return found.as_dict()


def _splits(config: RunConfig, data: PreparedData) -> tuple[TokenSplits | None, TokenSplits | None]:
    if config.train.subword_regularization == 0:
        return None, None
    return TokenSplits.of(data.source.tokenizer), TokenSplits.of(data.target.tokenizer)


def _mend_model(run: Run, config: RunConfig, data: PreparedData, progress: Progress, say: Say) -> None:
    """Publish the model again where it is missing or damaged: the best one where its checkpoint is still there."""
    if progress.ended is None and progress.best_chrf is None:
        return  # nothing was published yet
    try:
        Bundle.load(run.folder)
        return
    except ModelError as error:
        fault = error.message
    held = [(progress_of(one, run.checkpoints), one.tensors) for one in whole_checkpoints(run.checkpoints, _silent)]
    if not held:
        raise ModelError(f"{fault} No checkpoint is whole.", hint="Start again with --overwrite.", file=run.model)
    place, tensors = next((one for one in held if one[0].step == progress.best_step), held[0])
    weights = tensors.get("average", tensors["weights"])
    _bundle(config, data, weights, known_words(config, data), progress=asdict(place)).save(run.model)
    say(f"published again, as of step {place.step:,}: {fault}")
    if place.step != progress.best_step and progress.best_chrf is not None:
        say(f"the model of step {progress.best_step:,}, which was better on dev, is lost. --overwrite trains it again.")


def _learned(progress: Progress, run: Run, data: PreparedData) -> tuple[float, float]:
    """Return `same_output` and strict chrF of the kept model, on training text where nothing is held out."""
    if data.dev is None:
        sample = HeldOut.from_pairs("training", data.training_pairs(SAMPLE))
        scores = DevSet(sample, data, limit=SAMPLE)(Bundle.load(run.folder).build().eval())
        return scores.same, scores.strict
    if progress.best_same is None or progress.best_strict is None:  # it ended before these were kept
        return 0.0, 100.0
    return progress.best_same, progress.best_strict
