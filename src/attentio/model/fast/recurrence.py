"""Recurrent layers over time: an LSTM or GRU layer, and how an encoder's layer reads with them, one way or both.

The parameters are those of `torch.nn.LSTM` / `torch.nn.GRU`, and torch's layer is the definition. On a CPU the LSTM
runs through `_LSTMOverTime`, unless torch's is faster on this machine (`runtime/choices.py`). That is the same sums
with a backward pass written by hand. All input projections are one product
before the loop, all weight gradients one product after it. Tensors are time-major, (T, B, width).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from attentio.model.fast.linear import input_gradient, linear, product_and, weight_gradient
from attentio.runtime import choices


class CellState(NamedTuple):
    """What a recurrent layer carries from step to step: `hidden` (B, H) and, for the LSTM, `cell` (B, H)."""

    hidden: Tensor
    cell: Tensor | None = None

    def select(self, indices: Tensor) -> "CellState":
        """Return the rows `indices`, in that order."""
        cell = None if self.cell is None else self.cell.index_select(0, indices)
        return CellState(self.hidden.index_select(0, indices), cell)


class RecurrentLayer(nn.Module, ABC):
    """One layer over time. Its state is made of `num_states` tensors (B, H)."""

    num_states: int

    def __init__(self, layer: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.hidden_size = layer.hidden_size
        self.layer = layer

    @abstractmethod
    def forward(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """Return outputs (T, B, H) and the last state, for inputs (T, B, I) and state (B, H)."""


class LSTM(RecurrentLayer):
    """One LSTM layer (Hochreiter & Schmidhuber 1997, with forget gate): c' = f c + i g, h' = o tanh c'."""

    num_states = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(nn.LSTM(input_size, hidden_size))

    def forward(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        w_ih, w_hh, b_ih, b_hh = self.layer.all_weights[0]
        assert state.cell is not None
        if inputs.device.type != "cpu" or _is_torchs():
            outputs, (hidden, cell) = self.layer(inputs, (state.hidden[None], state.cell[None]))
            return outputs, CellState(hidden[0], cell[0])
        projected = linear(inputs, w_ih, b_ih + b_hh)  # (T, B, 4H)
        dtype = projected.dtype
        given = projected, state.hidden.to(dtype), state.cell.to(dtype), w_hh.to(dtype)
        outputs, cells = cast(tuple[Tensor, Tensor], _LSTMOverTime.apply(*given))
        return outputs, CellState(outputs[-1], cells[-1])


def _is_torchs() -> bool:
    """Return whether torch's layer was chosen for what is computed now: learning in float32."""
    learns = torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    return learns and choices.CHOSEN[choices.LSTM] == "torch"


class GRU(RecurrentLayer):
    """One GRU layer (Cho 2014), in torch's form: the reset gate acts after the recurrent product."""

    num_states = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(nn.GRU(input_size, hidden_size))

    def forward(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        if inputs.device.type != "cpu":
            outputs, hidden = self.layer(inputs, state.hidden[None])
            return outputs, CellState(hidden[0])
        w_ih, w_hh, b_ih, b_hh = self.layer.all_weights[0]
        projected = linear(inputs, w_ih, b_ih)  # (T, B, 3H)
        hidden = state.hidden.to(projected.dtype)
        sizes = [2 * self.hidden_size, self.hidden_size]
        steps: list[Tensor] = []
        for step in projected.unbind(0):
            gates_in, new_in = step.split(sizes, dim=-1)
            gates_hidden, new_hidden = linear(hidden, w_hh, b_hh).split(sizes, dim=-1)
            reset, update = torch.sigmoid(gates_in + gates_hidden).chunk(2, dim=-1)
            hidden = torch.lerp(torch.tanh(new_in + reset * new_hidden), hidden, update)
            steps.append(hidden)
        return torch.stack(steps), CellState(hidden)


CELLS: dict[str, Callable[[int, int], RecurrentLayer]] = {"lstm": LSTM, "gru": GRU}


class Reader(nn.Module):
    """A layer that reads each sentence forwards or, half of its width each, also backwards from its own last token."""

    def __init__(self, cell: str, input_size: int, hidden_size: int, *, both_ways: bool) -> None:
        super().__init__()
        if both_ways and hidden_size % 2:
            raise ValueError(f"a bidirectional layer splits its width over two directions: {hidden_size} is odd")
        size = hidden_size // 2 if both_ways else hidden_size
        self.forwards = CELLS[cell](input_size, size)
        self.backwards = CELLS[cell](input_size, size) if both_ways else None

    def forward(self, inputs: Tensor, mirror: Tensor) -> Tensor:
        """Return outputs (T, B, H) for inputs (T, B, I) and `mirror_indices`. Padding reaches no real position."""
        zeros = inputs.new_zeros(inputs.shape[1], self.forwards.hidden_size)
        state = CellState(*[zeros] * self.forwards.num_states)
        if self.backwards is None:
            return self.forwards(inputs, state)[0]
        back = self.backwards(_take(inputs, mirror), state)[0]
        return torch.cat([self.forwards(inputs, state)[0], _take(back, mirror)], dim=-1)


def mirror_indices(lengths: Tensor, size: int) -> Tensor:
    """Return flat indices into (size * B) that reverse each column up to its length (B,), not its padding."""
    time = torch.arange(size, device=lengths.device)[:, None]  # (T, 1)
    source = torch.where(time < lengths, lengths - 1 - time, time)  # (T, B)
    return (source * lengths.shape[0] + torch.arange(lengths.shape[0], device=lengths.device)).flatten()


def _take(x: Tensor, flat_indices: Tensor) -> Tensor:
    return x.flatten(0, 1).index_select(0, flat_indices).view_as(x)


class _LSTMOverTime(torch.autograd.Function):
    """Compute h, c = LSTM(projected, h_0, c_0) with gates in torch's order i, f, g, o.

    projected (T, B, 4H) = W_ih x + b. Returns all hidden and all cell states, (T, B, H) each.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        steps, batch, width = projected.shape
        size = width // 4
        gates: list[Tensor] = []
        hiddens = projected.new_empty(steps + 1, batch, size)
        cells = projected.new_empty(steps + 1, batch, size)
        squashed = projected.new_empty(steps, batch, size)  # tanh(c)
        hiddens[0], cells[0] = hidden, cell
        transposed = weight.t()
        for t in range(steps):
            gates.append(product_and(projected[t], hiddens[t], transposed))
            lstm_step(gates[t], cells[t], cells[t + 1], squashed[t], hiddens[t + 1])
        ctx.save_for_backward(hiddens, cells, squashed, weight, *gates)
        return hiddens[1:], cells[1:]

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        d_hiddens, d_cells = grad_outputs
        hiddens, cells, squashed, weight, *gates = cast(tuple[Tensor, ...], ctx.saved_tensors)
        d_gates = hiddens.new_empty(len(gates), *gates[0].shape)  # before the squashing functions
        d_hidden = torch.zeros_like(hiddens[0])
        d_cell = torch.zeros_like(cells[0])
        for t in reversed(range(len(gates))):
            d_hidden = d_hidden + d_hiddens[t]
            d_cell = lstm_step_backward(d_hidden, d_cell + d_cells[t], gates[t], cells[t], squashed[t], d_gates[t])
            d_hidden = input_gradient(d_gates[t], weight)
        d_weight = weight_gradient(d_gates.flatten(0, 1), hiddens[:-1].flatten(0, 1))
        return d_gates, d_hidden, d_cell, d_weight


def lstm_step(gates: Tensor, cell: Tensor, next_cell: Tensor, squashed: Tensor, hidden: Tensor) -> None:
    """Take one step from its sums, gates (B, 4H): squash them, and fill in next_cell, its tanh and hidden, (B, H)."""
    size = cell.shape[-1]
    i, f, g, o = gates.split(size, dim=-1)
    gates[:, : 2 * size].sigmoid_()
    g.tanh_()
    o.sigmoid_()
    torch.mul(f, cell, out=next_cell).addcmul_(i, g)
    torch.tanh(next_cell, out=squashed)
    torch.mul(o, squashed, out=hidden)


def lstm_step_backward(
    d_hidden: Tensor, d_cell: Tensor, gates: Tensor, cell: Tensor, squashed: Tensor, d_gates: Tensor
) -> Tensor:
    """Return the gradient of the cell before a step, (B, H), from those of hidden and cell after it.

    gates, cell and squashed are what `lstm_step` was given and left. d_gates (B, 4H), that of the sums, is filled in.
    """
    size = cell.shape[-1]
    i, f, g, o = gates.split(size, dim=-1)
    d_i, d_f, d_g, d_o = d_gates.split(size, dim=-1)
    d_cell = d_cell + _tanh_backward(d_hidden * o, squashed)
    torch.mul(d_cell, g, out=d_i)
    torch.mul(d_cell, cell, out=d_f)
    torch.mul(d_hidden, squashed, out=d_o)
    both, open_both = d_gates[:, : 2 * size], gates[:, : 2 * size]
    _sigmoid_backward.grad_input(both, open_both, grad_input=both)
    _sigmoid_backward.grad_input(d_o, o, grad_input=d_o)
    _tanh_backward.grad_input(d_cell * i, g, grad_input=d_g)
    return d_cell * f


_sigmoid_backward = torch.ops.aten.sigmoid_backward
_tanh_backward = torch.ops.aten.tanh_backward
