"""Greedy search: the likeliest token, again and again, until the end or the limit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import padded
from attentio.search.beam import beam_search
from attentio.search.greedy import greedy_search

SOURCES = [[4, 7, 3], [8], [], [5, 5, 6, 3, 4]]
BATCH = padded(SOURCES, torch.device("cpu"))


def test_it_takes_the_likeliest_token_every_time(tiny_model: Seq2Seq, oracle: Callable[[Seq2Seq], Any]) -> None:
    log_probs = oracle(tiny_model)
    for source, found in zip(SOURCES, greedy_search(tiny_model, *BATCH, [7] * 4), strict=True):
        prefix: tuple[int, ...] = ()
        total = 0.0
        while len(prefix) < 7 and prefix[-1:] != (2,):
            longer = [(*prefix, token) for token in (2, 3, 4, 5)]
            last = [scores[-1] for scores in log_probs(source, longer)]
            prefix = longer[last.index(max(last))]
            total += max(last)
        assert found.tokens == prefix
        assert sum(found.log_probs) == pytest.approx(total, abs=1e-4)
        assert found.score == pytest.approx(total / len(prefix), abs=1e-4)


def set_bias_of_eos(model: Seq2Seq, value: float) -> None:
    with torch.no_grad():
        model.decoder.bias[2] = value


@pytest.mark.parametrize("beam", [1, 3])
def test_the_limit_is_each_sentences_own(tiny_model: Seq2Seq, beam: int) -> None:
    set_bias_of_eos(tiny_model, -1e4)
    limits = [1, 9, 4, 6]
    if beam == 1:
        found = [[hypothesis] for hypothesis in greedy_search(tiny_model, *BATCH, limits)]
    else:
        found = beam_search(tiny_model, *BATCH, limits, beam_size=beam)
    for limit, hypotheses in zip(limits, found, strict=True):
        for hypothesis in hypotheses:
            assert len(hypothesis.tokens) == limit
            assert 2 not in hypothesis.tokens


@pytest.mark.parametrize("beam", [1, 3])
def test_a_model_with_nothing_to_say_says_the_end_at_once(tiny_model: Seq2Seq, beam: int) -> None:
    set_bias_of_eos(tiny_model, 1e4)
    for hypotheses in beam_search(tiny_model, *BATCH, [9] * 4, beam_size=beam):
        assert hypotheses[0].tokens == (2,)
        assert hypotheses[0].score == pytest.approx(0, abs=1e-6)
    assert [found.tokens for found in greedy_search(tiny_model, *BATCH, [9] * 4)] == [(2,)] * 4


@pytest.mark.parametrize("beam", [1, 3])
def test_padding_and_beginning_are_never_said(tiny_model: Seq2Seq, beam: int) -> None:
    with torch.no_grad():
        tiny_model.decoder.bias[:2] = 50.0
    for hypotheses in beam_search(tiny_model, *BATCH, [5] * 4, beam_size=beam):
        assert all({0, 1}.isdisjoint(hypothesis.tokens) for hypothesis in hypotheses)
    assert all({0, 1}.isdisjoint(found.tokens) for found in greedy_search(tiny_model, *BATCH, [5] * 4))


@pytest.mark.parametrize("beam", [1, 3])
def test_finished_sentences_leave_the_batch(
    make_model: Callable[[int], Seq2Seq], monkeypatch: pytest.MonkeyPatch, beam: int
) -> None:
    model = make_model(3)
    rows: list[int] = []
    step = model.decoder.step

    def counted(tokens: Tensor, state: Any) -> Any:
        rows.append(len(tokens))
        return step(tokens, state)

    monkeypatch.setattr(model.decoder, "step", counted)
    set_bias_of_eos(model, -1e4)  # so that the limits alone say when a sentence is finished
    limits = [2, 5, 3, 5]
    if beam == 1:
        greedy_search(model, *BATCH, limits)
    else:
        beam_search(model, *BATCH, limits, beam_size=beam)
    assert rows == [4, *(beam * going for going in (4, 3, 2, 2))]  # before the first word hypotheses are one
