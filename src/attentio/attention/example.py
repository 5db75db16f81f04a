"""One small example that every kind can be seen on: a model of one attention that learns to say where words come from.

Source and target are seven words, in a fixed order that is not quite the same. Words are drawn at random while
learning, so that a kind must look at what stands where; the sentence shown is never trained on. This is the picture of
`attentio attention show` and of the pages in docs/attention, and no benchmark.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.attention import Attended, Attention
from attentio.attention.catalog import Entry, entry
from attentio.attention.heads import merge_heads
from attentio.attention.objective import choice_log_probs, marginal_nll, reinforce
from attentio.attention.window import LocalMonotonic, LocalPredictive, Sliding, Window

SOURCE = ("I", "gave", "her", "a", "red", "book", "yesterday")
TARGET = ("我", "昨天", "给了", "她", "一本", "红", "书")
ORDER = (0, 6, 1, 2, 3, 4, 5)  # of each target word, the source word that it comes from

# With a radius of ten, as they have it otherwise, these would see the whole sentence.
_NEAR: dict[str, Callable[[int, int], Window]] = {
    "sliding": partial(Sliding, radius=2),
    "local-m": partial(LocalMonotonic, radius=2),
    "local-p": partial(LocalPredictive, radius=2),
    "local-p-renormalized": partial(LocalPredictive, radius=2, renormalize=True),
}
_VOCABULARY, _SIZE, _BATCH = 40, 24, 32


class _Reader(nn.Module):
    """Says each target word from what attention found in the source: it can only know by looking at the right place."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.source = nn.Embedding(_VOCABULARY, _SIZE)
        self.target = nn.Embedding(_VOCABULARY, _SIZE)
        self.position = nn.Embedding(len(SOURCE), _SIZE)
        self.attention = attention
        self.output = nn.Linear(_SIZE, _VOCABULARY)

    def forward(self, words: Tensor) -> tuple[Attended, Tensor]:
        """Source words (B, S) -> what was attended to, and the values, for the target in its order."""
        position = self.position.weight
        values = self.source(words)
        query = self.target(words[:, list(ORDER)]) + position
        memory = self.attention.prepare(values + position, values)
        return self.attention(query, memory, need_weights=True), values

    def loss(self, words: Tensor) -> Tensor:
        """The objective that belongs to the kind."""
        attended, values = self(words)
        gold = words[:, list(ORDER)]
        if self.attention.normalize.marginal and attended.log_weights is not None:

            def log_prob(contexts: Tensor) -> Tensor:
                every = self.output(contexts).log_softmax(-1)
                return every.gather(-1, gold[:, :, None, None].expand(*every.shape[:3], 1)).squeeze(-1)

            return marginal_nll(attended.log_weights, values.unsqueeze(1), log_prob).mean()
        logits = self.output(merge_heads(attended.context))
        costs = F.cross_entropy(logits.transpose(1, 2), gold, reduction="none")  # (B, T)
        if _learns_by_reinforce(self.attention) and attended.weights is not None and attended.log_weights is not None:
            log_probs = choice_log_probs(attended.weights, attended.log_weights)
            everywhere = torch.ones_like(costs, dtype=torch.bool)
            return reinforce(costs, log_probs, everywhere, baseline=costs.detach().mean()) / costs.numel()
        return costs.mean()


def _learns_by_reinforce(attention: Attention) -> bool:
    return attention.normalize.is_hard and not attention.normalize.is_biased


def learn(attention: Attention, *, steps: int = 200, seed: int = 0) -> Tensor:
    """Trains an attention on random words; its weights on the sentence, (T, S), the mean of its heads."""
    torch.manual_seed(seed)
    reader = _Reader(attention)
    optimizer = torch.optim.Adam(reader.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        reader.loss(torch.randint(_VOCABULARY, (_BATCH, len(SOURCE)))).backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        weights = reader.eval()(torch.arange(len(SOURCE)).unsqueeze(0))[0].weights
    return weights[0].mean(0)


def example_attention(name: str, *, seed: int = 0) -> Attention:
    """The attention that shows a kind: the kind itself, and on the other axes what goes with it."""
    kind: Entry = entry(name)
    torch.manual_seed(seed)
    return Attention(
        _SIZE,
        _SIZE,
        score=name if kind.axis == "score" else "normed_additive" if name in ("monotonic", "mocha") else "scaled_dot",
        normalize=name if kind.axis == "normalize" else "softmax",
        window=_NEAR.get(name, name) if kind.axis == "window" else "full",
    )
