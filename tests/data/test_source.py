"""Reading: every format and encoding gives the same pairs, and every bad input one clear line."""

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.corpora import CORPORA
from attentio.data import source
from attentio.data.readers import lines
from attentio.data.readers.lines import Origin, existing, read_lines
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import Pair, origins, read_chunks, read_pairs, settings_for
from attentio.errors import DataError, MissingExtra, UsageError
from attentio.text.encoding import guess_encoding

PAIRS = [("I see a cat.", "我看见一只猫。"), ("Where are you?", "你在哪里？"), ("Good morning!", "早上好！")]
TSV = "".join(f"{s}\t{t}\n" for s, t in PAIRS)
EXPECTED = [Pair(s, t, i) for i, (s, t) in enumerate(PAIRS, start=1)]


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, **settings: object) -> list[Pair]:
    return list(read_pairs(path, DataConfig.model_validate(settings)))


@pytest.mark.parametrize(
    "content",
    [
        TSV.encode(),
        TSV.encode("utf-8-sig"),
        TSV.encode("utf-16"),
        b"\xfe\xff" + TSV.encode("utf-16-be"),
        TSV.encode("utf-32"),
        TSV.replace("\n", "\r\n").encode(),
        TSV.removesuffix("\n").encode(),
        TSV.replace("\n", "\tCC-BY (somebody)\n").encode(),
        gzip.compress(TSV.encode()),
        gzip.compress(TSV.replace("\n", "\r\n").encode("utf-16")),
    ],
    ids=[
        "plain",
        "mark",
        "utf-16",
        "utf-16-be",
        "utf-32",
        "crlf",
        "no-end",
        "three-columns",
        "gzip",
        "gzip-utf-16-crlf",
    ],
)
def test_encodings_and_line_ends(tmp_path: Path, content: bytes) -> None:
    assert read(put(tmp_path, "a.tsv", content)) == EXPECTED


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "UTF-16LE", "utf-8"])
def test_an_encoding_can_be_named(tmp_path: Path, encoding: str) -> None:
    assert read(put(tmp_path, "a.tsv", TSV.encode(encoding)), encoding=encoding) == EXPECTED


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", block)
    monkeypatch.setattr(source, "CHUNK_LINES", 2)
    for name, content in (("a", TSV.replace("\n", "\r\n").encode()), ("b", TSV.replace("\n", "\r\n").encode("utf-16"))):
        if block > 3:  # a byte order mark must be whole
            assert read(put(tmp_path, name, content)) == EXPECTED
    assert read(put(tmp_path, "c", TSV)) == EXPECTED


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
def test_only_lf_and_crlf_end_a_line(tmp_path: Path, char: str) -> None:
    assert read(put(tmp_path, "a", f"a{char}b\tc\nd\te{char}f\n")) == [
        Pair(f"a{char}b", "c", 1),
        Pair("d", f"e{char}f", 2),
    ]


@settings(max_examples=30)
@given(lines=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0\ufeff"), min_size=1)))
def test_lines_are_what_lies_between_line_feeds(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = put(tmp_path_factory.mktemp("lines"), "a", "".join(line + "\n" for line in lines))
    assert list(read_lines(path)) == lines


@pytest.mark.parametrize("header", ["1\t2", "source\ttarget", "English\tChinese", "en\tzh", "1\t2\t3", "SRC\tTGT"])
def test_a_header_line_is_skipped_and_reported(tmp_path: Path, header: str) -> None:
    log = DropLog()
    path = put(tmp_path, "a.tsv", header + "\r\n" + TSV)
    assert [pair[:2] for pair in read_pairs(path, log=log)] == PAIRS
    assert log.notes[0] == f"{path}: lines end with CRLF"
    assert len(log.notes) == 2
    assert "line 1 is a header" in log.notes[1]


def test_further_columns_are_not_read_and_said(tmp_path: Path) -> None:
    attributed = "".join(f"{line}\tCC-BY 2.0 (France) Attribution\n" for line in TSV.split("\n")[:-1])
    log = DropLog()
    path = put(tmp_path, "a.tsv", attributed)
    assert [pair[:2] for pair in read_pairs(path, log=log)] == PAIRS
    assert log.notes == [f"{path}: 3 lines have more than 2 columns; only the first 2 are read"]
    log = DropLog()
    path = put(tmp_path, "b.tsv", TSV + "One.\t一。\tmore\tand more\n")
    assert len(list(read_pairs(path, log=log))) == 4
    assert log.notes == [f"{path}: 1 line has more than 2 columns; only the first 2 are read"]


@pytest.mark.parametrize("first", ["Hi.\t嗨。", "1\t一", "2\t1", "Source?\t来源？"])
def test_a_first_pair_is_no_header(tmp_path: Path, first: str) -> None:
    assert len(read(put(tmp_path, "a.tsv", first + "\n" + TSV))) == 4


@pytest.mark.parametrize(
    ("delimiter", "content"),
    [
        (",", '"Yes, I do.","是，我是。"\nplain,朴素\n'),
        (";", '"Yes; I do.";"是；""我""。"\n'),
        ("|||", "a ||| 甲\nb ||| 乙\n"),
    ],
)
def test_other_delimiters(tmp_path: Path, delimiter: str, content: str) -> None:
    found = [
        (pair.source.strip(), pair.target.strip()) for pair in read(put(tmp_path, "a", content), delimiter=delimiter)
    ]
    assert (
        found
        == {
            ",": [("Yes, I do.", "是，我是。"), ("plain", "朴素")],
            ";": [("Yes; I do.", '是；"我"。')],
            "|||": [("a", "甲"), ("b", "乙")],
        }[delimiter]
    )


def test_a_quoted_cell_may_hold_a_line_end_and_lines_are_still_counted(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", 'a,甲\n"b\nc",乙\nd,丁\n')
    assert read(path, delimiter=",") == [Pair("a", "甲", 1), Pair("b c", "乙", 2), Pair("d", "丁", 4)]


def test_quotes_mean_nothing_in_a_tab_separated_file(tmp_path: Path) -> None:
    assert read(put(tmp_path, "a", '"Stop, he said.\t"停。\n'))[0][:2] == ('"Stop, he said.', '"停。')


def test_columns_can_be_swapped(tmp_path: Path) -> None:
    assert [pair[:2] for pair in read(put(tmp_path, "a", TSV), swap=True)] == [(t, s) for s, t in PAIRS]


def test_two_aligned_files(tmp_path: Path) -> None:
    source = put(tmp_path, "a.en", "".join(s + "\n" for s, _ in PAIRS))
    target = put(tmp_path, "a.zh.gz", gzip.compress("".join(t + "\r\n" for _, t in PAIRS).encode("utf-16")))
    config = DataConfig(train=[str(source)], target=[str(target)])
    [origin] = origins(config)
    [chunk] = read_chunks(origin, config, DropLog())
    assert list(zip(chunk.sources, chunk.targets, chunk.lines.tolist(), strict=True)) == EXPECTED


JSON_LINES = {
    "objects": lambda s, t: {"source": s, "target": t, "score": 1},
    "short": lambda s, t: {"src": s, "tgt": t},
    "lists": lambda s, t: [s, t],
    "translation": lambda s, t: {"id": 1, "translation": {"en": s, "zh": t}},
    "languages": lambda s, t: {"zh": t, "en": s},
}


@pytest.mark.parametrize("form", list(JSON_LINES))
def test_json_lines(tmp_path: Path, form: str) -> None:
    lines = [json.dumps(JSON_LINES[form](s, t)) + "\n" for s, t in PAIRS]
    lines.insert(1, "\n")
    languages = {"source_language": "en", "target_language": "zh"} if form == "languages" else {}
    found = read(put(tmp_path, "a.jsonl", "".join(lines)), **languages)
    assert found == [Pair(*PAIRS[0], 1), Pair(*PAIRS[1], 3), Pair(*PAIRS[2], 4)]


TMX = """<?xml version="1.0" encoding="{encoding}"?>
<tmx version="1.4"><header srclang="en-US" datatype="plaintext"/>
<body>
<tu><tuv xml:lang="zh-CN"><seg>我看见一只<hi>猫</hi>。</seg></tuv>
<tuv xml:lang="en-US"><seg>I see <bpt i="1">&lt;b&gt;</bpt>a<ept i="1">x</ept> cat.</seg></tuv></tu>
<tu><tuv xml:lang="en-US"><seg>only</seg></tuv><tuv xml:lang="fr"><seg>seul</seg></tuv></tu>
<tu>
 <tuv lang="EN"><seg>A &amp; B</seg></tuv><tuv lang="zh"><seg>甲和乙</seg></tuv><tuv lang="fr"><seg>A et B</seg></tuv>
</tu></body></tmx>
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_translation_memories(tmp_path: Path, encoding: str) -> None:
    log = DropLog()
    path = put(tmp_path, "a.tmx.gz", gzip.compress(TMX.format(encoding=encoding).encode(encoding)))
    assert list(read_pairs(path, log=log)) == [Pair("I see a cat.", "我看见一只猫。", 4), Pair("A & B", "甲和乙", 7)]
    assert log.counts["a"] == {"language missing": 1}
    assert log.notes == [f"{path}: reading en to zh"]


def test_the_languages_of_a_translation_memory_can_be_chosen(tmp_path: Path) -> None:
    path = put(tmp_path, "a.tmx", TMX.format(encoding="utf-8"))
    assert [p[:2] for p in read(path, source_language="fr", target_language="zh-Hans")] == [("A et B", "甲和乙")]
    with pytest.raises(DataError, match=r"no unit in both en and de\. Languages: en, en-us, fr, zh, zh-cn"):
        read(path, source_language="en", target_language="de")


def test_broken_xml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tmx line 2: not well-formed XML \(mismatched tag\)"):
        read(put(tmp_path, "a.tmx", "<tmx><body>\n</tu></tmx>"))


# Bad input: one line that says what, where, and how to mend it


def fault(path: Path, **settings: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, **settings)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 3
    return caught.value


def test_a_missing_file_suggests_the_one_that_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    put(tmp_path, "data/train.tsv", TSV)
    put(tmp_path, "corpus.tsv", TSV)
    for wrong, meant in (("train.tsv", "data/train.tsv"), ("corpsu.tsv", "corpus.tsv"), ("small-wrld", "small-world")):
        with pytest.raises(DataError) as caught:
            origins(DataConfig(train=[wrong]))
        assert str(caught.value) == f"{wrong}: no such file. Did you mean {meant}?"
    with pytest.raises(DataError, match=r"^zzzzzz: no such file\.$"):
        existing("zzzzzz")
    with pytest.raises(DataError, match="data is a folder"):
        existing("data")


def test_a_single_column(tmp_path: Path) -> None:
    found = fault(put(tmp_path, "notes.txt", "just text, with a comma\n" * 150))
    assert str(found) == (
        f"{tmp_path}/notes.txt has 1 column in each of the first 100 lines. "
        "A parallel file needs 2 (source TAB target). "
        "Two files? --src A --tgt B. Comma-separated? --delimiter ,"
    )
    assert found.code == "E_DATA_COLUMNS"


def test_a_line_without_its_other_column_is_dropped_and_counted(tmp_path: Path) -> None:
    log = DropLog(tmp_path / "dropped.tsv")
    path = put(tmp_path, "a.tsv", TSV + "alone\n\n" + TSV)
    assert len(list(read_pairs(path, log=log))) == 6
    log.close()
    assert log.counts["a"] == {"one column": 1, "blank": 1}
    assert (tmp_path / "dropped.tsv").read_text().split("\n")[1:3] == ["a\t4\tone column\talone\t", "a\t5\tblank\t\t"]


def test_line_counts_that_differ_name_the_first_suspicious_pair(tmp_path: Path) -> None:
    english = [f"sentence number {i}" for i in range(60)]
    chinese = [f"第{i}个句子在这里" for i in range(60)]
    chinese[41] = "短"
    del chinese[50:52]
    source = put(tmp_path, "a.en", "\n".join(english) + "\n")
    target = put(tmp_path, "a.zh", "\n".join(chinese) + "\n")
    config = DataConfig(train=[str(source)], target=[str(target)])
    with pytest.raises(DataError) as caught:
        list(read_chunks(Origin("a", source, target), config, DropLog()))
    assert str(caught.value) == (
        f"{source} has 60 lines, {target} 58. First suspicious pair: line 42 (length ratio 5.0). Nothing was trained."
    )
    assert caught.value.line == 42


@pytest.mark.parametrize(
    ("encoding", "text", "suggestion"),
    [
        ("gb18030", "这是我们的中文句子，他不在这里。你看见我的猫了吗？", "gb18030"),
        ("big5", "這是我們的中文句子，他不在這裡。你看見我的貓了嗎？", "big5"),
        ("shift_jis", "これは私たちの日本語の文です。猫はどこにいますか。", "shift_jis"),
        ("euc_kr", "이것은 우리의 한국어 문장입니다. 고양이는 어디에 있나요?", "euc_kr"),
        ("latin-1", "J'ai vu un élève à l'école, où était-il passé ?", "windows-1252"),
        ("cp1251", "Он медленно читает длинную книгу о зелёном чае.", "cp1251"),
    ],
)
def test_another_encoding_names_the_byte_and_suggests(
    tmp_path: Path, encoding: str, text: str, suggestion: str
) -> None:
    found = fault(put(tmp_path, "a.tsv", b"plain\tplain\n" * 7 + f"ab\t{text}\n".encode(encoding)))
    first = next(i for i, byte in enumerate(f"ab\t{text}".encode(encoding), start=1) if byte > 0x7F)
    assert f"a.tsv line 8, byte {first}: not UTF-8 (0x" in str(found)
    assert f"--encoding {suggestion}, or iconv -f {suggestion.upper()} -t UTF-8." in str(found)
    assert (found.line, found.code) == (8, "E_DATA_ENCODING")


def test_the_byte_is_found_behind_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 10)
    found = fault(put(tmp_path, "a.tsv", b"plain text\tplain and simple.\n" * 812 + b"\xb0\t\xa1"))
    assert "line 813, byte 1: not UTF-8 (0xB0)" in str(found)


def test_no_guess_where_nothing_fits() -> None:
    assert guess_encoding(bytes(range(0x80, 0xFF)) * 3) is None
    assert guess_encoding("text".encode("utf-16-be")) == "utf-16-be"


@pytest.mark.parametrize("content", [TSV.encode() + b"a\0b\tc\n", "text\tText\n".encode("utf-16-le")])
def test_a_nul_byte_is_no_text(tmp_path: Path, content: bytes) -> None:
    found = fault(put(tmp_path, "a.tsv", content))
    assert "has a NUL byte. Is this a binary or UTF-16 file?" in str(found)
    assert found.line == (4 if b"cat" in content else 1)


def test_carriage_returns_alone(tmp_path: Path) -> None:
    assert "ends its lines with CR alone" in str(fault(put(tmp_path, "a.tsv", TSV.replace("\n", "\r"))))


@pytest.mark.parametrize("content", ["", "\n\n \n"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    assert str(fault(put(tmp_path, "a.tsv", content))) == f"{tmp_path}/a.tsv is empty."


@pytest.mark.parametrize("name", ["a.tsv", "a.tmx", "a.jsonl"])
def test_a_damaged_archive(tmp_path: Path, name: str) -> None:
    content = gzip.compress(("<tmx>" + TSV * 90).encode())
    for damaged in (content[:-9], content[:30] + b"\0\0\0" + content[33:]):
        assert "is damaged" in str(fault(put(tmp_path, name + ".gz", damaged)))


def test_a_quote_that_never_ends(tmp_path: Path) -> None:
    assert "A quote that never ends?" in str(fault(put(tmp_path, "a.csv", '"a,b\nc,d\n'), delimiter=","))


@pytest.mark.parametrize(
    "line", ["{", "3", '{"a": "b"}', '["x"]', '{"source": "a", "target": 3}', '{"translation": []}']
)
def test_a_json_line_that_is_no_pair(tmp_path: Path, line: str) -> None:
    found = fault(put(tmp_path, "a.jsonl", '{"source": "a", "target": "b"}\n' + line))
    assert found.line == 2
    assert "a.jsonl line 2: " in str(found)


def test_the_same_file_on_both_sides(tmp_path: Path) -> None:
    path = str(put(tmp_path, "a", "text\n"))
    with pytest.raises(DataError, match="given as source and as target"):
        origins(DataConfig(train=[path], target=[path]))


def test_an_unknown_encoding_and_no_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown encoding 'utf-99'"):
        read(put(tmp_path, "a", TSV), encoding="utf-99")
    with pytest.raises(UsageError, match="no data given"):
        origins(DataConfig())


# Built-in corpora and the real files


def test_parts_get_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    paths = [put(tmp_path, "a.tsv", TSV), put(tmp_path, "b/a.tsv.gz", TSV), put(tmp_path, "c.x.txt", TSV)]
    assert [o.name for o in origins(DataConfig(train=[*map(str, paths), "hsk"]))] == ["a-1", "a-2", "c.x", "hsk"]


def test_hsk_without_its_placeholders() -> None:
    pytest.importorskip("hsk_sentences_audio")
    chunks = list(read_chunks(Origin("hsk", corpus="hsk"), DataConfig(), DropLog()))
    pairs = [pair for chunk in chunks for pair in zip(chunk.sources, chunk.targets, strict=True)]
    assert len(pairs) == 4272
    assert len(set(pairs)) == 4270
    assert len({source for source, _ in pairs}) == 4232
    assert len({target for _, target in pairs}) == 4267


def test_built_in_corpora_turn_round_with_the_languages() -> None:
    pytest.importorskip("hsk_sentences_audio")
    plain, swapped, named = (
        next(read_chunks(Origin("hsk", corpus="hsk"), DataConfig.model_validate(settings), DropLog())).sources[0]
        for settings in ({}, {"swap": True}, {"source_language": "zh", "target_language": "en"})
    )
    assert plain.isascii()
    assert swapped == named
    assert not named.isascii()


def test_hsk_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "hsk_sentences_audio", None)
    with pytest.raises(MissingExtra, match=r"attentio\[hsk\]"):
        next(read_chunks(Origin("hsk", corpus="hsk"), DataConfig(), DropLog()))


def test_the_demo_is_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_not() -> bool:
        return False

    monkeypatch.setitem(CORPORA, "hsk", CORPORA["hsk"]._replace(installed=has_not))
    assert [origin.name for origin in origins(DataConfig(train=["demo"]))] == ["small-world"]


@pytest.fixture(params=["cmn-2018.txt", "deu.txt"])
def real(request: pytest.FixtureRequest, shared_data: Path) -> Path:
    return shared_data / request.param


@pytest.mark.slow
def test_real_files(real: Path) -> None:
    log = DropLog()
    pairs = list(read_pairs(real, log=log))
    if real.name == "deu.txt":  # a header and CRLF
        assert (len(pairs), pairs[0]) == (50_001, Pair("Go.", "Geh.", 2))
        assert log.notes == [f"{real}: lines end with CRLF", f"{real}: line 1 is a header (1 | 2); skipped"]
    else:
        assert (len(pairs), log.notes) == (21_007, [])
        assert len({p.source for p in pairs}) == 20_404
        assert len({p.target for p in pairs}) == 20_230
    assert log.counts == {}
    assert not any("\r" in pair.target or "\t" in pair.target for pair in pairs)


@pytest.mark.parametrize("train", [["demo", "small-world"], ["hsk", "demo"], ["hsk", "hsk"], ["demo", "demo"]])
def test_a_built_in_corpus_is_named_once(train: list[str]) -> None:
    with pytest.raises(UsageError, match=rf"is named twice: by '{train[0]}' and by '{train[1]}'\. Name each"):
        origins(DataConfig(train=train))


def test_a_file_named_like_a_corpus_gets_a_name_of_its_own(tmp_path: Path) -> None:
    path = put(tmp_path, "hsk.tsv", "a\tb\n")
    found = origins(DataConfig(train=["hsk", str(path)]))
    assert [(origin.name, origin.corpus) for origin in found] == [("hsk-1", "hsk"), ("hsk-2", None)]
    assert next(read_chunks(found[1], DataConfig(), DropLog())).sources == ["a"]


def test_blank_lines_at_the_end_of_one_file_are_no_difference(tmp_path: Path) -> None:
    paths = put(tmp_path, "a.en", "one\ntwo\n"), put(tmp_path, "a.zh", "一\n二\n \n\n")
    config = DataConfig(train=[str(paths[0])], target=[str(paths[1])])
    log = DropLog()
    (chunk,) = read_chunks(origins(config)[0], config, log)
    assert chunk.targets == ["一", "二"]
    assert log.notes == [f"{paths[1]} ends with more blank lines than {paths[0]}"]


PLAIN = "café now\tzwei drei\nthé\tvier\n"


@pytest.mark.parametrize(
    ("trained", "given", "content"),
    [
        ({"encoding": "latin-1"}, {}, PLAIN.encode()),
        ({"encoding": "latin-1"}, {}, PLAIN.encode("latin-1")),
        ({"encoding": "utf-16-le"}, {"encoding": "latin-1"}, PLAIN.encode("latin-1")),
        ({"delimiter": ","}, {}, PLAIN.encode()),
        ({"delimiter": ","}, {}, PLAIN.replace("\t", ",").encode()),
        ({"delimiter": ","}, {"delimiter": ";"}, PLAIN.replace("\t", ";").encode()),
        ({"columns": "2,4"}, {}, PLAIN.encode()),
        ({"columns": "2,4"}, {}, re.sub(r"^(?=.)|(?<=\t)", r"1\t", PLAIN, flags=re.MULTILINE).encode()),
        ({"columns": "4,1"}, {"columns": "1,2"}, PLAIN.replace("\n", "\tx\n").encode()),
    ],
)
def test_another_file_is_read_as_it_shows_itself(
    tmp_path: Path, trained: dict[str, object], given: dict[str, object], content: bytes
) -> None:
    path = put(tmp_path, "test.tsv", content)
    config = settings_for(path, DataConfig.model_validate(trained), given)
    pairs = [(pair.source, pair.target) for pair in read_pairs(path, config)]
    assert pairs == [("café now", "zwei drei"), ("thé", "vier")]
