"""By which settings trained runs are told apart, and what else differs between them."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from attentio.errors import UsageError
from attentio.train.settings import RunConfig

# Settings that say how a machine is used, not what is trained.
INCIDENTAL = ("train.seed", "train.device", "train.save_every_seconds", "data.split_seed")


def flat(config: RunConfig) -> dict[str, Any]:
    """The settings of a run by `section.key`."""
    return {
        f"{section}.{key}": value
        for section, values in config.model_dump(mode="json").items()
        for key, value in values.items()
    }


def grouped(configs: Sequence[RunConfig]) -> list[list[int]]:
    """Indices of runs whose settings are the same apart from the seed, in the order of the first of each group."""
    groups: dict[str, list[int]] = {}
    for index, config in enumerate(configs):
        kept = {key: value for key, value in flat(config).items() if key not in INCIDENTAL}
        groups.setdefault(repr(sorted(kept.items())), []).append(index)
    return list(groups.values())


def varied(settings: Sequence[Mapping[str, Any]], asked: Sequence[str]) -> list[str]:
    """The settings by which existing runs are told apart: those asked for, or else one that differs, attention first.

    Raises UsageError for an unknown one, or one that does not differ.
    """
    keys = list(dict.fromkeys(key for row in settings for key in row))
    differing = [key for key in keys if key not in INCIDENTAL and len({repr(row.get(key)) for row in settings}) > 1]
    for key in asked:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            raise UsageError(f"unknown setting {key}.", hint=f"Did you mean {close[0]}?" if close else None)
        if key not in differing:
            hint = f"They differ in {', '.join(differing)}." if differing else None
            raise UsageError(f"the runs do not differ in {key}.", hint=hint)
    if asked or not differing:
        return list(asked)
    order = ("attention", "self_attention", "model", "train", "data")
    return [min(differing, key=lambda key: order.index(key.partition(".")[0]))]


def what_else(row: Mapping[str, Any], baseline: Mapping[str, Any], axes: Sequence[str]) -> list[str]:
    """The settings, apart from the axes, in which a run differs from the baseline, as `key = value, not value`.

    Settings that only one of two families has are left out: the family says it.
    """
    return [
        f"{key} = {written(value)}, not {written(baseline[key])}"
        for key, value in row.items()
        if key not in axes and key not in INCIDENTAL and key in baseline and value != baseline[key]
    ]


def written(value: object) -> str:
    """A setting's value as a person would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]
    return "none" if value is None else str(value)
