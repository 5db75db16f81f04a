"""Transformer: self-attentive encoder and decoder (Vaswani 2017), with any attention in place of the scaled dot.

A layer is a chain of parts: self-attention, in the decoder cross-attention, and feed-forward. Each has a residual
connection, and a layer normalization before it (pre-norm) or after the sum (post-norm). The same code runs over a whole
target and over one token. A step is a target of length one whose self-attention remembers the tokens before it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention import (
    WINDOWS,
    Attended,
    Attention,
    AttentionState,
    GrowingMemory,
    Memory,
    Window,
    combine_windows,
    merge_heads,
)
from attentio.attention.score import OutOfReach
from attentio.errors import UsageError
from attentio.model.decoder import Encoded, LayeredDecoder, Surroundings, build_attention
from attentio.model.fast.linear import Linear
from attentio.model.layers import Dropout, LayerNorm, Learned, Positions, Rotary, Sinusoidal, TokenEmbedding
from attentio.model.settings import SelfAttentionConfig, TransformerConfig


class Carried(NamedTuple):
    """What one decoder layer carries: keys and values of the target so far, and where it attends in the source."""

    target: GrowingMemory
    attention: AttentionState

    def select(self, indices: Tensor) -> "Carried":
        """Return the rows `indices`."""
        return Carried(self.target.select(indices), self.attention.select(indices))


class SelfAttention(nn.Module):
    """Attention of a sentence to itself between learned projections (Vaswani 2017, section 3.2.2)."""

    def __init__(self, attention: Attention, size: int, rotary: Rotary | None) -> None:
        super().__init__()
        self.attention = attention
        self.rotary = rotary
        self.query_key_value = _linear(size, size, size, size)
        self.output = _linear(size, size)

    def start(self, like: Tensor) -> GrowingMemory:
        """Return a memory of no positions for states like `like` (B, T, H)."""
        nothing = like[:, :0]
        return GrowingMemory.of(self.attention.prepare(nothing, nothing))

    def forward(
        self, states: Tensor, before: GrowingMemory | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Attended, GrowingMemory]:
        """Return (B, T, H) for states (B, T, H) that stand after `before`, and the memory of all."""
        position = 0 if before is None else before.length
        query, key, value = self.query_key_value(states).chunk(3, dim=-1)
        if self.rotary is not None:
            query, key = self.rotary(query, position), self.rotary(key, position)
        memory = self.attention.prepare(key, value, mask)
        grown = GrowingMemory.of(memory) if before is None else before.extend(memory)
        try:
            attended = self.attention(query, grown.memory, state=AttentionState(position))
        except OutOfReach:  # of what is written, or only of the room behind it
            if before is None:
                raise
            attended = self.attention(query, grown.without_room(), state=AttentionState(position))
        return self.output(merge_heads(attended.context).to(states.dtype)), attended, grown


class CrossAttention(nn.Module):
    """Attention of the target to the source between learned projections (Vaswani 2017, section 3.2.3)."""

    def __init__(self, attention: Attention, size: int) -> None:
        super().__init__()
        self.attention = attention
        self.query = _linear(size, size)
        self.key_value = _linear(size, size, size)
        self.output = _linear(size, size)

    def prepare(self, encoded: Encoded) -> Memory:
        """Return the memory of the source, projected once per sentence."""
        key, value = self.key_value(encoded.states).chunk(2, dim=-1)
        return self.attention.prepare(key, value, encoded.mask)

    def forward(self, states: Tensor, memory: Memory, state: AttentionState) -> tuple[Tensor, Attended]:
        """Return (B, T, H) for states (B, T, H), and what they attended to."""
        attended = self.attention(self.query(states), memory, state=state)
        return self.output(merge_heads(attended.context).to(states.dtype)), attended


class FeedForward(nn.Module):
    """W2 f(W1 x + b1) + b2 (Vaswani 2017, eq. 2), or gated: W2 (silu(W x) * V x) (Shazeer 2020, eq. 6)."""

    def __init__(self, size: int, inner: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.gated = activation == "swiglu"
        self.activation: Callable[[Tensor], Tensor] = ACTIVATIONS[activation]
        self.inner = _linear(size, *[inner] * (2 if self.gated else 1))
        self.output = _linear(inner, size)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """Return (B, T, H) for states (B, T, H)."""
        if self.activation is F.relu:
            return self.output(self.dropout(self.inner.rectified(states)))
        hidden = self.inner(states)
        if self.gated:
            gate, hidden = hidden.chunk(2, dim=-1)
            return self.output(self.dropout(self.activation(gate) * hidden))
        return self.output(self.dropout(self.activation(hidden)))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu, "swiglu": F.silu}


class Residual(nn.Module):
    """Compute x + part(norm(x)), pre-norm, or norm(x + part(x)), post-norm, with dropout on what the part adds."""

    def __init__(self, norm: LayerNorm, dropout: float, *, pre: bool) -> None:
        super().__init__()
        self.norm = norm
        self.dropout = Dropout(dropout)
        self.pre = pre

    def before(self, states: Tensor) -> Tensor:
        """Return what the part is given."""
        return self.norm(states) if self.pre else states

    def after(self, states: Tensor, added: Tensor) -> Tensor:
        """Return what comes out, for what the part `added`."""
        states = states + self.dropout(added)
        return states if self.pre else self.norm(states)


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, self_attn: SelfAttention, feed_forward: FeedForward, residuals: list[Residual]) -> None:
        super().__init__()
        self.self_attn, self.feed_forward = self_attn, feed_forward
        self.self_residual, self.feed_forward_residual = residuals

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Attended]:
        """Return (B, S, H) for states (B, S, H) and mask (B, S), and what they attended to."""
        added, attended, _ = self.self_attn(self.self_residual.before(states), None, mask)
        states = self.self_residual.after(states, added)
        added = self.feed_forward(self.feed_forward_residual.before(states))
        return self.feed_forward_residual.after(states, added), attended


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention, then feed-forward."""

    def __init__(
        self, self_attn: SelfAttention, cross: CrossAttention, feed_forward: FeedForward, residuals: list[Residual]
    ) -> None:
        super().__init__()
        self.self_attn, self.cross, self.feed_forward = self_attn, cross, feed_forward
        self.self_residual, self.cross_residual, self.feed_forward_residual = residuals

    @property
    def source_attention(self) -> Attention:
        return self.cross.attention

    def start(self, encoded: Encoded) -> tuple[Memory, Carried]:
        """Return the memory of the source, and what is carried before the first token."""
        source = self.cross.prepare(encoded)
        return source, Carried(self.self_attn.start(encoded.states), self.cross.attention.start(source))

    def forward(
        self, states: Tensor, _embedded: Tensor, source: Memory, carried: Carried
    ) -> tuple[Tensor, Attended, Attended, Carried]:
        """Return (B, T, H) for states (B, T, H) of T tokens, what they saw in source and target, what is carried."""
        added, to_target, target = self.self_attn(self.self_residual.before(states), carried.target)
        states = self.self_residual.after(states, added)
        added, to_source = self.cross(self.cross_residual.before(states), source, carried.attention)
        states = self.cross_residual.after(states, added)
        added = self.feed_forward(self.feed_forward_residual.before(states))
        states = self.feed_forward_residual.after(states, added)
        return states, to_source, to_target, Carried(target, to_source.state)


class Ends(NamedTuple):
    """What stands around the layers of an encoder or decoder.

    positions: what is added to embeddings, None where queries and keys rotate. scale: what embeddings are multiplied
    by. below, above: normalization of what the lowest layer reads, and of what the highest gives. Or identity.
    """

    positions: Positions | None
    scale: float
    below: nn.Module
    above: nn.Module


class TransformerEncoder(nn.Module):
    """Embeddings with positions through a stack of layers. Pre-norm ends with one more normalization."""

    def __init__(self, embedding: TokenEmbedding, layers: list[EncoderLayer], ends: Ends, *, source_end: bool) -> None:
        super().__init__()
        self.embedding = embedding
        self.unread = 0 if source_end else 1  # tokens at the end of a source that nothing attends to
        self.positions, self.scale, self.embedding_norm, _ = ends
        self.layers = nn.ModuleList(layers)
        self.norm = ends.above

    def forward(self, source: Tensor, lengths: Tensor) -> Encoded:
        """Return the encoded source (B, S), with lengths (B,). Padding changes nothing at real positions."""
        mask = torch.arange(source.shape[1], device=source.device) < lengths[:, None] - self.unread
        states = _embed(self, source, 0)
        attended: dict[str, Attended] = {}
        for n, layer in enumerate(self.layers, 1):
            states, attended[f"encoder self {n}"] = layer(states, mask)
        return Encoded(self.norm(states), mask, attended=attended)


@final
class TransformerDecoder(LayeredDecoder[Carried]):
    """A stack of layers that look back at the target and across at the source."""

    def __init__(
        self,
        model: TransformerConfig,
        embedding: TokenEmbedding,
        layers: list[DecoderLayer],
        ends: Ends,
    ) -> None:
        super().__init__(embedding, tie_embeddings=model.tie_embeddings)
        self.positions, self.scale, self.embedding_norm, _ = ends
        self.layers = nn.ModuleList(layers)
        self.norm = ends.above
        # The context of a layer reaches later tokens by the self-attention of the layer above it.
        self.context_feeds_back = len(layers) > 1

    def embed(self, tokens: Tensor, position: int) -> tuple[Tensor, Tensor]:
        states = _embed(self, tokens, position)
        return states, states

    def head(self, states: Tensor) -> Tensor:
        return self.norm(states)


def build(model: TransformerConfig, around: Surroundings) -> tuple[TransformerEncoder, TransformerDecoder]:
    """Build the encoder and decoder of a configuration. Raises UsageError where its parts do not go together."""
    self_attention, size, pre = around.self_attention, model.hidden_size, model.norm == "pre"
    for section, heads in (("attention", around.attention.num_heads), ("self_attention", self_attention.num_heads)):
        if size % heads:
            raise UsageError(f"model.hidden_size = {size} must be divisible by {section}.num_heads = {heads}.")
    if (rotate := model.positions == "rotary") and size // self_attention.num_heads % 2:
        raise UsageError("model.positions = 'rotary' turns pairs of numbers: heads of self_attention must be even.")
    rotary = Rotary(self_attention.num_heads) if rotate else None

    def self_attn(window: str | Callable[[int, int], Window]) -> SelfAttention:
        return SelfAttention(_self_attention(self_attention, size, window), size, rotary)

    def feed_forward() -> FeedForward:
        return FeedForward(size, model.feed_forward_size, model.activation, model.dropout)

    def norm() -> LayerNorm:
        return LayerNorm(size, eps=model.norm_epsilon)

    def residuals(count: int) -> list[Residual]:
        return [Residual(norm(), model.dropout, pre=pre) for _ in range(count)]

    def ends() -> Ends:
        below = norm() if model.embedding_norm else nn.Identity()
        scale = math.sqrt(size) if model.scale_embeddings else 1.0
        return Ends(_positions(model), scale, below, norm() if pre else nn.Identity())

    window = self_attention.window
    below = [EncoderLayer(self_attn(window), feed_forward(), residuals(2)) for _ in range(model.encoder_layers)]
    above = [
        DecoderLayer(self_attn(_causal(window)), CrossAttention(around.cross(size), size), feed_forward(), residuals(3))
        for _ in range(model.decoder_layers)
    ]
    encoder = TransformerEncoder(around.source, below, ends(), source_end=model.source_end)
    target = _shared(around.source, around.target) if model.share_embeddings else around.target
    return encoder, TransformerDecoder(model, target, above, ends())


def _positions(model: TransformerConfig) -> Positions | None:
    if model.first_position and not model.positions.startswith("sinusoidal"):
        raise UsageError(f"model.first_position is about sinusoids, and model.positions = {model.positions!r}.")
    if model.positions == "rotary":
        return None
    if model.positions == "learned":
        return Learned(model.hidden_size, model.max_positions)
    return Sinusoidal(model.hidden_size, model.max_positions, kind=model.positions, first=model.first_position)


def _shared(source: TokenEmbedding, target: TokenEmbedding) -> TokenEmbedding:
    """Return the embedding of the target with the table of the source."""
    sizes = len(source.table), len(target.table)
    if sizes[0] != sizes[1]:
        raise UsageError(
            f"model.share_embeddings needs one vocabulary for both sides, and these have {sizes[0]:,} and {sizes[1]:,} "
            "tokens."
        )
    target.table = source.table
    return target


def _self_attention(settings: SelfAttentionConfig, size: int, window: str | Callable[[int, int], Window]) -> Attention:
    attention = build_attention("self_attention", settings, size, window=window)
    if attention.score.history is not None or attention.normalize.is_monotonic:
        raise UsageError(
            f"self_attention: {settings.score}, {settings.normalize} goes along a source that stands still. The "
            "sentence a decoder writes grows as it looks.",
            hint="Take it as `attention`, the one that looks at the source.",
        )
    if attention.normalize.objective != "cross_entropy":
        raise UsageError(
            f"self_attention: {settings.normalize} has its objective for the attention to the source only.",
            hint="hard_straight_through needs none.",
        )
    return attention


def _causal(window: str) -> str | Callable[[int, int], Window]:
    if window in ("full", "causal"):
        return "causal"
    return combine_windows(WINDOWS["causal"], WINDOWS.choose(window))


def _embed(side: TransformerEncoder | TransformerDecoder, tokens: Tensor, start: int) -> Tensor:
    """Return states (B, T, H) of unit variance, with positions, for tokens (B, T), the first at `start`.

    (Vaswani 2017, section 3.4.)

    Under autocast in its half precision: the sums of all layers follow from there, and nothing is copied to and fro.
    """
    states = side.embedding(tokens) * side.scale
    if side.positions is not None:
        states = states + side.positions(start, tokens.shape[1])
    states = side.embedding_norm(states)
    kind = states.device.type
    return states.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else states


def _linear(in_size: int, *out_sizes: int) -> Linear:
    """Build one linear map to several outputs side by side, each initialized for itself (Glorot 2010)."""
    linear = Linear(in_size, sum(out_sizes))
    for weight in linear.weight.split(out_sizes):
        nn.init.xavier_uniform_(weight)
    nn.init.zeros_(cast(Tensor, linear.bias))
    return linear
