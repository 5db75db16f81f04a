"""Sparse normalizers: alpha-entmax, whose weights sum to 1 as those of softmax, but are exactly 0 for low scores.

    p = [(alpha - 1) e - tau]_+ ^ (1 / (alpha - 1)),    tau such that p sums to 1

alpha = 2 is sparsemax, alpha -> 1 is softmax. For alpha 2 and 1.5 tau is found exactly, from sorted scores, and for any
other alpha by bisection.
"""

from typing import Annotated, Any

import torch
from torch import Tensor

from attentio.attention.kind import REGION, About
from attentio.attention.normalize import RowNormalizer, mask_scores, zero_masked


class Sparsemax(RowNormalizer):
    about = About(
        name="sparsemax",
        chinese="稀疏软注意力（sparsemax）",
        group=REGION,
        formula="a_i = argmin_p |p - e_i|² over the simplex = [e_ij - τ_i]₊",
        paper="Martins and Astudillo 2016, eq. 2 and algorithm 1",
        use="Maps that people read: most weights are exactly 0.",
        cost="A sort of each row.",
        trap="There is no gradient outside the support: a key without weight cannot ask for more.",
    )

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return _entmax(scores, mask, 2.0)


class Entmax15(RowNormalizer):
    about = About(
        name="entmax15",
        chinese="稀疏软注意力（1.5-entmax）",
        group=REGION,
        formula="a_ij = [e_ij / 2 - τ_i]₊²",
        paper="Peters, Niculae and Martins 2019, section 3 and algorithm 2",
        use="Between softmax and sparsemax: weights of exactly 0, and a smooth edge.",
        cost="A sort of each row.",
        trap="As sparsemax, but weaker.",
    )

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return _entmax(scores, mask, 1.5)


class Entmax(RowNormalizer):
    about = About(
        name="entmax",
        chinese="稀疏软注意力（α-entmax）",
        group=REGION,
        formula="a_ij = [(α - 1) e_ij - τ_i]₊^(1/(α-1))",
        paper="Peters, Niculae and Martins 2019, eq. 10 and algorithm 1",
        use="To choose how sparse the weights are: α near 1 is softmax, 2 is sparsemax.",
        cost="A bisection of each row: 24 passes in float32.",
        trap="For α = 1.5 and 2 the kinds entmax15 and sparsemax are faster.",
    )

    def __init__(self, alpha: Annotated[float, "how sparse the weights are, above 1"] = 1.25) -> None:
        super().__init__()
        if alpha <= 1:
            raise ValueError(f"alpha {alpha} must be above 1: at 1 entmax is softmax, and below it is not sparse")
        self.alpha = alpha

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return _entmax(scores, mask, self.alpha)


def _entmax(scores: Tensor, mask: Tensor | None, alpha: float) -> Tensor:
    scaled = (alpha - 1) * scores
    scaled = scaled - mask_scores(scaled, mask).detach().amax(-1, keepdim=True)  # now tau lies in [-1, 0)
    hidden = scaled if mask is None else torch.where(mask, scaled, -2.0)
    return zero_masked(_Entmax.apply(hidden, alpha), mask)


class _Entmax(torch.autograd.Function):
    """Return [x - tau]_+^(1 / (alpha - 1)) of rows whose highest entry is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        tau = _sorted_threshold(x, alpha) if alpha in (1.5, 2.0) else _bisected_threshold(x, alpha)
        weights = (x - tau).clamp(min=0) ** (1 / (alpha - 1))
        weights = weights / weights.sum(-1, keepdim=True)  # removes the rest that rounding and bisection leave
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


def _sorted_threshold(x: Tensor, alpha: float) -> Tensor:
    """Return tau, (..., 1), of sparsemax (Martins 2016, algorithm 1) or 1.5-entmax (Peters 2019, algorithm 2)."""
    descending = x.sort(-1, descending=True).values
    count = torch.arange(1, x.size(-1) + 1, device=x.device)  # of keys in the support, if it ended here
    if alpha == 2.0:
        tau = (descending.cumsum(-1) - 1) / count
    else:
        mean = descending.cumsum(-1) / count
        spread = (descending**2).cumsum(-1) - count * mean**2
        tau = mean - ((1 - spread) / count).clamp(min=0).sqrt()
    return tau.gather(-1, (descending > tau).sum(-1, keepdim=True) - 1)


def _bisected_threshold(x: Tensor, alpha: float) -> Tensor:
    """Return tau by bisection, down to the precision of x (Peters 2019, algorithm 1)."""
    low = torch.full_like(x[..., :1], -1.0)  # at this tau the highest entry alone gets 1
    width = 1.0
    while width >= torch.finfo(x.dtype).eps:
        width = width / 2
        total = ((x - low - width).clamp(min=0) ** (1 / (alpha - 1))).sum(-1, keepdim=True)
        low = torch.where(total >= 1, low + width, low)
    return low
