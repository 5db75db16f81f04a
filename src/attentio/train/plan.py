"""How many updates a run makes: the learning-rate schedule must know the end, also where it is a time limit."""

from dataclasses import dataclass, replace

from attentio.config import TrainConfig

PLANNING_SHARE = 0.1  # of the time limit, after which the speed so far says how many updates will fit
SAFETY = 0.97  # the rest of the time is for what the first share did not show


@dataclass(frozen=True)
class StepPlan:
    """The number of updates, and, under a time limit, when it was settled.

    A time limit is turned into a number of updates once, early in the run, and the number is kept in the checkpoints:
    from then on the run no longer depends on the clock, so that it can be resumed exactly. The limit itself still
    holds.
    """

    total_steps: int
    max_seconds: float | None
    settled_at: int | None  # the update after which total_steps is final; 0 = from the start

    @classmethod
    def of(cls, settings: TrainConfig, *, steps_per_epoch: int) -> "StepPlan":
        """The plan before the first update."""
        total = settings.epochs * steps_per_epoch
        if settings.max_steps is not None:
            total = min(total, settings.max_steps)
        return cls(total, settings.max_seconds, 0 if settings.max_seconds is None else None)

    def after(self, step: int, seconds: float) -> "StepPlan":
        """The plan after update number `step` (from 1), `seconds` into the run."""
        if self.settled_at is not None or self.max_seconds is None or seconds < PLANNING_SHARE * self.max_seconds:
            return self
        fitting = step + int((self.max_seconds - seconds) * SAFETY * step / seconds)
        return replace(self, total_steps=min(self.total_steps, max(fitting, step)), settled_at=step)

    def why_over(self, step: int, seconds: float) -> str | None:
        """Why the run ends after update number `step`, or None."""
        if self.max_seconds is not None and seconds >= self.max_seconds:
            return "time limit"
        if step >= self.total_steps:
            return "all steps done" if self.max_seconds is None else "planned steps done"
        return None
