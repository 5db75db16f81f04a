"""The verb `translate` on documents, with a glossary and with a memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]
PAGE = '<p class=a>I love you.</p>\n<script>x < y</script><p translate="no">No.</p><p>42</p>\n'


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_a_document_by_its_suffix(attentio: Command, page: Path, tmp_path: Path) -> None:
    expected = PAGE.replace("I love you.", "我爱你。")
    outcome = attentio("translate", "small-world", page, "--out", tmp_path / "out.html", "--json")
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == expected
    assert outcome.err == f"note: {page}: 1 segments translated, 1 left as they are.\n"
    assert json.loads(outcome.out) == {
        "file": str(page),
        "format": "html",
        "out": str(tmp_path / "out.html"),
        "segments": 1,
        "skipped": 1,
        "lost": [],
        "around": [],
        "unforced": [],
        "notes": [],
    }
    lines = attentio("translate", "small-world", page, "--format", "lines")
    assert len(lines.lines) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "exe"], "unknown format 'exe'. One of: auto, lines, jsonl, srt, vtt, html"),
        (["--json"], "--json of a document tells about it, and the document needs a place. Add --out."),
        (["--nbest", "2"], "--nbest is about lines"),
        (["--alignments"], "--alignments is about lines"),
    ],
)
def test_what_does_not_go_with_documents(
    attentio: Command, refused: Refused, page: Path, options: list[str], said: str
) -> None:
    assert said in refused(attentio("translate", "small-world", page, *options), 2)


def test_files_that_are_wrong(attentio: Command, refused: Refused, page: Path, tmp_path: Path) -> None:
    assert "a document is translated alone" in refused(attentio("translate", "small-world", page, page), 2)
    broken = tmp_path / "a.docx"
    broken.write_bytes(b"PK")
    assert f"{broken} is no Word document" in refused(attentio("translate", "small-world", broken), 3)
    assert "none.srt: No such file" in refused(attentio("translate", "small-world", tmp_path / "none.srt"), 3)
    assert "no tab" in refused(attentio("translate", "small-world", page, "--glossary", page), 3)
    assert "no tab" in refused(attentio("translate", "small-world", page, "--memory", page), 3)


def test_a_glossary(attentio: Command, tmp_path: Path) -> None:
    terms = tmp_path / "terms.tsv"
    terms.write_text("love\t喜欢\nyou\t龘\nlove\t爱\n", encoding="utf-8")
    outcome = attentio("translate", "small-world", "--json", "--glossary", terms, stdin="I love you.\nYes.\n")
    first, second = map(json.loads, outcome.lines)
    assert "喜欢" in first["text"]
    assert (first["unforced"], second["unforced"]) == (["龘"], [])
    assert outcome.err.split("\n")[:2] == [
        f"note: {terms} line 3: 'love' is translated in line 1 already, as '喜欢'.",
        "warning: terms of the glossary that are missing: 龘 (line 1).",
    ]


@pytest.mark.slow
def test_a_memory(attentio: Command, tmp_path: Path) -> None:
    memory = tmp_path / "memory.tsv"
    memory.write_text("I love you.\t我很爱你。\n", encoding="utf-8")
    stdin = "I love you.\nI love him.\nYes.\n"
    outcome = attentio("translate", "small-world", "--memory", memory, stdin=stdin)
    assert outcome.lines[0] == "我很爱你。"
    assert outcome.lines[1:] == attentio("translate", "small-world", stdin=stdin).lines[1:]
    shown = attentio("translate", "small-world", "--memory", memory, "--json", stdin=stdin)
    assert [json.loads(line)["memory"] for line in shown.lines] == [
        [{"source": "I love you.", "text": "我很爱你。", "score": 1.0}],
        [{"source": "I love you.", "text": "我很爱你。", "score": 0.7273}],  # 2 * 8 of 22 characters
        [],
    ]
    best = attentio("translate", "small-world", "--memory", memory, "--nbest", 1, stdin=stdin).lines
    assert best[-2] == "1 ||| 我很爱你。 ||| memory=0.7273"
