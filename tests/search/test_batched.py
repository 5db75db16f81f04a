"""Search over many sources: a batch's company, its order and its padding change no answer."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.runtime.tensors import arrays_on
from attentio.search.batched import SearchConfig, batches_of, search, search_batches
from attentio.search.decode import max_target_length, padded

sources_of_any_kind = st.lists(st.lists(st.integers(3, 8), max_size=7), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def model() -> Seq2Seq:
    torch.manual_seed(11)
    model = build_model(RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0), AttentionConfig(), 9, 6).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
        model.decoder.bias[2] = 1.0
    return model


@pytest.mark.slow
@given(sources=sources_of_any_kind, beam=st.sampled_from([1, 3]), max_tokens=st.integers(1, 60), data=st.data())
@settings(max_examples=25)
def test_company_order_and_padding_change_nothing(
    model: Seq2Seq, sources: list[list[int]], beam: int, max_tokens: int, data: st.DataObject
) -> None:
    together = search(model, sources, SearchConfig(beam, 1.0, max_tokens))
    order = data.draw(st.permutations(range(len(sources))))
    shuffled = search(model, [sources[i] for i in order], SearchConfig(beam))
    for place, index in enumerate(order):
        (alone,) = search(model, [sources[index]], SearchConfig(beam))
        for other in (together[index], shuffled[place]):
            assert [found.tokens for found in other] == [found.tokens for found in alone]
            assert [found.score for found in other] == pytest.approx([found.score for found in alone], abs=1e-4)


@given(lengths=st.lists(st.integers(1, 50), max_size=40), max_tokens=st.integers(1, 200))
def test_batches_hold_every_sentence_once_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    batches = list(batches_of(lengths, max_tokens))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= max_tokens
    widths = [max(lengths[i] for i in batch) for batch in batches]
    assert widths == sorted(widths, reverse=True), "memory should run out on the first batch, if it must"


@pytest.mark.slow
def test_a_beam_counts_against_the_budget(model: Seq2Seq) -> None:
    sources = [[3, 4, 5]] * 12  # four positions each
    for beam, size in ((1, 6), (2, 3), (3, 2), (24, 1), (99, 1)):
        sizes = {len(indices) for indices, _ in search_batches(model, sources, SearchConfig(beam, 1.0, 24))}
        assert sizes == {size}


def test_padded_by_hand() -> None:
    ids, lengths = padded([[5, 7], [], [4]], arrays_on(torch.device("cpu")))
    assert ids.tolist() == [[5, 7, 2], [2, 0, 0], [4, 2, 0]]
    assert lengths.tolist() == [3, 1, 2]


def test_no_sources_no_answers(model: Seq2Seq) -> None:
    assert search(model, [], SearchConfig()) == []


def test_the_limit_grows_with_the_source(make_model: Callable[[int], Seq2Seq]) -> None:
    assert max_target_length(0) == 10
    assert max_target_length(7) == 31
    model = make_model(0)
    with torch.no_grad():
        model.decoder.bias[2] = -1e4
    ((short,), (long,)) = search(model, [[3], [3] * 4], SearchConfig())
    assert (len(short.tokens), len(long.tokens)) == (13, 22)
