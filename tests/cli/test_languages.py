"""A parallel file of any two languages trains with no option but its path."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_english_to_german_as_it_is_published(
    attentio: Command, train: Command, shared_data: Path, tmp_path: Path
) -> None:
    """A header line, CRLF, and in newer editions a third column: each is said, and none of it is translated."""
    lines = (shared_data / "deu.txt").read_bytes().split(b"\r\n")[:1200]
    data = tmp_path / "deu.txt"
    attributed = [line + b"\tCC-BY 2.0 (France) Attribution: tatoeba.org" for line in lines[600:]]
    data.write_bytes(b"".join(line + b"\r\n" for line in [*lines[:600], *attributed]))
    outcome = train(data, "--out", tmp_path / "run")
    assert outcome.status == 0
    said = outcome.err.split("\n")
    for note in (
        f"note   {data}: lines end with CRLF",
        f"note   {data}: line 1 is a header (1 | 2); skipped",
        f"note   {data}: 600 lines have more than 2 columns; only the first 2 are read",
    ):
        assert note in said
    report = json.loads((tmp_path / "run" / "data" / "report.json").read_text(encoding="utf-8"))
    assert [report[side]["language"] for side in ("source", "target")] == ["en", "de"]
    assert report["parts"][0]["read"] == 1199
    pieces = (tmp_path / "run" / "data" / "target.tokenizer").read_bytes()
    assert b"tatoeba" not in pieces
    translated = attentio("translate", tmp_path / "run", stdin="Tom is here.\n\nHi.\n")
    assert (translated.status, len(translated.lines), translated.lines[1]) == (0, 3, "")
