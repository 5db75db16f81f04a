"""The verbs `config` and `doctor`."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attentio.config import RunConfig, parse_config

Command = Callable[..., Any]


def test_show_prints_what_a_run_would_use(attentio: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[train]\nseed = 4\n", encoding="utf-8")
    outcome = attentio("config", "show", "--preset", "tiny", "--config", file, "-o", "model.dropout=0.5")
    config = parse_config(tomllib.loads(outcome.out), where="shown")
    assert (config.model.hidden_size, config.train.seed, config.model.dropout) == (128, 4, 0.5)


def test_list_says_every_setting(attentio: Command) -> None:
    shown = attentio("config", "list").out
    for section, model in RunConfig():
        assert f"[{section}]" in shown
        for name, field in type(model).model_fields.items():
            assert f"  {name} = {field.default!r}  {field.description}\n" in shown


def test_doctor(attentio: Command) -> None:
    import torch

    shown = json.loads(attentio("doctor", "--json").out)
    assert shown["schema"] == 1
    assert shown["torch"] == torch.__version__
    plain = attentio("doctor").out
    for name, value in shown.items():
        if name not in ("schema", "memory"):
            assert f"{name}" in plain
            assert f"{value}\n" in plain
