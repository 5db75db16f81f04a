"""The verb `evaluate`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]


@pytest.mark.slow
def test_what_the_run_held_out(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("evaluate", tiny_run, "--json", "--resamples", 20)
    assert outcome.status == 0
    shown = json.loads(outcome.out)
    assert shown["schema"] == 1
    (result,) = shown["tests"].values()
    assert result["bleu"]["signature"].startswith("nrefs:1|")
    assert "tok:zh" in result["bleu"]["signature"]
    for score in ("bleu", "chrf", "ter"):
        assert result[score]["low"] <= result[score]["value"] <= result[score]["high"]
    assert 0 <= result["alignment"]["error_rate"] <= 1  # the small world knows its links
    plain = attentio("evaluate", tiny_run, "--resamples", 0)
    assert f"{result['chrf']['value']:.2f}" in plain.out
    assert "AER" in plain.out


@pytest.mark.slow
def test_faithfulness(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    test = tmp_path / "mine.tsv"
    test.write_text("I love you.\t我爱你。\nWhere is my book?\t我的书在哪里？\n", encoding="utf-8")
    arguments = ("evaluate", tiny_run, test, "--faithfulness", "--resamples", 20, "--beam", 1)
    found = json.loads(attentio(*arguments, "--json").out)["tests"]["mine"]["faithfulness"]
    names = ["layer 1", "layer 2", "erasure", "gradient x input", "uniform", "random"]
    assert (found["sentences"], list(found["maps"])) == (2, names)
    for name, measures in found["maps"].items():
        assert list(measures) == ["rank_correlation", "gradient_correlation", "comprehensiveness", "sufficiency"]
        assert name == "uniform" or -1 <= measures["rank_correlation"]["value"] <= 1
    assert "faithfulness, 2 sentences" in attentio(*arguments).out
    assert "faithfulness" not in json.loads(attentio(*arguments[:3], "--json").out)["tests"]["mine"]
    gold = tmp_path / "gold.txt"
    gold.write_text("1-1\n1-1\n", encoding="utf-8")
    both = attentio("evaluate", tiny_run, test, "--faithfulness", "--gold", gold, "--gold-index", 1, "--json")
    beside = json.loads(both.out)["tests"]["mine"]["explanations"]
    assert list(beside) == ["attention", "erasure", "gradient x input"]
    assert all(0 <= each["error_rate"] <= 1 and each["sentences"] == 2 for each in beside.values())


def test_a_test_file_with_several_references(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    """Against sacreBLEU itself, with all references of a source and one translation of it."""
    test = tmp_path / "mine.tsv"
    test.write_text("I love you.\t我爱你。\nYes.\t是。\nI love you.\t我很爱你。\n", encoding="utf-8")
    shown = json.loads(attentio("evaluate", tiny_run, test, "--json", "--resamples", 0).out)
    result = shown["tests"]["mine"]
    assert (result["sentences"], result["references"]) == (2, 3)
    said = attentio("translate", tiny_run, stdin="I love you.\nYes.\n").lines
    wanted = sacrebleu.CHRF().corpus_score(said, [["我爱你。", "是。"], ["我很爱你。", None]])
    assert result["chrf"]["value"] == pytest.approx(wanted.score, abs=0.01)
    assert "alignment" not in result


@pytest.mark.slow
def test_what_is_not_scored_and_what_was_seen_is_said(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    from attentio.data.prepare import PreparedData

    data = PreparedData.load(tiny_run / "data")
    seen = data.source.tokenizer.decode(data.train.source[0].tolist())
    test = tmp_path / "mine.tsv"
    text = f"I love you.\t我爱你。\n{seen.upper()}!\t新的句子。\nno other side\t\n\u200b\t无\n"
    test.write_text(text, encoding="utf-8")
    result = json.loads(attentio("evaluate", tiny_run, test, "--json", "--resamples", 0).out)["tests"]["mine"]
    assert (result["pairs"], result["sentences"], result["seen_in_training"]) == (4, 2, 1)
    assert sum(result["left_out"].values()) == 2
    outcome = attentio("evaluate", tiny_run, test, "--resamples", 0)
    assert "mine: 2 of 4 pairs are not scored: " in outcome.err
    assert "mine: 1 of 2 sentences were seen in training: their scores say little" in outcome.err
    test.write_text("Quite a new sentence.\t我很爱你呢。\n", encoding="utf-8")
    assert attentio("evaluate", tiny_run, test, "--resamples", 0).err == ""


def test_the_encoding_and_columns_of_a_test_file(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    test = tmp_path / "mine.csv"
    test.write_bytes("1;I love you.;我爱你。\n2;Yes.;是。\n".encode("gb18030"))
    reading = ["--encoding", "gb18030", "--delimiter", ";", "--columns", "2,3"]
    shown = json.loads(attentio("evaluate", tiny_run, test, *reading, "--json", "--resamples", 0).out)
    assert shown["tests"]["mine"]["sentences"] == 2
    assert "--encoding is about TEST" in attentio("evaluate", tiny_run, "--encoding", "gb18030").err


@pytest.mark.slow
def test_the_gate(attentio: Command, tiny_run: Path) -> None:
    assert attentio("evaluate", tiny_run, "--resamples", 0, "--min-chrf", 0).status == 0
    outcome = attentio("evaluate", tiny_run, "--resamples", 0, "--min-chrf", 101)
    assert outcome.status == 7
    assert outcome.err.startswith("error: chrF2 ")
    assert outcome.err.endswith("is below --min-chrf 101.\n")
    assert "BLEU" in outcome.out


@pytest.mark.slow
def test_the_gate_as_json_is_still_one_object(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("evaluate", tiny_run, "--resamples", 0, "--min-chrf", 101, "--json")
    assert outcome.status == 7
    shown = json.loads(outcome.out)
    assert shown["error"]["code"] == "E_QUALITY"
    assert shown["tests"]
    assert "error" not in json.loads(attentio("evaluate", tiny_run, "--resamples", 0, "--json").out)


@pytest.mark.parametrize(("text", "words"), [("", "is empty"), ("one side\t\n\t另一边\n", "both sides")])
def test_a_test_file_without_pairs(
    attentio: Command, refused: Refused, tiny_run: Path, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "empty.tsv").write_text(text, encoding="utf-8")
    assert words in refused(attentio("evaluate", tiny_run, tmp_path / "empty.tsv"), 3)


def test_a_model_folder_alone_holds_no_test(attentio: Command, refused: Refused, tiny_run: Path) -> None:
    refused(attentio("evaluate", tiny_run / "model"), 3)
