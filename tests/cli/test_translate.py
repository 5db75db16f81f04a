"""The verb `translate`: one line in, one line out, in every form."""

import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attentio.text.script import ends_without_space

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]
TEXT = "I like you.\n\nMy sister bought the book yesterday.\n   \nWhere is the station?\n"


def test_one_line_in_one_line_out(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, stdin=TEXT)
    assert (outcome.status, outcome.err) == (0, "")
    assert [bool(line) for line in outcome.lines] == [True, False, True, False, True]
    again = attentio("translate", tiny_run, "--batch-tokens", 1, stdin=TEXT)
    assert again.out == outcome.out


@pytest.mark.slow
def test_precision(attentio: Command, refused: Refused, tiny_run: Path) -> None:
    """A hardly trained model may choose other words in bf16. Where the words agree, so do the scores, nearly."""
    found = {
        precision: [
            (held["text"], held["score"])
            for held in map(json.loads, attentio("translate", tiny_run, "--json", *options, stdin=TEXT).lines)
        ]
        for precision, *options in (("default",), ("fp32", "--precision", "fp32"), ("bf16", "--precision", "bf16"))
    }
    assert found["default"] == found["fp32"]
    assert [score for _, score in found["bf16"]] != [score for _, score in found["fp32"]]
    both = [(a, b) for (text, a), (other, b) in zip(found["fp32"], found["bf16"], strict=True) if text == other != ""]
    assert both
    assert [b for _, b in both] == pytest.approx([a for a, _ in both], abs=0.2)
    outcome = attentio("translate", tiny_run, "--precision", "fp8", stdin=TEXT)
    assert "unknown precision 'fp8'. One of: auto, fp32, bf16." in refused(outcome, 2)


@pytest.mark.slow
def test_a_last_line_without_an_end_counts(attentio: Command, tiny_run: Path) -> None:
    whole = attentio("translate", tiny_run, stdin=TEXT)
    assert attentio("translate", tiny_run, stdin=TEXT.rstrip("\n")).out == whole.out
    assert attentio("translate", tiny_run, stdin=TEXT.replace("\n", "\r\n")).out == whole.out
    assert attentio("translate", tiny_run, stdin="\ufeff" + TEXT).out == whole.out
    assert attentio("translate", tiny_run, stdin="").out == ""


@pytest.mark.slow
@given(st.lists(st.text(st.sampled_from("a I.龘\t\v\f\r\x1c\x85\u2028\u2029\u3000\ufeff"), max_size=12), max_size=5))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_only_a_line_feed_ends_a_line(attentio: Command, tiny_run: Path, lines: list[str]) -> None:
    outcome = attentio("translate", tiny_run, stdin="".join(f"{line}\n" for line in lines))
    assert outcome.status == 0
    assert len(outcome.lines) == len(lines)


def test_files_one_after_the_other(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("I like you.\n", encoding="utf-8")
    two.write_text("\nWhere is the station?\n", encoding="utf-8")
    together = attentio("translate", tiny_run, one, two)
    assert together.lines == attentio("translate", tiny_run, stdin="I like you.\n\nWhere is the station?\n").lines


def test_n_best_in_moses_form(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, "--beam", 3, "--nbest", 2, stdin="I like you.\n\nYes.\n")
    parts = [line.split(" ||| ") for line in outcome.lines]
    assert [part[0] for part in parts] == ["0", "0", "1", "2", "2"]
    assert all(len(part) == 3 for part in parts)
    scores = [float(part[2]) for part in parts]
    assert scores[0] >= scores[1]
    assert scores[3] >= scores[4]
    best = attentio("translate", tiny_run, "--beam", 3, stdin="I like you.\n\nYes.\n").lines
    assert [parts[0][1], parts[2][1], parts[3][1]] == best


def test_alignments_in_pharaoh_form(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, "--alignments", stdin=TEXT)
    texts = attentio("translate", tiny_run, stdin=TEXT).lines
    sources = TEXT.split("\n")
    assert len(outcome.lines) == 5
    for source, text, line in zip(sources, texts, outcome.lines, strict=False):
        assert re.fullmatch(r"(\d+-\d+( \d+-\d+)*)?", line)
        links = [tuple(map(int, link.split("-"))) for link in line.split()]
        words = re.findall(r"\w+|[^\w\s]", source)
        assert all(i < len(words) and j < len(text) for i, j in links)
        assert len({j for _, j in links}) == len(links), "a target word has one link"
        assert bool(links) == bool(text.strip())


def test_json_lines(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, "--json", "--beam", 2, stdin=TEXT)
    shown = [json.loads(line) for line in outcome.lines]
    assert [each["id"] for each in shown] == [0, 1, 2, 3, 4]
    assert [each["source"] for each in shown] == TEXT.split("\n")[:-1]
    assert [each["text"] for each in shown] == attentio("translate", tiny_run, "--beam", 2, stdin=TEXT).lines
    for each in shown:
        assert each.keys() == {
            *("id", "source", "text", "score", "nbest", "source_tokens", "target_tokens", "alignment", "unseen"),
            *("lost", "around", "unforced", "sentences", "cut"),
        }
        assert "".join(each["target_tokens"]) == "".join(each["text"].split())
        for link in each["alignment"].split():
            source, target = map(int, link.split("-"))
            assert source < len(each["source_tokens"])
            assert target < len(each["target_tokens"])
        assert each["nbest"][0] == {"text": each["text"], "score": each["score"]}
        assert len(each["nbest"]) == (2 if each["text"] else 1)
    assert shown[2]["source_tokens"] == ["My", "sister", "bought", "the", "book", "yesterday", "."]


def test_out_is_written_whole_or_not_at_all(
    attentio: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.txt"
    out.write_text("before", encoding="utf-8")
    monkeypatch.setattr(import_module("attentio.cli.translate"), "LINES_AT_ONCE", 1)
    outcome = attentio("translate", tiny_run, "--out", out, stdin=b"I like you.\n\xff\n")
    assert outcome.status == 3
    assert out.read_text(encoding="utf-8") == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    outcome = attentio("translate", tiny_run, "--out", out, stdin=TEXT)
    assert (outcome.status, outcome.out) == (0, "")
    assert out.read_text(encoding="utf-8") == attentio("translate", tiny_run, stdin=TEXT).out
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    other = tmp_path / "plain"
    other.touch()
    assert out.stat().st_mode == other.stat().st_mode


def test_where_out_cannot_be_is_said_before_the_model_is_opened(
    attentio: Command, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "no" / "where.txt", f"{tmp_path}/file/folder/"):
        assert "cannot be written" in refused(attentio("translate", "no-run", "--out", place, stdin=TEXT), 5)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("memory.tmx.txt", '<?xml version="1.0"?>\n<tmx version="1.4"></tmx>\n', "is XML or HTML"),
        ("page.txt", "\n<!DOCTYPE html>\n<html></html>\n", "is XML or HTML"),
        ("lines.json", '{"en": "Yes."}\n', "is JSON"),
        ("pairs.tsv", "I like you.\t我爱你。\nYes.\t是。\n", "is a table of 2 columns"),
    ],
)
def test_a_file_that_is_no_plain_text(
    attentio: Command, refused: Refused, tiny_run: Path, tmp_path: Path, name: str, text: str, what: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    line = refused(attentio("translate", tiny_run, path), 3)
    assert f"{name} {what}, and translate reads plain text." in line
    assert attentio("translate", tiny_run, stdin=text).status == 0


def test_plain_text_may_hold_tabs_braces_and_angles(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("{a}\tb\n<b> no tab\n", encoding="utf-8")
    assert len(attentio("translate", tiny_run, path).lines) == 2


def test_text_in_another_language_gets_one_note(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, stdin="我爱你。\n你好。\n")
    assert [line for line in outcome.err.split("\n") if "looks like" in line] == [
        "note: the text looks like 'zh', and this model reads 'en'."
    ]


def test_what_was_never_seen_is_said_once_for_all_lines(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, stdin="Yes 龘.\nYes.\nNo 龘 鱻.\n")
    assert outcome.err == "note: 2 never seen in training (龘 鱻): line 1 and 1 more. Expect poor output there.\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json", "--alignments"], "choose one"),
        (["--device", "tpu"], "unknown device"),
    ],
)
def test_options_that_make_no_sense(
    attentio: Command, refused: Refused, tiny_run: Path, options: list[object], words: str
) -> None:
    outcome = attentio("translate", tiny_run, *options, stdin=TEXT)
    assert words in refused(outcome, 2)


@pytest.mark.slow
def test_nbest_widens_the_beam_by_itself(attentio: Command, tiny_run: Path) -> None:
    wide = attentio("translate", tiny_run, "--nbest", 7, "--beam", 7, stdin="I like you.\n")
    assert attentio("translate", tiny_run, "--nbest", 7, stdin="I like you.\n").out == wide.out
    assert len(wide.lines) == 7
    assert len(attentio("translate", tiny_run, "--nbest", 3, stdin="I like you.\n").lines) == 3


def test_five_hypotheses_are_kept_by_default(attentio: Command, tiny_run: Path) -> None:
    assert attentio("translate", tiny_run, stdin=TEXT).out == attentio("translate", tiny_run, "-b", 5, stdin=TEXT).out


@pytest.mark.slow
def test_sentences_of_a_line_are_split(attentio: Command, tiny_run: Path) -> None:
    sentences = ["I like you.", "Where is he?", "My sister bought two books.", "Yes!", "He is here.", "Come."]
    alone = attentio("translate", tiny_run, stdin="\n".join(sentences) + "\n").lines
    assert attentio("translate", tiny_run, stdin=" ".join(sentences) + "\n").lines == [joined(alone)]
    whole = attentio("translate", tiny_run, "--no-split", "--json", stdin=" ".join(sentences[:2]) + "\n")
    assert json.loads(whole.out)["sentences"] == 1
    (line,) = attentio("translate", tiny_run, "--json", stdin=" ".join(sentences) + "\n").lines
    shown = json.loads(line)
    assert shown["sentences"] == 6
    links = [tuple(map(int, link.split("-"))) for link in shown["alignment"].split()]
    assert max(i for i, _ in links) < len(shown["source_tokens"])
    assert max(j for _, j in links) < len(shown["target_tokens"])
    texts = attentio("translate", tiny_run, "--json", stdin="\n".join(sentences) + "\n").lines
    parts = [json.loads(text) for text in texts]
    assert shown["source_tokens"] == [word for part in parts for word in part["source_tokens"]]
    source = target = 0
    expected = list[str]()
    for part in parts:
        for i, j in (map(int, link.split("-")) for link in part["alignment"].split()):
            expected.append(f"{i + source}-{j + target}")
        source, target = source + len(part["source_tokens"]), target + len(part["target_tokens"])
    assert sorted(shown["alignment"].split()) == sorted(expected)


def joined(texts: list[str]) -> str:
    """Sentences in a line as they are written: without a space after full-width punctuation."""
    text = ""
    for each in texts:
        text += each if not text or ends_without_space(text) else f" {each}"
    return text


def test_former_names_are_read_with_a_note(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    outcome = attentio("translate", tiny_run, "-o", tmp_path / "x.txt", stdin="I like you.\n")
    assert (outcome.status, outcome.err) == (0, "note: -o of translate is written --out now\n")
    assert (tmp_path / "x.txt").exists()


def test_what_is_not_there(attentio: Command, refused: Refused, tiny_run: Path, tmp_path: Path) -> None:
    assert "no such file" in refused(attentio("translate", tiny_run, tmp_path / "x.txt"), 3)
    assert "is a folder" in refused(attentio("translate", tiny_run, tmp_path), 3)
    assert "no such folder" in refused(attentio("translate", tmp_path / "run", stdin=TEXT), 4)
    assert "is not a run folder" in refused(attentio("translate", tmp_path, stdin=TEXT), 4)


@pytest.mark.slow
def test_sampling(attentio: Command, tiny_run: Path) -> None:
    plain = attentio("translate", tiny_run, "--beam", 1, stdin=TEXT)
    sample = ["--sample", "--temperature", 2, "--seed"]
    drawn = {seed: attentio("translate", tiny_run, *sample, seed, stdin=TEXT) for seed in (1, 2)}
    assert drawn[1].status == 0
    assert len(drawn[1].lines) == 5
    assert attentio("translate", tiny_run, *sample, 1, stdin=TEXT).out == drawn[1].out
    assert len({outcome.out for outcome in (plain, *drawn.values())}) == 3
    for cut in (["--top-k", 1], ["--top-p", 1e-9]):
        assert attentio("translate", tiny_run, "--sample", *cut, stdin=TEXT).out == plain.out


@pytest.mark.slow
def test_what_must_and_must_not_be_written(attentio: Command, tiny_run: Path) -> None:
    (line,) = attentio("translate", tiny_run, "--prefix", "他在", stdin="Yes.\n").lines
    assert line.startswith("他在")
    options = ["--require", "哪里", "--require", "书", "--forbid", "我", "--forbid", "。", "--max-length", 12]
    (line,) = attentio("translate", tiny_run, "--beam", 4, *options, stdin="I like you.\n").lines
    assert "哪里" in line
    assert "书" in line
    assert not set("我。") & set(line)
    assert len(line) <= 12
    (line,) = attentio("translate", tiny_run, "--no-repeat", 1, stdin="I like you.\n").lines
    assert len(set(line)) == len(line)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beam", 3, "--sample"], "--beam 3 and --sample do not go together."),
        (["--nbest", 2, "--sample"], "--nbest 2 and --sample do not go together."),
        (["--top-k", 3], "--top-k is about sampling. Add --sample."),
        (["--sample", "--temperature", 0], "it must be above 0"),
        (["--sample", "--top-p", 2], "at most 1"),
        (["--beam", 1, "--require", "书"], "need a beam"),
        (["--beam", 3, "--require", "龘"], "the model cannot write '龘'"),
        (["--prefix", "龘"], "the model cannot write '龘'"),
        (["--beam", 3, "--require", "书书书", "--max-length", 2], "at least 3 more tokens"),
        (["--beam", 3, "--require", "书", "--forbid", "书"], "none of the forbidden ones"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_said(
    attentio: Command, refused: Refused, tiny_run: Path, options: list[Any], message: str
) -> None:
    assert message in refused(attentio("translate", tiny_run, *options, stdin="Yes.\n"), 2)
