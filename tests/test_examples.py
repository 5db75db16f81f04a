"""The examples run, in small."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_translate_prints_a_line_for_each_sentence(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = load("translate").main(str(tiny_run), ["I love you.", "Where is my book?"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == texts
    assert len(lines) == 2


def test_look_prints_the_strongest_source_word_of_each_target_word(
    tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = load("look").main(str(tiny_run), "My sister bought two books yesterday.")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines[:-3]] == list(words.target_tokens)
    assert all(line.split("\t")[1] in words.source_tokens for line in lines[:-3])
    assert [line.split()[0] for line in lines[-3:]] == ["entropy", "coverage", "monotonicity"]


@pytest.mark.slow
def test_recall_learns_to_attend_to_the_right_item() -> None:
    right, looked = load("recall").main("dot")
    assert right > 0.95
    assert looked > 0.95


@pytest.mark.long
def test_compare_scores_prints_a_line_for_each_score(capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--preset", "tiny", "-o", "data.small_world_pairs=300", "-o", "train.max_steps=10")
    found = load("compare_scores").main("additive", "dot", *small)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["additive", "dot"]
    assert found["additive"].keys() == {"BLEU", "chrF", "AER"}


def test_every_example_is_tested() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert [path.stem for path in EXAMPLES.glob("*.py") if f'load("{path.stem}")' not in tested] == []


@pytest.mark.long
def test_train_and_compare_prints_a_line_for_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {"data.small_world_pairs": 300, "train.max_steps": 4}
    records = load("train_and_compare").main("small-world", tmp_path, **small)
    assert [record["cell"] for record in records] == ["dot", "additive"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[-2:]] == ["dot", "additive"]
