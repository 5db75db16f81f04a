"""`attentio export`, as people type it."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[[str, Path], tuple[int, str]]
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")


@pytest.mark.slow
def test_a_run_becomes_a_page(tiny_run: Path, shell: Shell, tmp_path: Path) -> None:
    # A model that has hardly learned may change its mind at any rounding, so its weights keep 32 bits here.
    command = f"attentio export {tiny_run} --to html --out mine.html --sentences 4 --beam 1 --precision fp32"
    status, said = shell(command, tmp_path)
    assert status == 0, said
    assert re.search(r"^the model +4 +4 ", said, re.MULTILINE)
    assert "<title>run</title>" in (tmp_path / "mine.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_sentences_of_a_file_and_json(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "check.tsv").write_text("I love you.\t我爱你。\n\nWhere?\t在哪里？\n", encoding="utf-8")
    command = "attentio export small-world --to html --out a.html --precision fp32 --check check.tsv --name mine --json"
    status, said = shell(command, tmp_path)
    assert status == 0, said
    told = json.loads(said)
    assert (told["precision"], told["beam"]) == ("fp32", 5)
    assert [(one["against"], one["sentences"], one["same"]) for one in told["agreements"]] == [("the model", 2, 2)]
    assert told["agreements"][0]["chrf"] > 0
    assert told["bytes"] == (tmp_path / "a.html").stat().st_size


@pytest.mark.slow
def test_several_directions_in_one_site(tiny_run: Path, shell: Shell, tmp_path: Path) -> None:
    command = f"attentio export small-world --to site --out site --with {tiny_run} --sentences 3 --beam 1 --name first"
    status, said = shell(command, tmp_path)
    assert status == 0, said
    assert "first, the model in 8 bits  3" in said
    assert "run, the model" in said
    assert sorted(path.suffix for path in (tmp_path / "site").iterdir()) == [
        *(".bin", ".bin", ".css", ".html", ".js", ".js", ".json", ".json")
    ]


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("small-world --to pdf --out a.pdf", 2, "there is no format 'pdf'"),
        ("small-world --to html --out no/a.html", 5, "no/"),
        ("small-world --to html --out a.html --check none.txt", 3, "none.txt: no such file"),
        ("small-world --to html --out a.html --with small-world", 2, "two models would be called 'small-world'"),
        ("none --to html --out a.html", 4, "none: no such folder"),
        ("{model} --to html --out a.html", 2, "has no dev set to compare with"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: str, status: int, words: str, tiny_run: Path, shell: Shell, tmp_path: Path
) -> None:
    found, said = shell(f"attentio export {command.format(model=tiny_run / 'model')}", tmp_path)
    assert (found, said.count("\n")) == (status, 1), said
    assert words in said
    assert list(tmp_path.iterdir()) == []
