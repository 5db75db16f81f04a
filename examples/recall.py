"""Attention alone, in a PyTorch model of your own: learn to look a name up in a list.

Each example is a list of (name, number) items and a name to ask for. The answer is the number beside that name. The
model can only answer by attending to the right item, so its weights can be checked against the known place.

python examples/recall.py dot
"""

import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention import Attention, merge_heads

NAMES, NUMBERS, ITEMS, WIDTH = 20, 10, 6, 32


class Recall(nn.Module):
    """Keys are names, values are numbers, and the query is a name."""

    def __init__(self, score: str) -> None:
        super().__init__()
        self.names = nn.Embedding(NAMES, WIDTH)
        self.numbers = nn.Embedding(NUMBERS, WIDTH)
        self.attention = Attention(WIDTH, WIDTH, score=score)
        self.answer = nn.Linear(WIDTH, NUMBERS)

    def forward(self, names: Tensor, numbers: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, NUMBERS) and weights (B, S), for names and numbers (B, S) and the names asked for (B,)."""
        memory = self.attention.prepare(self.names(names), self.numbers(numbers))
        attended = self.attention(self.names(asked)[:, None], memory, need_weights=True)
        assert attended.weights is not None  # asked for
        return self.answer(merge_heads(attended.context)[:, 0]), attended.weights[:, 0, 0]


def examples(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return names (B, S), different in a row, numbers (B, S), the name asked for (B,) and its place (B,)."""
    names = torch.rand(count, NAMES).argsort(1)[:, :ITEMS]
    numbers = torch.randint(NUMBERS, (count, ITEMS))
    place = torch.randint(ITEMS, (count,))
    return names, numbers, names[torch.arange(count), place], place


def main(score: str = "dot", steps: int = 150) -> tuple[float, float]:
    """Train. Return the share of right answers, and of examples where the strongest weight is on the right item."""
    torch.manual_seed(1)
    model = Recall(score)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        names, numbers, asked, place = examples(128)
        logits, _ = model(names, numbers, asked)
        loss = F.cross_entropy(logits, numbers[torch.arange(len(place)), place])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    model.eval()
    names, numbers, asked, place = examples(1000)
    logits, weights = model(names, numbers, asked)
    right = (logits.argmax(1) == numbers[torch.arange(1000), place]).float().mean().item()
    looked = (weights.argmax(1) == place).float().mean().item()
    print(
        f"{score}: {100 * right:.1f} % right answers, {100 * looked:.1f} % with the strongest weight on the right item"
    )
    return right, looked


if __name__ == "__main__":
    main(*sys.argv[1:2])
