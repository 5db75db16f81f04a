"""Attention held against masking, on a translator whose answer depends on one source token alone."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest

from attentio.evaluation.faithfulness import score_faithfulness
from attentio.trace import AttentionTrace
from attentio.translator import Translation


class OfTheFirstToken:
    """It loses two nats at every target token where the first source token is masked, and nothing else matters."""

    def translate(self, sources: Sequence[str], *_: object, **__: object) -> list[Translation]:
        return [Translation(source, "xy", -1.0, trace=self.trace(source)) for source in sources]

    def trace(self, source: str) -> AttentionTrace | None:
        if not source:
            return None
        count = len(source)
        weights = np.zeros((2, 2, count + 1))
        weights[0, :, 0] = 1  # head 0 looks where it matters, head 1 at the last token
        weights[1, :, count - 1] = 1
        places = [(i, i + 1) for i in range(count)]
        tokens, spans = [*source, "</s>"], [*places, (count, count)]
        return AttentionTrace(source, "xy", tokens, ["x", "y"], spans, [(0, 1), (1, 2)], {"only": weights}, [-1, -1])

    def log_probs(self, trace: AttentionTrace, masks: Sequence[Collection[int]]) -> Any:
        return np.array([[-1.0 - 2.0 * (0 in mask)] * 2 for mask in masks])

    def erasure(self, trace: AttentionTrace) -> Any:
        fall = np.zeros((2, len(trace.source_tokens)))
        fall[:, 0] = 2
        return fall

    def gradient_times_input(self, trace: AttentionTrace) -> Any:
        signed = np.zeros((2, len(trace.source_tokens)))
        signed[:, 1] = -3  # it says that the second token matters, and against the word
        return signed


def measured(sources: Sequence[str], resamples: int = 100) -> Any:
    return score_faithfulness(OfTheFirstToken(), sources, resamples=resamples)  # type: ignore[arg-type]


def test_a_head_that_looks_where_it_matters_and_one_that_does_not() -> None:
    found = measured(["abcd", "", "abcde", "a"])
    assert found["sentences"] == 2  # without the empty one, and the one of a single token
    maps = {name: {key: each["value"] for key, each in row.items()} for name, row in found["maps"].items()}
    names = ["only", "only, head 0", "only, head 1", "erasure", "gradient x input", "uniform", "random"]
    assert list(maps) == names
    right, wrong = maps["only, head 0"], maps["only, head 1"]
    assert (right["rank_correlation"], right["comprehensiveness"], right["sufficiency"]) == pytest.approx((1, 2, 0))
    # Of 4 and of 5 tokens: Spearman's rho of two orders that agree on nothing but their ties is -1/3 and -1/4.
    assert wrong["rank_correlation"] == pytest.approx((-1 / 3 - 1 / 4) / 2)
    assert (wrong["comprehensiveness"], wrong["sufficiency"]) == pytest.approx((0, 2))
    assert right["gradient_correlation"] == pytest.approx((-1 / 3 - 1 / 4) / 2)
    erasure, gradient = maps["erasure"], maps["gradient x input"]
    assert (erasure["rank_correlation"], erasure["comprehensiveness"]) == pytest.approx((1, 2))
    assert (gradient["gradient_correlation"], gradient["comprehensiveness"]) == pytest.approx((1, 0))
    assert maps["uniform"]["rank_correlation"] is None  # it puts nothing in order


@pytest.mark.slow
def test_a_uniform_map_masks_any_token_alike() -> None:
    row = measured(["abcde"] * 200)["maps"]["uniform"]["comprehensiveness"]
    assert row["low"] < 2 / 5 < row["high"]  # one of five tokens is masked, and one of them costs two nats


@pytest.mark.slow
def test_a_random_map_agrees_with_nothing() -> None:
    row = measured(["abcdefgh"] * 150)["maps"]["random"]["rank_correlation"]
    assert row["low"] < 0 < row["high"]
    assert row["low"] < row["value"] < row["high"]
    assert abs(row["value"]) < 0.1


def test_without_resamples_there_is_no_interval() -> None:
    row = measured(["abcd"], resamples=0)["maps"]["only"]["sufficiency"]
    assert row["low"] is row["high"] is None
    assert measured([""])["maps"] == {}
