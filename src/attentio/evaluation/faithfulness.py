"""Whether attention shows what a model's translations depend on: measured by masking source tokens.

Each map of a translation (a layer, a head, and a random map to compare with) is held against three facts:

- rank correlation with erasure: does each row put the tokens in the order of what masking them costs?
- comprehensiveness: how much probability is lost when the tokens with most attention are masked? More is better.
- sufficiency: how much is lost when all others are masked? Less is better (DeYoung et al., 2020).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attentio.metrics.faithfulness import interval, rank_correlation
from attentio.search.batched import SearchConfig
from attentio.trace import AttentionTrace, Matrix
from attentio.translator import Translator

SHARE = 0.2  # of the source tokens, those with most attention
SENTENCES = 200
MEASURES = ("rank_correlation", "comprehensiveness", "sufficiency")


def score_faithfulness(
    translator: Translator, sources: Sequence[str], *, beam: int = 1, resamples: int = 1000
) -> dict[str, Any]:
    """Return the three measures of each layer and head over the first `SENTENCES` sources, with intervals.

    Losses are in nats of the mean target token. Sources of fewer than two tokens are left out.
    """
    rows: dict[str, list[list[float]]] = {}
    count = 0
    random = np.random.default_rng(0)
    for translation in translator.translate(sources[:SENTENCES], SearchConfig(beam), split=False, trace=True):
        if (trace := translation.trace) is None or len(trace.source_tokens) < 3:
            continue
        count += 1
        fall = translator.erasure(trace)[:, :-1]  # without end-of-sentence, which is never masked
        maps = [(name, matrix[:, :-1]) for name, matrix in _maps(trace, random)]
        masks = [mask for _, matrix in maps for mask in _masks(matrix)]
        mean = translator.log_probs(trace, [[], *masks]).mean(axis=1)
        for place, (name, matrix) in enumerate(maps):
            correlation = rank_correlation(matrix, fall)
            losses = (mean[0] - mean[1 + 2 * place : 3 + 2 * place]).tolist()
            rows.setdefault(name, []).append([math.nan if correlation is None else correlation, *losses])
    parts = {name: _summary(np.array(found), resamples) for name, found in rows.items()}
    return {"sentences": count, "share": SHARE, "maps": parts}


def _maps(trace: AttentionTrace, random: np.random.Generator) -> Iterator[tuple[str, Matrix]]:
    for layer, weights in trace.weights.items():
        yield layer, trace.matrix(layer)
        for head in range(len(weights) if len(weights) > 1 else 0):
            yield f"{layer}, head {head}", trace.matrix(layer, head)
    yield "random", random.dirichlet(np.ones(len(trace.source_tokens)), len(trace.target_tokens)).astype(np.float32)


def _masks(matrix: Matrix) -> tuple[list[int], list[int]]:
    """Return the source tokens with most attention in all, and the others."""
    order = np.argsort(-matrix.sum(axis=0), kind="stable").tolist()
    count = math.ceil(SHARE * len(order))
    return order[:count], order[count:]


def _summary(rows: NDArray[np.float64], resamples: int) -> dict[str, Any]:
    found = (interval(column, resamples) for column in rows.T)
    return {
        name: dict(zip(("value", "low", "high"), each, strict=True)) for name, each in zip(MEASURES, found, strict=True)
    }
