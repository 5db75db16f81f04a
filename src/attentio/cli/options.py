"""The options of all verbs, each declared once: its name, its meaning and its bounds.

A verb names an option by its type here and gives the default. Options that always come together, such as those that say
how parallel text is read, are the fields of one class. `@with_groups` gives them to a verb that has a parameter of it.
"""

import dataclasses
import functools
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from attentio.errors import UsageError

if TYPE_CHECKING:
    from attentio.train.settings import RunConfig

Verb = TypeVar("Verb", bound=Callable[..., Any])

# What is opened and written
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a trained model.")]
RunOut = Annotated[Path, typer.Option("--out", help="Run folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start over in a run folder that holds a run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

# How a model computes and searches
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[
    str, typer.Option(help="fp32, bf16 (rounded: faster where the processor has it) or auto: bf16 there.")
]
Engine = Annotated[
    str, typer.Option(help="What searches: attentio, or ctranslate2, which is faster and takes plain Transformers.")
]
Beam = Annotated[int, typer.Option("--beam", "-b", min=1, help="Hypotheses kept at each step. 1 is greedy search.")]
LengthPenalty = Annotated[float, typer.Option(min=0, help="Scores are log-probability / length ** this.")]
Resamples = Annotated[int, typer.Option(min=0, help="Bootstrap resamples for the intervals. 0: no intervals.")]
Layer = Annotated[
    str | None,
    typer.Option(help="Attention layer: its name, its number from 1, or mean. Default: the last one."),
]
LinkLayer = Annotated[
    str | None,
    typer.Option("--layer", help="Attention layer: its name, or its number from 1. Default: the last one."),
]
Head = Annotated[int | None, typer.Option(min=0, help="Head, counted from 0. Default: the mean of all heads.")]

# Settings of a run
Data = Annotated[list[str] | None, typer.Argument(metavar="DATA...", help="Parallel files or built-in corpora.")]
Preset = Annotated[
    str, typer.Option(help="auto fits the data. Or tiny, small, base, of a family (rnn-base), or notebook.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", "-o", metavar="SECTION.KEY=VALUE", help="Any setting. Repeat for more.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of split, weights, order and dropout.")]
MaxTime = Annotated[str | None, typer.Option(help="Stop after this long: 90s, 10m, 2h.")]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a parallel file is read. None where nothing is said."""

    encoding: Annotated[str | None, typer.Option(help="Encoding of the files, where it is not UTF-8.")] = None
    delimiter: Annotated[str | None, typer.Option(help="What separates the columns, where it is not a tab.")] = None
    columns: Annotated[
        str | None, typer.Option(metavar="N,M", help="The two columns to read: numbers from 1, or names in the header.")
    ] = None
    source_language: Annotated[str | None, typer.Option(help="Language of the source side, such as en or zh-TW.")] = (
        None
    )
    target_language: Annotated[str | None, typer.Option(help="Language of the target side.")] = None
    swap: Annotated[
        bool | None, typer.Option("--swap/--no-swap", help="Read the second column as the source.", show_default=False)
    ] = None

    def settings(self) -> dict[str, object]:
        """Return what was said, as settings of `data`."""
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(Reading)}
        delimiter = None if self.delimiter is None else self.delimiter.replace("\\t", "\t")
        return _given(said | {"delimiter": delimiter})


@dataclasses.dataclass(frozen=True)
class Corpus(Reading):
    """Which parallel text is read, and how it is cleaned and split."""

    src: Annotated[list[str] | None, typer.Option("--src", help="Source-side file, beside --tgt.")] = None
    tgt: Annotated[list[str] | None, typer.Option(help="Target-side file, line by line as DATA or --src.")] = None
    links: Annotated[
        list[str] | None, typer.Option("--links", help="Known word links of DATA to guide attention, `0-0 1-2` a line.")
    ] = None
    dev: Annotated[str | None, typer.Option(help="Held out for choosing: pairs, a share, or a file.")] = None
    test: Annotated[str | None, typer.Option(help="Held out for testing: pairs, a share, or a file.")] = None
    max_length: Annotated[int | None, typer.Option(help="Drop pairs with more tokens on a side.")] = None
    script: Annotated[str | None, typer.Option(help="Chinese script: simplified, traditional or keep.")] = None
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on although most pairs are unusable.")] = False

    def of(self, files: list[str] | None) -> dict[str, object]:
        """Return what was said of the corpus, `files` included, as settings of `data`."""
        if files and self.src:
            raise UsageError("give DATA or --src, not both.")
        more = {
            "train": files or self.src,
            "target": self.tgt,
            "links": self.links,
            "dev": _held_out(self.dev),
            "test": _held_out(self.test),
            "max_length": self.max_length,
            "script": self.script,
            "keep_going": self.keep_going or None,
        }
        return self.settings() | _given(more)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the settings of a run are laid over, and its seed."""

    preset: Preset = "auto"
    config_file: ConfigFile = None
    override: Overrides = None
    seed: Seed = None

    def effective(self, what_for: str, sections: Mapping[str, Mapping[str, object]], **more: Any) -> "RunConfig":
        """Return the settings, those of `sections` laid over. more: arguments of `effective_config`.

        what_for: data is needed, in words. Raises UsageError where none is named.
        """
        from attentio.train.settings import effective_config

        given = by_section(**{**sections, "train": {"seed": self.seed, **sections.get("train", {})}})
        overrides = self.override or ()
        config = effective_config(
            preset=self.preset, file=self.config_file, settings=given, overrides=overrides, **more
        )
        if not config.data.train:
            hint = "Give a parallel file, or one of the built-in corpora: demo, small-world, hsk."
            raise UsageError(f"no data to {what_for}.", hint=hint)
        return config


def with_groups(verb: Verb) -> Verb:
    """Give the options of every parameter that is a class of options to the command line, and the class to the verb."""
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, tuple[type, list[str]]] = {}
    shown: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        hint = hints[name]
        if not dataclasses.is_dataclass(hint):
            shown.append(parameter.replace(annotation=hint))
            continue
        fields = dataclasses.fields(hint)
        types = get_type_hints(hint, include_extras=True)
        groups[name] = hint, [field.name for field in fields]  # pyright: ignore[reportArgumentType]
        keyword = inspect.Parameter.KEYWORD_ONLY
        shown += [inspect.Parameter(f.name, keyword, default=f.default, annotation=types[f.name]) for f in fields]

    @functools.wraps(verb)
    def told(**options: Any) -> Any:
        for name, (group, fields) in groups.items():
            options[name] = group(**{field: options.pop(field) for field in fields})
        return verb(**options)

    told.__signature__ = inspect.Signature(  # pyright: ignore[reportAttributeAccessIssue]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in shown]
    )
    told.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return told  # pyright: ignore[reportReturnType]


def by_section(**sections: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return settings by section, without what was not said."""
    return {section: _given(settings) for section, settings in sections.items()}


def _given(settings: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in settings.items() if value is not None}


def _held_out(text: str | None) -> int | float | str | None:
    if text is not None and re.fullmatch(r"\d+", text):
        return int(text)
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def print_json(facts: Mapping[str, object]) -> None:
    """Print one JSON object, of schema 1."""
    typer.echo(json.dumps({"schema": 1, **facts}, ensure_ascii=False))


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines, on standard error where `err` says so."""
    for line in lines:
        typer.echo(line, err=err)


def layer_name(layer: str | None) -> str | None:
    """Return the name of a layer that may be given by its number: 1 is "layer 1"."""
    return f"layer {layer}" if layer is not None and layer.isdecimal() else layer


def note_slow_precision(precision: str, device: str | None) -> None:
    """Say in one line where bf16 was asked for and takes longer than fp32."""
    if precision == "bf16":
        from attentio.runtime.device import resolve_device
        from attentio.runtime.precision import slow_bf16

        if slow := slow_bf16(precision, resolve_device(device or "auto")):
            sys.stderr.write(f"note: {slow}\n")
