"""The data commands: data on standard output, everything else on standard error."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attentio.cli.data import app
from attentio.errors import ResourceError, UsageError

RUNNER = CliRunner()
PAIRS = "".join(f"I see {i} cats.\t我看见{i}只猫。\n" for i in range(30))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "a.tsv"
    path.write_text(PAIRS + "\t空\n" + "I see 3 cats.\t我看见3只貓.\n", encoding="utf-8")
    return path


def test_report_for_people(corpus: Path) -> None:
    result = RUNNER.invoke(app, ["report", str(corpus)], catch_exceptions=False)
    assert result.stdout.split("\n")[:2] == [
        "data   30 pairs kept, 2 dropped (1 empty, 1 duplicate)",
        "split  30 train, no held-out part",
    ]
    assert "warning: a: 1 pair with an empty side dropped (first: line 31)." in result.stderr


def test_report_for_programs(corpus: Path) -> None:
    result = RUNNER.invoke(app, ["report", str(corpus), "--json", "--list-dropped"], catch_exceptions=False)
    found = json.loads(result.stdout)
    assert (found["schema"], found["train"], found["leak"]) == (1, 30, None)
    assert [(pair["line"], pair["reason"]) for pair in found["dropped_pairs"]] == [("31", "empty"), ("32", "duplicate")]


def test_report_lists_what_is_dropped(corpus: Path) -> None:
    result = RUNNER.invoke(app, ["report", str(corpus), "--list-dropped"], catch_exceptions=False)
    assert result.stdout == (
        "part\tline\treason\tsource\ttarget\na\t31\tempty\t\t空\na\t32\tduplicate\tI see 3 cats.\t我看见3只猫。\n"
    )


def test_report_takes_the_options_of_reading(tmp_path: Path) -> None:
    (tmp_path / "a.zh").write_bytes("".join(f"我看见{i}只貓\n" for i in range(9)).encode("gb18030"))
    (tmp_path / "a.en").write_bytes("".join(f"I see {i} cats\n" for i in range(9)).encode())
    arguments = ["report", str(tmp_path / "a.zh"), "--tgt", str(tmp_path / "a.en"), "--encoding", "gb18030", "--swap"]
    found = json.loads(RUNNER.invoke(app, [*arguments, "--script", "keep", "--json"], catch_exceptions=False).stdout)
    assert (found["source"]["language"], found["target"]["language"], found["train"]) == ("en", "zh", 9)


def test_sample_prints_pairs() -> None:
    result = RUNNER.invoke(app, ["sample", "small-world", "-n", "7"], catch_exceptions=False)
    lines = result.stdout.split("\n")[:-1]
    assert len(lines) == 7
    assert all(line.count("\t") == 1 and line.split("\t")[0].isascii() for line in lines)
    with pytest.raises(UsageError, match="one corpus to sample"):
        RUNNER.invoke(app, ["sample", "elsewhere"], catch_exceptions=False)


def test_an_unknown_publisher() -> None:
    with pytest.raises(UsageError, match="There is one: tatoeba"):
        RUNNER.invoke(app, ["download", "opus", "eng-cmn"], catch_exceptions=False)


def test_the_commands_load_nothing_heavy() -> None:
    heavy = "torch numpy sentencepiece opencc pydantic"
    code = f"import sys, attentio.cli.data; sys.exit(' '.join(m for m in '{heavy}'.split() if m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == ""


def test_where_a_corpus_cannot_be_kept_is_said_before_it_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = RUNNER.invoke(app, ["download", "tatoeba", "eng-cmn", "--out", str(tmp_path / "file")])
    assert isinstance(outcome.exception, ResourceError)
    assert "cannot be written" in str(outcome.exception)


def test_prepared_once_for_many_trainings(corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    arguments = ["prepare", str(corpus), "--out", str(folder), "--dev", "5", "--seed", "3"]
    result = RUNNER.invoke(app, [*arguments, "--json"], catch_exceptions=False)
    found = json.loads(result.stdout)
    assert (found["folder"], found["train"], found["dev"]) == (str(folder), 25, 5)
    assert f"done   {folder}  train on it: attentio train {folder} --out RUN" in result.stderr
    before = (folder / "prepared.json").stat()
    RUNNER.invoke(app, arguments, catch_exceptions=False)  # opened, not made again
    assert (folder / "prepared.json").stat() == before
    with pytest.raises(UsageError, match="holds other prepared data"):
        RUNNER.invoke(app, [*arguments[:-2], "--seed", "4"], catch_exceptions=False)
    with pytest.raises(UsageError, match="no data to prepare"):
        RUNNER.invoke(app, ["prepare", "--out", str(folder)], catch_exceptions=False)
