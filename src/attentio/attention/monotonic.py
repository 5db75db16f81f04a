"""Monotonic normalizers: each query goes on along the source from where the one before stopped, and never back.

In use the process is hard: at each key, stop if its probability is at least 1/2, else go on. In training the expected
weights of that process are used, alpha_ij, the probability that query i stops at key j. Where the probabilities are 0
or 1 the expectation *is* the process, so that one recurrence serves both. What goes on past the last key attends to
nothing: rows sum to at most 1, and are not normalised (Raffel 2017, section 2.3).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.memory import Memory, widen
from attentio.attention.normalize import Normalized, Normalizer, mask_scores
from attentio.attention.precision import at_least_float32


class Monotonic(Normalizer):
    """p = sigmoid(e + r), alpha by the recurrence of `expected_stops` (Raffel 2017, eqs. 9-14).

    `noise` is the size of the Gaussian noise that in training drives p towards 0 and 1; `bias` is where r starts: the
    longer the source, the lower. Its energies want a score of bounded size, `normed_additive`.
    """

    is_monotonic = True

    def __init__(self, *, noise: float = 1.0, bias: float = -1.0) -> None:
        super().__init__()
        self.noise = noise
        self.bias = nn.Parameter(torch.tensor(bias))

    def start(self, memory: Memory) -> Tensor:
        return before_the_first_query(memory)

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        if history is None:
            raise ValueError("a monotonic normalizer goes on from a history: pass what `start` gives")
        energies = at_least_float32(scores) + self.bias
        stop = stop_probabilities(energies, mask, self.noise if self.training else None)
        weights = expected_stops(stop, widen(history, stop.size(-1)))
        return Normalized(weights, history=weights[:, :, -1])


class MonotonicChunkwise(Normalizer):
    """MoChA: soft attention over the `width` keys that end where the monotonic process stops (Chiu 2018, eqs. 11-13).

    Needs two scores of each pair: where to stop, and how to spread the weight over the chunk.
    """

    is_monotonic = True
    num_scores = 2

    def __init__(self, width: int = 4, *, noise: float = 1.0, bias: float = -1.0) -> None:
        super().__init__()
        self.width = width
        self.noise = noise
        self.bias = nn.Parameter(torch.tensor(bias))

    def start(self, memory: Memory) -> Tensor:
        return before_the_first_query(memory)

    def forward(self, scores: Tensor, mask: Tensor | None, history: Tensor | None = None) -> Normalized:
        if history is None:
            raise ValueError("a monotonic normalizer goes on from a history: pass what `start` gives")
        energies, chunk_scores = at_least_float32(scores)  # (2, B, H, T, S)
        stop = stop_probabilities(energies + self.bias, mask, self.noise if self.training else None)
        stops = expected_stops(stop, widen(history, stop.size(-1)))
        return Normalized(spread(stops, mask_scores(chunk_scores, mask), self.width), history=stops[:, :, -1])


def before_the_first_query(memory: Memory) -> Tensor:
    """alpha_0, (B, H, S): stopped at the first key."""
    history = at_least_float32(memory.values.new_zeros(memory.values.shape[:3]))
    history[:, :, :1] = 1
    return history


def stop_probabilities(energies: Tensor, mask: Tensor | None, noise: float | None) -> Tensor:
    """(B, H, T, S) energies -> probability of stopping at each key; `noise` None: 0 or 1, the process itself."""
    if noise is None:
        probabilities = (energies >= 0).to(energies.dtype)
    else:
        probabilities = (energies + noise * torch.randn_like(energies)).sigmoid()
    return probabilities if mask is None else torch.where(mask, probabilities, 0.0)


def expected_stops(stop: Tensor, history: Tensor) -> Tensor:
    """p (B, H, T, S), alpha of the query before (B, H, S) -> alpha (B, H, T, S).

        q_ij = (1 - p_i,j-1) q_i,j-1 + alpha_i-1,j        alpha_ij = p_ij q_ij

    The recurrence over keys is solved by `scan`, which only multiplies and adds numbers between 0 and 1; the closed
    form with a division by cumulative products loses all mass over a hundred keys.
    """
    go_on = F.pad(1 - stop, (1, 0))[..., :-1]  # 1 - p_i,j-1, and 0 before the first key
    rows: list[Tensor] = []
    for stop_here, carry in zip(stop.unbind(2), go_on.unbind(2), strict=True):
        history = stop_here * scan(carry, history)  # (B, H, S)
        rows.append(history)
    return torch.stack(rows, 2)


def scan(carry: Tensor, add: Tensor) -> Tensor:
    """x_j = carry_j x_j-1 + add_j along the last axis, in log2(S) doublings."""
    stride = 1
    while stride < add.size(-1):
        add = add + carry * F.pad(add, (stride, 0))[..., :-stride]
        carry = carry * F.pad(carry, (stride, 0))[..., :-stride]
        stride *= 2
    return add


def spread(stops: Tensor, chunk_scores: Tensor, width: int) -> Tensor:
    """Each stop's weight over the `width` keys that end there, by softmax: two (B, H, T, S) -> (B, H, T, S)."""
    lowest = torch.finfo(chunk_scores.dtype).min
    chunks = F.pad(chunk_scores, (width - 1, 0), value=lowest).unfold(-1, width, 1)  # (B, H, T, S, width), key k last
    shares = chunks.softmax(-1) * stops.unsqueeze(-1)  # a softmax per chunk: no sum of it can underflow
    weights = torch.zeros_like(stops)
    for place in range(width):  # the chunk that ends at k gives its share `place` to key k - (width - 1 - place)
        back = width - 1 - place
        weights = weights + F.pad(shares[..., place], (0, back))[..., back:]
    return weights
