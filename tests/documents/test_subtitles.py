"""Subtitles: times, numbers and settings stay, and a cue keeps its number of lines."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.documents import translate_document
from attentio.errors import DataError

Translate = Callable[..., Any]
SRT = (
    "\ufeff1\r\n00:00:01,000 --> 00:00:02,500\r\nI love <i>you</i>\r\nvery much.\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000 X1:1\r\n- Yes?\r\n"
    "- {\\an8}No.\r\n\r\n3\r\n00:00:05,000 --> 00:00:06,000\r\n\r\n"
)
VTT = (
    "WEBVTT - Title\nKind: captions\n\nNOTE\nA note\n\nSTYLE\n::cue { color: red }\n\nintro\n"
    "00:01.000 --> 00:02.000 align:start\n<v Anna>Two &amp; <00:01.500>three</v>\n"
)


def test_srt(shout: Translate) -> None:
    done = translate_document(SRT.encode(), ".srt", shout)
    expected = SRT.replace("I love <i>you</i>\r\nvery much.", "I LOVE <i>YOU</i>\r\nVERY MUCH.")
    assert done.content.decode() == expected.replace("Yes?", "YES?").replace("No.", "NO.")
    assert done.segments == 3


def test_vtt(shout: Translate) -> None:
    done = translate_document(VTT.encode(), ".vtt", shout)
    assert done.content.decode() == VTT.replace("Two &amp; ", "TWO &amp; ").replace("three", "THREE")


def test_a_cue_is_one_text_and_keeps_its_lines() -> None:
    seen: list[str] = []
    cue = "1\n00:00:01,000 --> 00:00:02,500\nI love you\nvery much.\n"
    done = translate_document(cue.encode(), ".srt", lambda texts: seen.extend(texts) or ["我真的很喜欢你，你知道吗？"])
    assert seen == ["I love you very much."]
    assert done.content.decode() == cue.replace("I love you\nvery much.", "我真的很喜欢你，\n你知道吗？")


@given(
    st.lists(
        st.sampled_from(
            ["a", "Hello", "<i>", "</i>", "\n", "\r\n", "- ", "00:00:01,000 --> 00:00:02,000\n", "{\\an8}", "我"]
        )
    )
)
def test_unchanged_text_keeps_every_byte(parts: list[str]) -> None:
    content = ("00:00:01,000 --> 00:00:02,000\n" + "".join(parts)).encode()
    assert translate_document(content, ".srt", list).content == content
    vtt = b"WEBVTT\n\n" + content
    assert translate_document(vtt, ".vtt", list).content == vtt


@pytest.mark.parametrize(
    ("content", "suffix"), [("Hello\nworld", ".srt"), ("1\n00:00:01.000 --> 00:00:02.000\nx", ".vtt")]
)
def test_what_is_no_subtitle_is_refused(content: str, suffix: str) -> None:
    with pytest.raises(DataError, match="the document"):
        translate_document(content.encode(), suffix, list)
