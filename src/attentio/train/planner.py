"""What a training would take and reach, said before it by `attentio plan`, and in a line by `attentio train`.

Real updates of the planned model measure the machine, as busy as it is at that moment. The quality comes from
`expectation`.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from attentio.data.checked import check_corpus
from attentio.data.findings import Finding
from attentio.data.prepare import PreparedData, prepare
from attentio.model.families import build_model
from attentio.runtime.device import resolve_device
from attentio.search.batched import batches_of
from attentio.search.decode import decode
from attentio.text.special import SPECIAL
from attentio.train.dev import DevSet
from attentio.train.expectation import MOST_PAIRS, SETTING, Expected, Traits, done, expect, runs, traits
from attentio.train.footprint import describe_model
from attentio.train.loop import train
from attentio.train.plan import EPOCHS_WITH_TIME, SAFETY, StepPlan
from attentio.train.reporter import Reporter
from attentio.train.settings import RunConfig
from attentio.train.state import Progress, batches

SECONDS = 4.0  # of updates that are measured
FIRST = 3  # updates that are not: libraries prepare themselves
LEAST = 4  # updates that are measured, however slow
FEW_PAIRS = 2_500  # with which a model of the same languages is the best start
CLEAR_GAIN = 1.0  # chrF
SHARED = 0.7  # of the threads' time, below which the processor is shared with others
SLOWER = 2.0  # times, that a shared machine may still become


@dataclass(frozen=True)
class Speed:
    """What this machine does now. update, evaluation: seconds of one. A time limit includes both.

    cores: the share of its threads' time that this process got, 0 to 1. Where others work, it is small, and may change.
    """

    update: float
    evaluation: float
    cores: float = 1.0

    @property
    def is_shared(self) -> bool:
        return self.cores < SHARED


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would take and reach.

    model: in words. pairs: for training. updates: that are made. planned: that the preset wants, without a time limit.
    share: of these that are made. seconds: all in all, up to the time limit if `limited`. patient: whether the run ends
    earlier where dev no longer improves. shared: whether others use this machine. expected: None where nothing is
    known, `unknown` says why. full: with all updates. doubled: with twice the pairs. findings: what is wrong with the
    text.
    """

    model: str
    preset: str
    pairs: int
    updates: int
    planned: int
    share: float
    seconds: float
    limited: bool
    patient: bool
    shared: bool
    speed: Speed
    traits: Traits | None
    expected: Expected | None
    full: Expected | None
    doubled: Expected | None
    unknown: str | None
    findings: list[Finding]
    better_than: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as the stable object that `--json` prints."""
        named = {name: getattr(self, name) for name in ("traits", "expected", "full", "doubled")}
        return {
            **{name: value for name, value in asdict(self).items() if name not in (*named, "findings")},
            **{name: None if value is None else value._asdict() for name, value in named.items()},
            "findings": [finding.as_dict() for finding in self.findings],
            "advice": self.advice(),
        }

    def expectation(self) -> str:
        """Return time and quality in one line."""
        when = "up to " * self.patient + duration(self.seconds)
        if self.expected is None:
            return f"expect {when}, chrF unknown: {self.unknown}"
        found = self.expected
        outside = "" if found.outside is None else f", a guess: {found.outside}"
        return f"expect chrF {found.chrf:.0f} [{found.low:.0f}, {found.high:.0f}] on unseen text in {when}{outside}"

    def lines(self) -> list[str]:
        """Return the plan for people."""
        found = [
            f"model  {self.model} (preset {self.preset}), {self.pairs:,} training pairs",
            f"speed  {1 / self.speed.update:,.1f} updates a second, {self.speed.evaluation:.1f} s for an evaluation"
            + (f"; others use this machine, too: {self.speed.cores:.0%} of its time is left" if self.shared else ""),
            f"time   {self.updates:,} of {self.planned:,} planned updates in {duration(self.seconds)}"
            + ", fewer when dev no longer improves" * self.patient,
            self.expectation(),
        ]
        if self.better_than:
            others = ", ".join(f"{name} {gain:+.1f}" for name, gain in self.better_than.items())
            found.append(f"why    chrF of other presets in runs of similar size, against auto: {others}")
        return [*found, *(f"helps  {advice}" for advice in self.advice())]

    def advice(self) -> list[str]:
        """Return what would help most, first things first."""
        found = [f"Mend the text first. {finding.what}. {finding.remedy}" for finding in self.findings]
        gains: list[tuple[float, str]] = []
        if self.expected is not None:
            now = self.expected.chrf
            if self.full is not None and self.share < 1:
                whole = duration(self.seconds * self.planned / max(1, self.updates))
                gains.append((self.full.chrf - now, f"more time: chrF {self.full.chrf:.0f} in {whole}"))
            if self.doubled is not None:
                gains.append((self.doubled.chrf - now, f"twice the pairs: chrF {self.doubled.chrf:.0f}"))
        found += [text for gain, text in sorted(gains, reverse=True) if gain >= CLEAR_GAIN]
        if self.pairs <= FEW_PAIRS:
            found.append("a model of these languages to start from, if there is one: --start-from RUN")
        return found


def plan_training(config: RunConfig) -> TrainingPlan:
    """Return what a training with these settings would take and reach. Nothing is kept.

    Raises AttentioError where the data or the settings are unusable.
    """
    began = time.perf_counter()
    with TemporaryDirectory(prefix="attentio-") as folder:
        data = prepare(config.data, Path(folder) / "data", seed=config.train.seed)
        preparing = time.perf_counter() - began
        findings = check_corpus(config.data, (data.source.language, data.target.language))
        return plan_prepared(config, data, preparing=preparing, findings=findings)


def plan_prepared(
    config: RunConfig,
    data: PreparedData,
    *,
    preparing: float = 0.0,
    findings: list[Finding] | None = None,
    seconds: float = SECONDS,
) -> TrainingPlan:
    """Return the plan for prepared data.

    preparing: seconds that preparing takes, and are added. seconds: of updates that are measured.
    """
    settings = config.train
    speed = measure(config, data, seconds=seconds)
    per_epoch = batches(data.train, settings).updates_per_epoch
    total = StepPlan.of(settings, steps_per_epoch=per_epoch).total_steps
    planned = total
    if settings.fitted_pairs is not None and settings.max_seconds is not None:
        planned = max(1, total // EPOCHS_WITH_TIME)
    each = speed.update + speed.evaluation / (settings.evaluate_every or max(50, per_epoch))
    updates = total
    if settings.max_seconds is not None:
        updates = min(total, int(settings.max_seconds * SAFETY / each))
    whole = updates * each
    if settings.max_seconds is not None and updates < total:
        whole = settings.max_seconds
    share = min(1.0, updates / planned)
    train_texts = data.training_pairs(MOST_PAIRS)
    found = traits(train_texts)
    unknown = None
    if settings.fitted_pairs is None or settings.start_from is not None:
        unknown = "the table has only trainings of the preset auto that start from nothing"
    elif found is None:
        unknown = "there are too few pairs to say anything"
    elif updates < 2:
        unknown = "next to nothing is learned in this time"
    known = found if unknown is None else None
    expected = full = doubled = None
    if known is not None:
        expected, full = expect(known, done(updates, share)), expect(known, 1.0)
        if settings.max_seconds is not None and speed.is_shared:
            expected = _with_other_speeds(expected, known, updates, planned, total, speed)
        more = _doubled(known, train_texts)
        doubled = None if more is None else expect(more, done(updates, share))
    return TrainingPlan(
        model=describe_model(config),
        preset=SETTING if settings.fitted_pairs is not None else "as set",
        pairs=len(data.train),
        updates=updates,
        planned=planned,
        share=share,
        seconds=preparing + whole,
        limited=settings.max_seconds is not None,
        patient=settings.patience > 0,
        shared=speed.is_shared,
        speed=speed,
        traits=found,
        expected=expected,
        full=full,
        doubled=doubled,
        unknown=unknown,
        findings=findings or [],
        better_than={} if known is None else _other_presets(known.pairs),
    )


def _with_other_speeds(
    expected: Expected, known: Traits, updates: int, planned: int, total: int, speed: Speed
) -> Expected:
    """Return what is expected with an interval that also holds if others use the machine more, or no longer."""
    slow, fast = (min(total, int(updates / factor)) for factor in (SLOWER, speed.cores))
    low, high = (expect(known, done(some, min(1.0, some / planned))) for some in (slow, fast))
    return expected._replace(low=min(expected.low, low.low), high=max(expected.high, high.high))


def measure(config: RunConfig, data: PreparedData, *, seconds: float = SECONDS) -> Speed:
    """Return the speed of real updates on the first batches, with everything else that this machine does now."""
    times: list[float] = []
    used: list[float] = []

    class Clock(Reporter):
        def update(self, progress: Progress, *, epoch: float, total_steps: int, tokens_per_second: float) -> None:
            del progress, epoch, total_steps, tokens_per_second
            times.append(time.perf_counter())
            used.append(time.process_time())

    def is_enough() -> bool:
        return len(times) >= FIRST + LEAST and times[-1] - times[FIRST - 1] >= seconds

    free = {"max_seconds": None, "max_steps": None, "start_from": None, "epochs": 1_000_000}
    free |= {"save_every_seconds": 1e9, "min_steps": 0}
    tried = config.model_copy(update={"train": config.train.model_copy(update=free)})
    with TemporaryDirectory(prefix="attentio-") as folder:
        train(
            tried,
            data.train,
            data.vocab_sizes,
            Path(folder),
            links=data.train_links,
            evaluate=None,
            publish=lambda _model, _progress: None,
            reporter=Clock(),
            stop=is_enough,
        )
    passed = times[-1] - times[FIRST - 1]
    cores = min(1.0, (used[-1] - used[FIRST - 1]) / passed / torch.get_num_threads())
    if resolve_device(config.train.device).type != "cpu":
        cores = 1.0  # the processor waits for the other device
    evaluation = 0.0 if data.dev is None else _evaluation_seconds(config, data)
    return Speed(passed / (len(times) - FIRST), evaluation, cores)


def _evaluation_seconds(config: RunConfig, data: PreparedData) -> float:
    """Return how long an evaluation on dev takes, with outputs as long as the references."""
    assert data.dev is not None
    dev = DevSet(data.dev, data, limit=config.train.evaluate_pairs)
    sections = config.model, config.attention, *data.vocab_sizes
    model = build_model(*sections, self_attention=config.self_attention).eval()
    targets = [[*dev.pairs.target[row].tolist(), SPECIAL.eos] for row in range(len(dev.sources))]
    began = time.perf_counter()
    dev.loss(model)
    for indices in batches_of([len(source) + 1 for source in dev.sources], 4096):
        given = [targets[index] for index in indices]
        sources = [dev.sources[index] for index in indices]
        decode(model, sources, prefix=given, max_lengths=[len(target) for target in given], length_penalty=0.0)
    return time.perf_counter() - began


def _doubled(known: Traits, pairs: list[tuple[str, str]]) -> Traits | None:
    """Return the figures of twice the pairs, if the last doubling is followed by another like it."""
    half = traits(pairs[::2])
    if half is None:
        return None
    retrieved = known.retrieved * known.retrieved / half.retrieved if half.retrieved else known.retrieved
    return Traits(2 * known.pairs, min(95.0, retrieved), min(0.99, 2 * known.seen - half.seen))


def _other_presets(pairs: int) -> dict[str, float]:
    """Return by preset how much more chrF it had than auto, in the runs of the nearest number of pairs."""
    sizes = {run.pairs for run in runs() if run.setting != SETTING}
    if not sizes:
        return {}
    size = min(sizes, key=lambda size: abs(size / pairs - 1))
    if not pairs / 2 <= size <= pairs * 2:
        return {}
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs():
        about_as_many = 0.95 < run.pairs / size < 1.05  # corpora of 404 pairs beside those of 400
        if about_as_many and (run.setting != SETTING or run.share == 1):
            scores[run.setting, run.corpus].append(run.chrf)
    means = {key: sum(values) / len(values) for key, values in scores.items()}
    gains: dict[str, list[float]] = defaultdict(list)
    for (setting, corpus), mean in means.items():
        if setting != SETTING and (SETTING, corpus) in means:
            gains[setting].append(mean - means[SETTING, corpus])
    return {name: round(sum(values) / len(values), 1) for name, values in gains.items()}


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
