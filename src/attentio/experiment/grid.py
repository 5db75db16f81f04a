"""What is compared: axes, and the cells that they span."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from attentio.errors import UsageError
from attentio.train.settings import RunConfig

PRESET = "preset"
_KINDS = re.compile(r"(self_)?attention\.(score|normalize|window)")
_OPTION = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?|true|false|\w+=.*", re.IGNORECASE)  # no kind has such a name
_UNSAFE = re.compile(r"[^A-Za-z0-9._+=,-]")
_NOT_AXES = {
    "train.seed": "seeds are given with --seeds",
    "data.split_seed": "all cells are tested on the same sentences",
    "data.train": "all cells learn from the same pairs",
    "data.target": "all cells learn from the same pairs",
    "data.test": "all cells are tested on the same sentences",
}
_BUDGET = ("train.max_seconds", "train.max_steps", "train.epochs", "train.patience")


@dataclass(frozen=True)
class GridCell:
    """One point of the grid: `values` as they were written, by axis; `config` is that of the first seed."""

    name: str
    folder: str
    values: Mapping[str, str]
    config: RunConfig


def read_axes(vary: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each axis from `section.key=a,b` or `preset=a,b`. Raises UsageError for anything else.

    After a comma, a bare value or `name=value` is an option of the kind of attention before it:
    `attention.window=full,local-p:3,renormalize=true` has two values.
    """
    axes: dict[str, list[str]] = {}
    for text in vary:
        key, separator, listed = (part.strip() for part in text.partition("="))
        values = _kinds(listed) if _KINDS.fullmatch(key) else [value.strip() for value in listed.split(",")]
        if not separator or not all(values) or (key != PRESET and not re.fullmatch(r"\w+\.\w+", key)):
            raise UsageError(
                f"cannot read the axis {text!r}.",
                hint="Write it as section.key=a,b, as in attention.score=additive,dot.",
            )
        if key in _NOT_AXES:
            raise UsageError(f"{key} cannot be varied: {_NOT_AXES[key]}.")
        if key in axes:
            raise UsageError(f"{key} is varied twice.", hint=f"Write --vary {key}={','.join(axes[key] + values)}.")
        if again := next((value for value in values if values.count(value) > 1), None):
            raise UsageError(f"{key} has the value {again} twice.")
        axes[key] = values
    return axes


def _kinds(listed: str) -> list[str]:
    values: list[str] = []
    for part in map(str.strip, listed.split(",")):
        if values and _OPTION.fullmatch(part):
            values[-1] += f",{part}"
        else:
            values.append(part)
    return values


def cells_of(
    axes: Mapping[str, Sequence[str]], build: Callable[[str | None, Sequence[str]], RunConfig]
) -> list[GridCell]:
    """The product of all axes; `build(preset, overrides)` makes the configuration of a cell.

    Raises UsageError for an unknown axis or a value that is not allowed.
    """
    cells: list[GridCell] = []
    for chosen in itertools.product(*axes.values()):
        values = dict(zip(axes, chosen, strict=True))
        overrides = [f"{key}={value}" for key, value in values.items() if key != PRESET]
        folder = ",".join(f"{key}={value}" for key, value in values.items()).replace(":", "-")
        folder = _UNSAFE.sub("_", folder)
        cells.append(GridCell(", ".join(chosen), folder, values, build(values.get(PRESET), overrides)))
    for field, what in (("folder", "folders"), ("name", "names")):
        names = [getattr(cell, field) for cell in cells]
        if len(set(names)) < len(names):
            raise UsageError(f"two cells would have the same {what}: the values of --vary are too alike.")
    for one, other in itertools.combinations(cells, 2):
        if one.config == other.config:
            raise UsageError(f"{one.name} and {other.name} are the same configuration.", hint="Leave one of them out.")
    return cells


def check_axes(axes: Mapping[str, Sequence[str]], overrides: Sequence[str], *, budget: bool, preset: bool) -> None:
    """Raises UsageError when a setting is varied that is given elsewhere, too."""
    given = {text.partition("=")[0].strip() for text in overrides}
    if both := sorted(given & axes.keys()):
        raise UsageError(f"{both[0]} is set with -o and varied.", hint="Take one of the two.")
    if preset and PRESET in axes:
        raise UsageError("the preset is given and varied.", hint="Take one of --preset and --vary preset=.")
    if budget and (ends := [key for key in _BUDGET if key in axes or key in given]):
        raise UsageError(f"--budget and {ends[0]} both say when a training ends.", hint="Take one of the two.")
