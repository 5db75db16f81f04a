"""Attention: a score, a window and a normalizer over heads. Mask, weighted sum and dropout exist only here.

    memory = attention.prepare(keys, values, mask)       # once per sentence
    attended = attention(query, memory)                  # all queries at once
    state = attention.start(memory)                      # or one by one
    attended, state = attention.step(query, memory, state)

B batch, H heads, T queries, S keys: always four axes, also when T = 1 or H = 1. An axis may be empty: without keys the
context is zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.kernels.backend import WITH_WEIGHTS, Choice, choose, compute_scores, require_backend, traits_of
from attentio.attention.memory import Memory, widen
from attentio.attention.normalize import Normalizer
from attentio.attention.registry import NORMALIZERS, SCORES, WINDOWS
from attentio.attention.score import InnerProductScore, Paired, Score
from attentio.attention.tensors import at_least_float32, combine, split_heads
from attentio.attention.window import Full, Window


class AttentionState(NamedTuple):
    """The position of the next query, and the histories of kinds that depend on earlier weights."""

    position: int
    score_history: Tensor | None = None
    normalizer_history: Tensor | None = None

    def select(self, indices: Tensor) -> "AttentionState":
        """Return the rows `indices` of the batch."""
        histories = (None if history is None else history.index_select(0, indices) for history in self[1:])
        return AttentionState(self.position, *histories)


class Attended(NamedTuple):
    """The result of attention. `weights` are None where a kernel without weights ran."""

    context: Tensor  # (B, H, T, V)
    weights: Tensor | None  # (B, H, T, S) before dropout, exactly 0 where masked
    state: AttentionState  # after the last query
    log_weights: Tensor | None = None  # (B, H, T, S) log of the distribution that a hard kind chose from


class Attention(nn.Module):
    """Attend with any score, normalizer and window. Sizes are totals, cut evenly into `num_heads` slices.

    score, normalize, window: settings such as "dot" or "local-p:3" (see `registry`).
        Other scores: a class or function of (query_size, key_size, num_heads). Other normalizers: an object.
        Other windows: a class or function of (query_size, num_heads).
    dropout: on the weights, in training. backend: see `kernels.backend`.
    Raises ValueError for sizes, options and combinations that make no sense, with the reason.
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
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout {dropout} must lie between 0 and 1")
        make_score = SCORES.choose(score) if isinstance(score, str) else score
        make_window = WINDOWS.choose(window) if isinstance(window, str) else window
        normalizer = NORMALIZERS.choose(normalize)() if isinstance(normalize, str) else normalize
        sizes = query_size // num_heads, key_size // num_heads, num_heads
        self.sizes = {"query": query_size, "keys": key_size, "values": value_size}
        self.num_heads = num_heads
        self.dropout = dropout
        self.backend = backend
        self.score = make_score(*sizes)
        self.window = make_window(query_size // num_heads, num_heads)
        self.normalize = normalizer
        _require_sense(self.score, self.normalize, self.window, num_heads)
        require_backend(backend, self.score, self.normalize, self.window)
        if normalizer.num_scores == 2:
            self.score = Paired(self.score, make_score(*sizes))

    def prepare(self, keys: Tensor, values: Tensor | None = None, mask: Tensor | None = None) -> Memory:
        """Project keys (B, S, K), and return the memory with values (B, S, V), by default the keys, and mask (B, S)."""
        self._require("keys", keys)
        if values is not None:
            self._require("values", values)
        if mask is not None and (mask.dtype != torch.bool or mask.shape != keys.shape[:2]):
            raise TypeError(
                f"mask must be boolean with the shape {tuple(keys.shape[:2])} of the keys, True = may attend, not "
                f"{mask.dtype} with {tuple(mask.shape)}"
            )
        if mask is not None:  # padding may hold anything, and 0 * NaN is NaN
            padding = ~mask.unsqueeze(-1)
            keys = keys.masked_fill(padding, 0.0)
            values = values if values is None else values.masked_fill(padding, 0.0)
        raw = split_heads(keys, self.num_heads)
        values = raw if values is None else split_heads(values, self.num_heads)
        if not self.training:  # else every product of a search would lay them out again
            raw, values = raw.contiguous(), values.contiguous()
        stateless = isinstance(self.window, Full) and self.score.history is None and not self.normalize.is_monotonic
        return Memory(self.score.prepare(raw), values, mask, sharable=stateless)

    def start(self, memory: Memory) -> AttentionState:
        """Return the state before the first query."""
        history = self.score.history
        return AttentionState(0, None if history is None else history.start(memory), self.normalize.start(memory))

    def forward(
        self,
        query: Tensor,
        memory: Memory,
        *,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        state: AttentionState | None = None,
        need_weights: bool = False,
    ) -> Attended:
        """Return what queries (B, T, Q) attend to in a memory.

        mask: True = may attend, broadcastable to (B, H, T, S). bias: added to the scores, of the same shape.
        state: the position of the first query and the history before it. By default it is the first of all.
        need_weights: forbid kernels that give no weights. They run in training, or if asked for by name.
        The memory may have grown since the state was made, as in self-attention. A score with a history takes one query
        after the other, because it has no batched form.
        """
        self._require("query", query)
        if not isinstance(memory, Memory):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"memory is what `prepare` returns, not {type(memory).__name__}: use attention.prepare(keys)"
            )
        state = self.start(memory) if state is None else state
        query = split_heads(query, self.num_heads)  # (B, H, T, Q)
        if 0 in (*query.shape[:3], memory.num_keys):
            return self._attend_to_nothing(query, memory, state)
        if memory.shared_by > 1:
            return self._attend_shared(query, memory, state, need_weights)
        if self.score.history is None:
            return self._attend(query, memory, mask, bias, state, need_weights)
        full_shape = (*query.shape[:3], memory.num_keys)
        masks = [None] * query.size(2) if mask is None else mask.expand(full_shape).split(1, 2)
        biases = [None] * query.size(2) if bias is None else bias.expand(full_shape).split(1, 2)
        steps: list[Attended] = []
        for row, row_mask, row_bias in zip(query.split(1, 2), masks, biases, strict=True):
            steps.append(self._attend(row, memory, row_mask, row_bias, state, need_weights))
            state = steps[-1].state
        return join_attended(steps)

    def explain(self, query: Tensor, memory: Memory, *, need_weights: bool = False) -> str:
        """Say what runs for queries (B, T, Q), and why. Raises ValueError if the named backend cannot run."""
        backend, reason = self._choose(split_heads(query, self.num_heads), memory.keys, need_weights)
        order = "all queries at once"
        if self.score.history is not None:
            order = "one query after the other, because the score depends on earlier weights"
        elif self.normalize.is_monotonic:
            order = "all scores at once, then the weights one by one, because each query starts where the last stopped"
        parts = [type(part).__name__ for part in (self.score, self.window, self.normalize)]
        return f"{' · '.join(parts)} · heads: {self.num_heads}\nbackend: {backend}, because {reason}\norder: {order}"

    def _choose(self, query: Tensor, keys: Tensor, need_weights: bool) -> Choice:
        parts = self.score, self.normalize, self.window
        need_weights = need_weights or self.backend == WITH_WEIGHTS
        traits = traits_of(*parts, query, keys, need_weights=need_weights, training=self.training)
        return choose(self.backend, traits)

    def _attend(
        self,
        query: Tensor,
        memory: Memory,
        mask: Tensor | None,
        bias: Tensor | None,
        state: AttentionState,
        need_weights: bool,
    ) -> Attended:
        span = self.window(query, memory, state.position)
        padding = None if memory.mask is None else memory.mask[:, None, None, :]
        mask = combine(padding, span.mask, mask)
        bias = span.bias if bias is None else bias if span.bias is None else bias + span.bias
        keys, history, position = memory.keys, self.score.history, state.position + query.size(2)
        score_history = state.score_history
        if history is not None and score_history is not None:
            score_history = widen(score_history, memory.num_keys)
            keys = history(keys, score_history.to(keys.dtype))
        backend = self._choose(query, keys, need_weights).backend
        dropout = self.dropout if self.training else 0.0
        if backend == "sdpa" and isinstance(self.score, InnerProductScore):
            if bias is not None:
                bias = bias.to(query.dtype)
                mask = bias if mask is None else torch.where(mask, bias, -torch.inf)
            query = self.score.project(query)
            context = F.scaled_dot_product_attention(query, keys, memory.values, mask, dropout, scale=1.0)
            return Attended(context, None, AttentionState(position))
        scores = compute_scores(backend, self.score, query, keys)  # (B, H, T, S)
        if bias is not None:
            scores = scores + bias
        weights, log_weights, normalizer_history = self.normalize(scores, mask, state.normalizer_history)
        if span.factor is not None:
            weights = weights * span.factor
        dropped = F.dropout(weights, dropout) if dropout else weights
        context = dropped.to(memory.values.dtype) @ memory.values  # (B, H, T, V)
        if history is not None and score_history is not None:
            score_history = history.remember(memory.keys, score_history, weights.squeeze(2))
        return Attended(context, weights, AttentionState(position, score_history, normalizer_history), log_weights)

    def _require(self, what: str, tensor: Tensor) -> None:
        """Raise TypeError or ValueError, with what to do, unless this is a tensor (B, length, size)."""
        if not isinstance(tensor, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{what} must be a tensor, not {type(tensor).__name__}")
        if tensor.dim() != 3:
            raise ValueError(f"{what} must have 3 axes (B, length, size), not {tensor.dim()}: add one with unsqueeze")
        if tensor.size(2) != self.sizes[what]:
            raise ValueError(f"{what} must have size {self.sizes[what]} in the last axis, not {tensor.size(2)}")

    def _attend_to_nothing(self, query: Tensor, memory: Memory, state: AttentionState) -> Attended:
        """Attend without sentences, queries or keys: the context is empty or zero, and histories stay as they are."""
        weights = at_least_float32(query.new_zeros(*query.shape[:3], memory.num_keys))
        context = memory.values.new_zeros(*query.shape[:3], memory.values.size(3))
        log_weights = weights if self.normalize.is_hard else None
        return Attended(context, weights, state._replace(position=state.position + query.size(2)), log_weights)

    def _attend_shared(self, query: Tensor, memory: Memory, state: AttentionState, need_weights: bool) -> Attended:
        """Attend with queries (B K, H, 1, Q) of K hypotheses per sentence, as if a sentence had K queries."""
        together = query.unflatten(0, (-1, memory.shared_by)).squeeze(3).transpose(1, 2)  # (B, H, K, Q)
        attended = self._attend(together, memory, None, None, state, need_weights)
        tensors = {name: part for name, part in attended._asdict().items() if isinstance(part, Tensor)}
        apart = {name: part.transpose(1, 2).flatten(0, 1).unsqueeze(2) for name, part in tensors.items()}
        return attended._replace(**apart, state=AttentionState(state.position + 1))  # (B K, H, 1, X)

    def step(self, query: Tensor, memory: Memory, state: AttentionState) -> tuple[Attended, AttentionState]:
        """Return what one query (B, 1, Q) attends to, and the state after it."""
        attended = self(query, memory, state=state)
        return attended, attended.state


def join_attended(steps: list[Attended]) -> Attended:
    """Return what T queries attended to one by one, joined along the T axis."""
    if len(steps) == 1:
        return steps[0]
    joined: dict[str, Any] = {}  # by a plain loop, which torch.compile can follow
    for field in steps[0]._fields:
        parts: list[Any] = [getattr(step, field) for step in steps]
        if isinstance(parts[0], Tensor):
            joined[field] = torch.cat(parts, 2)
    return steps[-1]._replace(**joined)


def _require_sense(score: Score, normalizer: Normalizer, window: Window, num_heads: int) -> None:
    """Raise ValueError, with the reason, for a combination that makes no sense."""
    marginal, remembers = normalizer.objective == "marginal", score.history is not None
    shrinks = normalizer.is_hard and window.scales_weights
    reasons = {
        "a monotonic normalizer finds its own way along the source, and a moving window would leave it behind: use "
        "window 'full'": normalizer.is_monotonic and window.is_moving,
        "a hard normalizer chooses one key, and a Gaussian after the choice would only shrink its value: use "
        "'local-p:renormalize=true', where the Gaussian comes before the choice": shrinks,
        f"the exact marginal sums over every choice of a key, and {num_heads} heads raise that number to the power of "
        f"{num_heads}: use one head, or 'hard_reinforce'": marginal and num_heads > 1,
        "the exact marginal needs choices that later queries do not depend on, but this score remembers them: use "
        "'hard_reinforce', with rewards to go": marginal and remembers,
        "MoChA takes two scores of each pair, and the history could belong to either of them: use a score without "
        "a history, or 'monotonic'": normalizer.num_scores > 1 and remembers,
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(reason)
