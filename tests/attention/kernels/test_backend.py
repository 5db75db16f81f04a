"""Backends: each computes what the plain formulas compute, and the choice among them is a table."""

import math
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attentio.attention import SCORES, Attention
from attentio.attention.kernels import chunked
from attentio.attention.kernels.backend import (
    FEW,
    FEW_PAIRS,
    FEW_PAIRS_IN_HALF,
    FEW_WITH_GRADIENT,
    Traits,
    choose,
    traits_of,
)
from attentio.attention.score import additive

B, H, T, S = 2, 3, 5, 7
HAS_TRITON = find_spec("triton") is not None
DOT = Traits(
    family="inner product",
    softmax=True,
    scales=False,
    need_weights=False,
    training=True,
    gradient=True,
    tracing=False,
    cuda=False,
    triton=False,
    interpreted=False,
    hidden_units=10**9,
    pairs=10**6,
)
ADDITIVE = replace(DOT, family="additive", softmax=False)


@pytest.mark.parametrize(
    ("traits", "backend", "reason"),
    [
        (DOT, "sdpa", "an inner product and softmax, in training"),
        (replace(DOT, cuda=True, triton=True), "sdpa", "an inner product"),
        (replace(DOT, pairs=FEW_PAIRS), "sdpa", "an inner product"),
        (replace(DOT, pairs=FEW_PAIRS - 1), "eager", "short sentences"),
        (replace(DOT, pairs=FEW_PAIRS_IN_HALF, few_pairs=FEW_PAIRS_IN_HALF), "sdpa", "an inner product"),
        (replace(DOT, pairs=FEW_PAIRS_IN_HALF - 1, few_pairs=FEW_PAIRS_IN_HALF), "eager", "short sentences"),
        (replace(DOT, pairs=1, cuda=True), "sdpa", "an inner product"),
        (replace(DOT, need_weights=True), "eager", "weights are needed"),
        (replace(DOT, training=False), "eager", "weights are needed"),
        (replace(DOT, softmax=False), "eager", "the normalizer is not softmax"),
        (replace(DOT, scales=True), "eager", "the window multiplies the weights"),
        (ADDITIVE, "chunked", "would fill the memory"),
        (replace(ADDITIVE, need_weights=True, training=False), "chunked", "would fill the memory"),
        (replace(ADDITIVE, hidden_units=FEW_WITH_GRADIENT), "chunked", "would fill the memory"),
        (replace(ADDITIVE, hidden_units=FEW_WITH_GRADIENT - 1), "eager", "few or short sentences"),
        (replace(ADDITIVE, hidden_units=FEW, gradient=False), "chunked", "would fill the memory"),
        (replace(ADDITIVE, hidden_units=FEW - 1, gradient=False), "eager", "few or short sentences"),
        (replace(ADDITIVE, cuda=True, triton=True), "triton", "an additive score on a GPU"),
        (replace(ADDITIVE, cuda=True), "chunked", "would fill the memory"),
        (replace(ADDITIVE, triton=True), "chunked", "would fill the memory"),
        (replace(ADDITIVE, triton=True, interpreted=True), "chunked", "would fill the memory"),
        (replace(ADDITIVE, tracing=True, cuda=True, triton=True), "eager", "a compiler or exporter"),
        (replace(DOT, family="other"), "eager", "no faster form"),
    ],
)
def test_the_best_backend_is_a_matter_of_traits(traits, backend, reason):
    choice = choose("auto", traits)
    assert choice.backend == backend
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("backend", "traits", "objection"),
    [
        ("sdpa", ADDITIVE, "the score is not an inner product"),
        ("sdpa", replace(DOT, softmax=False), "the normalizer is not softmax"),
        ("sdpa", replace(DOT, scales=True), "the window multiplies the weights"),
        ("chunked", DOT, "the score is not additive"),
        ("triton", DOT, "the score is not additive"),
        ("sdpa", replace(DOT, need_weights=True), "its kernel gives no weights, and they are needed"),
        ("triton", replace(ADDITIVE, cuda=True), "triton is not installed"),
        ("triton", replace(ADDITIVE, interpreted=True), "triton is not installed"),
        ("triton", replace(ADDITIVE, triton=True), "not on a CUDA device"),
    ],
)
def test_a_backend_asked_for_by_name_runs_or_raises(backend, traits, objection):
    with pytest.raises(ValueError, match=objection):
        choose(backend, traits)


def test_a_backend_asked_for_by_name_is_taken():
    assert choose("eager", DOT).backend == "eager"
    assert choose("chunked", replace(ADDITIVE, hidden_units=1)).backend == "chunked"
    assert choose("triton", replace(ADDITIVE, cuda=True, triton=True)).backend == "triton"
    assert choose("triton", replace(ADDITIVE, interpreted=True, triton=True)).backend == "triton"
    assert choose("sdpa", replace(DOT, pairs=1)).backend == "sdpa"
    assert choose("sdpa", replace(DOT, training=False)).backend == "sdpa"


def test_traits_are_those_of_the_call(monkeypatch):
    attention = Attention(12, 33, score=partial(SCORES["additive"], hidden_size=11), num_heads=3)
    query, keys = torch.zeros(2, 3, 5, 4), torch.zeros(2, 3, 7, 11)

    def traits(query=query):
        parts = attention.score, attention.normalize, attention.window
        return traits_of(*parts, query, keys, need_weights=False, training=True)

    assert traits() == replace(ADDITIVE, softmax=True, triton=HAS_TRITON, hidden_units=2 * 3 * 5 * 7 * 11, pairs=5 * 7)
    assert traits(query.bfloat16()).few_pairs == FEW_PAIRS_IN_HALF
    assert traits(query.half()).few_pairs == FEW_PAIRS_IN_HALF
    with torch.no_grad():
        assert not traits().gradient
    for module, name in ((torch.compiler, "is_compiling"), (torch.onnx, "is_in_onnx_export")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda: True)
            assert traits().tracing


def operands():
    torch.manual_seed(1)
    query, keys = torch.randn(B, T, 12, dtype=torch.float64), torch.randn(B, S, 12, dtype=torch.float64)
    mask = torch.arange(S) < torch.tensor([[7], [4]])
    call = torch.rand(T, S) < 0.6
    call[2] = False
    return query, keys, mask, call


def run(backend, score, window="full", dtype=torch.float64, **options):
    torch.manual_seed(0)
    attention = Attention(12, 12, score=score, window=window, num_heads=H, backend=backend, **options).to(dtype)
    query, keys, mask, call = operands()
    query, keys = query.to(dtype).requires_grad_(), keys.to(dtype).requires_grad_()
    attended = attention(query, attention.prepare(keys, None, mask), mask=call)
    attended.context.square().sum().backward()
    return attended, [query.grad, keys.grad, *(p.grad for p in attention.parameters())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("score", "window"),
    [
        ("dot", "full"),
        ("dot", "relative"),
        ("scaled_dot", "local-p:renormalize=true"),
        ("bilinear", "causal"),
        ("cosine", "local-p:renormalize=true"),
    ],
)
def test_sdpa_equals_eager(score, window):
    fast, fast_gradients = run("sdpa", score, window)
    plain, gradients = run("eager", score, window)
    assert fast.weights is None
    assert plain.weights is not None
    torch.testing.assert_close(fast.context, plain.context)
    torch.testing.assert_close(fast_gradients, gradients)
    assert fast.state == plain.state


def test_the_backend_that_is_chosen_is_the_one_that_runs(monkeypatch):
    """Their numbers are equal: only who is called, and a second derivative, tell them apart."""
    calls = []
    fast = chunked.additive
    monkeypatch.setattr(chunked, "additive", lambda *operands: calls.append(1) or fast(*operands))
    run("chunked", "additive")
    assert calls
    calls.clear()
    run("eager", "additive")
    assert not calls
    query, keys, _, _ = operands()
    attention = Attention(12, 12, backend="eager").double()
    context = attention(query.requires_grad_(), attention.prepare(keys)).context
    (gradient,) = torch.autograd.grad(context.sum(), query, create_graph=True)
    assert torch.autograd.grad(gradient.sum(), query)[0].abs().max() > 0


def test_sdpa_asked_for_by_name_runs_in_use_too_and_never_in_the_place_of_weights():
    query, keys, mask, _ = operands()
    attention = Attention(12, 12, score="dot", backend="sdpa").double().eval()
    memory = attention.prepare(keys, None, mask)
    attended = attention(query, memory)
    assert attended.weights is None
    attention.backend = "eager"
    torch.testing.assert_close(attended.context, attention(query, memory).context)
    attention.backend = "sdpa"
    for call in (attention, attention.explain):
        with pytest.raises(ValueError, match=r"^backend 'sdpa' cannot run: .* use 'auto' or 'eager'$"):
            call(query, memory, need_weights=True)


def test_sdpa_has_the_dropout_of_the_module():
    torch.manual_seed(0)
    attention = Attention(4, 4, score="dot", dropout=0.5, backend="sdpa")
    keys = torch.ones(1, 400, 4)
    memory = attention.prepare(keys)
    contexts = attention(torch.zeros(1, 200, 4), memory).context
    assert contexts.std() > 0.01
    torch.testing.assert_close(contexts.mean(), torch.tensor(1.0), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("score", "normalize"),
    [
        ("additive", "softmax"),
        ("additive", "monotonic"),
        ("normed_additive", "sparsemax"),
        ("coverage", "monotonic"),
        ("location_aware", "sparsemax"),
    ],
)
def test_chunked_equals_eager_whatever_the_normalizer(score, normalize):
    torch.manual_seed(5)
    fast, fast_gradients = run("chunked", score, normalize=normalize)
    torch.manual_seed(5)
    plain, gradients = run("eager", score, normalize=normalize)
    torch.testing.assert_close(fast.weights, plain.weights)
    torch.testing.assert_close(fast.context, plain.context)
    torch.testing.assert_close(fast_gradients, gradients)


def additive_operands(shape, dtype=torch.float64):
    batch, heads, queries, keys, size = shape
    torch.manual_seed(0)
    sizes = ((batch, heads, queries, size), (batch, heads, keys, size), (heads, size))
    return [(2 * torch.randn(s, dtype=torch.float64)).to(dtype).requires_grad_() for s in sizes]


SHAPES = [(2, 3, 5, 7, 11), (1, 1, 1, 1, 1), (3, 1, 1, 9, 4), (5, 2, 4, 1, 3), (1, 1, 17, 2, 5)]


@pytest.mark.parametrize("chunk", [1, 100, 500, 10**6])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_chunks_of_any_size_give_the_plain_scores(shape, chunk, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", chunk)
    operands = additive_operands(shape)
    upstream = torch.randn(shape[:4], dtype=torch.float64)
    given, expected = chunked.additive(*operands), additive(*operands)
    torch.testing.assert_close(given, expected)
    torch.testing.assert_close(
        torch.autograd.grad(given, operands, upstream), torch.autograd.grad(expected, operands, upstream)
    )
    with torch.no_grad():
        torch.testing.assert_close(chunked.additive(*operands), expected)


def test_chunks_and_finite_differences():
    assert torch.autograd.gradcheck(chunked.additive, additive_operands((2, 2, 3, 2, 3)))


def test_chunks_in_float32_and_bfloat16_stay_near_float64():
    exact = additive_operands((2, 3, 20, 30, 64))
    for dtype, near in ((torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        operands = [x.detach().to(dtype).requires_grad_() for x in exact]
        rounded = [x.detach().double().requires_grad_() for x in operands]
        given, expected = chunked.additive(*operands), additive(*rounded)
        assert given.dtype == torch.float32
        torch.testing.assert_close(given.double(), expected, atol=near, rtol=near)
        gradients = torch.autograd.grad(given.sum(), operands), torch.autograd.grad(expected.sum(), rounded)
        for one, other in zip(*gradients, strict=True):
            assert one.dtype == dtype
            torch.testing.assert_close(one.double(), other, atol=near * 30, rtol=near)


def test_chunks_hold_where_tanh_is_flat():
    """q and k far apart, or far out together: no overflow, and the gradient is 0, not NaN."""
    query = torch.tensor([[[[300.0], [-300.0], [90.0]]]], requires_grad=True)
    keys = torch.tensor([[[[-300.0], [300.0], [50.0]]]], requires_grad=True)
    scores = chunked.additive(query, keys, torch.ones(1, 1))
    assert scores[0, 0].tolist() == [[0, 1, 1], [-1, 0, -1], [-1, 1, 1]]
    scores.sum().backward()
    assert query.grad.isfinite().all()


def test_chunks_are_not_differentiated_twice():
    operands = additive_operands((1, 1, 2, 3, 4))
    with pytest.raises(RuntimeError, match="has no second derivative: use backend 'eager'"):
        torch.autograd.grad(chunked.additive(*operands).sum(), operands[:1], create_graph=True)


class Largest(TorchDispatchMode):
    """Remembers the most elements any operation gave back."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return result


def test_a_chunk_is_never_less_than_one_query_of_one_sentence(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 1)
    parts = chunked.hidden_chunks(torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 5, 4))
    assert [hidden.shape for *_, hidden in parts] == [(1, 1, 5, 4)] * 6


@pytest.mark.parametrize(
    ("shape", "chunk", "most"),
    [
        ((1, 1, 10, 20, 16), 1, 320),  # never less than one query
        ((1, 1, 10, 20, 16), 2000, 6 * 320),  # as many queries as fit
        ((8, 1, 10, 20, 16), 10_000, 3 * 3200),  # as many sentences as fit
        ((2, 3, 10, 20, 16), 10**6, 2 * 3200),  # one head at a time
    ],
)
@pytest.mark.slow
def test_the_hidden_units_are_never_whole_in_memory(shape, chunk, most, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", chunk)
    largest = {}
    for function in (additive, chunked.additive):
        operands = additive_operands(shape)
        with Largest() as seen:
            function(*operands).sum().backward()
        largest[function] = seen.numel
    assert largest[additive] == math.prod(shape)
    assert largest[chunked.additive] == most


def test_explain_says_what_runs_and_why():
    query, keys, mask, _ = operands()

    def explained(**options):
        attention = Attention(12, 12, **options).double()
        return attention.explain(query, attention.prepare(keys, None, mask))

    assert explained(score="dot") == (
        "Dot · Full · Softmax · heads: 1\n"
        "backend: eager, because on a CPU the plain products of short sentences are faster\n"
        "order: all queries at once"
    )
    assert "backend: sdpa, because it was asked for" in explained(score="dot", backend="sdpa")
    assert "one query after the other, because the score depends" in explained(score="coverage")
    assert "each query starts where the last stopped" in explained(normalize="monotonic")
    assert "backend: eager, because it was asked for" in explained(backend="eager")
    with pytest.raises(ValueError, match=r"cannot run: (triton is not installed|the tensors are not on a CUDA device)"):
        explained(backend="triton")


def test_weights_may_be_asked_for_in_training():
    query, keys = torch.randn(B, 128, 12, dtype=torch.float64), torch.randn(B, 128, 12, dtype=torch.float64)
    attention = Attention(12, 12, score="dot").double()
    memory = attention.prepare(keys, None, torch.arange(128) < torch.tensor([[128], [60]]))
    assert "backend: sdpa, because an inner product and softmax, in training" in attention.explain(query, memory)
    assert "backend: eager, because weights" in attention.explain(query, memory, need_weights=True)
    assert attention(query, memory).weights is None
    seen = attention(query, memory, need_weights=True)
    torch.testing.assert_close(seen.context, attention(query, memory).context)
    torch.testing.assert_close(seen.weights, attention.eval()(query, memory).weights)


def test_autocast_gives_float32_scores():
    attention = Attention(12, 12, score="additive", backend="chunked")
    query, keys, mask, _ = operands()
    query, keys = query.float(), keys.float()
    exact = attention(query, attention.prepare(keys, None, mask))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        attended = attention(query, attention.prepare(keys, None, mask))
    attended.context.float().sum().backward()
    assert attended.weights.dtype == torch.float32
    torch.testing.assert_close(attended.weights, exact.weights, atol=0.01, rtol=0)
