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
        make_normalizer = NORMALIZERS.choose(self.normalize) if isinstance(self.normalize, str) else self.normalize
        attention = Attention(
            D * self.num_heads,
            D * self.num_heads,
            V * self.num_heads,
            score=self.score,
            normalize=make_normalizer(),
            window=self.window,
            num_heads=self.num_heads,
        )
        with torch.no_grad():  # a parameter at zero would do nothing
            for parameter in attention.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return attention.double().eval()

    def causal(self) -> "Combination":
        """Return the same for self-attention that cannot look ahead."""
        window = WINDOWS.choose(self.window) if isinstance(self.window, str) else self.window
        return replace(self, window=combine_windows(Causal, window))

    def operands(self, num_keys: int = S) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return query, keys, values and mask. The second sentence is shorter by three."""
        torch.manual_seed(1)
        query = torch.randn(B, T, D * self.num_heads, dtype=torch.float64)
        keys = torch.randn(B, num_keys, D * self.num_heads, dtype=torch.float64)
        values = torch.randn(B, num_keys, V * self.num_heads, dtype=torch.float64)
        mask = torch.arange(num_keys) < torch.tensor([[num_keys], [num_keys - 3]])
        return query, keys, values, mask


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
            law(kind)
        except Exception as error:
            raise AssertionError(f"{kind} breaks the law '{law.__name__.replace('_', ' ')}': {error}") from error


def weights_are_shares(kind: Combination) -> None:
    """Check that weights are at least 0, 0 where masked, and sum to 1 (or to at most 1, for some kinds)."""
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    call = _call_mask()
    weights = _weights(attention(query, attention.prepare(keys, values, mask), mask=call))
    assert (weights >= 0).all(), "a weight is negative"
    allowed = (mask[:, None, None] & call).expand_as(weights)
    assert (weights[~allowed] == 0).all(), "a masked key has weight"
    sums = weights.sum(-1)
    assert (sums <= 1 + 1e-9).all(), "a row sums to more than 1"
    if not (attention.normalize.is_monotonic or attention.window.scales_weights):
        assert ((sums - 1).abs().minimum(sums) < 1e-9).all(), "a row sums neither to 1 nor, being empty, to 0"


def context_is_the_weighted_sum(kind: Combination) -> None:
    """Check that the weights that are shown are those that were used."""
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    memory = attention.prepare(keys, values, mask)
    attended = attention(query, memory)
    assert_close(attended.context, _weights(attended) @ memory.values)
    assert attended.context.shape == (B, kind.num_heads, T, V)


def an_empty_row_attends_to_nothing(kind: Combination) -> None:
    """Check that an empty row has zero weights, a zero context and finite gradients, also in training."""
    attention = kind.make()
    for training in (False, True):
        attention.train(training)
        query, keys, values, mask = (x.requires_grad_(x.is_floating_point()) for x in kind.operands())
        call = torch.ones(T, S, dtype=torch.bool)
        call[T - 1] = False
        mask = mask.clone()
        mask[1] = False
        attended = attention(query, attention.prepare(keys, values, mask), mask=call, need_weights=True)
        for empty in (attended.context[:, :, T - 1], _weights(attended)[:, :, T - 1], attended.context[1]):
            assert (empty == 0).all(), "an empty row attends to something"
        _backward(attended)
        for tensor in (query, keys, values, *attention.parameters()):
            assert tensor.grad is None or tensor.grad.isfinite().all(), "a gradient is not finite"


def padding_changes_nothing(kind: Combination) -> None:
    """Three more keys of padding, which hold NaN, change nothing."""
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    expected = attention(query, attention.prepare(keys, values, mask))
    keys, values = (torch.cat([x, x.new_full((B, 3, x.size(-1)), torch.nan)], 1) for x in (keys, values))
    padded = attention(query, attention.prepare(keys, values, torch.nn.functional.pad(mask, (0, 3))))
    assert_close(padded.context, expected.context)
    assert_close(_weights(padded)[..., :S], _weights(expected))
    _backward(padded)
    assert all(p.grad is None or p.grad.isfinite().all() for p in attention.parameters()), "NaN reached a gradient"


def keys_may_change_places(kind: Combination) -> None:
    """Check that permuted keys and values permute the weights, unless the kind says that position counts."""
    attention = kind.make()
    if attention.score.is_positional or attention.normalize.is_monotonic or not isinstance(attention.window, Full):
        return
    query, keys, values, mask = kind.operands()
    order = torch.randperm(S)
    expected = attention(query, attention.prepare(keys, values, mask))
    permuted = attention(query, attention.prepare(keys[:, order], values[:, order], mask[:, order]))
    assert_close(permuted.context, expected.context)
    assert_close(_weights(permuted), _weights(expected)[..., order])


def sentences_do_not_see_each_other(kind: Combination) -> None:
    """Check that a sentence gets the same result alone, in a batch, and selected from one."""
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    memory = attention.prepare(keys, values, mask)
    together = attention(query, memory)
    for row in range(B):
        alone = attention(query[row : row + 1], attention.prepare(*(x[row : row + 1] for x in (keys, values, mask))))
        assert_close(alone.context, together.context[row : row + 1])
    rows = torch.tensor([1, 0, 1])
    picked = attention(query[rows], memory.select(rows), state=attention.start(memory).select(rows))
    assert_close(picked.context, together.context[rows])


def heads_do_not_see_each_other(kind: Combination) -> None:
    """Another query for the last head changes nothing for the other heads."""
    if kind.num_heads == 1:
        return
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    memory = attention.prepare(keys, values, mask)
    other = query.clone()
    other[..., -D:] += 1
    expected, changed = attention(query, memory).context, attention(other, memory).context
    assert_close(changed[:, :-1], expected[:, :-1])


def keys_may_be_prepared_bit_by_bit(kind: Combination) -> None:
    """Check that a memory that grew equals one that was prepared at once."""
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    parts = [attention.prepare(*(x[:, some] for x in (keys, values, mask))) for some in (slice(3), slice(3, S))]
    grown = attention(query, parts[0].extend(parts[1]))
    assert_close(grown.context, attention(query, attention.prepare(keys, values, mask)).context)


def step_by_step_equals_all_at_once(kind: Combination) -> None:
    """T steps, or two parts, equal one call for T queries."""
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    memory = attention.prepare(keys, values, mask)
    expected = attention(query, memory)
    state = attention.start(memory)
    for t in range(T):
        attended, state = attention.step(query[:, t : t + 1], memory, state)
        assert_close(attended.context, expected.context[:, :, t : t + 1])
        assert_close(_weights(attended), _weights(expected)[:, :, t : t + 1])
    start = attention(query[:, :2], memory)
    rest = attention(query[:, 2:], memory, state=start.state)
    assert_close(rest.context, expected.context[:, :, 2:])


def the_memory_may_grow_step_by_step(kind: Combination) -> None:
    """In causal self-attention, one more key with each step equals one call with all keys."""
    attention = kind.causal().make()
    _, keys, values, mask = kind.operands()
    query = keys
    expected = attention(query, attention.prepare(keys, values, mask))
    memory, state = None, None
    for t in range(S):
        key = attention.prepare(*(x[:, t : t + 1] for x in (keys, values, mask)))
        memory = key if memory is None else memory.extend(key)
        state = attention.start(memory) if state is None else state
        attended, state = attention.step(query[:, t : t + 1], memory, state)
        assert_close(attended.context, expected.context[:, :, t : t + 1])
        assert_close(_weights(attended), _weights(expected)[:, :, t : t + 1, : t + 1])


def room_behind_a_memory_changes_nothing(kind: Combination) -> None:
    """Check that a memory with spare room gives the same, and its branches are independent (without a history)."""
    attention = kind.causal().make()
    if attention.score.history is not None:
        return
    _, keys, values, _ = kind.operands()
    with torch.no_grad():
        expected = attention(keys, attention.prepare(keys, values))
        grown, state = GrowingMemory.of(attention.prepare(keys[:, :0], values[:, :0])), None
        for t in range(S):
            key = attention.prepare(keys[:, t : t + 1], values[:, t : t + 1])
            other = attention.prepare(keys[:, t : t + 1] + 1, values[:, t : t + 1] + 1)
            here, grown = grown, grown.extend(key)
            here.extend(other)
            state = attention.start(grown.memory) if state is None else state
            attended, state = attention.step(keys[:, t : t + 1], grown.memory, state)
            assert_close(attended.context, expected.context[:, :, t : t + 1])
            assert_close(_weights(attended)[..., : t + 1], _weights(expected)[:, :, t : t + 1, : t + 1])
            assert not _weights(attended)[..., t + 1 :].any()


def hypotheses_may_share_a_memory(kind: Combination) -> None:
    """K hypotheses that share a memory get what each gets from its own memory, also after a selection."""
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    memory, copies = attention.prepare(keys, values, mask), 3
    own = memory.select(torch.arange(B).repeat_interleave(copies))
    shared, state = memory.repeat(copies), attention.start(own)
    queries = query.transpose(0, 1).flatten(0, 1)[: B * copies, None]  # all different
    first, after = attention.step(queries, shared, state)
    expected, expected_after = attention.step(queries, own, state)
    assert_close(first.context, expected.context)
    assert_close(_weights(first), _weights(expected))
    rows = torch.tensor([5, 3, 3])  # of the second sentence only, and not in order
    second, _ = attention.step(queries[rows], shared.select(rows), after.select(rows))
    expected, _ = attention.step(queries[rows], own.select(rows), expected_after.select(rows))
    assert_close(second.context, expected.context)
    assert second.state.position == expected.state.position == 2


def gradients_are_right(kind: Combination) -> None:
    """In training, the gradient of the context agrees with finite differences in float64."""
    attention = kind.make()
    attention.train(not attention.normalize.is_biased)
    query, keys, values, mask = kind.operands()

    def context(query: Tensor, keys: Tensor, values: Tensor, *_parameters: Tensor) -> Tensor:
        torch.manual_seed(2)  # the same draws in every call
        return attention(query, attention.prepare(keys, values, mask)).context

    inputs = (query[:, :2], keys, values, *attention.parameters())
    assert gradcheck(context, tuple(x.requires_grad_() for x in inputs), fast_mode=True, check_undefined_grad=False)


def half_precision_is_near(kind: Combination) -> None:
    """In bfloat16 the weights are float32, the context is bfloat16, and weights that are no choices stay near."""
    attention = kind.make().bfloat16()
    query, keys, values, mask = kind.operands()
    query, keys, values = query.bfloat16(), keys.bfloat16(), values.bfloat16()
    attended = attention(query, attention.prepare(keys, values, mask))
    assert attended.context.dtype == torch.bfloat16, "the context is not bfloat16"
    assert _weights(attended).dtype == torch.float32, "the weights are not float32"
    assert attended.context.isfinite().all(), "the context is not finite"
    if not (attention.normalize.is_hard or attention.normalize.is_monotonic):
        attention.double()
        exact = attention(query.double(), attention.prepare(keys.double(), values.double(), mask))
        near = (_weights(attended) - _weights(exact)).abs()
        assert near.mean() < 0.01, "the weights are far from those in float64"


def float16_does_not_overflow(kind: Combination) -> None:
    """In float16, large queries and keys give finite weights and a finite context."""
    attention = kind.make().half()
    query, keys, values, mask = kind.operands()
    query, keys, values = 200 * query.half(), 200 * keys.half(), values.half()
    attended = attention(query, attention.prepare(keys, values, mask))
    assert _weights(attended).isfinite().all(), "a weight is not finite"
    assert attended.context.isfinite().all(), "the context is not finite"


def an_empty_axis_gives_nothing(kind: Combination) -> None:
    """Without sentences or queries the results are empty. Without keys the context is zero. States go on."""
    attention = kind.make()
    for batch, queries, num_keys in ((0, T, S), (B, 0, S), (B, T, 0), (0, 0, 0)):
        for training in (False, True):
            query, keys, values, mask = kind.operands()
            memory = attention.train(training).prepare(*(x[:batch, :num_keys] for x in (keys, values, mask)))
            attended = attention(query[:batch, :queries], memory, need_weights=True)
            assert attended.context.shape == (batch, kind.num_heads, queries, V)
            assert _weights(attended).shape == (batch, kind.num_heads, queries, num_keys)
            assert not attended.context.any(), "nothing was attended to, and the context is not zero"
            assert attended.state.position == queries


LAWS: tuple[Callable[[Combination], None], ...] = (
    weights_are_shares,
    context_is_the_weighted_sum,
    an_empty_row_attends_to_nothing,
    padding_changes_nothing,
    keys_may_change_places,
    sentences_do_not_see_each_other,
    heads_do_not_see_each_other,
    keys_may_be_prepared_bit_by_bit,
    step_by_step_equals_all_at_once,
    the_memory_may_grow_step_by_step,
    room_behind_a_memory_changes_nothing,
    hypotheses_may_share_a_memory,
    gradients_are_right,
    half_precision_is_near,
    float16_does_not_overflow,
    an_empty_axis_gives_nothing,
)


def _weights(attended: Attended) -> Tensor:
    assert attended.weights is not None, "no weights are shown"
    return attended.weights


def _call_mask() -> Tensor:
    """Return a mask (T, S) with an empty row."""
    mask = torch.rand(T, S, generator=torch.Generator().manual_seed(3)) < 0.6
    mask[2] = False
    return mask


def _backward(attended: Attended) -> None:
    target = attended.context.square().sum()
    if attended.log_weights is not None:
        target = target + attended.log_weights.clamp(min=-100).sum()
    if target.requires_grad:
        target.backward()
