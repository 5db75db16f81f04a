"""Sparse normalizers: alpha-entmax, which like softmax sums to 1 but gives unfit keys exactly nothing.

    p = [(alpha - 1) e - tau]_+ ^ (1 / (alpha - 1)),    tau such that p sums to 1

alpha = 2 is sparsemax, alpha -> 1 softmax. Only finding tau differs: exactly, from sorted scores, for alpha 2 and 1.5,
and by bisection for any other.
"""

from typing import Any

import torch
from torch import Tensor

from attentio.attention.normalize import RowNormalizer, mask_scores, zero_masked


class Sparsemax(RowNormalizer):
    """The point of the simplex nearest to the scores: [e_j - tau]_+ (Martins 2016, eq. 2 and algorithm 1)."""

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return _entmax(scores, mask, 2.0)


class Entmax15(RowNormalizer):
    """[e_j / 2 - tau]_+^2, between softmax and sparsemax (Peters 2019, section 3 and algorithm 2)."""

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return _entmax(scores, mask, 1.5)


class Entmax(RowNormalizer):
    """[(alpha - 1) e_j - tau]_+^(1 / (alpha - 1)) for any alpha > 1 (Peters 2019, eq. 10); softmax is alpha -> 1."""

    def __init__(self, alpha: float = 1.25) -> None:
        super().__init__()
        if alpha <= 1:
            raise ValueError(f"alpha {alpha} must be above 1: at 1 entmax is softmax, below it is not sparse")
        self.alpha = alpha

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return _entmax(scores, mask, self.alpha)


def _entmax(scores: Tensor, mask: Tensor | None, alpha: float) -> Tensor:
    scaled = (alpha - 1) * scores
    scaled = scaled - mask_scores(scaled, mask).detach().amax(-1, keepdim=True)  # now tau lies in [-1, 0)
    hidden = scaled if mask is None else torch.where(mask, scaled, -2.0)
    return zero_masked(_Entmax.apply(hidden, alpha), mask)


class _Entmax(torch.autograd.Function):
    """Rows of x, the highest entry of each being 0 -> [x - tau]_+^(1 / (alpha - 1))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        weights = (x - _threshold(x, alpha)).clamp(min=0) ** (1 / (alpha - 1))
        weights = weights / weights.sum(-1, keepdim=True)  # what rounding and bisection left over
        ctx.save_for_backward(weights)
        ctx.alpha = alpha
        return weights

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gradient,) = grad_outputs
        (weights,) = ctx.saved_tensors
        slope = torch.where(weights > 0, weights ** (2 - ctx.alpha), 0.0)  # (Peters 2019, proposition 2)
        mean = (slope * gradient).sum(-1, keepdim=True) / slope.sum(-1, keepdim=True)
        return slope * (gradient - mean) / (ctx.alpha - 1), None


def _threshold(x: Tensor, alpha: float) -> Tensor:
    """tau of each row, (..., 1)."""
    if alpha == 2.0:
        return _threshold_of_sparsemax(x)
    if alpha == 1.5:
        return _threshold_of_entmax15(x)
    return _threshold_by_bisection(x, alpha)


def _threshold_of_sparsemax(x: Tensor) -> Tensor:
    """Martins 2016, algorithm 1."""
    descending = x.sort(-1, descending=True).values
    count = torch.arange(1, x.size(-1) + 1, device=x.device)  # keys in the support, were it cut here
    tau = (descending.cumsum(-1) - 1) / count
    support = (descending > tau).sum(-1, keepdim=True)
    return tau.gather(-1, support - 1)


def _threshold_of_entmax15(x: Tensor) -> Tensor:
    """Peters 2019, algorithm 2."""
    descending = x.sort(-1, descending=True).values
    count = torch.arange(1, x.size(-1) + 1, device=x.device)
    mean = descending.cumsum(-1) / count
    spread = (descending**2).cumsum(-1) - count * mean**2
    tau = mean - ((1 - spread) / count).clamp(min=0).sqrt()
    support = (descending > tau).sum(-1, keepdim=True)
    return tau.gather(-1, support - 1)


def _threshold_by_bisection(x: Tensor, alpha: float) -> Tensor:
    """Peters 2019, algorithm 1; halves until the precision of x can no longer tell the two ends apart."""
    low = torch.full_like(x[..., :1], -1.0)  # here the highest entry alone gets 1
    width = 1.0
    while width >= torch.finfo(x.dtype).eps:
        width = width / 2
        total = ((x - low - width).clamp(min=0) ** (1 / (alpha - 1))).sum(-1, keepdim=True)
        low = torch.where(total >= 1, low + width, low)
    return low
