"""The names of all kinds, one dictionary for each axis; what each name means is said in `catalog.py`."""

from collections.abc import Callable
from functools import partial

from attentio.attention.hard import HardMarginal, HardReinforce, HardStraightThrough
from attentio.attention.monotonic import Monotonic, MonotonicChunkwise
from attentio.attention.normalize import Normalizer, Softmax
from attentio.attention.score import (
    Additive,
    Bilinear,
    Cosine,
    Coverage,
    Dot,
    FertilityCoverage,
    LinearConcat,
    Location,
    LocationAware,
    NormedAdditive,
    ScaledDot,
    Score,
)
from attentio.attention.sparse import Entmax, Entmax15, Sparsemax
from attentio.attention.window import (
    Causal,
    Full,
    LocalMonotonic,
    LocalPredictive,
    RelativeBias,
    Sliding,
    Window,
)

SCORES: dict[str, Callable[[int, int, int], Score]] = {
    "dot": Dot,
    "scaled_dot": ScaledDot,
    "bilinear": Bilinear,
    "cosine": Cosine,
    "linear_concat": LinearConcat,
    "additive": Additive,
    "normed_additive": NormedAdditive,
    "location": Location,
    "location_aware": LocationAware,
    "coverage": Coverage,
    "fertility_coverage": FertilityCoverage,
}

NORMALIZERS: dict[str, Callable[[], Normalizer]] = {
    "softmax": Softmax,
    "sparsemax": Sparsemax,
    "entmax15": Entmax15,
    "entmax": Entmax,
    "hard_reinforce": HardReinforce,
    "hard_marginal": HardMarginal,
    "hard_straight_through": HardStraightThrough,
    "monotonic": Monotonic,
    "mocha": MonotonicChunkwise,
}

WINDOWS: dict[str, Callable[[int, int], Window]] = {
    "full": Full,
    "causal": Causal,
    "sliding": Sliding,
    "local-m": LocalMonotonic,
    "local-p": LocalPredictive,
    "local-p-renormalized": partial(LocalPredictive, renormalize=True),
    "relative": RelativeBias,
}
