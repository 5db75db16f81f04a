"""Losses over large vocabularies whose gradient is made in the forward pass, a few rows of logits at a time.

`torch.nn.functional` is the definition. It would hold three float32 copies of the logits. Here each small block is read
once, while it is in the processor's cache.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from attentio.runtime import choices
from attentio.text.special import SPECIAL

LARGE = 2**24  # numbers of logits whose copies would take too much memory
ROWS_AT_ONCE = 128  # rows of logits whose float32 copy stays in a core's cache


def smoothed_cross_entropy(logits: Tensor, targets: Tensor, num_real: int, smoothing: float) -> Tensor:
    """Return the cost of each row in nats, (N,), 0 at padding, for logits (N, V) and targets (N,).

    Equal to `F.cross_entropy(logits.float(), targets, label_smoothing=smoothing, ignore_index=SPECIAL.pad,
    reduction="none")`. `num_real` is the number of rows that the caller averages over.
    """
    plain = choices.CHOSEN[choices.LOSS] == "torch" and logits.dtype == torch.float32
    if plain and logits.device.type == "cpu" and logits.numel() < LARGE:
        rule: Any = {"label_smoothing": smoothing, "ignore_index": SPECIAL.pad, "reduction": "none"}
        return F.cross_entropy(logits, targets, **rule)
    return cast(Tensor, _SmoothedCrossEntropy.apply(logits, targets, num_real, smoothing))


def symmetric_divergence(logits: Tensor, pairs: int) -> Tensor:
    """Return (KL(p || q) + KL(q || p)) / 2 of the softmax of rows n and `pairs` + n, (pairs,), for logits (N, V)."""
    return cast(Tensor, _SymmetricDivergence.apply(logits, pairs))


class _SmoothedCrossEntropy(torch.autograd.Function):
    """The gradient is kept as that of the mean over `num_real` rows, so that bfloat16 rounds it once."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, num_real: int, smoothing: float) -> Tensor:
        vocab_size = logits.shape[-1]
        gradient = torch.empty_like(logits)
        costs = logits.new_empty(len(logits), dtype=torch.promote_types(logits.dtype, torch.float32))
        for rows, goal, out, cost in zip(
            logits.split(ROWS_AT_ONCE),
            targets.split(ROWS_AT_ONCE),
            gradient.split(ROWS_AT_ONCE),
            costs.split(ROWS_AT_ONCE),
            strict=True,
        ):
            scores = rows.log_softmax(dim=-1, dtype=costs.dtype)
            weight = (goal != SPECIAL.pad).to(scores.dtype)[:, None]
            fit = (1 - smoothing) * scores.gather(1, goal[:, None])
            if smoothing:
                fit += smoothing * scores.mean(dim=-1, keepdim=True)
            cost.copy_((fit * -weight)[:, 0])
            difference = scores.exp_()
            if smoothing:
                difference -= smoothing / vocab_size
            difference.scatter_add_(1, goal[:, None], torch.full_like(weight, smoothing - 1))
            torch.mul(difference, weight / num_real, out=out)
        ctx.num_real = num_real
        ctx.save_for_backward(gradient)
        return costs

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, None, None, None]:
        (gradient,) = cast(tuple[Tensor], ctx.saved_tensors)
        factor = grad_outputs[0] * ctx.num_real  # 1 where the caller took the mean, as nearly always
        if not factor.eq(1).all():
            gradient = gradient * factor[:, None].to(gradient.dtype)
        return gradient, None, None, None


class _SymmetricDivergence(torch.autograd.Function):
    """With r = log p - log q the gradient of the first logits is (p (r - KL(p || q)) + p - q) / 2.

    That of the second ones is the same with p and q exchanged. Rows after the pairs have none. What is kept is the
    gradient of the mean.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, pairs: int) -> Tensor:
        gradient = torch.zeros_like(logits)
        found = logits.new_empty(pairs, dtype=torch.promote_types(logits.dtype, torch.float32))
        halves = logits[:pairs], logits[pairs : 2 * pairs], gradient[:pairs], gradient[pairs : 2 * pairs], found
        for first, second, d_first, d_second, value in zip(*(half.split(ROWS_AT_ONCE) for half in halves), strict=True):
            log_p, log_q = (rows.to(found.dtype).log_softmax(dim=-1) for rows in (first, second))
            ratio = log_p - log_q
            p, q = log_p.exp_(), log_q.exp_()
            forwards = (p * ratio).sum(dim=-1, keepdim=True)
            backwards = -(q * ratio).sum(dim=-1, keepdim=True)
            value.copy_((forwards + backwards)[:, 0] / 2)
            difference = p - q
            d_first.copy_(((ratio - forwards).mul_(p).add_(difference)).div_(2 * pairs))
            d_second.copy_(((-ratio - backwards).mul_(q).sub_(difference)).div_(2 * pairs))
        ctx.pairs = pairs
        ctx.save_for_backward(gradient)
        return found

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, None]:
        (gradient,) = cast(tuple[Tensor], ctx.saved_tensors)
        factor = (grad_outputs[0] * ctx.pairs).to(gradient.dtype)
        scaled = gradient.clone()
        scaled[: 2 * ctx.pairs] *= factor.repeat(2)[:, None]
        return scaled, None
