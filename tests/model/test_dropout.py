"""Dropout from shared random words: its rate, its scale, and where its randomness comes from."""

import pytest
import torch

from attentio.model.layers import Dropout

N = 200_003  # no multiple of eight


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_rate_and_scale(p: float) -> None:
    torch.manual_seed(1)
    dropped = Dropout(p)(torch.ones(N))
    rate = round(256 * p) / 256
    zeros = (dropped == 0).double().mean().item()
    assert zeros == pytest.approx(rate, abs=5 * (rate * (1 - rate) / N) ** 0.5)
    assert sorted(dropped.unique().tolist()) == [0.0, pytest.approx(1 / (1 - rate))]


def test_every_byte_of_a_word_has_the_rate() -> None:
    torch.manual_seed(1)
    lanes = (Dropout(0.25)(torch.ones(50_000, 8)) == 0).double().mean(0)
    assert lanes.tolist() == pytest.approx([0.25] * 8, abs=5 * (0.25 * 0.75 / 50_000) ** 0.5)


def test_elements_are_independent_of_their_neighbours() -> None:
    torch.manual_seed(1)
    dropped = (Dropout(0.5)(torch.ones(N)) == 0).double() - 0.5
    for distance in (1, 7, 8, 64):
        assert abs((dropped[distance:] * dropped[:-distance]).mean().item()) < 5 * 0.25 / N**0.5


def test_the_saved_state_of_torchs_generator_covers_it() -> None:
    layer, x = Dropout(0.3), torch.randn(3, 5, 7)
    state = torch.get_rng_state()
    first, second = layer(x), layer(x)
    torch.set_rng_state(state)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_type_stay(dtype: torch.dtype) -> None:
    x = torch.randn(3, 5, 7).to(dtype)
    dropped = Dropout(0.3)(x)
    assert (dropped.shape, dropped.dtype) == (x.shape, dtype)


def test_gradients_pass_where_values_did() -> None:
    x = torch.randn(N, requires_grad=True)
    dropped = Dropout(0.3)(x)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, dropped == 0)


def test_nothing_happens_in_evaluation_or_at_rate_zero() -> None:
    x = torch.randn(5)
    state = torch.get_rng_state()
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), state), "random numbers were drawn for nothing"
