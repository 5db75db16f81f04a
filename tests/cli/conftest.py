"""The command line as a user meets it: arguments in; status, standard output and standard error out."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from attentio.corpora.small_world.grammar import sample


class Outcome(NamedTuple):
    """What a command gave back."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.split("\n")[:-1]


Command = Callable[..., Outcome]

# As small as a training can be; paths and options are added by each test.
SMALL = [
    *("-o", "model.embedding_size=8", "-o", "model.hidden_size=8", "-o", "train.max_steps=4"),
    *("-o", "train.evaluate_pairs=2", "-o", "data.dev=5", "-o", "data.test=5", "--device", "cpu"),
]


@pytest.fixture
def attentio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `attentio ARGUMENTS` in this process, through `main`, with `stdin` as its input."""
    from attentio.cli import main

    def run(*arguments: object, stdin: str | bytes = b"") -> Outcome:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "argv", ["attentio", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def train(attentio: Command) -> Command:
    """`attentio train` of a very small model for four updates."""
    return lambda *arguments: attentio("train", *arguments, *SMALL)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Sixty pairs of the small world in a TSV file."""
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(60, 5)), encoding="utf-8")
    return path


@pytest.fixture
def refused() -> Callable[[Outcome, int], str]:
    """Checks that a command ended with that status and one clear line, and gives the line."""

    def check(outcome: Outcome, status: int) -> str:
        assert outcome.status == status, outcome.err
        lines = outcome.err.split("\n")
        assert len(lines) == 2, outcome.err
        assert lines[1] == ""
        assert lines[0].startswith("error: ")
        assert "Traceback" not in outcome.err
        assert "internal" not in lines[0]
        return lines[0]

    return check
