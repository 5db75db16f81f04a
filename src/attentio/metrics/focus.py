"""What attention looks like in numbers: how spread it is, how much of the source it reaches, whether it moves forward.

All three measure what a (T, S) weight matrix shows, and say nothing of whether a translation is right.
End-of-sentence is a position like any other as long as the matrix has it. Measure a merged trace to leave it out.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from attentio.errors import DataError


@dataclass(frozen=True)
class Focus:
    """The mean of each measure over sentences, leaving out those without it. None where no sentence has it."""

    sentences: int
    entropy: float | None
    coverage: float | None
    monotonicity: float | None

    def as_dict(self) -> dict[str, object]:
        """Return the measures as the stable object that `--json` prints."""
        return asdict(self)


def focus(matrices: Iterable[NDArray[np.floating]]) -> Focus:
    """Return entropy, coverage and monotonicity of the attention of a corpus, from a (T, S) matrix for each sentence.

    Raises DataError when there is no sentence.
    """
    rows = [(entropy(matrix), coverage(matrix), monotonicity(matrix)) for matrix in matrices]
    if not rows:
        raise DataError("there is no sentence whose attention could be measured.")
    return Focus(len(rows), *(_mean(column) for column in zip(*rows, strict=True)))


def entropy(weights: NDArray[np.floating]) -> float | None:
    """Return how spread attention is, in bits: 0 on one source word, log2 S when all are looked at alike.

    It is the mean over target positions of `-Σ p log2 p`, where p is the row divided by its sum. (Rows of a local
    window, or of words without end-of-sentence, need not sum to 1.) Rows of zeros do not count. None when there is no
    other row.
    """
    sums = weights.sum(axis=1, dtype=np.float64)
    attending = sums > 0
    if not attending.any():
        return None
    rows = weights[attending] / sums[attending, None]
    bits = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    return float(abs((rows * bits).sum(axis=1).mean()))  # abs: a mean of -0.0 is 0


def coverage(weights: NDArray[np.floating]) -> float | None:
    """Return how much of the source is looked at, 0 to 1: the mean over source positions of min(1, Σ_t weight).

    The sum inside the coverage penalty of Wu et al. (2016), equation 14, without its logarithm. None without a source.
    """
    if not weights.shape[1]:
        return None
    return float(np.minimum(1.0, weights.sum(axis=0, dtype=np.float64)).mean())


def monotonicity(weights: NDArray[np.floating]) -> float | None:
    """Return whether attention moves forward, -1 to 1: Kendall's tau-a between target positions and what they look at.

    What a position looks at is the mean source position under its row. Counted are all pairs of target positions:
    those in the same order minus those in reverse, divided by the number of pairs. Places closer than a thousandth of a
    word are equal and count as neither. Rows of zeros do not count. None with fewer than two others.
    """
    sums = weights.sum(axis=1, dtype=np.float64)
    attending = sums > 0
    centres = (weights[attending] @ np.arange(weights.shape[1])) / sums[attending]
    earlier, later = np.triu_indices(len(centres), k=1)
    if not len(earlier):
        return None
    steps = centres[later] - centres[earlier]
    return float(np.sign(np.where(np.abs(steps) < 1e-3, 0.0, steps)).mean())


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
