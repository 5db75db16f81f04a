"""Input feeding written out: one LSTM layer and attention that wait for each other, over a whole target, in training.

The plain loop, `features_by_steps` over `LuongDecoder.embedded_step`, is the definition and serves every other model
and every search. Here are its sums for a cell, a score and a normalizer that are known, on a CPU. The backward pass is
written by hand. The tokens' part of the gates and the values' part of the features are products before the loop. The
gradients of all weights, keys and values are products after it. Tensors are time-major, (T, B, width).
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from attentio.attention import Attention, Memory
from attentio.attention.normalize import Softmax
from attentio.attention.score import Bilinear, Dot, ScaledDot
from attentio.attention.tensors import at_least_float32
from attentio.attention.window import Full
from attentio.model.fast.linear import Linear, input_gradient, linear, product_and, weight_gradient
from attentio.model.fast.recurrence import LSTM, CellState, RecurrentLayer, lstm_step, lstm_step_backward
from attentio.model.layers import Dropout, dropout_mask


def can_be_written_out(cell: RecurrentLayer, attention: Attention, tokens: Tensor) -> bool:
    """Return whether `feed_over_time` computes what this cell and this attention do, where no weights are needed.

    Outside training they always are. A backend asked for by name has to run, which it does in the plain loop.
    """
    return (
        attention.training
        and attention.backend == "auto"
        and tokens.device.type == "cpu"
        and isinstance(cell, LSTM)
        and isinstance(attention.score, Dot | ScaledDot | Bilinear)
        and isinstance(attention.normalize, Softmax)
        and isinstance(attention.window, Full)
    )


def feed_over_time(
    embedded: Tensor,
    state: CellState,
    memory: Memory,
    *,
    cell: LSTM,
    attention: Attention,
    combine: Linear,
    dropout: Dropout,
) -> Tensor:
    """Return attentional features (B, T, F) for embedded (T, B, E), the state before the first token and the memory.

    `s_t = cell([y_{t-1}; h_{t-1}], s_{t-1})`, `c_t = attend(s_t)`, `h_t = tanh(W_c [c_t; s_t])` (Luong 2015, 3.3).
    """
    assert state.cell is not None
    steps, batch, width = embedded.shape
    heads, num_keys, value_size = memory.values.shape[1:]
    w_ih, w_hh, b_ih, b_hh = cell.layer.all_weights[0]
    of_token, of_feed = w_ih.split([width, w_ih.shape[1] - width], dim=1)
    of_value, of_hidden = combine.weight.split([heads * value_size, cell.hidden_size], dim=1)

    projected = linear(embedded, of_token, b_ih + b_hh)  # (T, B, 4H)
    dtype = projected.dtype
    added = torch.einsum("bnsv,fnv->bnsf", memory.values, of_value.view(-1, heads, value_size))
    scale = attention.score.scale if isinstance(attention.score, ScaledDot) else 1.0
    keys = at_least_float32(memory.keys * scale if scale != 1.0 else memory.keys)  # (B, N, S, D)
    bias = keys.new_zeros(batch, 1, num_keys)
    if memory.mask is not None:
        bias = bias.masked_fill(~memory.mask[:, None], torch.finfo(keys.dtype).min)
    drops = _draw(attention, dropout, projected, (steps, batch), (heads * num_keys, cell.hidden_size, len(of_value)))
    with torch.autocast(embedded.device.type, enabled=False):  # precisions are settled above
        features = _FedOverTime.apply(
            projected,
            state.hidden.to(dtype),
            state.cell.to(dtype),
            torch.cat([of_feed, w_hh], dim=1).to(dtype),
            keys,
            at_least_float32(added),
            of_hidden.to(dtype).contiguous(),
            bias.repeat_interleave(heads, dim=0),
            drops,
        )
    return cast(Tensor, features)


class _Drops(NamedTuple):
    """What dropout multiplies with, for all steps, or None where it is off."""

    weights: Tensor | None  # (T, B, N * S)
    hidden: Tensor | None  # (T, B, H)
    features: Tensor | None  # (T, B, F)


def _draw(
    attention: Attention, dropout: Dropout, like: Tensor, lead: tuple[int, int], sizes: tuple[int, int, int]
) -> _Drops:
    of_weights, of_hidden, of_features = (torch.Size((*lead, size)) for size in sizes)
    weights = hidden = features = None
    if attention.dropout:
        weights = F.dropout(at_least_float32(like.new_ones(of_weights)), attention.dropout)
    if dropout.training and dropout.threshold:
        hidden = dropout_mask(of_hidden, dropout.threshold, dropout.scale, like)
        features = dropout_mask(of_features, dropout.threshold, dropout.scale, like)
    return _Drops(weights, hidden, features)


class _FedOverTime(torch.autograd.Function):
    """All steps of `feed_over_time` behind its first products.

    projected: (T, B, 4H). hidden, cell: (B, H). weight: (4H, F + H), of the gates, for h and s together.
    keys: (B, N, S, D), scaled. added: (B, N, S, F), what each value adds to the sums of the features.
    combine: (F, H), for s. bias: (B N, 1, S).
    Attention is computed in at least float32, the rest in the precision of `projected`.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, *given: Any) -> Tensor:
        keys, added, combine, bias, drops = cast(tuple[Tensor, Tensor, Tensor, Tensor, _Drops], given)
        steps, batch, _ = projected.shape
        size, width = hidden.shape[1], combine.shape[0]
        key_size = keys.shape[-1]
        keys_of_rows, added_of_rows = keys.flatten(0, 1), added.flatten(1, 2)  # (B N, S, D), (B, N S, F)
        gates: list[Tensor] = []
        joined = projected.new_empty(steps + 1, batch, width + size)  # h_t and s_t
        cells = projected.new_empty(steps + 1, batch, size)
        squashed = projected.new_empty(steps, batch, size)  # tanh(c)
        shown = projected.new_empty(steps, batch, size)  # s_t after dropout: what asks, and is combined
        weights = keys.new_empty(steps, *bias.shape)
        features = projected.new_empty(steps, batch, width)  # before dropout
        joined[0, :, :width], joined[0, :, width:], cells[0] = 0, hidden, cell
        transposed, keys_across, combine_across = weight.t(), keys_of_rows.mT, combine.t()
        for t in range(steps):
            gates.append(product_and(projected[t], joined[t], transposed))
            feed, hidden = joined[t + 1].split([width, size], dim=-1)
            lstm_step(gates[t], cells[t], cells[t + 1], squashed[t], hidden)
            _drop(hidden, drops.hidden, t, out=shown[t])
            query = shown[t].to(keys.dtype).view(-1, 1, key_size)  # (B N, 1, D)
            torch.softmax(torch.baddbmm(bias, query, keys_across), dim=-1, out=weights[t])
            dropped = weights[t].view(batch, 1, -1)
            if drops.weights is not None:
                dropped = dropped * drops.weights[t, :, None]
            context = torch.bmm(dropped, added_of_rows)[:, 0].to(projected.dtype)  # (B, F)
            torch.tanh(product_and(context, shown[t], combine_across), out=features[t])
            _drop(features[t], drops.features, t, out=feed)
        ctx.save_for_backward(joined, cells, squashed, shown, weights, features, weight, keys, added, combine, *gates)
        ctx.drops = drops
        return joined[1:, :, :width].transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        d_features = grad_outputs[0].transpose(0, 1)
        saved = cast(tuple[Tensor, ...], ctx.saved_tensors)
        joined, cells, squashed, shown, weights, features, weight, keys, added, combine, *gates = saved
        drops = cast(_Drops, ctx.drops)
        steps, batch, width = features.shape
        size = cells.shape[-1]
        keys_of_rows, added_of_rows = keys.flatten(0, 1), added.flatten(1, 2)
        added_across = added_of_rows.mT
        d_gates = cells.new_empty(steps, batch, 4 * size)  # before the squashing functions, as all below
        d_sums = torch.empty_like(features)
        d_scores = torch.empty_like(weights)
        d_feed, d_hidden = torch.zeros_like(joined[0]).split([width, size], dim=-1)
        d_cell = torch.zeros_like(cells[0])
        for t in reversed(range(steps)):
            d_feature = d_feed + d_features[t]
            if drops.features is not None:
                d_feature *= drops.features[t]
            d_sum = torch.ops.aten.tanh_backward.grad_input(d_feature, features[t], grad_input=d_sums[t])
            d_weights = torch.bmm(d_sum.to(keys.dtype)[:, None], added_across)  # (B, 1, N S)
            if drops.weights is not None:
                d_weights *= drops.weights[t, :, None]
            d_score = torch.ops.aten._softmax_backward_data.out(
                d_weights.view_as(weights[t]), weights[t], -1, keys.dtype, grad_input=d_scores[t]
            )
            d_query = torch.bmm(d_score, keys_of_rows).view(batch, size).to(d_sum.dtype)
            d_shown = product_and(d_query, d_sum, combine)
            if drops.hidden is not None:
                d_shown *= drops.hidden[t]
            d_hidden = d_hidden + d_shown
            d_cell = lstm_step_backward(d_hidden, d_cell, gates[t], cells[t], squashed[t], d_gates[t])
            d_feed, d_hidden = input_gradient(d_gates[t], weight).split([width, size], dim=-1)

        d_weight = weight_gradient(d_gates.flatten(0, 1), joined[:-1].flatten(0, 1))
        d_combine = weight_gradient(d_sums.flatten(0, 1), shown.flatten(0, 1))
        queries = shown.to(keys.dtype).view(steps, -1, keys.shape[-1]).transpose(0, 1)  # (B N, T, D)
        d_keys = d_scores[:, :, 0].permute(1, 2, 0) @ queries  # (B N, S, D)
        dropped = weights.view(steps, batch, -1)
        if drops.weights is not None:
            dropped = dropped * drops.weights
        d_added = dropped.permute(1, 2, 0) @ d_sums.to(keys.dtype).transpose(0, 1)  # (B, N S, F)
        return (
            *(d_gates, d_hidden, d_cell, d_weight, d_keys.view_as(keys), d_added.view_as(added), d_combine),
            *(None, None),
        )


def _drop(values: Tensor, drop: Tensor | None, step: int, *, out: Tensor) -> None:
    if drop is None:
        out.copy_(values)
    else:
        torch.mul(values, drop[step], out=out)
