"""Convolutional encoder and decoder with attention in every decoder layer (Gehring 2017).

Sections and equations are those of "Convolutional Sequence to Sequence Learning" (ICML 2017). A layer is a convolution
over k positions and a gate, with a residual connection. The same code runs over a whole target and over one token. A
step is a target of length one whose convolutions remember the k - 1 inputs before it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from attentio.attention import Attended, Attention, AttentionState, Memory, merge_heads
from attentio.errors import UsageError
from attentio.model.decoder import Encoded, LayeredDecoder, Surroundings
from attentio.model.fast.linear import Linear
from attentio.model.layers import Dropout, Learned, TokenEmbedding
from attentio.model.settings import CNNConfig

HALF = math.sqrt(0.5)  # keeps the variance of a sum of two (section 3.4)


class Carried(NamedTuple):
    """What one decoder layer carries: where it attends, and its last k - 1 inputs (B, k - 1, H)."""

    attention: AttentionState
    inputs: Tensor

    def select(self, indices: Tensor) -> "Carried":
        """Return the rows `indices`."""
        return Carried(self.attention.select(indices), self.inputs.index_select(0, indices))


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

    A mean of m vectors has 1/m of their variance. So contexts grow by sqrt(m) for a source of length m (section 3.4).
    Here the values do, once per sentence.
    The gradient that reaches z is divided by twice the number of attention layers, 2 for its two uses, keys and values.
    The embeddings in the values have theirs whole (section 3.4).
    """

    def __init__(self, model: CNNConfig, embedding: TokenEmbedding) -> None:
        super().__init__()
        width, hidden = model.embedding_size, model.hidden_size
        self.embedding = embedding
        self.positions = Learned(width, model.max_positions)
        layers = [EncoderLayer(_convolution(model)) for _ in range(model.encoder_layers)]
        self.to_hidden = _linear(width, hidden, retained=1 - model.dropout)
        self.layers = nn.ModuleList(layers)
        self.to_width = _linear(hidden, width)
        self.gradient_scale = 1 / (2 * model.decoder_layers)

    def forward(self, source: Tensor, lengths: Tensor) -> Encoded:
        """Return the encoded source (B, S), with lengths (B,). Padding changes nothing at real positions."""
        mask = torch.arange(source.shape[1], device=source.device) < lengths[:, None]
        padding = ~mask[:, :, None]
        embedded = _embed(self.embedding, self.positions, source, 0)
        states = self.to_hidden(embedded)
        for layer in self.layers:
            states = layer(states, padding)
        keys = self.to_width(states)
        if self.training and keys.requires_grad:
            keys.register_hook(self._scaled)
        values = (keys + embedded) * HALF
        return Encoded(keys, mask, values=values * mask.sum(-1).to(values.dtype).sqrt()[:, None, None])

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

    @property
    def source_attention(self) -> Attention:
        return self.attention

    def start(self, encoded: Encoded) -> tuple[Memory, Carried]:
        """Return the memory of the source, and what is carried before the first token: zeros."""
        memory = self.attention.prepare(encoded.states, encoded.values, encoded.mask)
        size = encoded.states.shape[0], self.convolution.kernel_size - 1, self.query.in_features
        return memory, Carried(self.attention.start(memory), encoded.states.new_zeros(size))

    def forward(
        self, states: Tensor, embedded: Tensor, memory: Memory, carried: Carried
    ) -> tuple[Tensor, Attended, None, Carried]:
        """Return (B, T, H) for states (B, T, H) and embedded (B, T, E) of T tokens, what they saw, what is carried."""
        inputs = torch.cat([carried.inputs, states], dim=1)
        hidden = self.convolution(inputs)
        query = (self.query(hidden) + embedded) * HALF  # eq. 1
        attended = self.attention(query, memory, state=carried.attention)
        context = merge_heads(attended.context).to(hidden.dtype)
        hidden = (hidden + self.context(context)) * HALF
        after = Carried(attended.state, inputs[:, states.shape[1] :])
        return (states + hidden) * HALF, attended, None, after


@final
class CNNDecoder(LayeredDecoder[Carried]):
    """Words and their places through a stack of convolutions that each look at the source."""

    def __init__(
        self, model: CNNConfig, embedding: TokenEmbedding, positions: Learned, layers: Sequence[DecoderLayer]
    ) -> None:
        super().__init__(embedding, tie_embeddings=model.tie_embeddings)
        self.positions = positions
        self.to_hidden = _linear(model.embedding_size, model.hidden_size, retained=1 - model.dropout)
        self.layers = nn.ModuleList(layers)
        self.to_width = _linear(model.hidden_size, model.embedding_size)
        self.dropout = Dropout(model.dropout)
        # The context of a layer reaches later tokens by the convolution of the layer above it.
        self.context_feeds_back = len(layers) > 1

    def embed(self, tokens: Tensor, position: int) -> tuple[Tensor, Tensor]:
        embedded = _embed(self.embedding, self.positions, tokens, position)
        return self.to_hidden(embedded), embedded

    def head(self, states: Tensor) -> Tensor:
        return self.dropout(self.to_width(states))


def build(model: CNNConfig, around: Surroundings) -> tuple[CNNEncoder, CNNDecoder]:
    """Build the encoder and decoder of a configuration. Raises UsageError where its parts do not go together."""
    width, heads = model.embedding_size, around.attention.num_heads
    if model.kernel_size % 2 == 0:
        raise UsageError(
            f"model.kernel_size = {model.kernel_size} must be odd: the encoder looks as far to the left as to the "
            "right of each word."
        )
    if width % heads:
        raise UsageError(
            f"model.embedding_size = {width}, in which attention compares, must be divisible by "
            f"attention.num_heads = {heads}."
        )

    def layer() -> DecoderLayer:
        cross = around.cross(width)
        return DecoderLayer(_convolution(model), cross, width=width, hidden_size=model.hidden_size)

    encoder, positions = CNNEncoder(model, around.source), Learned(width, model.max_positions)
    return encoder, CNNDecoder(model, around.target, positions, [layer() for _ in range(model.decoder_layers)])


def _convolution(model: CNNConfig) -> GatedConvolution:
    return GatedConvolution(model.hidden_size, model.kernel_size, model.dropout)


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
