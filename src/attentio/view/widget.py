"""The map as a widget of Jupyter, VS Code and other notebooks: Python chooses what is shown, and reads the cursor.

It shows the element `<attention-map>` as it is, and needs the extra `notebook`. Without it, a trace at the end of a
cell still shows its map (`embed.notebook`). What the widget adds is the way back: the state and the cell under the
cursor are known in Python.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from attentio.errors import MissingExtra, UsageError
from attentio.trace import AttentionTrace
from attentio.view.embed import KINDS, packed, static, table

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise MissingExtra(f"widgets need anywidget ({error}).", hint="pip install 'attentio[notebook]'") from error

_CHOICES: dict[str, tuple[str, ...]] = {
    "view": ("matrix", "lines", "heads"),
    "kind": KINDS,
    "unit": ("words", "tokens"),
    "scale": ("fixed", "row", "map"),
}
_TYPES: dict[str, type | tuple[type, ...]] = {"layer": str, "head": int, "threshold": (int, float), "numbers": bool}
_FIELDS = (*_CHOICES, *_TYPES)
_OF_ONE_TRACE = ("kind", "layer", "head")


class Cell(NamedTuple):
    """The cell under the cursor: its map, its place, the words or tokens it stands for, and the weight between them."""

    map: int
    row: int
    column: int
    row_text: str
    column_text: str
    weight: float


class AttentionWidget(anywidget.AnyWidget):
    """The maps of one or several traces, side by side. They share a cursor and what they show.

    state: what is shown, which both sides may change. Its fields are those of the element: `view` (matrix, lines,
        heads), `kind` (weights, encoder_self, decoder_self), `layer` ("" is the mean of all), `head` (-1 is the mean),
        `unit` (words, tokens), `scale` (fixed, row, map), `threshold` and `numbers`. A field that is left out stays.
    lang: language of the controls, "en" or "zh".
    selected: the cell under the cursor. Observe `cell` to hear of every move.
    """

    _esm = static("attention-map.js") + static("widget.js")
    maps = traitlets.List().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    cell = traitlets.Dict().tag(sync=True)
    lang = traitlets.Enum(["en", "zh"], "en").tag(sync=True)

    def __init__(self, *traces: AttentionTrace, names: Sequence[str] = (), **traits: Any) -> None:
        """Show these traces.

        names: of the maps, such as the models. traits: `state` and `lang`. Raises UsageError for a state that no
        trace has, and where names and traces differ in number.
        """
        self.traces: tuple[AttentionTrace, ...] = traces
        super().__init__(maps=_packed(traces, names), **traits)

    def show(self, *traces: AttentionTrace, names: Sequence[str] = ()) -> None:
        """Show other traces instead. Kind, layer and head go back to where they began. Raises UsageError."""
        maps = _packed(traces, names)
        self.state = {key: value for key, value in self.state.items() if key not in _OF_ONE_TRACE}
        self.traces, self.cell, self.maps = traces, {}, maps

    @property
    def selected(self) -> Cell | None:
        """Return the cell under the cursor, or None before a cell was chosen."""
        at = self.cell
        if not at:
            return None
        trace = self.traces[at["map"]]
        trace = trace.words() if at["unit"] == "words" else trace
        source, target = trace.labels()
        rows = source if at["kind"] == "encoder_self" else target
        columns = ["<s>", *target] if at["kind"] == "decoder_self" else source
        layers: Mapping[str, Any] = getattr(trace, at["kind"])
        chosen = list(layers.values()) if at["layer"] == "" else [layers[at["layer"]]]
        row, column = at["row"], at["column"]
        weights = [heads[at["head"] if 0 <= at["head"] < len(heads) else slice(None), row, column] for heads in chosen]
        return Cell(at["map"], row, column, rows[row], columns[column], float(np.mean([np.mean(w) for w in weights])))

    @traitlets.validate("state")
    def _checked(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = proposal["value"]
        for name, value in state.items():
            if name in _CHOICES:
                if value not in _CHOICES[name]:
                    raise UsageError(f"{name} = {value!r} is not known.", hint=f"Known: {', '.join(_CHOICES[name])}.")
            elif name not in _TYPES:
                raise UsageError(f"{name!r} is not a field of the state.", hint=f"Fields: {', '.join(_FIELDS)}.")
            elif not isinstance(value, _TYPES[name]):
                raise UsageError(f"{name} = {value!r} has the wrong type.")
        layers = {
            layer: len(heads)
            for trace in self.traces
            for kind in KINDS
            for layer, heads in getattr(trace, kind).items()
        }
        if (layer := state.get("layer", "")) not in ("", "last", *layers):
            raise UsageError(f"no layer {layer!r} in these traces.", hint=f"Layers: {', '.join(layers)}.")
        if not -1 <= (head := state.get("head", -1)) < max(layers.values(), default=0):
            raise UsageError(f"no head {head}.", hint=f"Heads: 0 to {max(layers.values()) - 1}, and -1 for their mean.")
        return state

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return what a notebook shows: the widget, and tables where widgets do not run."""
        bundle: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**options)
        if bundle is not None:
            bundle[0]["text/html"] = "".join(map(table, self.traces))
        return bundle


def _packed(traces: Sequence[AttentionTrace], names: Sequence[str]) -> list[dict[str, Any]]:
    if not traces:
        raise UsageError("a widget needs a trace.", hint="A translation has one: translator(text).trace")
    for trace in traces:
        if not isinstance(trace, AttentionTrace):  # pyright: ignore[reportUnnecessaryIsInstance]
            what = "A translation of several parts has a trace in each of its `parts`."
            raise UsageError(f"a widget shows traces, not {type(trace).__name__}.", hint=f"Give its `trace`. {what}")
    if names and len(names) != len(traces):
        raise UsageError(f"there are {len(traces)} traces and {len(names)} names.")
    return [packed(trace, name=name) for trace, name in zip(traces, names or [""] * len(traces), strict=True)]
