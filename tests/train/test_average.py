"""The running average of the weights, by hand."""

import pytest
import torch

from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.train.state import RunningAverage


@pytest.fixture
def model() -> Seq2Seq:
    return build_model(RNNConfig(embedding_size=3, hidden_size=2), AttentionConfig(), 5, 7)


def set_all(model: Seq2Seq, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def values(model: Seq2Seq) -> set[float]:
    return {round(value, 5) for parameter in model.parameters() for value in parameter.flatten().tolist()}


def test_by_hand(model: Seq2Seq) -> None:
    set_all(model, 0.0)
    average = RunningAverage(model, 0.5**0.5, every=2)  # at most 0.5 an update of the average
    set_all(model, 1.0)
    average.update(model, 1)
    assert values(average.model) == {0.0}  # only every second update counts
    average.update(model, 2)  # age 1: d = 1 / 10
    assert values(average.model) == {0.9}
    set_all(model, 2.0)
    average.update(model, 4)  # age 2: d = 2 / 11
    assert values(average.model) == {round(0.9 * 2 / 11 + 2 * 9 / 11, 5)}
    set_all(model, 3.0)
    set_all(average.model, 1.0)
    average.update(model, 100)  # age 50: 50 / 59 is more than 0.5
    assert values(average.model) == {2.0}
    assert values(model) == {3.0}


def test_no_decay_is_no_average(model: Seq2Seq) -> None:
    average = RunningAverage(model, 0.0)
    assert average.model is model
    average.update(model, 4)


def test_tied_weights_stay_tied(model: Seq2Seq) -> None:
    average = RunningAverage(model, 0.9)
    assert average.model.decoder.output is average.model.decoder.embedding.table
