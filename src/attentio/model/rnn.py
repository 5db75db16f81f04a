"""Recurrent encoder and decoders with attention.

`RNNEncoder` reads both ways, or forwards only. Three decoders differ in which state asks, and where the answer goes.

- `LuongDecoder` asks with the current state of the top or the bottom layer. The context joins after it (Luong 2015).
- `BahdanauDecoder` asks with the previous state of the top layer. The context enters the cells (Bahdanau 2015).
- `WuDecoder` asks with the previous state of the bottom layer. The context enters the layers above (Wu 2016).

The first, without input feeding, and the last run over the whole target at once. The others must go step by step, also
in training.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, cast, final

import torch
from torch import Tensor, nn

from attentio.attention import Attended, Attention, AttentionState, Memory, join_attended, merge_heads
from attentio.errors import UsageError
from attentio.model.decoder import Decoder, Encoded, Features, FeaturesByKey, State, Surroundings
from attentio.model.fast.feeding import can_be_written_out, feed_over_time
from attentio.model.fast.linear import Linear, linear
from attentio.model.fast.recurrence import CELLS, LSTM, CellState, Reader, RecurrentLayer, mirror_indices
from attentio.model.layers import Stacking, TokenEmbedding
from attentio.model.settings import RNNConfig

ATTENTION = "attention"  # the name of the only one


class Carried(NamedTuple):
    """What an RNN decoder carries with its memory of the source: `feed` (B, E) enters the cell with the next token."""

    attention: AttentionState
    cells: tuple[CellState, ...]
    feed: Tensor | None

    def select(self, indices: Tensor) -> "Carried":
        """Return the rows `indices`."""
        cells = tuple(cell.select(indices) for cell in self.cells)
        feed = None if self.feed is None else self.feed.index_select(0, indices)
        return Carried(self.attention.select(indices), cells, feed)


class RNNEncoder(nn.Module):
    """Layers that read both ways, or forwards only, one upon the other as `stacking` says.

    With `lexical_memory` a token's own embedding is added to what the top layer gives (as in Gehring 2017, section
    3.3). The decoder then attends to words, not only to places in a sentence.
    """

    def __init__(self, model: RNNConfig, embedding: TokenEmbedding) -> None:
        super().__init__()
        width, hidden = model.embedding_size, model.hidden_size
        self.embedding = embedding
        self.stacking = _stacking(model, model.encoder_layers)
        self.lexical: nn.Module | None = None
        if model.lexical_memory:
            self.lexical = nn.Identity() if width == hidden else Linear(width, hidden, bias=False)
        widths = [width, *[hidden] * (model.encoder_layers - 1)]
        self.layers = nn.ModuleList(Reader(model.cell, size, hidden, both_ways=model.bidirectional) for size in widths)
        self.width_ahead = hidden // 2 if model.bidirectional else hidden  # of what was read forwards

    def forward(self, source: Tensor, lengths: Tensor) -> Encoded:
        """Return the encoded source (B, S), with lengths (B,). Padding changes nothing at real positions."""
        time = torch.arange(source.shape[1], device=source.device)
        mask = time < lengths[:, None]  # (B, S)
        mirror = mirror_indices(lengths, source.shape[1])
        embedded = self.embedding(source.t())  # (S, B, E)
        states = embedded
        for n, layer in enumerate(self.layers):
            states = self.stacking.above(n, states, layer(self.stacking.below(n, states), mirror))  # (S, B, H)
        if self.lexical is not None:
            states = states + self.lexical(embedded)
        states = states.transpose(0, 1)  # (B, S, H)
        ends = states[torch.arange(source.shape[0], device=source.device), lengths - 1]  # last token, read forwards
        back = states[:, 0, self.width_ahead :]  # first token, read backwards
        summary = torch.cat([ends[:, : self.width_ahead], back], dim=-1)
        return Encoded(states, mask, summary=summary)


class RNNDecoder(Decoder[Carried], ABC):
    """What all have in common: embedding, cells, first state and output layer. They say how a step goes.

    read: what the lowest cell reads. beside: what the others read beside the layer below.
    """

    def __init__(self, model: RNNConfig, around: Surroundings, *, read: int, beside: int = 0) -> None:
        hidden, make = model.hidden_size, CELLS[model.cell]
        attention = around.cross(hidden)
        cells = [make(read, hidden), *(make(hidden + beside, hidden) for _ in range(model.decoder_layers - 1))]
        super().__init__(around.target, tie_embeddings=model.tie_embeddings)
        self.cells = nn.ModuleList(cells)
        self.attention = attention
        self.stacking = _stacking(model, model.decoder_layers)
        self.num_states = cells[0].num_states
        self.first_state = Linear(hidden, len(cells) * self.num_states * hidden)

    def cross_attention(self) -> dict[str, Attention]:
        return {ATTENTION: self.attention}

    def start(self, encoded: Encoded) -> State[Carried]:
        assert encoded.summary is not None
        memory = self.attention.prepare(encoded.states, encoded.values, encoded.mask)
        first = torch.tanh(self.first_state(encoded.summary)).chunk(len(self.cells) * self.num_states, dim=-1)
        cells = tuple(CellState(*first[n : n + self.num_states]) for n in range(0, len(first), self.num_states))
        carried = Carried(self.attention.start(memory), cells, self.first_feed(encoded))
        return State(0, (memory,), (carried,), encoded.lexicon)

    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """Return what the lowest cell is fed beside the first token, if anything."""
        return None

    @abstractmethod
    def embedded_step(self, embedded: Tensor, memory: Memory, before: Carried) -> tuple[Tensor, Attended, Carried]:
        """Return features (B, E) for embedded tokens (B, E), what was attended to, and what is carried on."""

    def features_step(self, tokens: Tensor, state: State[Carried]) -> tuple[Features, State[Carried]]:
        features, attended, after = self.embedded_step(self.embedding(tokens), state.memories[0], state.layers[0])
        return seen(features, attended), state._replace(position=state.position + 1, layers=(after,))

    def run_cells(
        self, inputs: Tensor, cells: Sequence[CellState], *, first: int = 0, context: Tensor | None = None
    ) -> tuple[Tensor, tuple[CellState, ...]]:
        """Run inputs (T, B, I) through the layers from number `first` on, one for each of `cells`.

        Each of them reads `context` (T, B, V), if given, beside what the layer below gives. Returns what the last of
        them gives, (T, B, H), and their new states.
        """
        states: list[CellState] = []
        for n, cell in enumerate(cells, first):
            below = self.stacking.below(n, inputs)
            if context is not None:
                below = torch.cat([below, context.to(below.dtype)], dim=-1)
            outputs, state = self.cells[n](below, cell)
            inputs = self.stacking.above(n, inputs, outputs)
            states.append(state)
        return inputs, tuple(states)


def seen(features: Tensor, attended: Attended | None) -> Features:
    """Return the features together with what the one attention of the decoder attended to."""
    return Features(features, {} if attended is None else {ATTENTION: attended})


def features_by_steps(decoder: RNNDecoder, tokens: Tensor, encoded: Encoded) -> Features:
    """Return the features (B, T, E) of tokens (B, T) where every step needs the one before it (teacher forcing)."""
    _, (memory,), (carried,), _ = decoder.start(encoded)
    steps: list[tuple[Tensor, Attended]] = []
    for embedded in decoder.embedding(tokens).unbind(1):
        features, attended, carried = decoder.embedded_step(embedded, memory, carried)
        steps.append((features, attended))
    return seen(torch.stack([step for step, _ in steps], dim=1), join_attended([attended for _, attended in steps]))


class CombiningDecoder(RNNDecoder):
    """The lowest `asking` layers come before the attention. Those above read the context beside the layer below.

    Above them stands `h_t = tanh(W_c [c_t; s_t])` (Luong 2015, eq. 5), `s_t` the state of the top layer.
    """

    def __init__(self, model: RNNConfig, around: Surroundings) -> None:
        width, hidden, bottom = model.embedding_size, model.hidden_size, model.attention_layer == "bottom"
        super().__init__(
            model, around, read=2 * width if model.input_feeding else width, beside=hidden if bottom else 0
        )
        self.asking = 1 if bottom else model.decoder_layers
        self.combine = Linear(2 * hidden, width, bias=False)

    def combined(
        self, hidden: Tensor, context: Tensor, cells: tuple[CellState, ...]
    ) -> tuple[Tensor, tuple[CellState, ...]]:
        """Return features (B, T, E) for what asked (T, B, H) and its context (B, T, V), and the states above it."""
        above = cells[self.asking :]
        top, above = self.run_cells(hidden, above, first=self.asking, context=context.transpose(0, 1))
        joined = torch.cat([context.to(top.dtype), top.transpose(0, 1)], dim=-1)
        return self.stacking.dropout(torch.tanh(self.combine(joined))), above


@final
class LuongDecoder(CombiningDecoder):
    """Ask with the current state (Luong 2015, eq. 5), of the top layer or of the bottom one (Wu 2016, section 3.1).

    `s_t = cells(y_{t-1}, s_{t-1})`, `c_t = attend(s_t)`, `h_t = tanh(W_c [c_t; s_t])`.
    """

    def __init__(self, model: RNNConfig, around: Surroundings) -> None:
        super().__init__(model, around)
        self.input_feeding = model.input_feeding
        self.context_feeds_back = model.input_feeding or self.asking < model.decoder_layers

    def first_feed(self, encoded: Encoded) -> Tensor | None:  # input feeding: Luong 2015, section 3.3
        size = encoded.states.shape[0], self.combine.out_features
        return encoded.states.new_zeros(size) if self.input_feeding else None

    def embedded_step(self, embedded: Tensor, memory: Memory, before: Carried) -> tuple[Tensor, Attended, Carried]:
        inputs = embedded if before.feed is None else torch.cat([embedded, before.feed], dim=-1)
        hidden, asking = self.run_cells(inputs[None], before.cells[: self.asking])  # (1, B, H)
        attended, attention = self.attention.step(hidden.transpose(0, 1), memory, before.attention)
        features, above = self.combined(hidden, merge_heads(attended.context), before.cells)
        feed = None if before.feed is None else features[:, 0]
        return features[:, 0], attended, Carried(attention, asking + above, feed)

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        if not self.input_feeding:
            attended, hidden, memory, cells = self._asked(tokens, encoded)
            features, _ = self.combined(hidden, merge_heads(attended.context), cells)
            return seen(features, attended)
        cell = cast(RecurrentLayer, self.cells[0])
        alone = len(self.cells) == 1 and not self.stacking.layer_norm
        if not (alone and can_be_written_out(cell, self.attention, tokens)):
            return features_by_steps(self, tokens, encoded)
        _, (memory,), (first,), _ = self.start(encoded)
        features = feed_over_time(
            self.embedding(tokens.t()),
            first.cells[0],
            memory,
            cell=cast(LSTM, cell),
            attention=self.attention,
            combine=self.combine,
            dropout=self.stacking.dropout,
        )
        return seen(features, None)

    def _asked(self, tokens: Tensor, encoded: Encoded) -> tuple[Attended, Tensor, Memory, tuple[CellState, ...]]:
        """Return what a whole target attends to, the states that ask (T, B, H), the memory, and the first states."""
        _, (memory,), (first,), _ = self.start(encoded)
        hidden, _ = self.run_cells(self.embedding(tokens.t()), first.cells[: self.asking])
        return self.attention(hidden.transpose(0, 1), memory, state=first.attention), hidden, memory, first.cells

    @property
    def can_marginalize(self) -> bool:
        return not self.context_feeds_back

    def features_by_key(self, tokens: Tensor, encoded: Encoded) -> FeaturesByKey:
        attended, hidden, memory, _ = self._asked(tokens, encoded)
        hidden = hidden.transpose(0, 1)
        of_value, of_hidden = self.combine.weight.chunk(2, dim=1)
        given = linear(hidden, of_hidden)[:, :, None]  # (B, T, 1, E)
        added = linear(memory.values.to(hidden.dtype), of_value)  # (B, 1, S, E)
        return FeaturesByKey({ATTENTION: attended}, added, lambda some: self.stacking.dropout(torch.tanh(given + some)))


@final
class WuDecoder(CombiningDecoder):
    """Ask with the previous state of the bottom layer (Wu 2016, eq. 4).

    `c_t = attend(s^1_{t-1})`, `s^1_t = cell(y_{t-1}, s^1_{t-1})`, `s^n_t = cell([s^{n-1}_t; c_t], s^n_{t-1})`.

    The bottom layer never sees the answer. It goes into the layers above and into `h_t = tanh(W_c [c_t; s_t])`, so that
    the whole target still runs at once.
    """

    context_feeds_back = True

    def embedded_step(self, embedded: Tensor, memory: Memory, before: Carried) -> tuple[Tensor, Attended, Carried]:
        attended, attention = self.attention.step(before.cells[0].hidden[:, None], memory, before.attention)
        hidden, bottom = self.run_cells(embedded[None], before.cells[:1])
        features, above = self.combined(hidden, merge_heads(attended.context), before.cells)
        return features[:, 0], attended, Carried(attention, bottom + above, None)

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        _, (memory,), (first,), _ = self.start(encoded)
        embedded = self.embedding(tokens.t())  # (T, B, E)
        outputs, _ = self.cells[0](embedded, first.cells[0])
        query = torch.cat([first.cells[0].hidden[None].to(outputs.dtype), outputs[:-1]])
        attended = self.attention(query.transpose(0, 1), memory, state=first.attention)
        hidden = self.stacking.above(0, embedded, outputs)
        features, _ = self.combined(hidden, merge_heads(attended.context), first.cells)
        return seen(features, attended)


@final
class BahdanauDecoder(RNNDecoder):
    """Ask with the previous state (Bahdanau 2015).

    `c_t = attend(s_{t-1})`, `s_t = cell([y_{t-1}; c_t], s_{t-1})`, `p(y_t) = g(y_{t-1}, s_t, c_t)`.
    """

    context_feeds_back = True

    def __init__(self, model: RNNConfig, around: Surroundings) -> None:
        width, hidden = model.embedding_size, model.hidden_size
        super().__init__(model, around, read=width + hidden)
        self.readout = Linear(width + 2 * hidden, width)

    def embedded_step(self, embedded: Tensor, memory: Memory, before: Carried) -> tuple[Tensor, Attended, Carried]:
        attended, attention = self.attention.step(before.cells[-1].hidden[:, None], memory, before.attention)
        context = merge_heads(attended.context)[:, 0].to(embedded.dtype)
        hidden, cells = self.run_cells(torch.cat([embedded, context], dim=-1)[None], before.cells)
        read = torch.cat([embedded, hidden[0].to(embedded.dtype), context], dim=-1)
        features = self.stacking.dropout(torch.tanh(self.readout(read)))
        return features, attended, Carried(attention, cells, None)

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        """Return the features (B, T, E) of a whole target (B, T) with bos. Each query waits for the cell."""
        return features_by_steps(self, tokens, encoded)


def build(model: RNNConfig, around: Surroundings) -> tuple[RNNEncoder, RNNDecoder]:
    """Build the encoder and decoder of a configuration. Raises UsageError where its parts do not go together."""
    hidden, heads, current = model.hidden_size, around.attention.num_heads, model.query == "current"
    bottom = model.attention_layer == "bottom"
    if (hidden % 2 and model.bidirectional) or hidden % heads:
        raise UsageError(
            f"model.hidden_size = {hidden} must be even, for an encoder that reads both ways, and divisible by "
            f"attention.num_heads = {heads}."
        )
    if model.residual and max(model.encoder_layers, model.decoder_layers) < 2:
        raise UsageError(
            "model.residual joins layers above the first, and neither encoder nor decoder has a second: "
            "raise model.encoder_layers or model.decoder_layers."
        )
    if bottom and model.decoder_layers == 1:
        raise UsageError(
            "model.attention_layer = 'bottom' needs model.decoder_layers of 2 or more: with one, the bottom is the top."
        )
    if model.input_feeding and not current:
        raise UsageError(
            "model.input_feeding needs model.query = 'current': with 'previous' the context enters the cells anyway."
        )
    encoder = RNNEncoder(model, around.source)
    decoder = LuongDecoder if current else WuDecoder if bottom else BahdanauDecoder
    return encoder, decoder(model, around)


def _stacking(model: RNNConfig, num_layers: int) -> Stacking:
    return Stacking(
        num_layers, model.hidden_size, dropout=model.dropout, residual=model.residual, layer_norm=model.layer_norm
    )
