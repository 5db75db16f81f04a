"""`attentio import`, as people type it: what comes in translates, is seen, measured and leaves again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attentio.bundle import Bundle
from attentio.engines.ctranslate2 import write_model

pytest.importorskip("ctranslate2")
Shell = Callable[[str, Path], tuple[int, str]]
Random = Callable[..., Bundle]


@pytest.fixture
def folder(random_transformer: Random, tmp_path: Path) -> Path:
    (tmp_path / "theirs").mkdir()
    write_model(random_transformer({"source_end": False}), tmp_path / "theirs", precision="fp32")
    (tmp_path / "test.tsv").write_text("I love you.\t我爱你。\nWhere?\t在哪里？\n", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_what_comes_in_is_a_model_like_others(folder: Path, shell: Shell) -> None:
    status, said = shell("attentio import theirs --out ours --source-language en --target-language zh", folder)
    assert status == 0, said
    assert "a folder of CTranslate2" in said
    assert "source   en, 40 tokens, tokenizer char" in said
    (folder / "lines.txt").write_text("I love you.\n", encoding="utf-8")
    texts = []
    for command in (
        "attentio translate ours lines.txt --json --beam 1 --max-length 9",
        "attentio view ours 'I love you.'",
        "attentio evaluate ours test.tsv --beam 1",
        "attentio export ours --to ctranslate2 --out again --check test.tsv --beam 1",
        "attentio import again --out ours --json",
    ):
        status, said = shell(command, folder)
        assert status == 0, said
        texts.append(said)
    assert json.loads(texts[-1])["source"] == {"language": "en", "tokens": 40, "tokenizer": "char"}


def test_the_engine_is_chosen_by_name(folder: Path, shell: Shell) -> None:
    assert shell("attentio import theirs --out ours", folder)[0] == 0
    (folder / "in.txt").write_text("I love you.\nWhere?\n", encoding="utf-8")
    options = "--beam 1 --max-length 9"
    found = [
        shell(f"attentio translate ours in.txt {options} --engine {name}", folder)
        for name in ("attentio", "ctranslate2")
    ]
    assert found[0] == found[1]
    status, said = shell("attentio translate small-world in.txt --engine ctranslate2", folder)
    assert (status, said.count("\n")) == (2, 1)
    assert "CTranslate2 cannot express model.family = 'cnn'." in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("none --out ours", 4, "none: no such file or folder"),
        ("test.tsv --out ours", 2, "test.tsv is no model of a known format"),
        ("theirs --out theirs", 2, "theirs holds something else, and would be replaced"),
        ("theirs --out ours --before '>>fra<<'", 2, "--before is for models with SentencePiece"),
        ("theirs --out ours --source-spm none.spm", 4, "none.spm: no such tokenizer file"),
        ("theirs --out ours --source-spm test.tsv", 4, "test.tsv: not a SentencePiece model"),
    ],
)
def test_what_cannot_be_done_is_one_line(command: str, status: int, words: str, folder: Path, shell: Shell) -> None:
    before = sorted(folder.iterdir())
    found, said = shell(f"attentio import {command}", folder)
    assert (found, said.count("\n")) == (status, 1), said
    assert words in said
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_a_server_searches_with_the_engine(random_transformer: Random) -> None:
    from fastapi.testclient import TestClient

    from attentio.search.batched import SearchConfig
    from attentio.serve.app import create_app
    from attentio.translator import Translator

    bundle = random_transformer(seed=8, kinds=("sentencepiece", "sentencepiece"))
    texts = ["I love you.", "Where is my book?"]
    translator = Translator(bundle, device="cpu", engine="ctranslate2")
    with TestClient(create_app({"it": translator}), base_url="http://127.0.0.1") as client:
        answer = client.post("/translate", json={"q": texts, "source": "en", "target": "zh"})
    assert answer.json() == {"translatedText": [one.text for one in translator.translate(texts, SearchConfig(5))]}
