"""The Triton kernel against the plain formula. `test_triton_additive.py` runs these in a process of their own, because
Triton asks only once, at its import, whether it is to interpret (TRITON_INTERPRET=1) or to run on a GPU.
"""

import os

import pytest
import torch
import triton

from attentio.attention import Attention
from attentio.attention.kernels import triton_additive
from attentio.attention.score import additive

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
# Fewer and more than a tile on every axis, not divisible by it, and one of everything.
SHAPES = [(2, 1, 5, 7, 24), (1, 2, 1, 9, 16), (2, 3, 8, 8, 67), (1, 1, 17, 1, 1), (3, 2, 9, 11, 64)]
if DEVICE == "cuda":
    SHAPES += [(8, 4, 65, 33, 130), (2, 1, 256, 256, 256), (70_000, 1, 1, 2, 3)]
NEAR = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def operands(shape, dtype, scale=1.0):
    batch, heads, queries, keys, size = shape
    torch.manual_seed(0)
    sizes = (batch, heads, queries, size), (batch, heads, keys, size), (heads, size)
    return [(scale * torch.randn(s, device=DEVICE)).to(dtype).requires_grad_() for s in sizes]


def agree(one, other, near):
    """Up to the size of the largest: half precision rounds every gradient once."""
    scale = 1 + other.abs().max().item()
    torch.testing.assert_close(one.double() / scale, other / scale, atol=near, rtol=near)


@pytest.mark.parametrize("dtype", NEAR, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_scores_and_gradients_are_those_of_the_formula(shape, dtype):
    given_operands = operands(shape, dtype)
    exact_operands = [x.detach().double().requires_grad_() for x in given_operands]
    given, expected = triton_additive.additive(*given_operands), additive(*exact_operands)
    assert given.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(given.double(), expected, atol=NEAR[dtype], rtol=NEAR[dtype])
    upstream = torch.randn_like(given)
    gradients = torch.autograd.grad(given, given_operands, upstream)
    expected_gradients = torch.autograd.grad(expected, exact_operands, upstream.double())
    for one, other in zip(gradients, expected_gradients, strict=True):
        assert one.dtype == dtype
        agree(one, other, NEAR[dtype])


def test_operands_need_not_be_contiguous():
    query, keys, v = operands((2, 3, 5, 7, 11), torch.float64)
    turned = [x.detach().mT.contiguous().mT.requires_grad_() for x in (query, keys, v)]
    assert not turned[0].is_contiguous()
    given, expected = triton_additive.additive(*turned), additive(query, keys, v)
    torch.testing.assert_close(given, expected)
    upstream = torch.randn(7, 5, dtype=torch.float64, device=DEVICE).mT.expand(2, 3, 5, 7)
    torch.testing.assert_close(
        torch.autograd.grad(given, turned, upstream), torch.autograd.grad(expected, [query, keys, v], upstream)
    )


def test_finite_differences():
    assert torch.autograd.gradcheck(
        triton_additive.additive, operands((2, 2, 3, 2, 3), torch.float64), fast_mode=DEVICE == "cpu"
    )


@pytest.mark.parametrize("shape", [(0, 1, 2, 3, 4), (1, 2, 0, 3, 4), (1, 2, 3, 0, 4)], ids=str)
def test_nothing_at_all(shape):
    query, keys, v = operands(shape, torch.float32)
    scores = triton_additive.additive(query, keys, v)
    assert scores.shape == shape[:4]
    scores.sum().backward()
    assert (query.grad == 0).all()
    assert (keys.grad == 0).all()
    assert (v.grad == 0).all()


def test_where_tanh_is_flat():
    query = torch.tensor([[[[300.0], [-300.0], [90.0]]]], device=DEVICE, requires_grad=True)
    keys = torch.tensor([[[[-300.0], [300.0], [50.0]]]], device=DEVICE)
    scores = triton_additive.additive(query, keys, torch.ones(1, 1, device=DEVICE))
    assert scores[0, 0].tolist() == [[0, 1, 1], [-1, 0, -1], [-1, 1, 1]]
    scores.sum().backward()
    assert query.grad.isfinite().all()


def test_what_is_not_finite_stays_where_it_is():
    query, keys, v = operands((1, 1, 9, 9, 5), torch.float32)
    with torch.no_grad():
        keys[0, 0, 3] = torch.nan
        query[0, 0, 8] = torch.inf
    scores = triton_additive.additive(query, keys, v)
    torch.testing.assert_close(scores, additive(query, keys, v), equal_nan=True)
    assert scores[0, 0].isnan().sum() == 9


def test_it_is_not_differentiated_twice():
    query, keys, v = operands((1, 1, 2, 3, 4), torch.float32)
    with pytest.raises(RuntimeError, match="has no second derivative: use backend 'eager'"):
        torch.autograd.grad(triton_additive.additive(query, keys, v).sum(), [query], create_graph=True)


def outcome(backend, score, normalize, window, training):
    torch.manual_seed(0)
    attention = Attention(10, 6, 4, score=score, normalize=normalize, window=window, num_heads=2, backend=backend)
    attention = attention.double().to(DEVICE).train(training)
    query, keys, values = (
        torch.randn(2, n, size, dtype=torch.float64, device=DEVICE) for n, size in ((3, 10), (9, 6), (9, 4))
    )
    mask = torch.arange(9, device=DEVICE) < torch.tensor([[9], [4]], device=DEVICE)
    keys[~mask], values[~mask] = torch.nan, torch.nan
    call = torch.rand(3, 9, device=DEVICE) < 0.6
    call[1] = False
    inputs = [x.requires_grad_() for x in (query, keys, values)]
    torch.manual_seed(1)
    attended = attention(query, attention.prepare(keys, values, mask), mask=call)
    attended.context.square().sum().backward()
    weights = attended.weights
    assert (weights[~(call & mask[:, None, None]).expand_as(weights)] == 0).all()
    gradients = [x.grad for x in (*inputs, *attention.parameters())]
    assert all(g is None or g.isfinite().all() for g in gradients)
    return [attended.context, weights, *gradients]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("score", "normalize", "window"),
    [
        ("additive", "softmax", "full"),
        ("additive", "sparsemax", "local-p"),
        ("normed_additive", "monotonic", "full"),
        ("normed_additive", "hard_reinforce", "causal"),
        ("coverage", "entmax15", "relative"),
        ("fertility_coverage", "softmax", "sliding"),
        ("location_aware", "softmax", "full"),
    ],
)
def test_attention_with_masks_is_that_of_the_plain_formula(score, normalize, window, training):
    if DEVICE == "cuda" and normalize in ("monotonic", "hard_reinforce") and training:
        pytest.skip("draws on the GPU")
    torch.testing.assert_close(
        outcome("triton", score, normalize, window, training), outcome("eager", score, normalize, window, training)
    )


def test_by_itself_it_runs_on_a_gpu_only():
    attention = Attention(64, 64, score="additive").to(DEVICE)
    query, memory = torch.randn(8, 64, 64, device=DEVICE), attention.prepare(torch.randn(8, 64, 64, device=DEVICE))
    expected = "triton" if DEVICE == "cuda" else "chunked"
    assert f"backend: {expected}," in attention.explain(query, memory)


@pytest.mark.skipif(DEVICE == "cpu", reason="the interpreter has no compiler")
def test_compiled_by_torch():
    attention = Attention(12, 12, score="additive", backend="triton").to(DEVICE)
    query, keys = torch.randn(2, 5, 12, device=DEVICE), torch.randn(2, 7, 12, device=DEVICE)

    def attend(query, keys):
        return attention(query, attention.prepare(keys)).context

    torch.testing.assert_close(torch.compile(attend)(query, keys), attend(query, keys))


def test_the_checks_run_where_they_should():
    assert isinstance(triton_additive.forward_kernel, triton.JITFunction) == (DEVICE == "cuda")
