"""Scripts, and what they say of a language."""

import pytest

from attentio.text.script import base_language, ends_without_space, guess_language, is_unsegmented, stands_alone


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("我喜欢猫。", "zh"),
        ("猫が好きです。", "ja"),
        ("고양이를 좋아해요.", "ko"),
        ("ฉันชอบแมว", "th"),
        ("Я люблю кошек.", "ru"),
        ("The cat is not on the mat and I know it.", "en"),
        ("Ich mag die Katze, und sie ist nicht da.", "de"),
        ("12 34", None),
        ("", None),
    ],
)
def test_languages_are_guessed(text: str, language: str | None) -> None:
    assert guess_language([text]) == language


def test_tags_lose_their_region() -> None:
    assert [base_language(tag) for tag in ("zh-Hans", "EN_us", "fr", None, "")] == ["zh", "en", "fr", None, None]


def test_scripts_without_spaces() -> None:
    assert is_unsegmented(["猫が好き", "ฉัน"])
    assert not is_unsegmented(["고양이를 좋아해요", "cats"])


@pytest.mark.parametrize("char", "猫々〆〇ぁヿㇰ\U00020000豈")
def test_han_and_kana_stand_alone(char: str) -> None:
    assert stands_alone(char)


@pytest.mark.parametrize("char", "a1é한。，ก🙂")
def test_other_characters_do_not(char: str) -> None:
    assert not stands_alone(char)


def test_where_no_space_is_written() -> None:
    assert all(ends_without_space(text) for text in ("你好", "你好。", "ok？", "ねこ", "好！"))
    assert not any(ends_without_space(text) for text in ("", "ok.", "고양이", "你好 ", "你好\n"))
