"""The verb `view`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentio.trace import AttentionTrace

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]


def test_the_map_in_the_terminal(attentio: Command, tiny_run: Path) -> None:
    said = attentio("translate", tiny_run, stdin="I like you.\n").lines[0]
    outcome = attentio("view", tiny_run, "I like you.")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.lines[0] == said
    assert "like" in outcome.out


@pytest.mark.slow
def test_pictures(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    png, svg = tmp_path / "map.png", tmp_path / "map.svg"
    outcome = attentio("view", tiny_run, "I like you.", "Yes.", "--png", png, "--svg", svg)
    assert outcome.status == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()
    assert f"picture {png}\n" in outcome.err


def test_json_and_a_saved_trace(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    outcome = attentio("view", tiny_run, "I like you.", "--json", "--tokens", "--save", tmp_path / "trace.npz")
    (shown,) = json.loads(outcome.out)["translations"]
    trace = AttentionTrace.load(tmp_path / "trace.npz")
    np.testing.assert_allclose(shown["weights"], trace.matrix("last"), atol=1e-6)
    assert shown["source_tokens"] == list(trace.source_tokens)
    assert shown["text"] == trace.target


def test_a_page_that_works_alone(attentio: Command, tiny_run: Path, tmp_path: Path) -> None:
    outcome = attentio("view", tiny_run, "I like you.", "Yes.", "--html", tmp_path / "map.html", "--beside", tiny_run)
    assert outcome.status == 0
    assert outcome.err == f"page {tmp_path / 'map.html'}\n"
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert page.count("<attention-map>\n") == 4
    assert page.count("<h2") == 2


@pytest.mark.slow
def test_two_models_side_by_side(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("view", tiny_run, "I like you.", "--beside", tiny_run / "model", "--json")
    first, second = json.loads(outcome.out)["translations"]
    assert (first.pop("run"), second.pop("run")) == ("run", "model")
    assert first == second
    shown = attentio("view", tiny_run, "I like you.", "--beside", tiny_run / "model").out
    assert f"run: {first['text']}\n" in shown
    assert f"model: {first['text']}\n" in shown


def test_every_head_of_every_layer(attentio: Command, tiny_run: Path) -> None:
    shown = attentio("view", tiny_run, "I like you.", "--all-heads").out
    assert re.findall(r"^layer .*, head .*$", shown, re.M) == ["layer 1, head 0", "layer 2, head 0"]


@pytest.mark.slow
def test_the_last_layer_is_shown_by_default(attentio: Command, tiny_run: Path) -> None:
    weights = [
        json.loads(attentio("view", tiny_run, "I like you.", "--json", *layer).out)["translations"][0]["weights"]
        for layer in ([], ["--layer", "2"], ["--layer", "1"], ["--layer", "mean"])
    ]
    assert weights[0] == weights[1]
    np.testing.assert_allclose(weights[3], np.mean(weights[1:3], axis=0), atol=1e-6)


def test_a_text_has_a_map_for_each_sentence(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("view", tiny_run, "I like you. Where is my book?", "--json")
    parts = json.loads(outcome.out)["translations"]
    assert [part["source"] for part in parts] == ["I like you.", "Where is my book?"]
    assert "a map for each of its 2 sentences" in outcome.err


def test_the_former_name_of_tokens(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("view", tiny_run, "Yes.", "--json", "--pieces")
    assert outcome.err == "note: --pieces is called --tokens now\n"
    assert outcome.out == attentio("view", tiny_run, "Yes.", "--json", "--tokens").out


@pytest.mark.parametrize("option", ["--png", "--svg", "--html", "--save"])
def test_places_are_tried_before_the_model_is_opened(
    attentio: Command, refused: Refused, tmp_path: Path, option: str
) -> None:
    pytest.importorskip("matplotlib")
    ending = {"--save": "npz"}.get(option, option[2:])
    nowhere = tmp_path / "none" / f"x.{ending}"
    assert f"{nowhere} cannot be written" in refused(attentio("view", "no-run", "Yes.", option, nowhere), 5)
    assert "the name must end in" in refused(attentio("view", "no-run", "Yes.", option, tmp_path / "x.gif"), 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "b", "--save", "x.npz"], "one sentence"),
        (["I like you. Where is my book?", "--save", "x.npz"], "one sentence"),
        ([], "what should be translated"),
        (["Yes.", "--all-heads", "--head", "0"], "--all-heads goes with"),
        (["Yes.", "--layer", "encoder"], "no layer 'encoder'"),
        (["Yes.", "--head", "4"], "no head 4"),
        ([" "], "there is no map"),
    ],
)
def test_what_cannot_be_shown(attentio: Command, tiny_run: Path, arguments: list[str], words: str) -> None:
    outcome = attentio("view", tiny_run, *arguments)
    assert outcome.status == 2
    assert words in outcome.err.split("\n")[-2]


def test_without_matplotlib_it_is_said(
    attentio: Command, refused: Refused, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    for name in ("heatmap", "font", "figure"):
        monkeypatch.delitem(__import__("sys").modules, f"attentio.view.{name}", raising=False)
    outcome = attentio("view", tiny_run, "Yes.", "--png", tmp_path / "x.png")
    assert "attentio[plot]" in refused(outcome, 6)


def test_what_the_model_does_not_know_is_said(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("view", tiny_run, "I like \u4e02.", "--json")
    assert "1 never seen in training (\u4e02)" in outcome.err
    (shown,) = json.loads(outcome.out)["translations"]
    assert (shown["unseen"], shown["lost"]) == (["\u4e02"], [])
