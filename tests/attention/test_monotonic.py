"""Monotonic attention and MoChA against their recurrence by loops, a simulation of the process, and each other."""

import pytest
import torch

from attentio.attention import Attention, Memory
from attentio.attention.monotonic import Monotonic, MonotonicChunkwise, expected_stops, hard_stops, scan, spread

B, H, T, S = 2, 3, 5, 7


def at_first(num_keys=S, batch=B, heads=H):
    past = torch.zeros(batch, heads, num_keys, dtype=torch.float64)
    past[..., 0] = 1
    return past


def probabilities(num_queries=T, num_keys=S):
    torch.manual_seed(0)
    return torch.rand(B, H, num_queries, num_keys, dtype=torch.float64)


def test_the_expectation_is_the_recurrence_of_the_paper():
    """Raffel 2017, eqs. 13-14, in loops."""
    p, alpha = probabilities(), expected_stops(probabilities(), at_first())
    for b in range(B):
        for h in range(H):
            before = [1.0] + [0.0] * (S - 1)
            for i in range(T):
                row, q = [], 0.0
                for j in range(S):
                    stopped_left = p[b, h, i, j - 1].item() if j else 0.0
                    q = (1 - stopped_left) * q + before[j]
                    row.append(p[b, h, i, j].item() * q)
                torch.testing.assert_close(alpha[b, h, i], torch.tensor(row).double())
                before = row


def test_two_queries_of_two_keys_by_hand():
    p = torch.tensor([[[[0.5, 0.4], [0.1, 0.6]]]]).double()
    # first: 0.5, then 0.4 of the other half; second: 0.1 of 0.5, then 0.6 of the 0.45 gone on and the 0.2 already there
    expected = torch.tensor([[[[0.5, 0.2], [0.05, 0.39]]]]).double()
    torch.testing.assert_close(expected_stops(p, at_first(2, 1, 1)), expected)


def test_the_expectation_is_how_often_the_process_stops():
    p = probabilities()[0, 0]
    alpha = expected_stops(p[None, None], at_first(batch=1, heads=1))[0, 0]
    runs, generator = 20_000, torch.Generator().manual_seed(1)
    counts = torch.zeros(T, S)
    where = torch.zeros(runs, dtype=torch.long)  # S: went past the last key
    for i in range(T):
        stops = torch.rand(runs, S, generator=generator) < p[i]
        stops &= torch.arange(S) >= where[:, None]
        where = torch.where(stops.any(-1), stops.long().argmax(-1), S)
        counts[i] = torch.bincount(where, minlength=S + 1)[:S]
    deviation = (alpha * (1 - alpha) / runs).sqrt()
    assert ((counts / runs - alpha).abs() < 5 * deviation + 1e-9).all()


def test_at_0_and_1_the_expectation_is_the_process():
    p = (probabilities() > 0.6).double()
    alpha = expected_stops(p, at_first())
    assert hard_stops(p, at_first()).equal(alpha)
    for b in range(B):
        for h in range(H):
            where = 0
            for i in range(T):
                while where < S and p[b, h, i, where] == 0:
                    where += 1
                expected = torch.zeros(S).double()
                if where < S:
                    expected[where] = 1
                assert alpha[b, h, i].equal(expected)


def test_no_mass_is_lost_over_400_keys():
    p = torch.full((1, 1, 1, 400), 0.1, dtype=torch.float32)
    total = expected_stops(p, at_first(400, 1, 1).float()).sum()
    torch.testing.assert_close(total, torch.tensor(1.0))
    alpha = expected_stops(p.expand(1, 1, 3, 400), at_first(400, 1, 1).float())
    by_hand = 0.1 * 0.9 ** torch.arange(400.0)
    torch.testing.assert_close(alpha[0, 0, 0], by_hand)


def test_what_goes_past_the_end_is_not_made_up_for():
    alpha = expected_stops(torch.full((1, 1, 1, 3), 0.5).double(), at_first(3, 1, 1))
    torch.testing.assert_close(alpha.flatten(), torch.tensor([0.5, 0.25, 0.125]).double())


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
def test_the_scan_is_the_loop(size):
    carry, add = torch.rand(2, size).double(), torch.rand(2, size).double()
    x, expected = torch.zeros(2).double(), []
    for j in range(size):
        x = carry[:, j] * x + add[:, j]
        expected.append(x)
    torch.testing.assert_close(scan(carry, add), torch.stack(expected, -1))


def test_the_gradient_of_the_expectation():
    assert torch.autograd.gradcheck(expected_stops, (probabilities()[:, :1].requires_grad_(), at_first(heads=1)))


def test_chunks_are_the_double_sum_of_the_paper():
    """Chiu 2018, eq. 11: beta_ij = sum_k=j..j+w-1 alpha_ik exp(u_ij) / sum_l=k-w+1..k exp(u_il)."""
    torch.manual_seed(2)
    alpha, u = probabilities(), torch.randn(B, H, T, S, dtype=torch.float64)
    for width in (1, 2, 3, 9):
        beta = torch.zeros_like(alpha)
        for j in range(S):
            for k in range(j, min(j + width, S)):
                total = sum(u[..., m].exp() for m in range(max(0, k - width + 1), k + 1))
                beta[..., j] += alpha[..., k] * u[..., j].exp() / total
        torch.testing.assert_close(spread(alpha, u, width), beta)
    torch.testing.assert_close(spread(alpha, u, 1), alpha)
    last = torch.zeros_like(alpha)
    last[..., -1] = 1
    torch.testing.assert_close(spread(last, u, S), u.softmax(-1))


def test_far_scores_do_not_underflow():
    u = torch.zeros(1, 1, 1, 6)
    u[..., 3:] = 1000.0
    alpha = torch.full((1, 1, 1, 6), 1 / 6)
    weights = spread(alpha, u, 2)
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


def memory(mask=None):
    values = torch.zeros(B, H, S, 2, dtype=torch.float64)
    return Memory(values, values, mask)


def test_probabilities_come_from_energies_bias_and_in_training_noise():
    scores = torch.randn(B, H, T, S, dtype=torch.float64)
    quiet = Monotonic(noise=0.0, bias=-0.5).double().train()
    expected = expected_stops(torch.sigmoid(scores - 0.5), at_first())
    torch.testing.assert_close(quiet(scores, None, quiet.start(memory())).weights, expected)
    noisy = Monotonic(noise=2.0, bias=-0.5).double().train()
    torch.manual_seed(3)
    given = noisy(scores, None, noisy.start(memory())).weights
    torch.manual_seed(3)
    expected = expected_stops(torch.sigmoid(scores - 0.5 + 2 * torch.randn_like(scores)), at_first())
    torch.testing.assert_close(given, expected)


def test_in_use_it_stops_at_the_first_probability_of_a_half():
    kind = Monotonic(bias=-1.0).eval()
    scores = torch.tensor([[[[0.9, 1.0, 5.0], [9.0, 0.0, 1.5], [9.0, 9.0, 0.0], [9.0, 9.0, 9.0]]]])
    first = at_first(3, 1, 1).float()
    given = kind(scores, None, first)
    assert given.weights[0, 0].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    masked = kind(scores, torch.tensor([True, False, True]), first)
    assert masked.weights[0, 0, 0].tolist() == [0, 0, 1]


def test_mocha_goes_on_from_where_it_stopped_not_from_what_it_looked_at():
    kind = MonotonicChunkwise(2, noise=0.0, bias=-0.5).double().train()
    scores = torch.randn(2, B, H, T, S, dtype=torch.float64)
    given = kind(scores, None, kind.start(memory()))
    stops = expected_stops(torch.sigmoid(scores[0] - 0.5), at_first())
    torch.testing.assert_close(given.weights, spread(stops, scores[1], 2))
    torch.testing.assert_close(given.history, stops[:, :, -1])


def test_mocha_of_width_1_is_monotonic():
    scores = torch.randn(2, B, H, T, S, dtype=torch.float64)
    chunkwise, plain = MonotonicChunkwise(1).double(), Monotonic().double()
    for training in (True, False):
        chunkwise.train(training), plain.train(training)
        torch.manual_seed(4)
        one = chunkwise(scores, None, at_first()).weights
        torch.manual_seed(4)
        torch.testing.assert_close(one, plain(scores[0], None, at_first()).weights)


def test_mocha_has_two_scores_of_the_kind_asked_for():
    attention = Attention(8, 8, score="normed_additive", normalize="mocha")
    single = Attention(8, 8, score="normed_additive", normalize="monotonic")
    assert sum(p.numel() for p in attention.score.parameters()) == 2 * sum(p.numel() for p in single.score.parameters())


@pytest.mark.parametrize("kind", [Monotonic(), MonotonicChunkwise()])
def test_without_a_history_it_cannot_start(kind):
    with pytest.raises(ValueError, match="pass the result of `start`"):
        kind(torch.zeros(2, 1, 1, 2, 3), None)
