"""A kind of attention of one's own, named by its import path, through the real command line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MODULE = """
import torch
from torch import nn

from attentio.attention import Score


class Laplace(Score):
    def __init__(self, query_size, key_size, num_heads, *, start: float = 1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.full((num_heads, 1, 1), start))

    def prepare(self, keys):
        return keys

    def forward(self, query, keys):
        return -self.scale * (query.unsqueeze(3) - keys.unsqueeze(2)).abs().sum(-1)
"""
SMALL = [
    *(
        "-o",
        "data.small_world_pairs=200",
        "-o",
        "train.evaluate_pairs=2",
        "-o",
        "train.max_steps=3",
        "--preset",
        "tiny",
    ),
    *("-o", "model.embedding_size=8", "-o", "model.hidden_size=8", "--device", "cpu", "-q"),
]


class Ended(NamedTuple):
    status: int
    out: str
    err: str


def command(folder: Path, *arguments: str, stdin: str = "", **environment: str) -> Ended:
    """The command as a script starts it: without the current folder among the places of modules."""
    program = "import sys; sys.path.remove(''); from attentio.cli import main; main()"
    source = str(Path(__file__).parents[2] / "src")
    kept = {name: value for name, value in os.environ.items() if name != "ATTENTIO_ALLOW_KINDS"}
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", **environment},
        input=stdin,
        capture_output=True,
        text=True,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module and a model that was trained with its score."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "laplace_kind.py").write_text(MODULE, encoding="utf-8")
    score = "attention.score=laplace_kind:Laplace:0.5"
    ended = command(folder, "train", "small-world", "-o", score, *SMALL, "--out", "run")
    assert ended.status == 0, ended.err
    return folder


@pytest.mark.slow
def test_the_model_stores_the_name_and_is_opened_with_consent_only(folder: Path) -> None:
    assert 'score = "laplace_kind:Laplace:0.5"' in (folder / "run/config.toml").read_text(encoding="utf-8")
    refused = command(folder, "translate", "run", stdin="i read\n")
    assert refused.status == 4
    assert "'laplace_kind:Laplace' is code in the module 'laplace_kind'" in refused.err
    assert "attentio --allow-kinds laplace_kind" in refused.err
    allowed = command(folder, "--allow-kinds", "laplace_kind", "translate", "run", stdin="i read\n")
    assert (allowed.status, allowed.err) == (0, "")
    by_environment = command(folder, "translate", "run", stdin="i read\n", ATTENTIO_ALLOW_KINDS="laplace_kind")
    assert by_environment == allowed


@pytest.mark.slow
def test_where_the_module_is_missing_the_message_names_it(folder: Path, tmp_path: Path) -> None:
    run = str(folder / "run")
    ended = command(tmp_path, "--allow-kinds", "laplace_kind", "translate", run, stdin="i read\n")
    assert ended.status == 4
    assert "there is no module 'laplace_kind'" in ended.err
    assert "laplace_kind.py" in ended.err
    ended = command(tmp_path, "train", "small-world", "-o", "attention.score=laplace_kind:Laplace", "--out", "x")
    assert ended.status == 2
    assert "there is no module 'laplace_kind'" in ended.err


@pytest.mark.slow
def test_its_map_is_shown(folder: Path) -> None:
    ended = command(folder, "--allow-kinds", "laplace_kind", "view", "run", "i read")
    assert ended.status == 0, ended.err
    assert "read" in ended.out


@pytest.mark.slow
def test_the_same_command_resumes(folder: Path) -> None:
    (folder / "run.toml").write_text(
        '[attention.score]\nkind = "laplace_kind:Laplace"\nstart = 0.5\n', encoding="utf-8"
    )
    ended = command(folder, "train", "small-world", "--config", "run.toml", *SMALL, "--out", "run", "--json")
    assert ended.status == 0, ended.err
    assert '"steps": 3' in ended.out


@pytest.mark.long
def test_it_is_compared_with_other_kinds(folder: Path) -> None:
    vary = "attention.score=dot,laplace_kind:Laplace,laplace_kind:Laplace:2"
    ended = command(folder, "compare", "small-world", "--vary", vary, "--seeds", "1", *SMALL, "--out", "compared")
    assert ended.status == 0, ended.err
    assert "laplace_kind:Laplace:2" in ended.out
    assert (folder / "compared/runs/attention.score=laplace_kind-Laplace-2").is_dir()


def test_a_module_that_is_not_there_is_refused_when_settings_are_read(attentio: Callable[..., Any]) -> None:
    ended = attentio("config", "show", "-o", "attention.score=no_such_module:My")
    assert ended.status == 2
    assert "attention.score: cannot import 'no_such_module:My': there is no module 'no_such_module'." in ended.err
    assert ended.out == ""
