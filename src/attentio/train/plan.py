"""What a run does: settings that fit the number of pairs, how many updates it makes, and their learning rates.

Learning rates must know the end, also under a time limit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from attentio.train.settings import TrainConfig
    from attentio.train.state import Progress

# Of the time limit: after these shares, the latest speed says how many updates will fit.
PLANNING_SHARES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.5, 2.0, 3.0, 4.0, 4.75)
OVERTIME = 5.0  # times the time limit, where a run must make so many updates
ENDED_BY_TIME = TIME_LIMIT, PLANNED_STEPS = "time limit", "planned steps done"
SAFETY = 0.97  # the rest of the time is for what that speed did not show
MOST_WARMUP = 400  # updates
RISING_SHARE = 0.05  # of the updates that a finished run goes on for: in these the rate rises to its peak again
UNBOUNDED = 10**9  # updates, where only a time limit ends the run
DECAYING = ("linear", "cosine")  # schedules that must know the end
ENDS = ("epochs", "max_steps", "max_seconds", "patience")  # settings that say where a run ends, and may change
EPOCHS_WITH_TIME = 5  # times the epochs of the rule, where a time limit ends the run


class Fit(NamedTuple):
    """Settings for corpora of up to so many pairs. Experiments behind them are in LOG.md."""

    most_pairs: float
    size: str  # a preset of the family
    data: Mapping[str, object]
    model: Mapping[str, float]
    train: Mapping[str, object]


_STRONG = {"dropout": 0.4, "word_dropout": 0.1}
_LINKS = {"learn_links": True}
_SMALL = {"warmup_share": 0.06, "average_decay": 0.99, "guided_alignment": 0.5, "patience": 0}
FITS = (
    Fit(250, "tiny", _LINKS, {**_STRONG, "lexicon": 0.8}, {"batch_tokens": 256, "epochs": 120, **_SMALL}),
    Fit(2_500, "tiny", _LINKS, {**_STRONG, "lexicon": 0.6}, {"batch_tokens": 512, "epochs": 120, **_SMALL}),
    Fit(8_000, "small", _LINKS, {"dropout": 0.3, "lexicon": 0.4}, {"batch_tokens": 1024, "epochs": 30, **_SMALL}),
    Fit(math.inf, "small", {}, {}, {}),
)
# Where training starts from a model. Experiments with 300 pairs are in LOG.md.
FINE_TUNING = {"learning_rate": 5e-4, "warmup_share": 0.1, "average_decay": 0.99}
PASSES = ((2_500, 40), (8_000, 20), (math.inf, 10))  # over the new pairs, by their number

PAIRS_COUNTED = 8_001  # more pairs change nothing


def fit(pairs: int) -> Fit:
    """Return the settings for a corpus of so many pairs."""
    return next(fit for fit in FITS if pairs <= fit.most_pairs)


def fine_tuning(pairs: int, copies: int) -> Mapping[str, float]:
    """Return the settings for so many new pairs, each of which stands `copies` times in the corpus (data/start.py)."""
    passes = next(passes for most, passes in PASSES if pairs <= most)
    return {**FINE_TUNING, "epochs": math.ceil(passes / copies)}


@dataclass(frozen=True)
class StepPlan:
    """The number of updates, and, under a time limit, how it was last settled.

    A few times, a time limit is turned into a number of updates, from the speed since the last time. A checkpoint is
    saved each time. In between, the run does not depend on the clock, so it can be resumed exactly. The limit itself
    holds all the same.

    Where a finished run goes on, a schedule that decays to an end begins again: with a short rise to its peak.
    """

    total_steps: int
    most_steps: int  # whatever the time
    max_seconds: float | None
    revisions: int = 0
    revised_at: int = 0  # the update after which the plan was last settled
    revised_seconds: float = 0.0
    warmup_steps: int | None = None  # None in plans of earlier versions: that of the settings
    min_steps: int = 0  # for which a time limit is extended
    ends: Mapping[str, float | None] | None = None  # the settings that were asked for. None in earlier versions
    began_at: int = 0  # the update after which the run, finished before, went on
    began_seconds: float = 0.0
    rising_steps: int = 0

    @classmethod
    def of(cls, settings: "TrainConfig", *, steps_per_epoch: int) -> "StepPlan":
        """Return the plan before the first update."""
        total = settings.epochs * steps_per_epoch
        if settings.max_steps is not None:
            total = min(total, settings.max_steps)
        warmup, least = _warmup(settings, total), min(settings.min_steps, total)
        limit = settings.max_seconds
        return cls(total, total, limit, warmup_steps=warmup, min_steps=least, ends=_ends(settings))

    def is_of(self, settings: "TrainConfig", *, steps_per_epoch: int) -> bool:
        """Return whether the plan leads to the end that the settings ask for."""
        if self.ends is not None:
            return self.ends == _ends(settings)
        asked = StepPlan.of(settings, steps_per_epoch=steps_per_epoch)
        return (self.most_steps, self.max_seconds) == (asked.most_steps, asked.max_seconds)

    def going_on(self, settings: "TrainConfig", *, steps_per_epoch: int, progress: "Progress") -> "StepPlan | str":
        """Return the plan of a run that goes on to the end of these settings, or why nothing is left to do.

        What is asked for now decides. So a new time limit also leads past epochs that were done before.
        """
        step, seconds, limit = progress.step, progress.seconds, settings.max_seconds
        if step == 0:
            return StepPlan.of(settings, steps_per_epoch=steps_per_epoch)
        epochs = settings.epochs * steps_per_epoch
        other_epochs = self.ends is not None and self.ends["epochs"] != settings.epochs
        if limit not in (None, self.max_seconds) and epochs <= step and not other_epochs:
            epochs = UNBOUNDED
        most = min(epochs, settings.max_steps or UNBOUNDED)
        over_by_time = limit == self.max_seconds and progress.ended in ENDED_BY_TIME
        if limit is not None and (seconds >= limit or over_by_time):
            return f"it has used {seconds:,.0f} s of {limit:,.0f} s. A longer --max-time goes on"
        if step >= most:
            name = "train.max_steps" if settings.max_steps == most else "train.epochs"
            return f"{step:,} updates are done, and {most:,} are asked for. A higher {name} goes on"
        if (most, limit) == (self.most_steps, self.max_seconds):  # but the patience
            if 0 < settings.patience <= progress.stale_evaluations:
                return f"{progress.stale_evaluations:,} evaluations were no better. A higher train.patience goes on"
            return replace(self, ends=_ends(settings))
        total = most
        if limit is not None:
            fitting = step + max(1, int((limit - seconds) * SAFETY * step / seconds))
            total = min(most, max(fitting, self.min_steps))
        warmup = self.warmup_steps
        if warmup is not None and step < warmup:
            warmup = max(step, _warmup(settings, total))
        following = StepPlan(
            total, most, limit, 0, step, seconds, warmup, min(settings.min_steps, most), _ends(settings)
        )
        if progress.ended is None:
            began = {"began_at": self.began_at, "began_seconds": self.began_seconds, "rising_steps": self.rising_steps}
            return replace(following, revisions=following.due(seconds), **began)
        rising = min(MOST_WARMUP, max(1, round(RISING_SHARE * (total - step))))
        return replace(following, began_at=step, began_seconds=seconds, rising_steps=rising)

    def rate(self, step: int, settings: "TrainConfig") -> float:
        began, warmup = 0, self.warmup_steps
        if self.began_at and settings.schedule in DECAYING:
            began, warmup = self.began_at, self.rising_steps
        return learning_rate(step - began, settings, total_steps=self.total_steps - began, warmup_steps=warmup)

    def due(self, seconds: float) -> int:
        """Return how often a time limit should have been settled by now."""
        if self.max_seconds is None:
            return 0
        used, given = seconds - self.began_seconds, self.max_seconds - self.began_seconds
        return sum(used >= share * given for share in PLANNING_SHARES)

    def after(self, step: int, seconds: float, settings: "TrainConfig") -> "StepPlan":
        """Return the plan after update number `step` (from 1), `seconds` into the run."""
        if self.max_seconds is None:
            return self
        due = self.due(seconds)
        if due <= self.revisions:
            return self
        speed = (step - self.revised_at) / (seconds - self.revised_seconds)
        fitting, longest = (
            step + int((limit - seconds) * SAFETY * speed) for limit in (self.max_seconds, self.max_seconds * OVERTIME)
        )
        total = min(self.most_steps, max(fitting, step, min(self.min_steps, longest)))
        warmup = self.warmup_steps
        if warmup is not None and step < warmup:  # what is over is not planned again
            warmup = max(step, _warmup(settings, total))
        return replace(
            self, total_steps=total, revisions=due, revised_at=step, revised_seconds=seconds, warmup_steps=warmup
        )

    def stop_reason(self, step: int, seconds: float) -> str | None:
        """Return why the run ends after update number `step`, or None."""
        overtime = OVERTIME if step < self.min_steps else 1.0
        if self.max_seconds is not None and seconds >= self.max_seconds * overtime:
            return TIME_LIMIT
        if step >= self.total_steps:
            return "all steps done" if self.total_steps == self.most_steps else PLANNED_STEPS
        return None


def describe_plan(
    settings: "TrainConfig", *, dropout: float, batches: int, plan: StepPlan | None = None
) -> tuple[str, Mapping[str, object]]:
    """Return what is planned, in a line and as `--json` prints it. batches: of an epoch. plan: the first, if None."""
    plan = plan or StepPlan.of(settings, steps_per_epoch=batches)
    warmup = settings.warmup_steps if settings.warmup_share is None else f"{settings.warmup_share:.0%}"
    pairs = settings.fitted_pairs
    why = "as set"
    if pairs is not None:
        why = f"fitted to {'more than ' * (pairs >= PAIRS_COUNTED)}{min(pairs, PAIRS_COUNTED - 1):,} pairs"
    exact = settings.patience == 0 and settings.max_seconds is None
    most = f"{plan.most_steps:,} updates ({plan.most_steps / batches:,.3g} epochs of {batches:,} batches)"
    most = most if exact else f"at most {most}"
    limit = None if settings.max_seconds is None else f"{settings.max_seconds:,.0f} s"
    if plan.most_steps >= UNBOUNDED:
        most, limit = f"until {limit}", None
    end = "" if settings.patience == 0 else ", fewer when dev no longer improves"
    rise = f"warm-up {warmup}"
    if plan.began_at:
        rise = f"from update {plan.began_at:,} the rate rises again, for {plan.rising_steps:,} updates"
    line = f"plan   {why}: {most}{'' if limit is None else f' or {limit}'}{end}; {rise}, dropout {dropout:g}"
    facts = {
        "fitted_pairs": pairs,
        "most_updates": None if plan.most_steps >= UNBOUNDED else plan.most_steps,
        "epochs": settings.epochs,
        "batches_per_epoch": batches,
        "batch_tokens": settings.batch_tokens,
        "max_seconds": settings.max_seconds,
        "warmup_updates": plan.warmup_steps,
        "dropout": dropout,
        "patience": settings.patience,
        "went_on_from": plan.began_at or None,
        "rising_updates": plan.rising_steps,
    }
    return line, facts


def _ends(settings: "TrainConfig") -> Mapping[str, float | None]:
    return {name: getattr(settings, name) for name in ENDS}


def _warmup(settings: "TrainConfig", total_steps: int) -> int:
    if settings.warmup_share is None:
        return settings.warmup_steps
    return min(MOST_WARMUP, max(1, round(settings.warmup_share * total_steps)))


def learning_rate(step: int, settings: "TrainConfig", *, total_steps: int, warmup_steps: int | None = None) -> float:
    """Return the rate of update number `step` (from 0): linear warm-up to the peak, then decay until `total_steps`.

    `inverse_sqrt` (Vaswani 2017, eq. 3) does not depend on the end. `linear` and `cosine` reach a hundredth of the
    peak there. warmup_steps: as planned, by default that of the settings.
    """
    peak, warmup_steps = settings.learning_rate, settings.warmup_steps if warmup_steps is None else warmup_steps
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "inverse_sqrt":
        return peak * math.sqrt(max(1, warmup_steps) / (step + 1))
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    left = 1 - done if settings.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return peak * (0.01 + 0.99 * left)
