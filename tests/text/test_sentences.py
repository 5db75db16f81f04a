"""Sentences of a text: nothing is lost, and put together again they are the text."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.text.sentences import cut_long, join_parts, split_sentences

texts = st.text(st.sampled_from("aIB .!?。！,，、\n\t\xa0\u2003\u3000\ud800é\U0001f600“”\"'3"), max_size=40)


@given(texts, st.sampled_from(["en", "zh-Hans", "de", "xx", None]))
def test_no_character_is_lost(text: str, language: str | None) -> None:
    found = split_sentences(text, language)
    assert len(found.spaces) == len(found.texts) + 1
    assert "".join(chain(*zip(found.spaces, [*found.texts, ""], strict=True))) == text
    assert all(sentence == sentence.strip() != "" for sentence in found.texts)
    assert not any(space.strip() for space in found.spaces)


@pytest.mark.parametrize(
    ("language", "text", "sentences"),
    [
        ("en", " Dr. Smith left. It is 3.5 km.  Fine!\n\nWell", ["Dr. Smith left.", "It is 3.5 km.", "Fine!", "Well"]),
        ("zh", "我爱你。你呢？走吧！", ["我爱你。", "你呢？", "走吧！"]),
        ("en", "One line\r\nand another", ["One line", "and another"]),
        ("en", "a\u2028b\x0cc\rd", ["a b c d"]),
        ("en", "A\u2003.B \xa0.] Then I\u3000.)] came", ["A\u2003.B \xa0.] Then I\u3000.)] came"]),
        ("en", " \n\t", []),
    ],
)
def test_where_sentences_end(language: str, text: str, sentences: list[str]) -> None:
    assert split_sentences(text, language).texts == sentences


def test_white_space_is_kept_and_single_spaces_follow_the_language() -> None:
    english = split_sentences("  Hello. You?  Go!\n\tYes. ", "en")
    assert english.join(["你好。", "你呢？", "走！", "是。"]) == "  你好。你呢？  走！\n\t是。 "
    chinese = split_sentences("你好。你呢？", "zh")
    assert chinese.join(["Hello.", "You?"]) == "Hello. You?"


def test_an_address_stands_apart() -> None:
    assert join_parts(["我们看", "https://a.org/x", "和", "a@b.org", "。"]) == "我们看 https://a.org/x 和 a@b.org 。"
    assert join_parts(["我们看，", "www.a.org"]) == "我们看，www.a.org"
    assert join_parts(["", "我", "们", ""]) == "我们"


@given(st.text(st.sampled_from("ab ,，。"), min_size=1, max_size=60).map(str.strip), st.integers(1, 9))
def test_parts_of_a_long_sentence_fit_and_nothing_is_lost(sentence: str, most: int) -> None:
    parts = cut_long(sentence, lambda text: len(text) <= most)
    assert all(len(part) <= most for part in parts)
    assert "".join("".join(parts).split()) == "".join(sentence.split())


def test_a_word_of_any_length_is_cut_in_time_that_grows_with_its_length() -> None:
    looked_at = 0

    def fits(text: str) -> bool:
        nonlocal looked_at
        looked_at += len(text)
        return len(text) <= 7

    assert cut_long("a" * 50_001, fits) == ["a" * 7] * 7_143
    assert looked_at < 20 * 50_001


def test_a_long_sentence_is_cut_after_clauses_then_between_words() -> None:
    def fits(text: str) -> bool:
        return len(text.split()) <= 3

    assert cut_long("one two, three four five six seven", fits) == ["one two,", "three four five", "six seven"]
    assert cut_long("one two three", fits) == ["one two three"]
    assert join_parts(["one two,", "three", "我，", "你"]) == "one two, three 我，你"
