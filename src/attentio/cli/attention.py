"""`attentio attention`: the kinds of attention, and what each of them is."""

import sys
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attentio.cli import options
from attentio.runtime.files import check_place, write_text

if TYPE_CHECKING:
    from torch import Tensor

    from attentio.attention.kind import Kind
    from attentio.trace import AttentionTrace

app = typer.Typer(no_args_is_help=True, help="The kinds of attention: list them, or show one with its weights.")

_TITLES = {
    "score": "score: how a query and a key are compared",
    "normalize": "normalize: how scores become weights",
    "window": "window: which keys a query sees",
}


@app.command("list")
def list_kinds(as_json: options.AsJson = False) -> None:
    """List every kind, on its axis and in its group, in English and Chinese."""
    from attentio.attention import AXES

    if as_json:
        kinds = [_as_dict(axis, name, kind) for axis, kinds in AXES.items() for name, kind in kinds.items()]
        options.print_json({"kinds": kinds})
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for axis, title in _TITLES.items():
        console.print(title, style="bold")
        described = [kind.about for kind in AXES[axis].values()]
        for group in dict.fromkeys(about.group for about in described):
            console.print(f"{group.english} {group.chinese}", style="italic")
            table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
            for width in (26, 30, None):  # the first two hold the longest name, indented, and the padding
                table.add_column(width=width, overflow="fold")
            for about in described:
                if about.group == group:
                    table.add_row(f"  {about.name}", Text(about.chinese), Text(about.formula))
            console.print(table)
        console.print()
    console.print("The axes are free of each other: any score, any normalizer, any window, any number of heads.")
    console.print("Options follow the name, as in local-p:3. `attentio attention show NAME` lists them.")


@app.command("show")
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="KIND", help="A kind, as in dot or local-p:3, or a class of your own, mine:MyScore."),
    ],
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with a slider for each option. It works offline.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show one kind: formula, options, paper, cost, trap, and its weights on one sentence, learned on the spot."""
    from attentio.attention import KindError
    from attentio.attention.registry import find
    from attentio.errors import UsageError
    from attentio.testing.example import ORDER, SOURCE, TARGET, example_attention, learn

    check_place(html)
    try:
        axis, choice = find(name, trusted=True)
        weights = learn(example_attention(name))
    except KindError as error:
        raise UsageError(f"{error}", hint="See `attentio attention list`.") from None
    described = _as_dict(axis.name, choice.name, choice.kind)
    if as_json:
        example = {"source": SOURCE, "target": TARGET, "links": [list(link) for link in enumerate(ORDER)]}
        options.print_json({**described, "example": example | {"weights": weights.tolist()}})
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(axis.name, f"{choice} {described.pop('chinese', '')}")
    if group := described.pop("group", None):
        table.add_row("group", f"{group['english']} {group['chinese']}")
    for label, value in described.items():
        if label == "options":
            for option in choice.kind.options().values():
                table.add_row("option", Text(str(option)))
        elif label not in ("name", "axis"):
            table.add_row(label, Text(value))
    console.print(table)
    console.print()

    from attentio.view.terminal import print_map

    trace = _trace(str(choice), weights)
    print_map(trace, numbers=True, console=console)
    if html is not None:
        facts = _as_dict(axis.name, choice.name, choice.kind).items()
        _write_page(html, choice.kind, str(choice), [(k, v) for k, v in facts if isinstance(v, str)], trace)
        sys.stderr.write(f"page {html}\n")


def _write_page(
    path: Path, kind: "type[Kind]", setting: str, facts: "list[tuple[str, str]]", trace: "AttentionTrace"
) -> None:
    from attentio.testing.example import example_attention, learn, tried_values, with_option
    from attentio.view.embed import OptionMaps, kind_document

    found: list[OptionMaps] = []
    for name, (values, at) in tried_values(setting).items():
        settings = [with_option(setting, name, value) for value in values]
        traces = [_trace(each, learn(example_attention(each))) for each in settings]
        written = [str(value).lower() for value in values]
        found.append(OptionMaps(name, kind.options()[name].meaning, written, at, traces))
    write_text(path, kind_document(f"Attention: {setting}", facts, trace, found))


def _trace(name: str, weights: "Tensor") -> "AttentionTrace":
    import numpy as np

    from attentio.testing.example import SOURCE, TARGET
    from attentio.trace import AttentionTrace

    return AttentionTrace(
        source=" ".join(SOURCE),
        target="".join(TARGET),
        source_tokens=SOURCE,
        target_tokens=TARGET,
        source_spans=_spans(SOURCE, " "),
        target_spans=_spans(TARGET, ""),
        weights={name: weights.unsqueeze(0).numpy()},
        token_log_probs=np.zeros(len(TARGET), dtype=np.float32),
    )


def _spans(tokens: tuple[str, ...], space: str) -> tuple[tuple[int, int], ...]:
    starts = accumulate((len(token) + len(space) for token in tokens), initial=0)
    return tuple((start, start + len(token)) for start, token in zip(starts, tokens, strict=False))


def _as_dict(axis: str, name: str, kind: "type[Kind]") -> dict[str, Any]:
    about = {} if kind.about is None else asdict(kind.about) | {"group": kind.about.group._asdict()}
    options = [option.as_dict() for option in kind.options().values()]
    return {"name": name, "axis": axis} | about | {"name": name, "options": options}
