"""Windows against plain loops over positions."""

import math
from functools import partial

import pytest
import torch

from attentio.attention import Attention, Memory, combine_windows
from attentio.attention.window import (
    Causal,
    Full,
    LocalMonotonic,
    LocalPredictive,
    RelativeBias,
    Sliding,
)

B, H, T, S, Q = 2, 3, 5, 7, 4
LENGTHS = [7, 3]


def operands():
    torch.manual_seed(0)
    query = torch.randn(B, H, T, Q, dtype=torch.float64)
    mask = torch.arange(S) < torch.tensor(LENGTHS)[:, None]
    values = torch.randn(B, H, S, 2, dtype=torch.float64)
    return query, Memory(values, values, mask)


def seen(window, position=0):
    """(B, H, T, S) mask of a window, as lists of the keys seen."""
    query, memory = operands()
    mask = window(query, memory, position).mask.expand(B, H, T, S)
    return [[[j for j in range(S) if mask[b, 0, t, j]] for t in range(T)] for b in range(B)]


@pytest.mark.parametrize("position", [0, 2])
def test_causal_and_sliding(position):
    assert seen(Causal(), position)[0] == [[j for j in range(S) if j <= position + t] for t in range(T)]
    near = [[j for j in range(S) if abs(j - position - t) <= 2] for t in range(T)]
    assert seen(Sliding(radius=2), position) == [near, near]


@pytest.mark.parametrize("ahead", [0, 1])
def test_causal_masks_nothing_where_no_key_lies_ahead(ahead):
    """As at every step of a search."""
    _, memory = operands()
    query = torch.zeros(B, H, 1, Q)
    span = Causal()(query, memory, S - 1 - ahead)
    assert span.bias is None
    assert span.factor is None
    assert (span.mask is None) == (ahead == 0)
    if ahead:
        assert span.mask.tolist() == [[True] * (S - 1) + [False]]


@pytest.mark.parametrize("position", [0, 4])
def test_local_m_stops_at_the_last_word_of_each_sentence(position):
    for b, length in enumerate(LENGTHS):
        expected = []
        for t in range(position, position + T):
            center = min(t, length - 1)
            expected.append([j for j in range(S) if center - 2 <= j <= center + 2])
        assert seen(LocalMonotonic(radius=2), position)[b] == expected


def test_local_m_of_a_single_word_stays_on_it():
    query, memory = operands()
    memory = memory._replace(mask=torch.arange(S) < torch.tensor([[1], [2]]))
    seen_by_last = LocalMonotonic(radius=1)(query, memory, 0).mask[:, 0, T - 1]
    assert seen_by_last.tolist() == [[True, True] + [False] * 5, [True, True, True] + [False] * 4]


def test_local_windows_of_an_empty_sentence_are_finite():
    query, memory = operands()
    memory = memory._replace(mask=torch.zeros(B, S, dtype=torch.bool))
    assert LocalMonotonic(radius=2)(query, memory, 0).mask[0, 0, 0].tolist() == [True] * 3 + [False] * 4
    assert (LocalPredictive(Q, H).double()(query, memory, 0).factor[..., 0] == 1).all()  # the center is the first key


def test_in_a_sentence_of_one_word_that_word_is_the_center():
    query, memory = operands()
    memory = memory._replace(mask=torch.arange(S) < torch.tensor([[1], [2]]))
    factor = LocalPredictive(Q, H).double()(query, memory, 0).factor
    assert (factor[0, ..., 0] == 1).all()
    assert (factor[1, ..., 0] < 1).any()


def predicted_centers(window, query):
    """Luong 2015, eq. 9, by loops: (B, H, T)."""
    centers = torch.empty(B, H, T)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                hidden = torch.tanh(window.hidden.weight[h] @ query[b, h, t])
                share = torch.sigmoid(window.center.weight[h, 0] @ hidden)
                centers[b, h, t] = min(LENGTHS[b] * share.item(), LENGTHS[b] - 1)
    return centers


@pytest.mark.parametrize("radius", [1, 2, 10])
def test_local_p_by_loops(radius):
    torch.manual_seed(3)
    query, memory = operands()
    window = LocalPredictive(Q, H, radius=radius).double()
    query = 4 * query  # centers all over the sentence
    span = window(query, memory, 0)
    centers = predicted_centers(window, query)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                p = centers[b, h, t].item()
                for j in range(S):
                    assert span.mask[b, h, t, j] == (math.ceil(p - radius) <= j <= math.floor(p + radius))
                    gaussian = math.exp(-((j - p) ** 2) / (2 * (radius / 2) ** 2))
                    assert abs(span.factor[b, h, t, j].item() - gaussian) < 1e-5
    assert span.bias is None


def local_p(**options):
    torch.manual_seed(0)
    attention = Attention(Q, Q, score="dot", window=partial(LocalPredictive, radius=2, **options)).double().eval()
    return attention, torch.randn(1, T, Q, dtype=torch.float64), torch.randn(1, S, Q, dtype=torch.float64)


def test_the_gaussian_comes_after_the_softmax_and_is_not_renormalized():
    attention, query, keys = local_p()
    attended = attention(query, attention.prepare(keys))
    span = attention.window(query.unsqueeze(1), attention.prepare(keys), 0)
    scores = (query @ keys.mT).unsqueeze(1)
    aligned = scores.masked_fill(~span.mask, -torch.inf).softmax(-1)
    torch.testing.assert_close(attended.weights, aligned * span.factor)
    assert (attended.weights.sum(-1) < 1).all()


def test_renormalized_the_gaussian_is_part_of_the_score():
    attention, query, keys = local_p(renormalize=True)
    paper, _, _ = local_p()
    weights = attention(query, attention.prepare(keys)).weights
    unnormalized = paper(query, paper.prepare(keys)).weights
    torch.testing.assert_close(weights, unnormalized / unnormalized.sum(-1, keepdim=True))


def test_the_predictor_learns_through_the_gaussian():
    for renormalize in (False, True):
        attention, query, keys = local_p(renormalize=renormalize)
        attention(query, attention.prepare(keys)).context.sum().backward()
        assert all(p.grad.abs().max() > 0 for p in attention.window.parameters())


def test_a_wide_window_is_full():
    query, memory = operands()
    for window in (Sliding(radius=S), LocalMonotonic(radius=S)):
        assert window(query, memory, 0).mask.all()
    assert Full()(query, memory, 0) == (None, None, None)


def test_a_gaussian_wide_as_the_world_is_not_there():
    query, memory = operands()
    span = LocalPredictive(Q, H, radius=10**6).double()(query, memory, 0)
    assert span.mask.all()
    torch.testing.assert_close(span.factor, torch.ones_like(span.factor))


def test_masking_outside_the_window_is_gathering_what_is_inside():
    attention, query, keys = local_p()
    attended = attention(query, attention.prepare(keys))
    share = attention.window.center(attention.window.hidden(query.unsqueeze(1)).tanh()).sigmoid().flatten()
    for t in range(T):
        p = min(S * share[t].item(), S - 1)
        inside = [s for s in range(S) if abs(s - p) <= 2]
        align = (keys[0, inside] @ query[0, t]).softmax(-1)
        gaussian = torch.tensor([math.exp(-((s - p) ** 2) / 2) for s in inside]).double()  # sigma = 1
        torch.testing.assert_close(attended.context[0, 0, t], (align * gaussian) @ keys[0, inside])


def test_the_predicted_center_knows_nothing_of_the_padding():
    query, memory = operands()
    window = LocalPredictive(Q, H, radius=2).double()
    span = window(query, memory, 0)
    shorter = memory._replace(values=memory.values[:, :, :3], keys=memory.keys[:, :, :3], mask=memory.mask[:, :3])
    alone = window(query[1:], shorter.select(torch.tensor([1])), 0)
    torch.testing.assert_close(span.factor[1:, ..., :3], alone.factor)


def test_relative_bias_by_loops():
    query, memory = operands()
    window = RelativeBias(Q, H, max_distance=3)
    assert (window.bias == 0).all()
    with torch.no_grad():
        window.bias.copy_(torch.randn(H, 7))
    bias = window(query, memory, 2).bias
    for h in range(H):
        for t in range(T):
            for j in range(S):
                assert bias[h, t, j] == window.bias[h, 3 + max(-3, min(3, j - (t + 2)))]


def test_windows_together():
    query, memory = operands()
    window = combine_windows(Causal, partial(Sliding, radius=1), RelativeBias, RelativeBias)(Q, H)
    span = window(query, memory, 1)
    assert seen(window, 1)[0] == [[j for j in range(S) if t <= j <= t + 1] for t in range(T)]
    with torch.no_grad():
        window.windows[2].bias += 1
        window.windows[3].bias += 2
    assert (window(query, memory, 1).bias == 3).all()
    assert span.factor is None
    assert combine_windows(Causal, LocalPredictive)(Q, H).scales_weights
    assert not window.scales_weights
    assert window.is_moving
    assert not combine_windows(Causal, RelativeBias)(Q, H).is_moving
    assert not any(one.is_causal for one in combine_windows(Full, LocalPredictive)(Q, H).windows)
    twice = combine_windows(LocalPredictive, LocalPredictive)(Q, H).double()
    first, second = (one(query, memory, 0).factor for one in twice.windows)
    torch.testing.assert_close(twice(query, memory, 0).factor, first * second)


def test_a_window_keeps_position_precision_under_half_precision():
    """Position 300 cannot be told from 301 in bfloat16."""
    window = LocalPredictive(Q, 1).bfloat16()
    keys = torch.zeros(1, 1, 400, 1).bfloat16()
    factor = window(torch.randn(1, 1, T, Q).bfloat16(), Memory(keys, keys, None), 0).factor
    assert factor.dtype == torch.float32


@pytest.mark.parametrize("position", [0, 3])
def test_looking_back_only_local_p_shares_out_what_the_query_sees(position):
    """S of Luong's eq. 9 is t + 1 for query t, or the sentence's length if that is less."""
    torch.manual_seed(3)
    query, memory = operands()
    query = 4 * query
    window = combine_windows(combine_windows(LocalPredictive), Causal)(Q, H).double()  # in any order and depth
    factor = window(query, memory, position).factor
    predictor = window.windows[0].windows[0]
    for b in range(B):
        for h in range(H):
            for t in range(T):
                length = min(LENGTHS[b], position + t + 1)
                hidden = torch.tanh(predictor.hidden.weight[h] @ query[b, h, t])
                p = min(length * torch.sigmoid(predictor.center.weight[h, 0] @ hidden).item(), length - 1)
                gaussian = torch.exp(-2 * ((torch.arange(S) - p) / 10) ** 2)
                torch.testing.assert_close(factor[b, h, t], gaussian.double(), atol=1e-6, rtol=0)


GROWING = {
    "sliding": partial(Sliding, radius=2),
    "local-m": partial(LocalMonotonic, radius=2),
    "local-p": partial(LocalPredictive, radius=2),
    "local-p-renormalized": partial(LocalPredictive, radius=2, renormalize=True),
    "relative": partial(RelativeBias, max_distance=2),
}


@pytest.mark.parametrize("name", GROWING)
def test_in_a_memory_that_grows_by_a_key_a_step_it_is_the_same(name):
    """A decoder's self-attention, of a batch whose second sentence is padded."""
    torch.manual_seed(0)
    attention = (
        Attention(6, 6, score="scaled_dot", window=combine_windows(Causal, GROWING[name]), num_heads=2).double().eval()
    )
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    x, mask = torch.randn(B, S, 6, dtype=torch.float64), torch.arange(S) < torch.tensor(LENGTHS)[:, None]
    whole = attention(x, attention.prepare(x, x, mask))
    memory = attention.prepare(x[:, :1], None, mask[:, :1])
    state = attention.start(memory)
    for t in range(S):
        if t:
            memory = memory.extend(attention.prepare(x[:, t : t + 1], None, mask[:, t : t + 1]))
        attended, state = attention.step(x[:, t : t + 1], memory, state)
        torch.testing.assert_close(attended.context, whole.context[:, :, t : t + 1])
        torch.testing.assert_close(attended.weights, whole.weights[:, :, t : t + 1, : t + 1])
    assert (whole.weights.triu(1) == 0).all()
    assert whole.weights[0, :, S - 1].sum(-1).min() > 0.1  # something is seen
