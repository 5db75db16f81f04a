"""The weights of every step of a search, kept for those who want to see them: a callback of `decode`."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentio.runtime.arrays import Array, arrays_of
from attentio.search.decode import SearchStep, likeliest
from attentio.search.hypothesis import Hypothesis, Weights

CANDIDATES = 5  # tokens that are kept of each step


class AttendedSteps:
    """Keep what each step attended to, and read off what one hypothesis attended to.

    across: the names of the attentions to the source. The decoder's other attentions look at the target.
    """

    def __init__(self, across: Collection[str]) -> None:
        self.across = across
        self.steps: list[dict[str, Array]] = []
        self.encoder: dict[str, Array] = {}
        self.likeliest: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []  # (R, K) each

    def __call__(self, seen: SearchStep) -> None:
        if not self.steps:
            self.encoder = _weights(seen.encoded.attended)
        self.steps.append(_weights(seen.step.attended))
        tokens, probabilities = likeliest(seen.step.logits, CANDIDATES)
        numpy = arrays_of(tokens).numpy
        self.likeliest.append((numpy(tokens), numpy(probabilities)))

    def of(self, hypothesis: Hypothesis, sentence: int, source_length: int) -> Weights:
        """Return what a hypothesis of `sentence` attended to. `source_length` counts the end of the sentence."""
        length, size = len(hypothesis.tokens), source_length
        source: dict[str, NDArray[np.float32]] = {}
        target: dict[str, NDArray[np.float32]] = {}
        for name in self.steps[0] if self.steps else ():
            rows = [_read(self.steps[t], name)[row, :, 0] for t, row in enumerate(hypothesis.rows)]  # (H, S) each
            if name in self.across:
                source[name] = np.stack([row[:, :size] for row in rows], axis=1)
            else:
                target[name] = np.zeros((len(rows[0]), length, 1 + length), dtype=np.float32)
                for t, row in enumerate(rows):
                    target[name][:, t, : t + 1] = row[:, : t + 1]
        encoder = {name: _read(self.encoder, name)[sentence, :, :size, :size].copy() for name in self.encoder}
        candidates, probabilities = (
            np.stack([self.likeliest[t][part][row] for t, row in enumerate(hypothesis.rows)]) for part in (0, 1)
        )
        return Weights(source, encoder, target, candidates, probabilities)


def _weights(attended: Mapping[str, Any]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, layer in attended.items():
        assert layer.weights is not None, "outside training they are always there"
        found[name] = layer.weights
    return found


def _read(step: dict[str, Array], name: str) -> NDArray[np.float32]:
    """Return the weights as numpy's, copied from the device once for all hypotheses."""
    weights = step[name] = arrays_of(step[name]).numpy(step[name])
    return weights
