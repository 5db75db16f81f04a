"""The learning rate as a pure function of the step."""

import math


def learning_rate(step: int, *, kind: str, peak: float, warmup_steps: int, total_steps: int) -> float:
    """The rate of update number `step` (from 0): linear warm-up to `peak`, then decay of a `kind` until `total_steps`.

    `inverse_sqrt` (Vaswani 2017, eq. 3) does not depend on the end; `linear` and `cosine` reach a hundredth of the
    peak there.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if kind == "constant":
        return peak
    if kind == "inverse_sqrt":
        return peak * math.sqrt(max(1, warmup_steps) / (step + 1))
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    left = 1 - done if kind == "linear" else (1 + math.cos(math.pi * done)) / 2
    return peak * (0.01 + 0.99 * left)
