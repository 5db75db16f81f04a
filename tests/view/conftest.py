"""Traces to look at."""

from collections.abc import Callable

import numpy as np
import pytest

from attentio.trace import AttentionTrace, word_spans

MakeTrace = Callable[..., AttentionTrace]


@pytest.fixture
def make_trace() -> MakeTrace:
    """A trace between the words of two texts and end-of-sentence, with random or given weights."""

    def make(source: str, target: str, *, layers: int = 1, heads: int = 1, weights: object = None) -> AttentionTrace:
        sides = []
        for text in (source, target):
            spans = [*word_spans(text), (len(text), len(text))]
            sides.append(((*(text[start:end] for start, end in spans[:-1]), "</s>"), spans))
        (source_tokens, source_spans), (target_tokens, target_spans) = sides
        random = np.random.default_rng(7)
        drawn = {
            f"layer{number}": random.dirichlet(np.ones(len(source_tokens)), size=(heads, len(target_tokens)))
            for number in range(layers)
        }
        return AttentionTrace(
            source,
            target,
            source_tokens,
            target_tokens,
            source_spans,
            target_spans,
            drawn if weights is None else {"layer0": np.asarray([weights])},
            np.zeros(len(target_tokens)),
        )

    return make
