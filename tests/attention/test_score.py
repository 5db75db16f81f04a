"""Scores against oracles that we did not write, sums done by hand, and what their papers say must hold."""

import math
import os
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attentio.attention import SCORES, Attention
from attentio.attention.score import (
    Additive,
    Bilinear,
    Cosine,
    Dot,
    LinearConcat,
    Location,
    NormedAdditive,
    Paired,
    ScaledDot,
    additive,
)

B, H, T, S, Q, K = 2, 3, 5, 7, 4, 6


def made(kind, query_size=Q, key_size=K, num_heads=H, **options):
    torch.manual_seed(0)
    return kind(query_size, key_size, num_heads, **options).double()


def operands(query_size=Q, key_size=K):
    torch.manual_seed(1)
    query = torch.randn(B, H, T, query_size, dtype=torch.float64)
    return query, torch.randn(B, H, S, key_size, dtype=torch.float64)


def scores(score, query, keys):
    return score(query, score.prepare(keys))


def by_loops(formula, query, keys):
    """formula(h, q, k) for every head and pair of vectors."""
    result = torch.empty(B, H, query.size(2), keys.size(2), dtype=torch.float64)
    for b in range(B):
        for h in range(H):
            for i, q in enumerate(query[b, h]):
                for j, k in enumerate(keys[b, h]):
                    result[b, h, i, j] = formula(h, q, k)
    return result


def test_dot_and_scaled_dot():
    query, keys = operands(key_size=Q)
    torch.testing.assert_close(scores(made(Dot, key_size=Q), query, keys), by_loops(lambda _, q, k: q @ k, query, keys))
    expected = by_loops(lambda _, q, k: q @ k / 2, query, keys)  # the root of 4, the size of a head
    torch.testing.assert_close(scores(made(ScaledDot, key_size=Q), query, keys), expected)


def test_bilinear_is_one_matrix_per_head():
    query, keys = operands()
    score = made(Bilinear)
    w = score.key.weight  # (H, Q, K)
    torch.testing.assert_close(scores(score, query, keys), by_loops(lambda h, q, k: q @ w[h] @ k, query, keys))


def test_bilinear_with_the_identity_is_dot():
    query, keys = operands(key_size=Q)
    score = made(Bilinear, key_size=Q)
    with torch.no_grad():
        score.key.weight.copy_(torch.eye(Q))
    torch.testing.assert_close(scores(score, query, keys), scores(made(Dot, key_size=Q), query, keys))


def test_cosine_agrees_with_torch_up_to_the_temperature():
    query, keys = operands(key_size=Q)
    score = made(Cosine, key_size=Q, temperature=3.0)
    with torch.no_grad():
        score.log_temperature += torch.tensor([0.0, 0.5, 9.0])
    expected = F.cosine_similarity(query.unsqueeze(3), keys.unsqueeze(2), dim=-1)
    temperatures = torch.tensor([3.0, 3 * math.exp(0.5), 100.0]).double()  # never above 100
    torch.testing.assert_close(scores(score, query, keys), expected * temperatures[:, None, None])
    torch.testing.assert_close(scores(score, 7 * query, 0.1 * keys), scores(score, query, keys))
    query, keys = F.normalize(query, dim=-1), F.normalize(keys, dim=-1)
    given = scores(made(Cosine, key_size=Q, temperature=1.0), query, keys)
    torch.testing.assert_close(given, scores(made(Dot, key_size=Q), query, keys))


def test_cosine_of_a_zero_vector_has_a_finite_gradient():
    score = Cosine(Q, Q)
    query = torch.zeros(1, 1, 1, Q, requires_grad=True)
    scores(score, query, torch.zeros(1, 1, S, Q)).sum().backward()
    assert query.grad.isfinite().all()
    assert Cosine(Q, Q).half().prepare(torch.zeros(1, 1, S, Q).half()).isfinite().all()


def test_cosine_without_much_temperature_is_fog():
    """No score exceeds the temperature, so that no weight exceeds e^2 times another at temperature 1."""
    query, keys = operands(key_size=Q)
    weights = scores(made(Cosine, key_size=Q, temperature=1.0), 100 * query, keys).softmax(-1)
    assert (weights.amax(-1) / weights.amin(-1) <= math.exp(2)).all()
    with pytest.raises(ValueError, match="temperature 0"):
        Cosine(Q, Q, temperature=0)


def test_linear_concat_gives_every_query_the_same_weights():
    """The seed's W[q;k]: what the query adds is the same for every key, and softmax cancels it."""
    query, keys = operands()
    score = made(LinearConcat)
    joined = by_loops(
        lambda h, q, k: torch.cat([score.query.weight[h, 0], score.key.weight[h, 0]]) @ torch.cat([q, k]), query, keys
    )
    given = scores(score, query, keys)
    torch.testing.assert_close(given, joined)
    assert not torch.allclose(given[:, :, 0], given[:, :, 1])
    weights = given.softmax(-1)
    torch.testing.assert_close(weights, weights[:, :, :1].expand_as(weights))


@pytest.mark.slow
def test_additive_agrees_with_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    query, keys = operands()
    score = made(Additive)
    projected, prepared = score.project(query), score.prepare(keys)
    for h in range(H):
        layer = keras.layers.AdditiveAttention(dtype="float64")  # has v, its `scale`, and no projections
        layer.build([(B, T, Q), (B, S, Q), (B, S, Q)])
        layer.set_weights([score.v[h].detach().numpy()])
        inputs = [projected[:, h].detach(), prepared[:, h].detach(), prepared[:, h].detach()]
        _, weights = layer(inputs, return_attention_scores=True)
        torch.testing.assert_close(scores(score, query, keys)[:, h].softmax(-1).detach(), weights.detach())


@pytest.mark.slow
def test_scaled_dot_and_dot_agree_with_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    query, keys = operands(key_size=Q)
    for kind, use_scale in ((Dot, False), (ScaledDot, True)):
        layer = keras.layers.Attention(dtype="float64", use_scale=use_scale)
        layer.build([(B, T, Q), (B, S, Q)])
        if use_scale:
            layer.set_weights([np.array(1 / math.sqrt(Q))])
        _, weights = layer([query[:, 0], keys[:, 0]], return_attention_scores=True)
        given = scores(made(kind, key_size=Q), query, keys)[:, 0].softmax(-1)
        torch.testing.assert_close(given.detach().float(), weights.detach().float())


def test_additive_is_luongs_concat():
    """v . tanh(W [q; k]) with W cut in two."""
    query, keys = operands()
    score = made(Additive, hidden_size=9)
    w = torch.cat([score.query.weight, score.key.weight], -1)  # (H, 9, Q + K)
    expected = by_loops(lambda h, q, k: score.v[h] @ torch.tanh(w[h] @ torch.cat([q, k])), query, keys)
    torch.testing.assert_close(scores(score, query, keys), expected)


def test_normed_additive_knows_the_length_of_v_from_g_alone():
    query, keys = operands()
    score = made(NormedAdditive)
    with torch.no_grad():
        score.g.copy_(torch.tensor([[0.5], [1.0], [2.0]]))

    def formula(h, q, k):
        hidden = torch.tanh(score.query.weight[h] @ q + score.key.weight[h] @ k + score.key.bias[h])
        return score.g[h, 0] * (score.v[h] / score.v[h].norm()) @ hidden

    before = scores(score, query, keys)
    torch.testing.assert_close(before, by_loops(formula, query, keys))
    with torch.no_grad():
        score.v *= 3
    torch.testing.assert_close(scores(score, query, keys), before)


def test_additive_in_one_dimension_by_hand():
    given = additive(torch.tensor([[[[0.5]]]]), torch.tensor([[[[0.5], [-0.5]]]]), torch.tensor([[2.0]]))
    torch.testing.assert_close(given.flatten(), torch.tensor([2 * math.tanh(1.0), 0.0]))


def test_additive_without_v_knows_no_key_from_another():
    query, keys = operands()
    score = made(Additive)
    torch.nn.init.zeros_(score.v)
    torch.testing.assert_close(scores(score, query, keys).softmax(-1), torch.full((B, H, T, S), 1 / S).double())


def test_location_looks_at_positions_only():
    query, keys = operands()
    score = made(Location, max_length=11)
    given = scores(score, query, keys)
    torch.testing.assert_close(given, torch.einsum("bhtq,hsq->bhts", query, score.position.weight[:, :S]))
    torch.testing.assert_close(scores(score, query, keys.flip(2)), given)
    assert score.prepare(keys).shape == (B, H, S, 0)  # how many keys there are is all it needs
    assert scores(made(Location, max_length=7), query, keys).shape == (B, H, T, 7)
    with pytest.raises(ValueError, match="reaches 6 keys, not 7"):
        scores(made(Location, max_length=6), query, keys)
    attention = Attention(Q, K, score=partial(Location, max_length=11)).double().eval()
    weights = attention(query[:, 0], attention.prepare(keys[:, 0])).weights[:, 0]
    torch.testing.assert_close(weights, (query[:, 0] @ attention.score.position.weight[0, :S].T).softmax(-1))


def test_a_pair_is_two_scores_with_parameters_of_their_own():
    query, keys = operands()
    first, second = made(Additive), made(NormedAdditive)
    given = scores(Paired(first, second), query, keys)
    torch.testing.assert_close(given, torch.stack([scores(first, query, keys), scores(second, query, keys)]))


@pytest.mark.parametrize("name", SCORES)
def test_heads_equal_single_heads_side_by_side(name):
    """H heads are H attentions of one head, each with its slice of everything."""
    torch.manual_seed(3)
    together = Attention(8, 8, 4, score=name, num_heads=2).double().eval()
    query, keys, values = (torch.randn(B, n, size, dtype=torch.float64) for n, size in ((T, 8), (S, 8), (S, 4)))
    context = together(query, together.prepare(keys, values)).context
    for h in range(2):
        alone = Attention(4, 4, 2, score=name).double().eval()
        for own, both in zip(alone.parameters(), together.parameters(), strict=True):
            rows = both.size(0) // 2
            own.data.copy_(both.data[h * rows : (h + 1) * rows])
        part = [x.chunk(2, -1)[h] for x in (query, keys, values)]
        expected = alone(part[0], alone.prepare(part[1], part[2])).context
        torch.testing.assert_close(context[:, h : h + 1], expected)


@pytest.mark.parametrize("name", ["dot", "scaled_dot", "cosine"])
def test_scores_without_a_projection_need_equal_sizes(name):
    with pytest.raises(ValueError, match=f"score '{name}' multiplies query and key entry by entry"):
        SCORES[name](4, 6, 1)


@pytest.mark.parametrize("name", [name for name in SCORES if name != "linear_concat"])
def test_weights_differ_between_queries(name):
    """The seed's mistake was a query that never depends on the decoder."""
    torch.manual_seed(0)
    attention = Attention(8, 8, score=name).eval()
    query = torch.randn(1, 2, 8)
    weights = attention(query, attention.prepare(torch.randn(1, S, 8))).weights
    assert (weights[:, :, 0] - weights[:, :, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", SCORES)
def test_no_projection_bias_or_tanh_comes_along_unsaid(name):
    """Parameters of every score at size 8, one head: what its formula names and nothing else."""
    parameters = {
        "dot": 0,
        "scaled_dot": 0,
        "bilinear": 64,
        "cosine": 1,
        "linear_concat": 8 + 8,
        "additive": 64 + 64 + 8,
        "normed_additive": 64 + 64 + 8 + 8 + 1,
        "location": 512 * 8,
        "location_aware": 64 + 64 + 8 + 8 + 10 * 15 + 10 * 8,
        "coverage": 64 + 64 + 8 + 8 + 8,
        "fertility_coverage": 64 + 64 + 8 + 8 + 8,
    }
    attention = Attention(8, 8, score=name)
    assert sum(p.numel() for p in attention.parameters()) == parameters[name]
    assert not any(isinstance(module, nn.Linear) for module in attention.modules())


@pytest.mark.parametrize(
    ("parameter", "bound"),
    [
        (lambda: Additive(100, 25).query.weight, 0.1),
        (lambda: Additive(100, 25).key.weight, 0.2),
        (lambda: Additive(9, 9, hidden_size=100).v, 0.1),
        (lambda: NormedAdditive(100, 25).key.bias, 0.2),
        (lambda: SCORES["location_aware"](9, 9, 1).history.filters, 1 / math.sqrt(15)),
    ],
)
def test_parameters_start_evenly_within_one_over_the_root_of_what_they_sum(parameter, bound):
    torch.manual_seed(0)
    values = parameter()
    assert values.abs().max() <= bound
    assert values.max() > 0.9 * bound
    assert values.min() < -0.9 * bound


def test_the_length_of_v_starts_at_one_over_its_root():
    assert NormedAdditive(9, 9, hidden_size=16).g.tolist() == [[0.25]]
