"""Whether attention shows what a model's translations depend on: measured by masking source tokens, and by gradients.

Each map of a translation is held against four facts. The maps are those of every layer and head, erasure and gradient
times input themselves, a uniform map and a random one.

- rank correlation with erasure: does each row put the tokens in the order of what masking them costs?
- rank correlation with gradient times input, in magnitude (Jain and Wallace, 2019).
- comprehensiveness: how much probability is lost when the tokens with most attention are masked? More is better.
- sufficiency: how much is lost when all others are masked? Less is better (DeYoung et al., 2020).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentio.metrics.faithfulness import MEASURES, interval, rank_correlation
from attentio.search.batched import SearchConfig
from attentio.trace import AttentionTrace, Matrix
from attentio.translator import Translator

SHARE = 0.2  # of the source tokens, those with most attention
SENTENCES = 200
EXPLANATIONS = ("erasure", "gradient x input")


def score_faithfulness(
    translator: Translator, sources: Sequence[str], *, beam: int = 1, resamples: int = 1000
) -> dict[str, Any]:
    """Return the four measures of each map over the first `SENTENCES` sources, with intervals.

    Losses are in nats of the mean target token. Sources of fewer than two tokens are left out.
    """
    maps = measure_faithfulness(translator, sources, beam=beam)
    count = max((int((~np.isnan(rows)).any(axis=1).sum()) for rows in maps.values()), default=0)
    parts = {name: _summary(rows, resamples) for name, rows in maps.items()}
    return {"sentences": count, "share": SHARE, "maps": parts}


def measure_faithfulness(
    translator: Translator, sources: Sequence[str], *, beam: int = 1
) -> dict[str, NDArray[np.float64]]:
    """Return the `MEASURES` of each map as (sentences, 4), of the first `SENTENCES` sources. Unknown ones are NaN."""
    rows: dict[str, NDArray[np.float64]] = {}
    some = sources[:SENTENCES]
    random = np.random.default_rng(0)
    for number, translation in enumerate(translator.translate(some, SearchConfig(beam), split=False, trace=True)):
        if (trace := translation.trace) is None or len(trace.source_tokens) < 3:
            continue
        facts = translator.erasure(trace), np.abs(translator.gradient_times_input(trace))
        every = [*_maps(trace), *zip(EXPLANATIONS, facts, strict=True), *_compared(trace, random)]
        maps = [(name, matrix[:, :-1]) for name, matrix in every]  # the end of the sentence is never masked
        masks = [mask for _, matrix in maps for mask in _masks(matrix, random)]
        mean = translator.log_probs(trace, [[], *masks]).mean(axis=1)
        for place, (name, matrix) in enumerate(maps):
            found = [rank_correlation(matrix, fact[:, :-1]) for fact in facts]
            losses = (mean[0] - mean[1 + 2 * place : 3 + 2 * place]).tolist()
            unknown = np.full((len(some), len(MEASURES)), math.nan)
            rows.setdefault(name, unknown)[number] = [*(math.nan if rho is None else rho for rho in found), *losses]
    return rows


def _maps(trace: AttentionTrace) -> Iterator[tuple[str, Matrix]]:
    for layer, weights in trace.weights.items():
        yield layer, trace.matrix(layer)
        for head in range(len(weights) if len(weights) > 1 else 0):
            yield f"{layer}, head {head}", trace.matrix(layer, head)


def _compared(trace: AttentionTrace, random: np.random.Generator) -> Iterator[tuple[str, Matrix]]:
    count = len(trace.source_tokens)
    yield "uniform", np.full((len(trace.target_tokens), count), 1 / count, dtype=np.float32)
    yield "random", random.dirichlet(np.ones(count), len(trace.target_tokens)).astype(np.float32)


def _masks(matrix: Matrix, random: np.random.Generator) -> tuple[list[int], list[int]]:
    """Return the source tokens with most attention in all, and the others. Ties are broken at random."""
    order = np.lexsort((random.random(matrix.shape[1]), -matrix.sum(axis=0))).tolist()
    count = math.ceil(SHARE * len(order))
    return order[:count], order[count:]


def _summary(rows: NDArray[np.float64], resamples: int) -> dict[str, Any]:
    found = (interval(column, resamples) for column in rows.T)
    return {
        name: dict(zip(("value", "low", "high"), each, strict=True)) for name, each in zip(MEASURES, found, strict=True)
    }
