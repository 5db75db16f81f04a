"""JSON records: the order of keys says nothing, arrays are read, and what is no pair is named by its line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attentio.data.settings import DataConfig
from attentio.data.source import read_pairs
from attentio.errors import DataError

PAIRS = [(f"This is line {i}.", f"这是第{i}行。") for i in range(8)]


def read(path: Path, content: str, **given_settings: object) -> list[tuple[str, str]]:
    path.write_text(content, encoding="utf-8")
    found = read_pairs(path, DataConfig.model_validate(given_settings))
    return [(pair.source, pair.target) for pair in found]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), nested=st.booleans(), keys=st.sampled_from([("en", "zh"), ("src", "tgt"), ("source", "target")]))
def test_the_order_of_keys_says_nothing(
    tmp_path: Path, data: st.DataObject, nested: bool, keys: tuple[str, str]
) -> None:
    lines: list[str] = []
    for i, pair in enumerate(PAIRS):
        items: list[tuple[str, Any]] = [*zip(keys, pair, strict=True), ("id", i), ("score", 0.5)]
        shuffled = items if i == 0 else data.draw(st.permutations(items))
        lines.append(json.dumps({"translation": dict(shuffled)} if nested else dict(shuffled)))
    assert read(tmp_path / "a.jsonl", "\n".join(lines)) == PAIRS


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_array_of_records(tmp_path: Path, name: str, indent: int | None, wrapped: bool) -> None:
    records: Any = [{"translation": {"en": source, "zh": target}} for source, target in PAIRS]
    held = {"version": 1, "data": records} if wrapped and indent else records
    assert read(tmp_path / name, json.dumps(held, indent=indent)) == PAIRS


def test_lines_in_a_file_named_json_and_arrays_as_records(tmp_path: Path) -> None:
    assert read(tmp_path / "a.json", "\n".join(json.dumps(pair) for pair in PAIRS)) == PAIRS
    assert read(tmp_path / "a.json", json.dumps([list(pair) for pair in PAIRS], indent=1)) == PAIRS
    one_a_line = "[" + ",\n".join(json.dumps(pair) for pair in PAIRS) + "]"
    assert read(tmp_path / "a.json", one_a_line) == PAIRS
    assert read(tmp_path / "a.json", "\n" + one_a_line) == PAIRS
    assert read(tmp_path / "a.json", json.dumps({"source": "a", "target": "b"}) + "\n") == [("a", "b")]


def test_line_ends_and_half_characters_inside_a_text(tmp_path: Path) -> None:
    line = '{"source": "one\\r\\ntwo\\n\\nthree", "target": "\\ud83d x \\ud83d\\ude00"}'
    assert read(tmp_path / "a.jsonl", line) == [("one two three", " x 😀")]


def test_three_languages_ask_which(tmp_path: Path) -> None:
    line = json.dumps({"translation": {"en": "a", "zh": "b", "ja": "c"}})
    with pytest.raises(DataError, match=r"3 languages: en, zh, ja\. Choose two: --columns en,zh\."):
        read(tmp_path / "a.jsonl", line)
    assert read(tmp_path / "a.jsonl", line, columns="ja,en") == [("c", "a")]
    assert read(tmp_path / "a.jsonl", line, source_language="zh-CN", target_language="en") == [("b", "a")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"source": "a", "target": "b"}\n{"source": "a"}', "line 2: no text under 'source' and 'target'"),
        ('{"source": "a", "target": 3}', "line 1: no source and target text"),
        ('{"source": "a", "target": "b"}\nno json', "line 2: not JSON"),
        ('{"translation":' + "[" * 60_000 + "]" * 60_000 + "}", "nested too deeply"),
        ("\n\n", "is empty"),
        ("[\n1,\n2]", "record 1: no source and target text"),
        ('{\n"a": 1}', "record 1: no source and target text"),
    ],
)
def test_what_is_no_pair(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read(tmp_path / "a.jsonl", content)
