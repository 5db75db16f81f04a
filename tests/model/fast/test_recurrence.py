"""Recurrent layers against torch's own, values and gradients."""

import pytest
import torch
from torch import Tensor, nn

from attentio.model.fast.recurrence import CELLS, GRU, LSTM, CellState, Reader, mirror_indices

T, B, E, H = 5, 2, 3, 7
DOUBLE = torch.float64


def gradients(loss: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, wanted, allow_unused=False))


@pytest.mark.parametrize("size", [(T, B), (1, B), (T, 1)])
def test_lstm_is_torchs_lstm(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    steps, batch = size
    ours = LSTM(E, H).double()
    inputs = torch.randn(steps, batch, E, dtype=DOUBLE, requires_grad=True)
    first = [torch.randn(batch, H, dtype=DOUBLE, requires_grad=True) for _ in range(2)]
    found, state = ours(inputs, CellState(*first))
    wanted, (hidden, cell) = ours.layer(inputs, (first[0][None], first[1][None]))
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(state.hidden, hidden[0])
    torch.testing.assert_close(state.cell, cell[0])
    # Every output pulls with its own weight, and so do both last states.
    pull, pull_hidden, pull_cell = torch.randn_like(wanted), torch.randn_like(hidden[0]), torch.randn_like(cell[0])
    leaves = [inputs, *first, *ours.layer.parameters()]
    assert state.cell is not None
    ours_grads = gradients((found * pull).sum() + (state.hidden * pull_hidden + state.cell * pull_cell).sum(), leaves)
    torch_grads = gradients((wanted * pull).sum() + (hidden[0] * pull_hidden + cell[0] * pull_cell).sum(), leaves)
    for name, mine, theirs in zip(
        ("x", "h", "c", "w_ih", "w_hh", "b_ih", "b_hh"), ours_grads, torch_grads, strict=True
    ):
        torch.testing.assert_close(mine, theirs, msg=lambda text, name=name: f"gradient of {name}: {text}")


@pytest.mark.parametrize("size", [(T, B), (1, B), (T, 1)])
def test_gru_is_torchs_gru(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    steps, batch = size
    ours = GRU(E, H).double()
    inputs = torch.randn(steps, batch, E, dtype=DOUBLE, requires_grad=True)
    first = torch.randn(batch, H, dtype=DOUBLE, requires_grad=True)
    found, state = ours(inputs, CellState(first))
    wanted, hidden = ours.layer(inputs, first[None])
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(state.hidden, hidden[0])
    assert state.cell is None
    pull = torch.randn_like(wanted)
    leaves = [inputs, first, *ours.layer.parameters()]
    for mine, theirs in zip(
        gradients((found * pull).sum(), leaves), gradients((wanted * pull).sum(), leaves), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(("cell", "reference"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_bidirectional_is_torchs_over_packed_sequences(cell: str, reference: type[nn.LSTM] | type[nn.GRU]) -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([3, 5, 1])
    ours = Reader(cell, E, 2 * H, both_ways=True).double()
    theirs = reference(E, H, bidirectional=True).double()
    for direction, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
        for name, parameter in direction.layer.named_parameters():
            theirs.get_parameter(name + suffix).data.copy_(parameter.data)
    inputs = torch.randn(5, 3, E, dtype=DOUBLE)
    found = ours(inputs, mirror_indices(lengths, 5))
    packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths, enforce_sorted=False)
    wanted, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0])
    real = torch.arange(5)[:, None] < lengths
    torch.testing.assert_close(found[real], wanted[real])


@pytest.mark.parametrize("cell", CELLS)
def test_forwards_is_torchs_from_zeros(cell: str) -> None:
    torch.manual_seed(0)
    layer = Reader(cell, E, H, both_ways=False).double()
    inputs = torch.randn(5, 3, E, dtype=DOUBLE)
    mirror = mirror_indices(torch.tensor([3, 5, 1]), 5)
    torch.testing.assert_close(layer(inputs, mirror), layer.forwards.layer(inputs)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_in_the_padding_reaches_a_real_position(cell: str) -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([3, 5])
    layer = Reader(cell, E, 2 * H, both_ways=True)
    inputs = torch.randn(5, 2, E)
    other = inputs.clone()
    other[3:, 0] = 1e4
    mirror = mirror_indices(lengths, 5)
    real = torch.arange(5)[:, None] < lengths
    torch.testing.assert_close(layer(inputs, mirror)[real], layer(other, mirror)[real], rtol=0, atol=0)


def test_mirror_by_hand() -> None:
    # Columns of lengths 2 and 3 in 3 rows; flat index = row * 2 + column.
    assert mirror_indices(torch.tensor([2, 3]), 3).tolist() == [2, 5, 0, 3, 4, 1]


def test_a_mirrored_mirror_is_the_identity() -> None:
    mirror = mirror_indices(torch.tensor([4, 1, 7, 3]), 7)
    assert mirror[mirror].tolist() == list(range(28))


def test_states_select_rows_in_order() -> None:
    state = CellState(torch.randn(3, H), torch.randn(3, H))
    chosen = state.select(torch.tensor([2, 0, 2, 1]))
    assert chosen.cell is not None
    assert state.cell is not None
    assert torch.equal(chosen.hidden, state.hidden[[2, 0, 2, 1]])
    assert torch.equal(chosen.cell, state.cell[[2, 0, 2, 1]])


def test_an_odd_width_cannot_be_split_over_two_directions() -> None:
    with pytest.raises(ValueError, match="7 is odd"):
        Reader("lstm", E, 7, both_ways=True)
