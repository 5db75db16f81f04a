"""`attentio translate` of many lines into a folder: the same as at once, and it goes on where it was killed."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORDS = ["cat", "dog", "book", "house", "teacher", "friend", "brother", "sister", "apple", "car"]
LINES = [
    f"My {one} has a {other}." if number % 7 else ""
    for number, (one, other) in enumerate((one, other) for one in WORDS for other in WORDS)
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bulk") / "corpus.txt.gz"
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in LINES).encode()))
    return path


@pytest.fixture
def whole(attentio: Callable[..., Any], corpus: Path) -> str:
    """What one call writes into one file."""
    outcome = attentio("translate", "small-world", corpus, "--beam", 1, "--json")
    assert outcome.status == 0, outcome.err
    return outcome.out


def held(folder: Path) -> str:
    return "".join(path.read_text("utf-8") for path in sorted(folder.glob("part-*")))


@pytest.mark.slow
def test_parts_are_what_one_call_writes_and_a_second_call_goes_on(
    attentio: Callable[..., Any], corpus: Path, whole: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    command = ["translate", "small-world", corpus, "--beam", 1, "--json", "--part-lines", 30, "--out", f"{folder}/"]
    first = attentio(*command)
    assert first.status == 0, first.err
    assert first.out == ""
    assert f"done   {folder}  4 parts of 100 lines\n" in first.err
    assert held(folder) == whole
    (folder / "part-000001.jsonl").write_text("", encoding="utf-8")
    second = attentio(*command)
    assert "4 parts of 100 lines, 3 of them from before" in second.err
    assert held(folder) == whole
    other = attentio(*command, "--no-repeat", 2)
    assert other.status == 2
    assert other.err.startswith(f"error: {folder} holds parts of another translation: --no-repeat was '0', and is '2'.")
    assert other.err.count("\n") == 1


@pytest.mark.slow
def test_json_lines_get_a_field(attentio: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    rows = [{"id": 7, "en": "I love you."}, {"en": "My cat\nis here.", "x": ["é"]}]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "\n", encoding="utf-8")
    alone = attentio("translate", "small-world", path, "--field", "en")
    assert alone.status == 0, alone.err
    *found, last = alone.out.split("\n")[:-1]
    assert last == ""
    assert [{**row, "translation": ""} for row in rows] == [{**json.loads(line), "translation": ""} for line in found]
    assert json.loads(found[0])["translation"] == "我爱你。"
    attentio("translate", "small-world", path, "--field", "en", "--out", f"{tmp_path}/out/")
    assert held(tmp_path / "out") == alone.out
    lines = [json.dumps(rows[0]), "{", json.dumps(rows[1])]
    for content, number in (("\n".join(lines), 2), (json.dumps({"de": "x"}), 1)):
        path.write_text(content, encoding="utf-8")
        outcome = attentio("translate", "small-world", path, "--field", "en")
        assert (outcome.status, outcome.err) == (
            3,
            f"error: line {number} has no text 'en'. Name the field with --field.\n",
        )


@pytest.mark.slow
def test_tables_get_a_column(attentio: Callable[..., Any], tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "in.parquet"
    table = pyarrow.table({"id": [1, 2, 3], "en": ["I love you.", None, "My cat\nis here."]})
    parquet.write_table(table, path, row_group_size=2)
    command = ["translate", "small-world", path, "--field", "en", "--part-lines", 2, "--out", f"{tmp_path}/out/"]
    assert attentio(*command).status == 0
    (tmp_path / "out" / "part-000001.parquet").unlink()
    again = attentio(*command)
    assert "2 parts of 3 lines, 1 of them from before" in again.err
    parts = [parquet.read_table(each) for each in sorted((tmp_path / "out").glob("part-*"))]
    found = pyarrow.concat_tables(parts)
    assert found.drop_columns(["translation"]).equals(table)
    first, second, third = found["translation"].to_pylist()
    assert (first, second) == ("我爱你。", "")
    assert third == attentio("translate", "small-world", stdin="My cat is here.\n").out.rstrip("\n")
    other = ["translate", "small-world", path, "--out", f"{tmp_path}/other/"]
    assert "has no text 'text'. Name the column with --field." in attentio(*other).err
    assert "into a folder. Add --out FOLDER/." in attentio("translate", "small-world", path, "--field", "en").err
    path.write_bytes(path.read_bytes()[:-9])
    outcome = attentio(*command)
    assert (outcome.status, "is no Parquet file, or damaged" in outcome.err) == (3, True)
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--field", "x"], "--field is about JSON lines and Parquet. Add --format jsonl."),
        (["--format", "jsonl", "--json"], "the translation becomes a field."),
        (["--format", "html", "--out", "out/"], "a document is one file. Name a file with --out."),
    ],
)
def test_what_does_not_go_together(
    attentio: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("x\n", encoding="utf-8")
    outcome = attentio("translate", "small-world", "in.txt", *arguments)
    assert outcome.status == 2
    assert words in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(corpus: Path, whole: str, tmp_path: Path) -> None:
    """Each call is killed after one more part, and the last one ends."""
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "attentio", "translate", "small-world", str(corpus), "--beam", "1", "--json"]
    command += ["--part-lines", "30", "--out", f"{folder}/"]
    for wanted in (1, 2):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while len(list(folder.glob("part-*"))) < wanted and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert held(folder) == whole
    assert not list(folder.glob("*.partial"))
