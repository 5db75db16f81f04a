"""Writes the pages of docs/attention from the classes of the kinds, and the picture of each kind's weights.

    python docs/attention/generate.py            # pages and pictures: every kind learns the example, under a minute
    python docs/attention/generate.py --pages    # pages only

A test compares the pages with what this would write. Pictures differ in the last digits from machine to machine.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from attentio.attention import AXES, Kind

DOCS = Path(__file__).resolve().parent
TITLES = {
    "score": "How a query and a key are compared",
    "normalize": "How scores become weights",
    "window": "Which keys a query sees",
}
PAGES = [(axis, kind) for axis, kinds in AXES.items() for kind in kinds.values()]


BEFORE = """# Every kind of attention

Soft, hard and local attention are not rivals of dot product and cosine. A kind is a choice on each of three
independent axes, over one head or several.

```python
from attentio.attention import Attention, merge_heads

attention = Attention(256, 512, score="additive", normalize="entmax15", window="local-p:3", num_heads=4)
memory = attention.prepare(keys, mask=mask)  # keys (B, S, 512), projected once per sentence
attended = attention(query, memory)  # query (B, T, 256): context (B, 4, T, 128), weights (B, 4, T, S)
context = merge_heads(attended.context)  # (B, T, 512)

state = attention.start(memory)  # or query by query, as a decoder does
attended, state = attention.step(query[:, :1], memory, state)
```

In a mask True means “may attend”. A query that may attend nowhere gets zeros and finite gradients. In training a
kernel without weights may run. `need_weights=True` forbids it, and `attention.explain(query, memory)` says what runs
and why. Without keys the context is zero, and without queries or sentences it is empty. Weights are in float32, also
where the operands are in half precision.

`MultiHeadAttention` takes the place of `torch.nn.MultiheadAttention`, with the same masks and state dict. It also works
inside `nn.TransformerEncoder`, `nn.TransformerDecoder` and `nn.Transformer`, in training and evaluation.

In the self-attention of a decoder the memory grows by a key with each step: `memory.extend(attention.prepare(key))`.
With `window=combine_windows(Causal, …)` around any other window, step by step equals all at once for every kind.

## Options

A kind may have options. They follow its name, after a colon:

| written as | means |
|---|---|
| `local-p` | the kind with its defaults |
| `local-p:3` | its first option is 3 |
| `local-p:3,renormalize=true` | the other options by name |
| `{kind = "local-p", radius = 3}` | the same as a table, in a TOML file |

This holds everywhere: `-o attention.window=local-p:3`, `--vary attention.window=full,local-p:2,local-p:5`, a TOML file
and `Attention(window="local-p:3")`. In `--vary`, a bare value or `name=value` after a comma belongs to the kind before
it. The class of the kind checks the options when the settings are read. An option at its default is left out, so
`local-p:10` and `local-p` are the same. `attentio attention show local-p` lists the options. The old name
`local-p-renormalized` still works and means `local-p:renormalize=true`.
"""
AFTER = """
Their quality in a translator, on the same data with the same updates: [kinds, measured](../kinds-measured.md).

## A kind of your own

A score is its formula, and a normalizer is a function of scores and mask. Heads, masks, windows and backends stay as
they are. `conform` checks the laws that all kinds obey, and says which one is broken.

```python run
import torch
from torch import nn

from attentio.attention import Attention, RowNormalizer, Score
from attentio.testing import conform


class Manhattan(Score):  # how near query and key are: minus their L1 distance, scaled per head
    def __init__(self, query_size: int, key_size: int, num_heads: int, *, start: float = 1.0):  # sizes of one head
        super().__init__()
        self.scale = nn.Parameter(torch.full((num_heads, 1, 1), start))

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

### On the command line

Put the class into a file, say `mine.py`, and name it by its import path:

```sh
attentio attention show mine:Manhattan
attentio train pairs.tsv -o attention.score=mine:Manhattan --out run
attentio train pairs.tsv -o attention.score=mine:Manhattan:start=0.5 --out other
attentio compare pairs.tsv --vary attention.score=dot,mine:Manhattan
attentio --allow-kinds mine translate run/model
```

- The current folder is searched, also where `attentio` runs as a script. It comes after installed packages.
- Keyword arguments of the constructor are options. They need a type (`int`, `float`, `bool` or `str`) or a default.
- A ValueError in the constructor refuses an option, when the settings are read.
- A normalizer names its training objective: `objective = "cross_entropy"`, `"reinforce"` or `"marginal"`.
- An attribute `about = About(...)` adds formula, paper and trap, as the kinds here have them. It is optional.

The model stores the import path, not the code. Who opens the model needs the same file. Opening a model never imports
such a module by itself, because a model from a stranger could name any module. You allow it in one of three ways:

- `attentio --allow-kinds mine …`, before the verb,
- the environment variable `ATTENTIO_ALLOW_KINDS=mine` (several modules with commas between them),
- in Python, `import mine`, or `attentio.attention.allow_kinds("mine")`.

`train`, `compare --vary` and `attention show` import what their command line or `--config` file names.

The laws can be checked by import path, too, after consent: `conform(score="mine:Manhattan")`.

### Among the built-in kinds

A new built-in kind touches one source file, its test, and the generated pages. Write the class with its `about` in
`score.py`, `window.py`, `normalize.py` or the file of its family, and run `make docs`. The registry, the command line,
the tests of the laws and these pages read the class.

## Combinations that are refused

- `monotonic` and `mocha` in a window that moves by itself (`sliding`, `local-m`, `local-p`): it would leave them
  behind.
- The hard kinds in `local-p`: a Gaussian after the choice only shrinks the value chosen. In
  `local-p:renormalize=true` it is a part of the choice.
- `hard_marginal` with several heads, or with a score that has a history: the sum over all choices would be
  exponential.
- `mocha` with a score that has a history: it has two scores, and the history could belong to either.

`python docs/attention/generate.py` writes pages and pictures. Each picture shows the same sentence, after the kind has
learned, from random words only, where each target word comes from. Windows with a radius have a radius of 2 in their
pictures. `attentio attention show NAME` learns and draws the same.
"""


def index() -> str:
    """Return the page that leads to all others."""
    lines: list[str] = []
    for axis, title in TITLES.items():
        lines += ["", f"## {title}: `{axis}`", "", "| name | 名称 | group | formula |", "|---|---|---|---|"]
        for about in (kind.about for kind in AXES[axis].values()):
            group = f"{about.group.english} {about.group.chinese}"
            formula = about.formula.replace("|", "\\|")
            lines.append(f"| [{about.name}]({about.name}.md) | {about.chinese} | {group} | `{formula}` |")
    return BEFORE + "\n".join(lines) + "\n" + AFTER


def page(axis: str, kind: type[Kind]) -> Iterator[str]:
    """Yield the lines of the page of one kind."""
    about, options = kind.about, kind.options().values()
    yield from (
        f"# {about.name} · {about.chinese}",
        "",
        f'`Attention(..., {axis}="{about.name}")` · {" ".join(about.group)} · [all kinds](README.md)',
        "",
        "```",
        about.formula,
        "```",
        "",
        f"**Paper.** {about.paper}.",
        "",
        f"**When to use it.** {about.use}",
        "",
        f"**Cost.** {about.cost}",
        "",
        f"**Trap.** {about.trap}",
        "",
    )
    if options:
        yield "| option | type | default | meaning |\n|---|---|---|---|"
        for option in options:
            default = "" if option.default is None else f"`{str(option.default).lower()}`"
            yield f"| `{option.name}` | {option.type.__name__} | {default} | {option.meaning} |"
        yield ""
    yield (
        f"![Weights of {about.name} on the example: a row for each target word, a column for each source word]"
        f"(images/{about.name}.svg)"
    )


def picture(name: str) -> str:
    """Return the weights of a kind on the example, as SVG."""
    from attentio.testing.example import SOURCE, TARGET, example_attention, learn

    weights = learn(example_attention(name)).tolist()
    cell, left, top = 52, 70, 40
    width, height = left + cell * len(SOURCE) + 10, top + cell * len(TARGET) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="14">',
        f"<title>Attention weights of {name}</title>",
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
    for axis, kind in PAGES:
        name = kind.about.name
        (DOCS / f"{name}.md").write_text("\n".join([*page(axis, kind), ""]), encoding="utf-8")
        if "--pages" not in sys.argv:
            (DOCS / "images" / f"{name}.svg").write_text(picture(name), encoding="utf-8")


if __name__ == "__main__":
    main()
