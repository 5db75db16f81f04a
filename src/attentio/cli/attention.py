"""`attentio attention`: the kinds of attention there are, and what each of them is."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from attentio.attention.catalog import Entry

app = typer.Typer(no_args_is_help=True, help="The kinds of attention: list them, or show one with its weights.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_TITLES = {
    "score": "score: how a query and a key are compared",
    "normalize": "normalize: how scores become weights",
    "window": "window: which keys a query sees",
}


@app.command("list")
def list_kinds(as_json: AsJson = False) -> None:
    """List every kind, on its axis and in its group, in English and Chinese."""
    from attentio.attention.catalog import CATALOG

    if as_json:
        typer.echo(json.dumps({"schema": 1, "kinds": [_as_dict(kind) for kind in CATALOG]}, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for axis, title in _TITLES.items():
        console.print(title, style="bold")
        kinds = [kind for kind in CATALOG if kind.axis == axis]
        for group in dict.fromkeys(kind.group for kind in kinds):
            console.print(f"{group.english} {group.chinese}", style="italic")
            table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
            for width in (26, 30, None):  # the first two hold the longest name, indented, and the padding
                table.add_column(width=width, overflow="fold")
            for kind in kinds:
                if kind.group == group:
                    table.add_row(f"  {kind.name}", Text(kind.chinese), Text(kind.formula))
            console.print(table)
        console.print()
    console.print("The axes are free of each other: any score, any normalizer, any window, any number of heads.")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A kind, as `attentio attention list` names it.")],
    as_json: AsJson = False,
) -> None:
    """Show one kind: formula, paper, cost, trap, and its weights on one sentence, learnt on the spot."""
    from attentio.attention.catalog import CATALOG
    from attentio.errors import UsageError

    known = {kind.name: kind for kind in CATALOG}
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else "See `attentio attention list`."
        raise UsageError(f"there is no kind of attention named {name!r}.", hint=hint)
    kind = known[name]
    from attentio.attention.example import ORDER, SOURCE, TARGET, example_attention, learn

    weights = learn(example_attention(name))
    if as_json:
        example = {"source": SOURCE, "target": TARGET, "links": [list(link) for link in enumerate(ORDER)]}
        shown = {"schema": 1, **_as_dict(kind), "example": example | {"weights": weights.tolist()}}
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in (
        (kind.axis, f"{kind.name} {kind.chinese}"),
        ("group", f"{kind.group.english} {kind.group.chinese}"),
        ("formula", kind.formula),
        ("paper", kind.paper),
        ("use", kind.use),
        ("cost", kind.cost),
        ("trap", kind.trap),
    ):
        table.add_row(label, Text(text))
    console.print(table)
    console.print()

    import numpy as np

    from attentio.trace import AttentionTrace
    from attentio.view.terminal import print_map

    trace = AttentionTrace(
        source=" ".join(SOURCE),
        target="".join(TARGET),
        source_tokens=SOURCE,
        target_tokens=TARGET,
        source_spans=_spans(SOURCE, " "),
        target_spans=_spans(TARGET, ""),
        weights={kind.name: weights.unsqueeze(0).numpy()},
        token_log_probs=np.zeros(len(TARGET), dtype=np.float32),
    )
    print_map(trace, numbers=True, console=console)


def _spans(tokens: tuple[str, ...], space: str) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    start = 0
    for token in tokens:
        spans.append((start, start + len(token)))
        start += len(token) + len(space)
    return tuple(spans)


def _as_dict(kind: "Entry") -> dict[str, object]:
    return {
        "name": kind.name,
        "axis": kind.axis,
        "chinese": kind.chinese,
        "group": {"english": kind.group.english, "chinese": kind.group.chinese},
        "formula": kind.formula,
        "paper": kind.paper,
        "use": kind.use,
        "cost": kind.cost,
        "trap": kind.trap,
    }
