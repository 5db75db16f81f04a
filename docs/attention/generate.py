"""Writes the pages of docs/attention from the catalogue, and the picture of each kind's weights.

    python docs/attention/generate.py            # pages and pictures: every kind learns the example, under a minute
    python docs/attention/generate.py --pages    # pages only

A test holds that the pages are what this would write. Pictures differ in the last digits from machine to machine.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from attentio.attention.catalog import CATALOG, Entry

DOCS = Path(__file__).resolve().parent
AXES = {
    "score": "How a query and a key are compared",
    "normalize": "How scores become weights",
    "window": "Which keys a query sees",
}


BEFORE = """# Every kind of attention

Soft, hard and local attention are no rivals of dot product and cosine: a kind is a choice on each of three
axes that are free of each other, over one head or several.

```python
from attentio.attention import Attention, merge_heads

attention = Attention(256, 512, score="additive", normalize="entmax15", window="local-p", num_heads=4)
memory = attention.prepare(keys, mask=mask)  # keys (B, S, 512), projected once per sentence
attended = attention(query, memory)  # query (B, T, 256): context (B, 4, T, 128), weights (B, 4, T, S)
context = merge_heads(attended.context)  # (B, T, 512)

state = attention.start(memory)  # or query by query, as a decoder does
attended, state = attention.step(query[:, :1], memory, state)
```

In a mask True means “may attend”. A query that may attend nowhere gets zeros, and finite gradients. In training
a kernel may run that has no weights; `need_weights=True` forbids it, and `attention.explain(query, memory)` says
what runs and why. `MultiHeadAttention` takes the place of `torch.nn.MultiheadAttention`, masks and state dict
included.

In a decoder's self-attention the memory grows by a key with each step: `memory.extend(attention.prepare(key))`.
With `window=combine_windows(Causal, …)` around any other window, step by step then equals all at once, for every kind.
"""
AFTER = """
What each comes to in a translator, on the same data with the same updates: [kinds, measured](../kinds-measured.md).

## A kind of your own

A score is its formula, a normalizer a function of scores and mask; heads, masks, windows and backends stay as they
are. `conform` holds yours to the laws that all kinds obey, and says which one it breaks.

```python run
import torch
from torch import nn

from attentio.attention import Attention, RowNormalizer, Score
from attentio.testing.conformance import conform


class Manhattan(Score):  # how near query and key are: minus their L1 distance, scaled per head
    def __init__(self, query_size, key_size, num_heads):  # sizes of one head
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_heads, 1, 1))

    def prepare(self, keys):  # (B, H, S, K): what can be done once per sentence
        return keys

    def forward(self, query, keys):  # (B, H, T, Q), (B, H, S, K) -> (B, H, T, S)
        return -self.scale * (query.unsqueeze(3) - keys.unsqueeze(2)).abs().sum(-1)


class Taylor(RowNormalizer):  # softmax with 1 + e + e²/2 in the place of exp(e)
    def normalize_rows(self, scores, mask):  # at least float32; True in the mask = may attend
        shares = 1 + scores + scores**2 / 2
        shares = shares if mask is None else torch.where(mask, shares, 0.0)
        return shares / shares.sum(-1, keepdim=True).clamp(min=1e-9)


conform(score=Manhattan, num_heads=4)
conform(normalize=Taylor, window="causal")
attention = Attention(256, 256, score=Manhattan, normalize=Taylor(), num_heads=4)


class MasksTooLate(RowNormalizer):
    def normalize_rows(self, scores, mask):
        return scores.softmax(-1) * (1.0 if mask is None else mask)


try:
    conform(normalize=MasksTooLate)
except AssertionError as error:
    assert "breaks the law 'weights are shares'" in str(error)
```

## Combinations that are refused

- `monotonic` and `mocha` in a window that moves by itself (`sliding`, `local-m`, `local-p`): it would leave them
  behind.
- The hard kinds in `local-p`: a Gaussian after the choice only shrinks the value chosen; `local-p-renormalized`
  has a say in the choice.
- `hard_marginal` with several heads, or with a score that remembers: the sum over all choices would be
  exponential.
- `mocha` with a score that remembers: it has two scores, and it is not said which of them remembers.

Pages and pictures are made by `python docs/attention/generate.py`. Each picture shows the same sentence, after the
kind has learnt, from random words only, to say where each target word comes from; `attentio attention show NAME`
learns and draws the same.
"""


def index() -> str:
    """The page that leads to all others."""
    lines: list[str] = []
    for axis, title in AXES.items():
        lines += ["", f"## {title}: `{axis}`", "", "| name | 名称 | group | formula |", "|---|---|---|---|"]
        for kind in (kind for kind in CATALOG if kind.axis == axis):
            group = f"{kind.group.english} {kind.group.chinese}"
            formula = kind.formula.replace("|", "\\|")
            lines.append(f"| [{kind.name}]({kind.name}.md) | {kind.chinese} | {group} | `{formula}` |")
    return BEFORE + "\n".join(lines) + "\n" + AFTER


def page(kind: Entry) -> Iterator[str]:
    """The page of one kind."""
    option = f'{kind.axis}="{kind.name}"'
    yield from (
        f"# {kind.name} · {kind.chinese}",
        "",
        f"`Attention(..., {option})` · {kind.group.english} {kind.group.chinese} · [all kinds](README.md)",
        "",
        "```",
        kind.formula,
        "```",
        "",
        f"**Paper.** {kind.paper}.",
        "",
        f"**When to use it.** {kind.use}",
        "",
        f"**Cost.** {kind.cost}",
        "",
        f"**Trap.** {kind.trap}",
        "",
        f"![Weights of {kind.name} on the example: a row for each target word, a column for each source word]"
        f"(images/{kind.name}.svg)",
    )


def picture(kind: Entry) -> str:
    """The weights of a kind on the example, as SVG."""
    from attentio.attention.example import SOURCE, TARGET, example_attention, learn

    weights = learn(example_attention(kind.name)).tolist()
    cell, left, top = 52, 70, 40
    width, height = left + cell * len(SOURCE) + 10, top + cell * len(TARGET) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="14">',
        f"<title>Attention weights of {kind.name}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    half = cell // 2
    for j, word in enumerate(SOURCE):
        place = f'x="{left + cell * j + half}" y="{top - 12}" text-anchor="middle" font-size="12"'
        parts.append(f"<text {place}>{word}</text>")
    for i, word in enumerate(TARGET):
        y = top + cell * i
        parts.append(f'<text x="{left - 10}" y="{y + half + 5}" text-anchor="end">{word}</text>')
        for j, weight in enumerate(weights[i]):
            x = left + cell * j
            shade = f'fill="#0b4a8f" fill-opacity="{weight:.3f}" stroke="#d0d0d0"'
            parts.append(f'<rect x="{x}" y="{y}" width="{cell - 2}" height="{cell - 2}" {shade}/>')
            if weight >= 0.005:
                ink = "#ffffff" if weight > 0.5 else "#444444"
                place = f'x="{x + half - 1}" y="{y + half + 4}" text-anchor="middle" font-size="12"'
                parts.append(f'<text {place} fill="{ink}">{100 * weight:.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    (DOCS / "README.md").write_text(index(), encoding="utf-8")
    for kind in CATALOG:
        (DOCS / f"{kind.name}.md").write_text("\n".join([*page(kind), ""]), encoding="utf-8")
        if "--pages" not in sys.argv:
            (DOCS / "images" / f"{kind.name}.svg").write_text(picture(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
