"""Fills the parts of the documentation that the program knows better: options, settings, exit codes.

python docs/generate.py          # or: make docs

A generated part stands between `<!-- options: train -->`, `<!-- settings: model -->`, `<!-- presets -->`,
`<!-- formats -->`, `<!-- format: NAME -->` or `<!-- exit codes -->` and `<!-- end -->`. A test holds that running this
changes nothing.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import typer

from attentio import errors
from attentio.attention.registry import AXES
from attentio.bundle import Architecture, Bundle, Side
from attentio.cli import app
from attentio.export import FORMATS
from attentio.export.format import Format
from attentio.model.settings import TransformerConfig
from attentio.text.special import SPECIAL_TOKENS
from attentio.text.tokenizer import CharTokenizer
from attentio.train.settings import presets as preset_settings
from attentio.train.settings import sections

FAMILIES = ("rnn", "cnn", "transformer")
DOCS = Path(__file__).resolve().parent
_PART = re.compile(
    r"<!-- (?P<kind>options|settings|presets|formats|format|exit codes)(?:: (?P<name>[\w ]+))? -->\n.*?<!-- end -->",
    re.S,
)


def options(verb: str) -> Iterator[str]:
    """Yield the arguments and options of a command, such as `train` or `data report`."""
    command: Any = typer.main.get_command(app)
    for word in verb.split():
        command = command.commands[word]
    yield "| | |"
    yield "|---|---|"
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.metavar or parameter.name.upper()
        else:
            name = ", ".join(sorted(parameter.opts, key=len, reverse=True))
        shown = parameter.default if parameter.show_default and not parameter.required else None
        default = "" if shown is None or shown is False else f" Default: {_code(shown)}."
        text = parameter.help or ""
        yield f"| {_code(name)} | {_cell(text)}{'' if text.endswith('.') or not default else '.'}{default} |"


def settings(name: str) -> Iterator[str]:
    """Yield the settings of a section, or of a family of models, as `config list` shows them."""
    yield "| setting | default | meaning |"
    yield "|---|---|---|"
    (found,) = ((section, kind) for section, family, kind in sections() if name == (family or section))
    section, kind = found
    for key, field in kind.model_fields.items():
        if key != "family":
            yield f"| `{section}.{key}` | {_code(repr(field.default))} | {_cell(field.description or '')} |"


def presets() -> Iterator[str]:
    """Yield what each preset changes."""
    yield "| preset | settings that differ from the defaults |"
    yield "|---|---|"
    for preset, settings_of in preset_settings().items():
        changed = [
            f"`{section}.{name} = {value!r}`"
            for section, values in settings_of.items()
            for name, value in values.items()  # type: ignore[attr-defined]
        ]
        yield f"| {preset} | {', '.join(changed) or 'none'} |"


def formats() -> Iterator[str]:
    """Yield what each format can express."""
    yield "| | " + " | ".join(f"`--to {name}`" for name in FORMATS) + " |"
    yield "|---|" + "---|" * len(FORMATS)
    rows = {
        "what it is": [each.about for each in FORMATS.values()],
        "what runs it": [each.runtime for each in FORMATS.values()],
        "precision": [", ".join(each.precisions) for each in FORMATS.values()],
        "families": [_named(each.expresses.families, FAMILIES) for each in FORMATS.values()],
    }
    for axis, kinds in AXES.items():
        rows[f"`{axis}`"] = [_named(getattr(each.expresses, axis), list(kinds)) for each in FORMATS.values()]
    for what, cells in rows.items():
        yield f"| {what} | {' | '.join(map(_cell, cells))} |"


def one_format(name: str) -> Iterator[str]:
    """Yield what a format can express: kinds of attention, and values of the settings of a Transformer."""
    chosen = FORMATS[name]
    yield "| setting | expressed | refused |"
    yield "|---|---|---|"
    for axis, kinds in AXES.items():
        expressed = getattr(chosen.expresses, axis)
        yield _row(
            axis, [kind for kind in kinds if kind in expressed], [kind for kind in kinds if kind not in expressed]
        )
    if "transformer" not in chosen.expresses.families:
        return
    for field, about in TransformerConfig.model_fields.items():
        values = get_args(about.annotation) if field != "family" else FAMILIES
        values = (True, False) if about.annotation is bool else values
        values = (0.0, 0.4) if field == "lexicon" else values
        groups: tuple[list[object], list[object]] = [], []
        for value in values:
            groups[_is_refused(chosen, field, value)].append(value)
        yield _row(f"model.{field}", *(groups if values else (["any number"], [])))


def _row(name: str, expressed: Sequence[object], refused: Sequence[object]) -> str:
    named = [
        ", ".join(f"`{value}`" if value != "any number" else "any number" for value in each)
        for each in (expressed, refused)
    ]
    return f"| `{name}` | {named[0] or 'none'} | {named[1]} |"


def _is_refused(chosen: Format, field: str, value: object) -> bool:
    """Return whether a format refuses a Transformer for one setting."""
    model = {"family": "transformer", field: value} if field != "family" else {"family": value}
    plain = {"score": "scaled_dot", "num_heads": 4}
    architecture = Architecture.model_validate({"model": model, "attention": plain})
    side = Side(CharTokenizer(SPECIAL_TOKENS))
    return any(field in refusal for refusal in chosen.refusals(Bundle(architecture, {}, side, side, 1)))


def exit_codes() -> Iterator[str]:
    """Yield the exit statuses with the errors that they stand for."""
    yield "| status | code | meaning |"
    yield "|---|---|---|"
    known = [errors.AttentioError, *errors.AttentioError.__subclasses__()]
    kinds = [kind for kind in known if kind.__module__ == errors.__name__]
    for kind in sorted(kinds, key=lambda kind: kind.exit_status):
        meaning = (kind.__doc__ or "").split("\n")[0]
        if kind is errors.AttentioError:
            meaning = "A fault of Attentio itself; the traceback is in the file that the message names."
        yield f"| {kind.exit_status} | `{kind.code}` | {meaning} |"


def filled(text: str) -> str:
    """Return a page with its generated parts filled in again."""

    def part(found: re.Match[str]) -> str:
        kind, name = found["kind"], found["name"]
        makers = {"options": options, "settings": settings, "format": one_format}
        others = {"presets": presets, "formats": formats, "exit codes": exit_codes}
        lines = makers[kind](name) if kind in makers else others[kind]()
        return "\n".join([found[0].split("\n")[0], "", *lines, "", "<!-- end -->"])

    return _PART.sub(part, text)


def _named(expressed: Collection[str], known: Sequence[str]) -> str:
    """Return the names that a format can express, in our order, or that it can express all."""
    missing = [name for name in known if name not in expressed]
    return ", ".join(name for name in known if name in expressed) if missing else f"all {len(known)}"


def _code(value: object) -> str:
    text = str(value).replace("\t", "\\t").replace("|", "\\|")
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for page in sorted(DOCS.rglob("*.md")):
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
