"""Cases of our own making: what people's files do to the command line, and what must come of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())
FAST = ("one-long-line",)


def missing(expected: str, status: int, output: str) -> list[str]:
    """What `expected` asks for and a command did not give."""
    wanted, *lines = expected.splitlines()
    found = [] if wanted == f"status {status}" else [f"{wanted}, not {status}"]
    found += [line for line in lines if not line.startswith("!") and line not in output]
    return found + [line for line in lines if line.startswith("!") and line[1:] in output]


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_case(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(CASES / name, folder)
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", "cmd"], cwd=folder, env={**os.environ, "PATH": paths, "COLUMNS": "200"}, capture_output=True, text=True
    )
    output = done.stdout + done.stderr
    assert missing((CASES / name / "expected").read_text(encoding="utf-8"), done.returncode, output) == [], output


def test_what_is_missing_is_noticed() -> None:
    expected = "status 0\nkept\n!internal"
    assert missing(expected, 0, "8 kept") == []
    assert missing(expected, 3, "internal error") == ["status 0, not 3", "kept", "!internal"]
