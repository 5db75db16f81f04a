"""A model as two ONNX graphs: the encoder with the decoder's first state, and one step of the decoder.

Inputs and outputs are named after the parts of a decoder's state, so that a runtime needs to know no family. Batch,
lengths of source and target are free. Recurrent layers become the operators of ONNX, which have a free length, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention import AttentionState, GrowingMemory, Memory
from attentio.model.cnn import GatedConvolution
from attentio.model.decoder import State
from attentio.model.fast.recurrence import CellState, Reader, RecurrentLayer
from attentio.model.graphs import SHARES
from attentio.model.layers import Positions, Sinusoidal
from attentio.model.seq2seq import Seq2Seq

OPSET = 20
_SOURCE = [[5, 4, 3, 5, 2], [4, 3, 2, 0, 0], [3, 4, 5, 2, 0]]  # a batch to trace with: any vocabulary has these
_LENGTHS = [5, 3, 4]
_TOKENS = [3, 4, 5]
_STEPS = 3
_HYPOTHESES = 2


class Graph(NamedTuple):
    """A module to trace, what it is given, the names of inputs and outputs, and facts for who runs it."""

    module: nn.Module
    given: tuple[Any, ...]
    axes: tuple[Any, ...]
    inputs: list[str]
    outputs: list[str]
    metadata: Mapping[str, str] = MappingProxyType({})


def graphs(model: Seq2Seq) -> tuple[Graph, Graph]:
    """Return the graphs of a folded model on the CPU: encoder and step. The model is changed in place."""
    model.requires_grad_(False)
    source, lengths = torch.tensor(_SOURCE), torch.tensor(_LENGTHS)
    with torch.enable_grad():  # memories then grow without room behind them
        encoded = model.encode(source, lengths)
        first = model.decoder.start(encoded)
        step = model.decoder.step(torch.tensor(_TOKENS), first)
        for _ in range(_STEPS - 1):
            step = model.decoder.step(torch.tensor(_TOKENS), step.state)
        state = step.state
        shares = all(memory.sharable for memory in state.memories)
        if shares:  # several hypotheses of a sentence look at one memory
            state = state.repeat(_HYPOTHESES)
    for module in list(model.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, RecurrentLayer):
                setattr(module, name, (Recurrence if isinstance(module, Reader) else Cell)(part))
            elif isinstance(part, nn.ModuleList) and part and isinstance(part[0], RecurrentLayer):
                setattr(module, name, nn.ModuleList(Cell(cast(RecurrentLayer, cell)) for cell in part))
            elif isinstance(part, Positions):
                setattr(module, name, Places(part))
    for module in list(model.decoder.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, GatedConvolution):
                setattr(module, name, OneWindow(part))
    memories, carried = dict(tensors("memory", of_source(first))), dict(tensors("state", state.layers))
    memories = {name: tensor for name, tensor in memories.items() if not name.endswith("mask")}
    grows = [name for name in carried if _grows(name)]
    every = torch.export.Dim.DYNAMIC
    encoder = Graph(
        Encoder(model),
        (source, lengths),
        ({0: every, 1: every}, {0: every}),
        ["source", "lengths"],
        ["mask", *memories, *(name for name in carried if name not in grows), *encoded.attended],
    )
    rows = torch.tensor(_TOKENS * (_HYPOTHESES if shares else 1))
    given = rows, torch.tensor(_STEPS), encoded.mask, list(memories.values()), list(carried.values())
    axes = (
        {0: every},
        {},
        {0: every, 1: every},
        [{0: every, 2: every}] * len(memories),
        [{0: every, 2: every} if name in grows or "history" in name else {0: every} for name in carried],
    )
    return encoder, Graph(
        Step(model, state),
        given,
        axes,
        ["tokens", "position", "mask", *memories, *carried],
        ["logits", *(f"new {name}" for name in carried), *step.attended],
        {SHARES: "yes"} if shares else {},
    )


def of_source(state: State[Any]) -> tuple[Memory, ...]:
    """Return all that a state knows of the source: its memories, and last what a lexicon knows."""
    return state.memories if state.lexicon is None else (*state.memories, state.lexicon)


def tensors(name: str, part: object) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in a part of a state, each with a name made of the fields that lead to it."""
    if isinstance(part, Tensor):
        yield name, part
    elif isinstance(part, tuple):
        fields: Sequence[str] = getattr(part, "_fields", [str(place) for place in range(len(part))])
        for field, inner in zip(fields, part, strict=True):
            if field != "position":
                yield from tensors(f"{name}.{field}", inner)


def filled(part: Any, given: Iterator[Tensor], position: Tensor) -> Any:
    """Return a part of a state with other tensors, in the order of `tensors`, at another position."""
    if isinstance(part, Tensor):
        return next(given)
    if isinstance(part, AttentionState):
        histories = [filled(history, given, position) for history in part[1:]]
        return AttentionState(cast(int, position), *histories)
    if isinstance(part, GrowingMemory):
        return GrowingMemory.of(filled(part.memory, given, position))
    if isinstance(part, tuple):
        inner = [filled(each, given, position) for each in part]
        return type(part)(*inner) if hasattr(part, "_fields") else tuple(inner)
    return part


def _grows(name: str) -> bool:
    """Return whether a part of a state grows with the target, and is empty at first."""
    return ".target." in name


class Encoder(nn.Module):
    """Encode sources and start the decoder."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        encoded = self.model.encode(source, lengths)
        state = self.model.decoder.start(encoded)
        memories = [tensor for name, tensor in tensors("memory", of_source(state)) if not name.endswith("mask")]
        carried = [tensor for name, tensor in tensors("state", state.layers) if not _grows(name)]
        weights = [cast(Tensor, attended.weights) for attended in encoded.attended.values()]
        return (encoded.mask, *memories, *carried, *weights)


class Step(nn.Module):
    """Make one step of the decoder. like: a state of its form."""

    def __init__(self, model: Seq2Seq, like: State[Any]) -> None:
        super().__init__()
        self.decoder = model.decoder
        self.like = like

    def forward(
        self, tokens: Tensor, position: Tensor, mask: Tensor, memory: list[Tensor], carried: list[Tensor]
    ) -> tuple[Tensor, ...]:
        pairs = zip(memory[::2], memory[1::2], of_source(self.like), strict=True)
        times = tokens.shape[0] // mask.shape[0]
        held = [
            Memory(keys, values, mask, like.sharable, times if like.sharable else 1) for keys, values, like in pairs
        ]
        lexicon = None if self.like.lexicon is None else held.pop()
        layers = filled(self.like.layers, iter(carried), position)
        step = self.decoder.step(tokens, State(cast(int, position), tuple(held), layers, lexicon))
        after = [tensor for _, tensor in tensors("state", step.state.layers)]
        weights = [cast(Tensor, attended.weights) for attended in step.attended.values()]
        return (step.logits, *after, *weights)


class Cell(RecurrentLayer):
    """One step of a recurrent layer in plain formulas. Its parameters are those of the layer."""

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__(cast(Any, layer.layer))
        self.num_states = layer.num_states

    def forward(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        w_ih, w_hh, b_ih, b_hh = self.layer.all_weights[0]
        given, hidden = F.linear(inputs[0], w_ih, b_ih), F.linear(state.hidden, w_hh, b_hh)
        if state.cell is not None:
            i, f, g, o = (given + hidden).chunk(4, dim=-1)
            cell = f.sigmoid() * state.cell + i.sigmoid() * g.tanh()
            after = CellState(o.sigmoid() * cell.tanh(), cell)
        else:
            (reset, update, new), (reset_h, update_h, new_h) = given.chunk(3, dim=-1), hidden.chunk(3, dim=-1)
            update = (update + update_h).sigmoid()
            new = (new + (reset + reset_h).sigmoid() * new_h).tanh()
            after = CellState(new + update * (state.hidden - new))
        return after.hidden[None], after


class Recurrence(RecurrentLayer):
    """A recurrent layer as the operator of ONNX.

    ONNX orders the gates of an LSTM i, o, f, g, where torch has i, f, g, o. Of a GRU z, r, n, where torch has r, z, n.
    """

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__(cast(Any, layer.layer))
        self.num_states = layer.num_states
        order = [0, 3, 1, 2] if self.num_states == 2 else [1, 0, 2]
        w_ih, w_hh, b_ih, b_hh = (_ordered(weight, order) for weight in layer.layer.all_weights[0])
        self.input_weight, self.state_weight = (nn.Parameter(w[None], requires_grad=False) for w in (w_ih, w_hh))
        self.both_bias = nn.Parameter(torch.cat([b_ih, b_hh])[None], requires_grad=False)

    def forward(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        states = [part[None] for part in state if part is not None]
        size, batch, _ = inputs.shape
        attrs: dict[str, Any] = {"hidden_size": self.hidden_size}
        outputs, *after = torch.onnx.ops.symbolic_multi_out(
            "LSTM" if self.num_states == 2 else "GRU",
            [inputs, self.input_weight, self.state_weight, self.both_bias, None, *states],
            attrs=attrs if self.num_states == 2 else {**attrs, "linear_before_reset": 1},
            dtypes=[torch.float32] * (1 + self.num_states),
            shapes=[(size, 1, batch, self.hidden_size), *[(1, batch, self.hidden_size)] * self.num_states],
            version=OPSET,
        )
        return outputs[:, 0], CellState(*(part[0] for part in after))


def _ordered(weight: Tensor, order: Sequence[int]) -> Tensor:
    gates = weight.detach().chunk(len(order))
    return torch.cat([gates[place] for place in order])


class OneWindow(nn.Module):
    """A gated convolution over as many positions as it sees: nothing is shifted."""

    def __init__(self, convolution: GatedConvolution) -> None:
        super().__init__()
        self.linear = convolution.linear
        self.kernel_size = convolution.kernel_size

    def forward(self, inputs: Tensor) -> Tensor:
        return F.glu(self.linear(inputs.flatten(1)[:, None]), dim=-1)


class Places(Positions):
    """Vectors of positions, whose first may be a tensor."""

    def __init__(self, positions: Positions) -> None:
        super().__init__()
        self.at = positions.at if isinstance(positions, Sinusoidal) else None
        self.table = None if self.at else cast(Tensor, positions.table)

    def forward(self, start: int, length: int) -> Tensor:
        places = start + torch.arange(length)
        if self.at is not None:
            return self.at(places)
        table = cast(Tensor, self.table)
        return F.embedding(places.clamp(max=table.shape[0] - 1), table)
