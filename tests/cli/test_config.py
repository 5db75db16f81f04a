"""The verbs `config` and `doctor`."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attentio.model.families import build_model
from attentio.train.settings import effective_config, parse_config, presets, sections

Command = Callable[..., Any]


def test_show_prints_what_a_run_would_use(attentio: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[train]\nseed = 4\n", encoding="utf-8")
    outcome = attentio("config", "show", "--preset", "tiny", "--config", file, "-o", "model.dropout=0.5")
    config = parse_config(tomllib.loads(outcome.out), where="shown")
    assert (config.model.hidden_size, config.train.seed, config.model.dropout) == (128, 4, 0.5)


def test_list_says_every_setting(attentio: Command) -> None:
    shown = attentio("config", "list").out
    for section, family, settings in sections():
        title = f"[{section}]\n" if family is None else f"[{section}] family = {family!r}\n"
        _, _, part = shown.partition(title)
        for name, field in settings.model_fields.items():
            values = getattr(effective_config(settings={"model": {"family": family}} if family else {}), section)
            line = f"  {name} = {getattr(values, name)!r}  {field.description}\n"
            assert (line in part.partition("\n[")[0] + "\n") is (name != "family")


def test_presets_are_listed_with_their_size(attentio: Command) -> None:
    shown = attentio("config", "presets", "--vocab", 100).out.splitlines()
    assert [line.split()[0] for line in shown] == list(presets())
    config = effective_config(preset="transformer-tiny")
    model = build_model(config.model, config.attention, 100, 100, self_attention=config.self_attention)
    (line,) = (line for line in shown if line.startswith("transformer-tiny"))
    assert f"{model.num_parameters() / 1e6:.1f} M  transformer 2+2 x 128, attention = scaled_dot, softmax" in line


def test_doctor(attentio: Command) -> None:
    import torch

    shown = json.loads(attentio("doctor", "--json").out)
    assert shown["schema"] == 1
    assert shown["torch"] == torch.__version__
    plain = attentio("doctor").out
    for name, value in shown.items():
        if name not in ("schema", "memory", "kernels"):  # these are tables and figures
            assert f"{name}" in plain
            assert f"{value}\n" in plain
