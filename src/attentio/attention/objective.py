"""Objectives of attention: how hard attention learns, and the coverage penalty. Plain functions of tensors.

Costs are negative log-likelihoods of target tokens, (B, T). `mask` is True at real target positions. Do not confuse:

- the exact marginal, -log sum_z a(z) p(y|z)
- its upper bound, -sum_z a(z) log p(y|z), which REINFORCE minimizes
- the likelihood under soft attention, which bounds neither
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def choice_log_probs(weights: Tensor, log_weights: Tensor) -> Tensor:
    """Return log a(z) of the choices, summed over heads: one-hot weights and log-weights (B, H, T, S) -> (B, T)."""
    return torch.where(weights > 0, log_weights, 0.0).sum((1, 3))


def choice_entropy(log_weights: Tensor) -> Tensor:
    """Return the entropy of the distribution of choices, in nats, summed over heads: (B, H, T, S) -> (B, T)."""
    return -(log_weights.exp() * log_weights).sum((1, 3))


def rewards_to_go(costs: Tensor, mask: Tensor) -> Tensor:
    """Return the cost of each step and all later steps, (B, T), for choices whose context feeds later steps."""
    return torch.where(mask, costs, 0.0).flip(-1).cumsum(-1).flip(-1)


def leave_one_out(costs: Tensor) -> Tensor:
    """Return the mean cost of the other samples, (K, B, T) with K >= 2: a baseline without parameters or bias."""
    samples = costs.size(0)
    if samples < 2:
        raise ValueError("a leave-one-out baseline needs at least two samples of each sentence")
    return (costs.sum(0) - costs) / (samples - 1)


def reinforce(
    costs: Tensor,
    log_probs: Tensor,
    mask: Tensor,
    *,
    baseline: Tensor,
    returns: Tensor | None = None,
    entropy: Tensor | None = None,
    entropy_weight: float = 0.0,
) -> Tensor:
    """Return the loss whose mean gradient is that of the expected cost (Xu 2015, eqs. 11-12), summed over real tokens.

    costs, log_probs: (..., B, T), of the choices that were drawn. returns: the costs that a choice is responsible for,
    `rewards_to_go` where its context feeds later steps, by default its own. baseline: broadcasts to the returns.
    The entropy bonus keeps the distribution of choices wide.
    """
    returns = costs if returns is None else returns
    advantage = (returns - baseline).detach()
    loss = costs + advantage * log_probs
    if entropy is not None:
        loss = loss - entropy_weight * entropy
    return torch.where(mask, loss, 0.0).sum()


def marginal_nll(
    log_weights: Tensor,
    values: Tensor,
    log_prob: Callable[[Tensor], Tensor],
    *,
    top_k: int | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Return -log sum_j a_ij p(y_i | v_j) of each target token, (B, T) (Wu 2018, eq. 2).

    log_weights (B, 1, T, S), values (B, 1, S, V). log_prob: from contexts (B, T, K, V) to log p(y_i | context),
    (B, T, K). It must not depend on earlier contexts, or the sum over paths would not factor.
    top_k: keep the k best keys of each row (Shankar 2018). chunk: the number of keys whose contexts are held at a time.
    The backward pass computes them again.
    """
    num_keys = log_weights.size(-1)
    best, places = log_weights.squeeze(1).topk(min(top_k or num_keys, num_keys), -1)  # (B, T, K)
    rows = torch.arange(values.size(0), device=values.device)[:, None, None]
    values = values.squeeze(1)

    def log_prob_at(some: Tensor) -> Tensor:
        return log_prob(values[rows, some])

    if chunk is None:
        return -torch.logsumexp(best + log_prob_at(places), -1)
    parts = [checkpoint(log_prob_at, some, use_reentrant=False) for some in places.split(chunk, -1)]
    return -torch.logsumexp(best + torch.cat(parts, -1), -1)


def coverage_loss(weights: Tensor, mask: Tensor) -> Tensor:
    """Return sum_j min(a_tj, c_tj), the mean over heads: weights (B, H, T, S) -> (B, T) (See 2017, eq. 12).

    c are the weights of all earlier steps. The result lies between 0 and 1, and is 0 at target padding.
    """
    before = weights.cumsum(2) - weights
    return torch.where(mask, torch.minimum(weights, before).sum(-1).mean(1), 0.0)
