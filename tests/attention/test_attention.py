"""The contract: preparing, attending to all at once and step by step, masks, heads."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from attentio.attention import Attention, merge_heads

B, H, T, S = 2, 3, 5, 7


def made(**options):
    torch.manual_seed(0)
    options = {"query_size": 6, "key_size": 9, "value_size": 12, "num_heads": H} | options
    return Attention(options.pop("query_size"), options.pop("key_size"), options.pop("value_size"), **options).double()


def operands(query_size=6, key_size=9, value_size=12):
    torch.manual_seed(1)
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    return (
        torch.randn(B, T, query_size, dtype=torch.float64),
        torch.randn(B, S, key_size, dtype=torch.float64),
        torch.randn(B, S, value_size, dtype=torch.float64),
        mask,
    )


def test_shapes_are_always_four_axes():
    attention = made()
    query, keys, values, mask = operands()
    attended = attention(query, attention.prepare(keys, values, mask))
    assert attended.context.shape == (B, H, T, 4)
    assert attended.weights.shape == (B, H, T, S)
    assert merge_heads(attended.context).shape == (B, T, 12)


def test_one_head_of_dot_attention_worked_by_hand():
    attention = Attention(2, 2, score="dot").double().eval()
    memory = attention.prepare(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).double())
    # scores 0 and ln 3: weights 1/4 and 3/4, context is the values, which are the keys, in these shares
    attended = attention(torch.tensor([[[0.0, math.log(3)]]]).double(), memory)
    torch.testing.assert_close(attended.weights.flatten(), torch.tensor([0.25, 0.75]).double())
    torch.testing.assert_close(attended.context.flatten(), torch.tensor([0.25, 0.75]).double())


@pytest.mark.parametrize("window", ["full", "causal"])
@pytest.mark.parametrize("score", ["dot", "scaled_dot", "bilinear"])
def test_inner_products_agree_with_torch(score, window):
    """Padding, looking back only, and a row that may attend nowhere, for which torch too gives zeros."""
    query, keys, values, mask = operands(query_size=9)
    attention = made(score=score, query_size=9, window=window)
    call = torch.ones(T, S, dtype=torch.bool)
    call[2] = False
    attended = attention(query, attention.prepare(keys, values, mask), mask=call)
    q, k, v = (tensor.unflatten(-1, (H, -1)).transpose(1, 2) for tensor in (query, keys, values))
    if score == "bilinear":
        q = torch.einsum("bhtq,hqk->bhtk", q, attention.score.key.weight)  # q . W k is q W . k
    allowed = mask[:, None, None] & call & (torch.ones(T, S).tril() == 1 if window == "causal" else True)
    with sdpa_kernel(SDPBackend.MATH):
        expected = F.scaled_dot_product_attention(
            q, k, v, attn_mask=allowed, scale=None if score == "scaled_dot" else 1.0
        )
    torch.testing.assert_close(attended.context, expected)
    assert (attended.context[:, :, 2] == 0).all()


@pytest.mark.parametrize("score", ["additive", "scaled_dot"])
def test_a_published_example(score):
    """Equal keys, valid lengths 2 and 6: the means of the first 2 and the first 6 values (Zhang 2023, section 11.3)."""
    torch.manual_seed(0)
    attention = Attention(2, 2, 4, score=score).eval()
    values = torch.arange(40.0).reshape(1, 10, 4).repeat(2, 1, 1)
    mask = torch.arange(10) < torch.tensor([[2], [6]])
    attended = attention(torch.randn(2, 1, 2), attention.prepare(torch.ones(2, 10, 2), values, mask))
    expected = torch.tensor([[[[2.0, 3.0, 4.0, 5.0]]], [[[10.0, 11.0, 12.0, 13.0]]]])
    torch.testing.assert_close(attended.context, expected)


@pytest.mark.parametrize("score", ["bilinear", "additive", "normed_additive", "coverage", "location_aware"])
def test_keys_are_projected_once_per_sentence(score):
    attention = made(score=score)
    query, keys, values, mask = operands()
    calls = []
    attention.score.key.register_forward_hook(lambda *_: calls.append(1))
    memory = attention.prepare(keys, values, mask)
    attention(query, memory)
    state = attention.start(memory)
    for t in range(T):
        _, state = attention.step(query[:, t : t + 1], memory, state)
    assert len(calls) == 1


def test_step_by_step_equals_all_at_once():
    attention = made()
    query, keys, values, mask = operands()
    memory = attention.prepare(keys, values, mask)
    expected = attention(query, memory)
    state = attention.start(memory)
    for t in range(T):
        attended, state = attention.step(query[:, t : t + 1], memory, state)
        torch.testing.assert_close(attended.context, expected.context[:, :, t : t + 1])
        torch.testing.assert_close(attended.weights, expected.weights[:, :, t : t + 1])
    assert state == expected.state


def test_a_step_is_seen_by_forward_hooks():
    attention = made()
    query, keys, values, mask = operands()
    memory = attention.prepare(keys, values, mask)
    seen = []
    attention.register_forward_hook(lambda _module, _inputs, attended: seen.append(attended.weights))
    attended, _ = attention.step(query[:, :1], memory, attention.start(memory))
    assert seen[0] is attended.weights


def test_what_stands_in_the_padding_changes_nothing():
    attention = made()
    query, keys, values, mask = operands()
    clean = attention(query, attention.prepare(keys, values, mask))
    dirty_keys, dirty_values = keys.clone(), values.clone()
    dirty_keys[~mask], dirty_values[~mask] = float("nan"), float("inf")
    dirty = attention(query, attention.prepare(dirty_keys, dirty_values, mask))
    torch.testing.assert_close(dirty.context, clean.context)
    dirty.context.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())


def test_a_mask_of_the_call_is_added_to_that_of_the_memory():
    attention = made()
    query, keys, values, mask = operands()
    call = torch.rand(T, S) < 0.5
    weights = attention(query, attention.prepare(keys, values, mask), mask=call).weights
    allowed = call & mask[:, None, None]
    assert ((weights > 0) == allowed).all()


@pytest.mark.parametrize("window", ["full", "relative"])
def test_a_bias_multiplies_the_weights_by_its_exponential(window):
    attention = made(window=window)
    if window == "relative":
        torch.nn.init.normal_(attention.window.bias)
    query, keys, values, mask = operands()
    memory = attention.prepare(keys, values, mask)
    bias = torch.randn(T, S, dtype=torch.float64)
    expected = attention(query, memory).weights * bias.exp()
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(attention(query, memory, bias=bias).weights, expected)


def test_with_a_past_each_query_has_its_row_of_the_mask_and_of_the_bias():
    attention = made(score="coverage", normalize="hard_reinforce").eval()
    query, keys, values, mask = operands()
    memory = attention.prepare(keys, values, mask)
    call, bias = torch.rand(T, S) < 0.6, torch.randn(H, T, S, dtype=torch.float64)
    whole = attention(query, memory, mask=call, bias=bias)
    state = attention.start(memory)
    for t in range(T):
        row = slice(t, t + 1)
        step = attention(query[:, row], memory, mask=call[row], bias=bias[:, row], state=state)
        torch.testing.assert_close(step.weights, whole.weights[:, :, row])
        torch.testing.assert_close(step.log_weights, whole.log_weights[:, :, row])
        state = step.state
    assert whole.log_weights.shape == whole.weights.shape == (B, H, T, S)


def test_a_row_that_may_attend_nowhere_gives_zeros():
    attention = made()
    query, keys, values, mask = operands()
    call = torch.ones(T, 1, dtype=torch.bool)
    call[2] = False
    query.requires_grad_()
    attended = attention(query, attention.prepare(keys, values, mask), mask=call)
    assert (attended.context[:, :, 2] == 0).all()
    assert (attended.weights[:, :, 2] == 0).all()
    attended.context.sum().backward()
    assert query.grad.isfinite().all()


def test_beams_change_places():
    attention = made()
    query, keys, values, mask = operands()
    memory = attention.prepare(keys, values, mask)
    rows = torch.tensor([1, 1, 0])
    attended = attention(query[rows], memory.select(rows), state=attention.start(memory).select(rows))
    torch.testing.assert_close(attended.context, attention(query, memory).context[rows])


@pytest.mark.parametrize(
    ("score", "normalize"), [("coverage", "softmax"), ("location_aware", "sparsemax"), ("additive", "monotonic")]
)
def test_beams_change_places_in_the_middle(score, normalize):
    """What was remembered goes along with its sentence."""
    attention = made(score=score, normalize=normalize).eval()
    query, keys, values, mask = operands()
    rows = torch.tensor([1, 1, 0])
    memory = attention.prepare(keys, values, mask)
    start = attention(query[:, :2], memory)
    moved = attention(query[rows, 2:], memory.select(rows), state=start.state.select(rows))
    torch.testing.assert_close(moved.context, attention(query, memory).context[rows, :, 2:])
    assert moved.state.position == T


def test_scores_in_bfloat16_are_normalized_in_float32():
    attention = Attention(8, 8, score="scaled_dot").eval()
    keys = torch.randn(2, 5, 8).bfloat16()
    attended = attention(torch.randn(2, 3, 8).bfloat16(), attention.prepare(keys))
    assert attended.weights.dtype == torch.float32
    assert attended.context.dtype == torch.bfloat16
    torch.testing.assert_close(attended.weights.sum(-1), torch.ones(2, 1, 3))


def test_weights_are_shown_before_dropout():
    attention = made(dropout=0.9)
    query, keys, values, mask = operands()
    memory = attention.prepare(keys, values, mask)
    in_training = attention(query, memory)
    in_use = attention.eval()(query, memory)
    torch.testing.assert_close(in_training.weights, in_use.weights)
    assert not torch.allclose(in_training.context, in_use.context)


def test_unequal_cuts_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="query_size 7 cannot be cut into 2 equal heads"):
        Attention(7, 8, num_heads=2)
    with pytest.raises(ValueError, match=r"there is no kind 'bahdanau'. Known: dot"):
        Attention(8, 8, score="bahdanau")
    with pytest.raises(ValueError, match="bilinear"):
        Attention(8, 6, score="dot")


def test_wrong_operands_are_refused_with_what_to_do():
    attention, keys = Attention(8, 6), torch.randn(2, 7, 6)
    memory = attention.prepare(keys)
    query = torch.randn(2, 5, 8)
    with pytest.raises(TypeError, match=r"memory is what `prepare` returns, not Tensor: use attention.prepare\(keys\)"):
        attention(query, keys)
    with pytest.raises(TypeError, match="query must be a tensor, not list"):
        attention([1.0, 2.0], memory)
    with pytest.raises(ValueError, match=r"query must have 3 axes .*, not 2: add one with unsqueeze"):
        attention(query[0], memory)
    with pytest.raises(ValueError, match="query must have size 8 in the last axis, not 6"):
        attention(torch.randn(2, 5, 6), memory)
    with pytest.raises(ValueError, match="keys must have 3 axes"):
        attention.prepare(keys[0])
    with pytest.raises(ValueError, match="values must have size 6 in the last axis, not 8"):
        attention.prepare(keys, torch.randn(2, 7, 8))
    for mask in (torch.ones(2, 7), torch.ones(2, 7, dtype=torch.long), torch.ones(2, 6, dtype=torch.bool)):
        with pytest.raises(TypeError, match=r"mask must be boolean with the shape \(2, 7\)"):
            attention.prepare(keys, mask=mask)


@pytest.mark.parametrize("score", ["dot", "scaled_dot", "bilinear"])
@pytest.mark.parametrize("autocast", [False, True])
def test_inner_products_do_not_overflow_in_float16(score, autocast):
    """300 * 300 * 8 is beyond the largest number of float16."""
    torch.manual_seed(0)
    attention = Attention(8, 8, score=score).eval()
    query, keys = torch.full((1, 1, 8), 300.0), torch.full((1, 3, 8), 300.0)
    keys[0, 1] = 299.0
    if not autocast:
        attention, query, keys = attention.half(), query.half(), keys.half()
    with torch.autocast("cpu", torch.float16, enabled=autocast):
        attended = attention(query, attention.prepare(keys))
    assert attended.weights.dtype == torch.float32
    assert attended.weights.isfinite().all()
    torch.testing.assert_close(attended.weights.sum(), torch.tensor(1.0))
