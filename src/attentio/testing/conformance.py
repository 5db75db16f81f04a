"""Conformance: the laws that every attention obeys, for the kinds here and for yours.

    from attentio.testing import conform

    conform(score=MyScore)                                # raises AssertionError, naming the law that is broken
    conform(normalize=MyNormalizer, window="causal", num_heads=4)
    conform(score="mymodule:MyScore:power=2")             # as a setting names it, after `allow_kinds("mymodule")`

The laws do not say what a kind computes: its own tests must. They say what must not happen in any kind.
docs/attention/README.md applies them to a score and a normalizer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import isfunction

import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.testing import assert_close

from attentio.attention import NORMALIZERS, WINDOWS, Attended, Attention, GrowingMemory, Normalizer, Score
from attentio.attention.window import Causal, Full, Window, combine_windows

# Coprime, so that no swapped axis passes by luck. D and V are sizes of one head.
B, T, S, D, V = 2, 5, 7, 3, 11


@dataclass(frozen=True)
class Combination:
    """A choice on each axis. `normalize` is a function, because a law may need the attention twice."""

    score: str | Callable[[int, int, int], Score] = "additive"
    normalize: str | Callable[[], Normalizer] = "softmax"
    window: str | Callable[[int, int], Window] = "full"
    num_heads: int = 1

    def make(self) -> Attention:
        """Return the attention, with sizes D and V for each head, in float64 and not in training."""
        torch.manual_seed(0)
        normalizer = (NORMALIZERS.choose(self.normalize) if isinstance(self.normalize, str) else self.normalize)()
        heads, score, window = self.num_heads, self.score, self.window
        sizes = D * heads, D * heads, V * heads
        attention = Attention(*sizes, score=score, normalize=normalizer, window=window, num_heads=heads)
        with torch.no_grad():  # a parameter at zero would do nothing
            for parameter in attention.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return attention.double().eval()

    def make_causal(self) -> Attention:
        """Return the same for self-attention that cannot look ahead."""
        window = WINDOWS.choose(self.window) if isinstance(self.window, str) else self.window
        return replace(self, window=combine_windows(Causal, window)).make()

    def operands(self, num_keys: int = S) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return query, keys, values and mask. The second sentence is shorter by three."""
        torch.manual_seed(1)
        shapes = (T, D * self.num_heads), (num_keys, D * self.num_heads), (num_keys, V * self.num_heads)
        query, keys, values = (torch.randn(B, *shape, dtype=torch.float64) for shape in shapes)
        return query, keys, values, torch.arange(num_keys) < torch.tensor([[num_keys], [num_keys - 3]])


class Laws(Combination):
    """The laws. Each gets an attention of this combination, a query, and a source: keys, values and mask."""

    def weights_are_shares(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Check that weights are at least 0, 0 where masked, and sum to 1 (or to at most 1, for some kinds)."""
        call = torch.rand(T, S, generator=torch.Generator().manual_seed(3)) < 0.6
        call[2] = False  # an empty row
        weights = _weights(attention(query, attention.prepare(*source), mask=call))
        assert (weights >= 0).all(), "a weight is negative"
        allowed = (source[2][:, None, None] & call).expand_as(weights)
        assert (weights[~allowed] == 0).all(), "a masked key has weight"
        sums = weights.sum(-1)
        assert (sums <= 1 + 1e-9).all(), "a row sums to more than 1"
        if not (attention.normalize.is_monotonic or attention.window.scales_weights):
            assert ((sums - 1).abs().minimum(sums) < 1e-9).all(), "a row sums neither to 1 nor, being empty, to 0"

    def context_is_the_weighted_sum(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Check that the weights that are shown are those that were used."""
        memory = attention.prepare(*source)
        attended = attention(query, memory)
        assert_close(attended.context, _weights(attended) @ memory.values)
        assert attended.context.shape == (B, self.num_heads, T, V)

    def an_empty_row_attends_to_nothing(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Check that an empty row has zero weights, a zero context and finite gradients, also in training."""
        call = torch.ones(T, S, dtype=torch.bool)
        call[T - 1] = source[2][1] = False
        for training in (False, True):
            query, keys, values = operands = [part.detach().clone().requires_grad_() for part in (query, *source[:2])]
            memory = attention.train(training).prepare(keys, values, source[2])
            attended = attention(query, memory, mask=call, need_weights=True)
            for empty in (attended.context[:, :, T - 1], _weights(attended)[:, :, T - 1], attended.context[1]):
                assert (empty == 0).all(), "an empty row attends to something"
            _require_finite_gradients(attended, *operands, *attention.parameters())

    def padding_changes_nothing(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Three more keys of padding, which hold NaN, change nothing."""
        expected = attention(query, attention.prepare(*source))
        keys, values = (torch.cat([x, x.new_full((B, 3, x.size(-1)), torch.nan)], 1) for x in source[:2])
        padded = attention(query, attention.prepare(keys, values, torch.nn.functional.pad(source[2], (0, 3))))
        assert_close(padded.context, expected.context)
        assert_close(_weights(padded)[..., :S], _weights(expected))
        _require_finite_gradients(padded, *attention.parameters())

    def keys_may_change_places(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Check that permuted keys and values permute the weights, unless the kind says that position counts."""
        if attention.score.is_positional or attention.normalize.is_monotonic or not isinstance(attention.window, Full):
            return
        order = torch.randperm(S)
        expected = attention(query, attention.prepare(*source))
        permuted = attention(query, attention.prepare(*(x[:, order] for x in source)))
        assert_close(permuted.context, expected.context)
        assert_close(_weights(permuted), _weights(expected)[..., order])

    def sentences_do_not_see_each_other(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Check that a sentence gets the same result alone, in a batch, and selected from one."""
        memory = attention.prepare(*source)
        together = attention(query, memory)
        for row in range(B):
            alone = attention(query[row : row + 1], attention.prepare(*(x[row : row + 1] for x in source)))
            assert_close(alone.context, together.context[row : row + 1])
        rows = torch.tensor([1, 0, 1])
        picked = attention(query[rows], memory.select(rows), state=attention.start(memory).select(rows))
        assert_close(picked.context, together.context[rows])

    def heads_do_not_see_each_other(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Another query for the last head changes nothing for the other heads."""
        if self.num_heads > 1:
            memory = attention.prepare(*source)
            other = query.clone()
            other[..., -D:] += 1
            assert_close(attention(other, memory).context[:, :-1], attention(query, memory).context[:, :-1])

    def keys_may_be_prepared_bit_by_bit(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Check that a memory that grew equals one that was prepared at once."""
        first, rest = (attention.prepare(*(x[:, some] for x in source)) for some in (slice(3), slice(3, S)))
        assert_close(attention(query, first.extend(rest)).context, attention(query, attention.prepare(*source)).context)

    def step_by_step_equals_all_at_once(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """T steps, or two parts, equal one call for T queries."""
        memory = attention.prepare(*source)
        expected = attention(query, memory)
        state = attention.start(memory)
        for t in range(T):
            attended, state = attention.step(query[:, t : t + 1], memory, state)
            assert_close(attended.context, expected.context[:, :, t : t + 1])
            assert_close(_weights(attended), _weights(expected)[:, :, t : t + 1])
        start = attention(query[:, :2], memory)
        rest = attention(query[:, 2:], memory, state=start.state)
        assert_close(rest.context, expected.context[:, :, 2:])

    def the_memory_may_grow_step_by_step(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """In causal self-attention, one more key with each step equals one call with all keys."""
        attention, query = self.make_causal(), source[0]
        expected = attention(query, attention.prepare(*source))
        memory = attention.prepare(*(x[:, :1] for x in source))
        state = attention.start(memory)
        for t in range(S):
            memory = memory.extend(attention.prepare(*(x[:, t : t + 1] for x in source))) if t else memory
            attended, state = attention.step(query[:, t : t + 1], memory, state)
            assert_close(attended.context, expected.context[:, :, t : t + 1])
            assert_close(_weights(attended), _weights(expected)[:, :, t : t + 1, : t + 1])

    def room_behind_a_memory_changes_nothing(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Check that a memory with spare room gives the same, and its branches are independent (without a history)."""
        attention, (keys, values, _mask) = self.make_causal(), source
        if attention.score.history is not None:
            return
        with torch.no_grad():
            expected = attention(keys, attention.prepare(keys, values))
            grown = GrowingMemory.of(attention.prepare(keys[:, :0], values[:, :0]))
            state = attention.start(attention.prepare(keys[:, :1]))
            for t in range(S):
                key, other = (attention.prepare(*(x[:, t : t + 1] + more for x in (keys, values))) for more in (0, 1))
                here, grown = grown, grown.extend(key)
                here.extend(other)
                attended, state = attention.step(keys[:, t : t + 1], grown.memory, state)
                assert_close(attended.context, expected.context[:, :, t : t + 1])
                assert_close(_weights(attended)[..., : t + 1], _weights(expected)[:, :, t : t + 1, : t + 1])
                assert not _weights(attended)[..., t + 1 :].any()

    def hypotheses_may_share_a_memory(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """K hypotheses that share a memory get what each gets from its own memory, also after a selection."""
        memory, copies = attention.prepare(*source), 3
        own = memory.select(torch.arange(B).repeat_interleave(copies))
        shared, state = memory.repeat(copies), attention.start(own)
        queries = query.transpose(0, 1).flatten(0, 1)[: B * copies, None]  # all different
        first, after = attention.step(queries, shared, state)
        expected, expected_after = attention.step(queries, own, state)
        assert_close(first.context, expected.context)
        assert_close(_weights(first), _weights(expected))
        rows = torch.tensor([5, 3, 3])  # of the second sentence only, and not in order
        second, _after = attention.step(queries[rows], shared.select(rows), after.select(rows))
        expected, _after = attention.step(queries[rows], own.select(rows), expected_after.select(rows))
        assert_close(second.context, expected.context)
        assert second.state.position == expected.state.position == 2

    def gradients_are_right(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """In training, the gradient of the context agrees with finite differences in float64."""
        attention.train(not attention.normalize.is_biased)

        def context(query: Tensor, keys: Tensor, values: Tensor, *_parameters: Tensor) -> Tensor:
            torch.manual_seed(2)  # the same draws in every call
            return attention(query, attention.prepare(keys, values, source[2])).context

        inputs = tuple(x.requires_grad_() for x in (query[:, :2], *source[:2], *attention.parameters()))
        assert gradcheck(context, inputs, fast_mode=True, check_undefined_grad=False)

    def half_precision_is_near(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """In bfloat16 the weights are float32, the context is bfloat16, and weights that are no choices stay near."""
        query, keys, values = (x.bfloat16() for x in (query, *source[:2]))
        attended = attention.bfloat16()(query, attention.prepare(keys, values, source[2]))
        assert attended.context.dtype == torch.bfloat16, "the context is not bfloat16"
        assert _weights(attended).dtype == torch.float32, "the weights are not float32"
        assert attended.context.isfinite().all(), "the context is not finite"
        if not (attention.normalize.is_hard or attention.normalize.is_monotonic):
            exact = attention.double()(query.double(), attention.prepare(keys.double(), values.double(), source[2]))
            near = (_weights(attended) - _weights(exact)).abs()
            assert near.mean() < 0.01, "the weights are far from those in float64"

    def float16_does_not_overflow(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """In float16, large queries and keys give finite weights and a finite context."""
        keys, values, mask = source
        attended = attention.half()(200 * query.half(), attention.prepare(200 * keys.half(), values.half(), mask))
        assert _weights(attended).isfinite().all(), "a weight is not finite"
        assert attended.context.isfinite().all(), "the context is not finite"

    def an_empty_axis_gives_nothing(self, attention: Attention, query: Tensor, *source: Tensor) -> None:
        """Without sentences or queries the results are empty. Without keys the context is zero. States go on."""
        for batch, queries, num_keys in ((0, T, S), (B, 0, S), (B, T, 0), (0, 0, 0)):
            for training in (False, True):
                memory = attention.train(training).prepare(*(x[:batch, :num_keys] for x in source))
                attended = attention(query[:batch, :queries], memory, need_weights=True)
                assert attended.context.shape == (batch, self.num_heads, queries, V)
                assert _weights(attended).shape == (batch, self.num_heads, queries, num_keys)
                assert not attended.context.any(), "nothing was attended to, and the context is not zero"
                assert attended.state.position == queries


LAWS: tuple[Callable[..., None], ...] = tuple(filter(isfunction, vars(Laws).values()))


def conform(
    *,
    score: str | Callable[[int, int, int], Score] = "additive",
    normalize: str | Callable[[], Normalizer] = "softmax",
    window: str | Callable[[int, int], Window] = "full",
    num_heads: int = 1,
) -> None:
    """Check every law. AssertionError says which law is broken, ValueError why the combination makes no sense."""
    kind = Combination(score, normalize, window, num_heads)
    kind.make()
    for law in LAWS:
        try:
            law(kind, kind.make(), *kind.operands())
        except Exception as error:
            raise AssertionError(f"{kind} breaks the law '{law.__name__.replace('_', ' ')}': {error}") from error


def _weights(attended: Attended) -> Tensor:
    assert attended.weights is not None, "no weights are shown"
    return attended.weights


def _require_finite_gradients(attended: Attended, *tensors: Tensor) -> None:
    target = attended.context.square().sum()
    if attended.log_weights is not None:
        target = target + attended.log_weights.clamp(min=-100).sum()
    if target.requires_grad:
        target.backward()
    assert all(x.grad is None or x.grad.isfinite().all() for x in tensors), "a gradient is not finite"
