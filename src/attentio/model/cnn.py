"""Convolutional encoder and decoder with attention in every decoder layer (Gehring 2017).

Sections and equations are those of "Convolutional Sequence to Sequence Learning" (ICML 2017). A layer is a convolution
over k positions and a gate, with a residual connection. The same code runs over a whole target and over one token. A
step is a target of length one whose convolutions remember the k - 1 inputs before it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from attentio.attention import Attended, Attention, AttentionState, Memory, merge_heads
from attentio.attention.memory import repeated
from attentio.errors import UsageError
from attentio.model.decoder import Decoder, Encoded, Features, LayeredState, Surroundings, build_attention
from attentio.model.fast.linear import Linear
from attentio.model.layers import Dropout, Learned, TokenEmbedding
from attentio.model.settings import CNNConfig

HALF = math.sqrt(0.5)  # keeps the variance of a sum of two (section 3.4)


class LayerState(NamedTuple):
    """What one decoder layer carries: the source, where it attends, and its last k - 1 inputs (B, k - 1, H)."""

    memory: Memory
    attention: AttentionState
    inputs: Tensor

    def select(self, indices: Tensor) -> "LayerState":
        """Return the rows `indices`."""
        return self._replace(memory=self.memory.select(indices)).reorder(indices)

    def repeat(self, times: int) -> "LayerState":
        """Return each row so many times, side by side."""
        rows = repeated(self.memory.num_rows, times, self.memory.values.device)
        return self._replace(memory=self.memory.repeat(times)).reorder(rows)

    def reorder(self, indices: Tensor) -> "LayerState":
        """Return the rows `indices` where every row keeps its sentence."""
        return self._replace(attention=self.attention.select(indices), inputs=self.inputs.index_select(0, indices))


CNNState: TypeAlias = LayeredState[LayerState]


class GatedConvolution(nn.Module):
    """Compute a * sigmoid(b), `[a; b] = W [x_1; ...; x_k] + b_w`, over every k positions (section 3.2)."""

    def __init__(self, size: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dropout = Dropout(dropout)
        self.linear = _linear(kernel_size * size, 2 * size, retained=1 - dropout, gated=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, T, H) for inputs (B, T + k - 1, H)."""
        inputs = self.dropout(inputs)
        length = inputs.shape[1] - self.kernel_size + 1
        # One matrix product of shifted copies: on a CPU in bfloat16 half as long as torch's convolution.
        windows = torch.cat([inputs[:, first : first + length] for first in range(self.kernel_size)], dim=-1)
        return F.glu(self.linear(windows), dim=-1)


class EncoderLayer(nn.Module):
    """(x + v(x)) sqrt(1/2), v a gated convolution that looks to both sides."""

    def __init__(self, convolution: GatedConvolution) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, states: Tensor, padding: Tensor) -> Tensor:
        """Return (B, S, H) for states (B, S, H) and padding (B, S, 1), True where nothing stands."""
        side = self.convolution.kernel_size // 2
        inputs = F.pad(states.masked_fill(padding, 0), (0, 0, side, side))
        return (states + self.convolution(inputs)) * HALF


class CNNEncoder(nn.Module):
    """Words and their places through a stack of convolutions. Attention compares z and sums up z + e (section 3.3).

    The gradient that reaches z is divided by twice the number of attention layers, 2 for its two uses, keys and values.
    The embeddings in the values have theirs whole (section 3.4).
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        positions: Learned,
        layers: Sequence[EncoderLayer],
        *,
        hidden_size: int,
        num_attentions: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.positions = positions
        width = embedding.table.shape[1]
        self.to_hidden = _linear(width, hidden_size, retained=1 - dropout)
        self.layers = nn.ModuleList(layers)
        self.to_width = _linear(hidden_size, width)
        self.gradient_scale = 1 / (2 * num_attentions)

    def forward(self, source: Tensor, lengths: Tensor) -> Encoded:
        """Return the encoded source (B, S), with lengths (B,). Padding changes nothing at real positions."""
        mask = torch.arange(source.shape[1], device=source.device) < lengths[:, None]
        padding = ~mask[:, :, None]
        embedded = _embed(self.embedding, self.positions, source, 0)
        states = self.to_hidden(embedded)
        for layer in self.layers:
            states = layer(states, padding)
        keys = self.to_width(states)
        if keys.requires_grad:
            keys.register_hook(self._scaled)
        return Encoded(keys, mask, values=(keys + embedded) * HALF)

    def _scaled(self, gradient: Tensor | None) -> Tensor | None:
        return None if gradient is None else gradient * self.gradient_scale  # None: hard keys may have none


class DecoderLayer(nn.Module):
    """A convolution over the past, and attention that is asked with what it gives and the word itself (section 3.3)."""

    def __init__(self, convolution: GatedConvolution, attention: Attention, *, width: int, hidden_size: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.attention = attention
        self.query = _linear(hidden_size, width)
        self.context = _linear(width, hidden_size)

    def start(self, encoded: Encoded) -> LayerState:
        """Return the state before the first token. Before it stand zeros."""
        memory = self.attention.prepare(encoded.states, encoded.values, encoded.mask)
        inputs = encoded.states.new_zeros(
            encoded.states.shape[0], self.convolution.kernel_size - 1, self.query.in_features
        )
        return LayerState(memory, self.attention.start(memory), inputs)

    def forward(self, states: Tensor, embedded: Tensor, state: LayerState) -> tuple[Tensor, Attended, LayerState]:
        """Return (B, T, H) for states (B, T, H) and embedded (B, T, E) of T tokens, and the state after them."""
        inputs = torch.cat([state.inputs, states], dim=1)
        hidden = self.convolution(inputs)
        query = (self.query(hidden) + embedded) * HALF  # eq. 1
        attended = self.attention(query, state.memory, state=state.attention)
        context = merge_heads(attended.context).to(hidden.dtype)
        hidden = (hidden + self.context(context)) * HALF
        after = LayerState(state.memory, attended.state, inputs[:, states.shape[1] :])
        return (states + hidden) * HALF, attended, after


@final
class CNNDecoder(Decoder[CNNState]):
    """Words and their places through a stack of convolutions that each look at the source."""

    def __init__(
        self,
        embedding: TokenEmbedding,
        positions: Learned,
        layers: Sequence[DecoderLayer],
        *,
        hidden_size: int,
        dropout: float,
        tie_embeddings: bool,
    ) -> None:
        super().__init__(embedding, tie_embeddings=tie_embeddings)
        self.positions = positions
        width = embedding.table.shape[1]
        self.to_hidden = _linear(width, hidden_size, retained=1 - dropout)
        self.layers = nn.ModuleList(layers)
        self.to_width = _linear(hidden_size, width)
        self.dropout = Dropout(dropout)
        # The context of a layer reaches later tokens by the convolution of the layer above it.
        self.context_feeds_back = len(layers) > 1

    def cross_attention(self) -> dict[str, Attention]:
        """Return the attention of each layer, lowest first."""
        layers = cast("list[DecoderLayer]", self.layers)
        return {f"layer {n}": layer.attention for n, layer in enumerate(layers, 1)}

    def start(self, encoded: Encoded) -> CNNState:
        """Return the state before the first token. The keys are prepared here, once per sentence and layer.

        A mean of m vectors has 1/m of their variance. So contexts grow by sqrt(m) for a source of length m (section
        3.4). Here the values do, once per sentence.
        """
        assert encoded.values is not None
        growth = encoded.mask.sum(-1).to(encoded.values.dtype).sqrt()
        encoded = encoded._replace(values=encoded.values * growth[:, None, None])
        return LayeredState(0, tuple(cast(DecoderLayer, layer).start(encoded) for layer in self.layers))

    def features_step(self, tokens: Tensor, state: CNNState) -> tuple[Features, CNNState]:
        """Return the features (B, E) of tokens (B,), and the next state."""
        (values, attended), state = self._run(tokens[:, None], state)
        return Features(values[:, 0], attended), state

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        """Return the features (B, T, E) of a whole target (B, T) that starts with bos (teacher forcing)."""
        return self._run(tokens, self.start(encoded))[0]

    def _run(self, tokens: Tensor, state: CNNState) -> tuple[Features, CNNState]:
        embedded = _embed(self.embedding, self.positions, tokens, state.position)
        states = self.to_hidden(embedded)
        attended: dict[str, Attended] = {}
        after: list[LayerState] = []
        for n, (layer, layer_state) in enumerate(zip(self.layers, state.layers, strict=True), 1):
            states, attended[f"layer {n}"], layer_state = layer(states, embedded, layer_state)
            after.append(layer_state)
        features = Features(self.dropout(self.to_width(states)), attended)
        return features, LayeredState(state.position + tokens.shape[1], tuple(after))


def build_cnn(model: CNNConfig, around: Surroundings) -> tuple[CNNEncoder, CNNDecoder]:
    """Build the encoder and decoder of a configuration. Raises UsageError where its parts do not go together."""
    width, hidden, attention = model.embedding_size, model.hidden_size, around.attention
    if model.kernel_size % 2 == 0:
        raise UsageError(
            f"model.kernel_size = {model.kernel_size} must be odd: the encoder looks as far to the left as to the "
            "right of each word."
        )
    if width % attention.num_heads:
        raise UsageError(
            f"model.embedding_size = {width}, in which attention compares, must be divisible by "
            f"attention.num_heads = {attention.num_heads}."
        )

    def convolution() -> GatedConvolution:
        return GatedConvolution(hidden, model.kernel_size, model.dropout)

    def decoder_layer() -> DecoderLayer:
        cross = build_attention(attention, width, width, backend=around.backend)
        return DecoderLayer(convolution(), cross, width=width, hidden_size=hidden)

    encoder = CNNEncoder(
        around.source,
        Learned(width, model.max_positions),
        [EncoderLayer(convolution()) for _ in range(model.encoder_layers)],
        hidden_size=hidden,
        num_attentions=model.decoder_layers,
        dropout=model.dropout,
    )
    decoder = CNNDecoder(
        around.target,
        Learned(width, model.max_positions),
        [decoder_layer() for _ in range(model.decoder_layers)],
        hidden_size=hidden,
        dropout=model.dropout,
        tie_embeddings=model.tie_embeddings,
    )
    return encoder, decoder


def _embed(embedding: TokenEmbedding, positions: Learned, tokens: Tensor, start: int) -> Tensor:
    """Return words plus places, (B, T, E), with dropout, for tokens (B, T), the first at `start` (section 3.1).

    Words have at first a standard deviation of E^(-1/4), not the 0.1 of section 3.5. The dot product of a query and a
    key then has unit variance, whatever E.
    """
    words = embedding.words(tokens) * embedding.table.shape[1] ** 0.25
    return embedding.dropout(words + positions(start, tokens.shape[1]))


def _linear(in_size: int, out_size: int, *, retained: float = 1.0, gated: bool = False) -> Linear:
    """Build a weight-normalized linear map (Salimans 2016) that at first keeps its input's variance (section 3.5).

    `retained` is the share of the input that dropout keeps. A gate halves what passes: `gated` gives it twice as much.
    """
    linear = Linear(in_size, out_size)
    nn.init.normal_(linear.weight, std=math.sqrt((4 if gated else 1) * retained / in_size))
    nn.init.zeros_(cast(Tensor, linear.bias))
    return cast(Linear, weight_norm(linear))
