"""Labels that no text can misuse."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.view.label import label, stacks


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("\x1b[31mred", "�[31mred"),
        ("a\tb\nc\u2028d", "a b c d"),
        (" ", "␣"),
        ("\u3000", "␣"),
        ("", ""),
        ("\u202eabc", "�abc"),
        ("▁the", "▁the"),
        ("क्\u200dष", "क्\u200dष"),
    ],
)
def test_shown(text: str, shown: str) -> None:
    assert label(text) == shown


@settings(max_examples=40)
@given(st.text(max_size=12))
def test_one_line_that_steers_nothing(text: str) -> None:
    shown = label(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert bool(shown) == bool(text)


def test_what_stacks_is_all_full_width() -> None:
    assert stacks("喜欢")
    assert stacks("，")
    assert stacks("ねこ")
    assert not stacks("ABC大学")
    assert not stacks("cat")
    assert not stacks("")
