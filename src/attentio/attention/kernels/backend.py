"""Backends: which implementation of an attention runs, and why. Eager, the plain formulas, defines the result.

    sdpa      scores, softmax and sum in one kernel of torch, without weights, for inner products
    chunked   additive scores without their (B, H, T, S, D) tensor, any normalizer: `chunked.py`
    triton    the same on a GPU, in one kernel: `triton_additive.py`

`choose` is a pure function of traits. "auto" takes the fastest that is allowed, and outside training always gives
weights. A backend that is asked for by name runs or raises.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from attentio.attention.kernels import chunked
from attentio.attention.normalize import Normalizer, Softmax
from attentio.attention.score import AdditiveScore, InnerProductScore, Score
from attentio.attention.tensors import is_traced
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

_few_pairs = {False: FEW_PAIRS, True: FEW_PAIRS_IN_HALF}  # by half precision, what holds on this machine


def set_few_pairs(single: int, half: int) -> None:
    """Say what was measured on this machine instead of FEW_PAIRS and FEW_PAIRS_IN_HALF."""
    _few_pairs.update({False: single, True: half})


def few_pairs(*, half: bool) -> int:
    """Return the number of pairs below which plain products are faster on this CPU, in half precision or not."""
    return _few_pairs[half]


_HAS_TRITON = find_spec("triton") is not None
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # Triton reads it once, when its kernels are defined


class Choice(NamedTuple):
    """The backend that runs, and the reason."""

    backend: str
    reason: str


@dataclass(frozen=True, slots=True)
class Traits:
    """Everything that the choice of a backend depends on. The defaults are those of a call that forbids nothing."""

    family: str  # of the score: "inner product", "additive" or "other"
    softmax: bool  # the normalizer is softmax
    scales: bool  # the window multiplies the weights
    need_weights: bool = False
    training: bool = True
    gradient: bool = True
    tracing: bool = False  # by torch.compile or an exporter
    cuda: bool = True
    triton: bool = True  # installed
    interpreted: bool = False  # Triton needs no GPU
    hidden_units: int = 0  # B * H * T * S * D
    pairs: int = 0  # T * S
    few_pairs: int = FEW_PAIRS  # below which plain products are faster on this CPU


def choose(backend: str, traits: Traits) -> Choice:
    """Return the backend for these traits. Raises ValueError, with the reason, if the named one cannot run."""
    no_softmax = {
        "the normalizer is not softmax": not traits.softmax,
        "the window multiplies the weights after the softmax": traits.scales,
    }
    if backend not in ("auto", WITH_WEIGHTS):
        not_additive = {"the score is not additive": traits.family != "additive"}
        objections = {
            "sdpa": {
                "the score is not an inner product": traits.family != "inner product",
                **no_softmax,
                "its kernel gives no weights, and they are needed: use 'auto' or 'eager'": traits.need_weights,
            },
            "chunked": not_additive,
            "triton": {
                **not_additive,
                "triton is not installed: install it, or use 'auto' or 'chunked'": not traits.triton,
                "the tensors are not on a CUDA device: move them there, or use 'auto' or 'chunked'": not (
                    traits.cuda or traits.interpreted
                ),
            },
        }
        if objection := _first(objections.get(backend, {})):
            raise ValueError(f"backend {backend!r} cannot run: {objection}")
        return Choice(backend, "it was asked for")
    if traits.family == "inner product":
        why_eager = no_softmax | {
            "weights are needed, as always outside training": traits.need_weights or not traits.training,
            "on a CPU the plain products of short sentences are faster": not traits.cuda
            and traits.pairs < traits.few_pairs,
        }
        if reason := _first(why_eager):
            return Choice("eager", reason)
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


def _first(reasons: dict[str, bool]) -> str | None:
    return next((reason for reason, holds in reasons.items() if holds), None)


def require_backend(backend: str, score: Score, normalizer: Normalizer, window: Window) -> None:
    """Raise ValueError, with the reason, for a backend that can never run such an attention."""
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is unknown: choose one of {', '.join(BACKENDS)}")
    choose(backend, Traits(family(score), isinstance(normalizer, Softmax), window.scales_weights))


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
        few_pairs=few_pairs(half=query.dtype in (torch.bfloat16, torch.float16)),
    )


def family(score: Score) -> str:
    """Return how a score is computed: "inner product", "additive" or "other"."""
    if isinstance(score, InnerProductScore):
        return "inner product"
    return "additive" if isinstance(score, AdditiveScore) else "other"


def compute_scores(backend: str, score: Score, query: Tensor, keys: Tensor) -> Tensor:
    """Return the scores (B, H, T, S) of query (B, H, T, Q) and prepared keys (B, H, S, D)."""
    if backend not in ("chunked", "triton") or not isinstance(score, AdditiveScore):
        return score(query, keys)
    if backend == "chunked":
        return chunked.additive(score.project(query), keys, score.direction())
    from attentio.attention.kernels import triton_additive  # here, because triton may not be installed

    return triton_additive.additive(score.project(query), keys, score.direction())
