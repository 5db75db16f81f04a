"""`attentio doctor`: what this machine offers."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version

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


def doctor(as_json: options.AsJson = False) -> None:
    """Report versions, devices, arithmetic, fonts and room: the first thing to run when something is odd."""
    facts = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    import torch

    from attentio.runtime.device import resolve_device
    from attentio.runtime.precision import resolve_precision
    from attentio.train.footprint import available_memory

    device = resolve_device("auto")
    memory = available_memory()
    facts["device"] = f"{device}, {torch.get_num_threads()} threads, {resolve_precision('auto', device)}"
    facts["memory"] = "unknown" if memory is None else f"{memory / 1e9:.1f} GB available"
    facts["Chinese in pictures"] = _chinese_font()
    if as_json:
        typer.echo(json.dumps({"schema": 1, **facts}, ensure_ascii=False))
        return
    for name, value in facts.items():
        typer.echo(f"{name:<22}{value}")


def _chinese_font() -> str:
    try:
        from attentio.view.font import families
    except ImportError:
        return "matplotlib is not installed"
    names, missing = families("我喜欢猫。")
    return "no installed font has Chinese characters" if missing else ", ".join(names)
