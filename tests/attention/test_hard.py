"""Hard attention and its three objectives, against enumeration of every path and torch's own Gumbel-softmax."""

import math
from itertools import product
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from attentio.attention import Attention
from attentio.attention.hard import HardMarginal, HardReinforce, HardStraightThrough
from attentio.attention.objective import (
    choice_entropy,
    choice_log_probs,
    leave_one_out,
    marginal_nll,
    reinforce,
    rewards_to_go,
)

T, S = 2, 3
EVERYWHERE = torch.ones(1, T, dtype=torch.bool)
KINDS = [HardReinforce(), HardMarginal(), HardStraightThrough()]


@pytest.mark.parametrize("kind", KINDS)
def test_in_use_the_first_of_the_highest_is_looked_at(kind):
    kind.eval()
    scores = torch.tensor([[[[1.0, 3.0, 3.0], [9.0, 1.0, 2.0]]]])
    mask = torch.tensor([[True, True, True], [False, True, True]])
    assert kind(scores, mask).weights.tolist() == [[[[0, 1, 0], [0, 0, 1]]]]


@pytest.mark.parametrize("kind", KINDS)
def test_in_use_it_is_softmax_at_no_temperature(kind):
    scores = torch.randn(2, 1, 5, 7, dtype=torch.float64)
    weights = kind.eval()(scores, None).weights
    torch.testing.assert_close(weights, (scores / 1e-4).softmax(-1))
    assert weights.equal(kind(scores, None).weights)


@pytest.mark.parametrize("kind", KINDS)
def test_log_weights_are_those_of_the_masked_softmax(kind):
    scores = torch.randn(2, 1, 5, 7)
    mask = torch.rand(2, 1, 5, 7) < 0.7
    mask[..., 0] = True
    expected = scores.masked_fill(~mask, -torch.inf).log_softmax(-1).exp()
    torch.testing.assert_close(kind.train()(scores, mask).log_weights.exp(), expected)


def test_in_training_the_marginal_kind_gives_the_whole_distribution():
    scores = torch.randn(2, 1, 5, 7)
    torch.testing.assert_close(HardMarginal()(scores, None).weights, scores.softmax(-1))


def test_the_marginal_kind_predicts_by_its_best_key_alone_as_its_description_and_the_docs_say():
    attention = Attention(4, 4, score="dot", normalize="hard_marginal").eval()
    query, keys, values = torch.randn(2, 5, 4), torch.randn(2, 7, 4), torch.randn(2, 7, 4)
    attended = attention(query, attention.prepare(keys, values))
    best = attended.log_weights[:, 0].argmax(-1)  # (B, T)
    torch.testing.assert_close(attended.context[:, 0], values[torch.arange(2)[:, None], best])
    mixture = attended.log_weights[:, 0].exp() @ values
    assert (attended.context[:, 0] - mixture).abs().max() > 0.1
    docs = Path(__file__).resolve().parents[2] / "docs"
    pages = [(docs / name).read_text(encoding="utf-8") for name in ("training.md", "attention/hard_marginal.md")]
    for text in (HardMarginal.about.trap, *pages):
        assert "Predicting takes the best key alone" in text


@pytest.mark.parametrize("kind", [HardReinforce(), HardStraightThrough(), HardStraightThrough(0.3)])
def test_keys_are_drawn_as_often_as_softmax_says(kind):
    torch.manual_seed(0)
    scores = torch.tensor([0.0, 1.0, 2.0, -1.0])
    mask = torch.tensor([True, True, True, False])
    drawn = kind.train()(scores.expand(1, 1, 20_000, 4), mask).weights[0, 0]
    torch.testing.assert_close(drawn.sum(-1), torch.ones(20_000))
    assert ((drawn == 0) | (drawn == 1)).all()
    expected = 20_000 * scores[:3].softmax(-1)
    chi_squared = ((drawn.sum(0)[:3] - expected) ** 2 / expected).sum()
    assert chi_squared < 13.8  # 2 degrees of freedom, 1 in 1000
    assert drawn[:, 3].sum() == 0


def test_straight_through_agrees_with_torch():
    scores = torch.randn(1, 1, 5, 7, dtype=torch.float64)
    upstream = torch.randn_like(scores)
    gradients = []
    for draw in (
        lambda x: HardStraightThrough(0.7).train()(x, None).weights,
        lambda x: F.gumbel_softmax(x, tau=0.7, hard=True),
    ):
        torch.manual_seed(1)
        x = scores.clone().requires_grad_()
        weights = draw(x)
        (weights * upstream).sum().backward()
        gradients.append((weights.detach(), x.grad))
    torch.testing.assert_close(gradients[0], gradients[1])
    with pytest.raises(ValueError, match="above 0"):
        HardStraightThrough(0.0)


class Toy:
    """Scores for T choices among S keys, and costs with parameters of their own; every path can be enumerated."""

    def __init__(self, feeds_back):
        torch.manual_seed(0)
        self.scores = torch.randn(1, 1, T, S, dtype=torch.float64, requires_grad=True)
        self.table = torch.randn(T, S, S, dtype=torch.float64, requires_grad=True)
        self.feeds_back = feeds_back
        self.paths = list(product(range(S), repeat=T))

    def costs(self, path):
        """(1, T): the cost of a step depends on its own choice and, if contexts feed back, on the first one."""
        first = path[0] if self.feeds_back else 0
        return torch.stack([3 + self.table[t, z, first if t else 0].square() for t, z in enumerate(path)]).unsqueeze(0)

    def log_weights(self):
        return self.scores.log_softmax(-1)

    def chosen(self, path):
        return F.one_hot(torch.tensor(path), S).double()[None, None]

    def log_prob(self, path):
        return choice_log_probs(self.chosen(path), self.log_weights())

    def exact_gradient(self, entropy_weight=0.0):
        expected = sum(self.log_prob(path).sum().exp() * self.costs(path).sum() for path in self.paths)
        loss = expected - entropy_weight * choice_entropy(self.log_weights()).sum()
        return torch.autograd.grad(loss, (self.scores, self.table))

    def mean_gradient(self, loss):
        """The mean over all paths, each as often as it is drawn, of the gradient of loss(path)."""
        total = sum(self.log_prob(path).sum().exp().detach() * loss(path) for path in self.paths)
        return torch.autograd.grad(total, (self.scores, self.table))


@pytest.mark.parametrize("baseline", [0.0, 1.7])
def test_reinforce_has_the_mean_gradient_of_the_expected_cost(baseline):
    toy = Toy(feeds_back=False)
    given = toy.mean_gradient(
        lambda path: reinforce(toy.costs(path), toy.log_prob(path), EVERYWHERE, baseline=torch.tensor(baseline))
    )
    torch.testing.assert_close(given, toy.exact_gradient())


def test_where_contexts_feed_back_a_choice_answers_for_later_costs():
    toy = Toy(feeds_back=True)

    def loss(path, returns):
        costs = toy.costs(path)
        return reinforce(costs, toy.log_prob(path), EVERYWHERE, baseline=torch.tensor(0.3), returns=returns(costs))

    exact = toy.exact_gradient()
    to_go = toy.mean_gradient(lambda path: loss(path, lambda costs: rewards_to_go(costs, EVERYWHERE)))
    own_only = toy.mean_gradient(lambda path: loss(path, lambda costs: costs))
    torch.testing.assert_close(to_go, exact)
    assert not torch.allclose(own_only[0], exact[0])


def test_the_entropy_bonus_is_part_of_the_exact_gradient():
    toy = Toy(feeds_back=False)
    given = toy.mean_gradient(
        lambda path: reinforce(
            toy.costs(path),
            toy.log_prob(path),
            EVERYWHERE,
            baseline=torch.tensor(0.0),
            entropy=choice_entropy(toy.log_weights()),
            entropy_weight=0.4,
        )
    )
    torch.testing.assert_close(given, toy.exact_gradient(entropy_weight=0.4))


def test_leaving_one_out_keeps_the_mean_and_lowers_the_variance():
    toy = Toy(feeds_back=False)
    mean, squares = {}, {}
    for name in ("none", "leave one out"):
        gradients, odds = [], []
        for pair in product(toy.paths, repeat=2):
            costs = torch.stack([toy.costs(path) for path in pair])  # (K, B, T)
            log_probs = torch.stack([toy.log_prob(path) for path in pair])
            baseline = leave_one_out(costs) if name == "leave one out" else torch.tensor(0.0)
            loss = reinforce(costs, log_probs, EVERYWHERE, baseline=baseline) / 2
            gradients.append(torch.autograd.grad(loss, (toy.scores, toy.table))[0].flatten())
            odds.append(log_probs.sum().exp().detach())
        gradients, odds = torch.stack(gradients), torch.stack(odds)
        mean[name] = odds @ gradients
        squares[name] = odds @ gradients**2
    torch.testing.assert_close(mean["leave one out"], toy.exact_gradient()[0].flatten())
    torch.testing.assert_close(mean["none"], mean["leave one out"])
    assert squares["leave one out"].sum() < squares["none"].sum()
    three = torch.tensor([[[1.0, 5.0]], [[2.0, 7.0]], [[6.0, 0.0]]])
    torch.testing.assert_close(leave_one_out(three), torch.tensor([[[4.0, 3.5]], [[3.5, 2.5]], [[1.5, 6.0]]]))
    with pytest.raises(ValueError, match="at least two samples"):
        leave_one_out(torch.zeros(1, 2, 3))


def test_padding_of_the_target_counts_nowhere():
    mask = torch.tensor([[True, True, False]])
    costs = torch.tensor([[1.0, 2.0, 99.0]], requires_grad=True)
    assert rewards_to_go(costs, mask).tolist() == [[3.0, 2.0, 0.0]]
    assert rewards_to_go(costs.expand(4, 1, 3), mask).tolist() == [[[3.0, 2.0, 0.0]]] * 4  # several samples
    loss = reinforce(costs, torch.tensor([[0.5, 0.5, 99.0]]), mask, baseline=torch.tensor(1.0))
    torch.testing.assert_close(loss, torch.tensor(1 + 2 + 0.0 * 0.5 + 1.0 * 0.5))


def test_entropy_of_even_odds_is_the_logarithm_of_their_number():
    log_weights = torch.full((1, 2, 1, 4), math.log(1 / 4))
    torch.testing.assert_close(choice_entropy(log_weights), torch.tensor([[2 * math.log(4)]]))


class Marginal:
    """A toy output layer over contexts of size 4, and its target tokens."""

    def __init__(self, num_keys=S):
        torch.manual_seed(0)
        self.log_weights = torch.randn(2, 1, T, num_keys, dtype=torch.float64).log_softmax(-1).requires_grad_()
        self.values = torch.randn(2, 1, num_keys, 4, dtype=torch.float64, requires_grad=True)
        self.output = torch.randn(4, 6, dtype=torch.float64)
        self.target = torch.tensor([[1, 5], [0, 2]])

    def log_prob(self, contexts):
        every = (contexts @ self.output).log_softmax(-1)
        return every.gather(-1, self.target[:, :, None, None].expand(*contexts.shape[:3], 1)).squeeze(-1)

    def nll(self, **options):
        return marginal_nll(self.log_weights, self.values, self.log_prob, **options)


def test_the_marginal_sums_over_every_path():
    toy = Marginal()
    for b in range(2):
        total = 0.0
        for path in product(range(S), repeat=T):
            for_path = 0.0
            for t, j in enumerate(path):
                token = (toy.values[b, 0, j] @ toy.output).log_softmax(-1)[toy.target[b, t]]
                for_path = for_path + toy.log_weights[b, 0, t, j] + token
            total = total + for_path.exp()
        torch.testing.assert_close(toy.nll()[b].sum(), -total.log())


def test_the_marginal_bounds():
    """Jensen: -log E p <= -E log p, the cost that REINFORCE minimises; with one key it is the soft cost."""
    toy = Marginal()
    contexts = toy.values.squeeze(1)[:, None].expand(2, T, S, 4)
    expected_cost = -(toy.log_weights.squeeze(1).exp() * toy.log_prob(contexts)).sum(-1)
    assert (toy.nll() < expected_cost).all()
    single = Marginal(num_keys=1)
    soft = -single.log_prob(single.values.squeeze(1)[:, None].expand(2, T, 1, 4)).squeeze(-1)
    torch.testing.assert_close(single.nll(), soft)


@pytest.mark.slow
def test_the_marginal_over_the_best_keys_and_in_chunks():
    toy = Marginal()
    full = toy.nll()
    gradients = torch.autograd.grad(full.sum(), (toy.log_weights, toy.values))
    for options in ({"top_k": S}, {"top_k": 99}, {"chunk": 1}, {"chunk": 2}):
        torch.testing.assert_close(toy.nll(**options), full)
        torch.testing.assert_close(
            torch.autograd.grad(toy.nll(**options).sum(), (toy.log_weights, toy.values)), gradients
        )
    best = toy.log_weights.argmax(-1).squeeze(1)  # (2, T)
    contexts = toy.values[torch.arange(2)[:, None, None], 0, best[..., None]]
    expected = -(toy.log_weights.amax(-1).squeeze(1) + toy.log_prob(contexts).squeeze(-1))
    torch.testing.assert_close(toy.nll(top_k=1), expected)
