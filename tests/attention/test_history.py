"""Scores that remember: three steps worked by loops, with the term inside the tanh and the values untouched."""

import torch
from torch.nn import functional as F

from attentio.attention import Attention
from attentio.attention.objective import coverage_loss

T, S, D = 3, 4, 5


def setting(score):
    torch.manual_seed(0)
    attention = Attention(D, D, score=score).double().eval()
    query, keys = torch.randn(1, T, D, dtype=torch.float64), torch.randn(1, S, D, dtype=torch.float64)
    return attention, attention.score, query, keys


def worked_by_hand(score, query, keys, term, remember, bias):
    past, rows = torch.zeros(S, dtype=torch.float64), []
    for q in query[0]:
        hidden = torch.tanh((score.query.weight[0] @ q) + keys[0] @ score.key.weight[0].T + bias + term(past))  # (S, D)
        weights = torch.softmax(hidden @ score.v[0], 0)
        past = remember(past, weights)
        rows.append(weights)
    return torch.stack(rows)


def test_coverage_adds_the_sum_of_earlier_weights():
    attention, score, query, keys = setting("coverage")
    expected = worked_by_hand(
        score,
        query,
        keys,
        lambda c: c[:, None] * score.history.term.weight[0, :, 0],
        lambda c, a: c + a,
        score.key.bias[0],
    )
    attended = attention(query, attention.prepare(keys))
    torch.testing.assert_close(attended.weights[0, 0], expected)
    torch.testing.assert_close(attended.state.score_history[0, 0], expected.sum(0))
    torch.testing.assert_close(attended.context[0, 0], expected @ keys[0])


def test_fertility_divides_by_how_many_words_a_key_may_yield():
    attention, score, query, keys = setting("fertility_coverage")
    phi = 2 * torch.sigmoid(keys[0] @ score.fertility.weight[0, 0])
    expected = worked_by_hand(
        score,
        query,
        keys,
        lambda c: c[:, None] * score.history.term.weight[0, :, 0],
        lambda c, a: c + a / phi,
        0,
    )
    attended = attention(query, attention.prepare(keys))
    torch.testing.assert_close(attended.weights[0, 0], expected)
    torch.testing.assert_close(attended.state.score_history[0, 0], (expected / phi).sum(0))


def test_where_every_word_yields_one_fertility_is_the_sum_of_weights():
    """Phi = 2 sigmoid(0) = 1."""
    attention, score, query, keys = setting("fertility_coverage")
    torch.nn.init.zeros_(score.fertility.weight)
    attended = attention(query, attention.prepare(keys))
    torch.testing.assert_close(attended.state.score_history, attended.weights.sum(2))


def test_location_aware_convolves_the_weights_of_the_query_before():
    attention, score, query, keys = setting("location_aware")
    filters = score.history.filters[:, 0]  # (C, 15)

    def term(previous):
        wide = F.pad(previous, (7, 7))
        features = torch.stack([filters @ wide[j : j + 15] for j in range(S)])  # (S, C), centred on each key
        return features @ score.history.term.weight[0].T

    expected = worked_by_hand(score, query, keys, term, lambda _, a: a, score.key.bias[0])
    attended = attention(query, attention.prepare(keys))
    torch.testing.assert_close(attended.weights[0, 0], expected)
    torch.testing.assert_close(attended.state.score_history[0, 0], expected[-1])


def test_after_t_steps_the_coverage_of_a_sentence_sums_to_t():
    attention, _, query, keys = setting("coverage")
    mask = torch.tensor([[True, True, True, False]])
    total = attention(query, attention.prepare(keys, None, mask)).state.score_history
    torch.testing.assert_close(total.sum(), torch.tensor(float(T)).double())
    assert total[0, 0, 3] == 0


def test_the_past_is_summed_in_float32_under_half_precision():
    attention = Attention(D, D, score="coverage").bfloat16().eval()
    memory = attention.prepare(torch.randn(1, S, D).bfloat16())
    assert attention(torch.randn(1, T, D).bfloat16(), memory).state.score_history.dtype == torch.float32


def test_coverage_loss_by_hand():
    weights = torch.tensor([[[[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]]]])
    # step 1: nothing before; step 2: min(.25, 1) + min(.75, 0); step 3: min(.5, 1.25) + min(.5, .75)
    loss = coverage_loss(weights, torch.tensor([[True, True, True]]))
    torch.testing.assert_close(loss, torch.tensor([[0.0, 0.25, 1.0]]))
    assert coverage_loss(weights, torch.tensor([[True, True, False]]))[0, 2] == 0
    torch.testing.assert_close(coverage_loss(weights.repeat(1, 3, 1, 1), torch.ones(1, 3, dtype=torch.bool)), loss)


def test_coverage_loss_lies_between_0_and_1():
    torch.manual_seed(0)
    weights = (3 * torch.randn(5, 2, 11, 7)).softmax(-1)
    loss = coverage_loss(weights, torch.ones(5, 11, dtype=torch.bool))
    assert (loss >= 0).all()
    assert (loss <= 1 + 1e-6).all()
    assert (loss[:, 0] == 0).all()
    assert loss[:, 1:].std() > 0.01
