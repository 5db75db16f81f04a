"""What a run does: settings that fit the number of pairs, how many updates it makes, and their learning rates.

Learning rates must know the end, also under a time limit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from attentio.train.settings import TrainConfig

# Of the time limit: after these shares, the latest speed says how many updates will fit.
PLANNING_SHARES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.5, 2.0, 3.0, 4.0, 4.75)
OVERTIME = 5.0  # times the time limit, where a run must make so many updates
ENDED_BY_TIME = TIME_LIMIT, PLANNED_STEPS = "time limit", "planned steps done"
SAFETY = 0.97  # the rest of the time is for what that speed did not show
MOST_WARMUP = 400  # updates
EPOCHS_WITH_TIME = 5  # times the epochs of the rule, where a time limit ends the run


class Fit(NamedTuple):
    """Settings for corpora of up to so many pairs. Experiments behind them are in LOG.md."""

    most_pairs: float
    size: str  # a preset of the family
    model: Mapping[str, float]
    train: Mapping[str, object]


_STRONG = {"dropout": 0.4, "word_dropout": 0.1}
_SMALL = {"warmup_share": 0.06, "average_decay": 0.99}
FITS = (
    Fit(250, "tiny", _STRONG, {"batch_tokens": 256, "epochs": 200, **_SMALL}),
    Fit(700, "tiny", _STRONG, {"batch_tokens": 512, "epochs": 120, **_SMALL}),
    Fit(2_500, "tiny", {"dropout": 0.3}, {"batch_tokens": 512, "epochs": 80, **_SMALL}),
    Fit(8_000, "small", {"dropout": 0.3}, {"batch_tokens": 1024, "epochs": 30, **_SMALL}),
    Fit(math.inf, "small", {}, {}),
)
PAIRS_COUNTED = 8_001  # more pairs change nothing


def fit(pairs: int) -> Fit:
    """Return the settings for a corpus of so many pairs."""
    return next(fit for fit in FITS if pairs <= fit.most_pairs)


@dataclass(frozen=True)
class StepPlan:
    """The number of updates, and, under a time limit, how it was last settled.

    A few times, a time limit is turned into a number of updates, from the speed since the last time. A checkpoint is
    saved each time. In between, the run does not depend on the clock, so it can be resumed exactly. The limit itself
    holds all the same.
    """

    total_steps: int
    most_steps: int  # whatever the time
    max_seconds: float | None
    revisions: int = 0
    revised_at: int = 0  # the update after which the plan was last settled
    revised_seconds: float = 0.0
    warmup_steps: int | None = None  # None in plans of earlier versions: that of the settings
    min_steps: int = 0  # for which a time limit is extended

    @classmethod
    def of(cls, settings: "TrainConfig", *, steps_per_epoch: int) -> "StepPlan":
        """Return the plan before the first update."""
        total = settings.epochs * steps_per_epoch
        if settings.max_steps is not None:
            total = min(total, settings.max_steps)
        warmup, least = _warmup(settings, total), min(settings.min_steps, total)
        return cls(total, total, settings.max_seconds, warmup_steps=warmup, min_steps=least)

    def after(self, step: int, seconds: float, settings: "TrainConfig") -> "StepPlan":
        """Return the plan after update number `step` (from 1), `seconds` into the run."""
        if self.max_seconds is None:
            return self
        due = sum(seconds >= share * self.max_seconds for share in PLANNING_SHARES)
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


def describe_plan(settings: "TrainConfig", *, dropout: float, batches: int) -> tuple[str, Mapping[str, object]]:
    """Return what is planned, in a line and as `--json` prints it. batches: of an epoch."""
    plan = StepPlan.of(settings, steps_per_epoch=batches)
    warmup = settings.warmup_steps if settings.warmup_share is None else f"{settings.warmup_share:.0%}"
    pairs = settings.fitted_pairs
    why = "as set"
    if pairs is not None:
        why = f"fitted to {'more than ' * (pairs >= PAIRS_COUNTED)}{min(pairs, PAIRS_COUNTED - 1):,} pairs"
    most = f"{plan.total_steps:,} updates ({settings.epochs:,} epochs of {batches:,} batches)"
    limit = "" if settings.max_seconds is None else f" or {settings.max_seconds:,.0f} s"
    end = "" if settings.patience == 0 else ", fewer when dev no longer improves"
    line = f"plan   {why}: at most {most}{limit}{end}; warm-up {warmup}, dropout {dropout:g}"
    facts = {
        "fitted_pairs": pairs,
        "most_updates": plan.total_steps,
        "epochs": settings.epochs,
        "batches_per_epoch": batches,
        "batch_tokens": settings.batch_tokens,
        "max_seconds": settings.max_seconds,
        "warmup_updates": plan.warmup_steps,
        "dropout": dropout,
        "patience": settings.patience,
    }
    return line, facts


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
