"""Placeholders: what must be kept is found, hidden and put back, whatever surrounds it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.text.kept import cut_around, unkept
from attentio.text.placeholders import PLACEHOLDERS, kept_spans, mask, mask_pair, missing, restore, without_kept

FAMILY, FLAG = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea"
KEYCAP, THUMB = "3\ufe0f\u20e3", "\U0001f44d\U0001f3fd"
texts = st.text(st.sampled_from("a1 {}%sd<b>/.:@\ue000\ue003\U0001f600&;我"), max_size=40)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("See https://a.org/b?c=d&e=f#g, now.", ["https://a.org/b?c=d&e=f#g"]),
        ("见https://a.org/b。好", ["https://a.org/b"]),
        ("Go to www.example.org/x!", ["www.example.org/x"]),
        ("Mail a.b+c@mail.example.org.", ["a.b+c@mail.example.org"]),
        ("Hi {name}, ${sum} {{x}}", ["{name}", "${sum}", "{{x}}"]),
        ("%s of %(n)d and %.2f, %1d", ["%s", "%(n)d", "%.2f", "%1d"]),
        ("<b>Bold</b><br/> &amp; &#39;", ["<b>", "</b>", "<br/>", "&amp;", "&#39;"]),
        (f"{FAMILY} {FLAG} {KEYCAP}, {THUMB}!", [FAMILY, FLAG, KEYCAP, THUMB]),
        ("At 12:30 on 2026-11-26 it was 3.50 or 1,000 or 50%.", ["12:30", "2026-11-26", "3.50", "1,000", "50%"]),
        ("mp3, h2o, the 1990s, 我有3只", ["1990", "3"]),
        ("100 % sure, a < b > c, {", ["100"]),
    ],
)
def test_what_is_kept(text: str, kept: list[str]) -> None:
    assert [text[start:end] for start, end in kept_spans(text)] == kept


@given(texts, st.integers(0, 20))
def test_masked_and_restored_is_the_same(text: str, first: int) -> None:
    masked = mask(text, first)
    restored = restore(masked.text, masked.kept)
    text = without_placeholders(text)
    assert restored.text == text
    assert missing(masked.text, masked.kept) == []
    spans = [(i, i + 1) for i in range(len(masked.text))]
    assert "".join(text[start:end] for start, end in restored.spans(spans)) == text


@pytest.mark.parametrize(
    ("text", "kept", "restored"),
    [
        ("见\ue000今天", ["https://a.org/b"], "见 https://a.org/b 今天"),
        ("见\ue000。", ["https://a.org/b/"], "见 https://a.org/b/。"),
        ("(\ue000)", ["www.a.org"], "(www.a.org)"),
        ("to\ue000or\ue001", ["a@b.org", "c@d.org"], "to a@b.org or c@d.org"),
        ("\ue000\ue001", ["https://a.org/", "https://b.org/"], "https://a.org/ https://b.org/"),
        ("\ue000\ue001", ["3", "5"], "3 5"),
        ("1\ue000只", ["3"], "1 3只"),
        ("\ue000kg", ["3"], "3kg"),
        ("见\ue000吗<\ue001", ["{name}", "%@"], "见{name}吗<%@"),
        ("a\ue003\ue000b", ["https://a.org/"], "a https://a.org/ b"),
    ],
)
def test_nothing_runs_into_what_is_kept(text: str, kept: list[str], restored: str) -> None:
    found = restore(text, dict(zip(PLACEHOLDERS, kept, strict=False)), apart=True)
    assert found.text == restored
    spans = found.spans([(i, i + 1) for i in range(len(text))])
    assert [found.text[start:end] for start, end in spans] == [
        dict(zip(PLACEHOLDERS, kept, strict=False)).get(char, "" if char in PLACEHOLDERS else char) for char in text
    ]


@given(texts)
def test_what_was_apart_already_gets_no_space(text: str) -> None:
    masked = mask(text)
    spaced = " ".join(masked.text)
    assert restore(spaced, masked.kept, apart=True).text == restore(spaced, masked.kept).text


def without_placeholders(text: str) -> str:
    """Placeholders of the text itself would be taken for ours."""
    return "".join("\ufffd" if character in PLACEHOLDERS else character for character in text)


@given(
    st.text("aZ09.:/@{}%s<>&;#xw *\u20e3\ufe0f\u00a9\u2122\u2194\u231a\u25aa\u2934\u2b55🇨🇳😀👩\u200d你", max_size=40)
)
def test_what_the_pattern_finds_is_found_in_any_text(text: str) -> None:
    spans = kept_spans(text)
    left = "".join(char for place, char in enumerate(text) if not any(start <= place < end for start, end in spans))
    assert left == without_kept(text)


def test_the_same_text_twice_has_two_placeholders() -> None:
    masked = mask("3 and 3", first=7)
    assert masked == (f"{PLACEHOLDERS[7]} and {PLACEHOLDERS[0]}", {PLACEHOLDERS[7]: "3", PLACEHOLDERS[0]: "3"})


@given(texts, texts, st.integers(0, 7))
def test_a_pair_is_masked_on_both_sides_alike(source: str, target: str, first: int) -> None:
    masked_source, masked_target, kept = mask_pair(source, target, first)
    assert restore(masked_source, kept).text == without_placeholders(source)
    assert restore(masked_target, kept).text == without_placeholders(target)
    assert missing(masked_source, kept) == missing(masked_target, kept) == []


def test_only_what_stands_on_both_sides_is_masked() -> None:
    first, second = PLACEHOLDERS[:2]
    assert mask_pair("At 12:30 I saw 3 cats.", "我在12:30看见三只猫。")[:2] == (
        f"At {first} I saw 3 cats.",
        f"我在{first}看见三只猫。",
    )
    assert mask_pair("2 or 5", "5或2")[:2] == (f"{first} or {second}", f"{second}或{first}")
    assert mask_pair("2 or 2", "2")[2] == {}


def test_what_is_lost_or_doubled_is_missing() -> None:
    first, second = PLACEHOLDERS[:2]
    kept = {first: "3", second: "4"}
    assert missing(f"a{second}{second}", kept) == [first, second]
    assert restore(f"a{second}{PLACEHOLDERS[5]}", kept).text == "a4"


@given(texts)
def test_cut_around_what_is_kept(text: str) -> None:
    parts = cut_around(text)
    assert "".join(parts) == text
    assert parts[1::2] == [text[start:end] for start, end in kept_spans(text)]
    assert unkept(text, text) == []


def test_what_a_translation_lacks() -> None:
    assert unkept("3 of {a} and {a} at b.org/3, 13 <b>", "3，{a}，13 <B>") == ["3", "{a}", "<b>"]
    assert unkept("3 cats", "13只猫") == ["3"]
    assert unkept("3 cats", "有3只猫") == []
    assert unkept("1%1", "1%1") == []
