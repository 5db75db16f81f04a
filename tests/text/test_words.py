"""Text cut into words, and words found again after cleaning."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.text.clean import Cleaner
from attentio.text.words import place_words, word_spans


class TestWordSpans:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("I don't know.", ["I", "don't", "know", "."]),
            ("it’s well-known - isn't it?", ["it’s", "well-known", "-", "isn't", "it", "?"]),
            ("他在北京ABC大学。", ["他", "在", "北", "京", "ABC", "大", "学", "。"]),
            ("ねこだ\u3000猫々", ["ね", "こ", "だ", "猫", "々"]),
            ("Wait... what?!", ["Wait", "...", "what", "?", "!"]),
            ("हिन्दी में", ["हिन्दी", "में"]),
            ("e\u0301te\u0301", ["e\u0301te\u0301"]),
            ("3.5 kg", ["3", ".", "5", "kg"]),
            ("고양이를 좋아해", ["고양이를", "좋아해"]),
            ("か\u3099", ["か\u3099"]),
            ("'quoted'", ["'", "quoted", "'"]),
            ("Hi 👩🏽\u200d💻!", ["Hi", "👩🏽\u200d💻", "!"]),
            ("👨\u200d👩\u200d👧👍🏿❤\ufe0f", ["👨\u200d👩\u200d👧", "👍🏿", "❤\ufe0f"]),
            ("🇨🇳🇩🇪", ["🇨🇳", "🇩🇪"]),
            ("🏴\U000e0067\U000e0062\U000e007f ok", ["🏴\U000e0067\U000e0062\U000e007f", "ok"]),
            ("1\ufe0f\u20e3😀😀", ["1\ufe0f\u20e3", "😀😀"]),
            ("می\u200cخواهم", ["می\u200cخواهم"]),
            ("👩\u200d x", ["👩\u200d", "x"]),
            (" \t\n", []),
            ("", []),
        ],
    )
    def test_words_by_script(self, text: str, words: list[str]) -> None:
        assert [text[start:end] for start, end in word_spans(text)] == words

    @settings(max_examples=40)
    @given(st.text())
    def test_every_character_but_space_is_in_exactly_one_word(self, text: str) -> None:
        covered = [position for start, end in word_spans(text) for position in range(start, end)]
        assert covered == [position for position, char in enumerate(text) if not char.isspace()]


class TestPlacing:
    """Words as they are given, found again in the cleaned text."""

    @pytest.mark.parametrize(
        ("line", "cleaner", "shown"),
        [
            ("the  cat\u00a0sat .", Cleaner(), ["the", "cat", "sat", "."]),
            (" I don\u2019t\u3000know ", Cleaner(), ["I", "don't", "know"]),
            ("cafe\u0301 no\u0308 ?", Cleaner(), ["café", "nö", "?"]),
            ("so\u00adft \x07 bell", Cleaner(), ["soft", "", "bell"]),
            ("科学家 一直 猜想 , 2000 年 .", Cleaner(han=True), ["科学家", "一直", "猜想", "，", "2000", "年", "。"]),
            ("頭髮 發展 了 ?", Cleaner(han=True, script="simplified"), ["头发", "发展", "了", "？"]),
            ("", Cleaner(), []),
        ],
    )
    def test_words_are_found_as_they_are_spelt(self, line: str, cleaner: Cleaner, shown: list[str]) -> None:
        text = cleaner(line)
        (spans,) = place_words([line.split()], [text], cleaner)
        assert spans is not None
        assert [text[start:end] for start, end in spans] == shown

    @settings(max_examples=40)
    @given(
        st.lists(
            st.lists(
                st.text(alphabet="ab'\u2019.,?!\u200b\u0301é猫頭发。「」あー1", min_size=1, max_size=4), max_size=5
            ),
            max_size=3,
        ),
        st.sampled_from([Cleaner(), Cleaner(han=True, script="simplified"), Cleaner(han=True, script="traditional")]),
    )
    def test_words_follow_one_another_and_leave_nothing_out(self, words: list[list[str]], cleaner: Cleaner) -> None:
        texts = cleaner.lines([" ".join(line) for line in words])
        for spans, text, line in zip(place_words(words, texts, cleaner), texts, words, strict=True):
            assert spans is not None
            assert len(spans) == len(line)
            assert "".join(text[start:end] for start, end in spans).replace(" ", "") == text.replace(" ", "")
            assert all(a[1] <= b[0] for a, b in pairwise(spans))

    def test_a_word_too_many_is_noticed(self) -> None:
        assert place_words([["a", "b"], ["a", "c"]], ["a b", "a b c"], Cleaner()) == [[(0, 1), (2, 3)], None]
