"""Training as `attentio train` does it: into a run folder, which the same call again goes on with."""

import contextlib
import platform
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from attentio.bundle import Architecture, Bundle, Side
from attentio.data.heldout import HeldOut
from attentio.data.prepare import MANIFEST, PreparedData, data_fingerprint, is_prepared, prepare, share, start_of
from attentio.data.source import origins
from attentio.data.start import Earlier, SideRules, Start, run_of
from attentio.data.subword_regularization import TokenSplits
from attentio.errors import DataError, ModelError, ResourceError, UsageError
from attentio.metrics.quality import learning_warning
from attentio.model.fast.probe import settle
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import CNNConfig, TransformerConfig
from attentio.runtime.choices import CHOSEN, STANDARD, TRAINING, Choices, override, using
from attentio.runtime.device import resolve_device
from attentio.runtime.files import read_json, sha256_of_json, write_json, write_text
from attentio.runtime.precision import slow_bf16
from attentio.runtime.stop import StopRequest
from attentio.runtime.waiting import WATCH
from attentio.text.known import KnownWords
from attentio.text.tokenizer import fingerprint
from attentio.train.checkpoint import Checkpoint, whole_checkpoints
from attentio.train.dev import DevSet
from attentio.train.distributed import ALONE, Ranks
from attentio.train.folder import Run, claimed
from attentio.train.footprint import check_resources, describe, footprint, single_numbers
from attentio.train.loop import NOT_EVALUATED, Unheard, train
from attentio.train.plan import ENDED_BY_TIME, StepPlan, describe_plan
from attentio.train.reporter import FEW_UPDATES, Display, Silent, TrainingReporter, evaluations, too_few
from attentio.train.settings import DEFAULT_PRESET, RunConfig, dump_config, effective_config, nested
from attentio.train.state import Progress, batches, kernels_of, progress_of, take_up
from attentio.train.vocabulary import with_token_rows

Say = Callable[[str], None]
TESTED = 2000  # sentences of a test set that are translated before and after a training that starts from a model
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
    display: Callable[[], Display] = Silent,
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
    if ranks.rank > 0:
        return _follow(config, Run(out), ranks)
    called = False

    def call() -> None:
        nonlocal called
        called = True  # also where they cannot meet: what went wrong is not to be covered by another error
        ranks.begin(True)

    try:
        return _lead(
            config,
            Run(out),
            overwrite=overwrite,
            say=say,
            display=display,
            foresee=foresee,
            ranks=ranks,
            call=call,
            prepared=prepared,
        )
    finally:
        if not called:
            ranks.begin(False)


def _follow(config: RunConfig, run: Run, ranks: Ranks) -> dict[str, Any]:
    """Take part in a training that rank 0 leads."""
    stop = StopRequest()
    if ranks.begin(False):
        _check_shared(run, ranks)
        data = PreparedData.load(run.data)
        with stop:
            train(
                config,
                data.train,
                (data.source_tokenizer.vocab_size, data.target_tokenizer.vocab_size),
                run.checkpoints,
                links=data.train_links,
                splits=_splits(config, data),
                evaluate=None if data.dev is None else lambda _: NOT_EVALUATED,
                publish=lambda *_: None,
                reporter=Unheard(),
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


def _lead(
    config: RunConfig,
    run: Run,
    *,
    overwrite: bool,
    say: Say,
    display: Callable[[], Display],
    foresee: bool,
    ranks: Ranks,
    call: Callable[[], None],
    prepared: Path | None,
) -> dict[str, Any]:
    """Train as rank 0. `call` tells the others that training begins."""
    _check(config)
    if ranks.layout.shares and (single := single_numbers(config)):
        raise UsageError(
            f"--shard cannot share out {single[0]} (attention.normalize = {config.attention.normalize!r}): it is a "
            "single number.",
            hint="Leave out --shard.",
        )
    if overwrite or not run.has_begun:
        _check_positions(config)
    start = _start(config, None if overwrite else run, say)
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
                _score_before(run, config, say)
            with using(kernels):
                expected = _foreseen(config, data, say) if foresee and before is None else None
                progress, stopped_by, facts = _train(run, config, data, say, display, plan, ranks, call)
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
                tests = _score_after(run, data, progress, say)
    best = (
        "" if progress.best_chrf is None else f"  best dev chrF {progress.best_chrf:.2f} at step {progress.best_step:,}"
    )
    if progress.ended is None:
        say(f"stopped at step {progress.step:,}; the same command again resumes exactly here")
    elif refusal is not None:
        say(f"nothing to do in {run.folder}: {refusal}")
    else:
        word = "ended" if warnings else "done "
        say(f"{word}  {run.folder}  {progress.ended} after {progress.step:,} steps, {progress.seconds:.0f} s{best}")
        for warning in warnings:
            say(f"warning: {warning}")
    return {
        "run": str(run.folder),
        "data": data.report.summary(),
        "plan": facts,
        "started_from": None if config.train.start_from is None else _taken_over(config, data, tests),
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


def dry_run(config: RunConfig, out: Path, *, say: Say, prepared: Path | None = None) -> dict[str, Any]:
    """Report on data, model and memory of a run that would stand in `out`. Train nothing, and write nothing there."""
    _check(config)
    _check_positions(config)
    with TemporaryDirectory(prefix="attentio-") as folder:
        start = _start(config, None, say)
        if prepared is not None:
            share(prepared, Path(folder) / "data")
        data = prepare(config.data, Path(folder) / "data", seed=config.train.seed, start=start)
        for line in [*data.report.warnings(), *data.report.lines()]:
            say(line)
        sizes = data.source_tokenizer.vocab_size, data.target_tokenizer.vocab_size
        say(describe(config, *sizes))
        say(f"dry run: nothing was trained, {out} was not touched")
        parameters, memory = footprint(config, *sizes)
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
    known_words: KnownWords | None,
    **metadata: object,
) -> Bundle:
    """Return weights with all that translating needs of their run, and nothing else of it."""
    return Bundle(
        _architecture(config),
        weights,
        Side(data.source_tokenizer, data.source_cleaner, data.source_language, known_words),
        Side(data.target_tokenizer, data.target_cleaner, data.target_language),
        config.data.max_length,
        metadata,
        longest_source=data.longest_source,
        placeholders=data.placeholders,
    )


def _known_words(config: RunConfig, data: PreparedData) -> KnownWords | None:
    """Return the words that training saw, with those of the model that it started from, where both are known."""
    if config.train.start_from is None or data.source_words is None:
        return data.source_words
    with contextlib.suppress(ModelError):
        earlier = _first_model(config).source.words
        return None if earlier is None else earlier | data.source_words
    return None


def _architecture(config: RunConfig) -> Architecture:
    return Architecture(model=config.model, attention=config.attention, self_attention=config.self_attention)


def _check(config: RunConfig) -> None:
    """Find mistakes in the settings before anything is read, written or removed."""
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


def _first_model(config: RunConfig) -> Bundle:
    """Return the model to start from. Raises UsageError where it has another architecture."""
    start = Bundle.load(str(config.train.start_from))
    wanted, held = _architecture(config).model_dump(), start.architecture.model_dump()
    for section, settings in held.items():
        for key, value in settings.items():
            here = wanted[section].get(key)
            if key not in ("dropout", "word_dropout") and here != value:
                raise UsageError(
                    f"{section}.{key} is {value!r} in {config.train.start_from}, and {here!r} here.",
                    hint="Leave model and attention as they are in the model that training starts from.",
                )
    return start


def _start(config: RunConfig, run: Run | None, say: Say) -> Start | None:
    """Return what is taken over from the model to start from. A run that has begun no longer needs that model."""
    if config.train.start_from is None:
        return None
    if run is not None and run.has_begun:
        with contextlib.suppress(DataError, ModelError):
            return start_of(run.data)
    model = _first_model(config)
    sides = [SideRules(side.language, side.cleaner, side.tokenizer) for side in (model.source, model.target)]
    earlier, share = None, config.train.earlier_share
    try:
        earlier = _earlier(Path(str(config.train.start_from)), sides)
    except DataError as error:
        say(f"no earlier pairs are mixed in, so that the model may forget: {error.message}")
    return Start.of(sides, earlier, share, model.longest_source)


def _earlier(path: Path, sides: Sequence[SideRules]) -> Earlier:
    """Return what the run of a model was trained on. Raises DataError where that is not at hand."""
    data = PreparedData.load(Run(run_of(path)).data)
    tokenizers = [side.tokenizer for side in sides if side.tokenizer is not None]
    if [*map(fingerprint, tokenizers)] != [*map(fingerprint, (data.source_tokenizer, data.target_tokenizer))]:
        raise DataError(f"{data.folder} is not the data of this model.")
    return Earlier(data.train, data.train_links, data.dev, data.tests, data_fingerprint(data.folder))


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


def _train(
    run: Run,
    config: RunConfig,
    data: PreparedData,
    say: Say,
    display: Callable[[], Display],
    plan: StepPlan | None,
    ranks: Ranks,
    call: Callable[[], None],
) -> tuple[Progress, int | None, Mapping[str, object]]:
    """Train to the end or to a signal. Return how far it is, the signal, and what was planned."""
    sizes = data.source_tokenizer.vocab_size, data.target_tokenizer.vocab_size
    say(describe(config, *sizes))
    if slow := slow_bf16(config.train.precision, resolve_device(config.train.device), TRAINING):
        say(f"note: {slow}")
    check_resources(config, *sizes, run.folder)
    dev = None
    if data.dev is not None:
        sets = [data.dev] if data.earlier_dev is None else [data.dev, data.earlier_dev]
        dev = DevSet.mean([_dev_set(data, held, config.train.evaluate_pairs) for held in sets])
        if len(sets) > 1:
            say("dev    chrF and loss are the mean of two dev sets: new pairs and earlier ones")

    known_words = cache(partial(_known_words, config, data))  # looked for once, when there is a model to publish

    def publish(model: Seq2Seq, progress: Progress) -> None:
        metadata = {"parameters": model.num_parameters(), "progress": asdict(progress)}
        _bundle(config, data, model.unique_state_dict(), known_words(), **metadata).save(run.model)

    steps = batches(data.train, config.train).updates_per_epoch
    planned, facts = describe_plan(config.train, dropout=config.model.dropout, batches=steps, plan=plan)
    say(planned)
    stop = StopRequest()
    with TrainingReporter(run.log, display, config.train) as reporter, stop, WATCH.work():
        facts = {**facts, "kernels": dict(CHOSEN)}
        reporter.plan(facts)
        call()
        _check_shared(run, ranks)
        progress = train(
            config,
            data.train,
            sizes,
            run.checkpoints,
            links=data.train_links,
            splits=_splits(config, data),
            first_weights=None
            if config.train.start_from is None
            else lambda: with_token_rows(_first_model(config).weights, sizes),
            evaluate=dev,
            publish=publish,
            reporter=reporter,
            stop=stop.requested,
            ranks=ranks,
        )
    return progress, stop.signal, facts


def _splits(config: RunConfig, data: PreparedData) -> tuple[TokenSplits | None, TokenSplits | None]:
    if config.train.subword_regularization == 0:
        return None, None
    return TokenSplits.of(data.source_tokenizer), TokenSplits.of(data.target_tokenizer)


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
    _bundle(config, data, weights, _known_words(config, data), progress=asdict(place)).save(run.model)
    say(f"published again, as of step {place.step:,}: {fault}")
    if place.step != progress.best_step and progress.best_chrf is not None:
        say(f"the model of step {progress.best_step:,}, which was better on dev, is lost. --overwrite trains it again.")


def _dev_set(data: PreparedData, held: HeldOut, limit: int) -> DevSet:
    tokenizers = data.source_tokenizer, data.target_tokenizer
    return DevSet(held, *tokenizers, limit=limit, placeholders=data.placeholders)


def _score_before(run: Run, config: RunConfig, say: Say) -> None:
    """Score the model that training starts from on the test sets of the run, once, and keep the scores."""
    if "before" in _scores(run):
        return
    try:
        start = _first_model(config)
    except ModelError as error:
        say(f"no scores from before the training: {error.message}")
        return
    tests = PreparedData.load(run.data).tests
    tokenizers = start.source.tokenizer, start.target.tokenizer
    model = start.build().eval()
    scores = {
        name: DevSet(held, *tokenizers, limit=TESTED, placeholders=start.placeholders).chrf(model)
        for name, held in tests.items()
    }
    _keep_scores(run, {"before": scores})


def _scores(run: Run) -> dict[str, Any]:
    """Return what `_keep_scores` kept, nothing where it is missing or was altered."""
    held = read_json(run.tests)
    scores = held.get("scores") if isinstance(held, dict) else None
    return scores if scores and held["sha256"] == sha256_of_json(scores) else {}


def _keep_scores(run: Run, scores: dict[str, Any]) -> None:
    write_json(run.tests, {"scores": scores, "sha256": sha256_of_json(scores)})


def _score_after(run: Run, data: PreparedData, progress: Progress, say: Say) -> dict[str, dict[str, float | None]]:
    """Score the kept model on the test sets, and say it beside the scores from before."""
    held = {"before": {}} | _scores(run)
    step = progress.best_step or progress.step
    if held.get("step") != step:
        model = Bundle.load(run.folder).build().eval()
        after = {name: _dev_set(data, test, TESTED).chrf(model) for name, test in data.tests.items()}
        held |= {"after": after, "step": step}
        with contextlib.suppress(ResourceError):  # a finished run may stand where nothing can be written
            _keep_scores(run, held)
    tests: dict[str, dict[str, float | None]] = {}
    for name in data.tests:
        before, after = held["before"].get(name), held["after"][name]
        tests[name] = {"chrf_before": before, "chrf_after": after}
        change = "" if before is None else f"{before:.2f} before, "
        say(f"test   {name}: chrF {change}{after:.2f} after")
    return tests


def _taken_over(config: RunConfig, data: PreparedData, tests: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "model": config.train.start_from,
        "new_source_tokens": data.new_tokens[0],
        "new_target_tokens": data.new_tokens[1],
        "earlier_pairs": data.earlier_pairs,
        "earlier_share": data.earlier_share,
        "tests": tests,
    }


def _learned(progress: Progress, run: Run, data: PreparedData) -> tuple[float, float]:
    """Return `same_output` and strict chrF of the kept model, on training text where nothing is held out."""
    if data.dev is None:
        rows = range(0, len(data.train), -(-len(data.train) // SAMPLE))
        texts = [
            (
                data.source_tokenizer.decode(data.train.source[row].tolist()),
                data.target_tokenizer.decode(data.train.target[row].tolist()),
            )
            for row in rows
        ]
        held_out = HeldOut.from_pairs("training", texts)
        scores = _dev_set(data, held_out, SAMPLE)(Bundle.load(run.folder).build().eval())
        return scores.same, scores.strict
    if progress.best_same is None or progress.best_strict is None:  # it ended before these were kept
        return 0.0, 100.0
    return progress.best_same, progress.best_strict
