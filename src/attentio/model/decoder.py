"""What every family's decoder is: the contract that training and search rely on, and the output layer they share.

A decoder looks at an `Encoded` source. `features` runs over a whole target at once (teacher forcing); `start` and
`step` go token by token with an explicit state, and must give the same.
"""

from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from attentio.attention import Attention
from attentio.errors import UsageError
from attentio.model.embedding import TokenEmbedding
from attentio.model.fast.linear import linear, pack
from attentio.model.settings import AttentionConfig


class Encoded(NamedTuple):
    """A batch of encoded sources.

    states: (B, S, K) what attention compares queries with. mask: (B, S), True at real tokens. values: (B, S, V) what
    attention sums up; None for the states themselves. summary: (B, H) the whole sentence, where the encoder makes one.
    """

    states: Tensor
    mask: Tensor
    values: Tensor | None = None
    summary: Tensor | None = None

    def select(self, indices: Tensor) -> "Encoded":
        """The rows `indices` of the batch."""
        return Encoded(*(None if part is None else part.index_select(0, indices) for part in self))  # type: ignore[arg-type]


class DecoderState(Protocol):
    """What a decoder carries from step to step, one row per sentence or hypothesis."""

    def select(self, indices: Tensor) -> Self:
        """The rows `indices`: those of finished sentences are left out."""
        ...

    def repeat(self, times: int) -> Self:
        """Each row so many times, side by side: the hypotheses of a beam."""
        ...

    def reorder(self, indices: Tensor) -> Self:
        """The rows `indices` where every row keeps its sentence (a beam's hypotheses): its memory stays as it is."""
        ...


State = TypeVar("State", bound=DecoderState)


class Decoder(nn.Module, ABC, Generic[State]):
    """Embedding below, output layer above; families say what stands between.

    `feeds_back`: whether what was attended to at one step reaches later ones; if not, choices of hard attention answer
    for their own token only.
    """

    feeds_back: bool

    def __init__(self, embedding: TokenEmbedding, *, tie_embeddings: bool) -> None:
        super().__init__()
        self.embedding = embedding
        vocab_size, width = embedding.table.shape
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.output = embedding.table if tie_embeddings else nn.Parameter(torch.randn(vocab_size, width) * width**-0.5)
        self.packed_output: Tensor | None = None

    @abstractmethod
    def cross_attention(self) -> dict[str, Attention]:
        """The layers that look at the source, by name, lowest first."""

    @abstractmethod
    def start(self, encoded: Encoded) -> State:
        """The state before the first token; the keys of the source are projected here, once per sentence."""

    @abstractmethod
    def features_step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """tokens (B,) -> features (B, E) for the output layer, and the next state."""

    @abstractmethod
    def features(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """Teacher forcing: tokens (B, T), starting with bos -> features (B, T, E)."""

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """tokens (B,) -> logits (B, V) of the next token, and the next state."""
        features, state = self.features_step(tokens, state)
        return self.project(features), state

    def forward(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """Teacher forcing: tokens (B, T), starting with bos -> logits (B, T, V)."""
        return self.project(self.features(tokens, encoded))

    def pack(self) -> None:
        """For weights that change no more: see `linear.pack`."""
        self.packed_output = pack(self.output)

    def project(self, features: Tensor) -> Tensor:
        """features (..., E) -> logits (..., V)."""
        return linear(features, self.output, self.bias, self.packed_output)


def build_attention(
    settings: AttentionConfig, query_size: int, key_size: int, value_size: int | None = None, *, backend: str
) -> Attention:
    """The attention that a configuration describes; raises UsageError where its parts do not go together."""
    try:
        return Attention(
            query_size,
            key_size,
            value_size,
            score=settings.score,
            normalize=settings.normalize,
            window=settings.window,
            num_heads=settings.num_heads,
            dropout=settings.dropout,
            backend=backend,
        )
    except ValueError as error:
        raise UsageError(f"attention: {error}") from None
