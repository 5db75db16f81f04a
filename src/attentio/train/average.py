"""A running average of the weights (Polyak averaging): what is evaluated and kept."""

from copy import deepcopy

import torch
from torch import Tensor

from attentio.model.seq2seq import Seq2Seq


class RunningAverage:
    """average <- d average + (1 - d) weights, every `every` updates; d rises to `decay ** every` while it is young."""

    def __init__(self, model: Seq2Seq, decay: float, *, every: int = 4) -> None:
        self.decay = decay**every
        self.every = every
        self.model = deepcopy(model).eval() if decay else model
        self.weights: list[Tensor] = list(self.model.parameters())

    @torch.no_grad()
    def update(self, model: Seq2Seq, step: int) -> None:
        """To be called after update number `step` (from 1)."""
        if self.model is model or step % self.every:
            return
        age = step // self.every
        decay = min(self.decay, age / (age + 9))
        torch._foreach_lerp_(self.weights, list(model.parameters()), 1 - decay)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
