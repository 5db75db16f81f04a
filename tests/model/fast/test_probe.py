"""What the probe measures, and that every alternative computes the same."""

import time

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.model.fast import probe
from attentio.model.fast.linear import input_gradient, linear, product_and, weight_gradient
from attentio.model.fast.loss import smoothed_cross_entropy
from attentio.model.fast.recurrence import LSTM, CellState
from attentio.runtime import choices
from attentio.runtime.choices import ALTERNATIVES, CHOSEN, STANDARD


def test_measuring_is_short_and_changes_nothing() -> None:
    state, started = torch.get_rng_state(), time.perf_counter()
    seconds, _ = probe.measure()
    assert time.perf_counter() - started < 20  # 0.3 s on a quiet machine
    assert torch.equal(torch.get_rng_state(), state)
    assert CHOSEN == STANDARD
    assert seconds.keys() <= ALTERNATIVES.keys()
    for kind, took in seconds.items():
        assert took.keys() <= set(ALTERNATIVES[kind])
        assert all(value > 0 for value in took.values())


def test_everything_is_measured_where_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 60.0)
    monkeypatch.setattr(probe, "ROUNDS", 1)
    monkeypatch.setattr(probe, "turns_between", lambda *_: choices_of_a_quiet_machine)
    seconds, _ = probe.measure()
    assert {"forward, few rows", "forward, many rows", "loss, fp32", "lstm, fp32"} < seconds.keys()
    assert all(seconds[kind].keys() == set(ALTERNATIVES[kind]) for kind in seconds)


choices_of_a_quiet_machine = probe.turns_between({}, {})


def results() -> list[Tensor]:
    """Values and gradients of all that alternatives compute, for few rows and for many."""
    torch.manual_seed(0)
    found: list[Tensor] = []
    for rows in (5, choices.FEW_ROWS + 1):
        given = [torch.randn(rows, 7), torch.randn(11, 7), torch.randn(11)]
        for tensor in given:
            tensor.requires_grad_()
        outputs = linear(*given)
        found += [outputs, *torch.autograd.grad(outputs.square().sum(), given)]
        with torch.no_grad():
            inputs, weight, gradient = given[0], given[1], torch.randn(rows, 11)
            found += [input_gradient(gradient, weight), weight_gradient(gradient, inputs)]
            found.append(product_and(gradient, inputs, weight.t()))
    logits = torch.randn(13, 17, requires_grad=True)
    targets = torch.arange(13) % 5  # 0 is padding
    costs = smoothed_cross_entropy(logits, targets, 10, 0.1)
    wanted = F.cross_entropy(logits, targets, label_smoothing=0.1, ignore_index=0, reduction="none")
    torch.testing.assert_close(costs, wanted)
    found += [costs, *torch.autograd.grad(costs.sum() / 10, logits)]
    layer, steps = LSTM(7, 11), torch.randn(3, 5, 7, requires_grad=True)
    states, last = layer(steps, CellState(torch.randn(5, 11), torch.randn(5, 11)))
    assert last.cell is not None
    gradients = torch.autograd.grad(states.square().sum() + last.cell.sum(), [steps, *layer.parameters()])
    return [*found, states, last.hidden, last.cell, *gradients]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in STANDARD if not kind.startswith(("attention", "packed"))])
def test_every_alternative_computes_the_same(kind: str) -> None:
    plain = results()
    for name in ALTERNATIVES[kind]:
        with choices.using({kind: name}):
            torch.testing.assert_close(results(), plain)


def test_torch_does_all_of_a_map_where_it_is_chosen_for_all_of_it() -> None:
    given = torch.randn(5, 7), torch.randn(11, 7, requires_grad=True)
    with choices.using(choices.forced("torch") or {}):
        assert "AddmmBackward" in str(linear(*given, torch.zeros(11)).grad_fn)
    with choices.using(STANDARD):
        assert "AddmmBackward" not in str(linear(*given, torch.zeros(11)).grad_fn)
