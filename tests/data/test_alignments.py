"""Files of word links."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.alignments import (
    check_line_counts,
    parse_gold,
    parse_links,
    read_gold,
    read_lengths,
    read_links,
)
from attentio.errors import DataError
from attentio.metrics.alignment import format_links

links_of_a_sentence = st.frozensets(st.tuples(st.integers(0, 6), st.integers(0, 10)))


def test_gold_counted_from_one() -> None:
    gold = parse_gold("1-1 2p3  3-2  ", index=1)
    assert gold.sure == {(0, 0), (2, 1)}
    assert gold.possible == {(0, 0), (2, 1), (1, 2)}


@settings(max_examples=40)
@given(links_of_a_sentence, st.sampled_from([0, 1]))
def test_what_is_written_is_read(links: frozenset, index: int) -> None:
    assert parse_links(format_links(links, index=index), index=index) == links


@pytest.mark.parametrize("text", ["1", "1-", "a-b", "1-2-3", "1−2", "-1-2", "1-2:0.5", "1P2", "١-٢"])
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a link"):
        parse_gold(text, index=0)


def test_a_system_is_sure() -> None:
    with pytest.raises(ValueError, match="possible link"):
        parse_links("1-1 2p2", index=0)


def test_an_index_other_than_0_or_1_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 or 1"):
        parse_links("1-1", index=2)


def test_below_the_index_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "links"
    path.write_text("1-1\n\n0-2 1-1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 3 has the link 0-2, out of range when counted from 1") as caught:
        read_links(path, index=1)
    assert caught.value.line == 3


@pytest.mark.parametrize("link", ["2p2", "1-3", "2-2", "3-1"])
def test_beyond_the_sentence_is_refused_with_the_line_and_the_link(tmp_path: Path, link: str) -> None:
    path = tmp_path / "gold"
    path.write_text(f"1-2\n1-1 {link}\n", encoding="utf-8")
    assert len(read_gold(path, index=1, lengths=[(1, 2), (3, 3)])) == 2
    with pytest.raises(DataError) as caught:
        read_gold(path, index=1, lengths=[(1, 2), (1, 2)])
    assert str(caught.value) == (
        f"{path} line 2 has the link {link}, out of range when counted from 1 in a sentence of 1 words against 2."
    )
    assert (caught.value.file, caught.value.line) == (str(path), 2)


def test_lines_and_sentences_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "gold"
    path.write_text("1-2\n2p2\n", encoding="utf-8")
    with pytest.raises(DataError, match="has 2 lines, and there are 1 sentences"):
        read_gold(path, index=1, lengths=[(1, 2)])
    check_line_counts("a", 7, "b", 7)
    with pytest.raises(DataError, match=r"a has 7 lines, b has 1,009\. They go line by line") as caught:
        check_line_counts("a", 7, "b", 1009)
    assert (caught.value.file, caught.value.line) == ("a", 8)


def test_windows_lines_a_byte_order_mark_and_no_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "links"
    path.write_bytes("\ufeff0-0 1-1\r\n\r\n2-2".encode())
    assert read_links(path, index=0) == [{(0, 0), (1, 1)}, frozenset(), {(2, 2)}]


def test_sentences_count_words_on_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a b c ||| d e  \n||| x\u2028y\n", encoding="utf-8")
    assert read_lengths(path) == [(3, 2), (0, 2)]
    path.write_text("a ||| b\nc d\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2"):
        read_lengths(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_links(tmp_path / "absent", index=0)
    with pytest.raises(DataError, match="is a folder"):
        read_links(tmp_path, index=0)
    (tmp_path / "bytes").write_bytes(b"0-0\n\xb0")
    with pytest.raises(DataError, match=r"line 2, byte 1: not UTF-8 \(0xB0\)"):
        read_links(tmp_path / "bytes", index=0)
