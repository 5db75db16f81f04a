"""Word links from files, from the line they stand on to the pieces that training reads."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentio.data.heldout import LinkedPair
from attentio.data.prepare import PreparedData, prepare
from attentio.data.settings import DataConfig
from attentio.data.source import origins
from attentio.errors import DataError, UsageError
from attentio.metrics.alignment import format_links

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
HAN = "一二三四五六七八九十"


def pair(number: int) -> LinkedPair:
    """Four digits, read from the left and from the right, and a full stop: "one two …" and its mirror image."""
    digits = [int(digit) for digit in f"{number:04}"]
    links = frozenset({*((i, 3 - i) for i in range(4)), (4, 4)})
    return LinkedPair((*(NUMBERS[d] for d in digits), "."), (*(HAN[d] for d in reversed(digits)), "."), links)


PAIRS = [pair(7 * n) for n in range(250)]


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, Sequence[str]], str]:
    def write(name: str, lines: Sequence[str]) -> str:
        content = "".join(f"{line}\n" for line in lines).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(tmp_path / name)

    return write


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., PreparedData]:
    return lambda **settings: prepare(DataConfig.model_validate(settings), tmp_path / "prepared", seed=1)


def tsv(pairs: Sequence[LinkedPair]) -> list[str]:
    return [f"{' '.join(pair.source_words)}\t{' '.join(pair.target_words)}" for pair in pairs]


def links_of(pairs: Sequence[LinkedPair], index: int = 0) -> list[str]:
    return [format_links(pair.links, index=index) for pair in pairs]


def texts(data: PreparedData) -> list[tuple[str, str]]:
    sides = ((data.source.tokenizer, data.train.source), (data.target.tokenizer, data.train.target))
    source, target = ([tokenizer.decode(side[i].tolist()) for i in range(len(side))] for tokenizer, side in sides)
    return list(zip(source, target, strict=True))


def linked_words(data: PreparedData) -> dict[str, set[tuple[str, str]]]:
    """Source text of each training pair that has links -> what is linked, as it is spelt."""
    assert data.train_links is not None
    found: dict[str, set[tuple[str, str]]] = {}
    for number, (source, target) in enumerate(texts(data)):
        spans = data.source.tokenizer.spans(source), data.target.tokenizer.spans(target)
        links = data.train_links.batch(np.array([number]))[:, 1:].tolist()
        if links:
            found[source] = {(source[slice(*spans[0][s])], target[slice(*spans[1][t])]) for t, s in links}
    return found


def expected(pair: LinkedPair) -> set[tuple[str, str]]:
    """Chinese full stops are mended, and each word is a piece."""
    return {(pair.source_words[i], pair.target_words[j].replace(".", "。")) for i, j in pair.links}


WORDS: dict[str, Any] = {"source_tokenizer": "word", "target_tokenizer": "char"}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tsv", "two files", "jsonl", "gz", "csv"])
def test_links_reach_the_pieces_of_their_words(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str], form: str
) -> None:
    sides = [[" ".join(pair[side]) for pair in PAIRS] for side in (0, 1)]
    settings: dict[str, Any] = {"train": [put("all.tsv", tsv(PAIRS))]}
    if form == "two files":
        settings = {"train": [put("all.en", sides[0])], "target": [put("all.zh", sides[1])]}
    elif form == "jsonl":
        settings = {"train": [put("all.jsonl", [json.dumps(both) for both in zip(*sides, strict=True)])]}
    elif form == "gz":
        settings = {"train": [put("all.tsv.gz", tsv(PAIRS))]}
    elif form == "csv":
        settings = {"train": [put("all.csv", [f'"{a}","{b}"' for a, b in zip(*sides, strict=True)])], "delimiter": ","}
    links = put("links.gz" if form == "gz" else "links", links_of(PAIRS))
    data = make(**settings, **WORDS, links=[links], dev=20, test=0.1)
    by_text = {" ".join(pair.source_words[:-1]) + ".": pair for pair in PAIRS}
    found = linked_words(data)
    assert len(found) == data.report.train == 250 - 20 - 25
    for source, linked in found.items():
        assert linked == expected(by_text[source])
    assert f"{links}: {5 * 205:,} word links on 205 of 205 training pairs" in data.report.notes
    assert data.links == {}, "what is held out carries no links"


def test_a_piece_of_a_word_carries_its_link(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str]
) -> None:
    data = make(train=[put("a.tsv", tsv(PAIRS))], links=[put("a.links", links_of(PAIRS))])
    assert data.source.tokenizer.kind == "sentencepiece"
    assert data.train_links is not None
    by_text = {" ".join(pair.source_words): pair for pair in PAIRS}
    for number, (source, target) in enumerate(texts(data)):
        pair = by_text[source]
        pieces = data.source.tokenizer.spans(source), data.target.tokenizer.spans(target)
        linked = {(s, t) for t, s in data.train_links.batch(np.array([number]))[:, 1:].tolist()}
        for i, word in enumerate(pair.source_words):
            start = sum(len(before) + 1 for before in pair.source_words[:i])
            of_word = [n for n, (a, b) in enumerate(pieces[0]) if a < start + len(word) and b > start]
            targets = {t for s in of_word for s_, t in linked if s_ == s}
            assert targets == {j for i_, j in pair.links if i_ == i}, "a character is a piece here"


def test_links_stay_with_their_pair_whatever_is_dropped(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str]
) -> None:
    """A header, lines that are no pair, filtered and repeated pairs stand between; each has its line of links."""
    lines: list[str] = ["source\ttarget"]
    links: list[str] = [""]
    for number, (line, link) in enumerate(zip(tsv(PAIRS), links_of(PAIRS), strict=True)):
        lines.append(line)
        links.append(link)
        if number % 10 == 0:
            lines += ["one column", "", "one\t", "same .\tsame .", "one\t" + "一 " * 60, line, line + "\tthird"]
            links += ["", "", "", "0-0 1-1", "0-0 0-59", "1-1", link]
    data = make(train=[put("a.tsv", lines)], links=[put("a.links", links)], **WORDS, dev=15, test=15)
    assert set(data.report.dropped) == {"one column", "blank", "empty", "identical", "length ratio", "duplicate"}
    by_text = {" ".join(pair.source_words[:-1]) + ".": pair for pair in PAIRS}
    found = linked_words(data)
    assert len(found) == data.report.train == 220
    for source, linked in found.items():
        assert linked == expected(by_text[source])


def test_counting_from_one_and_swapped_columns(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str]
) -> None:
    lopsided = [pair._replace(links=frozenset({(0, 3), (0, 2), (4, 4)})) for pair in PAIRS]
    settings = {"train": [put("a.tsv", tsv(PAIRS))], "links": [put("a.links", links_of(lopsided, 1))], "links_index": 1}
    there = linked_words(make(**settings, **WORDS))
    back = make(**settings, source_tokenizer="char", target_tokenizer="word", swap=True)
    assert back.source.language == "zh"
    linked = linked_words(back)
    turned = {target: {(b, a) for a, b in linked[source]} for source, target in texts(back)}
    assert len(there.keys() & turned.keys()) > 150
    assert all(there[source] == turned[source] for source in there.keys() & turned.keys())


def test_several_files_and_the_small_world(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str]
) -> None:
    train = [put("a.tsv", tsv(PAIRS[:120])), "small-world", put("b.tsv", tsv(PAIRS[120:]))]
    links = [put("a.links", links_of(PAIRS[:120])), put("b.links", links_of(PAIRS[120:]))]
    data = make(train=train, links=links, small_world_pairs=100, dev=0, test=0, **WORDS)
    without = make(train=train, small_world_pairs=100, dev=0, test=0, **WORDS)
    found, world = linked_words(data), linked_words(without)
    assert len(world) == 100
    assert {source: linked for source, linked in found.items() if source in world} == world
    by_text = {" ".join(pair.source_words[:-1]) + ".": pair for pair in PAIRS}
    for source, linked in found.items():
        assert source in world or linked == expected(by_text[source])
    assert len(found) == 350


def test_without_links_there_are_none(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str]
) -> None:
    data = make(train=[put("a.tsv", tsv(PAIRS))])
    assert data.train_links is None
    assert not (data.folder / "clean.links").exists()


def test_other_links_are_other_data(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str]
) -> None:
    settings = {"train": [put("a.tsv", tsv(PAIRS))], "links": [put("a.links", links_of(PAIRS))]}
    before = make(**settings).train_links
    put("a.links", [""] * len(PAIRS))
    after = make(**settings)
    assert before is not None
    assert after.train_links is not None
    assert (len(before.links) > 0, len(after.train_links.links)) == (True, 0)
    assert any("0 word links on 0 of" in note for note in after.report.notes)


def test_words_that_cannot_be_followed_are_said(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from attentio.data import links as module

    place = module.place_words

    def lose_some(words: Any, texts: Any, cleaner: Any) -> Any:
        return [
            None if text.startswith("one one") else spans
            for text, spans in zip(texts, place(words, texts, cleaner), strict=True)
        ]

    monkeypatch.setattr(module, "place_words", lose_some)
    links = put("a.links", links_of(PAIRS))
    data = make(train=[put("a.tsv", tsv(PAIRS))], links=[links], dev=0, test=0)
    lost = sum(pair.source_words[:2] == ("one", "one") for pair in PAIRS)
    assert lost > 1
    assert (
        f"{links}: links of {lost} pairs are left out, their words cannot be found after cleaning (first: line 1)"
        in data.report.notes
    )
    assert f"{links}: {5 * (250 - lost):,} word links on {250 - lost} of 250 training pairs" in data.report.notes


@pytest.mark.parametrize(
    ("lines", "message", "line"),
    [
        (links_of(PAIRS[:-1]), "a.links has 249 lines, ", 250),
        ([*links_of(PAIRS), "0-0"], "a.links has 251 lines, ", 251),
        (["0-0", "0:1", *links_of(PAIRS[2:])], "a.links line 2 has '0:1', which is not a link", 2),
        (["0-0", "0p1", *links_of(PAIRS[2:])], "a.links line 2 has a possible link (p)", 2),
        (
            ["0-0", "", "2-5", *links_of(PAIRS[3:])],
            "a.links line 3 has the link 2-5, out of range when counted from 0 in a sentence of 5 words against 5",
            3,
        ),
    ],
)
def test_links_that_do_not_fit_are_refused(
    make: Callable[..., PreparedData],
    put: Callable[[str, Sequence[str]], str],
    tmp_path: Path,
    lines: list[str],
    message: str,
    line: int,
) -> None:
    with pytest.raises(DataError) as caught:
        make(train=[put("a.tsv", tsv(PAIRS))], links=[put("a.links", lines)])
    assert message in str(caught.value)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "a.links"), line)
    assert not (tmp_path / "prepared").exists()


def test_files_of_links_belong_to_parallel_files(put: Callable[[str, Sequence[str]], str], tmp_path: Path) -> None:
    text, links = put("a.tsv", tsv(PAIRS)), put("a.links", links_of(PAIRS))

    def named(train: list[str], links: list[str]) -> list[Path | None]:
        config = DataConfig(train=train, links=links)
        return [origin.links for origin in origins(config)]

    assert named(["small-world", text], [links]) == [None, Path(links)]
    assert named([text], []) == [None]
    with pytest.raises(UsageError, match="1 parallel and 2 links files"):
        named([text, "small-world"], [links, links])
    with pytest.raises(UsageError, match="0 parallel and 1 links files"):
        named(["small-world"], [links])
    with pytest.raises(UsageError, match="a file of this format has no line"):
        named([put("a.tmx.gz", [])], [links])
    with pytest.raises(DataError, match="no such file"):
        named([text], [str(tmp_path / "missing")])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zhen", "roen"])
def test_published_gold_links(
    make: Callable[..., PreparedData], put: Callable[[str, Sequence[str]], str], shared_data: Path, name: str
) -> None:
    """Real sentences with all that cleaning does to them: no link is lost, and each joins the words it joined."""
    lines = (shared_data / "align" / f"{name}.src-tgt").read_text(encoding="utf-8").split("\n")[:-1]
    gold = (shared_data / "align" / f"{name}.gold").read_text(encoding="utf-8").replace("p", "-").split("\n")[:-1]
    settings: dict[str, Any] = {"dev": 0, "test": 0, "max_length": 10_000, "delimiter": "|||", "links_index": 1}
    data = make(
        train=[put("text", lines)],
        links=[put("links", gold)],
        source_tokenizer="char",
        target_tokenizer="char",
        **settings,
    )
    assert data.train_links is not None
    dropped = [row.split("\t") for row in (data.folder / "dropped.tsv").read_text(encoding="utf-8").split("\n")[1:-1]]
    kept = [i for i in range(len(lines)) if str(i + 1) not in {row[1] for row in dropped}]
    assert len(kept) == len(data.train) > 0.95 * len(lines)
    for number, (i, both) in enumerate(zip(kept, texts(data), strict=True)):
        words = [word_of_each_character(side, text) for side, text in zip(lines[i].split("|||"), both, strict=True)]
        found = {(words[0][s], words[1][t]) for t, s in data.train_links.batch(np.array([number]))[:, 1:].tolist()}
        assert found == {tuple(int(place) - 1 for place in link.split("-")) for link in gold[i].split()}


def word_of_each_character(line: str, text: str) -> list[int]:
    """For each character of the cleaned text the place of its word in the line; -1 for spaces."""
    owners = iter([place for place, word in enumerate(line.split()) for _ in word])
    found = [-1 if character == " " else next(owners) for character in text]
    assert next(owners, None) is None
    return found
