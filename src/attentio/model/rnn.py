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
from attentio.attention.memory import repeated
from attentio.errors import UsageError
from attentio.model.decoder import Decoder, Encoded, Features, FeaturesByKey, Surroundings, build_attention
from attentio.model.fast.feeding import can_be_written_out, feed_over_time
from attentio.model.fast.linear import Linear, linear
from attentio.model.fast.recurrence import (
    CELLS,
    LSTM,
    Bidirectional,
    CellState,
    Forwards,
    RecurrentLayer,
    mirror_indices,
)
from attentio.model.layers import Stacking, TokenEmbedding
from attentio.model.settings import RNNConfig

ATTENTION = "attention"  # the name of the only one


class RNNState(NamedTuple):
    """What an RNN decoder carries from step to step, one row per sentence or hypothesis."""

    memory: Memory
    attention: AttentionState
    cells: tuple[CellState, ...]
    feed: Tensor | None

    def select(self, indices: Tensor) -> "RNNState":
        """Return the rows `indices`, without those of finished sentences."""
        return self._replace(memory=self.memory.select(indices))._select_carried(indices)

    def repeat(self, times: int) -> "RNNState":
        """Return each row so many times, side by side: the hypotheses of a beam."""
        rows = repeated(self.memory.num_rows, times, self.memory.values.device)
        return self._replace(memory=self.memory.repeat(times))._select_carried(rows)

    def reorder(self, indices: Tensor) -> "RNNState":
        """Return the rows `indices` where every row keeps its sentence, so that the memory stays as it is."""
        return self._select_carried(indices)

    def _select_carried(self, indices: Tensor) -> "RNNState":
        return self._replace(
            attention=self.attention.select(indices),
            cells=tuple(cell.select(indices) for cell in self.cells),
            feed=None if self.feed is None else self.feed[indices],
        )


class RNNEncoder(nn.Module):
    """Layers that read both ways, or forwards only, one upon the other as `stacking` says.

    With `lexical` a token's own embedding is added to what the top layer gives (as in Gehring 2017, section 3.3). The
    decoder then attends to words, not only to places in a sentence.
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        stacking: Stacking,
        *,
        cell: str,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        lexical: bool,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.stacking = stacking
        width = embedding.table.shape[1]
        self.lexical: nn.Module | None = None
        if lexical:
            self.lexical = nn.Identity() if width == hidden_size else Linear(width, hidden_size, bias=False)
        layer = Bidirectional if bidirectional else Forwards
        self.layers = nn.ModuleList(
            layer(cell, width if n == 0 else hidden_size, hidden_size) for n in range(num_layers)
        )
        self.width_ahead = hidden_size // 2 if bidirectional else hidden_size  # of what was read forwards

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


class RNNDecoder(Decoder[RNNState], ABC):
    """What both decoders share: embedding, cells, first state and output layer. They say how a step goes."""

    def __init__(
        self,
        embedding: TokenEmbedding,
        cells: Sequence[RecurrentLayer],
        attention: Attention,
        stacking: Stacking,
        *,
        summary_size: int,
        tie_embeddings: bool,
    ) -> None:
        super().__init__(embedding, tie_embeddings=tie_embeddings)
        self.cells = nn.ModuleList(cells)
        self.attention = attention
        self.stacking = stacking
        hidden_size = cells[0].hidden_size
        self.first_state = Linear(summary_size, sum(cell.num_states for cell in cells) * hidden_size)

    def cross_attention(self) -> dict[str, Attention]:
        """Return the one attention."""
        return {ATTENTION: self.attention}

    def start(self, encoded: Encoded) -> RNNState:
        """Return the state before the first token. The keys are projected here, once per sentence."""
        assert encoded.summary is not None
        memory = self.attention.prepare(encoded.states, encoded.values, encoded.mask)
        layers = cast(Sequence[RecurrentLayer], self.cells)
        first = torch.tanh(self.first_state(encoded.summary)).split(layers[0].hidden_size, dim=-1)
        count = layers[0].num_states
        cells = tuple(layer.start(*first[n * count : (n + 1) * count]) for n, layer in enumerate(layers))
        return RNNState(memory, self.attention.start(memory), cells, self.first_feed(encoded))

    @abstractmethod
    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """Return what the cell is fed beside the first token, if anything."""

    @abstractmethod
    def embedded_step(self, embedded: Tensor, state: RNNState) -> tuple[Tensor, Attended, RNNState]:
        """Return features (B, E) for embedded tokens (B, E), what was attended to, and the next state."""

    def features_step(self, tokens: Tensor, state: RNNState) -> tuple[Features, RNNState]:
        """Return the features (B, E) of tokens (B,), and the next state."""
        features, attended, state = self.embedded_step(self.embedding(tokens), state)
        return seen(features, attended), state

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
    state = decoder.start(encoded)
    steps: list[tuple[Tensor, Attended]] = []
    for embedded in decoder.embedding(tokens).unbind(1):
        features, attended, state = decoder.embedded_step(embedded, state)
        steps.append((features, attended))
    return seen(torch.stack([step for step, _ in steps], dim=1), join_attended([attended for _, attended in steps]))


@final
class LuongDecoder(RNNDecoder):
    """Ask with the current state (Luong 2015, eq. 5).

    `s_t = cells(y_{t-1}, s_{t-1})`, `c_t = attend(s_t)`, `h_t = tanh(W_c [c_t; s_t])`.

    The lowest `asking` layers come before the attention. Those above read the context beside the layer below them.
    In the last formula `s_t` is the top one's (Wu 2016, section 3.1, where `asking` is 1).
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        cells: list[RecurrentLayer],
        attention: Attention,
        stacking: Stacking,
        *,
        asking: int,
        memory_size: int,
        tie_embeddings: bool,
        input_feeding: bool,
    ) -> None:
        super().__init__(embedding, cells, attention, stacking, summary_size=memory_size, tie_embeddings=tie_embeddings)
        self.asking = asking
        self.input_feeding = input_feeding
        self.context_feeds_back = input_feeding or asking < len(cells)
        self.combine = Linear(memory_size + cells[0].hidden_size, embedding.table.shape[1], bias=False)

    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """Return zeros with input feeding (Luong 2015, section 3.3)."""
        if not self.input_feeding:
            return None
        return encoded.states.new_zeros(encoded.states.shape[0], self.combine.out_features)

    def embedded_step(self, embedded: Tensor, state: RNNState) -> tuple[Tensor, Attended, RNNState]:
        """Return attentional features (B, E) for embedded tokens (B, E), what was attended to, and the next state."""
        inputs = embedded if state.feed is None else torch.cat([embedded, state.feed], dim=-1)
        hidden, asking = self.run_cells(inputs[None], state.cells[: self.asking])  # (1, B, H)
        attended, attention = self.attention.step(hidden.transpose(0, 1), state.memory, state.attention)
        context = merge_heads(attended.context).transpose(0, 1)
        top, above = self.run_cells(hidden, state.cells[self.asking :], first=self.asking, context=context)
        features = self.stacking.dropout(attentional(self.combine, context[0], top[0]))
        feed = None if state.feed is None else features
        return features, attended, RNNState(state.memory, attention, asking + above, feed)

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        """Return the features (B, T, E) of a whole target (B, T) that starts with bos (teacher forcing)."""
        if self.input_feeding and not self._can_be_written_out(tokens):
            return features_by_steps(self, tokens, encoded)
        state = self.start(encoded)
        if self.input_feeding:
            features = feed_over_time(
                self.embedding(tokens.t()),
                state.cells[0],
                state.memory,
                cell=cast(LSTM, self.cells[0]),
                attention=self.attention,
                combine=self.combine,
                dropout=self.stacking.dropout,
            )
            return seen(features, None)
        hidden, _ = self.run_cells(self.embedding(tokens.t()), state.cells[: self.asking])  # (T, B, H)
        attended = self.attention(hidden.transpose(0, 1), state.memory, state=state.attention)
        context = merge_heads(attended.context)  # (B, T, V)
        above = state.cells[self.asking :]
        top, _ = self.run_cells(hidden, above, first=self.asking, context=context.transpose(0, 1))
        return seen(self.stacking.dropout(attentional(self.combine, context, top.transpose(0, 1))), attended)

    def _can_be_written_out(self, tokens: Tensor) -> bool:
        cell = cast(RecurrentLayer, self.cells[0])
        alone = len(self.cells) == 1 and not self.stacking.layer_norm
        return alone and can_be_written_out(cell, self.attention, tokens)

    @property
    def can_marginalize(self) -> bool:
        """Whether a token's features depend on the key chosen for it and no other."""
        return not self.context_feeds_back

    def features_by_key(self, tokens: Tensor, encoded: Encoded) -> FeaturesByKey:
        """Return the features of tokens (B, T) for each key by itself (teacher forcing)."""
        state = self.start(encoded)
        hidden, _ = self.run_cells(self.embedding(tokens.t()), state.cells)  # (T, B, H)
        hidden = hidden.transpose(0, 1)
        attended = self.attention(hidden, state.memory, state=state.attention)
        values = state.memory.values  # (B, 1, S, V)
        of_value, of_hidden = self.combine.weight.split([values.shape[-1], hidden.shape[-1]], dim=1)
        given = linear(hidden, of_hidden)[:, :, None]  # (B, T, 1, E)
        added = linear(values.to(hidden.dtype), of_value)
        return FeaturesByKey({ATTENTION: attended}, added, lambda some: self.stacking.dropout(torch.tanh(given + some)))


@final
class BahdanauDecoder(RNNDecoder):
    """Ask with the previous state (Bahdanau 2015).

    `c_t = attend(s_{t-1})`, `s_t = cell([y_{t-1}; c_t], s_{t-1})`, `p(y_t) = g(y_{t-1}, s_t, c_t)`.
    """

    context_feeds_back = True

    def __init__(
        self,
        embedding: TokenEmbedding,
        cells: list[RecurrentLayer],
        attention: Attention,
        stacking: Stacking,
        *,
        memory_size: int,
        tie_embeddings: bool,
    ) -> None:
        super().__init__(embedding, cells, attention, stacking, summary_size=memory_size, tie_embeddings=tie_embeddings)
        width = embedding.table.shape[1]
        self.readout = Linear(width + cells[0].hidden_size + memory_size, width)

    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """Return nothing: what enters the cell beside the token is this step's own context."""
        return None

    def embedded_step(self, embedded: Tensor, state: RNNState) -> tuple[Tensor, Attended, RNNState]:
        """Return readout features (B, E) for embedded tokens (B, E), what was attended to, and the next state."""
        query = state.cells[-1].hidden[:, None]
        attended, attention = self.attention.step(query, state.memory, state.attention)
        context = merge_heads(attended.context)[:, 0].to(embedded.dtype)
        hidden, cells = self.run_cells(torch.cat([embedded, context], dim=-1)[None], state.cells)
        read = torch.cat([embedded, hidden[0].to(embedded.dtype), context], dim=-1)
        features = self.stacking.dropout(torch.tanh(self.readout(read)))
        return features, attended, RNNState(state.memory, attention, cells, None)

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        """Return the features (B, T, E) of a whole target (B, T) with bos. Each query waits for the cell."""
        return features_by_steps(self, tokens, encoded)


@final
class WuDecoder(RNNDecoder):
    """Ask with the previous state of the bottom layer (Wu 2016, eq. 4).

    `c_t = attend(s^1_{t-1})`, `s^1_t = cell(y_{t-1}, s^1_{t-1})`, `s^n_t = cell([s^{n-1}_t; c_t], s^n_{t-1})`.

    The bottom layer never sees the answer. It goes into the layers above and into `h_t = tanh(W_c [c_t; s_t])`, so that
    the whole target still runs at once.
    """

    context_feeds_back = True

    def __init__(
        self,
        embedding: TokenEmbedding,
        cells: list[RecurrentLayer],
        attention: Attention,
        stacking: Stacking,
        *,
        memory_size: int,
        tie_embeddings: bool,
    ) -> None:
        super().__init__(embedding, cells, attention, stacking, summary_size=memory_size, tie_embeddings=tie_embeddings)
        self.combine = Linear(memory_size + cells[0].hidden_size, embedding.table.shape[1], bias=False)

    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """Nothing: the bottom layer reads the token alone."""
        return None

    def embedded_step(self, embedded: Tensor, state: RNNState) -> tuple[Tensor, Attended, RNNState]:
        """Return attentional features (B, E) for embedded tokens (B, E), what was attended to, and the next state."""
        attended, attention = self.attention.step(state.cells[0].hidden[:, None], state.memory, state.attention)
        context = merge_heads(attended.context).transpose(0, 1)  # (1, B, V)
        hidden, bottom = self.run_cells(embedded[None], state.cells[:1])
        top, above = self.run_cells(hidden, state.cells[1:], first=1, context=context)
        features = self.stacking.dropout(attentional(self.combine, context[0], top[0]))
        return features, attended, RNNState(state.memory, attention, bottom + above, None)

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        """Return the features (B, T, E) of a whole target (B, T) that starts with bos (teacher forcing)."""
        state = self.start(encoded)
        embedded = self.embedding(tokens.t())  # (T, B, E)
        outputs, _ = self.cells[0](embedded, state.cells[0])
        query = torch.cat([state.cells[0].hidden[None].to(outputs.dtype), outputs[:-1]])
        attended = self.attention(query.transpose(0, 1), state.memory, state=state.attention)
        context = merge_heads(attended.context)  # (B, T, V)
        hidden = self.stacking.above(0, embedded, outputs)
        top, _ = self.run_cells(hidden, state.cells[1:], first=1, context=context.transpose(0, 1))
        return seen(self.stacking.dropout(attentional(self.combine, context, top.transpose(0, 1))), attended)


def attentional(combine: Linear, context: Tensor, hidden: Tensor) -> Tensor:
    """Return `tanh(W_c [c; s])`, (..., E), for context (..., V) and hidden (..., H) (Luong 2015, eq. 5)."""
    return torch.tanh(combine(torch.cat([context.to(hidden.dtype), hidden], dim=-1)))


def build_cells(model: RNNConfig, input_size: int, beside: int) -> list[RecurrentLayer]:
    """Build the decoder's layers. The lowest reads `input_size`, the others the one below and `beside` numbers more."""
    hidden, make = model.hidden_size, CELLS[model.cell]
    return [make(input_size, hidden), *(make(hidden + beside, hidden) for _ in range(model.decoder_layers - 1))]


def build_rnn(model: RNNConfig, around: Surroundings) -> tuple[RNNEncoder, RNNDecoder]:
    """Build the encoder and decoder of a configuration. Raises UsageError where its parts do not go together."""
    hidden, attention = model.hidden_size, around.attention
    if (hidden % 2 and model.bidirectional) or hidden % attention.num_heads:
        raise UsageError(
            f"model.hidden_size = {hidden} must be even, for an encoder that reads both ways, and divisible by "
            f"attention.num_heads = {attention.num_heads}."
        )
    if model.residual and max(model.encoder_layers, model.decoder_layers) < 2:
        raise UsageError(
            "model.residual joins layers above the first, and neither encoder nor decoder has a second: "
            "raise model.encoder_layers or model.decoder_layers."
        )

    def stacking(num_layers: int) -> Stacking:
        return Stacking(num_layers, hidden, dropout=model.dropout, residual=model.residual, layer_norm=model.layer_norm)

    encoder = RNNEncoder(
        around.source,
        stacking(model.encoder_layers),
        cell=model.cell,
        hidden_size=hidden,
        num_layers=model.encoder_layers,
        bidirectional=model.bidirectional,
        lexical=model.lexical_memory,
    )
    cross = build_attention(attention, hidden, hidden, backend=around.backend)
    return encoder, _build_decoder(model, around.target, cross, stacking(model.decoder_layers))


def _build_decoder(model: RNNConfig, target: TokenEmbedding, cross: Attention, stacking: Stacking) -> RNNDecoder:
    width, hidden = model.embedding_size, model.hidden_size
    bottom = model.attention_layer == "bottom"
    beside = hidden if bottom else 0
    if bottom and model.decoder_layers == 1:
        raise UsageError(
            "model.attention_layer = 'bottom' needs model.decoder_layers of 2 or more: with one, the bottom is the top."
        )
    if model.query == "current":
        cells = build_cells(model, 2 * width if model.input_feeding else width, beside)
        return LuongDecoder(
            target,
            cells,
            cross,
            stacking,
            asking=1 if bottom else model.decoder_layers,
            memory_size=hidden,
            tie_embeddings=model.tie_embeddings,
            input_feeding=model.input_feeding,
        )
    if model.input_feeding:
        raise UsageError(
            "model.input_feeding needs model.query = 'current': with 'previous' the context enters the cells anyway."
        )
    if bottom:
        cells = build_cells(model, width, beside)
        return WuDecoder(target, cells, cross, stacking, memory_size=hidden, tie_embeddings=model.tie_embeddings)
    cells = build_cells(model, width + hidden, 0)
    return BahdanauDecoder(target, cells, cross, stacking, memory_size=hidden, tie_embeddings=model.tie_embeddings)
