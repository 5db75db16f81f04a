"""What training minimises."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attentio.data.batch import Batch
from attentio.model.seq2seq import Seq2Seq
from attentio.recorder import AttentionRecorder

PAD_ID = 0
ROWS_AT_ONCE = 128  # rows of logits whose float32 copy stays in a core's cache
ROW_MULTIPLE = 32  # few distinct shapes: a CPU's matrix library prepares itself anew for each


def cross_entropy(model: Seq2Seq, batch: Batch, *, label_smoothing: float) -> Tensor:
    """Mean smoothed cross-entropy per real target token, in nats; padding is not scored.

    With label smoothing e the target distribution is (1 - e) one-hot + e uniform (Szegedy 2016, section 7).
    """
    features = model.decoder.features(batch.target_in, model.encode(batch.source, batch.source_lengths)).flatten(0, 1)
    targets = batch.target_out.flatten()
    real = (targets != PAD_ID).nonzero()[:, 0]
    # Filled up with padding positions, which weigh nothing.
    surplus = (targets == PAD_ID).nonzero()[: -len(real) % ROW_MULTIPLE, 0]
    rows = torch.cat([real, surplus])
    logits = model.decoder.project(features.index_select(0, rows))  # (N, V)
    loss = _SmoothedCrossEntropy.apply(logits, targets[rows], len(real), label_smoothing)
    return cast(Tensor, loss)


def guided_cross_entropy(model: Seq2Seq, batch: Batch, *, label_smoothing: float, guidance: float) -> Tensor:
    """Cross-entropy plus `guidance` times what attention misses of the batch's known links (Chen 2016).

    A target token with known links adds -log of the weight it gives to all linked source tokens together, mean of the
    heads; the sum is divided by the number of target tokens, linked or not.
    """
    if guidance == 0 or batch.links is None or len(batch.links) == 0:
        return cross_entropy(model, batch, label_smoothing=label_smoothing)
    with AttentionRecorder(model.decoder) as recorder:
        loss = cross_entropy(model, batch, label_smoothing=label_smoothing)
    row, target, source = batch.links.unbind(1)
    token = row * batch.target_in.shape[1] + target
    linked, place = token.unique(return_inverse=True)
    for weights in recorder.layers_weights():  # (B, H, T, S)
        mass = weights.new_zeros(len(linked)).index_add(0, place, weights.mean(dim=1)[row, target, source])
        loss = loss - guidance * mass.clamp_min(1e-6).log().sum() / batch.num_target_tokens
    return loss


class _SmoothedCrossEntropy(torch.autograd.Function):
    """The loss and its gradient in one pass over the logits, a few rows at a time.

    Equal to `F.cross_entropy(logits.float(), targets, label_smoothing=e)`, without its three float32 copies of the
    logits.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, num_real: int, smoothing: float) -> Tensor:
        vocab_size = logits.shape[-1]
        gradient = torch.empty_like(logits)
        loss = logits.new_zeros((), dtype=torch.promote_types(logits.dtype, torch.float32))
        for rows, goal, out in zip(
            logits.split(ROWS_AT_ONCE), targets.split(ROWS_AT_ONCE), gradient.split(ROWS_AT_ONCE), strict=True
        ):
            scores = rows.to(torch.promote_types(rows.dtype, torch.float32), copy=True)
            weight = (goal != PAD_ID).to(scores.dtype)[:, None] / num_real
            norm = scores.logsumexp(dim=-1, keepdim=True)
            fit = (1 - smoothing) * scores.gather(1, goal[:, None]) + smoothing * scores.mean(dim=-1, keepdim=True)
            loss += ((norm - fit) * weight).sum()
            wanted = torch.full_like(norm, 1 - smoothing)
            probabilities = scores.sub_(norm).exp_()
            out.copy_(probabilities.sub_(smoothing / vocab_size).scatter_add_(1, goal[:, None], -wanted).mul_(weight))
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the decorator hides the names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, None, None, None]:
        (gradient,) = cast(tuple[Tensor], ctx.saved_tensors)
        return gradient * grad_outputs[0].to(gradient.dtype), None, None, None
