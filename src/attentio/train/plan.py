"""How many updates a run makes, and their learning rates, which must know the end, also under a time limit."""

import math
from dataclasses import dataclass, replace

from attentio.train.settings import TrainConfig

PLANNING_SHARES = (0.1, 0.3, 0.5, 0.7)  # of the time limit, after which the latest speed says how many updates will fit
SAFETY = 0.97  # the rest of the time is for what that speed did not show


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

    @classmethod
    def of(cls, settings: TrainConfig, *, steps_per_epoch: int) -> "StepPlan":
        """Return the plan before the first update."""
        total = settings.epochs * steps_per_epoch
        if settings.max_steps is not None:
            total = min(total, settings.max_steps)
        return cls(total, total, settings.max_seconds)

    def after(self, step: int, seconds: float) -> "StepPlan":
        """Return the plan after update number `step` (from 1), `seconds` into the run."""
        if self.max_seconds is None:
            return self
        due = sum(seconds >= share * self.max_seconds for share in PLANNING_SHARES)
        if due <= self.revisions:
            return self
        speed = (step - self.revised_at) / (seconds - self.revised_seconds)
        fitting = step + int((self.max_seconds - seconds) * SAFETY * speed)
        total = min(self.most_steps, max(fitting, step))
        return replace(self, total_steps=total, revisions=due, revised_at=step, revised_seconds=seconds)

    def stop_reason(self, step: int, seconds: float) -> str | None:
        """Return why the run ends after update number `step`, or None."""
        if self.max_seconds is not None and seconds >= self.max_seconds:
            return "time limit"
        if step >= self.total_steps:
            return "all steps done" if self.total_steps == self.most_steps else "planned steps done"
        return None


def learning_rate(step: int, settings: TrainConfig, *, total_steps: int) -> float:
    """Return the rate of update number `step` (from 0): linear warm-up to the peak, then decay until `total_steps`.

    `inverse_sqrt` (Vaswani 2017, eq. 3) does not depend on the end. `linear` and `cosine` reach a hundredth of the
    peak there.
    """
    peak, warmup_steps = settings.learning_rate, settings.warmup_steps
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "inverse_sqrt":
        return peak * math.sqrt(max(1, warmup_steps) / (step + 1))
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    left = 1 - done if settings.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return peak * (0.01 + 0.99 * left)
