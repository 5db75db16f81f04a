"""Objectives that attention brings along: how hard attention learns, the coverage penalty. Plain functions of tensors.

Costs are negative log-likelihoods of target tokens, (B, T); `mask` is True at real target positions. Three quantities
must not be confused, and a number should say which it is: the exact marginal, -log sum_z a(z) p(y|z); its upper bound
-sum_z a(z) log p(y|z), which REINFORCE minimises; and the likelihood under soft attention, which bounds neither.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def choice_log_probs(weights: Tensor, log_weights: Tensor) -> Tensor:
    """log a(z) of what was chosen, summed over heads: one-hot weights and log-weights (B, H, T, S) -> (B, T)."""
    return torch.where(weights > 0, log_weights, 0.0).sum((1, 3))


def choice_entropy(log_weights: Tensor) -> Tensor:
    """Entropy of the distribution chosen from, in nats, summed over heads: (B, H, T, S) -> (B, T)."""
    return -(log_weights.exp() * log_weights).sum((1, 3))


def rewards_to_go(costs: Tensor, mask: Tensor) -> Tensor:
    """Each step's cost and all later ones, (B, T): what a choice answers for where its context feeds the next steps."""
    return torch.where(mask, costs, 0.0).flip(-1).cumsum(-1).flip(-1)


def leave_one_out(costs: Tensor) -> Tensor:
    """(K, B, T), K >= 2 samples -> the mean of the other samples' costs, a baseline without parameters or bias."""
    samples = costs.size(0)
    if samples < 2:
        raise ValueError("a leave-one-out baseline needs at least two samples of each sentence")
    return (costs.sum(0) - costs) / (samples - 1)


def moving_average(baseline: Tensor, costs: Tensor, mask: Tensor, *, decay: float = 0.9) -> Tensor:
    """The baseline after this batch, b <- decay b + (1 - decay) mean cost (Xu 2015, section 4.1), without gradient."""
    return decay * baseline + (1 - decay) * costs.detach()[mask].mean()


def reinforce(
    costs: Tensor,
    log_probs: Tensor,
    mask: Tensor,
    *,
    baseline: Tensor,
    returns: Tensor | None = None,
    entropy: Tensor | None = None,
    entropy_weight: float = 0.0,
    weight: float = 1.0,
) -> Tensor:
    """The loss whose mean gradient is that of the expected cost (Xu 2015, eqs. 11-12), summed over real tokens.

    `costs` and `log_probs` (..., B, T) belong to the choices drawn. `returns` is what each choice answers for: the
    costs themselves where a context serves its own step only, `rewards_to_go` where it feeds later ones. `baseline`
    broadcasts to them. The entropy bonus keeps the choice open.
    """
    returns = costs if returns is None else returns
    advantage = (returns - baseline).detach()
    loss = costs + weight * advantage * log_probs
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
    """-log sum_j a_ij p(y_i | v_j) for each target token, (B, T) (Wu 2018, eq. 2).

    log_weights (B, 1, T, S); values (B, 1, S, V). `log_prob` takes contexts (B, T, K, V) to log p(y_i | context),
    (B, T, K); it may not depend on earlier contexts, or the sum over paths would not factor. `top_k` keeps the k best
    keys of each row (Shankar 2018); `chunk` is how many are contexts at a time, made again in the backward pass.
    """
    return -torch.logsumexp(joint_log_probs(log_weights, values, log_prob, top_k=top_k, chunk=chunk)[0], -1)


def posterior(
    log_weights: Tensor,
    values: Tensor,
    log_prob: Callable[[Tensor], Tensor],
    *,
    top_k: int | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Where each token came from, given what it is: a_ij p(y_i | v_j) over its sum, (B, T, S) (Shankar 2019, eq. 5)."""
    joint, places = joint_log_probs(log_weights, values, log_prob, top_k=top_k, chunk=chunk)
    batch, _, queries, num_keys = log_weights.shape
    weights = joint.new_zeros(batch, queries, num_keys)
    return weights.scatter(-1, places, joint.softmax(-1))


def joint_log_probs(
    log_weights: Tensor,
    values: Tensor,
    log_prob: Callable[[Tensor], Tensor],
    *,
    top_k: int | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """log a_ij + log p(y_i | v_j) of the keys summed over, (B, T, K), and which they are, (B, T, K)."""
    num_keys = log_weights.size(-1)
    best, places = log_weights.squeeze(1).topk(min(top_k or num_keys, num_keys), -1)  # (B, T, K)
    rows = torch.arange(values.size(0), device=values.device)[:, None, None]
    values = values.squeeze(1)

    def log_prob_at(some: Tensor) -> Tensor:
        return log_prob(values[rows, some])

    if chunk is None:
        return best + log_prob_at(places), places
    parts = [checkpoint(log_prob_at, some, use_reentrant=False) for some in places.split(chunk, -1)]
    return best + torch.cat(parts, -1), places


def coverage_loss(weights: Tensor, mask: Tensor) -> Tensor:
    """sum_j min(a_tj, c_tj), c the weights of all earlier steps: weights (B, H, T, S) -> (B, T), mean over heads.

    Between 0 and 1; 0 at target padding (See 2017, eq. 12).
    """
    before = weights.cumsum(2) - weights
    return torch.where(mask, torch.minimum(weights, before).sum(-1).mean(1), 0.0)
