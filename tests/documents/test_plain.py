"""Plain text, and what holds for every format: encodings, unknown suffixes."""

from collections.abc import Callable
from typing import Any

import pytest

from attentio.documents import FORMATS, suffix_of, translate_document
from attentio.errors import DataError, UsageError

Translate = Callable[..., Any]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines(shout: Translate, encoding: str) -> None:
    text = "One.\r\n\r\n  Two. \n\tThree\rFour"
    done = translate_document(text.encode(encoding), ".txt", shout)
    assert done.content == text.upper().encode(encoding)
    assert done.segments == 4


def test_an_unknown_encoding_is_said() -> None:
    with pytest.raises(DataError, match=r"notes\.txt is not utf-8") as caught:
        translate_document("你好，世界".encode("gb18030"), ".txt", list, name="notes.txt")
    assert "gb18030" in str(caught.value)


def test_suffixes() -> None:
    assert [suffix_of(name) for name in ("a/b.HTML", "b.htm", "c", "d.exe", "../.srt")] == [
        ".html",
        ".htm",
        None,
        None,
        None,
    ]
    with pytest.raises(UsageError, match=r"unknown format '.exe'. One of: .txt, "):
        translate_document(b"", ".exe", list)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in FORMATS)


def test_as_many_answers_as_texts(into: Any) -> None:
    with pytest.raises(ValueError, match="1 texts were given"):
        translate_document(b"Hello", ".txt", into())
