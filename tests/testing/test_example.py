"""The example shows what each kind can and cannot learn."""

import pytest
import torch

from attentio.attention import AXES, KindError
from attentio.testing.example import ORDER, example_attention, learn

# Of the seven words, how many a kind must find. "yesterday", last in the source, is the second word of the target. A
# window that ends before it cannot reach it, and a monotonic kind that goes there cannot come back.
CAN_FIND = {name: 7 for kinds in AXES.values() for name in kinds} | {
    "linear_concat": 0,
    "causal": 6,
    "sliding": 6,
    "local-m": 6,
    "local-p": 5,
    "local-p:renormalize=true": 5,
    "monotonic": 4,
    "mocha": 4,
}


def check(name):
    weights = learn(example_attention(name))
    assert weights.shape == (7, 7)
    found = sum(weights.argmax(-1)[i] == j and weights[i, j] > 0.5 for i, j in enumerate(ORDER))
    assert found >= CAN_FIND[name]
    return weights


@pytest.mark.slow
@pytest.mark.parametrize("name", CAN_FIND)
def test_every_kind_learns_the_example_or_shows_why_it_cannot(name):
    weights = check(name)
    if name in ("causal", "sliding", "local-m"):
        assert weights[1, 6] == 0
    if name == "monotonic":
        reached = torch.where(weights.sum(-1) > 0, weights.argmax(-1), 7)
        assert (reached.diff() >= 0).all()


@pytest.mark.slow
def test_linear_concat_gives_every_query_the_same_weights():
    weights = check("linear_concat")
    torch.testing.assert_close(weights, weights[:1].expand(7, 7))


def test_a_window_of_the_example_is_narrow_unless_its_radius_is_given():
    assert example_attention("sliding").window.radius == 2
    assert example_attention("sliding:4").window.radius == 4
    assert example_attention("local-p:renormalize=true").window.renormalize


def test_an_unknown_kind_is_refused():
    with pytest.raises(KindError, match="Did you mean 'cosine'"):
        example_attention("cosin")
