"""Attention: score, window and normalizer put together, over heads. Mask, weighted sum and dropout exist here, once.

    memory = attention.prepare(keys, values, mask)       # once per sentence
    attended = attention(query, memory)                  # all queries at once
    state = attention.start(memory)                      # or one by one
    attended, state = attention.step(query, memory, state)

B batch, H heads, T queries, S keys: always four axes, also when T = 1 or H = 1.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.heads import split_heads
from attentio.attention.mask import combine
from attentio.attention.memory import Memory
from attentio.attention.normalize import NORMALIZERS, Normalizer
from attentio.attention.score import SCORES, Score
from attentio.attention.window import WINDOWS, Window

Kind = TypeVar("Kind")


class AttentionState(NamedTuple):
    """Where the next query stands, and what the kinds that depend on their own past remember."""

    position: int
    score_past: Tensor | None = None
    normalizer_past: Tensor | None = None

    def select(self, indices: Tensor) -> "AttentionState":
        """The rows `indices` of the batch."""
        pasts = (None if past is None else past.index_select(0, indices) for past in self[1:])
        return AttentionState(self.position, *pasts)


class Attended(NamedTuple):
    """What attention gives: the context, the weights it was summed with, what an objective or the next step needs."""

    context: Tensor  # (B, H, T, V)
    weights: (
        Tensor | None
    )  # (B, H, T, S) before dropout, exactly 0 where masked; None where a kernel without weights ran
    state: AttentionState  # after the last query
    log_weights: Tensor | None = None  # (B, H, T, S) hard kinds: log of the distribution that was chosen from


class Attention(nn.Module):
    """Attends with any score, normalizer and window; sizes are totals, cut evenly into `num_heads` slices.

    `score`, `normalize` and `window` are names (`SCORES`, `NORMALIZERS`, `WINDOWS`), or, to set a kind's own options: a
    function of (query_size, key_size, num_heads) for the score, a normalizer, and a function of (query_size, num_heads)
    for the window. `dropout` falls on the weights, in training.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        value_size: int | None = None,
        *,
        score: str | Callable[[int, int, int], Score] = "additive",
        normalize: str | Normalizer = "softmax",
        window: str | Callable[[int, int], Window] = "full",
        num_heads: int = 1,
        dropout: float = 0.0,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        value_size = key_size if value_size is None else value_size
        for what, size in (("query", query_size), ("key", key_size), ("value", value_size)):
            if size % num_heads:
                raise ValueError(f"{what}_size {size} cannot be cut into {num_heads} equal heads")
        score = _look_up("score", score, SCORES) if isinstance(score, str) else score
        window = _look_up("window", window, WINDOWS) if isinstance(window, str) else window
        self.num_heads = num_heads
        self.dropout = dropout
        self.backend = backend
        self.score = score(query_size // num_heads, key_size // num_heads, num_heads)
        self.window = window(query_size // num_heads, num_heads)
        self.normalize = _look_up("normalize", normalize, NORMALIZERS)() if isinstance(normalize, str) else normalize

    def prepare(self, keys: Tensor, values: Tensor | None = None, mask: Tensor | None = None) -> Memory:
        """keys (B, S, K), values (B, S, V) or None for the keys, mask (B, S) -> the memory; projects the keys, once."""
        if mask is not None:  # whatever stands in the padding, NaN included, must not reach anything: 0 * NaN is NaN
            padding = ~mask.unsqueeze(-1)
            keys = keys.masked_fill(padding, 0.0)
            values = values if values is None else values.masked_fill(padding, 0.0)
        raw = split_heads(keys, self.num_heads)
        values = raw if values is None else split_heads(values, self.num_heads)
        return Memory(self.score.prepare(raw), values, mask)

    def start(self, memory: Memory) -> AttentionState:
        """The state before the first query."""
        return AttentionState(0, None, self.normalize.start(memory))

    def forward(
        self, query: Tensor, memory: Memory, *, mask: Tensor | None = None, state: AttentionState | None = None
    ) -> Attended:
        """query (B, T, Q), memory, mask (broadcastable to (B, H, T, S), True = may attend) -> what T queries attend to.

        `state` says where the first query stands and what came before it; without one, it is the first.
        """
        state = self.start(memory) if state is None else state
        query = split_heads(query, self.num_heads)  # (B, H, T, Q)
        span = self.window(query, memory, state.position)
        padding = None if memory.mask is None else memory.mask[:, None, None, :]
        mask = combine(padding, span.mask, mask)

        scores = self.score(query, memory.keys)  # (B, H, T, S)
        if span.bias is not None:
            scores = scores + span.bias
        weights, log_weights, past = self.normalize(scores, mask, state.normalizer_past)
        if span.factor is not None:
            weights = weights * span.factor
        dropped = F.dropout(weights, self.dropout, self.training) if self.dropout else weights
        context = dropped.to(memory.values.dtype) @ memory.values  # (B, H, T, V)
        return Attended(context, weights, AttentionState(state.position + query.size(2), None, past), log_weights)

    def step(self, query: Tensor, memory: Memory, state: AttentionState) -> tuple[Attended, AttentionState]:
        """One query (B, 1, Q) and the state before it -> what it attends to, and the state after it."""
        attended = self(query, memory, state=state)
        return attended, attended.state


def _look_up(axis: str, name: str, registry: dict[str, Kind]) -> Kind:
    if name not in registry:
        raise ValueError(f"{axis} {name!r} is unknown; known are {', '.join(registry)}")
    return registry[name]
