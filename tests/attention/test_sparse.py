"""Softmax and its sparse relatives against the entmax package, scipy, and each other."""

import math

import entmax
import pytest
import scipy.optimize
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st

from attentio.attention.normalize import Softmax
from attentio.attention.sparse import Entmax, Entmax15, Sparsemax

KINDS = {"softmax": Softmax(), "sparsemax": Sparsemax(), "entmax15": Entmax15(), "entmax": Entmax(1.7)}
ORACLES = {
    "softmax": lambda x: x.softmax(-1),
    "sparsemax": lambda x: entmax.sparsemax(x, dim=-1),
    "entmax15": lambda x: entmax.entmax15(x, dim=-1),
    "entmax": lambda x: entmax.entmax_bisect(x, alpha=1.7, dim=-1, n_iter=80),
}


def rows(scale=2.0):
    torch.manual_seed(0)
    return scale * torch.randn(3, 5, 11, dtype=torch.float64)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_agrees_with_the_entmax_package(name, scale):
    x, y = rows(scale).requires_grad_(), rows(scale).requires_grad_()
    weights, expected = KINDS[name].normalize_rows(x, None), ORACLES[name](y)
    torch.testing.assert_close(weights, expected, atol=1e-9, rtol=1e-6)
    upstream = torch.randn_like(weights)
    (weights * upstream).sum().backward()
    (expected * upstream).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax", [0.0486, 0.3592, 0.5922]),
        ("sparsemax", [0.0, 0.25, 0.75]),
        ("entmax15", [0.0, 0.3260, 0.6740]),
    ],
)
def test_published_values(name, expected):
    weights = KINDS[name].normalize_rows(torch.tensor([-2.0, 0.0, 0.5]), None)
    torch.testing.assert_close(weights, torch.tensor(expected), atol=5e-5, rtol=0)


def test_a_score_exactly_at_tau_gets_exactly_nothing():
    """alpha = 3: two equal keys get sqrt(0 + 1/4) each, and a third whose score is that 1/4 / (alpha - 1) lower, 0."""
    weights = Entmax(3.0).normalize_rows(torch.tensor([0.0, -0.125, 0.0], dtype=torch.float64), None)
    assert weights.tolist() == [0.5, 0.0, 0.5]


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    x = rows()[0, 0]
    simplex = {"type": "eq", "fun": lambda p: p.sum() - 1}
    nearest = scipy.optimize.minimize(
        lambda p: ((p - x.numpy()) ** 2).sum(), [1 / 11] * 11, bounds=[(0, 1)] * 11, constraints=simplex, tol=1e-12
    )
    torch.testing.assert_close(Sparsemax().normalize_rows(x, None), torch.tensor(nearest.x), atol=1e-5, rtol=0)


def test_softmax_agrees_with_scipy():
    x = rows(50.0)
    torch.testing.assert_close(Softmax().normalize_rows(x, None), torch.tensor(scipy.special.softmax(x.numpy(), -1)))
    mask = torch.rand(11, generator=torch.Generator().manual_seed(1)) < 0.6
    expected = torch.tensor(scipy.special.softmax(x[..., mask].numpy(), -1))
    torch.testing.assert_close(Softmax().normalize_rows(x, mask)[..., mask], expected)


@pytest.mark.parametrize("t", [-3.0, -1.0, -0.4, 0.0, 0.7, 1.0, 5.0])
def test_two_scores_by_the_closed_form(t):
    """Martins 2016, figure 1: sparsemax of (t, 0) is (t + 1) / 2, cut at 0 and 1; softmax is the logistic curve."""
    x = torch.tensor([t, 0.0], dtype=torch.float64)
    share = min(1.0, max(0.0, (t + 1) / 2))
    torch.testing.assert_close(Sparsemax().normalize_rows(x, None), torch.tensor([share, 1 - share]).double())
    share = 1 / (1 + math.exp(-t))
    torch.testing.assert_close(Softmax().normalize_rows(x, None), torch.tensor([share, 1 - share]).double())


@pytest.mark.parametrize("alpha", [1.25, 1.5, 1.7, 2.0, 2.5, 3.0])
def test_entmax_solves_its_problem(alpha):
    """The conditions of Karush, Kuhn and Tucker: one tau for all keys that get something, and no other above it."""
    for row in rows(1.0).view(-1, 11):
        weights = Entmax(alpha).normalize_rows(row, None)
        inside, level = weights > 0, (alpha - 1) * row - weights ** (alpha - 1)
        tau = level[inside].mean()
        torch.testing.assert_close(level[inside], tau.expand_as(level[inside]), atol=1e-7, rtol=0)
        assert ((alpha - 1) * row[~inside] <= tau + 1e-7).all()


def test_the_support_of_sparsemax_is_as_large_as_the_paper_says():
    """The most keys k of which 1 + k z_k exceeds the sum of the k highest (Martins 2016, proposition 1)."""
    sizes = set()
    for row in rows(1.0).view(-1, 11):
        ordered = row.sort(descending=True).values.tolist()
        size = max(k for k in range(1, 12) if 1 + k * ordered[k - 1] > sum(ordered[:k]))
        assert (Sparsemax().normalize_rows(row, None) > 0).sum() == size
        sizes.add(size)
    assert len(sizes) > 2


def test_entmax_meets_its_relatives():
    x = rows()
    torch.testing.assert_close(Entmax(2.0).normalize_rows(x, None), KINDS["sparsemax"].normalize_rows(x, None))
    torch.testing.assert_close(Entmax(1.5).normalize_rows(x, None), KINDS["entmax15"].normalize_rows(x, None))
    torch.testing.assert_close(
        Entmax(2 + 1e-9).normalize_rows(x, None), KINDS["sparsemax"].normalize_rows(x, None), atol=1e-7, rtol=0
    )
    torch.testing.assert_close(
        Entmax(1.5 + 1e-9).normalize_rows(x, None), KINDS["entmax15"].normalize_rows(x, None), atol=1e-7, rtol=0
    )
    torch.testing.assert_close(Entmax(1 + 1e-5).normalize_rows(x, None), x.softmax(-1), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="must be above 1"):
        Entmax(1.0)


@pytest.mark.parametrize("name", KINDS)
def test_masking_is_leaving_out(name):
    x = rows()
    mask = torch.rand(3, 5, 11, generator=torch.Generator().manual_seed(1)) < 0.6
    weights = KINDS[name].normalize_rows(x, mask)
    for row, allowed, given_row in zip(x.view(-1, 11), mask.view(-1, 11), weights.view(-1, 11), strict=True):
        assert (given_row[~allowed] == 0).all()
        torch.testing.assert_close(given_row[allowed], KINDS[name].normalize_rows(row[allowed], None))


@pytest.mark.parametrize("name", KINDS)
def test_masked_scores_may_be_anything(name):
    x = rows()
    mask = torch.ones(11, dtype=torch.bool)
    mask[3] = False
    expected = KINDS[name].normalize_rows(x, mask)
    for anything in (1e30, -1e30, torch.inf, torch.nan):
        x[..., 3] = anything
        torch.testing.assert_close(KINDS[name].normalize_rows(x, mask), expected)


@pytest.mark.parametrize("name", KINDS)
@given(
    scores=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=9),
    shift=st.floats(-100, 100, width=32),
)
@pytest.mark.slow
def test_laws_of_a_row(name, scores, shift):
    """At least 0, sum 1, a higher score never gets less, and only differences count."""
    x = torch.tensor(scores, dtype=torch.float64)
    weights = KINDS[name].normalize_rows(x, None)
    assert (weights >= 0).all()
    assert abs(weights.sum() - 1) < 1e-9
    ordered = weights[x.argsort()]
    assert (ordered.diff() >= -1e-9).all()
    torch.testing.assert_close(KINDS[name].normalize_rows(x + shift, None), weights, atol=1e-6, rtol=0)


def test_float32_keeps_its_sum_over_many_keys():
    for kind in (*KINDS.values(), Entmax(1.0001)):  # near 1 the power magnifies what bisection leaves over
        weights = kind.normalize_rows(30 * torch.randn(4, 3000), None)
        torch.testing.assert_close(weights.sum(-1), torch.ones(4))


def test_gradients_twice():
    x = rows()[0, :2, :5].clone().requires_grad_()
    for kind in KINDS.values():
        assert torch.autograd.gradcheck(lambda x, kind=kind: kind.normalize_rows(x, None), x)
