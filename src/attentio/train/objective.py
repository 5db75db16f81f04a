"""What training minimizes: the cost of the target tokens, the gradient of hard choices, and penalties on attention.

The normalizer of the attention names the cost (`Normalizer.objective`). All are negative log-likelihoods in nats per
target token.

    reinforce        mean over keys drawn, -sum_z a(z) log p(y|z): an upper bound of the next one
    marginal         -log sum_z a(z) p(y|z), over all keys or the best of them
    cross_entropy    that of the target tokens; with hard_straight_through over keys drawn, so the same bound
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.attention import NORMALIZERS, Attended
from attentio.attention.kernels.backend import WITH_WEIGHTS
from attentio.attention.objective import (
    choice_entropy,
    choice_log_probs,
    coverage_loss,
    leave_one_out,
    marginal_nll,
    reinforce,
    rewards_to_go,
)
from attentio.attention.tensors import at_least_float32
from attentio.data.batch import Batch
from attentio.errors import UsageError
from attentio.model.decoder import NOTHING, AttendedByName, Decoder, Encoded
from attentio.model.fast.loss import smoothed_cross_entropy, symmetric_divergence
from attentio.model.seq2seq import Seq2Seq
from attentio.text.special import SPECIAL
from attentio.train.settings import RunConfig, TrainConfig

ROW_MULTIPLE = 32  # few distinct shapes: a CPU's matrix library prepares itself for each
KEYS_AT_ONCE = 2  # of the marginal: their logits are held, the others' are made again in the backward pass


class Loss(NamedTuple):
    """`total`: what is minimized. `cost`: the part that is reported, without gradient. Both are means per token."""

    total: Tensor
    cost: Tensor


def check_objective(config: RunConfig) -> None:
    """Raise UsageError for penalties that the kind of attention does not allow."""
    normalize = config.attention.normalize
    if config.train.consistency > 0 and NORMALIZERS.choose(normalize).kind.objective != "cross_entropy":
        raise UsageError(
            f"train.consistency compares what two passes predict of a token. With attention.normalize = {normalize!r} "
            f"a pass makes one prediction for each key that may be chosen.",
            hint="Leave train.consistency at 0, or take hard_straight_through.",
        )


def cross_entropy(model: Seq2Seq, batch: Batch, *, label_smoothing: float) -> Tensor:
    """Mean smoothed cross-entropy per real target token, in nats. Padding is not scored."""
    predicted = predict(model.decoder, batch, model.encode(batch.source, batch.source_lengths))
    return token_costs(predicted, label_smoothing=label_smoothing).sum() / batch.num_target_tokens


class Predicted(NamedTuple):
    """What a decoder makes of a batch's real target positions, in their order, and of a few of padding after them.

    logits: (N, V). rows: (N,) the places in the flattened targets. targets: (B, T). num_real: how many are no padding.
    """

    logits: Tensor
    rows: Tensor
    targets: Tensor
    num_real: int
    attended: AttendedByName = NOTHING

    def disagreement(self) -> Tensor:
        """(KL(p || q) + KL(q || p)) / 2 for a batch that holds everything twice (Liang 2021, eq. 2), mean of tokens."""
        pairs = self.num_real // 2
        return symmetric_divergence(self.logits, pairs).sum() / pairs


def predict(decoder: Decoder[Any], batch: Batch, encoded: Encoded) -> Predicted:
    """Return the logits of a batch's target tokens. None are computed for padding, but for a few."""
    features, attended = decoder.features(batch.target_in, encoded)
    features = features.flatten(0, 1)
    targets = batch.target_out.flatten()
    real = (targets != SPECIAL.pad).nonzero()[:, 0]
    surplus = (targets == SPECIAL.pad).nonzero()[: -len(real) % ROW_MULTIPLE, 0]
    rows = torch.cat([real, surplus])
    return Predicted(decoder.project(features.index_select(0, rows)), rows, batch.target_out, len(real), attended)


def token_costs(predicted: Predicted, *, label_smoothing: float) -> Tensor:
    """Return the smoothed cross-entropy of each target token, (B, T), in nats, 0 at padding.

    With label smoothing e the target distribution is (1 - e) one-hot + e uniform (Szegedy 2016, section 7).
    """
    logits, rows, targets, num_real, _ = predicted
    goals = targets.flatten()[rows]
    costs = smoothed_cross_entropy(logits, goals, num_real, label_smoothing)
    return costs.new_zeros(targets.numel()).index_copy(0, rows, costs).view_as(targets)


def marginal_costs(
    decoder: Decoder[Any], batch: Batch, encoded: Encoded, *, label_smoothing: float, top_k: int | None
) -> tuple[Tensor, AttendedByName]:
    """Return -log sum_j a_ij p(y_i | v_j) of each target token, (B, T), over the `top_k` best keys or all.

    Padding has 0. The second value is what was attended to.

    Label smoothing falls on each key's own cost: the sum is over `a_ij exp(-cost_ij)`. So with one key this is the
    smoothed cross-entropy.
    """
    attended, added, features = decoder.features_by_key(batch.target_in, encoded)
    (log_weights,) = (_chosen_from(layer) for layer in attended.values())

    def log_prob(some: Tensor) -> Tensor:  # (B, T, K, E) -> (B, T, K)
        logits = at_least_float32(decoder.project(features(some)))
        targets = batch.target_out[:, :, None].expand(logits.shape[:3])
        costs = F.cross_entropy(
            logits.flatten(0, 2), targets.flatten(), label_smoothing=label_smoothing, reduction="none"
        )
        return -costs.view_as(targets)

    costs = marginal_nll(log_weights, added, log_prob, top_k=top_k, chunk=KEYS_AT_ONCE)
    return torch.where(batch.target_out != SPECIAL.pad, costs, 0.0), attended


def _likelihood(
    decoder: Decoder[Any], batch: Batch, encoded: Encoded, settings: TrainConfig
) -> tuple[Tensor, AttendedByName, Predicted | None]:
    predicted = predict(decoder, batch, encoded)
    return token_costs(predicted, label_smoothing=settings.label_smoothing), predicted.attended, predicted


def _marginal(
    decoder: Decoder[Any], batch: Batch, encoded: Encoded, settings: TrainConfig
) -> tuple[Tensor, AttendedByName, Predicted | None]:
    top_k = settings.marginal_top_k or None
    return *marginal_costs(decoder, batch, encoded, label_smoothing=settings.label_smoothing, top_k=top_k), None


# How the costs of a batch are computed, by `Normalizer.objective`. REINFORCE takes those of the keys that were drawn.
OBJECTIVES = {"cross_entropy": _likelihood, "reinforce": _likelihood, "marginal": _marginal}


def reinforced(
    costs: Tensor,
    decoder: Decoder[Any],
    attended: AttendedByName,
    batch: Batch,
    samples: int,
    entropy_weight: float,
) -> Tensor:
    """Return the loss whose mean gradient is that of the expected cost (Xu 2015), per token.

    costs: (K * B, T), of K samples. The baseline of a sample is the mean of the others. A choice is responsible for the
    cost of its own token, and of later tokens where they see what was chosen.
    """
    layers = [attended[name] for name in decoder.cross_attention()]
    log_probs = torch.stack([choice_log_probs(_shown(layer), _chosen_from(layer)) for layer in layers]).sum(0)
    entropy = torch.stack([choice_entropy(_chosen_from(layer)) for layer in layers]).sum(0)
    costs, log_probs, entropy, mask = (
        x.unflatten(0, (samples, -1)) for x in (costs, log_probs, entropy, batch.target_out != SPECIAL.pad)
    )
    remembers = any(layer.score.history is not None for layer in decoder.cross_attention().values())
    returns = rewards_to_go(costs, mask) if decoder.context_feeds_back or remembers else costs
    loss = reinforce(
        costs,
        log_probs,
        mask,
        baseline=leave_one_out(returns),
        returns=returns,
        entropy=entropy,
        entropy_weight=entropy_weight,
    )
    return loss / batch.num_target_tokens


def missed_links(decoder: Decoder[Any], attended: AttendedByName, batch: Batch) -> Tensor:
    """Return what the last layer misses of the known links (Chen 2016, of one layer as in Garg 2019).

    A target token with known links costs -log of the weight it gives to all linked source tokens, mean of the
    heads. The sum is divided by the number of target tokens, linked or not.
    """
    assert batch.links is not None
    row, target, source = batch.links.unbind(1)
    token = row * batch.target_in.shape[1] + target
    linked, place = token.unique(return_inverse=True)
    weights = distributions(decoder, attended)[-1].mean(dim=1)  # (B, T, S)
    mass = weights.new_zeros(len(linked)).index_add(0, place, weights[row, target, source])
    return -mass.clamp_min(1e-6).log().sum() / batch.num_target_tokens


def repeated_looks(decoder: Decoder[Any], attended: AttendedByName, batch: Batch) -> Tensor:
    """Return the coverage loss (See 2017, eq. 12), mean of tokens, heads and layers, between 0 and 1."""
    real = batch.target_out != SPECIAL.pad
    layers = [coverage_loss(weights, real).sum() for weights in distributions(decoder, attended)]
    return torch.stack(layers).mean() / batch.num_target_tokens


def needs_weights(config: RunConfig, *, with_links: bool) -> bool:
    """Return whether the objective reads the weights. Then build with WITH_WEIGHTS.

    with_links: links are known of some pairs. Without them nothing is guided.
    """
    return (with_links and config.train.guided_alignment > 0) or config.train.coverage_loss > 0


def distributions(decoder: Decoder[Any], attended: AttendedByName) -> list[Tensor]:
    """Return (B, H, T, S) of each layer: the weights, or what a hard kind chose from, for a choice has no gradient.

    Raises ValueError where a kernel without weights ran.
    """
    layers = [attended.get(name) for name in decoder.cross_attention()]
    return [
        _shown(layer) if layer is None or layer.log_weights is None else layer.log_weights.exp() for layer in layers
    ]


def _shown(layer: Attended | None) -> Tensor:
    if layer is None or layer.weights is None:
        raise ValueError(f"a kernel without weights ran: build the model with backend={WITH_WEIGHTS!r}")
    return layer.weights


def _chosen_from(layer: Attended) -> Tensor:
    assert layer.log_weights is not None, "only hard kinds have this objective"
    return layer.log_weights


def repeat_batch(batch: Batch, times: int) -> Batch:
    """Return the whole batch so many times, one after the other."""
    source, lengths, target_in, target_out = (x.repeat(times, *[1] * (x.dim() - 1)) for x in batch[:4])
    links = batch.links
    if links is not None:
        first_rows = torch.arange(times, device=links.device)[:, None] * len(batch.source)
        row, target, from_source = (column.repeat(times) for column in links.unbind(1))
        links = torch.stack([row + first_rows.expand(-1, len(links)).flatten(), target, from_source], dim=1)
    return Batch(source, lengths, target_in, target_out, times * batch.num_target_tokens, links)
