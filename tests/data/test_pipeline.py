"""The passes together: nothing that is dropped decides anything."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.prepare import prepare
from attentio.data.settings import DataConfig
from attentio.errors import DataError
from attentio.text.tokenizer import fingerprint

THINGS = ("cat", "dog", "bird", "fish", "horse", "cow", "sheep", "pig", "duck", "goose")
HAN = "猫狗鸟鱼马牛羊猪鸭鹅"
PAIRS = [
    f"I see the {THINGS[i % 10]} and {i // 10} of the others{' by the old house at the river' * (i % 4 == 3)}.\t"
    f"我看见{HAN[i % 10]}和另外{i // 10}个{'在河边的老房子旁边' * (i % 4 == 3)}。"
    for i in range(40)
]
# At most 60 tokens a side are kept. Each of these lines is dropped, and each would be enough to mislead a guess.
JUNK = {
    "long Latin": "the word that is it and " * 400 + "\t" + "the word that was it and " * 400,
    "long Han": "字典" * 3000 + "\t" + "字典里" * 2000,
    "long Latin target": "A line\t" + "the word that is it and " * 400,
    "long Han source": "字典" * 3000 + "\t一行",
    "a little too long": "I see " + "a cat and " * 30 + "\t我看见" + "猫和" * 31,
    "same text": "我看见猫。\t我看见猫。",
    "far too short": "Привет\t" + "ы" * 400,
    "nothing": "\t",
    "one side": "текст на другом языке\t",
    "one column": "текст на другом языке",
    "blank": "",
}


def prepared(lines: list[str], **given_settings: object) -> dict[str, Any]:
    """All that was decided about some lines, and what became of them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.tsv"
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        config = {"train": [str(path)], "max_length": 60, "dev": 4, "test": 4} | given_settings
        data = prepare(DataConfig.model_validate(config), Path(folder) / "data", seed=3)
        return {
            "languages": (data.source.language, data.target.language),
            "cleaners": (data.source.cleaner, data.target.cleaner),
            "tokenizers": [fingerprint(tokenizer) for tokenizer in (data.source.tokenizer, data.target.tokenizer)],
            "train": [data.train.source.tokens.tolist(), data.train.target.tokens.tolist()],
            "dev": data.dev,
            "tests": data.tests,
            "components": data.report.components,
        }


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return prepared(PAIRS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["long Latin", "long Han", "a little too long"])
def test_one_line_that_is_dropped_decides_nothing(plain: dict[str, Any], kind: str) -> None:
    assert prepared([JUNK[kind], *PAIRS]) == plain


def test_lines_of_every_kind_that_is_dropped_decide_nothing(plain: dict[str, Any]) -> None:
    assert prepared([*JUNK.values(), *PAIRS, *JUNK.values()]) == plain


@pytest.mark.slow
def test_pairs_that_share_a_side_with_held_out_text_have_no_say_about_languages(tmp_path: Path) -> None:
    """Their other side is in a third language, and there are more of them than of all others."""
    test = tmp_path / "test.tsv"
    lines = [
        f"The {thing} sees what is in the river, and {n} of the others.\t我看见{n}只。"
        for n, thing in enumerate(THINGS)
    ]
    test.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    shared = [f"{line.partition(chr(9))[0].upper()}\tкак дела у {i} из вас" for i in range(9) for line in lines]
    shared += [f"он видит {i} и {n} \t我看见{n}只！" for i in range(9) for n in range(10)]
    alone, among = prepared(PAIRS, test=str(test)), prepared([*shared, *PAIRS], test=str(test))
    assert alone["languages"] == ("en", "zh")
    assert among == alone


def test_where_all_lines_are_long_the_longest_have_no_say() -> None:
    lines = [line.replace("I see", "I see as well as ever and all the time that") for line in PAIRS]
    junk = [
        "字典" * 3000 + "\t" + "the word that is it and " * 900,
        "текст на другом языке " * 90 + "\t" + "字典里" * 200,
    ]
    given_settings = {"max_length": 36, "source_tokenizer": "word"}
    assert prepared([*junk, *lines], **given_settings) == prepared(lines, **given_settings)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_nothing_dropped_decides_anything(plain: dict[str, Any], data: st.DataObject) -> None:
    lines = list(PAIRS)
    for junk in data.draw(st.lists(st.sampled_from(sorted(JUNK.values())), min_size=1, max_size=12)):
        lines.insert(data.draw(st.integers(0, len(lines))), junk)
    lines += data.draw(st.lists(st.sampled_from(PAIRS), max_size=5))
    assert prepared(lines) == plain


def test_a_held_out_pair_that_is_dropped_takes_no_training_pair_with_it(tmp_path: Path) -> None:
    test = tmp_path / "test.tsv"
    source = PAIRS[5].partition("\t")[0]
    test.write_text(f"{source}\t{'猫' * 61}\n我看见狼。\t我看见狼。\nA wolf.\t狼。\n", encoding="utf-8")
    found = prepared(PAIRS, test=str(test))
    (held,) = found["tests"].values()
    assert held.sources == ["A wolf."]
    assert found["components"] == 40


def test_when_all_pairs_are_too_long_it_says_so() -> None:
    with pytest.raises(DataError, match=r"every pair has more than 3 tokens on a side\. Nothing was trained\."):
        prepared(PAIRS, max_length=3)


def test_half_characters_and_line_ends_inside_a_text_are_cleaned_away() -> None:
    assert prepared(PAIRS) == prepared([line.replace(" ", "\u2028") for line in PAIRS])


def test_a_held_out_pair_that_is_dropped_cannot_hide_the_language_of_what_is_kept(tmp_path: Path) -> None:
    """Pairs that share a side with it do not vote, and are kept in the end: the guess is compared with them."""
    words = [f"лошадь номер {i} стоит у реки и ждёт" for i in range(60)]
    russian = [f"{word}\t我看见{i}匹马。" for i, word in enumerate(words)]
    test = tmp_path / "test.tsv"
    test.write_text("".join(f"{word}\t{'马' * 61}\n" for word in words) + "A wolf.\t狼。\n", encoding="utf-8")
    lines = [*PAIRS[:20], *russian]
    pairs = tmp_path / "a.tsv"
    pairs.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    config = DataConfig.model_validate({"train": [str(pairs)], "test": str(test), "max_length": 60, "dev": 0})
    (note,) = [note for note in prepare(config, tmp_path / "guessed", seed=1).report.notes if "look like" in note]
    assert note.startswith("the source side was taken for en, but the pairs that are kept look like ru.")
    assert "--source-language ru" in note
    named = config.model_copy(update={"source_language": "en"})
    assert not any("look like" in note for note in prepare(named, tmp_path / "named", seed=1).report.notes)
