"""One small task on which every kind can be seen: learn to tell where each target word comes from.

Source and target have seven words, in a fixed order that is nearly the same. Training draws words at random, so a kind
must attend to the right position. The sentence that is shown is never trained on. `attentio attention show` and the
pages in docs/attention show the result. It is an example, not a benchmark.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention import Attended, Attention, merge_heads
from attentio.attention.objective import choice_log_probs, marginal_nll, reinforce
from attentio.attention.registry import find

SOURCE = ("I", "gave", "her", "a", "red", "book", "yesterday")
TARGET = ("我", "昨天", "给了", "她", "一本", "红", "书")
ORDER = (0, 6, 1, 2, 3, 4, 5)  # of each target word, the source word that it comes from

_RADIUS = 2  # a radius of ten would cover the whole sentence
_VOCABULARY, _SIZE, _BATCH = 40, 24, 32


class _Reader(nn.Module):
    """Predict each target word from the context alone, so that attention must find the right position."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.source = nn.Embedding(_VOCABULARY, _SIZE)
        self.target = nn.Embedding(_VOCABULARY, _SIZE)
        self.position = nn.Embedding(len(SOURCE), _SIZE)
        self.attention = attention
        self.output = nn.Linear(_SIZE, _VOCABULARY)

    def forward(self, words: Tensor) -> tuple[Attended, Tensor]:
        """Return what the target attends to for source words (B, S), and the mean loss under the kind's objective."""
        gold, position, values = words[:, list(ORDER)], self.position.weight, self.source(words)
        memory = self.attention.prepare(values + position, values)
        attended = self.attention(self.target(gold) + position, memory, need_weights=True)
        objective = self.attention.normalize.objective
        if objective == "marginal" and attended.log_weights is not None:

            def log_prob(contexts: Tensor) -> Tensor:
                every = self.output(contexts).log_softmax(-1)
                return every.gather(-1, gold[:, :, None, None].expand(*every.shape[:3], 1)).squeeze(-1)

            return attended, marginal_nll(attended.log_weights, values.unsqueeze(1), log_prob).mean()
        logits = self.output(merge_heads(attended.context))
        costs = F.cross_entropy(logits.transpose(1, 2), gold, reduction="none")  # (B, T)
        if objective == "reinforce" and attended.weights is not None and attended.log_weights is not None:
            log_probs = choice_log_probs(attended.weights, attended.log_weights)
            everywhere = torch.ones_like(costs, dtype=torch.bool)
            return attended, reinforce(costs, log_probs, everywhere, baseline=costs.detach().mean()) / costs.numel()
        return attended, costs.mean()


def learn(attention: Attention, *, steps: int = 200, seed: int = 0) -> Tensor:
    """Train an attention on random words. Return its weights on the sentence, (T, S), the mean of its heads."""
    torch.manual_seed(seed)
    reader = _Reader(attention)
    optimizer = torch.optim.Adam(reader.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        reader(torch.randint(_VOCABULARY, (_BATCH, len(SOURCE))))[1].backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        weights = reader.eval()(torch.arange(len(SOURCE)).unsqueeze(0))[0].weights
    return weights[0].mean(0)


def example_attention(setting: str, *, seed: int = 0) -> Attention:
    """Return an attention that shows a kind on its axis, with suitable kinds on the other axes. Raises KindError."""
    axis, choice = find(setting)
    if "radius" in choice.kind.options() and "radius" not in choice.options:
        choice = replace(choice, options={**choice.options, "radius": _RADIUS})
    torch.manual_seed(seed)
    score = "normed_additive" if getattr(choice.kind, "is_monotonic", False) else "scaled_dot"
    chosen = choice() if axis.name == "normalize" else choice
    return Attention(_SIZE, _SIZE, **{"score": score, axis.name: chosen})  # type: ignore[arg-type]


class Tried(NamedTuple):
    """Values to try for an option, and the place of the one that it has."""

    values: list[Any]
    at: int


def tried_values(setting: str) -> dict[str, Tried]:
    """Return values to try for each option of a kind, the one it has in `setting` among them. Raises KindError."""
    _, choice = find(setting, trusted=True)
    found: dict[str, Tried] = {}
    for name, option in choice.kind.options().items():
        held = choice.options.get(name, _RADIUS if name == "radius" else option.default)
        values = [value for value in _around(held, option.type) if _allowed(setting, name, value)]
        if len(values) > 1:
            found[name] = Tried(values, values.index(_SIZE if held is None else held))
    return found


def with_option(setting: str, name: str, value: object) -> str:
    """Return a setting in which one option has this value."""
    _, choice = find(setting, trusted=True)
    return str(replace(choice, options={**choice.options, name: value}))


def _around(held: Any, kind: type) -> list[Any]:
    if kind is bool:
        return [False, True]
    if kind is int:
        size = _SIZE if held is None else held
        return sorted({1, 2, 3, max(1, size // 2), size, 2 * size})
    if kind is float and held:
        return sorted(float(f"{held * factor:.3g}") for factor in (0.25, 0.5, 1.0, 1.5, 2.0, 4.0))
    return []


def _allowed(setting: str, name: str, value: object) -> bool:
    try:
        learn(example_attention(with_option(setting, name, value)), steps=0)
    except ValueError:  # of the kind, or of a sentence as long as this one
        return False
    return True
