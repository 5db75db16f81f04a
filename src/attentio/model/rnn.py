"""Recurrent encoder and decoders with attention.

`RNNEncoder` is bidirectional. Two decoders differ in which state asks the attention:
`BahdanauDecoder` asks with the previous state, and the context enters the cell (Bahdanau 2015);
`LuongDecoder` asks with the current state, and the context joins after the cell (Luong 2015). Without input feeding the
Luong decoder runs over the whole target at once; the others must go step by step, also in training.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, cast, final

import torch
from torch import Tensor, nn

from attentio.attention import Attention, AttentionState, Memory, merge_heads
from attentio.errors import UsageError
from attentio.model.decoder import Decoder, Encoded, build_attention
from attentio.model.dropout import Dropout
from attentio.model.embedding import TokenEmbedding
from attentio.model.recurrence import CELLS, Bidirectional, CellState, RecurrentLayer, mirror_indices
from attentio.model.settings import AttentionConfig, RNNConfig


class RNNState(NamedTuple):
    """What an RNN decoder carries from step to step, one row per sentence or hypothesis."""

    memory: Memory
    attention: AttentionState
    cells: tuple[CellState, ...]
    feed: Tensor | None

    def select(self, indices: Tensor) -> "RNNState":
        """The rows `indices`: repeats them for a beam, drops finished sentences."""
        return self._replace(memory=self.memory.select(indices))._select_carried(indices)

    def reorder(self, indices: Tensor) -> "RNNState":
        """The rows `indices` where every row keeps its sentence (a beam's hypotheses): the memory stays as it is."""
        return self._select_carried(indices)

    def _select_carried(self, indices: Tensor) -> "RNNState":
        return self._replace(
            attention=self.attention.select(indices),
            cells=tuple(cell.select(indices) for cell in self.cells),
            feed=None if self.feed is None else self.feed[indices],
        )


class RNNEncoder(nn.Module):
    """Bidirectional layers, each reading the concatenated outputs of the one below.

    With `lexical` a token's own embedding is added to what the top layer says of it (as in Gehring 2017, section 3.3):
    the decoder then attends to words, not only to places in a sentence.
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        *,
        cell: str,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        lexical: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        width = embedding.table.shape[1]
        self.lexical: nn.Module | None = None
        if lexical:
            self.lexical = nn.Identity() if width == hidden_size else nn.Linear(width, hidden_size, bias=False)
        self.layers = nn.ModuleList(
            Bidirectional(cell, width if n == 0 else hidden_size, hidden_size) for n in range(num_layers)
        )
        self.dropout = Dropout(dropout)

    def forward(self, source: Tensor, lengths: Tensor) -> Encoded:
        """source (B, S) tokens, lengths (B,) -> Encoded; padding changes nothing at real positions."""
        time = torch.arange(source.shape[1], device=source.device)
        mask = time < lengths[:, None]  # (B, S)
        mirror = mirror_indices(lengths, source.shape[1])
        embedded = self.embedding(source.t())  # (S, B, E)
        states = embedded
        for layer in self.layers:
            states = self.dropout(layer(states, mirror))  # (S, B, H)
        if self.lexical is not None:
            states = states + self.lexical(embedded)
        states = states.transpose(0, 1)  # (B, S, H)
        ends = states[torch.arange(source.shape[0], device=source.device), lengths - 1]  # last token, read forwards
        half = ends.shape[-1] // 2
        summary = torch.cat([ends[:, :half], states[:, 0, half:]], dim=-1)  # first token, read backwards
        return Encoded(states, mask, summary=summary)


class RNNDecoder(Decoder[RNNState], ABC):
    """What both decoders share: embedding, cells, first state and output layer. They say how a step goes."""

    def __init__(
        self,
        embedding: TokenEmbedding,
        cells: Sequence[RecurrentLayer],
        attention: Attention,
        *,
        summary_size: int,
        dropout: float,
        tie_embeddings: bool,
    ) -> None:
        super().__init__(embedding, tie_embeddings=tie_embeddings)
        self.cells = nn.ModuleList(cells)
        self.attention = attention
        self.dropout = Dropout(dropout)
        hidden_size = cells[0].hidden_size
        self.first_state = nn.Linear(summary_size, sum(cell.num_states for cell in cells) * hidden_size)

    def cross_attention(self) -> dict[str, Attention]:
        """The one attention."""
        return {"attention": self.attention}

    def start(self, encoded: Encoded) -> RNNState:
        """The state before the first token; the keys are projected here, once per sentence."""
        assert encoded.summary is not None
        memory = self.attention.prepare(encoded.states, encoded.values, encoded.mask)
        layers = cast(Sequence[RecurrentLayer], self.cells)
        first = torch.tanh(self.first_state(encoded.summary)).split(layers[0].hidden_size, dim=-1)
        count = layers[0].num_states
        cells = tuple(layer.start(*first[n * count : (n + 1) * count]) for n, layer in enumerate(layers))
        return RNNState(memory, self.attention.start(memory), cells, self.first_feed(encoded))

    @abstractmethod
    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """What the cell is fed beside the first token, if anything."""

    @abstractmethod
    def embedded_step(self, embedded: Tensor, state: RNNState) -> tuple[Tensor, RNNState]:
        """embedded (B, E) -> features (B, E) for the output layer, and the next state."""

    def features_step(self, tokens: Tensor, state: RNNState) -> tuple[Tensor, RNNState]:
        """tokens (B,) -> features (B, E) for the output layer, and the next state."""
        return self.embedded_step(self.embedding(tokens), state)

    def run_cells(self, inputs: Tensor, cells: tuple[CellState, ...]) -> tuple[Tensor, tuple[CellState, ...]]:
        """inputs (T, B, I) through all layers -> outputs (T, B, H) of the top one and the new states."""
        states: list[CellState] = []
        for layer, cell in zip(self.cells, cells, strict=True):
            outputs, state = layer(inputs, cell)
            inputs = self.dropout(outputs)
            states.append(state)
        return inputs, tuple(states)


def features_by_steps(decoder: RNNDecoder, tokens: Tensor, encoded: Encoded) -> Tensor:
    """Teacher forcing where every step needs the one before it: tokens (B, T) -> features (B, T, E)."""
    state = decoder.start(encoded)
    features: list[Tensor] = []
    for embedded in decoder.embedding(tokens).unbind(1):
        step, state = decoder.embedded_step(embedded, state)
        features.append(step)
    return torch.stack(features, dim=1)


@final
class LuongDecoder(RNNDecoder):
    """s_t = cell(y_{t-1}, s_{t-1}); c_t = attend(s_t); h_t = tanh(W_c [c_t; s_t]) (Luong 2015, eq. 5)."""

    def __init__(
        self,
        embedding: TokenEmbedding,
        cells: list[RecurrentLayer],
        attention: Attention,
        *,
        memory_size: int,
        dropout: float,
        tie_embeddings: bool,
        input_feeding: bool,
    ) -> None:
        super().__init__(
            embedding, cells, attention, summary_size=memory_size, dropout=dropout, tie_embeddings=tie_embeddings
        )
        self.input_feeding = self.feeds_back = input_feeding
        self.combine = nn.Linear(memory_size + cells[0].hidden_size, embedding.table.shape[1], bias=False)

    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """With input feeding, zeros (Luong 2015, section 3.3)."""
        if not self.input_feeding:
            return None
        return encoded.states.new_zeros(encoded.states.shape[0], self.combine.out_features)

    def embedded_step(self, embedded: Tensor, state: RNNState) -> tuple[Tensor, RNNState]:
        """embedded (B, E) -> attentional features (B, E), and the next state."""
        inputs = embedded if state.feed is None else torch.cat([embedded, state.feed], dim=-1)
        hidden, cells = self.run_cells(inputs[None], state.cells)
        attended, attention = self.attention.step(hidden.transpose(0, 1), state.memory, state.attention)
        features = self._combine(merge_heads(attended.context), hidden.transpose(0, 1))[:, 0]
        return features, RNNState(state.memory, attention, cells, None if state.feed is None else features)

    def features(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """Teacher forcing: tokens (B, T), starting with bos -> features (B, T, E)."""
        if self.input_feeding:
            return features_by_steps(self, tokens, encoded)
        state = self.start(encoded)
        hidden, _ = self.run_cells(self.embedding(tokens.t()), state.cells)  # (T, B, H)
        attended = self.attention(hidden.transpose(0, 1), state.memory, state=state.attention)
        return self._combine(merge_heads(attended.context), hidden.transpose(0, 1))

    def _combine(self, context: Tensor, hidden: Tensor) -> Tensor:
        return self.dropout(torch.tanh(self.combine(torch.cat([context.to(hidden.dtype), hidden], dim=-1))))


@final
class BahdanauDecoder(RNNDecoder):
    """c_t = attend(s_{t-1}); s_t = cell([y_{t-1}; c_t], s_{t-1}); p(y_t) = g(y_{t-1}, s_t, c_t) (Bahdanau 2015)."""

    feeds_back = True

    def __init__(
        self,
        embedding: TokenEmbedding,
        cells: list[RecurrentLayer],
        attention: Attention,
        *,
        memory_size: int,
        dropout: float,
        tie_embeddings: bool,
    ) -> None:
        super().__init__(
            embedding, cells, attention, summary_size=memory_size, dropout=dropout, tie_embeddings=tie_embeddings
        )
        width = embedding.table.shape[1]
        self.readout = nn.Linear(width + cells[0].hidden_size + memory_size, width)

    def first_feed(self, encoded: Encoded) -> Tensor | None:
        """Nothing: what enters the cell beside the token is this step's own context."""
        return None

    def embedded_step(self, embedded: Tensor, state: RNNState) -> tuple[Tensor, RNNState]:
        """embedded (B, E) -> readout features (B, E), and the next state."""
        query = state.cells[-1].hidden[:, None]
        attended, attention = self.attention.step(query, state.memory, state.attention)
        context = merge_heads(attended.context)[:, 0].to(embedded.dtype)
        hidden, cells = self.run_cells(torch.cat([embedded, context], dim=-1)[None], state.cells)
        read = torch.cat([embedded, hidden[0].to(embedded.dtype), context], dim=-1)
        features = self.dropout(torch.tanh(self.readout(read)))
        return features, RNNState(state.memory, attention, cells, None)

    def features(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """Teacher forcing: tokens (B, T), starting with bos -> features (B, T, E); the query waits for the cell."""
        return features_by_steps(self, tokens, encoded)


def build_cells(cell: str, input_size: int, hidden_size: int, num_layers: int) -> list[RecurrentLayer]:
    """The decoder's layers; only the lowest one reads `input_size`."""
    return [CELLS[cell](input_size if n == 0 else hidden_size, hidden_size) for n in range(num_layers)]


def build_rnn(
    model: RNNConfig, attention: AttentionConfig, source: TokenEmbedding, target: TokenEmbedding, *, backend: str
) -> tuple[RNNEncoder, RNNDecoder]:
    """The encoder and decoder that a configuration describes; raises UsageError where its parts do not go together."""
    hidden = model.hidden_size
    if hidden % 2 or hidden % attention.num_heads:
        raise UsageError(
            f"model.hidden_size = {hidden} must be even and divisible by attention.num_heads = {attention.num_heads}."
        )
    encoder = RNNEncoder(
        source,
        cell=model.cell,
        hidden_size=hidden,
        num_layers=model.encoder_layers,
        dropout=model.dropout,
        lexical=model.lexical_memory,
    )
    cross = build_attention(attention, hidden, hidden, backend=backend)
    width = model.embedding_size
    if model.query == "previous":
        if model.input_feeding:
            raise UsageError(
                "model.input_feeding needs model.query = 'current': with 'previous' the context enters the cell anyway."
            )
        cells = build_cells(model.cell, width + hidden, hidden, model.decoder_layers)
        return encoder, BahdanauDecoder(
            target, cells, cross, memory_size=hidden, dropout=model.dropout, tie_embeddings=model.tie_embeddings
        )
    cells = build_cells(model.cell, 2 * width if model.input_feeding else width, hidden, model.decoder_layers)
    return encoder, LuongDecoder(
        target,
        cells,
        cross,
        memory_size=hidden,
        dropout=model.dropout,
        tie_embeddings=model.tie_embeddings,
        input_feeding=model.input_feeding,
    )
