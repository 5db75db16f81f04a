"""Monotonic normalizers: each query starts at the key where the last one stopped, and never goes back.

In use the process is hard: at each key it stops if the probability is at least 1/2, and else goes on. Training uses the
expected weights, alpha_ij, the probability that query i stops at key j. With probabilities of 0 and 1 the expectation
is the process itself, so one recurrence serves both. A query that runs beyond the last key attends to nothing. Rows sum
to at most 1 and are not normalized (Raffel 2017, section 2.3).

Noise in training drives p towards 0 and 1. The longer the source, the lower `bias` should be. Use a score of bounded
size, such as `normed_additive`.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.kind import REGION, About, at_least
from attentio.attention.memory import Memory, widen
from attentio.attention.normalize import Normalized, Normalizer, mask_scores
from attentio.attention.tensors import at_least_float32

Noise = Annotated[float, "size of the Gaussian noise in training"]
Bias = Annotated[float, "where r starts"]


class Monotonic(Normalizer):
    about = About(
        name="monotonic",
        chinese="单调注意力",
        group=REGION,
        formula="p_ij = σ(e_ij + r);  q_ij = (1 - p_(i,j-1)) q_(i,j-1) + a_(i-1,j);  a_ij = p_ij q_ij",
        paper="Raffel et al. 2017, eqs. 9-14",
        use="Online decoding, and languages in the same order: each query starts where the last one stopped.",
        cost="T rows one after the other, with log₂ S passes each. Linear in use.",
        trap="Rows sum to less than 1: never normalize them. Training uses expectations, translation hard choices.",
    )

    is_monotonic = True

    def __init__(self, *, noise: Noise = 1.0, bias: Bias = -1.0) -> None:
        super().__init__()
        self.noise = at_least(0, noise=noise)
        self.bias = nn.Parameter(torch.tensor(bias))

    def start(self, memory: Memory) -> Tensor:
        """Return alpha_0, (B, H, S): stopped at the first key."""
        history = at_least_float32(memory.values.new_zeros(memory.values.shape[:3]))
        history[:, :, :1] = 1
        return history

    def stops(self, scores: Tensor, mask: Tensor | None, history: Tensor | None) -> Tensor:
        """Return alpha (B, H, T, S). In use the probability of stopping is 0 or 1."""
        if history is None:
            raise ValueError("a monotonic normalizer needs a history: pass the result of `start`")
        energies = at_least_float32(scores) + self.bias
        if self.training:
            stop = (energies + self.noise * torch.randn_like(energies)).sigmoid()
        else:
            stop = (energies >= 0).to(energies.dtype)
        stop = stop if mask is None else torch.where(mask, stop, 0.0)
        history = widen(history, stop.size(-1))
        return expected_stops(stop, history) if self.training else hard_stops(stop, history)

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        weights = self.stops(scores, mask, history)
        return Normalized(weights, history=weights[:, :, -1])


class MonotonicChunkwise(Monotonic):
    about = About(
        name="mocha",
        chinese="单调分块注意力 MoChA",
        group=REGION,
        formula="β_ij = Σ_(k=j..j+w-1) a_ik exp(u_ij) / Σ_(l=k-w+1..k) exp(u_il)",
        paper="Chiu and Raffel 2018, eqs. 11-13",
        use="As monotonic, for languages in roughly the same order: soft attention over the last w keys.",
        cost="As monotonic, plus a second score and w sums.",
        trap="The next query starts from the stop (a), not from the weights it gave (β).",
    )

    num_scores = 2  # one for stopping, one to spread the weight over the chunk

    def __init__(self, width: Annotated[int, "keys in a chunk"] = 4, *, noise: Noise = 1.0, bias: Bias = -1.0) -> None:
        super().__init__(noise=noise, bias=bias)
        self.width = at_least(1, width=width)

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        energies, chunk_scores = at_least_float32(scores)  # (2, B, H, T, S)
        stops = self.stops(energies, mask, history)
        return Normalized(spread(stops, mask_scores(chunk_scores, mask), self.width), history=stops[:, :, -1])


def expected_stops(stop: Tensor, history: Tensor) -> Tensor:
    """Return alpha (B, H, T, S), from p (B, H, T, S) and alpha of the query before (B, H, S).

        q_ij = (1 - p_i,j-1) q_i,j-1 + alpha_i-1,j        alpha_ij = p_ij q_ij

    `scan` solves the recurrence over keys. It only multiplies and adds numbers between 0 and 1. The closed form divides
    by cumulative products, and loses all mass over a hundred keys.
    """
    go_on = F.pad(1 - stop, (1, 0))[..., :-1]  # 1 - p_i,j-1, and 0 before the first key
    rows: list[Tensor] = []
    for stop_here, carry in zip(stop.unbind(2), go_on.unbind(2), strict=True):
        history = stop_here * scan(carry, history)  # (B, H, S)
        rows.append(history)
    return torch.stack(rows, 2)


def hard_stops(stop: Tensor, history: Tensor) -> Tensor:
    """Return `expected_stops` where every probability is 0 or 1: the first stop at or after the last one."""
    rows: list[Tensor] = []
    for stop_here in stop.unbind(2):
        ahead = stop_here * history.cumsum(-1)  # 1 at each place where it would stop
        history = torch.where(ahead.cumsum(-1) == 1, ahead, 0.0)
        rows.append(history)
    return torch.stack(rows, 2)


def scan(carry: Tensor, add: Tensor) -> Tensor:
    """Return x with x_j = carry_j x_j-1 + add_j along the last axis, in log2(S) doublings."""
    stride = 1
    while stride < add.size(-1):
        add = add + carry * F.pad(add, (stride, 0))[..., :-stride]
        carry = carry * F.pad(carry, (stride, 0))[..., :-stride]
        stride *= 2
    return add


def spread(stops: Tensor, chunk_scores: Tensor, width: int) -> Tensor:
    """Return the weight of each stop, spread by softmax over the `width` keys up to it: (B, H, T, S)."""
    lowest = torch.finfo(chunk_scores.dtype).min
    padded, num_keys = F.pad(chunk_scores, (width - 1, 0), value=lowest), chunk_scores.size(-1)
    chunks = torch.stack([padded[..., k : k + num_keys] for k in range(width)], -1)  # (B, H, T, S, width), key k last
    shares = chunks.softmax(-1) * stops.unsqueeze(-1)  # a softmax per chunk cannot underflow
    weights = torch.zeros_like(stops)
    for place in range(width):  # the chunk that ends at k gives its share `place` to key k - (width - 1 - place)
        back = width - 1 - place
        weights = weights + F.pad(shares[..., place], (0, back))[..., back:]
    return weights
