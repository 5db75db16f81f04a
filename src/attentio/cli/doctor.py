"""`attentio doctor`: what this machine offers, and what is wrong with a run."""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from attentio.cli import options

PACKAGES = (
    "attentio",
    "torch",
    "numpy",
    "sentencepiece",
    "safetensors",
    "sacrebleu",
    "opencc",
    "matplotlib",
    "hsk-sentences-audio",
)


def doctor(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Run folder to examine.", show_default=False)
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Examine a run: its files, its training text, what it learned. Without RUN, report what this machine offers."""
    if run is None:
        _describe_machine(as_json=as_json)
        return
    from attentio.evaluation.doctor import examine

    found = examine(run)
    if as_json:
        options.print_json(found.as_dict())
    else:
        for name, state in found.files.items():
            typer.echo(f"{name:<13}{state}")
        if found.newest is not None:
            typer.echo(f"{'newest':<13}{found.newest}")
        typer.echo(f"{'to go on':<13}{found.go_on}")
        for text in found.left_out:
            typer.echo(f"{'not examined':<13}{text}")
        for finding in found.findings:
            options.print_lines(finding.lines())
        if not found.findings:
            typer.echo("no symptom found" if found.is_whole and not found.left_out else "no other symptom found")
    if not found.is_whole:
        from attentio.errors import ModelError

        raise typer.Exit(ModelError.exit_status)


def look_at(out: Path, say: Callable[[str], None]) -> list[dict[str, object]]:
    """Return what is wrong with a finished run, and say it in one line."""
    from attentio.errors import AttentioError
    from attentio.evaluation.doctor import QUICK, examine

    try:
        found = examine(out, sentences=QUICK).findings
    except AttentioError:
        return []  # it has been trained: what cannot be examined is said by `doctor`
    if found:
        names = ", ".join(dict.fromkeys(finding.symptom for finding in found))
        say(f"look at: {names}. What it means, and what to do: attentio doctor {out}")
    return [finding.as_dict() for finding in found]


def _describe_machine(*, as_json: bool) -> None:
    facts = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    import torch

    from attentio.model.fast import probe
    from attentio.runtime import choices
    from attentio.runtime.device import resolve_device
    from attentio.runtime.precision import resolve_precision
    from attentio.train.footprint import available_memory

    device = resolve_device("auto")
    memory = available_memory()
    facts["device"] = f"{device}, {torch.get_num_threads()} threads, {resolve_precision('auto', device)}"
    facts["memory"] = "unknown" if memory is None else f"{memory / 1e9:.1f} GB available"
    facts["Chinese in pictures"] = _chinese_font()
    chosen = probe.settle()
    took = choices.stored() or {}
    if as_json:
        kernels = {kind: {"chosen": name, "seconds": took.get(kind, {})} for kind, name in chosen.items()}
        options.print_json({**facts, "kernels": kernels})
        return
    for name, value in facts.items():
        typer.echo(f"{name:<22}{value}")
    typer.echo("" if took else "\nnothing was measured: the machine is busy, or its choices are given")
    for kind, name in chosen.items():
        times = ", ".join(f"{one} {1e6 * seconds:,.0f} us" for one, seconds in took.get(kind, {}).items())
        typer.echo(f"{kind:<32}{name:<14}{times}".rstrip())


def _chinese_font() -> str:
    try:
        from attentio.view.font import families
    except ImportError:
        return "matplotlib is not installed"
    names, missing = families("我喜欢猫。")
    return "no installed font has Chinese characters" if missing else ", ".join(names)
