"""What is compared: axes and the cells that they span, or trained runs and what tells them apart."""

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attentio.errors import UsageError
from attentio.train.settings import RunConfig, effective_config, read_duration

PRESET = "preset"
_KINDS = re.compile(r"(self_)?attention\.(score|normalize|window)")
_OPTION = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?|true|false|\w+=.*", re.IGNORECASE)  # no kind has such a name
_UNSAFE = re.compile(r"[^A-Za-z0-9._+=,-]")
_NOT_AXES = {
    "train.seed": "seeds are given with --seeds",
    **dict.fromkeys(("data.split_seed", "data.test"), "all cells are tested on the same sentences"),
    **dict.fromkeys(("data.train", "data.target"), "all cells learn from the same pairs"),
}
# Settings that say how a machine is used, not what is trained.
_INCIDENTAL = ("train.seed", "train.device", "train.save_every_seconds", "data.split_seed")
_STEPS = re.compile(r"(\d+)\s*(?:steps?|updates?)")
_BUDGET = ("train.max_seconds", "train.max_steps", "train.epochs", "train.patience")


@dataclass(frozen=True)
class GridCell:
    """One point of the grid. values: as they were written, by axis. config: that of the first seed."""

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
        values: list[str] = []
        for value in map(str.strip, listed.split(",")):
            if values and _KINDS.fullmatch(key) and _OPTION.fullmatch(value):
                values[-1] += f",{value}"
            else:
                values.append(value)
        if not separator or not all(values) or (key != PRESET and not re.fullmatch(r"\w+\.\w+", key)):
            hint = "Write it as section.key=a,b, as in attention.score=additive,dot."
            raise UsageError(f"cannot read the axis {text!r}.", hint=hint)
        if key in _NOT_AXES:
            raise UsageError(f"{key} cannot be varied: {_NOT_AXES[key]}.")
        if key in axes:
            raise UsageError(f"{key} is varied twice.", hint=f"Write --vary {key}={','.join(axes[key] + values)}.")
        if again := next((value for value in values if values.count(value) > 1), None):
            raise UsageError(f"{key} has the value {again} twice.")
        axes[key] = values
    return axes


def make_cells(
    vary: Sequence[str],
    settings: Mapping[str, Mapping[str, object]],
    *,
    preset: str | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    budget: str | None = None,
) -> list[GridCell]:
    """Return the product of all axes, each cell with its configuration.

    vary, overrides: as on the command line. settings: those of all cells, by section. budget: as for `budget_settings`.
    Raises UsageError for an unknown axis, a value that is not allowed, or what makes no comparison.
    """
    if not vary:
        hint = "Say what to vary, as in --vary attention.score=additive,dot,bilinear."
        raise UsageError("nothing to compare.", hint=hint)
    axes = read_axes(vary)
    given = {text.partition("=")[0].strip() for text in overrides}
    if both := sorted(given & axes.keys()):
        raise UsageError(f"{both[0]} is set with -o and varied.", hint="Take one of the two.")
    if preset and PRESET in axes:
        raise UsageError("the preset is given and varied.", hint="Take one of --preset and --vary preset=.")
    if budget and (ends := [key for key in _BUDGET if key in axes or key in given]):
        raise UsageError(f"--budget and {ends[0]} both say when a training ends.", hint="Take one of the two.")
    layer = {**settings, "train": {**settings.get("train", {}), **budget_settings(budget)}}
    cells: list[GridCell] = []
    for chosen in itertools.product(*axes.values()):
        values = dict(zip(axes, chosen, strict=True))
        config = effective_config(
            preset=values.get(PRESET) or preset or "small",
            file=config_file,
            settings=layer,
            overrides=[*overrides, *[f"{key}={value}" for key, value in values.items() if key != PRESET]],
        )
        if config.data.split_seed is None:
            data = config.data.model_copy(update={"split_seed": config.train.seed})
            config = config.model_copy(update={"data": data})
        folder = ",".join(f"{key}={value}" for key, value in values.items()).replace(":", "-")
        cells.append(GridCell(", ".join(chosen), _UNSAFE.sub("_", folder), values, config))
    for one, other in itertools.combinations(cells, 2):
        if one.folder == other.folder or one.name == other.name:
            what = "folders" if one.folder == other.folder else "names"
            raise UsageError(f"two cells would have the same {what}: the values of --vary are too alike.")
        if one.config == other.config:
            raise UsageError(f"{one.name} and {other.name} are the same configuration.", hint="Leave one of them out.")
    if len(cells) < 2:
        raise UsageError("one cell alone is no comparison.", hint="Name two values or more: --vary KEY=a,b.")
    if not cells[0].config.data.train:
        hint = "Give a parallel file, or one of the built-in corpora: demo, small-world, hsk."
        raise UsageError("no data to train on.", hint=hint)
    return cells


def budget_settings(text: str | None) -> dict[str, object]:
    """Return `90s`, `3m`, `2h` or `500 steps` as settings of training. Without a budget the settings' own ends hold.

    Under a budget nothing else ends a training: neither the number of epochs nor patience. Raises UsageError.
    """
    if text is None:
        return {}
    steps = _STEPS.fullmatch(text.strip())
    try:
        end = {"max_steps": int(steps[1])} if steps else {"max_seconds": read_duration(text)}
    except UsageError:
        end = {}
    if not end or not all(end.values()):
        raise UsageError(f"cannot read the budget {text!r}.", hint='Write a time, as 90s, 3m or 2h, or "500 steps".')
    return {**end, "epochs": 1_000_000, "patience": 0}


# Trained runs


def flat_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings of a run by `section.key`."""
    sections = config.model_dump(mode="json").items()
    return {f"{section}.{key}": value for section, values in sections for key, value in values.items()}


def group_runs(configs: Sequence[RunConfig]) -> list[list[int]]:
    """Return the indices of runs whose settings are the same apart from the seed, group by group."""
    groups: dict[str, list[int]] = {}
    for index, config in enumerate(configs):
        kept = sorted((key, value) for key, value in flat_settings(config).items() if key not in _INCIDENTAL)
        groups.setdefault(repr(kept), []).append(index)
    return list(groups.values())


def find_axes(settings: Sequence[Mapping[str, Any]], asked: Sequence[str]) -> list[str]:
    """Return the settings that tell existing runs apart: those asked for, or one that differs, attention first.

    Raises UsageError for an unknown one, or one that does not differ.
    """
    keys = list(dict.fromkeys(itertools.chain(*settings)))
    differing = [key for key in keys if key not in _INCIDENTAL and len({repr(row.get(key)) for row in settings}) > 1]
    for key in asked:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            raise UsageError(f"unknown setting {key}.", hint=f"Did you mean {close[0]}?" if close else None)
        if key not in differing:
            raise UsageError(f"the runs do not differ in {key}.", hint=f"They differ in {', '.join(differing)}.")
    order = ("attention", "self_attention", "model", "train", "data")
    return list(asked) or [min(differing, key=lambda key: order.index(key.partition(".")[0]))]


def other_differences(row: Mapping[str, Any], baseline: Mapping[str, Any], axes: Sequence[str]) -> list[str]:
    """Return the settings, apart from the axes, in which a run differs from the baseline: `key = value, not value`.

    Settings that only one of two model families has are left out.
    """
    return [
        f"{key} = {show_value(value)}, not {show_value(baseline[key])}"
        for key, value in row.items()
        if key not in axes and key not in _INCIDENTAL and key in baseline and value != baseline[key]
    ]


def show_value(value: object) -> str:
    """Return the value of a setting as a person would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]
    return "none" if value is None else str(value)
