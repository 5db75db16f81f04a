"""Columns: headers in any language, columns that hold no sentences, and columns that are named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.readers.languages import is_tag, known_language
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import read_pairs
from attentio.errors import DataError

PAIRS = [
    ("I like green tea.", "我喜欢绿茶。"),
    ("He reads a long book.", "他读一本长书。"),
    ("She opens the door.", "她打开门。"),
    ("We walk home slowly.", "我们慢慢走回家。"),
    ("They sell fresh fish.", "他们卖新鲜的鱼。"),
    ("The dog is asleep.", "狗睡着了。"),
]


def read(
    folder: Path, lines: list[str], name: str = "a.tsv", **settings: object
) -> tuple[list[tuple[str, str]], list[str]]:
    path = folder / name
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    log = DropLog()
    pairs = [(pair.source, pair.target) for pair in read_pairs(path, DataConfig.model_validate(settings), log)]
    return pairs, log.notes


@pytest.mark.parametrize(
    "header",
    [
        "English\tChinese",
        "en-US\tzh-CN",
        "eng\tcmn",
        "英语\t中文",
        "Englisch\tChinesisch",
        "source\ttarget",
        "en\tzh_TW",
    ],
)
def test_a_header_is_recognized_in_any_language(tmp_path: Path, header: str) -> None:
    pairs, notes = read(tmp_path, [header, *map("\t".join, PAIRS)])
    assert pairs == PAIRS
    assert [note for note in notes if "line 1 is a header" in note]


def test_a_pair_of_words_that_are_codes_as_well_is_no_header(tmp_path: Path) -> None:
    # "is" is Icelandic, "es" is Spanish, and neither column is in that language.
    lines = ["is\tes", *("this is the one that you have\tque es lo que no está para usted" for _ in range(3))]
    assert read(tmp_path, lines)[0][0] == ("is", "es")


def test_a_first_line_that_recurs_is_no_header(tmp_path: Path) -> None:
    rows = [f"en\tzh\t{source}\t{target}" for source, target in PAIRS]
    pairs, notes = read(tmp_path, rows)
    assert pairs == PAIRS
    assert any("columns 3 and 4 are read" in note for note in notes)


NO_TEXT = {
    "numbers": [str(4100 + i) for i in range(6)],
    "scores": [f"0.{i}31" for i in range(6)],
    "identifiers": [f"n-{i}a" for i in range(6)],
    "addresses": [f"https://a.example/{i}" for i in range(6)],
    "label": ["<de>"] * 6,
    "codes": ["eng", "eng", "cmn", "eng", "eng", "eng"],
}


@pytest.mark.parametrize("what", NO_TEXT)
@pytest.mark.parametrize("places", [(0,), (1,), (0, 2), (0, 1)])
def test_columns_without_sentences_are_passed_over(tmp_path: Path, what: str, places: tuple[int, ...]) -> None:
    rows: list[str] = []
    for i, pair in enumerate(PAIRS):
        cells = list(pair)
        for place in places:
            cells.insert(place, NO_TEXT[what][i])
        rows.append("\t".join(cells))
    pairs, notes = read(tmp_path, rows)
    assert pairs == PAIRS
    assert any("are read" in note for note in notes)


def test_two_columns_of_which_one_holds_no_sentences_are_refused(tmp_path: Path) -> None:
    rows = [f"{i}\t{target}" for i, (_, target) in enumerate(PAIRS)]
    with pytest.raises(DataError, match=r"column 1 holds numbers\. Columns 2 may be text\..*--columns 1,2") as caught:
        read(tmp_path, rows)
    assert caught.value.code == "E_DATA_COLUMNS"
    assert read(tmp_path, rows, columns="1,2")[0][0] == ("0", "我喜欢绿茶。")
    assert len(read(tmp_path, rows, keep_going=True)[0]) == len(PAIRS)


@pytest.mark.parametrize("columns", ["2,4", "text,translation", " 2 , translation "])
def test_columns_can_be_named(tmp_path: Path, columns: str) -> None:
    rows = ["id\ttext\tby\ttranslation", *(f"{i}\t{s}\tTom\t{t}" for i, (s, t) in enumerate(PAIRS))]
    pairs, notes = read(tmp_path, rows, columns=columns)
    assert pairs == PAIRS
    assert any("columns 2 (text) and 4 (translation) are read" in note for note in notes)


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [("2,9", "no column '9'"), ("text,x", "no column 'x'"), ("2", "two columns"), ("2,2", "two")],
)
def test_columns_that_are_not_there(tmp_path: Path, columns: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read(tmp_path, ["text\ttranslation", *map("\t".join, PAIRS)], columns=columns)


def test_a_header_of_three_languages_asks_which(tmp_path: Path) -> None:
    rows = ["en\tzh\tja", *(f"{s}\t{t}\t私は{t}" for s, t in PAIRS)]
    with pytest.raises(DataError, match="columns in en, zh, ja"):
        read(tmp_path, rows)
    settings = {"source_language": "zh", "target_language": "en"}
    assert read(tmp_path, rows, **settings)[0] == [(t, s) for s, t in PAIRS]


def test_a_header_says_which_side_is_which_whatever_swap_says(tmp_path: Path) -> None:
    rows = ["en\tzh", *map("\t".join, PAIRS)]
    asked = {"source_language": "zh", "target_language": "en"}
    assert read(tmp_path, rows, swap=True)[0] == [(t, s) for s, t in PAIRS]
    assert read(tmp_path, rows, swap=True, **asked)[0] == [(t, s) for s, t in PAIRS]


def test_further_columns_are_reported_and_ignored(tmp_path: Path) -> None:
    rows = [f"{s}\t{t}\tby Tom, number {i} of the list" for i, (s, t) in enumerate(PAIRS)]
    pairs, notes = read(tmp_path, rows)
    assert pairs == PAIRS
    assert any("6 lines have more than 2 columns" in note for note in notes)


@settings(max_examples=40)
@given(st.sampled_from(["zh-CN", "ZH_tw", "cmn", "Chinese", "中文", " mandarin "]))
def test_one_language_by_many_names(name: str) -> None:
    assert known_language(name) == "zh"


@pytest.mark.parametrize("name", ["", "x", "sentence", "zh-", "en US", "hello"])
def test_names_of_no_language(name: str) -> None:
    assert known_language(name) is None
    assert not is_tag(name)
