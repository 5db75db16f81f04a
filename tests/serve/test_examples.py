"""The examples of the page on serving: each command prints what the page shows, and each program runs."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:5000"
COMMANDS = re.findall(r"^\$ (curl .*)\n(.*)$", PAGE, re.MULTILINE)
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=lambda text: text[:60])
def test_commands_print_what_the_page_shows(command: str, shown: str, served: Any) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    words = shlex.split(command.replace(ADDRESS, served.url))
    found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    assert found == json.loads(shown, parse_float=lambda text: pytest.approx(float(text), abs=1e-3))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: text.split()[1])
def test_programs_run(program: str, served: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exec(program.replace(ADDRESS, served.url), {})
    assert capsys.readouterr().out == "我爱你。\n"


def test_the_page_has_examples() -> None:
    assert len(COMMANDS) > 5
    assert len(PROGRAMS) > 1
