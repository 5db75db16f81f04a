"""Cleaning: hand-worked repairs, laws, and the published figures of the seed's file."""

from collections import Counter
from pathlib import Path

import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.pipeline import script_mix, unfit
from attentio.data.source import Pair, read_pairs
from attentio.data.split import split_keys
from attentio.text.clean import Cleaner

LATIN = Cleaner()
CHINESE = Cleaner(han=True, script="keep")
SIMPLIFIED = Cleaner(han=True, script="simplified")
TRADITIONAL = Cleaner(han=True, script="traditional")

ANY = st.text(max_size=30)
CHINESE_LIKE = st.text(alphabet="我你中。，？！“”,.?! aB3\u3000\u200b’'、\t", max_size=14)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u200bb\ufeffc\u00add", "abcd"),
        ("a\u3000b\u00a0c\u202fd\te", "a b c d e"),
        ("a\u2028b\x85c\nd\re", "a b c d e"),
        ("  a  b  ", "a b"),
        ("a\x07b\x9fc\ud800d", "abcd"),
        ("e\u0301", "é"),
        ("don’t", "don't"),
        ("‘it’ — “so”", "‘it’ — “so”"),
        ("ＡＢＣ，①ﬁ", "ＡＢＣ，①ﬁ"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Hello , world !", "Hello , world !"),
        ("", ""),
        ("\u200b \u3000", ""),
    ],
)
def test_any_text(text: str, expected: str) -> None:
    assert LATIN(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好,世界!", "你好，世界！"),
        ("你好 , 世界 !", "你好，世界！"),
        ("你好.", "你好。"),
        ("你 好 吗 ?", "你好吗？"),
        ("真的吗?!", "真的吗？！"),
        ("好.?", "好。？"),
        ("我有3.5元.", "我有3.5元。"),
        ("我叫 Tom.", "我叫 Tom."),
        ("Tom,你好", "Tom，你好"),
        ("嗯...好", "嗯...好"),
        ("你好， Tom 。", "你好，Tom。"),
        ("３，０００", "３，０００"),
        ("你好\u3000世界", "你好世界"),
        ("這是漢字", "這是漢字"),
        ("什么? ?", "什么？？"),
    ],
)
def test_chinese_text(text: str, expected: str) -> None:
    assert CHINESE(text) == expected


def test_marks_with_spaces_between_them_are_one_run() -> None:
    assert CHINESE("好? ?") == "好？？"
    assert CHINESE("? !好") == "？！好"


def test_latin_rules_leave_quoted_han_alone() -> None:
    assert LATIN("What does 爱 mean? And 好?") == "What does 爱 mean? And 好?"


def test_scripts() -> None:
    assert SIMPLIFIED("這是漢字, 髮和發") == "这是汉字，发和发"
    assert TRADITIONAL("头发和发现") == "頭髮和發現"
    assert CHINESE("頭髮和发现") == "頭髮和发现"


@pytest.mark.parametrize("cleaner", [LATIN, CHINESE])
@settings(max_examples=30)
@given(text=ANY | CHINESE_LIKE)
def test_clean_text_is_clean(cleaner: Cleaner, text: str) -> None:
    once = cleaner(text)
    assert cleaner(once) == once
    assert once == once.strip()
    assert not set(once) & set("\n\t\r\u3000\u200b\ufeff\x00\u2028")
    assert "  " not in once


@pytest.mark.parametrize("cleaner", [LATIN, CHINESE, SIMPLIFIED])
@settings(max_examples=30)
@given(lines=st.lists(ANY | CHINESE_LIKE, max_size=6))
def test_many_lines_at_once_are_each_line_alone(cleaner: Cleaner, lines: list[str]) -> None:
    assert cleaner.lines(lines) == [cleaner(line) for line in lines]


@settings(max_examples=40)
@given(text=st.text(alphabet=st.characters(categories=["L", "N", "P"]), max_size=30))
def test_no_compatibility_character_is_folded(text: str) -> None:
    import unicodedata

    composed = unicodedata.normalize("NFC", text)
    assert LATIN(text).replace("'", "’") == composed.replace("'", "’")


def test_what_was_mended_is_counted() -> None:
    mended: Counter[str] = Counter()
    LATIN.lines(["a\x01\x02b", "don’t\u200b", "a\u3000b"], mended)
    assert mended == {"control": 2, "invisible": 1, "apostrophe": 1, "space": 1}


def test_a_cleaner_is_saved_with_a_run() -> None:
    assert Cleaner.from_dict(SIMPLIFIED.as_dict()) == SIMPLIFIED


def test_filters() -> None:
    sources = ["a", "", "same", "x", "A short one.", "ok", "a" * 9]
    targets = ["b", "c", "same", "", "word " * 60, "a" * 74, "b"]
    assert unfit(sources, targets, 9.0) == {
        1: "empty",
        2: "identical",
        3: "empty",
        4: "length ratio",
    }
    assert unfit(["ok"], ["a" * 75], 9.0) == {0: "length ratio"}, "82 > 9 * 9"


def test_empty_on_both_sides_is_empty_not_identical() -> None:
    assert unfit([""], [""], 9.0) == {0: "empty"}


def test_keys_forget_case_punctuation_spaces_and_script() -> None:
    assert split_keys(["Hi, Tom!", "hi tom", "HI  TOM…"], han=False) == ["hitom"] * 3
    assert split_keys(["這是，貓。", "这是猫"], han=True) == ["这是猫"] * 2
    assert split_keys(["?!", "...", "a"], han=False) == ["?!", "...", "a"]
    assert split_keys(["हिन्दी"], han=False) == ["हिन्दी"]


@settings(max_examples=40)
@given(lines=st.lists(ANY, max_size=5))
def test_keys_of_many_lines_are_the_keys_of_each(lines: list[str]) -> None:
    lines = LATIN.lines(lines)
    assert split_keys(lines, han=True) == [key for line in lines for key in split_keys([line], han=True)]


def test_script_mix_by_hand() -> None:
    mix = script_mix(["這個", "这个", "我你", "這个", "no Han"])
    assert mix == {"traditional": 0.25, "simplified": 0.25, "neutral": 0.25, "mixed": 0.25}
    assert script_mix(["none"]) is None


# The seed's file, against figures computed before this code was written


@pytest.fixture(scope="module")
def seed_pairs(shared_data: Path) -> list[Pair]:
    return list(read_pairs(shared_data / "cmn-2018.txt"))


@pytest.mark.slow
def test_the_script_mix_of_the_seeds_file(seed_pairs: list[Pair]) -> None:
    mix = script_mix([pair.target for pair in seed_pairs])
    assert mix is not None
    assert {name: round(100 * share, 1) for name, share in mix.items()} == {
        "traditional": 48.7,
        "simplified": 42.1,
        "neutral": 6.9,
        "mixed": 2.3,
    }


@pytest.mark.slow
def test_duplicates_appear_with_conversion(seed_pairs: list[Pair]) -> None:
    assert len({pair[:2] for pair in seed_pairs}) == 21_007
    convert = opencc.OpenCC("t2s").convert
    assert len({(pair.source, convert(pair.target)) for pair in seed_pairs}) == 21_007 - 33
    targets = SIMPLIFIED.lines([pair.target for pair in seed_pairs])
    sources = LATIN.lines([pair.source for pair in seed_pairs])
    # Eight more once half-width punctuation and spaces are mended too.
    assert len(set(zip(sources, targets, strict=True))) == 21_007 - 41


@pytest.mark.slow
def test_characters_after_conversion(seed_pairs: list[Pair]) -> None:
    def han(lines: list[str]) -> int:
        return sum("\u4e00" <= char <= "\u9fff" for char in set("".join(lines)))

    raw = [pair.target for pair in seed_pairs]
    assert han(CHINESE.lines(raw)) == han(raw)
    assert han(raw) - han(SIMPLIFIED.lines(raw)) > 700


def test_punctuation_becomes_full_width_and_stays_so(seed_pairs: list[Pair]) -> None:
    raw = [pair.target for pair in seed_pairs]
    mended = CHINESE.lines(raw)
    assert sum("，" in line for line in raw) == 1305
    assert sum("，" in line for line in mended) >= 1305
    assert sum(any(char in ",?!" for char in line) for line in raw) > 500
    assert sum(any(char in ",?!" for char in line) for line in mended) < 60


def test_nothing_good_is_filtered(seed_pairs: list[Pair]) -> None:
    sources = LATIN.lines([pair.source for pair in seed_pairs])
    targets = SIMPLIFIED.lines([pair.target for pair in seed_pairs])
    assert unfit(sources, targets, 9.0) == {}
