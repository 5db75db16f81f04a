"""What the decoder of every family is: the contract that training and search rely on, and the shared output layer.

A decoder looks at an `Encoded` source. `features` runs over a whole target at once (teacher forcing). `start` and
`step` go token by token with an explicit state, and must give the same. Both hand on what was attended to.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn

from attentio.attention import Attended, Attention, Memory
from attentio.attention.memory import repeated
from attentio.attention.score import OutOfReach
from attentio.errors import UsageError
from attentio.model.fast.linear import linear, pack
from attentio.model.layers import TokenEmbedding
from attentio.model.lexicon import mixed
from attentio.model.settings import AttentionConfig, SelfAttentionConfig

AttendedByName: TypeAlias = Mapping[str, Attended]
NOTHING: AttendedByName = MappingProxyType({})


class Encoded(NamedTuple):
    """A batch of encoded sources.

    states: (B, S, K) what attention compares queries with.
    mask: (B, S), True at real tokens.
    values: (B, S, V) what attention sums up, or None for the states themselves.
    summary: (B, H) the whole sentence, where the encoder makes one.
    attended: what the encoder's self-attention attended to, "encoder self 1" and so on.
    lexicon: what is known of the source tokens, where a lexicon joins in.
    """

    states: Tensor
    mask: Tensor
    values: Tensor | None = None
    summary: Tensor | None = None
    attended: AttendedByName = NOTHING
    lexicon: Memory | None = None

    def select(self, indices: Tensor) -> "Encoded":
        """Return the rows `indices` of the batch, without what was attended to."""
        parts: list[Any] = [part if part is None else part.index_select(0, indices) for part in self[:4]]
        return Encoded(*parts, lexicon=None if self.lexicon is None else self.lexicon.select(indices))


class Carried(Protocol):
    """What changes with every token, one row per sentence or hypothesis."""

    def select(self, indices: Tensor) -> Self:
        """Return the rows `indices`, in that order."""
        ...


Layer = TypeVar("Layer", bound=Carried)


class State(NamedTuple, Generic[Layer]):
    """What a decoder carries from step to step, one row per sentence or hypothesis. `position` tokens are behind it.

    memories: of the source, one for each attention to it. layers: what changes with every token.
    lexicon: what is known of the source tokens, where a lexicon joins in.
    """

    position: int
    memories: tuple[Memory, ...]
    layers: tuple[Layer, ...]
    lexicon: Memory | None = None

    def select(self, indices: Tensor) -> "State[Layer]":
        """Return the rows `indices`, without those of finished sentences."""
        return self._of_sources(lambda memory: memory.select(indices)).reorder(indices)

    def repeat(self, times: int) -> "State[Layer]":
        """Return each row so many times, side by side: the hypotheses of a beam."""
        rows = repeated(self.memories[0].num_rows, times, self.memories[0].values.device)
        return self._of_sources(lambda memory: memory.repeat(times)).reorder(rows)

    def reorder(self, indices: Tensor) -> "State[Layer]":
        """Return the rows `indices` where every row keeps its sentence, so that the memories stay as they are."""
        return self._replace(layers=tuple(layer.select(indices) for layer in self.layers))

    def _of_sources(self, change: Callable[[Memory], Memory]) -> "State[Layer]":
        lexicon = None if self.lexicon is None else change(self.lexicon)
        return self._replace(memories=tuple(map(change, self.memories)), lexicon=lexicon)


class Features(NamedTuple):
    """What the output layer reads, (B, E) or (B, T, E), and what each attention of the decoder attended to.

    In training a fast kernel without weights may run. Then a name is missing from `attended`, or its weights are
    None. A model built with `backend="with-weights"` never runs one.
    """

    values: Tensor
    attended: AttendedByName


class Step(NamedTuple, Generic[Layer]):
    """One step of a decoder: logits (B, V), the next state, and what each attention of the decoder attended to.

    In `attended`, "attention" or "layer 1", "layer 2", ... look at the source. "decoder self 1", ... look at the target
    so far. Weights are (B, H, 1, S). Those of self-attention may be longer than the target, with zeros there.
    """

    logits: Tensor
    state: State[Layer]
    attended: AttendedByName


@contextmanager
def within_reach() -> Generator[None]:
    """Raise UsageError where a sentence is longer than a score reaches."""
    try:
        yield
    except OutOfReach as error:
        raise UsageError(f"{error}.", hint="Give shorter sentences, or limit translations with --max-length.") from None


class FeaturesByKey(NamedTuple):
    """Teacher forcing that leaves open which key is looked at, for a hard normalizer with one head.

    attended: the log-weights (B, 1, T, S) of the one attention. added: (B, 1, S, E), what the value of each key adds.
    features: the function from (B, T, K, E), what K keys add, to the features (B, T, K, E) that each would give.
    """

    attended: AttendedByName
    added: Tensor
    features: Callable[[Tensor], Tensor]


class Decoder(nn.Module, ABC, Generic[Layer]):
    """Embedding below, output layer above. Families say what stands between.

    `context_feeds_back`: whether the context of one step reaches later ones. If not, a choice of hard attention
    answers for its own token only.
    """

    context_feeds_back: bool

    def __init__(self, embedding: TokenEmbedding, *, tie_embeddings: bool) -> None:
        super().__init__()
        self.embedding = embedding
        vocab_size, width = embedding.table.shape
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.output = embedding.table if tie_embeddings else nn.Parameter(torch.randn(vocab_size, width) * width**-0.5)
        self.packed_output: Tensor | None = None

    @abstractmethod
    def cross_attention(self) -> dict[str, Attention]:
        """Return the layers that look at the source, by name, lowest first."""

    @abstractmethod
    def start(self, encoded: Encoded) -> State[Layer]:
        """Return the state before the first token. The keys of the source are projected here, once per sentence."""

    @abstractmethod
    def features_step(self, tokens: Tensor, state: State[Layer]) -> tuple[Features, State[Layer]]:
        """Return the features (B, E) of tokens (B,), and the next state."""

    @abstractmethod
    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        """Return the features (B, T, E) of a whole target (B, T) that starts with bos (teacher forcing)."""

    @property
    def can_marginalize(self) -> bool:
        """Whether `features_by_key` is there: a token's features depend on the key chosen for it and no other."""
        return False

    def features_by_key(self, tokens: Tensor, encoded: Encoded) -> FeaturesByKey:
        """Return the features of tokens (B, T) for each key by itself. Only where `can_marginalize`."""
        raise NotImplementedError("a choice of this decoder has a say in later tokens")

    def step(self, tokens: Tensor, state: State[Layer]) -> Step[Layer]:
        """Return the logits (B, V) after tokens (B,), the next state, and what was attended to."""
        with within_reach():
            features, after = self.features_step(tokens, state)
        logits = self.logits(tokens[:, None], Features(features.values[:, None], features.attended), state.lexicon)
        return Step(logits[:, 0], after, features.attended)

    def forward(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """Return the logits (B, T, V) of a whole target (B, T) that starts with bos (teacher forcing)."""
        with within_reach():
            features = self.features(tokens, encoded)
        return self.logits(tokens, features, encoded.lexicon)

    def pack(self) -> None:
        """Lay the output layer out for weights that change no more, see `linear.pack`."""
        self.packed_output = pack(self.output)

    def project(self, features: Tensor) -> Tensor:
        """Return the logits (..., V) of features (..., E), without a lexicon."""
        return linear(features, self.output, self.bias, self.packed_output)

    def logits(self, tokens: Tensor, features: Features, lexicon: Memory | None) -> Tensor:
        """Return the logits (B, T, V) after tokens (B, T), of features (B, T, E) and what was attended to.

        With a lexicon they are logarithms of probabilities.
        """
        logits = self.project(features.values)
        if lexicon is None:
            return logits
        last = features.attended[[*self.cross_attention()][-1]]
        assert last.weights is not None, "a kernel without weights runs in training only"
        return mixed(logits, lexicon, last.weights, tokens)


class LayeredDecoder(Decoder[Layer]):
    """A stack of `layers` that each look at the source. A step is a target of length one.

    A layer offers `source_attention`, `start(encoded)`, which returns its memory of the source and what it carries, and
    `forward(states, embedded, memory, carried)`. This returns states, what it attended to in the source and, or None,
    in the target, and what it carries on.
    """

    layers: nn.ModuleList

    @abstractmethod
    def embed(self, tokens: Tensor, position: int) -> tuple[Tensor, Tensor]:
        """Return what the lowest layer reads (B, T, H) of tokens (B, T), the first at `position`, and embeddings."""

    @abstractmethod
    def head(self, states: Tensor) -> Tensor:
        """Return the features (B, T, E) of what the highest layer gives, (B, T, H)."""

    def cross_attention(self) -> dict[str, Attention]:
        return {f"layer {n}": cast(Any, layer).source_attention for n, layer in enumerate(self.layers, 1)}

    def start(self, encoded: Encoded) -> State[Layer]:
        memories, layers = zip(*(cast(Any, layer).start(encoded) for layer in self.layers), strict=True)
        return State(0, memories, layers, encoded.lexicon)

    def features_step(self, tokens: Tensor, state: State[Layer]) -> tuple[Features, State[Layer]]:
        (values, attended), state = self._run(tokens[:, None], state)
        return Features(values[:, 0], attended), state

    def features(self, tokens: Tensor, encoded: Encoded) -> Features:
        return self._run(tokens, self.start(encoded))[0]

    def _run(self, tokens: Tensor, state: State[Layer]) -> tuple[Features, State[Layer]]:
        states, embedded = self.embed(tokens, state.position)
        across: dict[str, Attended] = {}
        back: dict[str, Attended] = {}
        after: list[Layer] = []
        for n, (layer, memory, carried) in enumerate(zip(self.layers, state.memories, state.layers, strict=True), 1):
            states, across[f"layer {n}"], to_target, carried = layer(states, embedded, memory, carried)
            if to_target is not None:
                back[f"decoder self {n}"] = to_target
            after.append(carried)
        following = state._replace(position=state.position + tokens.shape[1], layers=tuple(after))
        return Features(self.head(states), across | back), following


class Surroundings(NamedTuple):
    """What the builder of a family is given beside the settings of the family."""

    attention: AttentionConfig
    self_attention: SelfAttentionConfig
    source: TokenEmbedding
    target: TokenEmbedding
    backend: str

    def cross(self, size: int) -> Attention:
        """Build an attention to the source with queries, keys and values of `size`."""
        return build_attention("attention", self.attention, size, backend=self.backend)


def build_attention(section: str, settings: AttentionConfig, size: int, **others: Any) -> Attention:
    """Build the attention of a configuration. Raises UsageError, with the section, where its parts do not fit."""
    try:
        return Attention(size, size, **(dict(settings) | others))
    except ValueError as error:
        raise UsageError(f"{section}: {error}") from None
