"""Translation memories: languages by full tag and by majority, entities, placeholders and declared encodings."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import read_pairs
from attentio.errors import DataError

Unit = Sequence[tuple[str, str]]


def tmx(units: Sequence[Unit], *, head: str = "", main: str = "en") -> str:
    body = "".join(
        "<tu>" + "".join(f'<tuv xml:lang="{tag}"><seg>{text}</seg></tuv>' for tag, text in unit) + "</tu>\n"
        for unit in units
    )
    return f'{head}<tmx version="1.4"><header srclang="{main}"/><body>\n{body}</body></tmx>'


def read(path: Path, content: str | bytes, **given_settings: object) -> tuple[list[tuple[str, str]], DropLog]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    log = DropLog()
    found = read_pairs(path, DataConfig.model_validate(given_settings), log)
    return [(pair.source, pair.target) for pair in found], log


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_of_texts_and_other_languages_change_nothing(tmp_path: Path, data: st.DataObject) -> None:
    units: list[Unit] = []
    for i in range(6):
        others = data.draw(st.lists(st.sampled_from(["fr", "ja-JP"]), unique=True, max_size=2 if i < 4 else 0))
        texts = [("en", f"Line {i}."), ("zh", f"第{i}行。"), *((tag, f"{tag} {i}") for tag in others)]
        units.append(data.draw(st.permutations(texts)))
    pairs, log = read(tmp_path / "a.tmx", tmx(units))
    assert pairs == [(f"Line {i}.", f"第{i}行。") for i in range(6)]
    assert not log.counts["a"]


def test_the_first_unit_does_not_decide(tmp_path: Path) -> None:
    units = [[("fr", "un"), ("de", "eins")], *([("en", f"Line {i}"), ("zh", f"行{i}")] for i in range(3))]
    pairs, log = read(tmp_path / "a.tmx", tmx(units))
    assert pairs == [(f"Line {i}", f"行{i}") for i in range(3)]
    assert log.counts["a"] == {"language missing": 1}


VARIANTS = [[("en", "software"), ("zh-CN", "软件"), ("zh-TW", "軟體")]]


@pytest.mark.parametrize(
    ("target", "expected"),
    [("zh-TW", ["軟體"]), ("zh_cn", ["软件"]), ("zh", ["软件", "軟體"]), ("zh-HK", ["软件", "軟體"])],
)
def test_full_tags_come_first_and_the_language_is_the_fallback(
    tmp_path: Path, target: str, expected: list[str]
) -> None:
    pairs, log = read(tmp_path / "a.tmx", tmx(VARIANTS), source_language="en", target_language=target)
    assert [found for _, found in pairs] == expected
    assert any("where zh-hk is missing, zh-cn is read" in note for note in log.notes) == (target == "zh-HK")


def test_two_variants_of_one_language(tmp_path: Path) -> None:
    content = tmx([[("en-GB", f"colour {i}"), ("en-US", f"color {i}")] for i in range(3)], main="en-GB")
    there, _ = read(tmp_path / "a.tmx", content)
    back, _ = read(tmp_path / "a.tmx", content, source_language="en-US", target_language="en-GB")
    assert there == [(f"colour {i}", f"color {i}") for i in range(3)]
    assert back == [(target, source) for source, target in there]


def test_a_second_text_in_a_language_is_a_second_pair(tmp_path: Path) -> None:
    pairs, _ = read(tmp_path / "a.tmx", tmx([[("en", "Hi."), ("zh", "嗨。"), ("zh", "你好。")]]))
    assert pairs == [("Hi.", "嗨。"), ("Hi.", "你好。")]


DOCTYPE = '<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd">'


def test_entities_of_an_external_dtd(tmp_path: Path) -> None:
    pairs, _ = read(tmp_path / "a.tmx", tmx([[("en", "caf&eacute;&nbsp;x"), ("zh", "咖啡")]], head=DOCTYPE))
    assert pairs == [("café\u00a0x", "咖啡")]
    with pytest.raises(DataError, match=r"line 2: undefined entity &nonsense;"):
        read(tmp_path / "a.tmx", tmx([[("en", "&nonsense;"), ("zh", "x")]], head=DOCTYPE))
    with pytest.raises(DataError, match="undefined entity"):
        read(tmp_path / "a.tmx", tmx([[("en", "caf&eacute;"), ("zh", "咖啡")]]))


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ('Total<ph type="lb">&lt;br/&gt;</ph>weight', "Total weight"),
        ("Total <ph/>weight", "Total weight"),
        ("Total<ph/>.", "Total."),
        ('un<bpt i="1">&lt;b&gt;</bpt>believ<ept i="1">&lt;/b&gt;</ept>able', "unbelievable"),
        ("<hi>Total</hi>ly", "Totally"),
        ("two\n  lines", "two   lines"),
    ],
)
def test_inline_codes_and_line_ends(tmp_path: Path, segment: str, text: str) -> None:
    pairs, _ = read(tmp_path / "a.tmx", tmx([[("en", segment), ("zh", "重量")]]))
    assert pairs == [(text, "重量")]


@pytest.mark.parametrize("encoding", ["gb2312", "GB18030", "big5", "shift_jis", "utf-16", "utf-8-sig", "iso-8859-1"])
def test_declared_encodings(tmp_path: Path, encoding: str) -> None:
    text = "café" if encoding == "iso-8859-1" else "中文"
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    pairs, _ = read(tmp_path / "a.tmx", tmx([[("en", "tea"), ("zh", text)]], head=head).encode(encoding))
    assert pairs == [("tea", text)]


def test_an_encoding_that_is_named_or_unknown(tmp_path: Path) -> None:
    content = tmx([[("en", "tea"), ("zh", "茶")]])
    assert read(tmp_path / "a.tmx", content.encode("gb18030"), encoding="gb18030")[0] == [("tea", "茶")]
    head = '<?xml version="1.0" encoding="UTFm8"?>'
    with pytest.raises(DataError, match="'UTFm8', which is unknown"):
        read(tmp_path / "a.tmx", head + content)


def test_units_without_languages(tmp_path: Path) -> None:
    content = tmx([[("en", "tea"), ("zh", "茶")]]).replace('xml:lang="en"', "").replace('xml:lang="zh"', "")
    with pytest.raises(DataError, match=r"the units name no language \(xml:lang is missing\)"):
        read(tmp_path / "a.tmx", content)


def test_a_file_that_says_utf_16_without_a_byte_order_mark_is_refused(tmp_path: Path) -> None:
    (tmp_path / "memory.tmx").write_bytes(b'<?xml version="1.0" encoding="UTF-16"?><tmx><body></body></tmx>')
    with pytest.raises(DataError, match=r"not (UTF|utf)-16 .*BOM"):
        list(read_pairs(tmp_path / "memory.tmx"))
