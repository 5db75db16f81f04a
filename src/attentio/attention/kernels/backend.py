"""Backends: which implementation of an attention runs, and why. Eager, the plain formulas, defines the result.

    sdpa      scores, softmax and sum in one kernel of torch, without weights, for inner products
    chunked   additive scores without their (B, H, T, S, D) tensor, any normalizer: `chunked.py`
    triton    the same on a GPU, in one kernel: `triton_additive.py`

`choose` is a pure function of traits. "auto" takes the fastest that is allowed, and outside training always gives
weights. A backend that is asked for by name runs or raises.
"""

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.attention.kernels import chunked
from attentio.attention.normalize import Normalizer, Softmax
from attentio.attention.score import AdditiveScore, InnerProductScore, Score
from attentio.attention.window import Window

WITH_WEIGHTS = "with-weights"  # as "auto", among those that give weights in training, too
BACKENDS = ("auto", WITH_WEIGHTS, "eager", "sdpa", "chunked", "triton")

FEW = 2**14
FEW_WITH_GRADIENT = 2**18
"""Number of hidden units below which an additive score is faster at once than in chunks (measured on two cores)."""

FEW_PAIRS = 2**14
FEW_PAIRS_IN_HALF = 2**18
"""Number of pairs, T * S, below which the kernel of torch is slower on a CPU than plain products, forward and backward.

Measured on two cores, from 12 x 10 to 512 x 512. In bfloat16 the difference is up to seven times."""


class Choice(NamedTuple):
    """The backend that runs, and the reason."""

    backend: str
    reason: str


@dataclass(frozen=True, slots=True)
class Traits:
    """Everything that the choice of a backend depends on."""

    family: str  # of the score: "inner product", "additive" or "other"
    softmax: bool  # the normalizer is softmax
    scales: bool  # the window multiplies the weights
    need_weights: bool
    training: bool
    gradient: bool
    tracing: bool  # by torch.compile or an exporter
    cuda: bool
    triton: bool  # installed
    interpreted: bool  # Triton needs no GPU
    hidden_units: int  # B * H * T * S * D
    pairs: int  # T * S
    half: bool  # half precision


def choose(backend: str, traits: Traits) -> Choice:
    """Return the backend for these traits. Raises ValueError, with the reason, if the named one cannot run."""
    if backend in ("auto", WITH_WEIGHTS):
        return _choose_best(traits)
    of_kind = _objection_to_kind(backend, traits.family, softmax=traits.softmax, scales=traits.scales)
    _raise_if(backend, of_kind or _objection_to_call(backend, traits))
    return Choice(backend, "it was asked for")


def _choose_best(traits: Traits) -> Choice:
    if traits.family == "inner product":
        objection = _objection_to_kind("sdpa", traits.family, softmax=traits.softmax, scales=traits.scales)
        if objection is not None:
            return Choice("eager", objection)
        if traits.need_weights or not traits.training:
            return Choice("eager", "weights are needed, as always outside training")
        if not traits.cuda and traits.pairs < (FEW_PAIRS_IN_HALF if traits.half else FEW_PAIRS):
            return Choice("eager", "on a CPU the plain products of short sentences are faster")
        return Choice("sdpa", "an inner product and softmax, in training")
    if traits.family == "additive":
        if traits.tracing:
            return Choice("eager", "a compiler or exporter handles the plain formula best")
        if traits.cuda and traits.triton:
            return Choice("triton", "an additive score on a GPU")
        if traits.hidden_units < (FEW_WITH_GRADIENT if traits.gradient else FEW):
            return Choice("eager", "for few or short sentences chunks gain nothing")
        return Choice("chunked", "the hidden units of an additive score would fill the memory")
    return Choice("eager", "this score has no faster form")


def _objection_to_kind(backend: str, family: str, *, softmax: bool, scales: bool) -> str | None:
    if backend == "sdpa":
        if family != "inner product":
            return "the score is not an inner product"
        if not softmax:
            return "the normalizer is not softmax"
        if scales:
            return "the window multiplies the weights after the softmax"
    if backend in ("chunked", "triton") and family != "additive":
        return "the score is not additive"
    return None


def _objection_to_call(backend: str, traits: Traits) -> str | None:
    if backend == "sdpa" and traits.need_weights:
        return "its kernel gives no weights, and they are needed: use 'auto' or 'eager'"
    if backend == "triton" and not traits.triton:
        return "triton is not installed: install it, or use 'auto' or 'chunked'"
    if backend == "triton" and not (traits.cuda or traits.interpreted):
        return "the tensors are not on a CUDA device: move them there, or use 'auto' or 'chunked'"
    return None


def require_backend(backend: str, score: Score, normalizer: Normalizer, window: Window) -> None:
    """Raise ValueError, with the reason, for a backend that can never run such an attention."""
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is unknown: choose one of {', '.join(BACKENDS)}")
    softmax = isinstance(normalizer, Softmax)
    _raise_if(backend, _objection_to_kind(backend, family(score), softmax=softmax, scales=window.scales_weights))


def _raise_if(backend: str, objection: str | None) -> None:
    if objection is not None:
        raise ValueError(f"backend {backend!r} cannot run: {objection}")


def traits_of(
    score: Score,
    normalizer: Normalizer,
    window: Window,
    query: Tensor,
    keys: Tensor,
    *,
    need_weights: bool,
    training: bool,
) -> Traits:
    """Return the traits of a call with query (B, H, T, Q) and prepared keys (B, H, S, D)."""
    return Traits(
        family=family(score),
        softmax=isinstance(normalizer, Softmax),
        scales=window.scales_weights,
        need_weights=need_weights,
        training=training,
        gradient=torch.is_grad_enabled(),
        tracing=is_traced(),
        cuda=query.is_cuda,
        triton=_HAS_TRITON,
        interpreted=_INTERPRETED,
        hidden_units=keys.numel() * query.size(2),
        pairs=query.size(2) * keys.size(2),
        half=query.dtype in (torch.bfloat16, torch.float16),
    )


def is_traced() -> bool:
    """Return whether a compiler or an ONNX export is tracing. Does not import `torch.onnx`, which takes 40 ms."""
    return torch.compiler.is_compiling() or ("torch.onnx" in sys.modules and torch.onnx.is_in_onnx_export())


def family(score: Score) -> str:
    """Return how a score is computed: "inner product", "additive" or "other"."""
    if isinstance(score, InnerProductScore):
        return "inner product"
    return "additive" if isinstance(score, AdditiveScore) else "other"


def compute_scores(backend: str, score: Score, query: Tensor, keys: Tensor) -> Tensor:
    """Return the scores (B, H, T, S) of query (B, H, T, Q) and prepared keys (B, H, S, D)."""
    if backend == "chunked" and isinstance(score, AdditiveScore):
        return chunked.additive(score.project(query), keys, score.direction())
    if backend == "triton" and isinstance(score, AdditiveScore):
        from attentio.attention.kernels import triton_additive  # here, because triton may not be installed

        return triton_additive.additive(score.project(query), keys, score.direction())
    return score(query, keys)


def attend_without_weights(
    score: Score,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    mask: Tensor | None,
    bias: Tensor | None,
    dropout: float,
) -> Tensor:
    """Return the context (B, H, T, V) from the fused kernel of torch, for an inner product and softmax."""
    if not isinstance(score, InnerProductScore):
        raise TypeError(f"{type(score).__name__} is not an inner product")
    if bias is not None:
        bias = bias.to(query.dtype)
        mask = bias if mask is None else torch.where(mask, bias, -torch.inf)
    return F.scaled_dot_product_attention(
        score.project(query), keys, values, attn_mask=mask, dropout_p=dropout, scale=1.0
    )


_HAS_TRITON = find_spec("triton") is not None
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # Triton reads it once, when its kernels are defined
